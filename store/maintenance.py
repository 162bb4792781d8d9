"""What the writer does between commits, in small steps: sealing, rolling up, trimming, giving space back."""

from __future__ import annotations

import os
import zlib
from typing import TYPE_CHECKING

from store.quarters import roll_quarters
from store.schema import BLOCK, MINUTE, MINUTE_PAGE, QUARTER, QUARTER_PAGE
from store.seal import seal
from store.trim import trim_age, trim_events, trim_more

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from store.engine import Engine
    from store.retention import Retention

_SECOND = 1_000_000_000
_QUIET = 20 * _SECOND
"""Nanoseconds without a new frame after which an ended block is sealed."""

_LEFT = 150 * _SECOND
"""The same for a block that its run has left although, by the clock, it has not ended: the clock was set back."""

_STAGGER = 120_000
"""Milliseconds over which the hosts' sealing is spread."""

_TRIM_EVERY = 60 * _SECOND
_RETRY = 60 * _SECOND
_NEVER = -_TRIM_EVERY

_JUMP = 60_000
"""Milliseconds by which the wall clock and the boot clock may part within a minute before the former has jumped."""

_TRUSTED = 900 * _SECOND
"""How long a clock that jumped, or that nothing speaks for, must go evenly before old data is removed by it."""

_AWAY = 7 * 86_400_000
"""Milliseconds after the newest data within which a clock is believed at the start."""

_SHUN = 3600 * _SECOND
"""How long a block is left alone that could not be sealed."""


class Maintenance:
    """Decides what is due and does it."""

    def __init__(self, engine: Engine, retention: Retention, path: Path) -> None:
        self._engine = engine
        self._retention = retention
        self._path = path
        self._idle_until = self._even = 0
        self._epoch: int | None = None
        self._block: tuple[int, int] | None = None
        self._shunned: dict[tuple[int, int], int] = {}
        self._trimmed = self._fitted = _NEVER
        pages = QUARTER_PAGE // MINUTE_PAGE
        engine.unpaged.update(
            engine.connection.execute(
                f"SELECT DISTINCT host, page / {pages} FROM rollup WHERE tier = {MINUTE}"
                f" EXCEPT SELECT host, page FROM rollup WHERE tier = {QUARTER}"
            )
        )

    def due(self, *, asked: bool = False) -> Iterator[None] | None:
        """Returns the steps of the next piece of work, or None where nothing is due.

        `asked`: without waiting for blocks to fall quiet.
        """
        engine = self._engine
        clock = engine.clock.boottime()
        now = engine.clock.now()
        if clock < self._idle_until and not asked:
            return None
        self._block = self._todo(clock) or self._block_due(now, clock, asked)
        if self._block is not None:
            return seal(engine, *self._block)
        for host, page in sorted(engine.unpaged):
            if (page + 1) * QUARTER_PAGE + BLOCK <= now and not self._waits(host, page):
                return roll_quarters(engine, host, page)
        if clock >= self._trimmed + _TRIM_EVERY:
            self._trimmed = clock
            if self._believes(now, clock) or asked:
                return trim_age(engine, self._retention, now)
        if clock >= self._fitted + _TRIM_EVERY:
            self._fitted = clock
            return self._fit(now)
        return None

    def _believes(self, now: int, clock: int) -> bool:
        """Whether the wall clock may be trusted with what is too old: it has gone on evenly for a while, or from where
        the history ended.
        """
        epoch = now - clock // 1_000_000
        if self._epoch is None or abs(epoch - self._epoch) > _JUMP:
            near = self._engine.latest() if self._epoch is None else None
            self._even = clock if near is None or now - near > _AWAY else clock - _TRUSTED
        self._epoch = epoch
        return clock >= self._even + _TRUSTED

    def hurry(self) -> None:
        """Makes the next round of trimming due at once."""
        self._trimmed = self._fitted = _NEVER

    def put_off(self, *, alone: bool = False) -> None:
        """Leaves everything be for a while, as it just failed; `alone`: only the block at hand, which is at fault."""
        clock = self._engine.clock.boottime()
        if alone and self._block is not None:
            self._shunned[self._block] = clock + _SHUN
        else:
            self._idle_until = clock + _RETRY

    def _todo(self, clock: int) -> tuple[int, int] | None:
        self._shunned = {place: until for place, until in self._shunned.items() if until > clock}
        found = self._engine.connection.execute(
            "SELECT run, block FROM todo ORDER BY block, run LIMIT ?", (len(self._shunned) + 1,)
        )
        return next((place for place in found.fetchall() if place not in self._shunned), None)

    def _block_due(self, now: int, clock: int, asked: bool) -> tuple[int, int] | None:
        engine = self._engine
        due = []
        for (run, block), arrived in engine.dirty.items():
            if (run, block) in self._shunned:
                continue
            quiet = clock - arrived
            host = engine.registry.runs[run].host.host
            ended = now - (block + 1) * BLOCK
            if asked:
                ready = ended >= 0 or engine.newest[run] > block
            else:
                stagger = zlib.crc32(host.encode()) % _STAGGER
                ready = (ended >= stagger and quiet >= _QUIET) or (engine.newest[run] != block and quiet >= _LEFT)
            if ready:
                due.append((block, run))
        if not due:
            return None
        block, run = min(due)
        return run, block

    def _waits(self, host: int, page: int) -> bool:
        engine = self._engine
        return any(
            engine.registry.runs[run].host.number == host and block * BLOCK // QUARTER_PAGE == page
            for run, block in engine.dirty
        )

    def _fit(self, now: int) -> Iterator[None]:
        """Brings the file within its budget, and gives free pages back where space is short."""
        connection = self._engine.connection
        size = connection.execute("PRAGMA page_size").fetchone()[0]
        limit, short = self._limit()
        yield from trim_events(self._engine, limit)
        while True:
            pages = connection.execute("PRAGMA page_count").fetchone()[0]
            free = connection.execute("PRAGMA freelist_count").fetchone()[0]
            steps = trim_more(self._engine, now) if (pages - free) * size > limit else None
            if steps is None:
                break
            yield from steps
            yield
        while free and (short or pages * size > limit or free > pages // 4):
            connection.execute("PRAGMA incremental_vacuum(256)").fetchall()
            before = free
            free = connection.execute("PRAGMA freelist_count").fetchone()[0]
            pages = connection.execute("PRAGMA page_count").fetchone()[0]
            if free >= before:
                break
            yield

    def _limit(self) -> tuple[int, bool]:
        """Returns how many bytes the file may have now, and whether the disk is short."""
        limit = int(self._retention.size)
        try:
            disk = os.statvfs(self._path.parent)
        except OSError:
            return limit, False
        missing = int(disk.f_blocks * disk.f_frsize * self._retention.free) - disk.f_bavail * disk.f_frsize
        if missing <= 0:
            return limit, False
        return min(limit, max(int(self._retention.least), self._path.stat().st_size - missing)), True
