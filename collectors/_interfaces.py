"""What a network interface is: kind, state, speed, default route, addresses."""

from __future__ import annotations

import array
import ipaddress
import os
import socket
import struct
from typing import TYPE_CHECKING, NamedTuple

from collectors import _linkkinds
from collectors._sysfs import entries, number, target, text
from collectors._wireless import Link, Wireless, parse_wireless
from collectors.base import read_text
from sysmon.errors import CollectorError, MalformedInput
from sysmon.frame import InterfaceRow, clean_instance

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from collectors.base import Roots

IFF_UP = 0x1
IFF_RUNNING = 0x40
TUN_TAP = 0x2
SIOCGIFCONF = 0x8912
RTF_UP = 0x1
RTF_REJECT = 0x200
MEGABIT = 125_000
"""Bytes per second in one Mbit/s."""

DEVTYPES = {
    "wlan": "wifi",
    "bridge": "bridge",
    "bond": "bond",
    "vlan": "vlan",
    "wireguard": "wireguard",
    "dsa": "ethernet",
    "vxlan": "tunnel",
    "geneve": "tunnel",
    "gre": "tunnel",
    "gretap": "tunnel",
    "ppp": "tunnel",
    "macvlan": "virtual",
    "macvtap": "virtual",
    "ipvlan": "virtual",
    "team": "bond",
}
"""DEVTYPE of the uevent file -> kind."""

HARDWARE = {772: "loopback", 512: "tunnel", 768: "tunnel", 769: "tunnel", 776: "tunnel", 778: "tunnel", 823: "tunnel"}
"""ARPHRD number of the type file (include/uapi/linux/if_arp.h) -> kind."""

SPEED_KINDS = frozenset({"ethernet", "bond"})
"""Kinds whose speed is true; a veth or a bridge claims 10 Gbit/s whatever carries it."""


class Addresses:
    """The addresses of each interface."""

    def __init__(self, roots: Roots) -> None:
        self._net = roots.proc / "net"
        self._live = roots.live

    def read(self) -> dict[str, list[str]]:
        """Returns interface -> addresses, IPv4 first, then IPv6 of global scope, then link-local ones."""
        found: dict[str, list[str]] = {}
        for name, address in self._version_4():
            found.setdefault(name, []).append(address)
        try:
            six = parse_if_inet6(read_text(self._net / "if_inet6"))
        except CollectorError:
            six = []
        for name, address in sorted(six, key=lambda each: ipaddress.IPv6Address(each[1]).is_link_local):
            found.setdefault(name, []).append(address)
        return found

    def _version_4(self) -> list[tuple[str, str]]:
        if self._live:
            return configured()
        try:
            return placed(parse_fib_trie(read_text(self._net / "fib_trie")), read_text(self._net / "route"))
        except CollectorError:
            return []


def configured() -> list[tuple[str, str]]:
    """Asks the running kernel for (interface, IPv4 address) pairs, by the one call SIOCGIFCONF."""
    import fcntl

    entry = struct.calcsize("16s16s" if struct.calcsize("P") == 4 else "16s24s")
    buffer = array.array("B", bytes(entry * 1024))
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as handle:
            request = struct.pack("iP", len(buffer), buffer.buffer_info()[0])
            length = struct.unpack("iP", fcntl.ioctl(handle, SIOCGIFCONF, request))[0]
    except OSError:
        return []
    raw = buffer.tobytes()
    found = []
    for at in range(0, min(length, len(raw)), entry):
        name = raw[at : at + 16].split(b"\0", 1)[0].decode("utf-8", "surrogateescape").partition(":")[0]
        found.append((name, socket.inet_ntoa(raw[at + 20 : at + 24])))
    return found


def parse_if_inet6(content: str) -> list[tuple[str, str]]:
    """Parses /proc/net/if_inet6 into (interface, IPv6 address) pairs; lines of another form are passed over."""
    found = []
    for line in content.splitlines():
        fields = line.split()
        if len(fields) < 6:
            continue
        try:
            found.append((fields[5], str(ipaddress.IPv6Address(bytes.fromhex(fields[0])))))
        except ValueError:
            continue
    return found


