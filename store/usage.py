"""Usage: bytes per device, exact across restarts, resets and holes.

The growth between two reads belongs to the 5-minute bucket of the later one. Across a hole it is spread over the
buckets in between (a long one's hours, a very long one's days) and marked estimated. After a fall or a new boot the new
value counts whole, and the span is marked "at least"; so it does where a read of the same producer between the two did
not know the counter, as its interface was gone. The first sight of a series counts nothing.

A counter with a life of its own says nothing by a new boot. Less than half of what it was is a beginning anew; a
smaller fall is what its source let go of, and adds nothing but the mark.
"""

from __future__ import annotations

import re
from datetime import UTC
from itertools import islice, pairwise
from operator import le
from typing import TYPE_CHECKING, NamedTuple

from store.schema import BUCKET
from sysmon.records import ACCOUNTED
from sysmon.zones import span_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import tzinfo

    from sysmon.catalogue import Catalogue, Metric
    from sysmon.frame import Number

AT_LEAST, ESTIMATED = 1, 2
"""Flags of a bucket."""

LINKED = ("net.receive", "net.transmit")
"""Those of an interface, whose link's speed bounds them and whose width is that of the kernel's words."""

MOST = 1 << 63
"""A counter's value from which on it is none that a kernel could have said."""

WRAP = 1 << 32
GIGABIT = 125e6
"""Bytes per second up to which a fall of a 32-bit counter is a wrap where its link's speed is not known."""
_SLACK = 1.1

_NARROW = re.compile(
    r"arm(v[1-7].*|el|eb)?|mips(el)?|i[3-6]86|x86|ppc(le)?|powerpc(le)?|sparc|m68k|sh4.*|riscv32|parisc"
)
"""Machines, as uname names them, whose kernels count what drivers leave to them in 32 bits."""

_HOLE = 10_000
"""Milliseconds between reads below which there is no hole."""

_FINE, _HOURS = 86_400_000, 60 * 86_400_000
"""Milliseconds of a hole up to which it is spread by five minutes, and by hours: what one read adds stays bounded."""

_LONGEST = 400 * 86_400_000
"""Milliseconds of a hole above which it is none: a clock that knew no better was set right."""


class Last(NamedTuple):
    """The last value of a counter known before some moment.

    `gone`: the producer whose reads go on from there has read since, and did not know it.
    """

    boot: str
    value: Number
    at: int
    gone: bool = False


class Contribution(NamedTuple):
    """Bytes of one series in one bucket; `length`: milliseconds, more than five minutes within a long hole."""

    key: str
    start: int
    bytes: int
    flags: int
    length: int = BUCKET

    def plus(self, other: Contribution) -> Contribution:
        """Returns this and another of the same bucket."""
        return self._replace(bytes=min(self.bytes + other.bytes, MOST - 1), flags=self.flags | other.flags)


