"""What lies before a piece: the last read of its collector in the same boot, wherever it is kept."""

from __future__ import annotations

from typing import TYPE_CHECKING

from store.blocks import decode_group
from store.pieces import Before, last_read
from store.schema import BLOCK, RUN_SHIFT
from store.summaries import decode_ranges
from store.tail import decode_part

if TYPE_CHECKING:
    from store.access import Access
    from store.pieces import Piece

_LOOKBACK = 24
"""Sealed blocks looked through where the block that should have it has not."""

_ROWS = 5000
"""Rows of the tail looked through."""


def settled(access: Access, name: str, piece: Piece) -> tuple[Piece | None, Before | None]:
    """Returns a piece without a first row that only repeats what an earlier one holds, and the read before it."""
    found = before(access, name, piece)
    if found is None or found.read < piece.reads[0]:
        return piece, found
    if len(piece.reads) == 1:
        return None, found
    columns = {key: column[1:] for key, column in piece.columns.items()}
    return piece._replace(repeated=False, ats=piece.ats[1:], reads=piece.reads[1:], columns=columns), found


def before(access: Access, name: str, piece: Piece) -> Before | None:
    """Returns the last read of a collector before a piece, in the same boot; where its first row repeats a read, that
    read.
    """
    until = piece.reads[0] + piece.repeated
    number = access.collector(name)
    boot = {each.number for each in access.runs(piece.run.host) if each.boot == piece.run.boot}
    best: Before | None = None
    if number is not None:
        best = _in_run(access, number, piece, until)
        if best is None or len(boot) > 1:
            best = _sealed(access, number, piece, boot, until, best)
    for other in (each.number for each in access.runs_waiting(piece.run.host) if each.number in boot):
        base = other << RUN_SHIFT
        below = base | piece.first if other == piece.run.number else base + (1 << RUN_SHIFT)
        best = _in_tail(access, base, below, name, until, best)
    return best


def _in_run(access: Access, collector: int, piece: Piece, until: int) -> Before | None:
    """Looks where the run's frame before the piece is, among what is sealed."""
    host, run = piece.run.host, piece.run.number
    statement = "SELECT block, summary FROM chunk WHERE host = ? AND collector = 0 AND "
    near = access.connection.execute(
        statement + "block BETWEEN ? AND ? AND run = ?", (host, piece.block - 1, piece.block, run)
    ).fetchall()
    place = _holding(near, piece.first)
    if place is None or place[1] != piece.first - 1:
        # A hole, or the clock was moved: the frame before may be anywhere.
        place = _holding(access.connection.execute(statement + "run = ?", (host, run)).fetchall(), piece.first)
    if place is None:
        return None
    head = access.head(host, place[0], run)
    row = access.connection.execute(
        "SELECT layout, data FROM chunk WHERE host = ? AND collector = ? AND block = ? AND run = ?",
        (host, collector, place[0], run),
    ).fetchone()
    if head is None or row is None:
        return None
    return last_read(head, decode_group(row[1], access.layout(row[0]), head.monotonics), until)


def _holding(rows: list[tuple[int, bytes]], seq: int) -> tuple[int, int] | None:
    """Returns the block with the last frame before `seq`, and that frame's seq."""
    found = [
        (min(last, seq - 1), block)
        for block, summary in rows
        for first, last, _, _ in decode_ranges(summary)
        if first < seq
    ]
    if not found:
        return None
    last, block = max(found)
    return block, last


def _sealed(
    access: Access, collector: int, piece: Piece, boot: set[int], until: int, best: Before | None
) -> Before | None:
    """Looks through the sealed blocks of all runs of the boot, from the piece backward, then after it: where the clock
    was set back, what came before lies later.
    """
    host = piece.run.host
    for where in ("<= ?", "> ?"):
        for block, run, layout, data in access.connection.execute(
            f"SELECT block, run, layout, data FROM chunk WHERE host = ? AND collector = ? AND block {where}"
            f" ORDER BY block DESC LIMIT {_LOOKBACK}",
            (host, collector, piece.block),
        ):
            if best is not None and block < best.at // BLOCK:
                break
            head = access.head(host, block, run) if run in boot else None
            if head is None or head.monotonics[0] >= until or (best is not None and head.monotonics[-1] <= best.read):
                continue
            last = last_read(head, decode_group(data, access.layout(layout), head.monotonics), until)
            if last is not None and (best is None or last.read > best.read):
                best = last
        if best is not None:
            break
    return best


def _in_tail(access: Access, base: int, below: int, name: str, until: int, best: Before | None) -> Before | None:
    """Looks through a run's rows of the tail, from id `below` backward."""
    access.learn_layouts()
    layouts = {number for number, (_, owner) in access.layouts.items() if owner == name}
    for at, body in access.connection.execute(
        f"SELECT at, body FROM tail WHERE id >= ? AND id < ? ORDER BY id DESC LIMIT {_ROWS}", (base, below)
    ):
        row = decode_part(body, layouts)
        if best is not None and row.monotonic <= best.read:
            break
        for layout, when, values in row.groups:
            moment = row.monotonic if when is None else when
            if moment < until and (best is None or moment > best.read):
                best = Before(at, moment, dict(zip(access.layouts[layout][0], values, strict=True)))
    return best
