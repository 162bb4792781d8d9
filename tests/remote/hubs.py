"""A hub and an agent that pushes, in memory, and a line between them that does what a test says."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

from remote import wire
from remote.push import batch
from remote.push.batch import Answer
from remote.push.bindings import Bindings
from remote.push.intake import Intake, Refusal
from remote.push.outbox import Outbox, Ring
from remote.push.pusher import Pusher, PushStatus
from sysmon.clock import ManualClock
from sysmon.errors import MalformedInput, ProtocolMismatch, Unreachable
from sysmon.frame import Frame, Tables
from sysmon.records import Event, HostInfo
from tests.remote.support import CATALOGUE, HOST, T0, MemoryHistory, frame

if TYPE_CHECKING:
    from collections.abc import Callable

    from remote.push.batch import Report
    from sysmon.ports import History, Recorder
    from sysmon.records import Status, Update


async def encoded(report: Report) -> bytes:
    """Compresses without a thread."""
    return batch.encode_report(report)


class Hub:
    """An intake over a history in memory; implements `remote.push.intake.Sink` by noting what it is given."""

    def __init__(self, clock: ManualClock, *, retention: float = 172_800.0) -> None:
        self.clock = clock
        self.history = MemoryHistory()
        self.retention = retention
        self.bindings = Bindings(None)
        self.in_force: set[str] | None = None
        """Digests of the tokens that are in force; None for all."""
        self.taken: list[tuple[Update, bool]] = []
        self.statuses: list[Status] = []
        self.told: list[Update] = []
        self.said: list[str] = []
        self.recording = True
        self.starts = 0
        self.restart()

    def restart(self) -> None:
        """Starts another process over the same history."""
        self.starts += 1
        self.intake = Intake(
            self,
            self.bindings,
            retention=self.retention,
            holder=lambda digest: digest if self.in_force is None or digest in self.in_force else "",
            clock=self.clock,
            say=self.said.append,
            server=f"{self.starts:016x}",
        )

    def kept(self) -> tuple[Recorder, History] | None:
        """See `Sink`."""
        return (self.history, self.history) if self.recording else None

    def conflict(self, host: str, boot: str, *, bound: bool, token: bool) -> str:
        """See `Sink`."""
        return f"{host} is another" if boot == "elsewhere" else ""

    async def take(self, update: Update, *, late: bool = False) -> None:
        """See `Sink`."""
        self.taken.append((update, late))
        if isinstance(update, Frame):
            await self.history.record(update, received=self.clock.now(), late=late)
        elif isinstance(update, Event):
            await self.history.record_event(update)
        elif isinstance(update, HostInfo):
            await self.history.record_host(update)

    async def judged(self, status: Status) -> None:
        """See `Sink`."""
        self.statuses.append(status)

    def tell(self, update: Update) -> None:
        """See `Sink`."""
        self.told.append(update)

    async def post(self, body: bytes, token: str = "") -> Answer:
        """Answers a report as the route does."""
        try:
            report = batch.decode_report(batch.inflate(body), self.clock.now())
            answer = await self.intake.take(report, token, token)
        except Refusal as refusal:
            return Answer(refusal.status, b'{"error": "%s"}' % refusal.error.encode(), refusal.retry)
        except (MalformedInput, ProtocolMismatch) as error:
            return Answer(400, b'{"error": "%s"}' % str(error).encode().replace(b'"', b"'"))
        return Answer(200, wire.encode_json(answer))

    def frames(self) -> list[Frame]:
        """The frames handed on, in their order."""
        return [update for update, _ in self.taken if isinstance(update, Frame)]


class Agent:
    """An agent with a history in memory, or without one."""

    def __init__(self, clock: ManualClock, post: Callable[[bytes], object], *, host: str = HOST, record: bool = True):
        self.clock = clock
        self.host = host
        self.history = MemoryHistory()
        self.record = record
        self.ring = Ring()
        self.post = post
        self.runs = 0
        self.token = ""
        self.tables = Tables()
        self.reads: dict[str, int] = {}
        self.told: list[PushStatus] = []
        self.restart()

    def restart(self) -> None:
        """Starts another process: another run, and nothing in memory."""
        self.runs += 1
        self.run = f"{self.runs:08x}{self.host[:8]}"
        self.seq = 0
        self.ring = Ring()
        self.outbox = Outbox(
            self.host, lambda: (self.history, self.history) if self.record else (None, None), self.ring
        )
        self.pusher = Pusher(
            "https://hub:8200",
            self._post,
            self.outbox,
            self.clock,
            host=lambda: HostInfo(id=self.host, hostname="far"),
            metrics=lambda: list(CATALOGUE),
            run=lambda: self.run,
            present=lambda: (self.tables, self.reads),
            tell=self.told.append,
            rng=random.Random(self.runs),
            compress=encoded,
        )

    async def _post(self, body: bytes) -> Answer:
        return await self.post(body)  # type: ignore[misc, no-any-return]

    async def tick(self, count: int = 1) -> None:
        """Lets so many seconds go by, each with a frame."""
        for _ in range(count):
            await self.clock.advance(1.0)
            self.seq += 1
            made = frame(self.seq, host=self.host, run=self.run, start=self.clock.now() - self.seq * 1000)
            if self.record:
                await self.history.record(made, received=self.clock.now())
            self.outbox.take(made)

    async def turn(self) -> float:
        """One turn of the pusher, and the wait that it asks for."""
        wait = await self.pusher.turn()
        await self.clock.advance(wait)
        return wait

    async def settle(self, turns: int = 200) -> None:
        """Turns until the hub misses nothing."""
        await self.clock.advance(10.0)
        for _ in range(turns):
            wait = await self.turn()
            status = self.pusher.status
            if wait > 1 and status.state == "pushing" and not status.pending and not status.problem:
                return
        raise AssertionError(f"it does not settle: {self.pusher.status}")


def make(**more: object) -> tuple[ManualClock, Hub, Agent]:
    """A hub and an agent with a line that works."""
    clock = ManualClock(now=T0, boottime=1000 * 1_000_000_000)
    hub = Hub(clock)
    agent = Agent(clock, hub.post, **more)  # type: ignore[arg-type]
    return clock, hub, agent


async def lost(body: bytes) -> Answer:
    """A line that loses every request."""
    raise Unreachable("https://hub:8200: no answer")
