"""The ways to a host: directly, or through other hubs. One is taken at a time, and no host comes back to where it was.

Every hub puts its id behind the `via` of the hosts it serves. A host whose `via` holds this hub's id has been here
already: it is left out. Of the other ways the shortest that is alive is taken. Frames keep their identity on every way,
so that what was missed between two of them is found and fetched like any other hole.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import msgspec

from sysmon.frame import Frame
from sysmon.records import Event, Hello, HostInfo, Status

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from sysmon.records import Liveness, Update

NAMED = 5
"""Hosts named in one message at most."""

ITSELF = "this is this recorder itself: take it out of the configuration"
"""Said of a configured host that leads back here."""

_ALIVE: dict[Liveness, int] = {
    "live": 0,
    "late": 0,
    "replay": 0,
    "connecting": 1,
    "stale": 2,
    "offline": 2,
    "paused": 2,
}
"""How a way is doing: alive, not known yet, dead."""


def hub_id(host: str, history: Path) -> str:
    """Returns the id of the recorder that keeps this history on this host: 16 hex digits, the same at every start."""
    return hashlib.blake2b(
        f"{host}\0{history.absolute()}".encode("utf-8", "surrogateescape"), digest_size=8
    ).hexdigest()


class _Way:
    """One way to one host: what was last said of it there."""

    __slots__ = ("info", "status")

    def __init__(self, info: HostInfo) -> None:
        self.info = info
        self.status: Status | None = None

    @property
    def alive(self) -> int:
        return 1 if self.status is None else _ALIVE[self.status.state]


class Paths:
    """Chooses among the ways to each host; a way has the name of the configured host that it leads through.

    Args:
        hub: id of this recorder.
        own: id of the host that it runs on, which needs no other hub.
    """

    def __init__(self, hub: str, own: str = "") -> None:
        self.hub = hub
        self._own = own
        self._ways: dict[str, dict[str, _Way]] = {}
        self._taken: dict[str, str] = {}
        self._itself: set[str] = set()
        self._back: dict[str, dict[str, str]] = {}
        self._wakes: dict[str, Callable[[], None]] = {}

    def taken(self, host: str) -> str | None:
        """Returns the way that a host's frames are taken from, or None."""
        return self._taken.get(host)

    def target(self, host: str, *, without: str) -> str:
        """Returns where a host is reached on another way than one, '' where there is none."""
        return next((way.info.target for name, way in self._ways.get(host, {}).items() if name != without), "")

    def refused(self, way: str) -> str:
        """Returns what is left out of a way and why, or ''."""
        if way in self._itself:
            return ITSELF
        back = self._back.get(way)
        if back:
            names = ", ".join(sorted(back.values())[:NAMED]) + (", …" if len(back) > NAMED else "")
            count = "1 host is" if len(back) == 1 else f"{len(back)} hosts are"
            return f"the two hubs watch each other: {count} left out that came from here ({names})"
        return "" if way in self._taken.values() else "its hosts are known here another way"

    def on_change(self, way: str, wake: Callable[[], None]) -> None:
        """Has `wake` called when a host is taken from this way that was taken from another before."""
        self._wakes[way] = wake

    def admit(self, way: str, update: Update) -> list[Update]:
        """Takes what was said on a way; returns what is to be taken of it, and what follows from it for other ways."""
        if isinstance(update, Frame):
            return [update] if self._taken.get(update.host) == way else []
        if isinstance(update, Event) and self.hub in update.via:
            # It has been here.
            return []
        if isinstance(update, Hello):
            return self._greeted(way, update)
        if isinstance(update, HostInfo):
            if not self._may(update):
                return [*self._gone(way, update.id), *self._left_out(way, update)]
            if self._back.get(way, {}).pop(update.id, None):
                return [*(self._offered(way, update) or self._again(way, update.id)), self._note(way)]
            return self._offered(way, update) or self._again(way, update.id)
        if isinstance(update, Status):
            return self._told(way, update)
        return [update] if not update.host or self._taken.get(update.host) == way else []

    def leave(self, way: str) -> list[Update]:
        """Forgets a way that is no longer followed."""
        self._itself.discard(way)
        self._back.pop(way, None)
        self._wakes.pop(way, None)
        return [each for host in list(self._ways) if way in self._ways[host] for each in self._gone(way, host)]

    def _may(self, info: HostInfo) -> bool:
        # What another hub says of the machine that this one runs on is known here at first hand.
        return self.hub not in info.via and not (info.id == self._own and info.via)

    def _greeted(self, way: str, hello: Hello) -> list[Update]:
        self._back[way] = {info.id: info.label for info in hello.hosts if self.hub in info.via}
        (self._itself.add if hello.hub == self.hub else self._itself.discard)(way)
        hosts = [] if hello.hub == self.hub else [info for info in hello.hosts if self._may(info)]
        here = {info.id for info in hosts}
        changes = [
            each
            for host in list(self._ways)
            if way in self._ways[host] and host not in here
            for each in self._gone(way, host)
        ]
        for info in hosts:
            changes += self._offered(way, info)
        chosen = {info.id for info in hosts if self._taken.get(info.id) == way}
        kept = msgspec.structs.replace(
            hello,
            hosts=[self._shown(info.id) for info in hosts if info.id in chosen],
            spans=[span for span in hello.spans if span.host in chosen],
            alerts=[alert for alert in hello.alerts if alert.host in chosen],
        )
        if (hello.hosts and not chosen) or self._back[way]:
            changes.append(self._note(way))
        return [kept, *changes]

    def _left_out(self, way: str, info: HostInfo) -> list[Update]:
        back = self._back.setdefault(way, {})
        if self.hub not in info.via or back.get(info.id) == info.label:
            return []
        back[info.id] = info.label
        return [self._note(way)]

    def _again(self, way: str, host: str) -> list[Update]:
        return [self._shown(host)] if self._taken.get(host) == way else []

    def _note(self, way: str) -> Status:
        """What is to be known of a configured hub beside its hosts: why some are left out."""
        words = self.refused(way)
        return Status(host="", name=way, state="offline" if words == ITSELF else "live", message=words)

    def _offered(self, way: str, info: HostInfo) -> list[Update]:
        ways = self._ways.setdefault(info.id, {})
        known = ways.get(way)
        if known is None:
            ways[way] = _Way(info)
        else:
            known.info = info
        return self._choose(info.id)

    def _gone(self, way: str, host: str) -> list[Update]:
        ways = self._ways.get(host, {})
        if ways.pop(way, None) is None:
            return []
        if ways:
            return self._choose(host)
        del self._ways[host]
        self._taken.pop(host, None)
        return []

    def _told(self, way: str, status: Status) -> list[Update]:
        if not status.host:
            if (way in self._itself or self._back.get(way)) and status.state in ("live", "connecting", "stale"):
                # Connected, and without a host that is not left out: that is why.
                note = self._note(way)
                status = msgspec.structs.replace(status, state=note.state, message=note.message)
            return [status]
        known = self._ways.get(status.host, {}).get(way)
        if known is None:
            return []
        known.status = status
        changes = self._choose(status.host) or ([status] if self._taken.get(status.host) == way else [])
        # A status of a host stands for its target as well; what is left out of that is still to be known.
        return [*changes, self._note(way)] if changes and self._back.get(way) else changes

    def _choose(self, host: str) -> list[Update]:
        """Chooses anew; returns what a change of the way makes known: who the host is now, and how fresh."""
        ways = self._ways[host]
        before = self._taken.get(host)

        def rank(name: str) -> tuple[int, int, bool, str]:
            way = ways[name]
            return way.alive, len(way.info.via), name != before, name

        best = min(ways, key=rank)
        if (
            before in ways
            and ways[best].alive >= ways[before].alive
            and (ways[best].alive == 2 or len(ways[best].info.via) >= len(ways[before].info.via))
        ):
            best = before
        if best == before:
            return []
        self._taken[host] = best
        if before is not None and (wake := self._wakes.get(best)) is not None:
            wake()
        chosen = ways[best]
        return [self._shown(host), *([chosen.status] if chosen.status is not None else [])]

    def _shown(self, host: str) -> HostInfo:
        """Who a host is: the names that the shortest way gives it stay with it on every other."""
        ways = self._ways[host]
        info = ways[self._taken[host]].info
        nearest = min((each.info for each in ways.values()), key=lambda each: len(each.via))
        return msgspec.structs.replace(
            info,
            name=nearest.name or info.name,
            tags=nearest.tags or info.tags,
            expected_off=nearest.expected_off or info.expected_off,
        )
