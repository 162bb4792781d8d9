"""Totals are exact across blocks, reboots, resets, holes, late frames and trimming."""

from collections.abc import Sequence
from datetime import UTC
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from store.retention import Retention
from store.usage import AT_LEAST, ESTIMATED, Last, contributions
from sysmon.catalogue import counter
from sysmon.clock import ManualClock
from sysmon.errors import UsageError
from sysmon.frame import Frame
from sysmon.records import HostInfo, SeriesQuery, Usage
from sysmon.zones import STEPS, span_of, zone_of
from tests.store.helpers import put, reading, recording, seal_all
from tests.store.worlds import HOST, START, World

KEY = "net.receive:eth0"
HOUR = 3_600_000
WIDE = counter("net.receive", "bytes", "in")
NARROW = msgspec.structs.replace(WIDE, bits=32)


def brute(frames: Sequence[Frame], key: str = KEY) -> int:
    """The bytes that were seen to flow: growth, and the whole new value after a fall or a reboot."""
    total, last, boot = 0, None, ""
    for frame in frames:
        value = frame.readings.get(key)
        if value is None:
            continue
        if last is not None:
            total += int(value - last if boot == frame.boot and value >= last else value)
        last, boot = value, frame.boot
    return total


def total(found: Sequence[Usage], key: str = KEY) -> int:
    return sum(each.bytes for each in found if each.key == key)


@given(
    st.lists(st.tuples(st.integers(1, 900_000), st.one_of(st.none(), st.integers(0, 10**9))), max_size=30),
    st.booleans(),
)
def test_nothing_is_lost_or_counted_twice(steps: list[tuple[int, int | None]], rebooted: bool) -> None:
    ats, column, at = [], [], START
    for step, value in steps:
        at += step
        ats.append(at)
        column.append(value)
    last = Last("old" if rebooted else "boot", 5 * 10**8, START)
    found, after = contributions(KEY, WIDE, "boot", START - 1000, ats, column, last)
    held = [value for value in column if value is not None]
    wanted, before, fresh = 0, 5 * 10**8, rebooted
    for value in column:
        if value is None:
            # Its interface was gone: whatever comes is counted from 0.
            fresh = True
            continue
        wanted += value if fresh or value < before else value - before
        before, fresh = value, False
    assert sum(each.bytes for each in found) == wanted
    assert after is not None and after.value == (held[-1] if held else 5 * 10**8)
    assert all(each.bytes >= 0 and each.start % 300_000 == 0 for each in found)


def test_first_sight_counts_nothing() -> None:
    assert contributions(KEY, WIDE, "b", START, [START, START + 1000], [10**9, 10**9], None)[0] == []


def test_a_hole_is_spread_and_marked_estimated() -> None:
    last = Last("b", 0, START)
    found, _ = contributions(KEY, WIDE, "b", 0, [START + 900_000], [900], last)
    assert [(each.start - START, each.bytes, each.flags) for each in found if each.bytes] == [
        (0, 300, ESTIMATED),
        (300_000, 300, ESTIMATED),
        (600_000, 300, ESTIMATED),
    ]


def test_a_reboot_counts_the_new_value_since_it_began() -> None:
    last = Last("old", 10**6, START)
    found, _ = contributions(KEY, WIDE, "new", START + 300_000, [START + 400_000], [777], last)
    assert [(each.start - START, each.bytes, each.flags) for each in found] == [(300_000, 777, AT_LEAST)]


@pytest.mark.parametrize(
    ("metric", "seconds", "wanted", "flags"),
    [(NARROW, 60, 300, 0), (NARROW, 0.0001, 200, AT_LEAST), (WIDE, 60, 200, AT_LEAST)],
)
def test_only_a_narrow_counter_wraps_and_only_where_the_link_allows(
    metric: object, seconds: float, wanted: int, flags: int
) -> None:
    # 2**32 - 100 -> 200 in a minute; in 0.1 ms no gigabit link does 300 bytes … 30 kB/s.
    at = START + max(1, int(seconds * 1000)) if seconds >= 1 else START
    found, _ = contributions(KEY, metric, "b", 0, [at], [200], Last("b", 2**32 - 100, START))  # type: ignore[arg-type]
    assert [(each.bytes, each.flags) for each in found] == [(wanted, flags)]


