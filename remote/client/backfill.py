"""Fills the holes that a lost connection left, behind live data: what the other side holds is fetched, newest first.

Holes are worked out afresh from what both sides hold, so it does not matter which side was restarted, or how often.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import msgspec

from remote.holes import Hole, Ranges, lost, missing, newest
from sysmon.allowance import Allowance
from sysmon.errors import RemoteError, StoreError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from sysmon.clock import Clock
    from sysmon.frame import Frame
    from sysmon.ports import Recorder
    from sysmon.records import Gap, RunSpan

SLICE = 200
"""Frames asked for at once; a slice of ordinary frames is decoded in a few milliseconds."""
PAUSE = 0.1
"""Seconds between slices."""
ROUND = 30.0
"""Seconds between looks at what both sides hold."""
LEAST = 1.0
"""Seconds between the beginnings of two looks at least, whatever the server tells of."""
REST = 10
"""Rounds for which a host is left alone of which more is held than can be true: it would be as much the next time."""
MAX_SPANS = 10_000
"""Pieces in which a host's frames may lie, here or there; of more, only the newest are looked at. Who is cut off every
half minute for 48 hours comes to 5,760."""
INLINE = 1_000
"""Spans that are compared at once; more of them in a thread, behind everything else."""
MAX_SLICES = 2_000
"""Slices of one hole fetched in one look: then others have their turn."""
EMPTY = 3
"""Slices in a row without a frame after which what lies before them is taken to be gone too."""
VAIN = 20
"""Slices in a row without a frame, whatever the hole, after which a host is left alone for a while."""
LITTLE = 0.1
"""Of the pause between slices, what lies before the smallest."""
RATE = 5.0
"""Frames a second of one host that are fetched in the long run."""
BURST = 400_000.0
"""Frames of one host that are fetched at once: twice what an agent keeps at one a second."""
MAX_TOLD = 10_000
"""Losses that are remembered as told; what is lost beyond them is not told."""
MAX_KNOWN = 1_000
"""Runs of which it is remembered what their server does not give."""
EDGE = 10
"""Frames at the very end of the newest run that are left to the live stream, which is just bringing them."""


class Backfill:
    """Fetches what one remote server holds and this side does not.

    Args:
        theirs: asks the server which frames it holds (`HttpHistory.spans`).
        ours: asks the local history which frames it holds (`History.spans`).
        fetch: asks the server for frames of one run (`HttpHistory.frames`).
        recorder: takes what was fetched, as late frames.
        clock: this side's.
        contact: host id -> Unix milliseconds, of this side's history, of the first frame ever recorded of it; older
            frames are not fetched. None: nothing was recorded yet, so nothing is missing.
        tell: is given each gap found lost, once, and each frame fetched after it was recorded (to fan it out).
        skews: host id -> (milliseconds by which its server's times are ahead of ours, and those of its own frames);
            None: by nothing that matters.
        interval: seconds between the live frames that were asked for; beyond 1, what lies between two of them is no
            hole. Holes of two intervals and more are filled with all frames there are.
        slice: frames asked for at once. `pause`: seconds between slices. `round`: seconds between looks.
    """

    def __init__(
        self,
        theirs: Callable[[], Awaitable[Sequence[RunSpan]]],
        ours: Callable[[], Awaitable[Sequence[RunSpan]]],
        fetch: Callable[[str, str, int, int], Awaitable[Sequence[Frame]]],
        recorder: Recorder,
        clock: Clock,
        *,
        contact: Callable[[str], int | None],
        tell: Callable[[Gap | Frame], None] | None = None,
        skews: Callable[[str], tuple[int, int]] | None = None,
        interval: float = 1.0,
        slice: int = SLICE,
        pause: float = PAUSE,
        round: float = ROUND,
    ) -> None:
        self._theirs = theirs
        self._ours = ours
        self._fetch = fetch
        self._recorder = recorder
        self._clock = clock
        self._contact = contact
        self._tell = tell
        self._skews = skews or _none
        self._thin = int(2000 * interval) if interval > 1.0 else 0
        self._slice = max(1, min(slice, 600))
        self._pause = pause
        self._round = round
        self._wake = asyncio.Event()
        self._told: set[tuple[str, str, int, int]] = set()
        self._before: dict[tuple[str, str], int] = {}
        self._floors: dict[tuple[str, str], int] = {}
        self._since: dict[str, int] = {}
        self._absent: dict[tuple[str, str], Ranges] = {}
        self._allowances: dict[str, Allowance] = {}
        self._again: asyncio.TimerHandle | None = None
        self._vain: dict[str, int] = {}
        self._left: set[str] = set()
        self._paced = 0
        self._excess: dict[str, tuple[str, int]] = {}
        self.pending = 0
        """Frames known to be missing and still to be fetched."""
        self.fetched = 0
        """Frames fetched and recorded so far."""
        self.problem = ""
        """Why the last look failed, or ''."""

    def wake(self, again: float | None = None) -> None:
        """Looks again now: after a reconnect, or when the server told of a gap.

        Args:
            again: seconds after which to look once more, counted from the first of several that ask for it.
        """
        self._wake.set()
        if again is not None and self._again is None:
            self._again = asyncio.get_running_loop().call_later(again, self._wake_again)

    def _wake_again(self) -> None:
        self._again = None
        self._wake.set()

    async def run(self) -> None:
        """Looks and fills for ever; an unreachable server is tried again at the next look."""
        try:
            while True:
                self._wake.clear()
                begun = self._clock.boottime()
                try:
                    await self.fill()
                    self.problem = next((words for words, _ in self._excess.values()), "")
                except (RemoteError, StoreError) as error:
                    self.problem = str(error)
                await self._rest()
                early = LEAST - (self._clock.boottime() - begun) / 1e9
                if early > 0:
                    await self._clock.sleep(early)
        finally:
            if self._again is not None:
                self._again.cancel()

    async def _rest(self) -> None:
        sleep = asyncio.ensure_future(self._clock.sleep(self._round))
        wake = asyncio.ensure_future(self._wake.wait())
        try:
            await asyncio.wait({sleep, wake}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (sleep, wake):
                task.cancel()
            await asyncio.gather(sleep, wake, return_exceptions=True)

    async def fill(self) -> int:
        """Looks once and fills all holes found; returns how many frames were recorded.

        Raises:
            RemoteError, StoreError: one side could not be asked.
        """
        theirs = await self._theirs()
        await self._recorder.flush()
        ours = await self._ours()
        if len(theirs) + len(ours) <= INLINE:
            holes, gone = self._look(theirs, ours)
        else:
            holes, gone = await asyncio.to_thread(self._look, theirs, ours)
        self.pending = sum(hole.last - hole.first + 1 for hole in holes)
        filled = 0
        try:
            self._vain.clear()
            self._left.clear()
            self._paced = 0
            for hole in holes:
                if hole.host not in self._left:
                    filled += await self._fill(hole)
        finally:
            self.pending = 0
        self._say_lost(gone)
        return filled

    def _look(self, theirs: Sequence[RunSpan], ours: Sequence[RunSpan]) -> tuple[list[Hole], list[Hole]]:
        """Compares what both sides hold; returns what is to be fetched, newest first, and what is lost."""
        now = self._clock.boottime()
        self._excess = {host: (words, until) for host, (words, until) in self._excess.items() if until > now}
        theirs = [self._in_our_time(span) for span in theirs if span.host not in self._excess]
        hosts = {span.host for span in theirs}
        ours = [span for span in ours if span.host in hosts]
        theirs, cut = newest(theirs, MAX_SPANS)
        ours, cut_here = newest(ours, MAX_SPANS)
        for host in {*cut, *cut_here}:
            self._leave(host, f"the frames of {host} lie in more than {MAX_SPANS} pieces; only the newest are compared")
        if cut_here:
            # What is older than what is compared here must not look as if it were missing.
            theirs = [span for span in theirs if span.start >= cut_here.get(span.host, 0)]
        if len(self._absent) + len(self._before) > MAX_KNOWN:
            runs = {(span.host, span.run) for span in theirs}
            self._absent = {key: ranges for key, ranges in self._absent.items() if key in runs}
            self._before = {key: seq for key, seq in self._before.items() if key in runs}
        holes = self.holes(theirs, ours)
        since = {host: max(wanted, cut.get(host, 0), cut_here.get(host, 0)) for host, wanted in self._since.items()}
        return holes, self._lost(theirs, ours, since)

    def _in_our_time(self, span: RunSpan) -> RunSpan:
        ahead, _ = self._skews(span.host)
        return msgspec.structs.replace(span, start=span.start - ahead, end=span.end - ahead) if ahead else span

    def holes(self, theirs: Sequence[RunSpan], ours: Sequence[RunSpan]) -> list[Hole]:
        """Returns what is to be fetched, newest first."""
        latest: dict[str, RunSpan] = {}
        oldest: dict[str, int] = {}
        floors: dict[tuple[str, str], int] = {}
        for span in theirs:
            if span.host not in latest or span.end > latest[span.host].end:
                latest[span.host] = span
        for span in ours:
            key = (span.host, span.run)
            floors[key] = min(span.first, floors.get(key, span.first))
            oldest[span.host] = min(span.start, oldest.get(span.host, span.start))
        self._since = {
            # First contact, but not what our own retention has let go.
            host: max(contact, oldest.get(host, contact))
            for host in latest
            if (contact := self._contact(host)) is not None
        }
        found = []
        for hole in missing(theirs, ours):
            if hole.host not in self._since or self._is_thin(hole):
                continue
            key = (hole.host, hole.run)
            if hole.first < floors.get(key, hole.last + 1):
                # Before anything we hold of this run: whether it is wanted is a matter of its time.
                if hole.end < self._since[hole.host]:
                    continue
                hole = hole._replace(first=max(hole.first, self._before.get(key, 0)))
            last = latest[hole.host]
            edge = hole.run == last.run and hole.last == last.last and hole.last - hole.first < EDGE
            if not edge and hole.first <= hole.last:
                found.append(hole)
        self._floors = floors
        return found

    def _is_thin(self, hole: Hole) -> bool:
        """Whether a hole is only what a reader of fewer frames leaves out."""
        return 0 <= hole.end - hole.start < self._thin

    async def _fill(self, hole: Hole) -> int:
        key = (hole.host, hole.run)
        since = self._since[hole.host] if hole.first < self._floors.get(key, hole.last + 1) else 0
        absent = self._absent.setdefault(key, Ranges())
        filled = slices = empty = 0
        for low, last in reversed(absent.without(hole.first, hole.last)):
            while last >= low:
                first = max(low, last - self._slice + 1)
                # A little hole costs little, but thousands of them do not.
                await self._clock.sleep(self._pause * max(LITTLE, (last - first + 1) / self._slice) * self._paced)
                self._paced = 1
                frames = [
                    frame for frame in await self._fetch(hole.host, hole.run, first, last) if first <= frame.seq <= last
                ]
                slices += 1
                if not self._allowed(hole.host, len(frames)):
                    return filled
                filled += await self._keep(key, frames, since)
                # What the server says it holds and does not give is asked for once, not every round.
                seqs = {frame.seq for frame in frames}
                for seq in range(first, last + 1):
                    if seq not in seqs:
                        absent.add(seq)
                self.pending -= last - first + 1
                empty = 0 if frames else empty + 1
                if empty >= EMPTY:
                    absent.add_range(hole.first, last)
                    return filled
                self._vain[hole.host] = 0 if frames else self._vain.get(hole.host, 0) + 1
                if self._vain[hole.host] >= VAIN:
                    self._left.add(hole.host)
                    self._leave(hole.host, f"{hole.host} does not give the frames that its server says it holds")
                    return filled
                if self._before.get(key, 0) > first or slices >= MAX_SLICES:
                    return filled
                last = first - 1
        return filled

    def _allowed(self, host: str, frames: int) -> bool:
        """Whether a host may have made as many frames as were fetched of it."""
        allowance = self._allowances.get(host)
        if allowance is None:
            allowance = self._allowances[host] = Allowance(RATE, BURST)
        if not allowance.take(frames, self._clock.boottime()):
            return True
        self._leave(host, f"{host} has more frames than it can have made; they are fetched no faster")
        self._left.add(host)
        return False

    def _leave(self, host: str, words: str) -> None:
        """Leaves a host alone for some rounds."""
        self._excess[host] = words, self._clock.boottime() + int(REST * self._round * 1e9)

    async def _keep(self, key: tuple[str, str], frames: Sequence[Frame], since: int) -> int:
        """Records those of a slice that are young enough; returns how many."""
        received = self._clock.now()
        kept = 0
        for frame in frames:
            if frame.time - self._skews(key[0])[1] < since:
                self._before[key] = max(self._before.get(key, 0), frame.seq + 1)
                continue
            await self._recorder.record(frame, received=received, late=True)
            if self._tell is not None:
                self._tell(frame)
            kept += 1
            self.fetched += 1
            await asyncio.sleep(0)  # live frames come first
        return kept

    def _lost(self, theirs: Sequence[RunSpan], ours: Sequence[RunSpan], since: dict[str, int]) -> list[Hole]:
        hosts: dict[str, tuple[list[RunSpan], list[RunSpan]]] = {host: ([], []) for host in since}
        for side, spans in enumerate((theirs, ours)):
            for span in spans:
                if span.host in hosts:
                    hosts[span.host][side].append(span)
        return [
            hole
            for host, (there, here) in hosts.items()
            for hole in lost(there, here, since[host])
            if not self._is_thin(hole) and (hole.host, hole.run, hole.first, hole.last) not in self._told
        ]

    def _say_lost(self, holes: Sequence[Hole]) -> None:
        for hole in holes[: max(0, MAX_TOLD - len(self._told))]:
            self._told.add((hole.host, hole.run, hole.first, hole.last))
            if self._tell is not None:
                self._tell(hole.lost())


def _none(host: str) -> tuple[int, int]:
    return 0, 0
