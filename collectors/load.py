"""Load averages, and how many processes and threads there are.

The kernel works its load averages out every 5 seconds, so they are read as often. Processes are counted by the numeric
entries of /proc: cheap (0.2 ms for 1,000), and what the caller may see; the link count of /proc would be cheaper, but
counts the processes of every PID namespace.
"""

from __future__ import annotations

import math
import os
from typing import TYPE_CHECKING

from collectors.base import Collector, Reading, malformed, read_file, unreadable
from sysmon.catalogue import gauge
from sysmon.errors import CollectorError
from sysmon.frame import Fault

if TYPE_CHECKING:
    from collections.abc import Mapping

    from collectors.base import Roots
    from sysmon.frame import Number

_HIDING = frozenset(
    {"hidepid=1", "hidepid=2", "hidepid=noaccess", "hidepid=invisible", "hidepid=4", "hidepid=ptraceable"}
)
_LOADS = ("load.1", "load.5", "load.15")


def parse_loadavg(text: str, path: str = "/proc/loadavg") -> dict[str, Number]:
    """Parses /proc/loadavg into load averages and the number of threads (`processes.threads`).

    Raises:
        MalformedInput: fewer than three averages, or no `running/total`.

    Source: proc(5). Same numbers as `uptime`.
    """
    fields = text.split(None, 4)
    try:
        values: dict[str, Number] = {name: float(field) for name, field in zip(_LOADS, fields[:3], strict=True)}
        threads = int(fields[3].partition("/")[2])
    except (ValueError, IndexError):
        raise malformed(path, 1, text.strip(), "three load averages and running/total") from None
    if not all(math.isfinite(value) and value >= 0 for value in values.values()) or not 0 <= threads < 1 << 32:
        raise malformed(path, 1, text.strip(), "three load averages and running/total")
    values["processes.threads"] = threads
    return values


def hides_processes(mountinfo: str) -> bool:
    """Whether /proc is mounted so that it shows a user its own processes alone."""
    for line in mountinfo.split("\n"):
        left, dash, right = line.partition(" - proc ")
        fields = left.split()
        if (
            dash
            and len(fields) > 4
            and fields[4] == "/proc"
            and not _HIDING.isdisjoint(right.replace(" ", ",").split(","))
        ):
            return True
    return False


class LoadCollector(Collector):
    """Load averages and the number of processes."""

    name = "load"
    help = "Load averages, number of processes and threads"
    interval = 5.0
    metrics = (
        gauge("load.1", "", "Tasks running or waiting, averaged over 1 minute", "/proc/loadavg", precision=2),
        gauge("load.5", "", "Tasks running or waiting, averaged over 5 minutes", "/proc/loadavg", precision=2),
        gauge("load.15", "", "Tasks running or waiting, averaged over 15 minutes", "/proc/loadavg", precision=2),
        gauge("processes.count", "", "Processes, kernel threads included", "entries of /proc"),
        gauge("processes.threads", "", "Threads of all processes", "/proc/loadavg"),
    )

    def __init__(self, roots: Roots, options: Mapping[str, object] | None = None) -> None:
        super().__init__(roots, options)
        self._proc = str(roots.proc)
        self._hidden: Fault | None = None
        if roots.live and hasattr(os, "geteuid") and os.geteuid() != 0:
            try:
                hides = hides_processes(read_file(f"{self._proc}/self/mountinfo"))
            except CollectorError:
                hides = False
            if hides:
                hint = "remount /proc without hidepid, or join the group that its gid= option names"
                self._hidden = Fault(self.name, "denied", "/proc shows this user its own processes alone", hint)

    def read(self) -> Reading:
        """Reads /proc/loadavg and counts the numeric entries of /proc, unless those of other users are hidden."""
        path = f"{self._proc}/loadavg"
        reading = Reading(parse_loadavg(read_file(path), path))
        if self._hidden is not None:
            reading.faults.append(self._hidden)
            return reading
        try:
            names = os.listdir(self._proc)
        except OSError as error:
            raise unreadable(self._proc, error) from None
        reading.values["processes.count"] = sum(map(str.isdecimal, names))
        return reading


COLLECTOR = LoadCollector
