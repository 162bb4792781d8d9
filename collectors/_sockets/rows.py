"""Rows of the table of connections; one of which nothing changed stays the same object."""

from __future__ import annotations

import functools
import heapq
import socket
from typing import TYPE_CHECKING, NamedTuple

from collectors._sockets.inetdiag import LISTEN, STATES, DiagSocket
from sysmon.frame import ConnectionRow

if TYPE_CHECKING:
    from collections.abc import Callable

    from collectors._sockets.talkers import Owner


class _Shown(NamedTuple):
    socket: DiagSocket
    owner: Owner | None
    row: ConnectionRow


class SocketRows:
    """Makes the rows. `remotes`: whether the other ends are told."""

    def __init__(self, *, remotes: bool) -> None:
        self._remotes = remotes
        self._shown: dict[int, _Shown] = {}
        self._orders: dict[int, int] = {}
        self._count = 0

    def rows(
        self,
        sockets: list[tuple[str, DiagSocket]],
        owner: Callable[[DiagSocket], Owner | None],
        moved: Callable[[int], int],
        limit: int,
    ) -> tuple[list[ConnectionRow], int]:
        """Returns the rows, busiest first, then newest, and how many were left out.

        Args:
            sockets: (protocol, socket) each.
            owner: whose a socket is, as far as that is known.
            moved: bytes that the one of a cookie moved since the last look.
            limit: rows at most.
        """
        orders, self._orders = self._orders, {}
        for _, each in sockets:
            order = orders.get(each.cookie)
            if order is None:
                self._count = order = self._count + 1
            self._orders[each.cookie] = order
        placed = [(-moved(each.cookie), -self._orders[each.cookie], index) for index, (_, each) in enumerate(sockets)]
        placed = heapq.nsmallest(limit, placed) if len(placed) > limit else sorted(placed)
        shown, self._shown = self._shown, {}
        rows = []
        for _, _, index in placed:
            protocol, each = sockets[index]
            whose = owner(each)
            old = shown.get(each.cookie)
            if old is None or old.socket != each or old.owner != whose:
                old = _Shown(each, whose, self._row(protocol, each, whose))
            self._shown[each.cookie] = old
            rows.append(old.row)
        return rows, len(sockets) - len(rows)

    def _row(self, protocol: str, each: DiagSocket, owner: Owner | None) -> ConnectionRow:
        told = self._remotes and each.state != LISTEN and bool(each.remote_port)
        row = ConnectionRow(
            id=each.cookie,
            protocol=protocol,
            state=STATES[each.state],
            local=address(each.local, each.interface),
            local_port=each.local_port,
            remote=address(each.remote, each.interface) if told else "",
            remote_port=each.remote_port if told else 0,
            received=each.received,
            sent=each.sent,
            retransmitted=each.retransmitted,
            rtt=each.rtt / 1e6 if each.rtt else None,
            pid=owner.pid if owner else None,
            started=owner.started if owner else None,
            name=owner.name if owner and owner.pid is not None else "",
            user=owner.user if owner else "",
            container=owner.container if owner else "",
            unit=owner.unit if owner else "",
        )
        return row


@functools.lru_cache(maxsize=4096)
def address(packed: bytes, interface: int) -> str:
    """Returns an address as text; a link-local one names its interface."""
    if len(packed) == 4:
        return socket.inet_ntop(socket.AF_INET, packed)
    text = socket.inet_ntop(socket.AF_INET6, packed)
    if interface and packed[0] == 0xFE and packed[1] & 0xC0 == 0x80:
        try:
            return f"{text}%{socket.if_indextoname(interface)}"
        except OSError:
            return f"{text}%{interface}"
    return text
