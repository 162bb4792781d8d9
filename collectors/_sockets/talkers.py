"""The accounts of who used the network: what each TCP connection moved goes to whoever holds it. Pure.

A connection that was open at the first look counts from there; one that began later counts whole. What a connection
moved since the last look is booked when it is looked at, and the rest when the kernel tells that it was closed. Until
its owner can be known, it is kept aside.
"""

from __future__ import annotations

import heapq
from typing import TYPE_CHECKING, NamedTuple

from sysmon.frame import TalkerRow

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from collectors._sockets.inetdiag import DiagSocket

ACCOUNTS = 5_000
"""Accounts that are kept at most; those that moved least and have nothing open are let go of."""

PATIENCE = 10.0
"""Seconds for which a connection that is not told of any more is kept, for the news of its end."""

OTHER = "other"


class Owner(NamedTuple):
    """Whom bytes are put to; see `TalkerRow`."""

    key: str
    kind: str
    pid: int | None = None
    started: float | None = None
    name: str = ""
    user: str = ""
    container: str = ""
    unit: str = ""


class _Account:
    __slots__ = ("open", "owner", "received", "recent", "retransmitted", "sent")

    def __init__(self, owner: Owner) -> None:
        self.owner = owner
        self.received = self.sent = self.retransmitted = self.open = self.recent = 0


class Connection:
    """What is remembered of one TCP connection.

    Attributes:
        owner: None until it is known.
        outside: whether its bytes go through the interfaces that count.
        moved: bytes both ways since the look before the last.
    """

    __slots__ = ("_kept", "gone", "moved", "outside", "owner", "received", "retransmitted", "sent", "socket")

    def __init__(self, socket: DiagSocket, outside: bool) -> None:
        self.socket = socket
        self.outside = outside
        self.owner: Owner | None = None
        self.received = self.sent = self.retransmitted = 0
        self.moved = 0
        self.gone: float | None = None
        self._kept = [0, 0, 0]

    def advance(self, socket: DiagSocket) -> list[int]:
        """Takes what it counts now; returns the bytes received, sent and sent again that are to be booked."""
        now = (socket.received or 0, socket.sent or 0, socket.retransmitted or 0)
        grown = [
            max(0, new - old) for new, old in zip(now, (self.received, self.sent, self.retransmitted), strict=True)
        ]
        self.received, self.sent, self.retransmitted = now
        self.socket = socket
        self.moved = grown[0] + grown[1]
        return grown

    def keep(self, grown: list[int]) -> None:
        """Keeps bytes until its owner is known."""
        self._kept = [kept + new for kept, new in zip(self._kept, grown, strict=True)]

    def kept(self) -> list[int]:
        """Returns and forgets the bytes kept."""
        kept, self._kept = self._kept, [0, 0, 0]
        return kept


