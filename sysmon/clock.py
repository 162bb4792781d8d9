"""Time, injected: wall clock, time since boot, and waiting.

The wall clock is integer milliseconds UTC. The boot clock is nanoseconds since boot with suspend included
(CLOCK_BOOTTIME); where a platform lacks it, CLOCK_MONOTONIC.
"""

from __future__ import annotations

import asyncio
import time
from typing import Protocol

_BOOT_CLOCK: int | None = getattr(time, "CLOCK_BOOTTIME", None)


SKEW = 300_000
"""Milliseconds by which two machines' clocks may differ; beyond it a host's times are counted by ours."""


def far_off(skew: int | None) -> int:
    """Returns by how many milliseconds a clock is ahead of ours where that is too much, else 0."""
    return skew if skew is not None and abs(skew) > SKEW else 0


class Clock(Protocol):
    """What the rest of sysmon asks about time."""

    def now(self) -> int:
        """Returns Unix time in milliseconds, UTC."""
        ...

    def boottime(self) -> int:
        """Returns nanoseconds since boot, suspend included."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Waits; the one place where loops sleep and are cancelled."""
        ...


class SystemClock:
    """The machine's clocks."""

    def now(self) -> int:
        """Returns Unix time in milliseconds, UTC."""
        return time.time_ns() // 1_000_000

    def boottime(self) -> int:
        """Returns nanoseconds since boot, suspend included."""
        return time.monotonic_ns() if _BOOT_CLOCK is None else time.clock_gettime_ns(_BOOT_CLOCK)

    async def sleep(self, seconds: float) -> None:
        """Waits `seconds`."""
        await asyncio.sleep(max(0.0, seconds))


class ManualClock:
    """A clock that moves only when told; sleepers wake in order of their time."""

    def __init__(self, now: int = 1_700_000_000_000, boottime: int = 1_000_000_000_000) -> None:
        self._now = now
        self._boottime = boottime
        self._sleepers: list[tuple[int, int, asyncio.Future[None]]] = []
        self._order = 0

    def now(self) -> int:
        """Returns Unix time in milliseconds, UTC."""
        return self._now

    def boottime(self) -> int:
        """Returns nanoseconds since boot."""
        return self._boottime

    def step_wall(self, milliseconds: int) -> None:
        """Moves the wall clock alone, as an administrator or NTP would."""
        self._now += milliseconds

    async def sleep(self, seconds: float) -> None:
        """Waits until `advance` has moved the clock far enough."""
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._order += 1
        self._sleepers.append((self._boottime + int(max(0.0, seconds) * 1e9), self._order, future))
        await future

    async def advance(self, seconds: float) -> None:
        """Moves both clocks, waking each sleeper at its own moment and letting it run."""
        target = self._boottime + int(seconds * 1e9)
        while True:
            await _settle()
            due = sorted(entry for entry in self._sleepers if entry[0] <= target)
            if not due:
                break
            wake, _, future = entry = due[0]
            self._sleepers.remove(entry)
            self._shift(max(0, wake - self._boottime))
            if not future.done():
                future.set_result(None)
        self._shift(target - self._boottime)
        await _settle()

    def _shift(self, nanoseconds: int) -> None:
        before = self._boottime // 1_000_000
        self._boottime += nanoseconds
        self._now += self._boottime // 1_000_000 - before


async def _settle() -> None:
    for _ in range(20):
        await asyncio.sleep(0)
