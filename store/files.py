"""Opening the file that is written: checked, migrated, set aside where it cannot be read."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import stat
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from store.lock import PRIVATE, unwritable
from store.schema import connect, migrate, prepare, refuse_newer
from sysmon.errors import Corrupt, StorageFull, StoreError

if TYPE_CHECKING:
    from pathlib import Path

_CHECKED = 64 << 20
"""Bytes up to which a file that was not closed properly is checked whole when it is opened."""

_FULL = {sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR}
_DAMAGED = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}
_SIDECARS = ("-wal", "-shm")


def open_file(path: Path, now: int) -> tuple[sqlite3.Connection, str]:
    """Opens the history for writing; returns the connection and a notice ('' where all is well).

    A file that cannot be read is renamed to `<name>.corrupt-<time>` and a new one is begun; the notice says so.

    Raises:
        SchemaTooNew: a newer sysmon wrote it.
        StorageFull: no room for even an empty file.
        StoreError: the folder or the file cannot be written to.
    """
    try:
        make_folder(path.parent)
        _make(path, PRIVATE)
    except OSError as error:
        raise unwritable(path, error) from error
    try:
        return _open(path, now), ""
    except Corrupt as error:
        aside = set_aside(path, now)
        return _open(path, now), aside_notice(path, aside, error)


def make_folder(folder: Path) -> None:
    """Makes a folder, and those above it that are missing, for its owner alone, as XDG asks."""
    if not folder.is_dir():
        make_folder(folder.parent)
        with contextlib.suppress(FileExistsError):
            folder.mkdir(0o700)


def _make(path: Path, mode: int) -> None:
    """Makes an empty file where there is none; one that is there keeps its mode. SQLite gives its log the same."""
    with contextlib.suppress(FileExistsError):
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, PRIVATE)
        try:
            if mode != PRIVATE:
                os.fchmod(descriptor, mode)
        finally:
            os.close(descriptor)


def set_aside(path: Path, now: int) -> Path:
    """Renames a damaged history, with what belongs to it; returns its new path. An empty file of the same mode takes
    its place.
    """
    stamp = datetime.fromtimestamp(now / 1000, UTC).strftime("%Y%m%dT%H%M%SZ")
    aside = path.with_name(f"{path.name}.corrupt-{stamp}")
    count = 1
    while aside.exists():
        aside = path.with_name(f"{path.name}.corrupt-{stamp}-{count}")
        count += 1
    os.replace(path, aside)
    for suffix in _SIDECARS:
        if os.path.exists(f"{path}{suffix}"):
            os.replace(f"{path}{suffix}", f"{aside}{suffix}")
    _make(path, stat.S_IMODE(os.stat(aside).st_mode))
    return aside


def aside_notice(path: Path, aside: Path, error: Corrupt) -> str:
    """Says that a damaged file was set aside."""
    return f"{path} could not be read ({error.message}); it is now {aside.name}, and a new one is begun"


def store_error(error: sqlite3.Error, path: Path) -> StoreError:
    """Turns an error of SQLite into one of ours."""
    code = getattr(error, "sqlite_errorcode", None)
    primary = code & 0xFF if isinstance(code, int) else None
    if primary in _DAMAGED:
        return Corrupt(f"{path}: {error}")
    if primary in _FULL:
        return StorageFull(f"{path} cannot grow: {error}", "free some space on its disk; recording resumes by itself")
    if primary == sqlite3.SQLITE_INTERRUPT:
        return StoreError(f"{path} did not answer in time", "ask for a shorter range or fewer series")
    if primary in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM):
        return StoreError(
            f"history {path} cannot be opened or written: {error}",
            f"give this user the right to read and write it and {path.parent}, or name another file with SYSMON_DB",
        )
    return StoreError(f"{path}: {error}")


def _open(path: Path, now: int) -> sqlite3.Connection:
    connection = None
    try:
        connection = connect(path)
        refuse_newer(connection, path)
        _check(connection, path)
        prepare(connection)
        migrate(connection, path, now)
        connection.execute("INSERT OR REPLACE INTO note(key, value) VALUES ('clean', 0)")
    except sqlite3.Error as error:
        if connection is not None:
            connection.close()
        raise store_error(error, path) from error
    except BaseException:
        if connection is not None:
            connection.close()
        raise
    return connection


def _check(connection: sqlite3.Connection, path: Path) -> None:
    """Checks the file whole where its last writer was killed and it is small enough for that."""
    if not connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'note'").fetchone():
        if connection.execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchone():
            raise StoreError(f"{path} is a database, but not a history of sysmon", "name another file with SYSMON_DB")
        return
    clean = connection.execute("SELECT value FROM note WHERE key = 'clean'").fetchone()
    if (clean and clean[0]) or path.stat().st_size > _CHECKED:
        return
    found = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
    if found != "ok":
        raise Corrupt(str(found).splitlines()[-1])
