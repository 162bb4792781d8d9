"""What others counted of a host before it was watched here, kept as far as this history lacks it.

Of each lack the source that covered it first tells; another one adds nothing there. What is missing is what that
source counted in all its pieces that touch the lack, less what is known here of the same time; so nothing counts twice,
however coarse the pieces are. A lack that ended well before the time that the source had counted to is settled: what it
forgets later changes nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec

from store.codec import compress, decompress
from store.gaps import gaps as gaps_of
from store.lacks import EVER, Lack, first_reads, reboots
from store.told import EARLIEST, Group, Piece, Taken, Told, choices, groups, overlap, usable, widened
from store.usage import ESTIMATED
from sysmon.frame import clean_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from store.access import Access
    from store.views import View
    from sysmon.catalogue import Catalogue
    from sysmon.records import Past, Span

MOST_GAPS: Final = 62
"""Gaps of the time from which no readings are held that are filled at most: the latest."""
_MAX_SOURCE = 64
_FIVE = 300_000
_DAY = 86_400_000
_AROUND = 31 * _DAY
_LONGEST = 90_000_000
"""Milliseconds of a day on which clocks are set back."""


class Known(NamedTuple):
    """Bytes that this history knows of itself. `at_least`: a counter began anew there."""

    start: int
    end: int
    bytes: int
    at_least: bool


class Row(NamedTuple):
    """What is added to usage: a row of the table `past`."""

    start: int
    length: int
    bytes: int
    flags: int
    source: str


_PIECES = msgspec.msgpack.Decoder(list[Piece])


class PastKeeper:
    """Keeps what others counted of one host, in the caller's transaction.

    Args:
        view: answers on the writer's own connection.
        access: look-ups on it.
        number, host: of the host: its number and id.
    """

    def __init__(self, view: View, access: Access, number: int, host: str) -> None:
        self._view = view
        self._access = access
        self._connection = access.connection
        self._number = number
        self._host = host
        self._keys: list[str] = []
        self._told: dict[tuple[int, int, str], dict[str, list[Known]]] = {}
        self._days: dict[str, list[Known]] = {}
        self._begun = self._now = 0
        self._seen: dict[tuple[int, int], list[Span]] = {}

    def keep(self, past: Past, catalogue: Catalogue, now: int) -> None:
        """Takes what a source told.

        Args:
            past: its `time` is no later than `now`, or taken as that.
            catalogue: of the host.
            now: Unix milliseconds.
        """
        given = usable(past.pieces, catalogue, now)
        if not given:
            return
        source, time = clean_text(past.source, _MAX_SOURCE), min(past.time, now)
        stored = self._stored(given)
        firsts = self._firsts(given, stored, now)
        spans = self._view.spans(self._host)
        since = min((span.start for span in spans), default=EVER)
        gaps = reboots(self._access, self._number, spans)
        before = self._gaps_before(firsts, min(since, now))
        self._begun, self._now = min(firsts.values(), default=now), now
        self._keys = sorted(given)
        for key, pieces in given.items():
            first = firsts.get(key, EVER)
            metric = catalogue.of_key(key)
            told = metric is None or metric.lifetime == "boot"
            both = [*before.get(key, ()), *gaps]
            lacks = [Lack(0, first), *(gap for gap in both if told and gap.start >= first)]
            self._take(key, pieces, source, time, lacks, stored.get(key, []), since)

    def _take(
        self,
        key: str,
        pieces: list[Piece],
        source: str,
        time: int,
        lacks: Sequence[Lack],
        stored: Sequence[Taken],
        since: int,
    ) -> None:
        """Takes one series. `since`: nothing tells what was lacked before it but what is stored."""
        live = [each for each in stored if each.lack.start == 0 or each.lack.start >= since]
        kept, fresh = choices(lacks, live, Told(source, time, pieces))
        gone = [each for each in live if all(each is not made for made in kept)]
        if not fresh and not gone:
            return
        for each in gone:
            if all(each.lack.start != made.lack.start for made in fresh):
                self._connection.execute(
                    "DELETE FROM past_lack WHERE host = ? AND key = ? AND start = ?",
                    (self._number, key, each.lack.start),
                )
        for made in fresh:
            if made not in gone:
                self._connection.execute(
                    "INSERT OR REPLACE INTO past_lack(host, key, start, until, source, time, pieces)"
                    " VALUES (?, ?, ?, ?, ?, ?, ?)",
                    (
                        self._number,
                        key,
                        *made.lack,
                        made.source,
                        made.time,
                        compress(msgspec.msgpack.encode(made.pieces)),
                    ),
                )
        self._put(key, fresh, [each.lack for each in (*gone, *fresh)], Told(source, time, pieces))

    def _put(self, key: str, fresh: Sequence[Taken], replaced: Sequence[Lack], told: Told) -> None:
        """Writes what is missing in some lacks, in place of what was written there before."""
        rows = [
            Row(*each)
            for each in self._connection.execute(
                "SELECT start, length, bytes, flags, source FROM past WHERE host = ? AND key = ?", (self._number, key)
            )
        ]
        before = {row for row in rows if any(lack.start <= row.start < lack.end for lack in replaced)}
        others = [row for row in rows if row not in before]
        after: set[Row] = set()
        for group in groups(fresh):
            made = self._missing(key, group, others, told.pieces if told.source == group.source else ())
            after.update(made)
            others += made
        self._connection.executemany(
            "DELETE FROM past WHERE host = ? AND key = ? AND start = ?",
            [(self._number, key, row.start) for row in before - after],
        )
        self._connection.executemany(
            "INSERT OR REPLACE INTO past(host, key, start, length, bytes, flags, source) VALUES (?, ?, ?, ?, ?, ?, ?)",
            [(self._number, key, *row) for row in sorted(after - before)],
        )

    def _missing(self, key: str, group: Group, others: Iterable[Row], beside: Sequence[Piece]) -> list[Row]:
        """Returns what a group of pieces tells beyond what is known.

        `beside`: all that its source told now, to compare more than the group where that begins or ends in a gap.
        """
        if group.whole:
            return [Row(each.start, each.end - each.start, each.bytes, 0, group.source) for each in group.pieces]
        # Ours of a gap is spread over it: where theirs begins and ends in there tells nothing.
        gaps = [lack for lack in group.lacks if lack.start]
        start = min([each.start for each in group.pieces] + [lack.start for lack in gaps])
        end = max([each.end for each in group.pieces] + [lack.end for lack in gaps])
        told = sum(each.bytes for each in group.pieces)
        start, end, more = widened(start, end, self._holes(start, end), beside)
        whole = told + more
        known = sum(each.bytes for each in self._own(key, start, end))
        known += sum(row.bytes for row in others if row.start < end and row.start + row.length > start)
        left = min(told, max(0, whole - known))
        made: dict[int, Row] = {}
        before = given = 0
        for piece in sorted(group.pieces):
            before += piece.bytes
            share = left * before // told - given
            given += share
            parts = [overlap(piece, lack) for lack in group.lacks]
            length, reached, placed = sum(later - first for first, later in parts), 0, 0
            for first, later in parts:
                if first < later:
                    reached += later - first
                    size = share * reached // length - placed
                    placed += size
                    if size:
                        flags = ESTIMATED if size != piece.bytes else 0
                        made[first] = Row(first, later - first, size, flags, group.source)
        return list(made.values())

    def _holes(self, start: int, end: int) -> list[Span]:
        """Returns the gaps around a stretch of time."""
        known = self._seen.get((start, end))
        if known is None:
            low, high = max(self._begun, start - _AROUND), min(self._now, end + _AROUND)
            known = gaps_of(self._access, self._number, low, high) if low < high else []
            self._seen[start, end] = known
        return known

    def _own(self, key: str, start: int, end: int) -> list[Known]:
        """Returns this history's own usage that lies in a stretch of time, partly or wholly."""
        found = self._usage(max(0, start - _LONGEST), end, "fiveminute").get(key, [])
        return [each for each in found if each.start < end and each.end > start]

    def _usage(self, start: int, end: int, step: str) -> dict[str, list[Known]]:
        """Returns own usage of all series in question."""
        known = self._told.get((start, end, step))
        if known is None:
            known = self._told[start, end, step] = {}
            for each in self._view.usage(self._host, start, end, step, self._keys, own=True):
                made = Known(each.start, each.end, each.bytes, each.at_least)
                known.setdefault(each.key, []).append(made)
        return known

    def _firsts(self, given: dict[str, list[Piece]], stored: dict[str, list[Taken]], now: int) -> dict[str, int]:
        """Returns when series were first read here; those never read are missing."""
        found = {
            key: each.lack.end
            for key, many in stored.items()
            for each in many
            if each.lack.start == 0 and each.lack.end != EVER
        }
        trimmed = {key for (key,) in self._connection.execute("SELECT key FROM floor WHERE host = ?", (self._number,))}
        self._keys = sorted(key for key in given if key in trimmed and key not in found)
        if self._keys:
            self._days = days = self._usage(EARLIEST, now + _DAY, "day")
            earliest = {key: min(days[key])[:2] for key in self._keys if key in days}
            for first, end in set(earliest.values()):
                fine = self._usage(first, end, "fiveminute")
                for key, day in earliest.items():
                    if day == (first, end) and key in fine:
                        found[key] = min(fine[key]).start
            self._told.clear()
        found.update(first_reads(self._access, self._number, given, found))
        return found

    def _gaps_before(self, firsts: dict[str, int], since: int) -> dict[str, list[Lack]]:
        """Returns the gaps from which no readings are held, of series of which nothing was taken so far.

        Nothing tells boots apart there; that a counter began anew, on the day of a gap, does.
        """
        days = {key: [day for day in days if day.at_least] for key, days in self._days.items() if key in firsts}
        if not days:
            return {}
        held = gaps_of(self._access, self._number, min(firsts[key] for key in days), since)[-MOST_GAPS:]
        return {
            key: [
                Lack(gap.start, gap.end)
                for gap in held
                if any(day.start <= gap.end + _FIVE and day.end > gap.start for day in anew)
            ]
            for key, anew in days.items()
        }

    def _stored(self, keys: Iterable[str]) -> dict[str, list[Taken]]:
        found: dict[str, list[Taken]] = {}
        for key in keys:
            for start, until, source, time, pieces in self._connection.execute(
                "SELECT start, until, source, time, pieces FROM past_lack WHERE host = ? AND key = ? ORDER BY start",
                (self._number, key),
            ):
                made = Taken(Lack(start, until), source, time, _PIECES.decode(decompress(pieces)))
                found.setdefault(key, []).append(made)
        return found
