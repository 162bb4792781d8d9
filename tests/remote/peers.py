"""The other ends of the wire for tests: raw connections, peers that lie, a source that is watched."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any

from remote import wire
from remote.liveness import Patience
from sysmon.frame import Frame
from sysmon.records import Hello, HostInfo
from tests.remote.support import HOST, T0

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from remote.client.source import AgentSource
    from sysmon.records import Update


class Raw:
    """A raw HTTP connection: what is sent is seen byte by byte."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def ask(
        self, path: str, *headers: str, method: str = "GET", host: str = "127.0.0.1"
    ) -> tuple[int, dict[str, str]]:
        """Sends a request and returns status and headers."""
        lines = [f"{method} {path} HTTP/1.1", f"Host: {host}", *headers, "", ""]
        self.writer.write("\r\n".join(lines).encode())
        head = (await self.reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        pairs = [line.split(": ", 1) for line in head[1:] if ": " in line]
        return int(head[0].split()[1]), {name.lower(): value for name, value in pairs}

    async def chunk(self) -> bytes:
        """Returns one chunk of a chunked answer; b'' is its end."""
        size = int(await self.reader.readuntil(b"\r\n"), 16)
        data = await self.reader.readexactly(size + 2)
        return data[:-2]

    async def body(self, headers: dict[str, str]) -> bytes:
        """Returns a whole answer."""
        if "content-length" in headers:
            return await self.reader.readexactly(int(headers["content-length"]))
        parts = []
        while part := await self.chunk():
            parts.append(part)
        return b"".join(parts)


@contextlib.asynccontextmanager
async def raw(port: int) -> AsyncIterator[Raw]:
    """Connects to a port."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1 << 22)
    try:
        yield Raw(reader, writer)
    finally:
        writer.transport.abort()


@contextlib.asynccontextmanager
async def peer(
    handle: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]], heads: list[str] | None = None
) -> AsyncIterator[str]:
    """Serves TCP with a handler that may lie; yields its URL. `heads` is given the heads of the requests."""
    tasks = set()

    async def guarded(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        tasks.add(asyncio.current_task())
        try:
            with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
                head = await reader.readuntil(b"\r\n\r\n")
                if heads is not None:
                    heads.append(head.decode())
                await handle(reader, writer)
        finally:
            writer.transport.abort()

    server = await asyncio.start_server(guarded, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
        for task in tasks:
            if task is not None:
                task.cancel()
        await asyncio.gather(*(task for task in tasks if task is not None), return_exceptions=True)


SSE_HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n"


class Watcher:
    """Reads a source in the background and lets a test wait for what it says."""

    def __init__(self, source: AgentSource) -> None:
        self.source = source
        self.seen: list[Update] = []
        self.lateness: dict[tuple[str, str, int], bool] = {}
        self._news = asyncio.Event()
        self._task = asyncio.create_task(self._read())

    async def _read(self) -> None:
        async for update in self.source.updates():
            if isinstance(update, Frame):
                self.lateness[update.identity] = self.source.late(update)
            self.seen.append(update)
            self._news.set()

    def of(self, kind: type[Any]) -> list[Any]:
        """Returns the updates of a kind so far."""
        return [update for update in self.seen if isinstance(update, kind)]

    @property
    def frames(self) -> list[int]:
        """Sequence numbers of the frames so far, states left out."""
        return [update.seq for update in self.of(Frame) if update.seq]

    async def until(self, condition: Callable[[], Any], seconds: float = 8.0) -> None:
        """Waits until a condition on what was seen holds."""
        async with asyncio.timeout(seconds):
            while not condition():
                self._news.clear()
                if self._task.done():
                    self._task.result()
                    raise AssertionError("the source ended")
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._news.wait(), 0.05)

    async def stop(self) -> None:
        """Closes the source."""
        await self.source.close()
        await asyncio.gather(self._task, return_exceptions=True)


@contextlib.asynccontextmanager
async def watching(source: AgentSource) -> AsyncIterator[Watcher]:
    """Reads a source for as long as the block runs."""
    watcher = Watcher(source)
    try:
        yield watcher
    finally:
        await watcher.stop()


QUICK = Patience(deadline=1.0, stale=0.6, offline=1.2, first=0.02, most=0.1, settled=60.0, tick=0.05, late=3.0)
FAST = {"network": 0.1, "load": 0.1}


def hello(*infos: HostInfo, server: str = "ab" * 8, **more: Any) -> bytes:
    """A peer's first event."""
    hosts = list(infos or [HostInfo(id=HOST, hostname="web")])
    value = Hello(**{"schema": 1, "version": "1", "server": server, "time": T0, "hosts": hosts, "metrics": [], **more})
    return wire.encode_event(value, f"{server}-0")


def chunked(*events: bytes) -> bytes:
    """Events as an answer whose end is the connection's."""
    return SSE_HEAD + b"".join(events)


async def send(writer: asyncio.StreamWriter, data: bytes, *, hold: bool = True) -> None:
    """Sends, and keeps the connection open until the other side ends it."""
    writer.write(data)
    await writer.drain()
    if hold:
        await asyncio.sleep(30)
