"""What the kernel does when memory is short: swapping, major faults, killing; and swap compressed in memory (zram)."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from collectors._cgroups import whole
from collectors.base import Collector, Reading, malformed, read_file
from collectors.capacity import container_cgroup, host_values, of_host
from collectors.memory import parse_meminfo
from sysmon.catalogue import counter, gauge, rate
from sysmon.errors import CollectorError, MalformedInput, NoData

if TYPE_CHECKING:
    from collections.abc import Mapping

    from collectors.base import Roots
    from sysmon.catalogue import Metric
    from sysmon.frame import Number

PAGE_SIZE = os.sysconf("SC_PAGE_SIZE") if hasattr(os, "sysconf") else 4096
"""Bytes of a page, the unit of pswpin and pswpout."""

RESCAN = 30
"""Reads between looks for new zram devices."""

_LARGEST = 1 << 63
_WANTED = (
    ("\npswpin ", "swap.in", True),
    ("\npswpout ", "swap.out", True),
    ("\npgmajfault ", "memory.major_faults", False),
    ("\noom_kill ", "memory.oom_kills", False),
)


def parse_vmstat(text: str, path: str = "/proc/vmstat", page_size: int = PAGE_SIZE) -> dict[str, Number]:
    """Parses /proc/vmstat into series of swapping (bytes), major faults and OOM kills, as far as the kernel has them.

    Raises:
        MalformedInput: none of them is there, or one is no number.

    Source: proc(5). Same numbers as `vmstat -s`.
    """
    found: dict[str, Number] = {}
    listed = f"\n{text}\n"
    for name, key, pages in _WANTED:
        start = listed.find(name)
        if start < 0:
            continue
        start += len(name)
        value = listed[start : listed.find("\n", start)]
        number = whole(value, path, listed.count("\n", 0, start)) * (page_size if pages else 1)
        if number >= _LARGEST:
            raise malformed(path, listed.count("\n", 0, start), value, "a number of pages")
        found[key] = number
    if not found:
        raise malformed(path, 1, text, "a list of the kernel's memory events")
    return found


def parse_mm_stat(text: str, path: str) -> tuple[int, int, int]:
    """Parses a zram device's mm_stat into bytes stored, compressed, and taken of memory.

    Raises:
        MalformedInput: fewer than three numbers.

    Source: Documentation/admin-guide/blockdev/zram.rst.
    """
    fields = text.split()
    if len(fields) < 3:
        raise malformed(path, 1, text.strip(), "sizes in bytes")
    stored, compressed, used = (whole(field, path) for field in fields[:3])
    return stored, compressed, used


_ACTIVITY: tuple[Metric, ...] = (
    counter("swap.in", "bytes", "Memory read back from swap", "/proc/vmstat pswpin"),
    rate("swap.in_rate", "swap.in", "bytes/s", "Memory read back from swap"),
    counter("swap.out", "bytes", "Memory written to swap", "/proc/vmstat pswpout"),
    rate("swap.out_rate", "swap.out", "bytes/s", "Memory written to swap"),
    counter("memory.major_faults", "", "Accesses to memory that had to wait for a disk", "pgmajfault"),
    rate("memory.major_fault_rate", "memory.major_faults", "/s", "Accesses to memory that had to wait for a disk"),
    counter("memory.oom_kills", "", "Processes killed because memory ran out", "oom_kill"),
    rate("memory.oom_kill_rate", "memory.oom_kills", "/s", "Processes killed because memory ran out"),
)


class SwapCollector(Collector):
    """Swapping, faults, OOM kills, zram."""

    name = "swap"
    help = "Swapping, major faults, OOM kills, and zram"
    metrics = (
        *_ACTIVITY,
        *of_host(_ACTIVITY),
        gauge("zram.stored", "bytes", "Memory held, uncompressed", "mm_stat", instance="device"),
        gauge("zram.compressed", "bytes", "Memory held, compressed", "mm_stat", instance="device"),
        gauge("zram.used", "bytes", "Memory taken for it in all", "mm_stat", instance="device"),
    )

    def __init__(self, roots: Roots, options: Mapping[str, object] | None = None) -> None:
        super().__init__(roots, options)
        self._path = f"{roots.proc}/vmstat"
        self._blocks = f"{roots.sys}/block"
        self._zrams: list[str] = []
        self._reads = 0
        self._group = container_cgroup(roots)
        self._memory = 0
        if self._group is not None:
            path = f"{roots.proc}/meminfo"
            try:
                self._memory = parse_meminfo(read_file(path), path)["MemTotal"]
            except (CollectorError, MalformedInput):
                self._memory = _LARGEST

    def read(self) -> Reading:
        """Reads /proc/vmstat and each zram device; in a limited container also its group's events."""
        reading = Reading(parse_vmstat(read_file(self._path), self._path))
        if self._group is not None:
            limit = self._group.memory_limit()
            usage = self._group.memory_usage() if limit is not None and limit < self._memory else None
            if usage is not None:
                reading.values = host_values(reading.values)
                if usage.major_faults is not None:
                    reading.values["memory.major_faults"] = usage.major_faults
                if usage.oom_kills is not None:
                    reading.values["memory.oom_kills"] = usage.oom_kills
        if self._reads % RESCAN == 0:
            self._zrams = self._find()
        self._reads += 1
        for device in self._zrams:
            path = f"{self._blocks}/{device}/mm_stat"
            try:
                stored, compressed, used = parse_mm_stat(read_file(path), path)
            except NoData:
                self._reads = 0  # a device is gone: look again
                continue
            except (CollectorError, MalformedInput) as error:
                reading.faults.append(self.fault(error))
                continue
            if used:
                reading.values[f"zram.stored:{device}"] = stored
                reading.values[f"zram.compressed:{device}"] = compressed
                reading.values[f"zram.used:{device}"] = used
        return reading

    def _find(self) -> list[str]:
        try:
            names = os.listdir(self._blocks)
        except OSError:
            return []
        return sorted(name for name in names if name.startswith("zram") and name[4:].isdecimal())


COLLECTOR = SwapCollector
