"""The devices of a router on the Network screen: rows, order, filter, page, names given, why there are none."""

from __future__ import annotations

import asyncio
import time
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

import pytest
from textual.widgets import Input

from sysmon.bandwidth import Amount
from sysmon.config import CapSettings
from sysmon.devicesources import LIMITS
from sysmon.errors import StoreError
from sysmon.frame import DeviceRow, Fault, Number, Tables
from sysmon.records import KnownDevice, Status
from tests.tui.screens.networkstage import Gateway, Ledger, Silent, drawn, press, staged
from tests.tui.scripted import START, Script, catalogue, make_app, view
from tests.tui.support import show, text_of, until
from tests.tui.widgets.spies import spy_layouts
from tui.devicerows import SORTS, address_order, build, sort_devices
from tui.devicewords import limits
from tui.glyphs import ASCII
from tui.model import HostModel
from tui.screens.network import NetworkScreen
from tui.theme import DEFAULT_LOOK
from tui.widgets.devices_columns import columns
from tui.widgets.devices_page import DevicePage
from tui.widgets.network_chart import RangeChart
from tui.widgets.table import Table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from textual.pilot import Pilot

    from tests.tui.scripted import Rig

pytestmark = pytest.mark.anyio

DAY = 86_400_000


def gateway(**more: Any) -> Gateway:
    """A router with fifteen devices."""
    return Gateway(name="home", processes=2, **more)


async def lines_of(script: Script, *keys: str, **more: Any) -> list[str]:
    """The devices of a host after some keys."""
    return await drawn(script, "d", *keys, **more)


def labels(pilot: Pilot[int]) -> list[str]:
    """The devices in the order shown."""
    return [row.label for row in pilot.app.screen.query_one("#devices", Table).rows]


def keys_shown(pilot: Pilot[int]) -> list[str]:
    """The keys of the devices in the order shown."""
    return [row.key for row in pilot.app.screen.query_one("#devices", Table).rows]


class Book:
    """Notes that are only remembered."""

    def __init__(self, fails: bool = False) -> None:
        self.fails = fails
        self.said: list[tuple[Any, ...]] = []

    async def name_device(self, host: str, key: str, *, alias: str | None = None, category: str | None = None) -> None:
        """Remembers."""
        if self.fails:
            raise StoreError("the disk is full")
        self.said.append((host, key, alias, category))

    async def reset_devices(self, host: str, time: int) -> None:
        """Remembers."""
        self.said.append((host, time))


# -- rows


def known(index: int, script: Gateway, **more: Any) -> KnownDevice:
    """A device as the history knows it."""
    values = {"first": START * 1000 - 90 * DAY, "last": START * 1000 - 5 * DAY, **more}
    return KnownDevice(host=script.host, key=script.device_key(index), row=script.device(index), **values)


def test_what_the_history_knows_lies_under_what_the_router_says() -> None:
    script = gateway()
    shown = view(script, 5)
    old = DeviceRow(key="02:ff:00:00:00:01", mac="02:ff:00:00:00:01", name="gone", online=True, signal=-40)
    gone = KnownDevice(host=script.host, key=old.key, row=old, first=1, last=START * 1000 - 5 * DAY)
    named = known(0, script, alias="Telly", category="screen")
    rows = {row.key: row for row in build(shown, [named, gone], None)}
    assert len(rows) == 16
    telly = rows[script.device_key(0)]
    assert (telly.label, telly.category, telly.online, telly.last) == ("Telly", "screen", True, shown.time)
    assert telly.receive is not None
    assert telly.amount is None
    assert telly.share is None
    away = rows[old.key]
    assert (away.online, away.signal, away.last) == (False, None, START * 1000 - 5 * DAY)
    assert rows[script.device_key(1)].first is None, "it is not known since when"


def test_the_past_shows_nobody_who_came_later_and_nothing_of_now() -> None:
    script = gateway()
    shown = view(script, 5)
    shown.live = False
    shown.state.tables = Tables()
    rows = build(
        shown, [known(0, script), known(1, script, first=shown.time + 1), known(2, script, last=shown.time + 9)], {}
    )
    assert [row.key for row in rows] == [script.device_key(0), script.device_key(2)]
    assert [row.online for row in rows] == [None, None]
    assert [row.signal for row in rows] == [None, None]
    assert rows[1].last is None, "it was last seen after this moment"


