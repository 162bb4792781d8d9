"""Usage of blocks: what lies before them is looked up, what they add is computed."""

from __future__ import annotations

import json
from bisect import bisect_right
from itertools import pairwise
from typing import TYPE_CHECKING

from store.before import before
from store.blocks import decode_group
from store.schema import BLOCK
from store.usage import Contribution, Last, accounted, contributions

if TYPE_CHECKING:
    from collections.abc import Sequence

    from store.access import Access
    from store.pieces import Piece
    from sysmon.catalogue import Catalogue

_ASIDE = 10_000_000_000
"""Nanoseconds between two reads of a run up to which it told what happened in between."""


def usage_of(
    access: Access, host: int, name: str, piece: Piece, catalogue: Catalogue, earlier: dict[str, Last] | None = None
) -> list[Contribution]:
    """Returns what a collector's reads in one block add to usage.

    `earlier`: the last value of each series in blocks of other boots that are not sealed yet, where there are any.
    """
    keys = accounted(piece.columns, catalogue)
    if not keys or not piece.ats:
        return []
    booted = piece.ats[0] - piece.reads[0] // 1_000_000
    pieces = _beside(access, host, name, piece, keys)
    reads = _in_turn([piece, *pieces]) if pieces else [(piece, row) for row in range(len(piece.ats))]
    own = [each is piece for each, _ in reads] if pieces else None
    ats = [each.ats[row] for each, row in reads]
    first = next((each for each, _ in reads), piece)
    lasts = lasts_before(access, host, name, first, keys, earlier or {})
    found: list[Contribution] = []
    for key in keys:
        column = [each.columns[key][row] for each, row in reads] if pieces else piece.columns[key]
        added, _ = contributions(key, catalogue.of_key(key), piece.run.boot, booted, ats, column, lasts.get(key), own)
        found += added
    return found


def _beside(access: Access, host: int, name: str, piece: Piece, keys: Sequence[str]) -> list[Piece]:
    """Returns the pieces around one where other runs of its boot read too: none nearly always."""
    number = access.collector(name)
    if number is None:
        return []
    low, high = piece.block - 1, piece.block + 1
    places = access.sealed_places(host, number, low, high)
    places.update((block, run) for run, block in access.waiting(host, low * BLOCK, (high + 1) * BLOCK))
    runs = {run.number for run in access.runs(host) if run.boot == piece.run.boot}
    places = {place for place in places if place[1] in runs and place != (piece.block, piece.run.number)}
    if all(run == piece.run.number for _, run in places):
        return []
    found = access.pieces(host, name, keys, low * BLOCK, (high + 1) * BLOCK, places)
    return [each for each in found if each.ats]


def _in_turn(pieces: Sequence[Piece]) -> list[tuple[Piece, int]]:
    """Returns the reads of several runs of a boot in their order, each moment told by one run: while two read side by
    side, the one known longer counts.
    """
    told: dict[int, list[int]] = {}
    for piece in pieces:
        told.setdefault(piece.run.number, []).extend(piece.reads)
    holes = {}
    for run, reads in told.items():
        reads.sort()
        steps = sorted(later - earlier for earlier, later in pairwise(reads))
        holes[run] = max(_ASIDE, int(2.5 * steps[len(steps) // 2])) if steps else _ASIDE

    def covered(run: int, read: int) -> bool:
        for other, reads in told.items():
            if other < run:
                index = bisect_right(reads, read)
                last = reads[index - 1] if index else None
                if last == read:
                    return True
                if last is not None and index < len(reads) and reads[index] - last <= holes[other]:
                    return True
        return False

    found = [
        (read, piece, row)
        for piece in pieces
        for row, read in enumerate(piece.reads)
        if not covered(piece.run.number, read)
    ]
    found.sort(key=lambda each: each[0])
    return [(piece, row) for _, piece, row in found]


def is_followed(access: Access, host: int, name: str, piece: Piece) -> bool:
    """Whether later reads of the same boot are sealed already: what grew until then is counted there, for now."""
    number = access.collector(name)
    if number is None or not piece.reads:
        return False
    rows = access.connection.execute(
        "SELECT block, run FROM chunk WHERE host = ? AND collector = ? AND block >= ? ORDER BY block LIMIT 24",
        (host, number, piece.block),
    ).fetchall()
    for block, run in rows:
        if run != piece.run.number or block != piece.block:
            head = access.head(host, block, run) if access.run(run).boot == piece.run.boot else None
            if head is not None and head.monotonics[-1] > piece.reads[-1]:
                return True
    return False


def lasts_before(
    access: Access, host: int, name: str, piece: Piece, keys: Sequence[str], earlier: dict[str, Last]
) -> dict[str, Last]:
    """Returns the last value of each series before the first row of a piece, where there is one."""
    found: dict[str, Last] = {}
    earlier_read = before(access, name, piece)
    if earlier_read is not None:
        for key in keys:
            if key in earlier_read.values:
                found[key] = Last(piece.run.boot, earlier_read.values[key], earlier_read.at)
    for key in keys:
        if key not in found:
            known = (_last_sealed(access, host, name, piece, key), floor_of(access, host, key), earlier.get(key))
            lasts = [last for last in known if last is not None and last.at <= piece.ats[0]]
            if lasts:
                found[key] = max(lasts, key=lambda last: last.at)
    return found


def floor_of(access: Access, host: int, key: str) -> Last | None:
    """Returns the last value of a series among what was trimmed."""
    row = access.connection.execute(
        "SELECT boot, value, at FROM floor WHERE host = ? AND key = ?", (host, key)
    ).fetchone()
    return Last(*row) if row else None


def _last_sealed(access: Access, host: int, name: str, piece: Piece, key: str) -> Last | None:
    access.learn_layouts()
    layouts = [number for number, (keys, owner) in access.layouts.items() if owner == name and key in keys]
    rows = access.connection.execute(
        "SELECT block, run, layout, data FROM chunk WHERE host = ? AND collector = ? AND block <= ?"
        " AND NOT (block = ? AND run = ?) AND layout IN (SELECT value FROM json_each(?)) ORDER BY block DESC LIMIT 4",
        (host, access.collector(name), piece.block, piece.block, piece.run.number, json.dumps(layouts)),
    )
    best: Last | None = None
    for block, run, layout, data in rows:
        head = access.head(host, block, run)
        if head is None or (best is not None and head.ats[-1] < best.at):
            continue
        boot = access.run(run).boot
        keys = access.layouts[layout][0]
        packed = decode_group(data, keys, head.monotonics)
        for row, value in zip(packed.rows, packed.column(keys.index(key)), strict=True):
            at = head.ats[row]
            if boot == piece.run.boot and head.monotonics[row] >= piece.reads[0]:
                continue
            if value is not None and at < piece.ats[0] and (best is None or at >= best.at):
                best = Last(boot, value, at)
    return best
