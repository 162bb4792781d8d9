"""Every renderable and widget with fixed data: `python -m tests.tui.apps.gallery [theme] [unicode|block|ascii]`."""

from __future__ import annotations

import math
import sys
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from textual.app import App, ComposeResult
from textual.containers import Horizontal, Vertical

from tui.glyphs import ASCII, BLOCK, UNICODE, Glyphs
from tui.palette import THEME_NAMES, Depth
from tui.renderables.columns import Column
from tui.renderables.cores import core_grid, percent
from tui.renderables.frame import Hint
from tui.renderables.graph import graph
from tui.renderables.lines import Pair, badge, key_value_columns, pairs_line, status_line, value_spans
from tui.renderables.meter import bar_room, legend, meter, meter_line, parts_meter
from tui.renderables.spark import sparkline
from tui.renderables.text import Spans, beside, strip
from tui.theme import Look, install
from tui.widgets.graph import GraphPanel, MirrorGraphPanel
from tui.widgets.lines import Line, LinesPanel
from tui.widgets.table import Table

if TYPE_CHECKING:
    from textual.strip import Strip

GLYPHS: dict[str, Glyphs] = {"unicode": UNICODE, "block": BLOCK, "ascii": ASCII}


def wave(count: int, *, seed: float = 0.0, level: float = 0.4, swing: float = 0.3) -> list[float | None]:
    """A made-up series between 0 and 1, the same at every call."""
    points: list[float | None] = []
    for at in range(count):
        value = (
            level + swing * math.sin(at / 11 + seed) + 0.6 * swing * math.sin(at / 3.1 + 2 * seed) * math.cos(at / 27)
        )
        value += 0.12 * math.sin(at * 1.7 + seed) * math.sin(at / 5)
        points.append(min(1.0, max(0.0, value)))
    return points


@dataclass(frozen=True)
class Process:
    """A row of the gallery's table."""

    pid: int
    user: str
    name: str
    command: str
    cpu: float
    memory: str
    tree: str
    history: tuple[float | None, ...]


def processes(count: int = 40) -> list[Process]:
    """Made-up processes, the same at every call."""
    names = [
        ("systemd", "/sbin/init splash", "root", ""),
        ("postgres", "postgres: writer process   ", "postgres", "├─ "),
        ("postgres", "postgres: checkpointer", "postgres", "│  └─ "),
        ("nginx", "nginx: worker process", "www-data", "├─ "),
        ("python3", "/usr/bin/python3 -m 日本語のモジュール --serve --workers 8", "mira", "├─ "),
        ("chromium", "/usr/lib/chromium/chromium --type=renderer --enable-features=Foo", "mira", "├─ "),
        ("kworker", "[kworker/u16:3-events_unbound]", "root", "└─ "),
    ]
    rows = []
    for index in range(count):
        name, command, user, tree = names[index % len(names)]
        cpu = 240.0 / (index + 1) ** 1.4
        history = tuple(
            None if 4 < at < 7 and index == 2 else point
            for at, point in enumerate(wave(12, seed=index, level=min(0.9, cpu / 100)))
        )
        memory = f"{3.1 / (index + 1):.1f} GiB" if index < 3 else f"{900 // (index + 1)} MiB"
        rows.append(Process(1 + index * 317, user, name, command, cpu, memory, tree, history))
    return rows


def columns() -> list[Column[Process]]:
    """The columns of the gallery's table."""

    def spark(row: Process, width: int, look: Look) -> Spans:
        return sparkline(row.history, width, low=0, high=1, hue=look.palette.hue("cpu"), look=look)

    return [
        Column("pid", "PID", lambda row: str(row.pid), width=7, align="right", style=lambda _row, p: p.dim),
        Column("user", "USER", lambda row: row.user, width=9, priority=2, style=lambda _row, p: p.dim),
        Column("name", "NAME", lambda row: row.name, width=18, prefix=lambda row: row.tree),
        Column(
            "command", "COMMAND", lambda row: row.command, min_width=12, priority=3, cut="middle",
            style=lambda _row, p: p.dim,
        ),
        Column("history", "1 MIN", width=12, priority=1, spans=spark, sortable=False),
        Column(
            "cpu", "CPU%", lambda row: f"{row.cpu:.1f}", width=6, align="right",
            style=lambda row, p: p.hue("cpu").at(0.3 + row.cpu / 150) if row.cpu >= 1 else p.faint,
        ),
        Column("memory", "MEM", lambda row: row.memory, width=9, align="right", dim_unit=True, priority=1),
    ]  # fmt: skip


