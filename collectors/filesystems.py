"""Sizes and inodes of the mounted filesystems, one for each device; a dead network mount holds nobody up.

Options: `include` and `exclude` hold globs on mount points or types; `skip_types` replaces the types that are left out
by default.
"""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING, NamedTuple

from collectors._mountprobe import MountProber, Size
from collectors._mounts import (
    SKIPPED_TYPES,
    Mount,
    fold,
    must_be_probed,
    parse_mountinfo,
    visible,
    wanted,
)
from collectors._sysfs import entries, text
from collectors.base import Collector, Reading, Roots, malformed, read_text
from collectors.disks import patterns, whole_disk
from sysmon.catalogue import Formula, derived, gauge
from sysmon.errors import CollectorError, MalformedInput
from sysmon.frame import Fault, FilesystemRow, Number, Tables, clean_instance, clean_text

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sysmon.frame import FaultKind


class _Plan(NamedTuple):
    """The filesystems to be read: instance, mount, whether a child process asks."""

    shown: list[tuple[str, Mount, bool]]
    rows: list[FilesystemRow]
    faults: list[Fault]


class FilesystemsCollector(Collector):
    """Reads sizes of local filesystems by statvfs, and has a child process ask all others."""

    name = "filesystems"
    help = "Space and inodes of mounted filesystems"
    interval = 10.0
    blocking = True
    metrics = (
        gauge("fs.size", "bytes", "Size of the filesystem", "statvfs", instance="mount"),
        gauge("fs.used", "bytes", "Bytes in use", "statvfs", instance="mount"),
        gauge("fs.free", "bytes", "Bytes free, those reserved for root included", "statvfs", instance="mount"),
        gauge("fs.available", "bytes", "Bytes free for ordinary users", "statvfs", instance="mount"),
        gauge("fs.inodes.total", "", "Inodes, where their number is limited", "statvfs", instance="mount"),
        gauge("fs.inodes.used", "", "Inodes in use, where their number is limited", "statvfs", instance="mount"),
        derived(
            "fs.utilization",
            "ratio",
            "Share in use of what ordinary users may use, as df shows it",
            Formula("value_ratio", ("fs.used",), ("fs.used", "fs.available")),
            instance="mount",
        ),
        derived(
            "fs.inodes.utilization",
            "ratio",
            "Share of the inodes in use",
            Formula("value_ratio", ("fs.inodes.used",), ("fs.inodes.total",)),
            instance="mount",
        ),
    )

    def __init__(self, roots: Roots, options: Mapping[str, object] | None = None) -> None:
        super().__init__(roots, options)
        self._path = roots.proc / "self" / "mountinfo"
        self._include = patterns(self.options.get("include"))
        self._exclude = patterns(self.options.get("exclude"))
        self._skipped_types = frozenset(patterns(self.options.get("skip_types", list(SKIPPED_TYPES))))
        self._content = ""
        self._plan = _Plan([], [], [])
        self.prober = MountProber()

    def close(self) -> None:
        """Ends the child processes."""
        self.prober.close()

    def statvfs(self, point: bytes) -> Size:
        """Asks the kernel for the size of a local filesystem."""
        told = os.statvfs(point)
        return Size(told.f_frsize, told.f_blocks, told.f_bfree, told.f_bavail, told.f_files, told.f_ffree)

    def read(self) -> Reading:
        """Reads every filesystem that answers; the others are faults. Takes at most about half a second.

        Raises:
            CollectorError: the table of mounts is not there.
        """
        self._refresh()
        reading = Reading(tables=Tables(filesystems=self._plan.rows), faults=list(self._plan.faults))
        sizes = self._ask(reading) if self.roots.live else self._captured(reading)
        left_out = beneath_overlays(sizes)
        for instance, (_, size) in sizes.items():
            values = values_of(instance, size) if instance not in left_out else {}
            if not values:
                left_out.add(instance)
            reading.values.update(values)
        if left_out:
            reading.tables.filesystems = [row for row in self._plan.rows if row.mount not in left_out]
        return reading

    def points(self) -> list[str]:
        """Returns the mount points shown whose size can be asked for without waiting on another machine.

        Raises:
            CollectorError: the table of mounts is not there.
        """
        self._refresh()
        return [mount.point for _, mount, probe in self._plan.shown if not probe]

    def _refresh(self) -> None:
        content = read_text(self._path)
        if content != self._content:
            self._plan = self._look(content)
            self._content = content

    def _ask(self, reading: Reading) -> dict[str, tuple[Mount, Size]]:
        """Asks this machine's kernel; what does not answer is a fault."""
        probed = [mount.point for _, mount, probe in self._plan.shown if probe]
        answers = self.prober.ask(probed) if probed else {}
        sizes: dict[str, tuple[Mount, Size]] = {}
        for instance, mount, probe in self._plan.shown:
            answer: Size | OSError | None
            try:
                answer = answers.get(mount.point) if probe else self.statvfs(_encoded(mount.point))
            except OSError as error:
                answer = error
            if isinstance(answer, Size):
                sizes[instance] = mount, answer
            else:
                reading.faults.append(self._complaint(mount, answer))
        return sizes

    def _captured(self, reading: Reading) -> dict[str, tuple[Mount, Size]]:
        """Takes the sizes that were captured with the tree; what is missing there is a fault."""
        try:
            told = parse_sizes(read_text(self.roots.sizes), str(self.roots.sizes))
        except CollectorError:
            reading.faults.append(Fault(self.name, "unsupported", "only a running kernel tells sizes"))
            return {}
        except MalformedInput as error:
            reading.faults.append(self.fault(error))
            return {}
        sizes: dict[str, tuple[Mount, Size]] = {}
        for instance, mount, probe in self._plan.shown:
            if (size := told.get(mount.point)) is not None:
                sizes[instance] = mount, size
            elif probe:
                words = f"{clean_text(mount.point, 255)} ({mount.type}) is not asked from afar: it could hang"
                reading.faults.append(Fault(self.name, "unsupported", words))
            else:
                words = f"{clean_text(mount.point, 255)} ({mount.type}): its size was not told"
                reading.faults.append(Fault(self.name, "no_data", words))
        return sizes

    def _look(self, content: str) -> _Plan:
        mounts, problems = parse_mountinfo(content, str(self._path))
        seen = visible(mounts)
        chosen = fold(
            mount
            for mount in seen
            if wanted(mount, self._include, self._exclude, self._skipped_types) and not self._is_file(mount, seen)
        )
        disks = self._disks()
        plan = _Plan([], [], [self.fault(problem) for problem in problems])
        for mount in chosen:
            instance = clean_instance(mount.point)
            plan.shown.append((instance, mount, must_be_probed(mount, seen)))
            plan.rows.append(
                FilesystemRow(
                    mount=instance,
                    device=clean_text(mount.source, 255),
                    type=clean_text(mount.type, 64),
                    read_only=mount.read_only,
                    remote=mount.remote,
                    disk=disks.get(mount.device, "") or self._named(mount.source, disks),
                )
            )
        return plan

    def _is_file(self, mount: Mount, seen: list[Mount]) -> bool:
        """Whether a single file was bound here, as containers do with their /etc/hosts."""
        if mount.root == "/" or not self.roots.live or must_be_probed(mount, seen):
            return False
        try:
            return stat.S_ISREG(os.stat(_encoded(mount.point)).st_mode)
        except OSError:
            return False

    def _disks(self) -> dict[str, str]:
        """Device ('major:minor', and '/dev/NAME') -> instance of the disk's readings."""
        try:
            content = read_text(self.roots.proc / "diskstats")
        except CollectorError:
            return {}
        fields = [line.split(None, 3) for line in content.splitlines()]
        devices = {line[2]: f"{line[0]}:{line[1]}" for line in fields if len(line) > 2}
        block = str(self.roots.sys / "block")
        whole = set(entries(block)) or set(devices)
        found = {}
        for device, number in devices.items():
            disk = whole_disk(device, whole)
            name = clean_instance(text(f"{block}/{disk}/dm/name") or disk)
            found[number] = found["/dev/" + device] = found[f"/dev/mapper/{name}"] = name
        return found

    def _named(self, source: str, disks: dict[str, str]) -> str:
        # btrfs shows a device number of its own in mountinfo.
        return disks.get(source, "") if source.startswith("/dev/") else ""

    def _complaint(self, mount: Mount, answer: OSError | None) -> Fault:
        point = clean_text(mount.point, 255)
        if answer is None:
            silent = self.prober.silent_for(mount.point)
            return Fault(
                self.name,
                "timeout",
                f"{point} ({mount.type}) has not answered for {max(silent, self.prober.patience):.0f} s"
                if silent >= 1
                else f"{point} ({mount.type}) has not answered yet",
                f"see whether {clean_text(mount.source, 99)} can be reached, or exclude it in [collectors.filesystems]",
            )
        kind: FaultKind = "denied" if isinstance(answer, PermissionError) else "failed"
        return Fault(self.name, kind, f"{point} ({mount.type}): {answer.strerror or answer}")


