"""Pushing an agent's frames to a hub that cannot reach it: the newest first, then what the hub misses, throttled.

What the hub holds comes with each of its answers, so what is still to be sent is worked out afresh every time. It does
not matter which side was restarted, which request or answer was lost, or how often something arrives.
"""

from __future__ import annotations

import asyncio
import random
import secrets
from typing import TYPE_CHECKING, Literal

import msgspec

from remote import wire
from remote.liveness import SECOND, Backoff, Patience
from remote.push import batch
from remote.push.batch import Acknowledgement, Answer, Report
from remote.push.slices import SLICE, Ledger, Present, Slice, Slicer
from sysmon.errors import MalformedInput, ProtocolMismatch, StoreError, SysmonError, Unauthorized, Untrusted
from sysmon.frame import Tables, clean_text

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from remote.push.outbox import Outbox
    from sysmon.catalogue import Metric
    from sysmon.clock import Clock
    from sysmon.records import Event, Evidence, HostInfo

LIVE = 60
"""Frames of a report of the present at most; what is older comes behind it."""
PAUSE = 0.2
"""Seconds between reports that fill holes."""
EVIDENCE_STEP = 30_000
"""Milliseconds between two records of who was busiest."""
PATIENCE = Patience(first=1.0, most=60.0)
"""Of a pusher: how long it waits between attempts while the hub does not answer."""
REFUSED = Patience(first=20.0, most=120.0)
"""How long it waits before it asks again, without frames, a hub that refuses it."""
SMALL = 128 << 10
"""Bytes of frames up to which a report is compressed at once, without a thread."""
BEHIND = 120
"""Frames that the hub may miss before it is worth a word."""
MAX_RETRY_AFTER = 900.0
"""Seconds of a Retry-After that is heeded at most."""

State = Literal["starting", "pushing", "filling", "unreachable", "refused"]


