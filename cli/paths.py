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
                return [*(self._offered(way, update) or self._again(way, update.id)), *self._note(way)]
            return self._offered(way, update) or self._again(way, update.id) or self._unused(way)
        if isinstance(update, Status):
            if self.hub in update.via:
                # What another hub says of a host of ours that we never reached, it has from here.
                return []
            if update.via and update.state == "live":
                # Reached, by a hub that has all its hosts another way: nothing waits for it.
                update = msgspec.structs.replace(update, gone=True)
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
        refused = {info.id for info in hello.hosts} - here
        changes = [
            each
            for host in list(self._ways)
            if way in self._ways[host] and host not in here
            for each in self._missing(way, host, later=bool(hello.hub) and host not in refused)
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
            changes += self._note(way)
        return [kept, *changes]

    def _left_out(self, way: str, info: HostInfo) -> list[Update]:
        back = self._back.setdefault(way, {})
        if self.hub not in info.via:
            return self._unused(way)
        if back.get(info.id) == info.label:
            return []
        back[info.id] = info.label
        return self._note(way)

    def _unused(self, way: str) -> list[Update]:
        """What is to be known of a way that no host is taken from, or nothing."""
        return [] if way in self._taken.values() else self._note(way)

    def _again(self, way: str, host: str) -> list[Update]:
        return [self._shown(host)] if self._taken.get(host) == way else []

    def _note(self, way: str) -> list[Update]:
        """What is to be known of a configured hub beside its hosts: why some are left out.

        It is said of the host that the hub runs on; only where none of its hosts is taken it is said of the name alone.
        """
        if way not in self._taken.values():
            words = self.refused(way)
            return [Status(host="", name=way, state="offline" if words == ITSELF else "live", message=words)]
        told = [self._worded(host) for host, taken in self._taken.items() if taken == way and self._own_of(host, way)]
        return [status for status in told if status is not None]

    def _own_of(self, host: str, way: str) -> bool:
        """Whether a hub that is followed runs on this host."""
        info = self._ways[host][way].info
        return bool(info.hub) and info.via == [info.hub]

    def _worded(self, host: str) -> Status | None:
        """What was last said of a host on the way that is taken, with what is left out of that way."""
        way = self._taken[host]
        status = self._ways[host][way].status
        if status is None or not self._back.get(way) or not self._own_of(host, way):
            return status
        words = "; ".join(filter(None, (status.message, self.refused(way))))
        return msgspec.structs.replace(status, message=words)

    def _offered(self, way: str, info: HostInfo) -> list[Update]:
        ways = self._ways.setdefault(info.id, {})
        known = ways.get(way)
        if known is None:
            ways[way] = _Way(info)
        else:
            known.info = info
        return self._choose(info.id)

    def _missing(self, way: str, host: str, *, later: bool) -> list[Update]:
        """Takes that a host is not in a greeting where it was before; `later`: it will be said whether it is gone."""
        known = self._ways[host][way]
        if later:
            known.status = Status(host=host, state="offline", target=known.info.target)
            return self._choose(host)
        return self._left(way, host)

    def _left(self, way: str, host: str) -> list[Update]:
        """Forgets a way to a host; where it was the only one, nothing is said of the host any more."""
        known = self._ways[host][way]
        changes = self._gone(way, host)
        if host in self._ways:
            return changes
        words = f"{known.info.target} no longer serves this host"
        return [Status(host=host, state="paused", message=words, target=known.info.target, gone=True)]

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
            refused = way in self._itself or self._back.get(way)
            if refused and not status.via and status.state in ("live", "connecting", "stale"):
                # Connected, and without a host that is not left out: that is why.
                words = self.refused(way)
                status = msgspec.structs.replace(status, state="offline" if words == ITSELF else "live", message=words)
            return [status]
        if status.gone and self._back.get(way, {}).pop(status.host, ""):
            return self._note(way)
        known = self._ways.get(status.host, {}).get(way)
        if known is None:
            return []
        if status.gone:
            return self._left(way, status.host)
        known.status = status
        changes = self._choose(status.host)
        told = self._worded(status.host) if not changes and self._taken.get(status.host) == way else None
        return changes if told is None else [told]

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
        told = self._worded(host)
        return [self._shown(host), *([told] if told is not None else [])]

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
