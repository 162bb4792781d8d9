"""Filesystems, disks and network interfaces of macOS and FreeBSD, through psutil: as those of Linux, where it goes."""

from __future__ import annotations

import os
import socket

from collectors._networkoptions import OPTIONS, included
from collectors._portable import SOURCE, Portable
from collectors.base import Reading
from sysmon.catalogue import counter, gauge
from sysmon.errors import NoData, Unsupported
from sysmon.frame import FilesystemRow, InterfaceRow, Number, Tables, clean_instance, clean_text, join_key

_REMOTE = frozenset("nfs nfs4 smbfs cifs afpfs webdav sshfs fusefs.sshfs ftp 9p ceph glusterfs".split())


class PortableFilesystems(Portable):
    """Reads mounted filesystems of local disks; those of a network are only listed, as they may never answer."""

    name = "filesystems"
    help = "size and inodes of mounted filesystems"
    interval = 10.0
    blocking = True
    metrics = (
        gauge("fs.size", "bytes", "Size", "statvfs(3)", instance="mount"),
        gauge("fs.used", "bytes", "In use", "statvfs(3)", instance="mount"),
        gauge("fs.free", "bytes", "Free, what is kept for root included", "statvfs(3)", instance="mount"),
        gauge("fs.available", "bytes", "Free for ordinary users", "statvfs(3)", instance="mount"),
        gauge("fs.inodes.total", "", "Inodes in all", "statvfs(3)", instance="mount"),
        gauge("fs.inodes.used", "", "Inodes in use", "statvfs(3)", instance="mount"),
    )

    def read(self) -> Reading:
        """Reads once."""
        reading = Reading()
        rows: list[FilesystemRow] = []
        devices: set[str] = set()
        for part in self.call("disk_partitions", all=False):
            options = part.opts.split(",")
            mount, remote = clean_instance(part.mountpoint), part.fstype.lower() in _REMOTE
            # macOS mounts service volumes of the one disk below /System/Volumes; only the data volume is of interest.
            hidden = part.mountpoint.startswith("/System/Volumes/") and part.mountpoint != "/System/Volumes/Data"
            if hidden or part.device in devices or part.fstype in ("devfs", "autofs", "fdescfs", "procfs"):
                continue
            devices.add(part.device)
            if not remote:
                try:
                    reading.values |= _sizes(mount, os.statvfs(part.mountpoint))
                except OSError as error:
                    reading.faults.append(self.fault(Unsupported(f"{part.mountpoint}: {error.strerror or error}")))
            rows.append(
                FilesystemRow(
                    mount=mount,
                    device=clean_text(part.device, 255),
                    type=clean_text(part.fstype, 64),
                    read_only="ro" in options,
                    remote=remote,
                )
            )
        reading.tables = Tables(filesystems=rows)
        return reading


class PortableDisks(Portable):
    """Reads bytes and operations of disks."""

    name = "disks"
    help = "bytes and operations of disks"
    metrics = (
        counter("disk.read", "bytes", "Bytes read", SOURCE, instance="disk"),
        counter("disk.write", "bytes", "Bytes written", SOURCE, instance="disk"),
        counter("disk.read.operations", "", "Reads completed", SOURCE, instance="disk"),
        counter("disk.write.operations", "", "Writes completed", SOURCE, instance="disk"),
        counter("disk.read.time", "seconds", "Time that reads took", SOURCE, instance="disk"),
        counter("disk.write.time", "seconds", "Time that writes took", SOURCE, instance="disk"),
        counter("disk.busy.time", "seconds", "Time with anything under way", SOURCE, instance="disk"),
    )

    def read(self) -> Reading:
        """Reads once."""
        values: dict[str, Number] = {}
        for name, io in (self.call("disk_io_counters", perdisk=True) or {}).items():
            disk = clean_instance(name)
            values[f"disk.read:{disk}"], values[f"disk.write:{disk}"] = io.read_bytes, io.write_bytes
            values[f"disk.read.operations:{disk}"] = io.read_count
            values[f"disk.write.operations:{disk}"] = io.write_count
            for metric, attribute in (("read", "read_time"), ("write", "write_time"), ("busy", "busy_time")):
                milliseconds = getattr(io, attribute, None)
                if milliseconds is not None:
                    values[f"disk.{metric}.time:{disk}"] = milliseconds / 1000
        if not values:
            raise NoData("the platform tells of no disks")
        return Reading(values)


