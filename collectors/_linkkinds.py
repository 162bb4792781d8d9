"""What kind of link the kernel made an interface as (veth, dummy, vxlan ...), by rtnetlink, which needs no rights.

Of many virtual links sysfs does not tell: a veth whose other end is in another namespace looks like any other there.
The numbers are those of the kernel's include/uapi/linux/rtnetlink.h and if_link.h.
"""

from __future__ import annotations

import socket
import struct
from typing import TYPE_CHECKING, Final

from collectors._netlink import NLM_F_REQUEST, attribute, attributes, message, messages

if TYPE_CHECKING:
    from collections.abc import Iterable

AF_NETLINK: Final = getattr(socket, "AF_NETLINK", 16)
NETLINK_ROUTE = 0
RTM_NEWLINK, RTM_GETLINK = 16, 18
IFLA_IFNAME, IFLA_LINKINFO, IFLA_EXT_MASK = 3, 18, 29
IFLA_INFO_KIND = 1
RTEXT_FILTER_SKIP_STATS = 1 << 3

KINDS: Final = {
    "bond": "bond",
    "team": "bond",
    "bridge": "bridge",
    "openvswitch": "bridge",
    "veth": "veth",
    "netkit": "veth",
    "vlan": "vlan",
    "wireguard": "wireguard",
    "dsa": "ethernet",
    **dict.fromkeys(("dummy", "ifb", "ipvlan", "ipvtap", "macsec", "macvlan", "macvtap", "nlmon", "vrf"), "virtual"),
    **dict.fromkeys(
        ("erspan", "geneve", "gre", "gretap", "gtp", "ip6erspan", "ip6gre", "ip6gretap", "ip6tnl", "ipip", "ppp"),
        "tunnel",
    ),
    **dict.fromkeys(("sit", "vti", "vti6", "vxlan", "xfrm"), "tunnel"),
}
"""IFLA_INFO_KIND -> kind of `InterfaceRow`; of others (tun is a tunnel or a tap) sysfs tells."""

_LINK = struct.Struct("=BxHiII")
_MASK = struct.Struct("=I")
_SECONDS = 0.2


def request(index: int, sequence: int) -> bytes:
    """Builds the question for one link, without its counters."""
    mask = attribute(IFLA_EXT_MASK, _MASK.pack(RTEXT_FILTER_SKIP_STATS))
    return message(RTM_GETLINK, NLM_F_REQUEST, sequence, _LINK.pack(socket.AF_UNSPEC, 0, index, 0, 0) + mask)


def parse(answer: bytes) -> tuple[str, str]:
    """Reads an answer: the link's name, and the kind it was made as; '' where it does not tell (hardware has none)."""
    for kind, payload in messages(answer):
        if kind == RTM_NEWLINK:
            held = dict(attributes(payload[_LINK.size :]))
            info = dict(attributes(held.get(IFLA_LINKINFO, b"")))
            return _text(held.get(IFLA_IFNAME, b"")), _text(info.get(IFLA_INFO_KIND, b""))
    return "", ""


def _text(value: bytes) -> str:
    return value.split(b"\0", 1)[0].decode("utf-8", "surrogateescape")


def read(links: Iterable[tuple[str, int]]) -> dict[str, str]:
    """Asks the running kernel for the kinds of links, (name, index) each.

    Returns:
        Name -> kind of `InterfaceRow`, of those of which it follows from how they were made. A link of another name is
        of another namespace, and left out.
    """
    found: dict[str, str] = {}
    try:
        with socket.socket(AF_NETLINK, socket.SOCK_RAW | getattr(socket, "SOCK_CLOEXEC", 0), NETLINK_ROUTE) as handle:
            handle.settimeout(_SECONDS)
            handle.bind((0, 0))
            for sequence, (name, index) in enumerate(links, start=1):
                handle.send(request(index, sequence))
                answered, made = parse(handle.recv(1 << 16))
                if answered == name and made in KINDS:
                    found[name] = KINDS[made]
    except OSError:
        pass
    return found
