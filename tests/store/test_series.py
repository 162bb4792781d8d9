"""Queries of every tier against brute force over the frames that were recorded."""

from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from store.pages import Cell, Page, Rolled, encode_page
from store.retention import Retention
from store.rollup import cells_of, gauge_samples, merge_cells
from store.sketch import sketch_of
from store.steps import step_for
from sysmon.clock import ManualClock
from sysmon.frame import Frame
from sysmon.records import SeriesQuery
from tests.store.helpers import finished, put, reading, recording, seal_all
from tests.store.worlds import CATALOGUE, HOST, START, Reads, World, same_points

KEYS = (
    "temperature:cpu/package",
    "cpu.utilization",
    "load.1",
    "memory.used",
    "memory.utilization",
    "net.receive_rate:eth0",
)
HOUR = 3_600_000


async def check(
    path: Path, frames: Sequence[Frame], start: int, end: int, points: int, keys: Sequence[str] = KEYS
) -> int:
    """Compares answers with brute force; returns the step."""
    step = 0
    async with reading(path) as history:
        for key in keys:
            metric, _, instance = key.partition(":")
            found = await history.series(
                SeriesQuery(host=HOST, metric=metric, instance=instance or "*", start=start, end=end, points=points)
            )
            reads = Reads(frames, key)
            assert len(found.series) == 1, key
            series = found.series[0]
            step = series.step
            assert series.unit == (CATALOGUE.require(metric)).unit
            wanted = reads.points(start, end, step)
            assert not list(same_points(series.points, wanted, sketched=step >= 60_000)), key
            assert len(series.points) <= points
            whole = reads.points(start, end, 10**14)[0]
            assert series.stats is not None
            assert series.stats.count == whole.count
            assert series.stats.mean == pytest.approx(whole.mean)
            assert series.stats.p95 == pytest.approx(whole.p95, rel=0.021)
    return step


@pytest.mark.anyio
async def test_answers_equal_brute_force(tmp_path: Path) -> None:
    path, clock, world = tmp_path / "history.db", ManualClock(START), World()
    frames = world.frames(3600 + 130)
    async with recording(path, clock) as recorder:
        await put(recorder, clock, frames)
        await recorder.maintain()
        end = START + HOUR
        assert await check(path, frames, end - 900_000, end, 900) == 1000
        assert await check(path, frames, START, end, 360) == 10_000
        assert await check(path, frames, START, end, 60) == 60_000


@pytest.mark.anyio
async def test_long_ranges_are_stitched_from_quarters_minutes_and_the_tail(tmp_path: Path) -> None:
    path, clock, world = tmp_path / "history.db", ManualClock(START), World()
    world.spacing = 40
    frames = world.frames(26 * 90)
    end = START + 26 * HOUR
    async with recording(path, clock) as recorder:
        await put(recorder, clock, frames)
        await recorder.maintain()
        async with reading(path) as history:
            assert await history.gaps(HOST, START, end) == []
        assert await check(path, frames, START, end, 104) == 900_000
        assert await check(path, frames, START, end, 26) == HOUR
        assert await check(path, frames, START, end, 500) == 240_000


@pytest.mark.anyio
async def test_late_frames_replace_what_was_rolled_up_without_them(tmp_path: Path) -> None:
    path, clock, world = tmp_path / "history.db", ManualClock(START), World()
    world.spacing = 40
    frames = world.frames(26 * 90)
    end = START + 26 * HOUR
    # Holes within a block, over its edge, and of whole blocks, in both pages.
    holes = [*range(20, 25), *range(42, 48), *range(150, 210), *range(1250, 1266)]
    async with recording(path, clock) as recorder:
        await put(recorder, clock, [frame for index, frame in enumerate(frames) if index not in holes])
        await seal_all(recorder, clock)
        async with reading(path) as history:
            gaps = await history.gaps(HOST, START, end)
            assert [(gap.start, gap.end) for gap in gaps] == [
                (frames[low - 1].time, frames[high].time)
                for low, high in ((20, 25), (42, 48), (150, 210), (1250, 1266))
            ]
        for index in holes[::-1]:
            await recorder.record(frames[index], received=clock.now(), late=True)
            await recorder.record(frames[index], received=clock.now(), late=True)
        await recorder.flush()
        # At once, from the tail beside sealed blocks; then sealed anew.
        for _ in range(2):
            assert await check(path, frames, START, end, 104, KEYS[1:4]) == 900_000
            assert await check(path, frames, START, START + 4 * HOUR, 240, KEYS[1:]) == 60_000
            assert await check(path, frames, START, START + HOUR, 180, KEYS[1:]) == 20_000
            await recorder.maintain()


@pytest.mark.anyio
async def test_rates_go_on_across_runs_of_one_boot_but_not_across_boots(tmp_path: Path) -> None:
    path, clock, world = tmp_path / "history.db", ManualClock(START), World()
    frames = world.frames(400)
    world.run, world.seq = "bb", 0
    frames += world.frames(400)
    world.reboot("boot-2", 30)
    frames += world.frames(400)
    async with recording(path, clock) as recorder:
        await put(recorder, clock, frames)
        await recorder.flush()
        for _ in range(2):
            await check(path, frames, START, frames[-1].time + 1, 60, ("cpu.utilization", "net.receive_rate:eth0"))
            await seal_all(recorder, clock)
        assert await check(path, frames, START, frames[-1].time + 1, 20, KEYS[1:]) == 120_000


