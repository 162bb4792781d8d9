"""What a server took in lately: a ring of encoded events, and a longer, coarser memory of which frames arrived when."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, NamedTuple

from sysmon.records import Gap

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from sysmon.frame import Frame
    from sysmon.records import RunSpan

SEGMENT_FRAMES = 60
"""Frames of one run that the coarse memory folds into one entry; a gap told from it can begin that much early."""
MAX_SEGMENTS = 20_000
"""Entries of the coarse memory at most: two weeks of one host, an hour of 300, at one frame a second."""


class Item(NamedTuple):
    """One event that has an arrival number, encoded without tables. `frame`: whether it is one."""

    arrival: int
    host: str
    data: bytes
    frame: bool = False


class _Segment:
    __slots__ = ("end", "first", "first_arrival", "host", "last", "last_arrival", "run", "start")

    def __init__(self, frame: Frame, arrival: int) -> None:
        self.host = frame.host
        self.run = frame.run
        self.first = self.last = frame.seq
        self.start = self.end = frame.time
        self.first_arrival = self.last_arrival = arrival


class Ring:
    """Events in order of arrival, bounded by bytes.

    Args:
        limit: bytes of events kept at most (the newest is always kept).
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._items: deque[Item] = deque()
        self.size = 0
        self._segments: deque[_Segment] = deque(maxlen=MAX_SEGMENTS)
        self._open: dict[tuple[str, str], _Segment] = {}

    def add(self, item: Item, frame: Frame | None = None) -> None:
        """Takes the next event, and the frame it carries, if it does."""
        self._items.append(item)
        self.size += len(item.data)
        while self.size > self._limit and len(self._items) > 1:
            self.size -= len(self._items.popleft().data)
        if frame is None:
            return
        key = (frame.host, frame.run)
        segment = self._open.get(key)
        if segment is not None and frame.seq == segment.last + 1 and frame.seq - segment.first < SEGMENT_FRAMES:
            segment.last = frame.seq
            segment.end = frame.time
            segment.last_arrival = item.arrival
            return
        segment = self._open[key] = _Segment(frame, item.arrival)
        self._segments.append(segment)
        if len(self._open) > MAX_SEGMENTS // 4:
            del self._open[next(iter(self._open))]

    def since(self, arrival: int, wanted: Callable[[str], bool], limit: int) -> list[Item] | None:
        """Returns what came after `arrival`, oldest first.

        Returns None where the ring no longer holds all of it, or where it is more than `limit` bytes.
        """
        if not self._items or self._items[0].arrival > arrival + 1:
            return None
        found = []
        size = 0
        for item in reversed(self._items):
            if item.arrival <= arrival:
                break
            if wanted(item.host):
                size += len(item.data)
                if size > limit:
                    return None
                found.append(item)
        found.reverse()
        return found

    def gaps(self, arrival: int, wanted: Callable[[str], bool], held: Iterable[RunSpan]) -> list[Gap]:
        """Returns the frames that came after `arrival`, as gaps of a reader that left there, oldest first.

        A gap may begin up to `SEGMENT_FRAMES` early. What is within `held`, or newer, is pending, the rest lost.
        """
        merged: dict[tuple[str, str], list[Gap]] = {}
        for segment in self._segments:
            if segment.last_arrival <= arrival or not wanted(segment.host):
                continue
            gaps = merged.setdefault((segment.host, segment.run), [])
            if gaps and gaps[-1].last + 1 == segment.first:
                before = gaps.pop()
                gaps.append(_gap(segment, before.first, before.start))
            else:
                gaps.append(_gap(segment, segment.first, segment.start))
        spans: dict[tuple[str, str], list[RunSpan]] = {}
        for span in held:
            spans.setdefault((span.host, span.run), []).append(span)
        return [part for key, gaps in merged.items() for gap in gaps for part in _judged(gap, spans.get(key, ()))]


def _gap(segment: _Segment, first: int, start: int | None) -> Gap:
    return Gap(host=segment.host, run=segment.run, first=first, last=segment.last, start=start, end=segment.end)


def _judged(gap: Gap, spans: Sequence[RunSpan]) -> list[Gap]:
    """Splits a gap into what the history holds or is about to (pending) and what it no longer has (lost)."""
    parts = []
    at = gap.first
    for span in sorted(spans, key=lambda span: span.first):
        first, last = max(span.first, at), min(span.last, gap.last)
        if first > last:
            continue
        if first > at:
            parts.append(_part(gap, at, first - 1, "lost"))
        parts.append(_part(gap, first, last, "pending"))
        at = last + 1
    if at <= gap.last:
        parts.append(_part(gap, at, gap.last, "pending"))
    return parts


def _part(gap: Gap, first: int, last: int, status: str) -> Gap:
    return Gap(
        host=gap.host,
        run=gap.run,
        first=first,
        last=last,
        start=gap.start if first == gap.first else None,
        end=gap.end if last == gap.last else None,
        status="lost" if status == "lost" else "pending",
    )
