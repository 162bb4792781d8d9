"""What is kept beside readings; clocks that jump; limits; many hosts."""

import asyncio
import os
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from store.codec import compress
from store.engine import decode_evidence, encode_evidence
from store.reader import SqliteHistory
from store.retention import Retention
from store.trim import _level
from store.writer import SqliteRecorder
from sysmon.catalogue import Catalogue, counter, gauge, rate
from sysmon.clock import ManualClock
from sysmon.errors import StoreError
from sysmon.frame import Frame, ProcessRow, Tables, TalkerRow
from sysmon.ports import History, Recorder
from sysmon.records import AlertState, Event, Evidence, HostInfo, SeriesQuery
from tests.store.helpers import put, reading, recording, rows, seal_all
from tests.store.worlds import HOST, START, Reads, World, same_points

HOUR = 3_600_000


def event(name: str, time: int, host: str = HOST) -> Event:
    return Event(id=name, time=time, host=host, kind="host.up", message=name, evidence=["who"])


@pytest.mark.anyio
async def test_events_alerts_evidence_and_hosts_are_kept(tmp_path: Path) -> None:
    path = tmp_path / "history.db"
    info = HostInfo(id=HOST, hostname="nas", timezone="Europe/Berlin", cpus=4)
    firing = AlertState(host=HOST, rule="disk-full", key="fs.utilization:/", status="firing", since=START, value=0.93)
    evidence = [
        Evidence(host=HOST, time=START + step, processes=[ProcessRow(pid=step, name="make", cpu=0.5)])
        for step in (0, 60_000)
    ]
    async with recording(path) as recorder:
        await recorder.record_host(info)
        await recorder.record_host(msgspec.structs.replace(info, kernel="6.18"))
        for each in (event("a", START), event("b", START + 5), event("a", START + 9), event("c", START + 1, "other")):
            await recorder.record_event(each)
        await recorder.record_alerts([firing, msgspec.structs.replace(firing, key="fs.utilization:/srv")])
        await recorder.record_alerts([msgspec.structs.replace(firing, status="acknowledged", acknowledged_by="eve")])
        await recorder.record_alerts([msgspec.structs.replace(firing, key="fs.utilization:/srv", status="resolved")])
        for found in evidence:
            await recorder.record_evidence(found)
    async with reading(path) as history:
        assert await history.hosts() == [msgspec.structs.replace(info, kernel="6.18")]
        assert await history.events() == [event("b", START + 5), event("c", START + 1, "other"), event("a", START)]
        assert await history.events(HOST, START + 1) == [event("b", START + 5)]
        assert await history.events(end=START + 5, limit=1) == [event("c", START + 1, "other")]
        assert await history.alerts() == [msgspec.structs.replace(firing, status="acknowledged", acknowledged_by="eve")]
        assert await history.alerts("other") == []
        assert await history.evidence(HOST, START - 1) is None
        assert await history.evidence(HOST, START + 59_999) == evidence[0]
        assert await history.evidence(HOST, START + 60_000 + 600_000) == evidence[1]
        assert await history.evidence(HOST, START + 60_001 + 600_000) is None


def test_evidence_keeps_who_used_the_network_and_old_rows_have_none() -> None:
    talker = TalkerRow(key="7", kind="process", pid=7, name="curl", received=5, receive_rate=2.5)
    found = Evidence(host=HOST, time=START, processes=[ProcessRow(pid=7)], talkers=[talker])
    assert decode_evidence(encode_evidence(found)) == found
    old = compress(msgspec.msgpack.encode({"host": HOST, "time": START, "processes": [{"pid": 7}]}))
    assert decode_evidence(old) == msgspec.structs.replace(found, talkers=[])


