"""What the Network screen asks of a history, from real ones: since when anything is known."""

from __future__ import annotations

from datetime import UTC
from typing import TYPE_CHECKING

import pytest

from sysmon.clock import ManualClock
from sysmon.frame import Frame
from sysmon.records import HostInfo, Past, UsagePiece
from tests.store.helpers import put, reading, recording
from tests.store.worlds import HOST
from tui.networkread import read_since

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

pytestmark = pytest.mark.anyio

HOUR, DAY = 3_600_000, 86_400_000
BEGUN = 1_795_284_083_000
"""2026-11-21 18:01:23 UTC."""


def frames(name: str, count: int = 600) -> list[Frame]:
    """One a second from `BEGUN` on, with traffic in each."""
    return [
        Frame(
            host=HOST, run="a" * 16, seq=1 + at, boot="b" * 32, time=BEGUN + 1000 * at, monotonic=(50 + at) * 10**9,
            readings={f"net.receive:{name}": 5000 * at, f"net.transmit:{name}": 100 * at},
            reads={"network": (50 + at) * 10**9}, intervals={"network": 1.0}, full=not at,
        )
        for at in range(count)
    ]  # fmt: skip


async def since(path: Path, pieces: Sequence[UsagePiece] = (), *, before: int = 0) -> tuple[int, ...]:
    """From when on eth0 is said to be known, where vnStat told pieces."""
    clock = ManualClock(BEGUN)
    async with recording(path, clock) as recorder:
        await recorder.record_host(HostInfo(id=HOST, timezone="UTC"))
        if pieces:
            await recorder.record_past(Past(host=HOST, source="vnstat", time=BEGUN, pieces=[*pieces]))
        await put(recorder, clock, frames("eth0"))
        await recorder.flush()
    async with reading(path, clock) as history:
        return await read_since(history, HOST, "interface", clock.now() - before, UTC, ["eth0"])


async def test_it_is_known_since_the_first_frame_and_not_since_the_beginning_of_its_month(tmp_path: Path) -> None:
    assert await since(tmp_path / "history.db") == (BEGUN,)


async def test_what_others_told_goes_back_further(tmp_path: Path) -> None:
    key = "net.receive:eth0"
    hours = BEGUN // HOUR * HOUR
    told = [UsagePiece(key, hours - 3 * HOUR, hours - 2 * HOUR, 1000)]
    assert await since(tmp_path / "hour.db", told) == (hours - 3 * HOUR,)
    days = BEGUN // DAY * DAY
    told.append(UsagePiece(key, days - 40 * DAY, days - 39 * DAY, 1000))
    assert await since(tmp_path / "day.db", told) == (days - 40 * DAY,)


async def test_before_anything_is_known_there_is_nothing(tmp_path: Path) -> None:
    assert await since(tmp_path / "history.db", before=2 * HOUR) == ()
