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
from store.lacks import EVER, Lack, first_reads, reboots
from store.usage import ESTIMATED, accounted
from sysmon.frame import clean_instance, join_key, split_key

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from store.access import Access
    from store.views import View
    from sysmon.catalogue import Catalogue
    from sysmon.records import Past, UsagePiece

SETTLED: Final = 900_000
"""Milliseconds after its end after which a source has counted all of a stretch of time."""
MOST_PIECES: Final = 100_000
"""Pieces taken at once at most."""
MOST_KEYS: Final = 2_000
"""Series taken at once at most."""
MOST_BYTES: Final = 1 << 62
"""Bytes of a piece, and of all pieces of a series, below this."""
EARLIEST: Final = 631_152_000_000
"""The year 1990: nobody kept such counts before."""
AHEAD: Final = 86_400_000
"""Milliseconds by which a running bucket may end in the future."""
_MAX_SOURCE = 64
_DAY = 86_400_000


class Piece(NamedTuple):
    """Bytes of one series in one stretch of time."""

    start: int
    end: int
    bytes: int


class Row(NamedTuple):
    """What is added to usage: a row of the table `past`."""

    start: int
    length: int
    bytes: int
    flags: int
    source: str


class Taken(NamedTuple):
    """What was taken for one lack of a series: the source's pieces that touch it. `time`: up to when it had counted."""

    lack: Lack
    source: str
    time: int
    pieces: list[Piece]

    @property
    def settled(self) -> bool:
        """Whether its source has nothing to add."""
        return self.lack.end + SETTLED < self.time


_PIECES = msgspec.msgpack.Decoder(list[Piece])


def usable(pieces: Iterable[UsagePiece], catalogue: Catalogue, now: int) -> dict[str, list[Piece]]:
    """Returns series -> pieces in order, without what cannot be true or counts twice, and those without bytes."""
    found: dict[str, list[Piece]] = {}
    for number, piece in enumerate(pieces):
        if number >= MOST_PIECES:
            break
        if 0 < piece.bytes < MOST_BYTES and EARLIEST <= piece.start < piece.end <= now + AHEAD:
            metric, instance = split_key(piece.key)
            key = join_key(metric, clean_instance(instance))
            if key in found or len(found) < MOST_KEYS:
                found.setdefault(key, []).append(Piece(piece.start, piece.end, piece.bytes))
    kept: dict[str, list[Piece]] = {}
    for key in accounted(found, catalogue):
        reached, total = 0, 0
        for each in sorted(found[key]):
            if each.start >= reached and total + each.bytes < MOST_BYTES:
                kept.setdefault(key, []).append(each)
                reached, total = each.end, total + each.bytes
    return kept


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
        self._told: dict[tuple[int, int, str], dict[str, list[Piece]]] = {}

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
        source, time = past.source[:_MAX_SOURCE], min(past.time, now)
        stored = self._stored(given)
        firsts = self._firsts(given, stored, now)
        spans = self._view.spans(self._host)
        since = min((span.start for span in spans), default=EVER)
        gaps = reboots(self._access, self._number, spans)
        self._keys = sorted(given)
        for key, pieces in given.items():
            first = firsts.get(key, EVER)
            metric = catalogue.of_key(key)
            told = metric is None or metric.lifetime == "boot"
            lacks = [Lack(0, first), *(gap for gap in gaps if told and gap.start >= first)]
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
        taken = [(old, made) for lack in lacks for old, made in [_choose(lack, live, source, time, pieces)] if made]
        kept = [made for old, made in taken if old is made]
        fresh = [made for old, made in taken if old is not made]
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
        self._put(key, fresh, [each.lack for each in (*gone, *fresh)])

    def _put(self, key: str, fresh: Sequence[Taken], replaced: Sequence[Lack]) -> None:
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
        for group in _groups(fresh):
            made = self._missing(key, group, others)
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

    def _missing(self, key: str, group: _Group, others: Iterable[Row]) -> list[Row]:
        """Returns what a group of pieces tells beyond what is known."""
        if group.whole:
            return [Row(each.start, each.end - each.start, each.bytes, 0, group.source) for each in group.pieces]
        # Ours of a gap is spread over it: where theirs begins and ends in there tells nothing.
        gaps = [lack for lack in group.lacks if lack.start]
        start = min([each.start for each in group.pieces] + [lack.start for lack in gaps])
        end = max([each.end for each in group.pieces] + [lack.end for lack in gaps])
        told = sum(each.bytes for each in group.pieces)
        known = sum(each.bytes for each in self._own(key, start, end))
        known += sum(row.bytes for row in others if row.start < end and row.start + row.length > start)
        left = max(0, told - known)
        made: dict[int, Row] = {}
        before = given = 0
        for piece in sorted(group.pieces):
            before += piece.bytes
            share = left * before // told - given
            given += share
            parts = [_overlap(piece, lack) for lack in group.lacks]
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

    def _own(self, key: str, start: int, end: int) -> list[Piece]:
        """Returns this history's own usage that lies in a stretch of time, partly or wholly."""
        found = self._usage(max(0, start - _DAY), end, "fiveminute").get(key, [])
        return [each for each in found if each.start < end and each.end > start]

    def _usage(self, start: int, end: int, step: str) -> dict[str, list[Piece]]:
        """Returns own usage of all series in question."""
        known = self._told.get((start, end, step))
        if known is None:
            known = self._told[start, end, step] = {}
            # The view adds what others told; without it the rest is our own.
            self._connection.execute("SAVEPOINT own")
            try:
                self._connection.execute("DELETE FROM past WHERE host = ?", (self._number,))
                for each in self._view.usage(self._host, start, end, step, self._keys):
                    known.setdefault(each.key, []).append(Piece(each.start, each.end, each.bytes))
            finally:
                self._connection.execute("ROLLBACK TO own")
                self._connection.execute("RELEASE own")
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
            days = self._usage(EARLIEST, now + _DAY, "day")
            earliest = {key: min(days[key]) for key in self._keys if key in days}
            for day in set(earliest.values()):
                fine = self._usage(day.start, day.end, "fiveminute")
                found.update({key: min(fine[key]).start for key in earliest if earliest[key] == day and key in fine})
            self._told.clear()
        found.update(first_reads(self._access, self._number, given, found))
        return found

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