def test_who_moved_nothing_moved_nothing_and_who_is_not_counted_is_not_known() -> None:
    script = gateway()
    shown = view(script, 5)
    uncounted = KnownDevice(
        host=script.host, key="02:ff:00:00:00:02", row=DeviceRow(key="02:ff:00:00:00:02"), first=1, last=2
    )
    gone = KnownDevice(
        host=script.host, key="02:ff:00:00:00:03", row=DeviceRow(key="02:ff:00:00:00:03", source="nlbwmon"), first=1,
        last=2,
    )  # fmt: skip
    moved = {script.device_key(0): Amount(1000, 10)}
    rows = {row.key: row for row in build(shown, [known(0, script), uncounted, gone], moved)}
    assert rows[script.device_key(0)].amount == Amount(1000, 10)
    assert rows[script.device_key(1)].amount == Amount(), "its counters are there"
    assert rows[gone.key].amount == Amount(), "it was counted"
    assert rows[uncounted.key].amount is None
    assert all(row.amount is None for row in build(shown, [known(0, script)], {})), "nothing was counted of anybody"


async def test_who_is_offline_stands_back_with_the_rates_and_has_none_of_nothing() -> None:
    class Quiet(Gateway):
        def readings(self, second: int) -> dict[str, Number]:
            values = super().readings(second)
            values |= {f"device.{way}:{self.device_key(9)}": 5000 for way in ("receive", "transmit")}
            return values

    script = Quiet(name="home", processes=2)
    rows = {row.key: row for row in build(view(script, 5), [], None)}
    busy, quiet = rows[script.device_key(4)], rows[script.device_key(9)]
    assert (busy.online, quiet.online) == (False, False)
    assert busy.receive
    assert (quiet.receive, quiet.transmit) == (None, None)
    for column in columns(bits=False, now=lambda: 0):
        if column.key in ("receive", "transmit"):
            assert column.spans is not None
            styles = {style for _, style in column.spans(busy, 11, DEFAULT_LOOK)}
            hue = DEFAULT_LOOK.palette.hue("receive" if column.key == "receive" else "transmit")
            assert hue.base not in styles


@pytest.mark.parametrize("state", ["stale", "offline"])
def test_of_a_router_that_is_away_nobody_moves_anything(state: Literal["stale", "offline"]) -> None:
    script = gateway()
    shown = view(script, 5)
    shown.status = Status(host=script.host, state=state)
    rows = build(shown, [known(0, script)], {script.device_key(0): Amount(5, 5)})
    assert {(row.online, row.receive, row.transmit, row.connections) for row in rows} == {(None, None, None, None)}
    told = next(row for row in rows if row.key == script.device_key(0))
    assert told.last == START * 1000 - 5 * DAY
    assert told.amount == Amount(5, 5)


def test_sorting_puts_what_is_missing_last_either_way() -> None:
    script = gateway()
    rows = build(view(script, 5), [], None)
    for column, largest in SORTS.items():
        for reverse in (largest, not largest):
            assert len(sort_devices(rows, column, reverse)) == 15
    vendors = [row.row.vendor for row in sort_devices(rows, "vendor", True)]
    assert vendors[-2:] == ["", ""]
    assert vendors[:-2] == sorted(vendors[:-2], key=str.lower, reverse=True)
    addresses = sorted(["10.0.0.9", "fd00::1", "10.0.0.10", "9.1.1.1"], key=address_order)
    assert addresses == ["9.1.1.1", "10.0.0.9", "10.0.0.10", "fd00::1"]


def test_every_source_says_what_it_leaves_out() -> None:
    assert "not what devices send each other" in limits(DeviceRow(key="a", source="nlbwmon"))
    assert "Wi-Fi" in limits(DeviceRow(key="a", source="hostapd"))
    assert "since monitoring began" in limits(DeviceRow(key="a", source="conntrack"))
    assert limits(DeviceRow(key="a")) == LIMITS[""]


# -- the table


