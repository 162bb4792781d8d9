"""The feed: what a server has to say, in order of arrival, and the present state of every host it speaks of."""

from __future__ import annotations

import asyncio
import re
import secrets
from typing import TYPE_CHECKING

import msgspec

from remote import sse, wire
from remote.fanout import Reader, View, ViewKey
from remote.ring import Item, Ring
from sysmon.clock import SystemClock
from sysmon.derive import State
from sysmon.errors import SysmonError, UsageError, nearest
from sysmon.frame import Frame, split_key
from sysmon.records import AlertState, Event, Gap, Hello, HostInfo, RunSpan, Status

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from sysmon.catalogue import Catalogue, Metric
    from sysmon.clock import Clock
    from sysmon.records import Update

_CURSOR = re.compile(r"([0-9a-f]{16})-([0-9]{1,18})")


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


class UnknownHost(UsageError):
    """No host, or more than one, goes by that name."""


def find_host(hosts: Iterable[HostInfo], name: str) -> str:
    """Returns the id of a host given by id, configured name or hostname.

    Raises:
        UnknownHost: no host or several have that name; names the nearest, or all.
    """
    infos = list(hosts)
    low = name.lower()
    for label in ("id", "name", "hostname"):
        found = sorted({info.id for info in infos if getattr(info, label).lower() == low})
        if len(found) == 1:
            return found[0]
        if found:
            raise UnknownHost(f"'{name}' is the {label} of {len(found)} hosts", f"use an id: {', '.join(found[:20])}")
    known = {info.label for info in infos}
    hint = nearest(name, known) or (f"known: {', '.join(sorted(known)[:20])}" if known else "no host is known yet")
    raise UnknownHost(f"'{name[:100]}' is not a host known here", hint)


