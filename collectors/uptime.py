"""Seconds since boot. Read every 10 s: it tells nothing new in between, and history need not keep it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from collectors.base import Collector, Reading, malformed, read_file
from sysmon.catalogue import gauge

if TYPE_CHECKING:
    from collections.abc import Mapping

    from collectors.base import Roots


def parse_uptime(text: str, path: str = "/proc/uptime") -> float:
    """Parses /proc/uptime into seconds since boot, suspend included.

    Raises:
        MalformedInput: not a number of at least 0.

    Source: proc(5).
    """
    try:
        seconds = float(text.split(None, 1)[0])
    except (ValueError, IndexError):
        seconds = -1.0
    if not 0 <= seconds < 1e12:
        raise malformed(path, 1, text.strip(), "seconds since boot")
    return seconds


class UptimeCollector(Collector):
    """Seconds since boot."""

    name = "uptime"
    help = "Time since boot"
    interval = 10.0
    metrics = (gauge("uptime", "seconds", "Time since boot, suspend included", "/proc/uptime", rollup=False),)

    def __init__(self, roots: Roots, options: Mapping[str, object] | None = None) -> None:
        super().__init__(roots, options)
        self._path = f"{roots.proc}/uptime"

    def read(self) -> Reading:
        """Reads /proc/uptime."""
        return Reading({"uptime": parse_uptime(read_file(self._path), self._path)})


COLLECTOR = UptimeCollector
