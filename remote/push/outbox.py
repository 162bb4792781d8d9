"""What an agent still has to push: its own history on disk, or a bounded ring in memory while nothing is recorded."""

from __future__ import annotations

import contextlib
from collections import deque
from typing import TYPE_CHECKING

import msgspec

from remote import wire
from sysmon.errors import StoreError
from sysmon.frame import Frame, Tables
from sysmon.records import RunSpan

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sysmon.ports import History, Recorder
    from sysmon.records import Event, Evidence

RING_BYTES = 4 << 20
"""Bytes of encoded frames kept in memory while no history is; about a quarter of an hour of 150 series."""


class _Kept(msgspec.Struct, frozen=True):
    run: str
    seq: int
    boot: str
    time: int
    data: bytes


class Ring:
    """The newest frames of a producer that nobody records, encoded, in the order in which they came.

    Args:
        limit: bytes kept; the oldest fall out.

    Attributes:
        lost: frames that fell out without having been let go of.
    """

    def __init__(self, limit: int = RING_BYTES) -> None:
        self._limit = limit
        self._frames: deque[_Kept] = deque()
        self._bytes = 0
        self.lost = 0

    def __len__(self) -> int:
        return len(self._frames)

    def add(self, frame: Frame) -> None:
        """Takes a frame, without its tables."""
        data = wire.encode_frame(frame)
        self._frames.append(_Kept(frame.run, frame.seq, frame.boot, frame.time, data))
        self._bytes += len(data)
        while self._bytes > self._limit and len(self._frames) > 1:
            self._bytes -= len(self._frames.popleft().data)
            self.lost += 1

    def let_go(self, has: Callable[[str, int], bool]) -> None:
        """Drops the frames (run, seq) that the other side has."""
        kept = [each for each in self._frames if not has(each.run, each.seq)]
        self._frames = deque(kept)
        self._bytes = sum(len(each.data) for each in kept)

    def spans(self, host: str) -> list[RunSpan]:
        """Returns which frames are kept."""
        found: list[RunSpan] = []
        for each in self._frames:
            last = found[-1] if found else None
            if last is not None and (last.run, last.boot, last.last + 1) == (each.run, each.boot, each.seq):
                found[-1] = msgspec.structs.replace(last, last=each.seq, end=each.time)
            else:
                span = RunSpan(
                    host=host,
                    run=each.run,
                    boot=each.boot,
                    first=each.seq,
                    last=each.seq,
                    start=each.time,
                    end=each.time,
                )
                found.append(span)
        return found

    def frames(self, run: str, first: int, last: int) -> list[Frame]:
        """Returns the frames of a run with seq from `first` to `last`."""
        wanted = [each for each in self._frames if each.run == run and first <= each.seq <= last]
        return [wire.decode(each.data, Frame, "frame") for each in wanted]


class Outbox:
    """The frames of one host that its agent holds; nothing is kept twice.

    Args:
        host: the agent's own.
        archive: returns what records and what reads the history now; either may be missing, and come later.
        ring: takes what is not recorded.
    """

    def __init__(
        self, host: str, archive: Callable[[], tuple[Recorder | None, History | None]], ring: Ring | None = None
    ) -> None:
        self.host = host
        self.ring = Ring() if ring is None else ring
        self._archive = archive

    def take(self, frame: Frame) -> None:
        """Takes a frame just produced: only while it is not recorded has it to be kept here."""
        if not frame.seq or frame.host != self.host:
            return
        recorder, history = self._archive()
        # A full disk does not end recording, but what comes meanwhile is not on it.
        problem: str = getattr(recorder, "problem", "")
        if recorder is None or history is None or problem:
            self.ring.add(frame)

    async def spans(self) -> list[RunSpan]:
        """Returns which frames are held, those just recorded among them.

        Raises:
            StoreError: the history does not answer.
        """
        recorder, history = self._archive()
        if recorder is None or history is None:
            return self.ring.spans(self.host)
        with contextlib.suppress(StoreError):
            await recorder.flush()
        return [*await history.spans(self.host), *self.ring.spans(self.host)]

    async def frames(self, run: str, first: int, last: int) -> list[Frame]:
        """Returns the frames of a run with seq from `first` to `last`, ascending; at most 600.

        Raises:
            StoreError: the history does not answer.
        """
        found = {frame.seq: frame for frame in self.ring.frames(run, first, last)}
        recorder, history = self._archive()
        if recorder is not None and history is not None and len(found) < last - first + 1:
            for frame in await history.frames(self.host, run, first, last):
                found[frame.seq] = msgspec.structs.replace(frame, tables=Tables())
        return [found[seq] for seq in sorted(found)]

    async def events(self, start: int, limit: int) -> list[Event]:
        """Returns what happened on this host since `start`, oldest first; alerts are the hub's to raise."""
        recorder, history = self._archive()
        if recorder is None or history is None:
            return []
        found = await history.events(self.host, start, None, limit)
        return [event for event in reversed(found) if not event.kind.startswith(("alert.", "host."))]

    async def evidence(self, first: int, last: int, step: int) -> Sequence[Evidence]:
        """Returns who was busiest between two times (Unix milliseconds), about one record per `step`."""
        recorder, history = self._archive()
        if recorder is None or history is None:
            return []
        found: dict[int, Evidence] = {}
        at = last
        while at >= first and len(found) < 50:
            each = await history.evidence(self.host, at)
            if each is None or each.time < first:
                break
            found[each.time] = each
            at = min(each.time - 1, at - step)
        return [found[time] for time in sorted(found)]
