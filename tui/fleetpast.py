"""The fleet's past, read from the histories of its hosts: the points before the first frame, and moments."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from sysmon.derive import State as HostState
from sysmon.errors import SysmonError
from sysmon.records import SeriesQuery
from tui.fleet import HEARD, Entry, State, judged, worst_of
from tui.pulse import POINTS, STEP, Pulse, Vital, beat, outer_interfaces
from tui.widgets.alerts_rows import alerts_at

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection, Coroutine, Iterable, Mapping, Sequence
    from typing import Any

    from sysmon.ports import History
    from sysmon.records import AlertState, Event, Series
    from tui.model import HostModel

DEADLINE: Final = 5.0
"""Seconds that one host's history has for its answers."""

AT_ONCE: Final = 3
"""Hosts that are read at the same time."""

_SPAN_MS: Final = POINTS * STEP * 1000
_DAY_MS: Final = 86_400_000
_EVENTS: Final = 200
_LINES: Final[Mapping[Vital, tuple[str, ...]]] = {
    "cpu": ("cpu.utilization",),
    "memory": ("memory.utilization",),
    "network": ("net.receive_rate", "net.transmit_rate"),
    "load": ("load.1",),
    "disk": ("fs.utilization",),
    "temperature": ("temperature",),
}
"""What each line is read from."""


async def read_points(history: History, host: str, pulse: Pulse, outer: Callable[[Iterable[str]], set[str]],
                      end: int, names: Collection[Vital]) -> None:  # fmt: skip
    """Lays the points up to a moment, Unix milliseconds, into a pulse.

    Args:
        history: of the host. `host`: its id.
        pulse: what they are laid into, where it has none yet.
        outer: chooses among names of interfaces those that count.
        end: the moment, excluded.
        names: the lines wanted.

    Raises:
        SysmonError: it cannot be read.
    """
    for name in (each for each in _LINES if each in names):
        found: list[Series] = []
        for metric in _LINES[name]:
            query = SeriesQuery(host=host, metric=metric, start=end - _SPAN_MS, end=end, points=POINTS)
            found += (await history.series(query)).series
        if name == "network":
            counted = outer({series.instance for series in found})
            found = [series for series in found if series.instance in counted]
        pulse.lay(name, combined(found, pulse, max if name in ("disk", "temperature") else sum))