def parse_fib_trie(content: str) -> list[str]:
    """Parses /proc/net/fib_trie into the host's own IPv4 addresses (leaves marked `/32 host LOCAL`), each once."""
    found: dict[str, None] = {}
    leaf = ""
    for line in content.splitlines():
        words = line.split()
        if len(words) >= 2 and words[0] == "|--":
            leaf = words[1]
        elif words[:3] == ["/32", "host", "LOCAL"] and leaf:
            found[leaf] = None
    return list(found)


def placed(addresses: Iterable[str], route: str) -> list[tuple[str, str]]:
    """Puts IPv4 addresses to the interfaces whose connected networks in /proc/net/route hold them; 127/8 to lo."""
    networks = []
    for name, destination, gateway, _, _, mask in _routes(route):
        if gateway == 0 and mask:
            networks.append((name, destination, mask))
    found = []
    for address in addresses:
        try:
            number = struct.unpack("=I", socket.inet_aton(address))[0]
        except OSError:
            continue
        if address.startswith("127."):
            found.append(("lo", address))
            continue
        found += [(name, address) for name, destination, mask in networks if number & mask == destination][:1]
    return found


def _routes(content: str) -> list[tuple[str, int, int, int, int, int]]:
    """Lines of /proc/net/route: interface, destination, gateway, flags, metric, mask."""
    found = []
    for line in content.split("\n")[1:]:
        fields = line.split()
        if len(fields) < 8:
            continue
        try:
            row = (int(fields[1], 16), int(fields[2], 16), int(fields[3], 16), int(fields[6]), int(fields[7], 16))
        except ValueError:
            continue
        found.append((fields[0], *row))
    return found


def default_routes(route: str, ipv6_route: str = "") -> set[str]:
    """Finds the interfaces that traffic to the world leaves by, from /proc/net/route and ipv6_route.

    The default route of lowest metric counts, of IPv4, or of IPv6 where IPv4 has none. A pair of half routes (0/1 and
    128/1), as VPNs lay over a default route, goes before it.

    Returns:
        Interface names; several only where routes of one metric leave by several.
    """
    ways: list[tuple[int, str]] = []
    for name, destination, _, flags, metric, mask in _routes(route):
        if not flags & RTF_UP or flags & RTF_REJECT:
            continue
        if destination == 0 and mask == 0:
            ways.append((metric, name))
        elif destination == 0 and mask == struct.unpack("=I", b"\x80\0\0\0")[0]:
            ways.append((-1, name))
    if not ways:
        for line in ipv6_route.split("\n"):
            fields = line.split()
            if len(fields) < 10 or fields[0] != "0" * 32 or fields[1] != "00" or fields[9] == "lo":
                continue
            try:
                metric, flags = int(fields[5], 16), int(fields[8], 16)
            except ValueError:
                continue
            if flags & RTF_UP and not flags & RTF_REJECT:
                ways.append((metric, fields[9]))
    best = min(ways, default=(0, ""))[0]
    return {name for metric, name in ways if metric == best}


class _Kept(NamedTuple):
    """What cannot change of an interface with one index."""

    ifindex: int | None
    kind: str
    physical: bool


