"""What a Netronome agent says, decoded strictly and turned into our readings and tables."""

from __future__ import annotations

import math
import re
from datetime import datetime
from typing import TYPE_CHECKING, Final, TypeVar

import msgspec

from sysmon.catalogue import gauge
from sysmon.errors import MalformedInput
from sysmon.frame import FilesystemRow, InterfaceRow, clean_instance, clean_text
from sysmon.records import HostInfo

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sysmon.frame import Number

T = TypeVar("T")

CPU: Final = gauge(
    "netronome.cpu.utilization",
    "ratio",
    "Share of all processor time in use, as a Netronome agent samples it for one second",
    "its /system/hardware",
    precision=4,
    collector="netronome",
)
"""A share, where our own are made of counters: what their agent tells cannot be made into them."""

MOST: Final = 1000
"""Interfaces, disks and temperatures at most."""
LARGEST: Final = 2**63


class Direction(msgspec.Struct, frozen=True):
    """One way of a live line. Totals count from the start of the agent's vnstat."""

    totalbytes: int = -1
    totalpackets: int = -1


class Live(msgspec.Struct, frozen=True):
    """A live line; the heading that vnstat begins with has an interface and no counts."""

    index: int = 0
    seconds: int = 0
    rx: Direction | None = None
    tx: Direction | None = None
    interface: str = ""


class Interface(msgspec.Struct, frozen=True):
    """One of `/system/info`. `link_speed`: Mbit/s, −1 where virtual, 0 where unknown."""

    ip_address: str = ""
    link_speed: int = 0
    is_up: bool = False


class System(msgspec.Struct, frozen=True):
    """`/system/info`."""

    hostname: str = ""
    kernel: str = ""
    uptime: int | None = None
    interfaces: dict[str, Interface] | None = None
    vnstat_version: str = ""
    updated_at: str = ""


class Cpu(msgspec.Struct, frozen=True):
    """Processors."""

    usage_percent: float | None = None
    cores: int | None = None
    threads: int | None = None
    model: str = ""
    load_avg: list[float] | None = None


class Memory(msgspec.Struct, frozen=True):
    """Memory in bytes."""

    total: int | None = None
    free: int | None = None
    available: int | None = None
    cached: int | None = None
    buffers: int | None = None
    zfs_arc: int | None = None
    swap_total: int | None = None
    swap_used: int | None = None


class Disk(msgspec.Struct, frozen=True):
    """A filesystem; `free` is what ordinary users may still use."""

    path: str = ""
    device: str = ""
    fstype: str = ""
    total: int = 0
    used: int = 0
    free: int = 0


class Temperature(msgspec.Struct, frozen=True):
    """A sensor."""

    sensor_key: str = ""
    temperature: float = 0.0
    label: str = ""
    critical: float = 0.0


class Hardware(msgspec.Struct, frozen=True):
    """`/system/hardware`."""

    cpu: Cpu | None = None
    memory: Memory | None = None
    disks: list[Disk] | None = None
    temperature: list[Temperature] | None = None
    updated_at: str = ""


def decode(data: bytes, kind: type[T], what: str) -> T:
    """Decodes an answer.

    Raises:
        MalformedInput: it is no JSON of that shape; names `what` and the path.
    """
    try:
        return msgspec.json.decode(data, type=kind)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise MalformedInput(f"{what}: {clean_text(str(error), 200)}") from None


def clock_of(text: str) -> int | None:
    """Returns Unix milliseconds of a time as Go writes it, with up to nine decimals, or None."""
    try:
        moment = datetime.fromisoformat(re.sub(r"(\.\d{1,6})\d*", r"\1", text[:64]))
    except ValueError:
        return None
    if moment.tzinfo is None or not 1970 < moment.year < 9999:
        return None
    return round(moment.timestamp() * 1000)


