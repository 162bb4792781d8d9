"""A host made up of arithmetic: what it knows about itself at any second."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, fields
from functools import lru_cache, partial
from typing import TYPE_CHECKING

from collectors.registry import catalogue as all_metrics
from sysmon.frame import (
    DiskRow,
    Fault,
    FilesystemRow,
    Frame,
    GpuRow,
    InterfaceRow,
    Number,
    ProcessRow,
    Tables,
)
from sysmon.records import (
    HostInfo,
)
from tui.model import HostModel, View

if TYPE_CHECKING:
    from collections.abc import Callable

    from sysmon.catalogue import Catalogue

START = 1_795_300_000
"""Second 0 of every script, Unix time."""

GIB = 1 << 30
_BOOT_SECONDS = 1_100_000
_INTERVALS = {"filesystems": 10.0, "sensors": 2.0, "gpu": 2.0}


@lru_cache(1)
def catalogue() -> Catalogue:
    """Every metric of the program's own collectors on Linux."""
    return all_metrics("linux")


def wave(second: float, period: float, low: float, high: float, shift: float = 0.0) -> float:
    """A smooth value between two bounds."""
    raw = math.sin(second / period + shift) + 0.5 * math.sin(second / period * 2.7 + 2 * shift)
    return low + (high - low) * (raw / 1.5 + 1) / 2


def rate(period: float, low: float, high: float, shift: float = 0.0) -> Callable[[int], float]:
    """A wave as a function of the second."""
    return lambda second: wave(second, period, low, high, shift)


_NO_SHAPE = frozenset({"faults", "_sums", "_itself"})
_READINGS: dict[tuple[object, ...], dict[int, dict[str, Number]]] = {}


