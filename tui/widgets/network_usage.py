"""Totals of today and of this month per interface, read from history now and then."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from typing import TYPE_CHECKING, Final, NamedTuple
from zoneinfo import ZoneInfo

from sysmon.errors import SysmonError
from sysmon.frame import join_key, split_key

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from sysmon.ports import History
    from sysmon.records import Usage
    from tui.model import View

REFRESH_SECONDS: Final = 60
"""How old totals may be while they are shown."""


class Total(NamedTuple):
    """Bytes both ways, each with its mark: '≥' where a counter fell in between, '~' where part is estimated."""

    receive: int
    transmit: int
    receive_mark: str = ""
    transmit_mark: str = ""


class UsageBook:
    """The totals last read, and whether they are due again.

    `totals`: interface name -> (today, this month). `problem`: why there are none, '' where nothing is wrong.
    """

    def __init__(self) -> None:
        self.totals: dict[str, tuple[Total | None, Total | None]] = {}
        self.problem = ""
        self._of: tuple[str, int] | None = None
        self._read_at = 0

    def due(self, view: View, now: int) -> bool:
        """Whether the totals must be read for a view. What belongs to another host or moment is dropped at once.

        Args:
            view: what is shown.
            now: the boot clock in nanoseconds.
        """
        of = (view.info.id, 0 if view.live else max(1, view.time // 1000))
        if of != self._of:
            self._of, self._read_at, self.totals = of, now, {}
            return True
        if now - self._read_at < REFRESH_SECONDS * 1e9 or not view.live:
            return False
        self._read_at = now
        return True

    def forget(self) -> None:
        """Read again at the next chance."""
        self._of = None

    async def read(self, history: History, view: View) -> None:
        """Reads the totals of a view's moment; on failure those before stay, and `problem` says why.

        In the past today's total reaches to the end of the hour shown.
        """
        of = self._of
        zone = zone_of(view.info.timezone)
        month, day = starts(view.time, zone)
        keys = [
            join_key(metric, name)
            for metric in ("net.receive", "net.transmit")
            for name in view.state.instances("net.receive")
        ]
        host = view.info.id
        try:
            today = await history.usage(host, day, view.time + 1, "hour", keys)
            before = await history.usage(host, month, day, "day", keys) if month < day else []
        except SysmonError as error:
            self.problem = str(error)
            return
        if of == self._of:
            self.problem = ""
            self.totals = totals(today, before)


def totals(today: Sequence[Usage], before: Sequence[Usage]) -> dict[str, tuple[Total | None, Total | None]]:
    """Adds buckets up: interface -> (today, this month, which is today and what came before)."""
    days, months = _sums(today), _sums([*before, *today])
    return {name: (days.get(name), months.get(name)) for name in months}


def _sums(buckets: Iterable[Usage]) -> dict[str, Total]:
    found: dict[str, Total] = {}
    for bucket in buckets:
        metric, name = split_key(bucket.key)
        received, sent, *marks = found.get(name, Total(0, 0))
        if metric == "net.receive":
            found[name] = Total(received + bucket.bytes, sent, _mark(bucket, marks[0]), marks[1])
        else:
            found[name] = Total(received, sent + bucket.bytes, marks[0], _mark(bucket, marks[1]))
    return found


def _mark(bucket: Usage, before: str) -> str:
    if bucket.at_least or before == "≥":
        return "≥"
    return "~" if bucket.estimated else before


def zone_of(name: str) -> tzinfo | None:
    """A host's time zone from an IANA name or an offset such as `+02:00`; None, this side's own, where unknown."""
    offset = re.fullmatch(r"(?:UTC)?([+-])(\d{2}):?(\d{2})", name)
    if offset:
        minutes = int(offset[2]) * 60 + int(offset[3])
        return timezone(timedelta(minutes=-minutes if offset[1] == "-" else minutes)) if minutes < 1440 else None
    if name in ("UTC", "Etc/UTC"):
        return UTC
    try:
        return ZoneInfo(name) if name else None
    except (ValueError, OSError, KeyError):
        return None


def starts(time: int, zone: tzinfo | None) -> tuple[int, int]:
    """Unix milliseconds at which a moment's month and its day begin in a time zone."""
    day = datetime.fromtimestamp(time / 1000, zone).replace(hour=0, minute=0, second=0, microsecond=0)
    return int(day.replace(day=1).timestamp() * 1000), int(day.timestamp() * 1000)
