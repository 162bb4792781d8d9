"""What sysmon itself costs: processor time and memory of this process."""

from __future__ import annotations

import os
import sys
import time
from typing import ClassVar

from collectors.base import Collector, Reading, malformed, read_file
from sysmon.catalogue import counter, gauge, rate
from sysmon.errors import SysmonError

PAGE_SIZE = os.sysconf("SC_PAGE_SIZE") if hasattr(os, "sysconf") else 4096
"""Bytes of a page, the unit of /proc/self/statm."""

PSS_INTERVAL = 60.0
"""Seconds between looks at the proportional set size, for which the kernel walks all pages."""


def parse_statm(text: str, path: str = "/proc/self/statm") -> int:
    """Parses /proc/PID/statm into resident bytes.

    Raises:
        MalformedInput: fewer than two numbers.

    Source: proc(5).
    """
    fields = text.split(None, 2)
    if len(fields) < 2 or not fields[1].isascii() or not fields[1].isdecimal() or len(fields[1]) > 15:
        raise malformed(path, 1, text, "sizes in pages")
    return int(fields[1]) * PAGE_SIZE


def parse_smaps_rollup(text: str, path: str = "/proc/self/smaps_rollup") -> int:
    """Parses /proc/PID/smaps_rollup into the proportional set size in bytes.

    Raises:
        MalformedInput: there is no line `Pss: N kB`.
    """
    for number, line in enumerate(text.split("\n"), 1):
        if line.startswith("Pss:"):
            value = line[4:].split()
            if not value or not value[0].isascii() or not value[0].isdecimal() or len(value[0]) > 15:
                raise malformed(path, number, line, "a size in kB")
            return int(value[0]) * 1024
    raise malformed(path, 1, text, "a list of sizes with 'Pss:'")


class OwnCollector(Collector):
    """This process as the kernel accounts for it."""

    name = "own"
    help = "What sysmon itself costs"
    interval = 5.0
    platforms: ClassVar[tuple[str, ...]] = ("linux", "darwin", "freebsd")
    metrics = (
        counter("sysmon.cpu.time", "seconds", "Processor time of this sysmon process", "CLOCK_PROCESS_CPUTIME_ID"),
        rate("sysmon.cpu", "sysmon.cpu.time", "ratio", "Processor use of this sysmon process, of one core"),
        gauge("sysmon.memory", "bytes", "Resident memory of this sysmon process", "/proc/self/statm"),
        gauge("sysmon.memory.pss", "bytes", "Its memory with shared pages divided by their users", "smaps_rollup"),
    )

    _pss: int | None = None
    _pss_at = float("-inf")

    def read(self) -> Reading:
        """Reads processor time, resident size, and once a minute the proportional size."""
        values: dict[str, int | float] = {"sysmon.cpu.time": time.process_time()}
        if not sys.platform.startswith("linux"):
            import psutil

            values["sysmon.memory"] = int(psutil.Process().memory_info().rss)
            return Reading(values)
        values["sysmon.memory"] = parse_statm(read_file("/proc/self/statm"))
        now = time.monotonic()
        if now - self._pss_at >= PSS_INTERVAL:
            self._pss_at = now
            try:
                self._pss = parse_smaps_rollup(read_file("/proc/self/smaps_rollup"))
            except SysmonError:
                self._pss = None  # kernels before 4.14 have no rollup
        if self._pss is not None:
            values["sysmon.memory.pss"] = self._pss
        return Reading(values)


COLLECTOR = OwnCollector