class Feed:
    """Takes what sources yield and fans it out to readers.

    Args:
        catalogue: the metrics known so far; `learn` adds those of remote hosts.
        clock: gives the server's time in `hello` and heartbeats.
        version: of sysmon.
        watch: called with the tables that readers now ask for, whenever that set changes.
        limits: what readers may cost.

    Attributes:
        server: 16 hex digits drawn at start; the first half of every SSE id.
        arrival: number of the last frame or event taken in.
        hosts: host id -> what is known about it. `statuses`: host id -> how fresh it is.
    """

    def __init__(
        self,
        catalogue: Catalogue,
        *,
        clock: Clock | None = None,
        version: str = "",
        watch: Callable[[frozenset[str]], None] | None = None,
        limits: Limits | None = None,
    ) -> None:
        self.catalogue = catalogue
        self.version = version
        self.limits = limits or Limits()
        self.server = secrets.token_hex(8)
        self.arrival = 0
        self.hosts: dict[str, HostInfo] = {}
        self.statuses: dict[str, Status] = {}
        self.alerts: dict[tuple[str, str, str], AlertState] = {}
        self.dropped = 0
        """Readers dropped for being slow."""
        self._clock: Clock = clock or SystemClock()
        self._watch = watch
        self._watched: frozenset[str] = frozenset()
        self._states: dict[str, State] = {}
        self._ring = Ring(self.limits.ring)
        self._views: dict[ViewKey, View] = {}
        self._beat: asyncio.Task[None] | None = None
        self._closed = False

    # What goes in

    def publish(self, update: Update, *, late: bool = False) -> None:
        """Takes one update and queues it for every reader that asked for its host; never waits.

        Args:
            update: a frame in the order it arrived, or what goes with frames. A `Hello` teaches metrics and hosts.
            late: of a frame: it fills a hole and says nothing about the present.
        """
        match update:
            case Frame():
                self._take_frame(update, late=late)
            case Hello():
                self.learn(update.metrics)
                for info in update.hosts:
                    self.publish(info)
            case HostInfo():
                if self.hosts.get(update.id) != update:
                    self.hosts[update.id] = update
                    self._broadcast(update.id, wire.encode_event(update))
            case Status() if update.host or update.name:
                # A configured host that was never reached has a name and no id yet.
                if update.host:
                    self.statuses.pop(f"@{update.name}", None)
                self.statuses[update.host or f"@{update.name}"] = update
                self._broadcast(update.host, wire.encode_event(update))
            case AlertState():
                key = (update.host, update.rule, update.key)
                if update.status == "resolved":
                    self.alerts.pop(key, None)
                else:
                    self.alerts[key] = update
                self._broadcast(update.host, wire.encode_event(update))
            case Event() | Gap():
                self._number(update.host, update)

    def learn(self, metrics: Iterable[Metric]) -> None:
        """Adds catalogue entries; those already known stay as they are."""
        new = [metric for metric in metrics if metric.name not in self.catalogue]
        if new:
            self.catalogue = self.catalogue.merged(new)
            for host, state in self._states.items():
                fresh = self._states[host] = State(self.catalogue)
                full = state.full()
                if full is not None:
                    fresh.apply(full)

    def _take_frame(self, frame: Frame, *, late: bool) -> None:
        state = self._states.get(frame.host)
        if state is None:
            state = self._states[frame.host] = State(self.catalogue)
            if frame.host not in self.hosts:
                self.publish(HostInfo(id=frame.host))
        newest = state.frame
        if not late and (newest is None or newest.boot == frame.boot or newest.time <= frame.time):
            state.apply(frame)
        if frame.seq:
            self._number(frame.host, frame)
        else:
            self._broadcast_frame(frame, "")

    def _number(self, host: str, update: Update) -> None:
        self.arrival += 1
        id = f"{self.server}-{self.arrival}"
        frame = update if isinstance(update, Frame) else None
        data = wire.encode_event(update, id)
        self._ring.add(Item(self.arrival, host, data), frame)
        if frame is None:
            self._broadcast(host, data)
        else:
            self._broadcast_frame(frame, id, data)

    def _broadcast_frame(self, frame: Frame, id: str, plain: bytes | None = None) -> None:
        present = {name for name in frame.tables.__struct_fields__ if getattr(frame.tables, name) is not None}
        encoded: dict[frozenset[str], bytes] = {} if plain is None else {frozenset(): plain}
        for view in list(self._views.values()):
            if view.key.wants(frame.host):
                tables = view.key.tables & present
                data = encoded.get(tables)
                if data is None:
                    data = encoded[tables] = wire.encode_event(frame, id, tables)
                self._send(view, data)

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

    def used_metrics(self, hosts: frozenset[str] | None = None) -> list[Metric]:
        """Returns the catalogue entries that the hosts' present readings use, raw and derived."""
        raw = {
            split_key(key)[0]
            for host, state in self._states.items()
            if hosts is None or host in hosts
            for key in state.readings
        }
        return [
            metric
            for metric in self.catalogue
            if metric.name in raw or (metric.formula is not None and not raw.isdisjoint(metric.formula.over))
        ]

    def hello(self, hosts: frozenset[str] | None = None, spans: Sequence[RunSpan] = ()) -> Hello:
        """Builds the first event of a stream."""
        return Hello(
            schema=wire.SCHEMA,
            version=self.version,
            server=self.server,
            time=self._clock.now(),
            hosts=[info for info in self.hosts.values() if hosts is None or info.id in hosts],
            metrics=self.used_metrics(hosts),
            spans=[span for span in spans if hosts is None or span.host in hosts],
            alerts=[state for state in self.alerts.values() if hosts is None or state.host in hosts],
        )

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
        view.join(reader, self._opening(key, last_id, spans))
        self._tidy()
        if self._beat is None:
            self._beat = asyncio.get_running_loop().create_task(self._beats(), name="feed heartbeat")
        return reader

    def _opening(self, key: ViewKey, last_id: str, spans: Sequence[RunSpan]) -> bytes:
        parts = [
            sse.encode_retry(wire.RETRY_MILLISECONDS),
            # With the id, a reader that is cut off before the first frame still knows where it was.
            sse.encode("hello", wire.encode_json(self.hello(key.hosts, spans)), f"{self.server}-{self.arrival}"),
        ]
        missed = self._missed(key, last_id, spans)
        if missed:
            # The cursor must not run ahead of what is sent again.
            parts[1] = sse.encode("hello", wire.encode_json(self.hello(key.hosts, spans)))
        parts += [wire.encode_event(status) for host, status in self.statuses.items() if key.wants(host)]
        for host, state in self._states.items():
            full = state.full() if key.wants(host) else None
            if full is not None:
                parts.append(wire.encode_event(msgspec.structs.replace(full, seq=0), tables=key.tables))
        return b"".join([*parts, *missed])

    def _missed(self, key: ViewKey, last_id: str, spans: Sequence[RunSpan]) -> list[bytes]:
        cursor = _CURSOR.fullmatch(last_id)
        if cursor is None or cursor[1] != self.server or int(cursor[2]) >= self.arrival:
            return []
        arrival = int(cursor[2])
        items = self._ring.since(arrival, key.wants, self.limits.queue // 2)
        if items is not None:
            return [item.data for item in items]
        gaps = [wire.encode_event(gap) for gap in self._ring.gaps(arrival, key.wants, spans)]
        if gaps:
            gaps[-1] = gaps[-1].replace(
                b"event: gap\n", b"event: gap\nid: %s-%d\n" % (self.server.encode(), self.arrival), 1
            )
        return gaps

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
