"""Totals of usage: the buckets that are kept, summed up by the steps of a host's time zone."""

from __future__ import annotations

import json
from bisect import bisect_left
from datetime import datetime
from operator import add
from typing import TYPE_CHECKING, NamedTuple

from store.schema import BUCKET, PAGED, version_of
from store.usage import AT_LEAST, ESTIMATED, MOST
from store.usagecodec import Page, decode_added
from store.usagepages import DAY, HOUR, PAGES, flags_of, kept_since
from sysmon.records import Usage
from sysmon.zones import span_of

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Collection, Iterator
    from datetime import tzinfo

    from store.usagecodec import Added

_FINE = {"fiveminute": BUCKET, "hour": HOUR}
_CHECK = 64
"""Pages read between two looks at the deadline."""


class _Laid(NamedTuple):
    """How the buckets of a page lie in the steps asked for.

    Attributes:
        first, end: positions of the buckets within the range.
        slots: the start of each one's step, where no two share one.
        parts: (first, end, step's start): positions of the buckets of one step, where some do.
        long: (step's start, end) of buckets that reach beyond their step.
        until: where the last bucket ends, but for those longer than the page's tier holds.
    """

    first: int
    end: int
    slots: list[int]
    parts: list[tuple[int, int, int]]
    long: list[tuple[int, int]]
    until: int

    def each(self) -> list[tuple[int, int, int]]:
        """Returns (first, end, step's start) of all."""
        return self.parts or [(place, place + 1, slot) for place, slot in enumerate(self.slots, self.first)]


