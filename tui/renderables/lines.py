"""Single lines: names with values, severity badges, and the line that says what is wrong."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tui.renderables.text import Spans, beside, fit, fit_spans, shorten, spans_width, strip, width_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.style import Style
    from textual.strip import Strip

    from tui.glyphs import Severity
    from tui.theme import Look


@dataclass(frozen=True, slots=True)
class Pair:
    """A name and its value; the unit stands dim after the value. A value of None is missing."""

    name: str
    value: str | None
    unit: str = ""
    style: Style | None = None


def value_spans(text: str, style: Style, look: Look) -> Spans:
    """Split "1.2 GiB" into the number in a style and the unit dim."""
    number, space, unit = text.rpartition(" ")
    return [(number, style), (space + unit, look.palette.dim)] if space else [(text, style)]


def pair_spans(pair: Pair, look: Look) -> Spans:
    """A value and its unit, or the mark of a missing one."""
    palette = look.palette
    if pair.value is None:
        return [(look.glyphs.missing, palette.faint)]
    spans: Spans = [(pair.value, pair.style or palette.text)]
    if pair.unit:
        spans.append((f" {pair.unit}" if pair.unit[0].isalnum() else pair.unit, palette.dim))
    return spans


def key_value(pair: Pair, width: int, *, look: Look) -> Strip:
    """One line: the name at the left, the value at the right."""
    palette, dots = look.palette, look.glyphs.ellipsis
    row = beside([(pair.name, palette.dim)], pair_spans(pair, look), width, palette.text, ellipsis=dots)
    return strip(row, width, palette.text, ellipsis=dots)


def key_value_columns(pairs: Sequence[Pair], width: int, height: int, *, look: Look, least: int = 18) -> list[Strip]:
    """Several pairs in as many columns as are needed, read downwards; a column narrower than `least` is not begun."""
    if not pairs or width <= 0 or height <= 0:
        return []
    columns = max(1, min(-(-len(pairs) // height), (width + 3) // (least + 3)))
    rows = min(height, -(-len(pairs) // columns))
    room = (width - 3 * (columns - 1)) // columns
    palette, dots = look.palette, look.glyphs.ellipsis
    strips: list[Strip] = []
    for y in range(rows):
        spans: Spans = []
        for index in range(y, min(len(pairs), rows * columns), rows):
            pair = pairs[index]
            if spans:
                spans.append(("   ", palette.text))
            spans += beside([(pair.name, palette.dim)], pair_spans(pair, look), room, palette.text, ellipsis=dots)
        strips.append(strip(spans, width, palette.text, ellipsis=dots))
    return strips


def pairs_line(pairs: Sequence[Pair], width: int, *, look: Look) -> Strip:
    """Pairs one after another, "name value", parted by a separator; those that do not fit are left out."""
    palette, glyphs = look.palette, look.glyphs
    spans: Spans = []
    used = 0
    for pair in pairs:
        piece: Spans = [(f"{pair.name} ", palette.dim)] if pair.name else []
        piece += pair_spans(pair, look)
        if spans:
            piece = [(f" {glyphs.separator} ", palette.faint), *piece]
        size = spans_width(piece)
        if used + size > width and spans:
            break
        spans += piece
        used += size
    return strip(spans, width, palette.text, ellipsis=glyphs.ellipsis)


def badge(severity: Severity, text: str, width: int | None = None, *, look: Look) -> Spans:
    """A severity's mark and a text, in its colour; critical and warning differ by the mark as well.

    Args:
        severity: which mark and colour.
        text: after the mark; may be empty.
        width: exact cells, or None for as many as are needed.
        look: palette and glyphs.
    """
    style = look.palette.severity(severity)
    mark = look.glyphs.severity(severity)
    whole = f"{mark} {text}" if text else mark
    return [(whole if width is None else fit(whole, width, ellipsis=look.glyphs.ellipsis), style)]


def status_line(
    severity: Severity, messages: Sequence[str], width: int, *, look: Look, right: str = "", calm: str = "all is well"
) -> Strip:
    """The line of what is wrong: tinted from edge to edge while something is, quiet otherwise.

    Args:
        severity: of the worst message.
        messages: worst first; those that do not fit are counted ("+2").
        width: cells.
        look: palette and glyphs.
        right: at the right edge, such as the host and the time.
        calm: shown without messages.
    """
    palette, glyphs = look.palette, look.glyphs
    dots = glyphs.ellipsis
    if not messages:
        calm_row: Spans = [(" ", palette.text), *badge("ok", calm, look=look)]
        side = [(f"{shorten(right, width // 2, ellipsis=dots)} ", palette.dim)] if right else []
        return strip(beside(calm_row, side, width, palette.text, ellipsis=dots), width, palette.text, ellipsis=dots)
    mark_style, base = {
        "critical": (palette.banner_critical, palette.tint_critical),
        "warning": (palette.banner_warning, palette.tint_warning),
    }.get(severity, (palette.severity(severity), palette.text))
    side = [(f"{shorten(right, width // 2, ellipsis=dots)} ", base)] if right else []
    row: Spans = [(f" {glyphs.severity(severity)} ", mark_style), (" ", base)]
    room = width - spans_width(row) - spans_width(side) - 1
    parted = f"  {glyphs.separator}  "
    for index, message in enumerate(messages):
        piece = (parted if index else "") + message
        rest = len(messages) - index - 1
        more = f"{parted}+{rest}" if rest else ""
        if index and width_of(piece) + width_of(more) > room:
            row.append((f"{parted}+{rest + 1}", base))
            break
        if not index:
            piece = shorten(piece, max(0, room - width_of(more)), ellipsis=dots)
        row.append((piece, base))
        room -= width_of(piece)
    return strip(beside(row, side, width, base, ellipsis=dots), width, base, ellipsis=dots)


def centered(lines: Sequence[str], width: int, height: int, *, look: Look, style: Style | None = None) -> list[Strip]:
    """Lines in the middle of an empty room, for what has nothing to show."""
    palette = look.palette
    kept = list(lines)[: max(0, height)]
    above = (max(0, height) - len(kept)) // 2
    rows = [""] * above + kept + [""] * (max(0, height) - above - len(kept))
    dots = look.glyphs.ellipsis
    return [
        strip(
            fit_spans([(line, style or palette.dim)], width, palette.text, align="center", ellipsis=dots),
            width,
            palette.text,
        )
        for line in rows
    ]
