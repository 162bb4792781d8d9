"""The hosts behind one server: what is known of each, how fresh it is, and what there is to say of it."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import TYPE_CHECKING

import msgspec

from remote import wire
from remote.client.known import KnownHost
from remote.liveness import SECOND, Skew, clock_words, judge
from remote.pace import HostPace
from sysmon.errors import MalformedInput
from sysmon.records import HostInfo, Status

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from remote.liveness import Patience
    from sysmon.clock import Clock
    from sysmon.frame import Frame
    from sysmon.records import Liveness, Update

SKEW_STEP = 250
"""Milliseconds by which the skew must change to be told again."""
LEAVE = 60.0
"""Seconds that a hub which was restarted may take until it serves a host again that it served before."""
TWICE = "its server names it twice; what it says of the second is left out"
"""Said of a host whose id stands twice in one hello."""


class Roster:
    """Judges the hosts of one server and says what changed.

    Args:
        target: where the server is, as shown.
        name: the configured name, given to the host where the server has just one.
        interval: seconds between frames of a host that the server was asked for.
        patience: how long is too long.
        clock: this side's.
        put: hands an update on, waiting where the consumer is behind.

    Attributes:
        connected: set while the stream is open and has said hello.
        problem: what went wrong last, or ''.
        refused: whether the last attempt to connect failed at once. `broken`: whether the server sent what it should
            not have.
        excess: what of its last greeting was too much, or ''.
        heard: this side's boot clock (ns) of its last sign of life, or None. `started`: when this side began to try.
        skew: the server's clock minus ours.
        pace: how much more the server may tell of itself.
    """

    def __init__(
        self,
        target: str,
        name: str,
        interval: float,
        patience: Patience,
        clock: Clock,
        put: Callable[[Update], Awaitable[None]],
    ) -> None:
        self.target = target
        self.name = name
        self.hosts: dict[str, KnownHost] = {}
        self.connected = asyncio.Event()
        self.problem = ""
        self.refused = False
        self.broken = False
        self.excess = ""
        self.heard: int | None = None
        self.started = 0
        self.skew = Skew()
        self.pace = HostPace()
        self._interval = interval
        self._patience = patience
        self._clock = clock
        self._put = put
        self._alone = False
        self._opened = 0
        self._told: Status | None = None
        self._server = ""
        self._leaving: dict[str, int] = {}
        self._unreached: dict[str, Status] = {}

    def opened(self) -> None:
        """Notes that the stream is open and has said hello."""
        self.problem = ""
        self.refused = self.broken = False
        self._opened = self._clock.boottime()
        self.connected.set()

    async def greet(self, infos: list[HostInfo], *, hub: str = "", server: str = "") -> None:
        """Takes the hosts of a hello; of two with one id the first is taken.

        Those missing in it are gone; but a hub that was restarted first has to reach its hosts again.

        Args:
            infos: its hosts.
            hub: id of the hub that it is, or ''.
            server: drawn at the server's start.
        """
        once = {info.id: info for info in reversed(infos)}
        self._alone = len(once) == 1 and not hub
        patient = bool(hub) and server != self._server
        self._server = server
        for missing in [host for host in self.hosts.values() if host.info.id not in once]:
            del self.hosts[missing.info.id]
            if patient:
                await self._say(missing, "offline", f"{self.target} does not serve this host any more, or not yet")
                self._leaving[missing.info.id] = self._clock.boottime()
            else:
                await self._let_go(missing.info.id)
        for host in self.hosts.values():
            host.upstream = None
        counts = Counter(info.id for info in infos)
        for info in reversed(once.values()):
            await self.take_host(info)
            self.hosts[info.id].twice = TWICE if counts[info.id] > 1 else ""

    def labelled(self, info: HostInfo, *, alone: bool) -> HostInfo:
        """Gives a host its target and, where it is alone there or the one that the hub runs on, its configured name."""
        own = bool(info.hub) and info.via == [info.hub]
        name = self.name if (alone or own) and self.name else info.name
        origin = info.origin or ("" if info.target == "local" else info.target)
        return msgspec.structs.replace(info, name=name, target=self.target, origin=origin if info.via else "")

    async def take_host(self, info: HostInfo) -> None:
        """Takes what the server says of who a host is.

        Raises:
            MalformedInput: it has more hosts than a server may have.
        """
        self._leaving.pop(info.id, None)
        host = self.hosts.get(info.id)
        if host is None:
            if len(self.hosts) >= wire.MAX_HOSTS:
                raise MalformedInput(f"{self.target} has more than {wire.MAX_HOSTS} hosts")
            self._alone = self._alone and not self.hosts
            host = self.hosts[info.id] = KnownHost(info, self._clock.boottime(), self._interval)
        host.info = self.labelled(info, alone=self._alone)
        await self._put(host.info)
        await self.judge(host)

    async def take_frame(self, frame: Frame) -> bool:
        """Takes a frame and hands it on; returns whether it was new.

        Raises:
            MalformedInput: it contradicts those before it.
        """
        host = self.hosts[frame.host]
        if not host.pace.frame(frame, self._clock.boottime()):
            await self.judge(host)
            return False
        try:
            if not host.accept(frame, self._clock.boottime()):
                return False
        except MalformedInput as error:
            raise MalformedInput(f"{self.target}: {error.message}") from None
        await self._put(frame)
        await self.judge(host)
        return True

    async def leave_out(self, id: str, why: str) -> None:
        """Notes that a host's frame could not be taken although those of others can."""
        host = self.hosts.get(id)
        if host is not None:
            host.problem = why
            await self.judge(host)

    async def take_status(self, status: Status) -> None:
        """Takes what the server itself says of a host's freshness, or that it is gone."""
        if not status.host:
            await self._take_unreached(status)
        elif status.gone:
            if self.hosts.pop(status.host, None) is not None:
                await self._let_go(status.host)
        elif (host := self.hosts.get(status.host)) is not None:
            host.upstream = status
            await self.judge(host)

    async def greet_unreached(self, statuses: list[Status]) -> None:
        """Takes the hosts of a hello that the hub itself never reached; those it spoke of before are gone."""
        here = {status.key for status in statuses if not status.host}
        for status in [status for key, status in self._unreached.items() if key not in here]:
            await self._take_unreached(msgspec.structs.replace(status, gone=True))
        for status in statuses:
            if not status.host:
                await self._take_unreached(status)

    async def _take_unreached(self, status: Status) -> None:
        """Hands on what a hub says of a host that it never reached: nobody here knows better."""
        known = self._unreached.get(status.key)
        if not status.via or not status.name or known == status:
            return
        if not status.gone:
            if known is None and len(self._unreached) >= wire.MAX_HOSTS:
                return
            self._unreached[status.key] = status
        elif self._unreached.pop(status.key, None) is None:
            return
        await self._put(msgspec.structs.replace(status, since=0, skew=None))

    async def _let_go(self, id: str) -> None:
        """Says that nothing is said of a host any more."""
        self._leaving.pop(id, None)
        words = f"{self.target} no longer serves this host"
        await self._put(Status(host=id, state="paused", message=words, target=self.target, gone=True))

    async def watch(self) -> None:
        """Judges all hosts again and again, for ever."""
        while True:
            await self._clock.sleep(self._patience.tick)
            await self.judge_all()

    async def judge_all(self) -> None:
        """Says what changed by the passing of time, or with the connection."""
        for host in list(self.hosts.values()):
            await self.judge(host)
        now = self._clock.boottime()
        for id in [id for id, since in self._leaving.items() if now - since > LEAVE * SECOND]:
            if self.connected.is_set():
                await self._let_go(id)
        if not self.hosts:
            status = self.present()
            if self._told is None or (status.state, status.message) != (self._told.state, self._told.message):
                self._told = status
                await self._put(status)

    async def judge(self, host: KnownHost) -> None:
        """Judges one host, and says it where that is new."""
        state, words = self._judged(host.seen, host.since, host.interval)
        upstream, told = host.upstream, host.told
        connected = self.connected.is_set()
        if connected and told is not None and host.seen is not None and host.seen < self._opened:
            waited = (self._clock.boottime() - self._opened) / SECOND
            if waited <= max(self._patience.stale, self._patience.late * host.interval):
                # Frames have not stopped: the line has just come back.
                state, words = ("live", "") if told.state == "live" else ("connecting", "connected again, no frame yet")
        if connected and upstream is not None and upstream.state == "live":
            # It is told of every change. Whether a frame is overdue is for the hub to know: it may get ten at once.
            state, words = "live", ""
        if connected and upstream is not None and upstream.state not in ("live", "connecting"):
            # A hub knows better than we do why a host is silent.
            state, words = upstream.state, upstream.message
        elif connected and (state != "connecting" or words or host.problem):
            notes = [host.problem, words, host.note, host.limits, host.twice, self.excess, self._pace_of(host)]
            if upstream is None or upstream.skew is None:
                notes.append(clock_words(self.skew.value))
            if upstream is not None:
                notes.append(upstream.message)
            words = "; ".join(dict.fromkeys(note for note in notes if note))
        elif state == "live" and told is not None and told.state == "live":
            words = told.message
        await self._say(host, state, words)

    def _judged(self, seen: int | None, since: int, interval: float) -> tuple[Liveness, str]:
        return judge(
            self._patience,
            now=self._clock.boottime(),
            seen=seen,
            since=since,
            interval=interval,
            connected=self.connected.is_set(),
            refused=self.refused,
            broken=self.broken,
            problem=self.problem,
            heard=self.heard,
        )

    def _pace_of(self, host: KnownHost) -> str:
        now = self._clock.boottime()
        return host.pace.words(now) or self.pace.words(now)

    def _skew_of(self, host: KnownHost) -> int | None:
        """The host's clock minus ours: through a hub, its clock minus the hub's and the hub's minus ours."""
        ours, upstream = self.skew.value, host.upstream
        if ours is None or upstream is None or upstream.skew is None:
            return ours
        return ours + upstream.skew

    async def _say(self, host: KnownHost, state: Liveness, words: str) -> None:
        skew = self._skew_of(host)
        told = host.told
        if told is not None and (told.state, told.message) == (state, words):
            shift = 0 if skew is None else abs(skew - told.skew) if told.skew is not None else SKEW_STEP
            if shift < SKEW_STEP:
                return
        host.told = Status(
            host=host.info.id,
            name=host.info.name,
            state=state,
            message=words,
            since=host.seen or 0,
            skew=skew,
            target=self.target,
        )
        await self._put(host.told)

    def present(self) -> Status:
        """How it stands with the server itself, while no host of it is known."""
        state, words = self._judged(None, self.started, self._interval)
        if self.connected.is_set() and not self.hosts:
            state, words = ("stale", "connected, but it serves no host") if state == "stale" else (state, words)
        elif state == "connecting" and (self._clock.boottime() - self.started) / SECOND > self._patience.late:
            words = words or "no answer yet"
        return Status(host="", name=self.name, state=state, message=words, target=self.target)
