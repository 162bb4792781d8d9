"""A past made up of arithmetic: any range, any step, with gaps, events and faults on request."""

from __future__ import annotations

import asyncio
import math
import zlib
from typing import TYPE_CHECKING

import msgspec

from sysmon.frame import split_key
from sysmon.records import (
    AlertState,
    Event,
    Evidence,
    HistoryStatus,
    HostInfo,
    KnownDevice,
    Moment,
    Point,
    RunSpan,
    Series,
    SeriesAnswer,
    SeriesQuery,
    Span,
    Stats,
    Usage,
)
from tests.tui.scripted import START, Script, catalogue

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sysmon.errors import SysmonError
    from sysmon.frame import Frame

NOW = START * 1000
STEPS = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14_400)
KEYS = [
    "cpu.utilization", "cpu.iowait", "cpu.steal", "memory.utilization", "swap.utilization", "load.1", "load.5",
    "load.15", "pressure.cpu.some", "pressure.memory.some", "pressure.io.some", "net.receive_rate:eth0",
    "net.transmit_rate:eth0", "net.receive_rate:lo", "net.transmit_rate:lo", "disk.read_rate:nvme0n1",
    "disk.write_rate:nvme0n1", "disk.read_rate:sda", "disk.write_rate:sda", "disk.busy:nvme0n1", "disk.busy:sda",
    "fs.utilization:/", "fs.utilization:/home", "fs.utilization:/srv", "temperature:k10temp/Tctl", "net.receive:eth0",
]  # fmt: skip
_SIZE = {"ratio": 1.0, "bytes/s": 4e6, "bytes": 8e9, "": 6.0, "celsius": 70.0}


class Past:
    """A history of one host.

    Attributes:
        gaps_at: stretches without data. `error`: raised by every read of series.
        hold: when set, series wait for it. `asked`: the queries so far.
    """

    def __init__(
        self,
        *,
        host: str = Script().host,
        keys: Sequence[str] = KEYS,
        gaps: Sequence[Span] = (),
        events: Sequence[Event] = (),
        since: int | None = NOW - 40 * 86_400_000,
        phase: float = 0.0,
    ) -> None:
        self.host = host
        self._keys = sorted(keys)
        self.gaps_at = list(gaps)
        self._events = list(events)
        self.since = since
        self.phase = phase
        self.error: SysmonError | None = None
        self.hold: asyncio.Event | None = None
        self.asked: list[SeriesQuery] = []
        self.cancelled = 0

    def _value(self, key: str, seconds: float) -> float:
        seed = zlib.crc32(key.encode()) % 100 / 10 + self.phase
        day = 0.5 - 0.5 * math.cos((seconds / 86_400 + seed / 40) * 2 * math.pi)
        noise = abs(math.sin(seconds / 37 + seed) * math.sin(seconds / 11 + seed) * math.sin(seconds / 301))
        steal = 0.08 if key.split(".")[-1] in ("steal", "iowait") else 1.0
        return (0.08 + 0.45 * day + 0.35 * noise) * steal

    async def series(self, query: SeriesQuery) -> SeriesAnswer:
        """Means over steps with least and most around them."""
        self.asked.append(query)
        if self.hold is not None:
            try:
                await self.hold.wait()
            except asyncio.CancelledError:
                self.cancelled += 1
                raise
        if self.error is not None:
            raise self.error
        span = (query.end - query.start) / 1000
        step = next((each for each in STEPS if span / each <= query.points), STEPS[-1]) * 1000
        found = []
        for key in self._keys:
            metric, instance = split_key(key)
            if metric != query.metric or query.instance not in ("*", instance):
                continue
            entry = catalogue().get(metric)
            unit = entry.unit if entry is not None else ""
            size = _SIZE.get(unit, 1.0)
            points = []
            for time in range(query.start - query.start % step, query.end, step):
                inside = any(gap.start <= time < gap.end for gap in self.gaps_at)
                if inside or (self.since is not None and time < self.since):
                    continue
                value = self._value(key, time / 1000) * size
                wide = value * 0.3 * min(1.0, step / 60_000)
                points.append(Point(time, step // 1000, value - wide, value, value + wide, value))
            stats = None
            if points:
                means = sorted(point.mean for point in points)
                stats = Stats(
                    sum(point.count for point in points), min(point.min for point in points), sum(means) / len(means),
                    max(point.max for point in points), means[int(len(means) * 0.95)], points[-1].last,
                )  # fmt: skip
            found.append(
                Series(
                    host=self.host, metric=metric, instance=instance, unit=unit, step=step, points=points, stats=stats
                )
            )
        return SeriesAnswer(series=found, gaps=await self.gaps(query.host, query.start, query.end))

    async def status(self) -> HistoryStatus:
        """How it is."""
        return HistoryStatus(path="/made/up", since=self.since)

    async def hosts(self) -> list[HostInfo]:
        """The one host."""
        return [HostInfo(id=self.host)]

    async def keys(self, host: str) -> list[str]:
        """Its keys."""
        return list(self._keys)

    async def moment(self, host: str, time: int, step: int = 0) -> Moment | None:
        """A frame of the script at a time."""
        return Moment(frame=msgspec.structs.replace(Script().frame(5), time=time - time % 1000))

    async def spans(self, host: str | None = None) -> list[RunSpan]:
        """None."""
        return []

    async def frames(self, host: str, run: str, first: int, last: int) -> list[Frame]:
        """None."""
        return []

    async def events(
        self, host: str | None = None, start: int | None = None, end: int | None = None, limit: int = 1000
    ) -> list[Event]:
        """Events of the range, newest first."""
        low, high = start or 0, end or 1 << 62
        return sorted((each for each in self._events if low <= each.time <= high), key=lambda each: -each.time)[:limit]

    async def alerts(self, host: str | None = None) -> list[AlertState]:
        """None."""
        return []

    async def evidence(self, host: str, time: int) -> Evidence | None:
        """None."""
        return None

    async def usage(self, host: str, start: int, end: int, step: str, keys: Sequence[str] = ()) -> list[Usage]:
        """None."""
        return []

    async def devices(self, host: str) -> list[KnownDevice]:
        """None."""
        return []

    async def resets(self, host: str) -> list[int]:
        """None."""
        return []

    async def gaps(self, host: str, start: int, end: int) -> list[Span]:
        """The stretches without data, cut to the range."""
        edges = list(self.gaps_at)
        if self.since is not None and self.since > start:
            edges.insert(0, Span(start, self.since))
        return [Span(max(gap.start, start), min(gap.end, end)) for gap in edges if gap.start < end and gap.end > start]

    async def close(self) -> None:
        """Nothing is held."""
