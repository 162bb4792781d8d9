"""The history: bytes per sample, what recording costs, and how long questions take.

The frames are made up from one real frame of this host: counters grow in bursts, gauges walk, everything is read at
its collector's
own interval. So the figures say what this program does, not how quiet this machine was.
"""

from __future__ import annotations

import asyncio
import random
import statistics
import tempfile
import time
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from cli.context import Context
from cli.local import make_runner
from store.reader import SqliteHistory
from store.retention import Retention
from store.writer import SqliteRecorder
from sysmon.clock import SystemClock
from sysmon.records import SeriesQuery

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from sysmon.catalogue import Catalogue, Metric
    from sysmon.frame import Frame, Number

HOUR = 3_600_000
DAY = 24 * HOUR

FEW = ("cpu", "memory", "network")
"""Collectors recorded for a month: the others' rollups are rows of their own, which a question does not read."""


class Ahead(SystemClock):
    """The machine's clocks, and some seconds more: what is due later is due now."""

    shift = 0

    def now(self) -> int:
        """Returns Unix time in milliseconds, UTC."""
        return super().now() + self.shift * 1000

    def boottime(self) -> int:
        """Returns nanoseconds since boot."""
        return super().boottime() + self.shift * 10**9


def main(hours: float = 24.0, days: float = 30.0) -> None:
    """Measures and prints."""
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(_measure(Path(folder), hours, days))


async def _measure(folder: Path, hours: float, days: float) -> None:
    context = Context.of_environment()
    runner = make_runner(context)
    state = await runner.once()
    full = state.full()
    assert full is not None
    few = {
        key: value
        for key, value in full.readings.items()
        if (metric := context.catalogue.of_key(key)) is not None and metric.collector in FEW
    }
    print(f"\nhistory, {len(full.readings)} series of this host, frames made up from them")
    for name, readings, seconds, step in (
        ("1 Hz", full.readings, int(hours * 3600), 1),
        ("one in 2 min", few, int(days * 86400), 120),
    ):
        path = folder / f"{step}.db"
        start = (context.clock.now() - seconds * 1000) // 60_000 * 60_000
        first = msgspec.structs.replace(full, time=start, monotonic=10**12, seq=1, readings=readings)
        frames = _frames(context.catalogue, first, seconds, step)
        samples, cost, lasted = await _record(path, context.catalogue, frames)
        size, count = _size(folder, f"{step}.db*"), seconds // step
        print(
            f"  {name:<12} {count} frames, {len(readings)} series, {samples} samples: {size / samples:.2f} B/sample, "
            f"{size / (1 << 20):.1f} MiB; {cost / count * 1e6:.0f} µs of CPU a frame, {count / lasted:.0f} frames/s"
        )
        await _ask(path, context, first.host, start, start + seconds * 1000)
    await _commit(folder / "commit.db", context.catalogue, msgspec.structs.replace(full, seq=1))
    print("  budget: <= 1.2 B/sample at 1 Hz; 24 h at 500 points <= 20 ms; 30 d <= 50 ms; committed within 2 s")


def _size(folder: Path, glob: str) -> int:
    return sum(each.stat().st_size for each in folder.glob(glob))


async def _record(path: Path, catalogue: Catalogue, frames: Iterator[Frame]) -> tuple[int, float, float]:
    retention = Retention(free=0.0)
    recorder = SqliteRecorder.open(path, catalogue, retention=retention, clock=SystemClock(), who="bench")
    samples = 0
    began, cpu = time.monotonic(), time.process_time()
    making = 0.0
    while True:
        before = time.process_time()
        batch = list(islice(frames, 600))
        making += time.process_time() - before
        if not batch:
            break
        for frame in batch:
            samples += len(frame.readings)
            await recorder.record(frame, received=frame.time)
        await recorder.maintain()
    await recorder.maintain()
    await recorder.close()
    return samples, time.process_time() - cpu - making, time.monotonic() - began


