"""The line that a filter is typed into, with what it means so far below."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, ClassVar, Final

from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.message import Message
from textual.widgets import Input

from sysmon.query import Query, QueryError, attempt, complete
from tui.renderables.text import Spans, shorten, strip, width_of
from tui.widgets.lines import Line

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from textual.app import ComposeResult
    from textual.strip import Strip

    from tui.theme import Look

REMEMBERED: Final = 50
"""Filters that Up goes back through."""

_VALUE = re.compile(r"[a-zA-Z]+\s*(?:==|!=|!~|>=|<=|=|~|>|<)\s*([^\s()]*)$")
_WORD = re.compile(r"[a-zA-Z]*$")
_EXAMPLES: Final = "cpu>20 and user=www and not name~cron    Tab completes"


_LAST: Final = re.compile(r"\S\s+([a-zA-Z]+)$")


def begun(text: str) -> bool:
    """Whether a text ends, after a term, in what may become a field or a joining word.

    As a word to look for it would empty the list for a moment, each time a second term is begun.
    """
    found = _LAST.search(text)
    return found is not None and any(word.startswith(found[1].lower()) for word in (*_fields(), "and", "or", "not"))


@lru_cache(1)
def _fields() -> tuple[str, ...]:
    return tuple(each for each in complete("") if each != "not")


def completed(text: str, cursor: int, candidate: str) -> tuple[str, int]:
    """Puts a candidate of `complete` in place of the word before the cursor; returns text and cursor."""
    before, after = text[:cursor], text[cursor:]
    found = _VALUE.search(before) or _WORD.search(before)
    start = found.start(found.re.groups) if found else cursor
    return before[:start] + candidate + after, start + len(candidate)


class QueryInput(Input):
    """The input, with the keys of a filter; all else is Textual's own."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("tab", "complete(1)", show=False, id="query.complete"),
        Binding("shift+tab", "complete(-1)", show=False, id="query.complete_back"),
        Binding("up", "recall(1)", show=False, id="query.older"),
        Binding("down", "recall(-1)", show=False, id="query.newer"),
        Binding("ctrl+u", "clear_all", show=False, id="query.clear"),
        Binding("escape", "cancel", show=False, id="query.cancel"),
        Binding("f4", "submit", show=False, id="query.keep"),
    ]

    def action_complete(self, step: int) -> None:
        """Complete the word before the cursor; again takes the next candidate."""
        self.bar.complete(step)

    def action_recall(self, step: int) -> None:
        """An older or newer filter."""
        self.bar.recall(step)

    def action_clear_all(self) -> None:
        """Empty the line."""
        self.value = ""

    def action_cancel(self) -> None:
        """Leave, and leave the filter as it was."""
        self.bar.cancel()

    @property
    def bar(self) -> QueryBar:
        """The bar it is in."""
        return next(each for each in self.ancestors if isinstance(each, QueryBar))


