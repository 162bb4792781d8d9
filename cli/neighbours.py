"""Who else of this machine knows this host: the agent or recorder that a screen shows instead of sampling twice.

Looked for on the Unix sockets of this user and of the system's service, then on loopback. Who answers must say that
this very host is its own: a port forwarded by ssh leads to another machine's agent.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import msgspec

if TYPE_CHECKING:
    from sysmon.config import Places

SERVICE_SOCKET = Path("/run/sysmon/sysmon.sock")
"""Where the system's own agent or recorder listens."""

CONNECT_SECONDS = 0.3
"""Seconds a connection on this machine may take."""

ANSWER_SECONDS = 2.0
"""Seconds an answer may take."""

FOREIGN_SECONDS = 10.0
"""Seconds for which an address that is not this host's is left alone."""

MAX_ANSWER = 4 << 20
"""Bytes of an answer at most."""


class _Host(msgspec.Struct):
    id: str
    target: str = "local"


class _Hosts(msgspec.Struct):
    hosts: list[_Host]


class _Status(msgspec.Struct):
    path: str = ""
    recorder: str = ""


class Neighbour(NamedTuple):
    """A running agent or recorder of this host.

    Attributes:
        address: a target for `remote`.
        path: of the history it keeps, or waits to keep.
        recorder: who records into that: 'agent (process 1234)', or ''.
    """

    address: str
    path: str
    recorder: str


class Neighbours:
    """Looks for an agent or recorder of this host.

    Args:
        places: where its socket would be.
        port: TCP port on loopback where it would listen.
        host: id of this host.
    """

    def __init__(self, places: Places, port: int, host: str) -> None:
        sockets = [path for path in (places.socket, SERVICE_SOCKET) if path is not None]
        self._sockets = list(dict.fromkeys(sockets))
        self._port = port
        self._host = host
        self._foreign: dict[str, float] = {}

    async def find(self) -> Neighbour | None:
        """Returns who serves this host, or None; answers within some seconds, mostly at once."""
        for path in self._sockets:
            found = await self._ask(f"unix://{path}", path=path)
            if found is not None:
                return found
        return await self._ask(f"http://127.0.0.1:{self._port}", path=None)

    async def ask(self, found: Neighbour, query: str) -> bytes:
        """Returns the body of one answer of who was found.

        Raises:
            OSError, TimeoutError, EOFError: no connection, no complete answer. ValueError: not the answer wanted.
        """
        address = found.address
        return await self._get(Path(address.removeprefix("unix://")) if address.startswith("unix://") else None, query)

    async def _ask(self, address: str, path: Path | None) -> Neighbour | None:
        if self._foreign.get(address, 0.0) > time.monotonic():
            return None
        try:
            hosts = msgspec.json.decode(await self._get(path, f"/v1/hosts?host={self._host}"), type=_Hosts).hosts
            # Over TCP it may be another machine's recorder, to which this one is a host among others.
            own = [each for each in hosts if each.id == self._host and (path is not None or each.target == "local")]
            status = msgspec.json.decode(await self._get(path, "/v1/status"), type=_Status) if own else _Status()
        except (ConnectionError, FileNotFoundError):
            # Nobody is there now.
            return None
        except (OSError, TimeoutError, ValueError, EOFError, RecursionError):
            own, status = [], _Status()
        if own and status.path:
            return Neighbour(address, status.path, status.recorder)
        # Its own agent may just be starting, or keep no history: look again, but not at every turn.
        self._foreign[address] = time.monotonic() + (FOREIGN_SECONDS if path is None else 2.0)
        return None

    async def _get(self, path: Path | None, query: str) -> bytes:
        """Returns the body of one answer.

        Raises:
            OSError, TimeoutError, EOFError: no connection, no complete answer. ValueError: not the answer wanted.
        """
        async with asyncio.timeout(CONNECT_SECONDS):
            if path is not None:
                reader, writer = await asyncio.open_unix_connection(str(path))
            else:
                reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                writer.write(f"GET {query} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n".encode())
                head, _, body = (await _all(reader)).partition(b"\r\n\r\n")
        finally:
            writer.close()
            with contextlib.suppress(OSError, TimeoutError):
                async with asyncio.timeout(0.5):
                    await writer.wait_closed()
        if head.split(b" ")[1:2] != [b"200"]:
            raise ValueError("another answer than was asked for")
        return body


async def _all(reader: asyncio.StreamReader) -> bytes:
    data = b""
    while len(data) <= MAX_ANSWER:
        piece = await reader.read(1 << 16)
        if not piece:
            return data
        data += piece
    raise ValueError("an endless answer")
