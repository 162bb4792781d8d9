"""The time bar: how far back the recording reaches, its gaps and events, and where we stand."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Final

from textual.binding import Binding, BindingType
from textual.message import Message

from sysmon.units import format_duration, format_time
from tui.chrome import Chrome
from tui.renderables.text import Spans, spans_width, strip
from tui.widgets.panel import Panel

if TYPE_CHECKING:
    from textual import events
    from textual.strip import Strip

    from tui.chrome import Track
    from tui.theme import Look

_ORDER: Final = {"ok": 0, "unknown": 0, "info": 1, "warning": 2, "critical": 3}
_LEAST: Final = 10


class TimeBar(Panel, can_focus=True):
    """One line; a click or a drag goes to that moment, arrows move by one cell while it has the focus."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("left", "nudge(-1)", "Earlier", show=False, id="timebar.left"),
        Binding("right", "nudge(1)", "Later", show=False, id="timebar.right"),
    ]

    class Moved(Message):
        """A moment was chosen; `time` is None for now. `final` is False while dragging."""

        def __init__(self, moment: int | None) -> None:
            super().__init__()
            self.moment = moment

    def __init__(self) -> None:
        super().__init__(border=False, focusable=True)
        self._chrome = Chrome()
        self._bar = (0, 0)
        self._drag: int | None = None

    def show(self, chrome: Chrome) -> None:
        """Show this. While live the bar moves by a cell now and then, not at every tick."""
        if _same_picture(self._chrome, chrome, max(1, self._bar[1] - self._bar[0])):
            self._chrome = chrome
            return
        self._chrome = chrome
        self.update_body()

    def render_body(self, width: int, height: int) -> list[Strip]:
        """Draw the line."""
        look, chrome = self.look, self._chrome
        palette = look.palette
        track = chrome.track
        if track is None or track.end <= track.start:
            self._bar = (0, 0)
            whose = "any host" if chrome.all_hosts else "this host"
            words = f"no recording of {whose} yet" if chrome.time is not None else ""
            return [strip([(f" {words}", palette.faint)], width, palette.text)]
        left: Spans = [(f" {format_duration((track.end - track.start) / 1000, short=True)} ago ", palette.dim)]
        right = self._right(look)
        room = width - spans_width(left) - spans_width(right)
        if room < _LEAST:
            left, room = [(" ", palette.text)], width - 1 - spans_width(right)
        if room < _LEAST:
            self._bar = (0, 0)
            return [strip(right, width, palette.text)]
        start = spans_width(left)
        self._bar = (start, start + room)
        return [strip([*left, *self._cells(room, track, look), *right], width, palette.text)]

    def _right(self, look: Look) -> Spans:
        chrome, palette = self._chrome, look.palette
        if self._drag is not None:
            return [(f" {format_time(self._drag)} ", palette.strong)]
        if chrome.mode == "live":
            return [(" now ", palette.dim)]
        if chrome.time is None:
            return [(" ", palette.text)]
        ago = format_duration(max(0.0, (chrome.now - chrome.time) / 1000))
        return [(f" {format_time(chrome.time)}", palette.strong), (f"  {ago} ago ", palette.dim)]

    def _cells(self, width: int, track: Track, look: Look) -> Spans:
        palette, glyphs = look.palette, look.glyphs
        base = (glyphs.axis, palette.border_focus if self.has_focus else palette.border)
        cells = [base] * width
        for gap in track.gaps:
            first, last = self._cell(gap.start, width), self._cell(gap.end, width)
            # What is shorter than half a cell would shade more than it is.
            if last > first or (gap.end - gap.start) * width * 2 > track.end - track.start:
                for cell in range(max(0, first), min(width, max(last, first + 1))):
                    cells[cell] = (glyphs.gap, palette.gap)
        worst: dict[int, int] = {}
        for mark in track.marks:
            cell, rank = self._cell(mark.time, width), _ORDER[mark.severity]
            if 0 <= cell < width and rank >= worst.get(cell, 0):
                worst[cell] = rank
                cells[cell] = (glyphs.severity(mark.severity), palette.severity(mark.severity))
        at = self._drag if self._drag is not None else self._chrome.time
        if self._chrome.mode == "live" and self._drag is None:
            cells[width - 1] = (glyphs.bullet, palette.ok)
        elif at is not None:
            cells[min(width - 1, max(0, self._cell(at, width)))] = (glyphs.bullet, palette.hotkey)
        return list(cells)

    def _cell(self, time: int, width: int) -> int:
        track = self._chrome.track
        assert track is not None
        return int((time - track.start) * width / (track.end - track.start))

    def _time_at(self, x: int) -> int | None:
        """The moment under a column; None for now."""
        track = self._chrome.track
        start, end = self._bar
        if track is None or end <= start or x >= end - 1:
            return None
        share = max(0.0, (x - start) / (end - start))
        return int(track.start + share * (track.end - track.start))

    def action_nudge(self, cells: int) -> None:
        """Go one cell earlier or later."""
        chrome, track = self._chrome, self._chrome.track
        width = self._bar[1] - self._bar[0]
        if track is None or width <= 0 or chrome.time is None:
            return
        time = chrome.time + cells * (track.end - track.start) // width
        self.post_message(self.Moved(time if time < track.end else None))

    def on_mouse_down(self, event: events.MouseDown) -> None:
        """Begin to drag."""
        if self._bar[0] <= event.x < self._bar[1]:
            self.capture_mouse()
            self._drag = self._time_at(event.x)
            self.update_body()

    def on_mouse_move(self, event: events.MouseMove) -> None:
        """Show the moment under the pointer."""
        if self.app.mouse_captured is self:
            self._drag = self._time_at(event.x)
            self.update_body()

    def on_mouse_up(self, event: events.MouseUp) -> None:
        """Go there."""
        if self.app.mouse_captured is self:
            self.release_mouse()
            time, self._drag = self._time_at(event.x), None
            self.update_body()
            self.post_message(self.Moved(time))

    async def on_click(self, event: events.Click) -> None:
        """Clicks were dealt with when the button went down and up."""
        event.stop()


def _same_picture(old: Chrome, new: Chrome, width: int) -> bool:
    """Whether two states draw the same line."""
    if (old.mode, old.track is None) != (new.mode, new.track is None):
        return False
    if new.track is None or old.track is None:
        return (old.time is None) == (new.time is None)
    if new.mode != "live":
        return old.time == new.time and old.track == new.track and (new.now - old.now) < 1000
    if (old.track.start, old.track.gaps, old.track.marks) != (new.track.start, new.track.gaps, new.track.marks):
        return False
    return new.track.end - old.track.end < max(10_000, (new.track.end - new.track.start) // width)