async def test_devices_have_names_rates_totals_and_shares() -> None:
    lines = await lines_of(gateway(), size=(200, 50), seconds=10)
    text = "\n".join(lines)
    for word in (
        "DEVICE",
        "VENDOR",
        "CATEGORY",
        "SIGNAL",
        "SOURCE",
        "12 of 15 online",
        "nlbwmon L3",
        "totals of today",
    ):
        assert word in text, word
    laptop = next(line for line in lines if "Mira's laptop" in line)
    assert "192.168.1.102" in laptop
    assert "02:aa:bb:00:00:02" in laptop
    assert "KiB/s" in laptop or "MiB/s" in laptop
    assert "%" in laptop
    assert "Espressif 00:00:05" in text, "vendor and the end of the MAC"
    assert "-51 dBm" in text
    assert "\x1b" not in text


async def test_where_there_is_room_the_range_of_the_device_under_the_cursor_stands_above() -> None:
    script = gateway()
    history = Ledger(script, range(60))
    given = staged(script, history)
    app = make_app(given.services)
    async with app.run_test(size=(200, 50)) as pilot:
        await show(pilot, given, 4)
        await press(pilot, "d")
        chart = app.screen.query_one("#device-bars", RangeChart)
        await until(pilot, lambda: bool(chart._steps))
        assert any(f"{labels(pilot)[0]} · today, Nov 21" in line for line in text_of(app))
        history.asked = []
        await pilot.press(*["down"] * 5)
        await until(pilot, lambda: bool(chart._steps) and chart._names == (keys_shown(pilot)[5],))
        asked = {keys for _, keys in history.asked}
        assert len(asked) == 1, "those on the way are not asked for"
        await press(pilot, "enter")
        assert not chart.display
        await pilot.resize_terminal(200, 30)
        await press(pilot, "escape")
        await until(pilot, lambda: not chart.display)
    assert not any("today, Nov 21" in line for line in (await lines_of(gateway()))[2:])


async def test_a_range_shows_its_totals() -> None:
    day = await lines_of(gateway(), "r")
    month = await lines_of(gateway(), "r", "r", "r")
    assert "today, Nov 21" in day[2]
    assert "month, Nov 01 to Nov 21" in month[2]
    assert next(line for line in day if "│ • nas" in line) != next(line for line in month if "│ • nas" in line)


async def test_no_size_breaks_it() -> None:
    script = gateway()
    given = staged(script, Ledger(script, range(60)))
    app = make_app(given.services)
    async with app.run_test(size=(120, 40)) as pilot:
        await show(pilot, given, 4)
        await pilot.press("d", "r")
        for size in ((20, 5), (40, 12), (80, 24), (300, 80)):
            await pilot.resize_terminal(*size)
            await press(pilot, "enter")
            assert not any("fault of sysmon" in line for line in text_of(app))
            await press(pilot, "escape")
            assert all(len(line) <= size[0] for line in text_of(app))


async def test_without_colour_and_unicode_it_says_the_same() -> None:
    script = gateway()
    lines = await lines_of(script, "r", "enter", glyphs=ASCII, theme="sysmon-mono")
    foreign = str.maketrans("", "", "日本語のタブレット📺\ufffd")
    assert "\n".join(lines).translate(foreign).isascii()


async def test_it_sorts_and_filters_and_escape_shows_all_again() -> None:
    script = gateway()
    given = staged(script, Ledger(script, range(60)))
    app = make_app(given.services)
    async with app.run_test(size=(120, 40)) as pilot:
        await show(pilot, given, 4)
        await press(pilot, "d", "greater_than_sign")
        names = labels(pilot)
        assert names == sorted(names, key=str.lower)
        await press(pilot, "I")
        assert labels(pilot) == sorted(names, key=str.lower, reverse=True)
        await press(pilot, "slash", *"phone")
        assert labels(pilot) == ["mira-phone", "mira-phone"]
        assert any("2 of 15" in line for line in text_of(app))
        await press(pilot, "enter")
        assert app.screen.query_one("#devices", Table).has_focus
        await press(pilot, "escape")
        assert len(labels(pilot)) == 15
        await press(pilot, "slash", *"vendor:", "enter")
        assert any("wants a word" in line for line in text_of(app))


