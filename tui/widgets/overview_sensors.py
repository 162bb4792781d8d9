"""The overview's panels for sensors and for GPUs."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, ClassVar, Final

from tui.renderables.graph import graph
from tui.renderables.lines import Pair, pairs_line
from tui.renderables.meter import meter
from tui.renderables.spark import sparkline
from tui.renderables.text import Spans, fit, spans_width, strip, width_of
from tui.widgets.overview_base import Shown, ViewPanel, degrees, level_style, ratio_text, short_rate

if TYPE_CHECKING:
    from textual.strip import Strip

    from tui.theme import Look


_COLD: Final = 20.0
"""°C at the lower edge of meters and graphs."""


class SensorsPanel(ViewPanel):
    """Temperatures, fans, batteries, power."""

    ABOUT: ClassVar[str] = "temperature"
    COLLECTORS: ClassVar[tuple[str, ...]] = ("sensors",)

    def __init__(self) -> None:
        super().__init__("sensors", id="sensors", padding=1)

    def missing(self, shown: Shown) -> str:
        """Virtual machines have none."""
        return "" if has_sensors(shown) else self.because(shown, "no sensors")

    def draw(self, shown: Shown, width: int, height: int, look: Look) -> list[Strip]:
        """A line each, hottest kinds first; batteries before fans, for they end."""
        rows: list[tuple[str, str]] = [("temperature", name) for name in shown.instances("temperature")]
        rows += [("battery.charge", name) for name in shown.instances("battery.charge")]
        rows += [("fan.speed", name) for name in shown.instances("fan.speed")]
        rows += [("power.zone", name) for name in shown.instances("power.zone")]
        if len(rows) > height:
            heat = [row for row in rows if row[0] == "temperature"]
            heat.sort(key=lambda row: -(shown.get(f"temperature:{row[1]}") or 0.0))
            rest = [row for row in rows if row[0] != "temperature"][: max(0, height // 3)]
            rows = [*heat[: max(1, height - len(rest))], *rest]
        hot = sum(metric == "temperature" for metric, _ in rows)
        if hot and (height - len(rows)) // hot >= 2:
            return self._graphs(shown, rows, width, (height - len(rows)) // hot, look)
        label = min(max((width_of(_short(name)) for _, name in rows), default=0), max(8, width * 2 // 5))
        return [sensor_line(shown, metric, name, width, label, look) for metric, name in rows[:height]]

    def _graphs(self, shown: Shown, rows: list[tuple[str, str]], width: int, height: int, look: Look) -> list[Strip]:
        lines: list[Strip] = []
        for metric, name in rows:
            label = min(width // 2, 24)
            lines.append(sensor_line(shown, metric, name, width, label, look, bar=metric != "temperature"))
            if metric == "temperature":
                hue = look.palette.hue("temperature")
                high = max(shown.get(f"temperature.critical:{name}") or 100.0, 60.0)
                points = shown.points(f"temperature:{name}", width)
                draw = partial(graph, points, width, min(height, 8), low=_COLD, high=high)
                lines += draw(hue=hue, look=look, phase=shown.taken & 1)
        return lines


def has_sensors(shown: Shown) -> bool:
    """Whether there is anything to show."""
    return any(shown.instances(metric) for metric in ("temperature", "battery.charge", "fan.speed", "power.zone"))


def _short(name: str) -> str:
    """`k10temp/Tctl` as people say it: the label, or the chip where the label is a number."""
    chip, _, label = name.partition("/")
    return (
        name if not label or label.lower().startswith("temp") or label.lower().startswith("fan") else f"{chip} {label}"
    )


def sensor_line(shown: Shown, metric: str, name: str, width: int, label: int, look: Look, *, bar: bool = True) -> Strip:
    """Label, meter or past, value."""
    palette = look.palette
    value = shown.get(f"{metric}:{name}")
    hue = palette.hue("temperature")
    head: Spans = [(fit(_short(name), label, cut="middle", ellipsis=look.glyphs.ellipsis), palette.dim)]
    if metric == "temperature":
        critical = shown.get(f"temperature.critical:{name}") or 100.0
        high = shown.get(f"temperature.high:{name}") or critical * 0.9
        style = level_style(value, look, warning=min(high, critical), critical=critical, fine=palette.text)
        tail: Spans = [
            (f"{value:5.0f}" if value is not None else "", style),
            (f"{degrees(look)} ".ljust(3), palette.dim),
        ]
        low, top = _COLD, max(critical, 60.0)
    elif metric == "battery.charge":
        style = palette.critical if (value or 1) < 0.1 else palette.warning if (value or 1) < 0.25 else palette.text
        tail = [(f"{ratio_text(value, look):>6}", style), ("  ", palette.dim)]
        left = shown.get(f"battery.remaining:{name}")
        if left is not None and width >= 40:
            tail = [(f" {left / 3600:.1f} h", palette.dim), *tail]
        low, top = 0.0, 1.0
    elif metric == "power.zone":
        tail = [(f"{value:5.1f}" if value is not None else "", palette.text), (" W ", palette.dim)]
        low, top = 0.0, 0.0
    else:
        tail = [(f"{value:5.0f}" if value is not None else "", palette.text), ("rpm", palette.dim)]
        low, top = 0.0, 0.0
    room = width - label - spans_width(tail) - 1
    middle: Spans = [(" " * max(0, room), palette.text)]
    if bar and room >= 3 and top > low:
        if room >= 24 and metric == "temperature":
            points = shown.past(f"{metric}:{name}", room)
            middle = sparkline(points, room, low=low, high=top, hue=hue, look=look)
        else:
            tone = palette.warning if metric == "battery.charge" and (value or 1) < 0.25 else None
            middle = meter(value, room, low=low, high=top, hue=hue, look=look, style=tone)
    return strip([*head, (" ", palette.text), *middle, *tail], width, palette.text, ellipsis=look.glyphs.ellipsis)


class GpuPanel(ViewPanel):
    """Load, memory, heat and power of every GPU."""

    ABOUT: ClassVar[str] = "gpu."
    COLLECTORS: ClassVar[tuple[str, ...]] = ("gpu",)

    def __init__(self) -> None:
        super().__init__("gpu", id="gpu", padding=1)

    def subtitle(self, shown: Shown, look: Look) -> Spans:
        """The model, where there is one GPU."""
        rows = shown.view.state.tables.gpus or []
        return [(rows[0].model, look.palette.dim)] if len(rows) == 1 else []

    def missing(self, shown: Shown) -> str:
        """Most hosts have none."""
        return "" if gpus(shown) else self.because(shown, "no GPU")

    def draw(self, shown: Shown, width: int, height: int, look: Look) -> list[Strip]:
        """Two meters and a line each, and a graph where there is room."""
        names = gpus(shown)
        each = max(1, height // max(1, len(names)))
        lines: list[Strip] = []
        for name in names:
            block = gpu_block(shown, name, width, look)
            if each < 3:
                block = block[:each]
            elif each >= 6:
                hue = look.palette.hue("gpu")
                points = shown.points(f"gpu.utilization:{name}", width)
                block = [
                    *graph(points, width, each - 3, low=0.0, high=1.0, hue=hue, look=look, phase=shown.taken & 1),
                    *block,
                ]
            lines += block
        return lines[:height]


def gpus(shown: Shown) -> list[str]:
    """The GPUs with readings, those asleep included."""
    names = dict.fromkeys([*shown.instances("gpu.utilization"), *shown.instances("gpu.memory.total")])
    names.update(dict.fromkeys(row.name for row in shown.view.state.tables.gpus or []))
    return sorted(names)


def gpu_block(shown: Shown, name: str, width: int, look: Look) -> list[Strip]:
    """Load, memory, and the rest of one GPU."""
    palette = look.palette
    hue = palette.hue("gpu")
    row = next((row for row in shown.view.state.tables.gpus or [] if row.name == name), None)
    if row is not None and row.asleep:
        return [strip([(f"{name} ", palette.text), (f"{row.model} sleeps", palette.dim)], width, palette.text)]
    used, total = shown.get(f"gpu.memory.used:{name}"), shown.get(f"gpu.memory.total:{name}")
    lines = []
    for label, value, high, text in (
        (
            f"gpu{name}",
            shown.get(f"gpu.utilization:{name}"),
            1.0,
            ratio_text(shown.get(f"gpu.utilization:{name}"), look),
        ),
        ("mem", used, total or 0.0, short_rate(used, look)),
    ):
        room = width - 13
        bar = meter(value, room, low=0.0, high=high, hue=hue, look=look) if room >= 3 else []
        spans: Spans = [(fit(label, 5), palette.dim), *bar, (f"{text:>8}", palette.text)]
        lines.append(strip(spans, width, palette.text))
    heat, power, limit = (shown.get(f"gpu.{part}:{name}") for part in ("temperature", "power", "power.limit"))
    pairs = []
    if heat is not None:
        style = level_style(heat, look, warning=83, critical=93, fine=palette.text)
        pairs.append(Pair("", f"{heat:.0f}", degrees(look), style))
    if power is not None:
        pairs.append(Pair("", f"{power:.0f}" + (f"/{limit:.0f}" if limit else ""), "W"))
    if (clock := shown.get(f"gpu.clock.graphics:{name}")) is not None:
        pairs.append(Pair("", f"{clock / 1e6:.0f}", "MHz"))
    if (fan := shown.get(f"gpu.fan:{name}")) is not None:
        pairs.append(Pair("fan", ratio_text(fan, look)))
    if shown.get(f"gpu.throttled:{name}"):
        reasons = ", ".join(row.throttle) if row is not None else ""
        pairs.append(Pair("throttled", reasons or "yes", style=palette.warning))
    return [*lines, pairs_line(pairs, width, look=look)]
