"""All that is known of one connection."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sysmon.units import format_bytes
from tui.connectionrows import resent_text, rtt_text, service
from tui.renderables.lines import Pair, centered, key_value
from tui.widgets.connections_columns import end_text
from tui.widgets.network_rows import rate_text
from tui.widgets.network_scroll import GAP, ScrollPanel, heading, side_by_side, wrapped

if TYPE_CHECKING:
    from textual.strip import Strip

    from tui.connectionrows import Connection

_BESIDE = 84


class ConnectionPage(ScrollPanel):
    """The page of one connection; scrolls where it does not fit."""

    def __init__(self, *, id: str) -> None:
        super().__init__("connection", id=id)
        self._row: Connection | None = None
        self._bits = False
        self._gone = False

    def show(self, row: Connection | None, *, bits: bool, gone: bool) -> None:
        """Show this one.

        Args:
            row: the connection as it was seen last, or None.
            bits: whether rates are in bits per second.
            gone: whether it is no more.
        """
        self._row, self._bits, self._gone = row, bits, gone
        self._title = "connection" if row is None else f"{row.label or 'connection'} to {row.remote}"
        self.update_body()

    def lines(self, width: int, height: int) -> list[Strip]:
        """Whose it is and where it leads, and what it carries."""
        look, found = self.look, self._row
        if found is None:
            return centered(["no connection"], width, height, look=look)
        palette, row = look.palette, found.row
        whose = [
            Pair("process", row.name or None, style=palette.strong),
            Pair("process id", None if row.pid is None else str(row.pid)),
            Pair("user", row.user or None),
            Pair("unit", row.unit or None),
            *([Pair("container", row.container)] if row.container else []),
            Pair("protocol", row.protocol),
            Pair("state", row.state.lower() or None, style=palette.ok if row.state.lower()[:5] == "estab" else None),
            Pair("this end", end_text(row.local, row.local_port)),
            Pair("other end", end_text(row.remote, row.remote_port) if row.remote else None),
            *([Pair("its name", found.name)] if found.name else []),
            Pair("service", service(row.remote_port, row.protocol) or service(row.local_port, row.protocol) or None),
        ]
        carries = [
            Pair("receives", None if row.receive_rate is None else rate_text(row.receive_rate, bits=self._bits)),
            Pair("sends", None if row.transmit_rate is None else rate_text(row.transmit_rate, bits=self._bits)),
            Pair("received", None if row.received is None else format_bytes(row.received)),
            Pair("sent", None if row.sent is None else format_bytes(row.sent)),
            Pair("sent again", resent_text(row.retransmitted, row.sent)),
            Pair("round trip", rtt_text(row.rtt)),
        ]
        notes: list[str] = []
        if self._gone:
            notes.append("it is closed; this is what was seen last")
        if row.received is None:
            notes.append("the kernel counts no bytes of it")
        elif row.protocol.startswith("tcp"):
            notes.append("bytes are payload since it began, without headers")
        if found.closed:
            notes.append("it is over: the kernel keeps it a while, no process has it")
        elif row.pid is None:
            notes.append("whose process it is may not be known without more rights")

        def block(title: str, pairs: list[Pair], room: int) -> list[Strip]:
            return [heading(title, room, look), *(key_value(pair, room, look=look) for pair in pairs)]

        def said(room: int) -> list[Strip]:
            return [line for note in notes for line in wrapped(note, room, palette.faint)]

        if width >= _BESIDE:
            right = (width - GAP) // 2
            left = width - GAP - right
            second = [*block("what it carries", carries, right), *said(right)]
            return side_by_side([(left, block("whose it is", whose, left)), (right, second)], look)
        return [*block("whose it is", whose, width), *block("what it carries", carries, width), *said(width)]
