"""Lines drawn in dots: series put into columns, columns into cells of braille, half blocks or ASCII; no Textual."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING, Final, Literal

from tui.renderables.scale import share

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sysmon.records import Series, Span

Kind = Literal["braille", "block", "ascii"]

DOTS: Final[dict[str, tuple[int, int]]] = {"braille": (2, 4), "block": (1, 2), "ascii": (1, 1)}
"""Dots of one cell: across, down."""

MARKS: Final = "*+xo#@%&"
"""What tells lines apart in ASCII and without colours."""

_BITS: Final = ((0x01, 0x02, 0x04, 0x40), (0x08, 0x10, 0x20, 0x80))


@dataclass(frozen=True, slots=True)
class Column:
    """What a series was within one column of dots; the mean is weighted by the reads."""

    low: float
    mean: float
    high: float


@dataclass(slots=True)
class Columns:
    """A series on a grid of `width` columns of dots: `cells[x]`, and the pairs of columns that a line joins."""

    width: int
    cells: dict[int, Column] = field(default_factory=dict)
    joined: list[tuple[int, int]] = field(default_factory=list)


def columns_of(series: Series, start: int, end: int, width: int, gaps: Sequence[Span] = ()) -> Columns:
    """Puts the points of a series into columns; points outside the range, and values that are no numbers, are left out.

    Two neighbours are joined unless a gap lies between them or more than two and a half times the usual distance.
    """
    result = Columns(width)
    if width <= 0 or end <= start:
        return result
    points = [
        point
        for point in series.points
        if start <= point.time < end and all(map(math.isfinite, (point.min, point.mean, point.max)))
    ]
    limit = _reach(series, [point.time for point in points])
    sums: dict[int, list[float]] = {}
    last: tuple[int, int] | None = None
    gap_at = 0
    spans = sorted(gaps, key=lambda gap: gap.start)
    half = series.step // 2
    for point in points:
        # A point stands for its whole step: it belongs in the middle of it, and what is cut off stays at the edge.
        x = min(width - 1, max(0, (min(point.time + half, end - 1) - start) * width // (end - start)))
        weight = max(1, point.count)
        found = sums.get(x)
        if found is None:
            sums[x] = [point.min, point.mean * weight, point.max, float(weight)]
        else:
            found[0], found[2] = min(found[0], point.min), max(found[2], point.max)
            found[1] += point.mean * weight
            found[3] += weight
        if last is not None and last[1] != x:
            while gap_at < len(spans) and spans[gap_at].end <= last[0]:
                gap_at += 1
            crossed = gap_at < len(spans) and spans[gap_at].start < point.time and spans[gap_at].end <= point.time
            if point.time - last[0] <= limit and not crossed:
                result.joined.append((last[1], x))
        last = (point.time, x)
    for x, (low, total, high, reads) in sums.items():
        mean = total / reads
        result.cells[x] = Column(low, mean if math.isfinite(mean) else high, high)
    return result


def _reach(series: Series, times: list[int]) -> float:
    """How far apart two neighbours may be and still be joined, milliseconds."""
    if len(times) < 2:
        return 0.0
    distances = sorted(later - earlier for earlier, later in pairwise(times))
    return max(1.5 * series.step, 2.5 * distances[len(distances) // 2])


class Canvas:
    """A grid of dots with an owner for each cell.

    `ink` has the dots of lines and areas, `haze` those of what lies behind them (the band from least to most); a cell
    with ink shows no haze, so that a line stands out.
    """

    def __init__(self, width: int, height: int, kind: Kind = "braille") -> None:
        self.width, self.height, self.kind = width, height, kind
        self.across, self.down = DOTS[kind]
        self.ink = [0] * (width * height)
        self.haze = [0] * (width * height)
        self.owner = [-1] * (width * height)
        self.haze_owner = [-1] * (width * height)

    @property
    def dots(self) -> tuple[int, int]:
        """Dots across and down."""
        return self.width * self.across, self.height * self.down

    def dot(self, x: int, y: int, owner: int, *, haze: bool = False) -> None:
        """Sets a dot, counted from the lower left; what lies outside is left out."""
        column, row = x // self.across, self.height - 1 - y // self.down
        if not (0 <= column < self.width and 0 <= row < self.height):
            return
        at = row * self.width + column
        if self.kind == "braille":
            bit = _BITS[x % 2][3 - y % 4]
        elif self.kind == "block":
            bit = 1 << (y % 2)
        else:
            bit = 1
        if haze:
            self.haze[at] |= bit
            self.haze_owner[at] = owner
            return
        self.ink[at] |= bit
        self.owner[at] = owner

    def level(self, value: float, low: float, high: float) -> int:
        """The row of dots of a value, clamped."""
        return round(share(value, low, high) * (self.dots[1] - 1))

    def line(self, columns: Columns, owner: int, low: float, high: float) -> None:
        """Draws the means, joined where they belong together."""
        heights = {x: self.level(cell.mean, low, high) for x, cell in columns.cells.items()}
        for x, y in heights.items():
            self.dot(x, y, owner)
        for left, right in columns.joined:
            self._segment(left, heights[left], right, heights[right], owner)

    def area(self, columns: Columns, owner: int, low: float, high: float) -> None:
        """Fills from the lower edge, or from 0, to the means."""
        base = self.level(0.0 if low < 0 else low, low, high)
        tops = {x: self.level(cell.mean, low, high) for x, cell in columns.cells.items()}
        for left, right in columns.joined:
            for x in range(left + 1, right):
                tops[x] = round(tops[left] + (tops[right] - tops[left]) * (x - left) / (right - left))
        for x, top in tops.items():
            for y in range(min(base, top), max(base, top) + 1):
                self.dot(x, y, owner)

    def band(self, columns: Columns, owner: int, low: float, high: float) -> None:
        """Draws the band from least to most as a haze of every second dot."""
        step = 2 if self.kind == "braille" else 1
        for x, cell in columns.cells.items():
            first, last = self.level(cell.low, low, high), self.level(cell.high, low, high)
            if last == first or (step == 2 and x % 2 and x - 1 in columns.cells):
                continue
            for y in range(first + (-first % step), last + 1, step):
                self.dot(x, y, owner, haze=True)

    def _segment(self, x: int, y: int, to_x: int, to_y: int, owner: int) -> None:
        steps = max(abs(to_x - x), abs(to_y - y))
        for step in range(1, steps):
            self.dot(x + round((to_x - x) * step / steps), y + round((to_y - y) * step / steps), owner)

    def cell(self, column: int, row: int) -> tuple[str, int, bool]:
        """Returns a cell's character, its owner (-1 for none) and whether it is haze."""
        at = row * self.width + column
        bits, owner, haze = self.ink[at], self.owner[at], False
        if not bits:
            bits, owner, haze = self.haze[at], self.haze_owner[at], True
        if not bits:
            return " ", -1, False
        if self.kind == "braille":
            return chr(0x2800 + bits), owner, haze
        if self.kind == "block":
            return ("░" if haze else " ▄▀█"[bits]), owner, haze
        return ("." if haze else MARKS[owner % len(MARKS)]), owner, haze