class Gallery(App[None]):
    """Everything on one screen."""

    CSS = """
    #top { height: 11; } #middle { height: 9; } #cpu { width: 2fr; } #notes { height: 7; } .hidden { display: none; }
    """

    def __init__(
        self, theme: str = "sysmon-dark", glyphs: Glyphs = UNICODE, depth: Depth = "truecolor", cores: int = 16
    ) -> None:
        super().__init__()
        self.cores = cores
        install(self, theme=theme, glyphs=glyphs, depth=depth)

    def compose(self) -> ComposeResult:
        """Lay the panels out."""
        yield Line(id="status")
        with Horizontal(id="top"):
            yield GraphPanel(
                "cpu", title="cpu", hotkey="1", id="cpu", threshold=0.9, ticks=[(0, "now"), (60, "60s"), (120, "2m")]
            )
            yield LinesPanel("cores", subtitle="3.4 GHz", id="cores")
        with Horizontal(id="middle"):
            yield LinesPanel("memory", hotkey="2", id="memory")
            yield MirrorGraphPanel(title="network", hotkey="3", id="network", ticks=[(30, "30s"), (60, "60s")])
            yield LinesPanel("disks", hints=[Hint("i", "io"), Hint("m", "mounts")], id="disks")
        with Vertical():
            hints = [Hint("F9", "kill"), Hint("t", "tree", "app.bell"), Hint("/", "filter")]
            yield Table(
                columns(), lambda row: row.pid, "processes", hotkey="4", hints=hints, subtitle="cpu first",
                id="processes", taggable=True,
            )  # fmt: skip
        yield LinesPanel("notes", id="notes", subtitle="badges, gaps, meters")

    def on_mount(self) -> None:
        """Show the data."""
        self.query_one("#status", Line).set_draw(
            lambda width, _height, look: [
                status_line(
                    "critical", ["/srv is 97 % full", "eth1: 312 errors in 5 min", "3 units failed"], width,
                    look=look, right="db-1 · 12:04:31",
                )
            ]
        )  # fmt: skip
        cpu = wave(400, level=0.5)
        cpu[340:356] = [None] * 16
        self.query_one("#cpu", GraphPanel).set_points(
            cpu,
            taken=400,
            labels=("100%", ""),
            subtitle=value_spans("43 %", self.look.palette.strong, self.look),
        )
        self.query_one("#network", MirrorGraphPanel).set_points(
            wave(400, seed=1), wave(400, seed=4, level=0.2), high_upper=1, high_lower=1,
            labels=("2.0 MiB/s", "500 KiB/s"),
            subtitle=[("▼ ", self.look.palette.hue("receive").base), ("1.2", self.look.palette.text),
                      (" MiB/s ", self.look.palette.dim)],
        )  # fmt: skip
        self.query_one("#cores", LinesPanel).set_draw(self.draw_cores)
        self.query_one("#memory", LinesPanel).set_draw(draw_memory)
        self.query_one("#disks", LinesPanel).set_draw(draw_disks)
        self.query_one("#notes", LinesPanel).set_draw(draw_notes)
        table = self.query_one("#processes", Table)
        table.set_rows(processes(), sort=("cpu", True))
        table.focus()
        table.move_cursor(index=2)
        table.set_tagged({1 + 4 * 317})

    @property
    def look(self) -> Look:
        """The look of the table, which is that of all."""
        return self.query_one("#processes", Table).look

    def draw_cores(self, width: int, height: int, look: Look) -> list[Strip]:
        """The core grid."""
        values = [point if at != 5 else None for at, point in enumerate(wave(self.cores, seed=2, swing=0.5))]
        return core_grid(values, width, height, hue=look.palette.hue("cpu"), look=look)


