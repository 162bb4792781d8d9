"""The writer's thread: takes work from a bounded queue, commits it in batches, and tidies up in small steps between."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Literal, NamedTuple

from store.engine import Engine
from store.files import aside_notice, open_file, set_aside, store_error
from store.maintenance import Maintenance
from sysmon.errors import Corrupt, StoreError
from sysmon.records import Event

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from store.retention import Retention
    from sysmon.catalogue import Catalogue
    from sysmon.clock import Clock
    from sysmon.frame import Frame

Ask = Literal["flush", "maintain", "close"]
Work = Callable[[Engine], None]

QUEUE = 2048
"""Pieces of work waiting for the thread, beyond which callers wait."""

COMMIT_EVERY = 1.0
"""Seconds between commits; with the commit itself it stays below the 2 s that a crash may cost."""

RETRY_EVERY = 1.0
"""Seconds between tries while the disk is full."""

KEPT_READINGS = 300_000
"""Readings of frames that are kept in memory while the disk is full (about 25 MB); older frames are given up."""

KEPT_ITEMS = 20_000
"""Pieces of work of any kind kept while the disk is full."""


_OF_THE_WORK = (sqlite3.IntegrityError, sqlite3.DataError, sqlite3.ProgrammingError, sqlite3.InterfaceError)
"""Errors that lie with what is to be written, not with the file: trying again would not help."""


class _Item(NamedTuple):
    work: Work
    frame: Frame | None


class _Asked(NamedTuple):
    what: Ask
    loop: asyncio.AbstractEventLoop
    answer: asyncio.Future[None]


class WriterLoop:
    """Owns the write connection. Everything below `put` and `ask` runs on its thread."""

    def __init__(self, path: Path, catalogue: Catalogue, retention: Retention, clock: Clock) -> None:
        self.path = path
        self.problem = ""
        self.notices: list[str] = []
        self._catalogue = catalogue
        self._retention = retention
        self._clock = clock
        self._wake = threading.Condition()
        self._items: deque[_Item] = deque()
        self._asked: list[_Asked] = []
        self._waiting: deque[tuple[asyncio.AbstractEventLoop, asyncio.Future[None]]] = deque()
        self._lost: dict[str, list[int]] = {}
        self._committed = time.monotonic()
        self._ended = False
        self._steps: Iterator[None] | None = None
        self._thread = threading.Thread(target=self._run, name="history-writer", daemon=True)
        self._open()

    def start(self) -> None:
        """Starts the thread."""
        self._thread.start()

    def join(self) -> None:
        """Waits for the thread's end."""
        if self._thread.is_alive():
            self._thread.join()

    async def put(self, work: Work, frame: Frame | None) -> None:
        """Queues work, waiting while the queue is full; a paused recorder holds nobody up."""
        item = _Item(work, frame)
        while True:
            with self._wake:
                if self._ended:
                    raise StoreError(f"recording into {self.path} has ended: {self.problem or 'closed'}")
                if len(self._items) < QUEUE or self.problem:
                    self._items.append(item)
                    if len(self._items) >= QUEUE // 2:
                        self._wake.notify()
                    return
                loop = asyncio.get_running_loop()
                room = loop.create_future()
                self._waiting.append((loop, room))
                self._wake.notify()
            await room

    async def ask(self, what: Ask) -> None:
        """Has the thread do something after all that was queued, and waits for it."""
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[None] = loop.create_future()
        with self._wake:
            if self._ended:
                return
            self._asked.append(_Asked(what, loop, answer))
            self._wake.notify()
        await answer

    def _open(self) -> None:
        connection, notice = open_file(self.path, self._clock.now())
        self._connection = connection
        self._inode = os.stat(self.path).st_ino
        self._engine = Engine(connection, self._catalogue, self._clock)
        self._maintenance = Maintenance(self._engine, self._retention, self.path)
        self._steps = None
        if notice:
            self._tell(notice)

    def _tell(self, notice: str, severity: Literal["info", "warning", "critical"] = "critical") -> None:
        now = self._clock.now()
        self.notices.append(notice)
        event = Event(
            id=f"recording-{now}-{len(self.notices)}",
            time=now,
            host="",
            kind="recording",
            severity=severity,
            message=notice,
        )
        self._items.appendleft(_Item(lambda engine: engine.take_event(event), None))

    def _run(self) -> None:
        try:
            closing = False
            while not closing:
                items, asked = self._next()
                failure = self._commit(items)
                self._let_in()
                for each in asked:
                    if each.what == "maintain" and failure is None:
                        failure = self._maintain_all()
                    if each.what == "close":
                        closing = True
                        failure = self._close() or failure
                    _answer(each, failure)
                if not self.problem and not closing:
                    self._maintain_step()
        except BaseException as error:  # the thread's top level: whoever waits must hear of it
            self.problem = f"recording stopped: {type(error).__name__}: {error}"
            self.notices.append(self.problem)
            raise
        finally:
            self._end()

    def _next(self) -> tuple[list[_Item], list[_Asked]]:
        """Waits until something is due; returns the work and the questions taken together with it."""
        with self._wake:
            pause = RETRY_EVERY if self.problem else COMMIT_EVERY
            until = self._committed + pause
            while not self._asked and (len(self._items) < QUEUE // 2 or self.problem):
                left = until - time.monotonic()
                if left <= 0 or (self._steps is not None and not self.problem):
                    break
                self._wake.wait(left)
            asked, self._asked = self._asked, []
            due = asked or time.monotonic() >= until or len(self._items) >= QUEUE // 2
            items: list[_Item] = []
            if due:
                items = list(self._items)
                self._items.clear()
                self._committed = time.monotonic()
            return items, asked

    def _commit(self, items: list[_Item]) -> StoreError | None:
        """Commits the items; where that fails for now they go back to the head of the queue."""
        if not items:
            return None
        for attempt in (1, 2):
            try:
                self._write(items)
            except sqlite3.Error as error:
                failure = store_error(error, self.path)
                self._roll_back()
                if isinstance(failure, Corrupt) and attempt == 1 and self._begin_anew(failure):
                    continue
                self._pause(items, failure)
                return failure
            except Corrupt as failure:
                self._roll_back()
                if attempt == 1 and self._begin_anew(failure):
                    continue
                self._pause(items, failure)
                return failure
            break
        self._committed = time.monotonic()
        if self.problem:
            self._resume()
        return None

    def _write(self, items: list[_Item]) -> None:
        if not self._in_place():
            self._reopen()
        engine = self._engine
        self._connection.execute("BEGIN IMMEDIATE")
        for item in items:
            try:
                item.work(engine)
            except Corrupt:
                raise
            except Exception as error:  # one bad piece of work must not cost the others
                if isinstance(error, sqlite3.Error) and not isinstance(error, _OF_THE_WORK):
                    raise
                self.notices.append(f"could not be recorded: {type(error).__name__}: {error}")
                del self.notices[:-100]
        self._connection.execute("COMMIT")

    def _in_place(self) -> bool:
        try:
            return os.stat(self.path).st_ino == self._inode
        except OSError:
            return False

    def _roll_back(self) -> None:
        try:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
            # Names given out in the transaction no longer stand, and work begun before may know some.
            self._steps = None
            self._engine.reload()
        except (sqlite3.Error, Corrupt):
            pass

    def _reopen(self) -> None:
        """Begins a new file where somebody removed or replaced the old one."""
        self._connection.close()
        self._open()
        self._tell(f"{self.path} was removed while it was recorded into; a new one is begun", "warning")

    def _begin_anew(self, failure: Corrupt) -> bool:
        try:
            self._connection.close()
            aside = set_aside(self.path, self._clock.now())
            self._open()
        except (OSError, StoreError):
            return False
        self._tell(aside_notice(self.path, aside, failure))
        return True

    def _pause(self, items: list[_Item], failure: StoreError) -> None:
        self._committed = time.monotonic()
        self.problem = str(failure)
        with self._wake:
            self._items.extendleft(reversed(items))
            readings = sum(len(item.frame.readings) for item in self._items if item.frame is not None)
            kept: deque[_Item] = deque()
            left = len(self._items)
            for item in self._items:
                if item.frame is not None and (readings > KEPT_READINGS or left > KEPT_ITEMS):
                    readings -= len(item.frame.readings)
                    left -= 1
                    span = self._lost.setdefault(item.frame.host, [0, item.frame.time, item.frame.time])
                    span[0] += 1
                    span[2] = item.frame.time
                elif item.frame is None and left > KEPT_ITEMS:
                    left -= 1
                else:
                    kept.append(item)
            self._items = kept

    def _resume(self) -> None:
        now = self._clock.now()
        lost, self._lost = self._lost, {}
        reason, self.problem = self.problem, ""
        events = [
            Event(
                id=f"recording-{host}-{now}",
                time=now,
                host=host,
                kind="recording",
                severity="warning",
                message=f"{count} frames were not recorded: {reason}",
                value=float(count),
                evidence=[f"from {first} to {last} (Unix milliseconds)"],
            )
            for host, (count, first, last) in lost.items()
        ] or [
            Event(
                id=f"recording-{now}",
                time=now,
                host="",
                kind="recording",
                message=f"recording resumed, nothing was lost: {reason}",
            )
        ]
        with self._wake:
            for event in events:
                self._items.append(_Item(lambda engine, event=event: engine.take_event(event), None))  # type: ignore[misc]

    def _let_in(self) -> None:
        """Wakes callers for whom there is room now."""
        with self._wake:
            room = QUEUE - len(self._items) if not self.problem else len(self._waiting)
            woken = [self._waiting.popleft() for _ in range(min(room, len(self._waiting)))]
        for loop, future in woken:
            _call(loop, future, None)

    def _maintain_step(self) -> None:
        try:
            if self._steps is None:
                self._steps = self._maintenance.due()
            if self._steps is not None and next(self._steps, self) is self:
                self._steps = None
        except Exception as error:  # a runner: what cannot be tidied up must not end the recording
            self._maintenance_failed(error)

    def _maintain_all(self) -> StoreError | None:
        try:
            for _ in self._steps or ():
                pass
            self._steps = None
            self._maintenance.hurry()
            while (steps := self._maintenance.due(asked=True)) is not None:
                for _ in steps:
                    pass
        except Exception as error:  # as above
            return self._maintenance_failed(error)
        return None

    def _maintenance_failed(self, error: Exception) -> StoreError:
        self._steps = None
        failure = store_error(error, self.path) if isinstance(error, sqlite3.Error) else error
        if not isinstance(failure, StoreError):
            failure = StoreError(f"{self.path}: {type(error).__name__}: {error}")
        self._roll_back()
        if isinstance(failure, Corrupt):
            self._begin_anew(failure)
        else:
            self._maintenance.put_off(alone=not isinstance(error, (sqlite3.Error, StoreError)))
            self.notices.append(f"the history could not be tidied up: {failure}")
            del self.notices[:-100]
        return failure

    def _close(self) -> StoreError | None:
        failure = self._commit(list(self._items)) if self._items else None
        try:
            if failure is None:
                self._connection.execute("INSERT OR REPLACE INTO note(key, value) VALUES ('clean', 1)")
                self._connection.execute("PRAGMA optimize")
                self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        except sqlite3.Error as error:
            failure = store_error(error, self.path)
        finally:
            self._connection.close()
        return failure

    def _end(self) -> None:
        with self._wake:
            self._ended = True
            asked, self._asked = self._asked, []
            waiting, self._waiting = list(self._waiting), deque()
        failure = StoreError(f"recording into {self.path} has ended", self.problem)
        for each in asked:
            _answer(each, None if each.what == "close" else failure)
        for loop, future in waiting:
            _call(loop, future, failure)


def _answer(asked: _Asked, failure: StoreError | None) -> None:
    _call(asked.loop, asked.answer, failure)


def _call(loop: asyncio.AbstractEventLoop, future: asyncio.Future[None], failure: StoreError | None) -> None:
    def settle() -> None:
        if future.done():
            return
        if failure is None:
            future.set_result(None)
        else:
            future.set_exception(failure)

    try:
        loop.call_soon_threadsafe(settle)
    except RuntimeError:
        # The loop is gone, and with it whoever waited.
        pass