def combined(
    found: Sequence[Series], pulse: Pulse, combine: Callable[[Iterable[float]], float] = sum
) -> dict[int, float]:
    """What series come to together, by the numbers of a pulse's points; of several steps in one point their mean."""
    parts: dict[int, list[float]] = {}
    for series in found:
        sums: dict[int, list[float]] = {}
        for point in series.points:
            first = pulse.number(point.time // 1000)
            last = max(first, pulse.number((point.time + series.step) // 1000 - 1))
            if series.step <= STEP * 1000:
                first = last = pulse.number((point.time + series.step // 2) // 1000)
            for number in range(first, last + 1):
                sums.setdefault(number, []).append(point.mean)
        for number, values in sums.items():
            parts.setdefault(number, []).append(sum(values) / len(values))
    return {number: combine(values) for number, values in parts.items()}


@dataclass(slots=True)
class Glimpse:
    """One host at a moment of the past, as far as it is known.

    Attributes:
        state: `reading`, `nothing` recorded then, `unknown` because of `problem`, else how fresh it was then.
        time: of the frame last before the moment, Unix milliseconds.
        host: the host's state of then; alerts that fired then.
    """

    state: State = "reading"
    time: int | None = None
    age: int | None = None
    problem: str = ""
    pulse: Pulse = field(default_factory=Pulse)
    host: HostState | None = None
    alerts: list[AlertState] = field(default_factory=list)

    def firing(self) -> list[AlertState]:
        """The alerts that fired and nobody had acknowledged, worst first, then the oldest."""
        order = {"critical": 0, "warning": 1, "info": 2}
        found = [alert for alert in self.alerts if alert.status == "firing"]
        return sorted(found, key=lambda alert: (order[alert.severity], alert.started))


def glimpse_entry(host: HostModel, glimpse: Glimpse, moment: int) -> Entry:
    """A host at a moment, as a row."""
    firing = glimpse.firing()
    info, known = host.info, glimpse.time is not None
    worst = worst_of(firing) or (judged(glimpse.pulse.now, glimpse.alerts) if glimpse.state in HEARD else None)
    return Entry(
        key=info.id,
        label=info.label,
        state=glimpse.state,
        age=glimpse.age,
        worst=worst,
        more=max(0, len(firing) - 1),
        firing=bool(firing),
        beats=glimpse.pulse.beats,
        last=glimpse.pulse.number(moment // 1000),
        message=glimpse.problem,
        hostname=info.hostname,
        tags=tuple(info.tags),
        target=info.target,
        time=glimpse.time,
        pulse=glimpse.pulse if known else None,
        host=host,
    )


def freshness(age: float, interval: float) -> State:
    """How fresh a host was whose last frame was so old then, judged as the present is."""
    if age < 2 * interval + 1:
        return "live"
    return "late" if age < 10 * interval else "stale" if age < 60 + 10 * interval else "offline"


async def read_glimpse(history: History | None, host: HostModel, moment: int) -> Glimpse:
    """Reads how a host was at a moment, Unix milliseconds; what keeps it from that is told in the answer."""
    if history is None:
        return Glimpse("unknown", problem="nobody records this host")
    try:
        async with asyncio.timeout(DEADLINE):
            found = await history.moment(host.info.id, moment, 0)
            if found is None:
                return Glimpse("nothing", problem="nothing of it was recorded by then")
            events: list[Event] = await history.events(host.info.id, max(0, moment - _DAY_MS), moment, _EVENTS)
    except SysmonError as error:
        return Glimpse("unknown", problem=f"its history cannot be read: {error}")
    except TimeoutError:
        return Glimpse("unknown", problem=f"its history did not answer within {DEADLINE:.0f} s")
    state = HostState(host.catalogue)
    if found.previous is not None:
        state.apply(found.previous)
    state.apply(found.frame)
    pulse = Pulse(host.info.id)
    pulse.take(found.frame.time // 1000, beat(state))
    age = max(0.0, (moment - found.frame.time) / 1000)
    interval = min(state.intervals.values(), default=1.0)
    return Glimpse(
        freshness(age, interval), found.frame.time, int(age), "", pulse, state, alerts_at(events, moment)
    )  # fmt: skip


async def read_lines(
    history: History, host: HostModel, state: HostState, pulse: Pulse, end: int, names: Collection[Vital]
) -> None:
    """Lays the lines up to a moment into a pulse; what cannot be read in time stays empty."""

    def outer(present: Iterable[str]) -> set[str]:
        return outer_interfaces(state, present)

    try:
        async with asyncio.timeout(DEADLINE):
            await read_points(history, host.info.id, pulse, outer, end, names)
    except (SysmonError, TimeoutError):
        return


class Throttle:
    """Runs jobs a few at a time, the urgent ones first, each once.

    Args:
        start: runs a coroutine beside the screen.
    """

    def __init__(self, start: Callable[[Coroutine[Any, Any, None]], object]) -> None:
        self._start = start
        self._jobs: dict[str, Callable[[], Awaitable[None]]] = {}
        self._known: set[str] = set()
        self._running = 0

    def put(self, jobs: Mapping[str, Callable[[], Awaitable[None]]]) -> None:
        """Takes jobs by name, before those that wait; one that was taken before is left as it is."""
        new = {name: job for name, job in jobs.items() if name not in self._known}
        waiting = {name: self._jobs.pop(name) for name in jobs if name in self._jobs}
        self._known |= new.keys()
        self._jobs = {**waiting, **new, **self._jobs}
        while self._running < min(AT_ONCE, len(self._jobs)):
            self._running += 1
            self._start(self._work())

    def repeat(self, jobs: Mapping[str, Callable[[], Awaitable[None]]]) -> None:
        """Takes jobs by name also where one of that name was done; not where it waits."""
        self._known -= jobs.keys() - self._jobs.keys()
        self.put(jobs)

    def put_last(self, jobs: Mapping[str, Callable[[], Awaitable[None]]]) -> None:
        """Takes jobs after those that wait."""
        before = dict(self._jobs)
        self.put(jobs)
        self._jobs = {**{name: job for name, job in before.items() if name in self._jobs}, **self._jobs}

    @property
    def busy(self) -> bool:
        """Whether anything is still to be done."""
        return bool(self._jobs) or self._running > 0

    def clear(self) -> None:
        """Forgets what waits, so that it may be asked for again; what runs goes on."""
        self._known -= self._jobs.keys()
        self._jobs.clear()

    def forget(self) -> None:
        """Forgets everything."""
        self._jobs.clear()
        self._known.clear()

    async def _work(self) -> None:
        try:
            while self._jobs:
                name = next(iter(self._jobs))
                await self._jobs.pop(name)()
        finally:
            self._running -= 1
