"""Hole arithmetic and the back-fill that stands on it."""

from __future__ import annotations

import asyncio
import time
from itertools import pairwise
from typing import TYPE_CHECKING

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from remote.client.backfill import EMPTY, MAX_SLICES, VAIN, Backfill
from remote.holes import Ranges, lost, missing, newest, subtract
from sysmon.clock import ManualClock, SystemClock
from sysmon.errors import Unreachable
from sysmon.frame import Frame
from sysmon.records import Gap, RunSpan
from tests.remote.support import BOOT, HOST, RUN, T0, MemoryHistory, frame

if TYPE_CHECKING:
    from collections.abc import Sequence

OLD = "0" * 16
numbers = st.integers(1, 60)
spans_of = st.lists(st.tuples(st.sampled_from([RUN, OLD]), numbers, numbers), max_size=8)


def span(first: int, last: int, run: str = RUN, *, host: str = HOST, start: int = T0) -> RunSpan:
    times = {"start": start + first * 1000, "end": start + last * 1000}
    return RunSpan(host=host, run=run, boot=BOOT, first=first, last=last, **times)


def spans(given_: list[tuple[str, int, int]]) -> list[RunSpan]:
    return [span(min(a, b), max(a, b), run) for run, a, b in given_]


def members(of: Sequence[RunSpan]) -> set[tuple[str, int]]:
    return {(each.run, seq) for each in of for seq in range(each.first, each.last + 1)}


@given(st.lists(numbers, max_size=80))
def test_ranges_are_a_set(added: list[int]) -> None:
    ranges = Ranges()
    seen: set[int] = set()
    for number in added:
        assert ranges.add(number) == (number not in seen)
        seen.add(number)
    assert {number for number in range(0, 70) if number in ranges} == seen
    pairs = list(ranges)
    assert {number for first, last in pairs for number in range(first, last + 1)} == seen
    assert all(before[1] + 1 < after[0] for before, after in pairwise(pairs))


def test_ranges_stay_bounded() -> None:
    ranges = Ranges(limit=10)
    for number in range(0, 1000, 2):
        ranges.add(number)
    assert len(ranges) == 10
    assert 998 in ranges
    assert 0 not in ranges


@given(st.lists(st.tuples(numbers, numbers), max_size=12), numbers, numbers)
def test_ranges_take_ranges_and_tell_what_is_not_in_them(added: list[tuple[int, int]], a: int, b: int) -> None:
    ranges = Ranges()
    seen: set[int] = set()
    for one, other in added:
        first, last = min(one, other), max(one, other)
        ranges.add_range(first, last)
        seen |= {*range(first, last + 1)}
    pairs = list(ranges)
    assert {number for first, last in pairs for number in range(first, last + 1)} == seen
    assert all(before[1] + 1 < after[0] for before, after in pairwise(pairs))
    first, last = min(a, b), max(a, b)
    parts = ranges.without(first, last)
    assert {number for low, high in parts for number in range(low, high + 1)} == {*range(first, last + 1)} - seen


@given(numbers, numbers, st.lists(st.tuples(numbers, numbers), max_size=8))
def test_subtract_is_set_difference(a: int, b: int, others: list[tuple[int, int]]) -> None:
    first, last = min(a, b), max(a, b)
    others = [(min(pair), max(pair)) for pair in others]
    parts = subtract(first, last, others)
    left = [number for low, high in parts for number in range(low, high + 1)]
    taken = {number for low, high in others for number in range(low, high + 1)}
    assert left == [number for number in range(first, last + 1) if number not in taken]


@given(spans_of, spans_of)
def test_missing_is_theirs_without_ours_each_once(
    theirs: list[tuple[str, int, int]], ours: list[tuple[str, int, int]]
) -> None:
    holes = missing(spans(theirs), spans(ours))
    found = [(hole.run, seq) for hole in holes for seq in range(hole.first, hole.last + 1)]
    assert len(found) == len(set(found))
    assert set(found) == members(spans(theirs)) - members(spans(ours))
    assert all(before.end >= after.end for before, after in pairwise(holes))


@given(spans_of, spans_of)
def test_lost_is_what_neither_holds_below_what_one_does(
    theirs: list[tuple[str, int, int]], ours: list[tuple[str, int, int]]
) -> None:
    held = members(spans(theirs)) | members(spans(ours))
    found = [
        (hole.run, seq) for hole in lost(spans(theirs), spans(ours), T0) for seq in range(hole.first, hole.last + 1)
    ]
    assert len(found) == len(set(found))
    for run in (RUN, OLD):
        seqs = {seq for each, seq in held if each == run}
        expected = set(range(1, max(seqs, default=0) + 1)) - seqs
        assert {seq for each, seq in found if each == run} == expected


