"""The present state of hosts as a page for Prometheus, named as node_exporter does, so that stock dashboards work.

Counters go out as they were read, with all their digits. What node_exporter has no name for is `sysmon_…` by the
catalogue; derived metrics are left to whoever reads, who has functions for them.
"""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Final

from remote.foreign.exposition import escape_help, escape_label, write_number
from remote.foreign.nodenames import CPU_STATES, NAMES, PAGE, SENSORS, X86
from sysmon.frame import split_key

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from remote.foreign.nodenames import Name
    from sysmon.catalogue import Catalogue, Metric
    from sysmon.derive import State
    from sysmon.frame import DiskRow, FilesystemRow, Number
    from sysmon.records import HostInfo

UNITS: Final = {
    "bytes/s": "bytes_per_second",
    "/s": "per_second",
}
"""Units whose word is not their own name."""
OWN: Final = {"sysmon.cpu.time": "process_cpu_seconds_total", "sysmon.memory": "process_resident_memory_bytes"}
"""What sysmon itself costs, as every exporter names it."""
MAX_DEVICES: Final = 500
"""Devices behind one router that are told of at most: those that moved most. Each is a few series for whoever reads."""
PRESENT: Final = frozenset({"live", "late", "connecting", "replay"})
"""States of a host whose values are those of now."""

_BY_OURS: Final[dict[str, Name]] = {each.ours: each for each in NAMES}
_SENSORS: Final = {ours: theirs for theirs, ours in SENSORS.items()}
_LABEL: Final = re.compile(r"[a-z][a-z0-9_]{0,60}")
_CPU_HELP: Final = (
    "Seconds the CPUs spent in each mode. Sums and averages over cpu are right; sysmon counts modes for all CPUs "
    "together, each is given an equal share. What each did itself: sysmon_cpu_core_time_busy_seconds_total."
)


def sysmon_name(metric: Metric) -> str:
    """Returns the name of a metric that node_exporter has none for: dots become `_`, its unit and `_total` follow."""
    base = metric.name.removeprefix("sysmon.").replace(".", "_").removesuffix("_count")
    base = base.replace("cpu_time_busy", "cpu_core_time_busy")
    if metric.kind != "counter":
        base = re.sub("_total$", "_size", base) if not metric.unit else base
    parts = ["sysmon", base]
    if metric.unit:
        parts.append(UNITS.get(metric.unit, metric.unit))
    if metric.kind == "counter":
        parts.append("total")
    return "_".join(parts)


def exposed_name(metric: Metric) -> str:
    """Returns the name of a raw metric's samples."""
    if metric.name in OWN:
        return OWN[metric.name]
    if metric.name in _SENSORS:
        return _SENSORS[metric.name]
    if metric.name.startswith("cpu.time.") and metric.name.rpartition(".")[2] in CPU_STATES:
        return "node_cpu_seconds_total"
    named = _BY_OURS.get(metric.name)
    return named.theirs if named is not None else sysmon_name(metric)


class Page:
    """Collects samples by family and writes them.

    Args:
        openmetrics: OpenMetrics 1.0, else Prometheus' text format 0.0.4.
    """

    def __init__(self, *, openmetrics: bool) -> None:
        self._open = openmetrics
        self._heads: dict[str, tuple[str, str]] = {}
        self._lines: dict[str, list[str]] = {}
        self._owners: dict[str, str] = {}
        self._series: dict[str, set[str]] = {}

    def add(self, name: str, kind: str, help: str, labels: str, value: Number) -> None:
        """Takes one sample.

        Args:
            name: of the sample. `kind`: counter, gauge or untyped, of its family.
            help: of its family. `labels`: written, without braces.
            value: NaN and infinity say nothing and are left out.

        A series that is there already is left out, and so is a name that would be taken for a family of another: a host
        that was not built like this one may have metrics whose names differ in their dots alone.
        """
        if isinstance(value, float) and not math.isfinite(value):
            return
        lines = self._lines.get(name)
        if lines is None:
            family = name.removesuffix("_total") if kind == "counter" else name
            if self._owners.setdefault(family, name) != name:
                return
            lines = self._lines[name] = []
            self._series[name] = set()
            self._heads[name] = (kind, help)
        if labels in self._series[name]:
            return
        self._series[name].add(labels)
        lines.append(f"{name}{{{labels}}} {write_number(value)}\n")

    def text(self) -> str:
        """Returns the page, families sorted by name."""
        parts = []
        for name in sorted(self._lines):
            kind, help = self._heads[name]
            family = name
            if self._open:
                family = name.removesuffix("_total") if kind == "counter" else name
                kind = "unknown" if kind == "untyped" else kind
            parts.append(f"# HELP {family} {escape_help(help, openmetrics=self._open)}\n# TYPE {family} {kind}\n")
            parts += self._lines[name]
        if self._open:
            parts.append("# EOF\n")
        return "".join(parts)


