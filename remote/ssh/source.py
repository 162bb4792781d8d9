"""A source that is a box reached by plain ssh, with nothing installed there.

One connection is kept. Where a sysmon serves on the box, it is spoken to through that connection, and its history fills
what was missed; else the box's own files are asked for at each tick and read by the same collectors as locally.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
from typing import TYPE_CHECKING, NamedTuple

from remote import clean
from remote.client.roster import Roster
from remote.liveness import SECOND, Backoff, Patience, Rest
from remote.outflow import Outflow
from remote.ssh.agent import AgentBehind, Gone
from remote.ssh.faults import SshFault
from remote.ssh.frames import clock_of
from remote.ssh.hired import Hired
from remote.ssh.line import SshLine
from remote.ssh.runtime import Runtime
from remote.ssh.script import COMMAND_SECONDS
from sysmon.clock import SystemClock
from sysmon.errors import MalformedInput, SysmonError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable, Mapping
    from pathlib import Path

    from remote.client.history import HttpHistory
    from remote.client.transport import Connections
    from remote.ssh.box import Box
    from remote.ssh.frames import Sample
    from remote.target import Target
    from sysmon.clock import Clock
    from sysmon.frame import Frame
    from sysmon.records import Status, Update

QUEUE = 64
"""Updates made ahead of the consumer at most; then the box is asked no more."""

HELLO = ("boot", "links", "cgroup", "sockets")
"""Groups asked for on connecting: who the box is, and what must be known before it is asked for more."""

OPEN_SECONDS = 30.0
"""Seconds until the box's shell must answer: a small box needs some for the exchange of keys, a jump host as well."""

LOOK_SECONDS = 60.0
LOOK_AGAIN_SECONDS = 10.0
"""Seconds between looks at the box's clock, and at whether an agent runs there by now: where none did, and one did."""

SLIVER = 500
"""Milliseconds between two samples at least: rates never come from less."""

SLOW_SAMPLES = 3
"""Samples in a row that take too long, after which fewer are taken."""

QUICK_SAMPLES = 30
"""Samples in a row that are taken quickly, after which more are taken again."""


class _Queued(NamedTuple):
    update: Update
    late: bool = False


