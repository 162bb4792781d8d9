"""What every request must pass before a route sees it: method, host, origin, sizes, times.

An agent is read-only by construction: there is nothing but GET. What a hub takes by POST stands in
`remote.server.access`.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from typing import TYPE_CHECKING

from starlette.exceptions import HTTPException

from remote import wire

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

MAX_QUERY = 4096
"""Bytes of a query string at most."""
BODY_SECONDS = 30.0
"""Seconds in which the body of a request must have arrived."""
_HEADERS = (
    (b"cache-control", b"no-store"),
    (b"x-content-type-options", b"nosniff"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
)


class Guard:
    """ASGI middleware that refuses what no reader of ours sends.

    Args:
        app: the routes.
        names: hostnames and addresses, beside loopback ones, by which this server may be called; another `Host` is a
            page in a browser whose name was pointed here (DNS rebinding).
        body: bytes that a POST to a path may hold, or None where none is taken.
    """

    def __init__(
        self,
        app: ASGIApp,
        names: frozenset[str] = frozenset(),
        body: Callable[[str], int | None] = lambda path: None,
    ) -> None:
        self._app = app
        self._names = frozenset(name.lower().rstrip(".") for name in names) | {"localhost"}
        self._own = socket.gethostname().partition(".")[0].lower()
        self._body = body

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers one request, or hands it on."""
        if scope["type"] != "http":
            return

        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", ()), *_HEADERS]
            await send(message)

        allowed = self._body(scope["path"]) if scope["method"] == "POST" else None
        refusal = self._refusal(scope, allowed)
        if refusal is None:
            await self._app(scope, receive if allowed is None else _bounded(receive, allowed), guarded)
        else:
            status, error, hint = refusal
            await refuse(guarded, status, error, hint)

    def _refusal(self, scope: Scope, body: int | None) -> tuple[int, str, str] | None:
        if body is None and scope["method"] not in ("GET", "HEAD"):
            return 405, f"method {scope['method'][:20]} is not allowed", "this server is read-only: GET is all there is"
        headers: dict[bytes, bytes] = {}
        for name, value in scope["headers"]:
            if name in (b"host", b"content-length") and name in headers:
                return 400, f"two {name.decode().title()} headers", ""
            headers[name] = value
        if b"origin" in headers or headers.get(b"sec-fetch-site", b"none") not in (b"none", b"same-origin"):
            return 403, "requests from web pages are refused", "there is no CORS here"
        length = headers.get(b"content-length", b"0")
        if body is None and (length != b"0" or b"transfer-encoding" in headers):
            return 413, "a request has no body here", ""
        if body is not None and (len(length) > 15 or int(length) > body):
            return 413, f"a body of {length[:20].decode()} bytes is more than {body}", "send less at once"
        if len(scope["query_string"]) > MAX_QUERY:
            return 414, f"the query is longer than {MAX_QUERY} bytes", ""
        server = scope.get("server")
        host = headers.get(b"host", b"").decode("latin-1")
        if server is not None and server[1] is not None and not self._known(host, server[0], scope.get("scheme", "")):
            return (
                421,
                f"'{host[:100]}' is not a name of this server",
                "call it by its address, such as 127.0.0.1, or add that name to [agent] names there",
            )
        return None

    def _known(self, host: str, address: str, scheme: str) -> bool:
        name = host.lower()
        if name.startswith("["):
            name = name[1:].partition("]")[0]
        else:
            name = name.partition(":")[0].rstrip(".")
        if name in self._names:
            return True
        if scheme == "https" and name.partition(".")[0] == self._own:
            # This machine's name in whatever domain: a page that was pointed here holds no token, and over TLS nothing
            # goes without.
            return True
        try:
            parsed = ipaddress.ip_address(name)
            reached = ipaddress.ip_address(address.partition("%")[0])
        except ValueError:
            return False
        return parsed.is_loopback or parsed in (reached, getattr(reached, "ipv4_mapped", None))


def _bounded(receive: Receive, limit: int) -> Receive:
    """Returns a `receive` that ends a request whose body is too large or too slow."""
    size = 0
    whole = False
    deadline = asyncio.get_running_loop().time() + BODY_SECONDS

    async def bounded() -> Message:
        nonlocal size, whole
        if whole:
            return await receive()
        try:
            async with asyncio.timeout_at(deadline):
                message = await receive()
        except TimeoutError:
            raise HTTPException(408, f"the body did not arrive within {BODY_SECONDS:g} s") from None
        size += len(message.get("body", b""))
        whole = not message.get("more_body", False)
        if size > limit:
            raise HTTPException(413, f"the body is larger than {limit} bytes")
        return message

    return bounded


async def refuse(send: Send, status: int, error: str, hint: str = "", *, retry: int = 0) -> None:
    """Answers with an error as JSON `{error, hint}` and closes the connection; `retry`: seconds to wait, or 0."""
    body = wire.encode_json({"error": error, "hint": hint}) + b"\n"
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(body)).encode()),
        (b"connection", b"close"),
    ]
    if status == 405:
        headers.append((b"allow", b"GET, HEAD"))
    if status == 401:
        headers.append((b"www-authenticate", b'Bearer realm="sysmon"'))
    if retry:
        headers.append((b"retry-after", str(retry).encode()))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
