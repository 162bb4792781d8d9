"""Steps of an answer: samples and cells of any tier put together into points."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from store.rollup import sketch_of_cell
from store.schema import MINUTE, QUARTER
from store.sketch import bucket_of, exact_quantile, merged, quantile, sketch_of, value_of
from sysmon.records import Point, Stats

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from store.pages import Cell
    from store.rollup import Samples
    from sysmon.frame import Number

SECOND = 1000

_ROUNDING = 1.3e-4
"""Relative error of a derived series' least and greatest in a rollup, with some slack."""


class Step:
    """What is known of one step of one series."""

    __slots__ = ("cells", "greatest", "last", "last_at", "least", "size", "sum", "values", "weight")

    def __init__(self) -> None:
        self.size = 0
        self.sum: Number = 0
        self.weight: Number = 0
        self.least: Number = math.inf
        self.greatest: Number = -math.inf
        self.last: Number = 0
        self.last_at = -1
        self.values: list[Number] = []
        self.cells: list[Cell] = []

    def add_samples(
        self, at: int, values: Sequence[Number], tops: Sequence[Number], bottoms: Sequence[Number] | None
    ) -> None:
        """Adds reads; `at` is the time of the last."""
        self.size += len(values)
        self.sum += sum(tops)
        self.weight += len(values) if bottoms is None else sum(bottoms)
        self.least = min(self.least, min(values))
        self.greatest = max(self.greatest, max(values))
        self.values.extend(values)
        if at >= self.last_at:
            self.last, self.last_at = values[-1], at

    def add_cell(self, at: int, cell: Cell) -> None:
        """Adds a cell of a rollup."""
        self.size += cell.size
        self.sum += cell.sum
        self.weight += cell.weight
        self.least = min(self.least, cell.least)
        self.greatest = max(self.greatest, cell.greatest)
        self.cells.append(cell)
        if at >= self.last_at:
            self.last, self.last_at = cell.last, at

    def add_step(self, other: Step) -> None:
        """Adds another step."""
        self.size += other.size
        self.sum += other.sum
        self.weight += other.weight
        self.least = min(self.least, other.least)
        self.greatest = max(self.greatest, other.greatest)
        self.values.extend(other.values)
        self.cells.extend(other.cells)
        if other.last_at >= self.last_at:
            self.last, self.last_at = other.last, other.last_at

    @property
    def mean(self) -> float:
        """The mean, exact at every tier; within what was seen, but for the rounding of least and greatest."""
        mean = self.sum / self.weight if self.weight else float(self.last)
        slack = _ROUNDING * max(abs(self.least), abs(self.greatest))
        return min(max(mean, self.least - slack), self.greatest + slack)

    @property
    def p95(self) -> float:
        """The value at rank ceil(0.95 n): exact from reads, within 2 % from sketches."""
        if not self.cells:
            return float(exact_quantile(self.values, 0.95))
        bucket = bucket_of(self.least)
        if bucket == bucket_of(self.greatest):
            return min(max(value_of(bucket), float(self.least)), float(self.greatest))
        cells = [sketch_of_cell(cell) for cell in self.cells]
        parts = [*cells, sketch_of(self.values)] if self.values else cells
        return quantile(merged(parts), 0.95, self.least, self.greatest)


class Steps:
    """The steps of one series from `start` to before `end`."""

    def __init__(self, start: int, end: int, step: int) -> None:
        self.start = start
        self.end = end
        self.step = step
        self._steps: dict[int, Step] = {}

    def add_samples(self, samples: Samples) -> None:
        """Adds reads, those outside of the range left out."""
        _, ats, values, tops, bottoms = samples
        step, start, end = self.step, self.start, self.end
        position, count = 0, len(ats)
        while position < count:
            at = ats[position]
            number = at // step
            until = position + 1
            if not start <= at < end:
                position = until
                continue
            last = min(end, (number + 1) * step)
            while until < count and at <= ats[until] < last:
                at = ats[until]
                until += 1
            self._at(number).add_samples(
                at, values[position:until], tops[position:until], None if bottoms is None else bottoms[position:until]
            )
            position = until

    def add_cells(self, tier: int, numbers: Iterable[int], cells: Iterable[Cell | None]) -> None:
        """Adds cells of a rollup; one belongs to the step that it begins in."""
        start, end, step = self.start - tier + 1, self.end, self.step
        for number, cell in zip(numbers, cells, strict=True):
            at = number * tier
            if cell is not None and start <= at < end:
                self._at(max(at, self.start) // step).add_cell(at, cell)

    def _at(self, number: int) -> Step:
        found = self._steps.get(number)
        if found is None:
            found = self._steps[number] = Step()
        return found

    def __bool__(self) -> bool:
        return bool(self._steps)

    def points(self) -> list[Point]:
        """Returns the steps that hold something."""
        made = []
        for number, each in sorted(self._steps.items()):
            mean = each.mean
            least, greatest = min(each.least, mean), max(each.greatest, mean)
            made.append(
                Point(number * self.step, each.size, float(least), mean, float(greatest), float(each.last), each.p95)
            )
        return made

    def stats(self) -> Stats | None:
        """Returns the statistics of the whole range, None where it holds nothing."""
        if not self._steps:
            return None
        whole = Step()
        for each in self._steps.values():
            whole.add_step(each)
        return Stats(
            count=whole.size,
            min=float(whole.least),
            mean=whole.mean,
            max=float(whole.greatest),
            p95=float(whole.p95),
            last=float(whole.last),
        )


def step_for(start: int, end: int, points: int) -> int:
    """Returns the shortest step (ms) that covers the range in at most `points` steps.

    From a minute up it is a multiple of a minute, from 15 minutes up one of those, so that cells of rollups fit whole.
    """
    points = max(1, points)
    step = max(SECOND, math.ceil(max(1, end - start) / points))
    while True:
        unit = QUARTER if step >= QUARTER else MINUTE if step >= MINUTE else SECOND
        step = -(-step // unit) * unit
        if (end - 1) // step - start // step < points:
            return step
        step += unit
