"""Sealing: a block's frames leave the tail as columns, with their rollups and usage, in one transaction."""

from __future__ import annotations

from typing import TYPE_CHECKING

from store.account import Earlier, depending, usage_of
from store.before import settled
from store.blocks import Block, encode_group, encode_head
from store.pages import Page, encode_page
from store.pieces import pieces_of_group
from store.rollup import RolledUp, add_cells, add_page, page_of, roll_group
from store.schema import BLOCK, MINUTE, MINUTE_PAGE, QUARTER, QUARTER_PAGE, RUN_SHIFT
from store.summaries import encode_ranges
from store.usage import accounted
from store.usagepages import put_added

if TYPE_CHECKING:
    from collections.abc import Iterator

    from store.access import Access
    from store.engine import Engine
    from store.registry import HostEntry, RunEntry
    from store.usage import Contribution


def seal(engine: Engine, run: int, block: int) -> Iterator[None]:
    """Seals one block from all its frames, those sealed before and those that wait in the tail.

    Everything is computed between small pauses; one short transaction at the end replaces what was there. A frame that
    arrives meanwhile stays in the tail, and the block is sealed again.
    """
    entry = engine.registry.runs[run]
    host = entry.host
    arrived = engine.dirty.get((run, block))
    access = engine.access
    waiting = access.tail_block(run, block)
    sealed = access.sealed_block(host.number, block, run)
    yield
    if sealed is None:
        whole = waiting
    else:
        whole = sealed.merged(waiting) if waiting.seqs else sealed
    chunks: list[tuple[str, tuple[str, ...] | None, bytes | None, bytes]] = []
    pages: list[tuple[str, tuple[str, ...], bytes]] = []
    added: dict[tuple[str, int, int], Contribution] = {}
    after: set[tuple[int, int]] = set()
    if waiting.seqs:
        summary = encode_ranges(whole.ranges())
        chunks.append(("", None, summary, encode_head(whole)))
        yield
    for name, group in whole.groups.items():
        if waiting.seqs:
            keys, data = yield from encode_group(group, whole.monotonics)
            chunks.append((name, keys, None, data))
            yield
        found: RolledUp = {}
        before = Earlier()
        for piece in pieces_of_group(access.run(run), block, whole, group):
            fresh, earlier = settled(access, name, piece)
            if fresh is None:
                continue
            piece = fresh
            part = yield from roll_group(host.catalogue, piece.ats, piece.reads, piece.columns, earlier, MINUTE)
            add_cells(found, part)
            yield
            for each in usage_of(access, host.number, name, piece, host.catalogue, before):
                place = (each.key, each.start, each.length)
                added[place] = each if place not in added else added[place].plus(each)
        yield from _add_rest(access, host, name, entry.number, block, found)
        times, series, rolled = page_of(found)
        if series:
            pages.append((name, series, (yield from encode_page(times, rolled))))
        yield
        if waiting.seqs:
            counters = accounted(group.all_keys(), host.catalogue)
            after |= depending(access, host.number, name, entry.number, block, counters)
            yield
    yield
    _write(engine, entry, block, waiting, chunks, pages, list(added.values()), after)
    if engine.dirty.get((run, block)) == arrived:
        engine.dirty.pop((run, block), None)


def _add_rest(access: Access, host: HostEntry, name: str, run: int, block: int, found: RolledUp) -> Iterator[None]:
    """Adds the minutes of the other blocks of the hour, which share a row with this one's."""
    row = access.connection.execute(
        "SELECT layout, data FROM rollup WHERE host = ? AND collector = ? AND tier = ? AND page = ? AND run = ?",
        (host.number, access.collector(name), MINUTE, block * BLOCK // MINUTE_PAGE, run),
    ).fetchone()
    if row is not None:
        access.learn_layouts()
        without = range(block * BLOCK // MINUTE, (block + 1) * BLOCK // MINUTE)
        yield from add_page(found, access.layouts[row[0]][0], Page(row[1]), without)


def _write(
    engine: Engine,
    entry: RunEntry,
    block: int,
    waiting: Block,
    chunks: list[tuple[str, tuple[str, ...] | None, bytes | None, bytes]],
    pages: list[tuple[str, tuple[str, ...], bytes]],
    added: list[Contribution],
    after: set[tuple[int, int]],
) -> None:
    registry, host, connection = engine.registry, entry.host, engine.connection
    run = entry.number
    hour = block * BLOCK // MINUTE_PAGE
    connection.execute("BEGIN IMMEDIATE")
    for name, keys, summary, data in chunks:
        collector = 0 if keys is None else registry.collector(name)
        layout = None if keys is None else registry.layout(host, name, keys)
        connection.execute(
            "INSERT OR REPLACE INTO chunk(host, collector, block, run, layout, summary, data)"
            " VALUES (?, ?, ?, ?, ?, ?, ?)",
            (host.number, collector, block, run, layout, summary, data),
        )
    for name, keys, data in pages:
        connection.execute(
            "INSERT OR REPLACE INTO rollup(host, collector, tier, page, run, layout, data)"
            " VALUES (?, ?, ?, ?, ?, ?, ?)",
            (host.number, registry.collector(name), MINUTE, hour, run, registry.layout(host, name, keys), data),
        )
    put_added(connection, host.number, run, block, added)
    # What was rolled up further from this block, and what was derived across its end, no longer stands.
    connection.execute(
        "DELETE FROM rollup WHERE id IN (SELECT r.id FROM collector AS k JOIN rollup AS r"
        " ON r.host = ? AND r.collector = k.id AND r.tier = ? AND r.page = ?)",
        (host.number, QUARTER, block * BLOCK // QUARTER_PAGE),
    )
    engine.unpaged.add((host.number, block * BLOCK // QUARTER_PAGE))
    if waiting.seqs:
        base = run << RUN_SHIFT
        connection.executemany("DELETE FROM tail WHERE id = ?", [(base | seq,) for seq in waiting.seqs])
        for name, keys, _, _ in chunks:
            if keys is not None:
                _mark_next(engine, host, registry.collector(name), run, block)
        connection.executemany("INSERT OR IGNORE INTO todo(block, run) VALUES (?, ?)", sorted(after))
    connection.execute("DELETE FROM todo WHERE run = ? AND block = ?", (run, block))
    connection.execute("COMMIT")


def _mark_next(engine: Engine, host: HostEntry, collector: int, run: int, block: int) -> None:
    """Notes the sealed blocks whose first rates and whose usage start from reads of this one."""
    engine.connection.executemany(
        "INSERT OR IGNORE INTO todo(block, run) VALUES (?, ?)",
        engine.access.following(host.number, collector, run, block),
    )
