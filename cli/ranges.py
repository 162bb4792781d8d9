"""Ranges of time on the command line: by name (today, 7d, month …) or from one moment to another."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sysmon.bandwidth import RANGES
from sysmon.errors import UsageError
from sysmon.ledger import Ask
from sysmon.units import parse_time
from sysmon.zones import zone_of

if TYPE_CHECKING:
    from sysmon.records import HostInfo


def asked(since: str | None, until: str | None, now: int, info: HostInfo | None = None) -> Ask:
    """Returns the range that --since and --until mean.

    Args:
        since: a name of `sysmon.bandwidth.RANGES`, a moment, or None for no range.
        until: a moment, or None for now.
        now: Unix milliseconds.
        info: the host whose time zone moments are of; this machine's by default.

    Raises:
        UsageError: neither, or the wrong way round.
    """
    zone = zone_of(info.timezone) if info is not None and info.timezone else None
    end = parse_time(until, now, zone) if until else None
    name = (since or "").strip().lower()
    if name in RANGES:
        if name == "yesterday" and end is not None:
            raise UsageError("'--since yesterday' is a whole day and has its own end", "leave --until out")
        return Ask(name, None, end)
    if not name:
        if end is not None:
            raise UsageError("--until goes with --since", f"add --since: a moment, or {', '.join(RANGES)}")
        return Ask()
    try:
        start = parse_time(since or "", now, zone)
    except UsageError:
        raise UsageError(
            f"'{since}' is neither a moment nor a range", f"write {', '.join(RANGES)}, 03:12, 3h or '2026-11-20 03:12'"
        ) from None
    if start >= (now if end is None else end):
        raise UsageError(f"--since '{since}' is not before --until '{until or 'now'}'", "swap them")
    return Ask("", start, end)
