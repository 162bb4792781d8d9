"""The app's actions in time: step, leap, jump, freeze, live. Reads go through one worker that Esc cancels."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from sysmon.errors import SysmonError
from sysmon.units import format_time, parse_time
from tui.fleettravel import FleetReader, histories, read_fleet_track
from tui.keys import KEYS, label, present_keys
from tui.timetravel import Cursor, Landing, PastReader, next_mark, read_track

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from textual.app import App
    from textual.timer import Timer
    from textual.worker import Worker

    from sysmon.ports import History
    from tui.chrome import Track
    from tui.model import HostModel, Model, View
    from tui.screens.base import HostScreen
    from tui.services import Services
    from tui.widgets.timebar import TimeBar

    _Base = App[Any]
    Reader = PastReader | FleetReader
else:
    _Base = object

SLOW_SECONDS: Final = 0.4
"""After this long a read is said to be under way."""

NOTE_SECONDS: Final = 8.0
"""How long what happened stays in the header."""

TRACK_SECONDS: Final = 30.0
"""How old the time bar's gaps and events may be while it is shown."""

MOVES: Final = 20
"""Moves that wait for a read under way, at most."""

SOON_SECONDS: Final = 5.0
"""How long after a time bar that had nothing to show is tried again."""


FIRST_START_MS: Final = 15_000
"""A recording that began less than this ago began with this screen."""

GREETING_SECONDS: Final = 20.0
"""How long the first words stay."""


