import asyncio
import contextlib
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from collectors._slots import METRICS
from collectors.base import Collector, Reading, Roots
from collectors.identity import Identity
from collectors.registry import build, catalogue
from collectors.runner import Runner
from sysmon.catalogue import Catalogue, Metric, counter, gauge, rate
from sysmon.clock import ManualClock
from sysmon.derive import State
from sysmon.errors import Unsupported
from sysmon.frame import Fault, Frame, ProcessRow, Tables
from sysmon.records import Event, HostInfo, Update

SECOND = 1_000_000_000
IDENTITY = Identity(HostInfo(id="00112233aabbccdd", hostname="box"), "boot-1")
Read = Callable[[], Reading]


def fake(name: str, read: Read, metrics: tuple[Metric, ...] = (), **attributes: object) -> Collector:
    """A collector made of a function."""
    metrics = metrics or (gauge(f"{name}.value", "", "A value", precision=2),)
    body = {"name": name, "metrics": metrics, "read": lambda _: read(), **attributes}
    made: type[Collector] = type(name, (Collector,), body)
    return made(Roots())


def value(name: str, number: float = 1) -> Read:
    return lambda: Reading({f"{name}.value": number})


class Counting:
    """A read that counts its calls and does what it is told."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.calls = 0
        self.error: BaseException | None = None

    def __call__(self) -> Reading:
        self.calls += 1
        if self.error is not None:
            raise self.error
        return Reading({f"{self.name}.value": self.calls})


class Hanging(Counting):
    """A read that hangs while its gate is shut."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.gate = threading.Event()

    def __call__(self) -> Reading:
        reading = super().__call__()
        self.gate.wait(30)
        return reading


class Sleeper(ManualClock):
    """A manual clock whose machine can be suspended, or so busy that sleepers wake late."""

    late = 0.0

    def suspend(self, seconds: float) -> None:
        self._shift(int(seconds * SECOND))

    async def sleep(self, seconds: float) -> None:
        await super().sleep(seconds + self.late)


class Run:
    """A runner under a manual clock, and what it has yielded."""

    def __init__(
        self, *collectors: Collector, clock: Sleeper | None = None, grace: float = 0.0, **more: object
    ) -> None:
        self.clock = clock or Sleeper()
        known = Catalogue([*METRICS, *(metric for each in collectors for metric in each.metrics)])
        self.runner = Runner(collectors, known, IDENTITY, self.clock, grace=grace, **more)  # type: ignore[arg-type]
        self.updates: list[Update] = []
        self.frames: list[Frame] = []
        self.changed = asyncio.Event()
        self.task: asyncio.Task[None] | None = None

    async def consume(self) -> None:
        async for update in self.runner.updates():
            self.updates.append(update)
            if isinstance(update, Frame):
                self.frames.append(update)
            self.changed.set()

    async def pass_seconds(self, seconds: float) -> list[Frame]:
        """Lets time pass; returns the frames that came."""
        before = len(self.frames)
        while seconds > 0:
            await self.clock.advance(min(1.0, seconds))
            seconds -= 1.0
        return self.frames[before:]

    async def until(self, number: int) -> Frame:
        """Waits, without moving the clock, until there are so many frames."""
        while len(self.frames) < number:
            self.changed.clear()
            await asyncio.wait_for(self.changed.wait(), 5)
        return self.frames[number - 1]

    async def settled(self, condition: Callable[[], bool]) -> None:
        """Waits in real time for what a thread does."""
        async with asyncio.timeout(5):
            while not condition():  # noqa: ASYNC110
                await asyncio.sleep(0.001)  # a thread's doings raise no event here


@contextlib.asynccontextmanager
async def running(*collectors: Collector, **more: object) -> AsyncIterator[Run]:
    run = Run(*collectors, **more)  # type: ignore[arg-type]
    run.task = asyncio.create_task(run.consume())
    await run.clock.advance(0)
    try:
        yield run
    finally:
        await run.runner.close()
        await asyncio.wait_for(run.task, 5)


