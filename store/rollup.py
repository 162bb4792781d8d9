"""Rolling up: from a collector's columns to cells of a minute, from those to cells of 15 minutes."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from store.codec import decimals_of
from store.pages import FLOAT, GAUGE, QUOTIENT, Cell, Rolled
from store.sketch import Sketch, bucket_of, decode_sketch, merged, single, sketch_of
from sysmon.columns import derive_column
from sysmon.derive import plan

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Sequence

    from store.pages import Page
    from store.pieces import Before
    from sysmon.catalogue import Catalogue, Formula
    from sysmon.frame import Number

RolledUp = dict[str, tuple[int, dict[int, Cell]]]
"""Series -> how it is kept, and its cells by number of the step."""

_AT_ONCE = 32
"""Series rolled up in one step."""

COUNTER_DECIMALS = 6
"""Decimals that counters keep when they are read."""


SANE = 1e30
"""No quantity of a machine is as large. What a host says beyond it is kept as it was, and left out of statistics."""


class Samples(NamedTuple):
    """One series, read by read, without the reads at which it has no value.

    A step's mean is the sum of `tops` by the sum of `bottoms`.
    """

    kind: int
    ats: Sequence[int]
    values: Sequence[Number]
    tops: Sequence[Number]
    bottoms: Sequence[Number] | None


def gauge_samples(ats: Sequence[int], column: Sequence[Number | None]) -> Samples:
    """Returns the samples of a raw series."""
    column = sane(column)
    values: list[Number]
    if None in column:
        ats = [at for at, value in zip(ats, column, strict=True) if value is not None]
        values = [value for value in column if value is not None]
    else:
        values = column  # type: ignore[assignment]
    return Samples(GAUGE, ats, values, values, None)


def derived_samples(
    formula: Formula,
    over: Sequence[Sequence[Number | None]],
    per: Sequence[Sequence[Number | None]],
    ats: Sequence[int],
    reads: Sequence[int],
    before: tuple[int, Sequence[Number | None], Sequence[Number | None]] | None,
) -> Samples:
    """Returns the samples of a derived series.

    `before`: the last read before these (boot clock, values of `over`, values of `per`), or None.
    """
    skip = 0
    if before is not None and (not reads or before[0] < reads[0]):
        skip = 1
        reads = [before[0], *reads]
        over = [[value, *column] for value, column in zip(before[1], over, strict=True)]
        per = [[value, *column] for value, column in zip(before[2], per, strict=True)]
    over, per = [sane(column) for column in over], [sane(column) for column in per]
    values, tops, bottoms = (part[skip:] for part in derive_column(formula, over, per, reads))
    if None in values:
        held = [index for index, value in enumerate(values) if value is not None]
        ats = [ats[index] for index in held]
        values, tops, bottoms = ([part[index] for index in held] for part in (values, tops, bottoms))
    if formula.kind == "value_ratio":
        return Samples(QUOTIENT + COUNTER_DECIMALS, ats, values, values, None)  # type: ignore[arg-type]
    whole = all(isinstance(top, int) for top in tops)
    return Samples(QUOTIENT + (0 if whole else COUNTER_DECIMALS), ats, values, tops, bottoms)  # type: ignore[arg-type]


def sane(column: Sequence[Number | None]) -> Sequence[Number | None]:
    """Returns a column without what is no number or beyond `SANE`; mostly the column itself."""
    try:
        if sum(map(abs, column)) < SANE:  # type: ignore[arg-type]
            return column
    except TypeError:
        pass  # Some are missing.
    return [value if value is not None and -SANE < value < SANE else None for value in column]


def _gauge_kind(values: Sequence[Number]) -> int:
    if set(map(type, values)) <= {int, bool}:
        return GAUGE
    decimals = decimals_of([float(value) for value in values])
    return FLOAT if decimals is None else GAUGE + decimals


def cell_of(values: Sequence[Number], tops: Sequence[Number], bottoms: Sequence[Number] | None) -> Cell:
    """Returns the cell of at least one sample."""
    least, greatest = min(values), max(values)
    sketch = None if bucket_of(least) == bucket_of(greatest) else sketch_of(values)
    weight = len(values) if bottoms is None else sum(bottoms)
    return Cell(len(values), sum(tops), weight, least, greatest, values[-1], sketch)


def cells_of(samples: Samples, step: int) -> dict[int, Cell]:
    """Returns the cells of a series by number of the step (time over `step`)."""
    _, ats, values, tops, bottoms = samples
    places: dict[int, list[tuple[int, int]]] = {}
    start = 0
    numbers = [at // step for at in ats]
    for position in range(1, len(numbers) + 1):
        if position == len(numbers) or numbers[position] != numbers[start]:
            places.setdefault(numbers[start], []).append((start, position))
            start = position
    made = {}
    for number, slices in places.items():
        # More than one slice only where the host's clock was set back.
        parts = [
            cell_of(values[low:high], tops[low:high], None if bottoms is None else bottoms[low:high])
            for low, high in slices
        ]
        made[number] = parts[0] if len(parts) == 1 else merge_cells(parts)
    return made


def merge_cells(cells: Sequence[Cell]) -> Cell:
    """Returns the cell of several, given in order of time."""
    if len(cells) == 1:
        return cells[0]
    least = min(cell.least for cell in cells)
    greatest = max(cell.greatest for cell in cells)
    sketch = None
    if bucket_of(least) != bucket_of(greatest):
        sketch = merged([sketch_of_cell(cell) for cell in cells])
    return Cell(
        sum(cell.size for cell in cells),
        sum(cell.sum for cell in cells),
        sum(cell.weight for cell in cells),
        least,
        greatest,
        cells[-1].last,
        sketch,
    )


def sketch_of_cell(cell: Cell) -> Sketch:
    """Returns a cell's sketch, also where one bucket holds all."""
    if cell.sketch is None:
        return single(bucket_of(cell.least), cell.size)
    if isinstance(cell.sketch, bytes):
        return decode_sketch(cell.sketch, 0)[0] or single(bucket_of(cell.least), cell.size)
    return cell.sketch


