"""A dialog that writes what a chart shows to a file."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, ClassVar

from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.widgets import Input, Static

from sysmon.errors import SysmonError
from tui.dialog import Dialog
from tui.historyexport import Exists, target, write

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from textual.app import ComposeResult

    from sysmon.records import Series, Span


class ExportScreen(Dialog[str | None]):
    """Asks for a file and writes it; the result is a sentence that says what was written, or None.

    A file that exists is replaced only where Enter is pressed a second time on the same name.

    Args:
        path: offered at first.
        series, gaps: what to write.
    """

    DEFAULT_CSS = """
    ExportScreen #box { width: 76; max-width: 94%; height: auto; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "dismiss(None)", "Cancel", show=False)]

    def __init__(self, path: str, series: Sequence[Series], gaps: Sequence[Span]) -> None:
        super().__init__()
        self._path = path
        self._series = tuple(series)
        self._gaps = tuple(gaps)
        self._confirmed: Path | None = None
        self._writing = False

    def compose(self) -> ComposeResult:
        """A box with the file's name and a line that says what will happen."""
        with Vertical(id="box", classes="dialog"):
            yield Static("Export what is shown", classes="title", markup=False)
            yield Input(self._path, id="path", select_on_focus=False)
            yield Static("", id="words", classes="dim", markup=False)

    def on_mount(self) -> None:
        """Say what there is."""
        self._describe()

    def _describe(self) -> None:
        points = sum(len(each.points) for each in self._series)
        self._say(f"{len(self._series)} series, {points} points; .csv or .json. Enter writes, Esc goes back", "dim")

    def on_input_changed(self, event: Input.Changed) -> None:
        """Another name wants its own consent."""
        event.stop()
        self._confirmed = None
        try:
            target(event.value)
        except SysmonError as error:
            self._say(str(error), "error")
        else:
            self._describe()

    async def on_input_submitted(self, event: Input.Submitted) -> None:
        """Write, off the loop."""
        event.stop()
        if self._writing:
            return
        try:
            path = target(event.value)
        except SysmonError as error:
            self._say(str(error), "error")
            return
        self._writing = True
        self._say("writing…", "dim")
        self.run_worker(self._write(path), group="export")

    async def _write(self, path: Path) -> None:
        try:
            points = await asyncio.to_thread(write, path, self._series, self._gaps, replace=self._confirmed == path)
        except Exists as error:
            self._confirmed = path
            self._say(str(error), "error")
        except SysmonError as error:
            self._say(str(error), "error")
        else:
            self.dismiss(f"wrote {points} points to {path}")
        finally:
            self._writing = False

    def _say(self, words: str, kind: str) -> None:
        line = self.query_one("#words", Static)
        line.set_classes(kind)
        line.update(words)
