"""Contact with remote hosts as events: lost once, there again once; and one event where many were lost together.

When most hosts vanish within seconds it is this side that lost the network. That is said once, with the hosts named in
it; those that are really down when the network is back get an event of their own then. Pure: times are given.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Final, Literal, NamedTuple

from sysmon.records import Event
from sysmon.units import plain_duration

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from sysmon.frame import Frame
    from sysmon.records import HostInfo, RunSpan, Severity, Status

SECOND: Final = 1_000_000_000
WINDOW: Final = 15 * SECOND
"""Nanoseconds within which hosts must fall silent to have vanished together: a frame that is overdue shows it after
three seconds, a read deadline of a host that is read seldom after fifteen."""
UNDECIDED: Final = 45 * SECOND
"""Nanoseconds after which those that are merely silent no longer hold up the word about one that is gone."""
RETURN: Final = 60 * SECOND
"""Nanoseconds that hosts have to be heard again once the first of them is: the longest back-off, and a deadline."""
TOGETHER: Final = SECOND
"""Nanoseconds within which hosts vanish at one moment: what is not certain of one is not certain of the others."""
LATER: Final = 2 * SECOND
"""Nanoseconds after another fell silent at which a host that is heard shows that the network is there."""
LEAST: Final = 2
"""Hosts, and targets, that must vanish together at least."""
NAMED: Final = 20
"""Hosts named in one message at most."""

STILL: Final = 10 * SECOND
"""Nanoseconds without a frame at which a sysmon stood still: what it has made may be known some seconds later."""

Cause = Literal["", "network", "hub"]


class _Outage:
    """Many hosts lost at once. `boot`: when; `ends`: by when they must be heard again, once the first of them is."""

    __slots__ = ("boot", "ends", "hosts", "kind", "where")

    def __init__(self, kind: Cause, where: str, boot: int) -> None:
        self.kind = kind
        self.where = where
        self.boot = boot
        self.hosts: set[str] = set()
        self.ends: int | None = None


class _Peer:
    """One host. Times are this side's boot clock in nanoseconds.

    Attributes:
        here: whether it is heard. `heard`: when it last was, or fell silent; None before the first time.
        gone: whether it was found offline since. `waits`: whether that is still to be told.
        told: whether it was told on its own. `outage`: what it vanished with.
        last: its newest frame before it was gone. `again`: the newest since. `pace`: nanoseconds between two of them.
        held: what its server says it holds, while gone.
        turns: how often it was told to be gone: two losses within a millisecond are two.
    """

    __slots__ = (
        "again",
        "gone",
        "heard",
        "held",
        "here",
        "label",
        "last",
        "off",
        "outage",
        "pace",
        "target",
        "told",
        "turns",
        "waits",
        "why",
    )

    def __init__(self) -> None:
        self.label = ""
        self.target = ""
        self.off = False
        self.last: _Mark | None = None
        self.pace = SECOND
        self.turns = 0
        self.reset()

    def reset(self) -> None:
        """Forgets how it stands with it."""
        self.here = self.gone = self.waits = self.told = False
        self.heard: int | None = None
        self.outage: _Outage | None = None
        self.held: list[RunSpan] = []
        self.again: _Mark | None = None
        self.why = ""


class _Mark(NamedTuple):
    """What is remembered of a frame."""

    run: str
    seq: int
    time: int
    monotonic: int


class Contact:
    """Turns the statuses of all followed hosts into events; a host that was never heard of is not lost.

    Attributes:
        fetches: whether missed frames are fetched here, so that it may be said.
    """

    def __init__(self) -> None:
        self.fetches = False
        self._peers: dict[str, _Peer] = {}
        self._waiting: dict[str, _Peer] = {}
        """Those of which something may still be to be told; every status asks, and they are few."""
        self._outages: list[_Outage] = []

    # What is noted

    def know(self, info: HostInfo) -> None:
        """Notes a host's name, and whether it may be off."""
        peer = self._peers.setdefault(info.id, _Peer())
        peer.label = info.label
        peer.off = info.expected_off

    def hold(self, spans: Iterable[RunSpan]) -> None:
        """Notes which frames a server that is there again says it holds, to tell how many were missed."""
        fresh: set[str] = set()
        for span in spans:
            peer = self._peers.get(span.host)
            if peer is not None and peer.gone:
                if span.host not in fresh:
                    fresh.add(span.host)
                    peer.held = []
                peer.held.append(span)

    def frame(self, frame: Frame, boot: int) -> None:
        """Notes the newest frame of a host that is heard, or is again."""
        peer = self._peers.get(frame.host)
        if peer is None:
            return
        mark = _Mark(frame.run, frame.seq, frame.time, frame.monotonic)
        if peer.gone:
            peer.again = mark
        elif frame.seq:
            last = peer.last
            if last is not None and last.run == mark.run and last.seq < mark.seq and last.monotonic < mark.monotonic:
                peer.pace = (mark.monotonic - last.monotonic) // (mark.seq - last.seq)
            peer.last = mark
            if peer.here:
                peer.heard = boot

    def leave(self, host: str) -> None:
        """Leaves a host to somebody else, who tells of it: its hub, or its owner, who paused it."""
        peer = self._peers.get(host)
        if peer is not None:
            outage = peer.outage
            peer.reset()
            if outage is not None:
                outage.hosts.discard(host)
                if not outage.hosts and outage.ends is None:
                    self._outages.remove(outage)

    # What is told

    def take(self, status: Status, now: int, boot: int) -> list[Event]:
        """Takes a status.

        Args:
            status: of a host; that of a target whose host is not known yet is nothing to this.
            now: Unix milliseconds.
            boot: nanoseconds of this side's boot clock.

        Returns:
            The events that it makes, and those that have become due.
        """
        events: list[Event] = []
        if status.host:
            peer = self._peers.setdefault(status.host, _Peer())
            peer.target = status.target
            peer.label = peer.label or status.name or status.host
            if status.state == "paused":
                self.leave(status.host)
            elif status.state == "live":
                events += self._found(status.host, peer, now, boot)
            elif status.state != "connecting":
                if peer.here:
                    peer.here, peer.heard = False, boot
                if status.state == "offline" and peer.heard is not None and not peer.gone:
                    peer.gone = peer.waits = True
                    self._waiting[status.host] = peer
                    peer.why = status.message
        return events + self.due(now, boot)

    def due(self, now: int, boot: int) -> list[Event]:
        """Returns the events whose time has come; `wait` says when to ask again."""
        events: list[Event] = []
        for outage in [each for each in self._outages if each.ends is not None and boot >= each.ends]:
            self._outages.remove(outage)
            again = next((each for each in self._outages if each.kind == "network" and each.ends is None), None)
            for host in sorted(outage.hosts):
                peer = self._peers[host]
                peer.outage = None
                if again is not None:
                    # The network went once more before this host could come back.
                    self._fold(host, peer, again)
                else:
                    events.append(self._down(host, peer, now))
        undecided: list[int] = []
        for host, peer in list(self._waiting.items()):
            if peer.waits:
                events += self._decide(host, peer, now, boot, undecided)
            if not peer.waits:
                del self._waiting[host]
        return events

    def wait(self, boot: int) -> float | None:
        """Returns the seconds until something may be due, or None where nothing waits."""
        times = [outage.ends for outage in self._outages if outage.ends is not None]
        if any(peer.waits for peer in self._waiting.values()):
            times.append(boot + SECOND)
        return max(0.0, (min(times) - boot) / SECOND) if times else None

    # How it is decided

    def _decide(self, host: str, peer: _Peer, now: int, boot: int, undecided: list[int]) -> list[Event]:
        """Tells of a host that is offline, alone or with others, as soon as it is certain which.

        `undecided`: when those vanished of whom that is not certain yet; who vanished with one of them waits with it.
        """
        vanished = peer.heard or 0
        then = now - (boot - vanished) // 1_000_000
        outage = self._outage(peer)
        if outage is not None:
            self._fold(host, peer, outage)
            return []
        if peer.off:
            return [] if boot < vanished + WINDOW else [self._down(host, peer, then)]
        if any(abs(vanished - each) <= TOGETHER for each in undecided):
            return []
        counted = {name: each for name, each in self._peers.items() if self._counts(each, vanished)}
        silent = [name for name, each in counted.items() if not each.here]
        cause = self._cause(counted, lost := [name for name in silent if counted[name].waits])
        if cause != "network" and boot < vanished + UNDECIDED:
            quiet = [name for name, each in counted.items() if each.here and (each.heard or 0) <= vanished + LATER]
            perhaps = self._cause(counted, [*silent, *(quiet if boot < vanished + WINDOW else ())])
            if perhaps not in ("", cause):
                undecided.append(vanished)
                return []
        if cause:
            return [self._lost(cause, counted, silent, lost, then)]
        return [self._down(host, peer, then)]

    def _outage(self, peer: _Peer) -> _Outage | None:
        """Returns what a host that is not heard vanished with, or None."""
        if peer.heard is None or peer.here:
            return None
        for outage in self._outages:
            same = outage.kind == "network" or peer.target == outage.where
            if same and abs(peer.heard - outage.boot) <= WINDOW:
                return outage
        return None

    @staticmethod
    def _counts(peer: _Peer, vanished: int) -> bool:
        """Whether a host was heard shortly before that moment, and its absence is not explained yet."""
        if peer.off or peer.heard is None or peer.told or peer.outage is not None:
            return False
        return peer.here or abs(peer.heard - vanished) <= WINDOW

    @staticmethod
    def _cause(counted: Mapping[str, _Peer], lost: Collection[str]) -> Cause:
        """Says what took these hosts at once: this side's network, one hub, or nothing in common ('')."""
        if len(lost) < LEAST:
            return ""
        left = {peer.target for name, peer in counted.items() if name not in lost}
        targets = {counted[name].target for name in lost}
        # A hub that goes takes its hosts with it, however many they are: the network goes with most targets.
        whole = targets - left
        if len(targets) >= LEAST and 2 * len(lost) >= len(counted) and 2 * len(whole) >= len(targets | left):
            return "network"
        return "hub" if len(targets) == 1 and whole else ""

    def _lost(
        self, cause: Cause, counted: Mapping[str, _Peer], silent: Collection[str], lost: Collection[str], then: int
    ) -> Event:
        first = min(lost, key=lambda name: (counted[name].heard or 0, name))
        outage = _Outage(cause, counted[first].target if cause == "hub" else "", counted[first].heard or 0)
        self._outages.append(outage)
        for name in lost:
            self._fold(name, counted[name], outage)
        gone = silent if cause == "network" else [name for name in silent if counted[name].target == outage.where]
        names, why = self._names(gone), counted[first].why
        if cause == "hub":
            message = f"lost contact with {outage.where} and the {len(gone)} hosts behind it ({names})"
            message += f": {why}" if why else ""
        else:
            share = "all" if len(gone) == len(counted) else f"{len(gone)} of"
            message = f"this side lost the network: {share} {len(counted)} hosts vanished at once ({names})"
        return _event("", then, f"{cause}.lost", "critical", message, sorted(lost))

    @staticmethod
    def _fold(host: str, peer: _Peer, outage: _Outage) -> None:
        peer.waits = False
        peer.outage = outage
        outage.hosts.add(host)

    def _names(self, hosts: Iterable[str]) -> str:
        labels = sorted(self._peers[host].label for host in hosts)
        more = len(labels) - NAMED
        return ", ".join(labels[:NAMED]) + (f" and {more} more" if more > 0 else "")

    @staticmethod
    def _down(host: str, peer: _Peer, then: int) -> Event:
        peer.waits = False
        peer.told = True
        peer.turns += 1
        if peer.off:
            words = "it is off, which is nothing wrong with this host"
            return _event(host, then, "host.off", "info", words, [str(peer.turns)])
        words = f"lost contact: {peer.why}" if peer.why else "lost contact"
        return _event(host, then, "host.down", "critical", words, [str(peer.turns)])

    def _found(self, host: str, peer: _Peer, now: int, boot: int) -> list[Event]:
        """Takes a host that is heard; its absence ends as it was told, alone or with others."""
        outage, told, since = peer.outage or self._outage(peer), peer.told, peer.heard
        missed = _missed(peer, fetches=self.fetches)
        peer.reset()
        peer.here, peer.heard = True, boot
        if outage is not None:
            outage.hosts.discard(host)
            if outage.ends is None:
                outage.ends = boot + RETURN
                return [self._back(outage, now, boot)]
        elif told and since is not None:
            away = plain_duration((boot - since) / SECOND)
            return [_event(host, now, "host.up", "info", f"in contact again after {away}{missed}", [str(peer.turns)])]
        return []

    def _back(self, outage: _Outage, now: int, boot: int) -> Event:
        lasted = plain_duration((boot - outage.boot) / SECOND)
        if outage.kind == "hub":
            message = f"in contact again with {outage.where} after {lasted}"
        else:
            message = f"the network of this side is back after {lasted}"
        return _event("", now, f"{outage.kind}.back", "info", message, [outage.where, str(outage.boot)])


