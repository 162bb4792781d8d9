"""Moments of all hosts: which there are, and where a step, a leap and a jump lead."""

from __future__ import annotations

import pytest

from sysmon.errors import StoreError, SysmonError
from sysmon.records import Event, RunSpan
from tests.tui.scripted import START, Script, ScriptedHistory, catalogue
from tui.fleettravel import FleetReader, beside, gaps, is_held, read_fleet_track
from tui.model import HostModel

pytestmark = pytest.mark.anyio

NOW = 4000


def ms(second: int) -> int:
    """The moment of a second."""
    return (START + second) * 1000


def second_of(time: int | None) -> int | None:
    """The second of a moment."""
    return None if time is None else time // 1000 - START


class Held(ScriptedHistory):
    """The past of one host of several, under its own id; or one that cannot be read."""

    broken = False

    async def spans(self, host: str | None = None) -> list[RunSpan]:
        """What it holds."""
        if self.broken:
            raise StoreError("the disk is on fire")
        return await super().spans(host)


def reader(**seconds: range) -> tuple[FleetReader, dict[str, Held]]:
    """A reader of hosts of which these seconds were recorded."""
    scripts = {name: Script(host=name * 16, name=name) for name in seconds}
    hosts = [HostModel(script.info, catalogue()) for script in scripts.values()]
    held = {script.host: Held(script, seconds[name]) for name, script in scripts.items()}
    return FleetReader(hosts, hosts[0], held.get, ms(NOW)), held


async def test_any_moment_of_any_host_is_gone_to_whichever_is_shown() -> None:
    travel, _ = reader(a=range(3000, 3900), b=range(100, 2000))
    landing = await travel.jump(ms(500))
    assert landing.view is not None
    assert (second_of(landing.view.time), landing.note) == (500, "")
    assert landing.view.info.label == "a"
    landing = await travel.jump(ms(20))
    assert landing.view is not None
    assert second_of(landing.view.time) == 100
    assert landing.note == "the recording begins here: nothing is older of any host"
    for target, wanted, words in ((2100, 1999, "the last before it"), (2900, 3000, "the next after it")):
        landing = await travel.jump(ms(target))
        assert landing.view is not None
        assert second_of(landing.view.time) == wanted
        assert words in landing.note
    assert (await travel.jump(ms(NOW + 5))).view is None


async def test_steps_and_leaps_cross_what_nobody_recorded() -> None:
    travel, _ = reader(a=range(3000, 3900), b=range(100, 2000))
    for start, direction, wanted in ((3500, -1, 3499), (3000, -1, 1999), (1999, 1, 3000), (500, 1, 501)):
        landing = await travel.step(ms(start), direction)
        assert landing.view is not None
        assert second_of(landing.view.time) == wanted
        assert bool(landing.note) == (abs(wanted - start) > 1)
    assert (await travel.step(ms(3899), 1)).view is None
    for start, direction, wanted in ((3700, -1, 3100), (3100, -1, 1999), (1900, 1, 3000)):
        landing = await travel.leap(ms(start), direction)
        assert landing.view is not None
        assert second_of(landing.view.time) == wanted
    assert (await travel.leap(ms(3700), 1)).view is None
    landing = await travel.leap(ms(150), -1)
    assert landing.view is not None
    assert second_of(landing.view.time) == 100


async def test_a_history_that_fails_leaves_those_of_the_others() -> None:
    travel, held = reader(a=range(3000, 3900), b=range(100, 2000))
    held["a" * 16].broken = True
    landing = await travel.jump(ms(500))
    assert landing.view is not None
    held["b" * 16].broken = True
    with pytest.raises(StoreError, match="on fire"):
        await travel.jump(ms(500))
    empty, _ = reader(a=range(0))
    with pytest.raises(SysmonError, match="nothing is recorded of any host yet"):
        await empty.jump(ms(500))


async def test_the_time_bar_of_all_hosts_has_gaps_where_none_was_recorded() -> None:
    _, held = reader(a=range(3000, 3900), b=range(100, 2000))
    held["b" * 16]._events = [Event(id="1", time=ms(300), host="b" * 16, kind="host.down", severity="critical")]
    track = await read_fleet_track(held, [*held.values()], ms(NOW))
    assert track is not None
    assert second_of(track.start) == 100
    assert [(second_of(gap.start), second_of(gap.end)) for gap in track.gaps] == [(1999, 3000)]
    assert [second_of(mark.time) for mark in track.marks] == [300]


def test_frames_read_seldom_are_stepped_through_as_they_came() -> None:
    minute = RunSpan(host="h", run="r", boot="b", first=1, last=11, start=ms(0), end=ms(600))
    assert second_of(beside([minute], ms(60), 1)) == 120
    assert second_of(beside([minute], ms(60), -1)) == 0
    assert second_of(beside([minute], ms(75), 1)) == 120
    assert second_of(beside([minute], ms(75), -1)) == 60
    assert is_held([minute], ms(75))
    assert is_held([minute], ms(650))
    assert not is_held([minute], ms(700))
    single = RunSpan(host="h", run="q", boot="b", first=1, last=1, start=ms(900), end=ms(900))
    assert second_of(beside([minute, single], ms(600), 1)) == 900
    assert [second_of(gap.end) for gap in gaps([single, minute])] == [900]
