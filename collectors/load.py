"""Load averages, and how many processes and threads there are.

The kernel works its load averages out every 5 seconds, so they are read as often. Processes are the numeric entries of
/proc. Listing them costs about 7 µs each, so they are listed once a minute, and in between told from the link count of
/proc, which is that number and a constant. Link counts span all PID namespaces: in any but the first, they are listed.
The kernel's number of threads does too: in a container they are those of its control group.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from collectors.base import Collector, Reading, malformed, read_file, unreadable
from collectors.capacity import FIRST_PID_NAMESPACE, container_cgroup
from sysmon.catalogue import gauge
from sysmon.errors import CollectorError, MalformedInput
from sysmon.frame import Fault

if TYPE_CHECKING:
    from collections.abc import Mapping

    from collectors.base import Roots
    from collectors.capacity import Cgroup
    from sysmon.frame import Number

_HIDING = frozenset(
    {"hidepid=1", "hidepid=2", "hidepid=noaccess", "hidepid=invisible", "hidepid=4", "hidepid=ptraceable"}
)
RECOUNT = 12
"""Reads between listings of /proc."""

_LOADS = ("load.1", "load.5", "load.15")
_MOST = 1 << 32


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
    if not all(0 <= value < _MOST for value in values.values()) or not 0 <= threads < _MOST:
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
        gauge("processes.count", "", "Processes, kernel threads included", "/proc"),
        gauge("processes.threads", "", "Threads of all processes", "/proc/loadavg; in a container pids.current"),
    )

    def __init__(self, roots: Roots, options: Mapping[str, object] | None = None) -> None:
        super().__init__(roots, options)
        self._proc = str(roots.proc)
        self._hidden: Fault | None = None
        self._reads = 0
        self._others: int | None = None
        self._group = container_cgroup(roots)
        try:
            self._first_namespace = roots.live and os.readlink(f"{self._proc}/self/ns/pid") == FIRST_PID_NAMESPACE
        except OSError:
            self._first_namespace = False
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
        if self._group is not None:
            self._of_group(self._group, reading)
        if self._hidden is not None:
            reading.faults.append(self._hidden)
            return reading
        try:
            reading.values["processes.count"] = self._count()
        except OSError as error:
            raise unreadable(self._proc, error) from None
        return reading

    def _of_group(self, group: Cgroup, reading: Reading) -> None:
        del reading.values["processes.threads"]
        try:
            threads = group.tasks()
        except MalformedInput as error:
            reading.faults.append(self.fault(error))
            return
        if threads is not None:
            reading.values["processes.threads"] = threads

    def _count(self) -> int:
        links = os.stat(self._proc).st_nlink
        self._reads += 1
        if self._others is not None and self._reads % RECOUNT:
            return links - self._others
        count = sum(map(str.isdecimal, os.listdir(self._proc)))
        steady = self._first_namespace and os.stat(self._proc).st_nlink == links
        self._others = links - count if steady else None
        return count


COLLECTOR = LoadCollector
