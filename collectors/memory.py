"""Memory and swap space from /proc/meminfo, the ARC of ZFS and hugepages included.

Used is total less available. The part of the ARC that ZFS would give back counts as available. In a container with a
limit the capacity is that limit, and the machine's own are `host.memory.*` and `host.swap.*`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from collectors._cgroups import whole
from collectors._sysfs import entries
from collectors._sysfs import number as number_in
from collectors.base import Collector, Reading, malformed, read_file
from collectors.capacity import container_cgroup, host_values, of_host
from sysmon.catalogue import Formula, derived, gauge
from sysmon.errors import CollectorError, MalformedInput, NoData

if TYPE_CHECKING:
    from collections.abc import Mapping

    from collectors.base import Roots
    from collectors.capacity import MemoryUsage
    from sysmon.catalogue import Metric
    from sysmon.frame import Number

_LARGEST = 1 << 63
_WANTED = {
    "MemTotal": "memory.total",
    "MemFree": "memory.free",
    "MemAvailable": "memory.available",
    "Buffers": "memory.buffers",
    "Cached": "memory.cached",
    "Shmem": "memory.shared",
    "Slab": "memory.slab",
    "SReclaimable": "memory.slab.reclaimable",
    "AnonPages": "memory.anonymous",
    "PageTables": "memory.page_tables",
    "Dirty": "memory.dirty",
    "Writeback": "memory.writeback",
    "Committed_AS": "memory.committed",
    "SwapTotal": "swap.total",
    "SwapFree": "swap.free",
    "SwapCached": "swap.cached",
    "Zswap": "swap.zswap.used",
    "Zswapped": "swap.zswap.stored",
}
_MORE = frozenset({"HugePages_Total", "HugePages_Free", "Hugepagesize", "Hugetlb", "Active(file)", "Inactive(file)"})


def parse_meminfo(text: str, path: str = "/proc/meminfo") -> dict[str, int]:
    """Parses /proc/meminfo: the lines used here, by the kernel's names, in bytes (HugePages_* are numbers of pages).

    Raises:
        MalformedInput: a line is no number of kB, or MemTotal or MemFree is missing.

    Source: proc(5). Same numbers as `free -b`.
    """
    found: dict[str, int] = {}
    for number, line in enumerate(text.split("\n"), 1):
        name, colon, value = line.partition(":")
        if not colon or (name not in _WANTED and name not in _MORE):
            continue
        try:
            amount, *unit = value.split()
            if unit not in ([], ["kB"]) or not amount.isascii() or not amount.isdecimal():
                raise ValueError
            size = int(amount) * 1024 if unit else int(amount)
            if size >= _LARGEST:
                raise ValueError
        except ValueError:
            raise malformed(path, number, line, "an amount in kB") from None
        found[name] = size
    if not found.get("MemTotal") or "MemFree" not in found:
        raise malformed(path, 1, text, "a list with MemTotal and MemFree")
    return found


def available_memory(meminfo: Mapping[str, int], min_free: int = 0) -> int:
    """Returns bytes that programs can have without swapping: MemAvailable, before Linux 3.14 what free(1) estimates.

    Args:
        meminfo: from `parse_meminfo`.
        min_free: /proc/sys/vm/min_free_kbytes in bytes.
    """
    told = meminfo.get("MemAvailable")
    if told is not None:
        return min(told, meminfo["MemTotal"])
    low = min_free * 5 // 4
    free = meminfo["MemFree"] - low
    if "Inactive(file)" in meminfo:
        pages = meminfo["Inactive(file)"] + meminfo.get("Active(file)", 0)
    else:
        pages = meminfo.get("Cached", 0) + meminfo.get("Buffers", 0)
    slab = meminfo.get("SReclaimable", 0)
    free += pages - min(pages // 2, low) + slab - min(slab // 2, low)
    return min(max(0, free), meminfo["MemTotal"])


def parse_arcstats(text: str, path: str = "/proc/spl/kstat/zfs/arcstats") -> tuple[int, int]:
    """Parses the statistics of ZFS's cache into its size and its least size, bytes.

    Raises:
        MalformedInput: either is missing or no number.
    """
    found: dict[str, int] = {}
    for number, line in enumerate(text.split("\n"), 1):
        fields = line.split()
        if len(fields) == 3 and fields[0] in ("size", "c_min"):
            found[fields[0]] = whole(fields[2], path, number)
    if len(found) < 2:
        raise malformed(path, 1, text, "statistics with size and c_min")
    return found["size"], found["c_min"]


_MEMORY: tuple[Metric, ...] = (
    gauge("memory.total", "bytes", "Memory there is", "MemTotal; in a limited container memory.max"),
    gauge("memory.used", "bytes", "Memory that programs cannot have: total less available", "/proc/meminfo"),
    gauge("memory.available", "bytes", "Memory that programs can have without swapping", "MemAvailable and ARC"),
    gauge("memory.free", "bytes", "Memory not used for anything", "MemFree"),
    gauge("memory.buffers", "bytes", "Cache of raw disk blocks", "Buffers"),
    gauge("memory.cached", "bytes", "Cache of files, shared memory included", "Cached"),
    gauge("memory.shared", "bytes", "Shared memory and tmpfs", "Shmem"),
    gauge("memory.slab", "bytes", "The kernel's own objects", "Slab"),
    gauge("memory.slab.reclaimable", "bytes", "Of those, what it can give back", "SReclaimable"),
    gauge("memory.anonymous", "bytes", "Memory of programs that is no file", "AnonPages"),
    gauge("memory.page_tables", "bytes", "Tables of where memory is", "PageTables"),
    gauge("memory.dirty", "bytes", "File contents to be written", "Dirty"),
    gauge("memory.writeback", "bytes", "File contents being written", "Writeback"),
    gauge("memory.committed", "bytes", "Memory promised to programs", "Committed_AS"),
    gauge("memory.arc", "bytes", "Cache of ZFS", "arcstats size"),
    gauge("memory.hugepages.total", "bytes", "Memory set aside as hugepages, of all sizes", "HugePages_Total"),
    gauge("memory.hugepages.free", "bytes", "Hugepages not in use", "HugePages_Free"),
    derived(
        "memory.utilization",
        "ratio",
        "Share of memory that programs cannot have",
        Formula("value_ratio", ("memory.used",), ("memory.total",), 1.0),
    ),
    gauge("swap.total", "bytes", "Swap space there is", "SwapTotal"),
    gauge("swap.used", "bytes", "Swap space in use", "SwapTotal less SwapFree"),
    gauge("swap.free", "bytes", "Swap space not in use", "SwapFree"),
    gauge("swap.cached", "bytes", "Swapped memory that is in memory as well", "SwapCached"),
    gauge("swap.zswap.used", "bytes", "Memory that zswap takes for compressed pages", "Zswap"),
    gauge("swap.zswap.stored", "bytes", "Memory held there, uncompressed", "Zswapped"),
    derived(
        "swap.utilization",
        "ratio",
        "Share of swap space in use",
        Formula("value_ratio", ("swap.used",), ("swap.total",), 1.0),
    ),
)


class MemoryCollector(Collector):
    """Memory and swap space; see the module."""

    name = "memory"
    help = "Memory and swap space, with caches, ZFS's ARC and hugepages told apart"
    metrics = (*_MEMORY, *of_host(_MEMORY))

    def __init__(self, roots: Roots, options: Mapping[str, object] | None = None) -> None:
        super().__init__(roots, options)
        self._path = f"{roots.proc}/meminfo"
        self._min_free_path = f"{roots.proc}/sys/vm/min_free_kbytes"
        self._arc_path = f"{roots.proc}/spl/kstat/zfs/arcstats"
        self._hugepages_path = f"{roots.sys}/kernel/mm/hugepages"
        self._arc_checks = 0
        self._has_arc = False
        self._group = container_cgroup(roots)

    def read(self) -> Reading:
        """Reads /proc/meminfo, ZFS's statistics, and the control group in a container."""
        reading = Reading()
        meminfo = parse_meminfo(read_file(self._path), self._path)
        values: dict[str, Number] = {key: meminfo[name] for name, key in _WANTED.items() if name in meminfo}
        min_free = 0
        if "MemAvailable" not in meminfo:
            try:
                min_free = whole(read_file(self._min_free_path), self._min_free_path) * 1024
            except (CollectorError, MalformedInput):
                min_free = 0
        available = available_memory(meminfo, min_free)
        arc = self._arc(reading)
        if arc is not None:
            size, least = arc
            values["memory.arc"] = size
            available = min(meminfo["MemTotal"], available + max(0, size - least))
        values["memory.available"] = available
        values["memory.used"] = meminfo["MemTotal"] - available
        if "SwapTotal" in meminfo and "SwapFree" in meminfo:
            values["swap.used"] = max(0, meminfo["SwapTotal"] - meminfo["SwapFree"])
        values.update(self._hugepages(meminfo))
        if self._group is not None:
            limit = self._group.memory_limit()
            if limit is not None and limit < meminfo["MemTotal"]:
                usage = self._group.memory_usage()
                if usage is not None:
                    values = host_values(values) | _of_group(limit, usage, meminfo)
        reading.values = values
        return reading

    def _hugepages(self, meminfo: Mapping[str, int]) -> dict[str, Number]:
        """Returns hugepages in bytes: those of the usual size from meminfo, of all where there are others too."""
        size = meminfo.get("Hugepagesize", 0)
        total, free = (meminfo.get(name, 0) * size for name in ("HugePages_Total", "HugePages_Free"))
        if meminfo.get("Hugetlb", total) > total:
            total = free = 0
            for name in entries(self._hugepages_path):
                kilobytes = name.removeprefix("hugepages-").removesuffix("kB")
                if not kilobytes.isascii() or not kilobytes.isdecimal() or len(kilobytes) > 9:
                    continue
                total += (number_in(f"{self._hugepages_path}/{name}/nr_hugepages") or 0) * int(kilobytes) * 1024
                free += (number_in(f"{self._hugepages_path}/{name}/free_hugepages") or 0) * int(kilobytes) * 1024
            if not total:
                return {"memory.hugepages.total": meminfo["Hugetlb"]}
        return {"memory.hugepages.total": total, "memory.hugepages.free": free} if total else {}

    def _arc(self, reading: Reading) -> tuple[int, int] | None:
        """Reads ZFS's statistics; where there are none, looks again once a minute."""
        self._arc_checks += 1
        if not self._has_arc and self._arc_checks % 60 != 1:
            return None
        try:
            found = parse_arcstats(read_file(self._arc_path), self._arc_path)
        except NoData:
            self._has_arc = False
            return None
        except (CollectorError, MalformedInput) as error:
            reading.faults.append(self.fault(error))
            return None
        self._has_arc = True
        return found


def _of_group(limit: int, usage: MemoryUsage, meminfo: Mapping[str, int]) -> dict[str, Number]:
    """Returns the container's own memory; its swap only where the group counts it."""
    used = min(usage.used, limit)
    values: dict[str, Number] = {
        "memory.total": limit,
        "memory.used": used,
        "memory.available": limit - used,
        "memory.free": max(0, limit - usage.current),
    }
    if usage.cached is not None:
        values["memory.cached"] = usage.cached
    if usage.swap is not None:
        whole_swap = meminfo.get("SwapTotal", 0)
        total = whole_swap if usage.swap_limit is None else min(whole_swap, usage.swap_limit)
        values["swap.total"] = total
        values["swap.used"] = min(usage.swap, total)
        values["swap.free"] = total - min(usage.swap, total)
    return values


COLLECTOR = MemoryCollector
