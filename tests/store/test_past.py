"""What others counted fills what this history lacks, and nothing counts twice: whatever is coarse, late, partial, told
again or told by two.
"""

from __future__ import annotations

import asyncio
import sys
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from store import told as module
from store.engine import Engine
from store.past import PastKeeper
from store.schema import connect, migrate, prepare
from store.told import usable
from store.views import View
from sysmon.catalogue import Catalogue
from sysmon.clock import ManualClock
from sysmon.frame import Frame
from sysmon.records import HostInfo, Past, Usage, UsagePiece
from tests.store.helpers import put, reading, recording, rows, seal_all
from tests.store.worlds import CATALOGUE, HOST, START

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

KEY = "net.receive:eth0"
MINUTE, HOUR, DAY = 60_000, 3_600_000, 86_400_000
FIVE = 5 * MINUTE


class Line:
    """A line on which so many bytes went through in each minute, all of them told at the minute's end.

    `boots`: minutes at which the host booted; its counters begin anew there.
    """

    def __init__(self, growth: Sequence[int], boots: Iterable[int] = (), key: str = KEY) -> None:
        self.growth = list(growth)
        self.boots = sorted({-1000, *boots})
        self.key = key
        self.runs = 0

    def watched(self, first: int, last: int) -> list[Frame]:
        """Returns a run of frames, one a minute, from the end of minute `first` to that of `last` (without it)."""
        self.runs += 1
        found = []
        for seq, minute in enumerate(range(first, last), 1):
            boot = max(each for each in self.boots if each <= minute)
            value = sum(self.growth[max(0, boot) : minute + 1])
            read = (minute + 1 - boot) * 60 * 10**9
            found.append(
                Frame(
                    host=HOST,
                    boot=f"boot{boot}",
                    run=f"run-{self.runs}",
                    seq=seq,
                    time=at(minute),
                    monotonic=read,
                    readings={self.key: value},
                    reads={"network": read},
                    full=seq == 1,
                    intervals={"network": 60.0} if seq == 1 else {},
                )
            )
        return found

    def pieces(self, step: int, first: int = 0, last: int = 1 << 30, down: Iterable[int] = ()) -> list[UsagePiece]:
        """Returns what an accountant counted in buckets of a step, from minute `first` to `last`, but for minutes in
        which it was down.
        """
        found: dict[int, int] = {}
        dead = set(down)
        for minute, grown in enumerate(self.growth):
            if first <= minute < last and minute not in dead:
                start = at(minute) // step * step
                found[start] = found.get(start, 0) + grown
        return [UsagePiece(self.key, start, start + step, size) for start, size in sorted(found.items())]


def at(minute: int) -> int:
    """A moment within a minute, at which its bytes were told."""
    return START + minute * MINUTE + MINUTE // 2


def told(pieces: Sequence[UsagePiece], time: int, source: str = "vnstat") -> Past:
    return Past(host=HOST, source=source, time=time, pieces=list(pieces))


class Kept:
    """A history in memory, without its thread."""

    def __init__(self) -> None:
        self.connection = connect(":memory:")
        prepare(self.connection)
        migrate(self.connection, ":memory:", START)
        self.clock = ManualClock(START)
        self.engine = Engine(self.connection, CATALOGUE, self.clock)

    def take(self, frames: Iterable[Frame], late: bool = False) -> None:
        for frame in frames:
            if not late:
                self.clock.step_wall(frame.time - self.clock.now())
            self.engine.take_frame(frame, self.clock.now(), late)

    def know(self, past: Past) -> None:
        self.clock.step_wall(max(0, past.time - self.clock.now()))
        self.connection.execute("BEGIN IMMEDIATE")
        self.engine.take_past(past)
        self.connection.execute("COMMIT")

    def usage(self, step: str = "fiveminute", key: str = KEY) -> list[Usage]:
        view = View(self.connection, 0, Path("history"), CATALOGUE)
        return view.usage(HOST, START - 800 * DAY, self.clock.now() + DAY, step, [key])

    def total(self, key: str = KEY) -> int:
        return sum(each.bytes for each in self.usage("year", key))

    def rows(self, key: str = KEY) -> list[tuple[int, int, int, int, str]]:
        return self.connection.execute(
            "SELECT start, length, bytes, flags, source FROM past WHERE key = ? ORDER BY start", (key,)
        ).fetchall()


