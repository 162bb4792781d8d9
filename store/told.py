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
    from sysmon.records import UsagePiece

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


def choose(
    lack: Lack, stored: Sequence[Taken], source: str, time: int, pieces: Sequence[Piece]
) -> tuple[Taken | None, Taken | None]:
    """Returns what was taken for a lack, or for a longer one that it is what is left of, and what is to be taken now:
    the same object where that stands.
    """
    old = next((each for each in stored if each.lack.start < lack.end and each.lack.end > lack.start), None)
    fresh = touching(pieces, lack)
    if old is None or not old.pieces:
        made = Taken(lack, source, time, fresh) if fresh else Taken(lack, "", 0, [])
        # Where we began is remembered though nobody tells of the time before it.
        return old, old if made == old else made if fresh or lack.start == 0 else None
    if old.source == source and not old.settled and time >= old.time and fresh:
        if lack.start == 0:
            fresh = touching(continued(old.pieces, fresh, old.time - SETTLED), lack)
        return old, Taken(lack, source, time, fresh)
    if old.lack == lack:
        return old, old
    left = touching(old.pieces, lack)
    return old, old._replace(lack=lack, pieces=left) if left else None


def continued(old: Sequence[Piece], fresh: Sequence[Piece], until: int) -> list[Piece]:
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
                for each in touching(old, Lack(piece.start, reached))
                if each.end <= reached
            )
            if piece.bytes > told:
                kept.append(Piece(reached, piece.end, piece.bytes - told))
    return kept


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
    return found + open_ones
