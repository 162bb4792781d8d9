"""The overview's lists: the busiest processes, and what alerts say."""

from __future__ import annotations

import heapq
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Final

from sysmon.units import format_bytes, format_duration, format_time
from tui.renderables.columns import Column
from tui.renderables.lines import badge, centered
from tui.renderables.text import Spans, beside, strip
from tui.widgets.overview_base import Shown, ViewPanel
from tui.widgets.table import Table

if TYPE_CHECKING:
    from rich.style import Style
    from textual.strip import Strip

    from sysmon.frame import ProcessRow
    from sysmon.records import AlertState, Event
    from tui.palette import Palette
    from tui.theme import Look


IDLE: Final = 0.0125
"""Cores in use below which a process counts as idle: one tick of the kernel's clock in a second, or none."""


@dataclass(frozen=True, slots=True)
class TopRow:
    """A process as it is written, so that rows equal on screen are not drawn again."""

    pid: int
    started: float
    user: str
    name: str
    command: str
    cpu: str
    level: int
    idle: bool
    memory: str
    threads: int
    io: str


def top_row(row: ProcessRow, missing: str) -> TopRow:
    """Formats a process. `cpu` is of one core: 150 % is one core and a half."""
    cpu = missing if row.cpu is None else f"{row.cpu * 100:.1f}" if row.cpu < 10 else f"{row.cpu * 100:.0f}"
    rate = None if row.read_rate is None and row.write_rate is None else (row.read_rate or 0) + (row.write_rate or 0)
    return TopRow(
        row.pid, row.started, row.user, row.name, row.command or f"[{row.name}]", cpu,
        min(10, int((row.cpu or 0.0) * 10)), (row.cpu or 0.0) < IDLE, format_bytes(row.memory, short=True), row.threads,
        missing if rate is None else format_bytes(rate, short=True) if rate >= 1 else "",
    )  # fmt: skip


def busiest(rows: list[ProcessRow], count: int) -> list[ProcessRow]:
    """The processes with the most processor time, then the idle ones, those with the most memory first.

    The kernel counts processor time in hundredths of a second, so that one tick more or less is chance: idle ones do
    not take turns at the top because of it.
    """
    return heapq.nsmallest(count, rows, key=_rank)


def _rank(row: ProcessRow) -> tuple[float, int, int]:
    cpu = row.cpu
    return (-round(cpu, 3) if cpu is not None and cpu >= IDLE else 0.0, -row.memory, row.pid)


class TopProcesses(Table[TopRow]):
    """The busiest processes; Enter opens the processes."""

    def __init__(self) -> None:
        super().__init__(
            _columns(), lambda row: (row.pid, row.started), "processes", hotkey="4", id="processes",
            empty="no processes yet", position=False,
        )  # fmt: skip

    def show(self, shown: Shown) -> None:
        """Show as many as there is room for."""
        view = shown.view
        missing = self.look.glyphs.missing
        count = max(1, self.body_region.height - 1)
        rows = [top_row(row, missing) for row in busiest(view.processes, count)]
        self._subtitle = self._words(shown)
        denied = next((fault for fault in view.state.faults if fault.collector == "processes"), None)
        if not rows and denied is not None:
            self._empty = denied.message
        self.set_rows(rows, sort=("cpu", True))

    def _words(self, shown: Shown) -> str:
        view = shown.view
        if view.processes_time is not None and not view.live and view.time - view.processes_time > 2000:
            seconds = format_duration((view.time - view.processes_time) / 1000, short=True)
            return f"as of {format_time(view.processes_time, date=False)}, {seconds} before"
        count = shown.get("processes.count")
        return f"{count:.0f} in all" if count is not None else ""


