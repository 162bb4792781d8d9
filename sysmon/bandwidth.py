"""Bandwidth: how much went through in a range of time, by interface or by device of a LAN, asked of any history."""

from __future__ import annotations

import asyncio
import math
from bisect import bisect_right
from typing import TYPE_CHECKING, Final, Literal, NamedTuple

from sysmon.errors import UsageError
from sysmon.frame import join_key, split_key
from sysmon.records import Span
from sysmon.zones import STEPS, span_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import tzinfo

    from sysmon.ports import History
    from sysmon.records import Usage

Kind = Literal["interface", "device"]

METRICS: Final[dict[str, tuple[str, str]]] = {
    "interface": ("net.receive", "net.transmit"),
    "device": ("device.receive", "device.transmit"),
}
"""Kind -> the counters of what it received and sent; received is what it downloaded."""

RANGES: Final = ("today", "yesterday", "7d", "30d", "month", "year", "all", "reset")
"""Ranges by name; `reset`: since a user began counting anew."""

DAY: Final = 86_400_000
FIVE_MINUTES: Final = 300_000
SLICE: Final = 5_000
"""Rows of an answer that are added up at once: whoever else waits comes in between."""


class Amount(NamedTuple):
    """Bytes both ways. `at_least`: a counter began anew in between; `estimated`: part is spread over a gap."""

    receive: int = 0
    transmit: int = 0
    at_least: bool = False
    estimated: bool = False

    @property
    def total(self) -> int:
        """Both ways together."""
        return self.receive + self.transmit

    @property
    def mark(self) -> str:
        """How certain it is: '≥', '~' or ''."""
        return "≥" if self.at_least else "~" if self.estimated else ""

    def plus(self, other: Amount) -> Amount:
        """Returns both together."""
        return Amount(
            self.receive + other.receive,
            self.transmit + other.transmit,
            self.at_least or other.at_least,
            self.estimated or other.estimated,
        )


class Bucket(NamedTuple):
    """What went through in one step: name -> amount. `end` lies beyond the step where only a longer one is known."""

    start: int
    end: int
    amounts: dict[str, Amount]