class Ledger:
    """All accounts and connections.

    Args:
        owner: whose a socket is, None while that cannot be known yet.
        heir: to whom one goes whose owner was never known.
        outside: whether its bytes go through the interfaces that count.

    Attributes:
        connections: by cookie.
        outside: bytes received and sent so far through the interfaces that count.
        begun: whether anything was looked at yet.
    """

    def __init__(
        self,
        owner: Callable[[DiagSocket], Owner | None],
        heir: Callable[[DiagSocket], Owner],
        outside: Callable[[DiagSocket], bool],
    ) -> None:
        self._owner = owner
        self._heir = heir
        self._outside = outside
        self.connections: dict[int, Connection] = {}
        self.outside = [0, 0]
        self.begun = False
        self._accounts: dict[str, _Account] = {}
        self._beyond = [0, 0]
        self._rest = [0, 0]

    def look(self, sockets: Iterable[DiagSocket], now: float, *, anew: bool = False) -> None:
        """Takes all TCP sockets that there are.

        Args:
            sockets: those without counters are passed over.
            now: seconds of any clock that does not go back.
            anew: whether owners known before are to be asked for again.
        """
        connections = self.connections
        for account in self._accounts.values():
            account.recent = account.open = 0
        seen = set()
        for socket in sockets:
            if socket.received is None:
                continue
            cookie = socket.cookie
            seen.add(cookie)
            connection = connections.get(cookie)
            if connection is None:
                connection = connections[cookie] = Connection(socket, self._outside(socket))
                if not self.begun:
                    connection.advance(socket)
            connection.gone = None
            if connection.owner is None or (anew and socket.inode):
                connection.owner = self._owner(socket) or connection.owner
            self._book(connection, connection.advance(socket))
            if connection.owner is not None:
                self._account(connection.owner).open += 1
        for cookie in connections.keys() - seen:
            connection = connections[cookie]
            connection.moved = 0
            if connection.gone is None:
                connection.gone = now

    def close(self, sockets: Iterable[DiagSocket]) -> None:
        """Takes connections that were closed, as they were in the end.

        At the first look those that it did not show are passed over: most of what they moved was before.
        """
        for socket in sockets:
            if socket.received is None:
                continue
            connection = self.connections.pop(socket.cookie, None)
            if connection is None:
                if not self.begun:
                    continue
                if not (socket.received or socket.sent):
                    continue
                connection = Connection(socket, self._outside(socket))
            if connection.owner is None:
                # As it was when it was seen: in the end it has neither user nor inode.
                connection.owner = self._heir(connection.socket)
            self._book(connection, connection.advance(socket))

    def settle(self, now: float, patience: float = PATIENCE) -> None:
        """Ends a look: lets go of connections whose end nobody told of for so many seconds, and of accounts beyond what
        is kept.
        """
        self.begun = True
        for cookie, connection in list(self.connections.items()):
            if connection.gone is not None and now - connection.gone >= patience:
                del self.connections[cookie]
                if connection.owner is None:
                    connection.owner = self._heir(connection.socket)
                    self._book(connection, [0, 0, 0])
        excess = len(self._accounts) - ACCOUNTS
        if excess > 0:
            idle = [account for account in self._accounts.values() if not account.open and not account.recent]
            for account in heapq.nsmallest(excess, idle, key=lambda each: each.received + each.sent):
                del self._accounts[account.owner.key]

    def beyond(self, received: int, sent: int) -> None:
        """Takes what the interfaces moved since the first look, for what no TCP connection accounts for.

        That never falls, and it grows by what two looks agree on: the news of a connection's end may come after the
        bytes that it brought. While such news is waited for it does not grow.
        """
        last, self._rest = self._rest, [received - self.outside[0], sent - self.outside[1]]
        if not any(connection.gone is not None and connection.outside for connection in self.connections.values()):
            self._beyond = [
                max(old, min(before, now)) for old, before, now in zip(self._beyond, last, self._rest, strict=True)
            ]

    def rows(self, limit: int) -> tuple[list[TalkerRow], int]:
        """Returns the accounts, busiest now first, then by what they moved, and how many were left out."""
        received, sent = self._beyond
        other = TalkerRow(key=OTHER, kind=OTHER, received=received, sent=sent)
        accounts = heapq.nsmallest(
            limit - 1,
            self._accounts.values(),
            key=lambda each: (-each.recent, -each.received - each.sent, each.owner.key),
        )
        return [*map(_row, accounts), other], max(0, len(self._accounts) - limit + 1)

    def _account(self, owner: Owner) -> _Account:
        account = self._accounts.get(owner.key)
        if account is None:
            account = self._accounts[owner.key] = _Account(owner)
        account.owner = owner
        return account

    def _book(self, connection: Connection, grown: list[int]) -> None:
        if connection.outside:
            self.outside[0] += grown[0]
            self.outside[1] += grown[1]
        if connection.owner is None:
            connection.keep(grown)
            return
        account = self._account(connection.owner)
        for received, sent, retransmitted in (grown, connection.kept()):
            account.received += received
            account.sent += sent
            account.retransmitted += retransmitted
            account.recent += received + sent


def _row(account: _Account) -> TalkerRow:
    owner = account.owner
    return TalkerRow(
        key=owner.key,
        kind=owner.kind,
        pid=owner.pid,
        started=owner.started,
        name=owner.name,
        user=owner.user,
        container=owner.container,
        unit=owner.unit,
        connections=account.open,
        received=account.received,
        sent=account.sent,
        retransmitted=account.retransmitted,
    )
