"""The derivation of `derive`, a column at a time: what history computes when it seals and answers.

Row i of every column belongs to the read at `reads[i]`; a missing value is None. The rules are those of `derive.State`:
a counter's increase needs both reads, and one that fell yields nothing.
"""

from __future__ import annotations

import math
from operator import add, sub
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sysmon.catalogue import Formula
    from sysmon.frame import Number


class Derived(NamedTuple):
    """One derived series: its values and what they are the quotients of, None where there is none.

    A rate's `tops` are the exact increases and its `bottoms` the seconds between the reads.
    """

    values: list[float | None]
    tops: list[Number | None]
    bottoms: list[Number | None]


def derive_column(
    formula: Formula,
    over: Sequence[Sequence[Number | None]],
    per: Sequence[Sequence[Number | None]],
    reads: Sequence[int],
) -> Derived:
    """Computes a derived series from the columns of its formula's parts.

    Args:
        formula: how it is derived.
        over, per: a column for each part that exists; `value_ratio` needs every part of the formula.
        reads: nanoseconds since one boot, strictly rising.

    Returns:
        As many rows as `reads`; of increases the first row has none.
    """
    if formula.kind == "value_ratio":
        tops = _sums(over, whole=True)
        bottoms = _sums(per, whole=True)
    else:
        tops = _sums([increases(column) for column in over], present=over)
        if formula.kind == "rate":
            bottoms = [None, *(elapsed / 1e9 for elapsed in map(sub, reads[1:], reads[:-1]))] if reads else []
        else:
            bottoms = _sums([increases(column) for column in per], present=per)
    ceiling = math.inf if formula.ceiling is None else formula.ceiling
    values: list[float | None] = [
        None if top is None or bottom is None or bottom <= 0 else min(top / bottom, ceiling)
        for top, bottom in zip(tops, bottoms, strict=True)
    ]
    if None in values:
        for index, value in enumerate(values):
            if value is None:
                tops[index] = bottoms[index] = None
    return Derived(values, tops, bottoms)


def increases(column: Sequence[Number | None]) -> list[Number | None]:
    """Returns how much a counter grew at each row; None without both values or where it fell."""
    if not column:
        return []
    if None not in column:
        grown: list[Number | None] = list(map(sub, column[1:], column[:-1]))
        if grown and min(grown) < 0:  # type: ignore[type-var, operator]
            grown = [None if value is None or value < 0 else value for value in grown]
        return [None, *grown]
    result: list[Number | None] = [None]
    before = column[0]
    for value in column[1:]:
        result.append(None if value is None or before is None or value < before else value - before)
        before = value
    return result


def _sums(
    columns: Sequence[Sequence[Number | None]],
    *,
    whole: bool = False,
    present: Sequence[Sequence[Number | None]] = (),
) -> list[Number | None]:
    """Adds columns up row by row.

    `whole`: a row needs every column. Else a row needs a result in every column that has a value there (`present`), and
    at least one.
    """
    if not columns:
        return []
    if len(columns) == 1:
        return list(columns[0])
    length = len(columns[0])
    if all(None not in column[1:] for column in columns) and (whole or length):
        first = 0 if all(column[0] is not None for column in columns) else 1
        total = list(columns[0][first:])
        for column in columns[1:]:
            total = list(map(add, total, column[first:]))
        return [None] * first + total
    result: list[Number | None] = []
    for index in range(length):
        values = [column[index] for column in columns]
        if not whole:
            values = [value for value, raw in zip(values, present, strict=True) if raw[index] is not None]
        result.append(sum(values) if values and None not in values else None)  # type: ignore[arg-type]
    return result
