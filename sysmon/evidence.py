"""Who was it: the processes worth keeping beside a moment. Pure."""

from __future__ import annotations

import heapq
from typing import TYPE_CHECKING

from sysmon.units import format_bytes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from sysmon.frame import ProcessRow


def _io(row: ProcessRow) -> float:
    return (row.read_rate or 0.0) + (row.write_rate or 0.0)


_WORTH: tuple[Callable[[ProcessRow], float], ...] = (
    lambda row: row.cpu or 0.0,
    lambda row: row.memory,
    _io,
)


def top(rows: Iterable[ProcessRow], n: int = 10) -> list[ProcessRow]:
    """Returns the union of the `n` processes first by CPU, by memory and by storage I/O, busiest first.

    Args:
        rows: processes with their derived rates; one without a rate counts as idle, and idle ones are left out.
        n: how many of each kind.

    Returns:
        Between 0 and 3 n rows, each once, by CPU, then I/O, then memory.
    """
    held = list(rows)
    chosen: dict[tuple[int, float], ProcessRow] = {}
    for worth in _WORTH:
        for row in heapq.nlargest(n, held, key=worth):
            if worth(row) > 0:
                chosen.setdefault((row.pid, row.started), row)
    return sorted(chosen.values(), key=lambda row: (row.cpu or 0.0, _io(row), row.memory), reverse=True)


def describe(row: ProcessRow) -> str:
    """Returns one line about a process, such as `nginx (123, www): 35 % CPU, 2.0 GiB, 3.0 MiB/s I/O`."""
    parts = [f"{row.cpu * 100:.0f} % CPU"] if row.cpu is not None else []
    parts.append(format_bytes(row.memory))
    if _io(row) > 0:
        parts.append(f"{format_bytes(_io(row), per_second=True)} I/O")
    where = row.container or row.unit
    return f"{row.name} ({row.pid}, {row.user}{', ' + where if where else ''}): {', '.join(parts)}"
