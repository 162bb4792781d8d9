"""The columns of the table of devices."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sysmon.units import format_duration
from tui.devicewords import source_label
from tui.renderables.columns import Column
from tui.widgets.network_columns import amount_column, rate_column, share_spans

if TYPE_CHECKING:
    from collections.abc import Callable

    from rich.style import Style

    from tui.devicerows import Device
    from tui.renderables.text import Spans
    from tui.theme import Look

_TINY = ("name", "receive", "transmit", "total")
_SEEN_MS = 90_000
"""A device seen less than this ago is here."""


def columns(*, bits: bool, now: Callable[[], int], size: str = "", ranged: bool = False) -> list[Column[Device]]:
    """The columns from left to right.

    Args:
        bits: whether rates are in bits per second.
        now: gives the moment shown, for how long ago one was seen.
        size: "tiny", "narrow", "" or "wide": how much room there is.
        ranged: whether a range is shown; else the rates of now matter most.
    """
    rates = 4 if ranged else 0
    name = 12 if size == "tiny" else 14 if size == "narrow" else 18
    found: list[Column[Device]] = [
        Column("name", "DEVICE", width=None, min_width=name, spans=_name),
        _text("address", "ADDRESS", 15, 5, lambda row: row.address),
        _text("mac", "MAC", 17, 13, lambda row: row.row.mac),
        Column("vendor", "VENDOR", width=None, min_width=12, fraction=0.5, priority=8, spans=_vendor),
        _text("category", "CATEGORY", 10, 7, lambda row: row.category),
        rate_column("receive", "DOWN", "receive", lambda row: row.receive, bits=bits, priority=rates, dim=_away),
        rate_column("transmit", "UP", "transmit", lambda row: row.transmit, bits=bits, priority=rates, dim=_away),
        amount_column("received", "RECEIVED", 1 if ranged else 5, lambda row: row.amount, 0),
        amount_column("sent", "SENT", 1 if ranged else 5, lambda row: row.amount, 1),
        amount_column("total", "TOTAL" if ranged else "TODAY", 0 if ranged else 2, lambda row: row.amount, None),
        Column("share", "SHARE", width=None, min_width=9, fraction=0.4, align="right", priority=3, spans=_share),
        _number("connections", "CONNS", 5, 6, lambda row: row.connections),
        Column("signal", "SIGNAL", width=7, align="right", priority=10, spans=_signal),
        Column("seen", "SEEN", width=5, align="right", priority=6, spans=lambda row, _, look: _seen(row, now(), look)),
        _text("source", "SOURCE", 12, 9, lambda row: source_label(row.row)),
    ]  # fmt: skip
    return [column for column in found if size != "tiny" or column.key in _TINY]


def _missing(look: Look) -> Spans:
    return [(look.glyphs.missing, look.palette.faint)]


def _away(row: Device) -> bool:
    return row.online is False


def _tone(row: Device, look: Look) -> Style:
    return look.palette.faint if _away(row) else look.palette.text


def _name(row: Device, width: int, look: Look) -> Spans:
    palette = look.palette
    if row.online is None:
        mark, style = " ", palette.text
    else:
        mark, style = (look.glyphs.bullet, palette.ok) if row.online else (" ", palette.text)
    named = palette.dim if row.online is False else palette.strong if row.alias else palette.text
    return [(f"{mark} ", style), (row.label, named)]


def _vendor(row: Device, width: int, look: Look) -> Spans:
    return [(row.row.vendor, look.palette.faint if row.online is False else look.palette.dim)]


def _text(key: str, title: str, width: int, priority: int, text: Callable[[Device], str]) -> Column[Device]:
    def spans(row: Device, _width: int, look: Look) -> Spans:
        return [(text(row), look.palette.faint if row.online is False else look.palette.dim)]

    return Column(key, title, width=width, priority=priority, spans=spans)


def _number(key: str, title: str, width: int, priority: int, value: Callable[[Device], float | None]) -> Column[Device]:
    def spans(row: Device, _width: int, look: Look) -> Spans:
        number = value(row)
        if number is None:
            return _missing(look)
        return [(f"{number:.0f}", _tone(row, look) if number else look.palette.faint)]

    return Column(key, title, width=width, align="right", priority=priority, spans=spans)


def _share(row: Device, width: int, look: Look) -> Spans:
    return share_spans(row.share, width, look, dim=row.online is False)


def _signal(row: Device, width: int, look: Look) -> Spans:
    if row.signal is None:
        return []
    palette = look.palette
    style = palette.warning if row.signal < -80 else _tone(row, look)
    return [(f"{row.signal:.0f}", style), (" dBm", palette.dim)]


def _seen(row: Device, now: int, look: Look) -> Spans:
    if row.last is None:
        return _missing(look)
    if row.online or now - row.last < _SEEN_MS:
        return [("now", look.palette.dim)]
    return [(format_duration((now - row.last) / 1000, short=True), look.palette.faint)]
