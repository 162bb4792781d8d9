"""Days in which everything happens: a hole, clocks moved to and fro, a reboot, a suspend; sealed as they go by."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from store.engine import Engine
from store.maintenance import Maintenance
from store.retention import Retention
from store.schema import connect, migrate, prepare
from sysmon.clock import ManualClock
from sysmon.frame import Frame
from sysmon.records import SeriesQuery
from tests.store.helpers import put, reading, recording, rows
from tests.store.test_usage import KEY, brute, total
from tests.store.worlds import CATALOGUE, HOST, START, Reads, World, same_points

HOUR = 3_600_000


def eventful(world: World) -> list[Frame]:
    """38 hours in which the clock is two hours ahead for six, and a day behind for one."""
    an_hour = 3600 // world.spacing
    frames = world.frames(5 * an_hour)
    world.skip(2 * an_hour)
    frames += world.frames(4 * an_hour)
    for jump, hours in ((2 * HOUR, 6), (-2 * HOUR, 5), (-24 * HOUR, 1), (24 * HOUR, 3)):
        world.time += jump
        frames += world.frames(hours * an_hour)
    # Ahead and back again within one block.
    world.time += 3 * HOUR
    frames += world.frames(2)
    world.time -= 3 * HOUR
    frames += world.frames(2 * an_hour)
    world.reboot("boot-2", 1800)
    frames += world.frames(3 * an_hour)
    world.time += 4 * HOUR
    world.monotonic += 4 * 3600 * 10**9
    return frames + world.frames(5 * an_hour)


def in_time(frames: Sequence[Frame], key: str) -> Reads:
    """Brute force over the frames as they came, put in order of their times."""
    reads = Reads(frames, key)
    order = sorted(range(len(reads.ats)), key=lambda index: reads.ats[index])
    reads.ats, reads.values, reads.parts = (
        [reads.ats[index] for index in order],
        [reads.values[index] for index in order],
        [reads.parts[index] for index in order],
    )
    return reads


@pytest.mark.anyio
async def test_eventful_days_are_answered_as_brute_force_does(tmp_path: Path) -> None:
    path, clock, world = tmp_path / "history.db", ManualClock(START + 48 * HOUR), World(5)
    world.time, world.spacing = clock.now(), 60
    frames = eventful(world)
    start, end = min(frame.time for frame in frames), max(frame.time for frame in frames) + 1
    async with recording(path, clock) as recorder, reading(path) as history:
        for number in range(0, len(frames), 60):
            await put(recorder, clock, frames[number : number + 60])
            await recorder.maintain()
        clock.step_wall(5 * HOUR)
        await recorder.maintain()
        assert recorder.notices == [] and rows(path, "SELECT count(*) FROM tail") == [(0,)]
        assert total(await history.usage(HOST, start, end, "day")) == brute(frames)
        found: dict[tuple[str, int], Frame] = {}
        for span in await history.spans():
            for first in range(span.first, span.last + 1, 600):
                got = await history.frames(HOST, span.run, first, min(span.last, first + 599))
                found.update(((frame.run, frame.seq), frame) for frame in got)
        assert found == {(frame.run, frame.seq): frame for frame in frames}
        for key in ("cpu.utilization", "load.1", "net.receive_rate:eth0"):
            reads = in_time(frames, key)
            metric, _, instance = key.partition(":")
            for points in (5000, 500, 60, 1):
                answer = await history.series(
                    SeriesQuery(host=HOST, metric=metric, instance=instance or "*", start=start, end=end, points=points)
                )
                series = answer.series[0]
                wanted = reads.points(start, end, series.step)
                # Where the clock was set back two reads may share a step, and either may be its last.
                differences = same_points(series.points, wanted, sketched=series.step >= 60_000)
                assert not [each for each in differences if " last " not in each], (key, points)


@pytest.mark.anyio
async def test_a_clock_that_leaps_ahead_removes_nothing() -> None:
    clock, world = ManualClock(START), World()
    kept = Retention(raw=3600, minute=7200, quarter=7200, evidence=3600, events=3600, free=0.0)
    connection = connect(":memory:")
    prepare(connection)
    migrate(connection, ":memory:", START)
    engine = Engine(connection, CATALOGUE, clock)
    for frame in world.frames(1300):
        clock.step_wall(frame.time - clock.now())
        engine.take_frame(frame, clock.now(), late=False)
    maintenance = Maintenance(engine, kept, Path())

    def tidied() -> int:
        """How many blocks are left when all that is due now is done."""
        maintenance.hurry()
        while (steps := maintenance.due()) is not None:
            for _ in steps:
                pass
        return int(connection.execute("SELECT count(*) FROM chunk WHERE collector = 0").fetchone()[0])

    await clock.advance(200)
    assert tidied() == 2
    decade = 10 * 365 * 24 * HOUR
    clock.step_wall(decade)
    assert tidied() == 3
    await clock.advance(600)
    assert tidied() == 3
    clock.step_wall(-decade)
    assert tidied() == 3
    await clock.advance(1000)
    assert tidied() == 3
    # A machine whose clock is wrong from the start, by the file's own account.
    clock.step_wall(decade)
    maintenance = Maintenance(engine, kept, Path())
    assert tidied() == 3
    await clock.advance(901)
    assert tidied() == 0
    connection.close()


@pytest.mark.anyio
async def test_a_reader_stays_right_while_blocks_are_sealed_and_removed(tmp_path: Path) -> None:
    path, clock, world = tmp_path / "history.db", ManualClock(START), World()
    world.spacing = 5
    limited = Retention(raw=2 * 3600, minute=10**6, free=0.0, size=1 << 20)
    frames: list[Frame] = []
    async with recording(path, clock, retention=limited) as recorder, reading(path) as history:
        for _ in range(8):
            fresh = world.frames(360)
            frames += fresh
            await put(recorder, clock, fresh)
            await recorder.maintain()
            spans = await history.spans()
            assert spans[-1].last == len(frames)
            first = max(spans[0].first, len(frames) - 599)
            assert await history.frames(HOST, "aa", first, len(frames)) == frames[first - 1 :]
            moment = await history.moment(HOST, frames[-100].time)
            assert moment is not None and moment.frame.seq == frames[-100].seq
            end = frames[-1].time + 1
            answer = await history.series(
                SeriesQuery(host=HOST, metric="cpu.utilization", start=START, end=end, points=30)
            )
            wanted = Reads(frames, "cpu.utilization").points(START, end, answer.series[0].step)
            assert not list(same_points(answer.series[0].points, wanted, sketched=True))
            assert total(await history.usage(HOST, START, end, "day"), KEY) == brute(frames)
        assert spans[0].first > 1
    assert rows(path, "PRAGMA integrity_check") == [("ok",)]


@pytest.mark.anyio
async def test_a_budget_that_is_too_small_keeps_the_last_hour(tmp_path: Path) -> None:
    path, clock, world = tmp_path / "history.db", ManualClock(START), World()
    world.spacing = 5
    async with recording(path, clock, retention=Retention(free=0.0, size=1)) as recorder, reading(path) as history:
        frames = world.frames(3 * 720)
        await put(recorder, clock, frames)
        await recorder.maintain()
        await recorder.maintain()
        spans = await history.spans()
        assert frames[-1].time - spans[0].start == pytest.approx(HOUR, abs=900_000)
        assert total(await history.usage(HOST, START, clock.now(), "day"), KEY) == brute(frames)
