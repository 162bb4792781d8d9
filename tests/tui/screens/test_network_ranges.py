"""Interfaces over a range on the Network screen: sums, what counts, the month's figures, caps, details."""

from __future__ import annotations

import asyncio
from datetime import UTC
from typing import TYPE_CHECKING, Any

import pytest
from msgspec.structs import replace

from sysmon.bandwidth import Amount
from sysmon.caps import Standing
from sysmon.config import CapSettings
from sysmon.frame import Fault, InterfaceRow, Number, Tables
from tests.tui.screens.networkstage import Gateway, Ledger, drawn, press, staged
from tests.tui.scripted import START, Script, make_app, view
from tests.tui.support import show, text_of, until
from tests.tui.widgets.spies import spy_layouts
from tui.glyphs import ASCII
from tui.screens.network import NetworkScreen
from tui.theme import DEFAULT_LOOK, look
from tui.widgets.network_columns import signal_text
from tui.widgets.network_rows import Interface, InterfaceRows, total_row
from tui.widgets.network_totals import Sums, cap_lines
from tui.widgets.table import Table

if TYPE_CHECKING:
    from sysmon.records import HostInfo, Moment

pytestmark = pytest.mark.anyio

GIB = 1 << 30


def gateway(**more: Any) -> Gateway:
    """A router with several interfaces that count."""
    return Gateway(name="home", processes=2, **more)


async def lines_of(script: Script, *keys: str, **more: Any) -> list[str]:
    """The interfaces after some keys."""
    return await drawn(script, *keys, **more)


def test_only_what_lies_on_nothing_else_counts() -> None:
    rows = InterfaceRows().build(view(gateway(), 5), {"wan": (Amount(5, 1), None), "lan1": (Amount(2, 2, True), None)})
    counting = [row.name for row in rows if row.counts]
    assert "br-lan" not in counting
    assert "lo" not in counting
    whole = total_row(rows)
    assert whole is not None
    assert whole.members == tuple(counting)
    assert whole.today == Amount(7, 3, at_least=True)
    assert whole.month is None
    assert whole.receive == pytest.approx(sum(row.receive or 0 for row in rows if row.counts))
    assert (whole.key, Interface("total").key) == ("\0total", "total")
    assert total_row([Interface("lo")]) is None


def test_links_say_what_they_are() -> None:
    assert Interface("a", up=False, state="lowerlayerdown").state_word == "no link"
    assert Interface("a", up=True, state="unknown").state_word == "up"
    assert Interface("a", up=None).state_word is None
    assert signal_text(Interface("w", kind="wifi", signal=-61.4)) == "-61 dBm"
    assert signal_text(Interface("w", kind="wifi")) is None
    assert signal_text(Interface("e", kind="ethernet")) == ""


def test_an_estimate_needs_its_first_hour() -> None:
    half = 1_794_700_800_000  # 2026-11-15T00:00Z
    assert Sums(time=half, zone=UTC, month=Amount(14 * GIB, 0)).coming == 30 * GIB
    begun = 1_793_491_200_000  # 2026-11-01T00:00Z
    assert Sums(time=begun + 60_000, zone=UTC, month=Amount(GIB, 0)).coming is None
    assert Sums(time=half, zone=UTC).coming is None
    late = half - 2 * 86_400_000
    assert Sums(time=half, zone=UTC, month=Amount(14 * GIB, 0), known=late).coming == 14 * GIB + 7 * 16 * GIB
    assert Sums(time=half, zone=UTC, month=Amount(14 * GIB, 0), known=half - 1000).coming is None


