"""A source that is a Prometheus node_exporter: its page becomes the metrics that sysmon's own collectors give.

Nothing is installed there. Counters stay raw, so that rates, ratios, history and alerts work as for any host.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from remote.foreign import exposition
from remote.foreign.nodenames import CPU_STATES, IDLE_STATES, NAMES, X86
from remote.foreign.nodesensors import sensor_readings
from remote.foreign.nodetables import disk_rows, filesystem_rows, interface_rows
from remote.foreign.polled import Look, PolledSource
from sysmon.errors import MalformedInput, ProtocolMismatch, Unreachable
from sysmon.frame import Fault, Tables, clean_instance, clean_text, join_key
from sysmon.records import HostInfo

if TYPE_CHECKING:
    from collections.abc import Iterable

    from remote.foreign.exposition import Sample
    from sysmon.frame import Number

SERIES_AT_ONCE = 2_000
"""Lines of a page from which it is parsed in a thread beside the loop."""

LAST_DATE: Final = 253_402_300_799
"""Unix seconds of the last moment that has a date."""

COLLECTORS: Final[dict[str, str]] = {
    "cpu": "node_cpu_seconds_total",
    "memory": "node_memory_MemTotal_bytes",
    "load": "node_load1",
    "network": "node_network_receive_bytes_total",
    "disks": "node_disk_reads_completed_total",
    "filesystems": "node_filesystem_size_bytes",
    "pressure": "node_pressure_cpu_waiting_seconds_total",
    "protocols": "node_netstat_Tcp_ActiveOpens",
    "swap": "node_vmstat_pgmajfault",
}
"""Our collectors, and the sample of an exporter without which one of them has nothing."""

_SKIPPED_DISKS: Final = ("loop", "ram", "zram", "fd", "sr")
_PREFIXES: Final = ("node_", "process_", "sysmon_build_info")


class Family:
    """Samples by name."""

    def __init__(self, samples: Iterable[Sample]) -> None:
        self._by_name: dict[str, list[Sample]] = {}
        for sample in samples:
            if sample.value == sample.value and abs(sample.value) != float("inf"):
                self._by_name.setdefault(sample.name, []).append(sample)

    def __contains__(self, name: str) -> bool:
        return name in self._by_name

    def of(self, name: str) -> list[Sample]:
        """Returns the samples of that name."""
        return self._by_name.get(name, [])

    def value(self, name: str) -> Number | None:
        """Returns the value of the only sample of that name, or None."""
        found = self.of(name)
        return found[0].value if len(found) == 1 else None

    def labels(self, name: str) -> dict[str, str]:
        """Returns the labels of the first sample of that name."""
        found = self.of(name)
        return found[0].labels if found else {}


class NodeExporterSource(PolledSource):
    """Frames of the host that a node_exporter runs on; implements `sysmon.ports.Source`."""

    async def look(self) -> Look:
        """Reads the page once.

        Raises:
            SysmonError: it cannot be had, or is not one of a node_exporter.
        """
        asked = self.clock.boottime()
        body = await self._page()
        answered = self.clock.boottime()
        middle = (asked + answered) // 2
        try:
            if body.count(b"\n") > SERIES_AT_ONCE:
                page = await asyncio.to_thread(exposition.parse, body, wanted=_wanted)
            else:
                page = exposition.parse(body, wanted=_wanted)
        except MalformedInput as error:
            raise MalformedInput(f"{self.target}/metrics: {error.message}") from None
        return self.look_at(Family(page.samples), (answered - asked) / 1e9, middle)

    def look_at(self, found: Family, cost: float, ours: int | None = None) -> Look:
        """Makes a look of a page.

        Args:
            found: its samples.
            cost: seconds that asking took.
            ours: this side's boot clock (ns) when it was read; now by default.

        Raises:
            ProtocolMismatch: it is not one of a node_exporter, or speaks of several hosts.
        """
        self._check(found)
        theirs, booted = (_moment(found.value(f"node_{name}_seconds")) for name in ("time", "boot_time"))
        wall = theirs if theirs is not None else self.clock.now() / 1000
        uptime = None if booted is None else max(0.0, wall - booted)
        boot, monotonic = self.lifetime.at(
            uptime=uptime,
            booted=booted,
            theirs=theirs,
            ours=self.clock.boottime() if ours is None else ours,
            now=self.clock.now(),
        )
        readings = read_page(found)
        if uptime is not None and theirs is not None:
            readings["uptime"] = monotonic / 1e9
        tables = Tables(filesystems=filesystem_rows(found), interfaces=interface_rows(found), disks=disk_rows(found))
        return Look(
            boot=boot,
            monotonic=monotonic,
            readings=readings,
            collectors=frozenset(name for name, sample in COLLECTORS.items() if sample in found),
            tables=tables,
            faults=tuple(faults_of(found, str(self.target))),
            info=info_of(found),
            theirs=None if theirs is None else round(theirs * 1000),
            cost=cost,
        )

    async def _page(self) -> bytes:
        size = 0
        body = []
        deadline = self.patience.head
        try:
            async with (
                asyncio.timeout(deadline),
                self.endpoint().open("/metrics", accept=exposition.TEXT, head=deadline) as pieces,
            ):
                async for piece in pieces:
                    size += len(piece)
                    if size > exposition.MAX_PAGE:
                        raise MalformedInput(
                            f"{self.target}/metrics: the page is longer than {exposition.MAX_PAGE} bytes"
                        )
                    body.append(piece)
        except TimeoutError:
            raise Unreachable(f"{self.target} did not answer within {deadline:g} s") from None
        return b"".join(body)

    def _check(self, found: Family) -> None:
        hosts = {sample.labels.get("host_id", "") for sample in found.of("node_uname_info")}
        if len(found.of("node_uname_info")) > 1 or len(hosts) > 1:
            raise ProtocolMismatch(
                f"{self.target}/metrics speaks of {len(found.of('node_uname_info'))} hosts",
                f"a sysmon answers there: name it as {self.target.base}",
            )
        if not any(name in found for name in COLLECTORS.values()):
            raise ProtocolMismatch(
                f"{self.target}/metrics holds nothing that a node_exporter tells", "is another exporter at this port?"
            )


def _moment(seconds: Number | None) -> Number | None:
    """Leaves out what is no time since 1970 that has a date."""
    return seconds if seconds is not None and 0 <= seconds < LAST_DATE else None


def _wanted(name: str) -> bool:
    return name.startswith(_PREFIXES)


def read_page(found: Family) -> dict[str, Number]:
    """Works out our readings from an exporter's samples."""
    readings: dict[str, Number] = {}
    x86 = found.labels("node_uname_info").get("machine", "") in X86
    for name in NAMES:
        if name.label == "mountpoint" or (name.theirs.startswith("node_vmstat_psw") and not x86):
            continue
        for sample in found.of(name.theirs):
            instance = sample.labels.get(name.label, "") if name.label else ""
            if bool(instance) == bool(name.label) and (name.label or not sample.labels.keys() - {"host", "host_id"}):
                value = sample.value if name.scale == 1 else sample.value * name.scale
                readings.setdefault(join_key(name.ours, clean_instance(instance)), value)
    _disks(found, readings)
    _cpu(found, readings)
    _memory(found, readings)
    _filesystems(found, readings)
    readings.update(sensor_readings(found))
    udp = [used for name in ("UDP", "UDP6") if (used := found.value(f"node_sockstat_{name}_inuse")) is not None]
    if udp:
        readings["sockets.udp"] = sum(udp)
    for key in [key for key, value in readings.items() if key.startswith("net.link_speed:") and value <= 0]:
        del readings[key]  # a driver that knows none says -1
    return {key: _whole(value) for key, value in readings.items()}


