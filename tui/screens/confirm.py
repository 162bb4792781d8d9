"""A question that only `y` answers with yes: Enter, which came too early once, never does."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from textual.binding import Binding, BindingType
from textual.containers import Vertical

from tui.dialog import Dialog
from tui.renderables.frame import Hint
from tui.renderables.text import strip
from tui.widgets.lines import LinesPanel

if TYPE_CHECKING:
    from collections.abc import Sequence

    from textual.app import ComposeResult
    from textual.strip import Strip

    from tui.theme import Look


class Confirm(Dialog[bool]):
    """Asks; the result is whether it was confirmed.

    Args:
        title: the question.
        words: what follows from a yes, a line each.
        yes: what yes does, for the key's hint.
    """

    DEFAULT_CSS = """
    Confirm #box { width: 72; max-width: 96%; height: auto; }
    Confirm #words { height: 6; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("y", "dismiss(True)", show=False),
        Binding("n,escape,q", "dismiss(False)", show=False),
    ]

    def __init__(self, title: str, words: Sequence[str], *, yes: str = "yes") -> None:
        super().__init__()
        self._title = title
        self._words = tuple(words)
        self._yes = yes

    def compose(self) -> ComposeResult:
        """A box with the question."""
        with Vertical(id="box"):
            yield LinesPanel(
                self._title, id="words",
                hints=[Hint("y", self._yes, "screen.dismiss(True)"), Hint("Esc", "no", "screen.dismiss(False)")],
            )  # fmt: skip

    def on_mount(self) -> None:
        """Say it."""
        panel = self.query_one("#words", LinesPanel)
        panel.styles.height = len(self._words) + 2

        def draw(width: int, _: int, look: Look) -> list[Strip]:
            style = look.palette.text
            return [strip([(line, style)], width, style, ellipsis=look.glyphs.ellipsis) for line in self._words]

        panel.set_draw(draw)
        panel.focus()
