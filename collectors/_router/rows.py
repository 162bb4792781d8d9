"""The rows of a router's devices, put together from what each of its texts tells of them."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

from collectors._router.category import category_of
from collectors._router.lan import address_of, made_up, order
from collectors._router.oui import vendor_of
from sysmon.devicesources import LAYERS
from sysmon.frame import DeviceRow

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from collectors._router.leases import Lease
    from collectors._router.neighbours import Neighbour
    from collectors._router.probe import Probe
    from collectors._router.stations import Station
    from sysmon.frame import ServiceRow

MAX_DEVICES = 2_400
"""Devices told of one router at most: of three counters each, and a reader of a stream takes 8,000 series of a host."""

MAX_ADDRESSES = 16
"""Addresses told of one device at most: phones draw a new one of IPv6 every day."""

MAX_HOLDERS = 50_000
"""Addresses of which it is remembered whose they are."""


class Texts(NamedTuple):
    """What is known of devices beside their bytes: leases with where each is from, neighbours, Wi-Fi clients."""

    leases: list[tuple[str, Lease]]
    neighbours: list[Neighbour]
    stations: list[Station]


class Known:
    """Whose an address is, and what devices are called; remembers addresses after their holders have left."""

    def __init__(self) -> None:
        self.holders: dict[str, str] = {}
        self.names: dict[str, tuple[str, str]] = {}
        self.addresses: dict[str, set[str]] = {}
        self.past: dict[str, set[str]] = {}
        self.listed: set[str] = set()
        self.present: set[str] = set()
        self._stations: dict[str, Station] = {}
        self._categories: dict[str, tuple[tuple[str, str, list[ServiceRow] | None], str]] = {}

    def take(self, texts: Texts, probe: Probe, now: float | None) -> None:
        """Takes what the router tells.

        Args:
            texts: what it tells.
            probe: which interfaces and addresses are its own or lead outside.
            now: Unix seconds by the router's clock; None where that is not known.
        """
        lan = probe.lan
        self.names, self.addresses, self.past = {}, {}, {}
        self.listed, self.present = set(), set()
        for address, mac, device, _ in texts.neighbours:
            if mac not in lan.macs and device not in lan.outer and address not in lan.own:
                self._hold(mac, address)
                self.present.add(mac)
        for origin, lease in texts.leases:
            gone = lease.expires is not None and now is not None and lease.expires < now
            mac = lease.mac or next((self.holders[each] for each in lease.addresses if each in self.holders), "")
            if not mac or mac in lan.macs:
                continue
            if lease.name and mac not in self.names:
                self.names[mac] = lease.name, origin
            if not gone and origin == "lease":
                self.listed.add(mac)
            if not gone and mac:
                for address in lease.addresses:
                    if address not in lan.own:
                        self._hold(mac, address)
        self._stations = {each.mac: each for each in texts.stations if each.mac not in lan.macs}
        self.present |= self._stations.keys()
        self.listed |= self.present

    def saw(self, key: str, address: str) -> None:
        """Notes an address that moved bytes in the counting period; somebody else may have it by now."""
        if address != key and self.holders.setdefault(address, key) == key:
            self.past.setdefault(key, set()).add(address)

    def _hold(self, mac: str, address: str) -> None:
        if len(self.holders) >= MAX_HOLDERS:
            self.holders.clear()
        self.holders[address] = mac
        self.addresses.setdefault(mac, set()).add(address)

    def rows(
        self,
        keys: Iterable[str],
        source: str,
        counted: Collection[str],
        moved: Collection[str],
        services: Mapping[str, list[ServiceRow]],
    ) -> list[DeviceRow]:
        """Returns the rows of some devices, in the order of their keys.

        Args:
            keys: devices.
            source: what counts, `counted`: those whose bytes it counts.
            moved: those that moved bytes at the last look.
            services: by MAC.
        """
        wanted = sorted(keys)
        same = Counter(self.names[key][0].casefold() for key in wanted if key in self.names)
        rows = []
        for key in wanted:
            name, origin = self.names.get(key, ("", ""))
            mac = "" if address_of(key) else key
            vendor = vendor_of(mac)
            served = services.get(mac)
            category = self._category(key, name, vendor, served)
            if name and same[name.casefold()] > 1:
                name = f"{name} ({key[-5:]})"
            station = self._stations.get(key)
            by = source if key in counted else ""
            addresses = (self.addresses.get(key) or self.past.get(key, set())) if mac else {key}
            rows.append(
                DeviceRow(
                    key=key,
                    mac=mac,
                    addresses=sorted(addresses, key=order)[:MAX_ADDRESSES],
                    name=name,
                    name_from=origin if name else "",
                    vendor=vendor,
                    category=category,
                    source=by,
                    layer=LAYERS[by],
                    online=key in self.present or key in moved,
                    network=station.network if station is not None else "",
                    signal=station.signal if station is not None else None,
                    services=served or [],
                )
            )
        self._categories = {key: self._categories[key] for key in wanted}
        return rows

    def _category(self, key: str, name: str, vendor: str, services: list[ServiceRow] | None) -> str:
        told = (name, vendor, services)
        before = self._categories.get(key)
        if before is not None and before[0] == told:
            return before[1]
        made = category_of(name, vendor, services or (), private=made_up(key))
        self._categories[key] = told, made
        return made


def bounded(keys: Collection[str], before: Collection[str], size: Mapping[str, int]) -> set[str]:
    """Returns `MAX_DEVICES` of the devices at most: those that moved most, of those alike those told before.

    So nobody who makes devices up on the LAN takes the place of one that uses the line. Alike are those of which one
    moved less than four times as much as the other, lest they keep changing places.
    """
    if len(keys) <= MAX_DEVICES:
        return set(keys)

    def rank(key: str) -> tuple[int, bool, int, str]:
        moved = size.get(key, 0)
        return -(moved.bit_length() // 2), key not in before, -moved, key

    return set(sorted(keys, key=rank)[:MAX_DEVICES])