def info_of(system: System | None, hardware: Hardware | None) -> HostInfo:
    """Says who the host is, as far as the agent does."""
    system, hardware = system or System(), hardware or Hardware()
    cpu, memory = hardware.cpu or Cpu(), hardware.memory or Memory()
    name, _, release = system.kernel.partition(" ")
    cpus = cpu.threads or cpu.cores or 0
    return HostInfo(
        id="",
        hostname=clean_text(system.hostname, 255),
        os=clean_text(name, 64),
        kernel=clean_text(release, 255),
        cpu_model=clean_text(cpu.model, 255),
        cpus=cpus if 0 <= cpus < 1 << 20 else 0,
        memory=memory.total or 0,
        version=clean_text(f"Netronome agent, {system.vnstat_version}".rstrip(", "), 80),
    )


def interface_rows(system: System | None) -> list[InterfaceRow] | None:
    """Returns the interfaces, or None where the agent tells of none."""
    if system is None or system.interfaces is None:
        return None
    return [
        InterfaceRow(
            name=clean_instance(name),
            kind="virtual" if each.link_speed < 0 else "ethernet",
            up=each.is_up,
            speed=speed_of(each),
            address=clean_text(each.ip_address, 64),
            addresses=[clean_text(each.ip_address, 64)] if each.ip_address else [],
        )
        for name, each in list(system.interfaces.items())[:MOST]
        if name
    ]


def speed_of(interface: Interface) -> int | None:
    """Returns a link's speed in bytes per second, or None."""
    return interface.link_speed * 125_000 if 0 < interface.link_speed < 10_000_000 else None


def filesystem_rows(hardware: Hardware) -> list[FilesystemRow] | None:
    """Returns the filesystems, or None where the agent tells of none."""
    if hardware.disks is None:
        return None
    return [
        FilesystemRow(
            mount=clean_instance(disk.path), device=clean_text(disk.device, 255), type=clean_text(disk.fstype, 64)
        )
        for disk in hardware.disks[:MOST]
        if disk.path and disk.total > 0
    ]


def hardware_readings(hardware: Hardware) -> dict[str, Number]:
    """Returns what `/system/hardware` tells in our metrics; what cannot be true is left out."""
    cpu, memory = hardware.cpu or Cpu(), hardware.memory or Memory()
    found: dict[str, Number | None] = {"cpu.cores": cpu.threads or cpu.cores}
    if cpu.usage_percent is not None and 0 <= cpu.usage_percent <= 100:
        found[CPU.name] = cpu.usage_percent / 100
    found |= dict(zip(("load.1", "load.5", "load.15"), cpu.load_avg or (), strict=False))
    found |= {
        "memory.total": memory.total,
        "memory.free": memory.free,
        "memory.available": memory.available,
        "memory.cached": memory.cached,
        "memory.buffers": memory.buffers,
        "memory.arc": memory.zfs_arc or None,
        "swap.total": memory.swap_total,
        "swap.used": memory.swap_used,
    }
    if memory.total is not None and memory.available is not None:
        found["memory.used"] = memory.total - memory.available
    if memory.swap_total is not None and memory.swap_used is not None:
        found["swap.free"] = memory.swap_total - memory.swap_used
    for disk in (hardware.disks or ())[:MOST]:
        if disk.path and disk.total > 0:
            mount = clean_instance(disk.path)
            found |= {f"fs.size:{mount}": disk.total, f"fs.used:{mount}": disk.used, f"fs.available:{mount}": disk.free}
    for sensor in (hardware.temperature or ())[:MOST]:
        name = clean_instance("/".join(part for part in (sensor.sensor_key, sensor.label) if part))
        if name and _possible(sensor.temperature):
            found.setdefault(f"temperature:{name}", sensor.temperature)
            if _possible(sensor.critical):
                found.setdefault(f"temperature.critical:{name}", sensor.critical)
    return bounded(found)


def bounded(found: Mapping[str, Number | None]) -> dict[str, Number]:
    """Leaves out what is missing, below 0, or no number that a host can tell."""
    return {
        key: value
        for key, value in found.items()
        if value is not None and math.isfinite(value) and 0 <= value < LARGEST
    }


def _possible(celsius: float) -> bool:
    return 0 < celsius < 200