class PushStatus(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """How pushing goes.

    Attributes:
        target: the hub. `problem`: why it does not go well, or ''.
        pending: frames that the hub is known to miss. `sent`: acknowledged since start.
        lost: frames that nobody will ever push: they fell out of memory, or the hub did not take them.
        last: Unix milliseconds of the last acknowledgement.
    """

    target: str
    state: State = "starting"
    problem: str = ""
    pending: int = 0
    sent: int = 0
    lost: int = 0
    last: int | None = None

    def line(self) -> str:
        """Returns how it goes, for people."""
        if self.state == "refused":
            return f"nothing is pushed: {self.problem}"
        if self.state == "unreachable":
            return f"not pushed, and tried again: {self.problem}"
        if self.state == "starting":
            return f"about to push to {self.target}"
        behind = f", {self.pending} earlier frames behind" if self.pending > BEHIND else ""
        lost = f"; {self.lost} frames were lost" if self.lost else ""
        return f"pushing to {self.target}{behind}{lost}{'; ' if self.problem else ''}{self.problem}"


class Pusher:
    """Sends one host's frames to one hub, for ever.

    Args:
        target: the hub, as shown.
        post: sends a compressed report; raises a RemoteError where no answer comes.
        outbox: what there is to send.
        clock: this side's.
        host: returns who this host is. `metrics`: the catalogue's entries that its frames need. `run`: of this process.
        boot: of this machine.
        present: returns the tables read last, and collector -> boot clock (ns) of its last read.
        interval: seconds between reports of the present.
        pause: seconds between reports that fill holes.
        tell: is given the status whenever its state or its problem is another.
        rng: of delays; for tests.
    """

    def __init__(
        self,
        target: str,
        post: Callable[[bytes], Awaitable[Answer]],
        outbox: Outbox,
        clock: Clock,
        *,
        host: Callable[[], HostInfo],
        metrics: Callable[[], Sequence[Metric]],
        run: Callable[[], str],
        boot: str = "",
        present: Callable[[], tuple[Tables, dict[str, int]]] = lambda: (Tables(), {}),
        interval: float = 10.0,
        pause: float = PAUSE,
        version: str = "",
        tell: Callable[[PushStatus], None] | None = None,
        rng: random.Random | None = None,
        compress: Callable[[Report], Awaitable[bytes]] | None = None,
    ) -> None:
        self.status = PushStatus(target=target)
        self._post = post
        self._outbox = outbox
        self._clock = clock
        self._host = host
        self._metrics = metrics
        self._run = run
        self._boot = boot
        self._interval = interval
        self._pause = pause
        self._version = version
        self._tell = tell
        self._random = rng or random.Random()
        self._compress = compress or _compress
        self._backoff = Backoff(PATIENCE, self._random)
        self._patient = Backoff(REFUSED, self._random)
        self._due = clock.boottime() + int(self._random.uniform(0.0, min(1.0, interval)) * SECOND)
        self._ledger = Ledger(outbox.host)
        self._present = Present(present, run)
        self._slicer = Slicer(outbox, self._ledger, self._present)
        self._server = ""
        self._known_metrics = ""
        self._asked_metrics = False
        self._probing = False
        self._suspect: Slice | None = None
        self._refused = 0
        self._events_from = 0
        self._events_sent: set[str] = set()

    async def run(self) -> None:
        """Pushes until cancelled."""
        await self._clock.sleep(max(0, self._due - self._clock.boottime()) / SECOND)
        while True:
            await self._clock.sleep(await self.turn())

    async def turn(self) -> float:
        """Sends one report where one is due; returns the seconds to wait before the next turn.

        A report of the present is due every interval, a slice of what the hub misses in between.
        """
        now = self._clock.boottime()
        live = now >= self._due
        try:
            if live:
                self._due = now + int(self._interval * SECOND)
                self._ledger.ours = await self._outbox.spans()
            sent = None
            if not self._probing:
                sent = await self._slicer.next(LIVE if live else SLICE, live=live, now=now)
            if sent is None and not live:
                return self._until_due()
            report = await self._report(sent, live=live)
            answer = await self._post(await self._compress(report))
            return self._take(report, sent, answer)
        except StoreError as error:
            self._say("unreachable", f"the history here does not answer: {error}")
            return min(5.0, self._interval)
        except (Unauthorized, Untrusted, ProtocolMismatch) as error:
            return self._turned_away(str(error))
        except SysmonError as error:
            return self._failed(str(error), offence=isinstance(error, MalformedInput))

    # What is sent

    async def _report(self, sent: Slice | None, *, live: bool) -> Report:
        metrics = self._metrics()
        digest = batch.catalogue_digest(metrics)
        events: list[Event] = []
        evidence: Sequence[Evidence] = []
        if live and not self._probing:
            found = await self._outbox.events(self._events_from, batch.MAX_EVENTS)
            events = [event for event in found if event.id not in self._events_sent]
        if sent is not None and not sent.watched:
            evidence = await self._outbox.evidence(sent.start, sent.end, EVIDENCE_STEP)
        return Report(
            schema=wire.SCHEMA,
            version=self._version,
            batch=secrets.token_hex(8),
            time=self._clock.now(),
            interval=self._interval,
            run=self._run(),
            boot=self._boot,
            host=self._host(),
            catalogue=digest,
            metrics=[] if self._known_metrics == digest else list(metrics),
            spans=list(self._ledger.ours[-batch.MAX_SPANS :]),
            frames=[msgspec.Raw(data) for _, data in sent.frames] if sent is not None else [],
            events=events,
            evidence=list(evidence)[-batch.MAX_EVIDENCE :],
        )

    # What comes back

    def _take(self, report: Report, sent: Slice | None, answer: Answer) -> float:
        if answer.status == 200:
            return self._acknowledged(report, sent, batch.decode_answer(answer.body, self._outbox.host))
        said = _said(answer)
        target = self.status.target
        if answer.status == 413:
            return self._too_large(sent, said)
        if answer.status in (408, 425, 429) or answer.status >= 500:
            waited = min(MAX_RETRY_AFTER, answer.retry_after or 0.0)
            return max(waited, self._failed(f"{target}: {said or f'HTTP {answer.status}'}"))
        if answer.status == 401:
            said = f"the token is refused: {said or 'wrong, revoked or expired'}"
        elif answer.status == 403:
            said = said or "the token may not report this host"
        elif answer.status == 404:
            said = "takes no reports; is that a recorder (`sysmon --record`)?"
        elif answer.status == 400:
            self._suspect = sent
        return self._turned_away(f"{target}: {said or f'HTTP {answer.status}'}")

    def _acknowledged(self, report: Report, sent: Slice | None, answer: Acknowledgement) -> float:
        if answer.wanted == "metrics" and not answer.acknowledged and not self._asked_metrics:
            self._known_metrics = ""
            self._asked_metrics = True
            self._due = self._clock.boottime()
            return 0.0
        if answer.acknowledged != report.batch:
            raise MalformedInput(f"{self.status.target} acknowledges another batch", "is a cache in between?")
        self._asked_metrics = False
        if answer.server != self._server:
            # Another hub, or the same one started again: which frames it holds, it says; which events, it does not.
            if self._server:
                self._ledger.forget()
                self._present.again()
                self._events_from = 0
                self._events_sent.clear()
            self._server = answer.server
        elif report.events:
            self._events_from = max(event.time for event in report.events)
            self._events_sent = {event.id for event in report.events if event.time == self._events_from}
        if report.metrics:
            self._known_metrics = report.catalogue
        self._ledger.held, self._ledger.since = answer.held, answer.since
        if self._probing:
            self._probing = False
            self._forsake()
        self._refused += answer.refused
        if sent is not None:
            self._finish(sent)
        self._outbox.ring.let_go(self._ledger.has)
        self._backoff.succeeded(REFUSED.settled)
        self._patient = Backoff(REFUSED, self._random)
        taken = self.status.sent + (len(sent.frames) - answer.refused if sent is not None else 0)
        self.status = msgspec.structs.replace(self.status, sent=taken, last=self._clock.now())
        problem = (
            f"{self.status.target} did not take {answer.refused} frames: {answer.problem}" if answer.refused else ""
        )
        pending = self._ledger.pending()
        self._say("filling" if pending else "pushing", problem)
        return min(self._pause, self._until_due()) if pending else self._until_due()

    def _too_large(self, sent: Slice | None, said: str) -> float:
        if sent is None or not self._slicer.shrink(len(sent.frames)):
            self._suspect = sent
            return self._turned_away(f"{self.status.target}: {said or 'a report is too large'}")
        self._again()
        return self._pause

    def _forsake(self) -> None:
        """The hub takes reports, but not with these frames: they must not stand in the way of all others."""
        if self._suspect is not None:
            self._finish(self._suspect)
            self._refused += len(self._suspect.frames)
            self._suspect = None

    def _finish(self, sent: Slice) -> None:
        for seq, _ in sent.frames:
            self._ledger.finish(sent.run, seq)

    def _failed(self, problem: str, *, offence: bool = False) -> float:
        self._say("unreachable", problem)
        self._again()
        return self._backoff.next(offence=offence)

    def _turned_away(self, problem: str) -> float:
        """It would say the same again: it is asked seldom, and without frames."""
        self._say("refused", problem)
        self._again()
        self._probing = True
        return REFUSED.first / 2 + self._patient.next()

    def _again(self) -> None:
        self._due = self._clock.boottime()
        self._present.again()

    def _until_due(self) -> float:
        return max(0.0, (self._due - self._clock.boottime()) / SECOND)

    def _say(self, state: State, problem: str) -> None:
        before = self.status
        lost = self._outbox.ring.lost + self._refused
        pending = self._ledger.pending()
        self.status = msgspec.structs.replace(before, state=state, problem=problem, pending=pending, lost=lost)
        if self._tell is not None and (before.state, before.problem) != (state, problem):
            self._tell(self.status)


async def _compress(report: Report) -> bytes:
    if sum(len(bytes(frame)) for frame in report.frames) < SMALL:
        # Two milliseconds; a thread would hold on to memory of its own for ever.
        return batch.encode_report(report)
    return await asyncio.to_thread(batch.encode_report, report)


def _said(answer: Answer) -> str:
    if answer.body.lstrip()[:1] == b"<":
        return f"HTTP {answer.status} and a page of HTML, which no recorder sends: is there a proxy in between?"
    try:
        told = msgspec.json.decode(answer.body, type=dict[str, str])
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return ""
    error, hint = clean_text(told.get("error", ""), 300), clean_text(told.get("hint", ""), 300)
    return f"{error}; {hint}" if error and hint else error
