"""The overview where there is no room for panels: one line per thing."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from sysmon.units import format_bytes
from tui.renderables.lines import centered
from tui.renderables.meter import bar_room, meter, meter_line
from tui.renderables.text import Spans, fit, strip
from tui.widgets.overview_base import Shown, ViewPanel, rate_spans, ratio_text
from tui.widgets.overview_disks import mounts, total_rate
from tui.widgets.overview_network import interfaces
from tui.widgets.overview_processes import busiest

if TYPE_CHECKING:
    from textual.strip import Strip

    from tui.palette import HueName
    from tui.theme import Look


class Summary(ViewPanel):
    """Meters, rates, then the busiest processes in what is left."""

    DEFAULT_CSS = """
    Summary { height: 1fr; }
    """

    def __init__(self) -> None:
        super().__init__(border=False, focusable=False, id="summary")

    def draw(self, shown: Shown, width: int, height: int, look: Look) -> list[Strip]:
        """As many lines as fit, the most telling first."""
        if width < 8 or height < 1:
            return centered(["sysmon"], width, height, look=look)
        ratio = partial(_ratio_line, shown, width=width, look=look)
        lines = [ratio("cpu", "cpu.utilization", hue="cpu"), ratio("mem", "memory.utilization", hue="memory")]
        if shown.get("swap.total"):
            lines.append(ratio("swap", "swap.utilization", hue="swap"))
        fullest = max(mounts(shown), key=lambda mount: shown.get(f"fs.utilization:{mount}") or 0.0, default=None)
        if fullest is not None:
            lines.append(ratio(fullest, f"fs.utilization:{fullest}", hue="disk_read"))
        palette, glyphs = look.palette, look.glyphs
        rows = interfaces(shown)
        if rows:
            name = rows[0].name
            got, sent = shown.get(f"net.receive_rate:{name}"), shown.get(f"net.transmit_rate:{name}")
            spans: Spans = [(fit("net", 5), palette.dim)]
            spans += rate_spans(glyphs.down, got, palette.hue("receive"), look)
            spans += [(" ", palette.text), *rate_spans(glyphs.up, sent, palette.hue("transmit"), look)]
            lines.append(strip(spans, width, palette.text, ellipsis=glyphs.ellipsis))
        if shown.instances("disk.read"):
            spans = [(fit("disk", 5), palette.dim)]
            spans += rate_spans("R", total_rate(shown, "disk.read_rate"), palette.hue("disk_read"), look)
            spans += [(" ", palette.text)]
            spans += rate_spans("W", total_rate(shown, "disk.write_rate"), palette.hue("disk_write"), look)
            lines.append(strip(spans, width, palette.text, ellipsis=glyphs.ellipsis))
        loads = [shown.get(f"load.{minutes}") for minutes in (1, 5, 15)]
        if loads[0] is not None:
            text = " ".join(f"{load:.2f}" for load in loads if load is not None)
            lines.append(strip([(fit("load", 5), palette.dim), (text, palette.text)], width, palette.text))
        for row in busiest(shown.view.processes, max(0, height - len(lines))):
            cpu = f"{(row.cpu or 0) * 100:.0f}%" if row.cpu is not None else glyphs.missing
            tail = f"{format_bytes(row.memory, short=True):>7}{cpu:>6}"
            name = fit(row.name, max(0, width - len(tail)), ellipsis=glyphs.ellipsis)
            lines.append(strip([(name, palette.dim), (tail, palette.text)], width, palette.text))
        return lines[:height]


def _ratio_line(shown: Shown, label: str, key: str, *, hue: HueName, width: int, look: Look) -> Strip:
    value = shown.get(key)
    room = bar_room(width, label_width=4, value_width=5)
    bar = meter(value, room, low=0.0, high=1.0, hue=look.palette.hue(hue), look=look)
    return meter_line(label, bar, ratio_text(value, look), width, look=look, label_width=4, value_width=5)
