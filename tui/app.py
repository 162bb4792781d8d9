"""The app: wires the source of updates, the model, the screens and time together."""

from __future__ import annotations

import gc
import os
import sys
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, Final

from textual.app import App

from sysmon.errors import SysmonError
from sysmon.frame import Frame
from sysmon.records import Hello, HostInfo
from sysmon.wrong import Finding
from tui import feed, textual_private, theme
from tui.actions import STEPS, ScreenActions
from tui.chrome import Chrome, lost_contact, own_cost
from tui.commands import SysmonCommands
from tui.glyphs import UNICODE, Glyphs
from tui.keys import KEYS, bindings, keymap, tabs
from tui.loading import screen_class, unknown_actions
from tui.looks import choose_look
from tui.model import HostModel, Model
from tui.output import CellDiffMixin
from tui.screens.base import HostScreen
from tui.surroundings import Elsewhere, unreached_chrome
from tui.timeactions import TimeActions
from tui.timetravel import Cursor
from tui.window import WINDOW

if TYPE_CHECKING:
    from collections.abc import Callable

    from textual.binding import BindingType

    from sysmon.ports import History
    from sysmon.records import Update
    from tui.model import View
    from tui.palette import Depth
    from tui.services import Services
    from tui.terminal import TerminalCapabilities


SETTLED: Final = 3.0
"""Seconds after which what is needed all the time has been loaded."""
CHOOSING: Final = 5.0
"""Seconds from the start in which another host may be shown than the first that was heard of."""


AGAIN_AFTER: Final = 3.5
"""Seconds after which the end of the history is read once more; recorders commit every two."""

AGAIN_SPAN: Final = 30
"""Seconds of it that are."""

COST_SECONDS: Final = 5
"""Seconds between two tellings of sysmon's own cost."""