@pytest.mark.anyio
async def test_a_moment_carries_the_evidence_before_it(tmp_path: Path) -> None:
    path, clock, world = tmp_path / "history.db", ManualClock(START), World()
    found = Evidence(host=HOST, time=START + 2000, processes=[ProcessRow(pid=1)])
    async with recording(path, clock) as recorder, reading(path) as history:
        frame = msgspec.structs.replace(world.tick(), tables=Tables(processes=[ProcessRow(pid=7)]), cost={"cpu": 0.1})
        await put(recorder, clock, [frame, *world.frames(4)])
        await recorder.record_evidence(found)
        await recorder.flush()
        early, late = await history.moment(HOST, START + 1999), await history.moment(HOST, START + 2000)
        assert early is not None and early.evidence is None
        assert late is not None and late.evidence == found
        kept = (await history.frames(HOST, "aa", 1, 1))[0]
        assert kept == msgspec.structs.replace(frame, tables=Tables(), cost={})


@pytest.mark.anyio
async def test_metrics_that_a_host_brought_are_stored_and_shown(tmp_path: Path) -> None:
    path, clock = tmp_path / "history.db", ManualClock(START)
    brought = [
        msgspec.structs.replace(each, collector="reactor")
        for each in (
            gauge("reactor.temperature", "celsius", "core", precision=1),
            counter("reactor.neutrons", "", "neutrons"),
            rate("reactor.flux", "reactor.neutrons", "/s", "neutrons per second"),
        )
    ]
    frames = [
        Frame(
            host=HOST,
            boot="b",
            run="r",
            seq=seq,
            time=START + seq * 1000,
            monotonic=seq * 10**9,
            readings={"reactor.temperature": 300 + seq / 10, "reactor.neutrons": seq * 7},
            reads={"reactor": seq * 10**9},
        )
        for seq in range(1, 1400)
    ]
    async with recording(path, clock) as recorder:
        await recorder.record_metrics(HOST, brought)
        await put(recorder, clock, frames)
        await recorder.maintain()
    async with (
        recording(path, clock, catalogue=Catalogue()) as recorder,
        reading(path, catalogue=Catalogue()) as history,
    ):
        await recorder.maintain()
        assert await history.keys(HOST) == ["reactor.flux", "reactor.neutrons", "reactor.temperature"]
        for points in (1400, 20):
            for key in ("reactor.temperature", "reactor.flux"):
                found = await history.series(
                    SeriesQuery(host=HOST, metric=key, start=START, end=START + 1200_000, points=points)
                )
                series = found.series[0]
                wanted = Reads(frames, key, Catalogue(brought)).points(START, START + 1200_000, series.step)
                assert not list(same_points(series.points, wanted, sketched=series.step >= 60_000))
        assert (await history.catalogue(HOST)).require("reactor.flux") == brought[2]


@pytest.mark.anyio
async def test_readings_of_unknown_metrics_are_kept(tmp_path: Path) -> None:
    path, clock = tmp_path / "history.db", ManualClock(START)
    frame = Frame(
        host=HOST, boot="b", run="r", seq=1, time=START, monotonic=1, readings={"mystery:x:y": 3, "load.1": 0.5}
    )
    async with recording(path, clock) as recorder, reading(path) as history:
        await put(recorder, clock, [frame])
        await seal_all(recorder, clock)
        assert await history.frames(HOST, "r", 1, 1) == [frame]
        found = await history.series(SeriesQuery(host=HOST, metric="mystery", start=START, end=START + 1000))
        assert (found.series[0].instance, found.series[0].points[0].last) == ("x:y", 3.0)


@pytest.mark.anyio
@pytest.mark.parametrize("jump", [-2 * HOUR, 2 * HOUR, -40_000])
async def test_a_clock_that_jumps_loses_nothing(tmp_path: Path, jump: int) -> None:
    path, clock, world = tmp_path / "history.db", ManualClock(START), World()
    frames = world.frames(900)
    world.time += jump
    frames += world.frames(900)
    async with recording(path, clock) as recorder, reading(path) as history:
        await put(recorder, clock, frames)
        await recorder.flush()
        for _ in range(2):
            for start in (1, 601, 1201):
                assert await history.frames(HOST, "aa", start, start + 599) == frames[start - 1 : start + 599]
            spans = await history.spans()
            assert [(span.first, span.last) for span in spans] == [(1, 1800)]
            after = await history.moment(HOST, frames[-1].time)
            assert after is not None and after.frame.seq == 1800
            clock.step_wall(4 * HOUR)
            await recorder.maintain()
        start, end = min(START, START + jump), frames[-1].time + 2 * HOUR
        usage = await history.usage(HOST, start, end, "day", ["net.receive:eth0"])
        received = [frame.readings["net.receive:eth0"] for frame in frames]
        assert sum(each.bytes for each in usage) == received[-1] - received[0]
        assert rows(path, "SELECT count(*) FROM tail") == [(0,)]


