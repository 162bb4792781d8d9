"""The base of the numbered screens: header, body, time bar, footer, and one method that shows a view."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar, Final

from textual.containers import Vertical
from textual.screen import Screen

from tui.keys import keys_of
from tui.widgets.footer import Footer
from tui.widgets.header import Header
from tui.widgets.panel import where
from tui.widgets.timebar import TimeBar

if TYPE_CHECKING:
    from textual import events
    from textual.app import ComposeResult
    from textual.geometry import Size

    from tui.app import SysmonApp
    from tui.chrome import Chrome
    from tui.model import View
    from tui.services import Services
    from tui.widgets.table import Table

NARROW: Final = 100
WIDE: Final = 180
SHORT: Final = 32
TALL: Final = 45
TINY: Final = (60, 18)


def size_classes(size: Size) -> dict[str, bool]:
    """The CSS classes of a terminal's size."""
    return {
        "-narrow": size.width < NARROW,
        "-wide": size.width >= WIDE,
        "-short": size.height < SHORT,
        "-tall": size.height >= TALL,
        "-tiny": size.width < TINY[0] or size.height < TINY[1],
    }


class HostScreen(Screen[None]):
    """One numbered screen, a function of the view it is shown.

    On every change of the terminal's size the classes `-narrow` (< 100 columns), `-wide` (>= 180), `-short` (< 32
    lines), `-tall` (>= 45) and `-tiny` (< 60 columns or < 18 lines) are set; `-past` while the present is not shown.

    Class attributes:
        NAME: its name in `screen('NAME')` and `[screen] start`.
        TITLE_TEXT: its name for people.
        TABLES: tables that must be collected while it is visible.
        GRAPHED: metrics (raw gauges or derived) whose past it draws; for a moment of the past the app reads them from
        history.
        ALL_HOSTS: whether it is about all hosts, not the one shown; then so is its moment.
    """

    NAME: ClassVar[str] = ""
    TITLE_TEXT: ClassVar[str] = ""
    TABLES: ClassVar[frozenset[str]] = frozenset()
    GRAPHED: ClassVar[tuple[str, ...]] = ()

    ALL_HOSTS: ClassVar[bool] = False

    view: View | None = None
    wanted: object = None
    """What `reveal` was given and `show` has not found yet."""
    header: Header | None = None
    footer: Footer | None = None
    holds: bool = False
    """Whether it stands still, for a dialog about what it shows."""
    timebar: TimeBar | None = None

    @property
    def sysmon(self) -> SysmonApp:
        """The app."""
        from tui.app import SysmonApp

        assert isinstance(self.app, SysmonApp)
        return self.app

    @property
    def services(self) -> Services:
        """What the composition root gave."""
        return self.sysmon.services

    def compose(self) -> ComposeResult:
        """Header, body, time bar, footer."""
        self.set_size_classes(self.app.size)
        self.header, self.footer, self.timebar = Header(), Footer(), TimeBar()
        yield self.header
        yield from self.compose_body()
        with Vertical(id="foot"):
            yield self.timebar
            yield self.footer

    def compose_body(self) -> ComposeResult:
        """Yields the screen's own widgets; sizes come from CSS only."""
        raise NotImplementedError

    def show(self, view: View) -> None:
        """Draws a view: on every tick while visible, when it becomes visible, on another host, on another moment.

        It must change no layout and cost a few milliseconds at most.
        """
        raise NotImplementedError

    def tables(self) -> frozenset[str]:
        """The tables that must be collected now; a screen whose wants change calls the app's `watch_tables`."""
        return self.TABLES

    def reveal(self, item: object) -> None:
        """Puts the cursor, at the next `show`, on what was chosen on another screen; '' and unknown things are left.

        Args:
            item: the key of a row; of the history the beginning of a metric's name.
        """
        self.wanted = item or None

    def find_wanted(self, table: Table[Any]) -> None:
        """Moves a table's cursor to what `reveal` was given, once."""
        if self.wanted is not None and table.rows:
            table.move_cursor(key=self.wanted)
            self.wanted = None

    def present(self, view: View | None, chrome: Chrome) -> None:
        """Shows a view and what surrounds it; while the screen is being built, as soon as it is."""
        if self.header is None or self.footer is None or self.timebar is None or not self.is_mounted:
            self.call_later(self._show_present)
            return
        if self.holds:
            # What does not move must not be called live.
            self.header.show(replace(chrome, mode="frozen", time=self.view.time if self.view is not None else None))
            return
        past = chrome.mode != "live"
        if past != self.has_class("-past"):
            self.set_class(past, "-past")
        self.timebar.show(chrome)
        alone = chrome.hosts <= 1
        self.footer.show(self.NAME, chrome.mode, keys_of(self.NAME), self.services.config.keys, alone=alone)
        if view is not None:
            self.view = view
            try:
                self.show(view)
            except Exception as error:  # a fault of one screen must not take the others with it
                chrome = replace(chrome, problem=f"{self.TITLE_TEXT} cannot be drawn: {where(error)}")
        self.header.show(chrome)

    def _show_present(self) -> None:
        """Runs once the screen stands, as messages wait for that."""
        from tui.app import SysmonApp

        if isinstance(self.app, SysmonApp) and self.app.screen is self:
            self.app.refresh_view()

    def set_size_classes(self, size: Size) -> None:
        """Sets the classes that the style sheets lay out by."""
        for name, on in size_classes(size).items():
            self.set_class(on, name)

    def on_resize(self, event: events.Resize) -> None:
        """Runs before Textual lays out."""
        self.set_size_classes(event.size)
