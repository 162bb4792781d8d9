"""Who was it: the processes and the users of the network worth keeping beside a moment. Pure."""

from __future__ import annotations

import heapq
from typing import TYPE_CHECKING

from sysmon.units import format_bytes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from sysmon.frame import ProcessRow, TalkerRow


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


def top_talkers(rows: Iterable[TalkerRow], n: int = 10) -> list[TalkerRow]:
    """Returns the `n` first by what they receive and send now, busiest first; those that rest are left out.

    What cannot be put to anybody comes last where there is any: it tells how much the others leave open.

    Args:
        rows: with their derived rates; one without a rate counts as idle.
        n: how many, but for that.
    """
    busy = [row for row in rows if traffic(row) > 0]
    known = heapq.nlargest(n, (row for row in busy if row.kind != "other"), key=traffic)
    return [*known, *(row for row in busy if row.kind == "other")][: n + 1]


def traffic(row: TalkerRow) -> float:
    """Returns the bytes per second that one receives and sends."""
    return (row.receive_rate or 0.0) + (row.transmit_rate or 0.0)


def describe(row: ProcessRow) -> str:
    """Returns one line about a process, such as `nginx (123, www): 35 % CPU, 2.0 GiB, 3.0 MiB/s I/O`."""
    parts = [f"{row.cpu * 100:.0f} % CPU"] if row.cpu is not None else []
    parts.append(format_bytes(row.memory))
    if _io(row) > 0:
        parts.append(f"{format_bytes(_io(row), per_second=True)} I/O")
    where = row.container or row.unit
    return f"{row.name} ({row.pid}, {row.user}{', ' + where if where else ''}): {', '.join(parts)}"
