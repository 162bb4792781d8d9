"""Asking the kernel for its sockets, and hearing from it what closed TCP connections had moved in the end.

Both work without any right: for all sockets of this network namespace.
"""

from __future__ import annotations

import errno
import select
import socket
import threading
import time
from collections import deque
from typing import TYPE_CHECKING

from collectors._sockets.inetdiag import ALL_STATES, TCP, DiagSocket, parse_answer, request
from sysmon.errors import MalformedInput

if TYPE_CHECKING:
    from collections.abc import Iterable

BATCH = 0.05
"""Seconds that pass at least between two looks at what was closed: on a busy host events are taken in heaps."""

QUEUE = 20_000
"""Closed connections that wait to be read at most."""

_AF_NETLINK = getattr(socket, "AF_NETLINK", 16)
_NETLINK_SOCK_DIAG = 4
_DESTROYED = 1 << 0 | 1 << 2
"""SKNLGRP_INET_TCP_DESTROY and SKNLGRP_INET6_TCP_DESTROY."""
_SO_RCVBUFFORCE = 33
_ROOM = 8 << 20
_DATAGRAM = 1 << 16
_TIMEOUT = 2.0
_FAMILIES = (socket.AF_INET, socket.AF_INET6)


def dump(protocol: int, states: int = ALL_STATES) -> list[DiagSocket]:
    """Returns the sockets of a protocol of both families.

    Raises:
        OSError: the kernel knows no socket diagnostics, or does not answer. MalformedInput: it answers nonsense.
    """
    found: list[DiagSocket] = []
    with socket.socket(_AF_NETLINK, socket.SOCK_RAW, _NETLINK_SOCK_DIAG) as link:
        link.settimeout(_TIMEOUT)
        for sequence, family in enumerate(_FAMILIES, start=1):
            try:
                link.send(request(family, protocol, states, sequence))
                whole = False
                while not whole:
                    data, _, flags, _ = link.recvmsg(_DATAGRAM)
                    if flags & socket.MSG_TRUNC:
                        raise MalformedInput(f"netlink: a datagram is longer than {_DATAGRAM} bytes")
                    sockets, whole = parse_answer(data, sequence)
                    found += sockets
            except FileNotFoundError:
                # No module for this protocol or family: of UDP that is common, of IPv6 where it is switched off.
                if protocol == TCP and family == socket.AF_INET:
                    raise
    return found


class Closings:
    """Hears of TCP connections that are closed, until nobody has asked for a while.

    A thread of its own takes what comes, so that the kernel's buffer does not run over between two reads; it sleeps
    while nothing is closed, and wakes at most every `BATCH` seconds.
    """

    def __init__(self, seconds: float) -> None:
        """Begins to listen, for so many seconds.

        Raises:
            OSError: the kernel does not tell.
        """
        self._lock = threading.Lock()
        self._heard: deque[DiagSocket] = deque()
        self._lost = 0
        self._until = time.monotonic() + seconds
        self._link: socket.socket | None = socket.socket(_AF_NETLINK, socket.SOCK_RAW, _NETLINK_SOCK_DIAG)
        try:
            _widen(self._link)
            self._link.setblocking(False)
            self._link.bind((0, _DESTROYED))
        except OSError:
            self._link.close()
            raise
        self._stop = threading.Event()
        threading.Thread(target=self._listen, name="sysmon-closings", daemon=True).start()

    def keep(self, seconds: float) -> bool:
        """Goes on listening for so many seconds from now; returns whether it still does."""
        with self._lock:
            self._until = time.monotonic() + seconds
            return self._link is not None

    def take(self) -> tuple[list[DiagSocket], int]:
        """Returns the connections closed since the last call as they were in the end, and a number that grows with what
        was lost: times that the kernel's buffer ran over, and events without room or meaning.
        """
        with self._lock:
            self._drain()
            heard, self._heard = self._heard, deque()
            return list(heard), self._lost

    def close(self) -> None:
        """Ends listening."""
        with self._lock:
            self._end()

    def _listen(self) -> None:
        poll = select.poll()
        with self._lock:
            if self._link is None:
                return
            poll.register(self._link, select.POLLIN)
        while True:
            # Once a second it looks whether it was closed.
            ready = poll.poll(1000)
            with self._lock:
                if self._is_over():
                    self._end()
                    return
                if ready:
                    self._drain()
            if ready and self._stop.wait(BATCH):
                return

    def _drain(self) -> None:
        """Takes all that has come; the caller holds the lock."""
        link = self._link
        if link is None:
            return
        # Bounded: a flood must not hold up who reads.
        for _ in range(QUEUE):
            try:
                data, _, flags, _ = link.recvmsg(_DATAGRAM)
                if flags & socket.MSG_TRUNC:
                    raise MalformedInput("netlink: a datagram is too long")
                self._hear(parse_answer(data, None)[0])
            except BlockingIOError:
                return
            except MalformedInput:
                self._lost += 1
            except OSError as error:
                self._lost += 1
                if error.errno != errno.ENOBUFS:
                    self._end()
                    return

    def _hear(self, sockets: Iterable[DiagSocket]) -> None:
        for each in sockets:
            if len(self._heard) < QUEUE:
                self._heard.append(each)
            else:
                self._lost += 1

    def _is_over(self) -> bool:
        return self._link is None or time.monotonic() >= self._until

    def _end(self) -> None:
        if self._link is not None:
            self._stop.set()
            self._link.close()
            self._link = None


def _widen(link: socket.socket) -> None:
    """Has the kernel keep as much for a socket as it lets us; beyond its own limit only root may ask."""
    try:
        link.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, _ROOM)
    except OSError:
        link.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _ROOM)
