"""What a hub remembers of one host that pushes: which frames it had, how fresh it is, whether it is one machine."""

from __future__ import annotations

from bisect import bisect_right
from typing import TYPE_CHECKING, NamedTuple

from remote import clean
from remote.holes import Ranges
from remote.liveness import SECOND, Skew
from remote.pace import HostPace
from sysmon.allowance import Allowance
from sysmon.records import Status

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Sequence

    from sysmon.frame import Frame
    from sysmon.records import HostInfo, Liveness, RunSpan

TARGET = "push"
"""Where the frames of a pushed host come from, as shown."""
LATE, STALE, OFFLINE = 3.0, 6.0, 12.0
"""Intervals without a new frame after which a pushed host is late, stale, offline; but not before"""
LEAST_LATE, LEAST_STALE, LEAST_OFFLINE = 3.0, 15.0, 30.0
"""so many seconds."""
LIVE_AGE = 60_000
"""Milliseconds, by the agent's own clock, to which a frame is of the present."""
MAX_RUNS = 64
"""Runs of one host that are remembered."""
MAX_PIECES = 10_000
"""Pieces that its frames may be held in: runs, and stretches of a run. Who is cut off often comes to some hundred."""
MAX_ROWS = 5_000
"""Rows of the tables of one report; an agent sends them with two of its frames, and of processes 1,000."""
RATE = 20.0
"""Frames a second that one host may push in the long run."""
REPORTS, REPORTS_BURST = 6.0, 60.0
"""Reports a second that it may push, and at once; an agent that fills holes sends five."""
BURST = 400_000.0
"""Frames that it may push at once: twice what an agent keeps at one a second."""


class Marks(NamedTuple):
    """Ages in seconds from which on a host is late, stale, offline."""

    late: float
    stale: float
    offline: float


def marks(interval: float) -> Marks:
    """Returns the ages for a host that reports every `interval` seconds."""
    return Marks(
        max(LEAST_LATE, LATE * interval), max(LEAST_STALE, STALE * interval), max(LEAST_OFFLINE, OFFLINE * interval)
    )


def freshness(*, now: int, seen: int | None, since: int, interval: float, clone: bool = False) -> tuple[Liveness, str]:
    """Judges a pushed host.

    Args:
        now: this side's boot clock, ns. `seen`: of its last new frame, None where none has come since `since`.
        since: when this side began to wait for it.
        interval: seconds between its reports.
        clone: whether a second machine that says it is this one is being refused.
    """
    age = (now - (since if seen is None else seen)) / SECOND
    late, stale, offline = marks(interval)
    if seen is None:
        return ("offline", "it has not reported since this hub was started") if age > offline else ("connecting", "")
    if age > offline:
        return "offline", "it reports no more"
    if age > stale:
        return "stale", "its reports have stopped"
    if age > late:
        return "late", "a report is overdue"
    return "live", "a second machine reports under this id and is refused: a cloned machine?" if clone else ""


class PushedHost:
    """One host that pushes.

    Args:
        info: who it is.
        since: this side's boot clock (ns) when it became known.
        lock: held while a report of it is taken.

    Attributes:
        interval: seconds between its reports. `seen`: this side's boot clock (ns) of its last new frame of the present.
        held: which of its frames are committed.
        catalogue: digest of the metrics it needs, once they came.
        told: what was last said of how fresh it is. `gaps`: losses that were told.
        clone: this side's boot clock (ns) when a second machine of this id was last refused.
    """

    def __init__(self, info: HostInfo, since: int, lock: asyncio.Lock) -> None:
        self.info = info
        self.since = since
        self.lock = lock
        self.interval = 10.0
        self.seen: int | None = None
        self.held: Sequence[RunSpan] = []
        self.seeded = False
        self._pieces: dict[str, tuple[list[int], list[RunSpan]]] = {}
        self.catalogue = ""
        self.cleaner = clean.Cleaner(max_rows=MAX_ROWS)
        self.pace = HostPace()
        self.skew = Skew()
        self.told: Status | None = None
        self.gaps: set[tuple[str, int, int]] = set()
        self.clone: int | None = None
        self._run = ""
        self._heard = since
        self._retired: dict[str, None] = {}
        self._taken: dict[str, Ranges] = {}
        self._newest: tuple[str, int, int] | None = None
        self._frames = Allowance(RATE, BURST)
        self._reports = Allowance(REPORTS, REPORTS_BURST)

    # Whether it is one machine

    def admits(self, run: str, now: int) -> bool:
        """Whether a report of that process is of this host, and not of another machine with the same id.

        A process that was started again has another run, and the old one is not heard any more. Two machines with one
        id are both heard, in turns.
        """
        gone = (now - self._heard) / SECOND > marks(self.interval).offline
        if run in self._retired and not gone:
            self.clone = now
            return False
        if run != self._run:
            if self._run:
                self._retired[self._run] = None
            self._retired.pop(run, None)
            while len(self._retired) > MAX_RUNS:
                del self._retired[next(iter(self._retired))]
            self._run = run
        self._heard = now
        return True

    def allow(self, frames: int, now: int) -> float:
        """Takes a report of so many frames from what it may send; returns the seconds after which there is room, 0.0
        where it is.
        """
        wait = self._reports.take(1, now) or self._frames.take(max(1, frames), now)
        return max(1.0, wait) if wait else 0.0

    # Which frames it had

    def hold(self, spans: Sequence[RunSpan]) -> None:
        """Takes what the history holds of it now."""
        if spans == self.held and self.seeded:
            return
        self.held, self.seeded = spans, True
        self._pieces = {}
        for span in sorted(spans, key=lambda span: span.first):
            firsts, pieces = self._pieces.setdefault(span.run, ([], []))
            firsts.append(span.first)
            pieces.append(span)

    def committed(self, frame: Frame) -> bool:
        """Whether the history holds a frame already."""
        firsts, pieces = self._pieces.get(frame.run, ([], []))
        at = bisect_right(firsts, frame.seq) - 1
        return at >= 0 and frame.seq <= pieces[at].last and (frame.seq - firsts[at]) % pieces[at].every == 0

    def given(self, frame: Frame) -> bool:
        """Notes that a frame is handed on; returns whether it was before."""
        taken = self._taken.get(frame.run)
        if taken is None:
            taken = self._taken[frame.run] = Ranges()
            if len(self._taken) > MAX_RUNS:
                del self._taken[next(iter(self._taken))]
        return not taken.add(frame.seq)

    def is_live(self, frame: Frame, sent: int, now: int) -> bool:
        """Whether a frame says something about the present: newer than all before it, and not old.

        Args:
            frame: new. `sent`: the agent's clock when it sent the frame, Unix milliseconds.
            now: this side's boot clock, ns.
        """
        if sent - frame.time > LIVE_AGE:
            return False
        if self._newest is not None:
            boot, monotonic, time = self._newest
            if frame.monotonic <= monotonic if frame.boot == boot else frame.time <= time:
                return False
        self._newest = (frame.boot, frame.monotonic, frame.time)
        self.seen = now
        return True

    # How fresh it is

    def status(self, now: int) -> Status:
        """Returns how fresh it is."""
        clone = self.clone is not None and (now - self.clone) / SECOND < 2 * max(self.interval, 150.0)
        state, words = freshness(now=now, seen=self.seen, since=self.since, interval=self.interval, clone=clone)
        words = "; ".join(part for part in (words, self.pace.words(now)) if part)
        return Status(
            host=self.info.id, state=state, message=words, since=self.seen or 0, skew=self.skew.value, target=TARGET
        )
