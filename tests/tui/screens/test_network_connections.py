"""Who uses the line, and single connections, on the Network screen: rows, order, filter, names, page, the past."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from msgspec.structs import replace

from sysmon.frame import ConnectionRow, Fault, Tables, TalkerRow
from tests.tui.screens.networkstage import Ledger, Talking, drawn, press, staged
from tests.tui.scripted import START, Script, make_app, view
from tests.tui.support import show, text_of, until
from tui.connectionrows import (
    CONNECTION_SORTS,
    TALKER_SORTS,
    connection,
    resent_text,
    rtt_text,
    service,
    sort_connections,
    sort_talkers,
    talker,
)
from tui.glyphs import ASCII
from tui.resolver import Resolver
from tui.screens.network import NetworkScreen
from tui.screens.processes import ProcessesScreen
from tui.theme import DEFAULT_LOOK
from tui.widgets import connections_tab
from tui.widgets.connections_columns import connection_columns, end_text
from tui.widgets.connections_page import ConnectionPage
from tui.widgets.table import Table

if TYPE_CHECKING:
    from collections.abc import Callable

    from sysmon.records import HostInfo

pytestmark = pytest.mark.anyio


def host(**more: Any) -> Talking:
    """A host whose connections are known."""
    return Talking(name="db-1", processes=8, missing=frozenset({"devices"}), **more)


async def lines_of(script: Script, *keys: str, **more: Any) -> list[str]:
    """The connections of a host after some keys."""
    return await drawn(script, "c", *keys, **more)


# -- rows


def test_what_is_nobodys_is_said_plainly_and_stands_last() -> None:
    rows = [talker(row) for row in view(host(), 20).state.talkers]
    for column, largest in TALKER_SORTS.items():
        for reverse in (largest, not largest):
            ordered = sort_talkers(rows, column, reverse)
            assert len(ordered) == len(rows)
            assert ordered[-1].other, column
    other = sort_talkers(rows, "", False)[-1]
    assert (other.label, other.where) == ("not attributable", "UDP, headers, forwarded")
    short = talker(TalkerRow(key="short:at:8123", kind="short", name="8123"))
    assert (short.label, short.where) == ("short connections", "at own port 8123")
    assert talker(TalkerRow(key="o", kind="owner", user="", unit="")).label == "sockets of unknown users"
    assert talker(TalkerRow(key="p", kind="process", pid=7)).label == "process 7"


def test_connections_sort_with_what_is_missing_last() -> None:
    rows = [connection(row) for row in view(host(), 20).state.connections]
    for column, largest in CONNECTION_SORTS.items():
        for reverse in (largest, not largest):
            assert len(sort_connections(rows, column, reverse)) == len(rows)
    for reverse in (True, False):
        assert sort_connections(rows, "rtt", reverse)[-1].row.protocol == "udp"
    assert sort_connections(rows, "", False)[0].row.id == 1011


def test_figures_are_short() -> None:
    assert [rtt_text(value) for value in (None, 0.00002, 0.0004, 0.0123, 1.24)] == [
        None, "0.02 ms", "0.4 ms", "12 ms", "1.2 s",
    ]  # fmt: skip
    assert [resent_text(*pair) for pair in ((None, 1), (0, 0), (5, 1000), (40, 1000))] == [None, "0B", "5B", "40B 4%"]
    assert (end_text("192.0.2.1", 80), end_text("2001:db8::1", 80)) == ("192.0.2.1:80", "[2001:db8::1]:80")
    assert service(0, "tcp") == service(70_000, "tcp") == ""
    assert connection(ConnectionRow(id=1, local_port=22, remote_port=51_313)).port == service(22, "tcp")


# -- the tables


async def test_talkers_have_rates_totals_and_owners() -> None:
    lines = await lines_of(host(), size=(160, 40))
    text = "\n".join(lines)
    for word in ("PROCESS", "UNIT OR CONTAINER", "RETRANS", "totals since looking began", "web-db-1", "nginx.service",
                 "sockets of www-data", "to port 443"):  # fmt: skip
        assert word in text, word
    rows = [line for line in lines if "│" in line and ("B/s" in line or "not attributable" in line)]
    assert "not attributable" in rows[-1]
    assert any("rsync" in line and "B/s" in line for line in lines)


async def test_single_connections_have_ends_and_states() -> None:
    text = "\n".join(await lines_of(host(), "p", size=(200, 40)))
    for word in ("PROTO", "LOCAL", "REMOTE", "RTT", "192.0.2.10:40011", "198.51.100.11", "443", "established", "ms",
                 "of backup", "udp"):  # fmt: skip
        assert word in text, word


async def test_no_size_breaks_it() -> None:
    script = host()
    given = staged(script, Ledger(script, range(60)))
    app = make_app(given.services)
    async with app.run_test(size=(120, 40)) as pilot:
        await show(pilot, given, 4)
        await pilot.press("c", "p")
        for size in ((20, 5), (40, 12), (80, 24), (300, 80)):
            await pilot.resize_terminal(*size)
            await press(pilot, "enter")
            assert not any("fault of sysmon" in line for line in text_of(app))
            await press(pilot, "escape")
            assert all(len(line) <= size[0] for line in text_of(app))


async def test_without_colour_and_unicode_it_is_ascii() -> None:
    lines = await lines_of(host(), "p", "enter", glyphs=ASCII, theme="sysmon-mono")
    assert "\n".join(lines).isascii()


async def test_each_table_keeps_its_order_and_its_filter() -> None:
    script = host()
    given = staged(script, Ledger(script, range(60)))
    app = make_app(given.services)
    async with app.run_test(size=(160, 40)) as pilot:
        await show(pilot, given, 4)
        await press(pilot, "c", "slash", *"user:backup", "enter")
        talkers = app.screen.query_one("#talkers", Table)
        assert [row.label for row in talkers.rows] == ["rsync"]
        await press(pilot, "p")
        singles = app.screen.query_one("#singles", Table)
        assert singles.has_focus
        assert len(singles.rows) == 13
        await press(pilot, "slash", *"port:443 name:nginx", "enter")
        assert {row.label for row in singles.rows} == {"nginx"}
        await press(pilot, "p")
        assert [row.label for row in talkers.rows] == ["rsync"]
        await press(pilot, "escape")
        assert len(talkers.rows) == 7


async def test_a_range_is_not_theirs() -> None:
    assert any("since looking began" in line for line in (await lines_of(host(), "r"))[:2])


async def test_enter_on_a_process_shows_it_among_the_processes() -> None:
    script = host()
    given = staged(script, Ledger(script, range(60)))
    app = make_app(given.services)
    async with app.run_test(size=(120, 40)) as pilot:
        await show(pilot, given, 4)
        await press(pilot, "c", "slash", *"postgres", "enter", "enter")
        await until(pilot, lambda: isinstance(app.screen, ProcessesScreen))
        assert isinstance(app.screen, ProcessesScreen)
        await until(pilot, lambda: app.screen.query_one("#processes", Table).cursor_key == (75, 12.0))


async def test_what_belongs_to_no_process_says_so() -> None:
    lines = await lines_of(host(), "end", "enter")
    assert any("belongs to no process" in line or "not known" in line for line in lines[:2])


async def test_a_page_tells_of_one_connection_and_of_its_end() -> None:
    script = host()
    given = staged(script, Ledger(script, range(60)))
    app = make_app(given.services)
    async with app.run_test(size=(120, 40)) as pilot:
        await show(pilot, given, 4)
        await press(pilot, "c", "p", "enter")
        text = "\n".join(text_of(app))
        for word in ("firefox", "408", "192.0.2.10:40011", "198.51.100.11:443", "round trip", "payload"):
            assert word in text, word
        assert app.screen.query_one("#connection", ConnectionPage).has_focus
        frame = script.frame(5)
        assert frame.tables.connections is not None
        frame.tables.connections = [row for row in frame.tables.connections if row.id != 1011]
        given.source.push(frame)
        await until(pilot, lambda: any("it is closed" in line for line in text_of(app)))
        await press(pilot, "escape")
        assert app.screen.query_one("#singles", Table).has_focus


# -- names


async def test_names_are_asked_for_on_demand_of_what_is_in_view(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def ask(address: str) -> str:
        asked.append(address)
        return f"host-{address.rpartition('.')[2]}.example" if "." in address else ""

    def made(told: Callable[[], None]) -> Resolver:
        return Resolver(told, ask)

    monkeypatch.setattr(connections_tab, "Resolver", made)
    script = host()
    given = staged(script, Ledger(script, range(60)))
    app = make_app(given.services)
    async with app.run_test(size=(160, 12)) as pilot:
        await show(pilot, given, 4)
        await press(pilot, "c", "n")
        assert any("single connections" in line for line in text_of(app)[:2])
        await press(pilot, "p")
        assert asked == []
        await press(pilot, "n")
        assert any("this machine's resolver" in line for line in text_of(app)[:2])
        await until(pilot, lambda: any("host-11.example" in line for line in text_of(app)))
        shown = app.screen.query_one("#singles", Table).in_view
        assert set(asked) == {row.row.remote for row in shown if row.row.remote}
        await press(pilot, "n")
        await until(pilot, lambda: not any("host-11.example" in line for line in text_of(app)))


# -- why there are none, and the past


class Deaf(Talking):
    """A host that tells nothing of its connections."""

    def tables(self, second: int) -> Tables:
        """Without talkers and connections."""
        return Script.tables(self, second)


async def test_what_is_missing_says_why() -> None:
    quiet = Deaf(name="db-1", processes=2)
    assert any("waiting for the first look" in line for line in await lines_of(quiet))
    fault = Fault("connections", "denied", "netlink: operation not permitted", "run it as another user")
    text = "\n".join(await lines_of(Deaf(name="db-1", processes=2), faults=[fault]))
    assert "netlink: operation not permitted" in text
    assert "run it as another user" in text


class Told(Deaf):
    """A host of which another source tells."""

    target, origin = "ssh://root@db", ""

    @property
    def info(self) -> HostInfo:
        """With where it is read."""
        return replace(super().info, target=self.target, origin=self.origin)


async def test_a_host_that_never_tells_its_connections_is_not_waited_for() -> None:
    over_ssh = Told(name="db-1", processes=2)
    for keys in ((), ("p",)):
        text = "\n".join(await lines_of(over_ssh, *keys))
        assert "it is read over ssh" in text
        assert "waiting" not in text
    behind = Told(name="db-1", processes=2)
    behind.target, behind.origin = "http://hub:8200", "push"
    assert any("what it pushes leaves them out" in line for line in await lines_of(behind))
    other = Deaf(name="db-1", processes=2, missing=frozenset({"connections"}))
    assert any("db-1 does not tell its connections" in line for line in await lines_of(other))


async def test_a_connection_that_is_over_is_nobodys() -> None:
    over = connection(ConnectionRow(id=1, state="TIME-WAIT", local="192.0.2.1", local_port=1, remote="192.0.2.2"))
    hidden = connection(ConnectionRow(id=2, state="ESTAB", local="192.0.2.1", local_port=1, remote="192.0.2.2"))
    column = next(each for each in connection_columns(bits=False, names=False) if each.key == "name")
    assert column.spans is not None
    shown = ["".join(text for text, _ in column.spans(row, 20, DEFAULT_LOOK)) for row in (over, hidden)]
    assert shown == ["closed", "not ours to know"]


async def test_a_filter_that_fits_nobody_says_so() -> None:
    text = "\n".join(await lines_of(host(), "slash", *"nosuchthing"))
    assert "none of 7 match" in text


async def test_the_past_has_the_evidence_of_then_and_no_single_connections() -> None:
    script = host()
    given = staged(script, Ledger(script, range(60)))
    app = make_app(given.services)
    async with app.run_test(size=(120, 40)) as pilot:
        await show(pilot, given, 50)
        await press(pilot, "c")
        app.go_to((START + 30) * 1000)
        await until(pilot, lambda: app.screen.has_class("-past"))
        table = app.screen.query_one("#talkers", Table)
        await until(pilot, lambda: any(row.row.receive_rate == 1000.0 for row in table.rows))
        assert any("as of 22:26:58" in line for line in text_of(app))
        await press(pilot, "p")
        assert any("single connections are not recorded" in line for line in text_of(app))
        screen = app.screen
        assert isinstance(screen, NetworkScreen)
        assert screen.query_one("#singles", Table).rows == []


async def test_a_past_without_evidence_says_so() -> None:
    script = host()

    class Bare(Ledger):
        async def evidence(self, host: str, time: int) -> None:
            return None

    given = staged(script, Bare(script, range(60)))
    app = make_app(given.services)
    async with app.run_test(size=(120, 40)) as pilot:
        await show(pilot, given, 50)
        await press(pilot, "c")
        app.go_to((START + 30) * 1000)
        await until(pilot, lambda: any("not recorded of this moment" in line for line in text_of(app)))
