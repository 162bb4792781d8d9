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

_PAST = ("live", "back", "forward", "leap_back", "leap_forward", "jump")
_LIVE = ("freeze", "back", "jump", "maximise", "palette")
_ALWAYS = ("help", "quit")
_WORDS = {"back": "Step", "leap_back": "10 min", "live": "Live", "palette": "Commands", "jump": "Go to"}
_PAIRS = {"back": "forward", "leap_back": "leap_forward"}


Hint = tuple[str, str, str, bool]
"""Key, word, action, whether the action is the app's."""


def _size(hint: Hint) -> int:
    """Cells of a hint and of what parts it from the next."""
    key, word = hint[:2]
    return width_of(key) + 2 + (width_of(word) + 1 if word else 0)


def _wordless(hints: Sequence[Hint]) -> list[Hint]:
    return [(key, "", action, app) for key, _, action, app in hints]


class Footer(Panel):
    """Tabs at the left, keys at the right; a click does what the key does.

    Help and Quit are always there, at the right. Where room is short the other keys go first, then the words of the
    tabs that are not shown; away from the present those words go before the keys that lead back to it.
    """

    def __init__(self) -> None:
        super().__init__(border=False, focusable=False)
        self._active = ""
        self._mode: Mode = "live"
        self._keys: tuple[Key, ...] = ()
        self._alone = False
        self._settings: Mapping[str, tuple[str, ...]] = {}
        self._places: list[tuple[int, int, str, bool]] = []

    def show(
        self,
        active: str,
        mode: Mode,
        keys: Sequence[Key],
        settings: Mapping[str, tuple[str, ...]] | None = None,
        *,
        alone: bool = False,
    ) -> None:
        """Show this screen's name as the one open, and these keys of its own before everybody's.

        The fleet of a host that is alone has no tab, unless it is open.
        """
        wanted = (active, mode, tuple(keys), alone)
        if wanted != (self._active, self._mode, self._keys, self._alone):
            self._active, self._mode, self._keys, self._alone = wanted
            self._settings = settings or {}
            self.update_body()

    def render_body(self, width: int, height: int) -> list[Strip]:
        """Draw the line."""
        palette = self.look.palette
        hints, always = self._key_hints(), self._shared_hints(_ALWAYS)
        wanted = [*(hints if self._mode != "live" else ()), *always]
        spans, places = self._tabs(words=True)
        if spans_width(spans) + sum(map(_size, wanted)) > width and (
            self._mode != "live" or spans_width(spans) + sum(map(_size, _wordless(always))) > width
        ):
            spans, places = self._tabs(words=False)
        room = width - spans_width(spans)
        kept = always if sum(map(_size, always)) <= room else _wordless(always)
        left = room - sum(map(_size, kept)) - 1
        shown: list[Hint] = []
        for hint in hints:
            left -= _size(hint)
            if left < 0:
                break
            shown.append(hint)
        shown += kept
        at = width - sum(map(_size, shown))
        line: Spans = [*spans, (" " * max(0, at - spans_width(spans)), palette.text)]
        for hint in shown:
            key, word, action, app = hint
            line += [(key, palette.hotkey), (f" {word}" if word else "", palette.dim)]
            line.append((" " * (_size(hint) - spans_width(line[-2:])), palette.text))
            places.append((at, at + _size(hint) - 1, action, app))
            at += _size(hint)
        self._places = places
        return [strip(line, width, palette.text, ellipsis=self.look.glyphs.ellipsis)]

    def _tabs(self, *, words: bool) -> tuple[Spans, list[tuple[int, int, str, bool]]]:
        palette = self.look.palette
        spans: Spans = []
        places: list[tuple[int, int, str, bool]] = []
        at = 0
        for name, key in tabs():
            here = name == self._active
            if name == "fleet" and self._alone and not here:
                continue
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

    def _key_hints(self) -> list[Hint]:
        """The hints beside Help and Quit, the most useful first."""
        own = [
            (label(present_keys(key, self._settings)[0]), key.label or key.help, key.action, False)
            for key in self._keys
            if key.show
        ]
        if self._mode == "live":
            return [*own, *self._shared_hints(_LIVE)]
        return [*self._shared_hints(_PAST if self._mode == "past" else ("freeze", *_PAST)), *own]

    def _shared_hints(self, names: Sequence[str]) -> list[Hint]:
        """Hints of keys that every screen has; of a pair one with both keys."""
        by_id = {key.id: key for key in KEYS}
        result: list[Hint] = []
        for name in names:
            if name not in by_id or name in _PAIRS.values():
                continue
            key = by_id[name]
            text = label(present_keys(key, self._settings)[0])
            other = _PAIRS.get(name)
            if other is not None:
                text += label(present_keys(by_id[other], self._settings)[0])
            word = "Thaw" if name == "freeze" and self._mode == "frozen" else _WORDS.get(name) or key.label or key.help
            result.append((text, word, key.action, True))
        return result

    async def on_click(self, event: events.Click) -> None:
        """Do what the key under the pointer does."""
        for start, end, action, app in self._places:
            if start <= event.x < end:
                event.stop()
                target = self.app if app else self.screen
                self.app.call_later(self.app.run_action, action, target)
                return
