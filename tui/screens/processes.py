"""The Processes screen: list, tree or groups; filter, follow, details; signals and nice values."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, ClassVar

from textual.containers import Horizontal

from tui.keys import bindings, register
from tui.keys_processes import KEYS
from tui.processactions import Nices
from tui.processcolumns import Facts, columns
from tui.processheading import mode_word, subtitle, what_is_missing
from tui.processlisting import HOLD_SECONDS, Followed, Listing
from tui.processtree import Item, ancestors, item_key, row_key
from tui.screens.base import HostScreen
from tui.screens.processact import ProcessActions
from tui.screens.processorder import OrderActions
from tui.widgets.processdetails import Detail, ProcessDetails
from tui.widgets.processlist import ProcessList, hints
from tui.widgets.querybar import QueryBar

if TYPE_CHECKING:
    from collections.abc import Sequence

    from textual.app import ComposeResult
    from textual.binding import BindingType
    from textual.geometry import Size

    from sysmon.frame import ProcessRow
    from tui.model import View
    from tui.widgets.table import Table

SIDE_BY_SIDE = 140
"""Columns from which the details stand beside the list instead of in its place."""

register("processes", KEYS)


class ProcessesScreen(OrderActions, ProcessActions, HostScreen):
    """All processes of a host."""

    NAME = "processes"
    TITLE_TEXT = "Processes"
    TABLES = frozenset({"processes"})
    BINDINGS: ClassVar[list[BindingType]] = [*bindings(KEYS)]
    AUTO_FOCUS = "#processes"
    DEFAULT_CSS = """
    ProcessesScreen #body { height: 1fr; }
    ProcessesScreen ProcessDetails { display: none; width: 1fr; }
    ProcessesScreen.-details ProcessDetails { display: block; }
    ProcessesScreen.-details ProcessList { display: none; }
    ProcessesScreen.-details.-side ProcessList { display: block; }
    ProcessesScreen.-details.-side ProcessDetails { width: 58; }
    """

    def __init__(self) -> None:
        super().__init__()
        self.listing = Listing()
        self.facts = Facts()
        self._nices = Nices()
        self._host = ""
        self._asked_for: tuple[str, str] = ("", "")
        self._laid_out: tuple[object, ...] = ()
        self.holds = False
        self._pinned: ProcessRow | None = None

    def compose_body(self) -> ComposeResult:
        """The list, the details beside or over it, and the line for the filter."""
        with Horizontal(id="body"):
            yield ProcessList(id="processes")
            yield ProcessDetails(id="details")
        yield QueryBar(id="query")

    @property
    def table(self) -> ProcessList:
        """The list."""
        return self.query_one(ProcessList)

    @property
    def details(self) -> ProcessDetails:
        """The pane with one process."""
        return self.query_one(ProcessDetails)

    @property
    def bar(self) -> QueryBar:
        """The line for the filter."""
        return self.query_one(QueryBar)

    def set_size_classes(self, size: Size) -> None:
        """Also `-side`: whether the details stand beside the list."""
        super().set_size_classes(size)
        self.set_class(size.width >= SIDE_BY_SIDE, "-side")

    def say(self, words: str) -> None:
        """Says something in the header for a while."""
        self.app.say(words)

    # -- showing

    def show(self, view: View) -> None:
        """Draws a view; while a dialog asks about processes nothing moves."""
        if self.holds:
            return
        if view.info.id != self._host:
            self._change_host(view)
        if view.time != self._nices.time:
            self._nices.clear(view.time)
        self._learn(view)
        self._draw(view)

    def _change_host(self, view: View) -> None:
        self._host = view.info.id
        self.listing.followed = None
        self.listing.trail.clear()
        self.listing.toggled.clear()
        self.listing.items = []
        self._pinned = None
        self.facts = Facts(whole=self.facts.whole)

    def _learn(self, view: View) -> None:
        """Takes what cells need to know of the host."""
        facts, frame = self.facts, view.state.frame
        before = (facts.memory, facts.cores, facts.user, facts.missing)
        facts.memory = view.value("memory.total") or (view.info.memory or None)
        facts.cores = int(view.value("cpu.cores") or view.info.cpus or 1)
        facts.now = view.time / 1000
        facts.missing = self.table.look.glyphs.missing
        if frame is not None:
            facts.booted = round(frame.time / 1000 - frame.monotonic / 1e9)
        if view.processes:
            facts.digits = max(facts.digits, len(str(max([row.pid for row in view.processes]))))
        actions = self.services.actions(view.info.id)
        if actions is not None and not facts.user:
            facts.user = own_user(view.processes)
        facts.gpu = (
            facts.gpu
            or any([row.gpu_memory is not None for row in view.processes])
            or any(gpu.processes for gpu in view.state.tables.gpus or ())
        )
        if before != (facts.memory, facts.cores, facts.user, facts.missing):
            self.table.redraw()

    def _draw(self, view: View) -> None:
        table, listing = self.table, self.listing
        self._lay_out()
        items = listing.arrange(view, table.look.glyphs, trails="trail" in table.placed_columns)
        spans = subtitle(view, listing, self.facts, table.look)
        table.set_heading(mode_word(listing), listing.query.text.strip(), spans)
        if not items:
            table.set_empty(what_is_missing(view, listing))
        table.set_rows(items, sort=(listing.order.column, listing.order.largest))
        self._leave_ancestor(table)
        self.find_wanted(table)
        if listing.followed is not None and table.cursor_key != row_key(listing.followed.row):
            table.place_cursor(row_key(listing.followed.row))
        if self.bar.is_open:
            self.bar.set_count(listing.shown, listing.among)
        if self.has_class("-details"):
            self._show_details(view)

    def _leave_ancestor(self, table: ProcessList) -> None:
        """Where a filter has just come or changed, moves the cursor off a line that it leaves only as an ancestor."""
        asked = (self.listing.query.text, self.listing.mode)
        if asked == self._asked_for:
            return
        self._asked_for = asked
        table.forget_choice()
        item = table.cursor_row
        if item is not None and item.dim and self.listing.followed is None:
            match = next((each for each in table.rows if not each.dim), None)
            if match is not None:
                table.place_cursor(item_key(match))

    def _lay_out(self) -> None:
        """Gives the list the columns for its width."""
        facts = self.facts
        wanted = (self.table.size.width, facts.gpu, facts.whole, facts.cores, facts.digits, self.listing.mode)
        if wanted != self._laid_out:
            self._laid_out = wanted
            made = columns(self.table.size.width, facts, grouped=self.listing.grouping is not None)
            self.table.set_frame(hints=hints(self.table.size.width, self.listing.mode), update=False)
            self.table.set_columns(made)

    def redraw(self) -> None:
        """Draws the present view again, for what the user changed."""
        if self.view is not None:
            self._draw(self.view)

    def on_process_list_resized(self, event: ProcessList.Resized) -> None:
        """Other columns fit."""
        event.stop()
        self._lay_out()

    # -- filter

    def action_filter(self) -> None:
        """Opens the line for the filter."""
        rows = self.listing.rows
        values = {
            "user": {row.user for row in rows}, "name": {row.name for row in rows},
            "unit": {row.unit for row in rows if row.unit},
            "container": {row.container for row in rows if row.container},
        }  # fmt: skip
        self._close_details()
        self.bar.open(self.listing.query, values)
        self.redraw()

    def on_query_bar_changed(self, event: QueryBar.Changed) -> None:
        """A filter counts as soon as it is one."""
        event.stop()
        self.listing.query = event.query
        self.listing.held = None
        self.redraw()

    def on_query_bar_closed(self, event: QueryBar.Closed) -> None:
        """Back to the list."""
        event.stop()
        self.listing.query = event.query
        self.table.focus()
        self.redraw()

    # -- cursor, follow, details

    def on_process_list_moved(self, event: ProcessList.Moved) -> None:
        """The user moved the cursor: hold the order for a moment, and follow no more."""
        event.stop()
        if self.view is not None:
            self.listing.held = self.view.time + int(HOLD_SECONDS * 1000)
        if self.listing.followed is not None and self.table.cursor_key != row_key(self.listing.followed.row):
            self._unfollow()

    def _unfollow(self) -> None:
        self.listing.followed = None
        self.table.stick(False)
        self.redraw()

    def action_follow(self) -> None:
        """Follows the process under the cursor, or no longer."""
        item = self.table.cursor_row
        if self.listing.followed is not None:
            self._unfollow()
        elif item is not None and not item.group:
            self.listing.followed = Followed(item.row)
            self.listing.held = None
            self.table.stick(True)
            self.redraw()

    def on_table_row_selected(self, event: Table.RowSelected) -> None:
        """Enter: details; of a group, its members."""
        event.stop()
        item = event.row
        if isinstance(item, Item) and item.group:
            self._fold(item.fold)
        else:
            self.action_details()

    def on_table_row_highlighted(self, event: Table.RowHighlighted) -> None:
        """Beside the list, the details are those of the process under the cursor."""
        event.stop()
        if self.has_class("-details", "-side") and isinstance(event.row, Item) and not event.row.group:
            self._pinned = event.row.row
            if self.view is not None:
                self._show_details(self.view)

    def action_details(self) -> None:
        """Opens the details of the process under the cursor, or closes them."""
        item = self.table.cursor_row
        if self.has_class("-details"):
            self._close_details()
        elif item is not None and not item.group and self.view is not None:
            self._pinned = item.row
            self.table.pin_cursor()
            self.add_class("-details")
            self._show_details(self.view)
            if not self.has_class("-side"):
                self.details.focus()

    def _close_details(self) -> None:
        if self.has_class("-details"):
            self.remove_class("-details")
            self.table.focus()
            self.redraw()

    def _show_details(self, view: View) -> None:
        if self._pinned is None:
            self.details.show(None)
            return
        key, rows = row_key(self._pinned), self.listing.rows
        row = next((row for row in rows if row_key(row) == key), None)
        past = view.status.state == "replay"
        note = ""
        if row is None:
            row = self._pinned
            note = (
                "not among the processes kept for this moment" if past else "it has ended; this is what was seen last"
            )
        else:
            self._pinned = row
        children = sorted((each for each in rows if each.ppid == row.pid), key=lambda each: -(each.cpu or 0.0))
        points = [] if past else self.listing.trail.points(row)
        detail = Detail(row, ancestors(row, rows), children, points, self.facts, view.time, note, past)
        self.details.show(detail)

    async def action_close(self) -> None:
        """One thing back: details, following, the filter; then as everywhere."""
        if self.has_class("-details") and self.maximized is None:
            self._close_details()
        elif self.maximized is None and (self.view is None or self.view.status.state != "replay"):
            if self.listing.followed is not None:
                self._unfollow()
                return
            if self.listing.query:
                self.listing.query = type(self.listing.query)("", None)
                self.redraw()
                return
            await self.app.run_action("leave")
        else:
            await self.app.run_action("leave")


def own_user(rows: Sequence[ProcessRow]) -> str:
    """Returns who runs this program, as its own row says; '' where that is not among the rows."""
    own = os.getpid()
    return next((row.user for row in rows if row.pid == own), "")


SCREEN = ProcessesScreen