def test_what_lies_before_the_first_reading_is_taken_as_it_is() -> None:
    line, kept = Line([100 + minute for minute in range(300)]), Kept()
    kept.take(line.watched(127, 300))
    own = kept.total()
    assert own == sum(line.growth[128:])
    kept.know(told(line.pieces(FIVE), at(300)))
    assert kept.total() == sum(line.growth)
    # The one in which we began is less what we know of it, and ends where we begin; the others are as they were told.
    whole = [piece for piece in line.pieces(FIVE) if piece.end <= at(127)]
    found = kept.rows()
    assert [(start, length, size) for start, length, size, _, _ in found[:-1]] == [
        (piece.start, FIVE, piece.bytes) for piece in whole
    ]
    assert {flags for _, _, _, flags, _ in found[:-1]} == {0}
    assert found[-1] == (START + 125 * MINUTE, at(127) - START - 125 * MINUTE, sum(line.growth[125:128]), 2, "vnstat")
    fine = {each.start: each for each in kept.usage()}
    assert fine[START + 120 * MINUTE].bytes == sum(line.growth[120:125])
    assert not fine[START + 120 * MINUTE].estimated and fine[START + 125 * MINUTE].estimated
    assert fine[START + 130 * MINUTE].bytes == sum(line.growth[130:135])


@pytest.mark.parametrize("step", [FIVE, HOUR, DAY])
def test_a_gap_in_which_the_host_booted_is_filled_however_coarse_it_is_told(step: int) -> None:
    line, kept = Line([10 * (minute % 7) + 1 for minute in range(600)], boots=[250]), Kept()
    kept.take(line.watched(100, 200))
    kept.take(line.watched(310, 600))
    before = kept.total()
    assert before == sum(line.growth[101:200]) + sum(line.growth[250:])
    kept.know(told(line.pieces(step), at(600)))
    assert kept.total() == sum(line.growth)
    missing = [row for row in kept.rows() if row[0] >= at(199)]
    # A day touches both lacks: what is missing lies in them by their length.
    assert step == DAY or sum(row[2] for row in missing) == sum(line.growth[200:250])
    assert all(at(199) <= start and start + length <= at(310) for start, length, *_ in missing)
    assert any(row[3] for row in missing)


def test_a_gap_without_a_boot_is_exact_already() -> None:
    line, kept = Line([50] * 400), Kept()
    kept.take(line.watched(0, 100))
    kept.take(line.watched(300, 400))
    assert kept.total() == sum(line.growth[1:])
    kept.know(told(line.pieces(FIVE), at(400)))
    assert kept.total() == sum(line.growth)
    assert len(kept.rows()) == 1


def test_less_than_we_know_adds_nothing() -> None:
    line, kept = Line([50] * 400, boots=[150]), Kept()
    kept.take(line.watched(0, 100))
    kept.take(line.watched(200, 400))
    own = kept.total()
    # It lost nearly all: a burst above its bound.
    kept.know(told([msgspec.structs.replace(each, bytes=1) for each in line.pieces(HOUR, 60)], at(400)))
    assert kept.total() == own
    assert kept.rows() == []


def test_pieces_that_are_idle_are_no_room_for_what_was_spread() -> None:
    # Ours since the boot is spread over the gap, theirs is where it was: only the whole stretch can be compared.
    growth = [0] * 100 + [500] * 20 + [0] * 80 + [300] * 10 + [0] * 90
    line, kept = Line(growth, boots=[130]), Kept()
    kept.take(line.watched(0, 100))
    kept.take(line.watched(215, 300))
    assert kept.total() == 3000
    kept.know(told([piece for piece in line.pieces(FIVE) if piece.bytes], at(300)))
    assert kept.total() == sum(growth)


