"""Charts of a range: lines or an area in dots, value and time axes, gaps shaded, events and a cursor as columns."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from rich.segment import Segment
from textual.strip import Strip

from tui.chartaxes import bounds_of, time_ticks, value_ticks
from tui.chartdots import MARKS, Canvas, columns_of
from tui.renderables.scale import share
from tui.renderables.text import blank, width_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import tzinfo

    from rich.style import Style

    from sysmon.records import Series, Span
    from tui.chrome import Mark
    from tui.glyphs import Severity
    from tui.palette import Hue, HueName, Palette
    from tui.theme import Look

_CYCLE: Final[tuple[HueName, ...]] = (
    "cpu",
    "disk_write",
    "memory",
    "receive",
    "swap",
    "pressure",
    "transmit",
    "temperature",
    "gpu",
)
"""Hues for further series of a chart, neighbours far apart."""

_RANK: Final = {"ok": 0, "unknown": 0, "info": 1, "warning": 2, "critical": 3}
_MOST_STEMS: Final = 12
"""Columns of events that are drawn through the chart; where there are more, the upper edge alone shows them."""

_LEAST_WIDTH: Final = 24
_GUTTER: Final = 10


@dataclass(frozen=True, slots=True, eq=False)
class Plot:
    """What a chart shows, from `start` to `end` in Unix milliseconds. Equal only to itself, so that a picture of it can
    be kept.
    """

    series: tuple[Series, ...]
    start: int
    end: int
    unit: str = ""
    gaps: tuple[Span, ...] = ()
    marks: tuple[Mark, ...] = ()
    zone: tzinfo | None = None


def line_hues(metrics: Sequence[str], palette: Palette) -> list[Hue]:
    """A hue for each line: its metric's own where no line before has it, else the next that is free."""
    taken: set[str] = set()
    hues: list[Hue] = []
    for metric in metrics:
        hue = palette.hue_for(metric)
        if hue.name in taken:
            free = (palette.hue(name) for name in _CYCLE if palette.hue(name).name not in taken)
            hue = next(free, hue)
        taken.add(hue.name)
        hues.append(hue)
    return hues


def line_mark(number: int, lines: int, look: Look) -> str:
    """What stands before a line's name: as the line is drawn."""
    if _by_marks(lines, look) or look.glyphs.ascii:
        return MARKS[number % len(MARKS)]
    return "━"


def _by_marks(lines: int, look: Look) -> bool:
    """Whether characters must tell lines apart."""
    return look.glyphs.ascii or (look.palette.colorless and lines > 1)


