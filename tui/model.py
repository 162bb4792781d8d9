"""What the screens are functions of: per host its state, a window of history, its alerts, and where in time we stand.

No Textual here. Live and past are the same `View`; only who filled it differs.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import msgspec

from sysmon.clock import far_off
from sysmon.derive import State
from sysmon.frame import Frame, ProcessRow, Tables
from sysmon.records import AlertState, Event, Gap, Hello, HostInfo, Liveness, Status
from sysmon.wrong import Finding, findings
from tui.pulse import Pulse, beat
from tui.window import Window

if TYPE_CHECKING:
    from sysmon.catalogue import Catalogue
    from sysmon.records import Update

SET_BACK = 60
"""Seconds by which a host's clock must have been set back for its graphs to begin anew."""

FEW = 8
"""Hosts up to which each has a window of its own; of more only those looked at last have one."""

EVENTS = 500
"""Events kept per host for the alert pane; older ones are read from history."""

SETTLED_NS = 3_500_000_000
"""How long after the last of some late frames all are in the history: recorders commit every two seconds."""

HEARD_NS = 3_000_000_000
"""A host whose last frame is younger is heard."""

MOST_DEVICES = 500
"""Devices of a router up to which the window has their series, some kilobytes each: there may be ten thousand."""

_BOOTS = 16
"""Boots of a host that are remembered."""

LATE_NS = 10_000_000_000
"""How often what they filled is read while they still come."""

