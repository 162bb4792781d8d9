"""Moving through the past: steps, leaps, jumps, gaps, ends. No screen here."""

from __future__ import annotations

import pytest

from sysmon.errors import SysmonError
from sysmon.records import Event
from tests.tui.scripted import START, Script, ScriptedHistory, catalogue, view
from tui.chrome import Mark, Track
from tui.model import HostModel
from tui.timetravel import Cursor, Landing, PastReader, next_mark, read_track

pytestmark = pytest.mark.anyio


def at(second: int) -> int:
    """Unix milliseconds of a script's second."""
    return (START + second) * 1000


def reader(seconds: list[int], *, now: int = 2000, graphed: tuple[str, ...] = ()) -> PastReader:
    """A reader of a host that was recorded at these seconds."""
    script = Script()
    return PastReader(HostModel(script.info, catalogue()), ScriptedHistory(script, seconds), graphed, at(now))


async def test_a_step_goes_to_the_neighbour() -> None:
    past = reader([*range(100, 120)])
    landing = await past.step(at(110), -1)
    assert landing.view is not None
    assert (landing.view.time, landing.note) == (at(109), "")
    landing = await past.step(at(109), 1)
    assert landing.view is not None
    assert landing.view.time == at(110)


async def test_a_step_over_a_gap_says_so() -> None:
    past = reader([*range(100, 110), *range(200, 210)])
    landing = await past.step(at(200), -1)
    assert landing.view is not None
    assert landing.view.time == at(109)
    assert landing.note.startswith("over a gap of 1m 31s: nothing was recorded from ")
    landing = await past.step(at(109), 1)
    assert landing.view is not None
    assert landing.view.time == at(200)
    assert "gap" in landing.note


async def test_the_ends_of_the_recording_are_said() -> None:
    past = reader([*range(100, 110)])
    landing = await past.step(at(100), -1)
    assert landing.view is not None
    assert landing.view.time == at(100)
    assert "the recording begins here" in landing.note
    landing = await past.step(at(109), 1)
    assert (landing.view, landing.note) == (None, "this is now")


async def test_a_leap_goes_ten_minutes() -> None:
    past = reader([*range(100, 1400)])
    landing = await past.leap(at(1300), -1)
    assert landing.view is not None
    assert landing.view.time == at(700)
    landing = await past.leap(at(700), 1)
    assert landing.view is not None
    assert (landing.view.time, landing.note) == (at(1300), "")
    landing = await past.leap(at(300), -1)
    assert landing.view is not None
    assert landing.view.time == at(100)
    assert "begins" in landing.note
    assert (await past.leap(at(1500), 1)).view is None


async def test_a_leap_crosses_gaps() -> None:
    past = reader([*range(100, 110), *range(1500, 1510)])
    landing = await past.leap(at(109), 1)
    assert landing.view is not None
    assert landing.view.time == at(1500)
    assert "gap" in landing.note
    landing = await past.leap(at(1500), -1)
    assert landing.view is not None
    assert landing.view.time == at(109)
    assert "gap" in landing.note


async def test_a_jump_lands_at_the_nearest_record() -> None:
    past = reader([*range(100, 110), *range(200, 210)])
    for asked, found, word in ((105, 105, ""), (120, 109, "the last before"), (190, 200, "the next after")):
        landing = await past.jump(at(asked))
        assert landing.view is not None
        assert landing.view.time == at(found)
        assert word in landing.note
        assert bool(word) == bool(landing.note)
    landing = await past.jump(at(5))
    assert landing.view is not None
    assert landing.view.time == at(100)
    assert "begins" in landing.note
    future = await past.jump(at(9999))
    assert future.view is None
    assert "future" in future.note


async def test_nothing_recorded_is_an_error_with_words() -> None:
    with pytest.raises(SysmonError, match="nothing is recorded"):
        await reader([]).step(at(5), -1)


async def test_a_moment_brings_what_the_screen_graphs_and_who_it_was() -> None:
    past = reader([*range(100, 130)], graphed=("cpu.utilization", "net.receive_rate"))
    landing = await past.jump(at(120))
    assert landing.view is not None
    shown = landing.view
    points = shown.window.points("cpu.utilization", 21)
    assert None not in points
    live = view(Script(), 121)
    assert points[-1] == pytest.approx(live.value("cpu.utilization"))
    assert shown.window.points("net.receive_rate:eth0", 3)[-1] is not None
    assert shown.processes
    assert shown.processes_time == at(120) - 12_000
    assert past.host.info == shown.info


async def test_the_track_has_spans_gaps_and_marks() -> None:
    script = Script()
    events = [
        Event(id="1", time=at(150), host=script.host, kind="alert.firing", severity="critical"),
        Event(id="2", time=at(160), host=script.host, kind="alert.resolved"),
    ]
    history = ScriptedHistory(script, [*range(100, 110), *range(200, 210)], events=events)
    track = await read_track(history, script.host, at(300))
    assert track is not None
    assert (track.start, track.end) == (at(100), at(300))
    assert [(gap.start, gap.end) for gap in track.gaps] == [(at(110), at(200))]
    assert track.marks == (Mark(at(150), "critical"),)
    assert await read_track(ScriptedHistory(script, []), script.host, at(300)) is None


def test_marks_are_found_on_either_side() -> None:
    track = Track(0, 100_000, (), (Mark(10_000, "warning"), Mark(50_000, "critical")))
    assert next_mark(track, 60_000, -1) == 50_000
    assert next_mark(track, 50_000, -1) == 10_000
    assert next_mark(track, 10_000, 1) == 50_000
    assert next_mark(track, 50_000, 1) is None
    assert next_mark(None, 0, 1) is None


def test_the_cursor_knows_where_it_stands() -> None:
    cursor = Cursor()
    assert cursor.live
    cursor.freeze(view(seconds=3))
    assert cursor.mode == "frozen"
    past = view(seconds=2)
    cursor.land(Landing(past))
    assert (cursor.mode, cursor.view) == ("past", past)
    cursor.land(Landing(None))
    assert cursor.live
    assert cursor.view is None