class SshSource:
    """Frames of a box reached by ssh; implements `sysmon.ports.Source`.

    Args:
        target: of kind ssh.
        make_box: makes what reads the texts; called at first when files are read.
        runtime: this user's folder for sockets, or None.
        name: the configured name.
        interval: seconds between frames wanted.
        collectors: those wanted; empty for all.
        clock: this side's.
        connections: HTTP connections of the process; its own otherwise.
        patience: how long is too long.
        tables: to ask for from the first.
        hire: whether an agent is started where sysmon is installed and none runs.
        commands: what may be asked beside files, by name. router: whether it is one: no agent is looked for there.
    """

    def __init__(
        self,
        target: Target,
        make_box: Callable[[], Box],
        *,
        runtime: Path | None = None,
        name: str = "",
        interval: float = 1.0,
        collectors: Iterable[str] = (),
        clock: Clock | None = None,
        connections: Connections | None = None,
        patience: Patience | None = None,
        tables: Iterable[str] = (),
        hire: bool = False,
        commands: Mapping[str, str] | None = None,
        router: bool = False,
    ) -> None:
        self.target = target
        self.name = name
        self.patience = patience or Patience()
        self.interval = max(1, round(interval))
        self.faults = 0
        """How often the box sent what it should not have."""
        self._clock: Clock = clock or SystemClock()
        self._make_box = make_box
        self._box: Box | None = None
        self._runtime = Runtime(runtime)
        self._queue: Outflow[_Queued] = Outflow(QUEUE)
        self._roster = Roster(str(target), name, self.interval, self.patience, self._clock, self._put)
        self._backoff = Backoff(self.patience)
        self._rest = Rest(self._clock, self.patience.first)
        self._cleaner = clean.Cleaner()
        self._tables = frozenset(tables)
        self._agent = AgentBehind(
            target,
            self._roster,
            self._put,
            name=name,
            interval=self.interval,
            collectors=collectors,
            clock=self._clock,
            connections=connections,
            patience=self.patience,
        )
        self._commands = commands
        self._router = router
        self._hired = Hired(self._clock) if hire and not router else None
        self._line: SshLine | None = None
        self._late: Frame | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self._pace = self.interval
        self._slow = self._quick = 0
        self._looked = 0
        self._note = ""

    # The source

    async def updates(self) -> AsyncIterator[Update]:
        """Yields a `Status` first, then what the box says, for ever; see `sysmon.ports.Source`."""
        self._roster.started = self._clock.boottime()
        loop = asyncio.get_running_loop()
        yield self._present()
        self._tasks = [loop.create_task(self._run(), name=f"read {self.target}"), loop.create_task(self._watch())]
        try:
            async for queued in self._queue:
                self._late = queued.update if queued.late else None  # type: ignore[assignment]
                yield queued.update
        finally:
            await self._stop()

    async def close(self) -> None:
        """Ends `updates`, and with the connection what runs on the box."""
        await self._stop()
        self._queue.end()
        await self._agent.close()
        if self._box is not None:
            self._box.close()
            self._box = None
        self._runtime.close()

    def ask(self, tables: Iterable[str]) -> None:
        """Asks for other tables from now on."""
        self._tables = frozenset(tables)
        self._agent.ask(self._tables)
        if self._box is not None:
            self._box.watch(self._tables)

    def late(self, frame: Frame) -> bool:
        """Whether the frame just yielded fills a hole: of an agent's frames some do."""
        return frame is self._late

    def past(self) -> HttpHistory | None:
        """The history of the box's own sysmon, or None while none is spoken to."""
        return self._agent.history

    @property
    def connected(self) -> asyncio.Event:
        """Set while the box, or its agent, answers."""
        return self._roster.connected

    @property
    def skew(self) -> int | None:
        """The box's clock minus ours in milliseconds, or None before it was asked."""
        return self._agent.skew if self._agent.running else self._roster.skew.value

    async def _put(self, update: Update, late: bool = False) -> None:
        await self._queue.put(_Queued(update, late))

    def wake(self) -> None:
        """Tries again now where it waits to reach its target: the line may be there again."""
        self._rest.wake()

    async def _stop(self) -> None:
        tasks, self._tasks = self._tasks, []
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._roster.connected.clear()

    def _present(self) -> Status:
        return self._roster.present()

    async def _watch(self) -> None:
        while True:
            await self._clock.sleep(self.patience.tick)
            if not self._agent.running:
                await self._roster.judge_all()

    # The connection

    async def _run(self) -> None:
        roster = self._roster
        while True:
            offence, pause = False, 0.0
            opened = self._clock.boottime()
            try:
                await self._session()
            except SshFault as fault:
                roster.problem = str(fault)
                roster.refused = fault.lasting or not roster.connected.is_set()
                pause = fault.pause
            except SysmonError as error:
                roster.problem = str(error)
                offence = isinstance(error, MalformedInput)
                roster.refused = roster.broken = True
            except Exception as error:  # whatever a box brings about, it is said and tried again
                roster.problem = f"{self.target}: {type(error).__name__}: {error}"
                offence = roster.refused = roster.broken = True
            finally:
                roster.connected.clear()
            self.faults += offence
            await roster.judge_all()
            lived = (self._clock.boottime() - opened) / SECOND
            if lived >= self.patience.settled:
                self._backoff.succeeded(lived)
            await self._rest.take(max(pause, self._backoff.next(offence=offence)), keep=bool(pause) or offence)

    async def _session(self) -> None:
        """Connects once, and reads until that ends.

        Raises:
            SysmonError: why it ended.
        """
        line = self._line = SshLine(self.target, self._runtime, self._commands)
        await line.open(max(OPEN_SECONDS, self.patience.head))
        try:
            while True:
                hello = await self._look(line, *HELLO)
                system = hello.facts.get("system", "")
                address = self._agent.choose(hello.agents)
                if not address and self._hired is not None:
                    started = await self._hired.start(line, hello)
                    address = self._agent.choose(started, again=self._hired.running)
                if address:
                    with contextlib.suppress(Gone):
                        await self._agent.run(line, address, self._box_id(hello), self._tables)
                    if self._hired is not None:
                        await self._hired.stop()
                elif system not in ("", "Linux"):
                    shown = clean.text(system, 40)
                    raise SshFault(
                        "system", f"{self.target} is {shown}, and only Linux is read by its files", "run sysmon there"
                    )
                else:
                    with contextlib.suppress(Gone):
                        await self._sample(line, hello)
        finally:
            self._line = None
            if self._hired is not None:
                await self._hired.stop()
            await line.close()

    def _box_id(self, hello: Sample) -> str:
        return self._opened_box().identity(hello)

    def _opened_box(self) -> Box:
        if self._box is None:
            self._box = self._make_box()
            self._box.watch(self._tables)
        return self._box

    async def _look(self, line: SshLine, *groups: str, lines: Iterable[bytes] = ()) -> Sample:
        """Asks for groups, and for the clock and whether there is an agent."""
        before = self._clock.now()
        began = self._clock.boottime()
        more = ("system", "clock") if self._router else ("agent", "system", "clock")
        sample = await line.ask((*groups, *more), self._deadline(groups), lines)
        took = (self._clock.boottime() - began) // 1_000_000
        told = clock_of(sample.facts.get("clock", ""))
        if told is not None:
            theirs, margin = told
            ours = before + took // 2
            # Within what cannot be told apart, the clocks are held to agree.
            self._roster.skew.add(theirs if abs(theirs - ours) > margin else ours, ours)
        self._looked = self._clock.boottime()
        self._roster.heard = self._looked
        return sample

    def _deadline(self, groups: Iterable[str]) -> float:
        """Seconds in which these groups must be there: a command may take its time."""
        return self.patience.deadline + sum(COMMAND_SECONDS for group in groups if group.startswith("run."))

    # Samples

    async def _sample(self, line: SshLine, hello: Sample) -> None:
        """Samples the box's files, for ever.

        Raises:
            Gone: an agent has come, which knows more. SysmonError: the connection ended.
        """
        box = self._opened_box()
        info = clean.record(box.begin(hello))
        self._note = self._agent.note
        if not self._note and self._hired is not None and self._hired.note:
            self._note = f"read by its files: {self._hired.note}"
        if not self._note and hello.facts.get("program"):
            self._note = "sysmon is installed there, but no agent runs that keeps a history: start `sysmon --agent`"
        self._roster.opened()
        await self._roster.greet([info])
        host = self._roster.hosts[info.id]
        took = 0.0

        async def ask(groups: Iterable[str], lines: Iterable[bytes] = ()) -> Sample:
            nonlocal took
            began = self._clock.boottime()
            every = LOOK_SECONDS if self._agent.history is None else LOOK_AGAIN_SECONDS
            if began - self._looked >= every * SECOND:
                sample = await self._look(line, *groups, lines=lines)
                if self._agent.choose(sample.agents) or (self._hired is not None and self._hired.due(sample)):
                    raise Gone
            else:
                sample = await line.ask(groups, self._deadline(groups), lines)
            now = self._clock.boottime()
            self._roster.heard = now
            took += (now - began) / SECOND
            return sample

        stamp = (self._clock.now() + 500) // 1000 * 1000
        while True:
            took = 0.0
            began = self._clock.now()
            frame = await box.frame(ask, stamp, self._pace)
            if frame is not None:
                self._backoff.succeeded(0.0)
                host.interval = max(host.wanted, float(self._pace))
                host.note = "; ".join(filter(None, (self._slowness(took), self._note)))
                await self._roster.take_frame(self._cleaner.frame(frame, now=self._clock.now()))
            step = self._pace * 1000
            now = self._clock.now()
            stamp = (now // step + 1) * step
            if 0 <= stamp - began < SLIVER:
                stamp += step
            await self._clock.sleep((stamp - now) / 1000)

    def _slowness(self, took: float) -> str:
        """Samples more seldom what takes too long, and more often again; returns the words for it."""
        self._slow = self._slow + 1 if took > 0.8 * self._pace else 0
        self._quick = self._quick + 1 if took < 0.3 * max(1, self._pace - 1) else 0
        if self._slow >= SLOW_SAMPLES:
            self._pace = max(self._pace + 1, min(60, math.ceil(1.5 * took)))
            self._slow = 0
        elif self._quick >= QUICK_SAMPLES and self._pace > self.interval:
            self._pace = max(self.interval, self._pace // 2)
            self._quick = 0
        if self._pace > self.interval:
            return f"a slow box: it is sampled every {self._pace} s, and one sample takes {took:.1f} s"
        return ""
