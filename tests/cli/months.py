"""A made history: a month of one machine's interfaces and of forty devices behind a router, on a fixed day."""

from __future__ import annotations

import asyncio
import shutil
import time
from typing import TYPE_CHECKING

from cli.main import run
from collectors.registry import catalogue
from store.retention import Retention
from store.writer import SqliteRecorder
from sysmon.clock import ManualClock, SystemClock
from sysmon.devices import Bytes, Device, Link, Rates
from sysmon.frame import DeviceRow, ServiceRow
from sysmon.records import Event, HostInfo, Past, UsagePiece

if TYPE_CHECKING:
    from pathlib import Path

    from pytest import CaptureFixture, MonkeyPatch

NOW = 1_795_258_800_000
"""2026-11-21T11:00:00Z."""
HOUR = 3_600_000
DAY = 24 * HOUR
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


def stretches() -> list[tuple[int, int, int]]:
    """Returns the month in pieces (start, end, hours): hours of the last days, days before them."""
    made = []
    at = NOW
    first = NOW - DAYS * DAY
    while at > first:
        midnight = at // DAY * DAY
        start = at - HOUR
        if at <= NOW - 8 * DAY and (at == midnight or at - first < DAY):
            start = max(first, at - DAY if at == midnight else midnight)
        made.append((start, at, (at - start) // HOUR))
        at = start
    return made


def device_pieces() -> list[UsagePiece]:
    """Returns what each device used: in each hour of the month `number` MB received and `number` kB sent."""
    return [
        UsagePiece(f"device.{way}:{mac(number)}", start, end, hours * number * size)
        for number in range(1, DEVICES + 1)
        for start, end, hours in stretches()
        for way, size in (("receive", 1_000_000), ("transmit", 1_000))
    ]


def interface_pieces() -> list[UsagePiece]:
    """Returns what interfaces used: eth0 1 GB an hour, br0 the same once more, lo 5 MB."""
    return [
        UsagePiece(f"net.{way}:{name}", start, end, hours * size)
        for name, received, sent in (("eth0", 10**9, 10**8), ("br0", 10**9, 10**8), ("lo", 5_000_000, 5_000_000))
        for start, end, hours in stretches()
        for way, size in (("receive", received), ("transmit", sent))
    ]


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


class Fixed(SystemClock):
    """A clock that stands still at the end of the month."""

    def now(self) -> int:
        """Returns `NOW`."""
        return NOW


def here(own: str = OWN) -> list[Device]:
    """Returns what this machine's interfaces are now."""
    return [
        Device(
            kind="interface",
            host=own,
            name=name,
            label=name,
            rates=Rates(1024.0 * 10, 1024.0),
            total=Bytes(5, 6),
            counted=counted,
            errors=0,
            drops=0,
            link=Link(kind=kind, up=True, state=state),
        )
        for name, kind, counted, state in (("eth0", "ethernet", True, "up"), ("lo", "loopback", False, "unknown"))
    ]


def copied(made: Path, folder: Path) -> Path:
    """Copies a made history into a folder, and returns that."""
    for each in made.glob("history.db*"):
        shutil.copy(each, folder)
    return folder


def settle(folder: Path, monkeypatch: MonkeyPatch, config: str = "") -> Path:
    """Makes this process one of a user whose history is in a folder, at the end of the month; returns its path."""
    path = folder / "history.db"
    (folder / "config.toml").write_text(f"[agent]\nport = 1\n{config}")
    for name, value in {
        "SYSMON_DB": str(path),
        "SYSMON_CONFIG": str(folder / "config.toml"),
        "XDG_STATE_HOME": str(folder),
        "XDG_RUNTIME_DIR": str(folder),
        "TZ": "UTC",
    }.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("COLUMNS", raising=False)
    time.tzset()
    monkeypatch.setattr("cli.context.SystemClock", Fixed)
    monkeypatch.setattr("cli.local.own_host", lambda context: OWN)

    async def sampled(context: object, own: str, spacing: float) -> list[Device]:
        return here(own)

    monkeypatch.setattr("cli.present._sampled", sampled)
    return path


def said(capsys: CaptureFixture[str], *arguments: str, status: int = 0) -> str:
    """Runs a command in this process; returns its stdout, or its stderr where it should fail."""
    ended = run(list(arguments))
    printed = capsys.readouterr()
    assert ended == status, printed.err
    if status:
        assert len(printed.err.strip().splitlines()) == 1
        return printed.err
    assert printed.err == ""
    return printed.out
