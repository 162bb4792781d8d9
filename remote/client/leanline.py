"""One connection of the client without httpx: what comes on it, bounded, and what h11 makes of that."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import h11

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

MAX_HEAD = 64 << 10
"""Bytes of an answer's headers at most, of interim answers before it too."""
AHEAD = 256 << 10
"""Bytes that may come ahead of whoever reads them."""


class Bytes(asyncio.Protocol):
    """What comes on a connection, until somebody reads it.

    Unlike a StreamReader it gives what came before the connection broke, and shows what nobody had asked for.
    """

    def __init__(self) -> None:
        self.transport: asyncio.Transport | None = None
        self.ended = False
        self._data = bytearray()
        self._error: Exception | None = None
        self._waiter: asyncio.Future[None] | None = None

    @property
    def quiet(self) -> bool:
        """Whether it is open, and nothing has come that is not read."""
        return not self.ended and not self._data

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Takes the transport."""
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        """Takes bytes; asks for no more than can be kept."""
        self._data += data
        if len(self._data) > AHEAD and self.transport is not None:
            self.transport.pause_reading()
        self._wake()

    def eof_received(self) -> None:
        """Nothing more will come."""
        self.ended = True
        self._wake()

    def connection_lost(self, exc: Exception | None) -> None:
        """Nothing more will come, and why."""
        self.ended, self._error = True, exc
        self._wake()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    async def read(self) -> bytes:
        """Returns what has come, b'' at the end.

        Raises:
            OSError: the connection broke.
        """
        while not self._data:
            if self.ended:
                if self._error is not None:
                    raise self._error
                return b""
            self._waiter = asyncio.get_running_loop().create_future()
            await self._waiter
        data = bytes(self._data)
        self._data.clear()
        if self.transport is not None and not self.ended:
            self.transport.resume_reading()
        return data


class Line:
    """One connection, and what h11 makes of what comes on it.

    Attributes:
        used: whether it served a request before this one. `until`: boot clock (ns) until which it is kept unused.
        heard: whether a byte of the answer came. `alerted`: whether that was an alert of TLS.
    """

    def __init__(self, wire: Bytes, now: int) -> None:
        self.http = h11.Connection(h11.CLIENT, max_incomplete_event_size=MAX_HEAD)
        self.used = False
        self.heard = self.alerted = False
        self.until = now
        self._wire = wire

    def send(self, request: h11.Request, body: bytes) -> None:
        """Sends a request; the deadline of its answer is that of sending too."""
        self.heard = False
        events = [request, *([h11.Data(data=body)] if body else []), h11.EndOfMessage()]
        data = b"".join(filter(None, (self.http.send(event) for event in events)))
        assert self._wire.transport is not None
        self._wire.transport.write(data)

    async def head(self) -> h11.Response:
        """Returns the head of the answer.

        Raises:
            EOFError: the connection ended before it. OSError: it broke. h11.RemoteProtocolError: that is no HTTP.
        """
        size = 0
        while True:
            event = self.http.next_event()
            if isinstance(event, h11.Response):
                return event
            if isinstance(event, h11.InformationalResponse) and event.status_code != 101:
                continue
            if event is not h11.NEED_DATA:
                raise h11.RemoteProtocolError("another protocol was not asked for")
            data = await self._wire.read()
            if not data:
                raise EOFError
            if not self.heard and data[:5] != b"HTTP/"[: len(data)]:
                # Whoever speaks first, as an SSH server does, may wait for us now.
                self.alerted = data[:2] == b"\x15\x03"
                raise h11.RemoteProtocolError(f"it begins with {data[:40]!r}")
            self.heard = True
            size += len(data)
            if size > MAX_HEAD + AHEAD * 2:
                raise h11.RemoteProtocolError("the headers have no end")
            self.http.receive_data(data)

    async def pieces(self) -> AsyncIterator[bytes]:
        """Yields the body as it comes; errors are those of `head`."""
        while True:
            event = self.http.next_event()
            if isinstance(event, h11.Data):
                yield bytes(event.data)
            elif event is h11.NEED_DATA:
                self.http.receive_data(await self._wire.read())
            else:
                return

    def rest(self) -> bool:
        """Makes it ready for another request; returns False where it cannot be."""
        done = self.http.our_state is h11.DONE and self.http.their_state is h11.DONE
        if not done or self.http.trailing_data[0] or not self.usable():
            return False
        self.http.start_next_cycle()
        self.used = True
        return True

    def usable(self) -> bool:
        """Whether it stands idle."""
        transport = self._wire.transport
        return transport is not None and not transport.is_closing() and self._wire.quiet

    def close(self) -> None:
        """Ends it at once."""
        if self._wire.transport is not None:
            self._wire.transport.abort()
