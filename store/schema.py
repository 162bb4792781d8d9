"""The file: its tables, how it is opened, and how an older one is brought up to date.

Times are milliseconds UTC in the history's own time (a frame's time, corrected where its host's clock is far off). A
*block* is ten minutes of one run; a row of `run` is one boot within one run, so that its frames share their counters.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from sysmon.errors import SchemaTooNew

if TYPE_CHECKING:
    from pathlib import Path

BLOCK = 600_000
"""Milliseconds of frames that are sealed together."""

MINUTE = 60_000
QUARTER = 900_000
"""Milliseconds of one step of the two rollups."""

MINUTE_PAGE = 3_600_000
QUARTER_PAGE = 43_200_000
"""Milliseconds of each rollup that are kept in one row; whole blocks."""

BUCKET = 300_000
"""Milliseconds of the base bucket of usage."""

RUN_SHIFT = 40
"""A tail row's id is `run << RUN_SHIFT | seq`: frames lie in order without an index."""

_BASE = (
    "CREATE TABLE migration(version INTEGER PRIMARY KEY, applied INTEGER NOT NULL)",
    # Small facts about the file, such as whether it was closed properly.
    "CREATE TABLE note(key TEXT PRIMARY KEY, value) WITHOUT ROWID",
    "CREATE TABLE host(id INTEGER PRIMARY KEY, host TEXT NOT NULL UNIQUE, info BLOB)",
    "CREATE TABLE metric(host INTEGER NOT NULL, name TEXT NOT NULL, entry BLOB NOT NULL, PRIMARY KEY(host, name))"
    " WITHOUT ROWID",
    "CREATE TABLE collector(id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE)",
    # offset: milliseconds added to a frame's time; trimmed: blocks below it hold no raw readings any more.
    "CREATE TABLE run(id INTEGER PRIMARY KEY AUTOINCREMENT, host INTEGER NOT NULL, run TEXT NOT NULL,"
    " boot TEXT NOT NULL, contact INTEGER NOT NULL, offset INTEGER NOT NULL DEFAULT 0,"
    " trimmed INTEGER NOT NULL DEFAULT 0,"
    " UNIQUE(host, run, boot))",
    # Which series the positions of a row or column stand for.
    "CREATE TABLE layout(id INTEGER PRIMARY KEY AUTOINCREMENT, host INTEGER NOT NULL, collector INTEGER NOT NULL,"
    " keys BLOB NOT NULL)",
    "CREATE INDEX layout_host ON layout(host)",
    "CREATE TABLE tail(id INTEGER PRIMARY KEY, at INTEGER NOT NULL, body BLOB NOT NULL)",
    # collector 0 is the block's head (seqs, times, faults), whose summary lists the ranges of seqs held.
    # Sum, count, min, max, last of a block stand beside it, as its minutes in `rollup`.
    "CREATE TABLE chunk(id INTEGER PRIMARY KEY AUTOINCREMENT, host INTEGER NOT NULL, collector INTEGER NOT NULL,"
    " block INTEGER NOT NULL, run INTEGER NOT NULL, layout INTEGER, summary BLOB, data BLOB NOT NULL)",
    "CREATE UNIQUE INDEX chunk_place ON chunk(host, collector, block, run)",
    # tier: milliseconds of a step; page: its first millisecond over the page's length; run 0: all runs.
    "CREATE TABLE rollup(id INTEGER PRIMARY KEY, host INTEGER NOT NULL, collector INTEGER NOT NULL,"
    " tier INTEGER NOT NULL, page INTEGER NOT NULL, run INTEGER NOT NULL, layout INTEGER NOT NULL,"
    " data BLOB NOT NULL)",
    "CREATE UNIQUE INDEX rollup_place ON rollup(host, collector, tier, page, run)",
    # Sealed blocks whose rollups must be made again because what lies before them changed.
    "CREATE TABLE todo(run INTEGER NOT NULL, block INTEGER NOT NULL, PRIMARY KEY(run, block)) WITHOUT ROWID",
    # One contribution of one sealed block to one bucket; run and block are 0 once buckets are folded together.
    "CREATE TABLE usage(host INTEGER NOT NULL, key TEXT NOT NULL, start INTEGER NOT NULL, run INTEGER NOT NULL,"
    " block INTEGER NOT NULL, length INTEGER NOT NULL, bytes INTEGER NOT NULL, flags INTEGER NOT NULL,"
    " PRIMARY KEY(host, start, key, run, block)) WITHOUT ROWID",
    "CREATE INDEX usage_source ON usage(run, block)",
    # The last value of each accounted counter among the raw readings already trimmed.
    "CREATE TABLE floor(host INTEGER NOT NULL, key TEXT NOT NULL, boot TEXT NOT NULL, value NOT NULL,"
    " at INTEGER NOT NULL, PRIMARY KEY(host, key)) WITHOUT ROWID",
    "CREATE TABLE event(id TEXT PRIMARY KEY, host TEXT NOT NULL, time INTEGER NOT NULL, body BLOB NOT NULL)"
    " WITHOUT ROWID",
    "CREATE INDEX event_time ON event(time)",
    "CREATE TABLE alert(host TEXT NOT NULL, rule TEXT NOT NULL, key TEXT NOT NULL, status TEXT NOT NULL,"
    " body BLOB NOT NULL, PRIMARY KEY(host, rule, key)) WITHOUT ROWID",
    "CREATE TABLE evidence(id INTEGER PRIMARY KEY, host INTEGER NOT NULL, time INTEGER NOT NULL, body BLOB NOT NULL)",
    "CREATE UNIQUE INDEX evidence_time ON evidence(host, time)",
)