def roll_group(
    catalogue: Catalogue,
    ats: Sequence[int],
    reads: Sequence[int],
    columns: dict[str, list[Number | None]],
    before: Before | None,
    step: int,
) -> Generator[None, None, RolledUp]:
    """Rolls one collector's columns up, in small steps: its gauges, and what the catalogue derives from it."""
    found: RolledUp = {}
    for key, column in columns.items():
        metric = catalogue.of_key(key)
        if metric is not None and metric.kind == "gauge" and metric.rollup:
            samples = gauge_samples(ats, column)
            found[key] = (_gauge_kind(samples.values), cells_of(samples, step))
            if len(found) % _AT_ONCE == 0:
                yield
    yield
    for key, formula, over, per in plan(catalogue, columns):
        metric = catalogue.of_key(key)
        if metric is None or not metric.rollup:
            continue
        earlier = None
        if before is not None:
            earlier = (
                before.read,
                [before.values.get(each) for each in over],
                [before.values.get(each) for each in per],
            )
        samples = derived_samples(
            formula, [columns[each] for each in over], [columns[each] for each in per], ats, reads, earlier
        )
        found[key] = (samples.kind, cells_of(samples, step))
        if len(found) % _AT_ONCE == 0:
            yield
    return found


def add_cells(found: RolledUp, part: RolledUp) -> None:
    """Adds what another stretch of the same block rolled up to."""
    for key, (kind, cells) in part.items():
        known = found.get(key)
        if known is None:
            found[key] = (kind, cells)
            continue
        held = known[1]
        for number, cell in cells.items():
            held[number] = merge_cells([held[number], cell]) if number in held else cell
        found[key] = (max(kind, known[0]), held)


def add_page(found: RolledUp, keys: Sequence[str], page: Page, without: range) -> Iterator[None]:
    """Adds what a page holds, but for the steps `without`; in small steps of work."""
    for index, key in enumerate(keys):
        kind, cells = page.series(index, packed=True)
        held = {
            number: cell
            for number, cell in zip(page.times, cells, strict=True)
            if cell is not None and number not in without
        }
        known = found.get(key)
        found[key] = (kind, held) if known is None else (max(kind, known[0]), {**held, **known[1]})
        if index % _AT_ONCE == _AT_ONCE - 1:
            yield


def page_of(found: RolledUp) -> tuple[list[int], tuple[str, ...], list[Rolled]]:
    """Lays series out for a page: the numbers of the steps that have a value, the series, and each one's cells."""
    times = sorted({number for _, cells in found.values() for number in cells})
    keys = tuple(sorted(key for key, (_, cells) in found.items() if cells))
    return times, keys, [Rolled(found[key][0], [found[key][1].get(number) for number in times]) for key in keys]
