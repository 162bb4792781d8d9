"""The base of the numbered screens: header, body, footer, and one method that shows a view."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from textual.screen import Screen

if TYPE_CHECKING:
    from textual.app import ComposeResult

    from tui.model import View
    from tui.services import Services


class HostScreen(Screen[None]):
    """One numbered screen, a function of the view it is shown.

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

    @property
    def services(self) -> Services:
        """What the composition root gave."""
        from tui.app import SysmonApp

        assert isinstance(self.app, SysmonApp)
        return self.app.services

    def compose(self) -> ComposeResult:
        """Header, body, footer."""
        from tui.widgets.footer import Footer
        from tui.widgets.header import Header

        yield Header()
        yield from self.compose_body()
        yield Footer()

    def compose_body(self) -> ComposeResult:
        """Yields the screen's own widgets; sizes come from CSS only."""
        raise NotImplementedError

    def show(self, view: View) -> None:
        """Draws a view: on every tick while visible, when it becomes visible, on another host, on another moment.

        It must change no layout and cost a few milliseconds at most.
        """
        raise NotImplementedError
