"""Opening, filling and looking at histories."""

from __future__ import annotations

import sqlite3
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, TypeVar

from store.reader import SqliteHistory
from store.retention import Retention
from store.writer import SqliteRecorder
from sysmon.clock import ManualClock
from tests.store.worlds import CATALOGUE, START

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Generator, Iterable
    from pathlib import Path

    from sysmon.catalogue import Catalogue
    from sysmon.frame import Frame

T = TypeVar("T")

KEEP = Retention(free=0.0)


@asynccontextmanager
async def recording(
    path: Path,
    clock: ManualClock | None = None,
    *,
    retention: Retention = KEEP,
    catalogue: Catalogue = CATALOGUE,
) -> AsyncIterator[SqliteRecorder]:
    """A recorder that is closed in the end."""
    recorder = SqliteRecorder.open(path, catalogue, retention=retention, clock=clock or ManualClock(START))
    try:
        yield recorder
    finally:
        await recorder.close()


@asynccontextmanager
async def reading(
    path: Path, clock: ManualClock | None = None, *, catalogue: Catalogue = CATALOGUE
) -> AsyncIterator[SqliteHistory]:
    """A reader that is closed in the end."""
    history = SqliteHistory.open(path, catalogue, clock=clock or ManualClock(START))
    try:
        yield history
    finally:
        await history.close()


async def put(recorder: SqliteRecorder, clock: ManualClock, frames: Iterable[Frame]) -> None:
    """Records frames as they come, the clock going with them."""
    for frame in frames:
        clock.step_wall(frame.time - clock.now())
        await recorder.record(frame, received=clock.now())


async def seal_all(recorder: SqliteRecorder, clock: ManualClock) -> None:
    """Has everything sealed that waits in the tail."""
    clock.step_wall(20 * 60_000)
    await recorder.maintain()


def finished(steps: Generator[None, None, T]) -> T:
    """Runs work done in steps to its end; returns what it made."""
    while True:
        try:
            next(steps)
        except StopIteration as end:
            made: T = end.value
            return made


def rows(path: Path, statement: str) -> list[tuple[object, ...]]:
    """Asks the file itself."""
    connection = sqlite3.connect(path)
    try:
        return connection.execute(statement).fetchall()
    finally:
        connection.close()