class TimeActions(_Base):
    """Needs of the app: `services`, `host`, `host_screen`, `refresh_view`."""

    services: Services
    model: Model
    cursor: Cursor
    note: str = ""
    track: Track | None = None
    _reading: Worker[None] | None = None
    _slow: Timer | None = None
    _waiting: Sequence[tuple[Callable[[Reader, int], Awaitable[Landing]], int]] = ()
    _note_timer: Timer | None = None
    _greeted = False
    greeting = ""
    _track_read: int | None = None
    _track_worker: Worker[None] | None = None

    if TYPE_CHECKING:

        @property
        def host(self) -> HostModel | None: ...
        @property
        def host_screen(self) -> HostScreen | None: ...
        def refresh_view(self) -> None: ...

    # -- actions

    def action_time_step(self, direction: int) -> None:
        """One frame back or forward."""
        self._move(lambda reader, time: reader.step(time, direction), direction)

    def action_time_leap(self, direction: int) -> None:
        """Ten minutes back or forward."""
        self._move(lambda reader, time: reader.leap(time, direction), direction)

    def action_time_mark(self, direction: int) -> None:
        """To the event before or after the moment shown."""
        time = self._standing(direction)
        if time is None:
            return
        found = next_mark(self.track, time, direction)
        if found is None:
            self.say("no event " + ("before" if direction < 0 else "after") + " this moment")
        else:
            self.go_to(found)

    def action_time_live(self) -> None:
        """Back to now."""
        self._waiting = ()
        self._stop_reading()
        if not self.cursor.live:
            self.cursor.thaw()
            self.say("")
        self.refresh_view()

    def action_freeze(self) -> None:
        """Freeze the present, or go on from it."""
        host = self._of_all() or self.host
        if self.cursor.mode == "past":
            self.say("a moment of the past stands still already; L is live")
        elif self.cursor.mode == "frozen":
            self.action_time_live()
        elif host is not None and host.frames:
            self.cursor.freeze(host.view())
            self.refresh_view()

    def action_time_jump(self) -> None:
        """Ask for a moment and go there."""
        from tui.screens.prompt import Prompt

        if self._history() is None:
            return

        def parse(text: str) -> str:
            time = parse_time(text, self.services.clock.now())
            if time > self.services.clock.now():
                raise SysmonError("that lies in the future", "write 03:12, '3h ago' or '2026-11-20 03:12'")
            return format_time(time)

        def go(text: str | None) -> None:
            if text is not None:
                self.go_to(parse_time(text, self.services.clock.now()))

        prompt = Prompt("Go to a moment", parse, hint="03:12, 3h ago, yesterday 14:00, 2026-11-20 03:12")
        self.push_screen(prompt, go)

    def on_time_bar_moved(self, event: TimeBar.Moved) -> None:
        """A click on the time bar."""
        if event.moment is None:
            self.action_time_live()
        else:
            self.go_to(event.moment)

    def go_to(self, time: int) -> None:
        """Shows a moment, Unix milliseconds; other screens call this for their events and charts."""
        self._waiting = ()
        self._travel(lambda reader: reader.jump(time))

    def stay_at(self, time: int) -> None:
        """Shows a moment, Unix milliseconds, also where nothing of the host was recorded by then."""
        self._waiting = ()
        self._travel(lambda reader: reader.at(time))

    def reread_past(self) -> None:
        """Reads the moment shown again, for what another screen graphs."""
        view = self.cursor.view
        if self.cursor.mode == "past" and view is not None:
            self._travel(lambda reader: reader.same(view), quiet=True)

    def cancel_reading(self) -> bool:
        """Stops a read under way; returns whether there was one."""
        self._waiting = ()
        reading = self._reading is not None
        self._stop_reading()
        if reading:
            self.say("cancelled")
        return reading

    # -- reading

    def _move(self, move: Callable[[Reader, int], Awaitable[Landing]], direction: int) -> None:
        """Moves from the moment shown; a key held down waits for the read under way rather than ending it."""
        if self._reading is not None:
            self._waiting = [*self._waiting, (move, direction)][:MOVES]
            return
        time = self._standing(direction)
        if time is not None:
            self._travel(lambda reader: move(reader, time))

    def _standing(self, direction: int) -> int | None:
        """The moment from which a move begins; None where there is nothing to move from."""
        view: View | None = self.cursor.view
        if view is not None:
            return view.time
        host = self.host
        if host is None:
            return None
        if direction > 0:
            self.say("this is now")
            return None
        # One that was not heard yet may have a past all the same.
        return host.state.frame.time if host.state.frame is not None and not self._all_hosts else self._present()

    @property
    def _all_hosts(self) -> bool:
        """Whether what is shown, and its moment, are those of all hosts."""
        return self.host_screen is not None and self.host_screen.ALL_HOSTS

    def _of_all(self) -> HostModel | None:
        """Where all hosts are shown, one that was heard."""
        heard = (host for host in self.model.hosts.values() if host.frames)
        return next(heard, None) if self._all_hosts else None

    def _present(self) -> int:
        return self.services.clock.now()

    def _history(self) -> History | None:
        if self._all_hosts:
            found = histories(self.model.hosts, self.services.history)
            if not found:
                self.say("nobody records these hosts, so there is no past to go to")
            return found[0] if found else None
        host = self.host
        history = self.services.history(host.info.id) if host is not None else None
        if host is not None and history is None:
            self.say("nobody records this host, so there is no past to go to")
        return history

    def _travel(self, move: Callable[[Reader], Awaitable[Landing]], *, quiet: bool = False) -> None:
        host, history, screen = self.host, self._history(), self.host_screen
        if host is None or history is None:
            return
        self._stop_reading()
        reader: Reader
        if self._all_hosts:
            reader = FleetReader(self.model.hosts.values(), host, self.services.history, self._present())
        else:
            reader = PastReader(host, history, screen.GRAPHED if screen is not None else (), self._present())

        async def read() -> None:
            try:
                landing = await move(reader)
            except SysmonError as error:
                self._ended()
                self.say(str(error))
            else:
                self._ended()
                if self.host is host:
                    self.cursor.land(landing)
                    self.say(landing.note, update=False)
                    self.refresh_view()
                    self.read_track_when_old()
                    if self._waiting:
                        following, *self._waiting = self._waiting
                        self.call_later(self._move, *following)

        if not quiet:
            self._slow = self.set_timer(SLOW_SECONDS, self._say_slow)
        self._reading = self.run_worker(read(), group="time", exclusive=True, exit_on_error=True)

    def _say_slow(self) -> None:
        self.say("reading the past ... Esc cancels", seconds=None)

    def _ended(self) -> None:
        self._reading = None
        if self._slow is not None:
            self._slow.stop()
            self._slow = None
        if self.note.startswith("reading"):
            self.note = ""

    def _stop_reading(self) -> None:
        if self._reading is not None:
            self._reading.cancel()
        self._ended()

    def say(self, note: str, *, seconds: float | None = NOTE_SECONDS, update: bool = True) -> None:
        """Puts a few words into the header for a while."""
        self.note = note
        if self._note_timer is not None:
            self._note_timer.stop()
            self._note_timer = None
        if note and seconds is not None:
            self._note_timer = self.set_timer(seconds, lambda: self.say(""))
        if update:
            self.refresh_view()

    # -- the time bar

    def read_track_when_old(self) -> None:
        """Reads gaps and events for the time bar where it shows, now and then."""
        host, screen = self.host, self.host_screen
        if host is None or screen is None or screen.timebar is None or not screen.timebar.display:
            return
        now = self.services.clock.boottime()
        if self._track_worker is not None or (
            self._track_read is not None
            and now - self._track_read < (TRACK_SECONDS if self.track is not None else SOON_SECONDS) * 1e9
        ):
            return
        history, all_hosts = self.services.history(host.info.id), self._all_hosts
        every = histories(self.model.hosts, self.services.history) if all_hosts else []
        if history is None and not every:
            self.track = None
            return
        self._track_read = now

        async def read() -> None:
            try:
                if all_hosts:
                    track = await read_fleet_track(self.model.hosts, every, self._present())
                else:
                    track = await read_track(history, host.info.id, self._present()) if history is not None else None
            except SysmonError:
                # The bar stays as it was; the history's own problem line says what is wrong.
                track = self.track
            finally:
                self._track_worker = None
            if self.host is host and self._all_hosts == all_hosts:
                self.track = track
                self._greet(track)
                self.refresh_view()

        self._track_worker = self.run_worker(read(), group="track", exclusive=True)

    def _greet(self, track: Track | None) -> None:
        """Tells who starts sysmon for the first time, whose recording begins now, what there is; once."""
        now = self.services.clock.now()
        if not self._greeted and not self.note and (track is None or now - track.start < FIRST_START_MS):
            keys = {key.id: label(present_keys(key, self.services.config.keys)[0]) for key in KEYS}
            words = f"press {keys['help']} for all keys; {keys['back']} goes back in time, {keys['quit']} quits"
            self.greeting = words
            self.say(words, seconds=GREETING_SECONDS, update=False)
        self._greeted = True

    def forget_track(self) -> None:
        """Another host: its bar has to be read first."""
        self.track, self._track_read = None, None
