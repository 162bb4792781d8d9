"""The History screen: charts of chosen series over any range, their statistics, events, and a way to any moment."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Final

from textual.containers import Grid

from sysmon.errors import SysmonError
from sysmon.frame import Tables
from sysmon.units import format_time
from tui.chrome import Mark
from tui.historycharts import Chart, chosen_charts, default_charts
from tui.historyrange import Range
from tui.historyreader import ChartData, Reader
from tui.keys import bindings, register
from tui.keys_history import KEYS
from tui.screens.base import HostScreen
from tui.screens.historyactions import HistoryActions
from tui.widgets.history_chart import ChartPanel
from tui.widgets.history_ranges import RangeBar

if TYPE_CHECKING:
    from textual import events
    from textual.app import ComposeResult
    from textual.binding import BindingType
    from textual.geometry import Size
    from textual.timer import Timer
    from textual.worker import Worker

    from sysmon.ports import History
    from tui.model import View

register("history", KEYS)

MOST_PANELS: Final = 9
_PANEL_ROWS: Final = 14
_SLOW: Final = 0.5
_EVENTS: Final = 1000
_LEFT_OUT: Final = frozenset({"alert.pending", "run"})
"""Events that are no news to who looks at a chart."""


def grid_of(size: Size) -> tuple[int, int]:
    """Columns and rows of charts for a terminal's size."""
    columns = 1 if size.width < 150 else 2 if size.width < 260 else 3
    rows = max(1, (size.height - 5) // _PANEL_ROWS)
    return columns, min(rows, MOST_PANELS // columns)


class HistoryScreen(HistoryActions, HostScreen):
    """Charts of one host's past, and of others' beside it."""

    NAME: ClassVar[str] = "history"
    TITLE_TEXT: ClassVar[str] = "History"
    BINDINGS: ClassVar[list[BindingType]] = [*bindings(KEYS)]
    DEFAULT_CSS = """
    HistoryScreen #charts { height: 1fr; layout: grid; grid-size: 1 1; grid-gutter: 0; }
    """

    def __init__(self) -> None:
        super().__init__()
        self.period = Range()
        self.cursor: int | None = None
        self.chosen: tuple[str, ...] = ()
        self.compared: tuple[str, ...] = ()
        self.charts: list[Chart] = []
        self.keys: list[str] = []
        self.data: dict[int, ChartData] = {}
        self.panels: list[ChartPanel] = []
        self.host = ""
        self.moment: int | None = None
        self.bounds = (0, 0)
        self.first = 0
        self.grid = (1, 1)
        self.reader = Reader()
        self._marks: tuple[Mark, ...] = ()
        self._asked: tuple[object, ...] = ()
        self._words: tuple[str, ...] = ()
        self._progress = ""
        self._loading: Worker[None] | None = None
        self._stopped = False
        self._slow: Timer | None = None

    def compose_body(self) -> ComposeResult:
        """The ranges, and as many charts as any terminal has room for."""
        yield RangeBar(id="ranges")
        with Grid(id="charts"):
            for number in range(MOST_PANELS):
                yield ChartPanel(self._value_of, id=f"chart-{number}")

    def on_mount(self) -> None:
        """Find the widgets once."""
        self._bar = self.query_one(RangeBar)
        self.panels = list(self.query(ChartPanel))
        self._arrange(self.app.size)

    # -- what is shown

    def _value_of(self, host: str, key: str) -> float | None:
        model = self.sysmon.model.hosts.get(host)
        return model.state.get(key) if model is not None else None

    @property
    def shown(self) -> list[int]:
        """The numbers of the charts that are on screen."""
        return list(range(self.first, min(len(self.charts), self.first + self.grid[0] * self.grid[1])))

    def show(self, view: View) -> None:
        """Follow the view: its host, its moment, its present values. What has to be read is left to a worker."""
        if view.info.id != self.host:
            self.host, self.cursor = view.info.id, None
            self.rechosen()
        moment = None if view.live else view.time
        if moment != self.moment:
            self.moment = self.cursor = moment
            if moment is not None:
                self.period = self.period.holding(moment, self.services.clock.now())
        self._find_wanted_chart()
        self._read_when_due()
        for number, panel in zip(self.shown, self.panels, strict=False):
            if number in self.data:
                panel.set_cursor(self.cursor)
                panel.set_view(view)
        self._show_period()

    def _find_wanted_chart(self) -> None:
        """Goes to the chart of what was chosen on another screen."""
        if not isinstance(self.wanted, str) or not self.charts:
            return
        wanted, self.wanted = self.wanted, None
        columns, rows = self.grid
        for number, chart in enumerate(self.charts):
            if any(metric.startswith(wanted) for metric, _ in chart.wanted):
                if number not in self.shown:
                    self.first = max(0, min(number - number % columns, len(self.charts) - columns * rows))
                    self.refill()
                return

    def _show_period(self) -> None:
        bounds = self.bounds if self.bounds[1] else self.period.at(self.services.clock.now())
        self._bar.show(self.period, bounds, self._progress)

    def refill(self) -> None:
        """Gives every panel on screen its chart, or words."""
        for place, panel in enumerate(self.panels):
            if self._words:
                panel.set_words("History", *(self._words if place == 0 else ()))
            elif place < len(self.shown):
                self._fill(self.shown[place], panel)
            else:
                panel.set_words("History" if not self.charts else "", "reading…" if self._loading is not None else "")
        self._show_period()

    def _fill(self, number: int, panel: ChartPanel) -> None:
        title = self.charts[number].title
        if len(self.charts) > self.grid[0] * self.grid[1]:
            title = f"{title} {number + 1}/{len(self.charts)}"
        data = self.data.get(number)
        if data is None:
            panel.set_words(title, "reading…" if self._loading is not None else "not read; r reads again")
            return
        panel.set_data(title, data, self._marks)
        panel.set_cursor(self.cursor)
        panel.set_view(self.view)

    # -- layout

    def on_resize(self, event: events.Resize) -> None:
        """Runs before Textual lays out."""
        super().on_resize(event)
        if self.panels:
            self._arrange(event.size)
            self._read_when_due()

    def _arrange(self, size: Size) -> None:
        """Shows as many panels as there is room for, and charts for."""
        columns, rows = grid_of(size)
        count = max(1, len(self.charts)) if not self._words else 1
        columns = min(columns, count)
        rows = min(rows, -(-count // columns))
        self.grid = (columns, rows)
        self.first = max(0, min(self.first, len(self.charts) - columns * rows))
        grid = self.query_one("#charts", Grid)
        grid.styles.grid_size_columns = columns
        grid.styles.grid_size_rows = rows
        for place, panel in enumerate(self.panels):
            panel.display = place < min(columns * rows, count)
        self.refill()

    @property
    def _points(self) -> int:
        """How many steps to ask for: two for each cell of a chart, in rounds so that small changes ask nothing new."""
        cells = max(20, self.app.size.width // self.grid[0] - 14)
        return min(1000, -(-2 * cells // 40) * 40)

    # -- reading

    def changed(self) -> None:
        """Another range or other charts: what is drawn stays until the new is read."""
        self.bounds = (0, 0)
        self._read_when_due()
        self.refill()

    def rechosen(self) -> None:
        """Other series or another host: nothing of what was read fits."""
        self.charts, self.data, self.keys, self._words, self._asked = [], {}, [], (), ()
        self.bounds = (0, 0)
        self._read_when_due()
        self.refill()

    def _question(self) -> tuple[object, ...]:
        return (self.host, self.period, self.chosen, self.compared, self.first, self.grid, self._points)

    def _read_when_due(self) -> None:
        """Starts a worker where what is shown was not asked for, or where time went on by a step."""
        if not self.host:
            return
        if self._question() != self._asked:
            self._read()
        elif self._loading is None and not self._stopped and self.period.live and self.moment is None:
            if self.period.at(self.services.clock.now()) != self.bounds:
                self._read()

    def _read(self) -> None:
        self.stop()
        self._asked, self._stopped = self._question(), False
        self._loading = self.run_worker(self._load(self.host), group="history", exclusive=True, name="history")
        self._slow = self.set_timer(_SLOW, self._say_progress)

    async def _load(self, host: str) -> None:
        history = self.services.history(host)
        self.bounds = start, end = self.period.at(self.services.clock.now())
        if history is None:
            self._end("nobody records this host, so there is no past to draw")
            return
        try:
            if not self.charts:
                await self._find_charts(host, history)
            if not self.charts:
                self._end(*await self._beginning(history))
                return
        except SysmonError as error:
            self._end(error.message, error.hint)
            return
        self._marks = await self._read_marks(history, host, start, end)
        if self._words:
            self._words = ()
            self._arrange(self.app.size)
        self._asked = self._question()
        numbers = self.shown

        def ready(place: int, data: ChartData) -> None:
            self.data[numbers[place]] = data
            if numbers[place] in self.shown:
                self._fill(numbers[place], self.panels[self.shown.index(numbers[place])])

        wanted = [self.charts[number] for number in numbers]
        await self.reader.read(wanted, self._sources(host, history), start, end, self._points, ready)
        self._end()

    async def _find_charts(self, host: str, history: History) -> None:
        """Which series there are, and the charts of them: asked once for each host and choice."""
        self.keys = await history.keys(host)
        catalogue = self.sysmon.model.catalogue
        if self.chosen:
            self.charts = chosen_charts(self.chosen, catalogue)
        elif self.keys:
            tables = self.view.state.tables if self.view is not None else Tables()
            route = next((row.name for row in tables.interfaces or () if row.default_route), "")
            whole = [row.name for row in tables.disks or () if row.kind == "disk"]
            self.charts = default_charts(self.keys, catalogue, route, whole)
        self._words = ()
        self._arrange(self.app.size)

    async def _read_marks(self, history: History, host: str, start: int, end: int) -> tuple[Mark, ...]:
        try:
            found = await history.events(host, start, end, _EVENTS)
        except SysmonError:
            # The charts say what is wrong with the history, if anything is.
            return ()
        return tuple(Mark(each.time, each.severity) for each in found if each.kind not in _LEFT_OUT)

    def _sources(self, host: str, history: History) -> list[tuple[str, str, History]]:
        models = self.sysmon.model.hosts
        found = [(host, models[host].info.label if host in models else host, history)]
        for other in self.compared:
            theirs = self.services.history(other)
            if other != host and other in models and theirs is not None:
                found.append((other, models[other].info.label, theirs))
        return found

    async def _beginning(self, history: History) -> tuple[str, ...]:
        status = await history.status()
        command = "`sysmon --record` records also while no screen is open"
        if status.problem:
            return status.problem, command
        if status.since is None:
            return "no history yet: nothing is recorded", command
        return f"no history yet: recording since {format_time(status.since)[:16]}", command

    def _end(self, *words: str) -> None:
        """The read is over; with words, there is nothing to draw."""
        self._loading = None
        self.stop()
        if words:
            self._words = tuple(word for word in words if word)
            self._arrange(self.app.size)
            self._asked = self._question()
        else:
            self._show_period()

    def stop(self) -> bool:
        """Stops a read under way; returns whether there was one."""
        running, self._loading = self._loading, None
        self._stopped = running is not None
        if running is not None:
            running.cancel()
        if self._slow is not None:
            self._slow.stop()
            self._slow = None
        self._progress = ""
        return self._stopped

    def _say_progress(self) -> None:
        reader = self.reader
        count = f" {reader.done}/{reader.wanted}" if reader.wanted else ""
        self._progress = f"reading{count}… Esc stops"
        self._show_period()
        self._slow = self.set_timer(_SLOW, self._say_progress)


SCREEN = HistoryScreen
