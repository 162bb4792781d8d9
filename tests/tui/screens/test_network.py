"""The Network screen: what stands where, how it sorts and hides, totals, bits, details, and the past."""

from __future__ import annotations

import time
from dataclasses import replace as replaced
from functools import partial
from typing import TYPE_CHECKING

import pytest

from sysmon.bandwidth import Amount
from sysmon.config import ScreenSettings
from sysmon.errors import StoreError
from sysmon.frame import Fault, InterfaceRow, Number, Tables
from sysmon.records import Usage
from sysmon.units import MISSING, format_bits
from tests.tui.scripted import START, Rig, Script, ScriptedHistory, make_app, rig, view, wave
from tests.tui.support import show, text_of, until
from tests.tui.widgets.spies import spy_layouts
from tui.glyphs import ASCII, UNICODE, Glyphs
from tui.screens.network import NetworkScreen
from tui.theme import DEFAULT_LOOK, look
from tui.widgets.network_columns import count_text, total_texts
from tui.widgets.network_details import InterfaceDetails
from tui.widgets.network_protocols import LINES, pair
from tui.widgets.network_rows import (
    SORTS,
    Interface,
    InterfaceRows,
    round_text,
    sort_rows,
    speed_text,
    traffic_ceiling,
)
from tui.widgets.table import Table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from textual.pilot import Pilot

    from tui.screens.base import HostScreen

pytestmark = pytest.mark.anyio

_RATES = {
    "tcp.opens.active": 3, "tcp.opens.passive": 12, "tcp.resets": 1, "tcp.transmit.segments": 1200,
    "tcp.retransmits": 4, "tcp.listen.drops": 0, "udp.receive.errors": 0,
}  # fmt: skip


class Connected(Script):
    """A host whose TCP and UDP are known too, with one interface down."""

    def readings(self, second: int) -> dict[str, Number]:
        """With sockets and protocols."""
        values = super().readings(second)
        if "sockets" in self.missing:
            return values
        values |= {"sockets.tcp:established": 40, "sockets.tcp:listen": 14, "sockets.tcp:time_wait": 120}
        values |= {"sockets.udp": 9, "sockets.tcp.memory": 3 << 20}
        for key, rate in _RATES.items():
            values[key] = int(self._sum(key, second, partial(wave, period=13, low=0, high=2.0 * rate)))
        for row in self.interface_rows():
            values[f"net.receive.multicast:{row.name}"] = second // 4
        return values


class Totals(ScriptedHistory):
    """A history that has usage; `fails` makes it fail."""

    fails = False
    asked: list[tuple[str, int, int, tuple[str, ...]]]

    async def usage(self, host: str, start: int, end: int, step: str, keys: Sequence[str] = ()) -> list[Usage]:
        """Three GiB today and thirty in all, of eth0 at least."""
        self.asked = [*getattr(self, "asked", []), (step, start, end, tuple(keys))]
        await self._wait("usage")
        if self.fails:
            raise StoreError("the disk is on fire")
        today = (START + 59) * 1000 // 86_400_000 * 86_400_000
        if step == "fiveminute" or (step == "hour" and start > today):
            return []
        size = 3 << 30 if start >= today else 30 << 30
        ways = ("net.receive", "net.transmit")
        every = keys or [f"{way}:{row.name}" for row in self.script.interface_rows() for way in ways]
        return [
            Usage(host=host, key=key, start=start, end=end, bytes=size, at_least=key == "net.receive:eth0",
                  estimated=key == "net.transmit:wg0")
            for key in every if not key.endswith(":lo")
        ]  # fmt: skip


def opened(history: ScriptedHistory | None = None, script: Script | None = None) -> Rig:
    """A host whose Network screen is the first."""
    return rig(script or Connected(), history=history, screen=ScreenSettings(start="network"))


async def lines_at(
    width: int, height: int, *keys: str, history: ScriptedHistory | None = None, glyphs: Glyphs = UNICODE,
    script: Script | None = None, seconds: int = 60, theme: str = "sysmon-dark",
) -> list[str]:  # fmt: skip
    """The screen after some seconds and keys."""
    given = opened(history, script)
    app = make_app(given.services, glyphs=glyphs, theme_name=theme)
    async with app.run_test(size=(width, height)) as pilot:
        await show(pilot, given, seconds)
        await pilot.pause()
        for key in keys:
            await pilot.press(key)
            await pilot.pause()
        await pilot.pause()
        return text_of(app)


