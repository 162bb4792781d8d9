"""Which frames are missing: sets of sequence numbers as ranges, pure."""

from __future__ import annotations

from bisect import bisect_right
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from sysmon.records import RunSpan


class Hole(NamedTuple):
    """Frames `first`..`last` of a run that are not here. `start`, `end`: about when, Unix milliseconds."""

    host: str
    run: str
    first: int
    last: int
    start: int
    end: int


class Ranges:
    """A set of whole numbers, kept as ranges; forgets the lowest when there are more than `limit` of them."""

    def __init__(self, limit: int = 4096) -> None:
        self._firsts: list[int] = []
        self._lasts: list[int] = []
        self._limit = limit

    def __contains__(self, number: int) -> bool:
        at = bisect_right(self._firsts, number) - 1
        return at >= 0 and number <= self._lasts[at]

    def __iter__(self) -> Iterator[tuple[int, int]]:
        return iter(zip(self._firsts, self._lasts, strict=True))

    def __len__(self) -> int:
        return len(self._firsts)

    def add(self, number: int) -> bool:
        """Adds a number; returns whether it is new."""
        firsts, lasts = self._firsts, self._lasts
        at = bisect_right(firsts, number) - 1
        if at >= 0 and number <= lasts[at]:
            return False
        joins_left = at >= 0 and lasts[at] == number - 1
        joins_right = at + 1 < len(firsts) and firsts[at + 1] == number + 1
        if joins_left and joins_right:
            lasts[at] = lasts.pop(at + 1)
            del firsts[at + 1]
        elif joins_left:
            lasts[at] = number
        elif joins_right:
            firsts[at + 1] = number
        else:
            firsts.insert(at + 1, number)
            lasts.insert(at + 1, number)
            if len(firsts) > self._limit:
                del firsts[0], lasts[0]
        return True


def subtract(first: int, last: int, others: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """Returns the parts of `first`..`last` that lie in none of `others`, ascending."""
    parts = []
    at = first
    for low, high in sorted(others):
        if high < at:
            continue
        if low > last:
            break
        if low > at:
            parts.append((at, low - 1))
        at = high + 1
    if at <= last:
        parts.append((at, last))
    return parts


def missing(theirs: Iterable[RunSpan], ours: Iterable[RunSpan], since: int = 0) -> list[Hole]:
    """Returns what they hold and we do not, newest first.

    Args:
        theirs, ours: spans held; overlaps and any order are fine.
        since: spans of theirs that end before this time are left out. Where one reaches across it, its hole still
            reaches back to the span's start: only the frames themselves tell which of them are older.
    """
    held: dict[tuple[str, str], list[tuple[int, int]]] = {}
    for span in ours:
        held.setdefault((span.host, span.run), []).append((span.first, span.last))
    holes: list[Hole] = []
    for span in theirs:
        if span.end < since:
            continue
        key = (span.host, span.run)
        taken = held.setdefault(key, [])
        for first, last in subtract(span.first, span.last, taken):
            holes.append(Hole(*key, first, last, _when(span, first), _when(span, last)))
            taken.append((first, last))
    return sorted(holes, key=lambda hole: (hole.end, hole.last), reverse=True)


def lost(theirs: Sequence[RunSpan], ours: Sequence[RunSpan], since: int) -> list[Hole]:
    """Returns what neither side holds though it existed after `since`, oldest first: it is beyond their retention.

    Sequence numbers have no holes within a run, so all between two that are held existed; those before the first held
    one existed too, and came after `since` as far as the run's pace tells.
    """
    runs: dict[tuple[str, str], list[RunSpan]] = {}
    for span in (*theirs, *ours):
        runs.setdefault((span.host, span.run), []).append(span)
    holes = []
    for key, spans in runs.items():
        spans.sort(key=lambda span: span.first)
        oldest, last = spans[0], max(span.last for span in spans)
        first = _first_since(oldest, since)
        for low, high in subtract(first, last, [(span.first, span.last) for span in spans]):
            before = [span for span in spans if span.last < low]
            after = [span for span in spans if span.first > high]
            end = min((span.start for span in after), default=since)
            start = max((span.end for span in before), default=min(since, end))
            if end >= since:
                holes.append(Hole(*key, low, high, max(start, since), end))
    return sorted(holes, key=lambda hole: (hole.end, hole.last))


def _when(span: RunSpan, seq: int) -> int:
    if span.last == span.first:
        return span.end
    return span.start + (span.end - span.start) * (seq - span.first) // (span.last - span.first)


def _first_since(span: RunSpan, since: int) -> int:
    """About the first sequence number of a run after `since`, given its oldest span."""
    if span.start <= since or span.first == 1:
        return span.first
    pace = (span.end - span.start) / (span.last - span.first) if span.last > span.first else 1000.0
    return max(1, span.first - int((span.start - since) / max(pace, 1.0)))