class SysmonApp(ScreenActions, TimeActions, CellDiffMixin, App[int], inherit_bindings=False):
    """The screen of sysmon.

    Args:
        services: all it may use.
        theme_name: one of `THEME_NAMES`; None takes the one that fits the terminal.
        glyphs: the characters to draw with.
        depth: the terminal's colours; None asks the terminal.
        host: id of the host to show first; None is the first heard of.
    """

    TITLE = "sysmon"
    CSS_PATH = "sysmon.tcss"
    ALLOW_SELECT = False
    ALLOW_IN_MAXIMIZED_VIEW = "Header, #foot"
    COMMANDS: ClassVar[set[type[SysmonCommands]]] = {SysmonCommands}  # type: ignore[assignment]
    BINDINGS: ClassVar[list[BindingType]] = [*bindings(KEYS)]

    def __init__(
        self,
        services: Services,
        *,
        theme_name: str | None = None,
        glyphs: Glyphs = UNICODE,
        depth: Depth | None = None,
        host: str | None = None,
    ) -> None:
        start = services.config.screen.start
        self.DEFAULT_MODE = start if start in dict(tabs()) else "overview"  # type: ignore[misc]
        super().__init__()
        textual_private.strip_colors(self)
        self.services = services
        self.model = Model(services.catalogue)
        self.cursor = Cursor()
        self.host_id = host
        self.unchosen = host is None
        self.problem = ""
        self.interval = min(STEPS, key=lambda step: abs(step - services.config.screen.interval))
        self._screens: dict[str, HostScreen] = {}
        self._shown_time = 0
        self._due = False
        self._bytes: tuple[int, int] | None = None
        self._byte_rate: float | None = None
        self._cost: tuple[object, tuple[str, ...]] = (None, ())
        self.elsewhere = Elsewhere(services, self.model)
        self._filled = feed.Filled()
        self._refilled: dict[str, int] = {}
        self.settles = False
        theme.install(self, theme=theme_name, glyphs=glyphs, depth=depth)
        # A mode for each: switching keeps what stands on either, and loads a screen's style sheet.
        for name, _ in tabs():
            self.add_mode(name, partial(self._screen_named, name))
        self.set_keymap(keymap(services.config.keys))

    # -- what is shown

    @property
    def host(self) -> HostModel | None:
        """The host shown, once heard of."""
        return self.model.hosts.get(self.host_id) if self.host_id is not None else None

    @property
    def host_screen(self) -> HostScreen | None:
        """The numbered screen shown, be it under a dialog."""
        stack = self.screen_stack
        return next((screen for screen in reversed(stack) if isinstance(screen, HostScreen)), None)

    def _screen_named(self, name: str) -> HostScreen:
        found = self._screens.get(name)
        if found is None:
            found = self._screens[name] = screen_class(name)()
        return found

    async def on_mount(self) -> None:
        """Begin to listen."""
        for notice in (*unknown_actions(self.services.config.keys), *self.services.notices):
            self.notify(notice, markup=False)
        if self.settles:
            self.set_timer(SETTLED, settle)
        self.set_timer(CHOOSING, lambda: setattr(self, "unchosen", False))
        self.watch_tables()
        self.run_worker(self._listen(), name="updates", exit_on_error=True)
        self.set_interval(1.0, self._stalled)

    async def _listen(self) -> None:
        """Takes updates for ever; an end of the source is said, not hidden."""
        try:
            async for update in self.services.source.updates():
                self._take(update)
            self.problem = "no more updates: the source ended"
        except SysmonError as error:
            self.problem = str(error)
        except Exception as error:
            # The screen stays: what was taken can still be looked at, and the past be gone to.
            self.problem = f"the source failed: {type(error).__name__}: {error}"
        self.refresh_view()

    def _take(self, update: Update) -> None:
        host_id = self.model.take(update, self.services.clock.boottime())
        if self.host_id is None and host_id is not None:
            self.host_id = host_id
            self.model.look_at(host_id)
        elif self.unchosen and isinstance(update, HostInfo | Hello):
            self._prefer_own()
        elif self.host_id is not None and self.host_id not in self.model.hosts and not isinstance(update, Frame):
            self._show_another()
        if host_id != self.host_id:
            return
        self._fill()
        if not isinstance(update, Frame) or self._due:
            return
        if not 0 <= update.time - self._shown_time < self.interval * 1000 - 200:
            self._due = True
            self.call_later(self._tick)

    def _tick(self) -> None:
        self._due = False
        host = self.host
        if host is not None and host.state.frame is not None:
            self._shown_time = host.state.frame.time
        self._count_bytes()
        self.read_track_when_old()
        self.refresh_view()

    def _stalled(self) -> None:
        """Lets the age grow where no frames come; costs nothing while they do."""
        host = self.host
        if host is not None:
            self._refill(host)
        if host is None or host.received is None or host.received < self.services.clock.boottime() - 2_500_000_000:
            self.read_track_when_old()
            self.refresh_view()

    def refresh_view(self) -> None:
        """Shows the moment the cursor stands at on the screen that is open, be it under a dialog."""
        if not self.is_running or not self.screen_stack:
            return
        if (tick := getattr(self.screen, "tick", None)) is not None:
            tick()
        top = self.host_screen
        if top is None:
            return
        host = self.host
        view = self.cursor.view
        if view is None and host is not None and host.state.frame is not None:
            view = host.view()
        top.present(view, self._chrome(host, view))

    def _chrome(self, host: HostModel | None, view: View | None) -> Chrome:
        clock = self.services.clock
        if host is None:
            return unreached_chrome(self.elsewhere, clock.now(), self.problem or self.services.problem())
        state, age = host.liveness(clock.boottime())
        info = host.info
        now = view.time if view is not None and self.cursor.live else clock.now()
        wrong = tuple(view.wrong) if view is not None else ()
        if self.cursor.mode != "past":
            shown = view.time if view is not None else None
            lost = lost_contact(info.label, state, age, shown, expected_off=info.expected_off)
            if self.model.lost is not None:
                # Said once, for all hosts: it is not theirs.
                wrong = (Finding("critical", self.model.lost.message), *wrong)
            elif lost is not None:
                wrong = (lost, *wrong)
            if self.host_screen is not None and not self.host_screen.ALL_HOSTS:
                wrong += tuple(each for each in self.elsewhere.wrong(info.id) if each not in wrong)
        problem = self.problem or self.services.problem()
        return Chrome(
            label=info.label,
            system=(info.os, info.kernel),
            uptime=view.value("uptime") if view is not None else None,
            time=view.time if view is not None else None,
            now=now,
            mode=self.cursor.mode,
            state="off" if info.expected_off and state in ("stale", "offline") else state,
            age=None if age is None else float(int(age)),
            message=host.status.message if state != "live" else "",
            cost=self._own_cost(view),
            zone=info.timezone if info.target != "local" else "",
            skew=host.status.skew,
            wrong=wrong,
            problem=problem,
            # The first words say what can wait.
            note="" if problem and self.note == self.greeting else self.note,
            hosts=len(self.model.hosts) + len(self.model.unreached),
            track=None if self.track is None else feed.extended(self.track, now),
            all_hosts=self.host_screen is not None and self.host_screen.ALL_HOSTS,
        )

    def _own_cost(self, view: View | None) -> tuple[str, ...]:
        """sysmon's cost; while live the mean of some seconds, told as seldom: its telling is a cost too."""
        if not self.cursor.live or view is None:
            return own_cost(view, self._byte_rate)
        due = view.time // 1000 // COST_SECONDS
        if self._cost[0] != (self.host_id, due):
            self._cost = ((self.host_id, due), own_cost(view, self._byte_rate, COST_SECONDS))
        return self._cost[1]

    def _count_bytes(self) -> None:
        now, written = self.services.clock.boottime(), self.output_stats.bytes_written
        if self._bytes is None:
            self._bytes = (now, written)
        elif now - self._bytes[0] >= 5_000_000_000:
            self._byte_rate = (written - self._bytes[1]) * 1e9 / (now - self._bytes[0])
            self._bytes = (now, written)

    def _fill(self) -> None:
        """Reads what the screen graphs from history, once for each host and metric."""
        host, screen = self.host, self.host_screen
        if host is not None and screen is not None and host.state.frame is not None:
            wanted = self._filled.wanted(host, screen.GRAPHED)
            history = self.services.history(host.info.id) if wanted is not None else None
            if wanted is not None and history is not None:
                self._fill_from(host, history, wanted, WINDOW)
                # What was recorded just before the first frame may not have been committed yet.
                again = partial(self._fill_from, host, history, (wanted[0], False), AGAIN_SPAN)
                self.set_timer(AGAIN_AFTER, again)

    def _refill(self, host: HostModel) -> None:
        """Reads again what the screen graphs, where frames have come that fill holes."""
        now = self.services.clock.boottime()
        screen, at = self.host_screen, self._refilled.get(host.info.id, 0)
        history = self.services.history(host.info.id) if host.came_late(at, now) else None
        if history is not None and screen is not None:
            self._refilled[host.info.id] = now
            self._fill_from(host, history, ([*screen.GRAPHED], False), WINDOW)

    def _fill_from(self, host: HostModel, history: History, wanted: tuple[list[str], bool], seconds: int) -> None:
        now = max(self.services.clock.now(), host.state.frame.time if host.state.frame is not None else 0)
        work = feed.fill(host, history, wanted, now, seconds)
        self.run_worker(feed.then(work, self.refresh_view), group="fill")

    def watch_tables(self) -> None:
        """Tells which tables the screen shown looks at."""
        screen = self.host_screen
        self.services.watch(set(screen.tables()) if screen is not None else set())

    # -- actions

    async def action_screen(self, name: str) -> None:
        """Opens a numbered screen; at once, where it was open before."""
        while len(self.screen_stack) > 1:
            self.pop_screen()
        target, before = self._screen_named(name), self.host_screen
        if target is not self.screen:
            await self.switch_mode(name)
        if before is not None and before.ALL_HOSTS != target.ALL_HOSTS:
            self.forget_track()
        self.watch_tables()
        self._fill()
        self.refresh_view()
        self.reread_past()

    async def open_at(self, name: str, item: object) -> None:
        """Opens a numbered screen with the cursor on an item of another screen's."""
        self._screen_named(name).reveal(item)
        await self.action_screen(name)

    def _prefer_own(self) -> None:
        """Shows this machine, or the one that the hub runs on, before the hosts that it follows: who comes first among
        the greetings is chance. Somebody who has begun to read is not disturbed.
        """
        shown, own = self.host, self.model.hosts.get(self.services.local)
        if own is None and shown is not None:
            via = set(shown.info.via)
            own = next((each for each in self.model.hosts.values() if each.info.hub and each.info.hub in via), None)
        if own is not None and own is not shown:
            self.show_host(own.info.id)
            self.unchosen = True

    def show_host(self, host_id: str) -> None:
        """Shows another host."""
        self.unchosen = False
        if host_id in self.model.hosts and host_id != self.host_id:
            self.host_id = host_id
            self.model.look_at(host_id)
            self.cursor.thaw()
            self.cancel_reading()
            self.forget_track()
            self._shown_time = 0
            self._fill()
            self.read_track_when_old()
            self.refresh_view()

    def forget_host(self, name: str) -> None:
        """Drops a host by its configured name; where it was the one shown, another is."""
        self.model.forget(name)
        if self.host_id not in self.model.hosts:
            self._show_another()

    def _show_another(self) -> None:
        """Shows the first of the hosts there are: the one shown is gone."""
        self.cursor.thaw()
        other = next(iter(self.model.hosts), None)
        if other is None:
            self.host_id = None
        else:
            self.show_host(other)

    def run_action_soon(self, action: str, namespace: Any) -> None:
        """Runs an action once the present one is through, for the palette."""
        self.call_later(self.run_action, action, namespace)


def settle() -> None:
    """Lets no collection of garbage look again at what the start has left: it lives as long as the program."""
    gc.collect()
    gc.freeze()
    gc.enable()


def run_screen(
    services: Services,
    *,
    capabilities: TerminalCapabilities | None = None,
    host: str | None = None,
    on_ready: Callable[[SysmonApp], None] | None = None,
) -> int:
    """Runs the screen in this process's terminal until it is left.

    Args:
        services: all it may use.
        capabilities: what `tui.terminal.detect` found; None finds out now.
        host: id of the host to show first.
        on_ready: is given the app before it runs.

    Returns:
        The exit status.
    """
    from tui import lifecycle, terminal

    found = capabilities or terminal.detect(sys.stdin, sys.stdout, os.environ)
    name, glyphs, depth = choose_look(services.config, found)
    app = SysmonApp(services, theme_name=name, glyphs=glyphs, depth=depth, host=host)
    if on_ready is not None:
        on_ready(app)
    app.settles = True
    return lifecycle.run(app, found, mouse=services.config.screen.mouse)
