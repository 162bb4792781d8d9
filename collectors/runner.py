"""The runner: reads every collector at its own pace and yields frames, never late because of one of them.

A tick is a whole second of the wall clock. Collectors that do not block are read on the loop, one after the other; each
that may block has a thread of its own. What such a thread brings within `GRACE` goes into the frame of its tick, what
comes later into a later frame, stamped with the tick that asked. One that misses its deadline or fails is a fault,
backs off, and is not started again before it has returned.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import time
from typing import TYPE_CHECKING

import msgspec

from collectors._rounding import Rounding
from collectors._slots import Slot, Worker
from collectors._ticks import Ticks
from sysmon.clock import SystemClock
from sysmon.derive import State
from sysmon.frame import Fault, Frame, Number, Tables
from sysmon.records import Event
from sysmon.units import plain_duration

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping

    from collectors._slots import Outcome
    from collectors.base import Collector
    from collectors.identity import Identity
    from sysmon.catalogue import Catalogue
    from sysmon.clock import Clock
    from sysmon.records import Past, Update

GRACE = 0.2
"""Seconds that a frame waits for what may block."""

FULL_TICKS = 60
"""Ticks from one full frame to the next."""

EVIDENCE_INTERVAL = 30.0
"""Seconds between reads of expensive collectors while nobody looks."""

PATIENCE = 1.0
"""Seconds that `once` waits for what may block."""

CLOCK_EVENT = 2000
"""Milliseconds from which a step of the wall clock is told as an event."""


class Runner:
    """The source of this host's frames. It is used by one loop: either `updates`, once, or `once`."""

    def __init__(
        self,
        collectors: Iterable[Collector],
        catalogue: Catalogue,
        identity: Identity,
        clock: Clock | None = None,
        *,
        intervals: Mapping[str, float] | None = None,
        faults: Iterable[Fault] = (),
        evidence: float = EVIDENCE_INTERVAL,
        grace: float = GRACE,
        run: str | None = None,
        inline: bool = False,
    ) -> None:
        """Makes a runner; nothing is read yet.

        Args:
            collectors: what is read.
            catalogue: knows their metrics.
            identity: of the host.
            clock: the machine's by default.
            intervals: seconds between reads by collector name, where not the collector's own.
            faults: of collectors that are missing altogether; they are part of every full frame.
            evidence: seconds between reads of expensive collectors that nobody watches.
            grace: seconds that a frame waits for what may block.
            run: 16 hex digits; drawn at random by default.
            inline: whether also what may block is read on the loop, unless it is heavy: files of a captured tree do not
                block.
        """
        self.catalogue = catalogue
        self.identity = identity
        self.run = run or secrets.token_hex(8)
        self._clock = clock or SystemClock()
        self._ticks = Ticks(self._clock)
        self._grace = grace
        self._inline = inline
        self._given_faults = [*identity.faults, *faults]
        self._slots: dict[str, Slot] = {}
        for collector in collectors:
            interval = (intervals or {}).get(collector.name, collector.interval)
            self._slots[collector.name] = Slot(collector, interval, evidence, phase=len(self._slots))
        self._seq = 0
        self._next_full = 0
        self._intervals: dict[str, float] = {}
        self._told_missed = -1
        self._fresh: dict[str, Slot] = {}
        self._arrived: list[tuple[Slot, Outcome, float]] = []
        self._awaited: set[str] = set()
        self._all_here: asyncio.Future[None] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._rounding = Rounding(catalogue)
        self._closing = False

    async def updates(self) -> AsyncIterator[Update]:
        """Yields the `HostInfo`, then a frame per tick, the first at once; an `Event` when the wall clock was set."""
        yield self.identity.info
        self._begin()
        try:
            while not self._closing:
                frame = await self._tick(self._grace)
                if frame is not None:
                    yield frame
                stepped = await self._ticks.next()
                if abs(stepped) >= CLOCK_EVENT:
                    yield self._clock_event(stepped)
        finally:
            self._stop()

    async def close(self) -> None:
        """Ends `updates`; reads that hang are left to their daemon threads."""
        self._closing = True
        self._ticks.stop()
        self._stop()

    async def once(self, spacing: float = 1.0) -> State:
        """Samples everything twice, `spacing` seconds apart, so that rates are there.

        Returns:
            The state after the second sample. What did not answer within a second is a fault in it.
        """
        state = State(self.catalogue)
        self._begin()
        try:
            began = self._clock.boottime()
            await self._sample(state, self._grace)
            await self._clock.sleep(spacing - (self._clock.boottime() - began) / 1e9)
            self._take_arrived()
            self._apply(state, self._frame(self._clock.boottime(), full=False))
            self._ticks.align()
            for slot in self._slots.values():
                slot.due = self._ticks.number
            await self._sample(state, max(self._grace, PATIENCE), everything=True)
            now = self._clock.boottime()
            for slot in self._slots.values():
                if slot.busy and not slot.late:
                    slot.expire(now, self._ticks.number)
                    self._fresh[slot.name] = slot
            self._apply(state, self._frame(now, full=False))
        finally:
            self._stop()
        return state

    @contextlib.contextmanager
    def watch(self, name: str, interval: float = 1.0) -> Iterator[None]:
        """Has an expensive collector read every `interval` seconds while the context is open.

        Never faster than configured; others are not affected. A collector that is not there is not an error: there is
        nothing to look at then.
        """
        slot = self._slots.get(name)
        if slot is None:
            yield
            return
        slot.watchers.append(interval)
        slot.retime(self._ticks.number)
        try:
            yield
        finally:
            slot.watchers.remove(interval)
            slot.retime(self._ticks.number)

    def set_interval(self, name: str, seconds: float) -> None:
        """Changes the seconds between a collector's reads; of an expensive one, between reads while somebody looks.

        Raises:
            KeyError: there is no such collector.
        """
        slot = self._slots[name]
        slot.configured = max(1.0, seconds)
        slot.retime(self._ticks.number)

    def full_next(self) -> None:
        """Makes the next frame a full one, for somebody who joins between two of them."""
        self._next_full = 0

    @property
    def missed(self) -> int:
        """Ticks skipped so far, because the machine slept or was too busy."""
        return self._ticks.missed

    def pasts(self) -> list[Past]:
        """Returns what others counted of this host before, as the collectors last found it."""
        found = (slot.collector.past for slot in self._slots.values())
        return [msgspec.structs.replace(past, host=self.identity.host) for past in found if past is not None]

    def forget(self, source: str) -> None:
        """Lets go of what a source counted, until it is read again: it may be large."""
        for slot in self._slots.values():
            if slot.collector.past is not None and slot.collector.past.source == source:
                slot.collector.past = None

    @property
    def intervals(self) -> dict[str, float]:
        """Collector -> seconds between its reads now."""
        return {name: slot.interval for name, slot in self._slots.items()} | {"runner": float(FULL_TICKS)}

    def due(self, number: int) -> list[str]:
        """Returns the collectors that `step` would read at a tick."""
        return [slot.name for slot in self._slots.values() if slot.due <= number and not slot.busy]

    async def step(self, stamp: int, number: int, every: int = 1) -> Frame | None:
        """Takes one sample at a tick that another sets, of a host whose clock this runner was given.

        Args:
            stamp: the tick, Unix milliseconds.
            number: seconds after the first tick; from 0, never less than before.
            every: seconds between two ticks.

        Returns:
            The frame; None where nothing was due.
        """
        self._loop = asyncio.get_running_loop()
        self._ticks.take(stamp, number, every)
        return await self._tick(max(self._grace, PATIENCE), everything=True)

    def _off_loop(self, slot: Slot) -> bool:
        return slot.collector.blocking and (not self._inline or slot.collector.heavy)

    def _begin(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._ticks.align()
        self._next_full = self._ticks.number

    def _stop(self) -> None:
        for slot in self._slots.values():
            slot.stop()

    async def _tick(self, grace: float, *, everything: bool = False) -> Frame | None:
        """Reads what is due; returns the frame, or None where there is nothing to tell."""
        began = time.perf_counter()
        asked, number = self._clock.boottime(), self._ticks.number
        self._take_arrived()
        awaited = self._awaited
        awaited.clear()
        for slot in self._slots.values():
            if slot.busy:
                if not slot.late and asked - slot.asked >= slot.deadline:
                    slot.expire(asked, number)
                    self._fresh[slot.name] = slot
            elif slot.due <= number and self._off_loop(slot):
                if everything or (slot.collector.prompt and slot.cost <= grace):
                    awaited.add(slot.name)
                self._start(slot, asked)
        for slot in self._slots.values():
            if slot.due <= number and not self._off_loop(slot):
                self._read(slot, asked)
        cost = time.perf_counter() - began
        if awaited and grace > 0:
            await self._wait(grace)
            self._take_arrived()
        began = time.perf_counter()
        full = number >= self._next_full
        frame = self._frame(asked, full=full)
        if frame is not None:
            frame.cost["runner"] = round(cost + time.perf_counter() - began, 5)
        return frame

    async def _sample(self, state: State, grace: float, *, everything: bool = False) -> None:
        self._apply(state, await self._tick(grace, everything=everything))

    @staticmethod
    def _apply(state: State, frame: Frame | None) -> None:
        if frame is not None:
            state.apply(frame)

    def _read(self, slot: Slot, asked: int) -> None:
        began = time.perf_counter()
        outcome: Outcome
        try:
            outcome = slot.collector.read()
        except Exception as error:
            outcome = slot.collector.fault(error)
        slot.asked = asked
        self._take(slot, outcome, time.perf_counter() - began)

    def _start(self, slot: Slot, asked: int) -> None:
        if slot.worker is None:
            slot.worker = Worker(slot.collector, self._deliver_for(slot))
        slot.start(asked)

    def _deliver_for(self, slot: Slot) -> Callable[[int, Outcome, float], None]:
        loop = self._loop
        assert loop is not None

        def deliver(token: int, outcome: Outcome, seconds: float) -> None:
            with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
                loop.call_soon_threadsafe(self._receive, slot, token, outcome, seconds)

        return deliver

    def _receive(self, slot: Slot, token: int, outcome: Outcome, seconds: float) -> None:
        if not slot.returned(token):
            return
        self._arrived.append((slot, outcome, seconds))
        self._awaited.discard(slot.name)
        if not self._awaited and self._all_here is not None and not self._all_here.done():
            self._all_here.set_result(None)

    async def _wait(self, seconds: float) -> None:
        """Waits until what was started at this tick is there, `seconds` at most."""
        loop = asyncio.get_running_loop()
        self._all_here = loop.create_future()
        timer = asyncio.ensure_future(self._clock.sleep(seconds))
        try:
            await asyncio.wait({timer, self._all_here}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            timer.cancel()
            self._all_here = None

    def _take_arrived(self) -> None:
        arrived, self._arrived = self._arrived, []
        for slot, outcome, seconds in arrived:
            self._take(slot, outcome, seconds)

    def _take(self, slot: Slot, outcome: Outcome, seconds: float) -> None:
        """Folds the outcome of a read into its slot."""
        slot.cost = seconds
        if outcome is slot.reading and not slot.broken:
            slot.unchanged(self._ticks.number)
            return
        self._fresh[slot.name] = slot
        if isinstance(outcome, Fault):
            slot.failed(outcome, self._ticks.number)
        elif isinstance(outcome, BaseException):
            raise outcome
        else:
            self._rounding.settle(slot.name, outcome)
            slot.succeeded(outcome, self._ticks.number)

    def _frame(self, asked: int, *, full: bool) -> Frame | None:
        """Builds the frame of what is fresh, or of all that is valid; None where there is nothing."""
        fresh, self._fresh = self._fresh, {}
        intervals = self.intervals
        retimed = intervals != self._intervals
        missed = self._ticks.missed != self._told_missed
        if not (fresh or full or missed):
            return None
        readings: dict[str, Number] = {}
        reads: dict[str, int] = {}
        tables = Tables()
        faults = list(self._given_faults) if full else []
        for slot in self._slots.values() if full else fresh.values():
            faults += slot.faults
            if slot.reading is not None and (slot.valid(asked) if full else not slot.broken):
                readings.update(slot.reading.values)
                reads[slot.name] = slot.read_at
                if slot.has_tables:
                    tables = tables.merged(slot.reading.tables)
        if full or missed:
            readings["sysmon.ticks.missed"] = self._ticks.missed
            reads["runner"] = asked
            self._told_missed = self._ticks.missed
        if full:
            self._next_full = self._ticks.number + FULL_TICKS
        self._intervals = intervals
        self._seq += 1
        return Frame(
            host=self.identity.host,
            boot=self.identity.boot,
            run=self.run,
            seq=self._seq,
            time=self._ticks.stamp,
            monotonic=asked,
            readings=readings,
            reads=reads,
            full=full,
            intervals=intervals if full or retimed else {},
            tables=tables,
            faults=faults,
            cost={slot.name: round(slot.cost, 5) for slot in fresh.values()},
        )

    def _clock_event(self, stepped: int) -> Event:
        way = "forward" if stepped > 0 else "back"
        return Event(
            id=f"{self.run}-clock-{self._ticks.number}",
            time=self._ticks.stamp,
            host=self.identity.host,
            kind="clock",
            message=f"its clock was set {way} by {plain_duration(abs(stepped) / 1000)}",
            value=stepped / 1000,
        )
