"""What keys and mouse do on the History screen: ranges, the cursor, which series and hosts, export."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sysmon.units import format_duration
from tui.chartaxes import range_text
from tui.historycharts import matching, patterns_of
from tui.historyexport import default_path
from tui.historyrange import EXAMPLES, PRESETS, Range, parse_range

if TYPE_CHECKING:
    from textual.screen import Screen

    from tui.app import SysmonApp
    from tui.historycharts import Chart
    from tui.historyreader import ChartData, Reader
    from tui.model import View
    from tui.services import Services
    from tui.widgets.history_chart import ChartPanel
    from tui.widgets.history_ranges import RangeBar

    _Base = Screen[Any]
else:
    _Base = object


class HistoryActions(_Base):
    """Needs of the screen what stands below; it reads anew where `changed` or `rechosen` is called."""

    period: Range
    cursor: int | None
    chosen: tuple[str, ...]
    compared: tuple[str, ...]
    charts: list[Chart]
    keys: list[str]
    data: dict[int, ChartData]
    panels: list[ChartPanel]
    host: str
    moment: int | None
    bounds: tuple[int, int]
    first: int
    grid: tuple[int, int]
    reader: Reader

    if TYPE_CHECKING:
        view: View | None

        @property
        def sysmon(self) -> SysmonApp: ...
        @property
        def services(self) -> Services: ...
        @property
        def shown(self) -> list[int]: ...
        def changed(self) -> None: ...
        def rechosen(self) -> None: ...
        def refill(self) -> None: ...
        def stop(self) -> bool: ...

    def _now(self) -> int:
        return self.services.clock.now()

    # -- ranges

    def action_range(self, direction: int) -> None:
        """The next shorter or longer preset."""
        spans = [span for _, span in PRESETS]
        if direction > 0:
            span = next((each for each in spans if each > self.period.span), spans[-1])
        else:
            span = next((each for each in reversed(spans) if each < self.period.span), spans[0])
        self._set_span(span)

    def _set_span(self, span: int) -> None:
        chosen = Range(span, self.period.end)
        if self.cursor is not None and self.moment is None:
            chosen = chosen.holding(self.cursor, self._now())
        elif self.moment is not None:
            chosen = chosen.holding(self.moment, self._now())
        self.period = chosen
        self.changed()

    async def on_range_bar_chosen(self, event: RangeBar.Chosen) -> None:
        """A click on a tab: the same range that ends now."""
        event.stop()
        if event.name:
            self.period = Range(dict(PRESETS)[event.name])
            self.changed()
        else:
            self.action_custom()

    def action_custom(self) -> None:
        """Ask for a range."""
        from tui.screens.prompt import Prompt

        def parse(text: str) -> str:
            now = self._now()
            chosen = parse_range(text, now)
            return f"{range_text(*chosen.at(now))}, {format_duration(chosen.span / 1000)}"

        def take(text: str | None) -> None:
            if text is not None:
                self.period = parse_range(text, self._now())
                self.changed()

        self.app.push_screen(Prompt("Range to draw", parse, hint=EXAMPLES), take)

    def action_pan(self, direction: int) -> None:
        """Half a range back or forward."""
        self.period = self.period.panned(direction, self._now())
        self.changed()

    def action_zoom(self, direction: int) -> None:
        """Half or double the range about the cursor."""
        self.period = self.period.zoomed(direction, self.cursor, self._now())
        self.changed()

    def on_chart_panel_wheel(self, event: ChartPanel.Wheel) -> None:
        """The wheel zooms about the pointer."""
        event.stop()
        self.period = self.period.zoomed(event.direction, event.moment, self._now())
        self.changed()

    # -- the cursor

    def set_cursor(self, moment: int | None) -> None:
        self.cursor = moment
        for panel in self.panels:
            panel.set_cursor(moment)

    def on_chart_panel_pointed(self, event: ChartPanel.Pointed) -> None:
        """The mouse put the cursor somewhere."""
        event.stop()
        self.set_cursor(event.moment)
        if event.go:
            self.action_go()

    def action_cursor(self, direction: int) -> None:
        """One column to the left or right."""
        place = next((panel.place for panel in self.panels if panel.display and panel.place.width), None)
        if place is None:
            return
        at = place.cell_of(self.cursor) if self.cursor is not None else None
        edge = place.left + (place.width - 1 if direction < 0 else 0)
        cell = edge if at is None else at + direction
        moment = place.time_at(min(place.left + place.width - 1, max(place.left, cell)))
        if moment is not None:
            self.set_cursor(moment)

    def action_go(self) -> None:
        """Show the cursor's moment on all screens."""
        if self.cursor is None:
            self.sysmon.say("put the cursor somewhere first: < and >, or a click")
        else:
            self.sysmon.go_to(self.cursor)

    # -- charts

    def action_scroll(self, rows: int) -> None:
        """Other charts, by one row of them."""
        before = self.first
        most = max(0, len(self.charts) - self.grid[0] * self.grid[1])
        self.first = max(0, min(most, self.first + rows * self.grid[0]))
        if self.first != before:
            self.changed()

    def action_page(self, pages: int) -> None:
        """Other charts, by as many as are on screen."""
        self.action_scroll(pages * self.grid[1])

    def action_series(self) -> None:
        """Choose what to draw; nothing chosen is the sensible set."""
        from tui.screens.serieschooser import TickChooser, series_choices

        if not self.keys:
            self.sysmon.say("no series are known of this host yet")
            return
        known = patterns_of(self.charts)
        ticked = list(self.chosen) or [key for pattern in known for key in matching([pattern], self.keys)]
        choices = series_choices(self.keys, self.sysmon.model.catalogue)

        def take(chosen: list[str] | None) -> None:
            if chosen is not None and tuple(chosen) != tuple(ticked):
                self.chosen = tuple(chosen)
                self.first = 0
                self.rechosen()

        title = "Series to draw; with none ticked, the usual charts"
        self.app.push_screen(TickChooser(title, choices, ticked), take)

    def action_compare(self) -> None:
        """Choose other hosts whose same series are drawn beside."""
        from tui.screens.serieschooser import Choice, TickChooser

        others = [model.info for key, model in self.sysmon.model.hosts.items() if key != self.host]
        if not others:
            self.sysmon.say("there is no other host to compare with")
            return
        choices = [Choice(info.id, help=info.target, label=info.label) for info in others]

        def take(chosen: list[str] | None) -> None:
            if chosen is not None and tuple(chosen) != self.compared:
                self.compared = tuple(chosen)
                self.data = {}
                self.changed()

        self.app.push_screen(TickChooser("Hosts to compare with", choices, self.compared, most=7), take)

    def action_reload(self) -> None:
        """Read everything anew."""
        self.reader.forget()
        self.rechosen()

    def action_export(self) -> None:
        """Write what is shown to a file."""
        from tui.screens.export import ExportScreen

        shown = [(self.charts[number], self.data[number]) for number in self.shown if number in self.data]
        series = [line.series for _, data in shown for line in data.lines]
        if not series:
            self.sysmon.say("there is nothing to export yet")
            return
        gaps = next((data.gaps for _, data in shown if data.lines), ())
        label = self.view.info.label if self.view is not None else self.host
        path = default_path(label, [chart.title for chart, _ in shown], self.bounds[1])

        def done(words: str | None) -> None:
            if words is not None:
                self.app.notify(words, markup=False)

        self.app.push_screen(ExportScreen(path, series, gaps), done)

    async def action_close(self) -> None:
        """One thing back."""
        if self.stop():
            self.sysmon.say("stopped; r reads again")
            self.refill()
        elif self.cursor is not None and self.moment is None and self.maximized is None:
            self.set_cursor(None)
        else:
            await self.sysmon.action_leave()