async def _commit(path: Path, catalogue: Catalogue, first: Frame) -> None:
    """Prints how long commits take while blocks are sealed beside them."""
    clock = Ahead()
    recorder = SqliteRecorder.open(path, catalogue, retention=Retention(free=0.0), clock=clock, who="bench")
    first = msgspec.structs.replace(first, time=clock.now() // 600_000 * 600_000, monotonic=10**12)
    times: list[float] = []
    for frame in _frames(catalogue, first, 3000, 1):
        clock.shift += frame.time // 1000 - clock.now() // 1000
        await recorder.record(frame, received=frame.time)
        if frame.seq == 2400:
            # From now on four blocks are due.
            await recorder.flush()
            clock.shift += 200
        elif frame.seq > 2400 and len(times) < 400:
            began = time.perf_counter()
            await recorder.flush()
            times.append((time.perf_counter() - began) * 1000)
            await asyncio.sleep(0.005)
    await recorder.close()
    print(f"  a commit while blocks are sealed: {statistics.median(times):.1f} ms (max {max(times):.1f})")


def _frames(catalogue: Catalogue, first: Frame, seconds: int, step: int) -> Iterator[Frame]:
    chance = random.Random(7)
    values: dict[str, Number] = dict(first.readings)
    restless = _manners(values, chance)
    kinds = {key: catalogue.of_key(key) for key in values}
    groups: dict[str, list[str]] = {}
    for key, metric in kinds.items():
        groups.setdefault(metric.collector if metric else "", []).append(key)
    read: dict[str, int] = {}
    for number in range(seconds // step):
        elapsed = number * step
        monotonic = first.monotonic + elapsed * 10**9
        full = elapsed % 60 < step
        due = [name for name in groups if elapsed % max(step, int(first.intervals.get(name, 1))) < step]
        busy = chance.random() < 0.3
        for name in due:
            read[name] = monotonic
            for key in groups[name]:
                if chance.random() < restless[key]:
                    values[key] = _moved(values[key], kinds[key], chance, step, busy)
        chosen = groups if full else due
        readings = {key: values[key] for name in chosen for key in groups[name]}
        yield msgspec.structs.replace(
            first,
            seq=number + 1,
            time=first.time + elapsed * 1000,
            monotonic=monotonic,
            readings=readings,
            reads={name: read.get(name, monotonic) for name in chosen},
            full=full,
            intervals=first.intervals if full else {},
            faults=first.faults if full else [],
        )


def _manners(keys: Iterable[str], chance: random.Random) -> dict[str, float]:
    """Gives each series its restlessness: how often a read finds it changed. Most series hardly ever change."""
    return {key: chance.choices((0.0, 0.05, 0.6, 1.0), (45, 20, 20, 15))[0] for key in keys}


def _moved(value: Number, metric: Metric | None, chance: random.Random, step: int, busy: bool) -> Number:
    if metric is not None and metric.kind == "counter":
        grown = chance.expovariate(1 / (1.0 if isinstance(value, float) else 5000.0)) * step * (1 if busy else 0.1)
        return round(value + grown, 2) if isinstance(value, float) else value + int(grown)
    if isinstance(value, float):
        moved = max(0.0, value + chance.gauss(0, max(abs(value) * 0.02, 0.01)))
        return round(moved, metric.precision if metric is not None else 2)
    return max(0, value + int(chance.gauss(0, max(abs(value) * 0.001, 0.6))))


async def _ask(path: Path, context: Context, host: str, start: int, end: int) -> None:
    history = SqliteHistory.open(path, context.catalogue, clock=context.clock)
    try:
        for name, back in (("1 h", HOUR), ("24 h", DAY), ("7 d", 7 * DAY), ("30 d", 30 * DAY)):
            if back > end - start:
                break
            found = []
            for metric in ("cpu.utilization", "memory.used", "net.receive_rate", "cpu.time.user"):
                query = SeriesQuery(host=host, metric=metric, start=end - back, end=end, points=500)
                times = []
                for _ in range(7):
                    began = time.perf_counter()
                    answer = await history.series(query)
                    times.append((time.perf_counter() - began) * 1000)
                found.append(f"{metric} {statistics.median(times):.1f} ms (first {times[0]:.1f}; {len(answer.series)})")
            print(f"    {name:>5} at 500 points (series): {', '.join(found)}")
        moments = []
        for hours in (1, 9, 23):
            began = time.perf_counter()
            await history.moment(host, end - hours * HOUR)
            moments.append((time.perf_counter() - began) * 1000)
        print(f"    a moment of the past: {statistics.median(moments):6.1f} ms (max {max(moments):.1f})")
    finally:
        await history.close()
