"""The devices of a router as rows: what the history knows of them under what the router says now. No Textual here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from sysmon.bandwidth import Amount, share, total, used
from sysmon.frame import DeviceRow
from sysmon.records import KnownDevice
from tui.ordering import by_value
from tui.window import WINDOW

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tui.model import View

RATES: Final = ("device.receive_rate", "device.transmit_rate")
COUNTERS: Final = ("device.receive", "device.transmit")


@dataclass(frozen=True, slots=True)
class Device:
    """One device at one moment.

    Attributes:
        key: instance of its readings. `row`: who it is, as last seen by then.
        label: what it is called; `category`: given, else guessed; `given`: whether a user gave the name.
        online: None where the moment does not tell it: of the past it is known only of those that moved bytes then, and
            of a router that is away of nobody.
        receive, transmit: bytes per second, received being its download; None where not (yet) known.
        counted: whether anything counts its bytes.
        amount: what it moved in the range shown; None where not known. `share`: of all devices.
        first, last: Unix milliseconds; `last` None where it would tell of a time after the moment.
    """

    key: str
    row: DeviceRow
    label: str
    category: str = ""
    alias: str = ""
    given_category: str = ""
    online: bool | None = None
    receive: float | None = None
    transmit: float | None = None
    connections: float | None = None
    counted: bool = True
    amount: Amount | None = None
    share: float | None = None
    first: int | None = None
    last: int | None = None
    signal: float | None = None

    @property
    def rate(self) -> float | None:
        """Both ways together."""
        if self.receive is None and self.transmit is None:
            return None
        return (self.receive or 0.0) + (self.transmit or 0.0)

    @property
    def address(self) -> str:
        """Its first address."""
        return self.row.addresses[0] if self.row.addresses else ""


def build(
    view: View, known: Sequence[KnownDevice] | None, amounts: Mapping[str, Amount] | None
) -> list[Device]:  # fmt: skip
    """Returns the devices of a moment in the screen's own order: what moved most in the range, then now, then by name.

    Args:
        view: the moment; live it may tell of devices that no history knows yet.
        known: those of the history; None where they were not read (yet).
        amounts: what each moved in the range; None where that was not read (yet).
    """
    live = {row.key: row for row in view.state.tables.devices or ()}
    by_key = {device.key: device for device in known or () if device.first <= view.time or device.key in live}
    rates = view.state.derived()
    # A full frame has its counters from the last look, which may be that of the frame before: then they make no rate.
    past, away = view.status.state == "replay", view.status.state in ("stale", "offline")
    whole = total(amounts) if amounts is not None else None
    names = dict.fromkeys([*by_key, *live])
    found = []
    for key in names:
        device, row = by_key.get(key), live.get(key)
        who = row or (device.row if device is not None else DeviceRow(key=key))
        entry = device or KnownDevice(host=view.info.id, key=key, row=who, first=view.time, last=view.time)
        if row is not None and device is not None:
            # Names of now before those of the last time it was written down.
            entry = KnownDevice(
                host=device.host, key=key, row=row, first=device.first, last=device.last, alias=device.alias,
                category=device.category,
            )  # fmt: skip
        counts = any(view.value(f"{metric}:{key}") is not None for metric in COUNTERS)
        kept = device is not None and bool(device.row.source) and device.first < view.time
        amount = None if amounts is None else used(amounts, key, counted=counts or kept)
        last = entry.last if entry.last <= view.time or view.live else None
        down, up = (rates.get(f"{metric}:{key}") for metric in RATES)
        online = row.online if row is not None else (False if view.live and live else None)
        seen = view.time if online else last if device is not None else None
        if past:
            down, up = (_then(view, f"{metric}:{key}") if rate is None else rate
                        for metric, rate in zip(RATES, (down, up), strict=True))  # fmt: skip
            online = True if down or up else None
            seen = view.time if online else _moved(view, key) or seen
        elif away:
            # What they did at the last look is not what they do now.
            online, down, up, seen = None, None, None, last
        elif online is False and not down and not up:
            # What its counters did not do for lack of a device is no rate of one.
            down = up = None
        found.append(
            Device(
                key=key,
                row=who,
                label=entry.label,
                category=entry.category or who.category,
                alias=entry.alias,
                given_category=entry.category,
                online=online,
                receive=down,
                transmit=up,
                connections=None if away else view.value(f"device.connections:{key}"),
                counted=bool(who.source) or amount is not None,
                amount=amount,
                share=share(amount, whole) if amount is not None and whole is not None else None,
                first=entry.first if device is not None else None,
                last=seen,
                signal=row.signal if row is not None else None,
            )
        )
    return sorted(found, key=_rank)


def _then(view: View, key: str) -> float | None:
    """A rate of the step that the moment lies in."""
    points = view.window.points(key, 1)
    return points[0] if points else None


def _moved(view: View, key: str) -> int | None:
    """When it last moved bytes in the minutes before the moment, Unix milliseconds."""
    end = view.window.end
    if end is None:
        return None
    lines = [view.window.recorded(f"{metric}:{key}", WINDOW) for metric in RATES]
    ago = [next((at for at, rate in enumerate(reversed(line)) if rate), None) for line in lines]
    return max((1000 * (end - at) for at in ago if at is not None), default=None)


def _rank(device: Device) -> tuple[bool, int, float, str]:
    moved = device.amount.total if device.amount is not None else 0
    return (device.online is False and not moved, -moved, -(device.rate or 0.0), device.label.lower())


SORTS: Final[Mapping[str, bool]] = {
    "name": False,
    "address": False,
    "vendor": False,
    "category": False,
    "receive": True,
    "transmit": True,
    "received": True,
    "sent": True,
    "total": True,
    "share": True,
    "connections": True,
    "signal": True,
    "seen": True,
    "source": False,
    "mac": False,
}
"""Columns that can be sorted by, and whether the largest comes first."""


def sort_devices(rows: Sequence[Device], column: str, reverse: bool) -> list[Device]:
    """Sorts by a column, what is missing last; by no column ('') the order is the screen's own."""
    if not column:
        return list(reversed(rows)) if reverse else list(rows)
    return by_value(rows, lambda row: sort_value(row, column), reverse=reverse)


