"""A source that is another sysmon: an agent or a hub, read as server-sent events.

It reconnects for ever, says how fresh each host is, and takes nothing on trust: what is malformed ends the connection
with a word why, and a longer wait before the next.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import msgspec

from remote import clean, sse, wire
from remote.client.roster import Roster
from remote.liveness import Backoff, Patience, Rest
from remote.outflow import Outflow
from remote.pace import Newcomers, PeerPace
from remote.target import Target, parse_target
from sysmon.clock import SystemClock, far_off
from sysmon.errors import MalformedInput, ProtocolMismatch, SysmonError, Unreachable
from sysmon.frame import Frame
from sysmon.records import AlertState, Event, Gap, Hello, HostInfo, Status

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable

    from remote.client.transport import Connections
    from sysmon.clock import Clock
    from sysmon.records import Update

QUEUE = 64
"""Updates read ahead of the consumer at most; then the socket is no longer read."""

INLINE = 256 << 10
"""Bytes of an event that is decoded at once; a greeting of a hundred hosts has as many."""


class AgentSource:
    """Frames of a remote sysmon; implements `sysmon.ports.Source`.

    Args:
        target: `http(s)://host:8200` or `unix:///path`, as text or taken apart.
        name: the configured name, given to the host where the server has just one.
        clock: this side's.
        tables: tables to ask for; see `ask`.
        hosts: of a hub, the hosts wanted: ids, names or hostnames; empty for all.
        interval: seconds between the frames wanted of each host, whole; 1 for all of them.
        collectors: those wanted; empty for all.
        connections: shared by all sources of the process; its own otherwise.
        patience: how long is too long.

    Raises:
        UsageError: the target cannot be one.
    """

    def __init__(
        self,
        target: str | Target,
        *,
        name: str = "",
        clock: Clock | None = None,
        tables: Iterable[str] = (),
        hosts: Iterable[str] = (),
        interval: float = 1.0,
        collectors: Iterable[str] = (),
        connections: Connections | None = None,
        patience: Patience | None = None,
    ) -> None:
        self.target = parse_target(target) if isinstance(target, str) else target
        self.name = name
        self.patience = patience or Patience()
        self.hello: Hello | None = None
        """The last hello: hosts, metrics, spans."""
        self.cursor = ""
        """The last SSE id."""
        self._clock: Clock = clock or SystemClock()
        self._tables = frozenset(tables)
        self._wanted = tuple(hosts)
        self._connections = connections
        self._own_connections = connections is None
        self._interval = max(1, round(interval))
        self._collectors = tuple(sorted(set(collectors)))
        self._queue: Outflow[Update] = Outflow(QUEUE)
        self._roster = Roster(str(self.target), name, self._interval, self.patience, self._clock, self._queue.put)
        self._cleaner = clean.Cleaner(tables=self._tables)
        self._pace = PeerPace()
        self._newcomers = Newcomers(wire.MAX_HOSTS)
        self._backoff = Backoff(self.patience)
        self._rest = Rest(self._clock, self.patience.first)
        self._tasks: list[asyncio.Task[None]] = []
        self._reopen = False
        self._all_of_it = False
        """Whether the server does not know how to send less than everything."""
        self._deadline: asyncio.Timeout | None = None
        self.faults = 0
        """How often the peer sent what it should not have."""

    # The source

    async def updates(self) -> AsyncIterator[Update]:
        """Yields a `Status` first, then what the server says, for ever; see `sysmon.ports.Source`.

        A frame with seq 0 is a host's state on connecting: to be shown, not to be recorded.
        """
        roster = self._roster
        roster.started = self._clock.boottime()
        loop = asyncio.get_running_loop()
        yield roster.present()
        self._tasks = [loop.create_task(self._run(), name=f"read {self.target}"), loop.create_task(roster.watch())]
        try:
            async for update in self._queue:
                yield update
                if isinstance(update, Frame) and update.host in roster.hosts:
                    roster.hosts[update.host].give(update)
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
        """Asks for other tables from now on; reconnects where that differs."""
        wanted = frozenset(tables)
        if wanted != self._tables:
            self._tables = self._cleaner.wanted = wanted
            self._reopen = True
            if self._deadline is not None:
                self._deadline.reschedule(asyncio.get_running_loop().time())

    def wake(self) -> None:
        """Tries again now where it waits to reach its target: the line may be there again."""
        self._rest.wake()

    def late(self, frame: Frame) -> bool:
        """Whether a frame just yielded is older than one yielded before: it fills a hole and says nothing about now."""
        host = self._roster.hosts.get(frame.host)
        return host is not None and host.late(frame)

    @property
    def connected(self) -> asyncio.Event:
        """Set while the stream is open and has said hello."""
        return self._roster.connected

    @property
    def skew(self) -> int | None:
        """The server's clock minus ours in milliseconds, or None before the first heartbeat."""
        return self._roster.skew.value

    async def _stop(self) -> None:
        tasks, self._tasks = self._tasks, []
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self.connected.clear()

    # The connection

    async def _run(self) -> None:
        roster = self._roster
        while True:
            offence = unreached = False
            self._reopen = False
            opened = self._clock.boottime()
            try:
                await self._read()
                roster.problem = f"{self.target} ended the stream"
            except _Reopen:
                continue
            except Unreachable as error:
                roster.problem = str(error)
                roster.refused = not self.connected.is_set()
                unreached = True
            except SysmonError as error:
                words = str(error)
                roster.problem = words if str(self.target) in words else f"{self.target}: {words}"
                offence = isinstance(error, MalformedInput | ProtocolMismatch)
                roster.refused = roster.broken = True
                if self._asks_less and "is not a parameter of" in error.message:
                    # It is older than this one: it sends everything, which is more than was wanted, and works.
                    self._all_of_it = True
            except Exception as error:  # whatever a peer brings about, it is said and tried again
                roster.problem = f"{self.target}: {type(error).__name__}: {error}"
                offence = roster.refused = roster.broken = True
            finally:
                self.connected.clear()
            self.faults += offence
            await roster.judge_all()
            lived = (self._clock.boottime() - opened) / 1e9
            if lived >= self.patience.settled:
                self._backoff.succeeded(lived)
            # Only who could not be reached is to be hoped for again; one that refuses does so still.
            await self._rest.take(self._backoff.next(offence=offence), keep=not unreached)

    @property
    def _asks_less(self) -> bool:
        return (self._interval > 1 or bool(self._collectors)) and not self._all_of_it

    def _params(self) -> list[tuple[str, str]]:
        params = [("tables", ",".join(sorted(self._tables)))] if self._tables else []
        params += [("hosts", host) for host in self._wanted]
        if self._asks_less and self._interval > 1:
            params.append(("interval", str(self._interval)))
        if self._asks_less and self._collectors:
            params.append(("collectors", ",".join(self._collectors)))
        return params

    async def _read(self) -> None:
        from remote.client.transport import Connections, Endpoint

        if self._connections is None:
            self._connections = Connections()
        self._connections.on_answer(self.target, self._rest.wake)
        endpoint = Endpoint(self.target, self._connections)
        headers = {"last-event-id": self.cursor} if self.cursor else None
        parser = sse.Parser()
        greeted = False
        loop = asyncio.get_running_loop()
        async with endpoint.open(
            "/v1/stream", self._params(), accept="text/event-stream", headers=headers, head=self.patience.head
        ) as pieces:
            chunks = pieces
            until = loop.time() + self.patience.deadline
            while True:
                piece = await self._next(chunks, until)
                if piece is None:
                    return
                for event in parser.feed(piece):
                    until = loop.time() + self.patience.deadline
                    self._roster.heard = self._clock.boottime()
                    if isinstance(event, sse.Comment):
                        continue
                    if not greeted and event.event != "hello":
                        raise ProtocolMismatch(f"{self.target} does not begin with hello", "is that a sysmon?")
                    greeted = True
                    await self._take(event)
                    wait = self._pace.wait(len(event.data), len(self._roster.hosts), self._clock.boottime())
                    if wait:
                        # What it says faster stays in its own queues.
                        await self._clock.sleep(min(wait, 5.0))
                    if event.id:
                        self.cursor = event.id
                    until = loop.time() + self.patience.deadline

    async def _next(self, chunks: AsyncIterator[bytes], until: float) -> bytes | None:
        """Returns the next piece, or None at the end of the stream.

        Raises:
            Unreachable: no event until then. _Reopen: another set of tables is wanted.
        """
        if self._reopen:
            raise _Reopen
        try:
            async with asyncio.timeout_at(until) as self._deadline:
                return await anext(chunks, None)
        except TimeoutError:
            if self._reopen:
                raise _Reopen from None
            raise Unreachable(f"{self.target} has been silent for {self.patience.deadline:g} s") from None
        finally:
            self._deadline = None

    # What it says

    async def _take(self, event: sse.ServerEvent) -> None:
        now = self._clock.now()
        roster = self._roster
        try:
            if len(event.data) <= INLINE:
                update = wire.decode_event(event, cleaner=self._cleaner, hosts=roster.hosts, now=now)
            else:
                # Nobody else is to wait for what one server says at such length.
                update = await asyncio.to_thread(
                    wire.decode_event, event, cleaner=self._cleaner, hosts=frozenset(roster.hosts), now=now
                )
        except wire.LeftOut as error:
            # Of this one host; what the server says of the others goes on.
            await roster.leave_out(error.host, error.message)
            return
        except ProtocolMismatch as error:
            raise ProtocolMismatch(f"{self.target}: {error.message}", error.hint) from None
        match update:
            case None:
                return
            case wire.Heartbeat():
                roster.skew.add(update.time, now)
            case Hello():
                await self._take_hello(update, now)
            case Frame():
                if await roster.take_frame(update):
                    self._backoff.succeeded(0.0)
            case HostInfo():
                full = len(roster.hosts) >= wire.MAX_HOSTS  # which take_host refuses
                if full or self._newcomers.admits(update.id, self._clock.boottime()):
                    await roster.take_host(update)
            case Status():
                await roster.take_status(update)
            case Event():
                if not update.host:
                    update = self._attributed(update)
                if (update.host in roster.hosts or not update.host) and self._may_tell(update):
                    # It is told by our clock.
                    time = update.time - far_off(self.skew)
                    await self._queue.put(msgspec.structs.replace(update, time=time))
            case AlertState() | Gap():
                if update.host in roster.hosts:
                    await self._queue.put(update)

    def _attributed(self, event: Event) -> Event:
        """Says of an event about no host whose it is; nobody but the first who reads it knows a name for that."""
        origin = self.hello.hub or self.hello.server if self.hello is not None else ""
        if event.via not in ([], [origin]):
            return event
        # What this machine's own recorder says of "this side" is true of the screen that is attached to it as well.
        own = bool(self.target.socket) and not self.name
        words = event.message if own else f"{self.name or self.target}: {event.message}"
        return msgspec.structs.replace(event, message=words, via=[origin])

    def _may_tell(self, event: Event) -> bool:
        if event.kind.startswith("alert."):
            # Of which a host has many, and who records it none.
            return True
        pace = self._roster.hosts[event.host].pace if event.host else self._roster.pace
        return pace.event(self._clock.boottime())

    async def _take_hello(self, hello: Hello, now: int) -> None:
        roster = self._roster
        roster.skew.add(hello.time, now)
        hosts = [info for info in hello.hosts if self._newcomers.admits(info.id, self._clock.boottime())]
        metrics = self._cleaner.metrics(hello.metrics)
        roster.excess = "; ".join(
            f"it brings too many {what}; {count} are left out"
            for what, count in (
                ("hosts", len(hello.hosts) - len(hosts)),
                ("metrics", len(hello.metrics) - len(metrics)),
            )
            if count
        )
        hello = msgspec.structs.replace(hello, hosts=hosts)
        here = {info.id: info for info in hello.hosts}
        alone = len(here) == 1 and not hello.hub
        names = [roster.labelled(info, alone=alone) for info in hello.hosts if here.pop(info.id, None) is not None]
        self.hello = msgspec.structs.replace(hello, hosts=names, metrics=metrics, unreached=[])
        for gone in roster.hosts.keys() - {info.id for info in names}:
            self._cleaner.forget(gone)
        roster.opened()
        await self._queue.put(self.hello)
        await roster.greet(hello.hosts, hub=hello.hub, server=hello.server)
        await roster.greet_unreached(hello.unreached)


class _Reopen(Exception):
    """The stream is wanted in another form."""
