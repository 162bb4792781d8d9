"""A panel of lines that scrolls where they do not fit, by keys and by the wheel."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from textual.binding import Binding, BindingType

from tui.renderables.text import Spans, blank, strip
from tui.widgets.panel import Panel

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.style import Style
    from textual.strip import Strip

    from tui.theme import Look

GAP = 4
"""Cells between two blocks side by side."""


class ScrollPanel(Panel):
    """Subclasses override `lines`; the rest is done here."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "scroll_lines(-1)", "Up", show=False),
        Binding("down,j", "scroll_lines(1)", "Down", show=False),
        Binding("pageup", "scroll_lines(-8)", "Page up", show=False),
        Binding("pagedown", "scroll_lines(8)", "Page down", show=False),
    ]

    def __init__(self, title: str, *, id: str, focusable: bool = True) -> None:
        super().__init__(title, id=id, padding=1, focusable=focusable)
        self._top = 0
        self._length = 0

    def lines(self, width: int, height: int) -> list[Strip]:
        """All lines, however many; `height` is what is seen of them at once."""
        return []

    def to_top(self) -> None:
        """Begin at the first line again: it is about something else."""
        self._top = 0

    def action_scroll_lines(self, lines: int) -> None:
        """Scroll."""
        self._top += lines
        self.update_body()

    def on_mouse_scroll_down(self) -> None:
        """Scroll."""
        self.action_scroll_lines(3)

    def on_mouse_scroll_up(self) -> None:
        """Scroll."""
        self.action_scroll_lines(-3)

    def scroll_thumb(self, height: int) -> tuple[int, int]:
        """Where the visible lines lie among all."""
        if self._length <= height or height < 2:
            return 0, 0
        size = max(1, height * height // self._length)
        start = round(self._top / (self._length - height) * (height - size))
        return start, start + size

    def render_body(self, width: int, height: int) -> list[Strip]:
        """The lines that are in view."""
        found = self.lines(width, height)
        self._length = len(found)
        self._top = max(0, min(self._top, len(found) - height))
        return found[self._top : self._top + height]


def side_by_side(blocks: Sequence[tuple[int, Sequence[Strip]]], look: Look) -> list[Strip]:
    """Sets blocks of lines, (width, lines) each, beside each other."""
    fill = look.palette.text
    rows = max((len(lines) for _, lines in blocks), default=0)
    made: list[Strip] = []
    for y in range(rows):
        pieces: list[Strip] = []
        for width, lines in blocks:
            if pieces:
                pieces.append(blank(GAP, fill))
            line = lines[y] if y < len(lines) else blank(width, fill)
            pieces.append(line if line.cell_length == width else line.adjust_cell_length(width, fill))
        made.append(type(pieces[0]).join(pieces))
    return made


def heading(text: str, width: int, look: Look, right: Spans | None = None) -> Strip:
    """A line that begins a part: its name, and a rule to the edge."""
    glyphs, palette = look.glyphs, look.palette
    spans: Spans = [(text, palette.title), (" ", palette.text)]
    tail: Spans = [(" ", palette.text), *right] if right else []
    used = sum(len(each) for each, _ in (*spans, *tail))
    spans.append((glyphs.border.horizontal * max(0, width - used), palette.border))
    return strip([*spans, *tail], width, palette.text, ellipsis=glyphs.ellipsis)


def wrapped(text: str, width: int, style: Style) -> list[Strip]:
    """Words in as many lines as they need."""
    lines: list[str] = []
    for word in text.split():
        if lines and len(lines[-1]) + 1 + len(word) <= width:
            lines[-1] += f" {word}"
        else:
            lines.append(word)
    return [strip([(line, style)], width, style) for line in lines]
