"""A source that is another sysmon: an agent or a hub, read as server-sent events.

It reconnects for ever, says how fresh each host is, and takes nothing on trust: what is malformed ends the connection
with a word why, and a longer wait before the next.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import msgspec

from remote import clean, sse, wire
from remote.known import KnownHost
from remote.liveness import Backoff, Patience, Skew, judge
from remote.target import Target, parse_target
from sysmon.clock import SystemClock
from sysmon.errors import MalformedInput, ProtocolMismatch, SysmonError, Unreachable
from sysmon.frame import Frame
from sysmon.records import AlertState, Event, Gap, Hello, HostInfo, Status

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable

    from remote.transport import Connections
    from sysmon.clock import Clock
    from sysmon.records import Update

QUEUE = 64
"""Updates read ahead of the consumer at most; then the socket is no longer read."""
SKEW_STEP = 250
"""Milliseconds by which the skew must change to be told again."""


class AgentSource:
    """Frames of a remote sysmon; implements `sysmon.ports.Source`.

    Args:
        target: `http(s)://host:8200` or `unix:///path`, as text or taken apart.
        name: the configured name, given to the host where the server has just one.
        clock: this side's.
        tables: tables to ask for; see `ask`.
        hosts: of a hub, the hosts wanted: ids, names or hostnames; empty for all.
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
        connections: Connections | None = None,
        patience: Patience | None = None,
    ) -> None:
        self.target = parse_target(target) if isinstance(target, str) else target
        self.name = name
        self.patience = patience or Patience()
        self.hello: Hello | None = None
        """The last hello: hosts, metrics, spans."""
        self.connected = asyncio.Event()
        """Set while the stream is open and has said hello."""
        self.cursor = ""
        """The last SSE id."""
        self._clock: Clock = clock or SystemClock()
        self._tables = frozenset(tables)
        self._wanted = tuple(hosts)
        self._connections = connections
        self._own_connections = connections is None
        self._hosts: dict[str, KnownHost] = {}
        self._queue: asyncio.Queue[Update | None] = asyncio.Queue(QUEUE)
        self._cleaner = clean.Cleaner()
        self._skew = Skew()
        self._backoff = Backoff(self.patience)
        self._started = 0
        self._problem = ""
        self._refused = False
        self._told: Status | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self._reopen = False
        self._deadline: asyncio.Timeout | None = None
        self._broken = False
        self.faults = 0
        """How often the peer sent what it should not have."""

    # The source

    async def updates(self) -> AsyncIterator[Update]:
        """Yields a `Status` first, then what the server says, for ever; see `sysmon.ports.Source`.

        A frame with seq 0 is a host's state on connecting: to be shown, not to be recorded.
        """
        self._started = self._clock.boottime()
        loop = asyncio.get_running_loop()
        yield self._tell()
        self._tasks = [loop.create_task(self._run(), name=f"read {self.target}"), loop.create_task(self._watch())]
        try:
            while (update := await self._queue.get()) is not None:
                yield update
                if isinstance(update, Frame) and update.host in self._hosts:
                    self._hosts[update.host].give(update)
        finally:
            await self._stop()

    async def close(self) -> None:
        """Ends `updates` and closes the connection."""
        await self._stop()
        while not self._queue.empty():
            self._queue.get_nowait()
        self._queue.put_nowait(None)
        if self._own_connections and self._connections is not None:
            await self._connections.close()
            self._connections = None

    def ask(self, tables: Iterable[str]) -> None:
        """Asks for other tables from now on; reconnects where that differs."""
        wanted = frozenset(tables)
        if wanted != self._tables:
            self._tables = wanted
            self._reopen = True
            if self._deadline is not None:
                self._deadline.reschedule(asyncio.get_running_loop().time())

    def late(self, frame: Frame) -> bool:
        """Whether a frame just yielded is older than one yielded before: it fills a hole and says nothing about now."""
        host = self._hosts.get(frame.host)
        return host is not None and host.late(frame)

    @property
    def skew(self) -> int | None:
        """The server's clock minus ours in milliseconds, or None before the first heartbeat."""
        return self._skew.value

    async def _stop(self) -> None:
        tasks, self._tasks = self._tasks, []
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self.connected.clear()

    # The connection

    async def _run(self) -> None:
        while True:
            offence = False
            self._reopen = False
            opened = self._clock.boottime()
            try:
                await self._read()
                self._problem = f"{self.target} ended the stream"
            except _Reopen:
                continue
            except Unreachable as error:
                self._problem = str(error)
                self._refused = not self.connected.is_set()
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
            await self._judge_all()
            lived = (self._clock.boottime() - opened) / 1e9
            if lived >= self.patience.settled:
                self._backoff.succeeded(lived)
            await self._clock.sleep(self._backoff.next(offence=offence))

    async def _read(self) -> None:
        from remote.transport import Connections, Endpoint

        if self._connections is None:
            self._connections = Connections()
        endpoint = Endpoint(self.target, self._connections)
        params = [("tables", ",".join(sorted(self._tables)))] if self._tables else []
        params += [("hosts", host) for host in self._wanted]
        headers = {"last-event-id": self.cursor} if self.cursor else None
        parser = sse.Parser()
        greeted = False
        loop = asyncio.get_running_loop()
        async with endpoint.open(
            "/v1/stream", params, accept="text/event-stream", headers=headers, head=self.patience.head
        ) as pieces:
            chunks = pieces
            until = loop.time() + self.patience.deadline
            while True:
                piece = await self._next(chunks, until)
                if piece is None:
                    return
                for event in parser.feed(piece):
                    until = loop.time() + self.patience.deadline
                    if isinstance(event, sse.Comment):
                        continue
                    if not greeted and event.event != "hello":
                        raise ProtocolMismatch(f"{self.target} does not begin with hello", "is that a sysmon?")
                    greeted = True
                    await self._take(event)
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
        update = wire.decode_event(event, cleaner=self._cleaner, hosts=self._hosts, now=now)
        match update:
            case None:
                return
            case wire.Heartbeat():
                self._skew.add(update.time, now)
            case Hello():
                await self._take_hello(update, now)
            case Frame():
                await self._take_frame(update)
            case HostInfo():
                if len(self._hosts) >= wire.MAX_HOSTS and update.id not in self._hosts:
                    raise MalformedInput(f"{self.target} has more than {wire.MAX_HOSTS} hosts")
                await self._take_host(update)
            case Status():
                host = self._hosts.get(update.host)
                if host is not None:
                    host.upstream = update
                    await self._judge(host)
            case Event() | AlertState() | Gap():
                if update.host in self._hosts:
                    await self._queue.put(update)

    async def _take_hello(self, hello: Hello, now: int) -> None:
        if hello.schema > wire.SCHEMA:
            raise ProtocolMismatch(
                f"{self.target} speaks wire format {hello.schema}, this sysmon knows {wire.SCHEMA}", "update this one"
            )
        self._skew.add(hello.time, now)
        alone = len(hello.hosts) == 1
        infos = [self._labelled(info, alone=alone) for info in hello.hosts]
        self.hello = msgspec.structs.replace(hello, hosts=infos)
        here = {info.id for info in infos}
        self._problem = ""
        self._refused = self._broken = False
        self.connected.set()
        await self._queue.put(self.hello)
        for gone in [host for host in self._hosts.values() if host.info.id not in here]:
            words = f"{self.target} no longer serves this host"
            await self._say(gone, "offline", words)
            del self._hosts[gone.info.id]
        for host in self._hosts.values():
            host.upstream = None
        for info in infos:
            await self._take_host(info)

    def _labelled(self, info: HostInfo, *, alone: bool) -> HostInfo:
        name = self.name if alone and self.name else info.name
        return msgspec.structs.replace(info, name=name, target=str(self.target))

    async def _take_host(self, info: HostInfo) -> None:
        info = self._labelled(info, alone=self.hello is not None and len(self.hello.hosts) == 1)
        host = self._hosts.get(info.id)
        if host is None:
            host = self._hosts[info.id] = KnownHost(info, self._clock.boottime())
        host.info = info
        await self._queue.put(info)
        await self._judge(host)

    async def _take_frame(self, frame: Frame) -> None:
        host = self._hosts[frame.host]
        try:
            if not host.accept(frame, self._clock.boottime()):
                return
        except MalformedInput as error:
            raise MalformedInput(f"{self.target}: {error.message}") from None
        self._backoff.succeeded(0.0)
        await self._queue.put(frame)
        await self._judge(host)

    # How fresh it is

    async def _watch(self) -> None:
        while True:
            await self._clock.sleep(self.patience.tick)
            await self._judge_all()

    async def _judge_all(self) -> None:
        for host in list(self._hosts.values()):
            await self._judge(host)
        if not self._hosts:
            status = self._tell()
            if self._told is None or (status.state, status.message) != (self._told.state, self._told.message):
                self._told = status
                await self._queue.put(status)

    async def _judge(self, host: KnownHost) -> None:
        state, words = judge(
            self.patience,
            now=self._clock.boottime(),
            seen=host.seen,
            since=host.since,
            interval=host.interval,
            connected=self.connected.is_set(),
            refused=self._refused,
            broken=self._broken,
            problem=self._problem,
        )
        upstream = host.upstream
        if self.connected.is_set() and upstream is not None and upstream.state not in ("live", "connecting"):
            # A hub knows better than we do why a host is silent.
            state, words = upstream.state, upstream.message
        await self._say(host, state, words)

    async def _say(self, host: KnownHost, state: str, words: str) -> None:
        skew = self._skew.value
        told = host.told
        if told is not None and (told.state, told.message) == (state, words):
            shift = 0 if skew is None else abs(skew - (told.skew or 0)) if told.skew is not None else SKEW_STEP
            if shift < SKEW_STEP:
                return
        host.told = Status(
            host=host.info.id,
            state=state,  # type: ignore[arg-type]
            message=words,
            since=host.seen or 0,
            skew=skew,
            target=str(self.target),
        )
        await self._queue.put(host.told)

    def _tell(self) -> Status:
        state, words = judge(
            self.patience,
            now=self._clock.boottime(),
            seen=None,
            since=self._started,
            interval=1.0,
            connected=self.connected.is_set(),
            refused=self._refused,
            broken=self._broken,
            problem=self._problem,
        )
        return Status(host="", state=state, message=words, target=str(self.target))


class _Reopen(Exception):
    """The stream is wanted in another form."""
