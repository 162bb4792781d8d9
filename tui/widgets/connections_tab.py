"""Who on a host uses the line: by process, unit and container, or every connection with a page of its own."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Any, ClassVar

from sysmon.units import format_time
from sysmon.zones import zone_of
from tui import keys_network
from tui.connectionrows import (
    CONNECTION_SORTS,
    TALKER_SORTS,
    Connection,
    Talker,
    connection,
    connection_facts,
    sort_connections,
    sort_talkers,
    talker,
    talker_facts,
)
from tui.keys import bindings
from tui.networkfilter import FIELDS, kept, parse_filter
from tui.renderables.frame import Hint
from tui.resolver import Resolver
from tui.widgets.connections_columns import connection_columns, talker_columns
from tui.widgets.connections_page import ConnectionPage
from tui.widgets.network_tab import NetworkTab
from tui.widgets.table import Table

if TYPE_CHECKING:
    from collections.abc import Mapping

    from textual.app import ComposeResult
    from textual.binding import BindingType

    from sysmon.frame import TalkerRow
    from sysmon.records import Evidence
    from tui.model import View
    from tui.networkbook import Entry


class ConnectionsTab(NetworkTab):
    """A table of talkers or of connections, or the page of one connection."""

    NAME = "connections"
    TABLES = frozenset({"connections", "talkers"})
    BINDINGS: ClassVar[list[BindingType]] = [*bindings(keys_network.CONNECTION_KEYS)]
    DEFAULT_CSS = """
    ConnectionsTab #singles { display: none; }
    ConnectionsTab.-single #singles { display: block; }
    ConnectionsTab.-single #talkers { display: none; }
    ConnectionsTab #connection { display: none; }
    ConnectionsTab.-details #connection { display: block; }
    ConnectionsTab.-details #singles { display: none; }
    ConnectionsTab.-details #talkers { display: none; }
    """

    def __init__(self) -> None:
        super().__init__(id="tab-connections")
        self._sorts: dict[bool, tuple[str, bool]] = {False: ("", False), True: ("", False)}
        self._filters: dict[bool, str] = {False: "", True: ""}
        self._named: set[str] = set()
        self._resolver: Resolver | None = None
        self._pinned: Connection | None = None
        self._host = ""

    def compose(self) -> ComposeResult:
        """Both tables and the page, one of them shown."""
        yield Table[Talker](
            talker_columns(bits=False), lambda row: row.key, "processes", hotkey="3", id="talkers"
        )  # fmt: skip
        yield Table[Connection](
            connection_columns(bits=False, names=False), lambda row: row.key, "connections", hotkey="3", id="singles"
        )
        yield ConnectionPage(id="connection")

    @property
    def single(self) -> bool:
        """Whether every connection is shown rather than who has them."""
        return self.has_class("-single")

    @property
    def table(self) -> Table[Any]:
        """The table shown."""
        return self.query_one("#singles" if self.single else "#talkers", Table)

    @property
    def page(self) -> ConnectionPage:
        """The page of one connection."""
        return self.query_one("#connection", ConnectionPage)

    @property
    def whole(self) -> bool:
        """Whether all widgets are there."""
        return len(self.query("#talkers, #singles, #connection")) == 3

    @property
    def fields(self) -> Mapping[str, str]:
        """Those of the table shown."""
        return FIELDS["connections" if self.single else "talkers"]

    @property
    def sorts(self) -> Mapping[str, bool]:
        """Those of the table shown."""
        return CONNECTION_SORTS if self.single else TALKER_SORTS

    def focus_list(self) -> None:
        """The page where it is open."""
        (self.page if self.has_class("-details") else self.table).focus()

    def count(self, view: View) -> int | None:
        """How many connections there are; None where nobody told."""
        return len(view.state.tables.connections) if view.state.tables.connections is not None else None

    # -- showing

    def draw(self, view: View) -> None:
        """Draw a moment."""
        if view.info.id != self._host:
            self._host, self._pinned = view.info.id, None
            self.close_details()
        if self.single:
            self._draw_singles(view)
        else:
            self._draw_talkers(view)
        self.network.find_wanted(self.table)
        self.draw_one(view)

    def _draw_talkers(self, view: View) -> None:
        words = ""
        if view.status.state == "replay":
            entry = self._evidence(view)
            evidence = entry.value[0] if entry.value else None
            rows: list[TalkerRow] | None = evidence.talkers if evidence is not None else []
            when = ""
            if evidence is not None:
                when = f"as of {format_time(evidence.time, zone_of(view.info.timezone), date=False)}"
            if not rows:
                words = entry.problem or (
                    f"reading{self.network.dots}" if entry.value is None
                    else "who used the network is not recorded of this moment"
                )  # fmt: skip
        else:
            rows = view.state.talkers if view.state.tables.talkers is not None else None
            when = "totals since looking began"
            words = self._why(view)
        every = [talker(row) for row in rows or ()]
        found = kept(every, self.terms, talker_facts)
        self.counts = (len(found), len(every))
        if every and not found:
            words = f"none of {len(every)} match\n{self.network.key('close')} shows all"
        parts = [when] if every and when else []
        self._frame(words, [*parts, *self.order_words("use")])
        self.table.set_rows(sort_talkers(found, *self.sort), sort=self.sort)

    def _evidence(self, view: View) -> Entry[tuple[Evidence | None]]:
        async def read(history: Any) -> tuple[Evidence | None]:
            return (await history.evidence(view.info.id, view.time),)

        return self.ask(view, ("evidence",), read)

    def _draw_singles(self, view: View) -> None:
        past = view.status.state == "replay"
        rows = view.state.connections if view.state.tables.connections is not None and not past else []
        named = view.info.id in self._named
        every = [connection(row, self._name_of(row.remote) if named else "") for row in rows]
        found = kept(every, self.terms, connection_facts)
        self.counts = (len(found), len(every))
        words = self._why(view)
        if past:
            words = f"single connections are not recorded\n{self.network.key('single')} shows who used the network then"
        elif every and not found:
            words = f"none of {len(every)} match\n{self.network.key('close')} shows all"
        asked = ["names by this machine's resolver"] if named else []
        self._frame(words, [*asked, *self.order_words("use")])
        self.table.set_rows(sort_connections(found, *self.sort), sort=self.sort)
        if named and self._resolver is not None:
            # No more than is looked at: others' names are nobody's business.
            self._resolver.want(row.row.remote for row in self.table.in_view)
        if self._pinned is not None:
            key = self._pinned.key
            self._pinned = next((row for row in every if row.key == key), self._pinned)

    def _why(self, view: View) -> str:
        faults = [fault for fault in view.state.faults if fault.collector == "connections"]
        if faults:
            return "\n".join(line for line in (faults[0].message, faults[0].hint) if line)
        if view.status.state in ("stale", "offline"):
            return f"{view.info.label} is {view.status.state}\n{view.status.message}".strip()
        told = view.state.tables.connections if self.single else view.state.tables.talkers
        if told is None:
            return _untold(view) or "waiting for the first look at its connections"
        return "no connection is open" if self.single else "nobody uses the network"

    def _frame(self, words: str, parts: list[str]) -> None:
        self.table.set_empty(words)
        self.table.set_frame(subtitle=self.fitted("connections", parts), update=False)

    def draw_one(self, view: View) -> None:
        """The page of the connection that it was opened for."""
        if self.has_class("-details"):
            pinned = self._pinned
            gone = pinned is None or all(row.key != pinned.key for row in self.query_one("#singles", Table).rows)
            self.page.show(pinned, bits=self.network.bits, gone=gone and not self.filter)

    # -- what is chosen

    def lay_out(self) -> None:
        """The columns for the present size and unit."""
        network = self.network
        named = self._host in self._named
        talkers: Table[Talker] = self.query_one("#talkers", Table)
        singles: Table[Connection] = self.query_one("#singles", Table)
        talkers.set_columns(talker_columns(bits=network.bits, size=network.size_word))
        singles.set_columns(connection_columns(bits=network.bits, names=named, size=network.size_word))

    def hint(self) -> None:
        """Say which keys there are."""
        network = self.network
        units = self.key_hint("units", "bytes" if network.bits else "bits")
        sort = Hint(f"{network.key('sort_left')} {network.key('sort_right')}", "sort", "screen.sort_beside(1)")
        self.query_one("#talkers", Table).set_frame(
            hints=[
                self.key_hint("details", "its process"), self.key_hint("single", "every connection"), units,
                self.key_hint("filter", "filter"), sort,
            ]
        )  # fmt: skip
        named = self._host in self._named
        self.query_one("#singles", Table).set_frame(
            hints=[
                self.key_hint("details", "details"), self.key_hint("single", "by process"),
                self.key_hint("names", "no names" if named else "names"), self.key_hint("open_process", "its process"),
                units, self.key_hint("filter", "filter"), sort,
            ]
        )  # fmt: skip
        self.page.set_frame(hints=[self.key_hint("close", "back"), self.key_hint("open_process", "its process"), units])

    def toggle_single(self) -> None:
        """By process, or every connection; each keeps its order and its filter."""
        self.close_details()
        before = self.single
        self._sorts[before], self._filters[before] = self.sort, self.filter
        self.set_class(not before, "-single")
        self.sort, self.filter = self._sorts[not before], self._filters[not before]
        self.terms = parse_filter(self.filter, self.fields)
        self.table.focus()
        self.network.refresh_soon()

    def open_details(self) -> None:
        """The page of a connection; of a talker its process."""
        row = self.table.cursor_row
        if row is None:
            return
        if isinstance(row, Talker):
            self.open_process()
            return
        self._pinned = row
        self.add_class("-details")
        self.page.focus()
        self.network.refresh_soon()

    def open_process(self) -> None:
        """Shows the process under the cursor on the Processes screen."""
        app = self.network.sysmon
        row = self._pinned if self.has_class("-details") else self.table.cursor_row
        if row is None:
            return
        raw = row.row
        if raw.pid is None:
            nobodys = not row.label or (isinstance(row, Connection) and row.closed)
            app.say("that belongs to no process" if nobodys else "whose process that is is not known")
            return
        app.call_later(app.open_at, "processes", (raw.pid, raw.started))

    # -- names

    def _name_of(self, address: str) -> str:
        return (self._resolver.name(address) or "") if self._resolver is not None else ""

    def toggle_names(self) -> None:
        """Asks for names of the remote addresses in view, of this host alone; or no longer."""
        app, host = self.network.sysmon, self._host
        if not self.single:
            app.say(f"names are those of single connections: {self.network.key('single')} shows them")
            return
        if host in self._named:
            self._named.discard(host)
            self.rest()
        else:
            self._named.add(host)
            if self._resolver is None:
                loop = asyncio.get_running_loop()
                self._resolver = Resolver(lambda: self._told(loop))
            app.say(f"asking this machine's resolver for the addresses in view; {self.network.key('names')} stops that")
        self.lay_out()
        self.hint()

    def _told(self, loop: asyncio.AbstractEventLoop) -> None:
        """Runs in a thread of the resolver, which may outlast the program's end."""
        with suppress(RuntimeError):
            loop.call_soon_threadsafe(self._refresh_named)

    def _refresh_named(self) -> None:
        if self.is_attached:
            self.network.refresh_soon()

    def rest(self) -> None:
        """Nobody looks: no names are asked for."""
        if self._resolver is not None:
            self._resolver.rest()

    def on_unmount(self) -> None:
        """Lets the threads go."""
        if self._resolver is not None:
            self._resolver.close()


def _untold(view: View) -> str:
    """Why a host will never tell its connections; '' where it may."""
    info, intervals = view.info, view.state.intervals
    source = info.origin or info.target
    if source.startswith("ssh://"):
        why = f"connections of {info.label} are not told: it is read over ssh"
    elif source == "push":
        why = f"connections of {info.label} are not told: what it pushes leaves them out"
    elif intervals and "connections" not in intervals:
        why = f"{info.label} does not tell its connections"
    else:
        return ""
    return f"{why}\na screen on it shows them, or one that asks an agent there"