@pytest.mark.anyio
async def test_hours_are_exact_sealed_or_not(tmp_path: Path) -> None:
    clock, path, world = ManualClock(START), tmp_path / "history.db", World()
    world.time += HOUR - 1500 * 1000
    frames = world.frames(1700)
    world.reboot("boot-2", 90)
    frames += world.frames(900)
    world.counters.clear()
    frames += world.frames(100)
    world.skip(1000)
    frames += world.frames(300)
    async with recording(path, clock) as recorder, reading(path) as history:
        await put(recorder, clock, frames)
        await recorder.flush()
        unsealed = await history.usage(HOST, START, START + 3 * HOUR, "hour")
        await recorder.maintain()
        partly = await history.usage(HOST, START, START + 3 * HOUR, "hour")
        await seal_all(recorder, clock)
        sealed = await history.usage(HOST, START, START + 3 * HOUR, "hour", [KEY])
        assert total(unsealed) == total(partly) == total(sealed) == brute(frames)
        for key in ("net.transmit:eth0", "net.receive:lo"):
            assert total(partly, key) == brute(frames, key)
        assert [each.start for each in sealed] == [START, START + HOUR]
        assert [each for each in partly if each.key == KEY] == sealed
        first, second = sealed
        assert first.bytes == brute([frame for frame in frames if frame.time < START + HOUR])
        assert not first.at_least and second.at_least and second.estimated
        days = await history.usage(HOST, START + HOUR, START + HOUR + 1, "day", [KEY])
        assert [(each.start, each.end, each.bytes) for each in days] == [(START, START + 24 * HOUR, brute(frames))]
        with pytest.raises(UsageError, match="'week' is not a step"):
            await history.usage(HOST, START, START + 1, "week")


@pytest.mark.anyio
async def test_late_frames_move_bytes_but_change_no_total(tmp_path: Path) -> None:
    clock, path, world = ManualClock(START), tmp_path / "history.db", World()
    frames = world.frames(3000)
    late = frames[1000:2000]
    async with recording(path, clock) as recorder, reading(path) as history:
        await put(recorder, clock, [*frames[:1000], *frames[2000:]])
        await seal_all(recorder, clock)
        before = await history.usage(HOST, START, START + HOUR, "hour", [KEY])
        assert total(before) == brute(frames) and before[0].estimated
        for frame in late[::-1]:
            await recorder.record(frame, received=clock.now(), late=True)
        await recorder.flush()
        await recorder.maintain()
        after = await history.usage(HOST, START, START + HOUR, "hour", [KEY])
        assert total(after) == brute(frames)
        assert not after[0].estimated


@pytest.mark.anyio
async def test_totals_outlive_the_readings(tmp_path: Path) -> None:
    clock, path, world = ManualClock(START), tmp_path / "history.db", World()
    short = Retention(raw=1800, free=0.0)
    first = world.frames(1500)
    world.reboot("boot-2", 7200)
    second = world.frames(700)
    async with recording(path, clock, retention=short) as recorder, reading(path) as history:
        await put(recorder, clock, first)
        clock.step_wall(100 * 60_000)
        await recorder.maintain()
        assert not await history.spans()
        await put(recorder, clock, second)
        await seal_all(recorder, clock)
        assert total(await history.usage(HOST, START, START + 5 * HOUR, "day")) == brute([*first, *second])
        await recorder.record(first[5], received=clock.now(), late=True)
        await recorder.maintain()
        assert total(await history.usage(HOST, START, START + 5 * HOUR, "day")) == brute([*first, *second])


@pytest.mark.anyio
async def test_days_are_those_of_the_host(tmp_path: Path) -> None:
    clock, path, world = ManualClock(START), tmp_path / "history.db", World()
    world.time = START + int(18.25 * HOUR)
    frames = world.frames(2400)
    midnight = START + int(18.5 * HOUR)
    async with recording(path, clock) as recorder, reading(path) as history:
        await recorder.record_host(HostInfo(id=HOST, hostname="pi", timezone="Asia/Kolkata"))
        await put(recorder, clock, frames)
        await recorder.flush()
        days = await history.usage(HOST, midnight - 1, midnight + 1, "day", [KEY])
        assert [(each.start, each.end) for each in days] == [
            (midnight - 24 * HOUR, midnight),
            (midnight, midnight + 24 * HOUR),
        ]
        assert days[0].bytes == brute([frame for frame in frames if frame.time < midnight])
        assert total(days) == brute(frames)


def test_a_day_of_changed_clocks_has_its_own_length() -> None:
    zone = zone_of("Europe/Berlin")
    start, end = span_of(1_792_886_400_000, "day", zone)  # 2026-10-25
    assert end - start == 25 * HOUR
    assert span_of(start, "month", zone)[1] - span_of(start, "month", zone)[0] == (31 * 24 + 1) * HOUR
    hours = {span_of(moment, "hour", zone) for moment in range(start, end, 900_000)}
    assert len(hours) == 25
    assert span_of(0, "hour", zone_of("+05:30"))[0] == -HOUR // 2
    assert zone_of("no such zone") is zone_of("")


