"""The state of a list on screen: which rows are in view, and a cursor that keeps to its row's key."""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic

from tui.renderables.columns import Row

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Sequence


class Viewport(Generic[Row]):
    """Rows, the first one in view, and the cursor.

    Until the cursor is first moved (or pinned) it rests on the first row, whichever that is. A pinned cursor keeps to
    its key through every new order; where its row is gone it stays at the place. It stays in view if it was in view
    before, or always while `follow` is set.
    """

    def __init__(self, row_key: Callable[[Row], Hashable]) -> None:
        self.row_key = row_key
        self.rows: Sequence[Row] = ()
        self.cursor = 0
        self.top = 0
        self.page = 0
        self.pinned = False
        self.follow = False
        self._told: Hashable = None

    @property
    def key(self) -> Hashable:
        """The key of the row under the cursor, or None without rows."""
        row = self.row
        return None if row is None else self.row_key(row)

    @property
    def row(self) -> Row | None:
        """The row under the cursor, or None without rows."""
        return self.rows[self.cursor] if self.cursor < len(self.rows) else None

    def set_rows(self, rows: Sequence[Row]) -> None:
        """Take rows in a new order."""
        was_visible = self.top <= self.cursor < self.top + self.page
        key = self.key
        self.rows = rows
        self.cursor = self._index_of(key) if self.pinned else 0
        if self.follow or (was_visible and self.pinned):
            self.reveal()
        self.clamp()

    def _index_of(self, key: Hashable) -> int:
        index = min(self.cursor, max(0, len(self.rows) - 1))
        if index < len(self.rows) and self.row_key(self.rows[index]) == key:
            return index
        return next((at for at, row in enumerate(self.rows) if self.row_key(row) == key), index)

    def find(self, key: Hashable) -> int:
        """The index of a key, or -1."""
        return next((at for at, row in enumerate(self.rows) if self.row_key(row) == key), -1)

    def move_to(self, index: int) -> None:
        """Put the cursor on a row, pin it there and bring it into view."""
        self.cursor = max(0, min(index, len(self.rows) - 1))
        self.pinned = True
        self.reveal()
        self.clamp()

    def scroll(self, rows: int) -> None:
        """Move the view, not the cursor."""
        self.top += rows
        self.clamp()

    def reveal(self) -> None:
        """Bring the cursor into view; nothing while the height of the view is not known."""
        if not self.page:
            return
        if self.cursor < self.top:
            self.top = self.cursor
        elif self.cursor >= self.top + self.page:
            self.top = self.cursor - self.page + 1

    def clamp(self) -> None:
        """Keep the view within the rows."""
        if self.page:
            self.top = max(0, min(self.top, len(self.rows) - self.page))

    def set_page(self, rows: int) -> None:
        """Take the number of rows that the view shows; a cursor that was in view stays so."""
        if rows == self.page:
            return
        was_visible = not self.page or self.top <= self.cursor < self.top + self.page
        self.page = rows
        if was_visible and self.pinned:
            self.reveal()
        self.clamp()

    def release(self) -> None:
        """Let the cursor rest on the first row again."""
        self.pinned = self.follow = False
        self.top = self.cursor = 0

    def take_change(self) -> bool:
        """Whether the cursor's key is another one than at the last call."""
        before, self._told = self._told, self.key
        return before != self._told
