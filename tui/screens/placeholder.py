"""What stands in for a screen that is not part of this program."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tui.renderables.lines import centered
from tui.screens.base import HostScreen
from tui.widgets.lines import LinesPanel

if TYPE_CHECKING:
    from textual.app import ComposeResult

    from tui.model import View


class Placeholder(HostScreen):
    """Says that there is no such screen yet."""

    def compose_body(self) -> ComposeResult:
        """One panel."""
        panel = LinesPanel(self.NAME)
        words = [f"the {self.NAME} screen is not here yet"]
        panel.set_draw(lambda width, height, look: centered(words, width, height, look=look))
        yield panel

    def show(self, view: View) -> None:
        """Nothing of the view."""
