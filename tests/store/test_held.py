"""Which frames are held: what a reader remembers between questions is what a fresh reader finds."""

from __future__ import annotations

import random
import time
from typing import TYPE_CHECKING

import msgspec
import pytest

from store.retention import Retention
from sysmon.clock import ManualClock
from tests.store.helpers import reading, recording
from tests.store.worlds import HOST, START, World

if TYPE_CHECKING:
    from pathlib import Path

    from sysmon.frame import Frame
    from sysmon.records import RunSpan

pytestmark = pytest.mark.anyio


def seqs(spans: list[RunSpan]) -> dict[tuple[str, str, str], set[int]]:
    """The frames that spans stand for; they may not touch."""
    found: dict[tuple[str, str, str], set[int]] = {}
    for span in spans:
        held = found.setdefault((span.host, span.run, span.boot), set())
        more = set(range(span.first, span.last + 1))
        assert not held & ({span.first - 1, span.last + 1} | more)
        held |= more
    return found


@pytest.mark.parametrize("seed", range(4))
async def test_a_reader_that_stays_knows_what_a_fresh_one_finds(tmp_path: Path, seed: int) -> None:
    rng = random.Random(seed)
    path, clock = tmp_path / "history.db", ManualClock(START)
    world = World()
    world.spacing = 5
    limited = Retention(raw=2 * 3600, minute=10**6, free=0.0)
    kept: dict[tuple[str, str, str], set[int]] = {}
    waiting: list[Frame] = []
    async with recording(path, clock, retention=limited) as recorder, reading(path, clock) as staying:
        for turn in range(12):
            boot = f"boot-{turn // 4}"
            for frame in world.frames(rng.choice((1, 30, 360))):
                frame = msgspec.structs.replace(frame, boot=boot)
                if rng.random() < 0.02 or (waiting and rng.random() < 0.5 and frame.seq == waiting[-1].seq + 1):
                    waiting.append(frame)
                    continue
                clock.step_wall(frame.time - clock.now())
                await recorder.record(frame, received=clock.now())
                kept.setdefault((HOST, frame.run, boot), set()).add(frame.seq)
            if rng.random() < 0.4:
                for frame in rng.sample(waiting, len(waiting) // 2):
                    waiting.remove(frame)
                    await recorder.record(frame, received=clock.now(), late=True)
            await recorder.flush()
            if rng.random() < 0.5:
                await recorder.maintain()
            if rng.random() < 0.7:
                found = await staying.spans()
                assert found == await staying.spans(HOST)
                async with reading(path, clock) as fresh:
                    assert found == await fresh.spans()
                seqs(found)
    assert kept


async def test_a_reader_of_many_hosts_is_answered_at_once(tmp_path: Path) -> None:
    """Not a budget: a question that reads everything again takes a hundred times what one does that does not."""
    path, clock = tmp_path / "history.db", ManualClock(START)
    frames = World().frames(400)
    async with recording(path, clock) as recorder, reading(path, clock) as history:
        for number in range(40):
            for frame in frames:
                await recorder.record(msgspec.structs.replace(frame, host=f"{number:016x}"), received=frame.time)
        await recorder.flush()
        first = await history.spans()
        assert len(first) == 40
        await recorder.record(msgspec.structs.replace(frames[-1], seq=401), received=clock.now())
        await recorder.flush()
        began = time.perf_counter()
        assert [span.last for span in await history.spans() if span.host == HOST] == [401]
        assert len(await history.spans()) == 41
        quick = time.perf_counter() - began
        async with reading(path, clock) as fresh:
            began = time.perf_counter()
            await fresh.spans()
            assert quick < time.perf_counter() - began


async def test_frames_at_longer_intervals_are_one_span(tmp_path: Path) -> None:
    path, clock = tmp_path / "history.db", ManualClock(START)
    frames = World().frames(700)
    thin = [frame for frame in frames if frame.seq % 10 == 1 and frame.seq < 500]
    whole = [frame for frame in frames if 520 <= frame.seq < 600]
    # Holes of a line that breaks again and again are still holes.
    broken = [frame for frame in frames if frame.seq >= 610 and frame.seq % 20 < 10]
    async with recording(path, clock) as recorder, reading(path, clock) as history:
        for count, frame in enumerate([*thin, *whole, *broken]):
            clock.step_wall(frame.time - clock.now())
            await recorder.record(frame, received=clock.now())
            if count % 23 == 0:
                await recorder.flush()
                await history.spans()
        await recorder.flush()
        wanted = [
            (1, 491, 10),
            (520, 599, 1),
            (620, 629, 1),
            (640, 649, 1),
            (660, 669, 1),
            (680, 689, 1),
            (700, 700, 1),
        ]
        assert [(span.first, span.last, span.every) for span in await history.spans()] == wanted
        await recorder.maintain()
        async with reading(path, clock) as fresh:
            assert [(span.first, span.last, span.every) for span in await fresh.spans()] == wanted
