"""Aged usage: pages of one counter's five minutes, hours and days, and how what blocks added comes into them.

What a sealed block adds is a row of its own, which sealing it again replaces. Once it is some hours old it is folded
into pages, together with its neighbours and in one transaction; where a late frame changes it after that, the pages
take the difference. A row whose block was removed before is kept (run 0) until it is folded.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from store.schema import BLOCK, BUCKET
from store.usage import AT_LEAST, ESTIMATED, MOST
from store.usagecodec import Bucket, Page, decode_added, encode_added, encode_page
from sysmon.records import HostInfo
from sysmon.zones import span_of, zone_of

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Iterator, Mapping
    from datetime import tzinfo

    from store.usage import Contribution

HOUR = 3_600_000
DAY = 24 * HOUR

STEPS = {BUCKET: "fiveminute", HOUR: "hour", DAY: "day"}
"""Tier (milliseconds of what it holds, nearly) -> step of usage."""

PAGES = {BUCKET: DAY // 2, HOUR: 7 * DAY, DAY: 160 * DAY}
"""Tier -> milliseconds that one page reaches over: small enough to be written anew, large enough to be packed well."""

FOLD = 6 * HOUR
"""Milliseconds after which, and in whose multiples, blocks are folded."""

KEPT_FINE = 40 * DAY
"""Milliseconds for which five minutes are kept: a month and what it takes to bill it."""
LEAST_FINE, LEAST_HOURS = 3 * DAY, 400 * DAY
"""Milliseconds for which five minutes and hours are kept even where the file is over its budget."""

_AT_ONCE = 128
"""Counters folded in one step."""

_ESTIMATED = 1 << 20

Change = tuple[int, int]
"""Bytes, and how many say "at least" and (from bit 20 on) "estimated": counted, so that they can be taken back."""

Changes = dict[int, dict[Bucket, Change]]
"""Counter -> bucket -> what it grows by; or falls."""


def marks_of(flags: int) -> int:
    """Returns a bucket's flags as marks, which add up."""
    return (flags & AT_LEAST != 0) + (_ESTIMATED if flags & ESTIMATED else 0)


def flags_of(marks: int) -> int:
    """Returns the flags that marks stand for."""
    return (AT_LEAST if marks % _ESTIMATED else 0) | (ESTIMATED if marks >= _ESTIMATED else 0)


def host_info(connection: sqlite3.Connection, host: int) -> HostInfo | None:
    """Returns what is known of a host, None where nothing is."""
    row = connection.execute("SELECT info FROM host WHERE id = ?", (host,)).fetchone()
    return msgspec.msgpack.decode(row[0], type=HostInfo) if row and row[0] else None


def timezone_of(connection: sqlite3.Connection, host: int) -> str:
    """Returns the name of a host's time zone, '' where it is not known."""
    info = host_info(connection, host)
    return info.timezone if info is not None else ""


def counter_numbers(connection: sqlite3.Connection, host: int, keys: Iterable[str]) -> dict[str, int]:
    """Returns the numbers of counters, giving out those that are missing."""
    wanted = set(keys)
    connection.executemany("INSERT OR IGNORE INTO counter(host, key) VALUES (?, ?)", [(host, key) for key in wanted])
    found = {}
    for key in wanted:
        row = connection.execute("SELECT id FROM counter WHERE host = ? AND key = ?", (host, key)).fetchone()
        found[key] = row[0]
    return found


def put_added(connection: sqlite3.Connection, host: int, run: int, block: int, added: Iterable[Contribution]) -> None:
    """Replaces what a block adds; within the caller's transaction."""
    found = list(added)
    numbers = counter_numbers(connection, host, (each.key for each in found)) if found else {}
    entries: dict[Bucket, dict[int, tuple[int, int]]] = {}
    for each in found:
        entries.setdefault((each.start, each.length), {})[numbers[each.key]] = (each.bytes, each.flags)
    folded = 0
    for number, data, was in connection.execute(
        "SELECT id, data, folded FROM usage_block WHERE run = ? AND block = ?", (run, block)
    ).fetchall():
        connection.execute("DELETE FROM usage_block WHERE id = ?", (number,))
        if was:
            folded = 1
            changes: Changes = {}
            for old in decode_added(data).each():
                changes.setdefault(old.counter, {})[old.start, old.length] = (-old.bytes, -marks_of(old.flags))
            for bucket, held in entries.items():
                for counter, (size, flags) in held.items():
                    before = changes.setdefault(counter, {}).get(bucket, (0, 0))
                    changes[counter][bucket] = (before[0] + size, before[1] + marks_of(flags))
            pages = Pages(connection, host)
            for counter, change in changes.items():
                pages.take(counter, {bucket: each for bucket, each in change.items() if any(each)})
            pages.write()
    if entries:
        connection.execute(
            "INSERT INTO usage_block(host, run, block, folded, low, high, data) VALUES (?, ?, ?, ?, ?, ?, ?)",
            (
                host,
                run,
                block,
                folded,
                min(start for start, _ in entries),
                max(start + length for start, length in entries),
                encode_added(entries),
            ),
        )


