"""HTTP/1.1 as a client without httpx, for what must stay small: one server, asked over one connection that is kept.

It parses with h11, which every agent has loaded to serve; httpx beside it takes 8 MiB. Bounds, deadlines and words are
those of `remote.client.transport`.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import socket
import ssl
from typing import TYPE_CHECKING
from urllib.parse import quote, urlencode, urlsplit

import h11

from remote.client import answers, look, trouble
from remote.client.answers import MAX_ERROR
from remote.client.bearer import authorization
from remote.client.leanline import Bytes, Line
from remote.client.pin import context_of
from remote.liveness import SECOND
from remote.push.batch import Answer
from sysmon.clock import SystemClock
from sysmon.errors import MalformedInput, Unreachable
from sysmon.frame import clean_text

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from remote.target import Target
    from sysmon.errors import RemoteError

CONNECT_SECONDS = 5.0
"""Seconds a connection may take; as many again where it begins with a handshake of TLS."""
HEAD_SECONDS = 10.0
"""Seconds until the answer's headers are there, connection included."""
KEPT_SECONDS = 60.0
"""Seconds for which a connection is kept unused: longer, and a router on the way may have forgotten it."""
UNHEARD_SECONDS = 15
"""Seconds after which the kernel gives up a connection whose other end confirms nothing of what was sent."""

_BROKEN = (OSError, ssl.CertificateError, EOFError, UnicodeError, h11.ProtocolError)


class _Response:
    """An answer whose body is still to be read."""

    def __init__(self, target: Target, line: Line, head: h11.Response) -> None:
        self.status = head.status_code
        self._target = target
        self._line = line
        self._headers = {bytes(name): bytes(value) for name, value in head.headers}

    def header(self, name: bytes) -> str:
        """Returns a header, '' where it is missing."""
        return self._headers.get(name, b"").decode("latin-1")

    async def pieces(self) -> AsyncIterator[bytes]:
        """Yields the body, decompressed; errors are those of `Endpoint.get`."""
        inflate = answers.inflater(self._target, self.header(b"content-encoding"))
        try:
            async for chunk in self._line.pieces():
                if inflate is None:
                    yield chunk
                else:
                    for piece in inflate.pieces(chunk):
                        yield piece
        except _BROKEN as error:
            raise _mapped(self._target, error) from None

    async def body(self, limit: int, path: str) -> bytes:
        """Returns all of it.

        Raises:
            MalformedInput: it is longer than `limit` bytes.
        """
        size = 0
        body = []
        async for piece in self.pieces():
            size += len(piece)
            if size > limit:
                raise MalformedInput(f"{self._target}{path}: the answer is longer than {limit} bytes")
            body.append(piece)
        return b"".join(body)

    async def refusal(self) -> Exception:
        """Says what it means where it is not what was asked for."""
        if 300 <= self.status < 400:
            return answers.redirected(self._target, self.header(b"location"))
        body = b""
        with contextlib.suppress(TimeoutError, *_BROKEN):
            async with asyncio.timeout(2.0):
                async for chunk in self._line.pieces():
                    body += chunk
                    if len(body) > MAX_ERROR:
                        break
        return answers.refusal(self._target, self.status, body)