async def test_tables_are_collected_only_while_they_are_shown() -> None:
    script = gateway()
    given = staged(script, Ledger(script, range(60)))
    app = make_app(given.services)
    async with app.run_test(size=(120, 40)) as pilot:
        await show(pilot, given, 4)
        assert given.watched[-1] == set()
        await press(pilot, "v")
        assert given.watched[-1] == {"devices"}
        await press(pilot, "v")
        assert given.watched[-1] == {"connections", "talkers"}
        await press(pilot, "v")
        assert given.watched[-1] == set()
        await press(pilot, "V", "V", "4")
        await until(pilot, lambda: given.watched[-1] == {"processes"})
        await press(pilot, "3")
        await until(pilot, lambda: given.watched[-1] == {"devices"})


async def test_a_click_chooses_a_table_and_a_range() -> None:
    script = gateway()
    given = staged(script, Ledger(script, range(60)))
    app = make_app(given.services)
    async with app.run_test(size=(120, 40)) as pilot:
        await show(pilot, given, 4)
        place = text_of(app)[2].index("devices")
        await pilot.click("#tabs", offset=(place, 0))
        await press(pilot)
        assert any("devices of home" in line for line in text_of(app))
        await pilot.click("#tabs", offset=(118, 0))
        await press(pilot)
        assert "today" in text_of(app)[2]


async def test_a_tick_without_news_works_nothing_out_and_lays_nothing_out(monkeypatch: pytest.MonkeyPatch) -> None:
    class Seldom(Gateway):
        def tables(self, second: int) -> Tables:
            return super().tables(second) if second < 10 else Script.tables(self, second)

        def readings(self, second: int) -> Any:
            return super().readings(min(second, 9))

    script = Seldom(name="home", processes=2)
    given = staged(script, Ledger(script, range(60)))
    app = make_app(given.services)
    async with app.run_test(size=(120, 40)) as pilot:
        await show(pilot, given, 10)
        await press(pilot, "d")
        screen = app.screen
        assert isinstance(screen, NetworkScreen)
        before = screen.devices.rows
        built = [*screen.devices._built]
        passes = spy_layouts(monkeypatch)
        frame = script.frame(10)
        given.push(10)
        await until(pilot, lambda: screen.view is not None and screen.view.time == frame.time)
        assert passes == []
        after = [*screen.devices._built]
        # Their reads are those of the script's every second; all else is as it was.
        assert [one == other for one, other in zip(built, after, strict=True)].count(False) <= 1
        assert len(before) == 15


def test_ten_thousand_devices_are_drawn_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    # What so many keys leave in what is shared is none of the other tests' business.
    monkeypatch.setattr("sysmon.derive._texts", {})
    monkeypatch.setattr("tests.tui.scripted_host._READINGS", {})
    script = gateway()
    script.count = 10_000
    rows = view(script, 2)
    start = time.perf_counter()
    assert len(build(rows, [], {})) == 10_000
    assert time.perf_counter() - start < 2


def test_of_very_many_devices_no_window_is_kept() -> None:
    for count, kept in ((15, True), (501, False)):
        script = gateway()
        script.count = count
        model = HostModel(script.info, catalogue())
        for second in range(2):
            model.take_frame(script.frame(second))
        assert any(key.startswith("device.") for key in model.window.keys()) == kept
        assert model.state.get(f"device.receive_rate:{script.device_key(3)}") is not None


# -- the page


async def test_a_page_has_all_that_is_known() -> None:
    text = "\n".join(await lines_of(gateway(), "r", "down", "down", "enter", size=(200, 60), seconds=40))
    for word in (
        "Mira's laptop", "work-laptop (lease)", "fd00::2", "02:aa:bb:00:00:02", "Dell Inc.", "computer (guessed)",
        "first seen", "last seen", "nlbwmon L3", "not what devices send", "today, Nov 21", "yesterday",
        "last month", "by service", "HTTPS", "1830 connections", "now, by the router's steps",
    ):  # fmt: skip
        assert word in text, word


async def test_a_page_scrolls_and_closes_and_keeps_to_its_device() -> None:
    script = gateway()
    given = staged(script, Ledger(script, range(60)))
    app = make_app(given.services)
    async with app.run_test(size=(80, 24)) as pilot:
        await show(pilot, given, 4)
        await press(pilot, "d", "down", "enter")
        page = app.screen.query_one("#device", DevicePage)
        assert page.has_focus
        chosen = page._title
        assert not any("by service" in line for line in text_of(app))
        await press(pilot, *["pagedown"] * 5)
        assert any("by service" in line for line in text_of(app))
        await press(pilot, "r")
        assert page._title == chosen
        await press(pilot, "escape")
        assert app.screen.query_one("#devices", Table).has_focus