def _whole(value: Number) -> Number:
    """Exporters write whole numbers as 1.2e+10; those that a float holds exactly are whole again."""
    return int(value) if isinstance(value, float) and value.is_integer() and abs(value) < 2**63 else value


def _cpu(found: Family, readings: dict[str, Number]) -> None:
    totals: dict[str, float] = {}
    cores: dict[str, list[float]] = {}
    for sample in found.of("node_cpu_seconds_total"):
        mode, core = sample.labels.get("mode", ""), clean_instance(sample.labels.get("cpu", ""))
        if mode not in CPU_STATES or not core:
            continue
        totals[mode] = totals.get(mode, 0.0) + sample.value
        cores.setdefault(core, [0.0, 0.0])[mode in IDLE_STATES] += sample.value
    for mode, seconds in totals.items():
        readings[f"cpu.time.{mode}"] = round(seconds, 6)
    for core, (busy, idle) in cores.items():
        readings[f"cpu.time.busy:{core}"] = round(busy, 6)
        readings[f"cpu.time.idle:{core}"] = round(idle, 6)
    if cores:
        readings["cpu.cores"] = len(cores)
    for sample in found.of("node_rapl_package_joules_total"):
        readings[f"power.energy:package-{clean_instance(sample.labels.get('index', ''))}"] = sample.value


def _memory(found: Family, readings: dict[str, Number]) -> None:
    total, available = readings.get("memory.total"), readings.get("memory.available")
    if total is not None and available is not None:
        arc, least = readings.get("memory.arc"), found.value("node_zfs_arc_c_min")
        if arc is not None and least is not None:
            available += max(0, arc - least)
        given = min(available, total)
        readings["memory.available"] = given
        readings["memory.used"] = total - given
    if "swap.total" in readings and "swap.free" in readings:
        readings["swap.used"] = max(0, readings["swap.total"] - readings["swap.free"])
    size = found.value("node_memory_Hugepagesize_bytes")
    pages = found.value("node_memory_HugePages_Total")
    free = found.value("node_memory_HugePages_Free")
    if size and pages:
        readings["memory.hugepages.total"] = pages * size
        if free is not None:
            readings["memory.hugepages.free"] = free * size


