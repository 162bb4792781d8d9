"""What bytes are counted for: interfaces of hosts and devices behind routers, as commands and `/v1/devices` tell them.

The present comes from a host's state, the past from its history; `sysmon.ledger` puts them together.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

import msgspec

from sysmon.bandwidth import METRICS, Kind
from sysmon.frame import DeviceRow, ServiceRow, split_key
from sysmon.interfaces import counted
from sysmon.records import KnownDevice

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from sysmon.bandwidth import Amount
    from sysmon.derive import State
    from sysmon.frame import InterfaceRow, Number

KINDS: Final[tuple[Kind, ...]] = ("interface", "device")
"""Kinds of what bytes are counted for."""
COLLECTOR: Final = "devices"
"""What reads the devices of a router."""
HEARD: Final = ("live", "late", "replay")
"""How hosts are of which the present is known."""
_WAYS: Final = ("receive", "transmit")
_NONE: Final = (None, None)
_OVER: Final = re.compile(
    r"lo\d*|(veth|docker|br-|virbr|vnet|vmbr|tap|tun|wg|cali|flannel|cni|ifb|dummy|bond|team|br)\S*|.*[.:@].*"
)
"""Names that systems give to what lies on other interfaces."""


class Rates(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """Bytes per second now; absent where that is not known."""

    receive: float | None = None
    transmit: float | None = None


class Bytes(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """Exact bytes. `at_least`: a reset lies in them; `estimated`: part is spread over a gap. `start`: Unix ms."""

    receive: int | None = None
    transmit: int | None = None
    start: int | None = None
    at_least: bool = False
    estimated: bool = False

    @property
    def total(self) -> int | None:
        """Both ways together; None where neither is known."""
        if self.receive is None and self.transmit is None:
            return None
        return (self.receive or 0) + (self.transmit or 0)

    @property
    def mark(self) -> str:
        """How certain it is: '≥', '~' or ''."""
        return "≥" if self.at_least else "~" if self.estimated else ""


class Link(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """The link beneath. `speed`: bytes per second each way, absent where the kernel tells none. `signal`: dBm."""

    kind: str = "other"
    up: bool = False
    speed: int | None = None
    mtu: int = 0
    address: str = ""
    addresses: list[str] = []
    master: str = ""
    default_route: bool = False
    state: str = ""
    network: str = ""
    signal: float | None = None
    lower: list[str] = []
    physical: bool = False


class Device(msgspec.Struct, frozen=True, gc=False, omit_defaults=True, kw_only=True):
    """One interface of a host, or one device behind a router.

    Attributes:
        kind: interface or device. `host`: id, of the router where it is a device.
        name: of an interface, or the key of a device: its MAC, or an address.
        label: what it is called; of an interface its name.
        rates: bytes per second now. `total`: as it is counted where it is read: of an interface since boot, of a device
            since its source began (nlbwmon's period).
        range, today, month, recorded: from the history, absent where none is kept or it does not know them; days are
            those of the host's time zone. `range`: what was asked for. `recorded`: all that is known.
        share: part (0..1) of all that counts on its host, in the range, or in the month where no range is asked for.
        counted: of an interface, whether it adds up to the host's traffic; the bytes of others go through one that
            does, or never leave the host. Of one that is gone it is taken from its name.
        errors, drops: since boot, both ways together. `link`: of an interface.
        alias, mac, addresses, vendor, category, source, layer, online, network, signal: of a device, as in
            `sysmon.frame.DeviceRow`; an alias and a category of a user go before.
        connections: of a device, now. `first`, `last`: when it was first and last seen, Unix ms.
        services: what it did by service, the largest first; only where one device is asked for.
    """

    kind: Kind
    host: str
    name: str
    label: str = ""
    rates: Rates = Rates()
    total: Bytes = Bytes()
    range: Bytes | None = None
    today: Bytes | None = None
    month: Bytes | None = None
    recorded: Bytes | None = None
    share: float | None = None
    counted: bool | None = None
    errors: int | None = None
    drops: int | None = None
    link: Link | None = None
    alias: str = ""
    mac: str = ""
    addresses: list[str] = []
    vendor: str = ""
    category: str = ""
    source: str = ""
    layer: str = ""
    online: bool | None = None
    network: str = ""
    signal: float | None = None
    connections: int | None = None
    first: int | None = None
    last: int | None = None
    services: list[ServiceRow] = []


class DeviceAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """`time`: Unix milliseconds. `total`: how many there are, of which `devices` may be a part. `problems`: why some
    totals are absent, one sentence per host.
    """

    time: int
    total: int = 0
    devices: list[Device]
    problems: list[str]


def present(host: str, state: State, kinds: Iterable[Kind] = KINDS) -> list[Device]:
    """Returns what is known now of the interfaces of a host and of the devices behind it, by name.

    It takes a while where a router has thousands: beside a loop it belongs into a thread, on a copy of the state.
    """
    found: list[Device] = []
    readings = state.readings
    for kind in kinds:
        rates = state.some(frozenset(f"{metric}_rate" for metric in METRICS[kind]))
        raw: dict[str, tuple[int | None, int | None]] = {}
        for key, value in readings.items():
            metric, name = split_key(key)
            if metric in METRICS[kind] and name:
                receive, transmit = raw.get(name, _NONE)
                raw[name] = (int(value), transmit) if metric == METRICS[kind][0] else (receive, int(value))
        if kind == "interface":
            found += _interfaces(host, state, raw, rates)
        else:
            found += _devices(host, state, raw, rates, readings)
    return found


def _interfaces(
    host: str, state: State, raw: Mapping[str, tuple[int | None, int | None]], rates: Mapping[str, float]
) -> list[Device]:
    rows = {row.name: row for row in state.tables.interfaces or ()}
    adds = set(counted(rows.values()))
    return [
        Device(
            kind="interface",
            host=host,
            name=name,
            label=name,
            rates=Rates(rates.get(f"net.receive_rate:{name}"), rates.get(f"net.transmit_rate:{name}")),
            total=Bytes(*raw[name]),
            counted=name in adds if name in rows else None,
            errors=_sum(state, name, "errors"),
            drops=_sum(state, name, "drops"),
            link=None if name not in rows else _link(rows[name], state),
        )
        for name in sorted(raw)
    ]


def _link(row: InterfaceRow, state: State) -> Link:
    return Link(
        kind=row.kind,
        up=row.up,
        speed=row.speed,
        mtu=row.mtu,
        address=row.address,
        addresses=row.addresses,
        master=row.master,
        default_route=row.default_route,
        state=row.state,
        network=row.network,
        signal=state.get(f"net.wireless.signal:{row.name}"),
        lower=row.lower,
        physical=row.physical,
    )


def _sum(state: State, name: str, what: str) -> int | None:
    found = [value for way in _WAYS if (value := state.get(f"net.{way}.{what}:{name}")) is not None]
    return int(sum(found)) if found else None


def _devices(
    host: str,
    state: State,
    raw: Mapping[str, tuple[int | None, int | None]],
    rates: Mapping[str, float],
    readings: Mapping[str, Number],
) -> list[Device]:
    rows = {row.key: row for row in state.tables.devices or ()}
    found = []
    looked = _looked(state)
    for name in sorted({*raw, *rows}):
        row = rows.get(name) or DeviceRow(key=name)
        connections = readings.get(f"device.connections:{name}")
        made = of_row(host, row, online=row.online if name in rows else None)
        found.append(
            msgspec.structs.replace(
                made,
                rates=Rates(rates.get(f"device.receive_rate:{name}"), rates.get(f"device.transmit_rate:{name}")),
                total=Bytes(*raw.get(name, _NONE)),
                connections=None if connections is None else int(connections),
                last=looked if made.online else None,
            )
        )
    return found


def _looked(state: State) -> int | None:
    """Returns when a router's devices were looked at last, Unix milliseconds."""
    read, frame = state.reads.get(COLLECTOR), state.frame
    return None if read is None or frame is None else frame.time - max(0, frame.monotonic - read) // 1_000_000


def away(device: Device) -> Device:
    """Returns one of a host that is not heard of now: what it did at the last look is not what it does."""
    return msgspec.structs.replace(device, rates=Rates(), online=None, connections=None)


def of_row(host: str, row: DeviceRow, *, online: bool | None = None) -> Device:
    """Returns a device as its row tells it."""
    return Device(
        kind="device",
        host=host,
        name=row.key,
        label=KnownDevice(host=host, key=row.key, row=row, first=0, last=0).label,
        mac=row.mac,
        addresses=row.addresses,
        vendor=row.vendor,
        category=row.category,
        source=row.source,
        layer=row.layer,
        online=online,
        network=row.network,
        signal=row.signal,
        services=row.services,
    )


def told(known: KnownDevice, now: Device | None) -> Device:
    """Returns a device as the history knows it, with what is known of it now."""
    now = now or of_row(known.host, known.row)
    row = known.row
    return msgspec.structs.replace(
        now,
        label=known.alias or (known.label if now.label in ("", now.name) else now.label),
        alias=known.alias,
        category=known.category or now.category or row.category,
        mac=now.mac or row.mac,
        addresses=now.addresses or row.addresses,
        vendor=now.vendor or row.vendor,
        source=now.source or row.source,
        layer=now.layer or row.layer,
        network=now.network or row.network,
        services=now.services or row.services,
        first=known.first,
        # It is kept every few minutes alone.
        last=max(known.last, now.last or 0),
    )


def bytes_of(amount: Amount | None, start: int | None = None) -> Bytes | None:
    """Returns an amount in the form of answers."""
    if amount is None:
        return None
    return Bytes(amount.receive, amount.transmit, start, amount.at_least, amount.estimated)


def adding(interfaces: Iterable[tuple[str, bool | None]]) -> list[str]:
    """Returns the interfaces that add up to a host's traffic, of (name, whether it is known to).

    Of those that are gone no more than the name is known: names that systems give to what lies on others do not count.
    """
    held = list(interfaces)
    likely = [name for name, counts in held if counts or (counts is None and not _OVER.fullmatch(name))]
    if not likely and all(counts is None for _, counts in held):
        return [name for name, _ in held if not name.startswith("lo")]
    return likely
