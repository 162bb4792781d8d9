"""Whole seconds of the wall clock, one after the other: what the runner samples at."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sysmon.clock import Clock

STEP = 1000
"""Milliseconds between ticks."""


class Ticks:
    """Counts ticks without drift, through sleep, overload and steps of the wall clock.

    Attributes:
        stamp: the present tick, Unix milliseconds.
        number: how many seconds it is after the first, skipped ones counted.
        missed: how many were skipped.
    """

    def __init__(self, clock: Clock) -> None:
        self.stamp = 0
        self.number = 0
        self.missed = 0
        self._clock = clock
        self._due = 0
        self._sleeper: asyncio.Future[None] | None = None
        self._stopped = False

    def align(self) -> None:
        """Takes this moment for the tick, stamped with the nearest whole second."""
        self.stamp = _nearest(self._clock.now())
        self._due = self._clock.boottime()

    async def next(self) -> int:
        """Waits for the next whole second; returns by how many milliseconds the wall clock was set meanwhile.

        The boot clock tells a step of the wall clock from time slept through. After either, ticks go on at whole
        seconds, the next half a second to one and a half after the last: rates never come from slivers of time.
        """
        stepped = 0
        while not self._stopped:
            now, boot = self._clock.now(), self._clock.boottime()
            drift = now - self.stamp - (boot - self._due) // 1_000_000
            if abs(drift) > STEP // 2:
                self.stamp = _nearest(self.stamp + drift)
                self._due = boot - (now - self.stamp) * 1_000_000
                stepped += drift
            late = now - self.stamp - STEP
            skipped = max(0, (late + STEP // 2) // STEP)
            target = self.stamp + STEP * (1 + skipped)
            if now >= target:
                self.number += 1 + skipped
                self.missed += skipped
                self.stamp = target
                self._due = boot - (now - target) * 1_000_000
                break
            await self._sleep((target - now) / 1000)
        return stepped

    def take(self, stamp: int, number: int, step: int) -> None:
        """Takes a tick that another sets.

        Args:
            stamp: Unix milliseconds.
            number: seconds after the first; never less than before.
            step: seconds between two ticks; what is beyond was missed.
        """
        if self.stamp:
            self.missed += max(0, number - self.number - step)
        self.stamp, self.number = stamp, max(number, self.number)

    def stop(self) -> None:
        """Ends `next` at once, now and from now on."""
        self._stopped = True
        if self._sleeper is not None:
            self._sleeper.cancel()

    async def _sleep(self, seconds: float) -> None:
        self._sleeper = asyncio.ensure_future(self._clock.sleep(seconds))
        try:
            await self._sleeper
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if not self._stopped or (task is not None and task.cancelling()):
                raise
        finally:
            self._sleeper = None


def _nearest(milliseconds: int) -> int:
    return (milliseconds + STEP // 2) // STEP * STEP
