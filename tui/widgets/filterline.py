"""A line that a filter is typed into: it counts at once, and below stands what could be written."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.message import Message
from textual.widgets import Input

from sysmon.errors import UsageError
from tui.renderables.text import strip
from tui.widgets.lines import Line

if TYPE_CHECKING:
    from textual.app import ComposeResult
    from textual.strip import Strip

    from tui.theme import Look


class FilterInput(Input):
    """The input, with the keys of a filter."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+u", "clear_all", show=False, id="filterline.clear"),
        Binding("escape", "cancel", show=False, id="filterline.cancel"),
        Binding("f4", "submit", show=False, id="filterline.keep"),
    ]

    def action_clear_all(self) -> None:
        """Empty the line."""
        self.value = ""

    def action_cancel(self) -> None:
        """Leave, and leave the filter as it was."""
        next(each for each in self.ancestors if isinstance(each, FilterLine)).cancel()


class FilterLine(Vertical):
    """A filter being typed; while it means nothing the last one that did stays. Subclasses say what it may be."""

    DEFAULT_CSS = """
    FilterLine { height: 2; display: none; background: $background; }
    FilterLine.-open { display: block; }
    FilterLine Horizontal { height: 1; background: $surface; }
    FilterLine #filter-sign { width: 3; }
    FilterLine #filter-count { width: 16; }
    FilterLine FilterInput, FilterLine FilterInput:focus {
        border: none; height: 1; padding: 0; width: 1fr; background: $surface;
    }
    """

    class Changed(Message):
        """Another filter counts; `closed` when the line was left."""

        def __init__(self, text: str, *, closed: bool = False) -> None:
            super().__init__()
            self.text = text
            self.closed = closed

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._before = ""
        self._good = ""
        self._count = ""

    def compose(self) -> ComposeResult:
        """A sign, the input, a count; below what it means."""
        with Horizontal():
            yield Line(id="filter-sign")
            yield FilterInput(id="filter-input", select_on_focus=False)
            yield Line(id="filter-count")
        yield Line(id="filter-meaning")

    def on_mount(self) -> None:
        """Draw the sign."""
        self.query_one("#filter-sign", Line).set_draw(
            lambda width, _, look: [strip([(" / ", look.palette.hotkey)], width, look.palette.text)]
        )

    @property
    def is_open(self) -> bool:
        """Whether it is being typed into."""
        return self.has_class("-open")

    def check(self, text: str) -> None:
        """Checks a filter.

        Raises:
            UsageError: it means nothing.
        """
        raise NotImplementedError

    def is_begun(self, text: str) -> bool:
        """Whether a filter is only begun, so that it is not to count yet."""
        raise NotImplementedError

    def examples(self) -> str:
        """What could be written."""
        raise NotImplementedError

    def begin(self, text: str) -> None:
        """Begin with a filter."""
        self._before = self._good = text
        self.add_class("-open")
        field = self.query_one(FilterInput)
        field.value = text
        field.cursor_position = len(text)
        # At once: who types on is not to type keys of the list.
        self.screen.set_focus(field)
        self._explain("")

    def set_count(self, shown: int, among: int) -> None:
        """Say how many rows it leaves."""
        text = f"{shown} of {among} "
        if text != self._count:
            self._count = text
            self.query_one("#filter-count", Line).set_draw(
                lambda width, _, look: [strip([(text, look.palette.dim)], width, look.palette.text, align="right")]
            )

    def cancel(self) -> None:
        """Leave; the filter is again what it was."""
        self._leave(self._before)

    def _leave(self, text: str) -> None:
        self.remove_class("-open")
        self.post_message(self.Changed(text.strip(), closed=True))

    def on_input_changed(self, event: Input.Changed) -> None:
        """Let it count."""
        event.stop()
        if not self.is_open:
            return
        problem = self._problem(event.value)
        self._explain(problem)
        if not problem and not self.is_begun(event.value) and event.value != self._good:
            self._good = event.value
            self.post_message(self.Changed(event.value.strip()))

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Enter keeps it, where it means something."""
        event.stop()
        problem = self._problem(event.value)
        if problem:
            self._explain(problem, firm=True)
        else:
            self._leave(event.value)

    def _problem(self, text: str) -> str:
        try:
            self.check(text)
        except UsageError as error:
            return str(error)
        return ""

    def _explain(self, problem: str, *, firm: bool = False) -> None:
        words = problem or self.examples()

        def draw(width: int, _: int, look: Look) -> list[Strip]:
            palette = look.palette
            style = palette.warning if firm else palette.dim if problem else palette.faint
            spans = [("   ", palette.text), (words, style)]
            return [strip(spans, width, palette.text, ellipsis=look.glyphs.ellipsis)]

        self.query_one("#filter-meaning", Line).set_draw(draw)
