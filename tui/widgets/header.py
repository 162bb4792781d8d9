"""The first lines of every screen: the host, how fresh it is, the clock, and what is wrong."""

from __future__ import annotations

from datetime import datetime
from functools import lru_cache
from typing import TYPE_CHECKING

from sysmon.units import format_duration, format_time
from tui.chrome import Chrome
from tui.renderables.lines import badge, status_line
from tui.renderables.text import Spans, beside, shorten, spans_width, strip, width_of
from tui.widgets.panel import Panel

if TYPE_CHECKING:
    from textual import events
    from textual.strip import Strip

    from tui.glyphs import Severity
    from tui.theme import Look

_DAY = 86_400_000
_SKEW = 2_000
_FEW = 8
"""Cells that words need to say anything."""


class Header(Panel):
    """Who and when in the first line, what is wrong in the second; one line alone holds both.

    A click on the host's name chooses another host, on the clock asks for a moment, on the findings opens the alerts.
    """

    def __init__(self) -> None:
        super().__init__(border=False, focusable=False)
        self._chrome = Chrome()
        self._places: tuple[int, int] = (0, 0)

    def show(self, chrome: Chrome) -> None:
        """Show this."""
        if chrome != self._chrome:
            self._chrome = chrome
            self.update_body()

    def render_body(self, width: int, height: int) -> list[Strip]:
        """Draw one or two lines."""
        look = self.look
        if height == 1:
            clock = "".join(text for text, _ in clock_spans(self._chrome, look, narrow=True))
            return [wrong_line(self._chrome, width, look, right=clock)]
        return [self._who(width, look), wrong_line(self._chrome, width, look)]

    def _who(self, width: int, look: Look) -> Strip:
        chrome, palette = self._chrome, look.palette
        dot = f" {look.glyphs.separator} "
        left: Spans = [(" ", palette.text), (chrome.label or "sysmon", palette.strong)]
        if chrome.hosts > 1:
            left.append((f" {look.glyphs.down}", palette.hotkey))
        self._places = (spans_width(left), 0)
        right = clock_spans(chrome, look, narrow=width < 60)
        room = width - spans_width(left) - spans_width(right) - 2
        for words, style in ((there(chrome), palette.dim), (skewed(chrome), palette.warning)):
            if words and room >= len(words) + 3:
                right = [(words, style), ("   ", palette.text), *right]
                room -= len(words) + 3
        cost = "sysmon " + " ".join(chrome.cost) if chrome.cost else ""
        if cost and room >= len(cost) + 24:
            right = [(cost, palette.faint), ("   ", palette.text), *right]
            room -= len(cost) + 3
        for piece in (f"up {format_duration(chrome.uptime)}" if chrome.uptime is not None else "", *chrome.system):
            if piece and room >= len(piece) + len(dot):
                left += [(dot, palette.faint), (piece, palette.dim)]
                room -= len(piece) + len(dot)
        self._places = (self._places[0], width - spans_width(right))
        return strip(beside(left, right, width, palette.text, ellipsis=look.glyphs.ellipsis), width, palette.text)

    def on_click(self, event: events.Click) -> None:  # type: ignore[override]
        """Choose a host, ask for a moment, or open the alerts."""
        event.stop()
        if self.size.height == 1 or event.y == 1:
            self.app.call_later(self.app.run_action, "screen('alerts')")
        elif event.x < self._places[0]:
            self.app.call_later(self.app.run_action, "hosts")
        elif event.x >= self._places[1]:
            self.app.call_later(self.app.run_action, "time_jump")


def skewed(chrome: Chrome) -> str:
    """How far the host's clock is off, where it is by more than two seconds."""
    skew = chrome.skew or 0
    if abs(skew) <= _SKEW:
        return ""
    return f"its clock is {format_duration(abs(skew) // 1000, short=True)} {'ahead' if skew > 0 else 'behind'}"


def there(chrome: Chrome) -> str:
    """The time of day where the host is, if that is another than here."""
    return _time_there(chrome.zone, chrome.time // 60_000) if chrome.zone and chrome.time is not None else ""


@lru_cache(64)
def _time_there(zone: str, minute: int) -> str:
    from zoneinfo import ZoneInfo

    here = datetime.fromtimestamp(minute * 60).astimezone()
    try:
        moment = datetime.fromtimestamp(minute * 60, ZoneInfo(zone))
    except (KeyError, ValueError, OSError):
        # The name comes from the host; it may mean nothing here.
        return ""
    return f"{moment:%H:%M %Z} there" if moment.utcoffset() != here.utcoffset() else ""


def clock_spans(chrome: Chrome, look: Look, *, narrow: bool) -> Spans:
    """The state and the clock; the date too where it is not today's, or where there is room."""
    palette = look.palette
    word, severity = chrome.state_text
    style = palette.severity(severity)
    spans: Spans = [(f"{look.glyphs.bullet} {word}", style)]
    if chrome.time is not None:
        clock = format_time(chrome.time, date=not narrow or chrome.now - chrome.time > _DAY)
        date, _, time = clock.rpartition(" ")
        spans.append(("  ", palette.text))
        if date:
            spans.append((f"{date} ", palette.dim))
        spans.append((time, palette.strong))
    spans.append((" ", palette.text))
    return spans


def wrong_line(chrome: Chrome, width: int, look: Look, *, right: str = "") -> Strip:
    """What is wrong; in the room that it leaves what just happened, and what is wrong with recording.

    Where the room is short, recording that fails, or why there is no contact, keeps a third of the line, and what just
    happened half of it; other words of the source keep none.
    """
    palette = look.palette
    calm = "nothing is wrong" if chrome.time is not None else f"collecting{look.glyphs.ellipsis}"
    worst = chrome.wrong[0].severity if chrome.wrong else "ok"
    messages = [finding.text for finding in chrome.wrong]
    full = sum([width_of(text) + 5 for text in messages or [calm]]) + (width_of(right) + 1 if right else 0)
    tone: Severity
    if chrome.note:
        side, tone, least = chrome.note, "info", width // 2
    elif chrome.problem:
        side, tone, least = chrome.problem, "warning", width // 3
    else:
        side, tone, least = chrome.message, "info", width // 3 if chrome.state == "offline" else 0
    # The gap, the mark and the edge take five cells.
    room = max(width - full, least) - 5
    tail: Spans = []
    if side and room >= _FEW:
        text = shorten(side, room, ellipsis=look.glyphs.ellipsis)
        tail = [("  ", palette.text), *badge(tone, text, look=look), (" ", palette.text)]
        if tone == "info" and not chrome.note:
            tail = [(words, palette.dim) for words, _ in tail]
    line = status_line(worst, messages, width - spans_width(tail), look=look, right=right, calm=calm)
    if not tail:
        return line
    spans: Spans = [(text, style or palette.text) for text, style, _ in line]
    return strip([*spans, *tail], width, palette.text)
