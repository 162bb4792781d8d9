"""The sysmon that runs on a box reached by ssh: spoken to through the same connection, by a forwarded socket."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

from remote.client.history import HttpHistory
from remote.client.known import KnownHost
from remote.client.source import AgentSource
from remote.liveness import SECOND
from remote.ssh.faults import SshFault
from remote.target import Target
from sysmon.errors import MalformedInput
from sysmon.frame import Frame
from sysmon.records import Hello, HostInfo, Status

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable
    from pathlib import Path

    from remote.client.roster import Roster
    from remote.client.transport import Connections
    from remote.liveness import Patience
    from remote.ssh.line import SshLine
    from sysmon.clock import Clock
    from sysmon.records import RunSpan, Update

GREET_SECONDS = 8.0
"""Seconds without a word from the agent after which the box's files are read instead."""

AVOID_SECONDS = 60.0
"""Seconds for which an agent that did not answer, or was none, is left alone."""

LEFT_SECONDS = 3.0
"""Seconds without a word after which it is looked whether the agent has left."""

PING_SECONDS = 20.0
"""Seconds between questions to the script on the box, which would end if nobody asked it anything."""


class Gone(Exception):
    """What was spoken to is to be spoken to no longer: see what there is anew."""


class BoxHistory(HttpHistory):
    """The history of one box as its sysmon keeps it; a recorder keeps those of other hosts too.

    Args:
        target: the forwarded socket.
        host: id of the box, or '' where it is not known.
        connections: shared by the process.
        clock: this side's.
    """

    def __init__(self, target: Target, host: str, connections: Connections, clock: Clock) -> None:
        super().__init__(target, connections=connections, clock=clock)
        self._box = host

    async def spans(self, host: str | None = None) -> list[RunSpan]:
        """Returns which frames of the box are held, oldest first."""
        return await super().spans(host or self._box or None)


