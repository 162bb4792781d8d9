"""The table of processes: keeps still for a moment after the cursor was moved, and shows the filter in its border."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual.message import Message

from tui.processtree import Item, item_key
from tui.renderables.frame import Hint, rule
from tui.renderables.text import Spans, shorten
from tui.widgets.table import Table

if TYPE_CHECKING:
    from collections.abc import Hashable

    from rich.style import Style
    from textual import events
    from textual.strip import Strip

    from tui.theme import Look

_HINTS = (
    Hint("/", "filter", "screen.filter"),
    Hint("Enter", "details", "screen.details"),
    Hint("t", "tree", "screen.tree"),
    Hint("o", "group", "screen.group"),
    Hint("x", "signal", "screen.signal"),
    Hint("F", "follow", "screen.follow"),
    Hint("n", "nice", "screen.ask_nice"),
    Hint("I", "reverse", "screen.reverse"),
    Hint("C", "cpu %", "screen.whole_machine"),
    Hint("K", "kernel", "screen.kernel"),
)
_FOLD = (Hint("e", "fold", "screen.toggle_fold"), Hint("E", "fold all", "screen.fold_all"))


def hints(width: int, mode: str) -> list[Hint]:
    """The keys to show in the lower border: as many as leave room for the cursor's place."""
    ordered = [*_HINTS[:2], *_FOLD, *_HINTS[2:]] if mode != "list" else list(_HINTS)
    shown: list[Hint] = []
    room = width - 16
    for hint in ordered:
        room -= 2 + len(hint.label) + (0 if hint.label.startswith(hint.key) else len(hint.key) + 1)
        if room < 0:
            break
        shown.append(hint)
    return shown


class ProcessList(Table[Item]):
    """Lines of processes, groups and branches."""

    class Moved(Message):
        """The user moved the cursor."""

    class Resized(Message):
        """It has another width: other columns fit."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__((), item_key, "processes", hotkey="4", taggable=True, empty="collecting…", id=id)
        self._query = ""
        self._mode = ""
        self._touched = True
        self._chosen: Hashable = None

    @property
    def cursor_chosen(self) -> bool:
        """Whether the user, and not the program or a new order, put the cursor on its line."""
        return self._chosen is not None and self._chosen == self.cursor_key

    def forget_choice(self) -> None:
        """Count the cursor's line as not chosen: other lines are shown now."""
        self._chosen = None

    def place_cursor(self, key: Hashable) -> bool:
        """Puts the cursor on a line, as the program and not the user does."""
        self._touched = False
        try:
            return self.move_cursor(key=key)
        finally:
            self._touched = True

    def pin_cursor(self) -> None:
        """Keeps the cursor on its line, whatever the order, without moving it."""
        self._view.pinned = True

    def stick(self, on: bool) -> None:
        """Keeps the cursor's line in view, wherever the order takes it."""
        self._touched = False
        try:
            self.follow = on
        finally:
            self._touched = True

    def _to(self, index: int) -> None:
        super()._to(index)
        if self._touched:
            self._chosen = self.cursor_key
            self.post_message(self.Moved())

    class FoldClicked(Message):
        """The mark of a branch or group was clicked; the cursor is on its line."""

    async def on_click(self, event: events.Click) -> None:
        """A click on the mark of a branch folds it; else the table's own handler, which comes next, deals with it."""
        body = self.body_region
        x, y = event.x - body.x, event.y - body.y
        index = self._view.top + y - self._header
        if 0 <= x < body.width and self._header <= y < body.height and index < len(self.rows):
            item = self.rows[index]
            command = next((each for each in self._placed if each.column.key == "command"), None)
            if item.fold and command is not None:
                at = x - command.start - 1
                # The mark, and the cell at each side of it: it is a small thing to hit.
                if abs(at - len(item.prefix.rstrip()) + 1) <= 1 and at >= 0:
                    event.stop()
                    event.prevent_default()
                    self._to(index)
                    self.post_message(self.FoldClicked())

    def on_resize(self) -> None:
        """Tell."""
        self.post_message(self.Resized())

    @property
    def placed_columns(self) -> list[str]:
        """The keys of the columns there is room for, from left to right."""
        return [each.column.key for each in self._placed]

    def set_heading(self, mode: str, query: str, subtitle: Spans) -> None:
        """Say what is listed: the arrangement, the filter, and at the right how many."""
        self._mode, self._query = mode, query
        self.set_frame(subtitle=subtitle, update=False)

    def _draw_top(self, width: int, look: Look, edge: Style, focused: bool) -> Strip:
        palette, glyphs = look.palette, look.glyphs
        title: Spans = [(glyphs.hotkey("4"), palette.hotkey), ("processes", palette.title)]
        if self._mode:
            title.append((f" {self._mode}", palette.dim))
        labels = [title]
        if self._query:
            room = max(8, width // 3)
            labels.append(
                [("filter ", palette.dim), (shorten(self._query, room, ellipsis=glyphs.ellipsis), palette.hotkey)]
            )
        subtitle = self._subtitle if isinstance(self._subtitle, list) else [(self._subtitle, palette.dim)]
        return rule(labels, [subtitle], width, look=look, edge=edge, focused=focused)[0]
