"""Hosts as cards in a grid: only those in view are drawn, only changed lines are sent, the cursor keeps to its host."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from textual.actions import SkipAction
from textual.binding import Binding, BindingType
from textual.message import Message
from textual.strip import Strip

from tui.renderables.fleetcard import Grid, card, fitting, lines_of, scrolling
from tui.renderables.frame import HintPlace, hint_label
from tui.renderables.text import beside, blank, spans_width, strip, width_of
from tui.widgets.panel import Panel
from tui.widgets.viewport import Viewport

if TYPE_CHECKING:
    from collections.abc import Hashable, Sequence

    from textual import events

    from tui.fleet import Entry
    from tui.pulse import Vital
    from tui.renderables.text import Spans
    from tui.theme import Look


class FleetCards(Panel):
    """The hosts as cards; as many across as the room allows, larger where they are few."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("left", "move(-1, 0)", show=False, id="cards.left"),
        Binding("right", "move(1, 0)", show=False, id="cards.right"),
        Binding("up,k", "move(0, -1)", show=False, id="cards.up"),
        Binding("down,j", "move(0, 1)", show=False, id="cards.down"),
        Binding("pageup,ctrl+b", "page(-1)", show=False, id="cards.page_up"),
        Binding("pagedown,ctrl+f", "page(1)", show=False, id="cards.page_down"),
        Binding("home,g", "edge(-1)", show=False, id="cards.first"),
        Binding("G", "edge(1)", show=False, id="cards.last"),
        Binding("end", "end", show=False, id="cards.end"),
        Binding("enter", "select", show=False, id="cards.open"),
    ]

    class Moved(Message):
        """The cursor is on another host."""

    class Chosen(Message):
        """Enter, or a click on the card under the cursor."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__("fleet", hotkey="2", border=False, id=id)
        self._view: Viewport[Entry] = Viewport(lambda entry: entry.key)
        self._empty = ""
        self._grid: Grid | None = None
        self._above = 0
        self._cache: dict[str, tuple[Entry, tuple[object, ...], list[Strip]]] = {}

    # -- data

    @property
    def rows(self) -> Sequence[Entry]:
        """The hosts as last given."""
        return self._view.rows

    @property
    def cursor_row(self) -> Entry | None:
        """The host under the cursor."""
        return self._view.row

    @property
    def cursor_key(self) -> Hashable:
        """Its key."""
        return self._view.key

    def set_rows(self, rows: Sequence[Entry]) -> None:
        """Show these, in this order."""
        self._view.set_rows(rows)
        self._after_move()

    def set_empty(self, message: str) -> None:
        """Say this where there are none."""
        self._empty = message

    def move_cursor(self, *, key: Hashable = None, index: int | None = None) -> bool:
        """Put the cursor on a host and show it; returns whether there is such a one."""
        if index is None:
            index = self._view.find(key)
        if not 0 <= index < len(self.rows):
            return False
        self._to(index)
        return True

    def in_view(self) -> Sequence[Entry]:
        """The hosts whose cards are seen."""
        grid, height = self._grid, self._room
        if grid is None or not height:
            return ()
        first = self._above * grid.across
        return self.rows[first : first + -(-height // grid.height) * grid.across]

    def lines(self) -> frozenset[Vital]:
        """The values that their cards have lines of."""
        return lines_of(self._grid) if self._grid is not None else frozenset()

    # -- moving

    def _to(self, index: int) -> None:
        self._view.move_to(index)
        self._reveal()
        self._after_move()

    def _after_move(self) -> None:
        self.update_body()
        if self._view.take_change():
            self.post_message(self.Moved())

    def _reveal(self) -> None:
        grid = self._grid
        if grid is None:
            return
        line, page = self._view.cursor // grid.across, max(1, self._room // grid.height)
        if line < self._above:
            self._above = line
        elif line >= self._above + page:
            self._above = line - page + 1

    def action_move(self, across: int, down: int) -> None:
        """Move the cursor."""
        columns = self._grid.across if self._grid is not None else 1
        index = self._view.cursor + across + down * columns
        if down and not 0 <= index < len(self.rows):
            index = self._view.cursor if down < 0 else max(self._view.cursor, len(self.rows) - 1)
        self._to(index)

    def action_page(self, pages: int) -> None:
        """Move the cursor by pages."""
        grid = self._grid
        if grid is not None:
            self._to(self._view.cursor + pages * grid.across * max(1, self._room // grid.height))

    def action_edge(self, direction: int) -> None:
        """To the first or the last."""
        self._to(0 if direction < 0 else len(self.rows) - 1)

    def action_end(self) -> None:
        """To the last; in the past the key is the app's."""
        if self.in_past:
            raise SkipAction
        self.action_edge(1)

    def action_select(self) -> None:
        """Open the host under the cursor."""
        if self.rows:
            self._view.pinned = True
            self.post_message(self.Chosen())

    def scroll_lines(self, lines: int) -> None:
        """Scroll by lines of cards."""
        self._above += lines
        self.update_body()

    def on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        """Scroll."""
        event.stop()
        self.scroll_lines(1)

    def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        """Scroll."""
        event.stop()
        self.scroll_lines(-1)

    async def on_click(self, event: events.Click) -> None:
        """Move to a card; a click on the one under the cursor, or a double click, opens it."""
        grid, x, y = self._grid, event.x, event.y - 1
        if y < 0:
            for place in self._hint_places:
                if place.start <= x < place.end:
                    event.stop()
                    await self.run_action(place.hint.action)
            return
        if grid is None:
            return
        column = x // grid.width
        index = (self._above + y // grid.height) * grid.across + column
        if column >= grid.across or index >= len(self.rows):
            return
        event.stop()
        chosen = event.chain > 1 or (index == self._view.cursor and self._view.pinned)
        self._to(index)
        if chosen:
            self.action_select()

    # -- drawing

    def render_body(self, width: int, height: int) -> list[Strip]:
        """Draw the title and the cards in view."""
        title = self._title_line(width)
        return [title, *self._draw_cards(width, max(0, height - 1))]

    def _title_line(self, width: int) -> Strip:
        """What stands in the upper border of a panel; cards have frames enough of their own."""
        look, palette = self.look, self.look.palette
        left: Spans = [(f" {look.glyphs.hotkey(self._hotkey)}", palette.hotkey), (self._title, palette.title)]
        told = "  ".join(filter(None, (str(self._subtitle), self._place())))
        room = width - width_of(told) - 3
        self._hint_places = []
        for hint in self._hints:
            words = hint_label(hint, look)
            start = spans_width(left) + 3
            end = start + spans_width(words)
            if end > room:
                break
            self._hint_places.append(HintPlace(start, end, hint))
            left += [("   ", palette.text), *words]
        dots = look.glyphs.ellipsis
        row = beside(left, [(f"{told} ", palette.dim)], width, palette.text, ellipsis=dots)
        return strip(row, width, palette.text, ellipsis=dots)

    def _draw_cards(self, width: int, height: int) -> list[Strip]:
        look, palette = self.look, self.look.palette
        rows = self.rows
        if not rows:
            above = [blank(width, palette.text)] * max(0, (height - 1) // 2)
            words: Spans = [(self._empty, palette.dim)]
            return [*above, strip(words, width, palette.text, align="center", ellipsis=look.glyphs.ellipsis)]
        grid = fitting(len(rows), width, height) or scrolling(width)
        self._grid = grid
        total = -(-len(rows) // grid.across)
        page = max(1, height // grid.height)
        self._above = max(0, min(self._above, total - page))
        cache: dict[str, tuple[Entry, tuple[object, ...], list[Strip]]] = {}
        lines: list[Strip] = []
        for line in range(self._above, min(total, self._above + -(-height // grid.height))):
            first = line * grid.across
            drawn = [
                self._card(rows[index], index, grid, look, cache)
                for index in range(first, min(len(rows), first + grid.across))
            ]
            rest = width - len(drawn) * grid.width
            lines += [Strip.join([*pieces, blank(rest, palette.text)]) for pieces in zip(*drawn, strict=True)]
        self._cache = cache
        return lines

    def _card(
        self,
        entry: Entry,
        index: int,
        grid: Grid,
        look: Look,
        cache: dict[str, tuple[Entry, tuple[object, ...], list[Strip]]],
    ) -> list[Strip]:
        here = index == self._view.cursor and (self.has_focus or self._view.pinned)
        state = (here, self.has_focus and here, grid, look)
        known = self._cache.get(entry.key)
        if known is None or known[1] != state or known[0] != entry:
            lines = card(entry, grid.width, grid.tall, look, chosen=here, focused=self.has_focus)
            known = (entry, state, lines)
        cache[entry.key] = known
        return known[2]

    def _place(self) -> str:
        """The cursor's place, where not all are in view."""
        grid = self._grid
        if grid is None or len(self.rows) <= grid.across * max(1, self._room // grid.height):
            return ""
        return f"{self._view.cursor + 1}/{len(self.rows)}"

    @property
    def _room(self) -> int:
        """Lines for cards."""
        return max(0, self.size.height - 1)