@pytest.mark.anyio
async def test_a_host_whose_clock_is_off_is_kept_under_the_recorders_time(tmp_path: Path) -> None:
    path, clock, world = tmp_path / "history.db", ManualClock(START), World()
    off = 26 * HOUR
    world.time += off
    frames = world.frames(1300)
    async with recording(path, clock) as recorder, reading(path) as history:
        for frame in frames:
            clock.step_wall(frame.time - off - clock.now())
            await recorder.record(frame, received=clock.now())
        await recorder.maintain()
        found = await history.series(
            SeriesQuery(host=HOST, metric="memory.used", start=START, end=START + 1300_000, points=1300)
        )
        assert [point.time for point in found.series[0].points] == [START + 1000 * index for index in range(1300)]
        assert (await history.frames(HOST, "aa", 700, 702)) == frames[699:702]
        moment = await history.moment(HOST, START + 650_000)
        assert moment is not None and (moment.frame.seq, moment.frame.time) == (651, START + 650_000)
        following = await history.moment(HOST, moment.frame.time, 1)
        assert following is not None and following.frame.seq == 652
        events = await history.events(HOST)
        assert [(each.kind, each.value) for each in events] == [("clock", -off / 1000)]
        assert "1 day ahead of the recorder's" in events[0].message


@pytest.mark.anyio
async def test_a_full_queue_slows_the_caller_and_drops_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("store.loop.QUEUE", 8)
    path, clock, world = tmp_path / "history.db", ManualClock(START), World()
    frames = world.frames(300)
    async with recording(path, clock) as recorder, reading(path) as history:
        await asyncio.gather(*(recorder.record(frame, received=frame.time) for frame in frames))
        await recorder.flush()
        assert await history.frames(HOST, "aa", 1, 600) == frames
        assert recorder.notices == []
    with pytest.raises(StoreError, match="has ended"):
        await recorder.record(frames[0], received=START)
    await recorder.close()


@pytest.mark.anyio
async def test_one_bad_piece_of_work_costs_no_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, clock, world = tmp_path / "history.db", ManualClock(START), World()
    frames = world.frames(3)
    bad = msgspec.structs.replace(frames[1], readings={"load.1": 1.0, "lone:\ud800": 2})
    async with recording(path, clock) as recorder, reading(path) as history:
        await put(recorder, clock, [frames[0], bad, frames[2]])
        await recorder.flush()
        assert [frame.seq for frame in await history.frames(HOST, "aa", 1, 9)] == [1, 3]
        assert "could not be recorded" in recorder.notices[0]
        assert recorder.problem == ""
        with pytest.raises(StoreError, match="seq"):
            await recorder.record(msgspec.structs.replace(frames[0], seq=2**40), received=START)


