"""Meters: a value or the parts of a whole as a bar, and a line with label, bar and value."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from tui.renderables.scale import share
from tui.renderables.text import fit, fit_spans, shorten, strip, width_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.style import Style
    from textual.strip import Strip

    from tui.palette import Hue
    from tui.renderables.text import Spans
    from tui.theme import Look

MeterKind = Literal["thin", "block"]


def meter(
    value: float | None,
    width: int,
    *,
    low: float,
    high: float,
    hue: Hue,
    look: Look,
    kind: MeterKind = "thin",
    style: Style | None = None,
) -> Spans:
    """Draw a value as a bar.

    Args:
        value: None or NaN draws a dotted bar: nothing is known.
        width: cells.
        low: the value of the empty bar.
        high: the value of the full bar.
        hue: the metric's colours; a thin bar shades along its gradient.
        look: palette and glyphs.
        kind: "thin" in half cells, "block" in eighths of a cell.
        style: one style for the whole bar instead of the hue, such as a severity's.

    Returns:
        Spans of exactly `width` cells.
    """
    if width <= 0:
        return []
    palette, glyphs = look.palette, look.glyphs
    if value is None or value != value:
        return [(glyphs.spark_gap * width, palette.gap)]
    filled = share(value, low, high)
    # A value above the low bound shows at least the smallest piece.
    if kind == "block":
        eighths = max(round(filled * width * 8), 1 if value > low else 0)
        full, rest = divmod(eighths, 8)
        tail = glyphs.block_eighths[rest - 1] if rest else ""
        track = " " if not palette.colorless and not glyphs.ascii else glyphs.block_track
        bar = glyphs.block_eighths[7] * full + tail
    else:
        halves = max(round(filled * width * 2), 1 if value > low else 0)
        full, rest = divmod(halves, 2)
        track = glyphs.bar_track
        bar = glyphs.bar_full * full + (glyphs.bar_half if rest else "")
    empty = (track * (width - len(bar)), palette.track)
    if style is not None or kind == "block" or len(hue.gradient) == 1:
        spans = [(bar, style or hue.base), empty]
    else:
        spans = [*_shaded(bar, width, hue), empty]
    return [span for span in spans if span[0]]


def _shaded(bar: str, width: int, hue: Hue) -> Spans:
    """Colour a bar along the upper part of its hue's gradient, in at most eight steps."""
    spans: Spans = []
    for index, char in enumerate(bar):
        style = hue.at(0.25 + 0.65 * (index * 8 // width) / 8)
        if spans and spans[-1][1] is style:
            spans[-1] = (spans[-1][0] + char, style)
        else:
            spans.append((char, style))
    return spans


def parts_meter(parts: Sequence[tuple[float | None, Style]], width: int, *, total: float, look: Look) -> Spans:
    """Draw the parts of a whole side by side, such as used, cached and free memory.

    Args:
        parts: (amount, style) from left to right; None, NaN and amounts below 0 are left out.
        width: cells.
        total: the amount that fills the bar; parts beyond it are cut off.
        look: palette and glyphs.

    Returns:
        Spans of exactly `width` cells. Ends are rounded on the running sum, so that the parts add up. Without colour
        neighbours differ by their glyph.
    """
    if width <= 0:
        return []
    palette, glyphs = look.palette, look.glyphs
    marks = glyphs.bar_parts if palette.colorless else (glyphs.bar_full,)
    spans: Spans = []
    done, drawn = 0.0, 0
    for index, (amount, style) in enumerate(parts):
        if amount is None or not amount > 0:
            continue
        done += amount
        end = max(drawn, round(share(done, 0.0, total) * width))
        spans.append((marks[index % len(marks)] * (end - drawn), style))
        drawn = end
    spans.append((glyphs.bar_track * (width - drawn), palette.track))
    return [span for span in spans if span[0]]


def meter_line(
    label: str,
    bar: Sequence[tuple[str, Style]] | None,
    value: str,
    width: int,
    *,
    look: Look,
    label_width: int,
    value_width: int,
    value_style: Style | None = None,
    unit: str = "",
) -> Strip:
    """Set label, bar and value in one line; the bar must have been drawn for `bar_room(...)` cells.

    Args:
        label: at the left, cut in its middle where it is too long.
        bar: spans of a meter; None leaves its room blank.
        value: at the right, right-aligned.
        width: cells of the line.
        look: palette and glyphs.
        label_width: cells of the label.
        value_width: cells of value and unit together.
        value_style: style of the value.
        unit: after the value, dim.
    """
    palette, dots = look.palette, look.glyphs.ellipsis
    room = bar_room(width, label_width=label_width, value_width=value_width)
    amount = [(value, value_style or palette.text), (unit, palette.dim)]
    spans: Spans = [(fit(label, label_width, cut="middle", ellipsis=dots), palette.dim)]
    if label_width:
        spans.append((" ", palette.text))
    if room:
        spans += fit_spans(bar or [], room, palette.text)
        spans.append((" ", palette.text))
    spans += fit_spans(amount, value_width, palette.text, align="right", ellipsis=dots)
    return strip(spans, width, palette.text, ellipsis=dots)


def bar_room(width: int, *, label_width: int, value_width: int) -> int:
    """Cells that `meter_line` leaves for the bar; 0 where it would be shorter than 3."""
    room = width - label_width - (1 if label_width else 0) - value_width - 1
    return room if room >= 3 else 0


def legend(entries: Sequence[tuple[str, Style]], width: int, *, look: Look) -> Strip:
    """Name the parts of a meter in one line, each after a mark in its style; what does not fit is left out."""
    palette, glyphs = look.palette, look.glyphs
    spans: Spans = []
    used = 0
    marks = glyphs.bar_parts if palette.colorless else (glyphs.bar_full,)
    for index, (text, style) in enumerate(entries):
        size = width_of(text) + 2 + (2 if spans else 0)
        if used + size > width:
            break
        if spans:
            spans.append(("  ", palette.text))
        spans += [(marks[index % len(marks)], style), (f" {shorten(text, width)}", palette.dim)]
        used += size
    return strip(spans, width, palette.text)