@dataclass(frozen=True, slots=True)
class ChartPlace:
    """Where a drawn chart has its times: `width` cells from cell `left`."""

    left: int
    width: int
    start: int
    end: int

    def time_at(self, x: int) -> int | None:
        """The moment in the middle of a cell, None outside."""
        if not self.left <= x < self.left + self.width:
            return None
        return self.start + (2 * (x - self.left) + 1) * (self.end - self.start) // (2 * self.width)

    def cell_of(self, time: int) -> int | None:
        """The cell of a moment, None outside of the range."""
        if not self.start <= time <= self.end or not self.width:
            return None
        return self.left + min(self.width - 1, (time - self.start) * self.width // (self.end - self.start))


def chart(
    plot: Plot, width: int, height: int, *, look: Look, cursor: int | None = None
) -> tuple[list[Strip], ChartPlace]:
    """Draw a chart with its axes.

    One series is an area in its metric's gradient, several are lines; behind them a haze from the least to the most
    of each step. What lies in a gap is hatched.

    Args:
        plot: what to show.
        width: cells.
        height: cells, the time axis included, which takes one line of at least three.
        look: palette and glyphs.
        cursor: a moment to mark, Unix milliseconds.

    Returns:
        `height` strips of `width` cells, and where the times are.
    """
    if height <= 0 or width <= 0:
        return [blank(max(0, width), look.palette.text)] * max(0, height), ChartPlace(0, 0, plot.start, plot.end)
    strips, place = _base(plot, width, height, look)
    if cursor is not None and (at := place.cell_of(cursor)) is not None:
        return [_marked(line, at, look) for line in strips], place
    return list(strips), place


@lru_cache(16)
def _base(plot: Plot, width: int, height: int, look: Look) -> tuple[tuple[Strip, ...], ChartPlace]:
    """The chart without its cursor, kept while nothing else changes. A plot is equal only to itself."""
    palette, glyphs = look.palette, look.glyphs
    axis = height >= 3
    rows = height - axis
    values = [value for series in plot.series for point in series.points for value in (point.min, point.max)]
    low, high = bounds_of(plot.unit, values)
    ticks = value_ticks(low, high, rows, plot.unit, short=width < 60)
    # Where there is room all gutters are alike, so that the times of stacked charts stand below each other.
    gutter = max((width_of(text) for _, text in ticks), default=0) + 1
    gutter = max(gutter, _GUTTER if width >= 60 else 0)
    if width - gutter < _LEAST_WIDTH:
        ticks, gutter = [], 0
    room = width - gutter
    place = ChartPlace(gutter, room, plot.start, plot.end)
    canvas = _canvas(plot, room, rows, look, low, high)
    hues = line_hues([series.metric for series in plot.series], palette)
    single = len(plot.series) == 1
    labels = {rows - 1 - round(share(value, low, high) * (rows - 1)): text for value, text in reversed(ticks)}
    hatched = _gap_cells(plot, place)
    worst = _mark_cells(plot, place)
    stems = worst if len(worst) <= _MOST_STEMS else {}
    strips: list[Strip] = []
    for row in range(rows):
        segments: list[Segment] = []
        if gutter:
            segments.append(Segment(labels.get(row, "").rjust(gutter - 1) + " ", palette.dim))
        level = (rows - row - 0.5) / rows
        grid = row in labels and 0 < row < rows - 1
        text, style = "", palette.text
        for column in range(room):
            char, owner, haze = canvas.cell(column, row)
            if row == 0 and column in worst:
                char, here = glyphs.severity(worst[column]), palette.severity(worst[column])
            elif owner >= 0:
                hue = hues[owner]
                here = hue.at(0.15) if haze else hue.at(level) if single else hue.base
            elif column in stems:
                char = ":" if glyphs.ascii else "┊"
                here = palette.dim if palette.colorless else palette.severity(stems[column])
            elif column in hatched:
                char, here = glyphs.gap, palette.gap
            elif grid:
                char, here = glyphs.threshold, palette.border
            else:
                here = palette.text
            if here is not style:
                if text:
                    segments.append(Segment(text, style))
                text, style = "", here
            text += char
        segments.append(Segment(text, style))
        strips.append(Strip(segments, width))
    if axis:
        strips.append(_axis(plot, place, width, look))
    return tuple(strips), place


def _canvas(plot: Plot, width: int, height: int, look: Look, low: float, high: float) -> Canvas:
    marks = _by_marks(len(plot.series), look)
    canvas = Canvas(width, height, "ascii" if marks else look.glyphs.graph)
    across = canvas.dots[0]
    grids = [columns_of(series, plot.start, plot.end, across, plot.gaps) for series in plot.series]
    if len(grids) <= 3:
        for number, grid in enumerate(grids):
            canvas.band(grid, number, low, high)
    # The first line is the one that matters: it is drawn last, over the others.
    for number, grid in reversed(list(enumerate(grids))):
        if len(grids) == 1 and not marks:
            canvas.area(grid, number, low, high)
        else:
            canvas.line(grid, number, low, high)
    return canvas


def _gap_cells(plot: Plot, place: ChartPlace) -> set[int]:
    """The columns that lie in a gap for more than half."""
    cells: set[int] = set()
    width = (plot.end - plot.start) / place.width if place.width else 0
    if width <= 0:
        return cells
    for gap in plot.gaps:
        first = (max(gap.start, plot.start) - plot.start) / width
        last = (min(gap.end, plot.end) - plot.start) / width
        cells.update(range(max(0, round(first)), min(place.width, round(last))))
    return cells


def _mark_cells(plot: Plot, place: ChartPlace) -> dict[int, Severity]:
    """The worst severity of each column that has an event."""
    worst: dict[int, Severity] = {}
    for mark in plot.marks:
        cell = place.cell_of(mark.time)
        if cell is None:
            continue
        column = cell - place.left
        if column not in worst or _RANK[mark.severity] > _RANK[worst[column]]:
            worst[column] = mark.severity
    return worst


def _axis(plot: Plot, place: ChartPlace, width: int, look: Look) -> Strip:
    glyphs, palette = look.glyphs, look.palette
    cells: list[tuple[str, Style]] = [(glyphs.axis, palette.border)] * place.width
    used = -1
    for time, text in time_ticks(plot.start, plot.end, place.width, plot.zone):
        at = place.cell_of(time)
        if at is None:
            continue
        label = glyphs.axis_tick + text
        begin = at - place.left
        if begin + len(label) > place.width:
            # The label stands right of its tick, except where the edge is too near.
            begin, label = begin + 1 - len(label), text + glyphs.axis_tick
        if begin <= used or begin < 0:
            continue
        used = begin + len(label)
        for offset, char in enumerate(label):
            cells[begin + offset] = (char, palette.dim)
    return Strip(
        [Segment(" " * place.left, palette.text), *(Segment(char, style) for char, style in cells)], width
    ).simplify()


def _marked(line: Strip, at: int, look: Look) -> Strip:
    """A strip with one cell marked as the cursor's."""
    middle = [
        Segment(segment.text, (segment.style or look.palette.text) + look.palette.selection)
        for segment in line.crop(at, at + 1)
    ]
    return Strip.join([line.crop(0, at), Strip(middle, 1), line.crop(at + 1, line.cell_length)])
