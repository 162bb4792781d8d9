"""The columns of the tables of talkers and of connections."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sysmon.units import format_bytes
from tui.connectionrows import Connection, Talker, resent_text, rtt_text
from tui.renderables.columns import Column
from tui.renderables.lines import value_spans
from tui.widgets.network_columns import rate_column

if TYPE_CHECKING:
    from collections.abc import Callable

    from tui.palette import HueName
    from tui.renderables.text import Spans
    from tui.theme import Look

    Text = Callable[[Any], str | None]

_BAD_SHARE = 0.02
"""Of what was sent: from here on what was sent again stands out."""


def talker_columns(*, bits: bool, size: str = "") -> list[Column[Talker]]:
    """The columns of who uses the network, from left to right.

    Args:
        bits: whether rates are in bits per second.
        size: "tiny", "narrow", "" or "wide": how much room there is.
    """
    found: list[Column[Talker]] = [
        _text("pid", "PID", 7, 4, lambda row: "" if row.row.pid is None else str(row.row.pid), right=True),
        Column("name", "PROCESS", width=None, min_width=14, fraction=1.2, spans=_talker),
        _text("user", "USER", 10, 5, lambda row: "" if row.other else row.row.user),
        Column("where", "UNIT OR CONTAINER", width=None, min_width=14, fraction=0.7, priority=6, cut="middle",
               text=lambda row: row.where, style=lambda row, palette: palette.faint if row.other else palette.dim),
        _text("connections", "CONNS", 5, 3, lambda row: "" if row.other else str(row.row.connections), right=True),
        rate_column("receive", "DOWN", "receive", lambda row: row.row.receive_rate, bits=bits),
        rate_column("transmit", "UP", "transmit", lambda row: row.row.transmit_rate, bits=bits),
        _bytes("received", "RECEIVED", 1, "receive", lambda row: row.row.received),
        _bytes("sent", "SENT", 1, "transmit", lambda row: row.row.sent),
        Column("retransmits", "RETRANS", width=9, align="right", priority=7, spans=_talker_resent),
    ]  # fmt: skip
    return [column for column in found if size != "tiny" or column.key in ("name", "receive", "transmit")]


def connection_columns(*, bits: bool, names: bool, size: str = "") -> list[Column[Connection]]:
    """The columns of single connections, from left to right; `names`: whether remote names are asked for."""
    found: list[Column[Connection]] = [
        _text("pid", "PID", 7, 11, lambda row: "" if row.row.pid is None else str(row.row.pid), right=True),
        Column("name", "PROCESS", width=None, min_width=10, fraction=0.5, spans=_process),
        _text("protocol", "PROTO", 5, 9, lambda row: row.row.protocol),
        Column("local", "LOCAL", width=None, min_width=15, fraction=0.4, priority=8, cut="middle",
               text=lambda row: end_text(row.row.local, row.row.local_port),
               style=lambda _row, palette: palette.dim),
        Column("remote", "REMOTE NAME" if names else "REMOTE", width=None, min_width=15, fraction=1.0, cut="middle",
               text=lambda row: row.remote, style=lambda row, palette: palette.strong if row.name else None),
        _text("port", "PORT", 11, 4, port_text),
        _text("state", "STATE", 11, 5, lambda row: row.row.state.lower()),
        rate_column("receive", "DOWN", "receive", lambda row: row.row.receive_rate, bits=bits),
        rate_column("transmit", "UP", "transmit", lambda row: row.row.transmit_rate, bits=bits),
        _bytes("received", "RECEIVED", 2, "receive", lambda row: row.row.received),
        _bytes("sent", "SENT", 2, "transmit", lambda row: row.row.sent),
        _text("rtt", "RTT", 7, 6, lambda row: rtt_text(row.row.rtt), right=True),
        Column("retransmits", "RETRANS", width=9, align="right", priority=10, spans=_resent),
    ]  # fmt: skip
    return [column for column in found if size != "tiny" or column.key in ("name", "remote", "receive", "transmit")]


def end_text(address: str, port: int) -> str:
    """One end of a connection."""
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


def port_text(row: Connection) -> str:
    """The service, else the number; of what was taken in, this side's."""
    if not row.row.remote_port:
        return str(row.row.local_port or "")
    return f"{row.row.remote_port} {row.port}".strip() if len(row.port) <= 5 else row.port


def _missing(look: Look) -> Spans:
    return [(look.glyphs.missing, look.palette.faint)]


def _talker(row: Talker, width: int, look: Look) -> Spans:
    palette = look.palette
    # Who had connections and has none any more stands back, with what was moved.
    gone = not row.row.connections and not row.rate
    style = palette.faint if row.other else palette.text if row.row.kind == "process" and not gone else palette.dim
    return [(row.label, style)]


def _process(row: Connection, width: int, look: Look) -> Spans:
    palette = look.palette
    if row.label:
        return [(row.label, palette.text)]
    if row.closed:
        return [("closed", palette.faint)]
    return [(f"of {row.row.user}" if row.row.user else "not ours to know", palette.faint)]


def _text(key: str, title: str, width: int, priority: int, text: Text, *, right: bool = False) -> Column[Any]:
    def spans(row: Any, _width: int, look: Look) -> Spans:
        shown = text(row)
        return _missing(look) if shown is None else value_spans(shown, look.palette.dim, look) if right else [
            (shown, look.palette.dim)
        ]  # fmt: skip

    return Column(key, title, width=width, priority=priority, align="right" if right else "left", spans=spans)


def _bytes(
    key: str, title: str, priority: int, hue: HueName, value: Callable[[Any], int | None]
) -> Column[Any]:  # fmt: skip
    def spans(row: Any, _width: int, look: Look) -> Spans:
        size = value(row)
        if size is None:
            return _missing(look)
        palette = look.palette
        return [(format_bytes(size, short=True), palette.faint if not size else palette.hue(hue).base)]

    return Column(key, title, width=8, align="right", priority=priority, spans=spans)


def _resent_spans(resent: int | None, sent: int | None, look: Look) -> Spans:
    text = resent_text(resent, sent)
    if text is None:
        return _missing(look)
    bad = bool(resent and sent and resent / sent >= _BAD_SHARE)
    return [(text, look.palette.warning if bad else look.palette.faint if not resent else look.palette.dim)]


def _talker_resent(row: Talker, width: int, look: Look) -> Spans:
    return [] if row.other else _resent_spans(row.row.retransmitted, row.row.sent, look)


def _resent(row: Connection, width: int, look: Look) -> Spans:
    return _resent_spans(row.row.retransmitted, row.row.sent, look)