class Pace:
    """The times of some reads: which lie in one bucket, and what is a hole between them. Shared by all their series.

    Attributes:
        ats: Unix milliseconds.
        hole: milliseconds above which something is missing.
        stretches: (first, end) of the positions of the reads that follow each other within one bucket.
    """

    def __init__(self, ats: Sequence[int]) -> None:
        self.ats = ats
        steps = sorted(later - earlier for earlier, later in pairwise(ats))
        self.hole = max(_HOLE, int(2.5 * steps[len(steps) // 2])) if steps else _HOLE
        self.stretches: list[tuple[int, int]] = []
        first = 0
        for position in range(1, len(ats) + 1):
            if position == len(ats) or ats[position] // BUCKET != ats[first] // BUCKET:
                self.stretches.append((first, position))
                first = position


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


def is_narrow(arch: str) -> bool:
    """Whether a machine (uname -m) is one whose network counters may have 32 bits."""
    return _NARROW.fullmatch(arch.lower()) is not None


def contributions(
    key: str,
    metric: Metric | None,
    boot: str,
    booted: int,
    ats: Sequence[int] | Pace,
    column: Sequence[Number | None],
    last: Last | None,
    own: Sequence[bool] | None = None,
    runs: Sequence[int] | None = None,
    *,
    zone: tzinfo = UTC,
    narrow: bool = False,
    speed: float | None = None,
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
        own: which reads count; the others, of another producer, only tell what the value was. All by default.
        runs: numbers of the producers of the reads. One by default.
        zone: the host's, whose hours and days a long hole is spread over.
        narrow: whether the host is one whose counters may have 32 bits.
        speed: bytes per second of the link, where known.
    """
    pace = ats if isinstance(ats, Pace) else Pace(ats)
    count = _Count(metric, boot, booted, pace, column, last, own, runs, zone)
    if not count.lasting and metric is not None:
        count.wraps = metric.bits == 32 or (narrow and _fits(column, last))
    count.rate = _SLACK * (GIGABIT if speed is None else speed)
    for first, end in pace.stretches:
        # What follows a first read in which something happened is mostly even again.
        if count.even(first, end):
            continue
        count.read(first)
        if count.even(first + 1, end):
            continue
        for position in range(first + 1, end):
            count.read(position)
    made = [
        Contribution(key, start, min(total, MOST - 1), flags, length)
        for (start, length), (total, flags) in sorted(count.found.items())
    ]
    return made, count.last


class _Count:
    """One counter as its reads are gone through.

    Attributes:
        last: the last value so far.
        found: (start, length) of a bucket -> bytes and flags.
        lasting: whether the counter has a life of its own.
        wraps: whether it may wrap at 32 bits, at most at `rate` bytes per second.
    """

    def __init__(
        self,
        metric: Metric | None,
        boot: str,
        booted: int,
        pace: Pace,
        column: Sequence[Number | None],
        last: Last | None,
        own: Sequence[bool] | None,
        runs: Sequence[int] | None,
        zone: tzinfo,
    ) -> None:
        self.last = last
        self.found: dict[tuple[int, int], list[int]] = {}
        self.lasting = metric is not None and metric.lifetime == "own"
        self.wraps = False
        self.rate = 0.0
        self._boot = boot
        self._booted = booted
        self._pace = pace
        self._column = column
        self._own = own
        self._runs = runs
        self._missed = {runs[0] if runs is not None else 0} if last is not None and last.gone else set()
        self._zone = zone

    def even(self, first: int, end: int) -> bool:
        """Counts the reads of one bucket together, where nothing happened but growth; returns whether that was so."""
        last = self.last
        if last is None or self._own is not None or first >= end:
            return first >= end
        if self._missed or not (self.lasting or last.boot == self._boot):
            return False
        at = self._pace.ats[first]
        if at // BUCKET > last.at // BUCKET and at - last.at > self._pace.hole:
            return False
        part = self._column[first:end]
        if None in part:
            return False
        begin, finish = part[0], part[-1]
        if not (0 <= last.value <= begin and finish < MOST):  # type: ignore[operator]
            return False
        if end - first > 1 and not all(map(le, part, islice(part, 1, None))):  # type: ignore[arg-type]
            return False
        grown = int(finish - last.value)  # type: ignore[operator]
        if grown:
            _into(self.found, at // BUCKET * BUCKET, BUCKET, grown, 0)
        self.last = Last(self._boot, finish, self._pace.ats[end - 1])  # type: ignore[arg-type]
        return True

    def read(self, position: int) -> None:
        """Counts one read."""
        last, at, value = self.last, self._pace.ats[position], self._column[position]
        run = self._runs[position] if self._runs is not None else 0
        if value is None:
            # Another producer may have been told to leave it out; the one that knows it again was not.
            if not self.lasting:
                self._missed.add(run)
            return
        if not 0 <= value < MOST:
            return
        gone = run in self._missed
        self._missed.clear()
        self.last = Last(self._boot, value, at)
        if last is None or not (self._own is None or self._own[position]):
            return
        start, flags = last.at, 0
        same = self.lasting or (last.boot == self._boot and not gone)
        if same and value >= last.value:
            grown = int(value - last.value)
        elif same and self.wraps and _wrapped(last, value, at, self.rate):
            grown = int(value + WRAP - last.value)
        elif self.lasting and value * 2 >= last.value:
            grown, flags = 0, AT_LEAST
        else:
            grown, flags = int(value), AT_LEAST
            if last.boot != self._boot and not self.lasting:
                start = max(start, min(self._booted, at))
        if grown or flags:
            _add(self.found, start, at, grown, flags, self._pace.hole, self._zone)


def _fits(column: Sequence[Number | None], last: Last | None) -> bool:
    """Whether nothing says that the counter has more than 32 bits."""
    if last is not None and last.value >= WRAP:
        return False
    return not any(value is not None and value >= WRAP for value in column)


def _wrapped(last: Last, value: Number, at: int, rate: float) -> bool:
    if last.value >= WRAP or value >= WRAP:
        return False
    return value + WRAP - last.value <= rate * max(0.0, (at - last.at) / 1000)


def _add(
    found: dict[tuple[int, int], list[int]], start: int, at: int, grown: int, flags: int, hole: int, zone: tzinfo
) -> None:
    first, end = start // BUCKET, at // BUCKET
    if first >= end or (at - start <= hole and not flags):
        _into(found, end * BUCKET, BUCKET, grown, flags)
        return
    given = 0
    if grown:
        flags |= ESTIMATED
    if at - start > _LONGEST:
        _into(found, end * BUCKET, BUCKET, grown, flags)
        return
    for begin, until in _pieces(first * BUCKET, at, zone):
        share = grown * (min(until, at) - start) // (at - start)
        _into(found, begin, until - begin, share - given, flags)
        given = share


def _pieces(start: int, at: int, zone: tzinfo) -> list[tuple[int, int]]:
    """Cuts a hole into buckets: of five minutes, and where it is long of whole hours or days in between."""
    step = None if at - start <= _FINE else "hour" if at - start <= _HOURS else "day"
    found = []
    while start <= at:
        until = start + BUCKET
        if step is not None:
            begin, end = span_of(start, step, zone)
            if begin == start and end <= at // BUCKET * BUCKET:
                until = end
            elif step == "day":
                begin, end = span_of(start, "hour", zone)
                if begin == start and end <= at // BUCKET * BUCKET:
                    until = end
        found.append((start, until))
        start = until
    return found


def _into(found: dict[tuple[int, int], list[int]], start: int, length: int, grown: int, flags: int) -> None:
    entry = found.setdefault((start, length), [0, 0])
    entry[0] += grown
    entry[1] |= flags
