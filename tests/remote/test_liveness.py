"""How fresh a host is, when to try again, and what a clock that is off is called: pure judgement."""

from __future__ import annotations

import asyncio
import random

import pytest

from remote.liveness import WATCHED, Backoff, Patience, Rest, Skew, clock_words, judge
from sysmon.clock import ManualClock


@pytest.mark.parametrize(
    ("age", "connected", "refused", "broken", "expected"),
    [
        (0.5, True, False, False, "live"),
        (2.9, True, False, False, "live"),
        (3.1, True, False, False, "late"),
        (15.1, True, False, False, "stale"),
        (600, True, False, False, "stale"),
        (2, False, True, False, "live"),
        (4, False, True, False, "offline"),
        (14, False, False, False, "late"),
        (29, False, False, False, "stale"),
        (31, False, False, False, "offline"),
        (1, False, True, True, "late"),
    ],
)
def test_liveness(age: float, connected: bool, refused: bool, broken: bool, expected: str) -> None:
    second = 1_000_000_000
    state, words = judge(
        Patience(),
        now=int(1000 * second + age * second),
        seen=1000 * second,
        since=0,
        interval=1.0,
        connected=connected,
        refused=refused,
        broken=broken,
        problem="the line is cut",
    )
    assert state == expected
    assert bool(words) == (state != "live")


@pytest.mark.parametrize(
    ("age", "heard", "connected", "refused", "expected"),
    [
        (170, 1, True, False, "live"),
        (181, 1, True, False, "late"),
        (361, 1, True, False, "stale"),
        (50, 2, False, True, "live"),
        (50, 4, False, True, "offline"),
        (50, 14, False, False, "late"),
        (50, 29, False, False, "stale"),
        (50, 31, False, False, "offline"),
    ],
)
def test_a_host_read_once_a_minute_is_not_late_and_not_there_for_minutes_after_it_went(
    age: float, heard: float, connected: bool, refused: bool, expected: str
) -> None:
    second = 1_000_000_000
    now = 1000 * second
    state, _ = judge(
        Patience(),
        now=now,
        seen=int(now - age * second),
        since=0,
        interval=60.0,
        connected=connected,
        refused=refused,
        broken=False,
        problem="the line is cut",
        heard=int(now - heard * second),
    )
    assert state == expected


@pytest.mark.parametrize(
    ("skew", "words"),
    [
        (None, ""),
        (299_000, ""),
        (-301_000, "its clock is 5 min behind"),
        (3 * 3_600_000, "its clock is 3 h ahead"),
        (86_400_000, "its clock is 1 day ahead"),
        (-10 * 86_400_000, "its clock is 10 days behind"),
    ],
)
def test_a_clock_that_is_off_is_said_in_plain_words(skew: int | None, words: str) -> None:
    assert clock_words(skew) == words


@pytest.mark.parametrize(("patience", "most"), [(WATCHED, 5.0), (Patience(), 30.0)])
def test_a_screen_tries_again_sooner_than_a_recorder(patience: Patience, most: float) -> None:
    backoff = Backoff(patience, random.Random(7))
    delays = [backoff.next() for _ in range(200)]
    assert 0.8 * most < max(delays) <= most


def test_backoff_grows_with_jitter_resets_on_success_and_remembers_misbehaviour() -> None:
    backoff = Backoff(Patience(), random.Random(7))
    delays = [backoff.next() for _ in range(12)]
    assert all(0 <= delay <= min(30.0, 0.5 * 2**number) for number, delay in enumerate(delays))
    assert max(delays) > 10
    assert len({round(delay, 3) for delay in delays}) == 12
    backoff.succeeded(5.0)
    assert backoff.next() <= 0.5
    for _ in range(8):
        backoff.next(offence=True)
        backoff.succeeded(5.0)
    assert max(backoff.next(offence=True) for _ in range(10)) > 5
    backoff.succeeded(60.0)
    assert backoff.next() <= 0.5


def test_skew_is_a_median() -> None:
    skew = Skew()
    assert skew.value is None
    for theirs in (100, 110, 90_000, 105):
        skew.add(theirs, 0)
    assert skew.value in (107, 108)


@pytest.mark.anyio
async def test_a_wait_is_cut_short_but_never_to_nothing_and_not_where_it_is_to_be_kept() -> None:
    clock = ManualClock()
    rest = Rest(clock, 0.5)

    async def taking(keep: bool) -> asyncio.Task[None]:
        task = asyncio.create_task(rest.take(30.0, keep=keep))
        await asyncio.sleep(0)
        return task

    task = await taking(keep=False)
    rest.wake()
    await clock.advance(0.4)
    assert not task.done()
    await clock.advance(0.2)
    await asyncio.wait({task}, timeout=5)
    assert task.done()
    task = await taking(keep=True)
    rest.wake()
    await clock.advance(29.0)
    assert not task.done()
    await clock.advance(2.0)
    await asyncio.wait({task}, timeout=5)
    assert task.done()
