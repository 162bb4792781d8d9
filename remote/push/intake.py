"""Taking what pushed hosts say: who may report as whom, which frames are new, what the hub answers. Without HTTP."""

from __future__ import annotations

import asyncio
import secrets
from typing import TYPE_CHECKING, Protocol

import msgspec

from remote import wire
from remote.holes import lost
from remote.liveness import SECOND
from remote.pace import TOO_MANY_RUNS
from remote.push import batch
from remote.push.pushed import MAX_PIECES, MAX_ROWS, TARGET, PushedHost
from remote.server.murmur import Murmur
from sysmon.clock import SystemClock
from sysmon.errors import MalformedInput, StoreError
from sysmon.records import Hello

if TYPE_CHECKING:
    from collections.abc import Callable

    from remote.push.batch import Report
    from remote.push.bindings import Bindings
    from sysmon.clock import Clock
    from sysmon.frame import Frame
    from sysmon.ports import History, Recorder
    from sysmon.records import Status, Update

MAX_HOSTS = 5000
"""Hosts that push to one hub at most."""
MAX_METRICS = 4000
"""Catalogue entries that pushed hosts may bring, beside those known here."""
MARGIN = 1_200_000
"""Milliseconds by which frames are younger than the retention that are still asked for: they would be trimmed at once.
"""
REMEDY = "after cloning a machine, remove /etc/machine-id there and run systemd-machine-id-setup"
"""What helps where two machines have one id."""
SKEW_STEP = 250
"""Milliseconds by which a host's skew must change to be told again."""
LOOK = 1.0
"""Seconds between looks at how fresh the hosts are."""


class Refusal(Exception):
    """A report that is not taken: status, words, hint, and after how many seconds to try again."""

    def __init__(self, status: int, error: str, hint: str = "", *, retry: float | None = None) -> None:
        super().__init__(error)
        self.status = status
        self.error = error
        self.hint = hint
        self.retry = retry


class Sink(Protocol):
    """Where reports go: the hub's station."""

    def kept(self) -> tuple[Recorder, History] | None:
        """Returns what records and what reads it back, or None while nothing is recorded."""
        ...

    def conflict(self, host: str, boot: str, *, bound: bool, token: bool) -> str:
        """Says why that id is another machine's, in the boot that it has now; '' where it is not.

        Args:
            host: the id. `boot`: as reported; '' where nothing was.
            bound: whether this host reported before with what it shows now.
            token: whether it showed a token; a program of this user needs none.
        """
        ...

    async def take(self, update: Update, *, late: bool = False) -> None:
        """Takes a frame, or what goes with it, as from any source."""
        ...

    async def judged(self, status: Status) -> None:
        """Takes how fresh a host is."""
        ...

    def tell(self, update: Update) -> None:
        """Passes on what is not recorded here: a gap."""
        ...