async def test_a_range_has_sums_shares_bars_and_the_month() -> None:
    caps = {
        "isp": CapSettings(name="isp", limit=2000 * GIB, day=15),
        "wifi": CapSettings(name="wifi", limit=1 * GIB, interface="wlan*"),
        "elsewhere": CapSettings(name="elsewhere", limit=1, host="db-*"),
    }
    lines = await lines_of(gateway(), "r", "r", "r", caps=caps)
    text = "\n".join(lines)
    for word in ("month, Nov 01 to Nov 21", "RECEIVED", "SHARE", "of 4 interfaces", "will be", "p95", "cap isp",
                 "anew Dec 15", "of 1 GiB", "┴Nov"):  # fmt: skip
        assert word in text, word
    assert "elsewhere" not in text
    rows = {line.split()[1].strip("▶"): line for line in lines if line.startswith("│ ") and "%" in line}
    assert "≥" in next(line for line in lines if " lan1 " in line)
    assert "100%" in next(line for line in lines if line.startswith("│   total"))
    assert rows
    bridge = next(line for line in lines if line.startswith("│   br-lan"))
    assert "%" not in bridge, "what does not count has no share"


async def test_every_range_says_what_it_covers() -> None:
    script = gateway()
    given = staged(script, Ledger(script, range(60)))
    app = make_app(given.services)
    async with app.run_test(size=(80, 24)) as pilot:
        await show(pilot, given, 4)
        for words in (
            "today, Nov 21",
            "7 days, Nov 15 to Nov 21",
            "month, Nov 01",
            "year 2026",
            "all that is known",
            "now",
        ):
            await press(pilot, "r")
            assert words in text_of(app)[2], words
        await press(pilot, "e")
        assert "all that is known" in text_of(app)[2]


async def test_at_80x24_the_month_takes_two_lines() -> None:
    lines = await lines_of(gateway(), "r", "r", size=(80, 24))
    text = "\n".join(lines)
    for word in ("today", "month", "will be", "p95", "TOTAL"):
        assert word in text, word


async def test_no_size_breaks_it() -> None:
    script = gateway()
    given = staged(script, Ledger(script, range(60)))
    app = make_app(given.services)
    async with app.run_test(size=(120, 40)) as pilot:
        await show(pilot, given, 4)
        await pilot.press("r")
        for size in ((20, 5), (40, 12), (59, 30), (100, 24), (300, 80)):
            await pilot.resize_terminal(*size)
            await press(pilot, "enter")
            assert not any("fault of sysmon" in line for line in text_of(app))
            await press(pilot, "escape")
            assert all(len(line) <= size[0] for line in text_of(app))


async def test_without_colour_and_unicode_it_is_ascii() -> None:
    caps = {"isp": CapSettings(name="isp", limit=GIB)}
    lines = await lines_of(gateway(), "r", "r", "end", "enter", glyphs=ASCII, theme="sysmon-mono", caps=caps)
    assert "\n".join(lines).isascii()
    assert any(">" in line for line in lines)


async def test_details_have_the_days_with_the_most_and_since_when() -> None:
    fault = Fault("vnstat", "no_data", "vnStat has no data of this interface yet")
    lines = await lines_of(gateway(), "r", "r", "r", "enter", size=(200, 60), faults=[fault])
    text = "\n".join(lines)
    for word in ("days with the most", "yesterday", "last month", "p95 of month",
                 "counts to the total", "vnStat has no data", "month, Nov 01"):  # fmt: skip
        assert word in text, word
    whole = "\n".join(await lines_of(gateway(), "r", "end", "enter", size=(160, 50)))
    assert "all that count" in whole
    assert "would count twice" in whole
    unsupported = Fault("vnstat", "unsupported", "vnStat is not installed")
    assert "vnStat" not in "\n".join(await lines_of(gateway(), "enter", faults=[unsupported]))


async def test_an_interface_that_vnstat_does_not_count_says_so() -> None:
    class Counted(Gateway):
        def readings(self, second: int) -> dict[str, Number]:
            return {**super().readings(second), "vnstat.interfaces": 1, "vnstat.total:wan": 5000}

    script = Counted(name="home", processes=2)
    assert "vnStat" not in "\n".join(await lines_of(script, "r", "enter", size=(120, 60)))
    text = "\n".join(await lines_of(script, "r", "down", "enter", size=(120, 60)))
    assert "vnStat does not count" in text