class PortableNetwork(Portable):
    """Reads counters and addresses of network interfaces."""

    name = "network"
    OPTIONS = OPTIONS
    help = "bytes, packets, errors and drops of network interfaces"
    metrics = (
        counter("net.receive", "bytes", "Bytes received", SOURCE, instance="interface"),
        counter("net.transmit", "bytes", "Bytes sent", SOURCE, instance="interface"),
        counter("net.receive.packets", "", "Packets received", SOURCE, instance="interface"),
        counter("net.transmit.packets", "", "Packets sent", SOURCE, instance="interface"),
        counter("net.receive.errors", "", "Errors when receiving", SOURCE, instance="interface"),
        counter("net.transmit.errors", "", "Errors when sending", SOURCE, instance="interface"),
        counter("net.receive.drops", "", "Packets received and dropped", SOURCE, instance="interface"),
        counter("net.transmit.drops", "", "Packets dropped when sending", SOURCE, instance="interface"),
        gauge("net.link_speed", "bytes/s", "Speed of the link", SOURCE, instance="interface"),
    )
    _FIELDS = (
        ("net.receive", "bytes_recv"),
        ("net.transmit", "bytes_sent"),
        ("net.receive.packets", "packets_recv"),
        ("net.transmit.packets", "packets_sent"),
        ("net.receive.errors", "errin"),
        ("net.transmit.errors", "errout"),
        ("net.receive.drops", "dropin"),
        ("net.transmit.drops", "dropout"),
    )

    def read(self) -> Reading:
        """Reads once."""
        values: dict[str, Number] = {}
        # nowrap would add up counters that fell: rates are derived elsewhere, from what the kernel says.
        wanted = included(self.options)
        for name, io in (self.call("net_io_counters", pernic=True, nowrap=False) or {}).items():
            if not wanted(name):
                continue
            for metric, attribute in self._FIELDS:
                values[join_key(metric, clean_instance(name))] = getattr(io, attribute)
        stats, addresses = self.call("net_if_stats"), self.call("net_if_addrs")
        default = _outgoing_address()
        rows: list[InterfaceRow] = []
        for name in filter(wanted, sorted({*stats, *addresses})):
            stat, interface = stats.get(name), clean_instance(name)
            inet = [
                each.address.partition("%")[0]
                for each in addresses.get(name, ())
                if each.family in (socket.AF_INET, socket.AF_INET6)
            ]
            hardware = [each.address for each in addresses.get(name, ()) if each.family == self.psutil.AF_LINK]
            speed = stat.speed * 125_000 if stat is not None and stat.isup and stat.speed > 0 else None
            if speed is not None:
                values[join_key("net.link_speed", interface)] = speed
            rows.append(
                InterfaceRow(
                    name=interface,
                    kind=interface_kind(name),
                    up=bool(stat is not None and stat.isup),
                    default_route=default is not None and default in inet,
                    speed=speed,
                    mtu=stat.mtu if stat is not None else 0,
                    address=clean_text(hardware[0], 64) if hardware else "",
                    addresses=[clean_text(each, 64) for each in inet],
                )
            )
        return Reading(values, Tables(interfaces=rows))


COLLECTORS = (PortableFilesystems, PortableDisks, PortableNetwork)


def interface_kind(name: str) -> str:
    """Guesses the kind of an interface from its name, as macOS and FreeBSD name them."""
    for beginning, kind in (
        ("lo", "loopback"),
        ("bridge", "bridge"),
        ("lagg", "bond"),
        ("bond", "bond"),
        ("vlan", "vlan"),
        ("wlan", "wifi"),
        ("wg", "wireguard"),
        ("epair", "veth"),
        ("feth", "veth"),
        (("utun", "tun", "tap", "gif", "stf", "ipsec", "gre"), "tunnel"),
        (("awdl", "llw", "anpi", "ap", "vmnet", "pflog", "enc"), "virtual"),
        (("en", "em", "igb", "ix", "re", "bge", "vtnet", "vmx", "eth", "mlxen", "cxl"), "ethernet"),
    ):
        if name.startswith(beginning):
            return kind
    return "other"


def _sizes(mount: str, stat: os.statvfs_result) -> dict[str, Number]:
    values: dict[str, Number] = {}
    if stat.f_blocks > 0:
        values[f"fs.size:{mount}"] = stat.f_blocks * stat.f_frsize
        values[f"fs.used:{mount}"] = (stat.f_blocks - stat.f_bfree) * stat.f_frsize
        values[f"fs.free:{mount}"] = stat.f_bfree * stat.f_frsize
        values[f"fs.available:{mount}"] = max(0, stat.f_bavail) * stat.f_frsize
    if stat.f_files > 0:
        values[f"fs.inodes.total:{mount}"] = stat.f_files
        values[f"fs.inodes.used:{mount}"] = max(0, stat.f_files - stat.f_ffree)
    return values


def _outgoing_address() -> str | None:
    """Returns the address that packets to elsewhere would leave from; nothing is sent."""
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.connect(("192.0.2.1", 9))
            return str(probe.getsockname()[0])
    except OSError:
        return None
