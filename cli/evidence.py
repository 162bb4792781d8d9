"""What is kept of hosts beside their frames: who was busiest at a moment, and who was there behind a router."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sysmon.evidence import top, top_talkers
from sysmon.records import Evidence

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from sysmon.derive import State
    from sysmon.frame import Frame
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

    async def look(self, frame: Frame, state: State, time: int) -> None:
        """Keeps who is busiest, where that is due. `time`: of the frame, by this side's clock."""
        if frame.tables.processes is None or not any(row.cpu is not None for row in state.processes):
            return
        last = self._last.get(frame.host)
        if last is None or frame.monotonic < last or frame.monotonic - last >= self._every:
            self._last[frame.host] = frame.monotonic
            await self.keep(frame.host, state, time)

    async def keep(self, host: str, state: State, time: int) -> None:
        """Keeps who is busiest now."""
        rows = top(state.processes, EVIDENCE_ROWS)
        talkers = [] if state.stale("connections") else top_talkers(state.talkers, EVIDENCE_ROWS)
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
