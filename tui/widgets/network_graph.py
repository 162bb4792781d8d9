"""The traffic of one interface over the last minutes: received above the axis, sent below."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tui.renderables.graph import mirror_graph, with_corners
from tui.renderables.lines import centered, value_spans
from tui.renderables.text import Spans, fit_spans, spans_width, strip
from tui.timeticks import time_ticks
from tui.widgets.network_rows import Interface, rate_text, recorded, round_text, speed_text, traffic_ceiling
from tui.widgets.panel import Panel

if TYPE_CHECKING:
    from collections.abc import Sequence

    from textual.strip import Strip

    from tui.model import View
    from tui.palette import HueName
    from tui.theme import Look


class TrafficGraph(Panel):
    """A mirror graph with a labelled ceiling for each side; the rates of now, and their peak, mean and minimum."""

    def __init__(self) -> None:
        super().__init__("traffic", id="traffic", padding=1)
        self._view: View | None = None
        self._row: Interface | None = None
        self._bits = False
        self._ceilings: dict[tuple[str, str, bool], tuple[float, float]] = {}

    def show(self, view: View, row: Interface | None, *, bits: bool) -> None:
        """Show this interface's traffic up to the view's moment."""
        self._view, self._row, self._bits = view, row, bits
        self._title = "traffic" if row is None else row.name
        self._subtitle = [] if row is None else self._now(row)
        self.update_body()

    def _now(self, row: Interface) -> Spans:
        look = self.look
        palette, glyphs = look.palette, look.glyphs
        speed = speed_text(row.speed)
        spans: Spans = [(f"{speed} link  ", palette.dim)] if speed is not None and row.utilization is not None else []
        for mark, value, hue in ((glyphs.down, row.receive, "receive"), (glyphs.up, row.transmit, "transmit")):
            style = palette.hue("receive" if hue == "receive" else "transmit").base
            text = glyphs.missing if value is None else rate_text(value, bits=self._bits)
            spans += [(f"{mark} ", style), *value_spans(text, palette.strong, look), ("  ", palette.text)]
        return spans[:-1]

    def render_body(self, width: int, height: int) -> list[Strip]:
        """The graph; with a line of figures above and below where there is room."""
        look, view, row = self.look, self._view, self._row
        if view is None or row is None:
            words = f"collecting{look.glyphs.ellipsis}" if view is None else "no interface"
            return centered([words], width, height, look=look, style=look.palette.faint)
        count = 2 * width
        upper = recorded(view.window, "net.receive_rate", row.names, count)
        lower = recorded(view.window, "net.transmit_rate", row.names, count)
        held = (view.info.id, row.key, self._bits)
        before = self._ceilings.get(held, (None, None))
        highs = (
            traffic_ceiling(upper, before[0], bits=self._bits),
            traffic_ceiling(lower, before[1], bits=self._bits),
        )
        self._ceilings[held] = highs
        figures = 2 if height >= 7 else 0
        hues = look.palette.hue("receive"), look.palette.hue("transmit")
        lines = mirror_graph(
            upper, lower, width, height - figures, high_upper=highs[0], high_lower=highs[1], hue_upper=hues[0],
            hue_lower=hues[1], look=look, ticks=time_ticks(view), phase=(view.window.end or 0) & 1,
        )  # fmt: skip
        labels = [round_text(rate_text(high, bits=self._bits)) for high in highs]
        if height - figures >= 3:
            lines = with_corners(lines, look=look, top_left=labels[0], bottom_left=labels[1])
        if figures:
            lines.insert(0, self._figures("receive", look.glyphs.down, upper, width, look))
            lines.append(self._figures("transmit", look.glyphs.up, lower, width, look))
        return lines

    def _figures(self, hue: HueName, mark: str, points: Sequence[float | None], width: int, look: Look) -> Strip:
        palette = look.palette
        spans: Spans = [(f"{mark} {hue:<9}", palette.hue(hue).base)]
        present = [point for point in points if point is not None]
        if not present:
            spans.append(("nothing is known of these minutes", palette.dim))
            return strip(spans, width, palette.text, ellipsis=look.glyphs.ellipsis)
        figures = (("peak", max(present)), ("mean", sum(present) / len(present)), ("min", min(present)))
        for name, value in figures:
            piece: Spans = [(f"  {name} ", palette.dim)]
            piece += fit_spans(
                value_spans(rate_text(value, bits=self._bits), palette.text, look), 11, palette.text, align="right"
            )
            if spans_width(spans) + spans_width(piece) > width:
                break
            spans += piece
        return strip(spans, width, palette.text, ellipsis=look.glyphs.ellipsis)