def test_told_again_or_later_it_replaces_and_then_stays() -> None:
    line, kept = Line([100 + minute for minute in range(1000)]), Kept()
    kept.take(line.watched(127, 128))
    # As read right after we began: the running bucket was written up to a minute ago.
    kept.know(told(line.pieces(FIVE, last=126), at(128)))
    first = kept.rows()
    kept.know(told(line.pieces(FIVE, last=126), at(128)))
    assert kept.rows() == first
    kept.take(line.watched(128, 135))
    kept.know(told(line.pieces(FIVE, last=134), at(134)))
    assert sum(row[2] for row in kept.rows()) == sum(line.growth[:128])
    second = kept.rows()
    # An older state of it says nothing new.
    kept.know(told(line.pieces(FIVE, last=126), at(128)))
    assert kept.rows() == second
    kept.take(line.watched(135, 200))
    kept.know(told(line.pieces(FIVE, last=195), at(195)))
    assert kept.rows() == second
    # Now it is settled: fine steps are forgotten by the source, not here; nor is what it makes up or loses later.
    for late in (line.pieces(DAY), line.pieces(FIVE, last=20), [msgspec.structs.replace(line.pieces(DAY)[0], bytes=1)]):
        kept.know(told(late, at(900)))
        assert kept.rows() == second
    assert kept.total() == sum(line.growth[:200])


def test_a_coarse_piece_does_not_replace_fine_ones_before_we_began_for_good() -> None:
    line, kept = Line([100] * 1000), Kept()
    kept.take(line.watched(127, 128))
    kept.know(told(line.pieces(FIVE, last=126), at(128)))
    fine = [row for row in kept.rows() if row[0] + row[1] <= at(128) - 15 * MINUTE]
    assert len(fine) > 20
    # Days later the source has only hours of it.
    kept.take(line.watched(900, 1000))
    kept.know(told(line.pieces(HOUR), at(999)))
    assert kept.rows()[: len(fine)] == fine
    # Ours of the hour in which we began is spread over the time without us, from the middle of a minute.
    assert sum(line.growth) - 100 <= kept.total() <= sum(line.growth)


def test_the_first_that_covers_a_lack_tells_and_the_other_adds_nothing() -> None:
    for sources in (("vnstat", "agent"), ("agent", "vnstat")):
        line, kept = Line([10] * 600, boots=[250]), Kept()
        kept.take(line.watched(100, 200))
        kept.take(line.watched(310, 600))
        kept.know(told(line.pieces(HOUR), at(600), sources[0]))
        assert kept.total() == sum(line.growth)
        kept.know(
            told(
                [msgspec.structs.replace(each, bytes=each.bytes * 9) for each in line.pieces(FIVE)], at(600), sources[1]
            )
        )
        assert kept.total() == sum(line.growth)
        assert {row[4] for row in kept.rows()} == {sources[0]}
    # One that did not cover a lack leaves it to the other.
    line, kept = Line([10] * 600, boots=[250]), Kept()
    kept.take(line.watched(100, 200))
    kept.take(line.watched(310, 600))
    kept.know(told(line.pieces(FIVE, last=105), at(600)))
    kept.know(told(line.pieces(FIVE), at(600), "agent"))
    assert kept.total() == sum(line.growth)
    assert {row[4] for row in kept.rows()} == {"vnstat", "agent"}


def test_what_comes_late_takes_the_place_of_what_others_told() -> None:
    line, kept = Line([10 + minute % 5 for minute in range(600)], boots=[250]), Kept()
    early, late = line.watched(50, 200), line.watched(310, 600)
    kept.take(late)
    for _ in range(2):
        kept.know(told(line.pieces(FIVE), at(600)))
        assert kept.total() == sum(line.growth)
    # The hole is filled from the host's own history; what is left to lack is less.
    kept.take(early, late=True)
    kept.know(told(line.pieces(FIVE), at(600)))
    assert kept.total() == sum(line.growth)
    between = line.watched(200, 240)
    kept.take(between, late=True)
    kept.know(told(line.pieces(DAY), at(600)))
    assert kept.total() == sum(line.growth)
    assert all(not at(50) <= row[0] < at(239) for row in kept.rows())