class Intake:
    """The hosts that push to this hub.

    Args:
        sink: where their frames go.
        bindings: which token belongs to which host.
        holder: digest of a token -> its name where it is in force, '' where it is not.
        retention: seconds for which frames are kept.
        clock: this side's.
        say: takes lines about who was refused.
        server: drawn at the hub's start.
    """

    def __init__(
        self,
        sink: Sink,
        bindings: Bindings,
        *,
        retention: float,
        holder: Callable[[str], str] = lambda digest: digest,
        clock: Clock | None = None,
        say: Callable[[str], None] = lambda line: None,
        server: str = "",
    ) -> None:
        self.hosts: dict[str, PushedHost] = {}
        self._sink = sink
        self._bindings = bindings
        self._retention = int(retention * 1000)
        self._clock: Clock = clock or SystemClock()
        self._holder = holder
        self._say = say
        # Who shows a token can be refused in many words.
        self._murmur = Murmur(say, lambda: self._clock.boottime() / SECOND)
        self._server = server or secrets.token_hex(8)
        self._metrics: set[str] = set()
        self._said: dict[str, str] = {}

    # One report

    async def take(self, report: Report, token: str = "", digest: str = "") -> batch.Acknowledgement:
        """Takes a decoded report and returns the answer, once all is committed.

        Args:
            report: as decoded.
            token: name of the token that came with it; `digest`: what is kept of it. Both '' for local programs.

        Raises:
            Refusal: it is not taken.
        """
        kept = self._sink.kept()
        if kept is None:
            raise Refusal(503, "this hub records nothing now, so nothing can be taken", retry=10.0)
        pushed = self._admit(report, token, digest)
        async with pushed.lock:
            if not report.metrics and report.catalogue != pushed.catalogue:
                return self._answer(report, pushed, acknowledged="", wanted="metrics")
            if len(pushed.held) > MAX_PIECES:
                raise Refusal(429, f"this host's frames lie in more than {MAX_PIECES} pieces", retry=3600.0)
            wait = pushed.allow(len(report.frames), self._clock.boottime())
            if wait:
                raise Refusal(429, "this host pushes more than it can have made", retry=wait)
            try:
                return await self._taken(report, pushed, *kept)
            except StoreError as error:
                raise Refusal(503, f"the hub's history: {error.message}", error.hint, retry=10.0) from None

    def _admit(self, report: Report, token: str, digest: str) -> PushedHost:
        """Finds the host of a report, or refuses it."""
        host, now = report.host.id, self._clock.boottime()
        bound = self._bindings.host(digest) if digest else ""
        if bound and bound != host:
            raise self._turned_away(
                host,
                403,
                f"the token '{token}' belongs to the host {bound}, not to {host} ({report.host.label})",
                "each host has its own: `sysmon token new NAME --scope report` on the hub makes one",
            )
        owner = self._bindings.owner(host) if digest else ""
        if owner not in ("", digest) and (holder := self._holder(owner)):
            raise self._turned_away(
                host,
                403,
                f"the host {host} ({report.host.label}) belongs to another token than '{token}'",
                "on the hub, `sysmon token revoke` of that one lets this one have it; the hub's log names it",
                log=f"; it belongs to '{holder}': `sysmon token revoke {holder}` gives it to the next that reports it",
            )
        if why := self._sink.conflict(host, report.boot, bound=bound == host, token=bool(digest)):
            raise self._turned_away(host, 409, why, REMEDY)
        pushed = self.hosts.get(host)
        if pushed is None:
            if len(self.hosts) >= MAX_HOSTS:
                raise Refusal(503, f"{MAX_HOSTS} hosts push to this hub, the most there may be", retry=600.0)
            pushed = self.hosts[host] = PushedHost(report.host, now, asyncio.Lock())
        if not pushed.admits(report.run, now):
            raise self._turned_away(
                host,
                409,
                f"another machine, or another sysmon, reports as {host} ({report.host.label}) already",
                REMEDY,
            )
        if digest:
            self._bindings.bind(digest, host)
        if self._said.pop(host, ""):
            self._murmur(f"sysmon: reports of {host} ({report.host.label}) are taken again")
        return pushed

    def _turned_away(self, host: str, status: int, error: str, hint: str = "", *, log: str = "") -> Refusal:
        if self._said.get(host) != error:
            if len(self._said) >= MAX_HOSTS:
                self._said.clear()
            self._said[host] = error
            self._murmur(f"sysmon: a report was refused: {error}{log}")
        return Refusal(status, error, hint)

    async def _taken(
        self, report: Report, pushed: PushedHost, recorder: Recorder, history: History
    ) -> batch.Acknowledgement:
        now = self._clock.now()
        host = report.host.id
        pushed.interval = report.interval
        pushed.skew.add(report.time, now)
        await self._describe(report, pushed)
        if not pushed.seeded:
            pushed.hold(await history.spans(host))
        refused, problem, rows = 0, "", 0
        for raw in report.frames:
            pushed.cleaner.wanted = None if rows < MAX_ROWS else ()
            try:
                frame = self._frame(bytes(raw), pushed, now)
            except MalformedInput as error:
                refused, problem = refused + 1, problem or error.message
                continue
            rows += frame.tables.rows()
            await self._hand_on(frame, report, pushed, recorder)
            await asyncio.sleep(0)  # whoever else is served comes first
        for evidence in report.evidence:
            if pushed.pace.evidence(self._clock.boottime()):
                await recorder.record_evidence(evidence)
        await recorder.flush()
        pushed.hold(await history.spans(host))
        await self._take_events(report, pushed, history)
        self._tell_lost(report, pushed)
        await self.judge(pushed)
        return self._answer(report, pushed, acknowledged=report.batch, refused=refused, problem=problem)

    async def _describe(self, report: Report, pushed: PushedHost) -> None:
        """Learns who it is, and which metrics it has."""
        info = msgspec.structs.replace(
            report.host,
            name="",
            target=TARGET,
            tags=report.host.tags[:20],
            expected_off=False,
            via=[],
            version=report.host.version or report.version,
        )
        if report.metrics and report.catalogue != pushed.catalogue:
            brought = pushed.cleaner.metrics(report.metrics)
            known = [metric for metric in brought if metric.name in self._metrics]
            new = [metric for metric in brought if metric.name not in self._metrics]
            metrics = [*known, *new[: max(0, MAX_METRICS - len(self._metrics))]]
            self._metrics.update(metric.name for metric in metrics)
            hello = Hello(
                schema=wire.SCHEMA,
                version=report.version,
                server=self._server,
                time=self._clock.now(),
                hosts=[info],
                metrics=metrics,
            )
            await self._sink.take(info)
            await self._sink.take(hello)
            pushed.catalogue = report.catalogue
        elif info != pushed.info or pushed.told is None:
            await self._sink.take(info)
        pushed.info = info

    def _frame(self, raw: bytes, pushed: PushedHost, now: int) -> Frame:
        frame = wire.decode_frame(raw, cleaner=pushed.cleaner, hosts=(pushed.info.id,), now=now)
        clocks = (frame.monotonic, *frame.reads.values())
        if not 0 < frame.seq < batch.SEQ_LIMIT or any(clock >= batch.BOOT_LIMIT for clock in clocks):
            raise MalformedInput(f"frame {frame.seq} of run {frame.run}: its number or its times cannot be true")
        if not pushed.pace.run(frame, self._clock.boottime()):
            raise MalformedInput(f"frame {frame.seq} of run {frame.run}: {TOO_MANY_RUNS}")
        return msgspec.structs.replace(frame, via=[]) if frame.via else frame

    async def _hand_on(self, frame: Frame, report: Report, pushed: PushedHost, recorder: Recorder) -> None:
        if pushed.committed(frame):
            return
        if pushed.given(frame):
            # It was shown, and then could not be committed.
            await recorder.record(frame, received=self._clock.now(), late=True)
        else:
            live = pushed.is_live(frame, report.time, self._clock.boottime())
            await self._sink.take(frame, late=not live)

    async def _take_events(self, report: Report, pushed: PushedHost, history: History) -> None:
        """Takes those that are not known yet: some of them this side found in the frames itself."""
        events = [event for event in report.events if not event.kind.startswith(("alert.", "host.", "recording"))]
        if not events:
            return
        first, last = min(event.time for event in events), max(event.time for event in events)
        known = {event.id for event in await history.events(report.host.id, first - 1, last + 1, 10_000)}
        for event in events:
            if event.id not in known and pushed.pace.event(self._clock.boottime()):
                late = report.time - event.time > 60_000
                await self._sink.take(msgspec.structs.replace(event, late=late, rule="", key=""))

    def _tell_lost(self, report: Report, pushed: PushedHost) -> None:
        since = max(self._since(report), min((span.start for span in pushed.held), default=report.time))
        for hole in lost(report.spans, pushed.held, since):
            key = (hole.run, hole.first, hole.last)
            if key in pushed.gaps or len(pushed.gaps) >= 10_000:
                continue
            pushed.gaps.add(key)
            self._sink.tell(hole.lost())

    def _since(self, report: Report) -> int:
        return max(0, report.time - self._retention + min(MARGIN, self._retention // 10))

    def _answer(
        self,
        report: Report,
        pushed: PushedHost,
        *,
        acknowledged: str,
        refused: int = 0,
        problem: str = "",
        wanted: str = "",
    ) -> batch.Acknowledgement:
        runs = {span.run for span in report.spans}
        # Where only each n-th frame is held, the agent sends all: a frame that comes twice costs little.
        whole = [span for span in pushed.held if span.run in runs and span.every == 1]
        return batch.Acknowledgement(
            acknowledged=acknowledged,
            server=self._server,
            time=self._clock.now(),
            held=whole[-4 * batch.MAX_SPANS :],
            since=self._since(report),
            refused=refused,
            problem=problem,
            wanted=wanted,
        )

    # How fresh they are

    async def restore(self, history: History, *, without: str = "") -> None:
        """Waits for the hosts that pushed to an earlier process of this hub and have frames in its history.

        Args:
            history: of this hub.
            without: id of a host to leave out.

        Raises:
            StoreError: the history does not answer.
        """
        held = {span.host for span in await history.spans()}
        for info in await history.hosts():
            if info.target == TARGET and info.id in held and info.id not in {*self.hosts, without}:
                self.hosts[info.id] = PushedHost(info, self._clock.boottime(), asyncio.Lock())
                await self._sink.take(info)

    async def watch(self) -> None:
        """Judges all hosts every second; runs until cancelled."""
        while True:
            for pushed in list(self.hosts.values()):
                await self.judge(pushed)
            await self._clock.sleep(LOOK)

    async def judge(self, pushed: PushedHost) -> None:
        """Tells how fresh a host is, where that changed."""
        status = pushed.status(self._clock.boottime())
        told = pushed.told
        if told is not None and (told.state, told.message) == (status.state, status.message):
            if (told.skew is None) == (status.skew is None) and abs((status.skew or 0) - (told.skew or 0)) < SKEW_STEP:
                return
        pushed.told = status
        await self._sink.judged(status)