def range_of(name: str, now: int, zone: tzinfo, resets: Sequence[int] = ()) -> tuple[int, int]:
    """Returns the range (start, end) of one of `RANGES`, Unix milliseconds; days are those of the zone.

    Raises:
        UsageError: another name.
    """
    today, _ = span_of(now, "day", zone)
    if name == "today":
        return today, now
    if name == "yesterday":
        return span_of(today - 1, "day", zone)
    if name in ("7d", "30d"):
        # Noon, so that a change of clocks moves no day.
        return span_of(today + DAY // 2 - (int(name[:-1]) - 1) * DAY, "day", zone)[0], now
    if name in ("month", "year"):
        return span_of(now, name, zone)[0], now
    if name == "all":
        return _first(zone), now
    if name == "reset":
        return max((each for each in resets if each <= now), default=_first(zone)), now
    raise UsageError(f"'{name}' is not a range", f"write one of {', '.join(RANGES)}")


def _first(zone: tzinfo) -> int:
    """The first year that no zone begins before 1970 in."""
    return span_of(400 * DAY, "year", zone)[0]


def till(start: int, end: int, now: int, zone: tzinfo) -> int:
    """Returns the end to ask for in place of one that is not past yet: that of a whole step, for fewer questions.

    Nothing is known of what is still to come, so that the sum stays the same.
    """
    if end < now:
        return end
    for step in reversed(STEPS):
        first, after = span_of(now, step, zone)
        if start <= first or step == STEPS[0]:
            return max(end, after)
    return end


def tiles(start: int, end: int, zone: tzinfo) -> list[tuple[str, int, int]]:
    """Cuts a range into stretches (step, start, end) of the coarsest steps that fit, in order."""
    found: list[tuple[str, int, int]] = []
    _tile(start, end, zone, len(STEPS) - 1, found)
    return found


def _tile(start: int, end: int, zone: tzinfo, level: int, found: list[tuple[str, int, int]]) -> None:
    if start >= end:
        return
    step = STEPS[level]
    if level == 0:
        found.append((step, start, end))
        return
    first, after = span_of(start, step, zone)
    begin = start if first == start else after
    last, _ = span_of(end, step, zone)
    if begin >= last:
        _tile(start, end, zone, level - 1, found)
        return
    _tile(start, begin, zone, level - 1, found)
    found.append((step, begin, last))
    _tile(last, end, zone, level - 1, found)


async def amounts(
    history: History, host: str, kind: Kind, start: int, end: int, zone: tzinfo, names: Iterable[str] = ()
) -> dict[str, Amount]:
    """Returns what went through between two moments, by name.

    Args:
        history: is asked once per stretch of `tiles`.
        host: id; of the router where devices are meant.
        kind: interface or device.
        start, end: Unix milliseconds; five minutes that one of them cuts count whole.
        zone: of the host.
        names: those wanted; all by default.
    """
    found: dict[str, Amount] = {}
    for step, first, last in tiles(start, end, zone):
        for count, usage in enumerate(await history.usage(host, first, last, step, keys_of(kind, names))):
            add(found, usage, kind)
            if count % SLICE == SLICE - 1:
                await asyncio.sleep(0)
    return found


async def buckets(
    history: History, host: str, kind: Kind, start: int, end: int, step: str, names: Iterable[str] = ()
) -> list[Bucket]:
    """Returns what went through in each step that has anything, oldest first."""
    found: dict[tuple[int, int], dict[str, Amount]] = {}
    for count, usage in enumerate(await history.usage(host, start, end, step, keys_of(kind, names))):
        add(found.setdefault((usage.start, usage.end), {}), usage, kind)
        if count % SLICE == SLICE - 1:
            await asyncio.sleep(0)
    made = [Bucket(first, last, each) for (first, last), each in sorted(found.items())]
    return [bucket for bucket in made if bucket.amounts]


def keys_of(kind: Kind, names: Iterable[str]) -> list[str]:
    """Returns the counters of some interfaces or devices; none for no names."""
    return [join_key(metric, name) for name in names for metric in METRICS[kind]]


def add(found: dict[str, Amount], usage: Usage, kind: Kind) -> None:
    """Adds what a history told of one counter, if it is one of this kind."""
    metric, name = split_key(usage.key)
    if metric not in METRICS[kind]:
        return
    receive = metric == METRICS[kind][0]
    told = Amount(usage.bytes if receive else 0, 0 if receive else usage.bytes, usage.at_least, usage.estimated)
    found[name] = found[name].plus(told) if name in found else told


def total(found: Mapping[str, Amount], names: Iterable[str] | None = None) -> Amount:
    """Returns the sum of all amounts, or of those of some names."""
    sum_of = Amount()
    for name in found if names is None else names:
        if name in found:
            sum_of = sum_of.plus(found[name])
    return sum_of


def used(found: Mapping[str, Amount], name: str, *, counted: bool) -> Amount | None:
    """Returns what one of a host's interfaces or devices used in a time, of what all of them did.

    One that is counted and moved nothing where others did used 0. Where nothing at all was counted in that time, or it
    is none that is counted, that is not known: None.
    """
    return found.get(name, Amount() if counted and found else None)


def share(part: Amount, whole: Amount) -> float | None:
    """Returns what part of the whole it is (0..1), None where nothing went through."""
    return part.total / whole.total if whole.total else None


def estimate(used: int, start: int, now: int, end: int, known: int | None = None) -> int | None:
    """Returns what a period will come to if it goes on as it began; None in the first hour that is known of it.

    Args:
        used: bytes since `start`.
        start, end: of the period, Unix milliseconds.
        now: how far it has got.
        known: from when on it is known what went through, where that is later than the start.
    """
    if now >= end:
        return used
    elapsed = now - max(start, start if known is None else known)
    return None if elapsed < 3_600_000 else round(used + used * (end - now) / elapsed)


async def known_from(
    history: History, host: str, kind: Kind, start: int, now: int, zone: tzinfo, gaps: Iterable[Span] | None = None
) -> int:
    """Returns from when on something is known of a range: `start` where it is known as a whole, `now` where nothing is.

    What others counted before the first own reading is known by the day.

    Args:
        history, host, kind, zone: as for `amounts`.
        start, now: Unix milliseconds.
        gaps: of the history around `start`, where they are known already.
    """
    held = await history.gaps(host, start, now) if gaps is None else gaps
    first = next((gap for gap in held if gap.start <= start < gap.end), None)
    if first is None:
        return start
    begun, _ = span_of(first.end - 1, "day", zone)
    told = await buckets(history, host, kind, start, begun, "day") if begun > start else []
    return min((max(start, bucket.start) for bucket in told if bucket.start < begun), default=min(first.end, now))


def percentile(values: Iterable[int], count: int, part: float = 0.95) -> int | None:
    """Returns the value that `part` of `count` samples do not exceed (nearest rank), as providers bill by.

    Args:
        values: samples; those missing of `count` were 0.
        count: how many there were.
    """
    ordered = sorted(values)
    count = max(count, len(ordered))
    if not count:
        return None
    rank = math.ceil(part * count) - 1 - (count - len(ordered))
    return ordered[rank] if rank >= 0 else 0


def uncovered(gaps: Iterable[Span], spans: Iterable[tuple[int, int]]) -> list[Span]:
    """Returns what of gaps lies in none of some stretches (start, end), ascending: others counted in those."""
    ordered: list[tuple[int, int]] = []
    for start, end in sorted(spans):
        if ordered and start <= ordered[-1][1]:
            ordered[-1] = (ordered[-1][0], max(ordered[-1][1], end))
        else:
            ordered.append((start, end))
    found = []
    for gap in sorted(gaps, key=lambda each: each.start):
        at = gap.start
        for place in range(max(0, bisect_right(ordered, (at,)) - 1), len(ordered)):
            start, end = ordered[place]
            if start >= gap.end:
                break
            if end <= at:
                continue
            if start > at:
                found.append(Span(at, start))
            at = max(at, end)
        if at < gap.end:
            found.append(Span(at, gap.end))
    return found


def samples(gaps: Iterable[Span], fine: Sequence[Bucket], start: int, end: int) -> int:
    """Returns how many five minutes of a range are known: recorded, or counted by others."""
    missing = uncovered(gaps, [(each.start, each.end) for each in fine])
    known = end - start - sum(max(0, min(gap.end, end) - max(gap.start, start)) for gap in missing)
    return max(len(fine), known // FIVE_MINUTES)


async def p95(
    history: History, host: str, start: int, end: int, names: Iterable[str] = ()
) -> tuple[float | None, float | None]:
    """Returns the 95th percentile of the five-minute means of what interfaces together received and sent, bytes/s.

    Stretches without data are no samples; five minutes without traffic are. None where there is no data.
    """
    told = await buckets(history, host, "interface", start, end, "fiveminute", names)
    known = [bucket for bucket in told if bucket.end - bucket.start <= FIVE_MINUTES]
    if not known:
        return None, None
    seen = samples(await history.gaps(host, start, end), known, start, end)
    fine = [total(bucket.amounts) for bucket in known]
    ways = (percentile([each[way] for each in fine], seen) for way in (0, 1))
    receive, transmit = (None if way is None else way / (FIVE_MINUTES / 1000) for way in ways)
    return receive, transmit


def cap_period(now: int, day: int, zone: tzinfo) -> tuple[int, int]:
    """Returns the period (start, end) that begins anew on a day of the month; a shorter month's on its last day."""
    month, following = span_of(now, "month", zone)
    begin = _day_of(month, day, zone)
    if now >= begin:
        return begin, _day_of(following, day, zone)
    before, _ = span_of(month - 1, "month", zone)
    return _day_of(before, day, zone), begin


def _day_of(month: int, day: int, zone: tzinfo) -> int:
    _, end = span_of(month, "month", zone)
    at = month
    for _ in range(day - 1):
        _, following = span_of(at, "day", zone)
        if following >= end:
            break
        at = following
    return at
