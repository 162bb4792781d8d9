"""Contact with remote hosts as events: lost once, there again once."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from sysmon.records import Event
from sysmon.units import format_duration

if TYPE_CHECKING:
    from sysmon.records import Severity, Status


class Contact:
    """Turns the statuses of a target's hosts into events; a host that was never heard of is not lost."""

    def __init__(self) -> None:
        self._seen: set[str] = set()
        self._down: dict[str, int] = {}

    def take(self, status: Status, now: int) -> Event | None:
        """Takes a host's status at `now` (Unix milliseconds); returns the event it makes, if any."""
        host = status.host
        if not host:
            return None
        if status.state in ("live", "late"):
            self._seen.add(host)
            since = self._down.pop(host, None)
            if since is None:
                return None
            away = format_duration(max(0, now - since) / 1000)
            return _event(host, now, "host.up", f"in contact again after {away}")
        if status.state == "offline" and host in self._seen and host not in self._down:
            self._down[host] = now
            why = f": {status.message}" if status.message else ""
            return _event(host, now, "host.down", f"lost contact{why}")
        return None


def _event(host: str, now: int, kind: str, message: str) -> Event:
    mark = hashlib.blake2b(f"{host}\0{kind}\0{now}".encode(), digest_size=8).hexdigest()
    severity: Severity = "critical" if kind == "host.down" else "info"
    return Event(id=mark, time=now, host=host, kind=kind, severity=severity, message=message)
