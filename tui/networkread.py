"""What the Network screen asks the history for, each as one awaitable. No Textual here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from sysmon.bandwidth import Amount, Bucket, amounts, buckets, p95, range_of, total
from sysmon.caps import applies, devices_meant, standing
from sysmon.zones import span_of
from tui.networkmoment import steps_by, used_by
from tui.networkrange import period_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import tzinfo

    from sysmon.bandwidth import Kind
    from sysmon.caps import Standing
    from sysmon.config import CapSettings
    from sysmon.ports import History
    from sysmon.records import HostInfo, KnownDevice
    from tui.networkrange import Period, RangeName

TOP_DAYS: Final = 10


class RangeTold(NamedTuple):
    """What went through in a range: the sum by name, and the steps it is drawn in."""

    period: Period
    amounts: dict[str, Amount]
    buckets: list[Bucket]


async def read_range(
    history: History,
    host: str,
    kind: Kind,
    name: RangeName,
    time: int,
    zone: tzinfo,
    *,
    names: Sequence[str] = (),
    live: bool = False,
    steps: bool = True,
    resets: Sequence[int] = (),
) -> RangeTold:
    """Reads a range that ends at a moment.

    Args:
        history: is asked.
        host, kind, names: whose bytes; all of the kind where no names are given.
        name, time, zone, resets: as for `period_of`.
        live: whether the moment is now.
        steps: whether the steps are wanted too.
    """
    period = period_of(name, time, zone, resets)
    sums = await used_by(history, host, kind, period.start, period.end, zone, names, live=live)
    told: list[Bucket] = []
    if steps:
        told = await steps_by(history, host, kind, period.start, period.end, zone, period.step, names, live=live)
    return RangeTold(period, sums, told)


class Totals(NamedTuple):
    """Sums by name of the ranges that people ask for."""

    today: dict[str, Amount]
    yesterday: dict[str, Amount]
    week: dict[str, Amount]
    month: dict[str, Amount]
    last_month: dict[str, Amount]
    all: dict[str, Amount]


async def read_totals(
    history: History, host: str, kind: Kind, time: int, zone: tzinfo, names: Sequence[str] = (), *, live: bool = False
) -> Totals:
    """Reads the totals of a moment; `live`: whether that is now."""

    async def told(name: str) -> dict[str, Amount]:
        start, _ = range_of(name, time, zone)
        return await used_by(history, host, kind, start, time, zone, names, live=live)

    month, _ = range_of("month", time, zone)
    before, _ = range_of("month", month - 1, zone)
    return Totals(
        today=await told("today"),
        yesterday=await amounts(history, host, kind, *range_of("yesterday", time, zone), zone, names),
        week=await told("7d"),
        month=await told("month"),
        last_month=await amounts(history, host, kind, before, month, zone, names),
        all=await told("all"),
    )


async def read_since(
    history: History, host: str, kind: Kind, time: int, zone: tzinfo, names: Sequence[str]
) -> tuple[int, ...]:
    """Reads from when on anything is known, as exactly as it is kept; nothing where nothing is known by `time`."""
    start, _ = range_of("all", time, zone)
    end = time + 1
    found: tuple[int, ...] = ()
    for step in ("month", "day", "hour", "fiveminute"):
        told = await buckets(history, host, kind, start, end, step, names)
        if not told:
            # No finer steps are kept of so long ago.
            return found
        start, end = max(start, told[0].start), told[0].end
        found = (start,)
        if span_of(start, step, zone)[1] < end:
            # Known only as a whole.
            return found
    begun = [span.start for span in await history.spans(host) if start <= span.start < end]
    first = min(begun, default=start)
    return (first,) if first <= time else ()


async def read_day_totals(
    history: History, host: str, time: int, zone: tzinfo, *, live: bool = False
) -> tuple[dict[str, Amount], dict[str, Amount]]:
    """Reads what every interface carried (today, this month); `live`: whether the moment is now."""
    day, _ = range_of("today", time, zone)
    month, _ = range_of("month", time, zone)
    return (
        await used_by(history, host, "interface", day, time, zone, live=live),
        await used_by(history, host, "interface", month, time, zone, live=live),
    )


async def read_p95(
    history: History, host: str, time: int, zone: tzinfo, names: Sequence[str]
) -> tuple[float | None, float | None]:
    """Reads the 95th percentile of this month, bytes per second both ways."""
    start, _ = range_of("month", time, zone)
    return await p95(history, host, start, time + 1, names)


async def read_top_days(
    history: History, host: str, kind: Kind, time: int, zone: tzinfo, names: Sequence[str], *, live: bool = False
) -> list[tuple[int, Amount]]:
    """Reads the days with the most, the most first: (start, amount); `live`: whether the moment is now."""
    start, _ = range_of("all", time, zone)
    days = [
        (bucket.start, total(bucket.amounts, names))
        for bucket in await steps_by(history, host, kind, start, time, zone, "day", names, live=live)
        # What is known only of a month is no day.
        if bucket.end - bucket.start <= 26 * 3_600_000
    ]
    return sorted((day for day in days if day[1].total), key=lambda day: -day[1].total)[:TOP_DAYS]


async def read_caps(
    history: History, host: str, time: int, zone: tzinfo, caps: Sequence[CapSettings], interfaces: Sequence[str] = ()
) -> list[Standing]:
    """Reads how caps of a host stand; those of which nothing is known are left out.

    Args:
        history, host, time, zone: as for `read_range`.
        caps: apply to the host.
        interfaces: those that add up to its traffic.
    """
    found = [await standing(cap, history, host, time, zone, interfaces) for cap in caps]
    return [each for each in found if each is not None]


def caps_of(caps: Mapping[str, CapSettings], info: HostInfo, local: str) -> list[CapSettings]:
    """Returns the caps on the interfaces of a host; `local`: id of this machine."""
    return [cap for cap in caps.values() if not cap.device and applies(cap, info, local)]


def device_caps(
    caps: Mapping[str, CapSettings], info: HostInfo, local: str, key: str, known: Sequence[KnownDevice]
) -> list[CapSettings]:
    """Returns the caps on one device of a router, by its key; `known`: all devices of it."""
    own = [device for device in known if device.key == key]
    return [cap for cap in caps.values() if cap.device and applies(cap, info, local) and devices_meant(cap, own)]


class DevicesTold(NamedTuple):
    """The devices ever seen behind a router, and when users began counting anew."""

    devices: list[KnownDevice]
    resets: list[int]


async def read_devices(history: History, host: str) -> DevicesTold:
    """Reads who was ever seen behind a router."""
    return DevicesTold(await history.devices(host), await history.resets(host))
