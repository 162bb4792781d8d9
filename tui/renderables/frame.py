"""The frame of a panel: rounded borders with titles, a hotkey, key hints and a scroll thumb set into them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from rich.segment import Segment
from textual.strip import Strip

from tui.renderables.text import Span, Spans, blank, clean, shorten, spans_width, width_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.style import Style

    from tui.theme import Look


@dataclass(frozen=True, slots=True)
class Hint:
    """A key and what it does, set into a panel's border; a click runs `action` (as in Textual's bindings)."""

    key: str
    label: str
    action: str = ""


@dataclass(frozen=True, slots=True)
class HintPlace:
    """Where a hint was drawn: cells `start` to `end` of the line."""

    start: int
    end: int
    hint: Hint


def rule(
    left: Sequence[Spans],
    right: Sequence[Spans],
    width: int,
    *,
    look: Look,
    edge: Style,
    focused: bool = False,
    bottom: bool = False,
) -> tuple[Strip, list[tuple[int, int]]]:
    """Draw a panel's upper or lower border with labels set into it.

    Args:
        left: labels from the left; the first one is shortened where it is too long, others are left out.
        right: labels from the right edge inwards; one that does not fit is left out.
        width: cells, corners included.
        look: palette and glyphs.
        edge: style of the border.
        focused: draw the border of a focused panel.
        bottom: draw the lower border.

    Returns:
        The strip, and for each label of `left` then `right` its (start, end) in cells, (0, 0) where left out.
    """
    heavy = focused and (look.palette.colorless or look.glyphs.ascii)
    pieces = look.glyphs.border_focus if heavy else look.glyphs.border
    first, last = (pieces.bottom_left, pieces.bottom_right) if bottom else (pieces.top_left, pieces.top_right)
    opened, closed = (pieces.foot_open, pieces.foot_close) if bottom else (pieces.title_open, pieces.title_close)
    if width < 2:
        return blank(width, edge), [(0, 0)] * (len(left) + len(right))
    left, right = ([[(clean(text), style) for text, style in label] for label in labels] for labels in (left, right))
    room = width - 4
    head: Spans = []
    tail: Spans = []
    places = [(0, 0)] * (len(left) + len(right))
    for index, label in enumerate(left):
        size = spans_width(label)
        if not size:
            continue
        if size + 2 > room and index == 0 and room >= 4:
            label = _shortened(label, room - 2, look)
            size = spans_width(label)
        if size + 2 > room:
            continue
        start = 3 + spans_width(head)
        places[index] = (start, start + size)
        head += [(opened, edge), *label, (closed, edge)]
        room -= size + 2
    end = width - 2
    for index, label in enumerate(right, len(left)):
        size = spans_width(label)
        if not size or size + 2 > room:
            continue
        places[index] = (end - 1 - size, end - 1)
        tail = [(opened, edge), *label, (closed, edge), *tail]
        room -= size + 2
        end -= size + 2
    line = pieces.horizontal
    if width < 4:
        spans: list[Span] = [(first + line * (width - 2) + last, edge)]
    else:
        spans = [(first + line, edge), *head, (line * room, edge), *tail, (line + last, edge)]
    return _joined(spans, width), places


def _joined(spans: Sequence[Span], width: int) -> Strip:
    segments: list[Segment] = []
    for text, style in spans:
        if not text:
            continue
        if segments and segments[-1].style is style:
            segments[-1] = Segment(segments[-1].text + text, style)
        else:
            segments.append(Segment(text, style))
    return Strip(segments, width)


def _shortened(label: Spans, width: int, look: Look) -> Spans:
    result: Spans = []
    for text, style in label:
        result.append((shorten(text, width, ellipsis=look.glyphs.ellipsis), style))
        width -= width_of(result[-1][0])
        if width <= 0:
            break
    return result


def hint_label(hint: Hint, look: Look) -> Spans:
    """A key hint's label: the key stands out, inside the word where the word begins with it."""
    palette = look.palette
    if len(hint.key) == 1 and hint.label[:1] == hint.key:
        return [(hint.key, palette.hotkey), (hint.label[1:], palette.dim)]
    return [(hint.key, palette.hotkey), (f" {hint.label}" if hint.label else "", palette.dim)]


def sides(line: Strip, width: int, *, look: Look, edge: Style, focused: bool = False, thumb: bool = False) -> Strip:
    """Set a line of a panel's body, `width - 2` cells, between the side borders.

    Args:
        line: the body's line; it is cut or padded where its width differs.
        width: cells, borders included.
        look: palette and glyphs.
        edge: style of the border.
        focused: draw the border of a focused panel.
        thumb: draw the scroll thumb in the right border.
    """
    if width < 2:
        return blank(width, edge)
    heavy = focused and look.palette.colorless
    pieces = look.glyphs.border_focus if heavy else look.glyphs.border
    body = line if line.cell_length == width - 2 else line.adjust_cell_length(width - 2, look.palette.text)
    right = Segment(pieces.thumb, look.palette.dim) if thumb else Segment(pieces.vertical, edge)
    return Strip([Segment(pieces.vertical, edge), *body, right], width)
