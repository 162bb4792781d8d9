"""What went through the interfaces that count, and which connections go through them. For the rest that no connection
accounts for: it must neither hold what stays within this host nor miss what leaves it.
"""

from __future__ import annotations

import socket
import time
from typing import TYPE_CHECKING

from collectors._interfaces import Addresses, Details
from collectors.base import read_text
from collectors.network import parse_net_dev
from sysmon.interfaces import counted

if TYPE_CHECKING:
    from collections.abc import Iterable

    from collectors._sockets.inetdiag import DiagSocket
    from collectors.base import Roots
    from sysmon.frame import InterfaceRow

AGAIN = 15.0
"""Seconds between looks at what the interfaces are."""

_LOOPBACK_6 = bytes(15) + b"\x01"


class Line:
    """Adds up the interfaces that count, from the first read on."""

    def __init__(self, roots: Roots) -> None:
        self._path = roots.proc / "net" / "dev"
        self._details = Details(roots)
        self._addresses = Addresses(roots)
        self._due = 0.0
        self._counted: set[str] = set()
        self._own: set[bytes] = set()
        self._inner: set[bytes] = set()
        self._last: dict[str, tuple[int, int, int]] = {}
        self._total = [0, 0]

    def read(self) -> tuple[int, int]:
        """Returns the bytes received and sent since the first read.

        Raises:
            CollectorError, MalformedInput: /proc/net/dev is not there or does not parse.
        """
        found = parse_net_dev(read_text(self._path), str(self._path))
        indexes = {name: index for index, name in socket.if_nameindex() if name in found}
        if indexes.keys() != self._last.keys() or time.monotonic() >= self._due:
            self._due = time.monotonic() + AGAIN
            self._place(self._details.rows(dict(indexes), self._addresses))
        last, self._last = self._last, {}
        for name, index in indexes.items():
            now = (index, found[name].receive_bytes, found[name].transmit_bytes)
            self._last[name] = now
            before = last.get(name)
            # One that is new, or was created anew, begins here.
            if name in self._counted and before is not None and before[0] == index:
                self._total[0] += max(0, now[1] - before[1])
                self._total[1] += max(0, now[2] - before[2])
        return self._total[0], self._total[1]

    def outside(self, socket: DiagSocket) -> bool:
        """Whether a connection goes through the interfaces that count: not one to an address of this host, nor one
        over a bridge or a veth with nothing but containers and virtual machines behind it.
        """
        remote = socket.remote
        if (len(remote) == 4 and remote[0] == 127) or remote == _LOOPBACK_6 or remote in self._own:
            return False
        return socket.local not in self._inner

    def _place(self, rows: Iterable[InterfaceRow]) -> None:
        held = {row.name: row for row in rows}
        self._counted = set(counted(held.values()))
        self._own = {packed for row in held.values() for packed in _packed(row)}
        inner = [row for row in held.values() if row.kind in ("bridge", "veth") and not self._carries(row, held, 8)]
        self._inner = {packed for row in inner for packed in _packed(row)}

    def _carries(self, row: InterfaceRow, held: dict[str, InterfaceRow], depth: int) -> bool:
        """Whether one that counts lies under it."""
        return row.name in self._counted or (
            depth > 0 and any(name in held and self._carries(held[name], held, depth - 1) for name in row.lower)
        )


def _packed(row: InterfaceRow) -> list[bytes]:
    found = []
    for address in row.addresses:
        try:
            found.append(socket.inet_pton(socket.AF_INET6 if ":" in address else socket.AF_INET, address))
        except OSError:
            continue
    return found
