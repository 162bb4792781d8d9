"""What the screens are functions of: per host its state, a window of history, its alerts, and where in time we stand.

No Textual here. Live and past are the same `View`; only who filled it differs.
"""

from __future__ import annotations

import math
from array import array
from collections import deque
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from sysmon.derive import State
from sysmon.frame import Frame, ProcessRow, join_key
from sysmon.records import AlertState, Event, Evidence, Gap, Hello, HostInfo, Liveness, Moment, Series, Status
from sysmon.wrong import Finding, findings

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from sysmon.catalogue import Catalogue
    from sysmon.records import Update

WINDOW = 900
"""Seconds of per-second values that a live window keeps."""

EVENTS = 500
"""Events kept per host for the alert pane; older ones are read from history."""


class Window:
    """Per-second values of series, right-aligned at `end`; gaps are None.

    A value read more seldom is repeated until it goes stale, so a column is what the screen would have shown.
    """

    def __init__(self, length: int = WINDOW) -> None:
        self.length = length
        self.end: int | None = None
        self._columns: dict[str, tuple[int, array[float]]] = {}

    def append(self, second: int, values: dict[str, float]) -> None:
        """Takes the values of one second; earlier or equal seconds overwrite nothing and are ignored."""
        if self.end is not None and second <= self.end:
            return
        self.end = second
        for key, value in values.items():
            self._put(key, second, value)

    def _put(self, key: str, second: int, value: float) -> None:
        column = self._columns.get(key)
        if column is None or second - column[0] >= self.length + len(column[1]):
            self._columns[key] = (second, array("d", (value,)))
            return
        start, data = column
        missing = second - start - len(data)
        if missing > 0:
            data.extend([math.nan] * missing)
        data.append(value)
        if len(data) >= 2 * self.length:
            cut = len(data) - self.length
            del data[:cut]
            self._columns[key] = (start + cut, data)

    def prefill(self, key: str, points: Iterable[tuple[int, float]]) -> None:
        """Lays older values, (second, value) in order, before those the column holds already, and into its gaps."""
        column = self._columns.get(key)
        limit = column[0] if column else None
        older: list[tuple[int, float]] = []
        for second, value in points:
            if column is None or second < column[0]:
                older.append((second, value))
            elif second - column[0] < len(column[1]) and math.isnan(column[1][second - column[0]]):
                column[1][second - column[0]] = value
        if not older:
            return
        start = older[0][0]
        stop = limit if limit is not None else older[-1][0] + 1
        data = array("d", [math.nan]) * (stop - start)
        for second, value in older:
            data[second - start] = value
        if column:
            data.extend(column[1])
        if self.end is None or self.end < stop - 1:
            self.end = stop - 1
        self._columns[key] = (start, data)

    def points(self, key: str, count: int, step: int = 1) -> list[float | None]:
        """Returns the last `count` points of a series, each the mean over `step` seconds aligned to multiples of it."""
        column = self._columns.get(key)
        if column is None or self.end is None or count <= 0:
            return [None] * max(0, count)
        start, data = column
        stop = self.end + 1
        if step > 1:
            stop += -stop % step
        first = stop - count * step
        result: list[float | None] = []
        if step == 1:
            low, high = max(0, first - start), max(0, stop - start)
            result = [None] * max(0, min(count, start - first))
            result += [None if value != value else value for value in data[low:high]]
            return result + [None] * (count - len(result))
        for left in range(first, stop, step):
            low, high = max(0, left - start), min(len(data), left - start + step)
            present = [value for value in data[low:high] if value == value] if low < high else []
            result.append(sum(present) / len(present) if present else None)
        return result

    def recorded(self, key: str, count: int, step: int = 1) -> list[float | None]:
        """Returns what `points` does, without what lies before the first value: nothing was missed there."""
        column = self._columns.get(key)
        if column is None or self.end is None:
            return []
        held = self.end // step - column[0] // step + 1
        return self.points(key, min(count, max(0, held)), step)

    def keys(self) -> list[str]:
        """Returns the keys it holds."""
        return list(self._columns)

    def copy(self) -> Window:
        """Returns a window that stays as it is while this one goes on."""
        twin = Window(self.length)
        twin.end = self.end
        twin._columns = {key: (start, data[:]) for key, (start, data) in self._columns.items()}
        return twin


@dataclass(slots=True)
class View:
    """All that a screen may look at, of one host at one moment.

    Attributes:
        info, status: who it is and how fresh.
        state: readings, derived values, tables, faults of the moment (`state.get(key)`, `state.instances(metric)`).
        window: values up to the moment.
        time: the moment, Unix milliseconds.
        live: whether it is now; False in the past and while frozen.
        alerts: alert states in being; events: newest first.
        wrong: what is wrong, worst first.
        processes: rows with rates; in the past those of the evidence, at `processes_time`.
    """

    info: HostInfo
    status: Status
    state: State
    window: Window
    time: int
    live: bool = True
    alerts: list[AlertState] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    wrong: list[Finding] = field(default_factory=list)
    processes: list[ProcessRow] = field(default_factory=list)
    processes_time: int | None = None

    def value(self, key: str) -> float | None:
        """The raw or derived value of a series at the moment."""
        return self.state.get(key)

    def frozen(self) -> View:
        """Returns this view as it is now, untouched by what comes after."""
        return replace(self, state=self.state.copy(), window=self.window.copy(), live=False)