class Details:
    """Rows of the table of interfaces; what cannot change of an interface is looked up once per index.

    Attributes:
        signals: wireless interface -> dBm, as of the last look.
        flaps: interface -> how often its carrier came or went, as of the last look.
    """

    def __init__(self, roots: Roots) -> None:
        self.signals: dict[str, float] = {}
        self.flaps: dict[str, int] = {}
        self._live = roots.live
        self._wireless = Wireless()
        self._class = str(roots.sys / "class" / "net")
        self._net = roots.proc / "net"
        self._kinds: dict[str, _Kept] = {}

    def rows(self, indexes: Mapping[str, int | None], addresses: Addresses) -> list[InterfaceRow]:
        """Returns a row for each interface of `indexes` (name -> index), in its order."""
        defaults = self._defaults()
        known = addresses.read()
        self._kinds = {name: kept for name, kept in self._kinds.items() if name in indexes}
        new = [
            (name, index)
            for name, index in indexes.items()
            if (kept := self._kinds.get(name)) is None or kept.ifindex != index or index is None
        ]
        made = _linkkinds.read((name, index) for name, index in new if index is not None) if self._live and new else {}
        for name, index in new:
            folder = f"{self._class}/{name}"
            kind = made.get(name) or kind_of(folder, name)
            self._kinds[name] = _Kept(index, kind, os.path.exists(f"{folder}/device"))
        links = self._links(indexes)
        self.signals = {name: link.signal for name, link in links.items() if link.signal is not None}
        flaps = {name: number(f"{self._class}/{name}/carrier_changes") for name in indexes}
        self.flaps = {name: count for name, count in flaps.items() if count is not None}
        return [
            self._row(name, name in defaults, known.get(name, []), links[name].network if name in links else "")
            for name in indexes
        ]

    def _links(self, indexes: Mapping[str, int | None]) -> dict[str, Link]:
        """Returns the links of wireless interfaces, where there are any."""
        wireless = [name for name, kept in self._kinds.items() if kept.kind == "wifi"]
        if not wireless:
            return {}
        asked = self._wireless.read() if self._live else {}
        found = {name: asked[index] for name in wireless if (index := indexes[name]) is not None and index in asked}
        if not found:
            try:
                found = parse_wireless(read_text(self._net / "wireless"), str(self._net / "wireless"))
            except (CollectorError, MalformedInput):
                found = {}
        return {name: link for name, link in found.items() if name in indexes}

    def _defaults(self) -> set[str]:
        texts = []
        for file, limit in (("route", 1 << 16), ("ipv6_route", 1 << 18)):
            try:
                texts.append(read_text(self._net / file, limit))
            except CollectorError:
                texts.append("")
        return default_routes(*texts)

    def _row(self, name: str, default: bool, addresses: list[str], network: str) -> InterfaceRow:
        folder = f"{self._class}/{name}"
        kept = self._kinds[name]
        kind = kept.kind
        state = text(f"{folder}/operstate")
        speed = number(f"{folder}/speed") if kind in SPEED_KINDS else None
        return InterfaceRow(
            name=clean_instance(name),
            kind=kind,
            up=is_up(state, number(f"{folder}/flags", 16)),
            default_route=default,
            speed=speed * MEGABIT if speed is not None and 0 < speed < 10_000_000 else None,
            mtu=number(f"{folder}/mtu") or 0,
            address=addresses[0] if addresses else "",
            addresses=addresses,
            master=clean_instance(target(f"{folder}/master")),
            lower=[clean_instance(each[6:]) for each in entries(folder) if each.startswith("lower_")],
            physical=kept.physical,
            state=clean_instance(state or ""),
            network=network,
        )


def is_up(operstate: str | None, flags: int | None) -> bool:
    """Says whether an interface can carry traffic: operstate, or its flags where that is 'unknown' (lo, tun)."""
    if operstate in (None, "unknown"):
        return flags is not None and bool(flags & IFF_UP)
    return operstate == "up"


def kind_of(folder: str, name: str = "") -> str:
    """Says what kind of interface a folder of /sys/class/net describes; see `InterfaceRow`."""
    hardware = number(f"{folder}/type")
    if hardware in HARDWARE or (hardware is None and name == "lo"):
        return HARDWARE.get(hardware or 772, "other")
    for line in (text(f"{folder}/uevent") or "").splitlines():
        if line.startswith("DEVTYPE="):
            kind = DEVTYPES.get(line[8:])
            if kind is not None:
                return kind
    for mark, kind in (("phy80211", "wifi"), ("wireless", "wifi"), ("bridge", "bridge"), ("bonding", "bond")):
        if os.path.isdir(f"{folder}/{mark}"):
            return kind
    tun = number(f"{folder}/tun_flags", 16)
    if tun is not None:
        return "virtual" if tun & TUN_TAP else "tunnel"
    if hardware == 65534:
        return "tunnel"
    if os.path.exists(f"{folder}/device"):
        return "ethernet" if hardware == 1 else "other"
    link, index = number(f"{folder}/iflink"), number(f"{folder}/ifindex")
    if hardware == 1 and link is not None and link != index:
        return "veth"
    return "virtual" if hardware == 1 else "other"
