"""A panel with one chart of the History screen, and the statistics of its series below."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual.message import Message

from sysmon.units import format_duration
from tui.renderables.chart import ChartPlace, Plot, chart
from tui.renderables.lines import centered
from tui.renderables.text import fit, strip
from tui.widgets.history_stats import coverage_text, stats_lines
from tui.widgets.panel import Panel

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import tzinfo

    from textual import events
    from textual.strip import Strip

    from tui.chrome import Mark
    from tui.historyreader import ChartData, Line
    from tui.model import View
    from tui.renderables.text import Spans

_LEAST_CHART = 4


class ChartPanel(Panel):
    """One chart. A click or a drag puts the cursor there, a double click goes to that moment, the wheel zooms.

    Args:
        elsewhere: gives the present value of a host's key, for hosts that are not the one viewed.
    """

    class Pointed(Message):
        """The cursor was put to a moment; `go` where it was a double click."""

        def __init__(self, moment: int, go: bool = False) -> None:
            super().__init__()
            self.moment = moment
            self.go = go

    class Wheel(Message):
        """The wheel turned at a moment: -1 zooms in."""

        def __init__(self, direction: int, moment: int) -> None:
            super().__init__()
            self.direction = direction
            self.moment = moment

    def __init__(self, elsewhere: Callable[[str, str], float | None], *, id: str | None = None) -> None:
        super().__init__(id=id, padding=1)
        self._elsewhere = elsewhere
        self._data: ChartData | None = None
        self._plot: Plot | None = None
        self._view: View | None = None
        self._words: tuple[str, ...] = ("reading…",)
        self._cursor: int | None = None
        self._zone: tzinfo | None = None
        self._place = ChartPlace(0, 0, 0, 0)

    @property
    def place(self) -> ChartPlace:
        """Where the drawn chart has its times, in cells of the body."""
        return self._place

    @property
    def data(self) -> ChartData | None:
        """What it shows."""
        return self._data

    def set_words(self, title: str, *words: str) -> None:
        """Show words in place of a chart."""
        self._data = self._plot = None
        self._words = words
        self.set_frame(title=title, subtitle="", footer="")

    def set_data(self, title: str, data: ChartData, marks: Sequence[Mark], zone: tzinfo | None = None) -> None:
        """Show what was read."""
        self._data, self._zone = data, zone
        self._plot = Plot(
            tuple(line.series for line in data.lines), data.start, data.end, data.unit, data.gaps, tuple(marks), zone
        )
        step = f"every {_step(data.step)}" if data.lines else ""
        subtitle: str | Spans = step
        if data.error:
            subtitle = [(data.error, self.look.palette.critical)]
        self.set_frame(
            title=title, subtitle=subtitle, footer=coverage_text(data, zone) if data.lines else "", update=False
        )
        self._words = (data.error,) if data.error else ("no data in this range", "arrows pan, c asks for another")
        self.update_body()

    def set_marks(self, marks: Sequence[Mark]) -> None:
        """Show these events."""
        if self._data is not None and self._plot is not None and self._plot.marks != tuple(marks):
            data = self._data
            self._plot = Plot(self._plot.series, data.start, data.end, data.unit, data.gaps, tuple(marks), self._zone)
            self.update_body()

    def set_cursor(self, cursor: int | None) -> None:
        """Mark a moment, Unix milliseconds, or none."""
        if cursor != self._cursor:
            self._cursor = cursor
            self.update_body()

    def set_view(self, view: View | None) -> None:
        """Take the values of now from this view; only the lines of numbers change."""
        self._view = view
        if self._data is not None and self._cursor is None:
            self.update_body()

    def _now(self, line: Line) -> float | None:
        view = self._view
        if view is None:
            return None
        if view.info.id != line.series.host:
            return self._elsewhere(line.series.host, line.key) if view.live else None
        return view.value(line.key)

    def render_body(self, width: int, height: int) -> list[Strip]:
        """Draw the chart over its table."""
        look = self.look
        data, plot = self._data, self._plot
        if data is None or plot is None or not data.lines:
            self._place = ChartPlace(0, 0, 0, 0)
            words = [fit(word, min(width, len(word)), ellipsis=look.glyphs.ellipsis) for word in self._words]
            return centered(words, width, height, look=look)
        rows = min(len(data.lines) + 1 + bool(data.more), max(0, height - _LEAST_CHART), max(1, height // 3))
        table = stats_lines(data, width, rows, look=look, now=self._now, cursor=self._cursor, zone=self._zone)
        lines, self._place = chart(plot, width, height - len(table), look=look, cursor=self._cursor)
        return [*lines, *table] or [strip([], width, look.palette.text)]

    # -- mouse

    def _moment(self, x: int) -> int | None:
        region = self.body_region
        return self._place.time_at(x - region.x)

    def on_mouse_down(self, event: events.MouseDown) -> None:
        """Put the cursor there and begin to drag."""
        moment = self._moment(event.x)
        if moment is not None and 0 < event.y < self.size.height - 1:
            self.capture_mouse()
            self.post_message(self.Pointed(moment))

    def on_mouse_move(self, event: events.MouseMove) -> None:
        """Drag the cursor."""
        if self.app.mouse_captured is self and (moment := self._moment(event.x)) is not None:
            self.post_message(self.Pointed(moment))

    def on_mouse_up(self, event: events.MouseUp) -> None:
        """End a drag."""
        if self.app.mouse_captured is self:
            self.release_mouse()

    async def on_click(self, event: events.Click) -> None:
        """A double click goes to the moment."""
        moment = self._moment(event.x)
        if event.chain >= 2 and moment is not None:
            event.stop()
            self.post_message(self.Pointed(moment, go=True))
            return
        await super().on_click(event)

    def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        """Zoom in about the pointer."""
        self._wheel(event, -1)

    def on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        """Zoom out about the pointer."""
        self._wheel(event, 1)

    def _wheel(self, event: events.MouseEvent, direction: int) -> None:
        moment = self._moment(event.x)
        if moment is not None:
            event.stop()
            self.post_message(self.Wheel(direction, moment))


def _step(milliseconds: int) -> str:
    seconds = milliseconds / 1000
    return f"{seconds:.0f} s" if seconds < 60 else format_duration(seconds, short=True)