_BANDWIDTH = (
    # Devices behind a router (host), as last seen; first and last: when they were there or moved bytes.
    "CREATE TABLE device(host INTEGER NOT NULL, key TEXT NOT NULL, first INTEGER NOT NULL, last INTEGER NOT NULL,"
    " body BLOB NOT NULL, PRIMARY KEY(host, key)) WITHOUT ROWID",
    # What users call them, and when users began to count anew: written by any process of this user.
    "CREATE TABLE device_note(host TEXT NOT NULL, key TEXT NOT NULL, alias TEXT NOT NULL DEFAULT '',"
    " category TEXT NOT NULL DEFAULT '', PRIMARY KEY(host, key)) WITHOUT ROWID",
    "CREATE TABLE device_reset(host TEXT NOT NULL, time INTEGER NOT NULL, PRIMARY KEY(host, time)) WITHOUT ROWID",
    # What was taken of a source for a stretch of time that this history lacks of a series (start 0: before its first
    # reading): the source's pieces there, counted up to `time`.
    "CREATE TABLE past_lack(host INTEGER NOT NULL, key TEXT NOT NULL, start INTEGER NOT NULL, until INTEGER NOT NULL,"
    " source TEXT NOT NULL, time INTEGER NOT NULL, pieces BLOB NOT NULL, PRIMARY KEY(host, key, start)) WITHOUT ROWID",
    # Bytes that others counted and this history lacks; pieces of a key never overlap.
    "CREATE TABLE past(host INTEGER NOT NULL, key TEXT NOT NULL, start INTEGER NOT NULL, length INTEGER NOT NULL,"
    " bytes INTEGER NOT NULL, flags INTEGER NOT NULL, source TEXT NOT NULL, PRIMARY KEY(host, key, start))"
    " WITHOUT ROWID",
)


def _usage_into_pages(connection: sqlite3.Connection) -> None:
    from store.upgrade import usage_into_pages

    usage_into_pages(connection)


