"""The line that says which of the Network screen's tables is shown, which there are, and of what range."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tui.renderables.frame import Hint, hint_label
from tui.renderables.text import Spans, beside, spans_width, strip
from tui.widgets.lines import Line

if TYPE_CHECKING:
    from collections.abc import Mapping

    from textual import events
    from textual.strip import Strip

    from tui.theme import Look

TABS: Final = ("interfaces", "devices", "connections")


class TabLine(Line):
    """The tables at the left, the range at the right; a click chooses one, or the next range."""

    def __init__(self) -> None:
        super().__init__(id="tabs")
        self._shown: tuple[object, ...] = ()
        self._active = ""
        self._counts: Mapping[str, int | None] = {}
        self._keys: Mapping[str, str] = {}
        self._range = ("", "")
        self._slow = False
        self._places: list[tuple[int, int, str]] = []

    def show(
        self,
        active: str,
        counts: Mapping[str, int | None],
        keys: Mapping[str, str],
        words: tuple[str, str],
        *,
        slow: bool,
    ) -> None:
        """Show where we are.

        Args:
            active: the table shown.
            counts: rows of each, None where not known.
            keys: of each table, and of `range`.
            words: the range, and the same where room is short; '' where the table has none.
            slow: whether a read takes long.
        """
        shown = (active, tuple(counts.items()), tuple(keys.items()), words, slow)
        if shown != self._shown:
            self._shown = shown
            self._active, self._counts, self._keys, self._range, self._slow = active, counts, keys, words, slow
            self.update_body()

    def render_body(self, width: int, height: int) -> list[Strip]:
        """Draw it, and note what lies where."""
        look = self.look
        counted = width >= 70
        right = self._right(look, short=not counted)
        room = width - spans_width(right)
        left, places = self._left(look, counted=counted)
        if spans_width(left) > room:
            left, places = self._left(look, counted=False, keys=False)
        self._places = places
        if right and self._range[0]:
            self._places.append((width - spans_width(right), width, "screen.range(1)"))
        return [strip(beside(left, right, width, look.palette.text), width, look.palette.text)]

    def _left(self, look: Look, *, counted: bool, keys: bool = True) -> tuple[Spans, list[tuple[int, int, str]]]:
        palette = look.palette
        spans: Spans = []
        places: list[tuple[int, int, str]] = []
        for name in TABS:
            start = spans_width(spans)
            piece: Spans = [(" ", palette.text)]
            piece += hint_label(Hint(self._keys.get(name, ""), name), look) if keys else [(name, palette.dim)]
            if name == self._active:
                piece = [(text, palette.title if text.strip() else style) for text, style in piece]
            count = self._counts.get(name)
            if counted and count is not None:
                piece.append((f" {count}", palette.faint if name != self._active else palette.dim))
            piece.append((" ", palette.text))
            if name == self._active:
                piece = [(text, style + palette.selection) for text, style in piece]
            spans += piece
            places.append((start, spans_width(spans), f"screen.show_tab('{name}')"))
            if counted:
                spans.append((" ", palette.text))
        return spans, places

    def _right(self, look: Look, *, short: bool) -> Spans:
        palette = look.palette
        spans: Spans = []
        if self._slow:
            spans.append((f"reading{look.glyphs.ellipsis} " if short else f"reading{look.glyphs.ellipsis} Esc stops  ",
                          palette.warning))  # fmt: skip
        if self._range[0]:
            if not short:
                spans += [(self._keys.get("range", ""), palette.hotkey), (" ", palette.text)]
            spans += [(self._range[short], palette.strong), (" ", palette.text)]
        return spans

    async def on_click(self, event: events.Click) -> None:
        """Choose what was clicked on."""
        for start, end, action in self._places:
            if start <= event.x < end:
                event.stop()
                await self.run_action(action)
                return