def test_what_was_before_first_contact_is_not_lost() -> None:
    assert lost([span(500, 900)], [span(700, 800)], T0 + 700_000) == []
    (hole,) = lost([span(500, 900)], [], T0 + 400_000)
    assert (hole.first, hole.last) == (400, 499)


def crumbs(count: int, step: int = 2, *, host: str = HOST) -> list[RunSpan]:
    """So many spans of one frame each, with nothing between them."""
    return [span(1 + step * number, 1 + step * number, host=host) for number in range(count)]


def test_spans_without_end_cost_no_more_than_sorting_them() -> None:
    theirs, ours = crumbs(90_000), crumbs(45_000, 4)
    begun = time.process_time()
    assert len(missing(theirs, ours)) == 45_000
    assert len(lost(theirs, ours, 0)) == 89_999
    # Comparing each with each takes a quarter of an hour.
    assert time.process_time() - begun < 15


def test_the_newest_spans_of_each_host_are_kept() -> None:
    many = [*crumbs(50), *crumbs(5, host="ff" * 8)]
    assert newest(many, 100) == (many, {})
    kept, since = newest(many, 20)
    assert sorted(each.first for each in kept if each.host == HOST) == [1 + 2 * number for number in range(30, 50)]
    assert sum(each.host != HOST for each in kept) == 5
    assert since == {HOST: T0 + 1000 * 59}


class Link:
    """Two histories and what lies between them."""

    def __init__(self, theirs: Sequence[Frame], ours: Sequence[Frame], contact: int | None = T0) -> None:
        self.agent = MemoryHistory(frames=theirs)
        self.own = MemoryHistory(frames=ours)
        self.contact = contact
        self.cut_after: int | None = None
        self.told: list[Gap | Frame] = []
        self.backfill = self.new()

    def new(self, *, pause: float = 0.0, slice: int = 50, interval: float = 1.0) -> Backfill:
        """A back-fill as after a restart."""
        return Backfill(
            self.agent.spans,
            self.own.spans,
            self.fetch,
            self.own,
            SystemClock(),
            contact=lambda host: self.contact,
            tell=self.told.append,
            interval=interval,
            slice=slice,
            pause=pause,
            round=0.05,
        )

    async def fetch(self, host: str, run: str, first: int, last: int) -> list[Frame]:
        if self.cut_after is not None:
            if self.cut_after == 0:
                raise Unreachable("the line is cut")
            self.cut_after -= 1
        return await self.agent.frames(host, run, first, last)

    @property
    def gaps(self) -> list[tuple[int, int]]:
        return [(each.first, each.last) for each in self.told if isinstance(each, Gap)]


def frames(*ranges: tuple[int, int], run: str = RUN, start: int = T0) -> list[Frame]:
    return [frame(seq, run=run, start=start) for first, last in ranges for seq in range(first, last + 1)]


@pytest.mark.anyio
async def test_a_hole_is_filled_newest_first_in_slices_and_both_sides_end_identical() -> None:
    link = Link(frames((1, 400)), frames((1, 100), (301, 400)))
    assert await link.backfill.fill() == 200
    assert link.own.kept == link.agent.kept
    assert link.agent.asked == [(HOST, RUN, first, first + 49) for first in (251, 201, 151, 101)]
    assert len(link.own.late) == 200
    assert [update.seq for update in link.told if isinstance(update, Frame)][:2] == [251, 252]
    link.agent.asked.clear()
    assert await link.backfill.fill() == 0
    assert link.agent.asked == []


@pytest.mark.anyio
async def test_several_runs_over_restarts_of_both_sides() -> None:
    theirs = frames((1, 300), run=OLD, start=T0) + frames((1, 200), start=T0 + 400_000)
    link = Link(theirs, frames((1, 50), run=OLD))
    link.cut_after = 3
    with pytest.raises(Unreachable):
        await link.backfill.fill()
    assert link.own.recorded[-1][1] == RUN
    link.cut_after = None
    again = link.new()
    assert await again.fill() == 300
    assert link.own.kept == link.agent.kept
    assert len(link.own.recorded) == len(set(link.own.recorded)) == 450