@dataclass
class Script:
    """One made-up host.

    Attributes:
        cores: processors. `load`: how busy they are on average, 0-1.
        gpus, sensors, pressure: whether it has them.
        faults: faults of every frame.
        interfaces, mounts, disks, processes: how many of each.
        missing: collectors that give nothing.
    """

    host: str = "00112233445566aa"
    name: str = "db-1"
    cores: int = 8
    load: float = 0.3
    gpus: int = 1
    sensors: bool = True
    pressure: bool = True
    interfaces: int = 6
    mounts: int = 4
    disks: int = 2
    processes: int = 60
    faults: tuple[Fault, ...] = ()
    missing: frozenset[str] = frozenset()
    start: int = START
    _sums: dict[str, list[float]] = field(default_factory=dict)
    _itself: object = field(default_factory=object)

    @property
    def info(self) -> HostInfo:
        """Who it is."""
        return HostInfo(
            id=self.host, hostname=self.name, os="Debian 12", kernel="6.1.0-28", arch="x86_64", cpus=self.cores,
            cpu_model="AMD EPYC 7543 32-Core Processor", memory=16 * GIB, timezone="UTC", version="0.1.0",
        )  # fmt: skip

    def _sum(self, key: str, second: int, per_second: Callable[[int], float]) -> float:
        """A counter: the sum of a rate over all seconds so far."""
        sums = self._sums.setdefault(key, [0.0])
        while len(sums) <= second:
            sums.append(sums[-1] + max(0.0, per_second(len(sums))))
        return sums[second]

    def busy(self, second: int, core: int | None = None) -> float:
        """The share of a core, or of all, in use."""
        if core is None:
            return sum(self.busy(second, each) for each in range(self.cores)) / self.cores
        return min(1.0, max(0.0, self.load * wave(second, 7 + core % 5, 0.1, 2.0, core * 1.3)))

    @property
    def shape(self) -> tuple[object, ...]:
        """What its values follow from: scripts of one shape say the same at the same second."""
        if type(self) is not Script:
            return (self._itself,)
        return tuple(getattr(self, each.name) for each in fields(self) if each.name not in _NO_SHAPE)

    def readings(self, second: int) -> dict[str, Number]:
        """Raw values at a second, worked out once for all scripts of this shape."""
        known = _READINGS.setdefault(self.shape, {})
        if second not in known:
            known[second] = self._readings(second)
        return dict(known[second])

    def _readings(self, second: int) -> dict[str, Number]:
        values: dict[str, Number] = {}
        parts = {"user": 0.6, "system": 0.25, "iowait": 0.05, "softirq": 0.05, "steal": 0.03, "nice": 0.02}
        total = self._sum("cpu", second, lambda at: self.busy(at) * self.cores)
        for name, share in parts.items():
            values[f"cpu.time.{name}"] = round(total * share, 2)
        values["cpu.time.idle"] = round(second * self.cores - total * 0.95, 2)
        values["cpu.time.irq"] = 0.0
        for core in range(self.cores):
            used = self._sum(f"core{core}", second, partial(self.busy, core=core))
            values[f"cpu.time.busy:{core}"] = round(used, 2)
            values[f"cpu.time.idle:{core}"] = round(second - used, 2)
            values[f"cpu.frequency:{core}"] = round(wave(second, 9, 1.8e9, 3.6e9, core) / 1e6) * 1_000_000
        values["cpu.cores"] = self.cores
        values["cpu.context_switches"] = int(self._sum("ctx", second, lambda at: wave(at, 6, 1200, 5400)))
        values["cpu.interrupts"] = int(self._sum("intr", second, lambda at: wave(at, 5, 800, 3000)))
        values["processes.created"] = second // 2
        for name, period in (("1", 20), ("5", 90), ("15", 300)):
            values[f"load.{name}"] = round(self.load * self.cores * wave(second, period, 0.7, 1.4), 2)
        values["processes.count"] = self.processes + 44
        values["processes.threads"] = 812
        values["uptime"] = _BOOT_SECONDS + second
        values |= self._memory(second) | self._pressure(second) | self._devices(second) | self._extras(second)
        values["sysmon.cpu.time"] = round(second * 0.012, 3)
        values["sysmon.memory"] = 41 << 20
        values["sysmon.memory.pss"] = 33 << 20
        known = catalogue()
        return {key: value for key, value in values.items() if _collector(known, key) not in self.missing}

    def _memory(self, second: int) -> dict[str, Number]:
        available = int(wave(second, 60, 0.45, 0.62) * 16 * GIB)
        return {
            "memory.total": 16 * GIB, "memory.available": available, "memory.used": 16 * GIB - available,
            "memory.free": int(1.2 * GIB), "memory.cached": available - int(1.4 * GIB),
            "memory.buffers": 210 << 20, "memory.shared": 340 << 20, "memory.slab.reclaimable": 420 << 20,
            "memory.slab": 600 << 20, "memory.dirty": int(wave(second, 4, 1, 30)) << 20, "memory.writeback": 0,
            "memory.arc": GIB, "memory.hugepages.total": 2 * GIB, "memory.hugepages.free": GIB,
            "memory.oom_kills": 0, "memory.committed": 9 * GIB,
            "swap.total": 4 * GIB, "swap.free": 3 * GIB, "swap.used": GIB,
            "swap.in": int(self._sum("swapin", second, lambda at: wave(at, 11, -4e5, 2e5))), "swap.out": 0,
            "zram.stored": 900 << 20, "zram.compressed": 260 << 20, "zram.used": 280 << 20,
        }  # fmt: skip

    def _pressure(self, second: int) -> dict[str, Number]:
        if not self.pressure:
            return {}
        levels = {
            "cpu.some": 0.12, "cpu.full": 0.0, "memory.some": 0.01, "memory.full": 0.004, "io.some": 0.08,
            "io.full": 0.05,
        }  # fmt: skip
        return {
            f"pressure.{name}.time": round(self._sum(name, second, rate(8, -level / 2, level)), 4)
            for name, level in levels.items()
        }

    def _devices(self, second: int) -> dict[str, Number]:
        values: dict[str, Number] = {}
        for index, name in enumerate(self.disk_names()):
            read = self._sum(f"r{name}", second, rate(5, -2e6, 9e6 / (index + 1), index))
            write = self._sum(f"w{name}", second, rate(7, -1e6, 2.4e7 / (index + 1), index + 2))
            busy = self._sum(f"b{name}", second, rate(6, 0, 0.5 / (index + 1), index))
            values |= {
                f"disk.read:{name}": int(read), f"disk.write:{name}": int(write),
                f"disk.read.operations:{name}": int(read / 16384), f"disk.write.operations:{name}": int(write / 32768),
                f"disk.read.time:{name}": round(read / 16384 * 0.0004, 3),
                f"disk.write.time:{name}": round(write / 32768 * 0.0011, 3),
                f"disk.busy.time:{name}": round(busy, 3), f"disk.queue.time:{name}": round(busy * 1.4, 3),
                f"disk.in_flight:{name}": int(wave(second, 5, 0, 4, index)),
            }  # fmt: skip
        for index, (mount, used, size) in enumerate(self.mount_sizes()):
            values |= {
                f"fs.size:{mount}": size, f"fs.used:{mount}": int(size * used),
                f"fs.available:{mount}": int(size * (1 - used)), f"fs.free:{mount}": int(size * (1 - used)),
                f"fs.inodes.total:{mount}": 1_000_000,
                f"fs.inodes.used:{mount}": 934_000 if index == 2 else 120_000 * (index + 1),
            }  # fmt: skip
        for index, row in enumerate(self.interface_rows()):
            scale = (0.0 if row.kind == "veth" else 3e6) / (index * index + 1)
            got = self._sum(f"rx{index}", second, rate(9, -scale / 4, scale, index))
            sent = self._sum(f"tx{index}", second, rate(6, -scale / 8, scale / 3, index))
            values |= {
                f"net.receive:{row.name}": int(got), f"net.transmit:{row.name}": int(sent),
                f"net.receive.packets:{row.name}": int(got / 900), f"net.transmit.packets:{row.name}": int(sent / 700),
                f"net.receive.errors:{row.name}": second // 3 if index == 2 else 0,
                f"net.transmit.errors:{row.name}": 0,
                f"net.receive.drops:{row.name}": 0, f"net.transmit.drops:{row.name}": 0,
            }  # fmt: skip
        return values

    def _extras(self, second: int) -> dict[str, Number]:
        values: dict[str, Number] = {}
        if self.sensors:
            for index, label in enumerate(("k10temp/Tctl", "nvme0/Composite", "acpitz/temp1")):
                values[f"temperature:{label}"] = round(wave(second, 30, 38 + 4 * index, 62 + 3 * index, index), 1)
                values[f"temperature.critical:{label}"] = 95
            values["fan.speed:nct6775/fan1"] = int(wave(second, 25, 700, 1400))
            values["battery.charge:BAT0"] = round(0.83 - second * 1e-5, 4)
            values["battery.power:BAT0"] = 11.4
        for index in range(self.gpus):
            values |= {
                f"gpu.utilization:{index}": round(wave(second, 12, 0.2, 0.95, index), 2),
                f"gpu.memory.used:{index}": int(wave(second, 40, 4, 11, index) * GIB),
                f"gpu.memory.total:{index}": 24 * GIB, f"gpu.temperature:{index}": 61.0,
                f"gpu.power:{index}": round(wave(second, 12, 80, 260, index), 1), f"gpu.power.limit:{index}": 350.0,
                f"gpu.clock.graphics:{index}": 1_980_000_000, f"gpu.fan:{index}": 0.45,
            }  # fmt: skip
        return values

    def disk_names(self) -> list[str]:
        """Its disks."""
        return ["nvme0n1", "sda", "sdb", "sdc", "sdd", "sde"][: self.disks]

    def mount_sizes(self) -> list[tuple[str, float, int]]:
        """(mount, share used, size) of its filesystems."""
        return [
            ("/", 0.42, 100 * GIB), ("/home", 0.71, 500 * GIB), ("/srv", 0.97, 2000 * GIB),
            ("/var/lib/postgresql", 0.86, 800 * GIB), ("/boot", 0.21, GIB // 2), ("/mnt/backup", 0.55, 8000 * GIB),
        ][: self.mounts]  # fmt: skip

    def interface_rows(self) -> list[InterfaceRow]:
        """Its network interfaces."""
        rows = [
            InterfaceRow(name="eth0", kind="ethernet", up=True, default_route=True, speed=125_000_000, mtu=1500,
                         address="52:54:00:12:34:56", addresses=["192.0.2.10/24"]),
            InterfaceRow(name="wg0", kind="wireguard", up=True, mtu=1420, addresses=["10.8.0.1/24"]),
            InterfaceRow(name="eth1", kind="ethernet", up=True, speed=125_000_000, mtu=1500),
            InterfaceRow(name="docker0", kind="bridge", up=True, mtu=1500),
            InterfaceRow(name="veth3fa21c", kind="veth", up=True, mtu=1500, master="docker0"),
            InterfaceRow(name="lo", kind="loopback", up=True, mtu=65536),
        ]  # fmt: skip
        return rows[: self.interfaces]

    def tables(self, second: int) -> Tables:
        """Its tables."""
        return Tables(
            processes=self.process_rows(second),
            filesystems=[
                FilesystemRow(mount=mount, device=f"/dev/sda{index}", type="ext4")
                for index, (mount, _, _) in enumerate(self.mount_sizes(), 1)
            ],
            interfaces=self.interface_rows(),
            disks=[
                DiskRow(name=name, device=name, kind="disk", model="Samsung SSD 980", size=1 << 40)
                for name in self.disk_names()
            ],
            gpus=[GpuRow(name=str(index), model="NVIDIA RTX A5000", driver="555.42") for index in range(self.gpus)],
        )

    def process_rows(self, second: int) -> list[ProcessRow]:
        """Its processes, with counters."""
        names = (
            ("postgres", "postgres: writer process", "postgres"), ("nginx", "nginx: worker process", "www-data"),
            ("python3", "/usr/bin/python3 -m worker --queue 日本語", "mira"), ("systemd", "/sbin/init", "root"),
            ("node", "node /srv/app/server.js --port 8080", "app"), ("kworker/0:1", "", "root"),
        )  # fmt: skip
        rows = []
        for index in range(self.processes):
            name, command, user = names[index % len(names)]
            share = 1.8 / (index + 1) ** 1.6
            rows.append(
                ProcessRow(
                    pid=1 + index * 37, ppid=0 if index == 0 else 1 + (index // 4) * 37, started=10.0 + index,
                    user=user, name=name, command=command, state="R" if share > 0.5 else "S", threads=1 + index % 9,
                    cpu_time=round(self._sum(f"p{index}", second, rate(6, 0, share, index)), 3),
                    memory=int(3.1 * GIB / (index + 1)), virtual=int(9 * GIB / (index + 1)), nice=0,
                    kernel=not command, read_bytes=second * 1000 * index, written_bytes=second * 3000,
                    unit="postgresql.service" if name == "postgres" else "",
                )
            )  # fmt: skip
        return rows

    def frame(self, second: int, *, tables: bool = True) -> Frame:
        """What it knows about itself at a second."""
        monotonic = (_BOOT_SECONDS + second) * 1_000_000_000
        names = {metric.collector for metric in catalogue()} - self.missing
        rows = self.tables(second) if tables else Tables()
        return Frame(
            host=self.host, boot="b" * 32, run="r" * 16, seq=second + 1, time=(self.start + second) * 1000,
            monotonic=monotonic, readings=self.readings(second), reads=dict.fromkeys(names, monotonic),
            full=second % 60 == 0, intervals=dict.fromkeys(names, 1.0), tables=rows, faults=list(self.faults),
            cost={"runner": 0.002},
        )  # fmt: skip


def _collector(known: Catalogue, key: str) -> str:
    metric = known.of_key(key)
    return metric.collector if metric is not None else ""


def view(script: Script | None = None, seconds: int = 120, **changes: object) -> View:
    """What a screen would be shown after so many seconds of a host.

    Args:
        script: the host.
        seconds: frames taken.
        changes: attributes of the view to replace, such as `alerts`.
    """
    made = script or Script()
    model = HostModel(made.info, catalogue())
    for second in range(seconds):
        model.take_frame(made.frame(second, tables=second >= seconds - 2))
    result = model.view()
    for name, value in changes.items():
        setattr(result, name, value)
    return result
