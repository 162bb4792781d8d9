"""Sources that make their frames themselves, because who is asked makes none.

A look is what a peer said once. This side draws the run and counts the frames, so that everything behind it (history,
rates, screens) cannot tell such a host from one with a sysmon of its own.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import hmac
import secrets
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from remote import clean
from remote.foreign.lifetime import Lifetime
from remote.liveness import Backoff, Patience, Rest, Skew, clock_words, judge
from remote.outflow import Outflow
from remote.server.reduced import only
from remote.target import parse_target
from sysmon.clock import SystemClock
from sysmon.derive import State
from sysmon.errors import MalformedInput, ProtocolMismatch, SysmonError, Unreachable
from sysmon.frame import Frame, Tables
from sysmon.records import HostInfo, Status

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Mapping

    from remote.client.transport import Connections, Endpoint
    from remote.target import Target
    from sysmon.catalogue import Catalogue
    from sysmon.clock import Clock
    from sysmon.frame import Fault, Number
    from sysmon.ports import History
    from sysmon.records import Update

QUEUE = 64
"""Updates made ahead of the consumer at most; then the peer is asked no more."""
FULL = 60_000_000_000
"""Nanoseconds between full states."""
PAST = 5.0
"""Seconds to wait for the last frame that was recorded."""
SKEW_STEP = 250
"""Milliseconds by which the skew must change to be told again."""


class Look(NamedTuple):
    """What a peer said at one time.

    Attributes:
        boot, monotonic: lifetime of its counters, and nanoseconds in it; see `remote.foreign.lifetime`.
        readings: series key -> value, only what was read for this look.
        collectors: those whose values this look would hold, beside the owners of `readings`.
        intervals: collector -> seconds between looks at its values, where that is not the source's own.
        tables, faults: as in a frame.
        info: who it is, as far as it says; id, name and target are filled in.
        theirs: its clock, Unix milliseconds, or None.
        cost: seconds that asking took.
    """

    boot: str
    monotonic: int
    readings: dict[str, Number]
    collectors: frozenset[str] = frozenset()
    intervals: Mapping[str, float] = MappingProxyType({})
    tables: Tables = Tables()
    faults: tuple[Fault, ...] = ()
    info: HostInfo | None = None
    theirs: int | None = None
    cost: float = 0.0


def target_host(target: Target) -> str:
    """Returns the id of a host that tells none: a hash of where it is, and of who answers there."""
    told = f"{target.kind} {target.base} {target.socket}"
    return hmac.new(b"sysmon", told.encode(), hashlib.sha256).hexdigest()[:16]


class PolledSource:
    """Frames of a peer that makes none; implements `sysmon.ports.Source`. A kind of peer gives `look` or `looks`.

    Args:
        target: where it is.
        catalogue: the metrics that it is read into; they say which collector each belongs to.
        name: the configured name.
        interval: seconds between looks.
        collectors: those wanted of it; empty for all.
        clock: this side's.
        connections: shared by all sources of the process; its own otherwise.
        patience: how long is too long.

    Raises:
        UsageError: the target cannot be one.
    """

    def __init__(
        self,
        target: str | Target,
        *,
        catalogue: Catalogue,
        name: str = "",
        interval: float = 1.0,
        collectors: Iterable[str] = (),
        clock: Clock | None = None,
        connections: Connections | None = None,
        patience: Patience | None = None,
    ) -> None:
        self.target: Target = parse_target(target) if isinstance(target, str) else target
        self.host = target_host(self.target)
        """Id of the host."""
        self.run = secrets.token_hex(8)
        """Drawn here; see `sysmon.frame.Frame`."""
        self.name = name
        self.interval = interval
        self.patience = patience or Patience()
        self.connected = asyncio.Event()
        """Set while the last look succeeded."""
        self.faults = 0
        """How often the peer sent what it should not have."""
        self.lifetime = Lifetime(self.host)
        """Boot and time of the host, for peers that tell neither."""
        self.clock: Clock = clock or SystemClock()
        self.catalogue = catalogue
        self._connections = connections
        self._own_connections = connections is None
        self._queue: Outflow[Update] = Outflow(QUEUE)
        self._cleaner = clean.Cleaner()
        self._skew = Skew()
        self._backoff = Backoff(self.patience)
        self._rest = Rest(self.clock, self.patience.first)
        self._state = State(catalogue)
        self._collectors = frozenset(collectors)
        self._intervals: dict[str, float] = {}
        self._last: Frame | None = None
        self._info: HostInfo | None = None
        self._full_at: int | None = None
        self._seen: int | None = None
        self._started = 0
        self._problem = ""
        self._refused = False
        self._broken = False
        self._told: Status | None = None
        self._tasks: list[asyncio.Task[None]] = []

    async def resume(self, history: History) -> None:
        """Takes up the boot of the last frame recorded, so that a restart of this side begins no new one.

        Args:
            history: where earlier frames of the host are; one that does not answer is no reason not to begin.
        """
        with contextlib.suppress(SysmonError, TimeoutError):
            async with asyncio.timeout(PAST):
                found = await history.moment(self.host, self.clock.now())
            if found is not None:
                self.lifetime.resume(found.frame.boot, found.frame.monotonic, found.frame.time)

    # What a kind of peer gives

    async def look(self) -> Look:
        """Asks the peer once.

        Raises:
            SysmonError: it cannot be asked, or what it says cannot be used.
        """
        raise NotImplementedError

    async def looks(self) -> AsyncIterator[Look]:
        """Yields looks, one per interval, until one fails; those missed are skipped."""
        period = int(self.interval * 1e9)
        due = self.clock.boottime()
        while True:
            yield await self.look()
            now = self.clock.boottime()
            due += period * max(1, -(-(now - due) // period))
            await self.clock.sleep((due - now) / 1e9)

    def endpoint(self) -> Endpoint:
        """Returns the server to ask over this process's connections."""
        from remote.client.transport import Connections, Endpoint

        if self._connections is None:
            self._connections = Connections()
        return Endpoint(self.target, self._connections)

    # The source

    async def updates(self) -> AsyncIterator[Update]:
        """Yields a `Status` first, the host before its first frame, then frames for ever; see `sysmon.ports.Source`."""
        self._started = self.clock.boottime()
        self._told = self._status()
        yield self._told
        loop = asyncio.get_running_loop()
        self._tasks = [loop.create_task(self._run(), name=f"read {self.target}"), loop.create_task(self._watch())]
        try:
            async for update in self._queue:
                yield update
        finally:
            await self._stop()

    async def close(self) -> None:
        """Ends `updates` and closes the connection."""
        await self._stop()
        self._queue.end()
        if self._own_connections and self._connections is not None:
            await self._connections.close()
            self._connections = None

    def ask(self, tables: Iterable[str]) -> None:
        """Does nothing: a peer of this kind says all it has."""

    def late(self, frame: Frame) -> bool:
        """Whether a frame fills a hole: never, there is no past to ask for."""
        return False

    @property
    def skew(self) -> int | None:
        """The peer's clock minus ours in milliseconds, or None where it tells no time."""
        return self._skew.value

    def wake(self) -> None:
        """Tries again now where it waits to reach its target: the line may be there again."""
        self._rest.wake()

    async def _stop(self) -> None:
        tasks, self._tasks = self._tasks, []
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self.connected.clear()

    async def _run(self) -> None:
        while True:
            offence = unreached = False
            opened = self.clock.boottime()
            try:
                async for look in self.looks():
                    await self._take(look)
                self._problem = f"{self.target} ended the stream"
            except Unreachable as error:
                self._problem = str(error)
                self._refused = not self.connected.is_set()
                unreached = True
            except SysmonError as error:
                self._problem = str(error)
                offence = isinstance(error, MalformedInput | ProtocolMismatch)
                self._refused = self._broken = True
            except Exception as error:  # whatever a peer brings about, it is said and tried again
                self._problem = f"{self.target}: {type(error).__name__}: {error}"
                offence = self._refused = self._broken = True
            finally:
                self.connected.clear()
            self.faults += offence
            await self._judge()
            lived = (self.clock.boottime() - opened) / 1e9
            if lived >= self.patience.settled:
                self._backoff.succeeded(lived)
            await self._rest.take(self._backoff.next(offence=offence), keep=not unreached)

    # A look becomes a frame

    async def _take(self, look: Look) -> None:
        frame = self._frame(look)
        now = self.clock.now()
        if look.theirs is not None:
            self._skew.add(look.theirs, now - round(look.cost * 500))
        again = not self.connected.is_set()
        self.connected.set()
        self._problem = ""
        self._refused = self._broken = False
        self._backoff.succeeded(0.0)
        info = msgspec.structs.replace(
            clean.record(look.info or self._info or HostInfo(id=self.host)),
            id=self.host,
            name=self.name,
            target=str(self.target),
        )
        if info != self._info:
            self._info = info
            await self._queue.put(info)
        self._last = frame
        self._seen = self.clock.boottime()
        await self._queue.put(self._kept(frame, again))
        await self._judge()

    def _frame(self, look: Look) -> Frame:
        """Makes the next frame of the run, cleaned.

        Raises:
            MalformedInput: what was said is out of bounds.
        """
        last = self._last
        monotonic = look.monotonic
        if last is not None and last.boot == look.boot:
            monotonic = max(monotonic, last.monotonic + 1)
        owners = {self._owner(key) for key in look.readings}
        names = sorted((owners | look.collectors) - {""})
        frame = Frame(
            host=self.host,
            boot=look.boot,
            run=self.run,
            seq=1 if last is None else last.seq + 1,
            time=self.clock.now() - round(look.cost * 1000),
            monotonic=monotonic,
            readings={key: self.catalogue.rounded(key, value) for key, value in look.readings.items()},
            reads=dict.fromkeys(names, monotonic),
            tables=look.tables,
            faults=list(look.faults),
            cost={"runner": round(max(0.0, look.cost), 6)},
        )
        for name in names:
            if not self._collectors or name in self._collectors:
                self._intervals[name] = look.intervals.get(name, self.interval)
        frame = self._cleaner.frame(frame)
        return only(frame, self._collectors, self._owner) if self._collectors else frame

    def _owner(self, key: str) -> str:
        metric = self.catalogue.of_key(key)
        return metric.collector if metric is not None else ""

    def _kept(self, frame: Frame, again: bool) -> Frame:
        """Returns the frame as it goes out: a full state where one is due, with what other looks have said."""
        known = self._state.frame
        due = self._full_at is None or frame.monotonic - self._full_at >= FULL
        if due or again or known is None or known.boot != frame.boot:
            self._full_at = frame.monotonic
            self._state.apply(msgspec.structs.replace(frame, full=True, intervals=dict(self._intervals)))
            full = self._state.full()
            assert full is not None
            return full
        self._state.apply(frame)
        return frame

    # How fresh it is

    async def _watch(self) -> None:
        while True:
            await self.clock.sleep(self.patience.tick)
            await self._judge()

    async def _judge(self) -> None:
        status = self._status()
        told = self._told
        if told is not None and (told.host, told.state, told.message) == (status.host, status.state, status.message):
            if told.skew == status.skew or (
                told.skew is not None and status.skew is not None and abs(told.skew - status.skew) < SKEW_STEP
            ):
                return
        self._told = status
        await self._queue.put(status)

    def _status(self) -> Status:
        state, words = judge(
            self.patience,
            now=self.clock.boottime(),
            seen=self._seen,
            since=self._started,
            interval=self.interval,
            connected=self.connected.is_set(),
            refused=self._refused,
            broken=self._broken,
            problem=self._problem,
        )
        words = words or clock_words(self._skew.value)
        return Status(
            host=self.host if self._info is not None else "",
            name=self.name,
            state=state,
            message=words,
            since=self._seen or 0,
            skew=self._skew.value,
            target=str(self.target),
        )
