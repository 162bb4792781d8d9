"""The feed: what a server has to say, in order of arrival, and the present state of every host it speaks of."""

from __future__ import annotations

import asyncio
import secrets
from typing import TYPE_CHECKING

import msgspec

from remote import wire
from remote.server.fanout import Opening, Reader, View, ViewKey
from remote.server.names import find_host
from remote.server.opening import Openings
from remote.server.reduced import Forms
from remote.server.ring import Item, Ring
from sysmon.clock import SystemClock
from sysmon.derive import State
from sysmon.errors import SysmonError
from sysmon.frame import Frame
from sysmon.records import AlertState, Event, Gap, Hello, HostInfo, RunSpan, Status

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from remote.push.pusher import PushStatus
    from sysmon.catalogue import Catalogue, Metric
    from sysmon.clock import Clock
    from sysmon.records import Update

MAX_KEYS = 200_000
"""Series keys whose collectors are remembered."""


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """What readers may cost.

    Attributes:
        streams: open streams at most. `ranges`: answers of `/v1/range` being made at once.
        queue: bytes queued for one reader at most. `stall`: seconds one write may be stuck.
        ring: bytes of events kept to be sent again at once.
        heartbeat: seconds between heartbeats.
        deadline: seconds an answer from the history may take.
    """

    streams: int = 200
    ranges: int = 4
    queue: int = 1 << 20
    stall: float = 30.0
    ring: int = 1 << 20
    heartbeat: float = wire.HEARTBEAT_SECONDS
    deadline: float = 10.0


class TooManyStreams(SysmonError):
    """No room for another reader."""


