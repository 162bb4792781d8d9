"""The recorder: the one writer of a history file, on a thread of its own."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import msgspec

from store.engine import SEQ_LIMIT
from store.files import make_folder
from store.lock import Lock, unwritable
from store.loop import Work, WriterLoop
from sysmon.errors import StoreError
from sysmon.frame import Tables

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from store.retention import Retention
    from sysmon.catalogue import Catalogue, Metric
    from sysmon.clock import Clock
    from sysmon.frame import DeviceRow, Frame
    from sysmon.records import AlertState, Event, Evidence, HostInfo, Past


class SqliteRecorder:
    """Records into one SQLite file; implements `sysmon.ports.Recorder`.

    Methods return once the work is queued, in order; when the queue is full they wait. What was taken is committed
    within 2 s. While the disk is full, recording pauses, `problem` says so, callers are not held up, and the newest
    frames are kept in memory up to a bound; it resumes by itself and leaves an event naming what was lost.

    Attributes:
        path: the file.
        notices: what happened on opening or since that people should know, such as a damaged file set aside.
    """

    def __init__(self, path: Path, lock: Lock, loop: WriterLoop) -> None:
        self.path = path
        self._lock = lock
        self._loop = loop
        self._closed = False

    @classmethod
    def open(
        cls, path: Path, catalogue: Catalogue, *, retention: Retention, clock: Clock, who: str = "screen"
    ) -> SqliteRecorder:
        """Opens or makes the file and starts the writer's thread. Takes some 20 ms, and reads up to 64 MiB of a file
        whose last writer was killed.

        Args:
            path: the history; its folder is made where it is missing, both for this user alone: command lines are in
                it. The mode of a file that is there already is left as somebody chose it.
            catalogue: the metrics known here.
            retention: how long and how much is kept.
            clock: tells the time; the thread itself waits in real time.
            who: what records (screen, agent, record), for the lock.

        Raises:
            Locked: another process records into it; names it.
            SchemaTooNew: a newer sysmon wrote it.
            StorageFull: no room for even an empty file.
            StoreError: the folder or file cannot be written to.
        """
        try:
            make_folder(path.parent)
        except OSError as error:
            raise unwritable(path, error) from error
        lock = Lock.acquire(path, who, clock.now())
        try:
            loop = WriterLoop(path, catalogue, retention, clock)
            loop.start()
        except BaseException:
            lock.release()
            raise
        return cls(path, lock, loop)

    @property
    def problem(self) -> str:
        """What is wrong with recording now, or the empty string."""
        return self._loop.problem

    @property
    def notices(self) -> list[str]:
        """What people should know, oldest first."""
        return list(self._loop.notices)

    async def record(self, frame: Frame, *, received: int, late: bool = False) -> None:
        """Takes one frame; one already held (by host, run and seq) is ignored."""
        if not 0 < frame.seq < SEQ_LIMIT:
            raise StoreError(f"frame {frame.seq} of run {frame.run}: a seq is at least 1 and below 2**40")
        # Tables are not kept, and must not keep memory either.
        bare = msgspec.structs.replace(frame, tables=Tables(), cost={})
        await self._put(lambda engine: engine.take_frame(bare, received, late), bare)

    async def record_host(self, info: HostInfo) -> None:
        """Takes what is known about a host."""
        await self._put(lambda engine: engine.take_host(info))

    async def record_metrics(self, host: str, metrics: Sequence[Metric]) -> None:
        """Takes catalogue entries that a host's frames need and this process may not know."""
        await self._put(lambda engine: engine.take_metrics(host, metrics))

    async def record_event(self, event: Event) -> None:
        """Takes an event; one with a known id is ignored."""
        await self._put(lambda engine: engine.take_event(event))

    async def record_alerts(self, states: Sequence[AlertState]) -> None:
        """Keeps alert states for the next start."""
        await self._put(lambda engine: engine.take_alerts(states))

    async def record_evidence(self, evidence: Evidence) -> None:
        """Keeps who was busiest."""
        await self._put(lambda engine: engine.take_evidence(evidence))

    async def record_past(self, past: Past) -> None:
        """Takes what others counted before, as far as it is not known here: nothing counts twice."""
        await self._put(lambda engine: engine.take_past(past))

    async def record_devices(self, host: str, rows: Sequence[DeviceRow], time: int) -> None:
        """Keeps who was seen behind a router at a moment (Unix ms)."""
        await self._put(lambda engine: engine.take_devices(host, rows, time))

    async def flush(self) -> None:
        """Returns when everything taken so far is committed.

        Raises:
            StorageFull: it cannot be, for want of room.
        """
        await self._loop.ask("flush")

    async def maintain(self) -> None:
        """Commits, then seals, rolls up and trims whatever is due now; the thread does so by itself in time."""
        await self._loop.ask("maintain")

    async def close(self) -> None:
        """Commits, tidies the file up and lets go of the lock."""
        if self._closed:
            return
        self._closed = True
        try:
            await self._loop.ask("close")
        finally:
            await asyncio.to_thread(self._loop.join)
            self._lock.release()

    async def _put(self, work: Work, frame: Frame | None = None) -> None:
        if self._closed:
            raise StoreError(f"recording into {self.path} has ended")
        await self._loop.put(work, frame)
