"""Textual's screen updates written as cell differences.

`CellDiffMixin` goes before `App` in an application's bases. It takes each update between Textual's compositor and its
driver, and writes only the cells that changed; a terminal that reads slowly gets the newest state instead of a queue of
old ones. Inline mode, headless runs, Windows and anything unexpected are left to Textual's own output.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from rich.color import ColorSystem

from tui import textual_private
from tui.celldiff import CellDiff

if TYPE_CHECKING:
    from collections.abc import Callable

    from rich.console import RenderableType
    from textual.app import App
    from textual.driver import Driver
    from textual.events import Resize
    from textual.screen import Screen

    _Base = App[Any]
else:
    _Base = object

RETRY_SECONDS: Final = 0.05
"""How often a driver that cannot tell when it has drained is asked again."""

COLOR_SYSTEMS: Final = {
    None: None,
    "standard": ColorSystem.STANDARD,
    "256": ColorSystem.EIGHT_BIT,
    "truecolor": ColorSystem.TRUECOLOR,
    "windows": ColorSystem.WINDOWS,
}


@dataclass(slots=True)
class OutputStats:
    """What the terminal was sent since the start."""

    bytes_written: int = 0
    """UTF-8 bytes of all frames."""
    cells_written: int = 0
    frames_written: int = 0
    frames_skipped: int = 0
    """Frames that a newer one overtook before the terminal had read what was before them."""
    fallback: str | None = None
    """Why Textual's own output is used, if it is."""


class CellDiffMixin(_Base):
    """An application whose terminal is sent only what changed.

    Set the class attributes, or the instance's before it runs, from the terminal's capabilities.
    """

    CELL_DIFF = True
    """Whether to write differences at all; False leaves everything to Textual."""
    ERASES_WITH_BACKGROUND = False
    """The terminal fills erased cells with the current background (terminfo `bce`)."""
    BRIGHT_IS_BOLD = False
    """The terminal shows bright colours by its bold attribute (`TERM=linux`)."""

    __output: _Output | None = None

    @property
    def output_stats(self) -> OutputStats:
        """Counters of what was written; read-only."""
        return self._cell_output.stats

    @property
    def output_frozen(self) -> bool:
        """While True, nothing is written; what changed is shown when it becomes False, or by `present_output`."""
        return self._cell_output.frozen

    @output_frozen.setter
    def output_frozen(self, frozen: bool) -> None:
        self._cell_output.frozen = frozen
        if not frozen:
            self.present_output()

    def present_output(self) -> None:
        """Write what has changed by now, frozen or not. For what the user just did while the screen is frozen."""
        self._cell_output.present(forced=True)

    def full_repaint(self) -> None:
        """Send the whole screen again, frozen or not: for ^L, and when something else wrote to the terminal."""
        output = self._cell_output
        if output.diff is not None:
            output.diff.forget()
        output.present(forced=True)

    def on_resize(self, event: Resize) -> None:
        """Distrust the screen after every resize: one to and fro ends at the old size, but may have cut lines."""
        output = self._cell_output
        if output.diff is not None:
            output.diff.forget()
            if (output.diff.width, output.diff.height) == tuple(event.size):
                self.call_later(output.present)

    @property
    def _cell_output(self) -> _Output:
        if self.__output is None:
            self.__output = _Output(self)
        return self.__output

    def _display(self, screen: Screen[Any], renderable: RenderableType | None) -> None:
        output = self._cell_output
        if renderable is not None and output.display(renderable):
            self.post_display_hook()
        else:
            super()._display(screen, renderable)


class _Output:
    """One application's diff, and when it may be written."""

    def __init__(self, app: CellDiffMixin) -> None:
        self.app = app
        self.diff: CellDiff | None = None
        self.frozen = False
        self.stats = OutputStats()
        self._waiting = False
        self._let_through = False
        if not app.CELL_DIFF:
            self.stats.fallback = "switched off"
        elif sys.platform == "win32":
            self.stats.fallback = "not on Windows"

    def display(self, update: object) -> bool:
        """Show an update; returns False where Textual has to."""
        if self.stats.fallback is not None:
            held, self._let_through = self.frozen and not self._let_through, False
            return held
        try:
            driver = textual_private.driver_of(self.app)
            if driver is None:
                return False
            if driver.is_inline:
                self.stats.fallback = "inline mode"
                return False
            if not textual_private.feed(self._diff_for_console(), update):
                if self.diff is not None:
                    self.diff.forget()
                return False
        except Exception as error:
            return self._give_up(error)
        return self.present()

    def present(self, *, forced: bool = False) -> bool:
        """Write the difference, unless the screen is frozen or the terminal has not read what it was sent."""
        if self.stats.fallback is not None or self.diff is None:
            if forced:
                self._let_through = True
                self.app.refresh()
            return False
        if self.frozen and not forced:
            return True
        try:
            driver = textual_private.driver_of(self.app)
            if driver is None:
                return False
            if self._wait_until_drained(driver):
                self.stats.frames_skipped += 1
                return True
            sequence = self.diff.flush(*textual_private.resting_cursor(self.app))
            if sequence:
                before, after = textual_private.sync_marks(self.app)
                frame = f"{before}{sequence}{after}"
                driver.write(frame)
                driver.flush()
                self.stats.bytes_written += len(frame.encode("utf-8", "replace"))
                self.stats.cells_written = self.diff.cells_written
                self.stats.frames_written += 1
        except Exception as error:
            return self._give_up(error)
        return True

    def _diff_for_console(self) -> CellDiff:
        """The diff, made anew when the console's colour depth is another."""
        name = self.app.console.color_system
        color_system = COLOR_SYSTEMS[name]
        if self.diff is None or self.diff.color_system is not color_system:
            self.diff = CellDiff(
                0,
                0,
                color_system,
                erases_with_background=self.app.ERASES_WITH_BACKGROUND,
                bright_is_bold=self.app.BRIGHT_IS_BOLD,
            )
        return self.diff

    def _wait_until_drained(self, driver: Driver) -> bool:
        """Whether the last frame is still on its way; then `present` is called again when it has gone."""
        if self._waiting:
            return True
        call_when_drained: Callable[[Callable[[], None]], bool] | None = getattr(driver, "call_when_drained", None)
        if call_when_drained is not None:
            self._waiting = call_when_drained(self._drained)
        elif not textual_private.write_queue_is_empty(driver):
            self._waiting = True
            self.app.set_timer(RETRY_SECONDS, self._drained)
        return self._waiting

    def _drained(self) -> None:
        self._waiting = False
        if self.diff is not None and self.diff.pending:
            self.present()

    def _give_up(self, error: Exception) -> bool:
        """Leave the rest of the run to Textual's own output, which begins with a full repaint."""
        self.stats.fallback = f"{type(error).__name__}: {error}"
        self.diff = None
        self.app.log.error(f"cell differences are off for the rest of this run: {self.stats.fallback}")
        self.app.call_later(self.app.refresh, layout=True)
        return False
