"""The overview's panel for memory and swap."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Final

from sysmon.units import format_bytes, format_value
from tui.renderables.graph import graph, time_axis, with_corners
from tui.renderables.lines import value_spans
from tui.renderables.meter import bar_room, meter, meter_line, parts_meter
from tui.renderables.text import Spans, spans_width, strip
from tui.widgets.overview_base import Shown, ViewPanel, level_style
from tui.widgets.overview_cpu import ticks

if TYPE_CHECKING:
    from rich.style import Style
    from textual.strip import Strip

    from tui.theme import Look


_LABEL: Final = 4
_VALUE: Final = 9


def memory_parts(shown: Shown, look: Look) -> list[tuple[str, float, Style]]:
    """(name, bytes, style) of what memory is used for; together they are all of it.

    What programs have, ZFS's cache, other caches that give way, and free memory. `used` is total - available, so
    that it says how much is not to be had.
    """
    hue = look.palette.hue("memory")
    total, available = shown.get("memory.total"), shown.get("memory.available")
    if total is None or available is None:
        return []
    free = min(shown.get("memory.free") or 0.0, available)
    arc = min(shown.get("memory.arc") or 0.0, available - free)
    parts = [("used", total - available, hue.at(0.8)), ("ARC", arc, look.palette.hue("gpu").at(0.45))]
    parts.append(("cache", available - free - arc, hue.at(0.35)))
    return [(name, amount, style) for name, amount, style in parts if amount > 0]


class MemoryPanel(ViewPanel):
    """Memory in its parts, swap, and utilization over time."""

    ABOUT: ClassVar[str] = "memory."
    COLLECTORS: ClassVar[tuple[str, ...]] = ("memory",)

    def __init__(self) -> None:
        super().__init__("memory", id="memory", padding=1)

    def subtitle(self, shown: Shown, look: Look) -> Spans:
        """Utilization, and used of total."""
        palette = look.palette
        used = shown.get("memory.utilization")
        style = level_style(used, look, warning=0.92, critical=0.97, fine=palette.hue("memory").at(0.8))
        spans: Spans = value_spans(
            format_value(used, "ratio") if used is not None else look.glyphs.missing, style, look
        )
        total = shown.get("memory.total")
        if total is not None:
            spans += [("  ", palette.text), *value_spans(format_bytes(total), palette.text, look)]
        return spans

    def missing(self, shown: Shown) -> str:
        """A remote host may have no such collector."""
        return "" if shown.get("memory.total") is not None else self.because(shown, "no memory readings")

    def draw(self, shown: Shown, width: int, height: int, look: Look) -> list[Strip]:
        """Meters first, the graph in what is left."""
        lines = self._meters(shown, width, look)
        if height - len(lines) < 2:
            return lines[:height]
        room = height - len(lines)
        axis = room >= 6
        hue = look.palette.hue("memory")
        points = shown.points("memory.utilization", width)
        picture = graph(points, width, room - axis, low=0.0, high=1.0, hue=hue, look=look, phase=shown.taken & 1)
        if room - axis >= 3:
            picture = with_corners(picture, look=look, top_left="100%")
        if axis:
            picture.append(time_axis(width, ticks(shown), look=look))
        return [*picture, *lines]

    def _meters(self, shown: Shown, width: int, look: Look) -> list[Strip]:
        palette = look.palette
        room = bar_room(width, label_width=_LABEL, value_width=_VALUE)
        parts = [(amount, style) for _, amount, style in memory_parts(shown, look)]
        bar = parts_meter(parts, room, total=shown.get("memory.total") or 0.0, look=look)
        lines = [
            amount_line("RAM", bar, shown.get("memory.used"), width, look, style=palette.strong),
            self._legend(shown, width, look),
        ]
        swap, memory = palette.hue("swap"), palette.hue("memory")
        if total := shown.get("swap.total"):
            used = shown.get("swap.used")
            moved = sum(shown.get(key) or 0.0 for key in ("swap.in_rate", "swap.out_rate"))
            style = palette.warning if moved > 1 << 20 else None
            bar = meter(used, room, low=0, high=total, hue=swap, look=look)
            lines.append(amount_line("swap", bar, used, width, look, style=style))
        if stored := shown.get("zram.stored"):
            packed = shown.get("zram.used") or shown.get("zram.compressed")
            bar = meter(packed, room, low=0, high=stored, hue=swap, look=look)
            lines.append(amount_line("zram", bar, packed, width, look))
        if huge := shown.get("memory.hugepages.total"):
            taken = huge - (shown.get("memory.hugepages.free") or 0.0)
            bar = meter(taken, room, low=0, high=huge, hue=memory, look=look)
            lines.append(amount_line("huge", bar, taken, width, look))
        return lines

    def _legend(self, shown: Shown, width: int, look: Look) -> Strip:
        palette = look.palette
        spans: Spans = []
        marks = width >= 48
        available = shown.get("memory.available")
        entries = [
            *((name, amount, style) for name, amount, style in memory_parts(shown, look) if name != "used"),
            ("free", shown.get("memory.free") or 0.0, palette.track),
            ("available", available or 0.0, palette.text),
        ]
        for name, amount, style in entries:
            mark = f"{look.glyphs.bar_full} " if marks and name != "available" else ""
            tone = palette.dim if marks or name in ("free", "available") else style
            piece: Spans = [(mark, style), (f"{name} ", tone)]
            piece.append((format_bytes(amount, short=True), palette.text))
            if spans_width(spans) + spans_width(piece) + 2 > width:
                break
            spans += [("  ", palette.text), *piece] if spans else piece
        return strip(spans, width, palette.text)


def amount_line(
    label: str, bar: Spans, value: float | None, width: int, look: Look, *, style: Style | None = None
) -> Strip:
    """A meter with an amount of bytes."""
    number, _, unit = format_bytes(value).rpartition(" ") if value is not None else (look.glyphs.missing, "", "")
    return meter_line(
        label, bar, number, width, look=look, label_width=_LABEL, value_width=_VALUE,
        value_style=style, unit=f" {unit}" if unit else "",
    )  # fmt: skip
