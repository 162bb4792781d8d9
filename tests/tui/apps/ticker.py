"""A screen with a graph, a table, an input and a clock, all driven by a step count: `python -m tests.tui.apps.ticker`.

Options are words: `ticks=N` (then it waits), `interval=SECONDS`, `stock`, `crash`, `stubborn` (never ends by itself),
`dump=FILE` (writes its composed screen as text after the last tick and at each further step), `late` (the terminal has
not answered yet), `typed=TEXT` (typed before the start), `stats` (prints what was written).
"""

from __future__ import annotations

import random
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from rich.segment import Segment
from rich.style import Style
from textual.app import App
from textual.binding import Binding, BindingType
from textual.strip import Strip
from textual.widget import Widget
from textual.widgets import Input

from tui.lifecycle import run
from tui.output import CellDiffMixin
from tui.terminal import TerminalCapabilities

if TYPE_CHECKING:
    from textual.app import ComposeResult

GREEN, GREY, PLAIN = Style(color="#9ece6a"), Style(color="#808080"), Style(color="#c0c0c0", bgcolor="#101010")
NAMES = [
    "postgres",
    "日本語プロセス",
    "e\u0301diteur",
    "sh",
    "\N{ROCKET} launcher",
    "kworker/0:1",
    "\N{WARNING SIGN}\ufe0f hot",
]


class Graph(Widget):
    """Braille columns that move left."""

    step = 0

    def render_line(self, y: int) -> Strip:
        """One line."""
        height, width = self.size.height, self.size.width
        levels = [(column * 7919 % 97) / 97 * height * 4 for column in range(self.step, self.step + width)]
        text = "".join(chr(0x2800 + (0xFF if level > (height - y) * 4 else 0x40)) for level in levels)
        return Strip([Segment(text, GREEN)], width)


class Table(Widget):
    """Rows of which a few change at each step."""

    rows: ClassVar[dict[int, tuple[int, float]]] = {}

    def render_line(self, y: int) -> Strip:
        """One line."""
        width = self.size.width
        pid, load = self.rows.get(y, (y, 0.0))
        segments = [
            Segment(f"{pid:>7} ", GREY),
            Segment(f"{NAMES[y % 7]:<18}", PLAIN),
            Segment(f"{load:6.1f} %", PLAIN),
        ]
        return Strip(segments).adjust_cell_length(width, PLAIN)


class Ticker(App[None]):
    """The application, with Textual's own output."""

    CSS = "Graph {height: 6;} Table {height: 1fr;} Input {height: 3;}"
    ENABLE_COMMAND_PALETTE = False
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+z", "suspend_process", priority=True),
        Binding("ctrl+l", "full_repaint", priority=True),
        Binding("ctrl+q", "quit", priority=True),
    ]

    def __init__(self, options: dict[str, str]) -> None:
        super().__init__()
        self.options = options
        self.step = 0
        self.random = random.Random(1)

    def compose(self) -> ComposeResult:
        """The widgets."""
        yield Graph()
        yield Table()
        yield Input(id="input")

    def on_mount(self) -> None:
        """Begin to tick."""
        self.set_interval(float(self.options.get("interval", "0.05")), self.tick)
        if "crash" in self.options:
            self.set_timer(0.2, self.crash)

    def crash(self) -> None:
        """Raise."""
        raise ZeroDivisionError("as asked for")

    def tick(self) -> None:
        """Change a few things."""
        if self.step >= int(self.options.get("ticks", "1000000")):
            self.after_last()
            return
        self.step += 1
        graph, table = self.query_one(Graph), self.query_one(Table)
        graph.step = self.step
        for _ in range(3):
            table.rows[self.random.randrange(40)] = (self.random.randrange(40000), self.random.random() * 100)
        graph.refresh()
        table.refresh()

    def after_last(self) -> None:
        """Write down what should be on the screen."""
        if "dump" in self.options:
            lines = [strip.text for strip in self.screen._compositor.render_strips()]
            target = Path(self.options["dump"])
            target.with_suffix(".new").write_text("\n".join(lines), encoding="utf-8")
            target.with_suffix(".new").replace(target)

    async def action_quit(self) -> None:
        """Leave, unless stubborn."""
        self.exit()

    def action_full_repaint(self) -> None:
        """Draw everything again, where that is known."""
        if isinstance(self, CellDiffMixin):
            self.full_repaint()

    def on_unmount(self) -> None:
        """Hang where asked to."""
        if "stubborn" in self.options:
            time.sleep(60)


class DiffTicker(CellDiffMixin, Ticker):
    """The same with cell differences."""


def main(words: list[str]) -> int:
    """Run one of the two."""
    options = dict(word.partition("=")[::2] for word in words)
    if "stock" in options:
        app = Ticker(options)
        app.run()
        return app.return_code or 0
    capabilities = TerminalCapabilities(
        interactive=True,
        dumb=False,
        utf8=True,
        braille=True,
        color_depth="truecolor",
        no_color=False,
        background=None,
        linux_console=False,
        erases_with_background=False,
        multiplexer=None,
        typed_ahead=options.get("typed", ""),
        reply_pending="late" in options,
    )
    app = DiffTicker(options)
    status = run(app, capabilities)
    if "stats" in options:
        stats = app.output_stats
        print(
            f"frames {stats.frames_written} skipped {stats.frames_skipped} bytes {stats.bytes_written} {stats.fallback}"
        )
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