def test_a_series_never_read_here_is_told_by_others_alone() -> None:
    line, kept = Line([10] * 600), Kept()
    gone = Line([7] * 600, key="net.receive:ppp0")
    kept.take(line.watched(100, 200))
    kept.know(told([*line.pieces(FIVE), *gone.pieces(FIVE, last=300)], at(300)))
    assert kept.total(gone.key) == 7 * 300
    fine = kept.rows(gone.key)
    # Its steps are coarse later; what was fine stays so, and it may go on.
    kept.know(told(gone.pieces(HOUR), at(600)))
    assert kept.total(gone.key) == 7 * 600
    assert kept.rows(gone.key)[: len(fine) - 4] == fine[: len(fine) - 4]
    # It appears here after all.
    kept.take(gone.watched(590, 600))
    kept.know(told(gone.pieces(HOUR), at(600)))
    assert kept.total(gone.key) == 7 * 600


@pytest.mark.anyio
async def test_readings_that_are_removed_do_not_move_where_we_began(tmp_path: Path) -> None:
    path, clock = tmp_path / "history.db", ManualClock(START)
    line = Line([100 + minute % 13 for minute in range(6 * 1440)], boots=[2000])
    async with recording(path, clock) as recorder, reading(path) as history:
        await recorder.record_host(HostInfo(id=HOST, timezone="UTC"))

        async def total(step: str = "year") -> int:
            return sum(each.bytes for each in await history.usage(HOST, START - DAY, START + 30 * DAY, step, [KEY]))

        await put(recorder, clock, line.watched(127, 1900))
        await put(recorder, clock, line.watched(2100, 5 * 1440))
        await seal_all(recorder, clock)
        assert await total() == sum(line.growth[128:1900]) + sum(line.growth[2000 : 5 * 1440])
        (held,) = rows(path, "SELECT count(*) FROM chunk WHERE collector > 0")
        # Only the last two days have their readings; that we knew the host before is known from its totals.
        assert held[0] < 2 * 144 + 20  # type: ignore[operator]
        first = told(line.pieces(HOUR, last=5 * 1440), clock.now())
        await recorder.record_past(first)
        await recorder.flush()
        assert await total() == sum(line.growth[: 5 * 1440])
        before = rows(path, "SELECT * FROM past ORDER BY start")
        await put(recorder, clock, line.watched(5 * 1440, 5 * 1440 + 100))
        await recorder.record_past(told(line.pieces(DAY), clock.now()))
        await recorder.flush()
        assert rows(path, "SELECT * FROM past ORDER BY start") == before
        assert recorder.notices == [] and recorder.problem == ""


def test_a_gap_stays_filled_when_nothing_tells_its_boots_apart_any_more() -> None:
    line, kept = Line([100 + minute % 13 for minute in range(600)], boots=[250]), Kept()
    kept.take(line.watched(100, 200))
    kept.take(line.watched(310, 600))
    kept.know(told(line.pieces(FIVE), at(600)))
    assert kept.total() == sum(line.growth)
    before = kept.rows()
    kept.connection.execute("DELETE FROM tail WHERE at < ?", (at(400),))
    kept.engine.reload()
    kept.know(told(line.pieces(DAY), at(600) + HOUR))
    assert kept.rows() == before


RECORD = """
import asyncio, sys, time
from pathlib import Path
from store.writer import SqliteRecorder
from sysmon.clock import ManualClock
from tests.store.helpers import KEEP, put
from tests.store.test_past import FIVE, Line, at, told
from tests.store.worlds import CATALOGUE, START

async def main():
    clock, line = ManualClock(START), Line([100 + minute for minute in range(300)], boots=[180])
    recorder = SqliteRecorder.open(Path(sys.argv[1]), CATALOGUE, retention=KEEP, clock=clock)
    await put(recorder, clock, line.watched(127, 160))
    await put(recorder, clock, line.watched(200, 300))
    await recorder.record_past(told(line.pieces(FIVE), at(300)))
    await recorder.flush()
    print("kept", flush=True)
    while True:
        await recorder.record_past(told(line.pieces(FIVE), at(300)))
        await recorder.flush()

asyncio.run(main())
"""


