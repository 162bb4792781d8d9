"""What the app does when a screen fails, how one screen leads to another, and what a first start says."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import pytest

from sysmon.config import ScreenSettings
from sysmon.frame import InterfaceRow
from sysmon.records import AlertState, HostInfo, Liveness, Status
from sysmon.units import format_time
from sysmon.wrong import Finding
from tests.tui.scripted import START, Script, ScriptedHistory, make_app, rig
from tests.tui.support import show, text_of, until
from tui import app as tui_app
from tui.chrome import Chrome
from tui.glyphs import UNICODE
from tui.screens.history import HistoryScreen
from tui.screens.hosts import HostsScreen
from tui.screens.network import NetworkScreen
from tui.screens.overview import OverviewScreen
from tui.screens.processes import ProcessesScreen
from tui.theme import DEFAULT_LOOK
from tui.widgets.header import skewed, there, wrong_line
from tui.widgets.overview_memory import MemoryPanel
from tui.widgets.overview_network import NetworkPanel
from tui.widgets.overview_processes import AlertsPanel, TopProcesses
from tui.widgets.table import Table
from tui.window import Window

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sysmon.records import SeriesAnswer, SeriesQuery

pytestmark = pytest.mark.anyio


async def test_a_panel_that_fails_says_so_and_the_others_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise KeyError("memory.total")

    given = rig()
    app = make_app(given.services)
    async with app.run_test(size=(120, 40)) as pilot:
        await show(pilot, given, 4)
        monkeypatch.setattr(MemoryPanel, "draw", fail)
        given.push(4)
        await until(pilot, lambda: "KeyError: 'memory.total'" in "\n".join(text_of(app)))
        text = "\n".join(text_of(app))
        assert "test_robust.py:" in text
        assert "postgres" in text
        assert "user" in text
        monkeypatch.undo()
        given.push(5)
        await until(pilot, lambda: "KeyError" not in "\n".join(text_of(app)))


async def test_a_screen_that_fails_is_told_in_the_header(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise ValueError("no such thing")

    given = rig()
    app = make_app(given.services)
    async with app.run_test(size=(120, 40)) as pilot:
        await show(pilot, given, 4)
        monkeypatch.setattr(OverviewScreen, "show", fail)
        given.push(4)
        await until(pilot, lambda: "Overview cannot be drawn: ValueError: no such thing" in text_of(app)[1])
        await pilot.press("4")
        given.push(5)
        await until(pilot, lambda: "postgres" in "\n".join(text_of(app)))
        assert "cannot be drawn" not in text_of(app)[1]


async def test_enter_on_a_process_opens_it_where_processes_are() -> None:
    given = rig()
    app = make_app(given.services)
    async with app.run_test(size=(120, 40)) as pilot:
        await show(pilot, given, 5)
        top = app.screen.query_one(TopProcesses)
        top.focus()
        await pilot.press("down", "down", "enter")
        chosen = top.cursor_row
        assert chosen is not None
        await until(pilot, lambda: isinstance(app.screen, ProcessesScreen))
        given.push(5)
        table = app.screen.query_one(Table)
        await until(pilot, lambda: table.cursor_key == (chosen.pid, chosen.started))


async def test_a_dialog_that_is_closed_twice_takes_nothing_else_with_it() -> None:
    given = rig()
    app = make_app(given.services)
    async with app.run_test(size=(120, 40)) as pilot:
        await show(pilot, given, 5)
        below = app.screen
        await pilot.press("h")
        await until(pilot, lambda: isinstance(app.screen, HostsScreen))
        dialog = app.screen
        assert isinstance(dialog, HostsScreen)
        # As when Enter is still on its way to it while the key behind it opens another screen.
        await app.action_screen("overview")
        assert app.screen is below
        dialog.dismiss(given.script.host)
        await pilot.pause()
        assert app.screen is below


async def test_a_click_on_an_interface_opens_it() -> None:
    given = rig()
    app = make_app(given.services)
    async with app.run_test(size=(120, 40)) as pilot:
        await show(pilot, given, 5)
        panel = app.screen.query_one(NetworkPanel)
        lines = [line.text for line in panel.render_lines(panel.size.region)]
        row = next(y for y, line in enumerate(lines) if "docker0" in line)
        await pilot.click(NetworkPanel, offset=(6, row))
        await until(pilot, lambda: isinstance(app.screen, NetworkScreen))
        given.push(5)
        table = app.screen.query_one("#interfaces", Table)
        await until(pilot, lambda: table.cursor_key == "docker0")


async def test_a_click_on_an_alert_opens_it() -> None:
    given = rig()
    app = make_app(given.services)
    async with app.run_test(size=(120, 40)) as pilot:
        await show(pilot, given, 5)
        for name in ("a", "b"):
            given.source.push(
                AlertState(host=given.script.host, rule=name, key="load.1", status="firing", since=START * 1000)
            )
        given.push(5)
        panel = app.screen.query_one(AlertsPanel)
        await until(pilot, lambda: len(panel._ids) == 2)
        await pilot.click(AlertsPanel, offset=(4, 2))
        given.push(6)
        await until(pilot, lambda: app.host_screen is not None and app.host_screen.NAME == "alerts")
        given.push(7)
        table = app.screen.query_one("#list", Table)
        await until(pilot, lambda: table.cursor_key == f"{given.script.host}\0b\0load.1")


async def test_enter_on_a_panel_opens_its_chart() -> None:
    script = Script()
    given = rig(script, history=ScriptedHistory(script, range(60)))
    app = make_app(given.services)
    async with app.run_test(size=(80, 24)) as pilot:
        await show(pilot, given, 61)
        app.screen.query_one("#disks").focus()
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, HistoryScreen) and bool(app.screen.charts))
        screen = app.screen
        assert isinstance(screen, HistoryScreen)
        given.push(62)
        await until(pilot, lambda: any(screen.charts[number].title.startswith("Disk") for number in screen.shown))


class Behind(ScriptedHistory):
    """A past whose last two seconds are committed once the first read of it has ended."""

    async def series(self, query: SeriesQuery) -> SeriesAnswer:
        found = await super().series(query)
        if query.metric == "memory.utilization":
            self.seconds = sorted({*self.seconds, 298, 299})
        return found


async def test_what_was_committed_late_leaves_no_hole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tui_app, "AGAIN_AFTER", 0.2)
    holes = []
    prefill = Window.prefill

    def watched(window: Window, key: str, points: Iterable[tuple[int, float]], hold: int = 1) -> None:
        prefill(window, key, points, hold)
        if key == "memory.utilization":
            holes.append(window.points(key, 5).count(None))

    monkeypatch.setattr(Window, "prefill", watched)
    script = Script()
    given = rig(script, history=Behind(script, range(298)))
    app = make_app(given.services)
    async with app.run_test(size=(120, 40)) as pilot:
        for second in (300, 301):
            given.push(second)
        await until(pilot, lambda: script.host in app.model.hosts)
        window = app.model.hosts[script.host].window
        await until(pilot, lambda: len(holes) >= 2 and None not in window.points("memory.utilization", 5))
        assert holes[0] >= 2, "they were not there at first"
        assert len(window.recorded("memory.utilization", 500)) > 250


def test_only_gaps_are_filled_in_afterwards() -> None:
    window = Window()
    window.append(10, {"a": 1.0})
    window.append(12, {"a": 3.0})
    window.prefill("a", [(9, 0.5), (10, 99.0), (11, 2.0), (12, 99.0)])
    assert window.points("a", 4) == [0.5, 1.0, 2.0, 3.0]


async def test_a_first_start_says_what_there_is_once() -> None:
    script = Script()
    given = rig(script, history=ScriptedHistory(script, []))
    app = make_app(given.services)
    async with app.run_test(size=(120, 40)) as pilot:
        await show(pilot, given, 3)
        await until(pilot, lambda: "press ? for all keys" in text_of(app)[1])
        app.say("")
        app.forget_track()
        given.push(4)
        await until(pilot, lambda: app._track_worker is None and app._track_read is not None)
        assert "for all keys" not in text_of(app)[1]


async def test_what_is_wrong_with_recording_goes_before_the_first_words() -> None:
    script = Script()
    given = rig(script, history=ScriptedHistory(script, []))
    app = make_app(given.services)
    async with app.run_test(size=(120, 40)) as pilot:
        await show(pilot, given, 3)
        await until(pilot, lambda: "press ? for all keys" in text_of(app)[1])
        app.services.problem = lambda: "nothing is recorded: the disk is full"
        given.push(3)
        await until(pilot, lambda: "nothing is recorded: the disk is full" in text_of(app)[1])
        assert "for all keys" not in text_of(app)[1]
        app.say("a picture every second")
        await until(pilot, lambda: "a picture every second" in text_of(app)[1])


async def test_later_starts_say_nothing() -> None:
    script = Script()
    given = rig(script, history=ScriptedHistory(script, range(60)))
    app = make_app(given.services)
    async with app.run_test(size=(120, 40)) as pilot:
        await show(pilot, given, 62)
        await until(pilot, lambda: app.track is not None)
        assert "for all keys" not in text_of(app)[1]


# -- other clocks


@pytest.mark.parametrize(
    ("skew", "words"),
    [
        (None, ""),
        (0, ""),
        (2000, ""),
        (-2000, ""),
        (2400, "its clock is 2s ahead"),
        (-7_200_000, "its clock is 2h behind"),
    ],
)
def test_a_clock_that_is_off_is_told(skew: int | None, words: str) -> None:
    assert skewed(Chrome(skew=skew)) == words


@pytest.mark.parametrize(
    ("state", "mark", "words"),
    [("offline", "critical", "no contact with scripted for 32 s; this is"), ("stale", "warning", "nothing heard from")],
)
async def test_a_host_that_is_not_heard_is_what_is_wrong(state: Liveness, mark: str, words: str) -> None:
    given = rig(Script(mounts=1))
    app = make_app(given.services)
    async with app.run_test(size=(120, 40)) as pilot:
        await show(pilot, given, 4)
        assert "nothing is wrong" in text_of(app)[1]
        given.source.push(Status(host=given.script.host, state=state, message="the connection is lost"))
        await given.clock.advance(32)
        app.refresh_view()
        words = words.replace("scripted", given.script.info.label)
        await until(pilot, lambda: words in text_of(app)[1])
        assert "nothing is wrong" not in text_of(app)[1]
        assert UNICODE.severity(mark) in text_of(app)[1]  # type: ignore[arg-type]
        given.source.push(Status(host=given.script.host, state="live"))
        given.push(60)
        await until(pilot, lambda: "nothing is wrong" in text_of(app)[1])


@pytest.mark.parametrize("start", ["overview", "network"])
async def test_the_edge_of_a_graph_is_now_only_while_it_is(start: str) -> None:
    given = rig(screen=ScreenSettings(start=start))
    app = make_app(given.services)
    async with app.run_test(size=(120, 40)) as pilot:
        await show(pilot, given, 4)
        axes = [line for line in text_of(app) if UNICODE.axis_tick in line]
        assert any("now" in line for line in axes)
        given.source.push(Status(host=given.script.host, state="offline"))
        await given.clock.advance(32)
        app.refresh_view()
        moment = format_time((START + 3) * 1000, date=False)
        await until(pilot, lambda: any(moment + UNICODE.axis_tick in line for line in text_of(app)))
        assert not any("now" + UNICODE.axis_tick in line for line in text_of(app))


def test_what_is_wrong_keeps_its_room() -> None:
    wrong = (Finding("critical", "memory 98 % used"), Finding("warning", "/srv is 93 % full"))
    look = DEFAULT_LOOK
    problem = "the disk with the history is full; nothing is recorded until there is room again"
    for width in (80, 120):
        text = wrong_line(Chrome(time=1, wrong=wrong, problem=problem), width, look).text
        assert "memory 98 % used" in text
        assert "/srv is 93 % full" in text
        assert "the disk with the" in text, "a failing record stays in sight"
        assert len(text) == width
    text = wrong_line(Chrome(time=1, wrong=wrong, message="a frame is overdue"), 48, look).text
    assert "overdue" not in text, "the source's words take what is left"
    assert "/srv is 93 % full" in text


def test_the_time_at_the_host_is_told_where_it_is_another(monkeypatch: pytest.MonkeyPatch) -> None:
    import time

    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    try:
        noon = 1_795_348_800_000
        assert there(Chrome(time=noon, zone="UTC")) == ""
        assert there(Chrome(time=noon, zone="Asia/Tokyo")) == "21:00 JST there"
        assert there(Chrome(time=noon, zone="No/Such")) == ""
        assert there(Chrome(time=noon, zone="../../etc/passwd")) == ""
        assert there(Chrome(time=None, zone="Asia/Tokyo")) == ""
    finally:
        monkeypatch.undo()
        time.tzset()


async def test_the_header_has_both() -> None:
    class Far(Script):
        @property
        def info(self) -> HostInfo:
            return msgspec.structs.replace(super().info, timezone="Pacific/Kiritimati", target="http://far:8200")

    given = rig(Far())
    app = make_app(given.services)
    async with app.run_test(size=(120, 40)) as pilot:
        await show(pilot, given, 3)
        given.source.push(Status(host=given.script.host, state="live", skew=65_000))
        given.push(4)
        await until(pilot, lambda: "its clock is 1m ahead" in text_of(app)[0])
        assert "+14 there" in text_of(app)[0]


def test_rows_of_interfaces_are_known_by_their_line() -> None:
    panel = NetworkPanel()
    panel._places = (0, 5, [InterfaceRow(name="eth1").name, "wg0"])
    assert [panel.item_at(3, y) for y in (4, 5, 6, 7)] == ["", "eth1", "wg0", ""]