_SEVERITIES = {"critical": 0, "warning": 1, "info": 2}


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
        self.pulse = Pulse(info.id)
        self._paces: list[int] = []
        self.windowed = True
        """Whether the window is filled: a megabyte per host, which hundreds of them must not have."""
        self.alerts: dict[tuple[str, str], AlertState] = {}
        self.events: deque[Event] = deque(maxlen=EVENTS)
        self.frames = 0
        self.received: int | None = None
        """This side's boot clock (ns) when the last live frame was taken."""
        self.late: int | None = None
        """This side's boot clock (ns) when the last frame that fills a hole came."""
        self._left: deque[str] = deque(maxlen=_BOOTS)
        self._raw: dict[str, bool] = {}
        self._processes_time: int | None = None

    def take_frame(self, frame: Frame, *, heard: bool = True) -> bool:
        """Folds in a live frame and returns True; one older than the last is a late one and changes nothing here.

        Args:
            frame: what the host said.
            heard: whether it was heard just now, too.
        """
        last = self.state.frame
        if last is not None and self._is_late(frame, last, heard=heard):
            return False
        if last is not None and last.boot != frame.boot:
            self._left.append(last.boot)
        self.state.apply(frame)
        self.frames += 1
        if frame.tables.processes is not None:
            self._processes_time = frame.time
        second = frame.time // 1000
        if last is not None and second < last.time // 1000 - SET_BACK:
            # What was drawn lies in a future that does not come for long; a line that stands still says nothing.
            self.pulse = Pulse(self.info.id)
            self.window = Window()
        self.pulse.take(second, beat(self.state))
        self.window.hold = self._hold(second, None if last is None else last.time // 1000)
        if self.windowed:
            self.window.append(second, self._values())
        # Its values are in the state by now: of hundreds of hosts they must not be held twice.
        self.state.frame = msgspec.structs.replace(frame, readings={}, reads={}, intervals={}, tables=Tables(), cost={})
        return True

    def _hold(self, second: int, before: int | None) -> int:
        """Returns the seconds that a value stands in graphs until the next: two paces of a host of slow frames."""
        if before is not None and second > before:
            self._paces = [*self._paces[-4:], second - before]
        seen = min(self._paces) if len(self._paces) > 2 else round(min(self.state.intervals.values(), default=1.0))
        return 2 * seen if seen > 1 else 1

    def _is_late(self, frame: Frame, last: Frame, *, heard: bool) -> bool:
        if frame.boot == last.boot:
            return frame.monotonic < last.monotonic
        # A clock may be wrong at a start: from before the present boot is only what comes beside its frames.
        return frame.boot in self._left or (heard and frame.time < last.time - last.monotonic // 1_000_000)

    def came_late(self, since: int, now: int) -> bool:
        """Whether frames came late that who read the history at `since` has not seen, and it is time to read it.

        Args:
            since, now: this side's boot clock, nanoseconds.
        """
        late = self.late
        if late is None or since >= late + SETTLED_NS:
            return False
        return now >= late + SETTLED_NS or now - since >= LATE_NS

    def keep_window(self, keep: bool) -> None:
        """Begins a window anew, or lets go of it."""
        if keep != self.windowed:
            self.windowed = keep
            self.window = Window()

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
        if len(self.state.tables.devices or ()) > MOST_DEVICES:
            return {key: value for key, value in values.items() if not key.startswith("device.")}
        return values

    def liveness(self, now: int) -> tuple[Liveness, float | None]:
        """Returns how fresh the host is and its age in seconds, None before the first frame.

        What a source says of it holds: it alone knows how often frames are to come. One that says nothing of its own
        (this host's collectors) is judged by the age of the last frame.

        Args:
            now: this side's boot clock in nanoseconds.
        """
        if self.received is None:
            return self.status.state, None
        age = max(0.0, (now - self.received) / 1e9)
        state = self.status.state
        if state != "connecting":
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

    def firing(self) -> list[AlertState]:
        """The alerts that fire and nobody has acknowledged, worst first, then the oldest."""
        if not self.alerts:
            return []
        found = [alert for alert in self.alerts.values() if alert.status == "firing"]
        return sorted(found, key=lambda each: (_SEVERITIES[each.severity], each.started))

    def take_event(self, event: Event) -> None:
        """Folds in an event."""
        if all(event.id != known.id for known in self.events):
            self.events.appendleft(event)

    def view(self) -> View:
        """Returns the present."""
        alerts = sorted(
            self.alerts.values(), key=lambda each: (each.status == "pending", _SEVERITIES[each.severity], each.started)
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
        self.unreached: dict[str, Status] = {}
        """Configured hosts that were never reached, by their keys (`Status.key`), without a name by their target."""
        self.lost: Event | None = None
        """That this side lost the network, while it has."""
        self.lost_hub: Event | None = None
        """That a hub is not heard, and with it the hosts behind it."""
        self._recent: list[str] = []
        self._dropped: set[str] = set()

    def look_at(self, host_id: str) -> None:
        """Tells which host is shown: it has a window, as have those shown before it."""
        self._recent = [host_id, *(each for each in self._recent if each != host_id)][:FEW]
        self._share_windows()

    def _share_windows(self) -> None:
        many = len(self.hosts) > FEW
        for host_id, host in self.hosts.items():
            host.keep_window(not many or host_id in self._recent)

    def forget(self, name: str) -> None:
        """Drops a host by its id or its configured name; it comes back when it introduces itself again.

        Frames that were on their way do not bring it back.
        """
        self.unreached.pop(f"@{name}", None)
        for host_id in [key for key, host in self.hosts.items() if name in (key, host.info.name)]:
            del self.hosts[host_id]
            self._dropped.add(host_id)

    def _add(self, info: HostInfo) -> HostModel:
        self._dropped.discard(info.id)
        host = self.hosts[info.id] = HostModel(info, self.catalogue)
        if len(self.hosts) > FEW:
            self._share_windows()
        return host

    def take(self, update: Update, now: int | None = None) -> str | None:
        """Folds one update in and returns the id of the host it concerns, or None.

        Args:
            update: what a source yielded.
            now: this side's boot clock in nanoseconds, by which the age of frames is told.
        """
        if isinstance(update, Frame):
            host = self.hosts.get(update.host)
            if host is None:
                if update.host in self._dropped:
                    return None
                host = self._add(HostInfo(id=update.host))
            ahead = far_off(host.status.skew)
            if ahead:
                # The history keeps it under our time too: windows and what is read to fill them must meet.
                update = msgspec.structs.replace(update, time=update.time - ahead // 1000 * 1000)
            heard = now is not None and host.received is not None and now - host.received < HEARD_NS
            if host.take_frame(update, heard=heard):
                host.received = now
            else:
                host.late = now
            return update.host
        if isinstance(update, HostInfo):
            known = self.hosts.get(update.id)
            if known is None:
                self._add(update)
            else:
                known.info = update
            self._reached(update)
            return update.id
        if isinstance(update, Hello):
            self._hello(update)
            return None
        if not update.host:
            return self._take_homeless(update)
        host = self.hosts.get(update.host)
        if host is None:
            return None
        if isinstance(update, Status):
            if update.gone:
                self.forget(update.host)
                return None
            self.unreached.pop(f"@{update.name}", None)
            host.status = update
        elif isinstance(update, AlertState):
            host.take_alert(update)
        elif isinstance(update, Event):
            host.take_event(update)
        elif isinstance(update, Gap):
            pass
        return update.host

    def _take_homeless(self, update: Status | AlertState | Event | Gap) -> str | None:
        """Takes what concerns no host that has an id: a configured one never reached, or this side's network."""
        if isinstance(update, Status) and (update.name or update.target):
            key = update.key if update.name else f"@{update.target}"
            known = None if update.via else self._known_as(update)
            if update.gone:
                self.unreached.pop(key, None)
            elif known is None:
                self.unreached[key] = update
            else:
                # It was reached once, before its settings changed.
                known.status = update
                return known.info.id
        elif isinstance(update, Event):
            if update.kind == "network.lost":
                self.lost = update
            elif update.kind == "network.back":
                self.lost = None
            elif update.kind in ("hub.lost", "hub.back"):
                self.lost_hub = update if update.kind == "hub.lost" else None
            # As in the history, what is about no host belongs to every one.
            for each in self.hosts.values():
                each.take_event(update)
        return None

    def _known_as(self, status: Status) -> HostModel | None:
        """The host that a status without an id is about, where one came from there before."""
        name = status.name or None
        return next((host for host in self.hosts.values() if host.info.name == name), None)

    def _reached(self, info: HostInfo) -> None:
        """Drops what was said of a target while none of its hosts was known. What a hub says of its own stays."""
        for key, status in list(self.unreached.items()):
            if not status.via and (status.target == info.target or (status.name and status.name == info.name)):
                del self.unreached[key]

    def _hello(self, hello: Hello) -> None:
        self.catalogue = self.catalogue.merged(hello.metrics)
        for info in hello.hosts:
            self.take(info)
            model = self.hosts[info.id]
            if model.frames == 0:
                model.catalogue = self.catalogue
                model.state = State(self.catalogue)
            model.alerts = {(alert.rule, alert.key): alert for alert in hello.alerts if alert.host == info.id}