def _columns() -> list[Column[TopRow]]:
    def cpu(row: TopRow, palette: Palette) -> Style | None:
        return palette.faint if row.idle else palette.hue("cpu").at(0.35 + row.level / 16)

    def dim(_row: TopRow, palette: Palette) -> Style | None:
        return palette.dim

    return [
        Column("pid", "PID", lambda row: str(row.pid), width=7, align="right", style=dim, priority=2),
        Column("user", "USER", lambda row: row.user, width=10, priority=4, style=dim),
        Column("name", "NAME", lambda row: row.name, min_width=10, fraction=0.3),
        Column("command", "COMMAND", lambda row: row.command, min_width=16, cut="middle", priority=3, style=dim),
        Column("threads", "THR", lambda row: str(row.threads), width=4, align="right", priority=6, style=dim),
        Column("io", "I/O/s", lambda row: row.io, width=7, align="right", priority=5, style=dim),
        Column("memory", "MEM", lambda row: row.memory, width=6, align="right", priority=1),
        Column("cpu", "CPU%", lambda row: row.cpu, width=6, align="right", style=cpu),
    ]


class AlertsPanel(ViewPanel):
    """Alerts that fire or are pending, then what happened last."""

    OPENS: ClassVar[str] = "alerts"

    def __init__(self) -> None:
        super().__init__("alerts", hotkey="0", id="alerts", padding=1)
        self._ids: list[str] = []

    def subtitle(self, shown: Shown, look: Look) -> Spans:
        """How many fire."""
        firing = [alert for alert in shown.view.alerts if alert.status == "firing"]
        if not firing:
            return []
        worst = "critical" if any(alert.severity == "critical" for alert in firing) else firing[0].severity
        return badge(worst, f"{len(firing)} firing", look=look)

    def item_at(self, x: int, y: int) -> object:
        """The alert or event of a line."""
        return self._ids[y] if 0 <= y < len(self._ids) else ""

    def draw(self, shown: Shown, width: int, height: int, look: Look) -> list[Strip]:
        """A line each."""
        view = shown.view
        known = {alert.event for alert in view.alerts if alert.event}
        events = [event for event in view.events[:height] if event.id not in known]
        lines = [alert_line(alert, view.time, width, look) for alert in view.alerts]
        lines += [event_line(event, view.time, width, look) for event in events]
        # As the alerts' screen names its rows.
        self._ids = [f"{alert.host}\0{alert.rule}\0{alert.key}" for alert in view.alerts]
        self._ids += [event.id for event in events]
        if not lines:
            mark = f"{look.glyphs.severity('ok')} no alerts".strip()
            return centered([mark], width, height, look=look, style=look.palette.dim)
        return lines[:height]


def alert_line(alert: AlertState, now: int, width: int, look: Look) -> Strip:
    """Severity, what is wrong, since when; a pending one is dim."""
    palette = look.palette
    age = format_duration(max(0, now - (alert.started or alert.since)) / 1000, short=True)
    words = alert.message or f"{alert.rule} {alert.key}"
    right: Spans = [(f"{alert.status if alert.status != 'firing' else ''} {age}".strip(), palette.dim)]
    if alert.status == "firing":
        left = badge(alert.severity, words, look=look)
    else:
        left = [(f"{look.glyphs.severity(alert.severity)} ", palette.severity(alert.severity)), (words, palette.dim)]
    row = beside(left, right, width, palette.text, ellipsis=look.glyphs.ellipsis)
    return strip(row, width, palette.text, ellipsis=look.glyphs.ellipsis)


def event_line(event: Event, now: int, width: int, look: Look) -> Strip:
    """Something that happened: when, and what."""
    palette = look.palette
    old = now - event.time > 86_400_000
    clock = format_time(event.time)[5:16] if old else format_time(event.time, date=False)[:5]
    spans: Spans = [(f"{clock} ", palette.faint)]
    if event.severity != "info" and not event.kind.endswith("resolved"):
        spans.append((f"{look.glyphs.severity(event.severity)} ", palette.severity(event.severity)))
    spans.append((event.message or event.kind, palette.dim))
    return strip(spans, width, palette.text, ellipsis=look.glyphs.ellipsis)