@pytest.mark.anyio
async def test_host_comes_first_then_a_full_frame_at_once() -> None:
    async with running(fake("a", value("a")), clock=Sleeper(now=1_700_000_000_300)) as run:
        assert run.updates[0] == IDENTITY.info
        first = run.frames[0]
        assert (first.seq, first.full, first.time, first.host, first.boot) == (
            1, True, 1_700_000_000_000, IDENTITY.host, "boot-1",
        )  # fmt: skip
        assert first.readings == {"a.value": 1, "sysmon.ticks.missed": 0}
        assert first.intervals == {"a": 1.0, "runner": 60.0}
        assert first.cost.keys() == {"a", "runner"}
        assert len(first.run) == 16


@pytest.mark.anyio
async def test_ticks_on_whole_seconds_without_drift() -> None:
    clock = Sleeper(now=1_700_000_000_300)
    clock.late = 0.004
    async with running(fake("a", value("a")), clock=clock) as run:
        await run.pass_seconds(100)
        times = [frame.time for frame in run.frames]
        assert times == list(range(1_700_000_000_000, 1_700_000_101_000, 1000))
        lateness = [
            frame.monotonic - run.frames[1].monotonic - (seq * SECOND) for seq, frame in enumerate(run.frames[1:])
        ]
        assert max(map(abs, lateness)) <= 1_000_000
        assert [frame.seq for frame in run.frames] == list(range(1, 102))
        assert run.runner.missed == 0


@pytest.mark.anyio
async def test_slept_through_ticks_are_skipped_and_counted() -> None:
    async with running(fake("a", value("a"))) as run:
        await run.pass_seconds(3)
        run.clock.suspend(3600.2)
        frames = await run.pass_seconds(3)
        first = run.frames[0].time
        # Awake 200 ms after a tick: it is taken at once, 3599 before it are gone.
        assert [frame.time - first for frame in frames] == [3_603_000, 3_604_000, 3_605_000, 3_606_000]
        assert [frame.seq for frame in frames] == [5, 6, 7, 8]
        assert run.runner.missed == 3599
        assert frames[0].readings["sysmon.ticks.missed"] == run.runner.missed
        assert not any(isinstance(update, Event) for update in run.updates)
        assert frames[0].full


@pytest.mark.anyio
async def test_slow_reader_loses_ticks_but_no_frame() -> None:
    run = Run(fake("a", value("a")))
    updates = run.runner.updates()
    assert await anext(updates) == IDENTITY.info
    first = await anext(updates)
    await run.clock.advance(5.1)
    second = await anext(updates)
    assert isinstance(first, Frame) and isinstance(second, Frame)
    assert (second.seq, second.time - first.time) == (2, 5000)
    assert run.runner.missed == 4
    await run.runner.close()
    assert [update async for update in updates] == []


@pytest.mark.anyio
@pytest.mark.parametrize("step", [3_600_300, -3_600_300, 700, -700, 2_000, -86_400_000])
async def test_wall_clock_that_is_set_neither_stalls_nor_spins(step: int) -> None:
    async with running(fake("a", value("a"))) as run:
        await run.pass_seconds(3.25)
        run.clock.step_wall(step)
        frames = await run.pass_seconds(10)
        assert 9 <= len(frames) <= 11
        assert all(frame.time % 1000 == 0 for frame in frames)
        assert abs(frames[-1].time - run.clock.now()) < 1500
        assert run.runner.missed == 0
        events = [update for update in run.updates if isinstance(update, Event)]
        assert len(events) == (abs(step) >= 2000)
        if events:
            assert events[0].kind == "clock" and events[0].value == pytest.approx(step / 1000)
            assert ("forward" if step > 0 else "back") in events[0].message


@given(st.lists(st.tuples(st.floats(0.05, 4), st.integers(-5000, 5000)), max_size=8), st.integers(0, 999))
@settings(max_examples=40)
def test_no_course_of_clocks_gives_slivers_or_stalls(course: list[tuple[float, int]], start: int) -> None:
    async def follow() -> list[Frame]:
        async with running(fake("a", value("a")), clock=Sleeper(now=1_700_000_000_000 + start)) as run:
            for seconds, step in course:
                await run.clock.advance(seconds)
                run.clock.step_wall(step)
            await run.clock.advance(3)
            return run.frames

    frames = asyncio.run(follow())
    gaps = [(after.monotonic - before.monotonic) / SECOND for before, after in pairwise(frames)]
    # A step between waking and sleeping can only lengthen a wait by what it took away: two seconds at most.
    assert all(0.49 <= gap <= 2.51 for gap in gaps)
    assert all(frame.time % 1000 == 0 for frame in frames)
    assert [frame.seq for frame in frames] == list(range(1, len(frames) + 1))


