"""HTTP as a client, and the one place that imports httpx: bounded answers, bounded streams, errors in our words."""

from __future__ import annotations

import asyncio
import contextlib
import http.cookiejar
import ssl
from typing import TYPE_CHECKING

import httpx

from remote.client import answers, look, trouble
from remote.client.answers import MAX_ERROR
from remote.client.bearer import authorization
from remote.client.pin import bare_context, context_of
from remote.push.batch import Answer
from sysmon.errors import MalformedInput, RemoteError, StoreError, Unreachable
from sysmon.frame import clean_text

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence

    from remote.target import Target

CONNECT_SECONDS = 5.0
"""Seconds a connection may take."""
HEAD_SECONDS = 10.0
"""Seconds until the answer's headers are there, connection included."""


class Connections:
    """The HTTP connections of all agents of this process: one client for plain HTTP, one per Unix socket, and one per
    way in which a server is known.
    """

    def __init__(self) -> None:
        self._clients: dict[tuple[str, ssl.SSLContext | None], httpx.AsyncClient] = {}
        self._waiting: dict[tuple[str, str], Callable[[], None]] = {}

    def on_answer(self, target: Target, wake: Callable[[], None]) -> None:
        """Has `wake` called whenever a server answers anything."""
        self._waiting[target.base, target.socket] = wake

    def answered(self, target: Target) -> None:
        """Notes that a server has answered."""
        wake = self._waiting.get((target.base, target.socket))
        if wake is not None:
            wake()

    def client(self, target: Target) -> httpx.AsyncClient:
        """Returns the client that reaches a target.

        Raises:
            Untrusted: nothing says how to know the server.
        """
        known = context_of(target) if target.secure else None
        found = self._clients.get((target.socket, known))
        if found is None:
            # Plain HTTP needs no certificates: a bare context spares the 26 ms of loading them, and trusts nobody.
            context = bare_context() if known is None else known
            limits = httpx.Limits(max_connections=None, max_keepalive_connections=16, keepalive_expiry=10.0)
            transport = httpx.AsyncHTTPTransport(
                verify=context, limits=limits, uds=target.socket or None, trust_env=False
            )
            jar = http.cookiejar.CookieJar(http.cookiejar.DefaultCookiePolicy(allowed_domains=[]))
            found = self._clients[target.socket, known] = httpx.AsyncClient(
                transport=transport,
                cookies=jar,
                follow_redirects=False,
                trust_env=False,
                timeout=httpx.Timeout(None, connect=CONNECT_SECONDS, write=CONNECT_SECONDS),
                headers={"user-agent": "sysmon", "accept-encoding": "gzip"},
            )
        return found

    async def close(self) -> None:
        """Closes all connections."""
        clients, self._clients = list(self._clients.values()), {}
        for client in clients:
            await client.aclose()


