"""What others told: pieces of usage as one source counted them, and what of them goes together. Pure."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Final, NamedTuple

from store.lacks import Lack
from store.usage import accounted
from sysmon.frame import clean_instance, join_key, split_key

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from sysmon.catalogue import Catalogue
    from sysmon.records import Span, UsagePiece

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


class Piece(NamedTuple):
    """Bytes of one series in one stretch of time."""

    start: int
    end: int
    bytes: int


class Told(NamedTuple):
    """What a source told of one series: pieces in order, counted up to `time`."""

    source: str
    time: int
    pieces: Sequence[Piece]


class Taken(NamedTuple):
    """What was taken for one lack of a series: the source's pieces that touch it. `time`: up to when it had counted."""

    lack: Lack
    source: str
    time: int
    pieces: list[Piece]

    @property
    def settled(self) -> bool:
        """Whether its source has nothing to add: it had counted the lack, and its pieces, wholly."""
        until = max(self.lack.end, self.pieces[-1].end if self.pieces else 0)
        return until + SETTLED <= self.time


def usable(pieces: Iterable[UsagePiece], catalogue: Catalogue, now: int) -> dict[str, list[Piece]]:
    """Returns series -> pieces in order, without what cannot be true or counts twice, and those without bytes."""
    given: dict[str, list[Piece]] = {}
    for piece in islice(pieces, MOST_PIECES):
        if 0 < piece.bytes < MOST_BYTES and EARLIEST <= piece.start < piece.end <= now + AHEAD:
            if piece.key not in given and len(given) >= MOST_KEYS:
                continue
            given.setdefault(piece.key, []).append(Piece(piece.start, piece.end, piece.bytes))
    found: dict[str, list[Piece]] = {}
    for name, many in given.items():
        metric, instance = split_key(name)
        found.setdefault(join_key(metric, clean_instance(instance)), []).extend(many)
    kept: dict[str, list[Piece]] = {}
    for key in accounted(found, catalogue):
        reached, total = 0, 0
        for each in sorted(found[key]):
            if each.start >= reached and total + each.bytes < MOST_BYTES:
                kept.setdefault(key, []).append(each)
                reached, total = each.end, total + each.bytes
    return kept


class Group(NamedTuple):
    """Pieces of one source that touch the same lacks. `whole`: it lies before all readings, and counts as it is."""

    source: str
    pieces: list[Piece]
    lacks: list[Lack]
    whole: bool = False


def overlap(piece: Piece, lack: Lack) -> tuple[int, int]:
    """Returns where a piece lies within a lack (start, end); both the same where it does not."""
    start = max(piece.start, lack.start)
    return start, max(start, min(piece.end, lack.end))


def touching(pieces: Iterable[Piece], lack: Lack) -> list[Piece]:
    """Returns the pieces that lie within a lack, wholly or in part."""
    return [each for each in pieces if each.start < lack.end and each.end > lack.start]


def choices(lacks: Sequence[Lack], stored: Sequence[Taken], told: Told) -> tuple[list[Taken], list[Taken]]:
    """Returns what is told of lacks: what stands of what was taken before (the same objects), and what is taken now.

    Args:
        lacks: of a series, in order; the first is that before its first reading.
        stored: what was taken of them before.
        told: by a source, now.
    """
    kept = _finished(lacks[0], stored, told)
    told = told._replace(pieces=_beyond(kept, told.pieces))
    found = [_choose(lack, stored, told, kept if lack.start == 0 else []) for lack in lacks]
    again = True
    while again:
        again = False
        moved = [old for old, made in found if old is not None and made is not old]
        for number, (lack, (old, made)) in enumerate(zip(lacks, found, strict=True)):
            if old is None or made is not old or old.source != told.source or told.time < old.time:
                continue
            # A piece that touches two lacks tells of both together, until both are settled.
            if any(_share(old, other) for other in moved) and (fresh := touching(told.pieces, lack)):
                found[number] = old, Taken(lack, told.source, told.time, fresh)
                again = True
    return (
        [made for old, made in found if made is not None and made is old],
        [made for old, made in found if made is not None and made is not old],
    )


def _share(one: Taken, other: Taken) -> bool:
    """Whether a piece touches both of two lacks."""
    if one is other or not one.pieces or not other.pieces:
        return False
    first, second = (one, other) if one.lack < other.lack else (other, one)
    return first.pieces[-1][:2] == second.pieces[0][:2]


