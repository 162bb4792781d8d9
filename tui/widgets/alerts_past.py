"""What the Alerts screen reads from history: events in pages, a series around a moment, and who it was."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from sysmon.errors import SysmonError
from sysmon.evidence import describe
from sysmon.frame import split_key
from sysmon.records import SeriesQuery

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sysmon.ports import History
    from sysmon.records import Event, Series
    from tui.widgets.alerts_rows import AlertRow

PAGE: Final = 200
"""Events read at a time."""

LIMIT: Final = 5000
"""Events of one host kept at most."""

BEFORE_MS: Final = 600_000
AFTER_MS: Final = 300_000
"""What of a series is shown around a moment."""


class EventPages:
    """The events read of one host, newest first, and whether there are more.

    Attributes:
        events: id -> event.
        complete: whether the oldest is among them.
        since: since when the host is recorded, Unix milliseconds; None until known.
        problem: why they could not be read; '' where nothing is wrong.
        version: grows with every change.
    """

    def __init__(self, host: str) -> None:
        self.host = host
        self.events: dict[str, Event] = {}
        self.complete = False
        self.since: int | None = None
        self.problem = ""
        self.version = 0

    @property
    def oldest(self) -> int | None:
        """The time of the oldest event read."""
        return min((event.time for event in self.events.values()), default=None)

    async def more(self, history: History) -> bool:
        """Reads one page more; returns whether anything came."""
        if self.complete:
            return False
        before = len(self.events)
        end, limit = self.oldest, PAGE
        try:
            if not self.version:
                spans = await history.spans(self.host)
                self.since = min((span.start for span in spans), default=None)
            while True:
                # The oldest time is read again, since several events may share it; should they fill a page, by more.
                found = await history.events(self.host, None, None if end is None else end + 1, limit)
                self.events.update((event.id, event) for event in found)
                if len(found) < limit or len(self.events) > before or limit >= LIMIT:
                    break
                limit *= 2
            self.complete = len(found) < limit or len(self.events) >= LIMIT
            self.problem = ""
        except SysmonError as error:
            self.problem = str(error)
            self.complete = True
        self.version += 1
        return len(self.events) > before


@dataclass(frozen=True, slots=True)
class Surroundings:
    """A series around an alert's moment, and who was busy then.

    `start`, `end`: Unix milliseconds. `problem`: why something is missing.
    """

    row: str
    start: int
    end: int
    series: Series | None = None
    evidence: tuple[str, ...] = ()
    problem: str = ""


async def read_surroundings(history: History, row: AlertRow, now: int) -> Surroundings:
    """Reads what stood around a row's moment; what cannot be read is left out and said."""
    moment = row.moment
    start = moment - BEFORE_MS
    end = min(now, max(moment + AFTER_MS, min(row.until or moment, moment + 6 * AFTER_MS)))
    problem = ""
    series: Series | None = None
    evidence: tuple[str, ...] = row.evidence
    try:
        if row.key:
            metric, instance = split_key(row.key)
            query = SeriesQuery(
                host=row.host, metric=metric, instance=_escaped(instance) or "*", start=start, end=end, points=450
            )
            answer = await history.series(query)
            series = next((each for each in answer.series if each.instance == instance), None)
        if not evidence:
            found = await history.evidence(row.host, moment)
            if found is not None:
                evidence = tuple(describe(process) for process in found.processes[:5])
    except SysmonError as error:
        problem = str(error)
    return Surroundings(row.id, start, end, series, evidence, problem)


def _escaped(instance: str) -> str:
    """An instance as a glob that matches it alone."""
    return "".join(f"[{char}]" if char in "*?[" else char for char in instance)


def spread(series: Series, start: int, end: int, count: int) -> list[float | None]:
    """Lays a series' points over `count` columns of a range; where several fall into one their highest is taken.

    A point stands for its whole step, so that a coarse series has no gaps of its own.
    """
    found: list[float | None] = [None] * count
    length = max(1, end - start)
    for point in series.points:
        first = (point.time - start) * count // length
        last = max(first + 1, -((start - point.time - series.step) * count // length))
        for at in range(max(0, first), min(count, last)):
            old = found[at]
            found[at] = point.max if old is None else max(old, point.max)
    return found


async def read_all(pages: Sequence[tuple[EventPages, History]]) -> None:
    """Reads one page more of each host."""
    await asyncio.gather(*(page.more(history) for page, history in pages))
