"""The last line of every screen: the numbered screens, the one shown marked, and the keys that matter here."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tui.keys import KEYS, Key, label, present_keys, tabs
from tui.renderables.text import Spans, spans_width, strip, width_of
from tui.widgets.panel import Panel

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from textual import events
    from textual.strip import Strip

    from tui.chrome import Mode

_PAST = ("back", "forward", "leap_back", "leap_forward", "jump", "live")
_LIVE = ("help", "freeze", "back", "jump", "maximise", "palette", "quit")
_WORDS = {"back": "Step", "leap_back": "10 min", "live": "Live", "palette": "Commands", "jump": "Go to"}
_PAIRS = {"back": "forward", "leap_back": "leap_forward"}


class Footer(Panel):
    """Tabs at the left, keys at the right; a click does what the key does.

    Where room is short the keys go first, from the right, then the words of the tabs that are not shown.
    """

    def __init__(self) -> None:
        super().__init__(border=False, focusable=False)
        self._active = ""
        self._mode: Mode = "live"
        self._keys: tuple[Key, ...] = ()
        self._settings: Mapping[str, tuple[str, ...]] = {}
        self._places: list[tuple[int, int, str, bool]] = []

    def show(
        self, active: str, mode: Mode, keys: Sequence[Key], settings: Mapping[str, tuple[str, ...]] | None = None
    ) -> None:
        """Show this screen's name as the one open, and these keys of its own before everybody's."""
        wanted = (active, mode, tuple(keys))
        if wanted != (self._active, self._mode, self._keys):
            self._active, self._mode, self._keys = wanted
            self._settings = settings or {}
            self.update_body()

    def render_body(self, width: int, height: int) -> list[Strip]:
        """Draw the line."""
        palette = self.look.palette
        hints = self._key_hints()
        spans, places = self._tabs(words=True)
        if spans_width(spans) + (20 if hints else 0) > width:
            spans, places = self._tabs(words=False)
        room = width - spans_width(spans)
        tail: Spans = []
        tail_places: list[tuple[int, int, str, bool]] = []
        used = 0
        for key_text, word, action, app in hints:
            size = width_of(key_text) + 1 + width_of(word) + 2
            if used + size > room - 1:
                break
            tail += [(key_text, palette.hotkey), (f" {word}", palette.dim), ("  ", palette.text)]
            tail_places.append((used, used + size - 2, action, app))
            used += size
        start = width - used
        self._places = [
            *places,
            *((start + left, start + right, action, app) for left, right, action, app in tail_places),
        ]
        line = [*spans, (" " * max(0, room - used), palette.text), *tail]
        return [strip(line, width, palette.text, ellipsis=self.look.glyphs.ellipsis)]

    def _tabs(self, *, words: bool) -> tuple[Spans, list[tuple[int, int, str, bool]]]:
        palette = self.look.palette
        spans: Spans = []
        places: list[tuple[int, int, str, bool]] = []
        at = 0
        for name, key in tabs():
            here = name == self._active
            word = f" {key.label}" if words or here else ""
            number = label(present_keys(key, self._settings)[0])
            pieces: Spans = [(" ", palette.text), (number, palette.hotkey), (word, palette.dim), (" ", palette.text)]
            if here:
                mark = palette.selection
                pieces = [(text, style + mark) for text, style in pieces]
                pieces[2] = (word, palette.strong + mark)
            size = spans_width(pieces)
            places.append((at, at + size, key.action, True))
            spans += pieces
            at += size
        return spans, places

    def _key_hints(self) -> list[tuple[str, str, str, bool]]:
        """(key, word, action, whether it is the app's) of each hint, the most useful first."""
        by_id = {key.id: key for key in KEYS}
        result: list[tuple[str, str, str, bool]] = []
        own = [key for key in self._keys if key.show]
        names = _PAST if self._mode == "past" else _LIVE
        if self._mode == "frozen":
            names = ("freeze", *_PAST)
        shared = [by_id[name] for name in names if name in by_id and name not in _PAIRS.values()]
        ordered = [*((key, True) for key in shared), *((key, False) for key in own)]
        if self._mode == "live":
            ordered = [*((key, False) for key in own), *((key, True) for key in shared)]
        for key, app in ordered:
            text = label(present_keys(key, self._settings)[0])
            other = _PAIRS.get(key.id) if app else None
            if other is not None:
                text += label(present_keys(by_id[other], self._settings)[0])
            word = (_WORDS.get(key.id) if app else None) or key.label or key.help
            if app and key.id == "freeze" and self._mode == "frozen":
                word = "Thaw"
            result.append((text, word, key.action, app))
        return result

    async def on_click(self, event: events.Click) -> None:
        """Do what the key under the pointer does."""
        for start, end, action, app in self._places:
            if start <= event.x < end:
                event.stop()
                target = self.app if app else self.screen
                self.app.call_later(self.app.run_action, action, target)
                return
