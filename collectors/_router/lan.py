"""MAC and IP addresses as routers write them, in one form, and which of them are devices of a LAN."""

from __future__ import annotations

import re
import socket
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_interface, ip_network
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

Network = IPv4Network | IPv6Network

_MAC = re.compile(r"(?:[0-9a-f]{1,2}-)?([0-9a-f]{2}(?:[:-][0-9a-f]{2}){5})", re.ASCII)
_PRIVATE = tuple(
    ip_network(each) for each in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "fc00::/7")
)
_LINK_LOCAL = (b"\xfe\x80", b"\xa9\xfe")
_CACHED = 50_000


def mac_of(text: str) -> str:
    """Returns a MAC in lower case with colons; '' where it is none, zero, or a group's.

    dnsmasq puts the number of a hardware type other than Ethernet before it (`06-aa:bb:…`).
    """
    found = _MAC.fullmatch(text.strip().lower())
    if found is None:
        return ""
    mac = found[1].replace("-", ":")
    return "" if int(mac[1], 16) & 1 or mac == "00:00:00:00:00:00" else mac


def made_up(mac: str) -> bool:
    """Whether a MAC is locally administered: no vendor gave it, phones draw one for each network."""
    return len(mac) == 17 and bool(int(mac[1], 16) & 2)


def address_of(text: str) -> str:
    """Returns an IP address in its shortest form, without prefix length and zone; '' where it is none."""
    bare = text.partition("/")[0].partition("%")[0]
    family = socket.AF_INET6 if ":" in bare else socket.AF_INET
    try:
        return socket.inet_ntop(family, socket.inet_pton(family, bare))
    except (OSError, ValueError):  # no address; surrogates or a NUL in it
        return ""


def packed(address: str) -> bytes:
    """Returns the bytes of an address that `address_of` gave."""
    return socket.inet_pton(socket.AF_INET6 if ":" in address else socket.AF_INET, address)


def order(address: str) -> tuple[int, bytes]:
    """Sorts addresses: IPv4, then IPv6, those of the link alone last."""
    raw = packed(address)
    return (2 if raw[:2] in _LINK_LOCAL else len(raw) // 16, raw)


def single(address: str) -> bool:
    """Whether an address can be one device's: no group, no broadcast, no loopback, not the unspecified one."""
    raw = packed(address)
    if len(raw) == 4:
        return 0 < raw[0] < 224 and raw[0] != 127
    return raw[0] != 0xFF and raw[:15] != bytes(15)


def network_of(text: str) -> Network | None:
    """Returns the network of `address/length`; None where it is none."""
    try:
        return ip_interface(text).network
    except ValueError:
        return None


class Lan:
    """What lies behind a router.

    Args:
        networks: those it has on interfaces that do not lead to the default route; private ones where none is known.
        own: its own addresses.
        macs: its own MACs.
        outer: names of the interfaces that lead to the default route.
    """

    def __init__(
        self,
        networks: Iterable[Network] = (),
        own: Iterable[str] = (),
        macs: Iterable[str] = (),
        outer: Iterable[str] = (),
    ) -> None:
        self.networks = tuple(networks)
        self.own = frozenset(own)
        self.macs = frozenset(macs)
        self.outer = frozenset(outer)
        taken = self.networks or _PRIVATE
        self._ranges = [
            (each.version, int(each.network_address), int(each.netmask), each.prefixlen, int(each.broadcast_address))
            for each in taken
        ]
        self._known: dict[str, bool] = {}
        self._beside: dict[str, bool] = {}

    def holds(self, address: str) -> bool:
        """Whether an address (as of `address_of`) is a device's of this LAN: not the router's own, nobody else's."""
        known = self._known.get(address)
        if known is None:
            if len(self._known) >= _CACHED:
                self._known.clear()
            known = self._known[address] = self._holds(address)
        return known

    def near(self, address: str) -> bool:
        """Whether traffic with an address stays in the house: a device's, the router's own, a group's."""
        known = self._beside.get(address)
        if known is None:
            if len(self._beside) >= _CACHED:
                self._beside.clear()
            known = self._beside[address] = address in self.own or not single(address) or self.holds(address)
        return known

    def routed(self, address: str) -> bool:
        """Whether an address may be a device's behind another router of the house (a VPN's, say)."""
        return self.holds(address) or (
            address not in self.own
            and single(address)
            and any(each.version == (6 if ":" in address else 4) and ip_address(address) in each for each in _PRIVATE)
        )

    def _holds(self, address: str) -> bool:
        if address in self.own or not single(address):
            return False
        raw = packed(address)
        if raw[:2] == _LINK_LOCAL[0] and len(raw) == 16:
            return True
        version, number = (4 if len(raw) == 4 else 6), int.from_bytes(raw)
        for kind, first, mask, length, last in self._ranges:
            if kind == version and number & mask == first:
                return not (version == 4 and length < 31 and number == last)
        return False
