"""What processes used of the processor in the last minutes, kept while the list is looked at. Pure."""

from __future__ import annotations

import math
from collections import deque
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sysmon.frame import ProcessRow

KEPT: Final = 300
"""Reads that are kept. Only processes that did something are noted, so idle ones cost nothing."""

LEAST: Final = 0.005
"""Cores in use below which a process counts as idle here."""


class Trail:
    """Processor use of all processes over the last reads, in cores."""

    def __init__(self) -> None:
        self._reads: deque[tuple[int, float | None, dict[tuple[int, float], float]]] = deque(maxlen=KEPT)

    def add(self, time: int, boottime: float | None, rows: Sequence[ProcessRow]) -> bool:
        """Takes the processes of one read; one that was taken before, or is older than the last, changes nothing.

        Args:
            time: of the read, Unix milliseconds. `boottime`: the same in seconds since boot.
            rows: with their rates.

        Returns:
            Whether it was taken.
        """
        if self._reads and time <= self._reads[-1][0]:
            return False
        # Written out: this runs over every process each second.
        busy = {(row.pid, row.started): used for row in rows if (used := row.cpu) is not None and used >= LEAST}
        if not self._reads and all(row.cpu is None for row in rows):
            return False
        self._reads.append((time, boottime, busy))
        return True

    def clear(self) -> None:
        """Forgets all."""
        self._reads.clear()

    def points(self, row: ProcessRow, count: int = KEPT) -> list[float | None]:
        """Returns a process's use at the last reads, oldest first; None before it started."""
        key = (row.pid, row.started)
        reads = list(self._reads)[-count:]
        return [
            None if boottime is not None and row.started > boottime else busy.get(key, 0.0)
            for _, boottime, busy in reads
        ]

    def levels(self, count: int, levels: int) -> dict[tuple[int, float], tuple[int, ...]]:
        """Returns for each process that was busy in the last `count` reads its use as levels of one core.

        Each tuple has `count` entries from 0 (idle) to `levels` (a whole core, or more), oldest first.
        """
        reads = list(self._reads)[-count:]
        offset = count - len(reads)
        found: dict[tuple[int, float], list[int]] = {}
        for at, (_, _, busy) in enumerate(reads, offset):
            for key, used in busy.items():
                line = found.get(key)
                if line is None:
                    line = found[key] = [0] * count
                line[at] = min(levels, math.ceil(used * levels))
        return {key: tuple(line) for key, line in found.items()}
