"""What counts the bytes of a router's devices, and what each such source cannot tell: for whoever shows them."""

from __future__ import annotations

from typing import Final

LIMITS: Final[dict[str, str]] = {
    "nlbwmon": "bytes of IP packets through the router, in steps of its refresh interval; not what devices send each "
    "other, nor connections older than nlbwmon",
    "conntrack": "bytes of IP packets through the router since monitoring began; what was cut off between two looks is "
    "missing",
    "hostapd": "bytes in the air of Wi-Fi clients alone, also to other devices, since monitoring began",
    "": "names alone: nothing on this router counts bytes per device",
}
"""`DeviceRow.source` -> its limits in a sentence."""

LAYERS: Final[dict[str, str]] = {"nlbwmon": "L3", "conntrack": "L3", "hostapd": "L2", "": ""}
"""`DeviceRow.source` -> the layer whose bytes it counts: L3 with IP headers, L2 with those of the link."""
