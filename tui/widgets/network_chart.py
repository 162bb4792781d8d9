"""The range of one interface, or of all that count, as bars: received above the axis, sent below."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sysmon.bandwidth import total
from sysmon.units import format_bytes
from tui.networkrange import range_words, steps_of
from tui.renderables.lines import centered, value_spans
from tui.renderables.usagechart import usage_chart
from tui.widgets.network_columns import marked
from tui.widgets.panel import Panel

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import tzinfo

    from textual.strip import Strip

    from sysmon.bandwidth import Amount
    from tui.networkrange import Step
    from tui.networkread import RangeTold
    from tui.renderables.text import Spans
    from tui.theme import Look


class RangeChart(Panel):
    """A chart of a range, with its sums in the border."""

    def __init__(self, *, id: str) -> None:
        super().__init__("", id=id, padding=1)
        self._told: RangeTold | None = None
        self._names: tuple[str, ...] = ()
        self._steps: list[Step] = []
        self._zone: tzinfo | None = None
        self._words = ""

    def show(self, title: str, names: Sequence[str], told: RangeTold | None, zone: tzinfo, words: str = "") -> None:
        """Show what names together carried in a range; `words` where it is not known."""
        names = tuple(names)
        if told is not self._told or names != self._names:
            self._steps = steps_of(told.period, told.buckets, names, zone) if told is not None else []
        self._told, self._names, self._zone, self._words = told, names, zone, words
        subtitle: Spans = []
        if told is not None:
            subtitle = amount_spans(total(told.amounts, names), self.look)
            title = f"{title} {self.look.glyphs.separator} {range_words(told.period, zone)}"
        self.set_frame(title=title, subtitle=subtitle, update=False)
        self.update_body()

    def render_body(self, width: int, height: int) -> list[Strip]:
        """The bars."""
        if self._told is None or self._zone is None:
            return centered([self._words], width, height, look=self.look, style=self.look.palette.dim)
        empty = self._words or "nothing is known of this range"
        return usage_chart(
            self._steps, self._told.period.step, self._zone, width, height, look=self.look, empty=empty
        )  # fmt: skip


def amount_spans(amount: Amount, look: Look) -> Spans:
    """What was received and sent, each with its arrow."""
    palette, glyphs = look.palette, look.glyphs
    spans: Spans = []
    for mark, size, hue in (
        (glyphs.down, amount.receive, palette.hue("receive")), (glyphs.up, amount.transmit, palette.hue("transmit")),
    ):  # fmt: skip
        text = marked(format_bytes(size), amount.mark, look)
        spans += [("  " if spans else "", palette.text), (f"{mark} ", hue.base)]
        spans += value_spans(text, palette.strong, look)
    return spans