async def test_an_interface_that_carried_nothing_says_so() -> None:
    class Idle(Ledger):
        def names(self) -> list[str]:
            return [name for name in super().names() if not name.endswith(":lan2")]

    script = gateway()
    lines = await lines_of(script, "r", history=Idle(script, range(60)))
    assert " 0B " in next(line for line in lines if line.startswith("│   lan2"))

    class Unread(Ledger):
        def names(self) -> list[str]:
            return []

    lines = await lines_of(script, "r", history=Unread(script, range(60)))
    assert " 0B " not in next(line for line in lines if line.startswith("│   lan2")), "nothing was counted at all"


async def test_details_say_since_when_to_the_minute() -> None:
    script = gateway()
    given = staged(script, Ledger(script, range(60)))
    app = make_app(given.services)
    async with app.run_test(size=(160, 60)) as pilot:
        await show(pilot, given, 4)
        await press(pilot, "enter")
        await until(pilot, lambda: any("known since" in line for line in text_of(app)))
        assert "2026-09-12 22:25" in next(line for line in text_of(app) if "known since" in line)


async def test_interfaces_filter_by_kind_and_state() -> None:
    lines = await lines_of(gateway(), "slash", *"kind:wifi,bridge state:up")
    shown = [line for line in lines if line.startswith("│ ") and ("wlan0" in line or "br-lan" in line)]
    assert len(shown) == 2
    assert not any(line.startswith("│   lan1") for line in lines)
    assert any("2 of 6" in line for line in lines)


async def test_a_history_that_fails_or_is_not_there_is_said() -> None:
    script = gateway()
    history = Ledger(script, range(60))
    history.fails = True
    text = "\n".join(await lines_of(script, "r", history=history))
    assert "the disk is on fire" in text
    given = staged(gateway())
    app = make_app(given.services)
    async with app.run_test(size=(120, 40)) as pilot:
        await show(pilot, given, 4)
        await press(pilot, "r")
        assert any("nobody records this host" in line for line in text_of(app))


async def test_a_tick_in_a_range_reads_nothing_and_lays_nothing_out(monkeypatch: pytest.MonkeyPatch) -> None:
    script = gateway()
    history = Ledger(script, range(60))
    given = staged(script, history)
    app = make_app(given.services)
    async with app.run_test(size=(200, 50)) as pilot:
        await show(pilot, given, 4)
        await press(pilot, "r", "r")
        screen = app.screen
        assert isinstance(screen, NetworkScreen)
        await until(pilot, lambda: not screen.book._running)
        passes, reads = spy_layouts(monkeypatch), history.reads.count("usage")
        for second in range(4, 7):
            given.push(second)
            time = (START + second) * 1000
            await until(pilot, lambda time=time: screen.view is not None and screen.view.time == time)  # type: ignore[misc]
        assert passes == []
        assert history.reads.count("usage") == reads


async def test_leaving_the_screen_gives_up_what_is_read() -> None:
    script = gateway()
    history = Ledger(script, range(60))
    given = staged(script, history)
    app = make_app(given.services)
    async with app.run_test(size=(120, 40)) as pilot:
        await show(pilot, given, 4)
        history.hold = asyncio.Event()
        await press(pilot, "r")
        screen = app.screen
        assert isinstance(screen, NetworkScreen)
        assert screen.book._running
        await pilot.press("0")
        await until(pilot, lambda: not screen.book._running)
        history.hold = None
        await pilot.press("3")
        table = screen.query_one("#interfaces", Table)
        await until(pilot, lambda: any(row.amount is not None for row in table.rows))


async def test_the_past_ends_there() -> None:
    script = gateway()
    history = Ledger(script, range(60))
    given = staged(script, history)
    app = make_app(given.services)
    async with app.run_test(size=(120, 40)) as pilot:
        await show(pilot, given, 50)
        await press(pilot, "r")
        app.go_to((START + 20) * 1000)
        await until(pilot, lambda: app.screen.has_class("-past"))
        screen = app.screen
        assert isinstance(screen, NetworkScreen)
        table = screen.query_one("#interfaces", Table)
        await until(pilot, lambda: any(row.amount is not None for row in table.rows))
        expected = view(script, 21)
        row = next(row for row in table.rows if row.name == "wan")
        assert row.receive == pytest.approx(expected.value("net.receive_rate:wan"))