def let_go(connection: sqlite3.Connection, run: int, block: int) -> None:
    """Makes what a block adds final, as its readings are removed; within the caller's transaction."""
    connection.execute("DELETE FROM usage_block WHERE run = ? AND block = ? AND folded = 1", (run, block))
    connection.execute("UPDATE usage_block SET run = 0 WHERE run = ? AND block = ?", (run, block))


def kept_since(connection: sqlite3.Connection, tier: int) -> int:
    """Returns the time from which on a tier is whole; what lies before is known by the coarser ones."""
    row = connection.execute("SELECT value FROM note WHERE key = ?", (f"usage.{tier}",)).fetchone()
    return int(row[0]) if row else -MOST


class Pages:
    """Pages of one host's counters that are being changed; written all at once."""

    def __init__(self, connection: sqlite3.Connection, host: int) -> None:
        self._connection = connection
        self._zone: tzinfo = zone_of(timezone_of(connection, host))
        self._since = {tier: kept_since(connection, tier) for tier in STEPS}
        self._spans: dict[tuple[int, int], Bucket] = {}
        self._changed: dict[int, list[tuple[int, int, int, bytes]]] = {tier: [] for tier in STEPS}
        self._emptied: list[tuple[int, int, int]] = []

    def take(self, counter: int, changes: Mapping[Bucket, Change]) -> None:
        """Adds changes to a counter's pages; once per counter."""
        for tier in STEPS:
            pages: dict[int, dict[Bucket, Change]] = {}
            for bucket, change in changes.items():
                span = self._span(tier, bucket)
                if span[0] >= self._since[tier]:
                    _grow(pages.setdefault(span[0] // PAGES[tier], {}), span, change)
            for page, entries in pages.items():
                self._merge(counter, tier, page, entries)

    def _span(self, tier: int, bucket: Bucket) -> Bucket:
        """Returns the bucket of a tier that one belongs to: itself where it is longer."""
        found = self._spans.get((tier, bucket[0])) if bucket[1] == BUCKET else None
        if found is None:
            start, end = bucket[0], bucket[0] + bucket[1]
            if tier > BUCKET:
                start, end = span_of(bucket[0], STEPS[tier], self._zone)
            found = (start, end - start) if end - start > bucket[1] else bucket
            if bucket[1] == BUCKET:
                self._spans[tier, bucket[0]] = found
        return found

    def _merge(self, counter: int, tier: int, page: int, entries: dict[Bucket, Change]) -> None:
        row = self._connection.execute(
            "SELECT data FROM usage_page WHERE tier = ? AND page = ? AND counter = ?", (tier, page, counter)
        ).fetchone()
        if row is not None:
            held = Page(row[0])
            sizes, marks = held.values()
            for index, bucket in enumerate(zip(*held.buckets(), strict=True)):
                _grow(entries, bucket, (sizes[index], marks[index] if marks is not None else 0))
        left = sorted((bucket, change) for bucket, change in entries.items() if change[0] > 0 or change[1] > 0)
        if left:
            data = encode_page(
                [start for (start, _), _ in left],
                [length for (_, length), _ in left],
                [min(max(size, 0), MOST - 1) for _, (size, _) in left],
                [max(marks, 0) for _, (_, marks) in left],
            )
            self._changed[tier].append((tier, page, counter, data))
        elif row is not None:
            self._emptied.append((tier, page, counter))

    def write(self) -> None:
        """Writes what changed, within the caller's transaction."""
        self._connection.executemany(
            "DELETE FROM usage_page WHERE tier = ? AND page = ? AND counter = ?", self._emptied
        )
        for changed in self._changed.values():
            # New rows lie at the end, those of one page together: once replaced they leave no gaps among others.
            self._connection.executemany(
                "INSERT OR REPLACE INTO usage_page(tier, page, counter, data) VALUES (?, ?, ?, ?)", sorted(changed)
            )


def _grow(entries: dict[Bucket, Change], bucket: Bucket, change: Change) -> None:
    known = entries.get(bucket)
    entries[bucket] = change if known is None else (known[0] + change[0], known[1] + change[1])


def fold(connection: sqlite3.Connection, host: int, now: int) -> Iterator[None]:
    """Folds what a host's blocks added into pages, where it is old enough."""
    before = (now - FOLD) // FOLD * FOLD // BLOCK
    rows = connection.execute(
        "SELECT id FROM usage_block WHERE host = ? AND folded = 0 AND block < ? ORDER BY block LIMIT 144",
        (host, before),
    ).fetchall()
    while rows:
        pages = Pages(connection, host)
        done = 0
        while True:
            changes, more = _gather(connection, [number for (number,) in rows], done)
            yield
            for count, (counter, change) in enumerate(changes.items()):
                pages.take(counter, change)
                if count % 8 == 7:
                    yield
            done = max(changes, default=done)
            if not more:
                break
        connection.execute("BEGIN IMMEDIATE")
        pages.write()
        connection.executemany("UPDATE usage_block SET folded = 1 WHERE id = ?", rows)
        connection.executemany("DELETE FROM usage_block WHERE id = ? AND run = 0", rows)
        connection.execute("COMMIT")
        yield
        rows = connection.execute(
            "SELECT id FROM usage_block WHERE host = ? AND folded = 0 AND block < ? ORDER BY block LIMIT 144",
            (host, before),
        ).fetchall()


def _gather(connection: sqlite3.Connection, rows: list[int], after: int) -> tuple[Changes, bool]:
    """Returns what some rows add to the next few counters, and whether there are more of them."""
    found: Changes = {}
    for number in rows:
        (data,) = connection.execute("SELECT data FROM usage_block WHERE id = ?", (number,)).fetchone()
        for each in decode_added(data).each():
            if each.counter > after:
                held = found.setdefault(each.counter, {})
                _grow(held, (each.start, each.length), (each.bytes, marks_of(each.flags)))
        if len(found) > 4 * _AT_ONCE:
            # What is dropped comes with a later step: those kept are more than this one takes.
            found = {counter: found[counter] for counter in sorted(found)[: 2 * _AT_ONCE]}
    chosen = sorted(found)
    return {counter: found[counter] for counter in chosen[:_AT_ONCE]}, len(chosen) > _AT_ONCE


def expire(connection: sqlite3.Connection, now: int) -> Iterator[None]:
    """Removes five minutes that are too old."""
    yield from drop(connection, BUCKET, (now - KEPT_FINE) // PAGES[BUCKET])


def dispensable(connection: sqlite3.Connection, now: int) -> Iterator[None] | None:
    """Returns the steps that remove the oldest page of five minutes or else of hours, None where all must stay."""
    for tier, least in ((BUCKET, LEAST_FINE), (HOUR, LEAST_HOURS)):
        oldest = connection.execute("SELECT min(page) FROM usage_page WHERE tier = ?", (tier,)).fetchone()[0]
        if oldest is not None and (oldest + 1) * PAGES[tier] < now - least:
            return drop(connection, tier, oldest + 1)
    return None


def drop(connection: sqlite3.Connection, tier: int, below: int) -> Iterator[None]:
    """Removes a tier's pages below one; from then on coarser ones stand for them."""
    oldest = connection.execute("SELECT min(page) FROM usage_page WHERE tier = ?", (tier,)).fetchone()[0]
    if oldest is None or oldest >= below:
        return
    since = max(kept_since(connection, tier), below * PAGES[tier])
    # First, so that a reader never takes what is left of them for all.
    connection.execute("INSERT OR REPLACE INTO note(key, value) VALUES (?, ?)", (f"usage.{tier}", since))
    while True:
        done = connection.execute(
            "DELETE FROM usage_page WHERE id IN (SELECT id FROM usage_page WHERE tier = ? AND page < ? LIMIT 256)",
            (tier, below),
        )
        if not done.rowcount:
            return
        yield
