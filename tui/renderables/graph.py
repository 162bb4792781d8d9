"""Area graphs of a series' recent past: braille, blocks or ASCII, one-sided or mirrored about an axis.

A graph shows two points per cell, the newest at the right. A point that is None (or NaN) is a gap and is drawn as one;
a measured value always shows at least one dot, so that "nothing happened" and "nothing is known" look different.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Final

from rich.segment import Segment
from textual.strip import Strip

from tui.renderables.scale import share
from tui.renderables.text import Span, fit, shorten, strip, width_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.style import Style

    from tui.glyphs import GraphKind
    from tui.palette import Hue
    from tui.theme import Look

POINTS_PER_CELL: Final = 2
"""Points that one cell shows side by side, in every kind of graph."""

_GAP: Final = -1
_BLANK: Final = 0
_BLOCKS: Final = " ▁▂▃▄▅▆▇█"
_ASCII: Final = " .:|"
_DOTS: Final[dict[GraphKind, int]] = {"braille": 4, "block": 8, "ascii": 3}
_LEFT: Final = (0x00, 0x40, 0x44, 0x46, 0x47)
_RIGHT: Final = (0x00, 0x80, 0xA0, 0xB0, 0xB8)
_LEFT_HANGING: Final = (0x00, 0x01, 0x03, 0x07, 0x47)
_RIGHT_HANGING: Final = (0x00, 0x08, 0x18, 0x38, 0xB8)


@lru_cache(16384)
def _column(left: int, right: int, height: int, kind: GraphKind, hanging: bool, gap: str) -> str:
    """One column of cells, from top to bottom, for two points given in dots."""
    if left == _GAP and right == _GAP:
        return gap * height
    left, right = max(left, 0), max(right, 0)
    dots = _DOTS[kind]
    cells: list[str] = []
    if kind == "braille":
        lefts, rights = (_LEFT_HANGING, _RIGHT_HANGING) if hanging else (_LEFT, _RIGHT)
        for base in range(0, height * dots, dots):
            bits = lefts[min(4, max(0, left - base))] | rights[min(4, max(0, right - base))]
            cells.append(chr(0x2800 + bits) if bits else " ")
    else:
        top = max(left, right)
        for base in range(0, height * dots, dots):
            level = min(dots, max(0, top - base))
            if kind == "ascii":
                cells.append({1: "'", 2: ":", 3: "|"}.get(level, " ") if hanging else _ASCII[level])
            elif hanging:
                # Unicode has few blocks that hang from above: halves must do.
                cells.append(" " if not level else "▀" if level < 6 else "█")
            else:
                cells.append(_BLOCKS[level])
    return "".join(cells if hanging else reversed(cells))


def _dots(points: Sequence[float | None], count: int, low: float, high: float, dots: int, phase: int) -> list[int]:
    """The last `count` points in dots: -1 for a gap, 0 for what lies before the beginning, else at least 1."""
    shown = points[-(count - phase) :] if count > phase else points[:0]
    heights = [_BLANK] * (count - phase - len(shown))
    for value in shown:
        if value is None or value != value:
            heights.append(_GAP)
        else:
            heights.append(max(1, round(share(value, low, high) * dots)))
    heights.extend([_BLANK] * phase)
    return heights[:count]


def graph(
    points: Sequence[float | None],
    width: int,
    height: int,
    *,
    low: float,
    high: float,
    hue: Hue,
    look: Look,
    threshold: float | None = None,
    hanging: bool = False,
    phase: int = 0,
) -> list[Strip]:
    """Draw an area graph with the newest point at the right and a colour gradient by height.

    Args:
        points: one number per step of time, oldest first; None is a gap. Of more than `2 * width` the last are shown.
        width: cells.
        height: cells.
        low: the value at the lower edge.
        high: the value at the upper edge; what lies outside is clamped.
        hue: the metric's colours.
        look: palette and glyphs.
        threshold: a value at which a dotted line is drawn where the area leaves room.
        hanging: draw downwards from the upper edge.
        phase: 1 leaves the last half cell empty. A caller that passes the parity of the number of points ever taken
            has the picture move by whole cells every second step, which halves what goes to the terminal.

    Returns:
        `height` strips of `width` cells.
    """
    if height <= 0:
        return []
    if width <= 0:
        return [Strip([], 0)] * height
    kind, gap = look.glyphs.graph, look.glyphs.gap
    heights = _dots(points, width * POINTS_PER_CELL, low, high, height * _DOTS[kind], phase & 1)
    pairs = list(zip(heights[::2], heights[1::2], strict=True))
    columns = [_column(left, right, height, kind, hanging, gap) for left, right in pairs]
    rows = ["".join(row) for row in zip(*columns, strict=True)]
    gaps = _runs([left == _GAP and right == _GAP for left, right in pairs])
    line = -1
    if threshold is not None and low <= threshold <= high:
        line = min(height - 1, int(share(threshold, low, high) * height))
        line = line if hanging else height - 1 - line
    strips: list[Strip] = []
    for y, row in enumerate(rows):
        step = y if hanging else height - 1 - y
        style = hue.at((step + 0.5) / height)
        segments: list[Segment] = []
        for start, end, is_gap in gaps:
            piece = row[start:end]
            if is_gap:
                segments.append(Segment(piece, look.palette.gap))
            elif y == line and " " in piece:
                segments.extend(_with_line(piece, style, look))
            else:
                segments.append(Segment(piece, style))
        strips.append(Strip(segments, width))
    return strips


def _runs(flags: Sequence[bool]) -> list[tuple[int, int, bool]]:
    """Runs of equal flags as (start, end, flag)."""
    runs: list[tuple[int, int, bool]] = []
    start = 0
    for index in range(1, len(flags) + 1):
        if index == len(flags) or flags[index] != flags[start]:
            runs.append((start, index, flags[start]))
            start = index
    return runs


def _with_line(piece: str, style: Style, look: Look) -> list[Segment]:
    mark = look.glyphs.threshold
    return [
        Segment(mark * (end - start), look.palette.threshold) if empty else Segment(piece[start:end], style)
        for start, end, empty in _runs([char == " " for char in piece])
    ]


def mirror_graph(
    upper: Sequence[float | None],
    lower: Sequence[float | None],
    width: int,
    height: int,
    *,
    high_upper: float,
    high_lower: float,
    hue_upper: Hue,
    hue_lower: Hue,
    look: Look,
    low: float = 0.0,
    axis: bool = True,
    ticks: Sequence[tuple[int, str]] = (),
    phase: int = 0,
) -> list[Strip]:
    """Draw two series back to back: one upwards, one downwards from an axis in the middle.

    Args:
        upper: points of the upper series, as for `graph`.
        lower: points of the lower series, drawn downwards.
        width: cells.
        height: cells, the axis included; the axis is left out below 3.
        high_upper: the value at the upper edge.
        high_lower: the value at the lower edge.
        hue_upper: colours of the upper series.
        hue_lower: colours of the lower series.
        look: palette and glyphs.
        low: the value at the axis, for both.
        axis: draw the axis, which takes one line.
        ticks: labels on the axis as (points before now, text).
        phase: as for `graph`.

    Returns:
        `height` strips of `width` cells.
    """
    if height <= 0:
        return []
    has_axis = axis and height >= 3
    room = height - has_axis
    top = (room + 1) // 2
    strips = graph(upper, width, top, low=low, high=high_upper, hue=hue_upper, look=look, phase=phase)
    if has_axis:
        strips.append(time_axis(width, ticks, look=look))
    strips += graph(
        lower, width, room - top, low=low, high=high_lower, hue=hue_lower, look=look, hanging=True, phase=phase
    )
    return strips


def time_axis(width: int, ticks: Sequence[tuple[int, str]], *, look: Look) -> Strip:
    """Draw a time axis for a graph of two points per cell.

    Args:
        width: cells.
        ticks: labels as (points before now, text); one that does not fit is left out.
        look: palette and glyphs.
    """
    glyphs, palette = look.glyphs, look.palette
    if width <= 0:
        return Strip([], 0)
    spans: list[Span] = []
    used = 0
    for before, text in sorted(ticks, reverse=True):
        at = width - 1 - max(0, before) // POINTS_PER_CELL
        label = f"{glyphs.axis_tick}{text}"
        # The label stands right of its tick, except where the edge is too near.
        start = at if at + width_of(label) <= width else at + 1 - width_of(label)
        label = label if start == at else f"{text}{glyphs.axis_tick}"
        if start < used + (1 if used else 0) or at >= width or at < 0:
            continue
        spans.append((glyphs.axis * (start - used), palette.border))
        spans.append((label, palette.dim))
        used = start + width_of(label)
    spans.append((glyphs.axis * (width - used), palette.border))
    return strip(spans, width, palette.border)


def with_scale(
    strips: Sequence[Strip], labels: Sequence[tuple[float, str]], width: int, *, gutter: int, look: Look
) -> list[Strip]:
    """Put labels of the value axis in a gutter at the left of a graph.

    Args:
        strips: the graph, each strip of `width - gutter` cells.
        labels: (height as a share of 0-1 from the lower edge, text); of two for one line the first is shown.
        width: cells, the gutter included.
        gutter: cells for the labels and the space after them.
        look: palette and glyphs.
    """
    gutter = max(0, min(gutter, width))
    height = len(strips)
    texts: dict[int, str] = {}
    for at, text in labels:
        texts.setdefault(height - 1 - min(height - 1, max(0, int(at * height))), text)
    result: list[Strip] = []
    for y, line in enumerate(strips):
        if not gutter:
            result.append(line)
            continue
        text = fit(texts.get(y, ""), gutter - 1, align="right", ellipsis=look.glyphs.ellipsis) + " "
        result.append(Strip([Segment(text, look.palette.dim), *line], gutter + line.cell_length))
    return result


def with_corners(
    strips: Sequence[Strip], *, look: Look, top_left: str = "", top_right: str = "", bottom_left: str = ""
) -> list[Strip]:
    """Lay labels over the corners of a graph, dim, as where a scale's ends belong when no gutter is wanted."""
    result = list(strips)
    for text, y, right in ((top_left, 0, False), (top_right, 0, True), (bottom_left, len(strips) - 1, False)):
        if not text or not result:
            continue
        line = result[y]
        width = line.cell_length
        label = shorten(text, width, ellipsis=look.glyphs.ellipsis)
        size = width_of(label)
        if not size:
            continue
        over = Strip([Segment(label, look.palette.dim)], size)
        parts = [line.crop(0, width - size), over] if right else [over, line.crop(size, width)]
        result[y] = Strip.join(parts)
    return result
