"""Which interfaces add up to a host's traffic, so that nothing counts twice. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sysmon.frame import InterfaceRow

LAID_OVER = frozenset({"bridge", "bond", "vlan", "tunnel", "wireguard", "virtual"})
"""Kinds whose bytes go through another interface as well."""


def apart(kind: str, *, moved: bool, lies_on: bool) -> str:
    """Returns why an interface that does not count is left out of the sum, for people.

    Args:
        kind: of the interface.
        moved: whether anything went through it that is known.
        lies_on: whether it is known to lie on another one, or to be a port of one.
    """
    if kind == "loopback":
        return "loopback"
    if not moved:
        return "nothing went through it"
    if lies_on or kind in LAID_OVER:
        return "its bytes go through another interface too"
    return "it is not the way to the world"


def counted(rows: Iterable[InterfaceRow]) -> list[str]:
    """Returns the names of the interfaces whose sum is the host's traffic.

    Devices of their own (Ethernet, Wi-Fi) carry all that bridges, bonds, VLANs and tunnels on top of them carry, and
    those are left out; so are the ports of a switch on its way to the processor (DSA). Where a host has none, as in a
    container, those that the world is reached by count, else those that lie on no other. Loopback never counts.
    """
    held = [row for row in rows if row.kind != "loopback"]
    own = [row for row in held if not row.lower and (row.physical or row.kind in ("ethernet", "wifi"))]
    if not own:
        ends = [row for row in held if row.kind not in LAID_OVER and not row.lower and not row.master]
        own = [row for row in ends if row.default_route] or ends
    if not own:
        own = [row for row in held if row.default_route] or [row for row in held if not row.lower and not row.master]
    return [row.name for row in own]
