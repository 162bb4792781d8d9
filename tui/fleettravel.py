"""Moving through the past of all hosts at once: to any moment that any of them has, whichever is open elsewhere."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final, TypeVar

from sysmon.errors import SysmonError
from sysmon.records import Span
from sysmon.units import format_time
from tui.chrome import Track
from tui.pastview import empty_view
from tui.timetravel import LEAP_MS, Landing, gap_note, marks

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Sequence

    from sysmon.ports import History
    from sysmon.records import Event, RunSpan
    from tui.model import HostModel, View

DEADLINE: Final = 5.0
"""Seconds that a history has for its answer; of those that do not give one the others' moments are gone to."""

APART_MS: Final = 500
"""Frames of two hosts that are nearer are of one moment."""

NEAR_MS: Final = 5_000
"""A moment so near to frames is one at which something is recorded."""

_EVENTS: Final = 200
_T = TypeVar("_T")


class FleetReader:
    """Finds moments in the histories of all hosts; what each was like then the Fleet screen reads itself.

    Args:
        hosts: all.
        shown: the one open in other screens.
        history: host id -> its past, or None.
        now: the present, Unix milliseconds.
    """

    def __init__(
        self, hosts: Iterable[HostModel], shown: HostModel, history: Callable[[str], History | None], now: int
    ) -> None:
        self._hosts = {host.info.id for host in hosts}
        self._shown = shown
        self._histories = histories(self._hosts, history)
        self._now = now

    async def step(self, time: int, direction: int) -> Landing:
        """Goes to the next or the previous moment at which any host was heard.

        Raises:
            SysmonError: no history can be read, or nothing is recorded.
        """
        spans = await self._spans()
        found = beside(spans, time, direction)
        if found is None:
            return self._present() if direction > 0 else self._beginning(spans, time)
        return self._land(found, gap_note(time, found, _spacing_at(spans, found)))

    async def leap(self, time: int, direction: int, span: int = LEAP_MS) -> Landing:
        """Goes ten minutes back or forward; across a time without any host to its other side."""
        target = time + direction * span
        if target >= self._now - 1000:
            return self._present()
        spans = await self._spans()
        if is_held(spans, target):
            return self._land(target)
        found = beside(spans, target, direction)
        if found is None:
            return self._present() if direction > 0 else self._beginning(spans, time)
        return self._land(found, gap_note(target, found, 0))

    async def jump(self, target: int) -> Landing:
        """Goes to a moment; where nothing of any host was recorded, to the nearest at which something was."""
        if target > self._now:
            return Landing(None, "that lies in the future: this is now")
        spans = await self._spans()
        if is_held(spans, target):
            return self._land(target)
        before, after = beside(spans, target, -1), beside(spans, target, 1)
        if before is None:
            return self._beginning(spans, target)
        wanted = f"nothing was recorded of any host at {format_time(target)}"
        if after is not None and after - target < target - before:
            return self._land(after, f"{wanted}: this is the next after it")
        return self._land(before, f"{wanted}: this is the last before it")

    async def same(self, view: View) -> Landing:
        """Stays at a moment."""
        return self._land(view.time)

    async def at(self, time: int) -> Landing:
        """Stays at a moment."""
        return self._land(time)

    async def _spans(self) -> list[RunSpan]:
        found = [span for span in await read_spans(self._histories) if span.host in self._hosts]
        if not found:
            raise SysmonError("nothing is recorded of any host yet")
        return found

    def _present(self) -> Landing:
        return Landing(None, "this is now")

    def _beginning(self, spans: Sequence[RunSpan], time: int) -> Landing:
        first = min(span.start for span in spans)
        word = "the recording begins here"
        return self._land(first, word if first <= time else f"{word}: nothing is older of any host")

    def _land(self, time: int, note: str = "") -> Landing:
        return Landing(empty_view(self._shown, time), note)


def histories(hosts: Iterable[str], history: Callable[[str], History | None]) -> list[History]:
    """The histories of hosts, each once."""
    found = {id(each): each for host in hosts if (each := history(host)) is not None}
    return [*found.values()]


async def read_spans(found: Sequence[History]) -> list[RunSpan]:
    """What all histories hold; those that do not answer are left out.

    Raises:
        SysmonError: none answers.
    """
    return await _from_all(found, lambda history: history.spans())


async def read_fleet_track(hosts: Iterable[str], found: Sequence[History], now: int) -> Track | None:
    """What the time bar of all hosts shows; a gap is where none was recorded. None while nothing is.

    Raises:
        SysmonError: no history answers.
    """
    known = {*hosts}
    spans = [span for span in await read_spans(found) if span.host in known]
    if not spans:
        return None
    start = min(span.start for span in spans)
    events: list[Event] = await _from_all(found, lambda history: history.events(None, start, now, _EVENTS))
    return Track(start, now, tuple(gaps(spans)), tuple(marks(event for event in events if event.host in known)))


async def _from_all(found: Sequence[History], ask: Callable[[History], Awaitable[list[_T]]]) -> list[_T]:
    async def one(history: History) -> list[_T]:
        async with asyncio.timeout(DEADLINE):
            return await ask(history)

    answers = await asyncio.gather(*(one(history) for history in found), return_exceptions=True)
    result: list[_T] = []
    failed: BaseException | None = None
    for answer in answers:
        if isinstance(answer, list):
            result += answer
        elif isinstance(answer, SysmonError | TimeoutError):
            failed = answer
        else:
            raise answer
    if failed is not None and not result:
        raise failed if isinstance(failed, SysmonError) else SysmonError(f"no history answered within {DEADLINE:.0f} s")
    return result


def gaps(spans: Iterable[RunSpan]) -> list[Span]:
    """The stretches in which no host was recorded, between the first and the last frame."""
    found: list[Span] = []
    end: int | None = None
    for span in sorted(spans, key=lambda span: span.start):
        if end is not None and span.start > end + NEAR_MS:
            found.append(Span(end, span.start))
        end = span.end if end is None else max(end, span.end)
    return found


def is_held(spans: Iterable[RunSpan], time: int) -> bool:
    """Whether any host was recorded at a moment, or just before or after it."""
    return any(span.start - NEAR_MS <= time <= span.end + max(NEAR_MS, _spacing(span)) for span in spans)


def beside(spans: Iterable[RunSpan], time: int, direction: int) -> int | None:
    """The moment nearest before or after another at which a host was heard; None where there is none."""
    found: list[int] = []
    for span in spans:
        if direction > 0:
            first, last = time + APART_MS, span.end
            if last >= first:
                steps = max(0, -(-(first - span.start) // _spacing(span)))
                found.append(min(last, span.start + steps * _spacing(span)))
        else:
            first, last = span.start, time - APART_MS
            if last >= first:
                found.append(min(span.end, first + (last - first) // _spacing(span) * _spacing(span)))
    if not found:
        return None
    return min(found) if direction > 0 else max(found)


def _spacing(span: RunSpan) -> int:
    """The usual distance of two frames, milliseconds."""
    frames = span.last - span.first
    return max(1000, (span.end - span.start) // frames // 1000 * 1000) if frames > 0 else 1000


def _spacing_at(spans: Iterable[RunSpan], time: int) -> int:
    return min((_spacing(span) for span in spans if span.start <= time <= span.end), default=1000)