@pytest.mark.anyio
async def test_age_trims_readings_then_minutes_then_quarters(tmp_path: Path) -> None:
    path, clock, world = tmp_path / "history.db", ManualClock(START), World()
    world.spacing = 120
    kept = Retention(raw=6 * 3600, minute=40 * 3600, quarter=60 * 3600, evidence=10 * 3600, events=20 * 3600, free=0.0)
    frames = world.frames(80 * 30)
    end = START + 80 * HOUR
    async with recording(path, clock, retention=kept) as recorder, reading(path) as history:
        await recorder.record_event(event("old", START))
        await recorder.record_evidence(Evidence(host=HOST, time=START, processes=[]))
        for start in range(0, len(frames), 300):
            await put(recorder, clock, frames[start : start + 300])
            await recorder.maintain()
        clock.step_wall(120_000)
        await recorder.maintain()
        assert await history.events() == []
        assert await history.evidence(HOST, START) is None
        spans = await history.spans()
        assert end - 6 * HOUR - 600_000 <= spans[0].start <= end - 6 * HOUR
        minute, quarter = (
            int(str(rows(path, f"SELECT min(page) FROM rollup WHERE tier = {tier}")[0][0])) * length
            for tier, length in ((60_000, HOUR), (900_000, 12 * HOUR))
        )
        assert end - 41 * HOUR <= minute <= end - 39 * HOUR
        assert end - 84 * HOUR <= quarter <= end - 60 * HOUR
        usage = await history.usage(HOST, START, end, "day", ["net.receive:eth0"])
        received = [frame.readings["net.receive:eth0"] for frame in frames]
        assert sum(each.bytes for each in usage) == received[-1] - received[0]
        late = msgspec.structs.replace(frames[5], run="never seen before")
        await recorder.record(late, received=clock.now(), late=True)
        await recorder.flush()
        assert await history.frames(HOST, late.run, 1, 99) == []


@pytest.mark.anyio
@pytest.mark.parametrize("short_disk", [False, True])
async def test_size_trims_the_oldest_readings_first_and_gives_the_space_back(tmp_path: Path, short_disk: bool) -> None:
    path, clock, world = tmp_path / "history.db", ManualClock(START), World()
    world.spacing = 2
    frames = world.frames(4 * 1800)
    end = START + 4 * HOUR
    async with recording(path, clock) as recorder:
        await put(recorder, clock, frames)
        await recorder.maintain()
    budget = os.stat(path).st_size * 7 // 10
    # No disk is wholly free: the file shrinks, but no further than to `least`.
    limited = Retention(free=1.0, least=budget) if short_disk else Retention(free=0.0, size=budget)
    async with recording(path, clock, retention=limited) as recorder, reading(path) as history:
        await recorder.maintain()
        spans = await history.spans()
        assert 1 < spans[0].first < len(frames) // 2 and spans[0].last == len(frames)
        found = await history.series(SeriesQuery(host=HOST, metric="cpu.utilization", start=START, end=end, points=240))
        assert len(found.series[0].points) == 240
        received = [frame.readings["net.receive:eth0"] for frame in frames]
        usage = await history.usage(HOST, START, end, "day", ["net.receive:eth0"])
        assert sum(each.bytes for each in usage) == received[-1] - received[0]
    assert os.stat(path).st_size <= budget * 1.05
    assert rows(path, "PRAGMA integrity_check") == [("ok",)]


@pytest.mark.anyio
async def test_a_host_that_tells_without_end_costs_neither_the_file_nor_what_others_told(tmp_path: Path) -> None:
    path, clock = tmp_path / "history.db", ManualClock(START)
    limited = Retention(free=0.0, size=4 << 20)
    async with recording(path, clock, retention=limited) as recorder, reading(path) as history:
        for number in range(20):
            await recorder.record_event(event(f"quiet{number}", START + number, "quiet"))
        for number in range(3_000):
            await recorder.record_event(
                msgspec.structs.replace(event(f"loud{number}", START + number, "loud"), message="m" * 1000)
            )
        clock.step_wall(120_000)
        await recorder.maintain()
        assert len(await history.events("quiet", limit=10_000)) == 20
        loud = await history.events("loud", limit=10_000)
        # The newest are kept, as many as an eighth of the file has room for.
        assert loud[0].id == "loud2999"
        assert 200 < len(loud) < 500
        again = [each.id for each in await history.events(limit=10_000)]
        await recorder.maintain()
        assert [each.id for each in await history.events(limit=10_000)] == again


@given(st.lists(st.integers(0, 50), max_size=8), st.integers(0, 200))
def test_the_greatest_are_cut_until_all_fit(sizes: list[int], room: int) -> None:
    level = _level(sizes, room)
    if sum(sizes) <= room:
        assert level == max(sizes, default=0)
    else:
        assert sum(min(size, level) for size in sizes) <= room
        assert sum(min(size, level + 1) for size in sizes) > room