class Endpoint:
    """One server, asked over a connection of its own that is kept from one request to the next.

    Requests may be sent twice: where a connection that was kept breaks before a byte of the answer came, on another.

    Args:
        target: where it is and how it is known.
    """

    def __init__(self, target: Target) -> None:
        self.target = target
        self._kept: Line | None = None
        self._clock = SystemClock()
        parts = urlsplit(target.base)
        self._host, self._port = parts.hostname or "", parts.port or (443 if target.secure else 80)
        self._called = "localhost" if target.socket else parts.netloc

    async def get(
        self, path: str, params: Sequence[tuple[str, str]] = (), *, deadline: float, accept: str = "application/json"
    ) -> bytes:
        """Returns the body of an answer; errors are those of `remote.client.transport.Endpoint.get`."""
        try:
            async with asyncio.timeout(deadline), self.open(path, params, accept=accept, head=deadline) as pieces:
                return await answers.whole(self.target, path, pieces)
        except TimeoutError:
            raise Unreachable(f"{self.target} did not answer within {deadline:g} s") from None

    async def post(self, path: str, body: bytes, *, deadline: float, limit: int = MAX_ERROR) -> Answer:
        """Sends a body of JSON in gzip, and returns what is answered, whatever its status.

        Arguments and errors are those of `remote.client.transport.Endpoint.post`; also raises ProtocolMismatch where
        what answers 200 says it in something else than JSON.
        """
        given = {"accept": "application/json", "content-type": "application/json", "content-encoding": "gzip"}
        try:
            async with asyncio.timeout(deadline), self._asked("POST", path, given, body) as response:
                if 300 <= response.status < 400:
                    raise await response.refusal()
                if response.status == 200:
                    answers.check_kind(self.target, response.header(b"content-type"), "application/json")
                said = await response.body(limit, path)
        except TimeoutError:
            raise Unreachable(f"{self.target} did not answer within {deadline:g} s") from None
        return Answer(response.status, said, answers.seconds(response.header(b"retry-after")))

    @contextlib.asynccontextmanager
    async def open(
        self,
        path: str,
        params: Sequence[tuple[str, str]] = (),
        *,
        accept: str,
        head: float = HEAD_SECONDS,
        headers: dict[str, str] | None = None,
    ) -> AsyncIterator[AsyncIterator[bytes]]:
        """Opens an answer, whose bytes come decompressed in pieces; errors are those of `get`."""
        where = f"{path}?{urlencode(params, quote_via=quote)}" if params else path
        async with self._asked("GET", where, {"accept": accept, **(headers or {})}, b"", head) as response:
            if response.status != 200:
                raise await response.refusal()
            answers.check_kind(self.target, response.header(b"content-type"), accept)
            yield response.pieces()

    async def close(self) -> None:
        """Ends the connection that is kept."""
        line, self._kept = self._kept, None
        if line is not None:
            line.close()

    @contextlib.asynccontextmanager
    async def _asked(
        self, method: str, path: str, headers: dict[str, str], body: bytes, head: float | None = None
    ) -> AsyncIterator[_Response]:
        """Sends a request, and returns its answer; the connection is kept where all of that was read."""
        given = {
            "host": self._called,
            "user-agent": "sysmon",
            "accept-encoding": "gzip",
            **headers,
            **authorization(self.target),
            **({"content-length": str(len(body))} if body else {}),
        }
        request = h11.Request(method=method, target=path, headers=list(given.items()))
        try:
            async with asyncio.timeout(head):
                line, answered = await self._answered(request, body)
        except TimeoutError:
            if head is None:
                raise
            raise Unreachable(f"{self.target} did not answer within {head:g} s") from None
        try:
            yield _Response(self.target, line, answered)
        finally:
            if self._kept is None and line.rest():
                line.until = self._clock.boottime() + int(KEPT_SECONDS * SECOND)
                self._kept = line
            else:
                line.close()

    async def _answered(self, request: h11.Request, body: bytes) -> tuple[Line, h11.Response]:
        while True:
            line = self._taken() or await self._connected()
            try:
                line.send(request, body)
                return line, await line.head()
            except _BROKEN as error:
                line.close()
                if line.used and not line.heard and isinstance(error, OSError | EOFError):
                    continue
                if line.alerted or (not line.heard and not isinstance(error, h11.ProtocolError)):
                    raise await self._unanswered(error) from None
                raise _mapped(self.target, error) from None
            except BaseException:
                line.close()
                raise

    def _taken(self) -> Line | None:
        """Takes the connection that is kept, where it will still do."""
        line, self._kept = self._kept, None
        if line is not None and (line.until < self._clock.boottime() or not line.usable()):
            line.close()
            return None
        return line

    async def _connected(self) -> Line:
        """Connects.

        Raises:
            Unreachable: nobody takes the connection. Untrusted, Unauthorized, ProtocolMismatch: see `trouble.told`.
        """
        known = context_of(self.target) if self.target.secure else None
        loop = asyncio.get_running_loop()
        patience = CONNECT_SECONDS * (1 if known is None else 2)
        try:
            async with asyncio.timeout(patience):
                if self.target.socket:
                    transport, wire = await loop.create_unix_connection(Bytes, self.target.socket)
                else:
                    name = self._host if known is not None else None
                    transport, wire = await loop.create_connection(
                        Bytes, self._host, self._port, ssl=known, server_hostname=name, happy_eyeballs_delay=0.25
                    )
        except TimeoutError:
            raise trouble.timed_out(self.target, patience) from None
        except _BROKEN as broken:
            error = _one(broken)
            found = trouble.told(self.target, error)
            if found is None and known is not None and not str(error):
                found = Unreachable(f"{self.target} broke the TLS handshake off", trouble.is_that(self.target))
            raise found or _mapped(self.target, error) from None
        made = transport.get_extra_info("socket")
        if made is not None and made.family != socket.AF_UNIX and hasattr(socket, "TCP_USER_TIMEOUT"):
            with contextlib.suppress(OSError):
                made.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, UNHEARD_SECONDS * 1000)
        return Line(wire, self._clock.boottime())

    async def _unanswered(self, error: Exception) -> RemoteError | MalformedInput:
        """Says why no answer began: looks again whether TLS is spoken where plain HTTP was meant, or
        what a server of TLS says when it is not interrupted by a request.
        """
        if not self.target.socket:
            if self.target.secure and (said := await look.objection(self.target)) is not None:
                return said
            if not self.target.secure and await look.speaks_tls(self.target):
                return trouble.speaks_tls(self.target)
        return _mapped(self.target, error)


def _one(error: Exception) -> Exception:
    """Takes what asyncio makes of several addresses none of which is to be had for what the last of them said."""
    numbers = re.findall(r"\[Errno (\d+)\]", str(error)) if isinstance(error, OSError) and error.errno is None else []
    return OSError(int(numbers[-1]), os.strerror(int(numbers[-1]))) if numbers else error


def _mapped(target: Target, error: Exception) -> RemoteError | MalformedInput:
    if isinstance(error, h11.ProtocolError):
        if "peer closed" in str(error):
            return Unreachable(f"{target} broke the connection off")
        return MalformedInput(f"{target} does not speak HTTP: {clean_text(str(error), 200)}")
    if isinstance(error, EOFError | ConnectionResetError | BrokenPipeError):
        return Unreachable(f"{target} broke the connection off")
    found = trouble.told(target, error)
    return found or Unreachable(f"{target}: {clean_text(str(error), 200) or type(error).__name__}")
