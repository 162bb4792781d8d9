"""Usage of blocks: what lies before them is looked up, what they add is computed."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from store.blocks import decode_group
from store.usage import Contribution, Last, accounted, contributions

if TYPE_CHECKING:
    from collections.abc import Sequence

    from store.access import Access, Piece
    from sysmon.catalogue import Catalogue


def usage_of(
    access: Access, host: int, name: str, piece: Piece, catalogue: Catalogue, lasts: dict[str, Last] | None = None
) -> list[Contribution]:
    """Returns what a collector's reads in one block add to usage.

    `lasts`: the last value of each series before the block; looked up where it is not given, and brought forward.
    """
    keys = accounted(piece.columns, catalogue)
    if not keys or not piece.ats:
        return []
    lasts = {} if lasts is None else lasts
    unknown = [key for key in keys if key not in lasts]
    if unknown:
        lasts.update(lasts_before(access, host, name, piece, unknown))
    booted = piece.ats[0] - piece.reads[0] // 1_000_000
    found: list[Contribution] = []
    for key in keys:
        added, last = contributions(
            key, catalogue.of_key(key), piece.run.boot, booted, piece.ats, piece.columns[key], lasts.get(key)
        )
        found += added
        if last is not None:
            lasts[key] = last
    return found


def lasts_before(access: Access, host: int, name: str, piece: Piece, keys: Sequence[str]) -> dict[str, Last]:
    """Returns the last value of each series before the first row of a piece, where there is one."""
    found: dict[str, Last] = {}
    before = access.before(name, piece)
    if before is not None:
        for key in keys:
            if key in before.values:
                found[key] = Last(piece.run.boot, before.values[key], before.at)
    for key in keys:
        if key not in found:
            last = _last_sealed(access, host, name, piece, key) or floor_of(access, host, key)
            if last is not None and last.at <= piece.ats[0]:
                found[key] = last
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
