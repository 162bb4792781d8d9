"""Reads what the History screen draws: once for each question, a few at a time, errors in words. No Textual here."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from sysmon.errors import SysmonError
from sysmon.frame import join_key
from sysmon.records import Series, SeriesAnswer, SeriesQuery, Span
from tui.historycharts import MOST_LINES

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sysmon.ports import History
    from tui.historycharts import Chart

_KEPT_POINTS: Final = 40_000
"""Points kept of answers, some 8 MB."""
_AT_ONCE: Final = 3


@dataclass(frozen=True, slots=True)
class Line:
    """One series of a chart: its key, and the host's label where several are compared."""

    key: str
    series: Series
    host: str = ""

    @property
    def label(self) -> str:
        """The name in the legend."""
        return f"{self.host} {self.key}" if self.host else self.key


@dataclass(frozen=True, slots=True)
class ChartData:
    """What was read for one chart. `more`: series left out; `error`: why there is nothing, or not all."""

    start: int
    end: int
    unit: str
    lines: tuple[Line, ...] = ()
    gaps: tuple[Span, ...] = ()
    more: int = 0
    error: str = ""

    @property
    def step(self) -> int:
        """Milliseconds of its coarsest step, 0 without lines."""
        return max((line.series.step for line in self.lines), default=0)

    @property
    def coverage(self) -> float:
        """The share of the range with data, 0-1."""
        if self.end <= self.start:
            return 0.0
        missing = sum(max(0, min(gap.end, self.end) - max(gap.start, self.start)) for gap in self.gaps)
        return max(0.0, 1 - missing / (self.end - self.start))


@dataclass(slots=True)
class Reader:
    """Answers charts from histories; the same question is asked once.

    Attributes:
        done, wanted: questions answered of those of the present read, for the progress shown.
    """

    done: int = 0
    wanted: int = 0
    _kept: OrderedDict[SeriesQuery, SeriesAnswer] = field(default_factory=OrderedDict)
    _points: int = 0

    def forget(self) -> None:
        """Asks everything anew."""
        self._kept.clear()
        self._points = 0

    async def read(
        self,
        charts: Sequence[Chart],
        hosts: Sequence[tuple[str, str, History]],
        start: int,
        end: int,
        points: int,
        ready: Callable[[int, ChartData], None],
    ) -> None:
        """Reads charts in order and hands each over as soon as it is complete.

        Args:
            charts: what to read.
            hosts: (id, label, history); the first is the one shown.
            start, end: Unix milliseconds.
            points: at most so many steps.
            ready: takes the number of a chart and what was read.
        """
        self.done, self.wanted = 0, sum(len(chart.wanted) for chart in charts) * len(hosts)
        gate = asyncio.Semaphore(_AT_ONCE)

        async def one(number: int, chart: Chart) -> None:
            async with gate:
                ready(number, await self._chart(chart, hosts, start, end, points))

        async with asyncio.TaskGroup() as group:
            for number, chart in enumerate(charts):
                group.create_task(one(number, chart))

    async def _chart(
        self, chart: Chart, hosts: Sequence[tuple[str, str, History]], start: int, end: int, points: int
    ) -> ChartData:
        lines: list[Line] = []
        gaps: tuple[Span, ...] = ()
        errors: list[str] = []
        first = hosts[0][0]
        # The same series of all hosts stand side by side.
        for metric, instance in chart.wanted:
            for host, label, history in hosts:
                query = SeriesQuery(
                    host=host, metric=metric, instance=instance, start=start, end=end, points=max(1, min(1000, points))
                )
                try:
                    answer = await self._ask(history, query)
                except SysmonError as error:
                    errors.append(f"{label}: {error}" if len(hosts) > 1 else str(error))
                    continue
                finally:
                    self.done += 1
                if host == first:
                    gaps = tuple(answer.gaps)
                name = label if len(hosts) > 1 else ""
                known = {(line.host, line.key) for line in lines}
                for series in answer.series:
                    key = join_key(series.metric, series.instance)
                    if series.points and (name, key) not in known:
                        lines.append(Line(key, series, name))
        problem = errors[0] if errors else ""
        return ChartData(
            start, end, chart.unit, tuple(lines[:MOST_LINES]), gaps, max(0, len(lines) - MOST_LINES), problem
        )

    async def _ask(self, history: History, query: SeriesQuery) -> SeriesAnswer:
        found = self._kept.get(query)
        if found is None:
            found = self._kept[query] = await history.series(query)
            self._points += _points(found)
            while self._points > _KEPT_POINTS and len(self._kept) > 1:
                self._points -= _points(self._kept.popitem(last=False)[1])
        return found


def _points(answer: SeriesAnswer) -> int:
    return sum(len(series.points) for series in answer.series)
