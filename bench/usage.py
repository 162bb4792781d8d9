"""`python -m bench.usage`: a year of traffic of a LAN's devices: how large it is on disk, and how long questions take.

Every device moves bytes in every hour, which no LAN does: the figures are an upper bound. The year is laid down week by
week by the code that folds blocks into pages, the last two days as blocks are sealed, the newest minutes as frames.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import platform
import random
import statistics
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from store.engine import Engine
from store.reader import SqliteHistory
from store.schema import BLOCK, BUCKET, connect, migrate, prepare
from store.usage import Contribution
from store.usagepages import DAY, FOLD, HOUR, PAGES, Pages, counter_numbers, fold, put_added
from sysmon.catalogue import Catalogue, Metric
from sysmon.clock import ManualClock
from sysmon.frame import Frame
from sysmon.records import HostInfo

if TYPE_CHECKING:
    from collections.abc import Iterator

HOST = "00112233aabbccdd"
ZONE = "Europe/Berlin"
START = 1_795_219_200_000
"""2026-11-21T00:00:00Z."""

CATALOGUE = Catalogue(
    [
        Metric(name=name, kind="counter", unit="bytes", collector="devices", instance="device", lifetime="own")
        for name in ("device.receive", "device.transmit")
    ]
)
_WAYS = (("device.receive", 3e6), ("device.transmit", 4e5))
"""Counter -> bytes in five minutes, in the middle."""


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(prog="python -m bench.usage", description=__doc__)
    parser.add_argument("--devices", type=int, default=200, help="devices of the LAN (200)")
    parser.add_argument("--days", type=int, default=365, help="days (365)")
    options = parser.parse_args()
    print(f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "history.db"
        keys = [f"{name}:02:00:00:00:{n >> 8:02x}:{n & 255:02x}" for n in range(options.devices) for name, _ in _WAYS]
        now = START + 9 * HOUR
        _fill(path, keys, options.days, now)
        asyncio.run(_ask(path, keys, options.days, now))


def _fill(path: Path, keys: list[str], days: int, now: int) -> None:
    chance = random.Random(3)
    connection = connect(path)
    prepare(connection)
    migrate(connection, path, 1)
    clock = ManualClock(now)
    engine = Engine(connection, CATALOGUE, clock)
    connection.execute("BEGIN")
    engine.take_host(HostInfo(id=HOST, hostname="router", timezone=ZONE))
    host = engine.registry.host(HOST).number
    numbers = counter_numbers(connection, host, keys)
    recent = now - 2 * DAY
    connection.execute("INSERT INTO note VALUES (?, ?)", (f"usage.{BUCKET}", recent // PAGES[BUCKET] * PAGES[BUCKET]))
    connection.execute("COMMIT")
    means = {key: chance.lognormvariate(0, 1.0) * _WAYS[n % 2][1] for n, key in enumerate(keys)}

    def moved(key: str, buckets: int) -> int:
        return int(means[key] * buckets * chance.lognormvariate(0, 1.0))

    first = recent // FOLD * FOLD - days * DAY
    began = time.process_time()
    for week in range(first, recent // FOLD * FOLD, 7 * DAY):
        pages = Pages(connection, host)
        until = min(week + 7 * DAY, recent // FOLD * FOLD)
        for key in keys:
            pages.take(numbers[key], {(at, HOUR): (moved(key, 12), 0) for at in range(week, until, HOUR)})
        connection.execute("BEGIN")
        pages.write()
        connection.execute("COMMIT")
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    print(
        f"{len(keys)} counters, {days} days by hour and day: {_size(path)}; "
        f"{(time.process_time() - began) / days * 1000:.0f} ms of CPU a day"
    )
    began = time.process_time()
    last = now // BLOCK - 1
    for block in range(recent // FOLD * FOLD // BLOCK, last):
        added = [Contribution(key, at, moved(key, 1), 0) for at in _buckets(block) for key in keys]
        connection.execute("BEGIN")
        put_added(connection, host, 1, block, added)
        connection.execute("COMMIT")
    for _ in fold(connection, host, now):
        pass
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    spent = (time.process_time() - began) / 2
    print(f"and two days by five minutes: {_size(path)}; {spent * 1000:.0f} ms of CPU a day")
    connection.execute("BEGIN")
    for frame in _frames(keys, last * BLOCK, now):
        engine.take_frame(frame, now, late=False)
    connection.execute("COMMIT")
    connection.close()


def _buckets(block: int) -> Iterator[int]:
    yield from range(block * BLOCK, (block + 1) * BLOCK, BUCKET)


def _frames(keys: list[str], start: int, end: int) -> Iterator[Frame]:
    """Reads of all counters each half minute, as they wait to be sealed."""
    for number, at in enumerate(range(start, end, 30_000), start=1):
        yield Frame(
            host=HOST,
            boot="boot",
            run="run",
            seq=number,
            time=at,
            monotonic=10**12 + (at - start) * 10**6,
            readings={key: number * 100_000 for key in keys},
            reads={"devices": 10**12 + (at - start) * 10**6},
            full=number == 1,
        )


async def _ask(path: Path, keys: list[str], days: int, now: int) -> None:
    history = SqliteHistory.open(path, CATALOGUE, clock=ManualClock(now), deadline=60.0)
    year = now - days * DAY
    try:
        for name, start, step, wanted in (
            ("all, a year by month", year, "month", []),
            ("all, a year by day", year, "day", []),
            ("one, a year by hour", year, "hour", keys[:2]),
            ("one, two days by five minutes", now - 2 * DAY, "fiveminute", keys[:2]),
            ("all, today by hour", START - HOUR, "hour", []),
            ("all, today", START - HOUR, "day", []),
            ("all, this month", START - 20 * DAY, "month", []),
        ):
            times = []
            found = 0
            for _ in range(9):
                # The thread lets go of its last answer.
                await history.hosts()
                began = time.perf_counter()
                found = len(await history.usage(HOST, start, now, step, wanted))
                times.append((time.perf_counter() - began) * 1000)
            print(
                f"  {name:<32} {statistics.median(times):6.1f} ms (best {min(times):.1f}, first {times[0]:.1f});"
                f" {found} totals"
            )
    finally:
        await history.close()
    print("  budget: a year of 200 devices <= 30 MB, drawn in <= 100 ms; a year by hour of one <= 20 ms")


def _size(path: Path) -> str:
    return f"{path.stat().st_size / 1e6:.1f} MB"


if __name__ == "__main__":
    main()