@pytest.mark.anyio
async def test_a_killed_recorder_leaves_all_of_it_once(tmp_path: Path, checkout: Path) -> None:
    path, clock = tmp_path / "history.db", ManualClock(at(300))
    line = Line([100 + minute for minute in range(300)], boots=[180])
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", RECORD, str(path), stdout=asyncio.subprocess.PIPE, cwd=checkout
    )
    assert process.stdout is not None
    assert await process.stdout.readline() == b"kept\n"
    async with reading(path, clock) as history:

        async def total() -> int:
            return sum(each.bytes for each in await history.usage(HOST, START - DAY, START + DAY, "day", [KEY]))

        assert await total() == sum(line.growth)
        process.kill()
        await process.wait()
        assert await total() == sum(line.growth)
        async with recording(path, clock) as recorder:
            assert recorder.notices == []
            await recorder.record_past(told(line.pieces(FIVE), at(300)))
            await recorder.flush()
            assert await total() == sum(line.growth)


@pytest.mark.anyio
async def test_what_fails_half_way_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, clock, line = tmp_path / "history.db", ManualClock(START), Line([10] * 100)
    other = Line([10] * 100, key="net.transmit:eth0")
    put_rows = PastKeeper._put

    def fails(keeper: PastKeeper, key: str, *more: object) -> None:
        if key == other.key:
            raise ValueError("wrong")
        put_rows(keeper, key, *more)  # type: ignore[arg-type]

    async with recording(path, clock) as recorder:
        await put(recorder, clock, line.watched(90, 100))
        past = told([*line.pieces(FIVE), *other.pieces(FIVE)], at(100))
        with monkeypatch.context() as patched:
            patched.setattr(PastKeeper, "_put", fails)
            await recorder.record_past(past)
            await recorder.flush()
        assert recorder.notices == ["could not be recorded: ValueError: wrong"]
        assert rows(path, "SELECT * FROM past") == rows(path, "SELECT * FROM past_lack") == []
        await recorder.record_past(past)
        await recorder.flush()
        assert len(rows(path, "SELECT DISTINCT key FROM past")) == 2


def test_what_cannot_be_true_is_left_out() -> None:
    now = START
    good = UsagePiece(KEY, START - HOUR, START, 5)
    bad = [
        UsagePiece(KEY, START - HOUR, START - HOUR, 5),
        UsagePiece(KEY, START, START - HOUR, 5),
        UsagePiece(KEY, START, START + 2 * DAY, 5),
        UsagePiece(KEY, 0, START, 5),
        UsagePiece(KEY, START - 2 * HOUR, START - HOUR, -1),
        UsagePiece(KEY, START - 2 * HOUR, START - HOUR, 0),
        UsagePiece(KEY, START - 2 * HOUR, START - HOUR, 1 << 62),
        UsagePiece("load.1", START - 2 * HOUR, START - HOUR, 5),
        UsagePiece(KEY, START - HOUR + 5, START + 5, 7),
    ]
    assert usable([*bad, good], CATALOGUE, now) == {KEY: [(START - HOUR, START, 5)]}
    wild = UsagePiece("net.receive:\x1b[31m", START - HOUR, START, 5)
    assert list(usable([wild], CATALOGUE, now)) == ["net.receive:%1B[31m"]
    huge = [UsagePiece(KEY, START - (9 - each) * HOUR, START - (8 - each) * HOUR, 1 << 61) for each in range(8)]
    assert sum(each.bytes for each in usable(huge, CATALOGUE, now)[KEY]) < 1 << 62
    many = [UsagePiece(f"net.receive:if{each}", START - HOUR, START, 5) for each in range(module.MOST_KEYS + 50)]
    assert len(usable(many, CATALOGUE, now)) == module.MOST_KEYS
    assert usable(many, Catalogue(), now).keys() == usable(many, CATALOGUE, now).keys()


@given(st.lists(st.tuples(st.integers(-(2**70), 2**70), st.integers(0, 2**70), st.integers(-5, 2**70)), max_size=30))
def test_any_pieces_are_taken_in_order_without_overlap(wild: list[tuple[int, int, int]]) -> None:
    given = [UsagePiece(KEY, start, start + length, size) for start, length, size in wild]
    given += [
        UsagePiece(KEY, START + start % DAY, START + start % DAY + length % DAY, size) for start, length, size in wild
    ]
    found = usable(given, CATALOGUE, START + DAY).get(KEY, [])
    assert all(before.end <= after.start for before, after in pairwise(found))
    assert all(each.start < each.end and each.bytes > 0 for each in found)