class Feed:
    """Takes what sources yield and fans it out to readers.

    Args:
        catalogue: the metrics known so far; `learn` adds those of remote hosts.
        clock: gives the server's time in `hello` and heartbeats.
        version: of sysmon.
        watch: called with the tables that readers now ask for, whenever that set changes.
        limits: what readers may cost.
        states: present states that somebody else keeps: then a frame is published when its state has taken it.
        hub: id of this server as a hub, put behind the `via` of every host it serves; '' for an agent.

    Attributes:
        server: 16 hex digits drawn at start; the first half of every SSE id.
        arrival: number of the last frame or event taken in.
        hosts: host id -> what is known about it. `statuses`: `Status.key` -> how fresh it is.
    """

    def __init__(
        self,
        catalogue: Catalogue,
        *,
        clock: Clock | None = None,
        version: str = "",
        watch: Callable[[frozenset[str]], None] | None = None,
        limits: Limits | None = None,
        states: dict[str, State] | None = None,
        hub: str = "",
    ) -> None:
        self.catalogue = catalogue
        self.version = version
        self.hub = hub
        self.limits = limits or Limits()
        self.server = secrets.token_hex(8)
        self.arrival = 0
        self.hosts: dict[str, HostInfo] = {}
        self.statuses: dict[str, Status] = {}
        self.alerts: dict[tuple[str, str, str], AlertState] = {}
        self.dropped = 0
        """Readers dropped for being slow."""
        self.push: Callable[[], PushStatus] | None = None
        """Of an agent that pushes: returns how that goes."""
        self._clock: Clock = clock or SystemClock()
        self._watch = watch
        self._watched: frozenset[str] = frozenset()
        self._states: dict[str, State] = {} if states is None else states
        self._came: dict[str, int] = {}
        self._keeps = states is None
        self._ring = Ring(self.limits.ring)
        self._openings = Openings(self, self._states, self._ring)
        self._opened: tuple[tuple[ViewKey, str, Sequence[RunSpan]], Opening] | None = None
        self._views: dict[ViewKey, View] = {}
        self._collectors: dict[str, str] = {}
        self._beat: asyncio.Task[None] | None = None
        self._closed = False

    # What goes in

    def publish(self, update: Update, *, late: bool = False) -> None:
        """Takes one update and queues it for every reader that asked for its host; never waits.

        Args:
            update: a frame in the order it arrived, or what goes with frames. A `Hello` teaches metrics and hosts.
            late: of a frame: it fills a hole and says nothing about the present.
        """
        self._opened = None
        match update:
            case Frame():
                self._take_frame(update, late=late)
            case Hello():
                self.learn(update.metrics)
                for info in update.hosts:
                    self.publish(info)
            case HostInfo():
                info = self.served(update)
                if self.hosts.get(info.id) != info:
                    self.hosts[info.id] = info
                    self._broadcast(info.id, wire.encode_event(info))
            case Status() if update.host or update.name:
                # A configured host that was never reached has a name and no id yet.
                if not update.gone:
                    self.statuses[update.key] = update
                elif update.host:
                    self.forget(update.host)
                elif self.statuses.pop(update.key, None) is None:
                    return
                self._broadcast(update.host, wire.encode_event(self.told(update)))
            case AlertState():
                key = (update.host, update.rule, update.key)
                if update.status == "resolved":
                    self.alerts.pop(key, None)
                else:
                    self.alerts[key] = update
                self._broadcast(update.host, wire.encode_event(update))
            case Event():
                # About no host, it has no way of its own: it says itself where it has been.
                if self.hub and not update.host:
                    update = msgspec.structs.replace(update, via=[*update.via, self.hub])
                self._number(update.host, update)
            case Gap():
                self._number(update.host, update)

    def forget(self, host: str) -> None:
        """Drops a host, so that readers who come now hear nothing of it; its past is the history's matter."""
        self._opened = None
        self.hosts.pop(host, None)
        self.statuses.pop(host, None)
        self._states.pop(host, None)
        self._came.pop(host, None)
        self._openings.forget(host)
        for key in [key for key in self.alerts if key[0] == host]:
            del self.alerts[key]

    def learn(self, metrics: Iterable[Metric]) -> None:
        """Adds catalogue entries; those already known stay as they are."""
        new = [metric for metric in metrics if metric.name not in self.catalogue]
        if new:
            self.catalogue = self.catalogue.merged(new)
            self._collectors.clear()
            if self._keeps:
                for state in self._states.values():
                    state.learn(self.catalogue)

    def _take_frame(self, frame: Frame, *, late: bool) -> None:
        state = self._states.get(frame.host)
        if state is None:
            state = self._states[frame.host] = State(self.catalogue)
        if frame.host not in self.hosts:
            self.publish(HostInfo(id=frame.host))
        newest = state.frame
        if self._keeps and not late and (newest is None or newest.boot == frame.boot or newest.time <= frame.time):
            state.apply(frame)
        self._openings.note(frame)
        if not late:
            self._came[frame.host] = self._clock.boottime()
        if frame.seq:
            self._number(frame.host, frame, late=late)
        else:
            self._broadcast_frame(frame, "")

    def _number(self, host: str, update: Update, *, late: bool = False) -> None:
        self.arrival += 1
        id = f"{self.server}-{self.arrival}"
        frame = update if isinstance(update, Frame) else None
        data = wire.encode_event(update, id)
        self._ring.add(Item(self.arrival, host, data, frame is not None), frame)
        if frame is None:
            self._broadcast(host, data)
        else:
            self._broadcast_frame(frame, id, data, late=late)

    def _broadcast_frame(self, frame: Frame, id: str, plain: bytes | None = None, *, late: bool = False) -> None:
        if not self._views:
            return
        forms = Forms(frame, id, plain, state=self._states[frame.host].full, collector=self.collector)
        for view in list(self._views.values()):
            if not view.key.wants(frame.host) or (late and view.key.interval):
                # What lies behind a reader that wants few frames is its own to ask for, all of it or none.
                continue
            due = view.pace.due(frame) if frame.seq else "frame"
            if due:
                self._send(view, forms.get(view.key, due))

    def _broadcast(self, host: str, data: bytes) -> None:
        for view in list(self._views.values()):
            if view.key.wants(host):
                self._send(view, data)

    def _send(self, view: View, data: bytes) -> None:
        readers = len(view.readers)
        view.send(data)
        if len(view.readers) < readers:
            self.dropped += readers - len(view.readers)
            self._tidy()

    # What is asked

    def state(self, host: str) -> State | None:
        """Returns the present state of a host, or None before its first frame."""
        return self._states.get(host)

    def find(self, name: str) -> str:
        """Returns the id of a host given by id, configured name or hostname.

        Raises:
            UnknownHost: no host or several have that name; names the nearest, or all.
        """
        return find_host(self.hosts.values(), name)

    def collector(self, key: str) -> str:
        """Returns the collector of a series key, '' where none is known."""
        found = self._collectors.get(key)
        if found is None:
            if len(self._collectors) >= MAX_KEYS:
                self._collectors.clear()
            metric = self.catalogue.of_key(key)
            found = self._collectors[key] = metric.collector if metric is not None else ""
        return found

    def known_collectors(self) -> set[str]:
        """Returns the names of collectors that the catalogue or some host speaks of."""
        known = {metric.collector for metric in self.catalogue if metric.collector}
        return known.union(*(state.reads for state in self._states.values()))

    def served(self, info: HostInfo) -> HostInfo:
        """Returns what readers are told of a host: a hub adds itself to the way that its frames take."""
        if not self.hub:
            return info
        hub = info.hub or (self.hub if info.target == "local" else "")
        return msgspec.structs.replace(info, via=[*info.via, self.hub], hub=hub)

    def told(self, status: Status) -> Status:
        """Returns what readers are told of a status: a hub adds itself where no description of the host does."""
        if status.host or not self.hub:
            return status
        return msgspec.structs.replace(status, via=[*status.via, self.hub])

    def status(self, host: str) -> Status | None:
        """Returns how fresh a host is and how old its last frame now; None where nothing was said of it."""
        status = self.statuses.get(host)
        came = self._came.get(host)
        if status is None or came is None:
            return status
        return msgspec.structs.replace(status, since=came, age=round((self._clock.boottime() - came) / 1e9, 1))

    @property
    def unreached(self) -> list[Status]:
        """Configured hosts that were never reached, as readers are told of them."""
        return [self.told(status) for status in self.statuses.values() if not status.host]

    def used_metrics(self, hosts: frozenset[str] | None = None) -> list[Metric]:
        """Returns the catalogue entries that the hosts' readings use, raw and derived."""
        return self._openings.used_metrics(hosts)

    def hello(self, hosts: frozenset[str] | None = None, spans: Sequence[RunSpan] = ()) -> Hello:
        """Builds the first event of a stream."""
        return self._openings.hello(hosts, spans, self._clock.now())

    # Readers

    @property
    def readers(self) -> int:
        """Open streams."""
        return sum(len(view.readers) for view in self._views.values())

    @property
    def watched(self) -> frozenset[str]:
        """Tables that some reader asks for."""
        return self._watched

    def room(self) -> None:
        """Checks that another stream may be opened.

        Raises:
            TooManyStreams: the limit is reached, or the server ends.
        """
        if self._closed:
            raise TooManyStreams("the server ends")
        if self.readers >= self.limits.streams:
            raise TooManyStreams(f"{self.readers} streams are open, the most allowed", "close one, or try again later")

    def join(
        self,
        key: ViewKey,
        *,
        abort: Callable[[], None],
        last_id: str = "",
        spans: Sequence[RunSpan] = (),
    ) -> Reader:
        """Opens a stream: hello, statuses, a full state per host, what was missed, then live.

        Args:
            key: what the reader wants to see.
            abort: cuts its connection.
            last_id: its `Last-Event-ID`. What came after it is sent again if the ring has it, else listed in gaps.
            spans: what the history holds, for hello and gaps.

        Raises:
            TooManyStreams: the limit is reached.
        """
        self.room()
        reader = Reader(key, limit=self.limits.queue, stall=self.limits.stall, abort=abort)
        view = self._views.get(key)
        if view is None:
            view = self._views[key] = View(key)
        asked = (key, last_id, spans)
        if self._opened is None or self._opened[0] != asked:
            self._opened = asked, Opening(self._openings.make(key, last_id, spans, self._clock.now()))
        view.join(reader, self._opened[1])
        self._tidy()
        if self._beat is None:
            self._beat = asyncio.get_running_loop().create_task(self._beats(), name="feed heartbeat")
        return reader

    def leave(self, reader: Reader) -> None:
        """Forgets a reader whose connection is gone."""
        reader.finish("left")
        view = self._views.get(reader.key)
        if view is not None and reader in view.readers:
            view.readers.remove(reader)
        self._tidy()

    def _tidy(self) -> None:
        for key in [key for key, view in self._views.items() if not view.readers]:
            del self._views[key]
        watched = frozenset().union(*(key.tables for key in self._views)) if self._views else frozenset()
        if watched != self._watched:
            self._watched = watched
            if self._watch is not None:
                self._watch(watched)
        if not self._views:
            self._openings.trim()
        if not self._views and self._beat is not None:
            self._beat.cancel()
            self._beat = None

    async def _beats(self) -> None:
        while True:
            await asyncio.sleep(self.limits.heartbeat)
            self._broadcast("", wire.encode_event(wire.Heartbeat(self._clock.now())))

    def close(self) -> None:
        """Ends every stream; no new one is let in."""
        self._closed = True
        for view in list(self._views.values()):
            for reader in view.readers:
                reader.finish("the server ends")
            view.readers.clear()
        self._tidy()
