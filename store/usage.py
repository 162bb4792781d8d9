"""Usage: bytes per device, exact across restarts, resets and holes.

The growth between two reads belongs to the 5-minute bucket of the later one. Across a hole it is spread over the
buckets in between and marked estimated. After a fall or a new boot the new value counts whole, and the span is marked
"at least". The first sight of a series counts nothing.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

from store.schema import BUCKET

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from sysmon.catalogue import Catalogue, Metric
    from sysmon.frame import Number

AT_LEAST, ESTIMATED = 1, 2
"""Flags of a bucket."""

ACCOUNTED = ("net.receive", "net.transmit", "disk.read", "disk.write")
"""Byte counters whose totals are kept for ever."""

MOST = 1 << 63
"""A counter's value from which on it is none that a kernel could have said."""

_WRAP = 1 << 32
_WRAP_RATE = 125e6 * 1.1
"""Bytes per second up to which a fall of a 32-bit counter is a wrap: a gigabit link, with some slack."""

_HOLE = 10_000
"""Milliseconds between reads below which there is no hole."""


class Last(NamedTuple):
    """The last value of a counter known before some moment."""

    boot: str
    value: Number
    at: int


class Contribution(NamedTuple):
    """Bytes of one series in one bucket."""

    key: str
    start: int
    bytes: int
    flags: int

    def plus(self, other: Contribution) -> Contribution:
        """Returns this and another of the same bucket."""
        return self._replace(bytes=min(self.bytes + other.bytes, MOST - 1), flags=self.flags | other.flags)


def accounted(keys: Iterable[str], catalogue: Catalogue) -> list[str]:
    """Returns those keys whose totals are kept."""
    found = []
    for key in keys:
        name = key.partition(":")[0]
        if name in ACCOUNTED:
            metric = catalogue.get(name)
            if metric is None or metric.kind == "counter":
                found.append(key)
    return found


def contributions(
    key: str,
    metric: Metric | None,
    boot: str,
    booted: int,
    ats: Sequence[int],
    column: Sequence[Number | None],
    last: Last | None,
    own: Sequence[bool] | None = None,
) -> tuple[list[Contribution], Last | None]:
    """Returns what the reads of one boot add to which buckets, and the last value.

    Args:
        key: the series.
        metric: its catalogue entry.
        boot: the boot that the reads belong to.
        booted: when that was, Unix milliseconds.
        ats: the times of the reads, in order.
        column: the values, None where there is none.
        last: the value known before the first, None where the series was never seen.
        own: which reads count; the others only tell what the value was. All by default.
    """
    found: dict[int, list[int]] = {}
    steps = sorted(later - earlier for earlier, later in pairwise(ats))
    hole = max(_HOLE, int(2.5 * steps[len(steps) // 2])) if steps else _HOLE
    for at, value, counts in zip(ats, column, [True] * len(ats) if own is None else own, strict=True):
        if value is None or not 0 <= value < MOST:
            continue
        if last is not None and counts:
            start, flags = last.at, 0
            if last.boot == boot and value >= last.value:
                grown = value - last.value
            elif last.boot == boot and _wrapped(metric, last, value, at):
                grown = value + _WRAP - last.value
            else:
                grown, flags = value, AT_LEAST
                if last.boot != boot:
                    start = max(start, min(booted, at))
            if grown or flags:
                _add(found, start, at, int(grown), flags, hole)
        last = Last(boot, value, at)
    made = [Contribution(key, start, min(total, MOST - 1), flags) for start, (total, flags) in sorted(found.items())]
    return made, last


def _wrapped(metric: Metric | None, last: Last, value: Number, at: int) -> bool:
    if metric is None or metric.bits != 32 or last.value >= _WRAP:
        return False
    return value + _WRAP - last.value <= _WRAP_RATE * max(0.0, (at - last.at) / 1000)


def _add(found: dict[int, list[int]], start: int, at: int, grown: int, flags: int, hole: int) -> None:
    first, end = start // BUCKET, at // BUCKET
    if first >= end or (at - start <= hole and not flags):
        _into(found, end * BUCKET, grown, flags)
        return
    given = 0
    for bucket in range(first, end + 1):
        until = min((bucket + 1) * BUCKET, at)
        share = grown * (until - start) // (at - start)
        _into(found, bucket * BUCKET, share - given, flags | ESTIMATED)
        given = share


def _into(found: dict[int, list[int]], start: int, grown: int, flags: int) -> None:
    entry = found.setdefault(start, [0, 0])
    entry[0] += grown
    entry[1] |= flags
