"""The History screen in a running app: ranges, panning, the cursor, choosing, errors, cancelling, export."""

from __future__ import annotations

import asyncio
import csv
import json
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest
from textual.widgets import Input

from sysmon.errors import StoreError, SysmonError, UsageError
from sysmon.records import Event, Point, Series, Span
from tests.tui.screens.pasts import KEYS, NOW, Past
from tests.tui.scripted import Rig, Script, catalogue, rig
from tui.app import SysmonApp
from tui.historycharts import chosen_charts, default_charts, matching
from tui.historyexport import Exists, default_path, target, write
from tui.historyrange import HOUR, Range, parse_range
from tui.screens.export import ExportScreen
from tui.screens.history import HistoryScreen, grid_of
from tui.screens.prompt import Prompt
from tui.screens.serieschooser import TickChooser, found, series_choices

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from textual.pilot import Pilot

pytestmark = pytest.mark.anyio


class Stage:
    """A running app with the History screen open."""

    def __init__(self, app: SysmonApp, pilot: Pilot[int], made: Rig, past: Past | None) -> None:
        self.app, self.pilot, self.rig, self.past = app, pilot, made, past

    @property
    def screen(self) -> HistoryScreen:
        """The screen."""
        screen = self.app.host_screen
        assert isinstance(screen, HistoryScreen)
        return screen

    def period(self) -> Range:
        """The range shown."""
        return self.screen.period

    def cursor(self) -> int | None:
        """Where the cursor stands."""
        return self.screen.cursor

    def mode(self) -> str:
        """Whether the present or the past is shown."""
        return self.app.cursor.mode

    def top(self) -> object:
        """The screen or dialog on top."""
        return self.app.screen

    def box(self) -> Input:
        """The dialog's input."""
        return self.app.screen.query_one(Input)

    async def settle(self) -> None:
        """Waits until nothing is being read."""
        for _ in range(500):
            await self.pilot.pause()
            if not [worker for worker in self.app.workers if worker.group in ("history", "time", "export")]:
                return
            await asyncio.sleep(0.005)
        raise AssertionError("still reading")

    async def press(self, *keys: str) -> None:
        """Presses keys and lets what they began end."""
        for key in keys:
            await self.pilot.press(key)
        await self.settle()

    def text(self) -> str:
        """What is on screen."""
        strips = self.app.screen._compositor.render_strips()
        return "\n".join("".join(segment.text for segment in strip) for strip in strips)


@asynccontextmanager
async def stage(
    past: Past | None = None, size: tuple[int, int] = (120, 40), hosts: tuple[Script, ...] = (), *, settle: bool = True
) -> AsyncIterator[Stage]:
    """The app at the first seconds of a script, History open."""
    made = rig(Script(), hosts=hosts)
    others = {each.host: Past(host=each.host, phase=2.0) for each in hosts}
    made.services.history = lambda host: past if host == made.script.host else others.get(host)
    app = SysmonApp(made.services, theme_name="sysmon-dark", depth="truecolor")
    async with app.run_test(size=size) as pilot:
        for second in range(3):
            made.push(second)
        await pilot.pause()
        await pilot.press("9")
        await pilot.pause()
        shown = Stage(app, pilot, made, past)
        if settle:
            await shown.settle()
        yield shown


# -- ranges


