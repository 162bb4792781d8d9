"""The history as its readers see it: one SQLite file, read on threads of its own, while another process may write."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, TypeVar

import msgspec

from store.files import store_error
from store.held import HeldFrames
from store.lock import holder
from store.schema import connect, refuse_newer, version_of
from store.views import View
from sysmon.errors import Corrupt, StoreError
from sysmon.records import HistoryStatus, SeriesAnswer, Span

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from sysmon.catalogue import Catalogue
    from sysmon.clock import Clock
    from sysmon.frame import Frame
    from sysmon.records import (
        AlertState,
        Event,
        Evidence,
        HostInfo,
        KnownDevice,
        Moment,
        RunSpan,
        SeriesQuery,
        Usage,
    )

T = TypeVar("T")

_READERS = 2
"""Threads: a long query does not hold up a short one."""

_NO_RIGHT = (sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY)

_PULSE = 2000
"""Steps of SQLite's machine between looks at the deadline."""


class SqliteHistory:
    """Reads one history file; implements `sysmon.ports.History`.

    Every method answers within the deadline or raises `StoreError`. A file that does not exist (yet) is an empty
    history whose status says so; one that appears, or is replaced, is taken up at the next call.

    Attributes:
        path: the file.
        problem: what the recorder of this process says is wrong, put into the status; set by whoever records too.
    """

    def __init__(self, path: Path, catalogue: Catalogue, clock: Clock, deadline: float) -> None:
        self.path = path
        self.problem: Callable[[], str] = lambda: ""
        self._catalogue = catalogue
        self._clock = clock
        self._deadline = deadline
        self._pool = ThreadPoolExecutor(_READERS, thread_name_prefix="history-reader")
        self._local = threading.local()
        self._views: list[View] = []
        self._held = HeldFrames()
        self._guard = threading.Lock()
        self._closed = False

    @classmethod
    def open(cls, path: Path, catalogue: Catalogue, *, clock: Clock, deadline: float = 5.0) -> SqliteHistory:
        """Makes a reader; the file is opened by the first question.

        Args:
            path: the history.
            catalogue: the metrics known here; entries that hosts brought with them are added.
            clock: tells the time.
            deadline: seconds within which every question is answered or refused.
        """
        return cls(path, catalogue, clock, deadline)

    async def status(self) -> HistoryStatus:
        """Returns how the history is; never raises."""
        recorder = holder(self.path)
        problem = self.problem()
        since = None
        size = sum(_size(f"{self.path}{suffix}") for suffix in ("", "-wal"))
        try:
            found = await self._ask(lambda view: (view.since(),), None)
            if found is None:
                problem = problem or f"there is no history at {self.path} yet"
            else:
                since = found[0]
        except StoreError as error:
            problem = problem or str(error)
        return HistoryStatus(
            path=str(self.path),
            bytes=size,
            since=since,
            recorder=recorder.label if recorder is not None else "",
            problem=problem,
        )

    async def catalogue(self, host: str) -> Catalogue:
        """Returns the catalogue for a host: what is known here, and what the host brought with it."""
        return await self._ask(lambda view: view.catalogue(host), self._catalogue)

    async def hosts(self) -> list[HostInfo]:
        """Returns the hosts it knows."""
        return await self._ask(lambda view: view.hosts(), [])

    async def keys(self, host: str) -> list[str]:
        """Returns the series keys known of a host, raw and derived, sorted."""
        return await self._ask(lambda view: view.keys(host), [])

    async def series(self, query: SeriesQuery) -> SeriesAnswer:
        """Returns series in steps, from readings or rollups as the range asks for."""
        return await self._ask(lambda view: view.series(query), SeriesAnswer(series=[]))

    async def moment(self, host: str, time: int, step: int = 0) -> Moment | None:
        """Returns the state at the frame at or last before `time` (step 0), the next after (1) or the previous before
        (-1) it, or None. Its frames' times are the history's, so that stepping from them works for any clock.
        """
        return await self._ask(lambda view: view.moment(host, time, step), None)

    async def spans(self, host: str | None = None) -> list[RunSpan]:
        """Returns which frames are held, oldest first."""
        return await self._ask(lambda view: view.spans(host), [])

    async def frames(self, host: str, run: str, first: int, last: int) -> list[Frame]:
        """Returns the frames of a run with seq from `first` to `last`, as recorded, without tables; at most 600."""
        return await self._ask(lambda view: view.frames(host, run, first, last), [])

    async def events(
        self, host: str | None = None, start: int | None = None, end: int | None = None, limit: int = 1000
    ) -> list[Event]:
        """Returns events, newest first; those of the history itself belong to every host."""
        return await self._ask(lambda view: view.events(host, start, end, limit), [])

    async def alerts(self, host: str | None = None) -> list[AlertState]:
        """Returns the states of alerts that are not resolved."""
        return await self._ask(lambda view: view.alerts(host), [])

    async def evidence(self, host: str, time: int) -> Evidence | None:
        """Returns the last evidence at or before `time`, at most 10 minutes older."""
        return await self._ask(lambda view: view.evidence(host, time), None)

    async def usage(self, host: str, start: int, end: int, step: str, keys: Sequence[str] = ()) -> list[Usage]:
        """Returns byte totals per counter in steps of `sysmon.zones.STEPS` of the host's time zone.

        Steps that `start` and `end` cut are counted whole. Usage older than 40 days is known by the hour only, and so
        is what flowed within holes of more than a day; such a bucket's `end` says so.

        Raises:
            UsageError: another step.
        """
        return await self._ask(lambda view: view.usage(host, start, end, step, keys), [])

    async def devices(self, host: str) -> list[KnownDevice]:
        """Returns the devices ever seen behind a router, those seen last first, with what users call them."""
        return await self._ask(lambda view: view.devices(host), [])

    async def resets(self, host: str) -> list[int]:
        """Returns when users began counting periods of a host's devices anew (Unix ms), ascending."""
        return await self._ask(lambda view: view.resets(host), [])

    async def gaps(self, host: str, start: int, end: int) -> list[Span]:
        """Returns the stretches without data."""
        return await self._ask(lambda view: view.gaps(host, start, end), [Span(start, end)])

    async def close(self) -> None:
        """Closes the connections and ends the threads."""
        self._closed = True
        self._pool.shutdown(wait=False, cancel_futures=True)
        await asyncio.to_thread(self._pool.shutdown)
        with self._guard:
            for view in self._views:
                view.connection.close()
            self._views.clear()

    async def _ask(self, question: Callable[[View], T], empty: T) -> T:
        if self._closed:
            raise StoreError(f"the reader of {self.path} is closed")
        return await asyncio.get_running_loop().run_in_executor(self._pool, self._answer, question, empty)

    def _answer(self, question: Callable[[View], T], empty: T) -> T:
        until = time.monotonic() + self._deadline
        for attempt in (1, 2):
            view = self._view()
            if view is None:
                return empty
            connection = view.connection
            view.until = until
            connection.set_progress_handler(lambda: int(time.monotonic() > until), _PULSE)
            try:
                # One state of the file for all of the question's statements.
                connection.execute("BEGIN")
                return question(view)
            except sqlite3.Error as error:
                if attempt == 1 and self._replaced(view):
                    continue
                raise store_error(error, self.path) from error
            except msgspec.DecodeError as error:
                raise Corrupt(
                    f"history {self.path} is damaged: {error}", "set it aside, and a new one is begun"
                ) from error
            finally:
                connection.set_progress_handler(None, 0)
                if connection.in_transaction:
                    connection.rollback()
        return empty

    def _view(self) -> View | None:
        """Returns this thread's view of the file that is there now, None where there is none."""
        view: View | None = getattr(self._local, "view", None)
        if view is not None and not self._replaced(view):
            return view
        if view is not None:
            self._drop(view)
        view = self._local.view = self._connect()
        return view

    def _replaced(self, view: View) -> bool:
        try:
            return os.stat(self.path).st_ino != view.inode or (view.unchanging and self._is_written())
        except OSError:
            return True

    def _drop(self, view: View) -> None:
        with self._guard:
            if view in self._views:
                self._views.remove(view)
        self._held.forget(view.connection)
        view.connection.close()
        self._local.view = None

    def _connect(self) -> View | None:
        try:
            inode = os.stat(self.path).st_ino
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise StoreError(
                f"history {self.path} cannot be read: {error.strerror}",
                "ask its owner for the right to, or name another file with SYSMON_DB",
            ) from error
        try:
            connection, unchanging = self._open_connection()
        except sqlite3.Error as error:
            raise store_error(error, self.path) from error
        try:
            refuse_newer(connection, self.path)
            if not version_of(connection):
                connection.close()
                return None
        except sqlite3.Error as error:
            connection.close()
            raise store_error(error, self.path) from error
        except StoreError:
            connection.close()
            raise
        view = View(connection, inode, self.path, self._catalogue, unchanging, self._held)
        with self._guard:
            self._views.append(view)
        return view

    def _open_connection(self) -> tuple[sqlite3.Connection, bool]:
        """Opens the file; returns the connection, and whether it takes the file for one that nobody changes."""
        connection = connect(self.path, read_only=True)
        try:
            connection.execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchone()
        except sqlite3.OperationalError as error:
            connection.close()
            if error.sqlite_errorcode & 0xFF not in _NO_RIGHT or self._is_written():
                raise
            # Its writer is gone, and in a folder that this user may not write to nothing else could be set up.
            return connect(self.path, read_only=True, immutable=True), True
        return connection, False

    def _is_written(self) -> bool:
        return os.path.exists(f"{self.path}-wal")


def _size(path: str) -> int:
    try:
        return os.stat(path).st_size
    except OSError:
        return 0
