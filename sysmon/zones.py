"""Five minutes, hours, days, months and years of a host's own time zone."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from functools import lru_cache
from zoneinfo import ZoneInfo

from sysmon.errors import UsageError

_OFFSET = re.compile(r"(?:UTC|GMT)?\s*([+-])(\d{1,2}):?(\d{2})?")
STEPS = ("fiveminute", "hour", "day", "month", "year")
"""Steps of usage, the finest first."""
_FINE = {"fiveminute": 300_000, "hour": 3_600_000}


@lru_cache(maxsize=256)
def zone_of(name: str) -> tzinfo:
    """Returns the zone of an IANA name or UTC offset; UTC where it is not known."""
    found = _OFFSET.fullmatch(name.strip())
    if found:
        minutes = int(found[2]) * 60 + int(found[3] or 0)
        return timezone(timedelta(minutes=-minutes if found[1] == "-" else minutes)) if minutes < 24 * 60 else UTC
    try:
        return ZoneInfo(name) if name else UTC
    except (KeyError, ValueError, OSError):
        return UTC


def span_of(moment: int, step: str, zone: tzinfo) -> tuple[int, int]:
    """Returns the step of usage (start, end) that a moment (ms) lies in.

    Raises:
        UsageError: another step, or a moment beyond all dates.
    """
    if step not in STEPS:
        raise UsageError(f"'{step}' is not a step of usage", f"write {', '.join(STEPS[:-1])} or {STEPS[-1]}")
    try:
        return _span_of(moment, step, zone)
    except (ValueError, OverflowError, OSError):
        raise UsageError(f"{moment} ms since 1970 lies beyond all dates", "choose a time within a lifetime") from None


def _span_of(moment: int, step: str, zone: tzinfo) -> tuple[int, int]:
    if step in _FINE:
        # By offset rather than by the clock's face: the hour that a change of clocks repeats is two hours.
        length = _FINE[step]
        offset = _offset(moment, zone)
        start = (moment + offset) // length * length - offset
        return start, start + length
    here = datetime.fromtimestamp(moment / 1000, zone).replace(hour=0, minute=0, second=0, microsecond=0)
    if step == "day":
        return _stamp(here), _stamp((here + timedelta(days=1)).replace(hour=0))
    first = here.replace(day=1)
    if step == "year":
        first = first.replace(month=1)
        return _stamp(first), _stamp(first.replace(year=first.year + 1))
    following = (first + timedelta(days=32)).replace(day=1)
    return _stamp(first), _stamp(following)


def _offset(moment: int, zone: tzinfo) -> int:
    offset = datetime.fromtimestamp(moment / 1000, zone).utcoffset()
    return int(offset.total_seconds() * 1000) if offset else 0


def _stamp(moment: datetime) -> int:
    return int(moment.timestamp() * 1000)
