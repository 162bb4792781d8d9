"""Trimming: what is too old or too much goes, in small transactions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from store.access import SEQ_MASK
from store.held import forget_marks
from store.schema import BLOCK, MINUTE, MINUTE_PAGE, QUARTER, QUARTER_PAGE, RUN_SHIFT
from store.tail import decode_row
from store.usage import MOST, accounted
from store.usagepages import dispensable, expire, fold, let_go

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Iterator

    from store.blocks import Block, Group
    from store.engine import Engine
    from store.registry import HostEntry, RunEntry
    from store.retention import Retention

_HOUR = 3_600_000

_MANY_LAYOUTS = 2000
"""Layouts of a host above which those that nothing refers to any more are looked for."""

_EVENT = 8_000
"""Bytes that an event takes at most, nearly."""
_EVENT_OVERHEAD = 200
"""Bytes that an event takes beside its body: its keys, and its place in the index."""
MAX_EVENTS = 100_000
"""Events kept at most."""
EVENT_SHARE = 8
"""Of the file's budget, one in so many bytes is for events."""

_SOON = 900_000_000_000
"""Nanoseconds within which late frames ought to be sealed."""

_BATCH = 48
"""Rows removed in one transaction."""


def trim_age(engine: Engine, retention: Retention, now: int) -> Iterator[None]:
    """Removes what is older than it is to be kept."""
    kept = max(int(retention.minute * 1000), 3 * QUARTER_PAGE)
    engine.horizon = now - kept + 2 * QUARTER_PAGE
    yield from _trim_raw(engine, (now - int(retention.raw * 1000)) // BLOCK, spare=True)
    # Minutes stay until their quarters are made.
    yield from _trim_rollups(engine, MINUTE, (now - kept) // MINUTE_PAGE)
    yield from _trim_rollups(engine, QUARTER, (now - int(retention.quarter * 1000)) // QUARTER_PAGE)
    for table, age in (("evidence", retention.evidence), ("event", retention.events)):
        yield from _trim_rows(engine, table, now - int(age * 1000))
    for host in engine.registry.hosts():
        yield from fold(engine.connection, host.number, now)
    yield from expire(engine.connection, now)
    yield
    _drop_runs(engine, now - kept - MINUTE_PAGE)
    for host in engine.registry.hosts():
        if len(host.layouts) > _MANY_LAYOUTS:
            yield
            _drop_layouts(engine, host)


def trim_more(engine: Engine, now: int) -> Iterator[None] | None:
    """Returns the steps that remove one piece of what is least worth keeping: oldest raw readings first, then evidence
    and minutes, then quarters, then usage by five minutes and by the hour, whose days stay. None where nothing more may
    go.
    """
    connection = engine.connection
    raw = _oldest(engine, "SELECT min(block) FROM chunk WHERE host = ? AND collector = 0", (None,))
    if raw is not None and raw < (now - _HOUR) // BLOCK:
        return _trim_raw(engine, raw + 1)
    evidence = connection.execute("SELECT min(time) FROM evidence").fetchone()[0]
    if evidence is not None and evidence < now - 24 * _HOUR:
        return _trim_rows(engine, "evidence", evidence + _HOUR)
    for tier, length, young in ((MINUTE, MINUTE_PAGE, 3 * QUARTER_PAGE), (QUARTER, QUARTER_PAGE, 30 * 24 * _HOUR)):
        oldest = _oldest(
            engine,
            f"SELECT min(page) FROM rollup WHERE host = ? AND collector = ? AND tier = {tier}",
            engine.registry.collector_names,
        )
        if oldest is not None and oldest * length < now - young:
            engine.horizon = max(engine.horizon, (oldest + 1) * length if tier == MINUTE else 0)
            return _trim_rollups(engine, tier, oldest + 1)
    return dispensable(connection, now)


def trim_events(engine: Engine, limit: int) -> Iterator[None]:
    """Removes the oldest events of those hosts that have most, where all together are too many for a file of `limit`
    bytes: one host that tells of something all the time does not cost the others what they told.
    """
    connection = engine.connection
    room = limit // EVENT_SHARE
    count = connection.execute("SELECT count(*) FROM event").fetchone()[0]
    if count <= MAX_EVENTS and count * _EVENT <= room:
        return
    sizes = {
        host: (number, size + number * _EVENT_OVERHEAD)
        for host, number, size in connection.execute(
            "SELECT host, count(*), sum(length(body)) FROM event GROUP BY host"
        )
    }
    yield
    most_bytes = _level([size for _, size in sizes.values()], room)
    most = _level([number for number, _ in sizes.values()], MAX_EVENTS)
    for host, (number, size) in sizes.items():
        if number <= most and size <= most_bytes:
            continue
        gone = []
        for id, length in connection.execute(
            "SELECT id, length(body) FROM event WHERE host = ? ORDER BY time, id", (host,)
        ):
            if number <= most and size <= most_bytes:
                break
            number, size = number - 1, size - length - _EVENT_OVERHEAD
            gone.append((id,))
        for at in range(0, len(gone), _BATCH):
            connection.execute("BEGIN IMMEDIATE")
            connection.executemany("DELETE FROM event WHERE id = ?", gone[at : at + _BATCH])
            connection.execute("COMMIT")
            yield


def _level(sizes: list[int], room: int) -> int:
    """Returns the greatest size to which all can be cut down so that together they fit; the small ones stay whole."""
    for index, size in enumerate(sorted(sizes)):
        share = room // (len(sizes) - index)
        if size > share:
            return share
        room -= size
    return max(sizes, default=0)


def _trim_rows(engine: Engine, table: str, before: int) -> Iterator[None]:
    while _delete(engine.connection, table, "time < ?", (before,)):
        yield


def _drop_runs(engine: Engine, before: int) -> None:
    """Forgets runs of which nothing is left, and whose frames would be refused were they to come again."""
    waiting = {run for run, _ in engine.dirty}
    old = [
        run
        for run in engine.registry.runs.values()
        if run.number not in waiting and max(run.trimmed * BLOCK, run.contact) < before
    ]
    held = {
        row[0]
        for host in {run.host.number for run in old}
        for row in engine.connection.execute("SELECT run FROM chunk WHERE host = ? AND collector = 0", (host,))
    }
    gone = [run for run in old if run.number not in held]
    if gone:
        engine.connection.executemany("DELETE FROM run WHERE id = ?", [(run.number,) for run in gone])
        forget_marks(engine.connection, [run.number for run in gone])
        engine.registry.forget(gone)


def _oldest(engine: Engine, statement: str, collectors: Iterable[int | None]) -> int | None:
    found = []
    for host in engine.registry.hosts():
        for collector in collectors:
            values = (host.number,) if collector is None else (host.number, collector)
            found.append(engine.connection.execute(statement, values).fetchone()[0])
    return min((number for number in found if number is not None), default=None)


def _drop_layouts(engine: Engine, host: HostEntry) -> None:
    """Removes layouts that no row refers to: hosts whose series come and go make ever new ones."""
    connection = engine.connection
    used: set[int] = set()
    for run in engine.registry.runs.values():
        if run.host is host:
            base = run.number << RUN_SHIFT
            for (body,) in connection.execute(
                "SELECT body FROM tail WHERE id BETWEEN ? AND ?", (base, base | SEQ_MASK)
            ):
                used.update(layout for layout, _, _ in decode_row(body).groups)
    for table in ("chunk", "rollup"):
        used.update(
            row[0] for row in connection.execute(f"SELECT DISTINCT layout FROM {table} WHERE host = ?", (host.number,))
        )
    gone = {place: number for place, number in host.layouts.items() if number not in used}
    connection.execute("BEGIN IMMEDIATE")
    connection.executemany("DELETE FROM layout WHERE id = ?", [(number,) for number in gone.values()])
    connection.execute("COMMIT")
    for place, number in gone.items():
        del host.layouts[place]
        engine.registry.layouts.pop(number, None)
    host.splitter.forget()


def _trim_raw(engine: Engine, below: int, *, spare: bool = False) -> Iterator[None]:
    """Removes raw readings of blocks below one. `spare`: not from where late frames have just come, which are sealed
    soon and go on from what was before them.
    """
    connection = engine.connection
    for host in engine.registry.hosts():
        rows = connection.execute(
            "SELECT block, run FROM chunk WHERE host = ? AND collector = 0 AND block < ? ORDER BY block",
            (host.number, below),
        ).fetchall()
        for block, run in rows:
            arrived = engine.dirty.get((run, block)) if spare else None
            if arrived is not None and engine.clock.boottime() - arrived < _SOON:
                break
            _trim_block(engine, host.number, block, run)
            yield


def _trim_block(engine: Engine, host: int, block: int, run: int) -> None:
    connection, access = engine.connection, engine.access
    entry = engine.registry.runs[run]
    owners = access.owners(host)
    names = [name for name, keys in owners.items() if accounted(keys, entry.host.catalogue)]
    whole = access.sealed_block(host, block, run, names)
    connection.execute("BEGIN IMMEDIATE")
    for name in names:
        if whole is not None and name in whole.groups:
            _remember(engine, entry, whole, whole.groups[name], owners[name])
    let_go(connection, run, block)
    connection.execute(
        "DELETE FROM chunk WHERE id IN (SELECT c.id FROM (SELECT 0 AS id UNION ALL SELECT id FROM collector) AS k"
        " JOIN chunk AS c ON c.host = ? AND c.collector = k.id AND c.block = ? AND c.run = ?)",
        (host, block, run),
    )
    connection.execute("DELETE FROM todo WHERE run = ? AND block = ?", (run, block))
    connection.execute("UPDATE run SET trimmed = max(trimmed, ?) WHERE id = ?", (block + 1, run))
    connection.execute("COMMIT")
    entry.trimmed = max(entry.trimmed, block + 1)


def _remember(engine: Engine, entry: RunEntry, whole: Block, group: Group, owned: Iterable[str]) -> None:
    """Keeps the last value of each counter of a block, and of which this run had counted before that they are gone."""
    catalogue, host = entry.host.catalogue, entry.host.number
    keys = accounted(group.all_keys(), catalogue)
    missed = set(accounted(owned, catalogue)).difference(keys)
    for key, column in zip(keys, group.columns(keys), strict=True):
        held = [
            (whole.ats[row], value)
            for row, value in zip(group.rows, column, strict=True)
            if value is not None and 0 <= value < MOST
        ]
        if held:
            engine.connection.execute(
                "INSERT INTO floor(host, key, boot, value, at, missed) VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT(host, key)"
                " DO UPDATE SET boot = excluded.boot, value = excluded.value, at = excluded.at,"
                " missed = excluded.missed WHERE excluded.at >= at",
                (host, key, entry.boot, held[-1][1], held[-1][0], entry.number if column[-1] is None else 0),
            )
        else:
            missed.add(key)
    if group.rows:
        engine.connection.executemany(
            "UPDATE floor SET missed = ? WHERE host = ? AND key = ? AND at < ? AND missed <> ?",
            [(entry.number, host, key, whole.ats[group.rows[-1]], entry.number) for key in missed],
        )


def _trim_rollups(engine: Engine, tier: int, below: int) -> Iterator[None]:
    for host in engine.registry.hosts():
        for collector in list(engine.registry.collector_names):
            while _delete(
                engine.connection,
                "rollup",
                "host = ? AND collector = ? AND tier = ? AND page < ?",
                (host.number, collector, tier, below),
            ):
                yield


def _delete(connection: sqlite3.Connection, table: str, where: str, values: tuple[object, ...]) -> bool:
    """Removes some rows; returns whether there were any."""
    done = connection.execute(
        f"DELETE FROM {table} WHERE id IN (SELECT id FROM {table} WHERE {where} LIMIT {_BATCH})", values
    )
    return done.rowcount > 0
