"""Where the Fleet screen's entries come from: the model now, the histories of the hosts for a moment of the past."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from tui.fleet import Entry, entries, in_order, unreached_entry
from tui.fleetpast import Glimpse, Throttle, glimpse_entry, read_glimpse, read_lines

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping, Sequence

    from sysmon.config import HostSettings
    from sysmon.derive import State
    from sysmon.records import AlertState
    from tui.app import SysmonApp
    from tui.model import HostModel, View
    from tui.pulse import Vital

SOON: Final = 0.2
"""Seconds in which what was read is gathered before it is drawn."""

AGAIN_NS: Final = 60_000_000_000
"""Nanoseconds after which lines with gaps are read again, as are those that could not be read."""

PATIENCE: Final = 0.6
"""Seconds for which the moment before stays on screen while the next is being read."""


class FleetRows:
    """The entries of the moment shown, and the reading that they need.

    Args:
        app: the model, the cursor in time and the histories are its.
        run: runs a coroutine beside the screen.
        changed: is called when something was read.
    """

    def __init__(self, app: SysmonApp, run: Callable[[Coroutine[Any, Any, None]], object], changed: Callable[[], None]):
        self._app = app
        self._changed = changed
        self._lines = Throttle(run)
        self._past = Throttle(run)
        self._moment: int | None = None
        self._glimpses: dict[str, Glimpse] = {}
        self._in_view: tuple[str, ...] = ()
        self._names: frozenset[Vital] = frozenset()
        self._tried: dict[str, tuple[frozenset[Vital], int]] = {}
        """Of which hosts lines were read: which, and when by this side's boot clock."""
        self._due = False
        self._held_since = 0
        self._shown_moment: int | None = None
        self._frozen: list[Entry] | None = None
        self.note = ""
        """What is being read."""
        self.frozen_at = 0
        """When the screen was frozen, Unix milliseconds."""

    # -- entries

    def entries(self, view: View | None) -> list[Entry] | None:
        """The hosts at the moment shown, worst first; None while what is on screen is to stay there.

        Args:
            view: of the host open in other screens: it tells the moment.
        """
        mode = self._app.cursor.mode
        if mode == "past" and view is not None:
            return self._then(view.time)
        self._moment = self._shown_moment = None
        self.note = ""
        if mode == "frozen":
            if self._frozen is None:
                self.frozen_at = self._app.services.clock.now()
                self._frozen = [_still(entry) for entry in self._now()]
            return self._frozen
        self._frozen = None
        return self._now()

    def _now(self) -> list[Entry]:
        clock = self._app.services.clock
        return entries(self._app.model, clock.boottime(), clock.now() // 1000, self.settings)

    def settings(self, name: str) -> HostSettings | None:
        """What the configuration says of a host."""
        return self._app.services.config.hosts.get(name)

    def _then(self, moment: int) -> list[Entry] | None:
        if moment != self._moment:
            self._moment = moment
            self._held_since = self._app.services.clock.boottime()
            self._past.forget()
            self._glimpses = {}
            hosts = list(self._app.model.hosts.values())
            first = [host for host in hosts if host.info.id in self._in_view]
            self._past.put({host.info.id: partial(self._read, host, moment) for host in first or hosts})
            self._past.put_last({host.info.id: partial(self._read, host, moment) for host in hosts})
        if self._shown_moment is not None and self._shown_moment != moment and self._holds():
            return None
        self._shown_moment = moment
        return self._glimpsed(moment)

    def _holds(self) -> bool:
        """Whether the moment before is still to be seen: the present one is being read, and not for long yet."""
        waited = (self._app.services.clock.boottime() - self._held_since) / 1e9
        return waited < PATIENCE and any(
            key not in self._glimpses for key in self._in_view if key in self._app.model.hosts
        )

    def _glimpsed(self, moment: int) -> list[Entry]:
        model = self._app.model
        found = [glimpse_entry(host, self._glimpses.get(key) or Glimpse(), moment) for key, host in model.hosts.items()]
        found += [
            replace(unreached_entry(status), state="nothing", message="it was never reached")
            for status in model.unreached.values()
        ]
        known = sum(key in self._glimpses for key in model.hosts)
        self.note = f"reading the past: {known} of {len(model.hosts)} hosts" if known < len(model.hosts) else ""
        return in_order(found)

    def state_of(self, entry: Entry | None) -> State | None:
        """The values of a host at the moment shown; None where they are not known."""
        if entry is None or entry.host is None:
            return None
        if self._moment is None:
            return entry.host.state if entry.heard and self._frozen is None else None
        glimpse = self._glimpses.get(entry.key)
        return glimpse.host if glimpse is not None else None

    def alerts_of(self, entry: Entry | None) -> list[AlertState]:
        """The alerts that fire on a host at the moment shown, worst first."""
        if entry is None or entry.host is None or not entry.firing:
            return []
        if self._moment is None:
            return entry.host.firing()
        glimpse = self._glimpses.get(entry.key)
        return glimpse.firing() if glimpse is not None else []

    def seen_of(self, entry: Entry | None) -> list[AlertState]:
        """All alerts of a host that are in being at the moment shown."""
        if entry is None or entry.host is None:
            return []
        if self._moment is None:
            return [*entry.host.alerts.values()]
        glimpse = self._glimpses.get(entry.key)
        return glimpse.alerts if glimpse is not None else []

    # -- reading

    def look_at(self, seen: Sequence[Entry], names: Iterable[Vital]) -> None:
        """Tells which hosts are in view, and which of their lines are drawn: they are read, a few at a time."""
        self._names = frozenset(names)
        self._in_view = tuple(entry.key for entry in seen)
        hosts = {key: self._app.model.hosts[key] for key in self._in_view if key in self._app.model.hosts}
        moment = self._moment
        if moment is None:
            if self._frozen is None:
                self._fill_lines(hosts)
            return
        jobs: dict[str, Callable[[], Awaitable[None]]] = {}
        for key, host in hosts.items():
            glimpse = self._glimpses.get(key)
            if glimpse is None:
                jobs[key] = partial(self._read, host, moment)
            elif glimpse.host is not None:
                for name in self._names - glimpse.pulse.laid:
                    jobs[f"{name} {key}"] = partial(self._read_lines, host, glimpse, moment, name)
        self._past.put(jobs)

    def _fill_lines(self, hosts: Mapping[str, HostModel]) -> None:
        """Reads what is missing of the lines drawn; gaps again a while later, and when frames of one came late."""
        clock = self._app.services.clock
        now, second = clock.boottime(), clock.now() // 1000
        jobs: dict[str, Callable[[], Awaitable[None]]] = {}
        for key, host in hosts.items():
            names = self._wanted(host, now, second)
            if names:
                jobs[key] = partial(self._fill, host, names)
        self._lines.repeat(jobs)

    def _wanted(self, host: HostModel, now: int, second: int) -> frozenset[Vital]:
        """Which of a host's lines are to be read now."""
        pulse = host.pulse
        if pulse.first is None:
            return frozenset()
        tried, at = self._tried.get(host.info.id, (frozenset(), -AGAIN_NS))
        old = now - at >= AGAIN_NS
        unread = self._names - pulse.laid
        if unread and (old or not unread <= tried):
            return unread
        last = pulse.number(second) - 1
        if host.came_late(at, now) or (old and any(None in pulse.points(name, last) for name in self._names)):
            return self._names
        return frozenset()

    def rest(self) -> None:
        """Nobody looks any more."""
        self._lines.clear()
        self._past.clear()

    async def _fill(self, host: HostModel, names: frozenset[Vital]) -> None:
        """Reads the points that this screen has no frames for."""
        self._tried[host.info.id] = (self._names, self._app.services.clock.boottime())
        history = self._app.services.history(host.info.id)
        if history is not None and host.state.frame is not None:
            await read_lines(history, host, host.state, host.pulse, host.state.frame.time, names)
            self._say_soon()

    async def _read(self, host: HostModel, moment: int) -> None:
        if moment != self._moment:
            return
        glimpse = await read_glimpse(self._app.services.history(host.info.id), host, moment)
        if moment == self._moment:
            self._glimpses[host.info.id] = glimpse
            self._say_soon()

    async def _read_lines(self, host: HostModel, glimpse: Glimpse, moment: int, name: Vital) -> None:
        history = self._app.services.history(host.info.id)
        if history is None or glimpse.host is None or moment != self._moment:
            return
        await read_lines(history, host, glimpse.host, glimpse.pulse, moment + 1, {name})
        self._say_soon()

    def _say_soon(self) -> None:
        if not self._due:
            self._due = True
            self._app.set_timer(SOON, self._say)

    def _say(self) -> None:
        self._due = False
        self._changed()


def _still(entry: Entry) -> Entry:
    """An entry that stays as it is while its host goes on."""
    return replace(entry, pulse=entry.pulse.copy() if entry.pulse is not None else None)
