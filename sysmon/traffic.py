"""Traffic step by step: what `sysmon usage`, the report and `/v1/usage?by=` tell, of any history."""

from __future__ import annotations

from bisect import bisect_right
from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec

from sysmon import bandwidth
from sysmon.bandwidth import Amount
from sysmon.errors import UsageError
from sysmon.records import Span
from sysmon.units import rfc3339
from sysmon.zones import span_of, zone_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import tzinfo

    from sysmon.bandwidth import Kind
    from sysmon.ports import History
    from sysmon.records import HostInfo

STEPS: Final = {"5min": "fiveminute", "hour": "hour", "day": "day", "month": "month", "year": "year"}
"""Steps as users write them."""
MOST: Final = 10_000
"""Steps of one answer at most."""
TOP: Final = 10
"""Days that are told as the busiest."""
ASKED: Final = 16
"""Gaps of which it is asked who else counted in them, at most: the longest."""
_LOOKS: Final = (("fiveminute", bandwidth.FIVE_MINUTES), ("hour", 3_600_000), ("day", 90_000_000))
"""Steps by which it is asked, and their milliseconds: of long gaps by coarse ones."""
LONGEST_DAY: Final = 90_000_000
"""Milliseconds of a day on which clocks are set back."""


class Step(NamedTuple):
    """One step of usage.

    Attributes:
        start, end: Unix milliseconds. `amount`: None where there is no data at all.
        elapsed: milliseconds of it that are past, from when on anything is known.
    """

    start: int
    end: int
    amount: Amount | None
    elapsed: int

    @property
    def rate(self) -> float | None:
        """Mean bytes per second both ways, None where nothing is known."""
        return None if self.amount is None or self.elapsed <= 0 else self.amount.total / (self.elapsed / 1000)


class Way(msgspec.Struct, frozen=True):
    """Bytes per second over the five minutes of a range: least, mean, most and 95th percentile."""

    min: float
    mean: float
    max: float
    p95: float


class Figures(msgspec.Struct, frozen=True, kw_only=True):
    """How fast it was in a range. `seen`: part (0..1) of the range of which something is known."""

    start: str
    end: str
    receive: Way
    transmit: Way
    total: Way
    seen: float


async def steps(
    history: History, info: HostInfo, kind: Kind, names: Sequence[str], start: int, end: int, by: str, now: int
) -> tuple[list[Step], list[Span]]:
    """Returns what some interfaces or devices together used, step by step, and the gaps that touch it.

    Args:
        history: where it is recorded.
        info: the host.
        kind: interface or device.
        names: those that are summed; all for none.
        start, end: Unix milliseconds; steps that they cut count whole.
        by: one of `sysmon.zones.STEPS`.
        now: Unix milliseconds.

    Returns:
        From the first step of which anything is known to the last, oldest first; steps without traffic are 0, those
        without data have no amount. Then what of the time since the first of them is not known exactly: the gaps less
        what somebody else counted in them.

    Raises:
        UsageError: there are more than `MOST`.
    """
    zone = zone_of(info.timezone)
    told = await bandwidth.buckets(history, info.id, kind, start, end, by, names)
    gaps = await history.gaps(info.id, start, min(end, now))
    found = {bucket.start: (bucket.end, bandwidth.total(bucket.amounts)) for bucket in told}
    if not found:
        return [], gaps
    made: list[Step] = []
    gaps = sorted(gaps, key=lambda each: each.start)
    starts = [gap.start for gap in gaps]

    def fill(at: int, until: int) -> None:
        while at < until:
            _, after = span_of(at, by, zone)
            # They never overlap: only the last that began by then can cover it.
            place = bisect_right(starts, at) - 1
            blank = place >= 0 and min(after, now) <= gaps[place].end
            made.append(Step(at, after, None if blank else Amount(), max(0, min(after, now) - at)))
            at = after
            if len(made) > MOST:
                raise UsageError(f"there are more than {MOST} steps in that range", "ask for a shorter one")

    reached = min(found)
    for first, (until, amount) in sorted(found.items()):
        fill(reached, first)
        # Where only a longer step is known, shorter ones may still be known within it.
        made.append(Step(first, until, amount, max(0, min(until, now) - first)))
        reached = max(reached, until)
    fill(reached, min(end, now))
    left = unknown(gaps, [step for step in made if step.start in found])
    left = [Span(max(gap.start, made[0].start), gap.end) for gap in left if gap.end > made[0].start]
    blank = [(step.start, step.end) for step in made if step.amount is None]
    if by != "fiveminute":
        left = await _untold(history, info, kind, names, left, blank)
    begun = made[0]
    lead = await bandwidth.known_from(history, info.id, kind, begun.start, min(begun.end, now), zone, gaps)
    # Nothing was counted before: what it came to came in less time.
    made[0] = begun._replace(elapsed=max(0, begun.elapsed - max(0, lead - begun.start)))
    return made, left