def labels_of(pairs: Iterable[tuple[str, str]]) -> str:
    """Writes labels, without braces."""
    return ",".join(f'{name}="{escape_label(value)}"' for name, value in pairs)


class HostPage:
    """Adds one host's present state to a page."""

    def __init__(self, page: Page, catalogue: Catalogue, info: HostInfo) -> None:
        self._page = page
        self._catalogue = catalogue
        self._info = info
        self._base = labels_of((("host", info.label), ("host_id", info.id)))
        self._filesystems: Mapping[str, FilesystemRow] = {}
        self._disks: Mapping[str, DiskRow] = {}
        self._left_out: frozenset[str] = frozenset()

    def up(self, present: bool) -> None:
        """Says whether the host's values are those of now."""
        self._put(
            "sysmon_host_up", "gauge", "1 where frames of the host come in, 0 where they do not", (), int(present)
        )

    def state(self, state: State) -> None:
        """Adds every raw value, and what node_exporter tells beside values."""
        frame = state.frame
        if frame is None:
            return
        self._filesystems = {row.mount: row for row in state.tables.filesystems or ()}
        self._disks = {row.name: row for row in state.tables.disks or ()}
        readings = state.readings
        self._cpu(readings)
        chips: dict[str, None] = {}
        sensors: dict[tuple[str, str], None] = {}
        self._left_out = _smaller_devices(readings)
        for key, value in readings.items():
            name, instance = split_key(key)
            if instance in self._left_out and name.startswith("device."):
                continue
            metric = self._catalogue.get(name)
            if metric is None or metric.kind == "derived":
                continue
            if name in _SENSORS:
                self._sensor(metric, instance, value, chips, sensors)
            elif not (name.startswith("cpu.time.") and not instance):
                self._reading(metric, instance, value)
        for chip in chips:
            self._put("node_hwmon_chip_names", "gauge", "Names of chips", (("chip", chip), ("chip_name", chip)), 1)
        for chip, sensor in sensors:
            pairs = (("chip", chip), ("sensor", sensor), ("label", sensor))
            self._put("node_hwmon_sensor_label", "gauge", "Labels of sensors", pairs, 1)
        self._combined(readings)
        self._tables(state)
        self._host(frame.time)

    def _put(self, name: str, kind: str, help: str, pairs: Iterable[tuple[str, str]], value: Number) -> None:
        more = labels_of(pairs)
        self._page.add(name, kind, help, f"{self._base},{more}" if more else self._base, value)

    def _reading(self, metric: Metric, instance: str, value: Number) -> None:
        named = _BY_OURS.get(metric.name)
        if named is not None and named.scale == PAGE and self._info.arch not in X86:
            named = None
        if named is None:
            name = OWN.get(metric.name) or sysmon_name(metric)
            label = metric.instance
            if instance and not label:  # the idle time of one core, beside that of all
                label, name = "core", name.replace("cpu_time_idle", "cpu_core_time_idle")
            self._put(name, metric.kind, metric.help, ((_label(label), instance),) if instance else (), value)
            return
        kind = metric.kind if named.typed else "untyped"
        self._put(named.theirs, kind, metric.help, self._labels(named, instance), _scaled(value, named.scale))

    def _labels(self, named: Name, instance: str) -> tuple[tuple[str, str], ...]:
        if not named.label:
            return ()
        if named.label == "mountpoint":
            row = self._filesystems.get(instance)
            device, kind = (row.device, row.type) if row is not None else ("", "")
            return (("device", device), ("fstype", kind), ("mountpoint", instance))
        if named.theirs.startswith("node_disk_"):
            disk = self._disks.get(instance)
            return (("device", disk.device if disk is not None and disk.device else instance),)
        return ((named.label, instance),)

    def _cpu(self, readings: Mapping[str, Number]) -> None:
        cores = sorted((key[14:] for key in readings if key.startswith("cpu.time.busy:")), key=_numbered)
        if not cores:
            # In a container with a quota there are no cores of its own, only so much time.
            capacity = readings.get("cpu.capacity", 1)
            cores = [str(number) for number in range(min(4096, max(1, math.ceil(capacity))))]
        for state in CPU_STATES:
            total = readings.get(f"cpu.time.{state}")
            if total is not None:
                for core in cores:
                    pairs = (("cpu", core), ("mode", state))
                    self._put("node_cpu_seconds_total", "counter", _CPU_HELP, pairs, total / len(cores))

    def _sensor(
        self,
        metric: Metric,
        instance: str,
        value: Number,
        chips: dict[str, None],
        sensors: dict[tuple[str, str], None],
    ) -> None:
        chip, _, sensor = instance.partition("/")
        zone = re.fullmatch("zone([0-9]+)", sensor)
        if zone is not None and metric.name == "temperature":
            self._put("node_thermal_zone_temp", "gauge", metric.help, (("zone", zone[1]), ("type", chip)), value)
            return
        self._put(_SENSORS[metric.name], "gauge", metric.help, (("chip", chip), ("sensor", sensor)), value)
        chips[chip] = None
        sensors[chip, sensor] = None

    def _combined(self, readings: Mapping[str, Number]) -> None:
        """Adds what dashboards ask for and is made of several of our values."""
        for key, total in readings.items():
            metric, mount = split_key(key)
            used = readings.get(f"fs.inodes.used:{mount}") if metric == "fs.inodes.total" else None
            if used is not None:
                labels = self._labels(_BY_OURS["fs.inodes.total"], mount)
                self._put("node_filesystem_files_free", "gauge", "Inodes that are free", labels, max(0, total - used))
        established, waiting = readings.get("sockets.tcp:established"), readings.get("sockets.tcp:close_wait")
        if established is not None and waiting is not None:
            # RFC 1213: connections in the states ESTABLISHED and CLOSE-WAIT.
            words = "TCP connections established or waiting to be closed"
            self._put("node_netstat_Tcp_CurrEstab", "untyped", words, (), established + waiting)
        held = readings.get("sockets.tcp:time_wait")
        if held is not None:
            self._put("node_sockstat_TCP_tw", "gauge", "TCP sockets in the state TIME-WAIT", (), held)

    def _tables(self, state: State) -> None:
        for row in self._filesystems.values():
            if f"fs.size:{row.mount}" in state.readings:
                labels = self._labels(_BY_OURS["fs.size"], row.mount)
                help = "1 where the filesystem is mounted read-only"
                self._put("node_filesystem_readonly", "gauge", help, labels, int(row.read_only))
        for interface in state.tables.interfaces or ():
            device = (("device", interface.name),)
            self._put("node_network_up", "gauge", "1 where the interface carries traffic", device, int(interface.up))
            if interface.mtu:
                self._put("node_network_mtu_bytes", "gauge", "Largest packet of the interface", device, interface.mtu)
        for lan in [each for each in state.tables.devices or () if each.key not in self._left_out][:MAX_DEVICES]:
            who = (
                ("device", lan.key),
                ("address", lan.addresses[0] if lan.addresses else ""),
                ("name", lan.name),
                ("vendor", lan.vendor),
                ("category", lan.category),
            )
            self._put("sysmon_device_info", "gauge", "Who a device behind a router is", who, 1)
        for disk in self._disks.values():
            pairs = (("device", disk.device or disk.name), ("model", disk.model))
            self._put("node_disk_info", "gauge", "What a disk is", pairs, 1)
            if disk.kind == "mapped" and disk.device:
                named = (("device", disk.device), ("name", disk.name))
                self._put("node_disk_device_mapper_info", "gauge", "What a mapped disk is called", named, 1)

    def _host(self, time: int) -> None:
        info = self._info
        uname = (
            ("domainname", "(none)"),
            ("machine", info.arch),
            ("nodename", info.hostname),
            ("release", info.kernel),
            ("sysname", "Linux" if info.kernel else ""),
            ("version", ""),
        )
        self._put("node_uname_info", "gauge", "Which kernel on which machine", uname, 1)
        if info.os:
            self._put("node_os_info", "gauge", "Which operating system", (("pretty_name", info.os),), 1)
        self._put("node_time_seconds", "gauge", "When this state was read, Unix time", (), time / 1000)


def _smaller_devices(readings: Mapping[str, Number]) -> frozenset[str]:
    """Returns the devices behind a router that are too many: those that moved least."""
    moved: dict[str, Number] = {}
    for key, value in readings.items():
        if key.startswith(("device.receive:", "device.transmit:")):
            name = split_key(key)[1]
            moved[name] = moved.get(name, 0) + value
    if len(moved) <= MAX_DEVICES:
        return frozenset()
    return frozenset(sorted(moved, key=lambda name: (-moved[name], name))[MAX_DEVICES:])


def _label(what: str) -> str:
    """Returns the label for instances that are called so in the catalogue; a peer may call them anything."""
    name = what.lower().replace(" ", "_").replace("-", "_")
    return name if _LABEL.fullmatch(name) and name not in ("host", "host_id") else "instance"


def _scaled(value: Number, scale: float) -> Number:
    if scale == 1:
        return value
    if isinstance(value, int) and isinstance(scale, int) and value % scale == 0:
        return value // scale
    return round(value / scale, 9)


def _numbered(core: str) -> tuple[int, str]:
    return (int(core) if core.isascii() and core.isdigit() and len(core) < 10 else 1 << 30, core)
