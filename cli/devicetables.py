"""Interfaces and devices as tables, JSON and CSV."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

import msgspec

from cli import tables
from cli.tables import Column, plain
from sysmon.interfaces import apart
from sysmon.ledger import whole
from sysmon.units import MISSING, format_bytes, format_value, plain_duration, rfc3339

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from sysmon.bandwidth import Amount
    from sysmon.devices import Bytes, Device, Link

MARKS: Final = {
    "≥": "≥ at least: a counter began anew in it",
    "~": "~ partly spread over a time without data",
}
"""What the marks of tables mean."""
LAYERS: Final = {
    "L2": "frames, as the kernel counts (L2)",
    "L3": "IP packets, without Ethernet (L3)",
    "payload": "payload alone",
}
"""What the bytes of a layer are."""


def number(part: Bytes | Amount | None, what: str = "total") -> str:
    """Returns bytes of one way, or of both, with the mark that says how certain they are."""
    value = None if part is None else getattr(part, what)
    return MISSING if value is None else f"{part.mark if part is not None else ''}{format_bytes(value)}"


def seen(device: Device, now: int) -> str:
    """Returns when a device was last seen, for people."""
    if device.online:
        return "now"
    if device.last is None:
        return MISSING
    return f"{plain_duration(max(0, now - device.last) / 1000)} ago"


def interface_table(devices: Sequence[Device], room: int | None, *, ranged: bool, total: bool = True) -> list[str]:
    """Returns the lines of a table of interfaces, with the sum of those that count."""
    shown = list(devices)
    rows: list[Device | None] = [*shown, *([None] if total and len(shown) > 1 else [])]
    here = any(each.total.total is not None for each in shown)
    columns = [
        Column("interface", [_interface(each) for each in rows], left=True),
        *_rates(rows, shown, drop=2),
        *_amounts(rows, shown, ranged=ranged),
        Column("share", [_share(each) for each in rows], 1),
        Column("kind", ["" if each is None or each.link is None else each.link.kind for each in rows], 5, left=True),
        Column("state", [_state(each, gone=here) for each in rows], 4, left=True),
    ]
    return tables.lines(columns, room)


def device_table(
    devices: Sequence[Device],
    everyone: Sequence[Device],
    routers: Mapping[str, str],
    now: int,
    room: int | None,
    *,
    ranged: bool,
) -> list[str]:
    """Returns the lines of a table of devices behind routers.

    Args:
        devices: those shown. `everyone`: those that the sum is of.
        routers: id -> label. now: Unix milliseconds.
        room: cells of a line, None for any number. `ranged`: whether a range is asked for.
    """
    rows: list[Device | None] = [*devices, *([None] if len(everyone) > 1 else [])]
    several = len({each.host for each in everyone}) > 1

    def text(name: str) -> list[str]:
        return ["" if each is None else plain(getattr(each, name)) for each in rows]

    addresses = ["" if each is None else (each.addresses[0] if each.addresses else "") for each in rows]
    connections = [
        "" if each is None else MISSING if each.connections is None else str(each.connections) for each in rows
    ]
    columns = [
        Column("device", ["total" if each is None else plain(each.label or each.name) for each in rows], left=True),
        Column(
            "router", ["" if each is None else plain(routers.get(each.host, each.host)) for each in rows], 3, left=True
        ),
        Column("address", addresses, 5, left=True),
        *_rates(rows, everyone, drop=2),
        *_amounts(rows, everyone, ranged=ranged),
        Column("share", [_share(each) for each in rows], 1),
        Column("conn", connections, 7),
        Column("last seen", ["" if each is None else seen(each, now) for each in rows], 6),
        Column("vendor", text("vendor"), 8, left=True),
        Column("category", text("category"), 9, left=True),
        Column("source", text("source"), 10, left=True),
    ]
    if not several:
        del columns[1]
    return tables.lines(columns, room)


def _interface(each: Device | None) -> str:
    if each is None:
        return "total"
    return plain(each.name) + ("*" if each.counted is False else "")


def _rates(rows: Sequence[Device | None], everyone: Sequence[Device], drop: int) -> list[Column]:
    made = []
    for way in ("receive", "transmit"):
        known = [
            rate for each in everyone if each.counted is not False and (rate := getattr(each.rates, way)) is not None
        ]
        cells = [
            format_bytes(
                getattr(each.rates, way) if each is not None else sum(known) if known else None, per_second=True
            )
            for each in rows
        ]
        made.append(Column("down/s" if way == "receive" else "up/s", cells, drop))
    return made


def _amounts(rows: Sequence[Device | None], everyone: Sequence[Device], *, ranged: bool) -> list[Column]:
    if ranged:
        sum_of = whole(everyone, lambda each: each.range)
        return [
            Column(title, [number(each.range if each is not None else sum_of, what) for each in rows])
            for title, what in (("received", "receive"), ("sent", "transmit"), ("total", "total"))
        ]
    made = []
    for title, name, drop in (("today", "today", 3), ("month", "month", 0), ("total", "recorded", 0)):
        sum_of = whole(everyone, lambda each, name=name: getattr(each, name))  # type: ignore[misc]
        made.append(Column(title, [number(getattr(each, name) if each is not None else sum_of) for each in rows], drop))
    return made


def _share(each: Device | None) -> str:
    return "" if each is None else format_value(each.share, "ratio")


def _state(each: Device | None, *, gone: bool) -> str:
    if each is None or each.link is None:
        # It is told as gone only where the others are there.
        return "gone" if each is not None and gone and each.total.total is None else ""
    link = each.link
    words = [state_of(link)]
    if link.network:
        words.append(plain(link.network))
    if link.signal is not None:
        words.append(f"{link.signal:.0f} dBm")
    if link.lower:
        words.append("on " + ", ".join(link.lower[:3]))
    return " ".join(words)


def why_apart(device: Device) -> str:
    """Returns why an interface is not in the total, '' where it is or that is not known."""
    if device.kind != "interface" or device.counted is not False:
        return ""
    link = device.link
    moved = any(part is not None and part.total for part in (device.total, device.recorded, device.range))
    kind = link.kind if link is not None else "loopback" if re.fullmatch(r"lo\d*", device.name) else "virtual"
    return apart(kind, moved=moved, lies_on=link is not None and bool(link.lower or link.master))


def state_of(link: Link) -> str:
    """Returns the state of a link: as the kernel tells it, else whether it is up: loopback and tunnels tell none."""
    return link.state if link.state not in ("", "unknown") else "up" if link.up else "down"


def apart_words(reasons: Iterable[str]) -> str:
    """Returns what `*` means where interfaces are left out for some reasons."""
    return f"* not in the total: {', or '.join(reasons)}"


def legend(lines: Sequence[str], devices: Iterable[Device] = ()) -> list[str]:
    """Returns one line that explains the marks which a table has; `devices`: what it shows."""
    text = "\n".join(lines)
    told = [meaning for mark, meaning in MARKS.items() if mark in text]
    reasons = sorted({why for each in devices if (why := why_apart(each))})
    if reasons and "*" in text:
        told.append(apart_words(reasons))
    return ["; ".join(told)] if told else []


def builtins(device: Device) -> dict[str, Any]:
    """Returns a device for JSON: as `/v1/devices` tells it, times RFC 3339."""
    made: dict[str, Any] = msgspec.to_builtins(device)
    for name in ("first", "last"):
        if name in made:
            made[name] = rfc3339(made[name])
    for name in ("range", "today", "month", "recorded"):
        if "start" in made.get(name, {}):
            made[name]["start"] = rfc3339(made[name]["start"])
    return made


CSV: Final = (
    "kind", "host", "host_name", "name", "label", "mac", "addresses", "vendor", "category", "source", "layer",
    "counted", "receive_rate", "transmit_rate",
    "range_receive", "range_transmit", "today_receive", "today_transmit", "month_receive", "month_transmit",
    "recorded_receive", "recorded_transmit", "at_least", "estimated", "share", "connections", "first", "last",
)  # fmt: skip
"""Columns of CSV: bytes and bytes per second, times RFC 3339."""


def write_csv(devices: Sequence[Device], hosts: Mapping[str, str]) -> None:
    """Writes devices as CSV."""
    tables.write_csv(CSV, (_row(each, hosts) for each in devices))


def _row(each: Device, hosts: Mapping[str, str]) -> list[object]:
    parts = [each.range, each.today, each.month, each.recorded]
    first = each.range if each.range is not None else each.month
    return [
        each.kind,
        each.host,
        hosts.get(each.host, ""),
        each.name,
        each.label,
        each.mac,
        " ".join(each.addresses),
        each.vendor,
        each.category,
        each.source,
        each.layer,
        each.counted,
        each.rates.receive,
        each.rates.transmit,
        *(way for part in parts for way in _ways(part)),
        first is not None and first.at_least,
        first is not None and first.estimated,
        each.share,
        each.connections,
        None if each.first is None else rfc3339(each.first),
        None if each.last is None else rfc3339(each.last),
    ]


def _ways(part: Bytes | None) -> tuple[int | None, int | None]:
    return (None, None) if part is None else (part.receive, part.transmit)
