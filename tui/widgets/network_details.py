"""All that is known of one interface: its range as bars, what it is, its rates, totals, best days and every counter."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from sysmon.bandwidth import total, used
from sysmon.units import format_bits, format_bytes, format_time
from tui.networkrange import day_text, range_words, steps_of
from tui.renderables.lines import Pair, centered, key_value, value_spans
from tui.renderables.text import Spans, blank, fit, fit_spans, spans_width, strip
from tui.renderables.usagechart import usage_chart
from tui.widgets.network_amounts import amount_head, amount_line
from tui.widgets.network_columns import count_text, total_texts
from tui.widgets.network_rows import Interface, rate_text, speed_text
from tui.widgets.network_scroll import GAP, ScrollPanel, heading, side_by_side, wrapped
from tui.widgets.network_totals import cap_lines

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import tzinfo

    from rich.style import Style
    from textual.strip import Strip

    from sysmon.bandwidth import Amount
    from sysmon.caps import Standing
    from tui.model import View
    from tui.networkread import RangeTold, Totals
    from tui.theme import Look

    _Line = Callable[..., Strip]

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
_BESIDE: Final = 76
"""Cells from which two blocks stand side by side; three from half as much again."""
_CHART_ROWS: Final = 16
"""Lines of room from which the bars are drawn above the rest."""


@dataclass(frozen=True, slots=True)
class Past:
    """What the history told of an interface, or why not.

    `told`: the range shown; `days`: the best, (start, amount) each; `note`: what vnStat's state is, where it is wrong;
    `since`: from when on anything is known, Unix milliseconds.
    """

    zone: tzinfo
    told: RangeTold | None = None
    totals: Totals | None = None
    days: tuple[tuple[int, Amount], ...] = ()
    p95: tuple[float | None, float | None] | None = None
    problem: str = ""
    note: str = ""
    caps: tuple[Standing, ...] = ()
    since: int | None = None


class InterfaceDetails(ScrollPanel):
    """The details of an interface; scrolls where they do not fit."""

    def __init__(self, *, id: str, focusable: bool = True) -> None:
        super().__init__("interface", id=id, focusable=focusable)
        self._view: View | None = None
        self._row: Interface | None = None
        self._past: Past | None = None
        self._bits = False

    def show(self, view: View, row: Interface | None, *, bits: bool, past: Past | None = None) -> None:
        """Show this interface.

        Args:
            view: the moment.
            row: the interface, or None.
            bits: whether rates are in bits per second.
            past: what the history told; None where it is not asked (beside the graph).
        """
        if row is None or self._row is None or row.key != self._row.key:
            self.to_top()
        self._view, self._row, self._bits, self._past = view, row, bits, past
        self._title = "interface" if row is None else "all that count" if row.members else row.name
        self.update_body()

    def lines(self, width: int, height: int) -> list[Strip]:
        """What it is and what it carries, one below the other, or side by side."""
        look, view, row = self.look, self._view, self._row
        if view is None or row is None:
            return centered(["no interface"], width, height, look=look)
        found = self._chart(width, height, look)
        blank_line = blank(width, look.palette.text)
        past = self._past
        if past is not None and width >= _BESIDE * 3 // 2:
            room = (width - 2 * GAP) // 3
            third = width - 2 * GAP - 2 * room
            blocks = [(third, self._about(row, third, look)), (room, self._numbers(view, row, room, look))]
            return [*found, *side_by_side([*blocks, (room, self._history(row, past, room, look))], look)]
        if width >= _BESIDE:
            right = min(56, width // 2)
            left = width - right - GAP
            about = self._about(row, left, look)
            if past is not None:
                about += [blank(left, look.palette.text), *self._history(row, past, left, look)]
            return [*found, *side_by_side([(left, about), (right, self._numbers(view, row, right, look))], look)]
        found += [*self._about(row, width, look), blank_line, *self._numbers(view, row, width, look)]
        if past is not None:
            found += [blank_line, *self._history(row, past, width, look)]
        return found

    def _chart(self, width: int, height: int, look: Look) -> list[Strip]:
        past, row = self._past, self._row
        if past is None or row is None or past.told is None or height < _CHART_ROWS:
            return []
        told = past.told
        steps = steps_of(told.period, told.buckets, row.names, past.zone)
        rows = max(6, min(40, height - 22))
        chart = usage_chart(
            steps, told.period.step, past.zone, width, rows, look=look, empty="nothing is known of this range"
        )  # fmt: skip
        title = heading(range_words(told.period, past.zone), width, look)
        return [title, *chart, blank(width, look.palette.text)]

    def _about(self, row: Interface, width: int, look: Look) -> list[Strip]:
        palette = look.palette
        if row.members:
            words = "These interfaces add up to the traffic of the host; bridges, bonds, VLANs, tunnels and the like "
            words += "lie on them, and their bytes would count twice."
            named = [key_value(Pair("" if index else "counts", name), width, look=look)
                     for index, name in enumerate(row.members)]  # fmt: skip
            return [*named, *wrapped(words, width, palette.faint)]
        state = row.state_word
        pairs = [
            Pair("state", state, style=palette.ok if row.up else palette.dim),
            Pair("kind", row.kind),
            Pair("default route", "yes" if row.default else "no", style=None if row.default else palette.dim),
            Pair("counts to the total", "yes" if row.counts else "no", style=None if row.counts else palette.dim),
            Pair("link speed", speed_text(row.speed)),
            Pair("MTU", None if row.mtu is None else f"{row.mtu}", "bytes"),
        ]
        if row.kind == "wifi" or row.signal is not None:
            pairs.append(Pair("network", row.network or None))
            pairs.append(Pair("signal", None if row.signal is None else f"{row.signal:.0f}", "dBm"))
        if row.flaps is not None:
            pairs.append(Pair("link came or went", f"{row.flaps:.0f}", "times"))
        if row.master:
            pairs.append(Pair("belongs to", row.master))
        if row.lower:
            pairs.append(Pair("lies on", ", ".join(row.lower)))
        lines = [key_value(pair, width, look=look) for pair in pairs]
        for index, address in enumerate(row.addresses or (None,)):
            lines.append(key_value(Pair("addresses" if not index else "", address), width, look=look))
        if row.speed is None and row.kind not in (None, "loopback"):
            words = "its driver tells no true speed, so there is no share of the link"
            lines += wrapped(words, width, palette.faint)
        return lines

    def _history(self, row: Interface, past: Past, width: int, look: Look) -> list[Strip]:
        """Totals by day and month, the best days, since when anything is known."""
        palette, glyphs = look.palette, look.glyphs
        lines: list[Strip] = []
        if past.problem:
            lines += wrapped(f"no totals: {past.problem}", width, palette.warning)
        if past.note:
            lines += wrapped(past.note, width, palette.dim)
        if past.totals is None:
            return lines
        totals = past.totals
        parts = (
            ("today", totals.today), ("yesterday", totals.yesterday), ("7 days", totals.week),
            ("this month", totals.month), ("last month", totals.last_month), ("all", totals.all),
        )  # fmt: skip

        lines.append(amount_head("totals", width, look))
        for name, amounts in parts:
            # One that is counted and not among them carried nothing, where anything was counted then.
            counted = name in ("today", "this month") and (row.today is not None or row.month is not None)
            known = {each: part for each in row.names if (part := used(amounts, each, counted=counted)) is not None}
            lines.append(amount_line(name, total(known) if known else None, width, look))
        if past.p95 is not None and None not in past.p95:
            rates = "  ".join(
                f"{mark} {format_bits(rate, short=True)}"
                for mark, rate in zip((glyphs.down, glyphs.up), past.p95, strict=True)
            )
            lines.append(key_value(Pair("p95 of month", rates, "bit/s"), width, look=look))
        if past.since is not None:
            known_since = format_time(past.since, past.zone)[:16].removesuffix(" 00:00")
            lines.append(key_value(Pair("known since", known_since), width, look=look))
        for stood in past.caps:
            lines += cap_lines(stood, width, look, past.zone)
        if past.days:
            lines += [blank(width, palette.text), heading("days with the most", width, look)]
            lines += [amount_line(day_text(start, past.zone, year=True), amount, width, look)
                      for start, amount in past.days]  # fmt: skip
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
            lines.append(line("of link", *(number(_percent(share)) for share in shares)))
        if not row.members:
            past = [
                [point for point in view.window.points(f"net.{way}_rate:{row.name}", SECONDS) if point is not None]
                for way in ("receive", "transmit")
            ]
            for label, figure in (("5m mean", _mean), ("5m peak", _peak)):
                lines.append(line(label, *(rate(figure(points)) for points in past)))
        for label, amount in (("today", row.today), ("this month", row.month)):
            texts: tuple[str | None, str | None] = (None, None)
            if amount is not None:
                texts = total_texts(amount, look, short=False)
            lines.append(line(label, *(number(text) for text in texts)))
        if row.members:
            return lines
        counted = [view.value(f"net.{way}:{row.name}") for way in ("receive", "transmit")]
        sums = (number(None if each is None else format_bytes(each)) for each in counted)
        lines.append(line("in all", *sums))
        lines += self._counters(view, row, line, look)
        rates = (("packets", row.packets), ("errors", row.errors), ("drops", row.drops))
        spans: Spans = []
        for label, value in rates:
            style = palette.critical if label != "packets" and value else palette.text if value else palette.faint
            piece: Spans = [("   " if spans else "", palette.text), (f"{label}/s ", palette.dim)]
            piece += _dash(look) if value is None else [(count_text(value), style)]
            if spans_width(spans) + spans_width(piece) <= width:
                spans += piece
        return [*lines, strip(spans, width, palette.text)]

    def _counters(self, view: View, row: Interface, line: _Line, look: Look) -> list[Strip]:
        palette = look.palette
        lines = []
        for label, *metrics in _COUNTERS:
            cells: list[Spans] = []
            for metric in metrics:
                value = view.value(f"{metric}:{row.name}") if metric else None
                bad = label in _BAD and bool(value)
                style = palette.warning if bad else palette.text if value else palette.faint
                cells.append([] if not metric else _dash(look) if value is None else [(f"{value:,.0f}", style)])
            if any(view.value(f"{metric}:{row.name}") is not None for metric in metrics if metric):
                lines.append(line(label, *cells))
        return lines


def _dash(look: Look) -> Spans:
    return [(look.glyphs.missing, look.palette.faint)]


def _percent(share: float | None) -> str | None:
    return None if share is None else f"{share * 100:.1f} %"


def _mean(points: list[float]) -> float | None:
    return sum(points) / len(points) if points else None


def _peak(points: list[float]) -> float | None:
    return max(points, default=None)