class QueryBar(Vertical):
    """A filter being typed. What it says counts at once; while it is no query yet the last good one stays."""

    DEFAULT_CSS = """
    QueryBar { height: 2; display: none; background: $background; }
    QueryBar.-open { display: block; }
    QueryBar Horizontal { height: 1; background: $surface; }
    QueryBar #query-sign { width: 3; }
    QueryBar #query-count { width: 22; }
    QueryBar #query-meaning { padding: 0; }
    QueryBar QueryInput, QueryBar QueryInput:focus {
        border: none; height: 1; padding: 0; width: 1fr; background: $surface;
    }
    .-tiny QueryBar #query-count { width: 14; }
    """

    class Changed(Message):
        """Another query counts."""

        def __init__(self, query: Query) -> None:
            super().__init__()
            self.query = query

    class Closed(Message):
        """The bar was left; `query` is what counts from now on."""

        def __init__(self, query: Query) -> None:
            super().__init__()
            self.query = query

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.values: Mapping[str, Iterable[str]] = {}
        self.history: list[str] = []
        self._good = Query("", None)
        self._before = self._good
        self._error: QueryError | None = None
        self._firm = False
        self._count = ""
        self._place = 0
        self._draft = ""
        self._cycle: tuple[str, int, list[str], int] | None = None
        self._cycled = ""

    def compose(self) -> ComposeResult:
        """A sign, the input, a count; below what it means."""
        with Horizontal():
            yield Line(id="query-sign")
            yield QueryInput(placeholder="", id="query-input", select_on_focus=False)
            yield Line(id="query-count")
        yield Line(id="query-meaning")

    def on_mount(self) -> None:
        """Draw the sign."""
        self.query_one("#query-sign", Line).set_draw(
            lambda width, _, look: [strip([(" / ", look.palette.hotkey)], width, look.palette.text)]
        )
        self._explain()

    @property
    def is_open(self) -> bool:
        """Whether it is being typed into."""
        return self.has_class("-open")

    def open(self, query: Query, values: Mapping[str, Iterable[str]]) -> None:
        """Begin with a query; `values` are what fields have now, for completion."""
        self.values = values
        self._good = self._before = query
        self._error, self._firm, self._cycle, self._place = None, False, None, 0
        self.add_class("-open")
        field = self.query_one(QueryInput)
        field.value = query.text
        field.cursor_position = len(query.text)
        # At once: who types on is not to type keys of the table.
        self.screen.set_focus(field)
        self._explain()

    def set_count(self, shown: int, among: int) -> None:
        """Say how many processes it leaves."""
        text = f"{shown} of {among} "
        if text != self._count:
            self._count = text
            self.query_one("#query-count", Line).set_draw(
                lambda width, _, look: [strip([(text, look.palette.dim)], width, look.palette.text, align="right")]
            )

    def complete(self, step: int) -> None:
        """Complete the word before the cursor, or take the candidate after the one taken last."""
        field = self.query_one(QueryInput)
        cycle = self._cycle
        if cycle is None or field.value != self._cycled:
            found = complete(field.value, field.cursor_position, self.values)
            if not found:
                return
            cycle = (field.value, field.cursor_position, found, -1 if step > 0 else 0)
        text, cursor, found, at = cycle
        at = (at + step) % len(found)
        self._cycle = (text, cursor, found, at)
        field.value, field.cursor_position = completed(text, cursor, found[at])
        self._cycled = field.value

    def recall(self, step: int) -> None:
        """Put an older or newer filter into the line; the newest of all is what was being typed."""
        field = self.query_one(QueryInput)
        if not self._place:
            self._draft = field.value
        place = max(0, min(self._place + step, len(self.history)))
        if place == self._place:
            return
        self._place = place
        field.value = self.history[-place] if place else self._draft
        field.cursor_position = len(field.value)

    def cancel(self) -> None:
        """Leave; the filter is again what it was."""
        self._leave(self._before)

    def keep(self) -> None:
        """Leave with what counts now, unless the text is no query: then say so."""
        if self._error is not None:
            self._firm = True
            self._explain()
            return
        result = attempt(self.query_one(QueryInput).value)
        if isinstance(result, Query):
            self._good = result
        text = self._good.text.strip()
        if text:
            self.history = [*(each for each in self.history if each != text), text][-REMEMBERED:]
        self._leave(self._good)

    def _leave(self, query: Query) -> None:
        self.remove_class("-open")
        self.post_message(self.Closed(query))

    def on_input_changed(self, event: Input.Changed) -> None:
        """Let the text count where it is a query."""
        event.stop()
        if not self.is_open:
            return
        self._firm = False
        result = attempt(event.value)
        if isinstance(result, QueryError):
            self._error = result
        else:
            self._error = None
            if not begun(event.value):
                self._count_from_now(result)
        self._explain()

    def _count_from_now(self, query: Query) -> None:
        if query != self._good:
            self._good = query
            self.post_message(self.Changed(query))

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Enter keeps it."""
        event.stop()
        self.keep()

    def _explain(self) -> None:
        field = self.query_one(QueryInput)
        text, cursor, error, firm = field.value, field.cursor_position, self._error, self._firm
        candidates = complete(text, cursor, self.values) if text and error is None else []

        def draw(width: int, _: int, look: Look) -> list[Strip]:
            palette, dots = look.palette, look.glyphs.ellipsis
            if error is not None:
                return [strip(_pointed(error, width, look, firm=firm), width, palette.text, ellipsis=dots)]
            words = "  ".join(candidates[:12]) if candidates else "" if text else _EXAMPLES
            return [strip([("   ", palette.text), (words, palette.faint)], width, palette.text, ellipsis=dots)]

        self.query_one("#query-meaning", Line).set_draw(draw)


def _pointed(error: QueryError, width: int, look: Look, *, firm: bool) -> Spans:
    """The error under the place it is about, where that leaves room for it; else before it, with the position."""
    palette = look.palette
    style = palette.warning if firm else palette.dim
    words = error.message.partition(": ")[2] or error.message
    if error.hint:
        words += f"; {error.hint}"
    start = 3 + error.position
    sign = look.glyphs.up
    if start + 2 + width_of(words) <= width:
        return [(" " * start, palette.text), (f"{sign} ", palette.hotkey), (words, style)]
    if width_of(words) + 2 <= start:
        lead = start - width_of(words) - 1
        return [(" " * lead, palette.text), (words, style), (f" {sign}", palette.hotkey)]
    place = f" at {error.position + 1}: "
    return [("  ", palette.text), (place, palette.hotkey), (shorten(words, max(0, width - len(place) - 3)), style)]