async def _untold(
    history: History,
    info: HostInfo,
    kind: Kind,
    names: Sequence[str],
    gaps: Sequence[Span],
    blank: Sequence[tuple[int, int]],
) -> list[Span]:
    """Returns what of gaps nobody told. A step that is not wholly certain may well be so nearly everywhere.

    Our own bytes across a gap are spread over it and marked: what is exact within one was counted by somebody else.
    Stretches in which nothing moved have no bytes: from the first to the last that were told somebody was there, but in
    steps that are `blank`.
    """
    if not names:
        # Of thousands of devices that would be asking for much.
        return list(gaps)
    told: list[tuple[int, int]] = []
    asked = sorted(bandwidth.uncovered(gaps, blank), key=lambda gap: gap.start - gap.end)[:ASKED]
    for gap in asked:
        number = next((at for at, each in enumerate(_LOOKS) if gap.end - gap.start <= 2_000 * each[1]), len(_LOOKS) - 1)
        step, length = _LOOKS[number]
        fine = await bandwidth.buckets(history, info.id, kind, gap.start, gap.end, step, names)
        within = [
            (each.start, min(each.end, gap.end))
            for each in fine
            if gap.start <= each.start < gap.end
            and (each.end <= gap.end or each.end - each.start > length)
            and not bandwidth.total(each.amounts).mark
        ]
        if within:
            told.append((within[0][0], max(end for _, end in within)))
            # Of what a coarse step leaves at the ends a finer one knows more.
            asked += [each for each in bandwidth.uncovered([gap], told[-1:]) if number][: 2 * ASKED - len(asked)]
    return bandwidth.uncovered(gaps, told)


def unknown(gaps: Sequence[Span], made: Sequence[Step]) -> list[Span]:
    """Returns what of gaps lies in no step that is known exactly, ascending."""
    exact = [(step.start, step.end) for step in made if step.amount is not None and not step.amount.mark]
    return bandwidth.uncovered(gaps, exact)


def expected(step: Step, now: int) -> Amount | None:
    """Returns what a step that is not over will come to if it goes on as it began; None in its first hour, of one that
    is over, and of five minutes.
    """
    if step.amount is None or step.end <= now:
        return None
    known = now - step.elapsed
    ways = [bandwidth.estimate(used, step.start, now, step.end, known) for used in step.amount[:2]]
    return None if ways[0] is None or ways[1] is None else Amount(ways[0], ways[1], step.amount.at_least, True)


class Outline(NamedTuple):
    """The usual periods of one interface or device: today, yesterday, this month, the last. None where unknown."""

    today: Step
    yesterday: Step
    month: Step
    last_month: Step