async def test_what_counts_in_a_past_that_does_not_tell_is_as_of_now() -> None:
    class Bare(Ledger):
        """As the store keeps it: without tables."""

        async def moment(self, host: str, time: int, step: int = 0) -> Moment | None:
            found = await super().moment(host, time, step)
            if found is None:
                return None
            return replace(found, frame=replace(found.frame, tables=Tables()), previous=None)

    script = gateway()
    given = staged(script, Bare(script, range(60)))
    app = make_app(given.services)
    async with app.run_test(size=(120, 40)) as pilot:
        await show(pilot, given, 50)
        await press(pilot, "r")
        app.go_to((START + 20) * 1000)
        await until(pilot, lambda: app.screen.has_class("-past"))
        await until(pilot, lambda: any("100%" in line for line in text_of(app)))
        lines = text_of(app)
        assert any("what counts: as of now" in line for line in lines)
        wan = next(line for line in lines if line.startswith("│   wan"))
        assert "ethernet" not in wan, "nothing else of now is shown"


def test_a_cap_that_is_used_up_stands_out() -> None:
    cap = CapSettings(name="isp", limit=10 * GIB, count="larger")
    use = Standing(cap, 11 * GIB, Amount(11 * GIB, GIB), 0, START * 1000, None)
    for appearance in (DEFAULT_LOOK, look(glyphs=ASCII)):
        first, second = cap_lines(use, 44, appearance, UTC)
        assert "110 %" in first.text
        assert second.text.strip().startswith("11 GiB of 10 GiB one way")
    styles = {segment.style for segment in cap_lines(use, 36, DEFAULT_LOOK, UTC)[0]}
    assert DEFAULT_LOOK.palette.critical in styles


async def test_a_cap_of_this_machine_shows_whoever_records_it_and_on_what_it_counts() -> None:
    class Attached(Gateway):
        @property
        def info(self) -> HostInfo:
            return replace(super().info, target="unix:///run/sysmon/sysmon.sock")

    script = Attached(name="home", processes=2)
    caps = {
        "line": CapSettings(name="line", limit=5000 * GIB),
        "air": CapSettings(name="air", limit=GIB, interface="wl*"),
    }
    assert "cap line" in "\n".join(await lines_of(script, "r", caps=caps))
    narrow = "\n".join(await lines_of(script, "r", caps=caps, size=(80, 24)))
    assert "line" in narrow
    assert "air" in narrow
    whole = "\n".join(await lines_of(script, "r", "end", "enter", caps=caps, size=(160, 50)))
    assert "cap line" in whole
    assert "cap air" in whole
    wan = "\n".join(await lines_of(script, "r", "enter", caps=caps, size=(160, 50)))
    assert "cap" not in wan, "of several that count it is one"
    wifi = "\n".join(await lines_of(script, "slash", *"wlan0", "enter", "enter", caps=caps, size=(160, 50)))
    assert "cap air" in wifi
    assert "cap line" not in wifi
    elsewhere = gateway()
    given = staged(elsewhere, Ledger(elsewhere, range(60)), caps=caps)
    given.services.local = "0" * 16
    app = make_app(given.services)
    async with app.run_test(size=(120, 40)) as pilot:
        await show(pilot, given, 4)
        await press(pilot, "r")
        assert "cap line" not in "\n".join(text_of(app)), "this machine is another"


async def test_an_interface_called_total_is_not_the_total() -> None:
    class Odd(Gateway):
        def interface_rows(self) -> list[InterfaceRow]:
            return [*super().interface_rows(), InterfaceRow(name="total", kind="ethernet", up=True, physical=True)]

    lines = await lines_of(Odd(name="home", processes=2), "r")
    assert len([line for line in lines if line.startswith("│   total")]) == 2
