"""All that is known of one device of a router: what it moves and moved, who it is, and by what services."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from sysmon.bandwidth import Amount
from sysmon.units import format_bytes, format_time
from tui.devicerows import RATES, Device
from tui.devicewords import limits, source_label
from tui.networkrange import range_words, steps_of
from tui.renderables.graph import mirror_graph, with_corners
from tui.renderables.lines import Pair, centered, key_value, value_spans
from tui.renderables.text import Spans, blank, fit, strip
from tui.renderables.usagechart import usage_chart
from tui.timeticks import time_ticks
from tui.widgets.network_amounts import amount_head, amount_line
from tui.widgets.network_chart import amount_spans
from tui.widgets.network_columns import share_spans
from tui.widgets.network_rows import rate_text, round_text, traffic_ceiling
from tui.widgets.network_scroll import GAP, ScrollPanel, heading, side_by_side, wrapped
from tui.widgets.network_totals import cap_lines

if TYPE_CHECKING:
    from datetime import tzinfo

    from textual.strip import Strip

    from sysmon.caps import Standing
    from tui.model import View
    from tui.networkread import RangeTold, Totals
    from tui.theme import Look

_BESIDE: Final = 84
"""Cells from which blocks stand side by side; three from half as much again."""
_CHARTS: Final = 16
"""Lines of room from which there are graphs."""


@dataclass(frozen=True, slots=True)
class DevicePast:
    """What the history told of a device, or why not.

    `ranged`: whether a range is shown rather than now; `reset`: since somebody began counting anew, (when, amount).
    """

    zone: tzinfo
    told: RangeTold | None = None
    totals: Totals | None = None
    reset: tuple[int, Amount | None] | None = None
    caps: tuple[Standing, ...] = ()
    problem: str = ""
    ranged: bool = False


class DevicePage(ScrollPanel):
    """The page of one device; scrolls where it does not fit."""

    def __init__(self, *, id: str) -> None:
        super().__init__("device", id=id)
        self._view: View | None = None
        self._device: Device | None = None
        self._past: DevicePast | None = None
        self._bits = False
        self._ceilings: tuple[str, float | None, float | None] = ("", None, None)

    def show(self, view: View, device: Device | None, past: DevicePast, *, bits: bool) -> None:
        """Show this device.

        Args:
            view: the moment.
            device: which, or None where there is none any more.
            past: what the history told.
            bits: whether rates are in bits per second.
        """
        if device is None or self._device is None or device.key != self._device.key:
            self.to_top()
        self._view, self._device, self._past, self._bits = view, device, past, bits
        self._title = "device" if device is None else device.label
        self._subtitle = [] if device is None else self._now(device)
        self.update_body()

    def _now(self, device: Device) -> Spans:
        palette, glyphs = self.look.palette, self.look.glyphs
        spans: Spans = []
        hues = palette.hue("receive"), palette.hue("transmit")
        for mark, value, hue in zip((glyphs.down, glyphs.up), (device.receive, device.transmit), hues, strict=True):
            text = glyphs.missing if value is None else rate_text(value, bits=self._bits)
            spans += [("  " if spans else "", palette.text), (f"{mark} ", hue.base)]
            spans += value_spans(text, palette.strong, self.look)
        return spans

    def lines(self, width: int, height: int) -> list[Strip]:
        """Graphs above, blocks below, beside each other where there is room."""
        look, view, device, past = self.look, self._view, self._device, self._past
        if view is None or device is None or past is None:
            return centered(["this device is not known at this moment"], width, height, look=look)
        found = self._graphs(view, device, past, width, height, look)
        fill = blank(width, look.palette.text)
        if width >= _BESIDE * 3 // 2:
            room = (width - 2 * GAP) // 3
            blocks = [
                (width - 2 * GAP - 2 * room, self._about(device, past, width - 2 * GAP - 2 * room, look)),
                (room, self._totals(device, past, room, look)),
                (room, self._services(view, device, room, look)),
            ]
            return [*found, *side_by_side(blocks, look)]
        if width >= _BESIDE:
            right = (width - GAP) // 2
            left = width - GAP - right
            second = [*self._totals(device, past, right, look), blank(right, look.palette.text),
                      *self._services(view, device, right, look)]  # fmt: skip
            return [*found, *side_by_side([(left, self._about(device, past, left, look)), (right, second)], look)]
        found += [*self._about(device, past, width, look), fill, *self._totals(device, past, width, look)]
        return [*found, fill, *self._services(view, device, width, look)]

    # -- graphs

    def _graphs(self, view: View, device: Device, past: DevicePast, width: int, height: int, look: Look) -> list[Strip]:
        if height < _CHARTS:
            return []
        rows = max(6, min(40, height - 22))
        if width >= _BESIDE:
            left = (width - GAP) // 2
            right = width - GAP - left
            rates, bars = self._rates(view, device, left, rows, look), self._range(past, device, right, rows, look)
            return [*side_by_side([(left, rates), (right, bars)], look), blank(width, look.palette.text)]
        one = (
            self._range(past, device, width, rows, look)
            if past.ranged
            else self._rates(view, device, width, rows, look)
        )
        return [*one, blank(width, look.palette.text)]

    def _rates(self, view: View, device: Device, width: int, rows: int, look: Look) -> list[Strip]:
        count = 2 * width
        upper, lower = (view.window.recorded(f"{metric}:{device.key}", count) for metric in RATES)
        title = heading("now, by the router's steps", width, look)
        if not any(point is not None for point in (*upper, *lower)):
            words = "no rates of these minutes"
            if view.live:
                words = "no rates yet: they come with the second look"
                if device.rate is not None:
                    words = "of so many devices the last minutes are not kept"
            return [title, *centered([words], width, rows, look=look, style=look.palette.faint)]
        key = f"{view.info.id} {device.key} {self._bits}"
        before = self._ceilings[1:] if self._ceilings[0] == key else (None, None)
        highs = tuple(
            traffic_ceiling(points, held, bits=self._bits) for points, held in zip((upper, lower), before, strict=True)
        )
        self._ceilings = (key, highs[0], highs[1])
        lines = mirror_graph(
            upper, lower, width, rows, high_upper=highs[0], high_lower=highs[1], look=look,
            hue_upper=look.palette.hue("receive"), hue_lower=look.palette.hue("transmit"), ticks=time_ticks(view),
            phase=(view.window.end or 0) & 1,
        )  # fmt: skip
        labels = [round_text(rate_text(high, bits=self._bits)) for high in highs]
        return [title, *with_corners(lines, look=look, top_left=labels[0], bottom_left=labels[1])]

    def _range(self, past: DevicePast, device: Device, width: int, rows: int, look: Look) -> list[Strip]:
        told = past.told
        if told is None:
            words = past.problem or f"reading{look.glyphs.ellipsis}"
            return [heading("range", width, look), *centered([words], width, rows, look=look)]
        steps = steps_of(told.period, told.buckets, (device.key,), past.zone)
        amount = told.amounts.get(device.key)
        right = amount_spans(amount, look) if amount is not None else None
        chart = usage_chart(
            steps, told.period.step, past.zone, width, rows, look=look, empty="nothing is known of this range"
        )  # fmt: skip
        return [heading(range_words(told.period, past.zone), width, look, right), *chart]

    # -- blocks

    def _about(self, device: Device, past: DevicePast, width: int, look: Look) -> list[Strip]:
        palette, who = look.palette, device.row
        state = None if device.online is None else "online" if device.online else "offline"
        called = f"{who.name} ({who.name_from})" if who.name and who.name_from else who.name
        sort = f"{device.category}{'' if device.given_category else ' (guessed)'}" if device.category else None
        pairs = [
            Pair("name", device.label, style=palette.strong),
            *([Pair("called by the network", called)] if device.alias and called else []),
            *([Pair("told by", who.name_from)] if not device.alias and who.name_from else []),
            Pair("state", state, style=palette.ok if device.online else palette.dim),
        ]
        pairs += [Pair("" if index else "addresses", each) for index, each in enumerate(who.addresses or [None])]
        pairs += [Pair("MAC", who.mac or None), Pair("vendor", who.vendor or None), Pair("sort of device", sort)]
        if who.network:
            pairs.append(Pair("in the network", who.network))
        if device.signal is not None:
            pairs.append(Pair("signal", f"{device.signal:.0f}", "dBm"))
        connections = None if device.connections is None else f"{device.connections:.0f}"
        pairs.append(Pair("connections", connections))
        for name, time in (("first seen", device.first), ("last seen", device.last)):
            pairs.append(Pair(name, None if time is None else format_time(time, past.zone)[:16]))
        pairs.append(Pair("counted by", source_label(who) or "nothing"))
        lines = [key_value(pair, width, look=look) for pair in pairs]
        return [heading("who it is", width, look), *lines, *wrapped(limits(who), width, palette.faint)]

    def _totals(self, device: Device, past: DevicePast, width: int, look: Look) -> list[Strip]:
        lines = [amount_head("totals", width, look)]
        if past.problem:
            return [*lines, *wrapped(f"no totals: {past.problem}", width, look.palette.warning)]
        if past.totals is None:
            return [*lines, strip([(f"reading{look.glyphs.ellipsis}", look.palette.dim)], width, look.palette.text)]
        told = past.totals
        # Of the range shown the table's own figure: it was asked for all devices, and knows who moved nothing.
        shown = past.told.period.name if past.told is not None else ""
        for name, range_name, amounts in (
            ("today", "today", told.today), ("yesterday", "", told.yesterday), ("7 days", "7d", told.week),
            ("this month", "month", told.month), ("last month", "", told.last_month), ("all", "all", told.all),
        ):  # fmt: skip
            amount = amounts.get(device.key, device.amount if range_name == shown else None)
            lines.append(amount_line(name, amount, width, look))
        if past.reset is not None:
            since = format_time(past.reset[0], past.zone)[5:16]
            lines.append(amount_line(f"since {since}", past.reset[1], width, look))
        for cap in past.caps:
            lines += cap_lines(cap, width, look, past.zone)
        return lines

    def _services(self, view: View, device: Device, width: int, look: Look) -> list[Strip]:
        palette, glyphs = look.palette, look.glyphs
        lines = [amount_head("by service", width, look)]
        services = device.row.services if view.status.state != "replay" else []
        if not services:
            words = "what it talked by is not kept for the past" if view.status.state == "replay" else (
                "its source does not tell services" if device.row.source else "nothing counts its services"
            )  # fmt: skip
            return [*lines, *wrapped(words, width, palette.faint)]
        whole = sum(each.received + each.sent for each in services)
        for each in services:
            both = each.received + each.sent
            lines.append(amount_line(each.name, Amount(each.received, each.sent), width, look))
            if width >= 40 and whole:
                told = "" if each.connections is None else f"{each.connections} connections"
                room = max(10, width // 2)
                spans: Spans = [(fit(f"  {told}", width - room, ellipsis=glyphs.ellipsis), palette.faint)]
                lines.append(strip([*spans, *share_spans(both / whole, room, look)], width, palette.text))
        words = f"{format_bytes(whole)} in the counting period of the source"
        return [*lines, *wrapped(words, width, palette.faint)]
