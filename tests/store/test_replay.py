"""What was recorded comes back: frames, states, moments, spans."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from store.access import SEQ_MASK
from store.blocks import block_of_tail, decode_group, decode_head, encode_group, encode_head, unseal_group
from store.tail import Splitter, encode_row
from sysmon.clock import ManualClock
from sysmon.derive import State, derive
from sysmon.frame import Fault, Frame, Number
from tests.store.helpers import finished, put, reading, recording, seal_all
from tests.store.worlds import CATALOGUE, HOST, START, World


@pytest.mark.anyio
@pytest.mark.parametrize("sealed", [False, True])
async def test_frames_come_back_as_recorded(tmp_path: Path, sealed: bool) -> None:
    clock, path, world = ManualClock(START), tmp_path / "history.db", World()
    frames = world.frames(700)
    world.interfaces.append("wg0")
    frames += world.frames(300)
    world.interfaces.remove("eth0")
    frames += world.frames(500)
    async with recording(path, clock) as recorder, reading(path) as history:
        await put(recorder, clock, frames)
        await recorder.flush()
        if sealed:
            await seal_all(recorder, clock)
        found: list[Frame] = []
        while len(found) < len(frames):
            found += await history.frames(HOST, "aa", len(found) + 1, len(frames))
        assert found == frames
        assert [{key: type(value) for key, value in each.readings.items()} for each in found] == [
            {key: type(value) for key, value in each.readings.items()} for each in frames
        ]
        assert len(await history.frames(HOST, "aa", 1, 10_000)) == 600
        spans = await history.spans()
        assert [(span.first, span.last, span.start, span.end) for span in spans] == [
            (1, 1500, START, START + 1_499_000)
        ]


@pytest.mark.anyio
async def test_derive_over_replayed_frames_equals_live(tmp_path: Path) -> None:
    clock, path, world = ManualClock(START), tmp_path / "history.db", World(7)
    frames = world.frames(1300)
    state = State(CATALOGUE)
    live = []
    for frame in frames:
        state.apply(frame)
        live.append((dict(state.derived()), state.readings))
    async with recording(path, clock) as recorder, reading(path) as history:
        await put(recorder, clock, frames)
        await recorder.maintain()
        replayed = State(CATALOGUE)
        for start in range(1, 1301, 600):
            for frame in await history.frames(HOST, "aa", start, start + 599):
                replayed.apply(frame)
                assert (replayed.derived(), replayed.readings) == live[frame.seq - 1]


@pytest.mark.anyio
async def test_moments_are_full_states_across_blocks_and_the_tail(tmp_path: Path) -> None:
    clock, path, world = ManualClock(START), tmp_path / "history.db", World(3)
    frames = world.frames(1900)
    states = []
    state = State(CATALOGUE)
    for frame in frames:
        state.apply(frame)
        full = state.full()
        assert full is not None
        states.append(full)
    async with recording(path, clock) as recorder, reading(path) as history:
        await put(recorder, clock, frames)
        await recorder.maintain()
        for index in (1, 59, 60, 61, 599, 600, 601, 1199, 1200, 1234, 1799, 1801, 1899):
            at = frames[index].time
            for time, step in ((at, 0), (at + 999, 0), (at - 1, 1), (at + 1, -1)):
                moment = await history.moment(HOST, time, step)
                assert moment is not None and moment.previous is not None
                assert moment.frame.seq == frames[index].seq
                assert moment.frame.full
                assert moment.frame.readings == states[index].readings
                assert moment.previous.seq == index
                rates = derive(moment.previous, moment.frame, CATALOGUE)
                assert (
                    rates["net.receive_rate:eth0"]
                    == derive(states[index - 1], states[index], CATALOGUE)["net.receive_rate:eth0"]
                )
        assert await history.moment(HOST, START - 1) is None
        assert await history.moment(HOST, frames[-1].time, 1) is None
        assert await history.moment(HOST, START, -1) is None
        first = await history.moment(HOST, START)
        assert first is not None and first.previous is None
        assert await history.moment("nobody", START) is None


@pytest.mark.anyio
async def test_stepping_crosses_reboots_and_holes(tmp_path: Path) -> None:
    clock, path, world = ManualClock(START), tmp_path / "history.db", World(3)
    before = world.frames(100)
    world.reboot("boot-2", 3600)
    after = world.frames(100)
    async with recording(path, clock) as recorder, reading(path) as history:
        await put(recorder, clock, [*before, *after])
        await seal_all(recorder, clock)
        last = await history.moment(HOST, after[0].time - 1)
        assert last is not None and last.frame.identity == before[-1].identity
        following = await history.moment(HOST, last.frame.time, 1)
        assert following is not None and following.frame.identity == after[0].identity
        back = await history.moment(HOST, following.frame.time, -1)
        assert back is not None and back.frame.identity == before[-1].identity
        spans = await history.spans(HOST)
        assert [(span.run, span.boot, span.first, span.last) for span in spans] == [
            ("aa", "boot-1", 1, 100),
            ("run-of-boot-2", "boot-2", 1, 100),
        ]
        gaps = await history.gaps(HOST, START, after[-1].time)
        assert [(gap.start, gap.end) for gap in gaps] == [(before[-1].time, after[0].time)]


KEYS = st.sampled_from(
    ["load.1", "net.receive:eth0", "net.receive:eth1", "memory.used", "unknown.metric:x", "fs.used:/"]
)
NUMBERS: st.SearchStrategy[Number] = st.one_of(
    st.integers(-5, 5), st.integers(0, 2**65), st.floats(allow_nan=False, allow_infinity=False), st.just(2.5)
)
ROWS = st.lists(
    st.tuples(
        st.dictionaries(KEYS, NUMBERS, max_size=6),
        st.dictionaries(st.sampled_from(["load", "network", "memory", "idle"]), st.integers(0, 10**15)),
        st.booleans(),
        st.lists(
            st.builds(Fault, st.sampled_from(["load", "network"]), st.just("failed"), st.text(max_size=3)), max_size=2
        ),
        st.integers(1, 3),
    ),
    min_size=1,
    max_size=15,
)


@given(ROWS, st.data())
@settings(max_examples=150)
def test_any_frames_come_back_from_a_block(rows: list[tuple], data: st.DataObject) -> None:  # type: ignore[type-arg]
    layouts: dict[int, tuple[tuple[str, ...], str]] = {}
    known: dict[tuple[str, tuple[str, ...]], int] = {}

    def layout_of(collector: str, keys: tuple[str, ...]) -> int:
        number = known.setdefault((collector, keys), len(known) + 1)
        layouts[number] = (keys, collector)
        return number

    splitter = Splitter(CATALOGUE, layout_of)
    frames, seq = [], 0
    for readings, reads, full, faults, step in rows:
        seq += step
        frames.append(
            Frame(
                host=HOST,
                boot="b",
                run="r",
                seq=seq,
                time=START + seq,
                monotonic=seq * 10**9,
                readings=readings,
                reads=reads,
                full=full,
                faults=faults,
                intervals={"load": 1.0} if full else {},
                via=["hub"] if step == 2 else [],
            )
        )
    tail = [(frame.seq, frame.time, encode_row(splitter.split(frame))) for frame in frames]
    cut = data.draw(st.integers(0, len(tail)))
    shuffled = data.draw(st.permutations(tail))
    parts = [sorted(shuffled[:cut]), sorted(shuffled[cut:])]
    first, second = (block_of_tail(part, layouts, SEQ_MASK) for part in parts)
    # Sealed first, late frames and duplicates of some later.
    head = decode_head(encode_head(first))
    for name, group in first.groups.items():
        keys, packed = finished(encode_group(group, first.monotonics))
        head.groups[name] = unseal_group(decode_group(packed, keys, head.monotonics))
    whole = head.merged(second).merged(block_of_tail(parts[0], layouts, SEQ_MASK))
    assert sorted(whole.frames(HOST, "b", "r"), key=lambda frame: frame.seq) == frames
    for found in whole.frames(HOST, "b", "r"):
        wanted = frames[[frame.seq for frame in frames].index(found.seq)]
        assert {key: repr(value) for key, value in found.readings.items()} == {
            key: repr(value) for key, value in wanted.readings.items()
        }
