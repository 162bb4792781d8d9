"""The columns of the table of interfaces."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sysmon.units import format_bytes
from tui.renderables.columns import Column
from tui.renderables.lines import value_spans
from tui.renderables.meter import meter
from tui.renderables.spark import sparkline
from tui.widgets.network_rows import FLOOR, Interface, rate_text, speed_text

if TYPE_CHECKING:
    from collections.abc import Callable

    from rich.style import Style

    from sysmon.bandwidth import Amount
    from tui.palette import HueName
    from tui.renderables.text import Spans
    from tui.theme import Look

    Rows = Callable[[Interface], Amount | None]


def columns(*, bits: bool, size: str = "", ranged: bool = False) -> list[Column[Interface]]:
    """The columns from left to right.

    Args:
        bits: whether rates are in bits per second.
        size: "tiny", "narrow", "" or "wide": how much room there is.
        ranged: whether the totals of a range are shown rather than the rates of now.
    """
    tiny = size == "tiny"
    if ranged:
        return _ranged(bits=bits, tiny=tiny)
    found: list[Column[Interface]] = [
        Column("name", "INTERFACE", width=None, min_width=12, fraction=0.4, spans=_name),
        _counts(9),
        _text("kind", "KIND", 9, 6, lambda row: row.kind),
        Column("state", "STATE", width=7, priority=2, spans=_state),
        _text("speed", "SPEED", 10, 5, lambda row: speed_text(row.speed), right=True),
        _rate("receive", "RECEIVE", "receive", lambda row: row.receive, bits=bits),
        _spark("receive_past", "receive", lambda row: row.received),
        _rate("transmit", "TRANSMIT", "transmit", lambda row: row.transmit, bits=bits),
        _spark("transmit_past", "transmit", lambda row: row.transmitted),
        Column("link", "LINK", width=4, align="right", priority=3, spans=_link),
        _count("packets", "PKT/S", 6, 7, lambda row: row.packets),
        _trouble("errors", "ERR/S", lambda row: row.errors),
        _trouble("drops", "DROP/S", lambda row: row.drops),
        _total("today", "TODAY", 9, lambda row: row.today),
        _total("month", "MONTH", 8, lambda row: row.month),
        _text("signal", "SIGNAL", 7, 10, signal_text, right=True),
        _text("mtu", "MTU", 5, 11, lambda row: None if row.mtu is None else str(row.mtu), right=True),
        _text("master", "MASTER", 9, 12, lambda row: row.master or "", faint=True),
        Column("address", "ADDRESS", width=None, min_width=16, fraction=0.6, priority=10, cut="middle", spans=_address),
    ]  # fmt: skip
    return [column for column in found if not tiny or column.key in ("name", "receive", "transmit", "errors")]


def _ranged(*, bits: bool, tiny: bool) -> list[Column[Interface]]:
    found: list[Column[Interface]] = [
        Column("name", "INTERFACE", width=None, min_width=12, fraction=0.4, spans=_name),
        _counts(2),
        _text("kind", "KIND", 9, 6, lambda row: row.kind),
        Column("state", "STATE", width=7, priority=5, spans=_state),
        amount_column("received", "RECEIVED", 1, lambda row: row.amount, 0),
        amount_column("sent", "SENT", 1, lambda row: row.amount, 1),
        amount_column("total", "TOTAL", 0, lambda row: row.amount, None),
        Column("share", "SHARE", width=None, min_width=9, fraction=0.3, align="right", priority=3, spans=_share),
        _spark("past", "receive", lambda row: row.past, floor=1.0, fraction=0.8, stretch=True),
        _rate("receive", "RECEIVE", "receive", lambda row: row.receive, bits=bits, priority=7),
        _rate("transmit", "TRANSMIT", "transmit", lambda row: row.transmit, bits=bits, priority=7),
        _trouble("errors", "ERR/S", lambda row: row.errors),
    ]
    return [column for column in found if not tiny or column.key in ("name", "received", "sent", "total")]


def _counts(priority: int) -> Column[Interface]:
    def spans(row: Interface, _width: int, look: Look) -> Spans:
        return [(look.glyphs.bullet if row.counts else "", look.palette.ok)]

    return Column("counts", "+", width=1, priority=priority, spans=spans)


def signal_text(row: Interface) -> str | None:
    """The signal of a wireless link; nothing where there is no link to have one."""
    return f"{row.signal:.0f} dBm" if row.signal is not None else None if row.kind == "wifi" else ""


def amount_column(
    key: str, title: str, priority: int, amount: Callable[[Any], Amount | None], way: int | None, width: int = 9
) -> Column[Any]:
    """What went through one way, or both where `way` is None; with its mark where it is not exact."""

    def spans(row: Any, _width: int, look: Look) -> Spans:
        found = amount(row)
        if found is None:
            return _missing(look)
        size = found.total if way is None else found[way]
        palette = look.palette
        style = palette.faint if not size else palette.hue("receive" if way == 0 else "transmit").base
        if way is None and size:
            style = palette.strong
        return [(marked(format_bytes(size, short=True), found.mark, look), style)]

    return Column(key, title, width=width, align="right", priority=priority, spans=spans)


def marked(text: str, mark: str, look: Look) -> str:
    """A number with the mark of one that is not exact, in the characters there are."""
    return (">" if mark == "≥" and look.glyphs.ascii else mark) + text


def share_spans(part: float | None, width: int, look: Look, *, dim: bool = False) -> Spans:
    """A share as a bar with its percentage, the latter alone where room is short."""
    if part is None:
        return _missing(look)
    text = f"{part * 100:.1f}%" if 0 < part < 0.0995 else f"{part * 100:.0f}%"
    style = look.palette.faint if not part or dim else look.palette.text
    room = width - 6
    if room < 3:
        return [(text, style)]
    bar = meter(part, room, low=0.0, high=1.0, hue=look.palette.hue("receive"), look=look)
    return [*bar, (f"{text:>6}", style)]


def _share(row: Interface, width: int, look: Look) -> Spans:
    return [] if row.share is None and not row.counts else share_spans(row.share, width, look)


def _missing(look: Look) -> Spans:
    return [(look.glyphs.missing, look.palette.faint)]


def _tone(row: Interface, look: Look) -> Style:
    return look.palette.dim if row.quiet else look.palette.text


def _name(row: Interface, width: int, look: Look) -> Spans:
    palette = look.palette
    if row.members:
        return [("  ", palette.text), (row.name, palette.title)]
    style = palette.dim if row.quiet else palette.strong if row.default else palette.text
    return [(f"{look.glyphs.right} " if row.default else "  ", palette.hotkey), (row.name, style)]


def _state(row: Interface, width: int, look: Look) -> Spans:
    palette = look.palette
    word = row.state_word
    if word is None:
        return [] if row.members else _missing(look)
    good = palette.dim if row.quiet else palette.ok
    return [(word, palette.faint if word == "down" else good if word == "up" else palette.warning)]


def _text(
    key: str,
    title: str,
    width: int,
    priority: int,
    text: Callable[[Interface], str | None],
    *,
    right: bool = False,
    faint: bool = False,
) -> Column[Interface]:
    def spans(row: Interface, _width: int, look: Look) -> Spans:
        shown = text(row)
        style = look.palette.faint if faint and row.quiet else look.palette.dim
        if shown is None:
            return [] if row.members else _missing(look)
        return value_spans(shown, _tone(row, look), look) if right else [(shown, style)]

    return Column(key, title, width=width, priority=priority, align="right" if right else "left", spans=spans)


def _rate(
    key: str, title: str, hue: HueName, value: Callable[[Interface], float | None], *, bits: bool, priority: int = 0
) -> Column[Interface]:
    return rate_column(key, title, hue, value, bits=bits, priority=priority)


def rate_column(
    key: str,
    title: str,
    hue: HueName,
    value: Callable[[Any], float | None],
    *,
    bits: bool,
    priority: int = 0,
    dim: Callable[[Any], bool] = lambda row: False,
) -> Column[Any]:
    """Bytes or bits per second of now; `dim`: whose stands back."""

    def spans(row: Any, _width: int, look: Look) -> Spans:
        rate = value(row)
        if rate is None:
            return _missing(look)
        style = look.palette.hue(hue).base if rate >= 1 and not dim(row) else look.palette.faint
        return value_spans(rate_text(rate, bits=bits), style, look)

    return Column(key, title, width=11, align="right", priority=priority, spans=spans)


def _spark(
    key: str,
    hue: HueName,
    points: Callable[[Interface], tuple[float | None, ...]],
    *,
    floor: float = FLOOR,
    fraction: float = 1.0,
    stretch: bool = False,
) -> Column[Interface]:
    def spans(row: Interface, room: int, look: Look) -> Spans:
        past = points(row)
        if not any(past):
            return [(" " * room, look.palette.text)]
        if stretch and len(past) < room:
            past = tuple(point for point in past for _ in range(room // len(past)))
        # Each line fills its own height: the number beside it says how much that is.
        # A little headroom parts it from the line above.
        high = 1.2 * max(floor, *(point for point in past if point is not None))
        return sparkline(past, room, low=0, high=high, hue=look.palette.hue(hue), look=look)

    return Column(key, "", width=None, min_width=7, fraction=fraction, priority=4, spans=spans, sortable=False)


def _link(row: Interface, width: int, look: Look) -> Spans:
    share = row.utilization
    if share is None:
        return [(look.glyphs.missing if row.speed else "", look.palette.faint)]
    palette = look.palette
    style = palette.critical if share >= 0.95 else palette.warning if share >= 0.8 else _tone(row, look)
    return [(f"{share * 100:.1f}%" if share < 0.0995 else f"{share * 100:.0f}%", style)]


def count_text(value: float) -> str:
    """A number of things per second in at most five characters."""
    if value >= 99_950:
        return f"{value / 1e6:.1f}M" if value >= 999_500 else f"{value / 1000:.0f}k"
    if value >= 999.5:
        return f"{value / 1000:.1f}k"
    return f"{value:.0f}" if value >= 9.95 or value == int(value) else f"{value:.1f}"


def _count(
    key: str, title: str, width: int, priority: int, value: Callable[[Interface], float | None]
) -> Column[Interface]:
    def spans(row: Interface, _width: int, look: Look) -> Spans:
        number = value(row)
        if number is None:
            return _missing(look)
        return [(count_text(number), _tone(row, look) if number else look.palette.faint)]

    return Column(key, title, width=width, align="right", priority=priority, spans=spans)


def _trouble(key: str, title: str, value: Callable[[Interface], float | None]) -> Column[Interface]:
    """Errors or drops: hardly seen while there are none, red as soon as there are."""

    def spans(row: Interface, _width: int, look: Look) -> Spans:
        number = value(row)
        if number is None:
            return _missing(look)
        if number <= 0:
            return [("0", look.palette.faint)]
        return [(f"{look.glyphs.severity('critical')} " if look.palette.colorless else "", look.palette.critical),
                (count_text(number), look.palette.critical)]  # fmt: skip

    return Column(key, title, width=len(title), align="right", priority=1 if key == "errors" else 2, spans=spans)


def total_texts(total: Amount, look: Look, *, short: bool = True) -> tuple[str, str]:
    """Both numbers of bytes, each with the mark of one that is not exact."""
    received, sent = (marked(format_bytes(size, short=short), total.mark, look) for size in total[:2])
    return received, sent


def _total(key: str, title: str, priority: int, value: Rows) -> Column[Interface]:
    def spans(row: Interface, _width: int, look: Look) -> Spans:
        total = value(row)
        if total is None:
            return _missing(look)
        glyphs, palette, style = look.glyphs, look.palette, _tone(row, look)
        received, sent = total_texts(total, look)
        return [
            (glyphs.down, palette.hue("receive").base),
            (f"{received:>7}  ", style),
            (glyphs.up, palette.hue("transmit").base),
            (f"{sent:>7}", style),
        ]

    return Column(key, title, width=19, align="right", priority=priority, spans=spans)


def _address(row: Interface, width: int, look: Look) -> Spans:
    if row.network:
        return [(f"{row.network}  " + "  ".join(row.addresses[:1]), look.palette.dim)]
    if row.members:
        return []
    if not row.addresses:
        return [(look.glyphs.missing, look.palette.faint)] if row.up is None else []
    first = row.addresses[0]
    text = first
    for more in row.addresses[1:]:
        if len(text) + 2 + len(more) > width:
            break
        text += f"  {more}"
    return [(text, look.palette.dim)]
