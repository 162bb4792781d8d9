"""A host's past traffic as `vnstat --json a` tells it, from our own exact totals."""

from __future__ import annotations

from collections import defaultdict
from datetime import datetime, timedelta, tzinfo
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sysmon.records import Usage

HOURS: Final = 96
"""Hours told of, as vnstat keeps them."""
DAYS: Final = 62
"""Days told of."""
MONTHS: Final = 25
"""Months told of; totals and years are of all there are."""
TOP: Final = 20
"""Days with the most traffic told of."""


def moment(time: int, zone: tzinfo) -> datetime:
    """Returns Unix milliseconds as local time."""
    return datetime.fromtimestamp(time / 1000, zone)


def rfc3339_local(time: int, zone: tzinfo, precision: str = "milliseconds") -> str:
    """Writes Unix milliseconds with the offset of a zone."""
    return moment(time, zone).isoformat(timespec=precision).replace("+00:00", "Z")


class Interface:
    """What is told of one interface: bytes in and out by bucket."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.buckets: dict[str, dict[int, list[int]]] = {
            step: defaultdict(lambda: [0, 0]) for step in ("hour", "day", "month")
        }

    def add(self, step: str, usage: Usage) -> None:
        """Takes one bucket of one direction."""
        self.buckets[step][usage.start][usage.key.startswith("net.transmit:")] += usage.bytes

    def answer(self, zone: tzinfo, now: int, since: int) -> dict[str, Any]:
        """Returns the interface as vnstat tells it.

        Args:
            zone: of the host, in which its days begin.
            now, since: Unix milliseconds: of this answer, and from when on there are totals.
        """
        months = sorted(self.buckets["month"].items())
        years: dict[int, list[int]] = defaultdict(lambda: [0, 0])
        for start, both in months:
            year = moment(start, zone).year
            for at in (0, 1):
                years[year][at] += both[at]
        days = sorted(self.buckets["day"].items())
        begun = moment(since, zone)
        updated = moment(now, zone)
        return {
            "name": self.name,
            "alias": "",
            "created": {"date": _date(begun), "timestamp": since // 1000},
            "updated": {"date": _date(updated), "time": _time(updated), "timestamp": now // 1000},
            "traffic": {
                "total": {"rx": sum(both[0] for _, both in months), "tx": sum(both[1] for _, both in months)},
                "fiveminute": [],
                "hour": _entries(sorted(self.buckets["hour"].items())[-HOURS:], zone, time=True),
                "day": _entries(days[-DAYS:], zone),
                "month": _entries(months[-MONTHS:], zone, day=False),
                "year": [
                    {"id": year, "date": {"year": year}, "timestamp": _begin(year, zone), "rx": both[0], "tx": both[1]}
                    for year, both in sorted(years.items())
                ],
                "top": _entries(sorted(days, key=lambda each: -sum(each[1]))[:TOP], zone),
            },
        }


def interfaces_from(usage: Iterable[tuple[str, Iterable[Usage]]]) -> dict[str, Interface]:
    """Sorts totals by interface. `usage`: pairs of step and its buckets."""
    found: dict[str, Interface] = {}
    for step, buckets in usage:
        for bucket in buckets:
            name = bucket.key.partition(":")[2]
            found.setdefault(name, Interface(name)).add(step, bucket)
    return found


def document(interfaces: list[dict[str, Any]], version: str, zone: tzinfo, now: int) -> dict[str, Any]:
    """Returns the whole answer, with the server's time as Netronome's agent adds it."""
    local = moment(now, zone)
    offset = local.utcoffset() or timedelta()
    return {
        "vnstatversion": f"sysmon {version}",
        "jsonversion": "2",
        "interfaces": interfaces,
        "server_time": rfc3339_local(now, zone, "seconds"),
        "server_time_unix": now // 1000,
        "timezone_offset": int(offset.total_seconds()),
    }


def _entries(
    buckets: list[tuple[int, list[int]]], zone: tzinfo, *, time: bool = False, day: bool = True
) -> list[dict[str, Any]]:
    found = []
    for number, (start, both) in enumerate(buckets, 1):
        local = moment(start, zone)
        entry: dict[str, Any] = {"id": number, "date": _date(local, day=day)}
        if time:
            entry["time"] = _time(local)
        found.append({**entry, "timestamp": start // 1000, "rx": both[0], "tx": both[1]})
    return found


def _date(local: datetime, *, day: bool = True) -> dict[str, int]:
    date = {"year": local.year, "month": local.month}
    return {**date, "day": local.day} if day else date


def _time(local: datetime) -> dict[str, int]:
    return {"hour": local.hour, "minute": local.minute}


def _begin(year: int, zone: tzinfo) -> int:
    return int(datetime(year, 1, 1, tzinfo=zone).timestamp())
