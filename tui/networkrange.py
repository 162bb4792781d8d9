"""The ranges of the Network screen: from when to when, in which steps, and how they are called. No Textual here."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Final, Literal, NamedTuple

from sysmon.bandwidth import range_of
from sysmon.zones import span_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import tzinfo

    from sysmon.bandwidth import Bucket

RangeName = Literal["now", "today", "7d", "month", "year", "all", "reset"]

RANGES: Final[tuple[RangeName, ...]] = ("now", "today", "7d", "month", "year", "all")
"""In the order in which a key goes through them; `reset` comes last where somebody began counting anew."""

TITLES: Final[dict[RangeName, str]] = {
    "now": "now", "today": "today", "7d": "7 days", "month": "month", "year": "year", "all": "all", "reset": "reset",
}  # fmt: skip

SHORT: Final[dict[RangeName, str]] = {**TITLES, "7d": "7d"}
"""The same where room is short."""

_STEPS: Final[dict[RangeName, str]] = {"today": "hour", "7d": "day", "month": "day", "year": "month", "all": "month"}
_FEW_MS: Final = 2 * 86_400_000
_DAYS_MS: Final = 120 * 86_400_000
MOST_STEPS: Final = 1200
"""Steps of a range that are drawn at most; of more the last."""

Points = tuple[float | None, ...]


class Period(NamedTuple):
    """A range at a moment: Unix milliseconds, and the step of `sysmon.zones.STEPS` that it is drawn in."""

    name: RangeName
    start: int
    end: int
    step: str


def next_range(name: RangeName, *, resets: bool) -> RangeName:
    """Returns the range after one; that since a reset is among them where there was one."""
    names = (*RANGES, "reset") if resets else RANGES
    return names[(names.index(name) + 1) % len(names)] if name in names else "now"


def period_of(name: RangeName, time: int, zone: tzinfo, resets: Sequence[int] = ()) -> Period:
    """Returns a range that ends at a moment.

    Args:
        name: of the range; of `now` it is today's, which is what totals beside rates are of.
        time: the moment shown, Unix milliseconds.
        zone: of the host.
        resets: when users began counting anew.
    """
    start, end = range_of("today" if name == "now" else name, time, zone, resets)
    step = _STEPS.get(name, "hour")
    if name == "reset":
        length = end - start
        step = "hour" if length <= _FEW_MS else "day" if length <= _DAYS_MS else "month"
    return Period(name, start, end, step)


class Step(NamedTuple):
    """One step of a range, and per way what went through, None where nothing is known of it."""

    start: int
    end: int
    receive: float | None
    transmit: float | None


def steps_of(period: Period, buckets: Sequence[Bucket], names: Sequence[str], zone: tzinfo) -> list[Step]:
    """Returns every step from the first of which something is known to the end of the range.

    What is known only of a longer stretch (a month of which the days were never told) is spread over its steps.

    Args:
        period: the range.
        buckets: what a history told, in steps of the range.
        names: interfaces or devices whose sum is wanted.
        zone: of the host.
    """
    kept = [bucket for bucket in buckets if any(name in bucket.amounts for name in names)]
    if not kept:
        return []
    edges: list[tuple[int, int]] = []
    at = max(period.start, min(bucket.start for bucket in kept))
    while at < period.end and len(edges) < 100_000:
        first, after = span_of(at, period.step, zone)
        edges.append((first, after))
        at = after
    edges = edges[-MOST_STEPS:]
    index = {first: place for place, (first, _) in enumerate(edges)}
    sums: list[list[float] | None] = [None] * len(edges)
    for bucket in kept:
        receive = sum(amount.receive for name in names if (amount := bucket.amounts.get(name)) is not None)
        transmit = sum(amount.transmit for name in names if (amount := bucket.amounts.get(name)) is not None)
        places = [index[bucket.start]] if bucket.start in index else []
        if not places or bucket.end > edges[places[0]][1]:
            places = [place for place, (first, _) in enumerate(edges) if bucket.start <= first < bucket.end]
        for place in places:
            known = sums[place] or [0.0, 0.0]
            sums[place] = [known[0] + receive / len(places), known[1] + transmit / len(places)]
    return [
        Step(first, after, *(found if found is not None else (None, None)))
        for (first, after), found in zip(edges, sums, strict=True)
    ]


_MONTHS: Final = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def day_text(time: int, zone: tzinfo, *, year: bool = False) -> str:
    """A day of a zone as `Nov 03`, or `2026-11-03`."""
    here = datetime.fromtimestamp(time / 1000, zone)
    return f"{here:%Y-%m-%d}" if year else f"{_MONTHS[here.month - 1]} {here.day:02d}"


def range_words(period: Period, zone: tzinfo) -> str:
    """What a range covers, in words for a title: `month: Nov 01 to 21`."""
    if period.name == "now":
        return "now"
    if period.name == "today":
        return f"today, {day_text(period.start, zone)}"
    if period.name == "year":
        return f"year {datetime.fromtimestamp(period.start / 1000, zone).year}"
    if period.name == "all":
        return "all that is known"
    first, last = day_text(period.start, zone), day_text(period.end - 1, zone)
    if period.name == "reset":
        return f"since {first} {datetime.fromtimestamp(period.start / 1000, zone):%H:%M}"
    head = TITLES[period.name]
    return f"{head}, {first}" if first == last else f"{head}, {first} to {last}"


def step_text(start: int, step: str, zone: tzinfo) -> str:
    """The label of one step at an axis: `14:00`, `Nov 03`, `Nov 2026`."""
    here = datetime.fromtimestamp(start / 1000, zone)
    if step == "hour":
        return f"{here:%H:%M}" if here.hour else day_text(start, zone)
    if step == "day":
        return day_text(start, zone)
    return f"{_MONTHS[here.month - 1]} {here.year % 100:02d}" if step == "month" else str(here.year)
