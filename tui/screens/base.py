"""The base of the numbered screens: header, body, time bar, footer, and one method that shows a view."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Final

from textual.containers import Vertical
from textual.screen import Screen

from tui.keys import keys_of
from tui.widgets.footer import Footer
from tui.widgets.header import Header
from tui.widgets.timebar import TimeBar

if TYPE_CHECKING:
    from textual import events
    from textual.app import ComposeResult
    from textual.geometry import Size

    from tui.chrome import Chrome
    from tui.model import View
    from tui.services import Services

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
    """

    NAME: ClassVar[str] = ""
    TITLE_TEXT: ClassVar[str] = ""
    TABLES: ClassVar[frozenset[str]] = frozenset()
    GRAPHED: ClassVar[tuple[str, ...]] = ()

    view: View | None = None
    header: Header | None = None
    footer: Footer | None = None
    timebar: TimeBar | None = None

    @property
    def services(self) -> Services:
        """What the composition root gave."""
        from tui.app import SysmonApp

        assert isinstance(self.app, SysmonApp)
        return self.app.services

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

    def present(self, view: View | None, chrome: Chrome) -> None:
        """Shows a view and what surrounds it; while the screen is being built, as soon as it is."""
        if self.header is None or self.footer is None or self.timebar is None or not self.is_mounted:
            self.call_later(self._show_present)
            return
        past = chrome.mode != "live"
        if past != self.has_class("-past"):
            self.set_class(past, "-past")
        self.header.show(chrome)
        self.timebar.show(chrome)
        self.footer.show(self.NAME, chrome.mode, keys_of(self.NAME), self.services.config.keys)
        if view is not None:
            self.view = view
            self.show(view)

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
