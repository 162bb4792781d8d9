"""What of an agent's frames goes into the next report: what the hub misses, in slices of bounded size, newest first."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import msgspec

from remote import wire
from remote.holes import Hole, Ranges, missing
from remote.liveness import SECOND
from sysmon.frame import SMALL_TABLES, Frame, Tables
from sysmon.records import RunSpan

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from remote.push.outbox import Outbox

SLICE = 200
"""Frames of one slice at most."""
PLAIN = 512 << 10
"""Bytes of the frames of one slice, before compression, where it has more than one."""
LEAST_PLAIN = 16 << 10
"""To which that falls where a hub, or a proxy before it, finds reports too large."""
WATCH = 55.0
"""Seconds between two process tables pushed."""
MAX_PROCESSES = 1000
"""Rows of a process table pushed at most; a longer one stays here."""


class Slice(NamedTuple):
    """Frames of one run, encoded, by seq, ascending.

    Attributes:
        start, end: the times of the first and the last.
        watched: whether process tables go with the frames of this time, of which the hub itself sees who is busy.
    """

    run: str
    frames: list[tuple[int, bytes]]
    start: int
    end: int
    watched: bool = False


class Ledger:
    """What one host's agent holds, what its hub holds, and so what is still to be sent.

    Attributes:
        ours: spans that the agent holds. `held`: those that the hub says it holds.
        since: Unix milliseconds; frames older than that are not wanted there.
    """

    def __init__(self, host: str) -> None:
        self.host = host
        self.ours: Sequence[RunSpan] = []
        self.held: Sequence[RunSpan] = []
        self.since = 0
        self._done: dict[str, Ranges] = {}

    def finish(self, run: str, seq: int) -> None:
        """Notes that a frame is not to be sent, or not again while the hub runs: it took, trimmed or refused it."""
        self._done.setdefault(run, Ranges()).add(seq)

    def forget(self) -> None:
        """Begins anew: another hub answers, or the same one started again."""
        self._done.clear()

    def has(self, run: str, seq: int) -> bool:
        """Whether a frame is not to be sent."""
        done = self._done.get(run)
        return (done is not None and seq in done) or any(
            span.run == run and span.first <= seq <= span.last for span in self.held
        )

    def holes(self) -> list[Hole]:
        """Returns what is to be sent, newest first."""
        for run in self._done.keys() - {span.run for span in self.ours}:
            del self._done[run]
        done = [
            RunSpan(host=self.host, run=run, boot="", first=first, last=last, start=0, end=0)
            for run, ranges in self._done.items()
            for first, last in ranges
        ]
        return missing(self.ours, [*self.held, *done], self.since)

    def pending(self) -> int:
        """Returns how many frames are to be sent."""
        return sum(hole.last - hole.first + 1 for hole in self.holes())


class Present:
    """Lays over frames, which a history keeps without tables, those that were read last.

    Args:
        read: returns the tables, and collector -> boot clock (ns) of its last read.
        run: returns the run whose frames they belong to.
    """

    def __init__(self, read: Callable[[], tuple[Tables, dict[str, int]]], run: Callable[[], str]) -> None:
        self._read = read
        self._run = run
        self._small = b""
        self._processes_read: int | None = None
        self._processes_at: int | None = None

    def again(self) -> None:
        """Gives all of them anew: the last ones did not arrive."""
        self._small = b""
        self._processes_read = self._processes_at = None

    def watched(self, now: int) -> bool:
        """Whether processes were given lately; `now`: boot clock, ns."""
        return self._processes_at is not None and now - self._processes_at < 2 * WATCH * SECOND

    def over(self, frames: list[Frame], now: int) -> list[Frame]:
        """Returns the frames with tables: small ones where they changed, processes every `WATCH` seconds.

        Args:
            frames: ascending, of the present.
            now: boot clock, ns.
        """
        tables, reads = self._read()
        newest = frames[-1]
        if newest.run != self._run():
            return frames
        given = list(frames)
        small = Tables(**{name: getattr(tables, name) for name in SMALL_TABLES})
        encoded = wire.encode_json(small)
        if encoded != self._small:
            self._small = encoded
            given[-1] = msgspec.structs.replace(newest, tables=small)
        rows, at = tables.processes, reads.get("processes")
        early = self._processes_at is not None and now - self._processes_at < WATCH * SECOND
        if rows is None or len(rows) > MAX_PROCESSES or at is None or at == self._processes_read or early:
            return given
        for index, frame in enumerate(given):
            # On the frame that read them, as rates come from the time of the read.
            if frame.reads.get("processes") == at:
                self._processes_read, self._processes_at = at, now
                with_rows = frame.tables.merged(Tables(processes=rows))
                given[index] = msgspec.structs.replace(frame, tables=with_rows)
        return given


class Slicer:
    """Takes slices out of an outbox, of about as many bytes as are wanted.

    Args:
        outbox: holds the frames.
        ledger: says which are wanted.
        present: adds tables to those of the present.

    Attributes:
        plain: bytes of a slice at most.
    """

    def __init__(self, outbox: Outbox, ledger: Ledger, present: Present) -> None:
        self._outbox = outbox
        self._ledger = ledger
        self._present = present
        self._fetch = 50
        self.plain = PLAIN

    def shrink(self, given: int) -> bool:
        """Makes slices smaller after one of so many frames was too large; returns False where they cannot be."""
        if given <= 1 and self.plain <= LEAST_PLAIN:
            return False
        self.plain = max(LEAST_PLAIN, self.plain // 2)
        self._fetch = max(1, min(self._fetch, given // 2))
        return True

    async def next(self, most: int, *, live: bool, now: int) -> Slice | None:
        """Returns the newest frames that the hub misses, or None where it misses nothing.

        Args:
            most: frames at most.
            live: whether they are of the present and get tables.
            now: boot clock, ns.

        Raises:
            StoreError: the history does not answer.
        """
        while holes := self._ledger.holes():
            found = await self._of(holes[0], most, live=live, now=now)
            if found is not None:
                return found
        return None

    async def _of(self, hole: Hole, most: int, *, live: bool, now: int) -> Slice | None:
        """Reads the newest frames of a hole; None where none of these is to be sent."""
        last = hole.last
        first = max(hole.first, last - min(most, self._fetch) + 1)
        frames = await self._outbox.frames(hole.run, first, last)
        wanted = [frame for frame in frames if frame.time >= self._ledger.since]
        # The rest the history let go of meanwhile, or it is too old for the hub's.
        for seq in {*range(first, last + 1)} - {frame.seq for frame in wanted}:
            self._ledger.finish(hole.run, seq)
        if not wanted:
            return None
        if live:
            wanted = self._present.over(wanted, now)
        encoded: list[tuple[int, bytes]] = []
        size = 0
        for frame in reversed(wanted):
            data = wire.encode_frame(frame, wire.TABLES)
            if encoded and size + len(data) > self.plain:
                break
            size += len(data)
            encoded.append((frame.seq, data))
        self._fetch = max(1, min(SLICE, self.plain * len(encoded) // max(size, 1)))
        encoded.reverse()
        times = [frame.time for frame in wanted[-len(encoded) :]]
        watched = live and self._present.watched(now)
        return Slice(hole.run, encoded, min(times), max(times), watched)
