"""A made history: a month of one machine's interfaces and of forty devices behind a router, on a fixed day."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from collectors.registry import catalogue
from store.retention import Retention
from store.writer import SqliteRecorder
from sysmon.clock import ManualClock
from sysmon.frame import DeviceRow, ServiceRow
from sysmon.records import Event, HostInfo, Past, UsagePiece

if TYPE_CHECKING:
    from pathlib import Path

NOW = 1_795_258_800_000
"""2026-11-21T11:00:00Z."""
HOUR = 3_600_000
OWN = "aaaaaaaaaaaaaaaa"
ROUTER = "bbbbbbbbbbbbbbbb"
DEVICES = 40
DAYS = 31

NAMES = {
    1: "anna-phone",
    2: "tv",
    3: "tv",
    4: '=HYPERLINK("http://x")',
    5: "a|b`c`<b>",
}


def mac(number: int) -> str:
    """Returns the key of a device."""
    return f"52:54:00:00:00:{number:02x}"


def row(number: int) -> DeviceRow:
    """Returns a device."""
    return DeviceRow(
        key=mac(number),
        mac=mac(number),
        addresses=[f"192.168.1.{number + 10}", f"fd00::{number:x}"],
        name=NAMES.get(number, f"device-{number}"),
        name_from="lease",
        vendor="Apple, Inc." if number % 2 else "Raspberry Pi Trading Ltd",
        category="phone" if number % 2 else "",
        source="nlbwmon",
        layer="L3",
        online=number % 4 != 0,
        services=[ServiceRow("HTTPS", 1000 * number, 100 * number, number), ServiceRow("DNS", 10, 5, 2)],
    )


def device_pieces(end: int = NOW) -> list[UsagePiece]:
    """Returns what each device used: in each hour of the month `number` MB received and `number` kB sent."""
    made = []
    for number in range(1, DEVICES + 1):
        for hour in range(DAYS * 24):
            start = end - (hour + 1) * HOUR
            made.append(UsagePiece(f"device.receive:{mac(number)}", start, start + HOUR, number * 1_000_000))
            made.append(UsagePiece(f"device.transmit:{mac(number)}", start, start + HOUR, number * 1_000))
    return made


def interface_pieces(end: int = NOW) -> list[UsagePiece]:
    """Returns what interfaces used: eth0 1 GB an hour, br0 the same once more, lo 5 MB."""
    made = []
    for name, receive, transmit in (("eth0", 10**9, 10**8), ("br0", 10**9, 10**8), ("lo", 5_000_000, 5_000_000)):
        for hour in range(DAYS * 24):
            start = end - (hour + 1) * HOUR
            made.append(UsagePiece(f"net.receive:{name}", start, start + HOUR, receive))
            made.append(UsagePiece(f"net.transmit:{name}", start, start + HOUR, transmit))
    return made


async def fill(path: Path, *, own: str = OWN) -> None:
    """Writes the history."""
    clock = ManualClock(NOW)
    recorder = SqliteRecorder.open(path, catalogue(), retention=Retention(free=0.0), clock=clock)
    try:
        await recorder.record_host(HostInfo(id=own, hostname="laptop", timezone="UTC"))
        await recorder.record_host(HostInfo(id=ROUTER, name="home", target="ssh://root@192.168.1.1", timezone="UTC"))
        await recorder.record_past(Past(host=own, source="vnstat", time=NOW, pieces=interface_pieces()))
        await recorder.record_past(Past(host=ROUTER, source="agent", time=NOW, pieces=device_pieces()))
        await recorder.record_devices(ROUTER, [row(number) for number in range(1, DEVICES)], NOW - 25 * 24 * HOUR)
        await recorder.flush()
        await clock.advance(3600)
        await recorder.record_devices(ROUTER, [row(number) for number in range(1, DEVICES + 1)], NOW - HOUR)
        await recorder.record_event(
            Event(
                id="e1",
                time=NOW - 2 * HOUR,
                host=own,
                kind="alert.firing",
                severity="critical",
                rule="disk-full",
                message="fs.utilization is 95 % <script>",
            )
        )
        await recorder.flush()
    finally:
        await recorder.close()


def make(path: Path, *, own: str = OWN) -> None:
    """Writes the history, from a test that is not asynchronous."""
    asyncio.run(fill(path, own=own))