def names(pilot: Pilot[int]) -> list[str]:
    """The interfaces in the order shown, without the sum below them."""
    rows = pilot.app.screen.query_one("#interfaces", Table).rows
    assert all(not row.members for row in rows[:-1])
    return [row.name for row in rows if not row.members]


def shows(screen: HostScreen, second: int) -> bool:
    """Whether a screen shows a second."""
    return screen.view is not None and screen.view.time == (START + second) * 1000


# -- rows


def test_the_default_route_is_first_and_what_is_idle_last() -> None:
    shown = view(Connected(), 90)
    rows = InterfaceRows().build(shown, {})
    assert rows[0].name == "eth0"
    assert [row.name for row in rows][-2:] == ["veth3fa21c", "lo"]
    assert [row.quiet for row in rows] == [False] * 4 + [True] * 2
    assert rows[0].speed == 125_000_000
    assert rows[0].utilization == pytest.approx(max(rows[0].receive or 0, rows[0].transmit or 0) / 125_000_000)
    assert next(row for row in rows if row.name == "wg0").utilization is None


def test_down_interfaces_come_last_and_an_unknown_state_is_unknown() -> None:
    class Down(Connected):
        def interface_rows(self) -> list[InterfaceRow]:
            down = InterfaceRow(name="eth9", kind="ethernet", up=False)
            return [*super().interface_rows(), down]

    assert InterfaceRows().build(view(Down(), 60), {})[-1].name == "eth9"
    bare = view(Connected(), 60)
    bare.state.tables = Tables()
    rows = InterfaceRows().build(bare, {})
    assert {row.name for row in rows} >= {"eth0", "lo"}
    assert all(row.up is None and row.kind is None and row.mtu is None and not row.quiet for row in rows)


def test_sparklines_change_only_when_a_point_is_complete() -> None:
    rows = InterfaceRows()
    script = Connected()
    one = {row.name: row.received for row in rows.build(view(script, 101), {})}
    two = {row.name: row.received for row in rows.build(view(script, 105), {})}
    three = {row.name: row.received for row in rows.build(view(script, 115), {})}
    assert one == two
    assert three["eth0"][:-1] == one["eth0"]
    assert three["eth0"][-1] is not None


def test_sorting_puts_what_is_missing_last_either_way() -> None:
    rows = [
        Interface("a", receive=3.0), Interface("b"), Interface("c", receive=9.0, today=Amount(5, 5)),
        Interface("d", receive=3.0, today=Amount(1, 1)),
    ]  # fmt: skip
    assert [row.name for row in sort_rows(rows, "receive", True)] == ["c", "a", "d", "b"]
    assert [row.name for row in sort_rows(rows, "receive", False)] == ["a", "d", "c", "b"]
    assert [row.name for row in sort_rows(rows, "today", True)] == ["c", "d", "a", "b"]
    assert [row.name for row in sort_rows(rows, "", True)] == ["d", "c", "b", "a"]
    for column, reverse in SORTS.items():
        assert len(sort_rows(rows, column, reverse)) == 4


def test_ceilings_are_round_in_the_unit_shown() -> None:
    assert traffic_ceiling([None, 3e6], None, bits=False) == 5 * 1024 * 1024
    assert traffic_ceiling([3e6], None, bits=True) * 8 == 50e6
    assert traffic_ceiling([], None, bits=False) > 0
    held = traffic_ceiling([4.9e6], None, bits=False)
    assert traffic_ceiling([1.9e6], held, bits=False) == held


def test_numbers_are_short_and_say_what_they_are() -> None:
    texts = [count_text(value) for value in (0, 0.5, 12.4, 999.4, 1500, 99_000, 250_000, 3e6)]
    assert texts == ["0", "0.5", "12", "999", "1.5k", "99.0k", "250k", "3.0M"]
    assert speed_text(125_000_000) == "1 Gbit/s"
    assert speed_text(312_500_000) == "2.5 Gbit/s"
    assert speed_text(None) is None
    assert round_text("10.0 KiB/s") == "10 KiB/s"
    assert (format_bits(1.25e6, per_second=True), format_bits(1.25e6, short=True)) == ("10.0 Mbit/s", "10.0M")
    assert format_bits(None) == format_bits(float("nan")) == MISSING
    assert total_texts(Amount(1 << 30, 0, at_least=True), DEFAULT_LOOK) == ("≥1.0G", "≥0B")
    assert total_texts(Amount(1 << 30, 0, True), look(glyphs=ASCII), short=False) == (">1.0 GiB", ">0 B")
    assert total_texts(Amount(1 << 30, 0, estimated=True), look(glyphs=ASCII), short=False) == ("~1.0 GiB", "~0 B")


