"""The app's actions that concern no moment in time: hosts, help, the step, maximising, themes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from sysmon.errors import SysmonError
from tui.looks import THEMES
from tui.palette import THEME_NAMES

if TYPE_CHECKING:
    from textual.app import App
    from textual.events import Key

    from tui.model import Model
    from tui.screens.base import HostScreen
    from tui.services import Services
    from tui.timetravel import Cursor

    _Base = App[Any]
else:
    _Base = object

STEPS: Final = (1, 2, 5, 10, 30)
"""Seconds between two pictures that `+` and `-` choose from."""


MANY: Final = 20
"""Hosts above which a list of them is judged by what is cheap to tell."""


class ScreenActions(_Base):
    """Needs of the app what is declared here."""

    services: Services
    model: Model
    cursor: Cursor
    host_id: str | None
    interval: int
    _shown_time: int

    if TYPE_CHECKING:

        @property
        def host_screen(self) -> HostScreen | None: ...
        async def action_screen(self, name: str) -> None: ...
        def show_host(self, host_id: str) -> None: ...
        def say(self, note: str, *, seconds: float | None = None, update: bool = True) -> None: ...
        def cancel_reading(self) -> bool: ...
        def action_time_live(self) -> None: ...
        def full_repaint(self) -> None: ...

    def on_key(self, event: Key) -> None:
        """Gives a line that is typed into what was typed before it had the focus.

        Of keys that come in one burst all are sent to who has the focus then; `/` opens a line only when it has come
        back from there unused, as do the keys after it.
        """
        insert = getattr(self.focused, "insert_text_at_cursor", None)
        if insert is not None and event.character is not None and event.is_printable:
            insert(event.character)
            event.prevent_default()

    def action_hosts(self) -> None:
        """Chooses the host."""
        from tui.fleet import silent_hubs
        from tui.screens.hosts import HostsScreen, host_row

        def rows() -> list[Any]:
            now, hosts = self.services.clock.boottime(), self.model.hosts.values()
            behind = {host.info.id for _, found in silent_hubs(self.model, now) for host in found}
            lost = self.model.lost is not None
            return [host_row(host, now, many=len(hosts) > MANY, blind=lost or host.info.id in behind) for host in hosts]

        def chosen(host_id: str | None) -> None:
            if host_id is not None:
                self.show_host(host_id)

        self.push_screen(HostsScreen(rows, self.host_id), chosen)

    def action_command_palette(self) -> None:
        """Finds a command by its name."""
        from textual.command import CommandPalette

        if not CommandPalette.is_open(self):
            self.push_screen(CommandPalette(placeholder="type what is to be done, Esc closes", id="--command-palette"))

    def action_help(self) -> None:
        """Shows all keys."""
        from tui.screens.help import HelpScreen

        screen = self.host_screen
        self.push_screen(HelpScreen(self.services.config.keys, screen.NAME if screen is not None else ""))

    def action_step(self, direction: int) -> None:
        """Shows more or less often; what is recorded stays as it is."""
        place = STEPS.index(self.interval) + direction
        self.interval = STEPS[max(0, min(place, len(STEPS) - 1))]
        self._shown_time = 0
        self.say(f"a picture every {self.interval} s" if self.interval > 1 else "a picture every second")

    def action_maximise(self) -> None:
        """The focused panel alone, or all again."""
        screen = self.screen
        if screen.maximized is not None:
            screen.minimize()
        elif screen.focused is not None:
            screen.maximize(screen.focused, container=False)
        else:
            self.say("Tab chooses a panel to maximise")

    async def action_leave(self) -> None:
        """Esc: one thing back, never the program's end."""
        if self.cancel_reading():
            return
        if self.screen.maximized is not None:
            self.screen.minimize()
        elif not self.cursor.live:
            self.action_time_live()
        elif self.host_screen is not None and self.host_screen.NAME != "overview":
            await self.action_screen("overview")

    def action_redraw(self) -> None:
        """Sends the whole screen again."""
        self.full_repaint()

    def action_next_theme(self) -> None:
        """The next theme."""
        self.choose_theme(THEME_NAMES[(THEME_NAMES.index(self.theme) + 1) % len(THEME_NAMES)])

    def choose_theme(self, name: str) -> None:
        """Takes a theme, and keeps it for the next start where settings can be saved."""
        self.theme = name
        setting = next((word for word, each in THEMES.items() if each == name), None)
        if self.services.save_settings is not None and setting is not None:
            try:
                self.services.save_settings({"theme": setting})
            except SysmonError as error:
                self.notify(str(error), severity="warning", markup=False)
        self.say(f"theme {name.removeprefix('sysmon-')}")
