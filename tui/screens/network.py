"""The Network screen: every interface at once, the traffic of one over the last minutes, and how TCP and UDP are."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from textual.actions import SkipAction
from textual.containers import Horizontal

from tui import keys_network
from tui.keys import bindings, label, present_keys, register
from tui.renderables.frame import Hint
from tui.screens.base import HostScreen
from tui.widgets.network_columns import columns
from tui.widgets.network_details import InterfaceDetails
from tui.widgets.network_graph import TrafficGraph
from tui.widgets.network_protocols import GRAPHED, ProtocolsPanel
from tui.widgets.network_rows import SORTS, Interface, InterfaceRows, sort_rows
from tui.widgets.network_usage import UsageBook
from tui.widgets.table import Table

if TYPE_CHECKING:
    from textual import events
    from textual.app import ComposeResult
    from textual.binding import BindingType
    from textual.geometry import Size

    from tui.model import View

KEYS = register(keys_network.SCOPE, keys_network.KEYS)


class NetworkScreen(HostScreen):
    """A table of interfaces under the graph of the one that the cursor is on."""

    NAME = "network"
    TITLE_TEXT = "Network"
    GRAPHED: ClassVar[tuple[str, ...]] = ("net.receive_rate", "net.transmit_rate", *GRAPHED)
    BINDINGS: ClassVar[list[BindingType]] = [*bindings(KEYS)]
    AUTO_FOCUS = "#interfaces"
    DEFAULT_CSS = """
    NetworkScreen #top { height: 50%; }
    NetworkScreen #protocols { width: 32; }
    NetworkScreen #beside { width: 50; display: none; }
    NetworkScreen #details { display: none; }
    NetworkScreen #interfaces { height: 1fr; }

    NetworkScreen.-short #top { height: 9; }
    NetworkScreen.-narrow #top { layout: vertical; height: 50%; }
    NetworkScreen.-narrow #protocols { width: 1fr; height: 7; }
    NetworkScreen.-narrow.-short #top { height: 11; }
    NetworkScreen.-narrow.-short #protocols { height: 3; }
    NetworkScreen.-tiny #top { display: none; }

    NetworkScreen.-wide #top { height: 60%; }
    NetworkScreen.-wide #protocols { width: 42; }
    NetworkScreen.-wide #beside { display: block; }
    NetworkScreen.-wide.-short #top { height: 50%; }

    NetworkScreen.-details #interfaces { display: none; }
    NetworkScreen.-details #details { display: block; }
    NetworkScreen.-details.-short #top { display: none; }
    NetworkScreen.-details.-narrow #top { display: none; }
    NetworkScreen.-details.-wide #beside { display: none; }
    """

    def __init__(self) -> None:
        super().__init__()
        self._bits = False
        self._busy_only = False
        self._sort: tuple[str, bool] = ("", False)
        self._rows = InterfaceRows()
        self._usage = UsageBook()
        self._shown: list[Interface] = []
        self._cells = ""

    def compose_body(self) -> ComposeResult:
        """Graph and protocols above, the table below."""
        with Horizontal(id="top"):
            yield TrafficGraph()
            yield InterfaceDetails(id="beside", focusable=False)
            yield ProtocolsPanel()
        yield Table[Interface](
            columns(bits=False), lambda row: row.name, "interfaces", hotkey="3", empty="no network interfaces",
            id="interfaces",
        )  # fmt: skip
        yield InterfaceDetails(id="details")

    def on_mount(self) -> None:
        """Say which keys there are."""
        self._hint()

    # -- showing

    @property
    def _table(self) -> Table[Interface]:
        return self.query_one("#interfaces", Table)

    @property
    def _whole(self) -> bool:
        """Whether all widgets are there; a worker may outlast them when the program ends."""
        return len(self.query("#traffic, #protocols, #interfaces")) == 3

    def show(self, view: View) -> None:
        """Draw the interfaces of a moment."""
        if not self._whole:
            return
        self._read_usage(view)
        rows = self._rows.build(view, self._usage.totals, step=15 if self.has_class("-narrow") else 10)
        quiet = sum(row.quiet for row in rows)
        kept = [row for row in rows if not (self._busy_only and row.quiet)]
        column, reverse = self._sort
        self._shown = sort_rows(kept, column, reverse)
        table = self._table
        faults = [fault.message for fault in view.state.faults if fault.collector == "network"]
        hidden = f"{len(rows)} of them, all quiet: {self._key('quiet')} shows them" if rows and self._busy_only else ""
        table.set_empty(hidden or (f"no network interfaces: {faults[0]}" if faults else "no network interfaces"))
        up = sum(bool(row.up) for row in rows)
        parts = [f"{up} of {len(rows)} up"] if any(row.up is not None for row in rows) else []
        if self._busy_only and quiet:
            parts.append(f"{quiet} hidden")
        if column or reverse:
            parts.append(f"by {column or 'interest'}" + (", reversed" if not column else ""))
        table.set_frame(subtitle="  ".join(parts), update=False)
        table.set_rows(self._shown, sort=self._sort)
        self.find_wanted(table)
        self.query_one(ProtocolsPanel).show(view)
        self._show_one(view)

    def _show_one(self, view: View) -> None:
        """The graph and the details of the interface under the cursor."""
        if not self._whole:
            return
        row = self._table.cursor_row
        self.query_one(TrafficGraph).show(view, row, bits=self._bits)
        for panel in self.query(InterfaceDetails):
            if panel.display:
                panel.show(view, row, bits=self._bits, problem=self._usage.problem)

    def _refresh(self) -> None:
        if self.view is not None:
            self.show(self.view)

    def on_table_row_highlighted(self) -> None:
        """Another interface."""
        if self.view is not None:
            self._show_one(self.view)

    def set_size_classes(self, size: Size) -> None:
        """Choose the columns too."""
        super().set_size_classes(size)
        cells = next((name for name in ("tiny", "narrow", "wide") if self.has_class(f"-{name}")), "")
        if cells != self._cells:
            self._cells = cells
            self._set_columns()

    def _set_columns(self) -> None:
        for table in self.query("#interfaces").results(Table):
            table.set_columns(columns(bits=self._bits, size=self._cells))

    def on_resize(self, event: events.Resize) -> None:
        """Panels that came into view have nothing yet."""
        super().on_resize(event)
        self.call_after_refresh(self._refresh)

    # -- totals

    def _read_usage(self, view: View) -> None:
        clock = self.services.clock
        if not self._usage.due(view, clock.boottime()):
            return
        history = self.services.history(view.info.id)
        if history is None:
            self._usage.problem = "nobody records this host"
            return
        book = self._usage

        async def read() -> None:
            await book.read(history, view)
            self._refresh()

        self.run_worker(read(), group="usage", exclusive=True)

    def on_screen_suspend(self) -> None:
        """Nobody looks: no totals are needed."""
        if self.workers.cancel_group(self, "usage"):
            self._usage.forget()

    # -- actions

    def _key(self, name: str) -> str:
        key = next(key for key in KEYS if key.id == name)
        return label(present_keys(key, self.services.config.keys)[0])

    def _hint(self) -> None:
        def hint(name: str, words: str) -> Hint:
            return Hint(self._key(name), words, f"screen.{name}")

        quiet = "show quiet ones" if self._busy_only else "hide quiet ones"
        self._table.set_frame(
            hints=[
                hint("details", "details"),
                hint("units", "bytes" if self._bits else "bits"),
                hint("quiet", quiet),
                Hint(f"{self._key('sort_left')} {self._key('sort_right')}", "sort", "screen.sort_beside(1)"),
            ]
        )
        self.query_one("#details", InterfaceDetails).set_frame(
            hints=[hint("close", "back"), hint("units", "bytes" if self._bits else "bits")]
        )

    def action_units(self) -> None:
        """Bytes or bits per second."""
        self._bits = not self._bits
        self._set_columns()
        self._hint()
        self._refresh()

    def action_quiet(self) -> None:
        """Hide or show what is of little interest."""
        self._busy_only = not self._busy_only
        self._hint()
        self._refresh()

    def action_details(self) -> None:
        """All about the interface under the cursor."""
        if self._table.cursor_row is None:
            return
        self.add_class("-details")
        self.query_one("#details", InterfaceDetails).focus()
        self._refresh_details()

    def _refresh_details(self) -> None:
        if self.view is not None:
            panel = self.query_one("#details", InterfaceDetails)
            panel.show(self.view, self._table.cursor_row, bits=self._bits, problem=self._usage.problem)
            self.call_after_refresh(self._refresh)

    def on_table_row_selected(self, event: Table.RowSelected) -> None:
        """Enter, or a click on the row under the cursor."""
        event.stop()
        self.action_details()

    def action_close(self) -> None:
        """Close the details; where there are none, Esc is the app's."""
        if not self.has_class("-details"):
            raise SkipAction
        self.remove_class("-details")
        self._table.focus()
        self.call_after_refresh(self._refresh)

    def action_reverse(self) -> None:
        """Reverse the order."""
        self._sort = (self._sort[0], not self._sort[1])
        self._refresh()

    def action_sort_beside(self, direction: int) -> None:
        """Sort by the next column at the left or the right; before the first is the screen's own order."""
        names = ["", *(name for name in SORTS if self._has_column(name))]
        at = names.index(self._sort[0]) if self._sort[0] in names else 0
        self._sort_by(names[(at + direction) % len(names)])

    def _has_column(self, name: str) -> bool:
        return any(placed.column.key == name for placed in self._table._placed)

    def _sort_by(self, column: str) -> None:
        self._sort = (column, SORTS.get(column, False))
        self._refresh()

    def on_table_header_selected(self, event: Table.HeaderSelected) -> None:
        """Sort by a column; again reverses; once more is the screen's own order."""
        event.stop()
        column, reverse = self._sort
        if event.column != column:
            self._sort_by(event.column)
        elif reverse == SORTS.get(column, False):
            self.action_reverse()
        else:
            self._sort_by("")


SCREEN = NetworkScreen
