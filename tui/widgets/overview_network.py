"""The overview's panel for network interfaces: the one of the default route as a graph, all others as lines."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Final

from sysmon.frame import InterfaceRow
from sysmon.units import format_bytes
from tui.renderables.graph import mirror_graph, with_corners
from tui.renderables.scale import nice_ceiling
from tui.renderables.spark import sparkline
from tui.renderables.text import Spans, fit, fit_spans, spans_width, strip
from tui.widgets.overview_base import Shown, ViewPanel, rate_spans, short_rate
from tui.widgets.overview_cpu import ticks

if TYPE_CHECKING:
    from textual.strip import Strip

    from tui.theme import Look

FLOOR: Final = 10 * 1024.0
"""The least ceiling of a graph of rates, bytes per second: a quiet line does not look busy."""

_LAST: Final = {"loopback": 2, "veth": 1}


def interfaces(shown: Shown) -> list[InterfaceRow]:
    """The interfaces: the default route's first, those that are up, then virtual ends and loopback."""
    known = {row.name: row for row in shown.view.state.tables.interfaces or []}
    rows = [known.get(name) or InterfaceRow(name=name, up=True) for name in shown.instances("net.receive")]
    return sorted(rows, key=lambda row: (not row.default_route, _LAST.get(row.kind, 0), not row.up, row.name))


def idle(shown: Shown, row: InterfaceRow) -> bool:
    """Whether an interface may be folded away: of a kind that seldom matters, and nothing on it."""
    if troubles(shown, row.name):
        return False
    quiet = not any(shown.get(f"net.{way}_rate:{row.name}") for way in ("receive", "transmit"))
    return quiet and (row.kind in _LAST or not row.up)


def troubles(shown: Shown, name: str) -> str:
    """Errors and drops per second in words; '' for none."""
    pieces = []
    for metric, word in (("net.errors", "err/s"), ("net.drops", "drop/s")):
        value = shown.get(f"{metric}:{name}")
        if value is not None and value > 0:
            pieces.append(f"{value:.0f} {word}" if value >= 1 else f"{value:.1f} {word}")
    return " ".join(pieces)


