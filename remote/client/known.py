"""What a source remembers of one host behind it: which frames it has had, and how fresh the host is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from remote.clean import LIMITS
from remote.holes import Ranges
from remote.pace import HostPace
from sysmon.errors import MalformedInput

if TYPE_CHECKING:
    from sysmon.frame import Frame
    from sysmon.records import HostInfo, Status

MAX_RUNS = 64
"""Runs of one host whose sequence numbers are remembered."""
MAX_DUPLICATES = 1000
"""Frames in a row already had, after which a peer is held to be going round in circles."""


class KnownHost:
    """One host of a remote server.

    Args:
        info: who it is.
        since: this side's boot clock (ns) when it became known.
        wanted: seconds between frames that the server was asked for.

    Attributes:
        seen: this side's boot clock (ns) of its last new frame, or None.
        interval: seconds between its frames: what was asked for, or what it says where that is more.
        upstream: what the server itself says of the host's freshness. `told`: what was last said of it here.
        limits: what of its last frame was too much, or ''.
        pace: how much more it may bring.
        problem: why its last frame was left out, or ''. `twice`: words where its server names it twice, or ''.
        note: what whoever reads it has to say of that, or ''.
    """

    def __init__(self, info: HostInfo, since: int, wanted: float = 1.0) -> None:
        self.info = info
        self.since = since
        self.seen: int | None = None
        self.wanted = wanted
        self.interval = wanted
        self.limits = ""
        self.pace = HostPace()
        self.problem = ""
        self.note = ""
        self.twice = ""
        self.upstream: Status | None = None
        self.told: Status | None = None
        self._runs: dict[str, Ranges] = {}
        self._duplicates = 0
        self._newest: Frame | None = None
        self._top = 0
        self._given: tuple[str, int, int] | None = None

    def accept(self, frame: Frame, at: int) -> bool:
        """Takes a frame that came in; returns whether it is new.

        Args:
            frame: decoded and cleaned.
            at: this side's boot clock, ns.

        Raises:
            MalformedInput: it contradicts those before it.
        """
        newest = self._newest
        known = newest is not None and newest.run == frame.run and newest.boot == frame.boot
        top = self._top if known else 0
        if newest is not None and 0 < frame.seq <= top and frame.monotonic > newest.monotonic:
            words = "is counted again" if frame.seq == top else f"comes after frame {top}"
            raise MalformedInput(f"frame {frame.seq} {words}, of the same run {frame.run}: its numbers go backwards")
        if frame.seq and not self._is_new(frame):
            return False
        if newest is not None and known:
            if frame.seq > newest.seq > 0 and frame.monotonic < newest.monotonic:
                raise MalformedInput(f"frame {frame.seq} is older than frame {newest.seq} of the same run")
            if frame.monotonic >= newest.monotonic:
                self._newest = frame
        elif not self.late(frame):
            self._newest = frame
            top = 0
        if self._newest is frame:
            self._top = max(top, frame.seq)
        self.seen = at
        if frame.intervals:
            said = min(3600.0, max(0.1, min(frame.intervals.values())))
            self.interval = said if self.wanted <= 1.0 else max(self.wanted, said)
        self.limits = "; ".join(fault.message for fault in frame.faults if fault.collector == LIMITS)
        self.problem = ""
        return True

    def _is_new(self, frame: Frame) -> bool:
        seqs = self._runs.get(frame.run)
        if seqs is None:
            seqs = self._runs[frame.run] = Ranges()
            if len(self._runs) > MAX_RUNS:
                del self._runs[next(iter(self._runs))]
        if seqs.add(frame.seq):
            self._duplicates = 0
            return True
        self._duplicates += 1
        if self._duplicates > MAX_DUPLICATES:
            self._duplicates = 0
            raise MalformedInput(f"frames of run {frame.run} are repeated that were there before")
        return False

    def give(self, frame: Frame) -> None:
        """Notes that the consumer has had a frame."""
        if not self.late(frame):
            self._given = (frame.boot, frame.monotonic, frame.time)

    def late(self, frame: Frame) -> bool:
        """Whether a frame is older than one the consumer has had; a state never is."""
        if self._given is None or frame.seq == 0:
            return False
        boot, monotonic, time = self._given
        return frame.monotonic < monotonic if frame.boot == boot else frame.time < time
