"""A table for live data: only visible rows are drawn, only changed lines are sent, and the cursor keeps to its row."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Generic

from textual.actions import SkipAction
from textual.binding import Binding, BindingType
from textual.message import Message

from tui.renderables.columns import Column, Placed, Row, draw_header, draw_row, place
from tui.renderables.text import Spans, blank, strip
from tui.widgets.panel import Panel
from tui.widgets.viewport import Viewport

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable, Sequence

    from textual import events
    from textual.strip import Strip

    from tui.renderables.frame import Hint
    from tui.theme import Look

_WHEEL_ROWS = 3


class Table(Panel, Generic[Row]):
    """Rows of any type in columns, under a header that stays.

    The caller sorts; the table shows what it is given. Until the cursor is first moved it rests on the first row,
    whichever that is; then it keeps to its row's key through every new order (see Viewport).

    Args:
        columns: from left to right.
        row_key: a row's stable, hashable key.
        title: as for Panel, with the arguments after it.
        hotkey: as for Panel.
        hints: as for Panel.
        empty: shown where there are no rows.
        header: False leaves the header out.
        taggable: whether Space tags rows.
        position: whether the lower border shows "12/340".
        border: as for Panel.
        focusable: as for Panel; a table that is not shows no cursor.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "move(-1)", "Up", show=False, id="table.up"),
        Binding("down,j", "move(1)", "Down", show=False, id="table.down"),
        Binding("pageup,ctrl+b", "page(-1.0)", "Page up", show=False, id="table.page_up"),
        Binding("pagedown,ctrl+f", "page(1.0)", "Page down", show=False, id="table.page_down"),
        Binding("ctrl+u", "page(-0.5)", "Half page up", show=False, id="table.half_page_up"),
        Binding("ctrl+d", "page(0.5)", "Half page down", show=False, id="table.half_page_down"),
        Binding("home,g", "edge(-1)", "First", show=False, id="table.first"),
        Binding("G", "edge(1)", "Last", show=False, id="table.last"),
        Binding("end", "edge(1, True)", show=False, id="table.end"),
        Binding("enter", "select", "Open", show=False, id="table.open"),
        Binding("space", "tag", "Tag", show=False, id="table.tag"),
    ]

    class Event(Message):
        """What a table tells; `key` and `row` are those under the cursor, None without rows."""

        def __init__(self, table: Table[Any], key: Hashable, row: object) -> None:
            super().__init__()
            self.table: Table[Any] = table
            self.key = key
            self.row = row

        @property
        def control(self) -> Table[Any]:
            """The table, for `@on` with a selector."""
            return self.table

    class RowHighlighted(Event):
        """The cursor moved to another row, or its row was replaced by another key."""

    class RowSelected(Event):
        """Enter, a double click, or a click on the row under the cursor."""

    class TagsChanged(Event):
        """A row was tagged or untagged; `table.tagged` has them all."""

    class HeaderSelected(Message):
        """A click on a sortable column's title."""

        def __init__(self, table: Table[Any], column: str) -> None:
            super().__init__()
            self.table: Table[Any] = table
            self.column = column

        @property
        def control(self) -> Table[Any]:
            """The table, for `@on` with a selector."""
            return self.table

    def __init__(
        self,
        columns: Sequence[Column[Row]],
        row_key: Callable[[Row], Hashable],
        title: str = "",
        *,
        hotkey: str = "",
        subtitle: str | Spans = "",
        hints: Sequence[Hint] = (),
        empty: str = "nothing to show",
        header: bool = True,
        taggable: bool = False,
        position: bool = True,
        border: bool = True,
        focusable: bool = True,
        name: str | None = None,
        id: str | None = None,
        classes: str | None = None,
    ) -> None:
        super().__init__(
            title,
            hotkey=hotkey,
            subtitle=subtitle,
            hints=hints,
            border=border,
            focusable=focusable,
            name=name,
            id=id,
            classes=classes,
        )
        self._columns = tuple(columns)
        self._empty = empty
        self._header = header
        self._taggable = taggable
        self._position = position
        self._view: Viewport[Row] = Viewport(row_key)
        self._sort: tuple[str, bool] = ("", False)
        self._tagged: set[Hashable] = set()
        self._placed: list[Placed[Row]] = []
        self._cache: dict[Hashable, tuple[Row, tuple[bool, bool, bool], Strip]] = {}
        self._cache_for: tuple[int, Look] | None = None
        self._dragging = False

    # -- data

    @property
    def rows(self) -> Sequence[Row]:
        """The rows as last given."""
        return self._view.rows

    @property
    def cursor_index(self) -> int:
        """The index of the cursor's row; 0 without rows."""
        return self._view.cursor

    @property
    def cursor_key(self) -> Hashable:
        """The key of the row under the cursor, or None without rows."""
        return self._view.key

    @property
    def cursor_row(self) -> Row | None:
        """The row under the cursor, or None without rows."""
        return self._view.row

    @property
    def in_view(self) -> Sequence[Row]:
        """The rows that are seen, as far as the height is known."""
        return self.rows[self._view.top : self._view.top + self._view.page]

    @property
    def tagged(self) -> frozenset[Hashable]:
        """The keys of the tagged rows."""
        return frozenset(self._tagged)

    @property
    def follow(self) -> bool:
        """Whether the cursor's row is kept in view wherever the order takes it."""
        return self._view.follow

    @follow.setter
    def follow(self, follow: bool) -> None:
        self._view.follow = follow
        if follow:
            self._to(self._view.cursor)

    def set_rows(self, rows: Sequence[Row], *, sort: tuple[str, bool] | None = None) -> None:
        """Show these rows, in this order.

        Args:
            rows: kept, not copied: do not change it afterwards.
            sort: the (column key, largest first) by which they are sorted, for the arrow in the header.
        """
        self._view.set_rows(rows)
        self._sort = self._sort if sort is None else sort
        if self._tagged:
            self._tagged &= set(map(self._view.row_key, rows))
        self._after_move()

    def set_columns(self, columns: Sequence[Column[Row]]) -> None:
        """Show other columns."""
        self._columns = tuple(columns)
        self.redraw()

    def set_empty(self, message: str) -> None:
        """Say this where there are no rows; it may have several lines."""
        if message != self._empty:
            self._empty = message
            self.update_body()

    def redraw(self) -> None:
        """Draw every visible row anew: for cells that depend on more than their row."""
        self._cache_for = None
        self.update_body()

    def move_cursor(self, *, key: Hashable = None, index: int | None = None) -> bool:
        """Put the cursor on a row and show it.

        Args:
            key: the row's key; looked up in the rows.
            index: or its index, clamped.

        Returns:
            Whether there is such a row.
        """
        if index is None:
            index = self._view.find(key)
        if index < 0 or not self.rows:
            return False
        self._to(index)
        return True

    def release_cursor(self) -> None:
        """Let the cursor rest on the first row again, whichever it is."""
        self._view.release()
        self._after_move()

    def set_tagged(self, keys: Iterable[Hashable] = ()) -> None:
        """Tag these rows and no others."""
        tagged = set(keys) & set(map(self._view.row_key, self.rows))
        if tagged != self._tagged:
            self._tagged = tagged
            self.update_body()
            self.post_message(self.TagsChanged(self, self.cursor_key, self.cursor_row))

    # -- moving

    def _to(self, index: int) -> None:
        self._view.move_to(index)
        self._after_move()

    def _after_move(self) -> None:
        self.update_body()
        if self._view.take_change():
            self.post_message(self.RowHighlighted(self, self.cursor_key, self.cursor_row))

    def scroll_rows(self, rows: int) -> None:
        """Move the view by rows, not the cursor."""
        self._view.scroll(rows)
        self.update_body()

    def action_move(self, rows: int) -> None:
        """Move the cursor by rows."""
        self._to(self._view.cursor + rows)

    def action_page(self, pages: float) -> None:
        """Move the cursor, and the view with it, by pages."""
        rows = int(self._view.page * pages) or (1 if pages > 0 else -1)
        self._view.scroll(rows)
        self._to(self._view.cursor + rows)

    def action_edge(self, direction: int, shared: bool = False) -> None:
        """Move the cursor to an edge. `shared`: by a key that in the past is the app's."""
        if shared and self.in_past:
            raise SkipAction
        self._to(0 if direction < 0 else len(self.rows) - 1)

    def action_select(self) -> None:
        """Tell that the cursor's row was chosen."""
        if self.rows:
            self._view.pinned = True
            self.post_message(self.RowSelected(self, self.cursor_key, self.cursor_row))

    def action_tag(self) -> None:
        """Tag or untag the cursor's row and move on."""
        if not self._taggable or not self.rows:
            return
        key, row = self.cursor_key, self.cursor_row
        self._tagged ^= {key}
        self.post_message(self.TagsChanged(self, key, row))
        self._to(self._view.cursor + 1)

    # -- mouse

    def on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        """Scroll the view; the cursor stays on its row."""
        event.stop()
        self.scroll_rows(_WHEEL_ROWS)

    def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        """Scroll the view; the cursor stays on its row."""
        event.stop()
        self.scroll_rows(-_WHEEL_ROWS)

    def on_mouse_down(self, event: events.MouseDown) -> None:
        """Take hold of the scroll thumb."""
        if self._border and event.x == self.size.width - 1 and len(self.rows) > self._view.page:
            self._dragging = True
            self.capture_mouse()
            self._drag_to(event.y)
            event.stop()

    def on_mouse_move(self, event: events.MouseMove) -> None:
        """Drag the scroll thumb."""
        if self._dragging:
            self._drag_to(event.y)

    def on_mouse_up(self) -> None:
        """Let go of the scroll thumb."""
        if self._dragging:
            self._dragging = False
            self.release_mouse()

    def _drag_to(self, y: int) -> None:
        body = self.body_region
        self._view.top = round((y - body.y) / max(1, body.height - 1) * (len(self.rows) - self._view.page))
        self.scroll_rows(0)

    async def on_click(self, event: events.Click) -> None:
        """Sort by a title, or move to a row; a click on the cursor's row, or a double click, opens it."""
        body = self.body_region
        x, y = event.x - body.x, event.y - body.y
        if not (0 <= x < body.width and 0 <= y < body.height):
            return
        if self._header and y == 0:
            for placed in self._placed:
                if placed.start + 1 <= x < placed.start + 2 + placed.width and placed.column.sortable:
                    event.stop()
                    self.post_message(self.HeaderSelected(self, placed.column.key))
                    return
            return
        index = self._view.top + y - self._header
        if index >= len(self.rows):
            return
        event.stop()
        chosen = event.chain > 1 or (index == self._view.cursor and self._view.pinned)
        self._to(index)
        if chosen:
            self.action_select()

    # -- drawing

    def render_body(self, width: int, height: int) -> list[Strip]:
        """Draw the header and the visible rows, taking unchanged rows from the last time."""
        look = self.look
        if self._cache_for != (width, look):
            self._cache_for = (width, look)
            self._cache = {}
            # One cell at each side: the left one holds the tag.
            self._placed = place(self._columns, width - 2)
        lines: list[Strip] = [draw_header(self._placed, width, look, sort=self._sort)] if self._header else []
        view, palette = self._view, look.palette
        room = max(0, height - len(lines))
        view.set_page(max(1, room))
        focused = self.has_focus
        overlay = palette.selection if focused else palette.selection_blurred
        cache: dict[Hashable, tuple[Row, tuple[bool, bool, bool], Strip]] = {}
        for index in range(view.top, min(len(view.rows), view.top + room)):
            row = view.rows[index]
            key = view.row_key(row)
            here = index == view.cursor and self.can_focus and (focused or view.pinned)
            tagged = key in self._tagged
            state = (here, focused and here, tagged)
            cached = self._cache.get(key)
            if cached is not None and cached[1] == state and (cached[0] is row or cached[0] == row):
                line = cached[2]
            else:
                line = draw_row(self._placed, row, width, look, tagged=tagged, overlay=overlay if here else None)
            cache[key] = (row, state, line)
            lines.append(line)
        self._cache = cache
        if not view.rows and room:
            words = self._empty.split("\n")
            lines += [blank(width, palette.text)] * ((room - len(words)) // 2)
            for each in words[:room]:
                message = [(each, palette.dim)]
                lines.append(strip(message, width, palette.text, align="center", ellipsis=look.glyphs.ellipsis))
        return lines

    def frame_footer(self) -> str | Spans:
        """The cursor's place among the rows, where they do not all fit."""
        if self._footer or not self._position or not self.rows:
            return self._footer
        tags = f"{len(self._tagged)} tagged {self.look.glyphs.separator} " if self._tagged else ""
        return f"{tags}{self.cursor_index + 1}/{len(self.rows)}"

    def scroll_thumb(self, height: int) -> tuple[int, int]:
        """Where the visible rows lie among all."""
        room, total = height - self._header, len(self.rows)
        if total <= room or room < 2:
            return 0, 0
        size = max(1, round(room * room / total))
        start = round(self._view.top / (total - room) * (room - size)) + self._header
        return start, start + size
