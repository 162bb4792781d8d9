"""The interfaces of the Network screen: the graph of one over a table of all, or a range as bars over their totals."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, ClassVar

from textual.containers import Horizontal

from sysmon.bandwidth import known_from, range_of, used
from sysmon.zones import zone_of
from tui.networkfilter import kept
from tui.networkrange import period_of, range_words
from tui.networkread import (
    caps_of,
    read_caps,
    read_day_totals,
    read_p95,
    read_range,
    read_since,
    read_top_days,
    read_totals,
)
from tui.renderables.frame import Hint
from tui.widgets.network_chart import RangeChart
from tui.widgets.network_columns import columns
from tui.widgets.network_details import InterfaceDetails, Past
from tui.widgets.network_graph import TrafficGraph
from tui.widgets.network_protocols import ProtocolsPanel
from tui.widgets.network_ranged import RangedRows
from tui.widgets.network_rows import SORTS, Interface, InterfaceRows, sort_rows
from tui.widgets.network_tab import NetworkTab
from tui.widgets.network_totals import Sums, TotalsPanel
from tui.widgets.table import Table

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from textual.app import ComposeResult

    from sysmon.bandwidth import Amount
    from sysmon.caps import Standing
    from sysmon.frame import InterfaceRow
    from tui.model import View
    from tui.networkbook import Entry
    from tui.networkread import RangeTold

P95_SECONDS = 600.0
"""How old the percentile of a month may be: it asks for every five minutes of it."""


class InterfacesTab(NetworkTab):
    """A table of interfaces under the graph of the one that the cursor is on."""

    NAME = "interfaces"
    SORTS: ClassVar[Mapping[str, bool]] = SORTS

    def __init__(self) -> None:
        super().__init__(id="tab-interfaces")
        self._busy_only = False
        self._borrowed = False
        self._rows = InterfaceRows()
        self._ranged = RangedRows()
        self._all: list[Interface] = []

    def compose(self) -> ComposeResult:
        """Graph or bars with figures beside them, the table below."""
        with Horizontal(id="top"):
            yield TrafficGraph()
            yield RangeChart(id="bars")
            yield InterfaceDetails(id="beside", focusable=False)
            yield ProtocolsPanel()
            yield TotalsPanel(id="totals")
        yield Table[Interface](
            columns(bits=False), lambda row: row.key, "interfaces", hotkey="3", empty="no network interfaces",
            id="interfaces",
        )  # fmt: skip
        yield InterfaceDetails(id="details")

    @property
    def table(self) -> Table[Interface]:
        """The table."""
        return self.query_one("#interfaces", Table)

    @property
    def whole(self) -> bool:
        """Whether all widgets are there."""
        return len(self.query("#traffic, #bars, #protocols, #totals, #interfaces, #details")) == 6

    @property
    def ranged(self) -> bool:
        """Whether a range is shown rather than now."""
        return self.network.range != "now"

    def focus_list(self) -> None:
        """The details where they are open."""
        (self.query_one("#details", InterfaceDetails) if self.has_class("-details") else self.table).focus()

    def words_of_range(self, view: View) -> str:
        """The range."""
        zone = zone_of(view.info.timezone)
        return range_words(period_of(self.network.range, max(1, view.time), zone), zone)

    # -- showing

    def draw(self, view: View) -> None:
        """Draw the interfaces of a moment."""
        zone = zone_of(view.info.timezone)
        days = self.ask(
            view,
            ("days",),
            lambda history: read_day_totals(history, view.info.id, view.time, zone, live=view.live),
            empty=lambda told: not told[1],
        )
        today, month = days.value or ({}, {})

        def counting(name: str) -> bool:
            return view.value(f"net.receive:{name}") is not None

        listed = [row.name for row in view.state.tables.interfaces or ()] or view.state.instances("net.receive")
        usage = {
            name: (used(today, name, counted=counting(name)), used(month, name, counted=counting(name)))
            for name in {*today, *month, *listed}
        }
        network = self.network
        rows = self._rows.build(
            view, usage, step=15 if network.has_class("-narrow") else 10, told=self._structure(view)
        )
        told = self._told(view).value if self.ranged else None
        every = self._ranged.fill(rows, told, zone, counting)
        self._all = every
        whole = every[len(rows) :]
        quiet = sum(row.quiet for row in rows)
        found = [row for row in every[: len(rows)] if not (self._busy_only and row.quiet)]
        found = kept(found, self.terms, _facts)
        self.counts = (len(found), len(rows))
        shown = sort_rows(found, *self.sort)
        # The sum is no rival in the order: it stands below the rows, where it says something they do not.
        if whole and not self.filter and (self.ranged or len(whole[0].members) > 1):
            shown = [*shown, *whole]
        self._frame(view, rows, quiet)
        self.table.set_rows(shown, sort=self.sort)
        network.find_wanted(self.table)
        if not self.ranged:
            self.query_one(ProtocolsPanel).show(view)
        else:
            self._show_totals(view, whole[0] if whole else None, days)
        self.draw_one(view)

    def _structure(self, view: View) -> Sequence[InterfaceRow] | None:
        """What lies on what: of a moment that does not tell it, as it is now."""
        told = view.state.tables.interfaces
        self._borrowed = told is None and view.status.state == "replay"
        if self._borrowed:
            host = self.network.sysmon.model.hosts.get(view.info.id)
            told = host.state.tables.interfaces if host is not None else None
        return told

    def _frame(self, view: View, rows: Sequence[Interface], quiet: int) -> None:
        table = self.table
        faults = [fault.message for fault in view.state.faults if fault.collector == "network"]
        hidden = ""
        if rows and self.filter:
            hidden = f"none of {len(rows)} interfaces match: {self.network.key('close')} shows all"
        elif rows and self._busy_only:
            hidden = f"{len(rows)} of them, all quiet: {self.network.key('quiet')} shows them"
        table.set_empty(hidden or (f"no network interfaces: {faults[0]}" if faults else "no network interfaces"))
        up = sum(bool(row.up) for row in rows)
        parts = [f"{up} of {len(rows)} up"] if any(row.up is not None for row in rows) else []
        if self._busy_only and quiet:
            parts.append(f"{quiet} hidden")
        if self._borrowed and any(row.counts for row in rows):
            parts.append("what counts: as of now")
        parts += self.order_words("interest")
        table.set_frame(subtitle=self.fitted("interfaces", parts), update=False)

    def _told(self, view: View) -> Entry[RangeTold]:
        name, zone = self.network.range, zone_of(view.info.timezone)
        return self.ask(
            view,
            ("range", "interface", name),
            lambda history: read_range(history, view.info.id, "interface", name, view.time, zone, live=view.live),
            empty=lambda told: not told.amounts,
        )

    def _show_totals(
        self,
        view: View,
        whole: Interface | None,
        days: Entry[tuple[dict[str, Amount], dict[str, Amount]]],
    ) -> None:
        zone = zone_of(view.info.timezone)
        members = whole.members if whole is not None else ()
        p95 = self._p95(view, members).value if members else None
        known = self._known(view).value if members else None
        self.query_one(TotalsPanel).show(
            Sums(
                # Told by the minute: an estimate that changes every second says nothing more.
                time=view.time // 60_000 * 60_000,
                zone=zone,
                members=members,
                today=whole.today if whole is not None else None,
                month=whole.month if whole is not None else None,
                p95=p95,
                caps=self._caps(view, members),
                problem=days.problem,
                live=view.live,
                known=known or view.time,
            )
        )

    def _known(self, view: View) -> Entry[int]:
        """From when on this month is known: what went through came in no more time than that."""
        zone, host = zone_of(view.info.timezone), view.info.id
        month, _ = range_of("month", view.time, zone)
        return self.ask(
            view,
            ("known",),
            lambda history: known_from(history, host, "interface", month, view.time, zone),
            seconds=P95_SECONDS,
        )

    def _caps(self, view: View, members: tuple[str, ...]) -> tuple[Standing, ...]:
        services = self.network.services
        wanted = caps_of(services.config.caps, view.info, services.local)
        if not wanted:
            return ()
        zone, host = zone_of(view.info.timezone), view.info.id
        entry = self.ask(
            view,
            ("caps", members),
            lambda history: read_caps(history, host, view.time, zone, wanted, members),
            empty=lambda told: not told,
        )
        return tuple(entry.value or ())

    def _caps_on(self, view: View, row: Interface) -> tuple[Standing, ...]:
        """Those on one interface, or on all that count."""
        members = next((each.members for each in self._all if each.members), ())
        return tuple(
            stood
            for stood in self._caps(view, members)
            if row.members
            or (fnmatchcase(row.name, stood.cap.interface) if stood.cap.interface else members == row.names)
        )

    def _p95(self, view: View, names: tuple[str, ...]) -> Entry[tuple[float | None, float | None]]:
        zone, host = zone_of(view.info.timezone), view.info.id
        return self.ask(
            view,
            ("p95", names),
            lambda history: read_p95(history, host, view.time, zone, names),
            seconds=P95_SECONDS,
            empty=lambda told: None in told,
        )

    def draw_one(self, view: View) -> None:
        """The graph or the bars, and the details, of the interface under the cursor."""
        network, row = self.network, self.table.cursor_row
        if self.has_class("-details"):
            panel = self.query_one("#details", InterfaceDetails)
            panel.show(view, row, bits=network.bits, past=self._past(view, row))
        if self.ranged:
            entry = self._told(view)
            zone = zone_of(view.info.timezone)
            names = row.names if row is not None else ()
            title = "all that count" if row is not None and row.members else row.name if row is not None else "range"
            words = entry.problem or (f"reading{network.dots}" if entry.value is None else "")
            self.query_one(RangeChart).show(title, names, entry.value, zone, words)
        else:
            self.query_one(TrafficGraph).show(view, row, bits=network.bits)
        beside = self.query_one("#beside", InterfaceDetails)
        if beside.display:
            beside.show(view, row, bits=network.bits)

    def _past(self, view: View, row: Interface | None) -> Past:
        zone, host = zone_of(view.info.timezone), view.info.id
        if row is None:
            return Past(zone)
        names, time = row.names, view.time
        name = self.network.range if self.ranged else "today"
        told = self.ask(
            view,
            ("range", "interface", name),
            lambda history: read_range(history, host, "interface", name, time, zone, live=view.live),
        )
        totals = self.ask(
            view, ("totals",), lambda history: read_totals(history, host, "interface", time, zone, live=view.live)
        )
        days = self.ask(
            view,
            ("topdays", names),
            lambda history: read_top_days(history, host, "interface", time, zone, names, live=view.live),
            seconds=P95_SECONDS,
        )
        since = self.ask(
            view,
            ("since", names),
            lambda history: read_since(history, host, "interface", time, zone, names),
            seconds=P95_SECONDS,
            empty=lambda told: not told,
        )
        return Past(
            zone, told.value, totals.value, tuple(days.value or ()), self._p95(view, names).value,
            totals.problem or told.problem, vnstat_words(view, row), self._caps_on(view, row),
            min(since.value or (), default=None),
        )  # fmt: skip

    # -- what is chosen

    def lay_out(self) -> None:
        """The columns for the present size, unit and range."""
        network = self.network
        self.set_class(self.ranged, "-ranged")
        self.table.set_columns(columns(bits=network.bits, size=network.size_word, ranged=self.ranged))

    def hint(self) -> None:
        """Say which keys there are."""
        network = self.network
        units = self.key_hint("units", "bytes" if network.bits else "bits")
        self.table.set_frame(
            hints=[
                self.key_hint("details", "details"),
                self.key_hint("range", "range", "range(1)"),
                units,
                self.key_hint("quiet", "show quiet ones" if self._busy_only else "hide quiet ones"),
                self.key_hint("filter", "filter"),
                Hint(f"{network.key('sort_left')} {network.key('sort_right')}", "sort", "screen.sort_beside(1)"),
            ]
        )
        self.query_one("#details", InterfaceDetails).set_frame(
            hints=[self.key_hint("close", "back"), self.key_hint("range", "range", "range(1)"), units]
        )

    def toggle_quiet(self) -> None:
        """Hide or show what is of little interest."""
        self._busy_only = not self._busy_only
        self.hint()

    def open_details(self) -> None:
        """All about the interface under the cursor."""
        if self.table.cursor_row is None:
            return
        self.add_class("-details")
        self.query_one("#details", InterfaceDetails).focus()
        self.network.refresh_soon()


def _facts(row: Interface) -> dict[str, str]:
    return {
        "name": f"{row.name} {row.network}".lower(),
        "kind": row.kind or "",
        "state": row.state_word or "",
        "address": " ".join(row.addresses).lower(),
    }


def vnstat_words(view: View, row: Interface) -> str:
    """Returns what there is to be said of vnStat and an interface: what is wrong with it, or that it does not count
    this one; '' where it counts, or is not installed.
    """
    faults = [fault for fault in view.state.faults if fault.collector == "vnstat" and fault.kind != "unsupported"]
    if faults:
        return f"vnStat: {faults[0].message}"
    if row.members or view.value("vnstat.interfaces") is None or view.value(f"vnstat.total:{row.name}") is not None:
        return ""
    return f"vnStat does not count this interface: vnstat --add -i {row.name}"
