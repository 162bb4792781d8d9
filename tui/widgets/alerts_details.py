"""All about one alert, event or rule: in words, with who it was, and the series around its moment."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sysmon.frame import split_key
from sysmon.units import format_duration, format_time, format_value
from tui.renderables.graph import graph, time_axis, with_corners
from tui.renderables.lines import badge, centered
from tui.renderables.scale import nice_ceiling
from tui.renderables.text import Spans, blank, strip
from tui.widgets.alerts_rows import AlertRow, when
from tui.widgets.alerts_rules import in_words, plain
from tui.widgets.panel import Panel

if TYPE_CHECKING:
    from rich.style import Style
    from textual.strip import Strip

    from sysmon.catalogue import Catalogue
    from sysmon.config import Rule
    from tui.model import View
    from tui.theme import Look
    from tui.widgets.alerts_past import Surroundings

from tui.widgets.alerts_past import spread

_BESIDE = 90
"""Cells from which the graph stands beside the words."""


class AlertDetails(Panel):
    """What is selected, in words and as a picture."""

    def __init__(self) -> None:
        super().__init__("details", id="about", padding=1, focusable=False)
        self._view: View | None = None
        self._row: AlertRow | None = None
        self._rule: Rule | None = None
        self._around: Surroundings | None = None
        self._catalogue: Catalogue | None = None

    def show(
        self, view: View, row: AlertRow | None, rule: Rule | None, around: Surroundings | None, catalogue: Catalogue
    ) -> None:
        """Show a row, or a rule where there is no row.

        Args:
            view: the moment shown.
            row: the alert or event.
            rule: its rule, where this sysmon knows it.
            around: what history tells of it, once read.
            catalogue: units and help of metrics.
        """
        self._view, self._row, self._rule, self._around, self._catalogue = view, row, rule, around, catalogue
        self._title = "details" if row is None and rule is None else row.rule or row.state if row else ""
        if row is None and rule is not None:
            self._title = rule.name
        self.update_body()

    def render_body(self, width: int, height: int) -> list[Strip]:
        """Words at the left and the graph at the right, or one below the other."""
        look, view, catalogue = self.look, self._view, self._catalogue
        if view is None or catalogue is None or (self._row is None and self._rule is None):
            return centered(["nothing is selected"], width, height, look=look, style=look.palette.faint)
        has_graph = self._row is not None and bool(self._row.key)
        if not has_graph or (width < _BESIDE and height < 11):
            return self._words(view, catalogue, width, look)[:height]
        if width >= _BESIDE and height < 20:
            left = width // 2
            words = self._words(view, catalogue, left, look)[:height]
            words += [blank(left, look.palette.text)] * (height - len(words))
            gap = blank(3, look.palette.text)
            picture = self._picture(view, catalogue, width - left - 3, height, look)
            return [type(gap).join([one, gap, two]) for one, two in zip(words, picture, strict=True)]
        words = self._words(view, catalogue, width, look)[: height - 5]
        room = min(height - len(words) - 1, max(16, height * 6 // 10))
        return [*words, blank(width, look.palette.text), *self._picture(view, catalogue, width, room, look)]

    # -- words

    def _words(self, view: View, catalogue: Catalogue, width: int, look: Look) -> list[Strip]:
        palette, row, rule = look.palette, self._row, self._rule
        lines: list[Strip] = []
        if row is not None:
            tone = row.severity if row.group == "active" else "ok" if row.state == "resolved" else "info"
            head = badge(tone, {"acknowledged": "seen"}.get(row.state, row.state), look=look)
            head += [("  ", palette.text), (row.severity, palette.dim), ("  ", palette.text)]
            lines.append(strip([*head, *self._times(row, view)], width, palette.text, ellipsis=look.glyphs.ellipsis))
            lines += _wrapped(row.message, width, palette.strong, look)
        if rule is not None:
            if row is None:
                lines += _wrapped(f"{rule.metric} {rule.instance if rule.instance != '*' else ''}".strip(), width,
                                  palette.strong, look)  # fmt: skip
                metric = catalogue.get(rule.metric)
                if metric is not None and metric.help:
                    lines += _wrapped(metric.help + ".", width, palette.dim, look)
            lines += _wrapped(rule.help, width, palette.text, look)
            lines += _wrapped(in_words(rule, catalogue), width, palette.dim, look)
            if not rule.enabled:
                lines += _wrapped("This rule is off.", width, palette.warning, look)
        elif row is not None and row.rule:
            lines += _wrapped("This sysmon has no such rule: it is the recorder's.", width, palette.dim, look)
        return [*lines, *self._who(width, look)] if row is not None else lines

    def _times(self, row: AlertRow, view: View) -> Spans:
        palette = self.look.palette
        spans: Spans = [(format_time(row.since), palette.text)]
        if row.until is not None and row.lasted is not None:
            spans.append((f" to {when(row.until, row.since)}, {format_duration(row.lasted)}", palette.dim))
        elif row.group != "past":
            spans.append((f", for {format_duration(row.lasted, short=True)}", palette.dim))
        elif view.time >= row.since:
            spans.append((f", {format_duration((view.time - row.since) / 1000, short=True)} ago", palette.dim))
        if row.by:
            spans.append((f", seen by {row.by}", palette.dim))
        return spans

    def _who(self, width: int, look: Look) -> list[Strip]:
        palette, row, around = look.palette, self._row, self._around
        evidence = row.evidence if row is not None else ()
        if not evidence and around is not None:
            evidence = around.evidence
        lines: list[Strip] = []
        if around is not None and around.problem:
            lines += _wrapped(f"the history cannot be read: {around.problem}", width, palette.warning, look)
        for index, line in enumerate(evidence):
            label = "who was busy  " if not index else " " * 14
            spans: Spans = [(label, palette.dim), (line, palette.text)]
            lines.append(strip(spans, width, palette.text, ellipsis=look.glyphs.ellipsis))
        return lines

    # -- picture

    def _picture(self, view: View, catalogue: Catalogue, width: int, height: int, look: Look) -> list[Strip]:
        row = self._row
        if row is None or height < 3:
            return [blank(width, look.palette.text)] * height
        points, ticks = self._points(view, row, width)
        if not any(point is not None for point in points):
            words = "no readings of that time" if self._around is not None else f"reading{look.glyphs.ellipsis}"
            return centered([words], width, height, look=look, style=look.palette.faint)
        metric = split_key(row.key)[0]
        high = _ceiling(points, row)
        known = catalogue.get(metric)
        hue = look.palette.hue_for(metric)
        lines = graph(points, width, height - 1, low=0.0, high=high, hue=hue, look=look, threshold=row.threshold)
        top = plain(format_value(high, known.unit if known else "").replace(".0 ", " "), look)
        lines = with_corners(lines, look=look, top_left=top, top_right=row.subject)
        return [*lines, time_axis(width, ticks, look=look)]

    def _points(self, view: View, row: AlertRow, width: int) -> tuple[list[float | None], list[tuple[int, str]]]:
        """The series around the moment from history; of an alert that lasts, the last minutes as they come in."""
        count = 2 * width
        if row.group != "past" and row.host == view.info.id:
            points = view.window.recorded(row.key, count)
            if any(point is not None for point in points):
                now = "now" if view.live else when(view.time, view.time)
                return points, [(0, now), *((60 * each, f"{each}m") for each in (1, 2, 4, 8) if 60 * each < count)]
        around = self._around
        if around is None or around.series is None:
            return [], []
        span = max(1, around.end - around.start)
        moments = (around.start, row.moment, around.end)
        ticks = [(min(count - 2, (around.end - moment) * count // span), format_time(moment, date=False)[:5])
                 for moment in moments]  # fmt: skip
        return spread(around.series, around.start, around.end, count), ticks


def _ceiling(points: list[float | None], row: AlertRow) -> float:
    """A bound that shows the threshold too; ratios are always 0 to 100 %."""
    values = [*points, None if row.threshold is None else row.threshold * 1.1]
    if row.unit == "ratio" and max((value for value in values if value is not None), default=0.0) <= 1.1:
        return 1.0
    return nice_ceiling(values, 1e-3, base=1024 if row.unit.startswith("bytes") else 1000)


def _wrapped(text: str, width: int, style: Style, look: Look) -> list[Strip]:
    lines: list[str] = []
    for word in plain(text, look).split():
        if lines and len(lines[-1]) + 1 + len(word) <= width:
            lines[-1] += f" {word}"
        else:
            lines.append(word)
    return [strip([(line, style)], width, style, ellipsis=look.glyphs.ellipsis) for line in lines]