class Endpoint:
    """One server, asked over shared connections."""

    def __init__(self, target: Target, connections: Connections) -> None:
        self.target = target
        self._connections = connections

    async def get(
        self, path: str, params: Sequence[tuple[str, str]] = (), *, deadline: float, accept: str = "application/json"
    ) -> bytes:
        """Returns the body of an answer.

        Raises:
            Unreachable: no connection, or no complete answer within `deadline` seconds.
            Untrusted: it is not known to be who it should be; nothing was sent.
            ProtocolMismatch: it is no sysmon. Unauthorized, RemoteError, StoreError: what the server said.
            MalformedInput: the answer is too large or not gzip.
        """
        try:
            async with asyncio.timeout(deadline), self.open(path, params, accept=accept, head=deadline) as pieces:
                return await answers.whole(self.target, path, pieces)
        except TimeoutError:
            raise Unreachable(f"{self.target} did not answer within {deadline:g} s") from None

    async def post(self, path: str, body: bytes, *, deadline: float, limit: int = MAX_ERROR) -> Answer:
        """Sends a body of JSON in gzip, and returns what is answered, whatever its status.

        Args:
            path: below the target.
            body: compressed.
            deadline: seconds until all of the answer must be there.
            limit: bytes of the answer at most.

        Raises:
            Unreachable, Untrusted: as `get`. Unauthorized: the token cannot be had. ProtocolMismatch: a redirect.
            MalformedInput: the answer is too large or not gzip.
        """
        client = self._connections.client(self.target)
        given = {"accept": "application/json", "content-type": "application/json", "content-encoding": "gzip"}
        given |= authorization(self.target)
        request = client.build_request("POST", self.target.base + path, content=body, headers=given)
        try:
            async with asyncio.timeout(deadline):
                response = await client.send(request, stream=True)
                try:
                    if 300 <= response.status_code < 400:
                        raise await _refusal(self.target, response)
                    answer = b""
                    async for piece in self._pieces(response):
                        answer += piece
                        if len(answer) > limit:
                            raise MalformedInput(f"{self.target}{path}: the answer is longer than {limit} bytes")
                finally:
                    with contextlib.suppress(TimeoutError, httpx.HTTPError, ssl.SSLError):
                        async with asyncio.timeout(1.0):
                            await response.aclose()
        except TimeoutError:
            raise Unreachable(f"{self.target} did not answer within {deadline:g} s") from None
        except (httpx.HTTPError, httpx.InvalidURL, ssl.SSLError) as error:
            raise await _unanswered(self.target, error) from None
        return Answer(response.status_code, answer, answers.seconds(response.headers.get("retry-after", "")))

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
        """Opens an answer, whose bytes come decompressed in pieces of at most `PIECE`; errors are those of `get`."""
        client = self._connections.client(self.target)
        url = self.target.base + path
        given = {"accept": accept, **authorization(self.target), **(headers or {})}
        request = client.build_request("GET", url, params=list(params), headers=given)
        try:
            async with asyncio.timeout(head):
                response = await client.send(request, stream=True)
        except TimeoutError:
            raise Unreachable(f"{self.target} did not answer within {head:g} s") from None
        except (httpx.HTTPError, httpx.InvalidURL, ssl.SSLError) as error:
            # An alert that comes behind the handshake reaches us as it is.
            raise await _unanswered(self.target, error) from None
        try:
            if response.status_code != 200:
                raise await _refusal(self.target, response)
            answers.check_kind(self.target, response.headers.get("content-type", ""), accept)
            self._connections.answered(self.target)
            yield self._pieces(response)
        finally:
            # A peer that trickles its rest must not hold up the closing.
            with contextlib.suppress(TimeoutError, httpx.HTTPError, ssl.SSLError):
                async with asyncio.timeout(1.0):
                    await response.aclose()

    async def _pieces(self, response: httpx.Response) -> AsyncIterator[bytes]:
        inflater = answers.inflater(self.target, response.headers.get("content-encoding", ""))
        try:
            async for chunk in response.aiter_raw():
                if inflater is None:
                    yield chunk
                else:
                    for piece in inflater.pieces(chunk):
                        yield piece
        except (httpx.HTTPError, ssl.SSLError) as error:
            raise _mapped(self.target, error) from None


async def _refusal(target: Target, response: httpx.Response) -> RemoteError | StoreError:
    if 300 <= response.status_code < 400:
        return answers.redirected(target, response.headers.get("location", ""))
    body = b""
    with contextlib.suppress(TimeoutError, httpx.HTTPError, ssl.SSLError):
        async with asyncio.timeout(2.0):
            async for chunk in response.aiter_raw():
                body += chunk
                if len(body) > MAX_ERROR:
                    break
    return answers.refusal(target, response.status_code, body)


async def _unanswered(target: Target, error: Exception) -> RemoteError | MalformedInput:
    """Says why no answer began. Where it was silence or noise, looks again: whether TLS is spoken where plain HTTP was
    meant, or what a server of TLS says when it is not interrupted by a request.
    """
    if isinstance(error, httpx.RemoteProtocolError | httpx.ReadError) and not target.socket:
        if target.secure and (said := await look.objection(target)) is not None:
            return said
        if not target.secure and await look.speaks_tls(target):
            return trouble.speaks_tls(target)
    return _mapped(target, error)


def _mapped(target: Target, error: Exception) -> RemoteError | MalformedInput:
    if isinstance(error, httpx.ConnectTimeout):
        return trouble.timed_out(target, CONNECT_SECONDS)
    if isinstance(error, httpx.TimeoutException):
        return Unreachable(f"{target} did not answer in time")
    if isinstance(error, httpx.RemoteProtocolError | httpx.DecodingError | httpx.InvalidURL):
        if "peer closed" in str(error) or "disconnected" in str(error):
            return Unreachable(f"{target} broke the connection off")
        return MalformedInput(f"{target} does not speak HTTP: {clean_text(str(error), 200)}")
    found = trouble.told(target, error)
    if found is not None:
        return found
    if isinstance(error, httpx.ConnectError) and target.secure and not str(error):
        return Unreachable(f"{target} broke the TLS handshake off", trouble.is_that(target))
    return Unreachable(f"{target}: {clean_text(str(error), 200) or type(error).__name__}")
