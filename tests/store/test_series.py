"""Queries of every tier against brute force over the frames that were recorded."""

from pathlib import Path

import pytest

from store.reader import SqliteHistory
from store.retention import Retention
from store.writer import SqliteRecorder
from sysmon.clock import ManualClock
from sysmon.frame import Frame
from sysmon.records import SeriesQuery
from tests.store.worlds import CATALOGUE, HOST, START, Reads, World, same_points

KEYS = (
    "temperature:cpu/package",
    "cpu.utilization",
    "load.1",
    "memory.used",
    "memory.utilization",
    "net.receive_rate:eth0",
    "temperature:cpu/package",
)


async def record(path: Path, clock: ManualClock, frames: list[Frame], *, late: bool = False) -> None:
    recorder = SqliteRecorder.open(path, CATALOGUE, retention=Retention(), clock=clock)
    for frame in frames:
        if not late:
            clock.step_wall(frame.time - clock.now())
        await recorder.record(frame, received=clock.now(), late=late)
    await recorder.maintain()
    await recorder.close()


async def check(path: Path, clock: ManualClock, frames: list[Frame], start: int, end: int, points: int) -> int:
    history = SqliteHistory.open(path, CATALOGUE, clock=clock)
    step = 0
    try:
        for key in KEYS:
            metric, _, instance = key.partition(":")
            found = await history.series(
                SeriesQuery(host=HOST, metric=metric, instance=instance or "*", start=start, end=end, points=points)
            )
            assert len(found.series) == 1, key
            series = found.series[0]
            step = series.step
            wanted = Reads(frames, key).points(start, end, series.step)
            assert not list(same_points(series.points, wanted, sketched=step >= 60_000)), key
            assert len(series.points) <= points
            assert series.stats is not None
            whole = Reads(frames, key).points(start, end, 10**14)[0]
            assert series.stats.count == whole.count
            assert series.stats.mean == pytest.approx(whole.mean)
            assert series.stats.p95 == pytest.approx(whole.p95, rel=0.021)
    finally:
        await history.close()
    return step


@pytest.mark.anyio
@pytest.mark.parametrize(("seconds", "points", "step"), [(900, 900, 1000), (5400, 540, 10_000), (5400, 90, 60_000)])
async def test_answers_equal_brute_force(tmp_path: Path, seconds: int, points: int, step: int) -> None:
    clock = ManualClock(START)
    frames = World().frames(5400 + 130)
    path = tmp_path / "history.db"
    await record(path, clock, frames)
    start = START + (5400 - seconds) * 1000
    assert await check(path, clock, frames, start, START + 5400_000, points) == step
