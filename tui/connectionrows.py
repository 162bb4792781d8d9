"""Who on a host uses the line, and its single connections, as rows. No Textual here."""

from __future__ import annotations

import math
import socket
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

from sysmon.units import format_bytes
from tui.ordering import by_value

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from sysmon.frame import ConnectionRow, TalkerRow

OTHER_WORDS: Final = "not attributable", "UDP, headers, forwarded"
"""What is said of bytes that can be put to nobody, and what they are."""

CLOSED: Final = "TIME-WAIT"
"""The state of a connection that is over: the kernel alone still holds it, and no process has it."""


@lru_cache(4096)
def service(port: int, protocol: str) -> str:
    """What a port is for, by /etc/services: `https`; '' where it says nothing."""
    if not 0 < port < 65536:
        return ""
    try:
        return socket.getservbyport(port, "udp" if protocol.startswith("udp") else "tcp")
    except OSError:
        return ""


@dataclass(frozen=True, slots=True)
class Talker:
    """One user of the network. `label`: what it is called; `where`: its container, else its unit, else what it is."""

    row: TalkerRow
    label: str
    where: str

    @property
    def key(self) -> str:
        """Its identity."""
        return self.row.key

    @property
    def other(self) -> bool:
        """Whether it is what can be put to nobody."""
        return self.row.kind == "other"

    @property
    def rate(self) -> float | None:
        """Both ways together, bytes per second."""
        return _both(self.row.receive_rate, self.row.transmit_rate)


@dataclass(frozen=True, slots=True)
class Connection:
    """One connection. `service`: what its port is for; `name`: of the remote address, '' where it has or needs none."""

    row: ConnectionRow
    label: str
    port: str
    name: str = ""

    @property
    def key(self) -> int:
        """Its identity."""
        return self.row.id

    @property
    def closed(self) -> bool:
        """Whether it is over, and so nobody's."""
        return self.row.state == CLOSED and self.row.pid is None

    @property
    def rate(self) -> float | None:
        """Both ways together, bytes per second."""
        return _both(self.row.receive_rate, self.row.transmit_rate)

    @property
    def remote(self) -> str:
        """Who is at the other end."""
        return self.name or self.row.remote


def _both(one: float | None, other: float | None) -> float | None:
    return None if one is None and other is None else (one or 0.0) + (other or 0.0)


def talker(row: TalkerRow) -> Talker:
    """Says plainly who it is."""
    where = row.container or row.unit
    if row.kind == "other":
        return Talker(row, *OTHER_WORDS)
    if row.kind == "short":
        port = int(row.name) if row.name.isdecimal() and len(row.name) < 6 else 0
        named = f"{row.name} {service(port, 'tcp')}".strip()
        way = "at own port" if row.key.startswith("short:at:") else "to port"
        return Talker(row, "short connections", f"{way} {named}" + (f", {where}" if where else ""))
    if row.kind == "owner":
        return Talker(row, f"sockets of {row.user or 'unknown users'}", where)
    return Talker(row, row.name or f"process {row.pid}", where)


def connection(row: ConnectionRow, name: str = "") -> Connection:
    """Says plainly whose it is and where it leads."""
    label = row.name or (f"process {row.pid}" if row.pid is not None else "")
    # Of a connection that was taken in, the service is the port of this side.
    served = service(row.remote_port, row.protocol) or service(row.local_port, row.protocol)
    return Connection(row, label, served, name)


def _busy(rate: float | None) -> int:
    """A rate in powers of four, so that neighbours do not keep changing places."""
    return 0 if rate is None or rate < 64 else int(math.log(rate, 4))


def by_use(rows: Sequence[Talker]) -> list[Talker]:
    """The screen's own order: who is busiest now, then who was; what is nobody's last."""
    return sorted(
        rows, key=lambda row: (row.other, -_busy(row.rate), -(row.row.received + row.row.sent), row.label, row.key)
    )


def by_rate(rows: Sequence[Connection]) -> list[Connection]:
    """The screen's own order: the busiest now, then those that carried most."""
    return sorted(
        rows,
        key=lambda row: (-_busy(row.rate), -((row.row.received or 0) + (row.row.sent or 0)), row.label, row.key),
    )