_USAGE = (
    # Counters whose totals are kept.
    "CREATE TABLE counter(id INTEGER PRIMARY KEY, host INTEGER NOT NULL, key TEXT NOT NULL)",
    "CREATE UNIQUE INDEX counter_key ON counter(host, key)",
    # What one sealed block adds, from `low` to before `high`; run 0: its readings are removed, and nothing changes it
    # any more. folded: the pages hold it already.
    "CREATE TABLE usage_block(id INTEGER PRIMARY KEY AUTOINCREMENT, host INTEGER NOT NULL, run INTEGER NOT NULL,"
    " block INTEGER NOT NULL, folded INTEGER NOT NULL, low INTEGER NOT NULL, high INTEGER NOT NULL,"
    " data BLOB NOT NULL)",
    "CREATE INDEX usage_block_place ON usage_block(run, block)",
    "CREATE INDEX usage_block_host ON usage_block(host, folded, block)",
    # tier: milliseconds of its buckets, nearly; page: its first millisecond over the page's length.
    "CREATE TABLE usage_page(id INTEGER PRIMARY KEY, tier INTEGER NOT NULL, page INTEGER NOT NULL,"
    " counter INTEGER NOT NULL, data BLOB NOT NULL)",
    "CREATE UNIQUE INDEX usage_page_place ON usage_page(tier, page, counter)",
    _usage_into_pages,
    "DROP TABLE usage",
    # Of a counter's last value: the run that read on after it and did not know the counter any more.
    "ALTER TABLE floor ADD COLUMN missed INTEGER NOT NULL DEFAULT 0",
)

Migration = Sequence[str | Callable[[sqlite3.Connection], None]]
"""Statements, and what takes Python, that lead from one version to the next."""

MIGRATIONS: tuple[Migration, ...] = (_BASE, _BANDWIDTH, _USAGE)
"""From version n to n + 1; a released entry never changes."""

PAGED = 3
"""The version from which on usage is kept in pages."""


def connect(
    path: Path | str, *, read_only: bool = False, immutable: bool = False, existing: bool = False
) -> sqlite3.Connection:
    """Opens the file in autocommit mode; transactions are begun by hand. `existing`: none is made."""
    uri = f"file:{_quoted(str(path))}"
    if read_only:
        uri += "?immutable=1" if immutable else "?mode=ro"
    elif existing:
        uri += "?mode=rw"
    made = sqlite3.connect(uri, uri=True, isolation_level=None, check_same_thread=False, timeout=5.0)
    return made


def prepare(connection: sqlite3.Connection) -> None:
    """Sets up a connection that writes; before the first table, or some of it has no effect."""
    connection.execute("PRAGMA cache_size = -4096")
    connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = NORMAL")
    # The log is written back, and cut, at a quarter of SQLite's own bound: it would lie 4 MB large beside a small file.
    connection.execute("PRAGMA wal_autocheckpoint = 256")
    connection.execute("PRAGMA journal_size_limit = 1048576")


def version_of(connection: sqlite3.Connection) -> int:
    """Returns the file's schema version, 0 for a new one."""
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


def migrate(
    connection: sqlite3.Connection, path: Path | str, now: int, migrations: Sequence[Migration] = MIGRATIONS
) -> None:
    """Brings the file up to date, every step and its record in one transaction.

    Raises:
        SchemaTooNew: a newer sysmon wrote it.
    """
    refuse_newer(connection, path, len(migrations))
    if version_of(connection) == len(migrations):
        return
    connection.execute("BEGIN IMMEDIATE")
    try:
        for number in range(version_of(connection), len(migrations)):
            for statement in migrations[number]:
                if callable(statement):
                    statement(connection)
                else:
                    connection.execute(statement)
            connection.execute("INSERT INTO migration(version, applied) VALUES (?, ?)", (number + 1, now))
        connection.execute(f"PRAGMA user_version = {len(migrations)}")
        connection.execute("COMMIT")
    except BaseException:
        connection.execute("ROLLBACK")
        raise


def refuse_newer(connection: sqlite3.Connection, path: Path | str, known: int = len(MIGRATIONS)) -> None:
    """Refuses a file of a newer version.

    Raises:
        SchemaTooNew: it is one.
    """
    version = version_of(connection)
    if version > known:
        raise SchemaTooNew(
            f"{path} has schema {version}, this sysmon knows up to {known}",
            "a newer sysmon wrote it: upgrade this one, or name another file with SYSMON_DB",
        )


def _quoted(path: str) -> str:
    return path.replace("%", "%25").replace("?", "%3f").replace("#", "%23")