@pytest.mark.anyio
async def test_nothing_before_first_contact_is_fetched() -> None:
    contact = T0 + 1_000_000
    link = Link(frames((1, 2000)), frames((1000, 1100), (1500, 2000)), contact)
    await link.backfill.fill()
    assert {seq for _, _, seq in link.own.kept} == set(range(1000, 2001))
    assert len(link.agent.asked) == 8, "the hole alone was asked for"
    await link.new().fill()
    assert len(link.agent.asked) == 8
    assert link.gaps == []


@pytest.mark.anyio
async def test_a_run_that_reaches_across_first_contact_is_taken_from_there_on() -> None:
    link = Link(frames((1, 300)), [], T0 + 200_500)
    assert await link.backfill.fill() == 100
    assert {seq for _, _, seq in link.own.kept} == set(range(201, 301))
    link.agent.asked.clear()
    await link.backfill.fill()
    assert link.agent.asked == []


@pytest.mark.anyio
async def test_what_our_own_retention_let_go_is_not_fetched_again() -> None:
    link = Link(frames((1, 1000)), frames((600, 1000)), T0)
    await link.backfill.fill()
    assert link.own.recorded == []
    assert link.gaps == []


@pytest.mark.anyio
async def test_a_host_never_recorded_has_no_holes() -> None:
    link = Link(frames((1, 100)), [], None)
    assert await link.backfill.fill() == 0


@pytest.mark.anyio
async def test_the_clock_of_the_host_stepping_back_loses_nothing() -> None:
    back = frames((101, 200), start=T0 - 9_000_000)
    link = Link(frames((1, 100)) + back, frames((1, 80)) + back[-20:], T0 + 1000)
    assert await link.backfill.fill() == 100
    assert link.own.kept == link.agent.kept


@pytest.mark.anyio
async def test_the_live_edge_is_left_to_the_stream() -> None:
    link = Link(frames((1, 105)), frames((1, 100)))
    assert await link.backfill.fill() == 0
    link = Link(frames((1, 105), run=OLD) + frames((1, 3), start=T0 + 200_000), frames((1, 100), run=OLD))
    assert await link.backfill.fill() == 5, "the end of a run that is over is not going to be streamed"


@pytest.mark.anyio
async def test_beyond_the_agents_retention_is_told_as_lost_once() -> None:
    link = Link(frames((250, 400)), frames((1, 100), (301, 400)))
    assert await link.backfill.fill() == 51
    assert link.gaps == [(101, 249)]
    assert next(update for update in link.told if isinstance(update, Gap)).status == "lost"
    await link.backfill.fill()
    assert link.gaps == [(101, 249)]


@pytest.mark.anyio
async def test_a_server_that_holds_less_than_it_says_is_asked_once() -> None:
    link = Link(frames((1, 400)), frames((1, 100), (301, 400)))
    held = await link.agent.spans()
    for seq in range(150, 200):
        del link.agent.kept[HOST, RUN, seq]

    async def boast() -> list[RunSpan]:
        return held

    backfill = Backfill(
        boast, link.own.spans, link.fetch, link.own, SystemClock(), contact=lambda host: T0, slice=50, pause=0.0
    )
    assert await backfill.fill() == 150
    asked = len(link.agent.asked)
    await backfill.fill()
    await backfill.fill()
    assert len(link.agent.asked) <= asked + 2


@pytest.mark.anyio
async def test_a_server_that_boasts_of_frames_without_end_is_asked_for_few_of_them() -> None:
    link = Link(frames((1, 400)), frames((1, 100), (390, 400)))
    boasts = [span(1, 400), span(401, 2**50)]

    async def boast() -> list[RunSpan]:
        return boasts

    backfill = Backfill(
        boast, link.own.spans, link.fetch, link.own, SystemClock(), contact=lambda host: T0, slice=50, pause=0.0
    )
    async with asyncio.timeout(20):
        assert await backfill.fill() == 289
        assert len(link.agent.asked) <= EMPTY + 7
        assert await backfill.fill() == 0
    assert len(link.agent.asked) <= EMPTY + 8
    # One that gives a little each time is left for the others' sake after so many slices.
    boasts[:] = [span(2**40, 2**50)]
    asked = 0

    async def trickle(host: str, run: str, first: int, last: int) -> list[Frame]:
        nonlocal asked
        asked += 1
        return [frame(last)]

    backfill = Backfill(
        boast, link.own.spans, trickle, MemoryHistory(), SystemClock(), contact=lambda host: T0, pause=0.0
    )
    async with asyncio.timeout(60):
        await backfill.fill()
    assert asked == MAX_SLICES