TALKER_SORTS: Final[Mapping[str, bool]] = {
    "name": False, "pid": False, "user": False, "where": False, "connections": True, "receive": True, "transmit": True,
    "received": True, "sent": True, "retransmits": True,
}  # fmt: skip
CONNECTION_SORTS: Final[Mapping[str, bool]] = {
    "name": False, "pid": False, "user": False, "protocol": False, "local": False, "remote": False, "port": False,
    "state": False, "receive": True, "transmit": True, "received": True, "sent": True, "rtt": True, "retransmits": True,
}  # fmt: skip
"""Columns that can be sorted by, and whether the largest comes first."""


def sort_talkers(rows: Sequence[Talker], column: str, reverse: bool) -> list[Talker]:
    """Sorts by a column, what is missing last; what is nobody's is last of all."""
    ordered = by_use(rows)
    mine, rest = [row for row in ordered if not row.other], [row for row in ordered if row.other]
    if not column:
        return [*(reversed(mine) if reverse else mine), *rest]
    values: dict[str, Callable[[Talker], Any]] = {
        "name": lambda row: row.label.lower(), "pid": lambda row: row.row.pid, "user": lambda row: row.row.user,
        "where": lambda row: row.where, "connections": lambda row: row.row.connections,
        "receive": lambda row: row.row.receive_rate, "transmit": lambda row: row.row.transmit_rate,
        "received": lambda row: row.row.received, "sent": lambda row: row.row.sent,
        "retransmits": lambda row: row.row.retransmitted,
    }  # fmt: skip
    return [*by_value(mine, values[column], reverse=reverse), *rest]


def sort_connections(rows: Sequence[Connection], column: str, reverse: bool) -> list[Connection]:
    """Sorts by a column, what is missing last."""
    ordered = by_rate(rows)
    if not column:
        return list(reversed(ordered)) if reverse else ordered
    values: dict[str, Callable[[Connection], Any]] = {
        "name": lambda row: row.label.lower(), "pid": lambda row: row.row.pid, "user": lambda row: row.row.user,
        "protocol": lambda row: row.row.protocol, "local": lambda row: (row.row.local, row.row.local_port),
        "remote": lambda row: row.remote, "port": lambda row: row.row.remote_port, "state": lambda row: row.row.state,
        "receive": lambda row: row.row.receive_rate, "transmit": lambda row: row.row.transmit_rate,
        "received": lambda row: row.row.received, "sent": lambda row: row.row.sent, "rtt": lambda row: row.row.rtt,
        "retransmits": lambda row: row.row.retransmitted,
    }  # fmt: skip
    return by_value(ordered, values[column], reverse=reverse)


def talker_facts(row: Talker) -> dict[str, str]:
    """The texts of a talker that a filter looks in, by field."""
    raw = row.row
    return {
        "name": row.label.lower(), "user": raw.user.lower(), "unit": raw.unit.lower(),
        "container": raw.container.lower(), "pid": "" if raw.pid is None else str(raw.pid),
    }  # fmt: skip


def connection_facts(row: Connection) -> dict[str, str]:
    """The texts of a connection that a filter looks in, by field."""
    raw = row.row
    return {
        "name": row.label.lower(), "user": raw.user.lower(), "unit": raw.unit.lower(),
        "container": raw.container.lower(), "local": raw.local.lower(), "remote": f"{raw.remote} {row.name}".lower(),
        "port": f"{raw.remote_port} {raw.local_port} {row.port}", "state": raw.state.lower(),
        "protocol": raw.protocol.lower(), "pid": "" if raw.pid is None else str(raw.pid),
    }  # fmt: skip


def rtt_text(seconds: float | None) -> str | None:
    """A round trip in two or three digits: `12 ms`, `0.4 ms`, `1.2 s`."""
    if seconds is None:
        return None
    if seconds >= 1:
        return f"{seconds:.1f} s"
    milliseconds = seconds * 1000
    digits = 2 if milliseconds < 0.095 else 1 if milliseconds < 9.95 else 0
    return f"{milliseconds:.{digits}f} ms"


def resent_text(resent: int | None, sent: int | None) -> str | None:
    """Bytes sent again, with their share where that matters."""
    if resent is None:
        return None
    share = resent / sent if sent else 0.0
    return format_bytes(resent, short=True) + (f" {share * 100:.0f}%" if share >= 0.01 else "")
