"""Disk I/O from /proc/diskstats: bytes, operations, busy time and queue of every disk.

Loop, RAM and zram devices are left out, loops with a backing file outside snap images excepted; partitions are left out
unless the option `partitions` is true. `include` and `exclude` hold globs on names and win over that, `exclude` first.
"""

from __future__ import annotations

import os
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, NamedTuple

from collectors._sysfs import entries, number, text
from collectors.base import Collector, Reading, Roots, malformed, read_text
from sysmon.catalogue import Formula as F
from sysmon.catalogue import counter, derived, gauge, rate
from sysmon.frame import DiskRow, Number, Tables, clean_instance, clean_text

if TYPE_CHECKING:
    from collections.abc import Mapping

SECTOR = 512
"""Bytes per sector in /proc/diskstats, whatever the disk's own is (Documentation/block/stat.rst)."""

_LARGEST = (1 << 63) // SECTOR

DETAILS_EVERY = 60
"""Reads after which the details of the devices are looked up anew, though none came or went."""


class DiskCounters(NamedTuple):
    """One line of /proc/diskstats in base units."""

    read_operations: int
    read_bytes: int
    read_seconds: float
    write_operations: int
    write_bytes: int
    write_seconds: float
    in_flight: int
    busy_seconds: float
    queue_seconds: float


def parse_diskstats(content: str, path: str = "/proc/diskstats") -> dict[str, DiskCounters]:
    """Parses /proc/diskstats into counters per device.

    Args:
        content: the whole file, one device per line, at least 14 fields.
        path: named in errors.

    Returns:
        Kernel name -> counters since boot or since the device came.

    Raises:
        MalformedInput: a line with too few fields or no numbers where some belong.

    Source: Linux Documentation/admin-guide/iostats.rst; the same numbers as iostat(1) shows.
    """
    devices = {}
    for index, line in enumerate(content.split("\n"), start=1):
        fields = line.split()
        if not fields:
            continue
        if len(fields) < 14:
            raise malformed(path, index, line, "a device with 14 fields or more")
        try:
            numbers = [int(field) for field in fields[3:14]]
        except ValueError:
            raise malformed(path, index, line, "a device with whole numbers") from None
        reads, _, read_sectors, read_ms, writes, _, write_sectors, write_ms, in_flight, busy_ms, queue_ms = numbers
        # Operations under way have been seen below 0 on kernels that count them per processor.
        if min(numbers[:8] + numbers[9:]) < 0 or max(numbers) >= _LARGEST:
            raise malformed(path, index, line, "a device with counters from 0")
        devices[fields[2]] = DiskCounters(
            reads,
            read_sectors * SECTOR,
            read_ms / 1000,
            writes,
            write_sectors * SECTOR,
            write_ms / 1000,
            max(in_flight, 0),
            busy_ms / 1000,
            queue_ms / 1000,
        )
    return devices


MILLISECONDS = "/proc/diskstats, 32-bit milliseconds in the kernel: begins anew after 49.7 days of it"


