"""The line above the charts: ranges as tabs, what is shown, and what is being read."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual.message import Message

from tui.chartaxes import range_text, span_text
from tui.historyrange import PRESETS, Range
from tui.renderables.text import Spans, beside, spans_width, strip
from tui.widgets.panel import Panel

if TYPE_CHECKING:
    from datetime import tzinfo

    from textual import events
    from textual.strip import Strip


class RangeBar(Panel):
    """One line; a click on a tab chooses it."""

    DEFAULT_CSS = """
    RangeBar { height: 1; }
    """

    class Chosen(Message):
        """A tab was clicked; `name` is '' for a range of the user's own."""

        def __init__(self, name: str) -> None:
            super().__init__()
            self.name = name

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(border=False, focusable=False, id=id)
        self._range = Range()
        self._bounds = (0, 0)
        self._words = ""
        self._zone: tzinfo | None = None
        self._places: list[tuple[int, int, str]] = []

    def show(self, chosen: Range, bounds: tuple[int, int], words: str = "", zone: tzinfo | None = None) -> None:
        """Show a range; `words` (progress, a problem) stand in for its times."""
        wanted = (chosen, bounds, words, zone)
        if wanted != (self._range, self._bounds, self._words, self._zone):
            self._range, self._bounds, self._words, self._zone = wanted
            self.update_body()

    def render_body(self, width: int, height: int) -> list[Strip]:
        """Draw the line."""
        palette = self.look.palette
        here = self._range.preset
        own = "custom" if here else span_text(self._range.span)
        spans: Spans = [(" ", palette.text)]
        self._places = []
        for name, text in (*((name, name) for name, _ in PRESETS), ("", own)):
            start = spans_width(spans)
            if name == here:
                spans.append((f" {text} ", palette.strong + palette.selection))
            else:
                spans.append((f" {text} ", palette.dim))
            self._places.append((start, spans_width(spans), name))
        right = self._right(width - spans_width(spans) - 2)
        return [strip(beside(spans, right, width, palette.text), width, palette.text)]

    def _right(self, room: int) -> Spans:
        palette = self.look.palette
        if self._words:
            return [(f"{self._words} ", palette.warning)]
        start, end = self._bounds
        if end <= start:
            return []
        times = range_text(start, end, self._zone)
        last = "  now " if self._range.live else "  past "
        mark = self.look.glyphs.bullet if self._range.live else ""
        if len(times) + len(last) + 1 > room:
            # Without room for the date the times of day must do, and a range of days says its end.
            short = times if len(times) <= room else times.partition(" - ")[2] if times.count(":") < 2 else times[7:]
            return [(short if len(short) <= room else times[-room:] if room > 0 else "", palette.text)]
        style = palette.ok if self._range.live else palette.warning
        return [(times, palette.text), (f" {mark}{last.strip()} ", style)]

    async def on_click(self, event: events.Click) -> None:
        """Choose the tab under the pointer."""
        for start, end, name in self._places:
            if start <= event.x < end:
                event.stop()
                self.post_message(self.Chosen(name))
                return