def _filesystems(found: Family, readings: dict[str, Number]) -> None:
    shown = {row.mount for row in filesystem_rows(found) or ()}
    for name in NAMES:
        if name.label == "mountpoint":
            for sample in found.of(name.theirs):
                mount = clean_instance(sample.labels.get("mountpoint", ""))
                if mount in shown:
                    readings.setdefault(join_key(name.ours, mount), sample.value)
    for mount in shown:
        size, free = readings.get(f"fs.size:{mount}"), readings.get(f"fs.free:{mount}")
        if size is not None and free is not None:
            readings[f"fs.used:{mount}"] = max(0, size - free)
        if readings.get(f"fs.inodes.total:{mount}") == 0:
            del readings[f"fs.inodes.total:{mount}"]  # their number is not limited
    for sample in found.of("node_filesystem_files_free"):
        mount = clean_instance(sample.labels.get("mountpoint", ""))
        inodes = readings.get(f"fs.inodes.total:{mount}")
        if inodes is not None:
            readings.setdefault(f"fs.inodes.used:{mount}", max(0, inodes - sample.value))


def _disks(found: Family, readings: dict[str, Number]) -> None:
    """Leaves out memory and images, as our own collector does, and gives mapped devices their names."""
    mapped = {
        sample.labels.get("device", ""): sample.labels.get("name", "")
        for sample in found.of("node_disk_device_mapper_info")
    }
    for key in [key for key in readings if key.startswith("disk.")]:
        metric, _, device = key.partition(":")
        if device.rstrip("0123456789") in _SKIPPED_DISKS:
            del readings[key]
        elif name := clean_instance(mapped.get(device, "")):
            readings.setdefault(f"{metric}:{name}", readings.pop(key))


def info_of(found: Family) -> HostInfo:
    """Says who the host is, as far as the exporter does."""
    uname, system = found.labels("node_uname_info"), found.labels("node_os_info")
    build = found.labels("node_exporter_build_info").get("version", "")
    sysmon = found.labels("sysmon_build_info").get("version", "")
    cpus = {sample.labels.get("cpu", "") for sample in found.of("node_cpu_seconds_total")}
    zones = found.of("node_time_zone_offset_seconds")
    total = found.value("node_memory_MemTotal_bytes")
    return HostInfo(
        id="",
        hostname=clean_text(uname.get("nodename", ""), 255),
        os=clean_text(system.get("pretty_name", "") or uname.get("sysname", ""), 255),
        kernel=clean_text(uname.get("release", ""), 255),
        arch=clean_text(uname.get("machine", ""), 64),
        cpu_model=clean_text(found.labels("node_cpu_info").get("model_name", ""), 255),
        cpus=len(cpus),
        memory=int(total) if total is not None and 0 <= total < 2**63 else 0,
        timezone=_offset(zones[0].value) if zones else "",
        version=f"node_exporter {clean_text(build, 40)}" if build else clean_text(sysmon, 40),
    )


def _offset(seconds: Number) -> str:
    """Writes seconds east of UTC as an offset: the exporter's own name of the zone may be an abbreviation."""
    minutes = round(seconds / 60)
    if not -1440 < minutes < 1440:
        return ""
    return f"{'-' if minutes < 0 else '+'}{abs(minutes) // 60:02}:{abs(minutes) % 60:02}" if minutes else "UTC"


def faults_of(found: Family, target: str) -> list[Fault]:
    """Says what the exporter should tell and does not."""
    faults = [
        Fault(name, "no_data", f"{target} tells no {sample}", "its exporter leaves that collector out, or lacks it")
        for name, sample in COLLECTORS.items()
        if sample not in found and name != "pressure"
    ]
    if "node_pressure_cpu_waiting_seconds_total" not in found:
        hint = "its kernel counts none (psi=1), or the exporter leaves it out"
        faults.append(Fault("pressure", "unsupported", f"{target} tells no pressure", hint))
    if "node_boot_time_seconds" not in found:
        hint = "run it with its stat collector"
        faults.append(Fault("uptime", "no_data", f"{target} does not tell when it booted", hint))
    for sample in found.of("node_filesystem_device_error"):
        if sample.value:
            mount = clean_text(sample.labels.get("mountpoint", ""), 200)
            faults.append(Fault("filesystems", "failed", f"{target} cannot read {mount}", "a mount that hangs?"))
    return faults[:100]
