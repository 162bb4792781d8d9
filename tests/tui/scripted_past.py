"""Where a made-up host's updates and past come from."""

from __future__ import annotations

import asyncio
from itertools import pairwise
from typing import TYPE_CHECKING

from sysmon.derive import State
from sysmon.frame import (
    Frame,
    ProcessRow,
    split_key,
)
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
    Update,
    Usage,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Sequence


from tests.tui.scripted_host import Script, catalogue


class ScriptedSource:
    """A source that yields what it is given, when it is given it."""

    def __init__(self) -> None:
        self._queue: asyncio.Queue[Update | None] = asyncio.Queue()
        self.error: Exception | None = None

    def push(self, *updates: Update) -> None:
        """Yields these next."""
        for update in updates:
            self._queue.put_nowait(update)

    def end(self, error: Exception | None = None) -> None:
        """Ends, by an error where one is given."""
        self.error = error
        self._queue.put_nowait(None)

    async def updates(self) -> AsyncIterator[Update]:
        """Yields what was pushed."""
        while (update := await self._queue.get()) is not None:
            yield update
        if self.error is not None:
            raise self.error

    async def close(self) -> None:
        """Nothing is held."""


_VALUES: dict[tuple[object, ...], dict[int, dict[str, dict[str, float]]]] = {}


class ScriptedHistory:
    """The past of one script: frames of the seconds given, with holes where some are left out.

    Attributes:
        hold: when set, every read waits for it: for tests of cancelling.
        reads: names of the methods called.
    """

    def __init__(
        self,
        script: Script,
        seconds: Iterable[int],
        *,
        events: Sequence[Event] = (),
        alerts: Sequence[AlertState] = (),
    ) -> None:
        self.script = script
        self.seconds = sorted(seconds)
        self._events = list(events)
        self._alerts = list(alerts)
        self.hold: asyncio.Event | None = None
        self.reads: list[str] = []

    async def _wait(self, name: str) -> None:
        self.reads.append(name)
        if self.hold is not None:
            await self.hold.wait()

    async def status(self) -> HistoryStatus:
        """How it is."""
        return HistoryStatus(path="/scripted", since=self._time(self.seconds[0]) if self.seconds else None)

    async def hosts(self) -> list[HostInfo]:
        """The one host."""
        return [self.script.info]

    async def keys(self, host: str) -> list[str]:
        """Its keys."""
        return sorted({*self.script.readings(1), *self._state(1).derived()})

    def _time(self, second: int) -> int:
        return (self.script.start + second) * 1000

    def _state(self, second: int) -> State:
        state = State(catalogue())
        state.apply(self.script.frame(second - 1))
        state.apply(self.script.frame(second))
        return state

    def _values(self, second: int) -> dict[str, dict[str, float]]:
        """metric -> instance -> value of a second, worked out once for all scripts of its shape."""
        worked_out = _VALUES.setdefault(self.script.shape, {})
        known = worked_out.get(second)
        if known is None:
            state = State(catalogue())
            state.apply(self.script.frame(second - 1, tables=False))
            state.apply(self.script.frame(second, tables=False))
            known = worked_out[second] = {}
            for key, value in {**state.readings, **state.derived()}.items():
                metric, instance = split_key(key)
                known.setdefault(metric, {})[instance] = float(value)
        return known

    async def series(self, query: SeriesQuery) -> SeriesAnswer:
        """Raw seconds; a coarser step is not made."""
        await self._wait("series")
        found: dict[str, list[Point]] = {}
        for second in self.seconds:
            time = self._time(second)
            if second < 1 or not query.start <= time < query.end:
                continue
            for instance, number in self._values(second).get(query.metric, {}).items():
                found.setdefault(instance, []).append(Point(time, 1, number, number, number, number))
        series = [
            Series(host=query.host, metric=query.metric, instance=name, step=1000, points=points)
            for name, points in found.items()
        ]
        return SeriesAnswer(series=series)

    async def moment(self, host: str, time: int, step: int = 0) -> Moment | None:
        """The frame at or around a time."""
        await self._wait("moment")
        if step > 0:
            found = next((second for second in self.seconds if self._time(second) > time), None)
        else:
            limit = time if step < 0 else time + 1
            found = next((second for second in reversed(self.seconds) if self._time(second) < limit), None)
        if found is None:
            return None
        evidence = Evidence(host=host, time=self._time(found) - 12_000, processes=self.processes(found))
        previous = self.script.frame(found - 1) if found > 0 else None
        return Moment(frame=self.script.frame(found, tables=True), previous=previous, evidence=evidence)

    def processes(self, second: int) -> list[ProcessRow]:
        """The busiest processes of a second, with their rates."""
        state = self._state(max(1, second))
        return sorted(state.processes, key=lambda row: -(row.cpu or 0.0))[:10]

    async def spans(self, host: str | None = None) -> list[RunSpan]:
        """One span per stretch without holes."""
        await self._wait("spans")
        spans: list[RunSpan] = []
        for second in self.seconds:
            if spans and spans[-1].last == second:
                last = spans.pop()
                spans.append(RunSpan(host=last.host, run=last.run, boot=last.boot, first=last.first, last=second + 1,
                                     start=last.start, end=self._time(second)))  # fmt: skip
            else:
                spans.append(RunSpan(host=self.script.host, run="r" * 16, boot="b" * 32, first=second + 1,
                                     last=second + 1, start=self._time(second), end=self._time(second)))  # fmt: skip
        return spans

    async def frames(self, host: str, run: str, first: int, last: int) -> list[Frame]:
        """Frames by seq."""
        return [self.script.frame(second) for second in self.seconds if first <= second + 1 <= last]

    async def events(
        self, host: str | None = None, start: int | None = None, end: int | None = None, limit: int = 1000
    ) -> list[Event]:
        """Events, newest first."""
        await self._wait("events")
        low, high = start or 0, end or 1 << 62
        found = [event for event in self._events if low <= event.time <= high]
        return sorted(found, key=lambda event: -event.time)[:limit]

    async def alerts(self, host: str | None = None) -> list[AlertState]:
        """States of alerts."""
        return list(self._alerts)

    async def evidence(self, host: str, time: int) -> Evidence | None:
        """Who was busiest."""
        moment = await self.moment(host, time)
        return moment.evidence if moment is not None else None

    async def usage(self, host: str, start: int, end: int, step: str, keys: Sequence[str] = ()) -> list[Usage]:
        """No totals."""
        return []

    async def devices(self, host: str) -> list[KnownDevice]:
        """None."""
        return []

    async def resets(self, host: str) -> list[int]:
        """None."""
        return []

    async def gaps(self, host: str, start: int, end: int) -> list[Span]:
        """The holes between the spans."""
        await self._wait("gaps")
        spans = await self.spans(host)
        return [
            Span(left.end + 1000, right.start)
            for left, right in pairwise(spans)
            if left.end >= start and right.start <= end
        ]

    async def close(self) -> None:
        """Nothing is held."""