async def test_a_cap_and_a_reset_stand_on_the_page() -> None:
    script = gateway()
    history = Ledger(script, range(60))
    history.cuts = (START * 1000 - 3 * DAY,)
    caps = {"tv": CapSettings(name="tv", limit=100 << 30, device="living-room tv", host="*")}
    keys = ["slash", *"living", "enter", "enter"]
    text = "\n".join(await lines_of(script, *keys, history=history, caps=caps, size=(160, 50)))
    assert "cap tv" in text
    assert "of 100 GiB" in text
    assert "since 11-18" in text


# -- what users say


def noted(script: Gateway, book: Book) -> Rig:
    """A router whose notes can be written."""
    given = staged(script, Ledger(script, range(60)))
    given.services.notes = book
    return given


async def test_a_name_is_asked_for_written_and_read_again() -> None:
    script, book = gateway(), Book()
    given = noted(script, book)
    app = make_app(given.services)
    async with app.run_test(size=(120, 40)) as pilot:
        await show(pilot, given, 4)
        await press(pilot, "d", "slash", *"doorbell", "enter", "a")
        app.screen.query_one("#input", Input).value = "  Front   door "
        await press(pilot, "enter")
        await until(pilot, lambda: bool(book.said))
        assert book.said == [(script.host, script.device_key(9), "Front door", None)]
        history = given.services.history(script.host)
        assert isinstance(history, Ledger)
        await until(pilot, lambda: history.reads.count("devices") == 2)
        await press(pilot, "enter", "g")
        app.screen.query_one("#input", Input).value = "-"
        await press(pilot, "enter")
        await until(pilot, lambda: len(book.said) == 2)
        assert book.said[1] == (script.host, script.device_key(9), None, "")
        await press(pilot, "a")
        app.screen.query_one("#input", Input).value = "x" * 65
        await press(pilot, "enter")
        assert any("65 characters long" in line for line in text_of(app))
        await press(pilot, "escape")
        assert len(book.said) == 2


async def test_a_new_counting_period_is_begun_only_on_yes() -> None:
    script, book = gateway(), Book()
    given = noted(script, book)
    app = make_app(given.services)
    async with app.run_test(size=(120, 40)) as pilot:
        await show(pilot, given, 4)
        await press(pilot, "d", "R")
        assert any("written to the router" in line for line in text_of(app))
        await press(pilot, "n")
        assert book.said == []
        await press(pilot, "R", "y")
        await until(pilot, lambda: bool(book.said))
        assert book.said == [(script.host, given.clock.now())]


async def test_what_cannot_be_written_is_said() -> None:
    script, book = gateway(), Book(fails=True)
    given = noted(script, book)
    app = make_app(given.services)
    async with app.run_test(size=(120, 40)) as pilot:
        await show(pilot, given, 4)
        await press(pilot, "d", "a")
        app.screen.query_one("#input", Input).value = "me"
        await press(pilot, "enter")
        await until(pilot, lambda: any("the disk is full" in line for line in text_of(app)))


async def test_without_a_place_for_notes_the_keys_say_so() -> None:
    lines = await lines_of(gateway(), "a")
    assert any("not on this machine" in line for line in lines)
    assert not any("count anew" in line for line in lines)


async def test_a_reset_adds_a_range() -> None:
    script = gateway()
    history = Ledger(script, range(60))
    history.cuts = (START * 1000 - 3 * DAY,)
    lines = await lines_of(script, "r", "r", "r", "r", "r", "r", history=history)
    assert "since Nov 18" in lines[2]
    again = await lines_of(script, "r", "r", "r", "r", "r", "r", "i", history=history)
    assert "r now" in again[2], "interfaces have no such range"


# -- why there are none


def plain(**more: Any) -> Script:
    """A host that is no router."""
    return Script(name="db-1", processes=2, missing=frozenset({"devices"}), **more)


async def test_without_a_router_it_says_how_to_have_one() -> None:
    text = "\n".join(await lines_of(plain(), size=(80, 24)))
    assert "no router is configured" in text
    assert "[routers.home]" in text
    assert 'target = "ssh://root@192.168.1.1"' in text