class Totals:
    """Bytes by counter and step of a range of time.

    Attributes:
        first, last: the range, widened to whole steps.
        tier: of the pages that hold what the step is made of.
    """

    def __init__(self, start: int, end: int, step: str, zone: tzinfo) -> None:
        self.tier = _FINE.get(step, DAY)
        self._step = step
        self._zone = zone
        self.first, _ = span_of(start, step, zone)
        _, self.last = span_of(max(start, end - 1), step, zone)
        self._length = _FINE.get(step)
        self._offsets: dict[int, int | None] = {}
        self._slots: dict[int, int] = {}
        self._ends: dict[int, int] = {}
        self._sums: dict[str, dict[int, int]] = {}
        self._flags: dict[str, dict[int, int]] = {}
        self._long: dict[str, dict[int, int]] = {}
        self._laid: dict[tuple[int, int, tuple[int, bytes]], _Laid] = {}
        self._covered: dict[str, int] = {}

    def slot(self, at: int) -> int:
        """Returns the start of the step that a moment lies in."""
        found = self._slots.get(at)
        if found is None:
            start, end = self._span(at)
            found = self._slots[at] = start
            self._ends[start] = end
        return found

    def _span(self, at: int) -> tuple[int, int]:
        offset = self._steady(at, at)
        if self._length is None or offset is None:
            return span_of(at, self._step, self._zone)
        start = (at + offset) // self._length * self._length - offset
        return start, start + self._length

    def _steady(self, first: int, last: int) -> int | None:
        """Returns the zone's offset if it is the same from one moment to another, else None."""
        found: set[int | None] = set()
        for day in range(first // DAY, last // DAY + 1):
            if day not in self._offsets:
                begin, end = (self._offset(moment) for moment in (day * DAY, (day + 1) * DAY))
                self._offsets[day] = begin if begin == end else None
            found.add(self._offsets[day])
        return found.pop() if len(found) == 1 else None

    def _offset(self, moment: int) -> int:
        offset = datetime.fromtimestamp(moment / 1000, self._zone).utcoffset()
        return int(offset.total_seconds() * 1000) if offset else 0

    def add(self, key: str, start: int, length: int, size: int, flags: int) -> None:
        """Adds one bucket, if it begins within the range."""
        if not self.first <= start < self.last:
            return
        slot = self.slot(start)
        sums = self._sums.setdefault(key, {})
        sums[slot] = sums.get(slot, 0) + size
        if flags:
            self._mark(key, slot, flags)
        if start + length > self._ends[slot]:
            self._reach(key, slot, start + length)

    def _mark(self, key: str, slot: int, flags: int) -> None:
        marks = self._flags.setdefault(key, {})
        marks[slot] = marks.get(slot, 0) | flags

    def _reach(self, key: str, slot: int, end: int) -> None:
        ends = self._long.setdefault(key, {})
        ends[slot] = max(ends.get(slot, 0), end)

    def add_sum(self, key: str, slot: int, end: int, size: int) -> None:
        """Adds bytes of one step, known up to `end`."""
        sums = self._sums.setdefault(key, {})
        sums[slot] = sums.get(slot, 0) + size
        if end > self._ends[slot]:
            self._reach(key, slot, end)

    def end(self, slot: int) -> int:
        """Returns the end of a step that `slot` gave."""
        return self._ends[slot]

    def add_page(self, key: str, tier: int, page: Page, low: int, high: int) -> None:
        """Adds the buckets of a page that begin from `low` to before `high`, and not within a longer one added before.

        `low` must be the same for all pages of a tier, and `high` too.
        """
        low = max(low, self._covered.get(key, low))
        laid = self._laid.get((tier, low, page.times))
        if laid is None:
            laid = self._laid[tier, low, page.times] = self._lay(page, tier, low, high)
        if laid.first == laid.end:
            return
        sizes, marks = page.values()
        sums = self._sums.setdefault(key, {})
        # Pages come in order: what is there mostly lies before.
        if laid.slots and (not sums or next(reversed(sums)) < laid.slots[0] or sums.keys().isdisjoint(laid.slots)):
            sums.update(zip(laid.slots, sizes[laid.first : laid.end], strict=True))
        else:
            for first, end, slot in laid.each():
                sums[slot] = sums.get(slot, 0) + sum(sizes[first:end])
        if marks is not None:
            for first, end, slot in laid.each():
                for mark in set(marks[first:end]):
                    if mark:
                        self._mark(key, slot, flags_of(mark))
        for slot, reach in laid.long:
            self._reach(key, slot, reach)
        if laid.until > high:
            self._covered[key] = laid.until

    def _lay(self, page: Page, tier: int, low: int, high: int) -> _Laid:
        starts, lengths = page.buckets()
        first, end = bisect_left(starts, low), bisect_left(starts, high)
        part, lengths = starts[first:end], lengths[first:end]
        offset = self._steady(part[0], part[-1]) if part else None
        if offset is not None and self._length is not None:
            step = self._length
            slots = [start - (start + offset) % step for start in part]
            self._ends.update([(slot, slot + step) for slot in slots])
        else:
            slots = [self.slot(start) for start in part]
        ends = self._ends
        longest = max(lengths, default=0)
        long: list[tuple[int, int]] = []
        if longest > min(tier, self._length or tier) or slots != part:
            long = [
                (slot, start + length)
                for slot, start, length in zip(slots, part, lengths, strict=True)
                if start + length > ends[slot]
            ]
        until = low
        if part and part[-1] + longest > high:
            natural = [start + length for start, length in zip(part, lengths, strict=True) if length <= tier + HOUR]
            until = max(natural, default=low)
        parts: list[tuple[int, int, int]] = []
        if len(set(slots)) < len(slots):
            begin = 0
            for position in range(1, len(slots) + 1):
                if position == len(slots) or slots[position] != slots[begin]:
                    parts.append((first + begin, first + position, slots[begin]))
                    begin = position
            slots = []
        return _Laid(first, end, slots, parts, long, until)

    def usages(self, host: str) -> list[Usage]:
        """Returns the steps in which there is anything, by start and key."""
        ends = self._ends
        found: dict[int, list[Usage]] = {slot: [] for slot in sorted(ends)}
        places = {slot: (held.append, ends[slot]) for slot, held in found.items()}
        for key in sorted(self._sums):
            sums = self._sums[key]
            for slot, size in sums.items():
                put, end = places[slot]
                put(Usage(host=host, key=key, start=slot, end=end, bytes=size))
            marks, long = self._flags.get(key, {}), self._long.get(key, {})
            more = {slot for slot, size in sums.items() if size >= MOST} if max(sums.values()) >= MOST else set()
            for slot in more.union(marks, long):
                flags = marks.get(slot, 0)
                found[slot][-1] = Usage(
                    host=host,
                    key=key,
                    start=slot,
                    end=long.get(slot, ends[slot]),
                    bytes=min(sums[slot], MOST - 1),
                    at_least=flags & AT_LEAST != 0,
                    estimated=flags & ESTIMATED != 0,
                )
        return [each for held in found.values() for each in held]


def add_kept(
    connection: sqlite3.Connection,
    host: int,
    totals: Totals,
    wanted: Collection[str],
    check: Callable[[], None],
    *,
    own: bool = False,
) -> None:
    """Adds all that is kept of sealed blocks, and what others counted before.

    Args:
        wanted: series; all where there are none.
        check: is called now and then.
        own: without what others counted.
    """
    version = version_of(connection)
    if version < PAGED:
        # No recorder has brought the file up to date yet.
        rows = connection.execute(
            "SELECT key, start, length, bytes, flags FROM usage WHERE host = ? AND start >= ? AND start < ?",
            (host, totals.first, totals.last),
        )
        _add_rows(totals, rows, wanted)
    else:
        names = _names(connection, host, wanted)
        for tier, low, high in _levels(connection, totals):
            _add_pages(connection, totals, names, tier, low, high, check)
        _add_blocks(connection, host, totals, names, check, whole=not wanted)
    if version >= PAGED - 1 and not own:
        past = connection.execute(
            "SELECT key, start, length, bytes, flags FROM past WHERE host = ? AND start >= ? AND start < ?",
            (host, totals.first, totals.last),
        )
        _add_rows(totals, past, wanted)


def _add_rows(totals: Totals, rows: sqlite3.Cursor, wanted: Collection[str]) -> None:
    for key, start, length, size, flags in rows:
        if not wanted or key in wanted:
            totals.add(key, start, length, size, flags)


def _names(connection: sqlite3.Connection, host: int, wanted: Collection[str]) -> dict[int, str]:
    if not wanted:
        return dict(connection.execute("SELECT id, key FROM counter WHERE host = ?", (host,)))
    return dict(
        connection.execute(
            "SELECT c.id, c.key FROM json_each(?) AS k JOIN counter AS c ON c.host = ? AND c.key = k.value",
            (json.dumps(sorted(wanted)), host),
        )
    )


def _levels(connection: sqlite3.Connection, totals: Totals) -> Iterator[tuple[int, int, int]]:
    """Yields (tier, from, until) of the pages to read, the oldest first: the tier of the step, and for what it does not
    reach back to the coarser ones.
    """
    found = []
    high = totals.last
    for tier in [tier for tier in (BUCKET, HOUR, DAY) if tier >= totals.tier]:
        low = max(totals.first, kept_since(connection, tier))
        if low < high:
            found.append((tier, low, high))
            high = low
    yield from reversed(found)


def _add_pages(
    connection: sqlite3.Connection,
    totals: Totals,
    names: dict[int, str],
    tier: int,
    low: int,
    high: int,
    check: Callable[[], None],
) -> None:
    oldest, newest = connection.execute(
        "SELECT (SELECT min(page) FROM usage_page WHERE tier = ?1), (SELECT max(page) FROM usage_page WHERE tier = ?1)",
        (tier,),
    ).fetchone()
    if oldest is None:
        return
    length = PAGES[tier]
    pages = list(range(max(oldest, low // length), min(newest, (high - 1) // length) + 1))
    for count, (counter, data) in enumerate(
        connection.execute(
            "SELECT p.counter, p.data FROM json_each(?) AS g CROSS JOIN json_each(?) AS c CROSS JOIN usage_page AS p"
            " ON p.tier = ? AND p.page = g.value AND p.counter = c.value",
            (json.dumps(pages), json.dumps(list(names)), tier),
        )
    ):
        if count % _CHECK == 0:
            check()
        totals.add_page(names[counter], tier, Page(data), low, high)


def _add_blocks(
    connection: sqlite3.Connection,
    host: int,
    totals: Totals,
    names: dict[int, str],
    check: Callable[[], None],
    *,
    whole: bool,
) -> None:
    """Adds what is not in pages yet; the tables of blocks with the same counters are added up together. `whole`: all
    counters are wanted.
    """
    sums: dict[tuple[int, ...], dict[tuple[int, int], list[int]]] = {}
    for count, (data,) in enumerate(
        connection.execute(
            "SELECT data FROM usage_block WHERE host = ? AND folded = 0 AND high > ? AND low < ?",
            (host, totals.first, totals.last),
        )
    ):
        if count % _CHECK == 0:
            check()
        added = decode_added(data, None if whole else names)
        rest = added.listed
        if added.flags is None:
            _add_table(sums.setdefault(added.counters, {}), totals, added)
        else:
            rest = list(added.each())
        for each in rest:
            if each.counter in names:
                totals.add(names[each.counter], each.start, each.length, each.bytes, each.flags)
    for counters, columns in sums.items():
        chosen = [(position, names[counter]) for position, counter in enumerate(counters) if counter in names]
        for (slot, end), sizes in columns.items():
            for position, key in chosen:
                if sizes[position]:
                    totals.add_sum(key, slot, end, sizes[position])


def _add_table(columns: dict[tuple[int, int], list[int]], totals: Totals, added: Added) -> None:
    """Adds a block's table to the sums of its counters: (step's start, known until) -> bytes, a value per counter."""
    rows = len(added.counters)
    for column, (start, length) in enumerate(added.buckets):
        if totals.first <= start < totals.last:
            slot = totals.slot(start)
            place = slot, max(start + length, totals.end(slot))
            part = added.sizes[column * rows : (column + 1) * rows]
            columns[place] = list(map(add, columns[place], part)) if place in columns else part