def again(frames: Sequence[Frame], run: str, shift: int = 0) -> list[Frame]:
    """The frames of a second producer on the same host, whose ticks lie `shift` ms later."""
    nanoseconds = shift * 10**6
    return [
        msgspec.structs.replace(
            frame,
            run=run,
            seq=index,
            time=frame.time + shift,
            monotonic=frame.monotonic + nanoseconds,
            reads={name: read + nanoseconds for name, read in frame.reads.items()},
        )
        for index, frame in enumerate(frames, start=1)
    ]


@pytest.mark.anyio
@pytest.mark.parametrize("shift", [0, 300])
@pytest.mark.parametrize("late", [False, True])
async def test_two_producers_of_one_host_count_once(tmp_path: Path, shift: int, late: bool) -> None:
    clock, path, world = ManualClock(START), tmp_path / "history.db", World()
    frames = world.frames(1900)
    # The second begins later, ends later than the first, and the first has a hole that the second fills.
    first = [*frames[:900], *frames[1000:1600]]
    second = again(frames[400:], "bb", shift)
    # What each read is what the kernel had counted by then, so the later of the two never tells less.
    if late:
        order = [*first, *second]
    else:
        order = sorted([*first, *second], key=lambda frame: (frame.time, frame.run))
    async with recording(path, clock) as recorder, reading(path) as history:
        for count, frame in enumerate(order, start=1):
            clock.step_wall(max(0, frame.time - clock.now()))
            await recorder.record(frame, received=clock.now(), late=late)
            if count % 1000 == 0:
                await recorder.maintain()
        await recorder.flush()
        for _ in range(2):
            hours = await history.usage(HOST, START, START + HOUR, "hour")
            for key in (KEY, "net.transmit:eth0", "net.receive:lo"):
                assert total(hours, key) == brute(frames, key)
            assert not any(each.at_least or each.estimated for each in hours)
            found = await history.series(
                SeriesQuery(host=HOST, metric="net.receive_rate", instance="eth0", start=START, end=START + HOUR)
            )
            stats = found.series[0].stats
            assert stats is not None and stats.mean <= stats.max
            await seal_all(recorder, clock)


@pytest.mark.anyio
async def test_an_older_run_that_comes_after_a_newer_one_finds_its_place(tmp_path: Path) -> None:
    clock, path, world = ManualClock(START), tmp_path / "history.db", World()
    frames = world.frames(2000)
    old, new = frames[:900], again(frames[900:], "bb")
    async with recording(path, clock) as recorder, reading(path) as history:
        await put(recorder, clock, new)
        await recorder.flush()
        for frame in old[::-1]:
            await recorder.record(frame, received=clock.now(), late=True)
        await recorder.flush()
        assert total(await history.usage(HOST, START, START + HOUR, "hour")) == brute(frames)
        await seal_all(recorder, clock)
        assert total(await history.usage(HOST, START, START + HOUR, "hour")) == brute(frames)


@pytest.mark.anyio
async def test_an_older_run_that_comes_after_the_newer_one_was_sealed(tmp_path: Path) -> None:
    clock, path, world = ManualClock(START), tmp_path / "history.db", World()
    frames = world.frames(2000)
    first, old, new = frames[:500], frames[500:900], again(frames[900:], "cc")
    world.reboot("boot-2", 30)
    rebooted = world.frames(300)
    async with recording(path, clock) as recorder, reading(path) as history:
        await put(recorder, clock, [*first, *new])
        await seal_all(recorder, clock)
        await put(recorder, clock, rebooted[200:])
        await seal_all(recorder, clock)
        whole = brute([*frames, rebooted[-1]])
        assert total(await history.usage(HOST, START, START + HOUR, "hour")) == whole
        for frame in [*again(old, "bb"), *rebooted[:200]][::-1]:
            await recorder.record(frame, received=clock.now(), late=True)
        for _ in range(2):
            await recorder.flush()
            assert total(await history.usage(HOST, START, START + HOUR, "hour")) == whole
            await recorder.maintain()
        found = await history.series(
            SeriesQuery(host=HOST, metric="net.receive_rate", instance="eth0", start=START, end=START + HOUR, points=1)
        )
        stats = found.series[0].stats
        # One read of each boot has none before it.
        assert stats is not None and stats.count == len(frames) + len(rebooted) - 2


@pytest.mark.parametrize("step", STEPS)
def test_a_step_at_the_end_of_all_dates_is_refused_in_words(step: str) -> None:
    last = 253_402_300_799_000
    try:
        start, end = span_of(last, step, UTC)
    except UsageError as error:
        assert "beyond all dates" in str(error)
    else:
        assert start <= last < end