class _Group(NamedTuple):
    """Pieces of one source that touch the same lacks. `whole`: it lies before all readings, and counts as it is."""

    source: str
    pieces: list[Piece]
    lacks: list[Lack]
    whole: bool = False


def _overlap(piece: Piece, lack: Lack) -> tuple[int, int]:
    start = max(piece.start, lack.start)
    return start, max(start, min(piece.end, lack.end))


def _touching(pieces: Iterable[Piece], lack: Lack) -> list[Piece]:
    return [each for each in pieces if each.start < lack.end and each.end > lack.start]


def _choose(
    lack: Lack, stored: Sequence[Taken], source: str, time: int, pieces: Sequence[Piece]
) -> tuple[Taken | None, Taken | None]:
    """Returns what was taken for a lack, or for a longer one that it is what is left of, and what is to be taken now:
    the same object where that stands.
    """
    old = next((each for each in stored if each.lack.start < lack.end and each.lack.end > lack.start), None)
    fresh = _touching(pieces, lack)
    if old is None:
        return None, Taken(lack, source, time, fresh) if fresh else None
    if old.source == source and not old.settled and time >= old.time and fresh:
        if lack.start == 0:
            fresh = _touching(_continued(old.pieces, fresh, old.time - SETTLED), lack)
        return old, Taken(lack, source, time, fresh)
    if old.lack == lack:
        return old, old
    left = _touching(old.pieces, lack)
    return old, old._replace(lack=lack, pieces=left) if left else None


def _continued(old: Sequence[Piece], fresh: Sequence[Piece], until: int) -> list[Piece]:
    """Returns the old pieces that ended by a time, and of the new ones what they tell beyond those.

    A source forgets its fine steps: what it tells of the same time later is coarser.
    """
    kept = [each for each in old if each.end <= until]
    if not kept:
        return list(fresh)
    reached = kept[-1].end
    for piece in fresh:
        if piece.start >= reached:
            kept.append(piece)
        elif piece.end > reached:
            told = sum(
                each.bytes * (min(each.end, piece.end) - max(each.start, piece.start)) // (each.end - each.start)
                for each in _touching(old, Lack(piece.start, reached))
                if each.end <= reached
            )
            if piece.bytes > told:
                kept.append(Piece(reached, piece.end, piece.bytes - told))
    return kept


def _groups(taken: Sequence[Taken]) -> list[_Group]:
    """Returns the pieces by what must be counted together: those that touch one lack, and lacks that one touches."""
    found: list[_Group] = []
    open_ones: list[_Group] = []
    for each in sorted(taken, key=lambda made: made.lack):
        whole = [piece for piece in each.pieces if each.lack.start == 0 and piece.end <= each.lack.end]
        if whole:
            found.append(_Group(each.source, whole, [each.lack], whole=True))
        rest = [piece for piece in each.pieces if piece not in whole] if whole else each.pieces
        if not rest:
            continue
        last = open_ones[-1] if open_ones else None
        # Lacks and pieces are both in order: only the last piece of one lack can touch the next.
        if last is not None and last.source == each.source and last.pieces[-1][:2] == rest[0][:2]:
            shared = {piece.start: piece for piece in (*last.pieces, *rest)}
            open_ones[-1] = _Group(each.source, sorted(shared.values()), [*last.lacks, each.lack])
        else:
            open_ones.append(_Group(each.source, list(rest), [each.lack]))
    return found + open_ones