@st.composite
def lives(draw: st.DrawFn) -> tuple[Line, list[tuple[int, int]], int]:
    """A line, and the stretches in which it was watched: in each hole in between the host booted."""
    edges = sorted(draw(st.lists(st.integers(1, 120), min_size=2, max_size=8, unique=True)))
    watched = [
        (5 * first, 5 * last - 7) for first, last in zip(edges[::2], edges[1::2], strict=False) if last - first > 2
    ]
    sizes = draw(st.lists(st.integers(0, 1000), min_size=1, max_size=40))
    shift = draw(st.integers(0, 6))
    watched = [(first + shift, last) for first, last in watched]
    length = watched[-1][1] if watched else 5 * edges[-1]
    boots = [draw(st.integers(before[1] + 1, after[0])) for before, after in pairwise(watched)]
    return Line([sizes[minute * 7 % len(sizes)] for minute in range(length)], boots), watched, length


SIZES = [FIVE, 3 * FIVE, HOUR, 6 * HOUR, DAY]
STEPS = st.sampled_from(SIZES)


@settings(max_examples=25, deadline=None)
@given(lives(), st.lists(STEPS, min_size=1, max_size=4), st.lists(st.integers(0, 600), max_size=3), st.data())
def test_the_total_is_what_went_through_and_never_more(
    life: tuple[Line, list[tuple[int, int]], int], steps: list[int], edges: list[int], data: st.DataObject
) -> None:
    line, watched, length = life
    down = {minute for edge in edges for minute in range(edge, edge + 40)}
    kept = Kept()
    for first, last in watched:
        kept.take(line.watched(first, last))
    own = kept.total()
    truth = sum(line.growth)
    end = at(length) + 30 * MINUTE
    for number, step in enumerate(steps):
        source = data.draw(st.sampled_from(["vnstat", "agent"]))
        before = kept.total()
        past = told(line.pieces(step, down=down), end + number, source)
        kept.know(past)
        after = kept.total()
        assert before <= after <= truth
        kept.know(past)
        assert kept.total() == after
        if not number:
            seen = sum(each.bytes for each in past.pieces)
            assert after >= max(own, seen)
            assert down or after == truth


def test_a_burst_while_nobody_looked_is_not_told_twice() -> None:
    # Looked at for two minutes, and again after days without a boot: ours of the hour of the burst is a small part of
    # what was spread, theirs is all of it.
    growth = [5] * 130 + [100_000] * 40 + [1] * (3 * 1440)
    line, kept = Line(growth), Kept()
    kept.take(line.watched(127, 129))
    kept.know(told(line.pieces(FIVE, last=129), at(129)))
    kept.take(line.watched(3 * 1440, 3 * 1440 + 30))
    end = 3 * 1440 + 30
    kept.know(told(line.pieces(HOUR, last=end), at(end)))
    assert kept.total() == sum(growth[:end])


@settings(max_examples=15, deadline=None)
@given(lives(), st.data())
def test_told_again_and_again_while_it_goes_on_it_comes_to_the_same(
    life: tuple[Line, list[tuple[int, int]], int], data: st.DataObject
) -> None:
    line, watched, length = life
    kept, step = Kept(), FIVE
    for first, last in watched:
        frames = line.watched(first, last)
        half = data.draw(st.integers(0, len(frames)))
        for part in (frames[:half], frames[half:]):
            kept.take(part)
            if not part or data.draw(st.booleans()):
                continue
            # A source tells coarser steps of what is longer ago.
            step = data.draw(st.sampled_from([each for each in SIZES if each >= step]))
            now = part[-1].seq + first
            kept.know(told(line.pieces(step, last=now), at(now)))
            assert kept.total() <= sum(line.growth[:now])
    for hours in (1, 30):
        kept.know(told(line.pieces(step), at(length) + hours * HOUR))
        assert kept.total() == sum(line.growth)
