"""The frame: what one host knew about itself at one instant, as raw counters and gauges.

A frame is identified by (host, run, seq). `seq` counts from 1 without holes within a run. A frame is sparse: it carries
what was read at its tick. The first frame of a run and one a minute are *full*: they carry every value still valid,
each with the time of its own read.
"""

from __future__ import annotations

import re
from typing import Final, Literal

import msgspec

MARKS: Final = 6
"""Combining marks that one character may carry: more than any script needs. Of many, a terminal draws a column."""

_HARMFUL: Final = re.compile(
    "[\x00-\x1f\x7f-\x9f\xad\u0600-\u0605\u061c\u06dd\u070f\u0890\u0891\u08e2\u180e\u200b-\u200f\u2028-\u202e"
    "\u2060-\u206f\ud800-\udfff\ue000-\uf8ff\ufeff\ufff0-\ufffb\U000110bd\U000110cd\U00013430-\U0001343f"
    "\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff\U000f0000-\U0010ffff]"
)
"""Controls (Cc), what nobody sees or turns a line (Cf, tags), line separators (Zl, Zp), halves of characters (Cs) and
those that every font draws as it likes (Co)."""
_STACK: Final = re.compile(rf"\A[^\w\x00-\x7f]|[^\w\x00-\x7f]{{{MARKS + 1}}}")
"""Where there may be too many marks: they are no word characters."""

FaultKind = Literal["unsupported", "no_data", "denied", "timeout", "failed"]
Number = int | float


class Fault(msgspec.Struct, frozen=True, omit_defaults=True):
    """Why something that a collector should have read is missing.

    Attributes:
        collector: the collector's name.
        kind: what sort of absence it is.
        message: one sentence: where, what.
        hint: what would mend it, or empty.
    """

    collector: str
    kind: FaultKind
    message: str
    hint: str = ""