class AgentBehind:
    """Reads the agent of a box.

    Args:
        target: the box.
        roster: what is known of its host; brought up to date here, while its judgement is the agent's.
        put: hands an update on; the flag says whether it is a frame that fills a hole.
        name, interval, collectors, clock, connections, patience: as of `remote.client.source.AgentSource`.

    Attributes:
        running: whether the agent is read now.
        note: why the last one could not be read, or ''.
        history: of the agent, from the first time one was read.
    """

    def __init__(
        self,
        target: Target,
        roster: Roster,
        put: Callable[[Update, bool], Awaitable[None]],
        *,
        name: str,
        interval: float,
        collectors: Iterable[str],
        clock: Clock,
        connections: Connections | None,
        patience: Patience,
    ) -> None:
        self.running = False
        self.note = ""
        self.history: HttpHistory | None = None
        self._target = target
        self._roster = roster
        self._put = put
        self._name = name
        self._interval = interval
        self._collectors = tuple(collectors)
        self._clock = clock
        self._connections = connections
        self._own_connections = connections is None
        self._patience = patience
        self._source: AgentSource | None = None
        self._socket: Path | None = None
        self._avoided: dict[str, int] = {}

    @property
    def skew(self) -> int | None:
        """The box's clock minus ours, by what the agent says."""
        return None if self._source is None else self._source.skew

    def ask(self, tables: Iterable[str]) -> None:
        """Asks the agent for these tables from now on."""
        if self._source is not None:
            self._source.ask(tables)

    def choose(self, addresses: Iterable[str], *, again: bool = False) -> str:
        """Returns the first address that is worth a try, or ''; `again`: whether another agent is there now."""
        now = self._clock.boottime()
        self._avoided = {address: until for address, until in self._avoided.items() if until > now}
        return next((each for each in addresses if (again or each not in self._avoided) and _usable(each)), "")

    async def run(self, line: SshLine, address: str, host: str, tables: Iterable[str]) -> None:
        """Reads the agent at an address of the box for as long as it answers.

        Args:
            line: the connection.
            address: path of its socket, or host and port.
            host: id of the box where it is known: a hub's other hosts are not asked for.
            tables: to ask for.

        Raises:
            Gone: it answers no more, or never did; it is left alone for a while. SshFault: the connection ended.
        """
        from remote.client.transport import Connections

        if self._socket is None:
            # The same for as long as this source lives: whoever holds the history finds it there again.
            self._socket = line.local_socket()
        try:
            await line.forward(self._socket, address)
        except SshFault as fault:
            if fault.kind != "forward":
                raise
            self._give_up(address, fault.message)
            raise Gone from None
        if self._connections is None:
            self._connections = Connections()
        known = self._target.credentials._replace(fingerprint="", ca="", cert="", key="")
        there = Target(str(self._target), "http://localhost", str(self._socket), credentials=known)
        if self.history is None:
            self.history = BoxHistory(there, host, self._connections, self._clock)
        source = self._source = AgentSource(
            there,
            name=self._name,
            clock=self._clock,
            tables=tables,
            hosts=(host,) if host else (),
            interval=self._interval,
            collectors=self._collectors,
            connections=self._connections,
            patience=self._patience,
        )
        pump = asyncio.create_task(self._pump(source), name=f"agent of {self._target}")
        try:
            await self._attend(line, source, pump, address)
        finally:
            self.running = False
            self._source = None
            pump.cancel()
            await asyncio.gather(pump, return_exceptions=True)
            await source.close()
            await line.cancel_forwards()

    async def _attend(self, line: SshLine, source: AgentSource, pump: asyncio.Task[None], address: str) -> None:
        asked = answered = looked = self._clock.boottime()
        met = False
        while True:
            await self._clock.sleep(0.5)
            if pump.done():
                pump.result()
            now = self._clock.boottime()
            if source.connected.is_set():
                answered = now
                if source.hello is not None and not source.hello.hosts:
                    self._give_up(address, "what serves there does not know this box")
                    raise Gone
                met = True
            elif now - answered > GREET_SECONDS * SECOND:
                self._give_up(address, "its agent answers no more" if met else "what serves there is no sysmon agent")
                raise Gone
            elif now - max(answered, looked) > LEFT_SECONDS * SECOND:
                # The socket of one that was stopped is gone; of one that starts anew it is soon there again.
                looked = asked = now
                if address not in (await line.ask(("agent",), self._patience.deadline)).agents:
                    raise Gone
            if now - asked > PING_SECONDS * SECOND:
                await line.ask((), self._patience.deadline)
                asked = now

    def _give_up(self, address: str, why: str) -> None:
        self.note = f"read by its files: {why}"
        self._avoided[address] = self._clock.boottime() + int(AVOID_SECONDS * SECOND)

    async def _pump(self, source: AgentSource) -> None:
        """Hands on what the agent says; what is known of its hosts is kept for when it says no more."""
        roster = self._roster
        async for update in source.updates():
            if source.connected.is_set() and not roster.connected.is_set():
                self.running, self.note = True, ""
                roster.opened()
            elif not source.connected.is_set() and self.running:
                roster.connected.clear()
            late = False
            match update:
                case Status() if update.gone and update.host:
                    roster.hosts.pop(update.host, None)
                case Status() if not update.via:
                    if update.host not in roster.hosts:
                        continue
                    roster.hosts[update.host].told = update
                case HostInfo():
                    self._note_host(update)
                case Hello():
                    for info in update.hosts:
                        self._note_host(info)
                case Frame():
                    late = source.late(update)
                    if update.host in roster.hosts:
                        with contextlib.suppress(MalformedInput):
                            roster.hosts[update.host].accept(update, self._clock.boottime())
            await self._put(update, late)

    def _note_host(self, info: HostInfo) -> None:
        known = self._roster.hosts.get(info.id)
        if known is None:
            known = self._roster.hosts[info.id] = KnownHost(info, self._clock.boottime(), self._interval)
        known.info = info
        known.problem = known.note = ""

    async def close(self) -> None:
        """Closes what is not shared."""
        if self._own_connections and self._connections is not None:
            await self._connections.close()
            self._connections = None


def _usable(address: str) -> bool:
    """Whether ssh can forward it: a path without a colon, of a socket's length, or loopback."""
    if not address.startswith("/"):
        return True
    return ":" not in address and address.isprintable() and len(address.encode()) < 108
