"""Pieces: the columns of one collector over reads that follow each other, within one block.

A block is mostly one piece. It is more where frames in between are missing, or lie in other blocks because the clock
was moved: what came before such a stretch is not the row above it.
"""

from __future__ import annotations

from bisect import bisect_left
from itertools import islice, pairwise
from operator import lt
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

    from store.blocks import Block, Group, SealedGroup
    from sysmon.frame import Number


class Run(NamedTuple):
    """A row of `run`."""

    number: int
    host: int
    run: str
    boot: str


class Before(NamedTuple):
    """The last read of a collector before a piece, within one boot."""

    at: int
    read: int
    values: dict[str, Number]


class Piece(NamedTuple):
    """Columns of one collector.

    Attributes:
        first, last: seqs of the first and last frame that it was taken from.
        repeated: whether its first row may repeat what an earlier block holds, as full frames do.
        ats: times of the rows' frames.
        reads: of the boot clock; the tick's where the collector named none.
    """

    run: Run
    block: int
    first: int
    last: int
    repeated: bool
    ats: list[int]
    reads: list[int]
    columns: dict[str, list[Number | None]]


def pieces_of(
    run: Run,
    block: int,
    head: Block,
    rows: Sequence[int],
    reads: Sequence[int | None],
    columns: dict[str, list[Number | None]],
) -> list[Piece]:
    """Returns the pieces of a group of a block, of the rows at which something new was read.

    Args:
        head: what belongs to the frames themselves.
        rows, reads: of the group: positions of frames, and when they say that it read.
        columns: series -> values, one each row.
    """
    monotonics = head.monotonics
    moments: list[int] = list(reads)  # type: ignore[arg-type]
    if None in reads:
        moments = [monotonics[row] if read is None else read for row, read in zip(rows, reads, strict=True)]
    kept = _fresh(moments)
    if kept is not None:
        rows = [rows[position] for position in kept]
        moments = [moments[position] for position in kept]
        columns = {key: [column[position] for position in kept] for key, column in columns.items()}
    if not rows:
        return []
    # As many rows as frames: every frame has one.
    ats = head.ats if len(rows) == len(head.ats) else [head.ats[row] for row in rows]
    cuts = _cuts(head, rows)
    found = []
    for low, high in pairwise([0, *cuts, len(rows)]):
        begin, end = rows[low], rows[high - 1]
        # A stretch begins and ends with frames in which this collector may not have read.
        while begin and head.seqs[begin - 1] == head.seqs[begin] - 1 and (not low or begin - 1 > rows[low - 1]):
            begin -= 1
        while end + 1 < len(head.seqs) and head.seqs[end + 1] == head.seqs[end] + 1 and high == len(rows):
            end += 1
        found.append(
            Piece(
                run,
                block,
                head.seqs[begin],
                head.seqs[end],
                head.fulls[rows[low]] and moments[low] < monotonics[rows[low]],
                ats[low:high] if cuts else ats,
                moments[low:high] if cuts else moments,
                {key: column[low:high] for key, column in columns.items()} if cuts else columns,
            )
        )
    return found


def pieces_of_group(run: Run, block: int, whole: Block, group: Group) -> list[Piece]:
    """Returns the pieces of a group held as rows, with all its series."""
    keys = group.all_keys()
    return pieces_of(run, block, whole, group.rows, group.reads, dict(zip(keys, group.columns(keys), strict=True)))


def last_read(head: Block, packed: SealedGroup, read: int) -> Before | None:
    """Returns the last row of a sealed group that was read before a moment of the boot clock, or None."""
    position = -1
    newest = -1
    for index, (row, moment) in enumerate(zip(packed.rows, packed.reads, strict=True)):
        when = head.monotonics[row] if moment is None else moment
        if newest < when < read:
            position, newest = index, when
    if position < 0:
        return None
    values: dict[str, Number] = {}
    for index, key in enumerate(packed.keys):
        value = packed.column(index)[position]
        if value is not None:
            values[key] = value
    return Before(head.ats[packed.rows[position]], newest, values)


def _fresh(reads: Sequence[int]) -> list[int] | None:
    """Returns the positions at which something new was read, or None where that is at all of them.

    A full frame repeats what slow collectors read before it.
    """
    if all(map(lt, reads, islice(reads, 1, None))):
        return None
    kept: list[int] = []
    newest = -1
    for position, read in enumerate(reads):
        if read > newest:
            kept.append(position)
            newest = read
    return kept


def _cuts(head: Block, rows: Sequence[int]) -> list[int]:
    """Returns the positions of rows that do not follow the one before, as frames between them are not in this block."""
    seqs = head.seqs
    if seqs[-1] - seqs[0] + 1 == len(seqs):
        return []
    holes = [row for row in range(1, len(seqs)) if seqs[row] != seqs[row - 1] + 1]
    cuts = {bisect_left(rows, hole) for hole in holes}
    return sorted(cuts - {0, len(rows)})
