"""What a report tells: the traffic of hosts and of the devices behind routers in one period."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec

from cli.devicetables import why_apart
from sysmon import bandwidth, ledger, traffic
from sysmon.bandwidth import Amount
from sysmon.caps import applies, standing
from sysmon.devices import Bytes, Device, adding, bytes_of
from sysmon.ledger import Ask
from sysmon.zones import zone_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from cli.present import Present
    from sysmon.caps import Standing
    from sysmon.config import Config
    from sysmon.ports import History
    from sysmon.records import Event, HostInfo, Span
    from sysmon.traffic import Figures, Step

TOP: Final = 20
"""Devices that are named."""
NEW: Final = 30
"""New devices that are named."""
OUTAGES: Final = 10
"""Outages that are named: the longest."""
EVENTS: Final = 20
"""Events that are named: the newest."""
SHORT: Final = 300_000
"""Milliseconds without data up to which it is no outage."""
TOLD: Final = ("alert.firing", "host.down", "host.off", "network.lost", "hub.lost", "oom", "clone", "clock")
"""Kinds of events that are told."""


class Period(NamedTuple):
    """What a report is of. `start`, `end`: Unix milliseconds; the end may not be past yet."""

    label: str
    start: int
    end: int


class Part(NamedTuple):
    """One interface. `counted`: whether it adds up to the host's traffic. `share`: of that, None for others, of which
    `why` says why they do not.
    """

    name: str
    amount: Amount
    counted: bool
    share: float | None
    why: str = ""


class HostPart(NamedTuple):
    """What is told of one host.

    Attributes:
        parts: its interfaces, the largest first, those that count before. `total`: of those.
        days: of that total. `busiest_day`, `busiest_hour`: None where nothing was counted.
        figures: how fast it was. caps: how they stood at the end of the period.
        outages: the longest, in order of time. `missing`: milliseconds of all of them. `began`: Unix ms, where
            nothing is known of the time before.
    """

    info: HostInfo
    period: Period
    parts: list[Part]
    total: Amount
    days: list[Step]
    busiest_day: Step | None
    busiest_hour: Step | None
    figures: Figures | None
    caps: list[Standing]
    outages: list[Span]
    missing: int
    began: int | None


class RouterPart(NamedTuple):
    """What is told of the devices behind one router.

    Attributes:
        top: the largest, with `range` and `share`. `rest`: (how many, what) of the others that used anything.
        total: of all, None where nothing was counted. `days`: of that total.
        new: first seen in this period. `known`: how many there ever were, `since`: Unix ms of the first.
        reset: Unix ms since which users count anew, if that is within or before the period.
    """

    info: HostInfo
    period: Period
    top: list[Device]
    rest: tuple[int, Amount]
    total: Amount | None
    days: list[Step]
    new: list[Device]
    new_count: int
    known: int
    since: int | None
    reset: int | None


class Report(NamedTuple):
    """A whole report. `events`: with the label of their host. `counts`: severity -> how many of all. `silent`: of whom
    nothing was counted in the period.
    """

    label: str
    now: int
    hosts: list[HostPart]
    routers: list[RouterPart]
    events: list[tuple[Event, str]]
    counts: dict[str, int]
    silent: list[str]


async def compose(
    history: History,
    infos: Sequence[HostInfo],
    period_of: Callable[[HostInfo], Period],
    now: int,
    here: Present,
    config: Config,
) -> Report:
    """Gathers what a report tells.

    Args:
        history: where the hosts are recorded.
        infos: the hosts, in order.
        period_of: the period in the time zone of a host.
        now: Unix milliseconds.
        here: which interfaces of whom count.
        config: the caps.
    """
    hosts: list[HostPart] = []
    routers: list[RouterPart] = []
    events: list[tuple[Event, str]] = []
    counts: Counter[str] = Counter()
    told: set[str] = set()
    silent: list[str] = []
    for info in infos:
        period = period_of(info)
        found = await _host(history, info, period, now, here, config)
        if found is not None:
            hosts.append(found)
        known, behind = await _router(history, info, period, now, here)
        if behind is not None:
            routers.append(behind)
        # A router may be known by its devices alone.
        if found is None and not known:
            silent.append(info.label)
        if known and behind is None:
            silent.append(f"the devices behind {info.label}")
        for event in await history.events(info.id, period.start, min(period.end, now)):
            if event.kind in TOLD and event.id not in told:
                told.add(event.id)
                counts[event.severity] += 1
                events.append((event, info.label if event.host == info.id else ""))
    events.sort(key=lambda each: (-each[0].time, each[0].id))
    label = period_of(infos[0]).label if infos else ""
    order = {name: counts[name] for name in ("critical", "warning", "info") if counts[name]}
    return Report(label, now, hosts, routers, events[:EVENTS], order, silent)


async def _host(
    history: History, info: HostInfo, period: Period, now: int, here: Present, config: Config
) -> HostPart | None:
    zone = zone_of(info.timezone)
    until = bandwidth.till(period.start, period.end, now, zone)
    found = await bandwidth.amounts(history, info.id, "interface", period.start, until, zone)
    if not found:
        return None
    present = {each.name: each for each in here.of(info.id, "interface")}
    counted = adding((name, present[name].counted if name in present else None) for name in sorted(found))
    total = bandwidth.total(found, counted)
    parts = []
    for name, amount in found.items():
        each = present.get(name) or Device(kind="interface", host=info.id, name=name)
        each = msgspec.structs.replace(each, counted=name in counted, total=Bytes(), range=bytes_of(amount))
        share = bandwidth.share(amount, total) if name in counted else None
        parts.append(Part(name, amount, name in counted, share, why_apart(each)))
    parts.sort(key=lambda part: (not part.counted, -part.amount.total, part.name))
    end = min(period.end, now)
    days: list[Step] = []
    hours: list[bandwidth.Bucket] = []
    if counted:
        days, _ = await traffic.steps(history, info, "interface", counted, period.start, end, "day", now)
        hours = await bandwidth.buckets(history, info.id, "interface", period.start, end, "hour", counted)
    steps = [traffic.Step(each.start, each.end, bandwidth.total(each.amounts), each.end - each.start) for each in hours]
    caps = []
    for cap in config.caps.values():
        if applies(cap, info, here.own):
            stood = await standing(cap, history, info.id, end - 1 if period.end <= now else now, zone, counted)
            if stood is not None:
                caps.append(stood)
    # Where a gap was filled by who else counted nothing is missing.
    blank = await history.gaps(info.id, period.start, end)
    gaps = [gap for gap in traffic.unknown(blank, steps) if gap.end - gap.start > SHORT]
    began = gaps.pop(0).end if gaps and gaps[0].start <= period.start and gaps[0].end < end else None
    if began is not None and any(step.start == began and step.start < blank[0].end < step.end for step in steps):
        # The first hour was not counted from its beginning.
        began = blank[0].end
    longest = sorted(gaps, key=lambda gap: gap.start - gap.end)[:OUTAGES]
    return HostPart(
        info=info,
        period=period,
        parts=parts,
        total=total,
        days=days,
        busiest_day=_busiest(days),
        # What is known by the day alone is no hour.
        busiest_hour=_busiest([step for step in steps if step.end - step.start <= 3_600_000]),
        figures=await traffic.figures(history, info, "interface", counted, period.start, end, now) if counted else None,
        caps=caps,
        outages=sorted(longest, key=lambda gap: gap.start),
        missing=sum(gap.end - gap.start for gap in gaps),
        began=began,
    )


def _busiest(steps: Sequence[Step]) -> Step | None:
    known = [step for step in steps if step.amount is not None and step.amount.total]
    return max(known, key=lambda step: (step.amount.total if step.amount else 0, -step.start), default=None)


async def _router(
    history: History, info: HostInfo, period: Period, now: int, here: Present
) -> tuple[bool, RouterPart | None]:
    """Returns whether devices behind a host are known, and what they did, None where nothing was counted."""
    end = min(period.end, now)
    told = await ledger.sums(history, info, "device", now, Ask("", period.start, None if period.end >= now else end))
    if not told.known and not told.recorded:
        return False, None
    joined = ledger.join(info, "device", here.of(info.id, "device"), told)
    listed = [each for each in ledger.order(joined, "total") if each.range is not None and each.range.total]
    rest = ledger.whole(listed[TOP:], lambda each: each.range) or Amount()
    days, _ = await traffic.steps(history, info, "device", [], period.start, end, "day", now)
    new = [each for each in joined if each.first is not None and period.start <= each.first < end]
    new.sort(key=lambda each: (each.first or 0, each.name))
    # All are new in the period in which watching began.
    began = min((each.first for each in told.known), default=0)
    fresh = [each for each in new if (each.first or 0) > began + SHORT]
    if not told.range and not fresh:
        return True, None
    return True, RouterPart(
        info=info,
        period=period,
        top=listed[:TOP],
        rest=(len(listed[TOP:]), rest),
        total=bandwidth.total(told.range) if told.range else None,
        days=days,
        new=fresh[:NEW],
        new_count=len(fresh),
        known=len(joined),
        since=began or None,
        reset=max((each for each in told.resets if each < end), default=None),
    )