def _choose(
    lack: Lack, stored: Sequence[Taken], told: Told, kept: Sequence[Piece]
) -> tuple[Taken | None, Taken | None]:
    """Returns what was taken for a lack, or for a longer one that it is what is left of, and what is to be taken now:
    the same object where that stands. `kept`: of what was taken before, what stands in any case.
    """
    old = next((each for each in stored if each.lack.start < lack.end and each.lack.end > lack.start), None)
    fresh = touching([*kept, *told.pieces], lack)
    if old is None or not old.pieces:
        # A source that told nothing of it in time has nothing to tell: a coarse piece of it later is about what is
        # beside it. Another source may.
        if old is not None and (not fresh or (old.source == told.source and old.settled)):
            return old, old if old.lack == lack else old._replace(lack=lack)
        return old, Taken(lack, told.source, told.time, fresh)
    if old.source == told.source and not old.settled and told.time >= old.time and fresh:
        return old, Taken(lack, told.source, told.time, fresh)
    if old.lack == lack:
        return old, old
    left = touching(old.pieces, lack)
    return old, old._replace(lack=lack, pieces=left) if left else None


def _finished(lack: Lack, stored: Sequence[Taken], told: Told) -> list[Piece]:
    """Returns the pieces before the first reading that their source had counted wholly when it told them.

    It forgets its fine steps: what it tells of the same time later is coarser.
    """
    old = next((each for each in stored if each.lack.start == 0), None)
    if old is None or old.source != told.source or old.settled or told.time < old.time:
        return []
    return [each for each in old.pieces if each.end <= min(old.time - SETTLED, lack.end)]


def _beyond(kept: Sequence[Piece], pieces: Sequence[Piece]) -> Sequence[Piece]:
    """Returns what pieces tell beyond those that are kept."""
    if not kept:
        return pieces
    found = []
    reached = kept[-1].end
    for piece in pieces:
        if piece.start >= reached:
            found.append(piece)
        elif piece.end > reached:
            told = 0
            for each in touching(kept, Lack(piece.start, reached)):
                told += each.bytes * (each.end - max(each.start, piece.start)) // (each.end - each.start)
            if piece.bytes > told:
                found.append(Piece(reached, piece.end, piece.bytes - told))
    return found


def widened(start: int, end: int, holes: Sequence[Span], pieces: Sequence[Piece]) -> tuple[int, int, int]:
    """Returns a stretch of time that begins and ends in no gap, and the bytes of the pieces that it has more.

    What went through in a gap is known as a whole, and spread over it: a part of it can be compared with nothing.

    Args:
        start, end: a stretch told by pieces.
        holes: gaps in what is known, in order.
        pieces: of the source, in order.
    """
    first, last, more = start, end, 0
    while True:
        hole = next((each for each in holes if each.start < first < each.end or each.start < last < each.end), None)
        if hole is None:
            return first, last, more
        begin, finish = min(first, hole.start), max(last, hole.end)
        beside = [each for each in pieces if begin < each.end <= first or last <= each.start < finish]
        more += sum(each.bytes for each in beside)
        first = min([begin, *(each.start for each in beside)])
        last = max([finish, *(each.end for each in beside)])


def groups(taken: Sequence[Taken]) -> list[Group]:
    """Returns the pieces by what must be counted together: those that touch one lack, and lacks that one touches."""
    found: list[Group] = []
    open_ones: list[Group] = []
    for each in sorted(taken, key=lambda made: made.lack):
        until = each.lack.end if each.lack.start == 0 else 0
        whole = [piece for piece in each.pieces if piece.end <= until]
        if whole:
            found.append(Group(each.source, whole, [each.lack], whole=True))
        rest = [piece for piece in each.pieces if piece.end > until]
        if not rest:
            continue
        last = open_ones[-1] if open_ones else None
        # Lacks and pieces are both in order: only the last piece of one lack can touch the next.
        if last is not None and last.source == each.source and last.pieces[-1][:2] == rest[0][:2]:
            shared = {piece.start: piece for piece in (*last.pieces, *rest)}
            open_ones[-1] = Group(each.source, sorted(shared.values()), [*last.lacks, each.lack])
        else:
            open_ones.append(Group(each.source, list(rest), [each.lack]))
    # What fine pieces tell is known when a coarse one of the same time is asked what it tells beyond it.
    return found + sorted(open_ones, key=lambda group: max(each.end - each.start for each in group.pieces))
