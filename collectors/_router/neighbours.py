"""Who a router has as a neighbour: `ip neigh` of iproute2 and of busybox, or /proc/net/arp."""

from __future__ import annotations

from typing import NamedTuple

from collectors._router.lan import address_of, mac_of

MAX_NEIGHBOURS = 50_000
"""Neighbours taken at most."""

ABSENT = frozenset({"FAILED", "INCOMPLETE", "NONE"})
"""States in which nobody answered."""


class Neighbour(NamedTuple):
    """One neighbour: address, MAC, the interface it is at, and the kernel's state of it ('' where not told)."""

    address: str
    mac: str
    device: str
    state: str


def parse_neighbours(text: str) -> list[Neighbour]:
    """Parses the neighbours that answered; those that did not, and lines of another form, are left out.

    Source: `ip neigh` (busybox puts `ref N used 0/0/0 probes N` before the state), arp_format_neigh_entry in the
    kernel's net/ipv4/arp.c (flag 0x2: complete).
    """
    found = []
    for line in text.splitlines()[:MAX_NEIGHBOURS]:
        words = line.split()
        if len(words) < 4:
            continue
        address = address_of(words[0])
        if not address:
            continue
        if words[1].startswith("0x"):
            mac, device, state = mac_of(words[3]), words[-1], "" if words[2] not in ("0x0", "0x00") else "INCOMPLETE"
        else:
            named = dict(zip(words[1::2], words[2::2], strict=False))
            device = named.get("dev", "")
            mac = _after(words, "lladdr")
            state = words[-1].upper()
        if mac and state not in ABSENT:
            found.append(Neighbour(address, mac, device, state))
    return found


def _after(words: list[str], name: str) -> str:
    try:
        return mac_of(words[words.index(name) + 1])
    except (ValueError, IndexError):
        return ""
