"""Where in time the screen stands: at the present, frozen, or at a moment of the past. No Textual here.

The past is read from a `History`; whoever calls may cancel. Where a step leads over a gap, or to an end of what is
recorded, the result says so.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from sysmon.errors import SysmonError
from sysmon.records import SeriesQuery
from sysmon.units import format_duration, format_time
from tui.chrome import Mark, Track
from tui.pastview import empty_view, past_view
from tui.window import WINDOW

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from sysmon.ports import History
    from sysmon.records import Event, Moment, Series
    from tui.chrome import Mode
    from tui.model import HostModel, View

LEAP_MS: Final = 600_000
"""How far a leap goes."""

GAP_MS: Final = 5_000
"""Frames this much further apart than their neighbours have a gap between them."""

_DAY_MS: Final = 86_400_000
_EVENTS: Final = 200


@dataclass(frozen=True, slots=True)
class Landing:
    """Where a move through time led: a view, or None for the present; `note` says what was in the way."""

    view: View | None
    note: str = ""


class Cursor:
    """The moment shown. `view` is None at the present; a frozen screen has one too."""

    def __init__(self) -> None:
        self.mode: Mode = "live"
        self.view: View | None = None

    @property
    def live(self) -> bool:
        """Whether the present is shown."""
        return self.mode == "live"

    def freeze(self, view: View) -> None:
        """Keep showing this view."""
        self.mode, self.view = "frozen", view.frozen()

    def land(self, landing: Landing) -> None:
        """Show where a move led."""
        self.mode, self.view = ("live", None) if landing.view is None else ("past", landing.view)

    def thaw(self) -> None:
        """Show the present."""
        self.mode, self.view = "live", None


class PastReader:
    """Reads moments of one host's past from its history.

    Args:
        host: whose past.
        history: where it is kept.
        graphed: the metrics whose last minutes the screen draws.
        now: the present, Unix milliseconds.
    """

    def __init__(self, host: HostModel, history: History, graphed: Collection[str], now: int) -> None:
        self.host = host
        self.history = history
        self.graphed = graphed
        self.now = now

    async def step(self, time: int, direction: int) -> Landing:
        """Goes to the next or the previous frame of a moment.

        Raises:
            SysmonError: the history cannot be read.
        """
        moment = await self._moment(time, direction)
        if moment is None:
            return self._now() if direction > 0 else await self._beginning(time)
        return await self._land(moment, gap_note(time, moment.frame.time, self._spacing(moment)))

    async def leap(self, time: int, direction: int, span: int = LEAP_MS) -> Landing:
        """Goes ten minutes back or forward; across a gap to its other side."""
        target = time + direction * span
        if target >= self.now - 1000:
            return self._now()
        moment = await self._moment(target, 0)
        if moment is None:
            return await self._beginning(time)
        if direction > 0 and moment.frame.time <= time:
            return await self.step(time, 1)
        lost = target - moment.frame.time
        return await self._land(moment, gap_note(target, moment.frame.time, 0) if lost > GAP_MS else "")

    async def jump(self, target: int) -> Landing:
        """Goes to the frame at or last before a moment; before the beginning, to the first."""
        if target > self.now:
            return Landing(None, "that lies in the future: this is now")
        moment = await self._moment(target, 0)
        if moment is None:
            return await self._beginning(target)
        here = moment.frame.time
        if target - here <= GAP_MS:
            return await self._land(moment, "")
        after = await self._moment(target, 1)
        wanted = format_time(target)
        if after is not None and after.frame.time - target < target - here:
            return await self._land(after, f"nothing was recorded at {wanted}: this is the next after it")
        return await self._land(moment, f"nothing was recorded at {wanted}: this is the last before it")

    async def same(self, view: View) -> Landing:
        """Reads a view's moment again, for a screen that graphs other metrics."""
        moment = await self._moment(view.time, 0)
        if moment is None or moment.frame.time != view.time:
            return await self.at(view.time)
        return await self._land(moment, "")

    async def at(self, time: int) -> Landing:
        """Goes to the frame at or last before a moment; stays at it where nothing is recorded by then, and says so."""
        moment = await self._moment(time, 0)
        if moment is None:
            label = self.host.info.label
            return Landing(empty_view(self.host, time), f"nothing of {label} was recorded by {format_time(time)}")
        if time - moment.frame.time <= GAP_MS:
            return await self._land(moment, "")
        return await self._land(moment, f"nothing was recorded at {format_time(time)}: this is the last before it")

    async def _moment(self, time: int, step: int) -> Moment | None:
        return await self.history.moment(self.host.info.id, time, step)

    def _now(self) -> Landing:
        return Landing(None, "this is now")

    async def _beginning(self, time: int) -> Landing:
        first = await self._moment(0, 1)
        if first is None:
            raise SysmonError("nothing is recorded of this host yet")
        word = "the recording begins here"
        return await self._land(first, word if first.frame.time <= time else f"{word}: nothing is older")

    def _spacing(self, moment: Moment) -> int:
        """What lies between two frames where nothing is missing."""
        intervals = moment.frame.intervals or self.host.state.intervals
        return int(min(intervals.values(), default=1.0) * 1000)

    async def _land(self, moment: Moment, note: str) -> Landing:
        time = moment.frame.time
        answers = await asyncio.gather(
            *(read_series(self.history, self.host.info.id, metric, time) for metric in self.graphed)
        )
        events = await self.history.events(self.host.info.id, max(0, time - _DAY_MS), time, _EVENTS)
        series: list[Series] = [each for answer in answers for each in answer]
        return Landing(past_view(self.host, moment, series, events), note)


async def read_series(history: History, host: str, metric: str, end: int, seconds: int = WINDOW) -> list[Series]:
    """Reads the last minutes of a metric up to and with a moment, in steps of a second where they are held."""
    query = SeriesQuery(host=host, metric=metric, start=end - seconds * 1000, end=end + 1, points=seconds)
    return (await history.series(query)).series


async def read_track(history: History, host: str, now: int) -> Track | None:
    """Reads what the time bar shows; None while nothing is recorded."""
    spans = await history.spans(host)
    if not spans:
        return None
    start = min(span.start for span in spans)
    gaps, events = await asyncio.gather(history.gaps(host, start, now), history.events(host, start, now, _EVENTS))
    return Track(start, now, tuple(gaps), tuple(marks(events)))


def marks(events: Iterable[Event]) -> list[Mark]:
    """The events that belong on the time bar: what went wrong, not what became right again."""
    return [
        Mark(event.time, event.severity)
        for event in events
        if event.kind in ("alert.firing", "host.down", "oom") or (event.kind == "boot" and event.severity != "info")
    ]


def next_mark(track: Track | None, time: int, direction: int) -> int | None:
    """The moment of the nearest event before or after a time, or None."""
    if track is None:
        return None
    times = [mark.time for mark in track.marks if (mark.time < time - 500 if direction < 0 else mark.time > time + 500)]
    if not times:
        return None
    return max(times) if direction < 0 else min(times)


def gap_note(asked: int, found: int, spacing: int) -> str:
    """What a move over a gap is to say; '' where there was none."""
    if abs(found - asked) <= max(GAP_MS, 3 * spacing):
        return ""
    first, last = sorted((asked, found))
    length = format_duration((last - first) / 1000)
    return f"over a gap of {length}: nothing was recorded from {_clock(first)} to {_clock(last)}"


def _clock(time: int) -> str:
    return format_time(time, date=False)
