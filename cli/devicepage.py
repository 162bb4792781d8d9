"""One device or interface: who it is, its totals, what it did by service, and its history."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from cli import tables
from cli.devicetables import LAYERS, builtins, legend, number, seen, state_of, why_apart
from cli.output import write_json
from cli.steptable import CSV, gap_lines, rate, rows, step_table
from cli.tables import Column, plain
from sysmon import ledger, traffic, trafficanswers
from sysmon.bandwidth import range_of
from sysmon.devicesources import LIMITS
from sysmon.units import MISSING, format_bytes, format_time, format_value
from sysmon.zones import zone_of

if TYPE_CHECKING:
    import argparse

    from cli.context import Context
    from cli.ledgers import Ledger
    from sysmon.devices import Device
    from sysmon.ledger import Ask
    from sysmon.ports import History
    from sysmon.records import HostInfo, Span
    from sysmon.traffic import Step


def page(context: Context, options: argparse.Namespace, found: Ledger, ask: Ask) -> int:
    """Prints one device.

    Raises:
        UsageError: none is meant, or several are.
    """
    device = ledger.one(found.devices, options.words[0], found.labels)
    info = found.infos[device.host]
    by = traffic.STEPS[options.by or "day"]
    zone = zone_of(info.timezone)
    if ask.given:
        told = found.sums.get((device.host, device.kind))
        start, end = (told.start, told.end) if told is not None else range_of("month", found.now, zone)
    else:
        start, end = traffic.back(by, found.now, zone), found.now

    async def read(history: History) -> tuple[list[Step], list[Span]]:
        return await traffic.steps(history, info, device.kind, [device.name], start, end, by, found.now)

    made, gaps = context.read_history(read) if found.status is not None else ([], [])
    if options.format == "json":
        series = trafficanswers.series_answer(device.name, device.label, [device.name], made, found.now)
        more = {
            "by": options.by or "day",
            "history": msgspec.to_builtins(series),
            "gaps": trafficanswers.gap_answers(gaps),
        }
        write_json({"host_name": info.label, **builtins(device), **more})
        return 0
    if options.format == "csv":
        tables.write_csv(CSV, rows(device.host, device.name, made))
        return 0
    room = tables.width()
    steps = step_table(made, by, zone, found.now, room)
    lines = [*_head(device, info, found.now), "", *_totals(device, room)]
    if device.services:
        lines += ["", *_services(device, room)]
    lines += ["", *(steps or ["nothing is known of it in this time"]), *gap_lines(gaps, zone, made)]
    lines += legend(lines)
    print("\n".join(lines))
    return 0


def _head(device: Device, info: HostInfo, now: int) -> list[str]:
    told: list[tuple[str, str]] = []
    if device.kind == "device":
        title = f"{plain(device.label or device.name)}, behind {info.label}"
        told.append(("MAC", device.mac or MISSING))
        told.append(("address", ", ".join(device.addresses)))
        told.append(("vendor", device.vendor))
        told.append(("category", device.category))
        told.append(("network", " ".join(filter(None, [device.network, _signal(device.signal)]))))
        layer = LAYERS.get(device.layer, "")
        told.append(("counted by", f"{device.source}: {layer}" if device.source and layer else device.source))
        if device.source in LIMITS and device.source:
            told.append(("", LIMITS[device.source]))
        if device.first is not None:
            told.append(
                ("seen", f"first {format_time(device.first, zone_of(info.timezone))[:16]}, last {seen(device, now)}")
            )
        if device.connections is not None:
            told.append(("connections", str(device.connections)))
    else:
        title = f"{plain(device.name)} of {info.label}"
        link = device.link
        if link is not None:
            told.append(
                ("kind", f"{link.kind}, {state_of(link)}" + (f", on {', '.join(link.lower)}" if link.lower else ""))
            )
            told.append(("address", ", ".join(link.addresses)))
            told.append(("network", " ".join(filter(None, [link.network, _signal(link.signal)]))))
            told.append(("speed", "" if link.speed is None else rate(link.speed)))
        if why := why_apart(device):
            told.append(("counts", f"not in the total: {why}"))
        told.append(
            ("errors", "" if device.errors is None else f"{device.errors}, drops {device.drops or 0}, since boot")
        )
        told.append(("counted by", f"the kernel: {LAYERS['L2']}"))
    rates = [value for value in (device.rates.receive, device.rates.transmit) if value is not None]
    if rates:
        ways = [format_bytes(value, per_second=True) for value in (device.rates.receive, device.rates.transmit)]
        told.append(("now", f"{ways[0]} down, {ways[1]} up"))
    return [title, *(f"{name:<12}{plain(text)}" for name, text in told if text)]


def _signal(signal: float | None) -> str:
    return "" if signal is None else f"{signal:.0f} dBm"


def _totals(device: Device, room: int | None) -> list[str]:
    periods = [("today", device.today), ("this month", device.month)]
    if device.range is not None:
        periods.append(("range", device.range))
    periods.append(("all known", device.recorded))
    shares = [""] * len(periods)
    shares[2 if device.range is not None else 1] = (
        format_value(device.share, "ratio") if device.share is not None else ""
    )
    return tables.lines(
        [
            Column("", [name for name, _ in periods], left=True),
            *(
                Column(title, [number(part, what) for _, part in periods])
                for title, what in (("received", "receive"), ("sent", "transmit"), ("total", "total"))
            ),
            Column("share", shares, 1),
        ],
        room,
    )


def _services(device: Device, room: int | None) -> list[str]:
    listed = device.services[:20]
    counts = ["" if each.connections is None else str(each.connections) for each in listed]
    return tables.lines(
        [
            Column("service", [plain(each.name) for each in listed], left=True),
            Column("received", [format_bytes(each.received) for each in listed]),
            Column("sent", [format_bytes(each.sent) for each in listed]),
            Column("conn", counts, 1),
        ],
        room,
    )
