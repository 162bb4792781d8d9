"""Cloned machines: one host id alive in two places at once. Neither is lost or mixed: the second gets an id of its own.

The id of a host comes from its machine-id, which a copied disk copies. What no copy has is the boot id: two boots that
go on side by side are two machines. The same boot seen twice is one machine seen twice, whoever asks it, and no clone.
The second one's id is made from the first's and its target, so that it is the same after every start.
"""

from __future__ import annotations

import hashlib
from collections import deque
from typing import TYPE_CHECKING, Final

import msgspec

from sysmon.frame import Frame
from sysmon.records import Event, Hello, HostInfo, Status

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from sysmon.clock import Clock
    from sysmon.records import Update

CONFIRM: Final = 20 * 1_000_000_000
"""Nanoseconds that two boots must go on side by side: a reboot is seen by one way later than by another."""
FRAMES: Final = 3
"""Frames that each must give meanwhile."""
REMEDY: Final = "a cloned machine-id; remove /etc/machine-id there, run systemd-machine-id-setup and restart sysmon"


def clone_id(host: str, target: str) -> str:
    """Returns the id under which the clone at a target is kept: 16 hex digits."""
    return hashlib.blake2b(f"clone\0{host}\0{target}".encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()


class _Sight:
    """One boot of one id, as one way shows it. `first`: boot clock (ns) of its first frame; `recent`: of its last."""

    __slots__ = ("boot", "first", "recent")

    def __init__(self, boot: str, now: int) -> None:
        self.boot = boot
        self.first = now
        self.recent: deque[int] = deque(maxlen=FRAMES)


class _Way:
    """What one configured host has said: its last greeting, who its hosts are and how fresh, and what is due there."""

    __slots__ = ("due", "hello", "infos", "offline", "split", "statuses", "target")

    def __init__(self) -> None:
        self.target = ""
        self.offline = False
        self.hello: Hello | None = None
        self.infos: dict[str, HostInfo] = {}
        self.statuses: dict[str, Status] = {}
        self.split: dict[str, str] = {}
        self.due: list[Update] = []


class Clones:
    """Tells machines apart that share an id.

    Args:
        clock: this side's.

    Attributes:
        taken: tells which way's frames are taken of a host that has several.
    """

    def __init__(self, clock: Clock) -> None:
        self.taken: Callable[[str], str | None] = lambda host: None
        self._clock = clock
        self._own = ""
        self._boot = ""
        self._ways: dict[str, _Way] = {}
        self._sights: dict[str, dict[str, _Sight]] = {}
        self._known: dict[str, HostInfo] = {}

    def run_on(self, host: str, boot: str) -> None:
        """Notes which host this process runs on, in which boot."""
        self._own = host
        self._boot = boot

    def restore(self, infos: Iterable[HostInfo]) -> None:
        """Takes the hosts that were recorded before: who was split then is split from the start."""
        for info in infos:
            self._known.setdefault(info.id, info)

    def recorded(self, host: str) -> HostInfo | None:
        """Returns what was recorded of a host before, or was split off since."""
        return self._known.get(host)

    def here(self, way: str, host: str) -> str:
        """Returns the id that a way's host has here."""
        found = self._ways.get(way)
        return host if found is None else found.split.get(host, host)

    def there(self, way: str, host: str) -> str:
        """Returns the id that a host has where a way leads to."""
        found = self._ways.get(way)
        return host if found is None else next((id for id, here in found.split.items() if here == host), host)

    def leave(self, name: str) -> None:
        """Forgets a way that is no longer followed."""
        self._ways.pop(name, None)
        for sights in self._sights.values():
            sights.pop(name, None)

    def admit(self, name: str, update: Update, *, late: bool = False) -> list[Update]:
        """Takes what was said on a way and returns it under the ids that its hosts have here.

        Args:
            name: of the configured host.
            update: what its source yielded.
            late: of a frame: it says nothing about now.
        """
        way = self._ways.setdefault(name, _Way())
        withheld = False
        if isinstance(update, Frame):
            if update.host not in way.split:
                if update.seq and not late:
                    self._look(name, way, update, self._clock.boottime())
                withheld = update.host not in way.split and self._contested(name, way, update)
        elif isinstance(update, Hello):
            self._greeted(name, way, update)
        elif isinstance(update, HostInfo):
            way.infos[update.id] = update
            self._recall(way, update)
        elif isinstance(update, Status):
            if not update.via:
                way.target = update.target or way.target
                way.offline = update.state in ("offline", "paused") and not update.gone
            if update.host and not update.gone:
                way.statuses[update.host] = update
        due, way.due = way.due, []
        made = [] if withheld else [self._renamed(name, way, update)]
        if isinstance(update, Status) and update.gone and update.host:
            self._drop(name, way, update.host)
        return [*due, *made]

    # Telling apart

    def _greeted(self, name: str, way: _Way, hello: Hello) -> None:
        way.hello = hello
        here = {info.id: info for info in hello.hosts}
        if not hello.hub:
            # It has another id now, or is no longer served: nothing is left to be said of the other one. A hub says so.
            for gone in way.infos.keys() - here.keys():
                self._drop(name, way, gone)
        way.infos |= here
        for info in hello.hosts:
            self._recall(way, info)

    def _drop(self, name: str, way: _Way, host: str) -> None:
        for known in (way.infos, way.statuses, way.split):
            known.pop(host, None)
        self._sights.get(host, {}).pop(name, None)
        self._tell_again(host)

    def _recall(self, way: _Way, info: HostInfo) -> None:
        """Splits at once what was split before."""
        made = clone_id(info.id, info.target)
        if info.id not in way.split and made in self._known:
            way.split[info.id] = made
            self._tell_again(info.id)

    def _look(self, name: str, way: _Way, frame: Frame, now: int) -> None:
        sights = self._sights.setdefault(frame.host, {})
        sight = sights.get(name)
        if sight is None or sight.boot != frame.boot:
            sight = sights[name] = _Sight(frame.boot, now)
        sight.recent.append(now)
        info = way.infos.get(frame.host)
        if frame.host == self._own and self._boot and frame.boot != self._boot and info is not None and not info.via:
            # This machine knows its own boot: whoever has its id and another boot now is another machine.
            if len(sight.recent) == FRAMES:
                self._split(name, way, frame.host)
            return
        for other, seen in sights.items():
            if other != name and seen.boot != frame.boot and _side_by_side(sight, seen):
                second = self._second(frame.host, other, name)
                self._split(second, self._ways[second], frame.host)
                return

    def _owner(self, host: str) -> str | None:
        """Returns the way to who has an id by right: the one recorded under it, else taken now, else seen first."""
        sights = self._sights.get(host, {})
        recorded = self._known.get(host)
        if recorded is not None:
            for name, way in self._ways.items():
                if way.target == recorded.target and host not in way.split and (name in sights or not way.offline):
                    return name
        taken = self.taken(host)
        return taken if taken in sights else min(sights, key=lambda name: sights[name].first, default=None)

    def _second(self, host: str, one: str, other: str) -> str:
        """Returns which of two ways leads to the clone."""
        owner = self._owner(host)
        if owner in (one, other):
            return other if owner == one else one
        return max((one, other), key=lambda name: self._sights[host][name].first)

    def _contested(self, name: str, way: _Way, frame: Frame) -> bool:
        """Whether a frame may be of another machine than the one with its id, of which it is not known yet.

        It is left out until that is clear, rather than mixed with the other's.
        """
        recorded = self._known.get(frame.host)
        if recorded.target == way.target if recorded is not None else len(self._sights.get(frame.host, ())) < 2:
            # As it nearly always is.
            return False
        owner = self._owner(frame.host)
        if owner is None or owner == name:
            return False
        seen = self._sights.get(frame.host, {}).get(owner)
        if seen is None:
            # The machine that was recorded under this id has not been heard yet, and may be any moment.
            return not self._ways[owner].infos and self._ways[owner].target != way.target
        silent = self._clock.boottime() - seen.recent[-1]
        return seen.boot != frame.boot and silent <= CONFIRM

    def _split(self, name: str, way: _Way, host: str) -> None:
        info = way.infos.get(host) or HostInfo(id=host)
        made = clone_id(host, info.target)
        way.split[host] = made
        self._sights.get(host, {}).pop(name, None)
        self._known[made] = msgspec.structs.replace(info, id=made)
        first = self._first(host)
        words = f"{info.label} ({info.target}) has the same host id as {first}: {REMEDY}"
        if way.hello is not None:
            # What the way had under the old id ends with it, and goes on under the new.
            way.due.append(self._renamed(name, way, way.hello))
        self._tell_again(host)
        way.due.append(
            Event(
                id=hashlib.blake2b(f"{made}\0clone".encode(), digest_size=8).hexdigest(),
                time=self._clock.now(),
                host=made,
                kind="clone",
                severity="warning",
                message=words,
            )
        )

    def _tell_again(self, host: str) -> None:
        """Has the status of all that share an id said anew, with what is to be said of the other."""
        for name, way in self._ways.items():
            for said in (way.infos.get(host), way.statuses.get(host)):
                if said is not None:
                    way.due.append(self._renamed(name, way, said))

    # Under other names

    def _first(self, host: str) -> str:
        """Who has an id by right: its label and target."""
        if host == self._own:
            return "this machine"
        for way in self._ways.values():
            if host in way.infos and host not in way.split:
                return f"{way.infos[host].label} ({way.infos[host].target})"
        info = self._known.get(host)
        return f"{info.label} ({info.target})" if info is not None else host

    def _note(self, name: str, way: _Way, host: str) -> str:
        """What is to be said of a host for the sake of another with its id, or ''."""
        if host in way.split:
            return f"the same host id as {self._first(host)}: {REMEDY}"
        others = [
            f"{other.infos[host].label} ({other.infos[host].target})"
            for each, other in self._ways.items()
            if each != name and host in other.split and host in other.infos
        ]
        return f"{', '.join(others)} has the same host id: {REMEDY}" if others else ""

    def _renamed(self, name: str, way: _Way, update: Update) -> Update:
        if isinstance(update, Status) and update.host:
            note = self._note(name, way, update.host)
            words = "; ".join(part for part in (update.message, note) if part)
            host = way.split.get(update.host, update.host)
            if (words, host) == (update.message, update.host):
                return update
            return msgspec.structs.replace(update, host=host, message=words)
        if not way.split:
            return update
        if isinstance(update, HostInfo):
            return msgspec.structs.replace(update, id=way.split.get(update.id, update.id))
        if isinstance(update, Hello):

            def under(each: object) -> object:
                return msgspec.structs.replace(each, host=way.split.get(each.host, each.host))  # type: ignore[type-var,attr-defined]

            return msgspec.structs.replace(
                update,
                hosts=[msgspec.structs.replace(info, id=way.split.get(info.id, info.id)) for info in update.hosts],
                spans=[under(span) for span in update.spans],
                alerts=[under(alert) for alert in update.alerts],
            )
        made = way.split.get(update.host)
        return update if made is None else msgspec.structs.replace(update, host=made)


def _side_by_side(one: _Sight, other: _Sight) -> bool:
    """Whether two boots have gone on beside each other for long enough."""
    begun = max(one.first, other.first)
    full = len(one.recent) == len(other.recent) == FRAMES
    return (
        full and min(one.recent[0], other.recent[0]) > begun and min(one.recent[-1], other.recent[-1]) - begun > CONFIRM
    )
