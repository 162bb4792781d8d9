"""Thresholds of alert rules: values of a metric's unit that its readings can lie on both sides of."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from sysmon import caps
from sysmon.units import parse_quantity

if TYPE_CHECKING:
    from sysmon.catalogue import Metric

NEVER_NEGATIVE = frozenset({"ratio", "bytes", "bytes/s", "/s", "hertz", "rpm"})


def threshold(given: str | float, metric: Metric) -> float:
    """Returns a threshold in the metric's base unit.

    Raises:
        ValueError: not a value of that unit, or one that no reading of the metric can pass, or all do.
    """
    value = parse_quantity(given, metric.unit)
    if not math.isfinite(value):
        raise ValueError(f"'{given}' is not a number")
    if value < 0 and metric.unit in NEVER_NEGATIVE:
        raise ValueError(f"'{given}' is less than nothing, and {metric.name} never is; write 0 or more")
    if metric.unit == "ratio" and value > 1:
        bare = str(given).strip()
        if not bare.endswith("%") and value <= 100:
            raise ValueError(f"'{given}' is {value * 100:g} %; write \"{bare} %\"")
        if _bounded(metric):
            raise ValueError(f"'{given}' is never reached: {metric.name} is 0 % to 100 %; write \"90 %\"")
    return value


def _bounded(metric: Metric) -> bool:
    """Whether a ratio is a part of a whole: one of flows without a ceiling (retransmits by segments) is none, nor is
    what goes beyond a cap.
    """
    formula = metric.formula
    if metric.collector == caps.COLLECTOR:
        return False
    return formula is None or formula.ceiling is not None or formula.kind == "value_ratio"
