"""The list of alerts and events, which tells when somebody wants to go on at its end."""

from __future__ import annotations

from textual.message import Message

from tui.widgets.alerts_rows import AlertRow
from tui.widgets.table import Table


class AlertsTable(Table[AlertRow]):
    """The list; tells when somebody wants to go on at its end."""

    class EndReached(Message):
        """The cursor stands at the last row and was to go further, or has just come there."""

    def action_move(self, rows: int) -> None:
        """Move; further than the end asks for more."""
        super().action_move(rows)
        self._at_end(rows)

    def action_page(self, pages: float) -> None:
        """Page; further than the end asks for more."""
        super().action_page(pages)
        self._at_end(pages)

    def action_edge(self, direction: int, shared: bool = False) -> None:
        """Go to an edge; the last asks for more."""
        super().action_edge(direction, shared)
        self._at_end(direction)

    def _at_end(self, direction: float) -> None:
        if direction > 0 and self.cursor_index >= len(self.rows) - 1:
            self.post_message(self.EndReached())