# -- the screen


async def test_at_80x24_graph_protocols_and_all_interfaces_have_their_place() -> None:
    lines = await lines_at(80, 24)
    text = "\n".join(lines)
    assert lines[2].startswith(" interfaces 6 ")
    assert "┐eth0┌" in lines[3]
    assert "1 Gbit/s link" in lines[3]
    assert "MiB/s" in lines[4]
    assert "listen 14" in text
    assert "INTERFACE" in text
    assert "TRANSMIT" in text
    assert all(f" {name} " in text for name in ("eth0", "eth1", "wg0", "docker0", "veth3fa21c", "lo"))
    assert "6 of 6 up" in text
    assert all(len(line) <= 80 for line in lines)


async def test_at_200x50_details_stand_beside_and_totals_in_the_table() -> None:
    lines = await lines_at(200, 50, history=Totals(Connected(), range(60)))
    text = "\n".join(lines)
    for word in ("TODAY", "MONTH", "MTU", "MASTER", "ADDRESS", "192.0.2.10/24", "docker0", "this month", "retransmits"):
        assert word in text, word
    eth0 = next(line for line in lines if "▶ eth0" in line)
    assert "▼  ≥3.0G  ▲  ≥3.0G" in eth0
    assert "▼ ≥30.0G" in eth0
    assert "~3.0G" in next(line for line in lines if "  wg0 " in line and "wireguard" in line)


async def test_at_40x12_the_table_remains() -> None:
    lines = await lines_at(40, 12)
    text = "\n".join(lines)
    assert "RECEIVE" in text
    assert "eth1" in text
    assert "tcp and udp" not in text


@pytest.mark.parametrize("size", [(1, 1), (20, 5), (59, 30), (100, 24), (200, 24), (300, 80)])
async def test_no_size_breaks_it(size: tuple[int, int]) -> None:
    lines = await lines_at(*size, "enter", "u", "escape", "a", seconds=3)
    assert all(len(line) <= size[0] for line in lines)


async def test_ascii_without_colour_is_ascii() -> None:
    lines = await lines_at(120, 40, "enter", glyphs=ASCII, theme="sysmon-mono", history=Totals(Connected(), range(60)))
    assert "\n".join(lines).isascii()
    assert any(">3.0 GiB" in line for line in lines)


async def test_bits_and_bytes_always_say_which() -> None:
    assert any("KiB/s" in line for line in await lines_at(120, 40))
    lines = await lines_at(120, 40, "u")
    assert any("kbit/s" in line for line in lines)
    assert not any("iB/s" in line for line in lines)
    assert any("bytes" in line for line in lines if "Enter" in line)


async def test_quiet_interfaces_hide_and_are_counted() -> None:
    given = opened()
    app = make_app(given.services)
    async with app.run_test(size=(120, 40)) as pilot:
        await show(pilot, given, 60)
        assert names(pilot)[-1] == "lo"
        await pilot.press("a")
        await pilot.pause()
        assert "lo" not in names(pilot)
        assert any("2 hidden" in line for line in text_of(app))
        await pilot.press("a")
        await pilot.pause()
        assert "lo" in names(pilot)


async def test_it_sorts_by_keys_and_by_titles() -> None:
    given = opened()
    app = make_app(given.services)
    async with app.run_test(size=(120, 40)) as pilot:
        await show(pilot, given, 60)
        own = names(pilot)
        await pilot.press("greater_than_sign")
        await pilot.pause()
        assert names(pilot) == sorted(own)
        await pilot.press("I")
        await pilot.pause()
        assert names(pilot) == sorted(own, reverse=True)
        await pilot.press("I", "less_than_sign")
        await pilot.pause()
        assert names(pilot) == own
        table = pilot.app.screen.query_one("#interfaces", Table)
        column = next(each for each in table._placed if each.column.key == "receive")
        for wanted in (("receive", True), ("receive", False), ("", False)):
            await pilot.click("#interfaces", offset=(column.start + column.width, 1))
            await pilot.pause()
            assert table._sort == wanted


