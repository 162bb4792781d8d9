"""What the Processes screen does to processes, once it is sure which are meant."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tui.processactions import Nices, parse_nice, refusal, signal_dialog, targets
from tui.processtree import row_key
from tui.screens.prompt import Prompt
from tui.screens.signal import named

if TYPE_CHECKING:
    from sysmon.frame import ProcessRow
    from sysmon.ports import Actions
    from tui.model import View
    from tui.processlisting import Listing
    from tui.services import Services
    from tui.widgets.processlist import ProcessList


class ProcessActions:
    """The part of the screen that signals and renices. While it asks, `holds` keeps the list still."""

    listing: Listing
    view: View | None
    holds: bool = False
    _pinned: ProcessRow | None = None
    _nices: Nices

    if TYPE_CHECKING:
        app: Any

        @property
        def services(self) -> Services:
            """What the composition root gave."""

        @property
        def table(self) -> ProcessList:
            """The list."""

        def has_class(self, *names: str) -> bool:
            """Whether the screen has these classes."""

        def redraw(self) -> None:
            """Draws the present view again."""

        def say(self, words: str) -> None:
            """Says something."""

    def action_untag(self) -> None:
        """Untags all."""
        self.table.set_tagged()

    def _chosen(self) -> tuple[list[ProcessRow], Actions] | None:
        """The processes meant and who acts on them, or None after saying why not."""
        words = refusal(self.view, self.services)
        view = self.view
        if words or view is None:
            self.say(words)
            return None
        actions = self.services.actions(view.info.id)
        item = self.table.cursor_row
        if self.has_class("-details") and self._pinned is not None and not self.table.tagged:
            item = next((each for each in self.listing.items if row_key(each.row) == row_key(self._pinned)), None)
        if item is not None and item.dim and not item.note and not self._is_meant():
            self.say(f"{named([item.row])} does not match the filter; move to it to mean it")
            return None
        rows = targets(item, self.table.tagged, self.listing.rows, self.listing.grouping)
        if not rows or actions is None:
            self.say("there is no process here" if item is None or not item.note else "this process has ended")
            return None
        return rows, actions

    def _is_meant(self) -> bool:
        """Whether a line that the filter leaves only for what is below it was chosen all the same."""
        table = self.table
        return (
            bool(table.tagged) or table.cursor_chosen or self.listing.followed is not None or self.has_class("-details")
        )

    def action_signal(self) -> None:
        """Asks for a signal and sends it; the list stands still meanwhile."""
        chosen = self._chosen()
        if chosen is None:
            return
        self.holds = True
        self.app.push_screen(signal_dialog(*chosen), self._asked)

    def _asked(self, words: Any) -> None:
        self.holds = False
        if words:
            self.table.set_tagged()
            self.say(str(words))
        self.redraw()

    def action_renice(self, step: int) -> None:
        """One nicer, or less nice."""
        chosen = self._chosen()
        if chosen is not None:
            self.say(self._nices.renice(*chosen, lambda nice: nice + step))

    def action_ask_nice(self) -> None:
        """Asks for a nice value."""
        chosen = self._chosen()
        if chosen is None:
            return
        rows, actions = chosen

        def parse(text: str) -> str:
            return (
                f"nice {parse_nice(text)}: {'runs before others' if parse_nice(text) < 0 else 'lets others run first'}"
            )

        def done(text: str | None) -> None:
            self.holds = False
            if text is not None:
                self.say(self._nices.renice(rows, actions, lambda _: parse_nice(text)))
            self.redraw()

        self.holds = True
        prompt = Prompt(f"nice value of {named(rows)}, now {rows[0].nice}", parse, hint="-20 (first) to 19 (last)")
        self.app.push_screen(prompt, done)