def _missed(peer: _Peer, *, fetches: bool) -> str:
    """Says what was between: the line, or a sysmon that stood still; and how many frames.

    That it was started again, or its machine, its frames tell, and that is an event of its own.
    """
    last, again = peer.last, peer.again
    if last is None or not peer.held:
        return ""
    frames = made = 0
    for span in peer.held:
        if span.run == last.run:
            made = max(made, span.last - last.seq)
            frames += max(0, span.last - max(last.seq, span.first - 1))
        elif span.start > last.time:
            frames += span.last - span.first + 1
    counted = ""
    if frames:
        words = "1 frame is" if frames == 1 else f"{frames} frames are"
        counted = f"{words} {'being fetched' if fetches else 'missing here'}"
    if (again.run if again is not None else max(peer.held, key=lambda span: span.end).run) != last.run:
        return f"; {counted}" if counted else ""
    away = 0 if again is None else again.monotonic - last.monotonic
    still = away - made * peer.pace
    if still > max(STILL, away // 2):
        what = f"its sysmon stood still for {plain_duration(still / SECOND)}"
        return f": {what}; {counted}" if counted else f": {what}"
    return f": the line was down; {counted}" if counted else ": the line was down, no frame is missing"


def _event(host: str, now: int, kind: str, severity: Severity, message: str, marks: Iterable[str] = ()) -> Event:
    mark = hashlib.blake2b("\0".join((host, kind, str(now), *marks)).encode(), digest_size=8).hexdigest()
    return Event(id=mark, time=now, host=host, kind=kind, severity=severity, message=message)