class NetworkPanel(ViewPanel):
    """All interfaces at once."""

    OPENS: ClassVar[str] = "network"
    COLLECTORS: ClassVar[tuple[str, ...]] = ("network",)

    def __init__(self) -> None:
        super().__init__("network", hotkey="3", id="network", padding=1)
        self._highs: dict[str, tuple[float, float]] = {}
        self._places: tuple[int, int, list[str]] = (0, 0, [])

    def subtitle(self, shown: Shown, look: Look) -> Spans:
        """The main interface with its rates."""
        rows = interfaces(shown)
        if not rows:
            return []
        palette = look.palette
        short = self.size.width < 60
        got, sent = (shown.get(f"net.{way}_rate:{rows[0].name}") for way in ("receive", "transmit"))
        return [
            (f"{rows[0].name} ", palette.strong),
            *rate_spans(look.glyphs.down, got, palette.hue("receive"), look, short=short),
            ("  ", palette.text),
            *rate_spans(look.glyphs.up, sent, palette.hue("transmit"), look, short=short),
        ]

    def missing(self, shown: Shown) -> str:
        """There may be none."""
        return "" if shown.instances("net.receive") else self.because(shown, "no network interfaces")

    def item_at(self, x: int, y: int) -> object:
        """The interface of a line."""
        left, top, names = self._places
        return names[y - top] if x >= left and 0 <= y - top < len(names) else ""

    def draw(self, shown: Shown, width: int, height: int, look: Look) -> list[Strip]:
        """The graph above, the other interfaces below it, beside it where the panel is wide and low."""
        rows = interfaces(shown)
        others = [row for row in rows[1:] if not idle(shown, row)]
        folded = [row for row in rows[1:] if idle(shown, row)]
        if width >= 100 and others and height < 12:
            side = min(52, width * 2 // 5)
            left = self._graph(shown, rows[0], width - side - 2, height, look)
            right = self._others(shown, others, folded, side, height, look)
            self._places = (width - side, 0, self._places[2])
            right += [strip([], side, look.palette.text)] * (height - len(right))
            gap = strip([], 2, look.palette.text)
            return [type(gap).join([one, gap, two]) for one, two in zip(left, right, strict=True)]
        wanted = len(others) + bool(folded)
        room = min(wanted, max(0, height - 3), max(1, height // 2) if height > 3 else 0)
        if room == 1 and not others:
            room = 0 if height < 6 else 1
        lines = self._graph(shown, rows[0], width, height - room, look)
        below = self._others(shown, others, folded, width, room, look)
        self._places = (0, len(lines), self._places[2])
        return lines + below

    def _graph(self, shown: Shown, row: InterfaceRow, width: int, height: int, look: Look) -> list[Strip]:
        name = row.name
        received = shown.points(f"net.receive_rate:{name}", width)
        sent = shown.points(f"net.transmit_rate:{name}", width)
        before = self._highs.get(name, (None, None))
        high = nice_ceiling(received, FLOOR, previous=before[0], base=1024)
        low = nice_ceiling(sent, FLOOR, previous=before[1], base=1024)
        self._highs[name] = (high, low)
        palette = look.palette
        lines = mirror_graph(
            received, sent, width, height, high_upper=high, high_lower=low, hue_upper=palette.hue("receive"),
            hue_lower=palette.hue("transmit"), look=look, ticks=ticks(shown) if height >= 6 else (),
            phase=shown.taken & 1,
        )  # fmt: skip
        trouble = troubles(shown, name)
        lines = with_corners(
            lines, look=look, top_left=format_bytes(high, per_second=True),
            bottom_left=format_bytes(low, per_second=True) if height >= 3 else "",
        )  # fmt: skip
        if trouble and lines:
            text = f" {look.glyphs.severity('critical')} {trouble} "
            over = strip([(text, palette.critical)], min(width, len(text)), palette.text)
            lines[0] = type(over).join([lines[0].crop(0, width - over.cell_length), over])
        return lines

    def _others(
        self, shown: Shown, rows: list[InterfaceRow], folded: list[InterfaceRow], width: int, room: int, look: Look
    ) -> list[Strip]:
        self._places = (0, 0, [])
        if room <= 0:
            return []
        fits = len(rows) + bool(folded) <= room
        kept = rows if fits else rows[: room - 1]
        if fits and len(kept) + len(folded) <= room:
            kept = [*kept, *folded]
            folded = []
        lines = [interface_line(shown, row, width, look) for row in kept]
        self._places = (0, 0, [row.name for row in kept])
        if not folded and fits:
            return lines
        more = len(rows) - len(kept)
        words = [f"+{more} more" if more else "", f"{len(folded)} idle: " if folded else ""]
        text = "  ".join(word for word in words if word) + ", ".join(row.name for row in folded)
        return [*lines, strip([(text, look.palette.faint)], width, look.palette.text, ellipsis=look.glyphs.ellipsis)]


def interface_line(shown: Shown, row: InterfaceRow, width: int, look: Look) -> Strip:
    """One interface: name, rates, the past of both where there is room, errors in red."""
    palette, glyphs = look.palette, look.glyphs
    receive, transmit = palette.hue("receive"), palette.hue("transmit")
    got, sent = shown.get(f"net.receive_rate:{row.name}"), shown.get(f"net.transmit_rate:{row.name}")
    name_width = 10 if width >= 34 else 7
    name: Spans = [(fit(row.name, name_width, ellipsis=glyphs.ellipsis), palette.text if row.up else palette.faint)]
    values: Spans = [
        (f" {glyphs.down}", receive.base), (f"{short_rate(got, look):>6}", palette.text if got else palette.faint),
        (f" {glyphs.up}", transmit.base), (f"{short_rate(sent, look):>6}", palette.text if sent else palette.faint),
    ]  # fmt: skip
    trouble = troubles(shown, row.name)
    room = width - spans_width(name) - spans_width(values) - 1
    if trouble or not row.up:
        # What is wrong is told in place of the past, so that the columns stay.
        words = f"{glyphs.severity('critical')} {trouble}" if trouble else "down"
        style = palette.critical if trouble else palette.warning
        middle = fit_spans([(words, style)], max(0, room), palette.text, ellipsis=glyphs.ellipsis)
        return strip([*name, (" ", palette.text), *middle, *values], width, palette.text, ellipsis=glyphs.ellipsis)
    if room < 4:
        return strip([*name, *values], width, palette.text, ellipsis=glyphs.ellipsis)
    room = min(room, 60)
    both = shown.past_sum((f"net.receive_rate:{row.name}", f"net.transmit_rate:{row.name}"), room)
    high = nice_ceiling(both, FLOOR, base=1024)
    bar = sparkline(both, room, low=0.0, high=high, hue=receive, look=look)
    return strip([*name, (" ", palette.text), *bar, *values], width, palette.text, ellipsis=glyphs.ellipsis)
