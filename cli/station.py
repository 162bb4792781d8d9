"""The station: ties sources to sinks. Frames go to history, alert rules and the stream; whoever watches gets them too.

One station per process; the screen that records, the agent and the recorder are stations with different sinks.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

import msgspec

from cli.clones import Clones
from cli.contact import Contact
from cli.evidence import Witnessed
from cli.watcher import Watcher
from sysmon.allowance import Allowance
from sysmon.clock import far_off
from sysmon.derive import State
from sysmon.errors import StoreError
from sysmon.frame import Frame
from sysmon.happenings import Happenings
from sysmon.records import Event, Hello, HostInfo, Status

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from alerts.engine import Engine
    from cli.paths import Paths
    from cli.witness import Witness
    from remote.client.history import HttpHistory
    from remote.server.feed import Feed
    from sysmon.catalogue import Catalogue
    from sysmon.clock import Clock
    from sysmon.ports import History, Recorder, Source
    from sysmon.records import AlertState, Past, Update

TOLD, TOLD_BURST = 1 / 50, 500.0
"""Events a second that the frames of one host may give rise to in the long run, and at once; alerts apart."""

REMEMBERED = 4096
"""Events whose ids are remembered, so that one that comes again, on another way or back, is told once."""


class Station:
    """Takes updates of any number of hosts.

    Args:
        catalogue: the metrics known; those of remote hosts are learnt from their `Hello`.
        clock: for `received`.
        recorder: keeps frames, events, alert states, evidence; None: nothing is kept.
        engine: evaluates the rules of recorded hosts; None: no alerts here.
        feed: serves frames on; None: nobody listens.
        evidence: seconds between records of the busiest processes.
    """

    def __init__(
        self,
        catalogue: Catalogue,
        clock: Clock,
        *,
        recorder: Recorder | None = None,
        engine: Engine | None = None,
        feed: Feed | None = None,
        evidence: float = 30.0,
    ) -> None:
        self.catalogue = catalogue
        self.clock = clock
        self.recorder = recorder
        self.engine = engine
        self.feed = feed
        self.watchers: set[Watcher] = set()
        self.states: dict[str, State] = {}
        self.infos: dict[str, HostInfo] = {}
        self.statuses: dict[str, Status] = {}
        self.sampled = ""
        """Id of the host that is sampled in this process, or ''."""
        self.problem = ""
        """Why the last thing was not recorded, or ''."""
        self.paths: Paths | None = None
        """Of a recorder: which way is taken to each host that it follows."""
        self.pasts: dict[str, Callable[[], HttpHistory | None]] = {}
        """Configured host -> what gives the history that is kept there."""
        self.wakes: dict[str, Callable[[], None]] = {}
        """Configured host -> what has it tried again now, where it waits to be reached."""
        self.asks: dict[str, Callable[[frozenset[str]], None]] = {}
        """Router -> what tells its source which tables somebody looks at."""
        self.witnesses: dict[str, Witness] = {}
        """Host id -> what reads its processes more often while an alert is in the making."""
        self.contact = Contact()
        """What becomes of contact with the hosts that are followed."""
        self.clones = Clones(clock)
        """Which of them share an id."""
        self._happenings: dict[str, Happenings] = {}
        self._tellings: dict[str, Allowance] = {}
        self._told: dict[tuple[str, str], None] = {}
        self._waiting: asyncio.Task[None] | None = None
        self._unheard: set[str] = set()
        self._witnessed = Witnessed(self._record, evidence)

    async def begin(self, recorder: Recorder | None, engine: Engine | None, history: History | None) -> None:
        """Records and evaluates rules from now on, beginning with the alert states that an earlier process recorded."""
        self.recorder = recorder
        self.engine = engine
        for info in list(self.infos.values()):
            await self._record(lambda kept, info=info: kept.record_host(self.clones.kept(info)))  # type: ignore[misc]
        if history is None or engine is None:
            return
        try:
            spans, alerts = await history.spans(), await history.alerts()
            self.clones.restore(await history.hosts(), spans)
            for told in reversed(await history.events(limit=REMEMBERED)):
                self._is_new(told)
        except StoreError as error:
            self.problem = str(error)
            return
        for event in engine.restore(alerts, max((span.end for span in spans), default=None)):
            await self._take_event(event)
        taken_up = {(state.host, state.rule, state.key) for state in engine.states}
        ended = [state for state in alerts if (state.host, state.rule, state.key) not in taken_up]
        now = self.clock.now()
        await self.settle(
            [], [msgspec.structs.replace(state, status="resolved", since=now) for state in ended], publish=engine.states
        )

    def watch(self) -> Watcher:
        """Returns a source of what this station takes from now on, beginning with what it knows."""
        watcher = Watcher(self)
        self.watchers.add(watcher)
        return watcher

    def present(self) -> list[Update]:
        """Returns what a new watcher must know: hosts, how fresh they are, their full states, their alerts."""
        known: list[Update] = [*self.infos.values(), *self.statuses.values()]
        known += [full for state in self.states.values() if (full := state.full()) is not None]
        return [*known, *(self.engine.states if self.engine is not None else ())]

    async def run(self, source: Source, *, changed: Callable[[Update], Update | None] | None = None) -> None:
        """Takes all updates of a source until it ends.

        Args:
            source: what yields.
            changed: may change an update before it is taken, or leave it out by returning None.
        """
        async for update in source.updates():
            kept = update if changed is None else changed(update)
            if kept is not None:
                await self.take(kept)

    async def heed(self, status: Status) -> None:
        """Tells what a followed host's status means: contact lost or found, with others or alone."""
        for event in self.contact.take(status, self.clock.now(), self.clock.boottime()):
            await self._take_event(event)
            if event.kind in ("network.back", "host.up"):
                # Where one is heard again others may be too, sooner than their turn comes.
                for wake in self.wakes.values():
                    wake()
        if self._waiting is None and self.contact.wait(self.clock.boottime()) is not None:
            self._waiting = asyncio.create_task(self._wait(), name="contact")

    async def _wait(self) -> None:
        """Tells what time alone makes certain."""
        while (seconds := self.contact.wait(self.clock.boottime())) is not None:
            await self.clock.sleep(seconds)
            for event in self.contact.due(self.clock.now(), self.clock.boottime()):
                await self._take_event(event)
        self._waiting = None

    async def take(self, update: Update, *, late: bool = False) -> None:
        """Hands one update to every sink."""
        if isinstance(update, Frame):
            await self._take_frame(update, late=late)
        elif isinstance(update, HostInfo):
            self.infos[update.id] = update
            await self._record(lambda kept: kept.record_host(self.clones.kept(update)))
            self._publish(update)
        elif isinstance(update, Event):
            if update.kind == "clock" and update.host in self._happenings:
                self._happenings[update.host].told_clock()
            await self._take_event(update)
        elif isinstance(update, Hello):
            hello = self._learn(update)
            # Those of this program every process knows.
            taught = [metric for metric in hello.metrics if self.catalogue.is_taught(metric.name)]
            for info in hello.hosts if taught else ():
                await self._record(lambda kept, info=info: kept.record_metrics(info.id, taught))  # type: ignore[misc]
            self._publish(hello)
        else:
            if isinstance(update, Status):
                if update.gone:
                    await self._let_go(update)
                    return
                if update.state in ("stale", "offline", "paused"):
                    self._unheard.add(update.host)
                self.statuses[update.key] = update
                if update.host and update.host == self.sampled and update.state != "live":
                    # Somebody else was to tell of this machine and does not: it is still here.
                    return
            self._publish(update)

    async def take_past(self, past: Past) -> None:
        """Hands what others counted of a host to the recorder."""
        await self._record(lambda kept: kept.record_past(past))

    def past(self, host: str) -> HttpHistory | None:
        """Returns the history that a followed host keeps itself, None where it cannot be asked now."""
        way = self.paths.taken(host) if self.paths is not None else None
        status = self.statuses.get(host)
        if way is None or way not in self.pasts or status is None or status.state in ("offline", "paused"):
            return None
        return self.pasts[way]()

    def _learn(self, hello: Hello) -> Hello:
        """Takes the metrics of remote hosts that are not known here, mostly none, as far as peers may teach any.

        Returns:
            The greeting without the rest.
        """
        if all(metric.name in self.catalogue for metric in hello.metrics):
            return hello
        known = self.catalogue.merged(hello.metrics)
        if known is not self.catalogue:
            self.catalogue = known
            for state in self.states.values():
                state.learn(known)
        return msgspec.structs.replace(hello, metrics=[metric for metric in hello.metrics if metric.name in known])

    def reached(self, name: str) -> None:
        """Takes back what was said of a configured host while none of its hosts had an id."""
        self._take_back(f"@{name}")

    def take_back_unreached(self) -> None:
        """Takes back what was said of all hosts that were never reached: somebody else speaks of them from now on."""
        for key in [key for key, status in self.statuses.items() if not status.host]:
            self._take_back(key)

    def _take_back(self, key: str) -> None:
        known = self.statuses.pop(key, None)
        if known is not None:
            self._publish(msgspec.structs.replace(known, state="paused", message="", gone=True))

    async def _let_go(self, last: Status) -> None:
        """Lets go of a host that is not followed any more, and tells it; its past stays."""
        if not last.host:
            self._take_back(last.key)
            return
        if last.host == self.sampled:
            return
        await self.heed(last)
        if self.engine is not None:
            outcome = self.engine.forget(last.host)
            await self.settle(outcome.events, outcome.states)
        self.statuses.pop(last.host, None)
        info = self.infos.pop(last.host, None)
        if info is not None and self.clones.replaced(info):
            # Its past goes by its id and hostname: the name is another's now.
            past = msgspec.structs.replace(info, name="")
            await self._record(lambda kept: kept.record_host(past))
        self.states.pop(last.host, None)
        self._unheard.discard(last.host)
        self._publish(last)

    async def _take_frame(self, frame: Frame, *, late: bool) -> None:
        if frame.seq:
            await self._record(lambda kept: kept.record(frame, received=self.clock.now(), late=late))
        if late:
            await self._witnessed.meet(frame, min(frame.time - self.skew(frame.host), self.clock.now()))
            if self.feed is not None:
                self.feed.publish(frame, late=True)
            return
        state = self.states.get(frame.host)
        if state is None:
            state = self.states[frame.host] = State(self.catalogue)
        told = self._happenings.get(frame.host)
        if told is None:
            told = self._happenings[frame.host] = Happenings()
        where = "local" if frame.host == self.sampled else info.target if (info := self.infos.get(frame.host)) else ""
        events = told.take(state, frame, where)
        state.apply(frame)
        self._publish(frame)
        for event in self._plausible(frame.host, events):
            # Its clock may be off; what happened on it is told by ours.
            await self._take_event(msgspec.structs.replace(event, time=self._ours(frame)))
        if self.recorder is not None:
            await self._witnessed.look(frame, state, self._ours(frame))
            await self._witnessed.meet(frame, self._ours(frame))
        if self.engine is not None:
            info = self.infos.get(frame.host) or HostInfo(id=frame.host)
            if frame.host in self._unheard:
                # Its status comes behind the frame that proves it wrong.
                self._unheard.discard(frame.host)
                self.engine.found(frame.host)
            outcome = self.engine.evaluate(info, state)
            await self.settle(outcome.events, outcome.states)
            witness = self.witnesses.get(frame.host)
            if witness is not None:
                witness.look(
                    frame.monotonic,
                    pending=self.engine.brewing(frame.host),
                    fired=any(event.kind == "alert.firing" for event in outcome.events),
                )

    def _plausible(self, host: str, events: Sequence[Event]) -> Sequence[Event]:
        """Leaves out what a host's frames tell of beyond what can happen to it: they are kept for years."""
        if not events:
            return events
        allowance = self._tellings.get(host)
        if allowance is None:
            allowance = self._tellings[host] = Allowance(TOLD, TOLD_BURST)
        return [event for event in events if not allowance.take(1, self.clock.boottime())]

    async def settle(
        self, events: Sequence[Event], states: Sequence[AlertState], *, publish: Sequence[AlertState] = ()
    ) -> None:
        """Records and tells events and alert states; `publish`: states to be told only."""
        for event in events:
            await self._take_event(event)
        if states:
            await self._record(lambda kept: kept.record_alerts(states))
        for state in (*states, *publish):
            self._publish(state)

    def skew(self, host: str) -> int:
        """Returns by how many milliseconds a host's clock is ahead of ours, where that is too much, else 0."""
        status = self.statuses.get(host)
        return far_off(status.skew) if status is not None else 0

    def _is_new(self, event: Event) -> bool:
        """Remembers an event; returns whether it was not told before."""
        key = (event.host, event.id)
        if key in self._told:
            return False
        self._told[key] = None
        if len(self._told) > REMEMBERED:
            del self._told[next(iter(self._told))]
        return True

    def _ours(self, frame: Frame) -> int:
        """Returns the time of a live frame by our clock, whatever its own says: it has just come."""
        now, time = self.clock.now(), frame.time - self.skew(frame.host)
        # A state on connecting may be that of a host that has been gone for days.
        return now if far_off(time - now) > 0 or (frame.seq and far_off(time - now)) else time

    async def _take_event(self, event: Event) -> None:
        if not self._is_new(event):
            return
        now = self.clock.now()
        if far_off(event.time - now) > 0:
            # Nothing has happened that is yet to come, and it would stand on top of all others until then.
            event = msgspec.structs.replace(event, time=now)
        await self._record(lambda kept: kept.record_event(event))
        if event.kind == "alert.firing" and event.host in self.states:
            await self._witnessed.keep(event.host, self.states[event.host], event.time)
        self._publish(event)

    async def _record(self, work: Callable[[Recorder], Awaitable[None]]) -> None:
        """Hands something to the recorder; one that fails costs the past, never the present."""
        if self.recorder is None:
            return
        try:
            await work(self.recorder)
        except StoreError as error:
            self.problem = f"not recorded: {error}"
        else:
            self.problem = ""

    def tell(self, update: Update) -> None:
        """Tells whoever watches of something that is neither recorded nor remembered here."""
        self._publish(update)

    def _publish(self, update: Update) -> None:
        if self.feed is not None:
            self.feed.publish(update)
        for watcher in self.watchers:
            watcher.put(update)

    async def close(self) -> None:
        """Ends the watchers and lets the recorder commit."""
        if self._waiting is not None:
            self._waiting.cancel()
            await asyncio.gather(self._waiting, return_exceptions=True)
            self._waiting = None
        for watcher in list(self.watchers):
            await watcher.close()
        if self.recorder is not None:
            with contextlib.suppress(asyncio.CancelledError, StoreError):
                await self.recorder.close()
