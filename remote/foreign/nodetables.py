"""Tables from a node_exporter's labels: interfaces, filesystems, disks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sysmon.frame import DiskRow, FilesystemRow, InterfaceRow, clean_instance, clean_text

if TYPE_CHECKING:
    from remote.foreign.nodeexporter import Family

SKIPPED_TYPES: Final = frozenset({"squashfs", "erofs", "cramfs", "romfs", "iso9660", "fuse.lxcfs", "overlay"})
"""Types left out except at /: images that are full by nature, and views of something else."""
REMOTE_TYPES: Final = ("nfs", "cifs", "smb", "ceph", "9p", "fuse.sshfs", "afs", "gluster")
"""Beginnings of types whose data is on another machine."""
_KINDS: Final = (
    ("lo", "loopback"),
    ("wl", "wifi"),
    ("br-", "bridge"),
    ("docker", "bridge"),
    ("virbr", "bridge"),
    ("vmbr", "bridge"),
    ("bond", "bond"),
    ("veth", "veth"),
    ("vnet", "veth"),
    ("wg", "wireguard"),
    ("tun", "tunnel"),
    ("tap", "virtual"),
    ("ppp", "tunnel"),
    ("sit", "tunnel"),
    ("gre", "tunnel"),
    ("dummy", "virtual"),
    ("ifb", "virtual"),
    ("macvtap", "virtual"),
    ("macvlan", "virtual"),
    ("br", "bridge"),
)
"""Beginnings of names, and the kinds that bear them; an exporter tells no better."""
_ARPHRD: Final = {772: "loopback", 512: "tunnel", 768: "tunnel", 769: "tunnel", 776: "tunnel", 778: "tunnel"}
_UP = 0x1


def interface_rows(found: Family) -> list[InterfaceRow] | None:
    """Returns the interfaces, or None where the exporter tells of none."""
    if "node_network_receive_bytes_total" not in found and "node_network_up" not in found:
        return None
    states = {each.labels.get("device", ""): each.labels.get("operstate", "") for each in found.of("node_network_info")}
    numbers = {
        name: {each.labels.get("device", ""): each.value for each in found.of(f"node_network_{name}")}
        for name in ("up", "mtu_bytes", "speed_bytes", "protocol_type", "flags")
    }
    devices = dict.fromkeys(
        each.labels.get("device", "")
        for name in ("node_network_receive_bytes_total", "node_network_up")
        for each in found.of(name)
    )
    rows = []
    for device in devices:
        if not device:
            continue
        flags = int(numbers["flags"].get(device, 0))
        up = numbers["up"].get(device) == 1 or (states.get(device) == "unknown" and bool(flags & _UP))
        if "node_network_up" not in found:
            up = True  # what it counts for is there; more is not told
        speed = numbers["speed_bytes"].get(device)
        rows.append(
            InterfaceRow(
                name=clean_instance(device),
                kind=_kind(device, int(numbers["protocol_type"].get(device, 1))),
                up=up,
                speed=int(speed) if speed is not None and 0 < speed < 2**53 else None,
                mtu=int(numbers["mtu_bytes"].get(device, 0)),
            )
        )
    return rows


def _kind(device: str, hardware: int) -> str:
    if hardware in _ARPHRD:
        return _ARPHRD[hardware]
    if "." in device and device.rpartition(".")[2].isdigit():
        return "vlan"
    for beginning, kind in _KINDS:
        if device.startswith(beginning):
            return kind
    if hardware == 65534:
        return "tunnel"
    return "ethernet" if hardware == 1 else "other"


def filesystem_rows(found: Family) -> list[FilesystemRow] | None:
    """Returns the filesystems, one per device, or None where the exporter tells of none.

    Of several mounts of one device that with the shortest path is kept, as `collectors.filesystems` does.
    """
    if "node_filesystem_size_bytes" not in found:
        return None
    locked = {each.labels.get("mountpoint", ""): each.value == 1 for each in found.of("node_filesystem_readonly")}
    best: dict[str, FilesystemRow] = {}
    for sample in found.of("node_filesystem_size_bytes"):
        device, kind, mount = (sample.labels.get(name, "") for name in ("device", "fstype", "mountpoint"))
        if not mount or sample.value <= 0 or (mount != "/" and kind in SKIPPED_TYPES):
            continue
        row = FilesystemRow(
            mount=clean_instance(mount),
            device=clean_text(device, 255),
            type=clean_text(kind, 64),
            read_only=locked.get(mount, False),
            remote=kind.startswith(REMOTE_TYPES),
        )
        # Those that live in memory bear the name of no device.
        identity = device if device.startswith("/dev/") or row.remote else f"{device} {mount}"
        kept = best.get(identity)
        if kept is None or len(row.mount) < len(kept.mount):
            best[identity] = row
    return list(best.values())


def disk_rows(found: Family) -> list[DiskRow] | None:
    """Returns the disks, or None where the exporter tells of none."""
    if "node_disk_reads_completed_total" not in found:
        return None
    models = {each.labels.get("device", ""): each.labels.get("model", "") for each in found.of("node_disk_info")}
    mapped = {
        each.labels.get("device", ""): each.labels.get("name", "") for each in found.of("node_disk_device_mapper_info")
    }
    rows = []
    for sample in found.of("node_disk_reads_completed_total"):
        device = sample.labels.get("device", "")
        base = device.rstrip("0123456789")
        if not device or base in ("loop", "ram", "zram", "fd", "sr"):
            continue
        kind = "mapped" if device.startswith("dm-") else "raid" if base == "md" else "disk"
        rows.append(
            DiskRow(
                name=clean_instance(mapped.get(device, "") or device),
                device=clean_instance(device),
                kind=kind,
                model=clean_text(models.get(device, ""), 80),
            )
        )
    return rows