class ProcessRow(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """One process; identity is (pid, started).

    Attributes:
        pid, ppid: process ids.
        started: seconds since boot at which it started.
        user: name of its effective user, or the number.
        name: `comm`, at most 15 bytes on Linux.
        command: command line, likely secrets redacted; empty where not read.
        state: one letter as in ps(1).
        cpu_time: user + system seconds since it started (counter).
        memory: resident bytes. `virtual`: address space in bytes.
        threads, nice: as in ps(1).
        read_bytes, written_bytes: bytes from and to storage (counters), None where not permitted.
        container: id or name of its container, `unit`: its systemd unit, both from the cgroup path.
        gpu_memory: bytes on NVIDIA GPUs.
        cpu: derived, cores in use (1.0 = one core busy). `read_rate`, `write_rate`: derived, bytes per second.
    """

    pid: int
    ppid: int = 0
    started: float = 0.0
    user: str = ""
    name: str = ""
    command: str = ""
    state: str = "?"
    cpu_time: float = 0.0
    memory: int = 0
    virtual: int = 0
    threads: int = 0
    nice: int = 0
    kernel: bool = False
    read_bytes: int | None = None
    written_bytes: int | None = None
    container: str = ""
    unit: str = ""
    gpu_memory: int | None = None
    cpu: float | None = None
    read_rate: float | None = None
    write_rate: float | None = None


class FilesystemRow(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """One mounted filesystem; `mount` is the instance of its `fs.*` readings."""

    mount: str
    device: str = ""
    type: str = ""
    read_only: bool = False
    remote: bool = False
    disk: str = ""


class InterfaceRow(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """One network interface; `name` is the instance of its `net.*` readings.

    Attributes:
        kind: ethernet, wifi, loopback, bridge, bond, vlan, veth, tunnel, wireguard, virtual or other.
        speed: bytes per second each way where the kernel tells a true one.
        master: the bridge or bond it belongs to.
        lower: the interfaces it lies on: a VLAN's, a macvlan's, a bond's or a bridge's.
        physical: whether a device of its own is behind it.
        state: `operstate` of the kernel (up, down, dormant, unknown …), '' where it tells none.
        network: of a wireless one that is associated, its name (SSID).
    """

    name: str
    kind: str = "other"
    up: bool = False
    default_route: bool = False
    speed: int | None = None
    mtu: int = 0
    address: str = ""
    addresses: list[str] = []
    master: str = ""
    lower: list[str] = []
    physical: bool = False
    state: str = ""
    network: str = ""


class SessionRow(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """One logged-in user's session. `since`: Unix seconds."""

    user: str
    terminal: str = ""
    origin: str = ""
    since: float | None = None


class DiskRow(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """One block device; `name` is the instance of its `disk.*` readings.

    Attributes:
        name: the kernel's name, or the mapped name of a device-mapper device.
        device: the kernel's name.
        kind: disk, partition, mapped, raid, loop or other. Only those of kind disk add up to the host's I/O: the
            others lie on them.
        model: vendor's name of a disk. `size`: bytes. `rotational`: whether it spins.
        parents: names of the devices it lies on.
    """

    name: str
    device: str = ""
    kind: str = "other"
    model: str = ""
    size: int | None = None
    rotational: bool = False
    removable: bool = False
    parents: list[str] = []


class GpuRow(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """One GPU; `name` (index) is the instance of its `gpu.*` readings.

    `processes`: (pid, bytes of GPU memory) of those that use it, the bytes None where the driver does not tell.
    """

    name: str
    model: str = ""
    uuid: str = ""
    driver: str = ""
    asleep: bool = False
    throttle: list[str] = []
    processes: list[tuple[int, int | None]] = []


class ServiceRow(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a device did by one service (layer 7, or protocol and port): bytes it received and sent, connections."""

    name: str
    received: int = 0
    sent: int = 0
    connections: int | None = None


class DeviceRow(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """One device of a router's LAN; `key` is the instance of its `device.*` readings.

    Attributes:
        key: its MAC in lower case, or an address where the MAC is not known.
        mac: '' where not known. `addresses`: IPv4 first.
        name: what the network calls it, `name_from`: lease, hint, neighbour … or ''.
        vendor: of the MAC, by the registry of the IEEE; '' where unknown or the MAC is made up.
        category: guessed from name, vendor and pattern of use (phone, television, printer …), or ''.
        source: what counts its bytes: nlbwmon, conntrack, hostapd, or '' where nothing does.
        layer: of the bytes: L2, L3 or ''.
        online: whether the router has it as a neighbour, or it moved bytes at the last look.
        network: the wireless network (SSID or interface) it is in, `signal`: dBm there.
        services: the largest first, in the counting period of the source.
    """

    key: str
    mac: str = ""
    addresses: list[str] = []
    name: str = ""
    name_from: str = ""
    vendor: str = ""
    category: str = ""
    source: str = ""
    layer: str = ""
    online: bool = False
    network: str = ""
    signal: float | None = None
    services: list[ServiceRow] = []


class ConnectionRow(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """One socket; identity is `id`, the kernel's cookie.

    Attributes:
        protocol: tcp, udp … `state`: as in ss(8).
        local, remote: addresses; `local_port`, `remote_port`.
        pid, started, name: of the process that holds it; pid None where that may not be known.
        user: owner of the socket. `container`, `unit`: from the process, or from the socket's cgroup.
        received, sent: payload bytes since it began (counters), None where the kernel counts none (UDP).
        retransmitted: of those sent, bytes sent again. `rtt`: seconds, smoothed.
        receive_rate, transmit_rate: derived, bytes per second.
    """

    id: int
    protocol: str = "tcp"
    state: str = ""
    local: str = ""
    local_port: int = 0
    remote: str = ""
    remote_port: int = 0
    pid: int | None = None
    started: float | None = None
    name: str = ""
    user: str = ""
    container: str = ""
    unit: str = ""
    received: int | None = None
    sent: int | None = None
    retransmitted: int | None = None
    rtt: float | None = None
    receive_rate: float | None = None
    transmit_rate: float | None = None


class TalkerRow(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """Who used the network: bytes of TCP payload since it was first looked at, and what cannot be put to anybody.

    Attributes:
        key: identity within its host.
        kind: process; owner (sockets whose process may not be known, by user and cgroup); short (connections that began
            and ended between two looks, by `name`: their port, the remote one where `key` begins with `short:to:`, this
            host's where it begins with `short:at:`); other (bytes of interfaces that no TCP socket accounts for: UDP,
            headers, forwarding), which is never put to anybody.
        connections: of TCP, open now.
        received, sent: counters, from 0 at the first look. `retransmitted`: of those sent.
        receive_rate, transmit_rate: derived, bytes per second.
    """

    key: str
    kind: str
    pid: int | None = None
    started: float | None = None
    name: str = ""
    user: str = ""
    container: str = ""
    unit: str = ""
    connections: int = 0
    received: int = 0
    sent: int = 0
    retransmitted: int = 0
    receive_rate: float | None = None
    transmit_rate: float | None = None


class Tables(msgspec.Struct, omit_defaults=True, kw_only=True):
    """What has rows. None: not read at this tick; an empty list: read, and there are none."""

    processes: list[ProcessRow] | None = None
    filesystems: list[FilesystemRow] | None = None
    interfaces: list[InterfaceRow] | None = None
    sessions: list[SessionRow] | None = None
    gpus: list[GpuRow] | None = None
    disks: list[DiskRow] | None = None
    devices: list[DeviceRow] | None = None
    connections: list[ConnectionRow] | None = None
    talkers: list[TalkerRow] | None = None

    def rows(self) -> int:
        """Returns how many rows all tables have."""
        return sum(len(table) for name in self.__struct_fields__ if (table := getattr(self, name)))

    def merged(self, newer: Tables) -> Tables:
        """Returns these tables with those of `newer` laid over them."""
        values = {
            name: other if (other := getattr(newer, name)) is not None else getattr(self, name)
            for name in self.__struct_fields__
        }
        return Tables(**values)


READ_BY = {"talkers": "connections"}
"""Table -> the collector that fills it, where that is not of the table's own name."""

PRIVATE_TABLES = frozenset({"connections", "talkers"})
"""Tables that say who talks to whom: told only to those who ask for them by name."""

MAX_TALKERS = 500
"""Rows of the table of talkers at most; in one with fewer, whoever is not there has moved nothing so far."""

SMALL_TABLES = frozenset({"filesystems", "interfaces", "sessions", "gpus", "disks"})
"""Tables that are small and change seldom: every screen on a remote host asks for them, beside those it shows."""


class Frame(msgspec.Struct, omit_defaults=True, kw_only=True):
    """What one host knew about itself at one tick.

    Attributes:
        host: stable id of the host, 16 hex digits.
        boot: the kernel's boot id, the lifetime of counters.
        run: 16 hex digits drawn when the producer of these frames started.
        seq: from 1, without holes within a run.
        time: the scheduled tick, Unix milliseconds UTC.
        monotonic: nanoseconds since boot (CLOCK_BOOTTIME) at the tick.
        readings: series key (`metric` or `metric:instance`) -> number.
        reads: collector -> nanoseconds since boot at which the readings given here were asked for.
        full: whether this is a full state.
        intervals: collector -> seconds between its reads; on full frames.
        tables: what has rows.
        faults: of each collector named in `reads` or here, all its present faults.
        cost: collector -> seconds its read took; `runner`: the tick as a whole.
        via: ids of the hubs it came through.
    """

    host: str
    boot: str
    run: str
    seq: int
    time: int
    monotonic: int
    readings: dict[str, Number] = {}
    reads: dict[str, int] = {}
    full: bool = False
    intervals: dict[str, float] = {}
    tables: Tables = msgspec.field(default_factory=Tables)
    faults: list[Fault] = []
    cost: dict[str, float] = {}
    via: list[str] = []

    @property
    def identity(self) -> tuple[str, str, int]:
        """(host, run, seq)."""
        return (self.host, self.run, self.seq)


def split_key(key: str) -> tuple[str, str]:
    """Splits a series key at its first colon into metric and instance ('' for none)."""
    metric, _, instance = key.partition(":")
    return metric, instance


def join_key(metric: str, instance: str = "") -> str:
    """Builds a series key."""
    return f"{metric}:{instance}" if instance else metric


def clean_instance(raw: str | bytes) -> str:
    """Makes a kernel's or a peer's name fit for an instance.

    Invalid UTF-8, control, bidi, private and invisible characters and marks beyond `MARKS` are percent-encoded; the
    result has at most 255 bytes of UTF-8.
    """
    text = raw[:256].decode("utf-8", "surrogateescape") if isinstance(raw, bytes) else raw[:256]
    text = _HARMFUL.sub(lambda found: _percent(found[0]), text)
    if _STACK.search(text):
        text = "".join(_percent(character) if stacked else character for character, stacked in _stacked(text))
    return text if len(text) <= 63 else text.encode()[:255].decode("utf-8", "ignore")


def clean_text(raw: str, limit: int = 4096) -> str:
    """Makes a foreign text fit for the screen: control, ESC, bidi, private and invisible characters and marks beyond
    `MARKS` become U+FFFD; at most `limit` characters.
    """
    text = _HARMFUL.sub("\ufffd", raw[:limit])
    if _STACK.search(text):
        text = "".join("\ufffd" if stacked else character for character, stacked in _stacked(text))
    return text


def _stacked(text: str) -> list[tuple[str, bool]]:
    """Returns each character and whether it is one mark too many; one at the beginning has nothing to stand on."""
    # Here and not above: hardly anybody ever needs its megabyte.
    import unicodedata

    found, marks = [], MARKS
    for character in text:
        mark = unicodedata.category(character)[0] == "M"
        found.append((character, mark and marks >= MARKS))
        marks = marks + 1 if mark else 0
    return found


def _percent(character: str) -> str:
    return "".join(
        f"%{byte:02X}"
        for byte in character.encode(
            "utf-8", "surrogateescape" if 0xDC80 <= ord(character) <= 0xDCFF else "surrogatepass"
        )
    )