async def outline(
    history: History, info: HostInfo, kind: Kind, groups: Sequence[Sequence[str]], now: int
) -> list[Outline]:
    """Returns the usual periods of groups of interfaces or devices, each summed; one without names is all of them."""
    zone = zone_of(info.timezone)
    found: list[list[Step]] = [[] for _ in groups]
    month, _ = span_of(now, "month", zone)
    lead = await bandwidth.known_from(history, info.id, kind, span_of(month - 1, "month", zone)[0], now, zone)
    for by in ("day", "month"):
        start, end = span_of(now, by, zone)
        before, _ = span_of(start - 1, by, zone)
        told = await bandwidth.buckets(history, info.id, kind, before, end, by)
        amounts = {bucket.start: bucket.amounts for bucket in told}
        for number, names in enumerate(groups):
            for first, last in ((start, end), (before, start)):
                held = amounts.get(first, {})
                known = {name: held[name] for name in names if name in held} if names else held
                amount = bandwidth.total(known) if known else None
                found[number].append(Step(first, last, amount, max(0, min(last, now) - max(first, lead))))
    return [Outline(*each) for each in found]


async def names_of(history: History, info: HostInfo, kind: Kind, now: int) -> list[str]:
    """Returns the interfaces or devices that ever had traffic, sorted."""
    beginning, _ = bandwidth.range_of("all", now, zone_of(info.timezone))
    told = await bandwidth.buckets(history, info.id, kind, beginning, now, "year")
    return sorted({name for bucket in told for name in bucket.amounts})


async def top(
    history: History, info: HostInfo, kind: Kind, names: Sequence[str], now: int, most: int = TOP
) -> list[Step]:
    """Returns the busiest days of all, the busiest first; what is known of a longer time alone was on no one day."""
    beginning, _ = bandwidth.range_of("all", now, zone_of(info.timezone))
    told = await bandwidth.buckets(history, info.id, kind, beginning, now, "day", names)
    made = [
        Step(each.start, each.end, bandwidth.total(each.amounts), min(each.end, now) - each.start)
        for each in told
        if each.end - each.start <= LONGEST_DAY
    ]
    return sorted(made, key=lambda step: (-(step.amount.total if step.amount else 0), step.start))[:most]


async def figures(
    history: History, info: HostInfo, kind: Kind, names: Sequence[str], start: int, end: int, now: int
) -> Figures | None:
    """Returns how fast it was, by the means of five minutes; None where they are not known.

    Five minutes without data are no samples, those without traffic are.
    """
    end = min(end, now)
    told = await bandwidth.buckets(history, info.id, kind, start, end, "fiveminute", names)
    known = [each for each in told if each.end - each.start <= bandwidth.FIVE_MINUTES]
    if not known or end <= start:
        return None
    count = bandwidth.samples(await history.gaps(info.id, start, end), known, start, end)
    fine = [bandwidth.total(each.amounts) for each in known]
    seconds = bandwidth.FIVE_MINUTES / 1000

    def way(values: list[int]) -> Way:
        least = min(values) if len(values) >= count else 0
        high = bandwidth.percentile(values, count) or 0
        return Way(least / seconds, sum(values) / count / seconds, max(values) / seconds, high / seconds)

    return Figures(
        start=rfc3339(start),
        end=rfc3339(end),
        receive=way([each.receive for each in fine]),
        transmit=way([each.transmit for each in fine]),
        total=way([each.total for each in fine]),
        seen=min(1.0, count * bandwidth.FIVE_MINUTES / (end - start)),
    )


def back(by: str, now: int, zone: tzinfo) -> int:
    """Returns where to begin by default: two hours, a day, thirty days, twelve months, or all."""
    if by == "fiveminute":
        return span_of(now, by, zone)[0] - 23 * bandwidth.FIVE_MINUTES
    if by == "hour":
        return span_of(now, by, zone)[0] - 23 * 3_600_000
    if by == "day":
        return bandwidth.range_of("30d", now, zone)[0]
    if by == "month":
        month, _ = span_of(now, "month", zone)
        for _ in range(11):
            month, _ = span_of(month - 1, "month", zone)
        return month
    return bandwidth.range_of("all", now, zone)[0]