async def test_a_router_not_heard_of_says_why() -> None:
    script = plain()
    given = staged(script, Ledger(script, range(60)), routers=["garage"])
    app = make_app(given.services)
    async with app.run_test(size=(120, 40)) as pilot:
        await show(pilot, given, 4)
        await press(pilot, "d")
        assert any("router garage (ssh://root@garage): not heard of yet" in line for line in text_of(app))
        given.source.push(Status(host="", name="garage", state="offline", message="Host key verification failed"))
        given.push(4)
        await until(pilot, lambda: any("Host key verification failed" in line for line in text_of(app)))


async def test_another_router_is_offered_and_a_key_shows_it() -> None:
    script, router = plain(), Gateway(host="ff" * 8, name="home", processes=2)
    given = staged(script, Ledger(script, range(60)))
    given.source.push(router.info)
    app = make_app(given.services)
    async with app.run_test(size=(120, 40)) as pilot:
        await show(pilot, given, 4)
        for second in range(4):
            given.source.push(router.frame(second))
        await press(pilot, "d")
        await until(pilot, lambda: any("db-1 is no router; home is" in line for line in text_of(app)))
        await press(pilot, "w")
        await until(pilot, lambda: any("devices of home" in line for line in text_of(app)))
        await press(pilot, "w")
        assert any("no other router" in line for line in text_of(app))


@pytest.mark.parametrize(
    ("faults", "words"),
    [
        ((Fault("devices", "failed", "nlbwmon does not answer", "start it: /etc/init.d/nlbwmon start"),),
         ("nlbwmon does not answer", "start it")),
        ((), ("waiting for the first look at the devices of home", "every 30 s")),
    ],
)  # fmt: skip
async def test_a_router_without_devices_says_why(faults: Sequence[Fault], words: Sequence[str]) -> None:
    script = Silent(name="home", processes=2)
    history = Ledger(script, range(60))
    history.known = 0
    text = "\n".join(await lines_of(script, history=history, faults=faults))
    for word in words:
        assert word in text


async def test_names_alone_are_no_zeroes() -> None:
    script = gateway()
    script.counted = False

    class Nothing(Ledger):
        def names(self) -> list[str]:
            return []

    lines = await lines_of(script, history=Nothing(script, range(60)))
    assert any("nothing there counts bytes by device" in line for line in lines)
    nas = next(line for line in lines if " nas " in line)
    assert nas.count("–") >= 5
    assert " 0B " not in nas


async def test_a_history_that_fails_is_said_and_the_rates_stay() -> None:
    script = gateway()
    history = Ledger(script, range(60))
    history.fails = True
    lines = await lines_of(script, history=history)
    assert any("the disk is on fire" in line for line in lines)
    assert any("KiB/s" in line and " nas " in line for line in lines)


async def test_a_slow_history_is_said_and_escape_gives_up() -> None:
    script = gateway()
    history = Ledger(script, range(60))
    given = staged(script, history)
    app = make_app(given.services)
    async with app.run_test(size=(120, 40)) as pilot:
        await show(pilot, given, 4)
        history.hold = asyncio.Event()
        await press(pilot, "d", "r")
        await until(pilot, lambda: "reading" in text_of(app)[2])
        await press(pilot, "escape")
        assert "reading" not in text_of(app)[2]
        assert any("stopped" in line for line in text_of(app))


async def test_the_past_has_its_own_rates_totals_and_nobody_who_came_later() -> None:
    script = gateway()
    history = Ledger(script, range(60))
    given = staged(script, history)
    app = make_app(given.services)
    async with app.run_test(size=(120, 40)) as pilot:
        await show(pilot, given, 50)
        await press(pilot, "d", "r")
        app.go_to((START + 20) * 1000)
        await until(pilot, lambda: app.screen.has_class("-past"))
        await press(pilot)
        rows = {row.key: row for row in app.screen.query_one("#devices", Table).rows}
        expected = view(script, 21)
        key = script.device_key(3)
        assert rows[key].receive == pytest.approx(expected.value(f"device.receive_rate:{key}"))
        assert all(row.last is None or row.last <= (START + 20) * 1000 for row in rows.values())
        before = history.reads.count("usage")
        await press(pilot)
        assert history.reads.count("usage") == before, "an answer about the past is read once"
        await until(pilot, partial(bool, rows[key].amount))