class DisksCollector(Collector):
    """Reads the counters of every disk; looks up what a disk is when one comes or goes."""

    name = "disks"
    help = "Bytes, operations, latency and load of disks"
    metrics = (
        counter("disk.read", "bytes", "Bytes read from the device", "/proc/diskstats", instance="disk"),
        counter("disk.write", "bytes", "Bytes written to the device", "/proc/diskstats", instance="disk"),
        counter("disk.read.operations", "", "Reads completed", "/proc/diskstats", instance="disk"),
        counter("disk.write.operations", "", "Writes completed", "/proc/diskstats", instance="disk"),
        counter("disk.read.time", "seconds", "Time that all reads took, added up", MILLISECONDS, instance="disk"),
        counter("disk.write.time", "seconds", "Time that all writes took, added up", MILLISECONDS, instance="disk"),
        counter(
            "disk.busy.time", "seconds", "Time with at least one operation under way", MILLISECONDS, instance="disk"
        ),
        counter(
            "disk.queue.time", "seconds", "Time of all operations under way, added up", MILLISECONDS, instance="disk"
        ),
        gauge("disk.in_flight", "", "Operations under way now", "/proc/diskstats", instance="disk"),
        rate("disk.read_rate", "disk.read", "bytes/s", "Bytes read per second", instance="disk"),
        rate("disk.write_rate", "disk.write", "bytes/s", "Bytes written per second", instance="disk"),
        derived(
            "disk.operations",
            "/s",
            "Reads and writes completed per second",
            F("rate", ("disk.read.operations", "disk.write.operations")),
            instance="disk",
        ),
        derived(
            "disk.busy",
            "ratio",
            "Share of time with at least one operation under way; a disk that works in parallel can take more at 100 %",
            F("rate", ("disk.busy.time",), ceiling=1.0),
            instance="disk",
        ),
        derived(
            "disk.await",
            "seconds",
            "Mean time of the reads and writes that completed",
            F(
                "delta_ratio",
                ("disk.read.time", "disk.write.time"),
                ("disk.read.operations", "disk.write.operations"),
            ),
            instance="disk",
        ),
        rate("disk.queue", "disk.queue.time", "", "Mean number of operations under way", instance="disk"),
    )

    def __init__(self, roots: Roots, options: Mapping[str, object] | None = None) -> None:
        super().__init__(roots, options)
        self._path = roots.proc / "diskstats"
        self._block = str(roots.sys / "block")
        self._include = patterns(self.options.get("include"))
        self._exclude = patterns(self.options.get("exclude"))
        self._partitions = self.options.get("partitions") is True
        self._seen: tuple[str, ...] = ()
        self._age = 0
        self._rows: dict[str, DiskRow] = {}
        self._keys: list[tuple[str, tuple[str, ...]]] = []

    def read(self) -> Reading:
        """Reads the counters of every disk, and the table of disks.

        Raises:
            CollectorError, MalformedInput: /proc/diskstats is not there or does not parse.
        """
        devices = parse_diskstats(read_text(self._path), str(self._path))
        seen = tuple(devices)
        self._age += 1
        if seen != self._seen or self._age >= DETAILS_EVERY:
            self._look(seen)
        values: dict[str, Number] = {}
        for device, keys in self._keys:
            values.update(zip(keys, devices[device], strict=True))
        return Reading(values, Tables(disks=list(self._rows.values())))

    def _look(self, seen: tuple[str, ...]) -> None:
        self._seen, self._age = seen, 0
        whole = set(entries(self._block)) or set(seen)
        found = [(device, self._row(device, whole)) for device in seen]
        self._rows = {device: row for device, row in found if self._wanted(row)}
        self._keys = [
            (
                device,
                tuple(
                    f"disk.{metric}:{row.name}"
                    for metric in (
                        "read.operations",
                        "read",
                        "read.time",
                        "write.operations",
                        "write",
                        "write.time",
                        "in_flight",
                        "busy.time",
                        "queue.time",
                    )
                ),
            )
            for device, row in self._rows.items()
        ]

    def _row(self, device: str, whole: set[str]) -> DiskRow:
        folder = f"{self._block}/{device.replace('/', '!')}"
        mapped = text(f"{folder}/dm/name")
        size = number(f"{folder}/size")
        model = text(f"{folder}/device/model") or text(f"{folder}/device/name") or ""
        return DiskRow(
            name=clean_instance(mapped or device),
            device=clean_instance(device),
            kind=kind_of(device, whole, os.path.isdir(f"{folder}/dm")),
            model=clean_text(model, 80),
            size=None if size is None else size * SECTOR,
            rotational=number(f"{folder}/queue/rotational") == 1,
            removable=number(f"{folder}/removable") == 1,
            parents=[clean_instance(parent) for parent in entries(f"{folder}/slaves")],
        )

    def _wanted(self, row: DiskRow) -> bool:
        names = {row.name, row.device}
        if any(fnmatchcase(name, pattern) for name in names for pattern in self._exclude):
            return False
        if any(fnmatchcase(name, pattern) for name in names for pattern in self._include):
            return True
        if row.kind == "partition":
            return self._partitions
        if row.kind == "loop":
            backing = text(f"{self._block}/{row.device}/loop/backing_file")
            return backing is not None and not backing.endswith(".snap")
        return row.kind != "memory" and row.size != 0


def kind_of(device: str, whole: set[str], mapped: bool = False) -> str:
    """Says what a block device is, from its kernel name and the names of whole devices (those of /sys/block).

    Returns:
        disk, partition, mapped, raid, loop, memory (RAM and zram) or other (floppies, CD drives).
    """
    if mapped or device.startswith("dm-"):
        return "mapped"
    if whole_disk(device, whole) != device:
        return "partition"
    base = device.rstrip("0123456789")
    if base == "loop":
        return "loop"
    if base in ("ram", "zram"):
        return "memory"
    if base in ("md", "md_d") or device.startswith("md_"):
        return "raid"
    return "other" if base in ("sr", "fd") else "disk"


def whole_disk(device: str, whole: set[str]) -> str:
    """Returns the device that a partition lies on by its name (sda1 on sda, nvme0n1p2 on nvme0n1), else itself."""
    stem = device.rstrip("0123456789")
    if stem == device:
        return device
    if stem.endswith("p") and stem[-2:-1].isdigit():
        return stem[:-1] if stem[:-1] in whole else device
    return stem if stem in whole else device


def patterns(option: object) -> tuple[str, ...]:
    """Returns the globs that an option of the configuration holds."""
    if isinstance(option, str):
        return (option,)
    return tuple(str(each) for each in option) if isinstance(option, list | tuple) else ()


COLLECTOR = DisksCollector
