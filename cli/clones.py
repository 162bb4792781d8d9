"""Cloned machines: one host id alive in two places at once. Neither is lost or mixed: the second gets an id of its own.

The id of a host comes from its machine-id, which a copied disk copies. What no copy has is the boot id: two boots that
go on side by side are two machines. The same boot seen twice is one machine seen twice, whoever asks it, and no clone.
The second one's id is made from the first's and its target, so that it is the same after every start. Who comes with
an id that belongs to a configured host is left out until it is clear who it is, also while that host is away.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Final, Literal

import msgspec

from cli.owners import Owners
from cli.sights import CONFIRM, FRAMES, Sight, Way, clone_id, side_by_side, under_ids
from sysmon.frame import Frame
from sysmon.records import Event, Hello, HostInfo, Status

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from sysmon.clock import Clock
    from sysmon.records import RunSpan, Update

ABSENT: Final = 60 * 1_000_000_000
"""Nanoseconds that another way may show a boot which the host itself, that is away, does not: the longest back-off and
a deadline, after a reboot."""
ASKED: Final = "its host id is that of {}: whether it is the same machine is being found out"
"""Said of a configured host until it is clear."""
REMEDY: Final = "a cloned machine-id; remove /etc/machine-id there, run systemd-machine-id-setup and restart sysmon"


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
        self._ways: dict[str, Way] = {}
        self._sights: dict[str, dict[str, Sight]] = {}
        self._owners = Owners()

    def run_on(self, host: str, boot: str) -> None:
        """Notes which host this process runs on, in which boot."""
        self._own = host
        self._boot = boot

    def restore(self, infos: Iterable[HostInfo], spans: Iterable[RunSpan] = ()) -> None:
        """Takes the hosts and frames that were recorded before: who was split then is split from the start."""
        self._owners.restore(infos, spans)

    def configure(self, targets: Mapping[str, str]) -> None:
        """Takes the configured hosts, also the paused ones: name -> target. An id whose host is gone is free."""
        self._owners.configure(targets)
        for name, way in self._ways.items():
            for info in list(way.infos.values()):
                self._recall(name, way, info)

    def recorded(self, host: str) -> HostInfo | None:
        """Returns what was recorded of a host before, or was split off since."""
        return self._owners.recorded(host)

    def replaced(self, info: HostInfo) -> bool:
        """Whether the name of a host that is let go of stays with another one, which its target serves now."""
        return self._owners.named(info)

    def kept(self, info: HostInfo) -> HostInfo:
        """Returns what is to be recorded of a host: it belongs where it is at home, whatever way it takes just now."""
        return self._owners.kept(info)

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
        way = self._ways.pop(name, None)
        for sights in self._sights.values():
            sights.pop(name, None)
        for host in way.split if way is not None else ():
            self._tell_again(host)

    def admit(self, name: str, update: Update, *, late: bool = False) -> list[Update]:
        """Takes what was said on a way and returns it under the ids that its hosts have here.

        Args:
            name: of the configured host.
            update: what its source yielded.
            late: of a frame: it says nothing about now.
        """
        way = self._ways.setdefault(name, Way())
        withheld = False
        if isinstance(update, Frame):
            withheld = self._seen(name, way, update, late=late)
        elif isinstance(update, Hello):
            self._greeted(name, way, update)
        elif isinstance(update, HostInfo):
            way.infos[update.id] = update
            way.asked = ""
            self._recall(name, way, update)
            withheld = update.id in way.held
        elif isinstance(update, Status):
            if not update.via:
                way.target = update.target or way.target
                way.offline = update.state in ("offline", "paused") and not update.gone
            if update.host and not update.gone:
                way.statuses[update.host] = update
            withheld = update.host in way.held
        elif update.host:
            withheld = update.host in way.held
        self._ask(name, way)
        due, way.due = way.due, []
        made = [] if withheld else [self._renamed(name, way, update)]
        if isinstance(update, Status) and update.gone and update.host:
            self._drop(name, way, update.host)
        return [*due, *made]

    # Telling apart

    def _greeted(self, name: str, way: Way, hello: Hello) -> None:
        way.hello = hello
        # What it was like before is not to be said of who is connected now.
        way.due = [each for each in way.due if not (isinstance(each, Status) and each.state == "offline")]
        # A greeting and what comes with it takes back what was said while nothing was known of the way.
        way.asked = ""
        here = {info.id: info for info in hello.hosts}
        if not hello.hub:
            # It has another id now, or is no longer served: nothing is left to be said of the other one. A hub says so.
            for gone in way.infos.keys() - here.keys():
                self._drop(name, way, gone)
        way.infos |= here
        for info in hello.hosts:
            self._recall(name, way, info)

    def _drop(self, name: str, way: Way, host: str) -> None:
        for known in (way.infos, way.statuses, way.split, way.held):
            known.pop(host, None)
        way.sure.discard(host)
        self._sights.get(host, {}).pop(name, None)
        self._tell_again(host)

    def _recall(self, name: str, way: Way, info: HostInfo) -> None:
        """Decides under which id a host of a way goes, as far as that is known before its frames: split as it was
        before, or under none while another has its id by right.
        """
        host, made = info.id, clone_id(info.id, info.target)
        rival = self._rival(name, way, info)
        if host in way.split:
            if not rival and self._owners.configured and not self._owners.other(host, way.split[host]):
                # Nobody else has that id any more, and nobody was seen who is another machine: it has moved.
                self._join(name, way, host)
        elif self._owners.recorded(made) is not None and (
            rival or self._owners.other(host, made) or not self._owners.configured
        ):
            way.held.pop(host, None)
            way.split[host] = made
            self._tell_again(host)
        elif rival and host not in way.sure:
            way.held.setdefault(host, None)
        elif host in way.held:
            self._let_in(name, way, host)

    def _rival(self, name: str, way: Way, info: HostInfo) -> bool:
        """Whether an id belongs to another than who comes with it."""
        if info.id == self._own:
            # What a hub says of this machine is not taken in any case.
            return bool(self._boot) and not info.via
        owner = self._owners.owner(info.id)
        if owner is None or owner == name:
            return False
        theirs = self._ways.get(owner)
        # Who has said that it is somebody else now has no right to it any more.
        return theirs is None or not theirs.infos or info.id in theirs.infos

    def _seen(self, name: str, way: Way, frame: Frame, *, late: bool) -> bool:
        """Takes a frame; returns whether it is to be left out."""
        host, now = frame.host, self._clock.boottime()
        same = frame.boot == self._boot if host == self._own else self._owners.same(host, frame.boot)
        if host in way.split:
            if same and not late and not self._owners.other(host, way.split[host]):
                # The one machine with two addresses, whose reboot was seen on this way first.
                self._join(name, way, host)
            return False
        if host in way.held and not late:
            if same:
                way.sure.add(host)
                self._let_in(name, way, host)
            else:
                self._doubt(name, way, frame, now)
        if host in way.held:
            return True
        if host in way.split:
            return False
        if frame.seq and not late:
            self._look(name, way, frame, now)
        if host in way.split:
            return False
        if not same and self._contested(name, way, frame):
            return True
        if (info := way.infos.get(host)) is not None and frame.seq and not late:
            self._owners.speaks(name, info, frame.boot)
        return False

    def _doubt(self, name: str, way: Way, frame: Frame, now: int) -> None:
        """Looks at a boot that the owner of its id never had; it is another machine when that lasts."""
        sight = way.held[frame.host]
        if sight is None or sight.boot != frame.boot:
            sight = way.held[frame.host] = Sight(frame.boot, now)
        if frame.seq:
            sight.recent.append(now)
        owner = self._owners.owner(frame.host) or ""
        theirs = self._sights.get(frame.host, {}).get(owner)
        alive = theirs is not None and now - theirs.recent[-1] <= CONFIRM
        wait = 0 if frame.host == self._own else CONFIRM if alive else ABSENT
        if len(sight.recent) == FRAMES and now - sight.first >= wait:
            self._split(name, way, frame.host, other=alive or frame.host == self._own)

    def _let_in(self, name: str, way: Way, host: str) -> None:
        """Takes a host from now on that was left out."""
        way.held.pop(host, None)
        self._introduce(name, way, host)

    def _join(self, name: str, way: Way, host: str) -> None:
        """Takes back that a host was split off."""
        made = way.split.pop(host)
        self._owners.join(made)
        way.sure.add(host)
        way.due.append(
            Status(host=made, state="paused", message="it has the id of its machine now", target=way.target, gone=True)
        )
        self._introduce(name, way, host)

    def _introduce(self, name: str, way: Way, host: str) -> None:
        if way.hello is not None:
            way.due.append(self._renamed(name, way, way.hello))
        self._tell_again(host)

    def _ask(self, name: str, way: Way) -> None:
        """Says that nothing is taken of a configured host before it is clear who it is, and when that is over."""
        asked: Literal["", "connecting", "offline"] = ""
        if way.held and way.held.keys() == way.infos.keys():
            asked = "offline" if way.offline else "connecting"
        if asked == way.asked:
            return
        way.asked = asked
        words = ASKED.format(self._first(next(iter(way.held)))) if asked else ""
        way.due.append(
            Status(
                host="",
                name=name,
                state=asked or "paused",
                message=words,
                target=way.target,
                gone=not asked,
            )
        )

    def _look(self, name: str, way: Way, frame: Frame, now: int) -> None:
        sights = self._sights.setdefault(frame.host, {})
        sight = sights.get(name)
        if sight is None or sight.boot != frame.boot:
            sight = sights[name] = Sight(frame.boot, now)
        sight.recent.append(now)
        for other, seen in sights.items():
            if other != name and seen.boot != frame.boot and side_by_side(sight, seen):
                second = self._second(frame.host, other, name)
                self._split(second, self._ways[second], frame.host, other=True)
                return

    def _owner(self, host: str) -> str | None:
        """Returns the way to who has an id by right: the one recorded under it, else taken now, else seen first."""
        sights = self._sights.get(host, {})
        owner = self._owners.owner(host)
        if owner in sights:
            return owner
        recorded = self._owners.recorded(host)
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

    def _contested(self, name: str, way: Way, frame: Frame) -> bool:
        """Whether a frame may be of another machine than the one with its id, of which it is not known yet.

        It is left out until that is clear, rather than mixed with the other's.
        """
        recorded = self._owners.recorded(frame.host)
        if recorded.target == way.target if recorded is not None else len(self._sights.get(frame.host, ())) < 2:
            # As it nearly always is.
            return False
        owner = self._owner(frame.host)
        if owner is None or owner == name or self._owners.owner(frame.host) == name:
            return False
        seen = self._sights.get(frame.host, {}).get(owner)
        if seen is None:
            # The machine that was recorded under this id has not been heard yet, and may be any moment.
            there = self._ways[owner]
            return frame.host not in way.sure and not there.infos and there.target != way.target
        silent = self._clock.boottime() - seen.recent[-1]
        return seen.boot != frame.boot and silent <= CONFIRM

    def _split(self, name: str, way: Way, host: str, *, other: bool) -> None:
        info = way.infos.get(host) or HostInfo(id=host)
        made = clone_id(host, info.target)
        way.split[host] = made
        way.held.pop(host, None)
        way.sure.discard(host)
        self._sights.get(host, {}).pop(name, None)
        self._owners.split(msgspec.structs.replace(info, id=made), other=other)
        words = f"{info.label} ({info.target}) has the same host id as {self._first(host)}: {REMEDY}"
        # What the way had under the old id ends with it, and goes on under the new.
        way.due.append(Status(host=host, state="paused", message=words, target=way.target, gone=True))
        self._introduce(name, way, host)
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
            for said in (way.infos.get(host), way.statuses.get(host)) if host not in way.held else ():
                if said is not None:
                    way.due.append(self._renamed(name, way, said))

    # Under other names

    def _first(self, host: str) -> str:
        """Who has an id by right: its label and target."""
        if host == self._own:
            return "this machine"
        owner = self._ways.get(self._owners.owner(host) or "")
        info = owner.infos.get(host) if owner is not None else None
        if info is None:
            ways = [each for each in self._ways.values() if host not in each.split and host not in each.held]
            there = [each.infos[host] for each in ways if host in each.infos]
            info = (
                self._owners.recorded(host)
                if self._owners.owner(host)
                else min(there, key=lambda info: len(info.via), default=None)
            )
        info = info or self._owners.recorded(host)
        return f"{info.label} ({info.target})" if info is not None else host

    def _note(self, name: str, way: Way, host: str) -> str:
        """What is to be said of a host for the sake of another with its id, or ''."""
        if host in way.split:
            return f"the same host id as {self._first(host)}: {REMEDY}"
        others = [
            f"{other.infos[host].label} ({other.infos[host].target})"
            for each, other in self._ways.items()
            if each != name and host in other.split and host in other.infos
        ]
        return f"{', '.join(others)} has the same host id: {REMEDY}" if others else ""

    def _renamed(self, name: str, way: Way, update: Update) -> Update:
        if isinstance(update, Status) and update.host:
            # Of one that is away it matters why, and that is told as an event too.
            note = self._note(name, way, update.host) if update.state not in ("offline", "paused") else ""
            words = "; ".join(part for part in (update.message, note) if part)
            host = way.split.get(update.host, update.host)
            if (words, host) == (update.message, update.host):
                return update
            return msgspec.structs.replace(update, host=host, message=words)
        return under_ids(update, way)
