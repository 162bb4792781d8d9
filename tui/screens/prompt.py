"""A dialog with one line of input, checked while it is typed."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.widgets import Input, Static

from sysmon.errors import SysmonError
from tui.dialog import Dialog

if TYPE_CHECKING:
    from collections.abc import Callable

    from textual.app import ComposeResult


class Prompt(Dialog[str | None]):
    """Asks for a text; its result is the text as typed, or None when cancelled.

    Args:
        title: what is asked.
        parse: what the text means, in words for the line below; raises `SysmonError` or `ValueError` where it means
            nothing.
        hint: examples, shown below the input while nothing is typed.
        value: what stands there at first.
    """

    DEFAULT_CSS = """
    Prompt #box { width: 64; max-width: 90%; height: auto; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "dismiss(None)", "Cancel", show=False)]

    def __init__(self, title: str, parse: Callable[[str], str], *, hint: str = "", value: str = "") -> None:
        super().__init__()
        self._title = title
        self._parse = parse
        self._hint = hint
        self._value = value

    def compose(self) -> ComposeResult:
        """A box with title, input and the line that says what it means."""
        with Vertical(id="box", classes="dialog"):
            yield Static(self._title, classes="title", markup=False)
            yield Input(self._value, id="input")
            yield Static(self._hint, id="meaning", classes="dim", markup=False)

    def on_input_changed(self, event: Input.Changed) -> None:
        """Say what the text means so far."""
        event.stop()
        text = event.value.strip()
        if text:
            self._check(text)
        else:
            self._say(self._hint, "dim")

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Take it, or say why not; nothing typed is lost."""
        event.stop()
        text = event.value.strip()
        if not text:
            self.dismiss(None)
        elif self._check(text):
            self.dismiss(text)

    def _check(self, text: str) -> bool:
        try:
            self._say(self._parse(text), "dim")
        except (SysmonError, ValueError) as error:
            self._say(str(error), "error")
            return False
        return True

    def _say(self, words: str, kind: str) -> None:
        line = self.query_one("#meaning", Static)
        line.set_classes(kind)
        line.update(words)
