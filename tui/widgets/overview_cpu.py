"""The overview's panels for processors and for pressure."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, ClassVar, Final

from sysmon.units import format_value
from tui.renderables.cores import METERS_UP_TO, core_grid
from tui.renderables.graph import graph, time_axis, with_corners
from tui.renderables.lines import Pair, pairs_line, value_spans
from tui.renderables.meter import parts_meter
from tui.renderables.spark import sparkline
from tui.renderables.text import Spans, fit, spans_width, strip
from tui.timeticks import time_ticks
from tui.widgets.overview_base import Shown, ViewPanel, degrees, level_style, ratio_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.style import Style
    from textual.strip import Strip

    from tui.theme import Look


def ticks(shown: Shown) -> Sequence[tuple[int, str]]:
    """The labels; away from the present the right edge is not now."""
    return time_ticks(shown.view)


_CPU_SENSORS: Final = ("k10temp", "coretemp", "zenpower", "cpu", "package", "x86_pkg", "soc")
_PRESSURES: Final = (("cpu", "CPU"), ("memory", "memory"), ("io", "I/O"), ("irq", "IRQ"))


def states(look: Look) -> list[tuple[str, str, Style]]:
    """(metric, short name, style) of what processor time goes into."""
    palette = look.palette
    cpu = palette.hue("cpu")
    return [
        ("cpu.user", "user", cpu.at(0.85)),
        ("cpu.nice", "nice", cpu.at(0.6)),
        ("cpu.system", "sys", cpu.at(0.4)),
        ("cpu.irq", "irq", cpu.at(0.2)),
        ("cpu.iowait", "wait", palette.hue("pressure").base),
        ("cpu.steal", "steal", palette.warning),
    ]


def cpu_temperature(shown: Shown) -> float | None:
    """The hottest sensor of a processor, °C."""
    found = [
        shown.values[f"temperature:{name}"]
        for name in shown.instances("temperature")
        if name.lower().startswith(_CPU_SENSORS) or "tctl" in name.lower()
    ]
    return max(found, default=None)


class CpuPanel(ViewPanel):
    """Utilization over time, what it goes into, and every core."""

    ABOUT: ClassVar[str] = "cpu."
    COLLECTORS: ClassVar[tuple[str, ...]] = ("cpu",)

    def __init__(self) -> None:
        super().__init__("cpu", id="cpu", padding=1)

    def subtitle(self, shown: Shown, look: Look) -> Spans:
        """Utilization, frequency, temperature."""
        palette = look.palette
        used = shown.get("cpu.utilization")
        spans: Spans = value_spans(
            format_value(used, "ratio") if used is not None else look.glyphs.missing,
            palette.hue("cpu").at(0.35 + (used or 0) * 0.65),
            look,
        )
        speeds = [shown.values[f"cpu.frequency:{core}"] for core in shown.instances("cpu.frequency")]
        if speeds:
            spans += [("  ", palette.text), *value_spans(f"{max(speeds) / 1e9:.1f} GHz", palette.text, look)]
        heat = cpu_temperature(shown)
        if heat is not None:
            style = level_style(heat, look, warning=90, critical=100, fine=palette.text)
            spans += [("  ", palette.text), *value_spans(f"{heat:.0f} {degrees(look)}", style, look)]
        return spans

    def missing(self, shown: Shown) -> str:
        """A remote host may have no such collector."""
        if shown.get("cpu.utilization") is not None or shown.instances("cpu.time.busy"):
            return ""
        return self.because(shown, "no processor readings")

    def draw(self, shown: Shown, width: int, height: int, look: Look) -> list[Strip]:
        """The graph at the left with its lines below, the cores at the right."""
        cores = [shown.get(f"cpu.core.utilization:{name}") for name in shown.instances("cpu.time.busy")]
        right = _cores_width(len(cores), width, height)
        left = width - right - 2 if right else width
        lines = self._left(shown, left, height, look)
        if not right:
            return lines
        grid = core_grid(cores, right, height, hue=look.palette.hue("cpu"), look=look)
        grid += [strip([], right, look.palette.text)] * (height - len(grid))
        gap = strip([], 2, look.palette.text)
        return [type(gap).join([line, gap, core]) for line, core in zip(lines, grid, strict=True)]

    def _left(self, shown: Shown, width: int, height: int, look: Look) -> list[Strip]:
        under = min(2, max(0, height - 2))
        axis = height - under >= 6
        room = height - under - axis
        hue = look.palette.hue("cpu")
        points = shown.points("cpu.utilization", width)
        lines = graph(points, width, room, low=0.0, high=1.0, hue=hue, look=look, phase=shown.taken & 1)
        if room >= 3:
            lines = with_corners(lines, look=look, top_left="100%")
        if axis:
            lines.append(time_axis(width, ticks(shown), look=look))
        if under:
            lines.append(state_line(shown, width, look))
        if under > 1:
            lines.append(self._load_line(shown, width, look))
        return lines

    def _load_line(self, shown: Shown, width: int, look: Look) -> Strip:
        loads = [shown.get(f"load.{minutes}") for minutes in (1, 5, 15)]
        text = " ".join(f"{load:.2f}" for load in loads if load is not None)
        cores = shown.get("cpu.cores") or len(shown.instances("cpu.time.busy")) or 1
        style = look.palette.warning if loads[0] is not None and loads[0] > 2 * cores else None
        pairs = [Pair("load", text or None, style=style)]
        if width < 60:
            waits = {word: shown.get(f"pressure.{name}.some") for name, word in _PRESSURES[:3]}
            worst = max(((value, word) for word, value in waits.items() if value is not None), default=None)
            if worst is not None and worst[0] >= 0.05:
                pairs.append(Pair(f"{worst[1]} pressure", ratio_text(worst[0], look)))
        switches, running = shown.get("cpu.context_switch_rate"), shown.get("processes.running")
        if switches is not None:
            pairs.append(Pair("switches", _thousands(switches), "/s"))
        if running is not None:
            pairs.append(Pair("running", f"{running:.0f}"))
        count = shown.get("processes.count")
        if count is not None:
            pairs.append(Pair("tasks", f"{count:.0f}"))
        if (created := shown.get("processes.created_rate")) is not None:
            pairs.append(Pair("forks", f"{created:.0f}", "/s"))
        if (interrupts := shown.get("cpu.interrupt_rate")) is not None:
            pairs.append(Pair("interrupts", _thousands(interrupts), "/s"))
        return pairs_line(pairs, width, look=look)


def _cores_width(count: int, width: int, height: int) -> int:
    """Cells for the cores; 0 where one core would repeat the graph, or there is no room."""
    if count < 2 or width < 44:
        return 0
    if count > METERS_UP_TO:
        # A heat map of squares, whole eights in a line.
        per_line = -(-count // max(1, height)) + 7 & ~7
        return min(width // 2, 2 * per_line + len(str(count)) + 1)
    columns = -(-count // max(1, height))
    return min(width // 2, max(18, columns * (24 if width >= 100 else 15) - 2))


def _thousands(value: float) -> str:
    return f"{value / 1000:.1f}k" if value >= 1000 else f"{value:.0f}"


def state_line(shown: Shown, width: int, look: Look) -> Strip:
    """A meter of what processor time goes into, with the larger parts named."""
    palette = look.palette
    parts = [(name, shown.get(metric), style) for metric, name, style in states(look)]
    if all(value is None for _, value, _ in parts):
        return strip([], width, palette.text)
    named: Spans = []
    order = ("user", "sys", "wait", "steal", "nice", "irq")
    for name, value, style in sorted(parts, key=lambda part: order.index(part[0])):
        if value is None or (name not in order[:3] and value < 0.005):
            continue
        piece: Spans = [(" ", palette.text), (name, style), (f" {ratio_text(value, look):<4}", palette.dim)]
        if spans_width(named) + spans_width(piece) > width - 10:
            break
        named += piece
    room = width - spans_width(named)
    bar = parts_meter([(value, style) for _, value, style in parts], room, total=1.0, look=look)
    return strip([*bar, *named], width, palette.text)


class PressurePanel(ViewPanel):
    """How much time tasks lost waiting: some of them, and all."""

    ABOUT: ClassVar[str] = "pressure."
    COLLECTORS: ClassVar[tuple[str, ...]] = ("pressure",)

    def __init__(self) -> None:
        super().__init__("pressure", id="pressure", padding=1, subtitle="time lost waiting")

    def subtitle(self, shown: Shown, look: Look) -> Spans:
        """What the numbers are."""
        return [("some / full", look.palette.dim)]

    def missing(self, shown: Shown) -> str:
        """The kernel may be built without it."""
        if any(key.startswith("pressure.") for key in shown.values):
            return ""
        return self.because(shown, "no pressure information")

    def draw(self, shown: Shown, width: int, height: int, look: Look) -> list[Strip]:
        """A line, or a small graph, for each resource."""
        names = [
            (name, word)
            for name, word in _PRESSURES
            if shown.get(f"pressure.{name}.some") is not None or shown.get(f"pressure.{name}.full.time") is not None
        ] or list(_PRESSURES[:3])
        if height < 3 * len(names):
            return [pressure_line(shown, name, word, width, look) for name, word in names][:height]
        each, more = divmod(height, len(names))
        lines: list[Strip] = []
        draw = partial(graph, low=0.0, high=1.0, hue=look.palette.hue("pressure"), look=look, phase=shown.taken & 1)
        for index, (name, word) in enumerate(names):
            rows = each + (index < more) - 1
            kind = "some" if name != "irq" else "full"
            lines.append(pressure_line(shown, name, word, width, look, spark=False))
            lines += draw(shown.points(f"pressure.{name}.{kind}", width), width, rows)
        return lines


def pressure_line(shown: Shown, name: str, word: str, width: int, look: Look, *, spark: bool = True) -> Strip:
    """One resource: a sparkline of `some`, then both shares."""
    palette = look.palette
    some, full = shown.get(f"pressure.{name}.some"), shown.get(f"pressure.{name}.full")
    limits = {"cpu": (0.5, 0.9), "memory": (0.1, 0.3), "io": (0.3, 0.6), "irq": (0.2, 0.5)}[name]
    fine = palette.text if (some or full or 0) >= 0.005 else palette.dim
    style = level_style(some if some is not None else full, look, warning=limits[0], critical=limits[1], fine=fine)
    label: Spans = [(fit(word, 7), palette.dim)]
    values: Spans = [
        (f"{ratio_text(some, look):>6}" if name != "irq" else " " * 6, style),
        (f"{ratio_text(full, look):>6}", fine),
    ]
    room = width - spans_width(label) - spans_width(values)
    if spark and room >= 4:
        kind = "some" if name != "irq" else "full"
        points = shown.past(f"pressure.{name}.{kind}", room)
        bar = sparkline(points, room, low=0.0, high=1.0, hue=palette.hue("pressure"), look=look)
    else:
        bar = [(" " * max(0, room), palette.text)]
    return strip([*label, *bar, *values], width, palette.text, ellipsis=look.glyphs.ellipsis)
