"""What all interfaces that count carried: today, this month and what it will come to, its 95th percentile, and caps."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from sysmon.bandwidth import Amount, estimate
from sysmon.units import format_bits, format_bytes
from sysmon.zones import span_of
from tui.networkrange import day_text
from tui.renderables.lines import Pair, centered, pairs_line
from tui.renderables.meter import meter
from tui.renderables.text import Spans, beside, fit, strip
from tui.widgets.network_columns import marked
from tui.widgets.panel import Panel

if TYPE_CHECKING:
    from datetime import tzinfo

    from textual.strip import Strip

    from sysmon.caps import Standing
    from tui.theme import Look

_TABLE: Final = 5
"""Lines of the table."""


@dataclass(frozen=True, slots=True)
class Sums:
    """The figures of a moment; what is None is not known (yet), and `problem` says why."""

    time: int
    zone: tzinfo
    members: tuple[str, ...] = ()
    today: Amount | None = None
    month: Amount | None = None
    p95: tuple[float | None, float | None] | None = None
    caps: tuple[Standing, ...] = ()
    problem: str = ""
    live: bool = True
    known: int | None = None
    """From when on it is known what went through this month, where that is not its first moment."""

    @property
    def coming(self) -> int | None:
        """What the month will come to if it goes on as it began."""
        if self.month is None:
            return None
        start, end = span_of(self.time, "month", self.zone)
        return estimate(self.month.total, start, self.time, end, self.known)


class TotalsPanel(Panel):
    """A table of few lines; one line for all where there is no room for more."""

    def __init__(self, *, id: str) -> None:
        super().__init__("totals", id=id, padding=1, focusable=False)
        self._sums: Sums | None = None

    def show(self, sums: Sums) -> None:
        """Show these."""
        if sums == self._sums:
            return
        self._sums = sums
        count = len(sums.members)
        of = "" if not count else f"of {sums.members[0]}" if count == 1 else f"of {count} interfaces"
        self.set_frame(subtitle=of, update=False)
        self.update_body()

    def render_body(self, width: int, height: int) -> list[Strip]:
        """The figures."""
        sums, look = self._sums, self.look
        if sums is None:
            return []
        if sums.problem and sums.month is None:
            return centered(["no totals:", sums.problem], width, height, look=look)
        if not sums.members:
            return centered(["no interface counts"], width, height, look=look)
        if height < _TABLE:
            return _short(sums, width, look)[:height]
        caps = [cap_lines(each, width, look, sums.zone) for each in sums.caps]
        if len(caps) and height < _TABLE + 2 * len(caps):
            # A cap says more than what the month will come to.
            return [*_short(replace(sums, caps=()), width, look), *(line for lines in caps for line in lines)][:height]
        return [*_table(sums, width, look), *(line for lines in caps for line in lines)]


def _sizes(amount: Amount | None, look: Look) -> tuple[str, str, str]:
    if amount is None:
        return (look.glyphs.missing,) * 3
    received, sent, both = (
        marked(format_bytes(size, short=True), amount.mark, look) for size in (*amount[:2], amount.total)
    )
    return received, sent, both


def _table(sums: Sums, width: int, look: Look) -> list[Strip]:
    palette, glyphs = look.palette, look.glyphs
    column = max(7, min(10, (width - 10) // 3))

    def line(name: str, *cells: tuple[str, bool]) -> Strip:
        spans: Spans = [(fit(name, width - 3 * column, ellipsis=glyphs.ellipsis), palette.dim)]
        for text, strong in cells:
            style = palette.faint if text == glyphs.missing else palette.strong if strong else palette.text
            spans.append((fit(text, column, align="right", ellipsis=glyphs.ellipsis), style))
        return strip(spans, width, palette.text, ellipsis=glyphs.ellipsis)

    head: Spans = [(" " * (width - 3 * column), palette.text)]
    for text, style in (
        (f"{glyphs.down} recv", palette.hue("receive").base), (f"{glyphs.up} sent", palette.hue("transmit").base),
        ("both", palette.dim),
    ):  # fmt: skip
        head.append((fit(text, column, align="right", ellipsis=glyphs.ellipsis), style))
    lines = [strip(head, width, palette.text)]
    for name, amount in (("today", sums.today), ("month", sums.month)):
        received, sent, both = _sizes(amount, look)
        lines.append(line(name, (received, False), (sent, False), (both, True)))
    coming = sums.coming
    if sums.live or coming is not None:
        text = glyphs.missing if coming is None else marked(format_bytes(coming, short=True), "~", look)
        lines.append(line("will be", ("", False), ("", False), (text, False)))
    rates = [format_bits(rate, short=True) for rate in sums.p95 or (None, None)]
    rates = [glyphs.missing if sums.p95 is None or each is None else text
             for text, each in zip(rates, sums.p95 or (None, None), strict=True)]  # fmt: skip
    lines.append(line("p95 bit/s", (rates[0], False), (rates[1], False), ("", False)))
    return lines


def _short(sums: Sums, width: int, look: Look) -> list[Strip]:
    """One line for the sums and one for the rest."""
    today, month = _sizes(sums.today, look), _sizes(sums.month, look)
    down, up = look.glyphs.down, look.glyphs.up
    coming = sums.coming
    first = [
        Pair("today", f"{down}{today[0]} {up}{today[1]}" if sums.today is not None else None),
        Pair("month", f"{down}{month[0]} {up}{month[1]}" if sums.month is not None else None),
        Pair("will be", None if coming is None else marked(format_bytes(coming, short=True), "~", look)),
    ]
    second = [
        Pair(each.cap.name, f"{cap_percent(each)} of {format_bytes(each.cap.limit, short=True)}") for each in sums.caps
    ]
    rates = sums.p95 or (None, None)
    if None not in rates:
        second.append(Pair("p95", " ".join(
            f"{mark}{format_bits(rate, short=True)}" for mark, rate in zip((down, up), rates, strict=True)
        ), "bit/s"))  # fmt: skip
    lines = [pairs_line(first, width, look=look)]
    return [*lines, pairs_line(second, width, look=look)] if second else lines


def cap_percent(stood: Standing) -> str:
    """How much of a cap is used."""
    return f"{stood.utilization * 100:.0f} %"


def cap_lines(stood: Standing, width: int, look: Look, zone: tzinfo) -> list[Strip]:
    """A cap's name with a bar, and below it how much that is and when it begins anew."""
    palette = look.palette
    cap, part = stood.cap, stood.utilization
    style = palette.critical if part >= 1 else palette.warning if part >= 0.9 else None
    percent = cap_percent(stood)
    name = fit(f"cap {cap.name}", min(max(8, width // 3), len(cap.name) + 4), ellipsis=look.glyphs.ellipsis)
    room = max(0, width - len(name) - len(percent) - 2)
    bar = meter(min(1.0, part), room, low=0.0, high=1.0, hue=palette.hue("receive"), look=look, style=style)
    first: Spans = [(name, palette.dim), (" ", palette.text), *bar, (" ", palette.text)]
    first.append((percent, style or palette.strong))
    used = marked(format_bytes(stood.used), stood.amount.mark, look)
    ways = {"both": "", "receive": " received", "transmit": " sent", "larger": " one way"}[cap.count]
    left: Spans = [(f"  {used} of {format_bytes(cap.limit)}{ways}".replace(".0 ", " "), palette.text)]
    right: Spans = [(f"anew {day_text(stood.end, zone)}", palette.dim)]
    return [
        strip(first, width, palette.text),
        strip(beside(left, right, width, palette.text, ellipsis=look.glyphs.ellipsis), width, palette.text),
    ]