@pytest.mark.anyio
async def test_many_hosts_share_one_file(tmp_path: Path) -> None:
    path, clock = tmp_path / "history.db", ManualClock(START)
    worlds = [World(seed, host=f"{seed:016x}", run=f"run{seed}") for seed in range(12)]
    async with recording(path, clock) as recorder, reading(path) as history:
        for _ in range(700):
            for world in worlds:
                await recorder.record(world.tick(), received=clock.now())
            clock.step_wall(1000)
        await recorder.maintain()
        assert len(await history.spans()) == 12
        for seed in (0, 11):
            again = World(seed, host=f"{seed:016x}", run=f"run{seed}").frames(700)
            assert await history.frames(again[0].host, f"run{seed}", 500, 700) == again[499:]


def as_ports(recorder: SqliteRecorder, history: SqliteHistory) -> tuple[Recorder, History]:
    """For the type checker: both are what the rest of the program asks for."""
    return recorder, history


@pytest.mark.anyio
async def test_series_that_come_and_go_leave_no_layouts_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("store.trim._MANY_LAYOUTS", 20)
    path, clock, world = tmp_path / "history.db", ManualClock(START), World()
    frames = []
    for number in range(120):
        world.interfaces = ["eth0", f"veth{number}"]
        frames += world.frames(10)
    async with recording(path, clock) as recorder, reading(path) as history:
        await put(recorder, clock, frames)
        await recorder.flush()
        assert int(str(rows(path, "SELECT count(*) FROM layout")[0][0])) > 100
        await seal_all(recorder, clock)
        assert int(str(rows(path, "SELECT count(*) FROM layout")[0][0])) < 40
        await put(recorder, clock, world.frames(5))
        await recorder.flush()
        assert await history.frames(HOST, "aa", 1, 600) == frames[:600]
        assert len(await history.frames(HOST, "aa", 1190, 1205)) == 16


@pytest.mark.anyio
@pytest.mark.parametrize("off", [26 * HOUR, -26 * HOUR])
async def test_late_frames_of_a_run_never_heard_live_go_by_the_offset_known_of_its_host(
    tmp_path: Path, off: int
) -> None:
    path, clock, world = tmp_path / "history.db", ManualClock(START), World()
    world.time += off
    live = world.frames(100)
    missed = [msgspec.structs.replace(frame, run="bb", seq=seq) for seq, frame in enumerate(world.frames(100), 1)]
    again = [msgspec.structs.replace(frame, run="cc", seq=seq) for seq, frame in enumerate(world.frames(100), 1)]
    async with recording(path, clock) as recorder, reading(path) as history:
        for frame in (*live, *again):
            clock.step_wall(frame.time - off - clock.now())
            await recorder.record(frame, received=clock.now())
        clock.step_wall(1000_000)
        for frame in reversed(missed):
            await recorder.record(frame, received=clock.now(), late=True)
        await recorder.flush()
        spans = {span.run: (span.start - START, span.end - START) for span in await history.spans(HOST)}
        assert spans == {"aa": (0, 99_000), "bb": (100_000, 199_000), "cc": (200_000, 299_000)}
        assert len(await history.events(HOST)) == 1


@pytest.mark.anyio
async def test_a_clock_that_jumps_with_every_frame_is_told_a_few_times_and_kept_in_its_place(tmp_path: Path) -> None:
    path, clock, world = tmp_path / "history.db", ManualClock(START), World()
    frames = [
        msgspec.structs.replace(frame, time=frame.time + (index % 3) * 86_400_000)
        for index, frame in enumerate(world.frames(1300))
    ]
    async with recording(path, clock) as recorder, reading(path) as history:
        for index, frame in enumerate(frames):
            clock.step_wall(START + 1000 * index - clock.now())
            await recorder.record(frame, received=clock.now())
        await recorder.flush()
        assert len(await history.events(HOST, limit=10_000)) <= 3
        spans = await history.spans(HOST)
        assert min(span.start for span in spans) == START
        assert max(span.end for span in spans) <= START + 1300 * 1000
