"""Fills the holes that a lost connection left, behind live data: what the other side holds is fetched, newest first.

Holes are worked out afresh from what both sides hold, so it does not matter which side was restarted, or how often.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import msgspec

from remote.holes import Hole, Ranges, lost, missing
from sysmon.errors import RemoteError, StoreError
from sysmon.records import Gap

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from sysmon.clock import Clock
    from sysmon.frame import Frame
    from sysmon.ports import Recorder
    from sysmon.records import RunSpan

SLICE = 200
"""Frames asked for at once; a slice of ordinary frames is decoded in a few milliseconds."""
PAUSE = 0.1
"""Seconds between slices."""
ROUND = 30.0
"""Seconds between looks at what both sides hold."""
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
        self.pending = 0
        """Frames known to be missing and still to be fetched."""
        self.fetched = 0
        """Frames fetched and recorded so far."""
        self.problem = ""
        """Why the last look failed, or ''."""

    def wake(self) -> None:
        """Looks again now: after a reconnect, or when the server told of a gap."""
        self._wake.set()

    async def run(self) -> None:
        """Looks and fills for ever; an unreachable server is tried again at the next look."""
        while True:
            self._wake.clear()
            try:
                await self.fill()
                self.problem = ""
            except (RemoteError, StoreError) as error:
                self.problem = str(error)
            await self._rest()

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
        theirs = [self._in_our_time(span) for span in await self._theirs()]
        await self._recorder.flush()
        hosts = {span.host for span in theirs}
        ours = [span for span in await self._ours() if span.host in hosts]
        holes = self.holes(theirs, ours)
        self.pending = sum(hole.last - hole.first + 1 for hole in holes)
        filled = 0
        try:
            for hole in holes:
                filled += await self._fill(hole)
        finally:
            self.pending = 0
        self._say_lost(theirs, ours)
        return filled

    def _in_our_time(self, span: RunSpan) -> RunSpan:
        ahead, _ = self._skews(span.host)
        return msgspec.structs.replace(span, start=span.start - ahead, end=span.end - ahead) if ahead else span

    def holes(self, theirs: Sequence[RunSpan], ours: Sequence[RunSpan]) -> list[Hole]:
        """Returns what is to be fetched, newest first."""
        newest: dict[str, RunSpan] = {}
        floors: dict[tuple[str, str], int] = {}
        for span in theirs:
            if span.host not in newest or span.end > newest[span.host].end:
                newest[span.host] = span
        for span in ours:
            key = (span.host, span.run)
            floors[key] = min(span.first, floors.get(key, span.first))
        self._since = {host: since for host in newest if (since := self._wanted_from(host, ours)) is not None}
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
            last = newest[hole.host]
            edge = hole.run == last.run and hole.last == last.last and hole.last - hole.first < EDGE
            if not edge and hole.first <= hole.last:
                found.append(hole)
        self._floors = floors
        return found

    def _is_thin(self, hole: Hole) -> bool:
        """Whether a hole is only what a reader of fewer frames leaves out."""
        return 0 <= hole.end - hole.start < self._thin

    def _wanted_from(self, host: str, ours: Sequence[RunSpan]) -> int | None:
        """The time from which a host's frames are wanted: first contact, but not what our own retention has let go."""
        contact = self._contact(host)
        if contact is None:
            return None
        return max(contact, min((span.start for span in ours if span.host == host), default=contact))

    async def _fill(self, hole: Hole) -> int:
        key = (hole.host, hole.run)
        since = self._since[hole.host] if hole.first < self._floors.get(key, hole.last + 1) else 0
        absent = self._absent.setdefault(key, Ranges())
        filled = 0
        last = hole.last
        while last >= hole.first:
            first = max(hole.first, last - self._slice + 1)
            if all(seq in absent for seq in range(first, last + 1)):
                last = first - 1
                continue
            frames = [
                frame for frame in await self._fetch(hole.host, hole.run, first, last) if first <= frame.seq <= last
            ]
            received = self._clock.now()
            for frame in frames:
                if frame.time - self._skews(hole.host)[1] < since:
                    self._before[key] = max(self._before.get(key, 0), frame.seq + 1)
                    continue
                await self._recorder.record(frame, received=received, late=True)
                if self._tell is not None:
                    self._tell(frame)
                filled += 1
                self.fetched += 1
                await asyncio.sleep(0)  # live frames come first
            # What the server says it holds and does not give is asked for once, not every round.
            for seq in set(range(first, last + 1)) - {frame.seq for frame in frames}:
                absent.add(seq)
            self.pending -= last - first + 1
            if self._before.get(key, 0) > first:
                break
            last = first - 1
            if last >= hole.first:
                await self._clock.sleep(self._pause)
        return filled

    def _say_lost(self, theirs: Sequence[RunSpan], ours: Sequence[RunSpan]) -> None:
        for host in {span.host for span in theirs}:
            since = self._wanted_from(host, ours)
            if since is None:
                continue
            held = [span for span in ours if span.host == host]
            for hole in lost([span for span in theirs if span.host == host], held, since):
                key = (hole.host, hole.run, hole.first, hole.last)
                if self._is_thin(hole):
                    continue
                if key not in self._told:
                    self._told.add(key)
                    if self._tell is not None:
                        self._tell(
                            Gap(
                                host=hole.host,
                                run=hole.run,
                                first=hole.first,
                                last=hole.last,
                                start=hole.start,
                                end=hole.end,
                                status="lost",
                            )
                        )


def _none(host: str) -> tuple[int, int]:
    return 0, 0
