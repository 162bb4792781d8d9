"""The door before the HTTP server: takes connections in, counts them by address, and has TLS agreed on in time.

What happens here happens before anybody has shown a token, so all of it is bounded: connections waiting for TLS,
connections of one address, seconds for each.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from typing import TYPE_CHECKING

from remote.server.addresses import address_key, is_loopback

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from remote.server.murmur import Murmur
    from remote.server.tls import ServerTls

HANDSHAKE_SECONDS = 10.0
"""Seconds in which TLS must be agreed on."""
CLOSE_SECONDS = 2.0
"""Seconds that a peer gets to say goodbye in TLS."""
PER_ADDRESS = 64
"""Connections of one address at once, this machine's own excepted."""
WAITING = 128
"""Connections at once that have not agreed on TLS yet."""
PAUSE = 1.0
"""Seconds without taking connections in, when there are no more file handles."""

_TLS_RECORD = 0x16
_PLAIN_HERE = b"this port speaks TLS: write https:// instead of http://\n"
_PLAIN_ANSWER = (
    b"HTTP/1.1 400 Bad Request\r\ncontent-type: text/plain\r\nconnection: close\r\ncontent-length: %d\r\n\r\n%b"
    % (len(_PLAIN_HERE), _PLAIN_HERE)
)


class Visitors:
    """Who is here: connections by address, of all doors together.

    Args:
        most: connections at once.
        per_address: of one address at once.
    """

    def __init__(self, most: int, per_address: int = PER_ADDRESS) -> None:
        self.count = 0
        self._waiting = 0
        self._most = most
        self._per_address = per_address
        self._from: dict[str, int] = {}

    @contextlib.contextmanager
    def arriving(self) -> Iterator[bool]:
        """Counts a connection while TLS is agreed on; gives whether there is room for it."""
        if self._waiting >= WAITING:
            yield False
            return
        self._waiting += 1
        try:
            yield True
        finally:
            self._waiting -= 1

    def enter(self, address: str) -> Callable[[], None] | str:
        """Counts a connection; returns what to call when it is over, or why there is no room for it."""
        if self.count >= self._most:
            return f"{self.count} connections are open, the most allowed"
        limited = bool(address) and not is_loopback(address)
        if limited and self._from.get(address, 0) >= self._per_address:
            return f"{address} has {self._per_address} connections open, the most allowed"
        self.count += 1
        if limited:
            self._from[address] = self._from.get(address, 0) + 1
        left = False

        def leave() -> None:
            nonlocal left
            if left:
                return
            left = True
            self.count -= 1
            if limited:
                self._from[address] -= 1
                if not self._from[address]:
                    del self._from[address]

        return leave


class Door:
    """One listening socket.

    Args:
        listener: bound, listening, not blocking.
        make: makes the protocol of a connection; is called when TLS has been agreed on.
        visitors: shared by all doors.
        say: takes lines about who was turned away.
        tls: what TLS is spoken with; None for plain HTTP.
    """

    def __init__(
        self,
        listener: socket.socket,
        make: Callable[[], asyncio.Protocol],
        visitors: Visitors,
        say: Murmur,
        tls: ServerTls | None = None,
    ) -> None:
        self._listener = listener
        self._make = make
        self._visitors = visitors
        self._say = say
        self._tls = tls
        self._arriving: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Takes connections in until cancelled; those that are still arriving then are let go."""
        loop = asyncio.get_running_loop()
        try:
            while True:
                try:
                    connection, peer = await loop.sock_accept(self._listener)
                except ConnectionError:
                    continue  # it left again before it was let in
                except OSError as error:
                    self._say(f"sysmon: no connection can be taken in: {error.strerror}")
                    await asyncio.sleep(PAUSE)
                    continue
                address = address_key(peer) if isinstance(peer, tuple) else ""
                leave = self._visitors.enter(address)
                if isinstance(leave, str):
                    self._say(f"sysmon: {leave}")
                    connection.close()
                    continue
                task = loop.create_task(self._admit(connection, address, leave), name="arrival")
                self._arriving.add(task)
                task.add_done_callback(self._arriving.discard)
        finally:
            for task in self._arriving:
                task.cancel()
            await asyncio.gather(*self._arriving, return_exceptions=True)

    async def _admit(self, connection: socket.socket, address: str, leave: Callable[[], None]) -> None:
        def make() -> asyncio.Protocol:
            made = self._make()
            made.gone = leave  # type: ignore[attr-defined]
            return made

        handed = entered = False
        loop = asyncio.get_running_loop()
        try:
            connection.setblocking(False)
            if self._tls is None:
                handed = entered = True
                await loop.connect_accepted_socket(make, connection)
                return
            with self._visitors.arriving() as room:
                if not room:
                    self._say(f"sysmon: {WAITING} connections wait for TLS, the most allowed")
                    return
                deadline = loop.time() + HANDSHAKE_SECONDS
                async with asyncio.timeout_at(deadline):
                    first = await _peek(connection)
                if first and first[0] != _TLS_RECORD:
                    self._say(f"sysmon: {address} spoke without TLS to a port with TLS")
                    await _answer_plain(connection)
                elif first:
                    handed = True  # from here on asyncio closes it
                    await loop.connect_accepted_socket(
                        make,
                        connection,
                        ssl=self._tls.context,
                        ssl_handshake_timeout=max(0.1, deadline - loop.time()),
                        ssl_shutdown_timeout=CLOSE_SECONDS,
                    )
                    entered = True
        except (TimeoutError, ConnectionAbortedError):
            self._say(f"sysmon: {address} did not agree on TLS within {HANDSHAKE_SECONDS:g} s")
        except ConnectionError:
            pass  # it left
        except OSError as error:  # every error of TLS is one
            self._say(f"sysmon: no TLS with {address}: {getattr(error, 'reason', None) or error}")
        finally:
            if not entered:
                leave()
            if not handed:
                connection.close()


async def _peek(connection: socket.socket) -> bytes:
    """Waits for the first byte and leaves it where it is."""
    loop = asyncio.get_running_loop()
    ready: asyncio.Future[None] = loop.create_future()

    def wake() -> None:
        if not ready.done():
            ready.set_result(None)

    loop.add_reader(connection, wake)
    try:
        await ready
    finally:
        loop.remove_reader(connection)
    return connection.recv(1, socket.MSG_PEEK)


async def _answer_plain(connection: socket.socket) -> None:
    loop = asyncio.get_running_loop()
    # What was asked is read first: a socket closed with bytes unread is reset, and the answer with it.
    with contextlib.suppress(BlockingIOError):
        connection.recv(64 << 10)
    await loop.sock_sendall(connection, _PLAIN_ANSWER)
    connection.shutdown(socket.SHUT_WR)
    with contextlib.suppress(TimeoutError, OSError):
        async with asyncio.timeout(CLOSE_SECONDS):
            await loop.sock_recv(connection, 1024)
