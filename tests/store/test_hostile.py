"""Whatever a host says is kept as it was said, and never stops the recorder: sealing, rolling up, questions."""

import math
from collections.abc import Iterable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from store.blocks import encode_head
from store.engine import Engine
from store.maintenance import Maintenance
from store.retention import Retention
from store.schema import BLOCK, connect, migrate, prepare
from store.views import View
from sysmon.clock import ManualClock
from sysmon.errors import StoreError
from sysmon.frame import Fault, Frame, Number
from sysmon.records import SeriesQuery
from tests.store.helpers import put, reading, recording, seal_all
from tests.store.worlds import CATALOGUE, HOST, START, World

METRICS = (
    "load.1",
    "net.receive",
    "net.receive_rate",
    "cpu.utilization",
    "memory.utilization",
    "memory.used",
    "temperature",
    "fs.used",
    "unknown.metric",
)
NAMES = st.text(st.characters(codec="utf-8"), max_size=8)
KEYS = st.one_of(
    st.sampled_from(
        [
            "load.1",
            "net.receive:eth0",
            "net.receive:eth1",
            "cpu.time.user",
            "cpu.time.system",
            "cpu.time.idle",
            "memory.used",
            "memory.total",
            "temperature:a",
            "unknown.metric:x",
        ]
    ),
    NAMES.map(lambda name: f"fs.used:{name}"),
    NAMES,
)
EXTREMES: list[Number] = [0.0, -0.0, 1e308, -1e308, 5e-324, 2**63, 2**64 - 1, 2**64, 10**400]
EXTREMES += [math.inf, -math.inf, math.nan]
NUMBERS: st.SearchStrategy[Number] = st.one_of(
    st.integers(-5, 5), st.integers(0, 2**64), st.integers(-(2**70), 2**70), st.floats(), st.sampled_from(EXTREMES)
)
CLOCKS = st.one_of(st.integers(0, 10**12), st.sampled_from([0, -1, -(10**12), 2**61, 2**63, 2**64, 2**70]))
FRAMES = st.builds(
    Frame,
    host=st.just(HOST),
    boot=st.sampled_from(["b1", "b2"]),
    run=st.sampled_from(["r1", "r2"]),
    seq=st.integers(1, 30),
    time=st.one_of(
        st.integers(START, START + 3 * BLOCK), st.sampled_from([0, -1, -(2**61), 2**61, 2**62, 2**70, -(2**63)])
    ),
    monotonic=CLOCKS,
    readings=st.dictionaries(KEYS, NUMBERS, max_size=6),
    reads=st.dictionaries(st.sampled_from(["load", "network", "memory", "cpu", "filesystems", "idle", ""]), CLOCKS),
    full=st.booleans(),
    intervals=st.dictionaries(NAMES, st.floats(allow_nan=False), max_size=2),
    faults=st.lists(st.builds(Fault, NAMES, st.just("failed"), NAMES, NAMES), max_size=3),
    via=st.lists(NAMES, max_size=2),
)


def same(found: Frame, wanted: Frame) -> bool:
    """Whether two frames are equal, the types of numbers, the sign of zero and what is no number too."""
    return (
        {key: repr(value) for key, value in found.readings.items()}
        == {key: repr(value) for key, value in wanted.readings.items()}
        and (found.identity, found.time, found.monotonic, found.boot, found.full)
        == (wanted.identity, wanted.time, wanted.monotonic, wanted.boot, wanted.full)
        and (found.reads, found.faults, found.intervals, found.via)
        == (wanted.reads, wanted.faults, wanted.intervals, wanted.via)
    )


def look(view: View, kept: Iterable[Frame]) -> None:
    """Asks everything; what is raised fails the test."""
    for metric in METRICS:
        for points in (3000, 30, 1):
            view.series(SeriesQuery(host=HOST, metric=metric, start=START - 1, end=START + 4 * BLOCK, points=points))
    assert all(each.bytes >= 0 for each in view.usage(HOST, START - 2 * BLOCK, START + 6 * BLOCK, "day", ()))
    view.keys(HOST)
    view.spans(HOST)
    view.moment(HOST, START + 2 * BLOCK, 0)
    found = {each.identity: each for run in ("r1", "r2") for each in view.frames(HOST, run, 1, 30)}
    wanted = {each.identity: each for each in kept}
    assert found.keys() == wanted.keys()
    assert all(same(found[identity], wanted[identity]) for identity in wanted)


@given(st.lists(FRAMES, min_size=1, max_size=12))
@settings(max_examples=60)
def test_any_frames_are_sealed_answered_and_given_back(frames: list[Frame]) -> None:
    connection = connect(":memory:")
    prepare(connection)
    migrate(connection, ":memory:", 1)
    clock = ManualClock(START)
    engine = Engine(connection, CATALOGUE, clock)
    kept: dict[tuple[str, str, int], Frame] = {}
    for frame in frames:
        try:
            engine.take_frame(frame, START, late=False)
        except StoreError as error:
            assert "cannot be true" in str(error)
        else:
            kept.setdefault(frame.identity, frame)
    view = View(connection, 0, Path("history.db"), CATALOGUE)
    look(view, kept.values())
    clock.step_wall(10 * BLOCK)
    maintenance = Maintenance(engine, Retention(raw=10**12, minute=10**12, free=0.0), Path())
    for _ in range(99):
        steps = maintenance.due(asked=True)
        if steps is None:
            break
        for _ in steps:
            pass
    else:
        pytest.fail("tidying up never ends")
    look(view, kept.values())
    connection.close()


@pytest.mark.anyio
async def test_a_block_that_cannot_be_sealed_costs_no_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, clock, world = tmp_path / "history.db", ManualClock(START), World()
    frames = world.frames(1900)
    monkeypatch.setattr("store.seal.encode_head", lambda block: encode_head(block) if block.seqs[0] != 601 else 1 // 0)
    async with recording(path, clock) as recorder, reading(path) as history:
        await put(recorder, clock, frames)
        await recorder.flush()
        with pytest.raises(StoreError, match="division"):
            await seal_all(recorder, clock)
        await recorder.maintain()
        assert recorder.problem == "" and "could not be tidied up" in recorder.notices[-1]
        assert await history.frames(HOST, "aa", 601, 700) == frames[600:700]
        await put(recorder, clock, world.frames(3))
        await recorder.flush()
        assert len(await history.frames(HOST, "aa", 1899, 1910)) == 5
        assert [span.last for span in await history.spans()] == [1903]
