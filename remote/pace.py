"""How much one host may bring, and one peer may say: bursts as after an outage, in the long run what is plausible."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sysmon.allowance import SECOND, Allowance

if TYPE_CHECKING:
    from sysmon.frame import Frame

FRAMES, FRAMES_BURST = 5.0, 3_600.0
"""Frames of one host a second, and at once. An agent makes one a second; what a hub fetched late and sends beyond this
is fetched from its history."""
RUNS, RUNS_BURST = 1 / 30, 500.0
"""Runs (starts of its agent, or boots) of one host a second, and at once."""
EVENTS, EVENTS_BURST = 1 / 50, 500.0
"""Events of one host a second, and at once."""
EVIDENCE, EVIDENCE_BURST = 1 / 15, 12_000.0
"""Records of who was busiest a second, and at once: twice what an agent makes, and keeps."""
NEWCOMERS = 1 / 60
"""Hosts a second that one peer may bring beyond as many as a server has: each is remembered for good."""
MAX_RUNS = 1_024
"""Runs of one host that are remembered as counted."""
SAID, SAID_EACH, SAID_BURST = 50.0, 20.0, 20_000.0
"""Events of one stream a second, and more with each host; and at once."""
BYTES, BYTES_EACH, BYTES_BURST = float(2 << 20), float(100 << 10), float(64 << 20)
"""Bytes of one stream a second, and more with each host; and at once."""
CALM = 60 * SECOND
"""Nanoseconds for which it is still said that something was left out."""

TOO_MANY_FRAMES = "it sends more frames than it can have made; the rest is left out"
TOO_MANY_RUNS = "it was started more often than can be; the frames of further runs are left out"
TOO_MUCH_EVIDENCE = "it tells more often of its processes than can be; the rest is left out"
TOO_MANY_EVENTS = "it tells of more events than can be; the rest is left out"


class HostPace:
    """What one host may bring."""

    def __init__(self, frames: float = FRAMES, burst: float = FRAMES_BURST) -> None:
        self._frames = Allowance(frames, burst)
        self._runs = Allowance(RUNS, RUNS_BURST)
        self._events = Allowance(EVENTS, EVENTS_BURST)
        self._evidence = Allowance(EVIDENCE, EVIDENCE_BURST)
        self._known: dict[tuple[str, str], None] = {}
        self._over: dict[str, int] = {}

    def frame(self, frame: Frame, now: int) -> bool:
        """Whether a frame is to be taken. `now`: boot clock, ns."""
        return self._may(TOO_MANY_FRAMES, self._frames, now) and self.run(frame, now)

    def run(self, frame: Frame, now: int) -> bool:
        """Whether a frame's run is one of those known, or may be one more."""
        key = (frame.run, frame.boot)
        if key in self._known:
            return True
        if not self._may(TOO_MANY_RUNS, self._runs, now):
            return False
        self._known[key] = None
        if len(self._known) > MAX_RUNS:
            del self._known[next(iter(self._known))]
        return True

    def event(self, now: int) -> bool:
        """Whether an event is to be taken."""
        return self._may(TOO_MANY_EVENTS, self._events, now)

    def evidence(self, now: int) -> bool:
        """Whether a record of who was busiest is to be taken."""
        return self._may(TOO_MUCH_EVIDENCE, self._evidence, now)

    def words(self, now: int) -> str:
        """Says what was left out within the last minute, or ''."""
        if not self._over:
            return ""
        self._over = {words: at for words, at in self._over.items() if now - at <= CALM}
        return "; ".join(self._over)

    def _may(self, words: str, allowance: Allowance, now: int) -> bool:
        if not allowance.take(1, now):
            return True
        self._over[words] = now
        return False


class PeerPace:
    """How fast one peer is read: what comes faster waits in its own queues."""

    def __init__(self) -> None:
        self._said = Allowance(SAID, SAID_BURST)
        self._bytes = Allowance(BYTES, BYTES_BURST)

    def wait(self, size: int, hosts: int, now: int) -> float:
        """Returns the seconds to wait after an event of so many bytes, of a peer with so many hosts."""
        self._said.rate = SAID + SAID_EACH * hosts
        self._bytes.rate = BYTES + BYTES_EACH * hosts
        return max(self._said.owe(1, now), self._bytes.owe(size, now))


class Newcomers:
    """Which hosts one peer may bring, over all that it ever says: as many as a server has, and few more.

    Args:
        most: hosts of one server.
    """

    def __init__(self, most: int) -> None:
        self._allowance = Allowance(NEWCOMERS, most)
        self._known: set[str] = set()

    def admits(self, host: str, now: int) -> bool:
        """Whether a host is one of those known, or may be one more."""
        if host in self._known:
            return True
        if self._allowance.take(1, now):
            return False
        self._known.add(host)
        return True
