"""The load of many CPU cores: a small meter each up to 32, a heat map beyond."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tui.renderables.meter import meter
from tui.renderables.scale import share
from tui.renderables.text import Span, Spans, fit, strip, width_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from textual.strip import Strip

    from tui.palette import Hue
    from tui.theme import Look

METERS_UP_TO: Final = 32
"""Cores that get a meter of their own; more of them become a heat map."""
_MIN_METER: Final = 4
_IDLE: Final = 0.03
"""Below this share of its bounds a core is shown as idle."""


def core_grid(
    values: Sequence[float | None],
    width: int,
    height: int,
    *,
    hue: Hue,
    look: Look,
    low: float = 0.0,
    high: float = 1.0,
    labels: Sequence[str] | None = None,
) -> list[Strip]:
    """Draw the load of every core in the room there is.

    Args:
        values: one per core, in order; None is unknown.
        width: cells.
        height: cells; fewer strips come back where fewer are needed.
        hue: the colours of cpu.
        look: palette and glyphs.
        low: the value of an idle core.
        high: the value of a busy core.
        labels: the cores' names; None numbers them from 0.

    Returns:
        At most `height` strips of `width` cells, meters in columns read downwards. Where meters do not fit, and beyond
        32 cores, a heat map.
    """
    if width <= 0 or height <= 0 or not values:
        return []
    names = [str(index) for index in range(len(values))] if labels is None else list(labels)
    label_width = max(map(width_of, names))
    columns = -(-len(values) // height)
    room = (width + 2) // columns - 2
    if len(values) > METERS_UP_TO or room < label_width + 1 + _MIN_METER:
        return heat_map(values, width, height, hue=hue, look=look, low=low, high=high)
    # Fewer, longer columns would leave lines empty at the right: take as many as are of use.
    rows = -(-len(values) // columns)
    palette, glyphs = look.palette, look.glyphs
    value_width = 5 if room >= label_width + 1 + _MIN_METER + 5 else 0
    bar = room - label_width - 1 - value_width
    strips: list[Strip] = []
    for y in range(rows):
        spans: Spans = []
        for column in range(columns):
            index = column * rows + y
            if index >= len(values):
                break
            value = values[index]
            if column:
                spans.append(("  ", palette.text))
            spans.append((fit(names[index], label_width, align="right", ellipsis=""), palette.dim))
            spans.append((" ", palette.text))
            spans += meter(value, bar, low=low, high=high, hue=hue, look=look)
            if value_width:
                spans += percent(value, value_width, low=low, high=high, look=look)
        strips.append(strip(spans, width, palette.text, ellipsis=glyphs.ellipsis))
    return strips


def percent(value: float | None, width: int, *, low: float, high: float, look: Look) -> Spans:
    """A value's share of its bounds as a right-aligned percentage with a dim sign."""
    if value is None or value != value:
        return [(fit(look.glyphs.missing, width, align="right", ellipsis=""), look.palette.faint)]
    text = f"{share(value, low, high) * 100:.0f}"
    return [(fit(text, width - 1, align="right", ellipsis=""), look.palette.text), ("%", look.palette.dim)]


def heat_map(
    values: Sequence[float | None],
    width: int,
    height: int,
    *,
    hue: Hue,
    look: Look,
    low: float = 0.0,
    high: float = 1.0,
) -> list[Strip]:
    """Draw one cell per value, its glyph and colour by level, each line after the number of its first.

    Where the values outnumber the cells, each cell shows the highest of several neighbours, and the last line says of
    how many.

    Returns:
        At most `height` strips of `width` cells.
    """
    if width <= 0 or height <= 0 or not values:
        return []
    palette = look.palette
    label_width = len(str(len(values) - 1))
    room = width - label_width - 1
    if room < 4:
        label_width, room = 0, width
    wide = _cell_width(len(values), room, height)
    per_line = max(1, room // wide)
    lines = height
    group = -(-len(values) // (per_line * lines))
    if group > 1 and height > 1:
        lines = height - 1
        group = -(-len(values) // (per_line * lines))
    if group == 1 and per_line > 8:
        # Whole eights in a line: sockets and clusters then begin in one column.
        fewer = per_line - per_line % 8
        per_line = fewer if -(-len(values) // fewer) <= lines else per_line
    cells = [_highest(values[start : start + group]) for start in range(0, len(values), group)]
    strips: list[Strip] = []
    for start in range(0, len(cells), per_line):
        spans: Spans = []
        if label_width:
            spans.append((fit(str(start * group), label_width, align="right", ellipsis="") + " ", palette.faint))
        for value in cells[start : start + per_line]:
            spans.append(_heat_cell(value, wide, low, high, hue, look))
        strips.append(strip(spans, width, palette.text, ellipsis=""))
    if group > 1 and len(strips) < height:
        note = f"each cell: the busiest of {group}"
        note = note if len(note) <= width else f"max of {group}"
        strips.append(strip([(note, palette.faint)], width, palette.text, ellipsis=look.glyphs.ellipsis))
    return strips[:height]


def _heat_cell(value: float | None, wide: int, low: float, high: float, hue: Hue, look: Look) -> Span:
    glyphs = look.glyphs
    if value is None:
        return (glyphs.gap.ljust(wide), look.palette.gap)
    at = share(value, low, high)
    level = int(at * len(glyphs.heat))
    mark = glyphs.heat[min(level, len(glyphs.heat) - 1)]
    # Squares set apart look calmer than shades, where colours are fine enough to tell the levels.
    if len(hue.gradient) > len(glyphs.heat) and not glyphs.ascii:
        mark = glyphs.heat_cell if at >= _IDLE else glyphs.heat[0]
        return (mark.ljust(wide), hue.at(at))
    return (mark * wide, hue.at(at))


def _cell_width(count: int, room: int, height: int) -> int:
    """Two cells for a value where there is room: closer to a square."""
    return 2 if room >= 2 and -(-count // max(1, room // 2)) <= height else 1


def _highest(values: Sequence[float | None]) -> float | None:
    return max((value for value in values if value is not None and value == value), default=None)
