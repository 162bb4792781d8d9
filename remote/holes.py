"""Which frames are missing: sets of sequence numbers as ranges, pure."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from itertools import accumulate
from typing import TYPE_CHECKING, NamedTuple

from sysmon.records import Gap

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

    def lost(self) -> Gap:
        """The hole as what is told of it where it cannot be filled any more."""
        return Gap(**self._asdict(), status="lost")


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

    def add_range(self, first: int, last: int) -> None:
        """Adds the numbers `first`..`last`."""
        firsts, lasts = self._firsts, self._lasts
        low = bisect_left(lasts, first - 1)
        high = bisect_right(firsts, last + 1)
        if low < high:
            first, last = min(first, firsts[low]), max(last, lasts[high - 1])
        firsts[low:high], lasts[low:high] = [first], [last]
        if len(firsts) > self._limit:
            del firsts[0], lasts[0]

    def without(self, first: int, last: int) -> list[tuple[int, int]]:
        """Returns the parts of `first`..`last` that are not in the set, ascending."""
        low, high = bisect_left(self._lasts, first), bisect_right(self._firsts, last)
        return subtract(first, last, zip(self._firsts[low:high], self._lasts[low:high], strict=True))


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
    """Returns what they hold and we do not, newest first; takes n log n steps for n spans.

    Args:
        theirs, ours: spans held; overlaps and any order are fine.
        since: spans of theirs that end before this time are left out. Where one reaches across it, its hole still
            reaches back to the span's start: only the frames themselves tell which of them are older.
    """
    held: dict[tuple[str, str], list[tuple[int, int]]] = {}
    for span in ours:
        held.setdefault((span.host, span.run), []).append((span.first, span.last))
    offered: dict[tuple[str, str], list[RunSpan]] = {}
    for span in theirs:
        if span.end >= since:
            offered.setdefault((span.host, span.run), []).append(span)
    holes: list[Hole] = []
    for key, spans in offered.items():
        spans.sort(key=_first)
        taken = _merged(held.get(key, ()))
        index, beyond = 0, 0
        for span in spans:
            at = max(span.first, beyond)
            beyond = max(beyond, span.last + 1)
            # Both lists ascend, so each is gone through once.
            while index < len(taken) and taken[index][1] < at:
                index += 1
            each = index
            while at <= span.last:
                low, high = taken[each] if each < len(taken) else (span.last + 1, span.last)
                if low > at:
                    last = min(low - 1, span.last)
                    holes.append(Hole(*key, at, last, _when(span, at), _when(span, last)))
                at = max(at, high + 1) if low <= span.last else span.last + 1
                each += 1
    return sorted(holes, key=lambda hole: (hole.end, hole.last), reverse=True)


def lost(theirs: Sequence[RunSpan], ours: Sequence[RunSpan], since: int) -> list[Hole]:
    """Returns what neither side holds though it existed after `since`, oldest first: it is beyond their retention.

    Sequence numbers have no holes within a run, so all between two that are held existed; those before the first held
    one existed too, and came after `since` as far as the run's pace tells. Takes n log n steps for n spans.
    """
    runs: dict[tuple[str, str], list[RunSpan]] = {}
    for span in (*theirs, *ours):
        runs.setdefault((span.host, span.run), []).append(span)
    holes = []
    for key, spans in runs.items():
        spans.sort(key=_first)
        # When what lies behind each span begins: the least of the starts that follow.
        starts = [*accumulate((span.start for span in reversed(spans)), min)]
        at = _first_since(spans[0], since)
        ended: int | None = None
        for left, span in zip(range(len(spans), 0, -1), spans, strict=True):
            if span.first > at:
                end = starts[left - 1]
                start = min(since, end) if ended is None else ended
                if end >= since:
                    holes.append(Hole(*key, at, span.first - 1, max(start, since), end))
            at = max(at, span.last + 1)
            ended = span.end if ended is None else max(ended, span.end)
    return sorted(holes, key=lambda hole: (hole.end, hole.last))


def newest(spans: Sequence[RunSpan], limit: int) -> tuple[Sequence[RunSpan], dict[str, int]]:
    """Returns the newest spans of each host, at most so many, and by host from which time on none was left out."""
    if len(spans) <= limit:
        return spans, {}
    hosts: dict[str, list[RunSpan]] = {}
    for span in spans:
        hosts.setdefault(span.host, []).append(span)
    kept: list[RunSpan] = []
    since: dict[str, int] = {}
    for host, found in hosts.items():
        if len(found) > limit:
            found.sort(key=lambda span: span.end, reverse=True)
            since[host] = found[limit].end
            del found[limit:]
        kept += found
    return kept, since


def _first(span: RunSpan) -> int:
    return span.first


def _merged(ranges: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """The same numbers as ranges that do not overlap, ascending."""
    merged: list[tuple[int, int]] = []
    for first, last in sorted(ranges):
        if merged and first <= merged[-1][1] + 1:
            if last > merged[-1][1]:
                merged[-1] = (merged[-1][0], last)
        else:
            merged.append((first, last))
    return merged


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
