"""Bounds of graphs: a value's share of them, and labelled ceilings for rates."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

_STEPS: Final = (1, 2, 5, 10, 20, 50, 100, 200, 500)
_HOLD: Final = 0.7
"""A lower ceiling is taken only when the peak fills at most this share of it, so that the scale does not flutter."""


def share(value: float, low: float, high: float) -> float:
    """The place of a value between two bounds as 0-1, clamped. Bounds that enclose nothing give 0 or 1.

    A NaN gives 0; callers that show missing values differently test for it first.
    """
    if not low < high:
        return 1.0 if value > low else 0.0
    if value >= high:
        return 1.0
    if not value > low:
        return 0.0
    if low == -math.inf:
        return 1.0
    # Halved first: the span of two huge bounds may exceed what a float can hold.
    return (value / 2 - low / 2) / (high / 2 - low / 2)


def nice_ceiling(
    values: Iterable[float | None], floor: float, *, previous: float | None = None, base: int = 1000
) -> float:
    """Choose an upper bound for a graph that is easy to label and does not flutter.

    Args:
        values: what is to be shown; None, NaN and infinities are left out.
        floor: the least ceiling, so that a quiet line does not look busy; more than 0.
        previous: the ceiling in use. It is kept while the values fit and do not leave it far too high.
        base: 1000 for bits and counts, 1024 for bytes: ceilings are 1, 2, 5, ... 500 times a power of it.

    Returns:
        The least such ceiling that is at least `floor` and holds all values.
    """
    peak = max((value for value in values if value is not None and math.isfinite(value)), default=0.0)
    wanted = _ceiling(max(peak, floor), base)
    if previous is None or peak > previous or wanted >= previous:
        return wanted
    return wanted if peak <= _HOLD * wanted else min(previous, _ceiling(wanted * 1.001, base))


def _ceiling(peak: float, base: int) -> float:
    if not 0 < peak < 1e300:
        return 1.0 if peak <= 0 else peak
    power = float(base) ** math.floor(math.log(peak, base))
    # The logarithm may fall on either side of an exact power.
    while power > peak:
        power /= base
    while power * base <= peak:
        power *= base
    return next((step * power for step in _STEPS if step * power >= peak), power * base)