def test_ranges_pan_and_come_back_to_now() -> None:
    live = Range(HOUR)
    assert live.at(NOW + 7)[1] == NOW
    back = live.panned(-1, NOW)
    assert back == Range(HOUR, NOW - HOUR // 2)
    assert back.panned(1, NOW) == live
    assert live.panned(1, NOW) == live


def test_zooming_keeps_the_moment_in_its_place() -> None:
    chosen = Range(4 * HOUR, NOW - 10 * HOUR)
    around = NOW - 13 * HOUR
    near = chosen.zoomed(-1, around, NOW)
    assert near.span == 2 * HOUR
    start, end = near.at(NOW)
    assert (around - start) / (end - start) == pytest.approx(0.25)
    assert Range(60_000).zoomed(-1, None, NOW).span == 60_000
    assert Range(HOUR).zoomed(1, None, NOW) == Range(2 * HOUR)


def test_a_moment_outside_moves_the_range() -> None:
    assert Range(HOUR).holding(NOW - HOUR // 2, NOW) == Range(HOUR)
    moved = Range(HOUR).holding(NOW - 100 * HOUR, NOW)
    assert moved == Range(HOUR, NOW - 100 * HOUR + HOUR // 2)


def test_ranges_as_people_write_them() -> None:
    now = 1_795_300_000_000
    assert parse_range("3h ago", now) == Range(3 * HOUR)
    assert parse_range("2026-11-20 01:00 to 2026-11-20 02:30", now).span == HOUR * 3 // 2
    between = parse_range("2026-11-20 14:00 .. 15:00", now)
    assert between.span == HOUR and between.end is not None
    assert parse_range("5h ago to 4h ago", now) == Range(HOUR, now - 4 * HOUR)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("soon", "is not a moment"),
        ("1h to 2h to 3h", "is not a range"),
        ("1h ago to 2h ago", "ends before it begins"),
        ("2030-01-01", "lies in the future"),
        ("1900-01-01 to 2026-01-01", "longer than ten years"),
        ("30s ago", "shorter than a minute"),
        ("", "is not a range"),
    ],
)
def test_ranges_that_are_none_are_said_in_words(text: str, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        parse_range(text, NOW)


# -- which charts


def test_the_sensible_set_takes_what_there_is() -> None:
    charts = default_charts(KEYS, catalogue(), "eth0", ["nvme0n1"])
    titles = [chart.title for chart in charts]
    assert titles[:3] == ["CPU", "Memory", "Network eth0"]
    disk = next(chart for chart in charts if chart.title == "Disk transfers")
    assert disk.wanted == (("disk.read_rate", "nvme0n1"), ("disk.write_rate", "nvme0n1")) and disk.unit == "bytes/s"
    assert default_charts([], catalogue()) == []
    assert default_charts(["net.receive_rate:lo", "net.receive_rate:wg0"], catalogue())[0].title == "Network wg0"


def test_chosen_series_of_one_family_and_unit_share_a_chart() -> None:
    charts = chosen_charts(["disk.busy:sd*", "disk.busy:nvme0n1", "disk.read_rate:sda", "load.1"], catalogue())
    assert [(chart.title, len(chart.wanted)) for chart in charts] == [
        ("Disks, ratio", 2), ("Disks, bytes/s", 1), ("Load", 1),
    ]  # fmt: skip
    assert matching(["disk.busy:s*"], KEYS) == ["disk.busy:sda"]


def test_the_chooser_finds_by_part_help_and_glob() -> None:
    choices = series_choices(KEYS, catalogue())
    assert [each.key for each in found(choices, "steal")] == ["cpu.steal"]
    assert "memory.utilization" in [each.key for each in found(choices, "programs cannot have")]
    hits = found(choices, "disk.busy:*")
    assert hits[0].pattern and hits[0].key == "disk.busy:*"
    assert [each.key for each in hits[1:]] == ["disk.busy:nvme0n1", "disk.busy:sda"]
    assert choices[-1].key == "net.receive:eth0" and "counter" in choices[-1].help


def test_grids_fit_the_terminal() -> None:
    from textual.geometry import Size

    assert [grid_of(Size(*size)) for size in ((40, 12), (80, 24), (120, 40), (200, 50), (300, 80))] == [
        (1, 1), (1, 1), (1, 2), (2, 3), (3, 3),
    ]  # fmt: skip


# -- the screen


async def test_it_draws_charts_with_statistics_events_and_gaps() -> None:
    past = Past(
        gaps=[Span(NOW - 1_500_000, NOW - 1_200_000)],
        events=[Event(id="1", time=NOW - 2_500_000, host="h", kind="alert.firing", severity="critical")],
    )
    async with stage(past) as shown:
        text = shown.text()
        for words in ("CPU 1/8", "Memory 2/8", "cpu.utilization", "p95", "92 % of the range", "100 %", "┊", "╱╱"):
            assert words in text
        # The others are the app's own: it fills the overview's graphs.
        asked = [query for query in past.asked if query.points != 900]
        assert {(query.points, query.end) for query in asked} == {(240, NOW)}


@pytest.mark.parametrize("size", [(40, 12), (80, 24), (300, 80)])
async def test_every_size_is_filled(size: tuple[int, int]) -> None:
    async with stage(Past(), size) as shown:
        columns, rows = shown.screen.grid
        assert sum(panel.display for panel in shown.screen.panels) == min(8, columns * rows)
        assert all(panel.data is not None and panel.data.lines for panel in shown.screen.panels if panel.display)
        assert "CPU" in shown.text()


async def test_ranges_by_keys_tabs_and_arrows() -> None:
    past = Past()
    async with stage(past) as shown:
        await shown.press("full_stop", "full_stop")
        assert shown.period() == Range(24 * HOUR) and past.asked[-1].start == past.asked[-1].end - 24 * HOUR
        await shown.press("comma")
        assert shown.period().preset == "12h"
        await shown.press("left")
        end = shown.screen.bounds[1]
        assert abs(end - (NOW - 6 * HOUR)) <= 60_000 and not shown.period().live
        assert "past" in shown.text()
        await shown.press("right")
        assert shown.period().live
        await shown.pilot.click(offset=(22, 2))
        await shown.settle()
        assert shown.period().preset == "30d"
        await shown.press("i")
        assert shown.period().span == 15 * 24 * HOUR


async def test_time_going_on_reads_once_a_step() -> None:
    past = Past()
    async with stage(past, (80, 24)) as shown:
        before = len(past.asked)
        for second in range(3, 9):
            shown.rig.push(second)
            await shown.pilot.pause()
        await shown.settle()
        assert len(past.asked) == before
        shown.rig.push(12)
        await shown.pilot.pause()
        await shown.settle()
        assert past.asked[-1].end == NOW + 10_000
        assert len(past.asked) == before + 3


async def test_the_same_question_is_asked_once() -> None:
    past = Past()
    async with stage(past) as shown:
        before = len(past.asked)
        await shown.press("full_stop")
        assert len(past.asked) > before
        before = len(past.asked)
        await shown.press("comma")
        assert len(past.asked) == before and shown.period().preset == "1h"
        await shown.press("r")
        assert len(past.asked) > before


async def test_scrolling_shows_other_charts() -> None:
    async with stage(Past(), (80, 24)) as shown:
        await shown.press("j", "down")
        assert "Network eth0 3/8" in shown.text()
        await shown.press("k")
        assert "Memory 2/8" in shown.text()
        await shown.press("pagedown", *["j"] * 12)
        assert "Filesystems 8/8" in shown.text()


async def test_the_cursor_shows_values_and_leads_to_its_moment() -> None:
    async with stage(Past()) as shown:
        await shown.press("enter")
        assert shown.mode() == "live"
        await shown.press(*["less_than_sign"] * 3, "greater_than_sign")
        moment = shown.cursor()
        assert moment is not None and NOW - 120_000 < moment < NOW
        await shown.press("escape")
        assert shown.cursor() is None and isinstance(shown.top(), HistoryScreen)
        await shown.pilot.click(shown.screen.panels[0], offset=(60, 3))
        await shown.settle()
        clicked = shown.cursor()
        assert clicked is not None and clicked < NOW - HOUR // 4
        await shown.press("enter")
        assert shown.mode() == "past"
        assert shown.screen.moment == clicked - clicked % 1000
        await shown.press("L")
        assert shown.mode() == "live" and shown.cursor() is None


async def test_a_moment_of_the_past_moves_the_range_to_it() -> None:
    async with stage(Past()) as shown:
        shown.app.go_to(NOW - 48 * HOUR)
        await shown.settle()
        await shown.settle()
        start, end = shown.screen.bounds
        assert start < NOW - 48 * HOUR < end


async def test_a_custom_range_and_its_errors() -> None:
    async with stage(Past()) as shown:
        await shown.press("c")
        assert isinstance(shown.top(), Prompt)
        box = shown.box()
        box.value = "yesterdy"
        await shown.press("enter")
        assert isinstance(shown.top(), Prompt) and "is not a moment" in shown.text()
        box.value = "5h ago to 3h ago"
        await shown.press("enter")
        assert shown.period().span == 2 * HOUR and "2h" in shown.text()


async def test_series_are_chosen_and_kept() -> None:
    past = Past()
    async with stage(past) as shown:
        await shown.press("s")
        assert isinstance(shown.top(), TickChooser)
        await shown.press("ctrl+x", *"temperature", "space")
        shown.box().value = "disk.busy:*"
        await shown.press("space", "enter")
        assert shown.screen.chosen == ("temperature:k10temp/Tctl", "disk.busy:*")
        text = shown.text()
        assert "Temperature" in text and "disk.busy:sda" in text and "100 °C" in text
        await shown.press("1", "9")
        assert "Temperature" in shown.text()
        await shown.press("s", "ctrl+x", "enter")
        assert "CPU 1/8" in shown.text()


async def test_other_hosts_are_drawn_beside() -> None:
    other = Script(host="99" * 8, name="web-1")
    async with stage(Past(), hosts=(other,)) as shown:
        await shown.press("H", "space", "enter")
        assert shown.screen.compared == (other.host,)
        text = shown.text()
        assert "db-1 cpu.utilization" in text and "web-1 cpu.utilization" in text


async def test_no_other_host_is_said() -> None:
    async with stage(Past()) as shown:
        await shown.press("H")
        assert "no other host" in shown.text()


async def test_a_slow_read_shows_progress_and_can_be_stopped() -> None:
    past = Past()
    past.hold = asyncio.Event()
    async with stage(past, settle=False) as shown:
        for _ in range(200):
            await shown.pilot.pause()
            if "Esc stops" in shown.text():
                break
            await asyncio.sleep(0.01)
        assert "reading" in shown.text()
        await shown.press("escape")
        assert past.cancelled > 0
        assert "r reads again" in shown.text() and isinstance(shown.top(), HistoryScreen)
        past.hold.set()
        await shown.press("r")
        assert "cpu.utilization" in shown.text()


async def test_another_range_cancels_the_read_under_way() -> None:
    past = Past()
    async with stage(past) as shown:
        past.hold = asyncio.Event()
        await shown.pilot.press("full_stop")
        await shown.pilot.pause()
        await shown.pilot.press("full_stop")
        await shown.pilot.pause()
        assert past.cancelled > 0
        past.hold.set()
        await shown.settle()
        assert {panel.data.end - panel.data.start for panel in shown.screen.panels if panel.data} == {24 * HOUR}


async def test_errors_are_words_in_the_panel() -> None:
    past = Past()
    past.error = StoreError("the history is busy", "try again")
    async with stage(past) as shown:
        assert "the history is busy; try again" in shown.text()
        past.error = None
        await shown.press("r")
        assert "the history is busy" not in shown.text() and "cpu.utilization" in shown.text()


async def test_an_empty_history_says_since_when() -> None:
    async with stage(Past(keys=(), since=NOW - 60_000)) as shown:
        assert "no history yet: recording since 20" in shown.text() and "sysmon --record" in shown.text()
        assert sum(panel.display for panel in shown.screen.panels) == 1


async def test_nobody_recording_is_said() -> None:
    async with stage(None) as shown:
        assert "nobody records this host" in shown.text()


async def test_a_range_before_the_recording_has_no_data() -> None:
    async with stage(Past(since=NOW - HOUR)) as shown:
        await shown.press("left", "left", "left", "left")
        assert "no data in this range" in shown.text()


# -- export


def rows_of(path: Path) -> list[list[str]]:
    """The rows of a CSV file."""
    return list(csv.reader(path.read_text().splitlines()))


def some_series() -> list[Series]:
    """Two points, one without p95."""
    points = [Point(NOW, 10, 0.1, 0.2, 0.3, 0.2, 0.29), Point(NOW + 1000, 1, 0.2, 0.2, 0.2, 0.2)]
    return [Series(host="h", metric="fs.utilization", instance="/a,b", unit="ratio", step=1000, points=points)]


def test_files_are_written_whole_and_never_over_others(tmp_path: Path) -> None:
    path = tmp_path / "out.csv"
    assert write(path, some_series(), []) == 2
    rows = rows_of(path)
    assert rows[0][:4] == ["host", "metric", "instance", "time"] and rows[1][2] == "/a,b" and rows[2][-1] == ""
    with pytest.raises(Exists, match="Enter once more"):
        write(path, [], [])
    assert len(rows_of(path)) == 3
    assert write(path, [], [], replace=True) == 0
    assert len(rows_of(path)) == 1
    write(tmp_path / "out.json", some_series(), [Span(NOW, NOW + 1)])
    read = json.loads((tmp_path / "out.json").read_text())
    assert read["series"][0]["points"][0]["p95"] == 0.29 and len(read["gaps"]) == 1
    assert sorted(each.name for each in tmp_path.iterdir()) == ["out.csv", "out.json"]


def test_files_that_cannot_be_are_refused(tmp_path: Path) -> None:
    for text, words in (("x.txt", "neither"), (str(tmp_path / "no" / "x.csv"), "no folder")):
        with pytest.raises(SysmonError, match=words):
            target(text)
    with pytest.raises(SysmonError, match="cannot be written"):
        write(tmp_path / ("x" * 300 + ".csv"), some_series(), [])
    assert list(tmp_path.iterdir()) == []


def test_the_file_offered_is_harmless() -> None:
    path = default_path("a/../b $(x)\x1b", ["Network eth0"], NOW)
    assert path.startswith("~/sysmon-a-..-b-x-Network-eth0-2026") and path.endswith(".csv")


async def test_export_asks_writes_and_asks_before_replacing(tmp_path: Path) -> None:
    async with stage(Past()) as shown:
        await shown.press("e")
        assert isinstance(shown.top(), ExportScreen)
        box = shown.box()
        assert box.value.startswith("~/sysmon-db-1-history-")
        path = tmp_path / "shown.csv"
        path.write_text("mine")
        box.value = str(path)
        await shown.press("enter")
        assert isinstance(shown.top(), ExportScreen) and path.read_text() == "mine"
        assert "exists" in shown.text()
        await shown.press("enter")
        assert isinstance(shown.top(), HistoryScreen)
        assert {row[1] for row in rows_of(path)} >= {"cpu.utilization", "memory.utilization"}


async def test_nothing_to_export_is_said() -> None:
    async with stage(None) as shown:
        await shown.press("e")
        assert "nothing to export" in shown.text()
