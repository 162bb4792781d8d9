"""What users say of what is recorded: names of devices, and when they began to count anew.

These are small rows that any process of the user may write, beside the one that records; each is committed at once.
"""

from __future__ import annotations

import asyncio
import sqlite3
from typing import TYPE_CHECKING, Final

from store.devices import SCHEMA
from store.files import store_error
from store.schema import connect, refuse_newer, version_of
from sysmon.clock import SystemClock
from sysmon.errors import StoreError
from sysmon.frame import clean_instance, clean_text

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from sysmon.clock import Clock

MAX_NOTE: Final = 64
"""Characters of a name or category at most."""
MAX_RESETS: Final = 1_000
"""Counting periods of one host at most; the oldest go."""
_AHEAD: Final = 60_000
"""Milliseconds by which another clock may be ahead."""


class SqliteNotes:
    """Writes notes into a history file, whoever records into it; implements `sysmon.ports.Notes`.

    Each call is one short transaction on a connection of its own, so that a file that was replaced is found, and
    nothing is held in between. It waits for other writers up to five seconds.
    """

    def __init__(self, path: Path, clock: Clock) -> None:
        self.path = path
        self._clock = clock

    @classmethod
    def open(cls, path: Path, *, clock: Clock | None = None) -> SqliteNotes:
        """Makes a writer of notes; the file is opened by each call, and never made or migrated."""
        return cls(path, clock or SystemClock())

    async def name_device(self, host: str, key: str, *, alias: str | None = None, category: str | None = None) -> None:
        """Keeps what a user calls a device of a router; '' takes it back, None leaves it as it is.

        Args:
            host: id of the router.
            key: of the device.
            alias, category: at most `MAX_NOTE` characters.

        Raises:
            StoreError: there is no history, it cannot be written to, or a text is too long.
        """
        key = clean_instance(key)
        if not host or not key:
            raise StoreError("a device is named by the id of its router and its key", "`sysmon devices` lists them")
        alias, category = _note(alias, "name"), _note(category, "category")
        if alias is None and category is None:
            return
        await self._write(
            [
                (
                    "INSERT INTO device_note(host, key, alias, category)"
                    " VALUES (?1, ?2, ifnull(?3, ''), ifnull(?4, ''))"
                    " ON CONFLICT(host, key) DO UPDATE SET alias = ifnull(?3, alias), category = ifnull(?4, category)",
                    (host, key, alias, category),
                ),
                ("DELETE FROM device_note WHERE host = ? AND key = ? AND alias = '' AND category = ''", (host, key)),
            ]
        )

    async def reset_devices(self, host: str, time: int) -> None:
        """Begins a new counting period of a router's devices, here alone: nothing is written to the router.

        Raises:
            StoreError: there is no history, it cannot be written to, or the time lies in the future.
        """
        now = self._clock.now()
        if not host or not 0 <= time <= now + _AHEAD:
            raise StoreError(f"no counting period of '{host}' begins at {time} ms", "it begins now or began before")
        await self._write(
            [
                ("INSERT OR IGNORE INTO device_reset(host, time) VALUES (?, ?)", (host, min(time, now))),
                (
                    "DELETE FROM device_reset WHERE host = ?1 AND time < (SELECT time FROM device_reset WHERE host = ?1"
                    f" ORDER BY time DESC LIMIT 1 OFFSET {MAX_RESETS - 1})",
                    (host,),
                ),
            ]
        )

    async def _write(self, statements: Sequence[tuple[str, tuple[object, ...]]]) -> None:
        await asyncio.to_thread(self._transact, statements)

    def _transact(self, statements: Sequence[tuple[str, tuple[object, ...]]]) -> None:
        try:
            self.path.stat()
        except OSError as error:
            raise StoreError(
                f"there is no history at {self.path} to write to: {error.strerror}",
                "record first with `sysmon --record`, or name another file with SYSMON_DB",
            ) from error
        try:
            connection = connect(self.path, existing=True)
        except sqlite3.Error as error:
            raise store_error(error, self.path) from error
        try:
            refuse_newer(connection, self.path)
            version = version_of(connection)
            if version < SCHEMA:
                raise StoreError(
                    f"{self.path} has schema {version}, names of devices need {SCHEMA}",
                    "an older sysmon records into it, or nobody yet: start this one's recorder anew",
                )
            connection.execute("BEGIN IMMEDIATE")
            for statement, values in statements:
                connection.execute(statement, values)
            connection.execute("COMMIT")
        except sqlite3.Error as error:
            if getattr(error, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_BUSY:
                raise StoreError(f"{self.path} is being written to, for longer than 5 s", "try again") from error
            raise store_error(error, self.path) from error
        finally:
            connection.close()


def resets_of(connection: sqlite3.Connection, host: str) -> list[int]:
    """Returns when users began counting periods of a host's devices anew (Unix ms), ascending."""
    return [
        time for (time,) in connection.execute("SELECT time FROM device_reset WHERE host = ? ORDER BY time", (host,))
    ]


def _note(text: str | None, what: str) -> str | None:
    if text is None:
        return None
    if len(text) > 4096:
        raise StoreError(f"a {what} of {len(text)} characters is too long", f"at most {MAX_NOTE} are kept")
    text = clean_text(text.strip()).strip()
    if len(text) > MAX_NOTE:
        raise StoreError(f"the {what} '{text[:20]}…' has {len(text)} characters", f"at most {MAX_NOTE} are kept")
    return text
