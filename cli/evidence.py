"""What is kept of hosts beside their frames: who was busiest at a moment, and who was there behind a router."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sysmon.evidence import top, top_talkers
from sysmon.frame import READ_BY
from sysmon.records import Evidence
from sysmon.rowrates import with_rates

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from sysmon.derive import State
    from sysmon.frame import Frame, TalkerRow
    from sysmon.ports import Recorder

    Record = Callable[[Callable[[Recorder], Awaitable[None]]], Awaitable[None]]

EVIDENCE_ROWS = 10
"""Processes kept of each order (cpu, memory, I/O) as evidence, and users of the network."""


class Witnessed:
    """Keeps what a host's frames show of its processes, its traffic and its devices.

    Args:
        record: hands something to the recorder, where there is one.
        every: seconds between records of the busiest.
    """

    def __init__(self, record: Record, every: float) -> None:
        self._record = record
        self._every = every * 1e9 - 5e8
        self._last: dict[str, int] = {}
        self._moved: dict[str, tuple[str, int, dict[str, TalkerRow]]] = {}

    async def look(self, frame: Frame, state: State, time: int) -> None:
        """Keeps who is busiest, where that is due. `time`: of the frame, by this side's clock."""
        if frame.tables.processes is None or not any(row.cpu is not None for row in state.processes):
            return
        last = self._last.get(frame.host)
        if last is None or frame.monotonic < last or frame.monotonic - last >= self._every:
            self._last[frame.host] = frame.monotonic
            await self.keep(frame.host, state, time, self._since(frame, state))

    def _since(self, frame: Frame, state: State) -> list[TalkerRow]:
        """Returns who used the network with their mean rates since the last record: what moved between two looks, and
        who did it and has left, stand in none of the looks alone.
        """
        if state.stale("connections") or not state.talkers:
            self._moved.pop(frame.host, None)
            return []
        at = state.reads.get(READ_BY["talkers"], frame.monotonic)
        before = self._moved.get(frame.host)
        self._moved[frame.host] = frame.boot, at, {row.key: row for row in state.talkers}
        if before is None or before[0] != frame.boot or at - before[1] < 1e9:
            return state.talkers
        return [_mean(row, before[2].get(row.key), at - before[1]) for row in state.talkers]

    async def keep(self, host: str, state: State, time: int, talkers: list[TalkerRow] | None = None) -> None:
        """Keeps who is busiest. `talkers`: who used the network, those of the last look by default."""
        rows = top(state.processes, EVIDENCE_ROWS)
        if talkers is None:
            talkers = [] if state.stale("connections") else state.talkers
        talkers = top_talkers(talkers, EVIDENCE_ROWS)
        if rows or talkers:
            evidence = Evidence(host=host, time=time, processes=rows, talkers=talkers)
            await self._record(lambda kept: kept.record_evidence(evidence))

    async def meet(self, frame: Frame, time: int) -> None:
        """Keeps who was there behind a router, as of when it was asked; a full frame may repeat what was read before
        it. `time`: of the frame, by this side's clock.
        """
        rows = frame.tables.devices
        if rows:
            age = max(0, frame.monotonic - frame.reads.get("devices", frame.monotonic)) // 1_000_000
            await self._record(lambda kept: kept.record_devices(frame.host, rows, time - age))


def _mean(row: TalkerRow, before: TalkerRow | None, nanoseconds: int) -> TalkerRow:
    """Returns a row with its mean rates; it is counted from 0, and one that fell was counted anew."""
    received, sent = (0, 0) if before is None else (before.received, before.sent)
    if row.received < received or row.sent < sent:
        return row
    return with_rates(row, received, sent, nanoseconds)