class HostModel:
    """One host as its updates tell it."""

    def __init__(self, info: HostInfo, catalogue: Catalogue) -> None:
        self.info = info
        self.status = Status(host=info.id, state="connecting", target=info.target)
        self.catalogue = catalogue
        self.state = State(catalogue)
        self.window = Window()
        self.alerts: dict[tuple[str, str], AlertState] = {}
        self.events: deque[Event] = deque(maxlen=EVENTS)
        self.frames = 0
        self.received: int | None = None
        """This side's boot clock (ns) when the last live frame was taken."""
        self._raw: dict[str, bool] = {}
        self._processes_time: int | None = None

    def take_frame(self, frame: Frame) -> None:
        """Folds in a live frame; one older than the last is a late one and changes nothing here."""
        last = self.state.frame
        if last is not None and last.boot == frame.boot and frame.monotonic < last.monotonic:
            return
        self.state.apply(frame)
        self.frames += 1
        if frame.tables.processes is not None:
            self._processes_time = frame.time
        self.window.append(frame.time // 1000, self._values())

    def _values(self) -> dict[str, float]:
        values: dict[str, float] = dict(self.state.derived())
        raw = self._raw
        for key, value in self.state.readings.items():
            gauge = raw.get(key)
            if gauge is None:
                metric = self.catalogue.of_key(key)
                gauge = raw[key] = metric is None or metric.kind == "gauge"
            if gauge:
                values[key] = value
        return values

    def liveness(self, now: int) -> tuple[Liveness, float | None]:
        """Returns how fresh the host is and its age in seconds, None before the first frame.

        A source that says nothing of its own (this host's collectors) is judged by the age of the last frame.

        Args:
            now: this side's boot clock in nanoseconds.
        """
        if self.received is None:
            return self.status.state, None
        age = max(0.0, (now - self.received) / 1e9)
        state = self.status.state
        if state not in ("connecting", "live"):
            return state, age
        interval = min(self.state.intervals.values(), default=1.0)
        return ("live" if age < 2 * interval + 1 else "late" if age < 10 * interval else "stale"), age

    def take_alert(self, alert: AlertState) -> None:
        """Folds in the state of an alert."""
        where = (alert.rule, alert.key)
        if alert.status == "resolved":
            self.alerts.pop(where, None)
        else:
            self.alerts[where] = alert

    def take_event(self, event: Event) -> None:
        """Folds in an event."""
        if all(event.id != known.id for known in self.events):
            self.events.appendleft(event)

    def view(self) -> View:
        """Returns the present."""
        order = {"critical": 0, "warning": 1, "info": 2}
        alerts = sorted(
            self.alerts.values(), key=lambda each: (each.status == "pending", order[each.severity], each.started)
        )
        return View(
            info=self.info,
            status=self.status,
            state=self.state,
            window=self.window,
            time=self.state.frame.time if self.state.frame else 0,
            alerts=alerts,
            events=list(self.events),
            wrong=findings(self.state, alerts),
            processes=self.state.processes,
            processes_time=self._processes_time,
        )


class Model:
    """All hosts, filled by the updates of sources."""

    def __init__(self, catalogue: Catalogue) -> None:
        self.catalogue = catalogue
        self.hosts: dict[str, HostModel] = {}

    def take(self, update: Update, now: int | None = None) -> str | None:
        """Folds one update in and returns the id of the host it concerns, or None.

        Args:
            update: what a source yielded.
            now: this side's boot clock in nanoseconds, by which the age of frames is told.
        """
        if isinstance(update, Frame):
            host = self.hosts.get(update.host)
            if host is None:
                host = self.hosts[update.host] = HostModel(HostInfo(id=update.host), self.catalogue)
            host.take_frame(update)
            host.received = now
            return update.host
        if isinstance(update, HostInfo):
            known = self.hosts.get(update.id)
            if known is None:
                self.hosts[update.id] = HostModel(update, self.catalogue)
            else:
                known.info = update
            return update.id
        if isinstance(update, Hello):
            self._hello(update)
            return None
        host = self.hosts.get(update.host)
        if host is None:
            return None
        if isinstance(update, Status):
            host.status = update
        elif isinstance(update, AlertState):
            host.take_alert(update)
        elif isinstance(update, Event):
            host.take_event(update)
        elif isinstance(update, Gap):
            pass
        return update.host

    def _hello(self, hello: Hello) -> None:
        self.catalogue = self.catalogue.merged(hello.metrics)
        for info in hello.hosts:
            self.take(info)
            model = self.hosts[info.id]
            if model.frames == 0:
                model.catalogue = self.catalogue
                model.state = State(self.catalogue)
            model.alerts = {(alert.rule, alert.key): alert for alert in hello.alerts if alert.host == info.id}


def prefill(window: Window, series: Series) -> None:
    """Lays a series read from history before what a window holds; a step of several seconds fills each of them."""
    seconds = max(1, series.step // 1000)
    spread = ((point.time // 1000 + offset, point.mean) for point in series.points for offset in range(seconds))
    window.prefill(join_key(series.metric, series.instance), spread)


def past_view(
    host: HostModel,
    moment: Moment,
    series: Sequence[Series],
    events: Sequence[Event] = (),
    alerts: Sequence[AlertState] = (),
) -> View:
    """Builds the view of one moment of the past from what history gave.

    `series`: what the screen graphs, with points up to the moment.
    """
    state = State(host.catalogue)
    if moment.previous is not None:
        state.apply(moment.previous)
    state.apply(moment.frame)
    window = Window()
    for each in series:
        prefill(window, each)
    window.end = moment.frame.time // 1000
    evidence: Evidence | None = moment.evidence
    return View(
        info=host.info,
        status=Status(host=host.info.id, state="replay", target=host.info.target),
        state=state,
        window=window,
        time=moment.frame.time,
        live=False,
        alerts=list(alerts),
        events=list(events),
        wrong=findings(state, alerts),
        processes=evidence.processes if evidence else state.processes,
        processes_time=evidence.time if evidence else None,
    )