def sort_value(row: Device, column: str) -> tuple[float, str] | None:
    """What a device is sorted by in a column; None where it has nothing there."""
    if column in ("name", "vendor", "category", "source", "mac"):
        text = {
            "name": row.label.lower(), "vendor": row.row.vendor.lower(), "category": row.category,
            "source": row.row.source, "mac": row.row.mac,
        }[column]  # fmt: skip
        return (0.0, text) if text else None
    if column == "address":
        return address_order(row.address) if row.address else None
    if column in ("received", "sent", "total", "share"):
        if row.amount is None:
            return None
        size = {"received": row.amount.receive, "sent": row.amount.transmit}.get(column, row.amount.total)
        return float(size), ""
    value = row.last if column == "seen" else getattr(row, column)
    return None if value is None else (float(value), "")


def address_order(address: str) -> tuple[float, str]:
    """IPv4 by its numbers, before IPv6 by its text."""
    parts = address.split(".")
    if len(parts) == 4 and all(part.isdecimal() and len(part) <= 3 for part in parts):
        return float(int.from_bytes(bytes(min(255, int(part)) for part in parts), "big")), ""
    return 5e9, address


def facts(row: Device) -> dict[str, str]:
    """The texts of a device that a filter looks in, by field."""
    who = row.row
    return {
        "name": f"{row.label} {who.name} {row.alias}".lower(),
        "address": " ".join(who.addresses).lower(),
        "mac": who.mac or (row.key.lower() if not who.addresses else ""),
        "vendor": who.vendor.lower(),
        "category": row.category.lower(),
        "state": "online" if row.online else "" if row.online is None else "offline",
        "network": who.network.lower(),
    }
