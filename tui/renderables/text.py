"""Text of exact cell widths: fitting, aligning, and joining styled pieces into strips."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from rich.cells import cell_len, get_character_cell_size
from rich.segment import Segment
from rich.style import Style
from textual.strip import Strip

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

Span = tuple[str, Style]
"""A piece of text and its style."""
Spans = list[Span]
Align = Literal["left", "right", "center"]
Cut = Literal["end", "middle"]


def width_of(text: str) -> int:
    """The number of terminal cells that a text takes; controls take none."""
    return len(text) if text.isascii() and text.isprintable() else cell_len(text)


_JOINER, _EMOJI_STYLE = "\u200d", "\ufe0f"


def clean(text: str) -> str:
    """Replace what a terminal would not print as cells (controls, line ends) by spaces.

    Zero-width joiners and emoji selectors are dropped: terminals disagree about the width of what they join, and text
    that carries them is measured differently in parts than as a whole.
    """
    if text.isprintable() and _EMOJI_STYLE not in text:
        return text
    kept = text.replace(_JOINER, "").replace(_EMOJI_STYLE, "")
    return "".join(char if char.isprintable() else " " for char in kept)


def take(text: str, width: int) -> str:
    """The longest beginning of a text that fits in `width` cells."""
    if text.isascii():
        return text[: max(0, width)]
    used = 0
    for index, char in enumerate(text):
        used += get_character_cell_size(char)
        if used > width:
            return text[:index]
    return text


def take_end(text: str, width: int) -> str:
    """The longest end of a text that fits in `width` cells."""
    if width <= 0:
        return ""
    if text.isascii():
        return text[-width:]
    used = 0
    for index in range(len(text) - 1, -1, -1):
        used += get_character_cell_size(text[index])
        if used > width:
            return text[index + 1 :]
    return text


def shorten(text: str, width: int, *, cut: Cut = "end", ellipsis: str = "…") -> str:
    """Cut a text to at most `width` cells, marking the cut with the ellipsis at its end or in its middle."""
    text = clean(text)
    if width_of(text) <= width:
        return text
    if width <= 0:
        return ""
    room = width - width_of(ellipsis)
    if room < 0:
        return take(text, width)
    if cut == "end" or room < 3:
        return take(text, room) + ellipsis
    head = take(text, (room + 1) // 2)
    return head + ellipsis + take_end(text, room - width_of(head))


def fit(text: str, width: int, *, align: Align = "left", cut: Cut = "end", ellipsis: str = "…") -> str:
    """Give a text exactly `width` cells: shortened where it is too long, padded with spaces where too short."""
    if width <= 0:
        return ""
    # The fast path: most cells of a table are short ASCII.
    if text.isascii() and text.isprintable() and len(text) <= width:
        if align == "left":
            return text.ljust(width)
        return text.rjust(width) if align == "right" else text.center(width)
    text = shorten(text, width, cut=cut, ellipsis=ellipsis)
    spare = width - width_of(text)
    if align == "left":
        return text + " " * spare
    if align == "right":
        return " " * spare + text
    return " " * (spare // 2) + text + " " * (spare - spare // 2)


def spans_width(spans: Iterable[Span]) -> int:
    """The cells that a row of spans takes."""
    return sum(width_of(text) for text, _ in spans)


def fit_spans(spans: Sequence[Span], width: int, fill: Style, *, align: Align = "left", ellipsis: str = "…") -> Spans:
    """Give a row of spans exactly `width` cells, cutting the last that fits and padding in the `fill` style."""
    if width <= 0:
        return []
    spans = [(clean(text), style) for text, style in spans]
    total = spans_width(spans)
    if total == width:
        return [span for span in spans if span[0]]
    if total < width:
        spare = width - total
        left = {"left": 0, "right": spare, "center": spare // 2}[align]
        padded = [(" " * left, fill), *spans, (" " * (spare - left), fill)]
        return [span for span in padded if span[0]]
    result: Spans = []
    room = width
    for text, style in spans:
        size = width_of(text)
        if size < room:
            result.append((text, style))
            room -= size
            continue
        result.append((fit(text + ellipsis if size == room else text, room, ellipsis=ellipsis), style))
        break
    return [span for span in result if span[0]]


def strip(spans: Sequence[Span], width: int, fill: Style, *, align: Align = "left", ellipsis: str = "…") -> Strip:
    """Make a strip of exactly `width` cells from a row of spans."""
    width = max(0, width)
    merged: Spans = []
    for text, style in fit_spans(spans, width, fill, align=align, ellipsis=ellipsis):
        # Equal neighbours in one segment: fewer cache look-ups for Textual, fewer bytes for the terminal.
        if merged and merged[-1][1] is style:
            merged[-1] = (merged[-1][0] + text, style)
        else:
            merged.append((text, style))
    return Strip([Segment(text, style) for text, style in merged], width)


def blank(width: int, fill: Style) -> Strip:
    """A strip of spaces."""
    width = max(0, width)
    return Strip([Segment(" " * width, fill)] if width else [], width)


def beside(left: Sequence[Span], right: Sequence[Span], width: int, fill: Style, *, ellipsis: str = "…") -> Spans:
    """Set one row of spans at the left and one at the right of `width` cells; the left one gives way."""
    right_width = min(width, spans_width(right))
    room = max(0, width - right_width - (1 if right_width else 0))
    row = fit_spans(left, room, fill, ellipsis=ellipsis)
    gap = max(0, width - room - right_width)
    return [*row, (" " * gap, fill), *fit_spans(right, right_width, fill, ellipsis=ellipsis)]
