"""How TCP and UDP are: sockets by state, connections made and lost, segments sent again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from sysmon.units import format_bytes
from tui.renderables.lines import Pair, centered, pair_spans, pairs_line
from tui.renderables.scale import nice_ceiling
from tui.renderables.spark import sparkline
from tui.renderables.text import Spans, fit, spans_width, strip
from tui.widgets.network_columns import count_text
from tui.widgets.panel import Panel

if TYPE_CHECKING:
    from textual.strip import Strip

    from tui.model import View
    from tui.theme import Look


@dataclass(frozen=True, slots=True)
class Health:
    """One line: what, its series, and from where on it is wrong.

    `unit`: "" for a number, "/s", "ratio" or "bytes". `short`: its name where room is short; '' leaves it out there.
    """

    name: str
    key: str
    unit: str = ""
    short: str = ""
    warning: float | None = None
    critical: float | None = None


LINES: Final = (
    Health("established", "sockets.tcp:established", short="tcp"),
    Health("listening", "sockets.tcp:listen", short="listen"),
    Health("time-wait", "sockets.tcp:time_wait", short="time-wait"),
    Health("retransmits", "tcp.retransmit_rate", "/s", "retrans"),
    Health("sent again", "tcp.retransmit_ratio", "ratio", "", 0.02, 0.10),
    Health("listen drops", "tcp.listen.drop_rate", "/s", "listen drops", None, 0.0),
    Health("resets", "tcp.reset_rate", "/s", "resets"),
    Health("opened", "tcp.open_rate", "/s"),
    Health("accepted", "tcp.accept_rate", "/s"),
    Health("UDP errors", "udp.error_rate", "/s", "UDP errors", 0.0, 100.0),
    Health("UDP sockets", "sockets.udp"),
    Health("half-open", "sockets.tcp:syn_recv"),
    Health("close-wait", "sockets.tcp:close_wait"),
    Health("orphaned", "sockets.tcp.orphan"),
    Health("TCP buffers", "sockets.tcp.memory", "bytes"),
)
"""What is shown, the most telling first."""

GRAPHED: Final = ("sockets.tcp", "tcp.retransmit_rate", "tcp.reset_rate", "tcp.open_rate", "tcp.accept_rate")
"""Metrics whose past is drawn."""

_SPARK_SECONDS: Final = 10
_NAME: Final = 13
_VALUE: Final = 10


class ProtocolsPanel(Panel):
    """A line for each figure, with its past where there is room; one line for all where there is none."""

    def __init__(self) -> None:
        super().__init__("tcp and udp", id="protocols", padding=1)
        self._view: View | None = None

    def show(self, view: View) -> None:
        """Show this view's figures."""
        self._view = view
        self.update_body()

    def render_body(self, width: int, height: int) -> list[Strip]:
        """Draw them."""
        look, view = self.look, self._view
        if view is None:
            return []
        known = [line for line in LINES if view.value(line.key) is not None]
        if not known:
            faults = [fault for fault in view.state.faults if fault.collector in ("protocols", "sockets")]
            reason = faults[0].message if faults else "no readings of TCP and UDP"
            return centered([reason], width, height, look=look)
        if height < 3:
            pairs = [pair(view, line, look, short=True) for line in LINES if line.short]
            return [pairs_line(pairs, width, look=look)]
        spark = min(24, width - _NAME - _VALUE - 2)
        if spark >= 6:
            return [self._line(view, line, width, spark, look) for line in LINES[:height]]
        count = max(1, width // (_NAME + 8 + 3)) if height < len(LINES) else 1
        room = (width - 3 * (count - 1)) // count
        strips = []
        for y in range(min(height, -(-len(LINES) // count))):
            spans: Spans = []
            for line in LINES[y::height][:count]:
                spans += [("   ", look.palette.text)] if spans else []
                spans += _plain(view, line, room, look)
            strips.append(strip(spans, width, look.palette.text, ellipsis=look.glyphs.ellipsis))
        return strips

    def _line(self, view: View, line: Health, width: int, spark: int, look: Look) -> Strip:
        palette = look.palette
        spans: Spans = [(fit(line.name, _NAME), palette.dim)]
        drawn = line.key.partition(":")[0] in GRAPHED
        points = view.window.recorded(line.key, spark, _SPARK_SECONDS) if drawn else []
        spans += [(" " * (width - _NAME - _VALUE - spark - 1), palette.text)]
        if any(points):
            high = 1.2 * nice_ceiling(points, 10 if line.unit == "" else 1)
            hue = palette.hue("process" if line.unit == "" else "receive")
            spans += sparkline(points, spark, low=0, high=high, hue=hue, look=look)
        else:
            spans.append((" " * spark, palette.text))
        value = pair_spans(pair(view, line, look), look)
        spans += [(" " * max(1, _VALUE + 1 - spans_width(value)), palette.text), *value]
        return strip(spans, width, palette.text, ellipsis=look.glyphs.ellipsis)


def _plain(view: View, line: Health, width: int, look: Look) -> Spans:
    value = pair_spans(pair(view, line, look), look)
    name = fit(line.name, max(0, width - spans_width(value) - 1), ellipsis=look.glyphs.ellipsis)
    return [(name, look.palette.dim), (" ", look.palette.text), *value]


def pair(view: View, line: Health, look: Look, *, short: bool = False) -> Pair:
    """The name and the present value of a line, coloured where it is wrong."""
    value = view.value(line.key)
    palette = look.palette
    style = palette.text
    text: str | None = None
    unit = ""
    if value is not None:
        if line.critical is not None and value > line.critical:
            style = palette.critical
        elif line.warning is not None and value > line.warning:
            style = palette.warning
        elif not value:
            style = palette.dim
        if line.unit == "bytes":
            text, _, unit = format_bytes(value).partition(" ")
        elif line.unit == "ratio":
            text, unit = f"{value * 100:.1f}", "%"
        else:
            text, unit = count_text(value), line.unit
    return Pair(line.short if short else line.name, text, unit, style)
