"""Columns of a table: what a cell shows, and how the columns share a width."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeVar

from tui.renderables.text import Align, Cut, Spans, fit, fit_spans, shorten, strip, width_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from rich.style import Style
    from textual.strip import Strip

    from tui.palette import Palette
    from tui.theme import Look

Row = TypeVar("Row")


@dataclass(frozen=True, slots=True, eq=False)
class Column(Generic[Row]):
    """One column of a table.

    Attributes:
        key: names the column in messages and for sorting.
        title: in the header.
        text: the cell's text; it may be any length.
        width: cells; None shares what is left with the other flexible columns.
        fraction: the weight of a flexible column.
        min_width: a flexible column is dropped, or the table clipped, rather than narrower than this.
        align: of cell and title.
        priority: 0 is never dropped; the highest number goes first when the table is narrow.
        cut: where a long text loses its middle or its end.
        style: the cell's style; None, or a result of None, is the plain one.
        dim_unit: show what follows the text's last space dim ("1.2 GiB").
        spans: draws the cell in place of `text`, given its width; for meters and sparklines.
        prefix: what stands before the text, dim and never cut from the left, such as a tree's lines.
        sortable: whether a click on the title sends HeaderSelected.
    """

    key: str
    title: str
    text: Callable[[Row], str] = lambda _row: ""
    width: int | None = None
    fraction: float = 1.0
    min_width: int = 6
    align: Align = "left"
    priority: int = 0
    cut: Cut = "end"
    style: Callable[[Row, Palette], Style | None] | None = None
    dim_unit: bool = False
    spans: Callable[[Row, int, Look], Spans] | None = None
    prefix: Callable[[Row], str] | None = None
    sortable: bool = True

    def draw(self, row: Row, width: int, look: Look) -> Spans:
        """Draw the cell in exactly `width` cells."""
        palette, dots = look.palette, look.glyphs.ellipsis
        if self.spans is not None:
            return fit_spans(self.spans(row, width, look), width, palette.text, align=self.align, ellipsis=dots)
        style = (self.style(row, palette) if self.style is not None else None) or palette.text
        text = self.text(row)
        if self.prefix is not None and (prefix := self.prefix(row)):
            spans = [(prefix, palette.faint), (text, style)]
            return fit_spans(spans, width, palette.text, align=self.align, ellipsis=dots)
        if self.dim_unit and width_of(text) <= width:
            number, space, unit = text.rpartition(" ")
            if space:
                spans = [(number, style), (space + unit, palette.dim)]
                return fit_spans(spans, width, palette.text, align=self.align, ellipsis=dots)
        return [(fit(text, width, align=self.align, cut=self.cut, ellipsis=dots), style)]


@dataclass(frozen=True, slots=True)
class Placed(Generic[Row]):
    """A column with its place: cells `start` to `start + width` of the table's body."""

    column: Column[Row]
    start: int
    width: int


def place(columns: Sequence[Column[Row]], width: int, *, gap: int = 1) -> list[Placed[Row]]:
    """Share a width among columns, dropping those of the highest priority number until the rest fits.

    Args:
        columns: from left to right.
        width: cells for all columns and the gaps between them.
        gap: cells between two columns.

    Returns:
        The columns kept, from left to right. If those of priority 0 alone do not fit they are still returned, and reach
        beyond the width.
    """
    kept = list(columns)

    def least(column: Column[Row]) -> int:
        return column.min_width if column.width is None else column.width

    while kept and sum(map(least, kept)) + gap * (len(kept) - 1) > width:
        # Of equal priorities the rightmost goes first.
        victim = max(range(len(kept)), key=lambda index: (kept[index].priority, index))
        if kept[victim].priority <= 0:
            break
        del kept[victim]
    spare = max(0, width - sum(map(least, kept)) - gap * max(0, len(kept) - 1))
    weight = sum(column.fraction for column in kept if column.width is None)
    # Without a flexible column the widest left-aligned one takes the spare, so that numbers end at the right edge.
    texts = [column for column in kept if column.align == "left" and column.spans is None]
    stretched = max(texts, key=least, default=None) if not weight else None
    placed: list[Placed[Row]] = []
    start = 0
    given, passed = 0, 0.0
    for column in kept:
        size = least(column)
        if column.width is None and weight > 0:
            passed += column.fraction
            share = round(spare * passed / weight) - given
            given += share
            size += share
        elif column is stretched:
            size += spare
        placed.append(Placed(column, start, size))
        start += size + gap
    return placed


def draw_header(
    placed: Sequence[Placed[Row]], width: int, look: Look, *, sort: tuple[str, bool] = ("", False)
) -> Strip:
    """Draw the titles of columns, with an arrow at the one that rows are sorted by.

    Args:
        placed: columns as from `place(columns, width - 2)`; one cell is left free at each side.
        width: cells.
        look: palette and glyphs.
        sort: (column key, largest first).
    """
    palette, glyphs = look.palette, look.glyphs
    spans: Spans = [(" ", palette.header)]
    end = 0
    for each in placed:
        column = each.column
        spans.append((" " * (each.start - end), palette.header))
        end = each.start + each.width
        if column.key != sort[0]:
            title = fit(column.title, each.width, align=column.align, ellipsis=glyphs.ellipsis)
            spans.append((title, palette.header))
            continue
        title = shorten(column.title.strip(), each.width - 1, ellipsis="") + glyphs.sort_arrow(sort[1])
        spans.append((fit(title, each.width, align=column.align, ellipsis=""), palette.header_sorted))
    return strip(spans, width, palette.header, ellipsis=glyphs.ellipsis)


def draw_row(
    placed: Sequence[Placed[Row]],
    row: Row,
    width: int,
    look: Look,
    *,
    tagged: bool = False,
    overlay: Style | None = None,
) -> Strip:
    """Draw the cells of one row.

    Args:
        placed: columns as from `place(columns, width - 2)`; the free cell at the left holds the tag.
        row: what the columns' callables are given.
        width: cells.
        look: palette and glyphs.
        tagged: mark the row as tagged.
        overlay: laid over every style of the row, such as the selection's.
    """
    palette, glyphs = look.palette, look.glyphs
    spans: Spans = [(glyphs.tag if tagged else " ", palette.hotkey)]
    end = 0
    for each in placed:
        if each.start > end:
            spans.append((" " * (each.start - end), palette.text))
        spans += each.column.draw(row, each.width, look)
        end = each.start + each.width
    if tagged:
        spans = [(text, style + palette.tagged) for text, style in spans]
    fill = palette.text
    if overlay is not None:
        spans = [(text, style + overlay) for text, style in spans]
        fill = fill + overlay
    return strip(spans, width, fill, ellipsis=glyphs.ellipsis)
