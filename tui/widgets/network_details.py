"""All that is known of one interface: what it is, its rates, totals and every counter, both ways side by side."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from textual.binding import Binding, BindingType

from sysmon.units import format_bytes
from tui.renderables.lines import Pair, centered, key_value, value_spans
from tui.renderables.text import Spans, blank, fit, fit_spans, spans_width, strip
from tui.widgets.network_columns import count_text, total_texts
from tui.widgets.network_rows import Interface, rate_text, speed_text
from tui.widgets.panel import Panel

if TYPE_CHECKING:
    from rich.style import Style
    from textual.strip import Strip

    from tui.model import View
    from tui.theme import Look

SECONDS = 300
"""The window of mean and peak."""

_COUNTERS = (
    ("packets", "net.receive.packets", "net.transmit.packets"),
    ("errors", "net.receive.errors", "net.transmit.errors"),
    ("drops", "net.receive.drops", "net.transmit.drops"),
    ("multicast", "net.receive.multicast", ""),
    ("collisions", "", "net.transmit.collisions"),
)
_BAD = ("errors", "drops", "collisions")
_BESIDE = 76
"""Cells from which both blocks stand side by side."""


class InterfaceDetails(Panel):
    """The details of an interface; scrolls where they do not fit."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "scroll_lines(-1)", "Up", show=False),
        Binding("down,j", "scroll_lines(1)", "Down", show=False),
        Binding("pageup", "scroll_lines(-8)", "Page up", show=False),
        Binding("pagedown", "scroll_lines(8)", "Page down", show=False),
    ]

    def __init__(self, *, id: str, focusable: bool = True) -> None:
        super().__init__("interface", id=id, padding=1, focusable=focusable)
        self._view: View | None = None
        self._row: Interface | None = None
        self._bits = False
        self._problem = ""
        self._top = 0
        self._length = 0

    def show(self, view: View, row: Interface | None, *, bits: bool, problem: str = "") -> None:
        """Show this interface.

        Args:
            view: the moment.
            row: the interface, or None.
            bits: whether rates are in bits per second.
            problem: why there are no totals.
        """
        if row is None or self._row is None or row.name != self._row.name:
            self._top = 0
        self._view, self._row, self._bits, self._problem = view, row, bits, problem
        self._title = "interface" if row is None else row.name
        self.update_body()

    def action_scroll_lines(self, lines: int) -> None:
        """Scroll."""
        self._top += lines
        self.update_body()

    def on_mouse_scroll_down(self) -> None:
        """Scroll."""
        self.action_scroll_lines(3)

    def on_mouse_scroll_up(self) -> None:
        """Scroll."""
        self.action_scroll_lines(-3)

    def scroll_thumb(self, height: int) -> tuple[int, int]:
        """Where the visible lines lie among all."""
        if self._length <= height or height < 2:
            return 0, 0
        size = max(1, height * height // self._length)
        start = round(self._top / (self._length - height) * (height - size))
        return start, start + size

    def render_body(self, width: int, height: int) -> list[Strip]:
        """What it is and what it carries, one below the other, or side by side."""
        look, view, row = self.look, self._view, self._row
        if view is None or row is None:
            return centered(["no interface"], width, height, look=look)
        if width >= _BESIDE:
            right = min(56, width // 2)
            left = width - right - 4
            first, second = self._about(row, left, look), self._numbers(view, row, right, look)
            rows = max(len(first), len(second))
            fill, gap = look.palette.text, blank(4, look.palette.text)
            first += [blank(left, fill)] * (rows - len(first))
            second += [blank(right, fill)] * (rows - len(second))
            lines = [type(gap).join([one, gap, two]) for one, two in zip(first, second, strict=True)]
        else:
            lines = [
                *self._about(row, width, look),
                blank(width, look.palette.text),
                *self._numbers(view, row, width, look),
            ]
        self._length = len(lines)
        self._top = max(0, min(self._top, len(lines) - height))
        return lines[self._top : self._top + height]

    def _about(self, row: Interface, width: int, look: Look) -> list[Strip]:
        palette = look.palette
        state = None if row.up is None else "up" if row.up else "down"
        pairs = [
            Pair("state", state, style=palette.ok if row.up else palette.dim),
            Pair("kind", row.kind),
            Pair("default route", "yes" if row.default else "no", style=None if row.default else palette.dim),
            Pair("link speed", speed_text(row.speed)),
            Pair("MTU", None if row.mtu is None else f"{row.mtu}", "bytes"),
        ]
        if row.master:
            pairs.append(Pair("belongs to", row.master))
        lines = [key_value(pair, width, look=look) for pair in pairs]
        for index, address in enumerate(row.addresses or (None,)):
            lines.append(key_value(Pair("addresses" if not index else "", address), width, look=look))
        if row.speed is None and row.kind not in (None, "loopback"):
            words = "its driver tells no true speed, so there is no share of the link"
            lines += _wrapped(words, width, palette.faint)
        if self._problem:
            lines += _wrapped(f"no totals: {self._problem}", width, palette.warning)
        return lines

    def _numbers(self, view: View, row: Interface, width: int, look: Look) -> list[Strip]:
        palette, glyphs = look.palette, look.glyphs
        column = max(10, min(15, (width - 12) // 2))
        name = width - 2 * column - 1

        def line(label: str, *sides: Spans) -> Strip:
            cells: Spans = [(fit(label, name - 1, ellipsis=glyphs.ellipsis), palette.dim)]
            for side in sides:
                cells.append((" ", palette.text))
                cells += fit_spans(side, column, palette.text, align="right", ellipsis=glyphs.ellipsis)
            return strip(cells, width, palette.text, ellipsis=glyphs.ellipsis)

        def number(text: str | None, style: Style | None = None) -> Spans:
            return _dash(look) if text is None else value_spans(text, style or palette.text, look)

        def rate(value: float | None, style: Style | None = None) -> Spans:
            return number(None if value is None else rate_text(value, bits=self._bits), style)

        receive, transmit = palette.hue("receive").base, palette.hue("transmit").base
        lines = [line("", [(f"{glyphs.down} receive", receive)], [(f"{glyphs.up} transmit", transmit)])]
        lines.append(line("now", rate(row.receive, palette.strong), rate(row.transmit, palette.strong)))
        if row.speed:
            shares = [None if each is None else each / row.speed for each in (row.receive, row.transmit)]
            lines.append(line("of the link", *(number(_percent(share)) for share in shares)))
        past = [
            [point for point in view.window.points(f"net.{way}_rate:{row.name}", SECONDS) if point is not None]
            for way in ("receive", "transmit")
        ]
        for label, figure in (("5m mean", _mean), ("5m peak", _peak)):
            lines.append(line(label, *(rate(figure(points)) for points in past)))
        for label, total in (("today", row.today), ("this month", row.month)):
            texts = (None, None) if total is None else total_texts(total, look, short=False)
            lines.append(line(label, *(number(text) for text in texts)))
        counted = [view.value(f"net.{way}:{row.name}") for way in ("receive", "transmit")]
        sums = (number(None if each is None else format_bytes(each)) for each in counted)
        lines.append(line("in all", *sums))
        for label, *metrics in _COUNTERS:
            cells: list[Spans] = []
            for metric in metrics:
                value = view.value(f"{metric}:{row.name}") if metric else None
                bad = label in _BAD and bool(value)
                style = palette.warning if bad else palette.text if value else palette.faint
                cells.append([] if not metric else _dash(look) if value is None else [(f"{value:,.0f}", style)])
            if any(view.value(f"{metric}:{row.name}") is not None for metric in metrics if metric):
                lines.append(line(label, *cells))
        rates = (("packets", row.packets), ("errors", row.errors), ("drops", row.drops))
        spans: Spans = []
        for label, value in rates:
            style = palette.critical if label != "packets" and value else palette.text if value else palette.faint
            piece: Spans = [("   " if spans else "", palette.text), (f"{label}/s ", palette.dim)]
            piece += _dash(look) if value is None else [(count_text(value), style)]
            if spans_width(spans) + spans_width(piece) <= width:
                spans += piece
        return [*lines, strip(spans, width, palette.text)]


def _dash(look: Look) -> Spans:
    return [(look.glyphs.missing, look.palette.faint)]


def _percent(share: float | None) -> str | None:
    return None if share is None else f"{share * 100:.1f} %"


def _mean(points: list[float]) -> float | None:
    return sum(points) / len(points) if points else None


def _peak(points: list[float]) -> float | None:
    return max(points, default=None)


def _wrapped(text: str, width: int, style: Style) -> list[Strip]:
    lines: list[str] = []
    for word in text.split():
        if lines and len(lines[-1]) + 1 + len(word) <= width:
            lines[-1] += f" {word}"
        else:
            lines.append(word)
    return [strip([(line, style)], width, style) for line in lines]
