"""One encoded stream to many readers: each distinct view is compressed once, and a slow reader is let go.

All readers of a view share its compressor. A reader that joins gets its opening from a compressor of its own, up to a
byte boundary; from there on the shared one's output fits on, because it forgets its window (a full flush) before the
next event.
"""

from __future__ import annotations

import asyncio
import zlib
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, NamedTuple

from remote.server.reduced import Pace

if TYPE_CHECKING:
    from collections.abc import Callable

LEVEL = 6
"""zlib level of streams: 230 bytes per second of a quiet host's 3 kB frames, at 30 microseconds each."""
LARGE = 64 << 10
"""Bytes of an opening from which on it is compressed beside the event loop."""
MAX_PIECE = 256 << 10
"""Bytes handed to the socket in one piece at most, unless one event is larger."""


class ViewKey(NamedTuple):
    """What distinguishes views: hosts (None for all), tables, whether it is compressed, collectors (None for all),
    and the seconds between frames of one host (0: every frame).
    """

    hosts: frozenset[str] | None
    tables: frozenset[str]
    gzip: bool
    collectors: frozenset[str] | None = None
    interval: int = 0

    def wants(self, host: str) -> bool:
        """Whether events of that host belong to the view; '' is everybody's."""
        return self.hosts is None or not host or host in self.hosts


class Reader:
    """One open stream: a queue bounded by bytes, between the feed and a socket.

    A reader is dropped when its queue would exceed `limit` bytes (one event larger than that passes when the queue is
    empty), or when one write to its socket has been stuck for `stall` seconds. The opening is not counted.

    Attributes:
        ended: why it is over, '' while it is not.
    """

    def __init__(self, key: ViewKey, *, limit: int, stall: float, abort: Callable[[], None]) -> None:
        self.key = key
        self.size = 0
        self.ended = ""
        self._limit = limit
        self._stall = stall
        self._abort = abort
        self._chunks: deque[bytes] = deque()
        self._wake = asyncio.Event()
        self._stuck_since: float | None = None
        self._opening = 0
        self._held = False
        self._making: asyncio.Future[bytes] | None = None

    def open(self, data: bytes) -> None:
        """Puts what comes before everything else, in pieces, so that progress is seen on a slow line."""
        if self.ended:
            return
        pieces = [data[at : at + MAX_PIECE] for at in range(0, len(data), MAX_PIECE)]
        self._chunks.extendleft(reversed(pieces))
        self._opening = len(data)
        self._held = False
        self._wake.set()

    def open_later(self, making: asyncio.Future[bytes]) -> None:
        """Holds everything back until what comes first is made."""
        self._held = True
        self._making = making

        def made(done: asyncio.Future[bytes]) -> None:
            if not done.cancelled():
                self.open(done.result())

        making.add_done_callback(made)

    def push(self, chunk: bytes) -> None:
        """Queues one chunk, or drops the reader."""
        if self.ended:
            return
        if self.size and self.size + len(chunk) > self._limit:
            self.drop("too slow: its queue is full")
            return
        if self._stuck_since is not None and asyncio.get_running_loop().time() - self._stuck_since > self._stall:
            self.drop("too slow: it takes nothing")
            return
        self._chunks.append(chunk)
        self.size += len(chunk)
        self._wake.set()

    async def next(self) -> bytes | None:
        """Returns the next piece to write, or None when the stream is over."""
        self._stuck_since = None
        while self._held or not self._chunks:
            if self.ended:
                return None
            self._wake.clear()
            await self._wake.wait()
        self._stuck_since = asyncio.get_running_loop().time()
        piece = [self._chunks.popleft()]
        size = len(piece[0])
        if self._opening:
            self._opening -= size
            return piece[0]
        while self._chunks and size + len(self._chunks[0]) <= MAX_PIECE:
            size += len(self._chunks[0])
            piece.append(self._chunks.popleft())
        self.size -= size
        return piece[0] if len(piece) == 1 else b"".join(piece)

    def finish(self, reason: str) -> None:
        """Ends the stream once what is queued has been written."""
        self.ended = self.ended or reason
        self._wake.set()

    def drop(self, reason: str) -> None:
        """Ends the stream now: forgets its queue and cuts its connection."""
        self._chunks.clear()
        self.size = 0
        self.finish(reason)
        self._abort()


class Opening:
    """What comes before everything else, made and compressed once for all who come at one moment."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._packed: bytes | None = None
        self._packing: asyncio.Future[bytes] | None = None

    def give(self, reader: Reader, *, gzip: bool) -> None:
        """Hands it to a reader, at once or as soon as it is compressed."""
        if not gzip:
            reader.open(self._data)
        elif len(self._data) < LARGE:
            if self._packed is None:
                self._packed = _pack(self._data)
            reader.open(self._packed)
        else:
            # The states of hundreds of hosts: zlib lets go of the interpreter, and the loop goes on.
            if self._packing is None:
                self._packing = asyncio.get_running_loop().run_in_executor(_packer, _pack, self._data)
            reader.open_later(self._packing)


def _pack(data: bytes) -> bytes:
    own = zlib.compressobj(LEVEL, zlib.DEFLATED, 16 + zlib.MAX_WBITS, 9)
    return own.compress(data) + own.flush(zlib.Z_SYNC_FLUSH)


_packer = ThreadPoolExecutor(1, thread_name_prefix="compress")
"""One thread: many readers that come at once must not take the processor from the frames."""


class View:
    """The readers that see the same events in the same form."""

    def __init__(self, key: ViewKey) -> None:
        self.key = key
        self.readers: list[Reader] = []
        self.pace = Pace(key.interval)
        self.sent = 0
        """Bytes made for one reader so far."""
        self._compressor = zlib.compressobj(LEVEL, zlib.DEFLATED, -zlib.MAX_WBITS, 9) if key.gzip else None
        self._forget = False

    def join(self, reader: Reader, opening: Opening) -> None:
        """Adds a reader, with what comes first for it."""
        self.readers.append(reader)
        self._forget = self._compressor is not None
        opening.give(reader, gzip=self.key.gzip)

    def send(self, data: bytes) -> None:
        """Gives all readers one event."""
        if self._compressor is not None:
            head = b""
            if self._forget:
                head = self._compressor.flush(zlib.Z_FULL_FLUSH)
                self._forget = False
            data = head + self._compressor.compress(data) + self._compressor.flush(zlib.Z_SYNC_FLUSH)
        self.sent += len(data)
        for reader in self.readers:
            reader.push(data)
        if any(reader.ended for reader in self.readers):
            self.readers = [reader for reader in self.readers if not reader.ended]