@pytest.mark.anyio
async def test_a_thousand_little_holes_of_which_nothing_is_given_are_asked_for_few_times() -> None:
    link = Link([], frames((1, 10)))
    held = [span(1, 10), *crumbs(1_000)[6:], *crumbs(20, host="ff" * 8)]

    async def boast() -> list[RunSpan]:
        return held

    good = [msgspec.structs.replace(each, host="ff" * 8) for each in frames((1, 60))]
    link.agent.kept = {each.identity: each for each in good}
    link.own.kept |= {good[0].identity: good[0]}
    backfill = Backfill(boast, link.own.spans, link.fetch, link.own, SystemClock(), contact=lambda host: T0, pause=0.0)
    # The other host has its turn all the same.
    assert await backfill.fill() == 18
    assert len(link.agent.asked) == VAIN + 18
    assert await backfill.fill() == 0
    assert len(link.agent.asked) == VAIN + 18


@pytest.mark.anyio
async def test_a_host_with_more_frames_than_it_can_have_made_is_fetched_no_faster(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("remote.client.backfill.BURST", 100.0)
    link = Link(frames((1, 400)), frames((1, 10), (391, 400)))
    assert await link.backfill.fill() == 100
    assert "more frames than it can have made" in next(iter(link.backfill._excess.values()))[0]
    asked = len(link.agent.asked)
    assert await link.backfill.fill() == 0
    assert len(link.agent.asked) == asked, "it is not even asked"


@pytest.mark.anyio
async def test_a_host_in_crumbs_is_compared_by_its_newest_and_holds_up_nobody() -> None:
    link = Link([], [])
    good = frames((1, 60), run=OLD, start=T0)
    other = [msgspec.structs.replace(each, host="ff" * 8) for each in good]
    link.agent.kept = {each.identity: each for each in other}
    link.own.kept = {each.identity: each for each in other[:20]}
    end = 200_000
    wanted = frame(end - 100)
    link.agent.kept[wanted.identity] = wanted
    held = [*crumbs(30_000), span(end, end), *await link.agent.spans()]
    here = [*crumbs(30_000), span(end, end), *await link.own.spans()]

    async def theirs() -> list[RunSpan]:
        return held

    async def ours() -> list[RunSpan]:
        return here

    backfill = Backfill(theirs, ours, link.fetch, link.own, SystemClock(), contact=lambda host: 0, pause=0.0)
    loop = asyncio.get_running_loop()
    task = asyncio.create_task(backfill.fill())
    worst = 0.0
    while not task.done():
        before = loop.time()
        await asyncio.sleep(0.001)
        worst = max(worst, loop.time() - before)
    # Of the one the newest frame alone is missing; the other's hole is filled beside it.
    assert task.result() == 41
    assert worst < 2.0
    assert HOST in backfill._excess


@pytest.mark.anyio
async def test_a_host_that_was_cut_off_every_half_minute_for_two_days_is_filled() -> None:
    theirs = [span(1, 172_800, host=f"{number:016x}") for number in range(20)]
    ours = [
        span(at, at + 24, host=each.host)
        for each in theirs
        for at in range(1, 172_800, 30 if each is theirs[0] else 600)
    ]
    backfill = Link([], []).backfill
    holes, gone = backfill._look(theirs, ours)
    assert sum(hole.host == theirs[0].host for hole in holes) == 172_800 // 30 - 1
    assert len(holes) == 172_800 // 30 - 1 + 19 * 288
    assert not gone
    assert not backfill._excess


@pytest.mark.anyio
async def test_however_often_it_is_woken_it_looks_once_a_second() -> None:
    looks = 0
    clock = ManualClock(now=T0)

    async def theirs() -> list[RunSpan]:
        nonlocal looks
        looks += 1
        return []

    link = Link([], [])
    backfill = Backfill(theirs, link.own.spans, link.fetch, link.own, clock, contact=lambda host: T0)
    task = asyncio.create_task(backfill.run())
    try:
        for _ in range(1000):
            backfill.wake(again=60.0)
            await asyncio.sleep(0)
        assert looks == 1
        for turn in range(2, 5):
            await clock.advance(1.0)
            for _ in range(100):
                backfill.wake(again=60.0)
                await asyncio.sleep(0)
            assert looks == turn
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


@pytest.mark.anyio
async def test_it_runs_for_ever_over_cuts_and_wakes_at_once() -> None:
    link = Link(frames((1, 300)), frames((1, 100), (280, 300)))
    link.cut_after = 0
    backfill = link.new()
    task = asyncio.create_task(backfill.run())
    try:
        async with asyncio.timeout(5):
            while not backfill.problem:  # noqa: ASYNC110
                await asyncio.sleep(0.005)
            assert backfill.problem == "the line is cut"
            link.cut_after = None
            backfill.wake()
            while len(link.own.kept) < 300:  # noqa: ASYNC110
                await asyncio.sleep(0.005)
            while backfill.problem:  # noqa: ASYNC110
                await asyncio.sleep(0.005)
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


@pytest.mark.anyio
async def test_live_frames_are_not_kept_waiting() -> None:
    link = Link(frames((1, 3000)), frames((1, 10), (2990, 3000)))
    task = asyncio.create_task(link.new(slice=600).fill())
    loop = asyncio.get_running_loop()
    worst = 0.0
    while not task.done():
        before = loop.time()
        await asyncio.sleep(0)
        worst = max(worst, loop.time() - before)
    assert task.result() == 2979
    assert worst < 0.25


@pytest.mark.anyio
async def test_slices_are_paced() -> None:
    clock = ManualClock()
    link = Link(frames((1, 400)), frames((1, 100), (301, 400)))
    backfill = Backfill(
        link.agent.spans, link.own.spans, link.fetch, link.own, clock, contact=lambda host: T0, slice=100, pause=5.0
    )
    task = asyncio.create_task(backfill.fill())
    await clock.advance(4.9)
    for _ in range(300):
        await asyncio.sleep(0)
    assert len(link.own.recorded) == 100
    await clock.advance(5.0)
    async with asyncio.timeout(5):
        assert await task == 200


@given(spans_of, spans_of, st.integers(0, 6))
def test_any_state_of_both_sides_converges(
    theirs: list[tuple[str, int, int]], ours: list[tuple[str, int, int]], cut: int
) -> None:
    async def converge() -> None:
        live = frames((1, 20), run="ff" * 8, start=T0 + 100_000)
        held = {(run, seq): frame(seq, run=run) for run, seq in members(spans(theirs)) | members(spans(ours))}
        link = Link(
            [held[key] for key in sorted(members(spans(theirs)))] + live,
            [frame(1, run="01" * 8, start=T0 - 50_000), *(held[key] for key in sorted(members(spans(ours)))), *live],
            T0 - 60_000,
        )
        link.cut_after = cut
        for _ in range(2):
            try:
                await link.new(slice=7).fill()
            except Unreachable:
                link.cut_after = None
        link.cut_after = None
        await link.new(slice=7).fill()
        assert set(link.agent.kept) <= set(link.own.kept)

    asyncio.run(converge())


@pytest.mark.anyio
async def test_what_lies_between_two_frames_of_a_slow_reader_is_no_hole() -> None:
    every = frames((1, 1000))
    thin = [each for each in every if each.seq % 60 == 0 and not 300 < each.seq < 500]
    link = Link(every, [every[0], *thin], T0)
    link.backfill = link.new(interval=60.0)
    # From 301 to 539 nothing came at all: that stretch is filled with every frame there is.
    assert await link.backfill.fill() == 239
    assert {seq for _, _, seq in link.own.recorded} == set(range(301, 540))
    # Once their retention has let the frames between go, nothing is lost either.
    link.agent.kept = {key: each for key, each in link.agent.kept.items() if each.seq > 900}
    await link.backfill.fill()
    assert link.gaps == []


@pytest.mark.anyio
@pytest.mark.parametrize("ahead", [86_400_000, -86_400_000])
async def test_a_host_whose_clock_is_a_day_off_gets_its_holes_filled_and_no_more(ahead: int) -> None:
    theirs = frames((1, 100), start=T0 + ahead) + frames((1, 50), run="ee" * 8, start=T0 + ahead + 200_000)
    held = frames((20, 60)) + frames((30, 50), run="ee" * 8, start=T0 + 200_000)
    link = Link(theirs, held, T0 + 20_000)
    link.backfill = Backfill(
        link.agent.spans,
        link.own.spans,
        link.fetch,
        link.own,
        SystemClock(),
        contact=lambda host: link.contact,
        tell=link.told.append,
        skews=lambda host: (ahead, ahead),
        pause=0.0,
    )
    assert await link.backfill.fill() == 40 + 29
    # What lies before first contact stays there, and what is fetched keeps the stamps that it was given.
    assert min(seq for _, run, seq in link.own.kept if run == RUN) == 20
    assert link.own.kept[HOST, RUN, 70].time == T0 + ahead + 70_000
    assert link.gaps == []
