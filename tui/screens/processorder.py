"""How the Processes screen sorts, arranges and folds its lines."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tui.processlisting import GROUPINGS, Listing, Mode
from tui.processtree import SORTS, Order, ancestors, item_key, row_key

if TYPE_CHECKING:
    from tui.processcolumns import Facts
    from tui.widgets.processlist import ProcessList
    from tui.widgets.table import Table


class OrderActions:
    """The part of the screen that changes the arrangement."""

    listing: Listing
    facts: Facts

    if TYPE_CHECKING:

        @property
        def table(self) -> ProcessList:
            """The list."""

        def redraw(self) -> None:
            """Draws the present view again."""

        def say(self, words: str) -> None:
            """Says something."""

    def action_sort(self, column: str) -> None:
        """Sorts by a column; by the same again, reverses."""
        order = self.listing.order
        largest = not order.largest if order.column == column else SORTS[column].largest
        self._sort(Order(column, largest))

    def action_sort_beside(self, step: int) -> None:
        """Sorts by the column beside."""
        shown = [key for key in self.table.placed_columns if key in SORTS]
        if not shown:
            return
        column = self.listing.order.column
        at = shown.index(column) if column in shown else -1 if step > 0 else 0
        column = shown[(at + step) % len(shown)]
        self._sort(Order(column, SORTS[column].largest))

    def action_reverse(self) -> None:
        """Reverses the order."""
        order = self.listing.order
        self._sort(Order(order.column, not order.largest))

    def _sort(self, order: Order) -> None:
        self.listing.order = order
        self.listing.held = None
        self.redraw()

    def on_table_header_selected(self, event: Table.HeaderSelected) -> None:
        """A click on a title."""
        event.stop()
        if event.column in SORTS:
            self.action_sort(event.column)

    def action_tree(self) -> None:
        """The tree, and back."""
        self._arrange("list" if self.listing.mode == "tree" else "tree")

    def action_group(self) -> None:
        """Groups by the next kind of owner, then the plain list."""
        kinds: tuple[Mode, ...] = ("list", *GROUPINGS)
        mode = self.listing.mode
        self._arrange(kinds[(kinds.index(mode) + 1) % len(kinds)] if mode in kinds else kinds[1])

    def _arrange(self, mode: Mode) -> None:
        listing = self.listing
        listing.mode = mode
        listing.held = None
        listing.folded = listing.grouping is not None
        listing.toggled.clear()
        self.redraw()

    def action_kernel(self) -> None:
        """Threads of the kernel."""
        self.listing.kernel = not self.listing.kernel
        self.redraw()

    def action_whole_machine(self) -> None:
        """CPU % of one core, or of all."""
        self.facts.whole = not self.facts.whole
        self.redraw()

    # -- folding

    def action_unfold(self) -> None:
        """Unfolds the line under the cursor."""
        self._fold("closed")

    def action_fold(self) -> None:
        """Folds it; where there is nothing to fold goes to its parent."""
        if self._fold("open"):
            return
        item = self.table.cursor_row
        if item is None or self.listing.mode == "list":
            return
        if self.listing.mode == "tree":
            parent = next(iter(ancestors(item.row, self.listing.rows)), None)
            if parent is not None:
                self.table.move_cursor(key=row_key(parent))
            return
        above = [each for each in self.listing.items[: self.table.cursor_index] if each.group]
        if above and not item.group:
            self.table.move_cursor(key=item_key(above[-1]))

    def on_process_list_fold_clicked(self, event: ProcessList.FoldClicked) -> None:
        """A click on the mark of a branch."""
        event.stop()
        self.action_toggle_fold()

    def action_toggle_fold(self) -> None:
        """Folds or unfolds."""
        item = self.table.cursor_row
        if item is not None and item.fold:
            self._fold(item.fold)

    def _fold(self, wanted: str) -> bool:
        item = self.table.cursor_row
        if item is None or item.fold != wanted:
            return False
        if self.listing.mode == "tree" and self.listing.query:
            self.say("branches stay open while a filter is on")
            return True
        self.listing.toggled ^= {item_key(item)}
        self.listing.held = None
        self.table.pin_cursor()
        self.redraw()
        return True

    def action_fold_all(self) -> None:
        """Folds all, or unfolds all."""
        if self.listing.mode == "list":
            self.say("t shows a tree, o groups: those fold")
            return
        self.listing.folded = not self.listing.folded
        self.listing.toggled.clear()
        self.redraw()