@pytest.mark.anyio
async def test_slow_collectors_keep_their_pace_in_different_ticks() -> None:
    slow = [fake(f"s{number}", value(f"s{number}"), interval=5.0) for number in range(5)]
    async with running(fake("a", value("a")), *slow) as run:
        frames = await run.pass_seconds(50)
        assert len(run.frames[0].reads) == 7
        steady = frames[5:]
        assert all(len([name for name in frame.reads if name != "a"]) == 1 for frame in steady)
        for collector in slow:
            ticks = [frame.time // 1000 for frame in steady if collector.name in frame.reads]
            assert {after - before for before, after in pairwise(ticks)} == {5}


@pytest.mark.anyio
async def test_failing_collector_backs_off_and_comes_back_by_itself() -> None:
    read = Counting("bad")
    read.error = Unsupported("no such thing", "buy one")
    async with running(fake("good", value("good")), fake("bad", read)) as run:
        assert run.frames[0].faults == [Fault("bad", "unsupported", "no such thing", "buy one")]
        frames = await run.pass_seconds(62)
        attempts = [number for number, frame in enumerate(frames, 1) if "bad" in frame.cost]
        assert attempts == [2, 6, 14, 30, 62]
        assert all("good.value" in frame.readings for frame in frames)
        assert frames[59].full and frames[59].faults == run.frames[0].faults
        read.error = None
        frames = await run.pass_seconds(70)
        back = next(frame for frame in frames if "bad" in frame.reads)
        assert back.faults == [] and back.readings["bad.value"] == read.calls - frames.index(frames[-1]) + frames.index(
            back
        )
        assert "bad" in frames[-1].reads


@pytest.mark.anyio
async def test_back_off_ends_at_five_minutes() -> None:
    read = Counting("bad")
    read.error = ValueError("broken")
    async with running(fake("bad", read)) as run:
        await run.pass_seconds(1200)
        attempts = [frame.time // 1000 for frame in run.frames if "bad" in frame.cost]
        assert [after - before for before, after in pairwise(attempts)][-2:] == [300, 300]
        assert all(fault.kind == "failed" and "broken" in fault.message for fault in run.frames[0].faults)


@pytest.mark.anyio
async def test_hung_collector_delays_nobody_is_not_asked_again_and_comes_back() -> None:
    read = Hanging("hung")
    async with running(fake("good", value("good")), fake("hung", read, blocking=True, deadline=3.0)) as run:
        frames = await run.pass_seconds(8)
        assert [frame.time for frame in frames] == [run.frames[0].time + 1000 * number for number in range(1, 9)]
        assert all("good.value" in frame.readings and "hung.value" not in frame.readings for frame in frames)
        told = [(number, fault) for number, frame in enumerate(frames, 1) for fault in frame.faults]
        assert [(number, fault.kind) for number, fault in told] == [(3, "timeout")]
        assert "no answer within 3 s" in told[0][1].message
        await run.pass_seconds(300)
        assert read.calls == 1
        read.gate.set()
        slot = run.runner._slots["hung"]
        await run.settled(lambda: not slot.busy)
        await run.pass_seconds(1)
        await run.settled(lambda: read.calls == 2 and not slot.busy)
        frames = await run.pass_seconds(1)
        assert frames[0].readings["hung.value"] == 2 and frames[0].faults == []


@pytest.mark.anyio
async def test_ready_within_grace_is_in_the_frame_of_its_tick() -> None:
    read = Hanging("b")
    read.gate.set()
    async with running(fake("a", value("a")), fake("b", read, blocking=True), grace=0.2) as run:
        first = await run.until(1)
        assert first.readings["b.value"] == 1 and first.reads["b"] == first.monotonic
        await run.clock.advance(1)
        second = await run.until(2)
        assert second.readings["b.value"] == 2 and second.reads["b"] == second.monotonic


@pytest.mark.anyio
async def test_late_read_is_in_the_next_frame_stamped_with_the_tick_that_asked() -> None:
    read = Hanging("b")
    async with running(fake("a", value("a")), fake("b", read, blocking=True, interval=10.0), grace=0.2) as run:
        assert run.frames == []
        await run.clock.advance(0.2)
        first = await run.until(1)
        assert "b" not in first.reads and "a" in first.reads
        read.gate.set()
        await run.settled(lambda: bool(run.runner._arrived))
        await run.clock.advance(0.8)
        second = await run.until(2)
        assert second.readings["b.value"] == 1
        assert second.reads == {"a": second.monotonic, "b": first.monotonic}
        assert second.time - first.time == 1000


@pytest.mark.anyio
async def test_collector_known_to_be_slow_is_not_waited_for() -> None:
    read = Hanging("b")
    async with running(fake("a", value("a")), fake("b", read, blocking=True), grace=0.2) as run:
        await run.clock.advance(0.2)
        run.runner._slots["b"].cost = 1.0
        read.gate.set()
        await run.settled(lambda: bool(run.runner._arrived))
        run.runner._arrived[0] = (*run.runner._arrived[0][:2], 1.0)
        read.gate.clear()
        await run.clock.advance(0.8)
        assert (await run.until(2)).readings["b.value"] == 1
        read.gate.set()


@pytest.mark.anyio
async def test_full_frames_are_the_fold_of_the_sparse_ones() -> None:
    rows = [ProcessRow(pid=1, started=0.0, name="init")]
    bad = Counting("bad")

    def table() -> Reading:
        return Reading({"t.value": 1}, Tables(processes=list(rows)))

    async with running(
        fake("a", Counting("a")),
        fake("slow", Counting("slow"), interval=30.0),
        fake("bad", bad),
        fake("t", table, interval=20.0),
    ) as run:
        state = State(run.runner.catalogue)
        fulls = 0
        for second in range(190):
            if second == 100:
                bad.error = Unsupported("gone")
            for frame in await run.pass_seconds(1):
                state.apply(frame)
                whole = state.full()
                if frame.full and fulls:
                    assert whole is not None
                    assert (frame.readings, frame.reads) == (whole.readings, whole.reads)
                    assert (frame.faults, frame.tables, frame.intervals) == (
                        whole.faults,
                        whole.tables,
                        whole.intervals,
                    )
                fulls += frame.full
        assert fulls == 3
        assert [frame.seq for frame in run.frames] == list(range(1, 192))
        assert "bad.value" not in run.frames[180].readings


@pytest.mark.anyio
@pytest.mark.parametrize("blocking", [False, True])
async def test_only_exceptions_become_faults(blocking: bool) -> None:
    read = Counting("a")
    read.error = SystemExit(3)
    run = Run(fake("a", read, blocking=blocking), grace=0.2)
    updates = run.runner.updates()
    await anext(updates)
    with pytest.raises(SystemExit):
        await anext(updates)


@pytest.mark.anyio
async def test_what_is_no_finite_number_is_left_out_and_told() -> None:
    def read() -> Reading:
        odd: dict[str, Any] = {"nan": float("nan"), "inf": float("inf"), "none": None, "bool": True, "big": 1 << 64}
        return Reading({"a.value": 1.005} | {f"a.value:{name}": number for name, number in odd.items()})

    async with running(fake("a", read)) as run:
        frame = run.frames[0]
        assert [key for key in frame.readings if key.startswith("a.")] == ["a.value"]
        assert len(frame.faults) == 5 and all("not a finite number" in fault.message for fault in frame.faults)
        assert frame.reads["a"] == frame.monotonic


@given(st.lists(st.floats(-1e15, 1e15), min_size=1, max_size=5))
def test_gauges_are_rounded_as_the_catalogue_says(numbers: list[float]) -> None:
    metrics = (
        gauge("a.p0", "", ""),
        gauge("a.p3", "", "", precision=3),
        counter("a.c", "seconds", ""),
        counter("a.c3", "", "", precision=3),
    )
    read = Reading({f"{metric.name}:{index}": number for metric in metrics for index, number in enumerate(numbers)})
    given_values = dict(read.values)
    collector = fake("a", lambda: read, metrics)
    runner = Runner([collector], Catalogue(collector.metrics), IDENTITY)
    runner._rounding.settle("a", read)
    wanted = {key: Catalogue(collector.metrics).rounded(key, number) for key, number in given_values.items()}
    assert read.values == wanted
    assert {key: type(number) for key, number in read.values.items()} == {
        key: type(number) for key, number in wanted.items()
    }


@pytest.mark.anyio
async def test_expensive_collector_is_read_while_somebody_looks() -> None:
    read = Counting("p")
    async with running(fake("p", read, expensive=True), fake("a", value("a"))) as run:
        await run.pass_seconds(95)
        assert read.calls == 4
        with run.runner.watch("p"), run.runner.watch("p", 5.0), run.runner.watch("nothing"):
            frames = await run.pass_seconds(10)
            assert read.calls == 14
            assert frames[0].intervals["p"] == 1.0
        read.calls = 0
        frames = await run.pass_seconds(61)
        assert frames[0].intervals["p"] == 30.0
        assert 2 <= read.calls <= 3


@pytest.mark.anyio
async def test_interval_can_be_changed() -> None:
    read = Counting("a")
    async with running(fake("a", read, interval=10.0), intervals={"a": 4.0}) as run:
        await run.pass_seconds(40)
        assert read.calls == 11
        run.runner.set_interval("a", 1.0)
        assert run.runner.intervals["a"] == 1.0
        await run.pass_seconds(10)
        assert read.calls == 21
        with pytest.raises(KeyError):
            run.runner.set_interval("nothing", 1.0)


@pytest.mark.anyio
async def test_source_keeps_a_pace_of_its_own() -> None:
    wanted: list[float | None] = [5.0]
    read = Counting("a")

    def paced() -> Reading:
        reading = read()
        reading.interval = wanted[0]
        return reading

    async with running(fake("a", paced, interval=2.0)) as run:
        frames = await run.pass_seconds(20)
        assert read.calls == 5 and run.runner.intervals["a"] == 5.0
        assert [frame.intervals["a"] for frame in frames if frame.intervals] == []
        assert run.frames[0].intervals["a"] == 5.0
        # Slowed on purpose, it is not read more often than that.
        run.runner.set_interval("a", 10.0)
        await run.pass_seconds(20)
        assert read.calls == 8 and run.runner.intervals["a"] == 10.0
        run.runner.set_interval("a", 2.0)
        wanted[0] = None
        await run.pass_seconds(10)
        assert run.runner.intervals["a"] == 2.0


@pytest.mark.anyio
async def test_reading_of_before_tells_nothing_and_grows_old() -> None:
    given = Reading({"a.value": 1})
    readings = iter([given, given, given, Reading({"a.value": 2})])
    async with running(fake("a", lambda: next(readings)), fake("b", value("b"))) as run:
        await run.pass_seconds(3)
        assert [(frame.readings.get("a.value"), "a" in frame.reads) for frame in run.frames] == [
            (1, True),
            (None, False),
            (None, False),
            (2, True),
        ]
        state = State(run.runner.catalogue)
        for frame in run.frames[:3]:
            state.apply(frame)
        assert state.reads["a"] == run.frames[0].monotonic


@pytest.mark.anyio
async def test_tick_with_nothing_to_tell_uses_no_number() -> None:
    async with running(fake("a", value("a"), interval=10.0)) as run:
        await run.pass_seconds(40)
        assert [frame.seq for frame in run.frames] == list(range(1, len(run.frames) + 1))
        assert len(run.frames) == 5


@pytest.mark.anyio
async def test_faults_of_missing_collectors_are_in_full_frames() -> None:
    missing = Fault("gone", "failed", "cannot be imported")
    async with running(fake("a", value("a")), faults=[missing]) as run:
        await run.pass_seconds(60)
        assert [frame.seq for frame in run.frames if missing in frame.faults] == [1, 61]


@pytest.mark.anyio
async def test_cancelling_the_reader_is_not_swallowed() -> None:
    run = Run(fake("a", value("a")))
    task = asyncio.create_task(run.consume())
    await run.clock.advance(1)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


@pytest.mark.anyio
async def test_once_has_rates_and_tells_what_did_not_answer() -> None:
    hung = Hanging("hung")
    total = iter(range(0, 1000, 100))
    metrics = (counter("n.total", "bytes", ""), rate("n.rate", "n.total", "bytes/s", ""))
    collectors = [
        fake("n", lambda: Reading({"n.total": next(total)}), metrics),
        fake("hung", hung, blocking=True),
        fake("quick", value("quick"), blocking=True, interval=60.0),
    ]
    known = Catalogue([*METRICS, *(metric for each in collectors for metric in each.metrics)])
    began = time.monotonic()
    state = await Runner(collectors, known, IDENTITY, grace=0.02).once(0.2)
    assert 0.2 < time.monotonic() - began < 3
    assert 100 < state.derived()["n.rate"] < 600
    assert state.readings["quick.value"] == 1
    assert [(fault.collector, fault.kind) for fault in state.faults] == [("hung", "timeout")]
    hung.gate.set()


@pytest.mark.anyio
async def test_real_collectors_on_the_real_clock() -> None:
    made, faults = build(Roots())
    assert faults == []
    runner = Runner(made, catalogue(), IDENTITY)
    frames: list[Frame] = []
    delays: list[int] = []
    async for update in runner.updates():
        if isinstance(update, Frame):
            frames.append(update)
            delays.append(time.time_ns() // 1_000_000 - update.time)
            if len(frames) == 3:
                await runner.close()
    assert frames[2].time - frames[1].time == 1000
    assert all(0 <= delay < 900 for delay in delays[1:])
    assert {"cpu", "memory"} <= frames[1].reads.keys()
    assert runner.missed == 0


def test_process_with_a_hung_read_ends_at_once() -> None:
    program = """
import asyncio, time
from collectors.base import Collector, Roots
from collectors.identity import Identity
from collectors.runner import Runner
from sysmon.catalogue import Catalogue
from sysmon.records import HostInfo
class Hung(Collector):
    name = "hung"
    blocking = True
    def read(self):
        time.sleep(60)
async def main():
    runner = Runner([Hung(Roots())], Catalogue(), Identity(HostInfo(id="0"), "b"), grace=0.01)
    async for update in runner.updates():
        if not isinstance(update, HostInfo):
            await runner.close()
asyncio.run(main())
print("done")
"""
    root = Path(__file__).parent.parent.parent
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=20, cwd=root)
    assert (done.stdout, done.stderr, done.returncode) == ("done\n", "", 0)


@pytest.mark.anyio
async def test_ticks_that_another_sets() -> None:
    clock = ManualClock(boottime=5 * SECOND)
    often, seldom, blocking = Counting("a"), Counting("b"), Counting("c")
    collectors = [fake("a", often), fake("b", seldom, interval=5.0), fake("c", blocking, blocking=True)]
    metrics = [*METRICS, *(metric for each in collectors for metric in each.metrics)]
    runner = Runner(collectors, Catalogue(metrics), IDENTITY, clock, inline=True)
    assert runner.due(0) == ["a", "b", "c"]
    first = await runner.step(60_000, 0)
    assert first is not None
    assert (first.seq, first.time, first.monotonic, first.full) == (1, 60_000, 5 * SECOND, True)
    assert first.readings["c.value"] == 1
    assert not any(thread.name == "sysmon-c" for thread in threading.enumerate())
    clock._boottime = 6 * SECOND + 17
    second = await runner.step(61_000, 1)
    assert second is not None
    assert (second.seq, second.time, second.monotonic) == (2, 61_000, 6 * SECOND + 17)
    assert runner.due(2) == ["a", "c"] and runner.due(6) == ["a", "b", "c"]
    late = await runner.step(70_000, 10)
    assert late is not None and late.seq == 3 and (often.calls, seldom.calls) == (3, 3)
    assert late.readings["sysmon.ticks.missed"] == 8