def draw_memory(width: int, height: int, look: Look) -> list[Strip]:
    """Meters of memory and swap."""
    memory, swap = look.palette.hue("memory"), look.palette.hue("swap")
    line = partial(meter_line, width=width, look=look, label_width=6, value_width=9)
    room = bar_room(width, label_width=6, value_width=9)
    parts = [(5.1, memory.at(0.7)), (3.2, memory.at(0.3)), (0.7, memory.at(0.1))]
    return [
        line("RAM", parts_meter(parts, room, total=16.0, look=look), "5.1", unit=" GiB"),
        legend([("used", memory.at(0.7)), ("cache", memory.at(0.3)), ("ARC", memory.at(0.1))], width, look=look),
        line("swap", meter(0.31, room, low=0, high=1, hue=swap, look=look), "1.2", unit=" GiB"),
        line("zram", meter(None, room, low=0, high=1, hue=swap, look=look), look.glyphs.missing),
        line("block", meter(0.618, room, low=0, high=1, hue=memory, look=look, kind="block"), "62", unit="%"),
        *key_value_columns(
            [Pair("available", "10.9", "GiB"), Pair("OOM kills", "0"), Pair("dirty", "1.1", "MiB")], width, 2, look=look
        ),
    ][:height]


def draw_disks(width: int, height: int, look: Look) -> list[Strip]:
    """File systems as meters, one of them critical."""
    read = look.palette.hue("disk_read")
    room = bar_room(width, label_width=8, value_width=5)
    lines = []
    for name, used, style in (
        ("/", 0.42, None), ("/home", 0.71, None), ("/srv", 0.97, look.palette.critical),
        ("/var/lib/postgresql", 0.86, look.palette.warning), ("/boot", 0.003, None),
    ):  # fmt: skip
        bar = meter(used, room, low=0, high=1, hue=read, look=look, style=style)
        lines.append(
            meter_line(name, bar, f"{used * 100:.0f}", width, look=look, label_width=8, value_width=5, unit="%",
                       value_style=style)
        )  # fmt: skip
    return lines[:height]


def draw_notes(width: int, height: int, look: Look) -> list[Strip]:
    """Badges, sparklines with gaps, a small graph."""
    palette = look.palette
    badges: Spans = []
    for severity in ("ok", "info", "warning", "critical", "unknown"):
        badges += [*badge(severity, severity, look=look), ("  ", palette.text)]
    sparks: Spans = []
    points = [None if 8 < at < 12 else point for at, point in enumerate(wave(28))]
    for name in ("cpu", "memory", "receive", "transmit", "disk_read", "disk_write", "temperature", "pressure", "gpu"):
        hue = palette.hue(name)
        sparks += [*sparkline(points, 12, low=0, high=1, hue=hue, look=look), (" ", palette.text)]
    heights = graph(points, width, 2, low=0, high=1, hue=palette.hue("temperature"), look=look)
    row = beside(badges, percent(0.43, 5, low=0, high=1, look=look), width, palette.text)
    pairs = [Pair("load", "0.52 0.61 0.70"), Pair("up", "12 d 4 h"), Pair("tasks", "312"), Pair("temp", "51", "°C")]
    lines = [strip(row, width, palette.text), strip(sparks, width, palette.text), pairs_line(pairs, width, look=look)]
    return [*lines, *heights][:height]


if __name__ == "__main__":
    THEME, GLYPH = [*sys.argv[1:], THEME_NAMES[0], "unicode"][:2] if len(sys.argv) < 3 else sys.argv[1:3]
    Gallery(THEME, GLYPHS[GLYPH]).run()