def parse_sizes(content: str, path: str = "statvfs") -> dict[str, Size]:
    """Parses captured sizes: a line of fragment, blocks, free, available, inodes, free inodes and mount point each.

    Raises:
        MalformedInput: a line is of another form.
    """
    found = {}
    for index, line in enumerate(content.split("\n"), 1):
        fields = line.split(" ", 6)
        if fields == [""]:
            continue
        try:
            numbers = [int(field) for field in fields[:6]]
            if len(fields) != 7 or not fields[6].startswith("/") or not all(abs(each) < 1 << 64 for each in numbers):
                raise ValueError
        except ValueError:
            raise malformed(path, index, line, "a filesystem's size") from None
        found[fields[6]] = Size._make(numbers)
    return found


def beneath_overlays(sizes: Mapping[str, tuple[Mount, Size]]) -> set[str]:
    """Finds what was bound into a container from the filesystem that its overlay lies on: the two are one.

    An overlay gives the numbers of the filesystem of its upper layer as its own, but is a device of its own.

    Args:
        sizes: of each instance, its mount and what statvfs told.

    Returns:
        The instances that repeat an overlay.
    """
    overlays = {(size.fragment * size.blocks, size.inodes) for mount, size in sizes.values() if mount.type == "overlay"}
    return {
        instance
        for instance, (mount, size) in sizes.items()
        if mount.type != "overlay" and mount.root != "/" and (size.fragment * size.blocks, size.inodes) in overlays
    }


def values_of(instance: str, size: Size) -> dict[str, Number]:
    """Turns a filesystem's size into readings.

    Returns:
        The `fs.*` readings; none where it has no size (a pseudo filesystem) or contradicts itself, and no inodes where
        their number has no limit.
    """
    unit, blocks, free, available, inodes, inodes_free = size
    if unit <= 0 or blocks <= 0 or not 0 <= free <= blocks:
        return {}
    values: dict[str, Number] = {
        f"fs.size:{instance}": blocks * unit,
        f"fs.used:{instance}": (blocks - free) * unit,
        f"fs.free:{instance}": free * unit,
        # Filled into the reserve, some systems tell a negative number, which is a huge one here.
        f"fs.available:{instance}": available * unit if 0 <= available <= blocks else 0,
    }
    if inodes > 0 and 0 <= inodes_free <= inodes:
        values[f"fs.inodes.total:{instance}"] = inodes
        values[f"fs.inodes.used:{instance}"] = inodes - inodes_free
    return values


def _encoded(point: str) -> bytes:
    return point.encode("utf-8", "surrogateescape")


COLLECTOR = FilesystemsCollector