@pytest.mark.anyio
async def test_short_steps_fall_back_to_minutes_where_readings_are_gone(tmp_path: Path) -> None:
    path, clock, world = tmp_path / "history.db", ManualClock(START), World()
    frames = world.frames(4800)
    async with recording(path, clock, retention=Retention(raw=1200, free=0.0)) as recorder:
        await put(recorder, clock, frames)
        await recorder.maintain()
        clock.step_wall(60_000)
        await recorder.maintain()
        async with reading(path) as history:
            assert [span.first for span in await history.spans()] == [3601]
            found = await history.series(
                SeriesQuery(host=HOST, metric="memory.used", start=START, end=START + 4800_000, points=4800)
            )
            points = found.series[0].points
            assert found.series[0].step == 1000
            assert [point.time for point in points[:60]] == [START + minute * 60_000 for minute in range(60)]
            assert {point.count for point in points[:60]} == {60}
            assert [point.count for point in points[60:]] == [1] * 1200
            # The counter itself is kept as readings only; its exact growth is in the rate's mean.
            counters = await history.series(
                SeriesQuery(host=HOST, metric="net.receive", instance="eth*", start=START, end=START + 4800_000)
            )
            assert counters.series[0].points[0].time >= START + 3600_000
            rates = await history.series(
                SeriesQuery(
                    host=HOST, metric="net.receive_rate", instance="eth0", start=START, end=START + HOUR, points=1
                )
            )
            received = [frame.readings["net.receive:eth0"] for frame in frames[:3600]]
            seconds = (frames[3599].monotonic - frames[0].monotonic) / 1e9
            assert rates.series[0].points[0].mean == pytest.approx((received[-1] - received[0]) / seconds, rel=1e-9)


@pytest.mark.anyio
async def test_what_a_full_frame_repeats_is_no_read(tmp_path: Path) -> None:
    path, clock, world = tmp_path / "history.db", ManualClock(START), World()
    world.slow = {"network": 60, "filesystems": 240, "memory": 30}
    frames = world.frames(4000)
    keys = ("memory.used", "memory.utilization", "net.receive_rate:eth0", "net.receive:eth0")
    end = START + 4_000_000
    async with recording(path, clock) as recorder, reading(path) as history:
        await put(recorder, clock, frames)
        await recorder.flush()
        for _ in range(2):
            for points in (4000, 1000, 60):
                await check(path, frames, START, end, points, keys)
            usage = await history.usage(HOST, START, end, "day", ["net.receive:eth0"])
            received = [frame.readings["net.receive:eth0"] for frame in frames if "net.receive:eth0" in frame.readings]
            assert sum(each.bytes for each in usage) == received[-1] - received[0]
            await seal_all(recorder, clock)


@pytest.mark.anyio
async def test_instances_are_chosen_by_pattern(tmp_path: Path) -> None:
    path, clock, world = tmp_path / "history.db", ManualClock(START), World()
    world.interfaces = ["eth0", "eth1", "lo"]
    async with recording(path, clock) as recorder, reading(path) as history:
        await put(recorder, clock, world.frames(10))
        await recorder.flush()
        for pattern, wanted in (("*", ["eth0", "eth1", "lo"]), ("eth*", ["eth0", "eth1"]), ("lo", ["lo"]), ("no", [])):
            for metric in ("net.receive_rate", "net.receive"):
                found = await history.series(
                    SeriesQuery(host=HOST, metric=metric, instance=pattern, start=START, end=START + 10_000)
                )
                assert [series.instance for series in found.series] == wanted
        keys = await history.keys(HOST)
        assert {"load.1", "cpu.utilization", "net.receive:lo", "net.transmit_rate:eth1"} <= set(keys)
        assert keys == sorted(keys)


@given(st.integers(0, 10**13), st.integers(1, 10**11), st.integers(1, 3000))
def test_a_step_covers_the_range_in_no_more_points(start: int, length: int, points: int) -> None:
    end = start + length
    step = step_for(start, end, points)
    assert (end - 1) // step - start // step + 1 <= max(points, 1)
    assert step % 1000 == 0
    assert step < 60_000 or step % 60_000 == 0
    assert step < 900_000 or step % 900_000 == 0


CELLS = st.lists(
    st.one_of(
        st.none(),
        st.lists(st.one_of(st.integers(-10, 10), st.integers(0, 2**40)), min_size=1, max_size=5),
    ),
    min_size=1,
    max_size=5,
)


def gauge_cell(values: list[int] | None) -> Cell | None:
    if values is None:
        return None
    found = cells_of(gauge_samples([0] * len(values), values), 60_000)
    return found[0]


@given(st.lists(CELLS, min_size=1, max_size=12))
@settings(max_examples=150)
def test_pages_of_gauges_come_back_exactly(series: list[list[list[int] | None]]) -> None:
    width = max(map(len, series))
    rolled = [Rolled(0, [gauge_cell(values) for values in [*each, *[None] * (width - len(each))]]) for each in series]
    page = Page(finished(encode_page(range(width), rolled)))
    assert page.times == list(range(width))
    assert [list(page.series(index).cells) for index in range(len(rolled))] == [list(each.cells) for each in rolled]


@given(st.lists(st.lists(st.floats(-1e9, 1e9), min_size=1, max_size=8), min_size=1, max_size=5))
def test_cells_merge_to_the_cell_of_all(parts: list[list[float]]) -> None:
    cells = [cells_of(gauge_samples([0] * len(part), part), 1)[0] for part in parts]
    values = [value for part in parts for value in part]
    merged = merge_cells(cells)
    assert (merged.size, merged.least, merged.greatest, merged.last) == (
        len(values),
        min(values),
        max(values),
        values[-1],
    )
    assert merged.sum == pytest.approx(sum(values), abs=1e-3)
    assert merged.sketch is None or merged.sketch == sketch_of(values)
