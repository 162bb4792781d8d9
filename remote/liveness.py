"""How fresh a remote host's data is, and when to try again: pure judgement on times of this side's boot clock."""

from __future__ import annotations

import asyncio
import random
from collections import deque
from typing import TYPE_CHECKING

import msgspec

from sysmon.clock import far_off
from sysmon.units import plain_duration

if TYPE_CHECKING:
    from sysmon.clock import Clock
    from sysmon.records import Liveness

SECOND = 1_000_000_000
"""Nanoseconds."""


class Patience(msgspec.Struct, frozen=True, kw_only=True):
    """How long is too long, in seconds.

    Attributes:
        deadline: without a complete event a connection is given up; three heartbeats.
        head: until the server's headers must be there.
        late: intervals without a frame after which a host is late. `stale`, `offline`: seconds.
        first, most: bounds of the back-off.
        settled: a connection that lived so long clears the record of earlier misbehaviour.
        tick: between two judgements.
    """

    deadline: float = 15.0
    head: float = 10.0
    late: float = 3.0
    stale: float = 15.0
    offline: float = 30.0
    first: float = 0.5
    most: float = 30.0
    settled: float = 60.0
    tick: float = 1.0


WATCHED = Patience(most=5.0)
"""Of a screen: somebody is waiting before it, so it tries again sooner than a recorder does."""


def judge(
    patience: Patience,
    *,
    now: int,
    seen: int | None,
    since: int,
    interval: float,
    connected: bool,
    refused: bool,
    broken: bool,
    problem: str,
    heard: int | None = None,
) -> tuple[Liveness, str]:
    """Returns a host's state and the words for it.

    Args:
        patience: how long is too long.
        now: boot clock, nanoseconds.
        seen: when its last frame came, or None.
        since: when this side began to try, or was first connected.
        interval: seconds between its frames.
        connected: whether the stream is open.
        refused: whether the last attempt to connect failed at once.
        broken: whether the peer sent what it should not have.
        problem: what went wrong last, or ''.
        heard: when the peer last gave any sign of life, heartbeats included; None: only by its frames. A broken line
            is judged by this, so that a host read once a minute is not held to be there for minutes after it went.
    """
    if seen is None:
        if connected:
            waited = (now - since) / SECOND
            limit = patience.stale if interval <= 1.0 else max(patience.stale, patience.late * interval)
            return ("stale", "connected, but no frame has come") if waited > limit else ("connecting", "")
        return ("offline", problem) if problem else ("connecting", "")
    age = (now - seen) / SECOND
    late = patience.late * interval
    stale = max(patience.stale, 2 * late)
    if not connected:
        silence = max(0.0, age - max(0.0, interval - 1.0)) if heard is None else min(age, (now - heard) / SECOND)
        soon = patience.late * min(interval, 1.0)
        if silence > patience.offline or ((refused or broken) and silence > soon):
            return "offline", problem or "the connection is lost"
        if silence > patience.stale:
            return "stale", problem or "the connection is lost"
        if silence > soon or broken:
            return "late", problem or "the connection is lost"
        return "live", ""
    if age > stale:
        return "stale", "connected, but frames have stopped"
    if age > late:
        return "late", "a frame is overdue"
    return "live", ""


def clock_words(skew: int | None) -> str:
    """Says how far a clock is off, beyond `SKEW`; '' for less, or where it is not known. `skew`: milliseconds."""
    skew = far_off(skew)
    if not skew:
        return ""
    return f"its clock is {plain_duration(abs(skew) / 1000)} {'ahead' if skew > 0 else 'behind'}"


class Backoff:
    """Delays with full jitter, doubling from `first` to `most`; success starts over, misbehaviour is kept in mind."""

    def __init__(self, patience: Patience, rng: random.Random | None = None) -> None:
        self._patience = patience
        self._random = rng or random.Random()
        self._attempt = 0
        self._offences = 0

    def next(self, *, offence: bool = False) -> float:
        """Returns the seconds to wait now.

        Args:
            offence: the peer did not merely vanish but sent what it should not.
        """
        if offence:
            self._offences += 1
        ceiling = self._patience.first * 2.0 ** min(max(self._attempt, self._offences), 16)
        self._attempt += 1
        return self._random.uniform(0.1 if offence else 0.0, 1.0) * min(self._patience.most, ceiling)

    def succeeded(self, lived: float) -> None:
        """Notes that a connection gave frames, and has lived for so many seconds."""
        self._attempt = 0
        if lived >= self._patience.settled:
            self._offences = 0


class Rest:
    """The wait before the next attempt, which is cut short when there is reason to hope."""

    def __init__(self, clock: Clock, least: float) -> None:
        self._clock = clock
        self._least = least
        self._woken = asyncio.Event()

    def wake(self) -> None:
        """Ends a wait, unless that is one to be kept."""
        self._woken.set()

    async def take(self, seconds: float, *, keep: bool = False) -> None:
        """Waits; at least so long that whoever wakes it again and again makes no busy loop.

        Args:
            seconds: to wait. `keep`: whether to wait so long in any case.
        """
        self._woken.clear()
        if keep or seconds <= self._least:
            await self._clock.sleep(seconds)
            return
        await self._clock.sleep(self._least)
        rest = self._clock.sleep(seconds - self._least)
        waits = [asyncio.ensure_future(rest), asyncio.ensure_future(self._woken.wait())]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for each in waits:
                each.cancel()


class Skew:
    """A peer's clock minus ours, as the median of its last heartbeats, in milliseconds."""

    def __init__(self, size: int = 15) -> None:
        self._seen: deque[int] = deque(maxlen=size)

    def add(self, theirs: int, ours: int) -> None:
        """Takes one heartbeat: its time, and ours on its arrival."""
        self._seen.append(theirs - ours)

    @property
    def value(self) -> int | None:
        """The median, or None before the first."""
        if not self._seen:
            return None
        # Not by `statistics`, which loads fractions and decimals.
        ordered = sorted(self._seen)
        middle = len(ordered) // 2
        return ordered[middle] if len(ordered) % 2 else round((ordered[middle - 1] + ordered[middle]) / 2)