async def test_details_open_scroll_and_close_and_escape_is_then_the_apps() -> None:
    given = opened(Totals(Connected(), range(60)))
    app = make_app(given.services)
    async with app.run_test(size=(80, 20)) as pilot:
        await show(pilot, given, 60)
        await pilot.press("down", "enter")
        await pilot.pause()
        screen = app.screen
        panel = screen.query_one("#details", InterfaceDetails)
        assert panel.has_focus
        text = "\n".join(text_of(app))
        for word in ("addresses", "5m peak", "multicast", "errors", "today", "in all", "packets/s"):
            assert word in text, word
        await pilot.press("escape")
        await pilot.pause()
        assert not panel.display
        assert screen.query_one("#interfaces", Table).has_focus
        await pilot.press("escape")
        await until(pilot, lambda: app.host_screen is not screen)


async def test_details_scroll_where_they_do_not_fit() -> None:
    top = await lines_at(40, 12, "enter")
    end = await lines_at(40, 12, "enter", "pagedown", "pagedown", "pagedown")
    assert any("state" in line for line in top)
    assert not any("state" in line for line in end)
    assert any("packets/s" in line for line in end)


async def test_a_tick_causes_no_layout(monkeypatch: pytest.MonkeyPatch) -> None:
    given = opened()
    app = make_app(given.services)
    async with app.run_test(size=(200, 50)) as pilot:
        await show(pilot, given, 60)
        await pilot.pause()
        passes = spy_layouts(monkeypatch)
        for second in range(60, 64):
            given.push(second)
            screen = app.host_screen
            assert screen is not None
            await until(pilot, partial(shows, screen, second))
        assert passes == []


async def test_totals_are_not_read_for_nobody() -> None:
    import asyncio

    history = Totals(Connected(), range(60))
    history.hold = asyncio.Event()
    given = opened(history)
    app = make_app(given.services)
    async with app.run_test(size=(120, 40)) as pilot:
        await show(pilot, given, 30)
        screen = app.screen
        assert isinstance(screen, NetworkScreen)
        assert any(worker.group == "usage" for worker in screen.workers)
        await pilot.press("0")
        await until(pilot, lambda: not any(worker.group == "usage" for worker in screen.workers))


async def test_the_past_is_the_past() -> None:
    given = opened(Totals(Connected(), range(200)))
    app = make_app(given.services)
    async with app.run_test(size=(120, 40)) as pilot:
        await show(pilot, given, 120)
        app.go_to((START + 60) * 1000)
        await until(pilot, lambda: app.screen.has_class("-past"))
        assert app.screen.view.time == (START + 60) * 1000  # type: ignore[attr-defined]
        expected = view(Connected(), 61)
        table = app.screen.query_one("#interfaces", Table)
        row = next(row for row in table.rows if row.name == "wg0")
        assert row.receive == pytest.approx(expected.value("net.receive_rate:wg0"))


async def test_what_is_missing_says_why() -> None:
    fault = Fault("network", "denied", "/proc/net/dev: permission denied")
    gone = Connected(missing=frozenset({"network", "sockets", "protocols"}), interfaces=0, faults=(fault,))
    lines = await lines_at(120, 40, script=gone, seconds=5)
    text = "\n".join(lines)
    assert "no network interfaces: /proc/net/dev: permission denied" in text
    assert "no readings of TCP and UDP" in text


def test_wrong_protocol_figures_stand_out() -> None:
    shown = view(Connected(), 60)
    drops = next(line for line in LINES if line.key == "tcp.listen.drop_rate")
    palette = DEFAULT_LOOK.palette
    assert pair(shown, drops, DEFAULT_LOOK).style is palette.dim
    assert pair(shown, replaced(drops, key="tcp.accept_rate"), DEFAULT_LOOK).style is palette.critical
    assert pair(shown, replaced(drops, key="tcp.nothing"), DEFAULT_LOOK).value is None


async def test_a_hundred_interfaces_are_drawn_in_milliseconds() -> None:
    class Many(Connected):
        def interface_rows(self) -> list[InterfaceRow]:
            more = [InterfaceRow(name=f"veth{index}", kind="veth", up=True) for index in range(100)]
            return [*super().interface_rows(), *more]

    rows, shown = InterfaceRows(), view(Many(), 60)
    rows.build(shown, {})
    start = time.perf_counter()
    assert len(rows.build(shown, {})) == 106
    assert time.perf_counter() - start < 0.5
