"""Sparklines of one row, as spans for a table's cell or a line."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tui.renderables.graph import POINTS_PER_CELL, graph
from tui.renderables.scale import share

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.style import Style

    from tui.palette import Hue
    from tui.renderables.text import Spans
    from tui.theme import Look


def sparkline(
    points: Sequence[float | None], width: int, *, low: float, high: float, hue: Hue, look: Look, braille: bool = False
) -> Spans:
    """Draw the last points as one row, the newest at the right.

    Args:
        points: oldest first; None and NaN are gaps.
        width: cells: one point each, or two with braille.
        low: the value of the lowest block.
        high: the value of the full block.
        hue: the metric's colours; each block takes its height's step of the gradient.
        look: palette and glyphs.
        braille: two points per cell and four heights instead of one and eight, where the glyphs have braille.

    Returns:
        Spans of exactly `width` cells; what lies before the first point is blank.
    """
    if width <= 0:
        return []
    palette, glyphs = look.palette, look.glyphs
    if braille and glyphs.graph == "braille":
        line = graph(points[-width * POINTS_PER_CELL :], width, 1, low=low, high=high, hue=hue, look=look)[0]
        gap = glyphs.spark_gap
        spans: Spans = []
        for part in line:
            shade = part.style or palette.text
            spans.append((gap * len(part.text), shade) if shade is palette.gap else (part.text, shade))
        return spans
    shown = points[-width:]
    row: Spans = []
    if len(shown) < width:
        row.append((" " * (width - len(shown)), palette.text))
    levels = len(glyphs.spark)
    run, run_style = "", palette.text
    for value in shown:
        char: str
        style: Style
        if value is None or value != value:
            char, style = glyphs.spark_gap, palette.gap
        else:
            at = share(value, low, high)
            char, style = glyphs.spark[min(levels - 1, int(at * levels))], hue.at(at * 0.8 + 0.2)
        if style is not run_style and run:
            row.append((run, run_style))
            run = ""
        run, run_style = run + char, style
    if run:
        row.append((run, run_style))
    return row
