"""What every request must pass before a route sees it: method, host, origin, sizes.

The server is read-only by construction: there is nothing but GET.
"""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING

from remote import wire

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

MAX_QUERY = 4096
"""Bytes of a query string at most."""
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
    """

    def __init__(self, app: ASGIApp, names: frozenset[str] = frozenset()) -> None:
        self._app = app
        self._names = frozenset(name.lower() for name in names) | {"localhost"}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers one request, or hands it on."""
        if scope["type"] != "http":
            return

        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", ()), *_HEADERS]
            await send(message)

        refusal = self._refusal(scope)
        if refusal is None:
            await self._app(scope, receive, guarded)
        else:
            status, error, hint = refusal
            await refuse(guarded, status, error, hint)

    def _refusal(self, scope: Scope) -> tuple[int, str, str] | None:
        if scope["method"] not in ("GET", "HEAD"):
            return 405, f"method {scope['method'][:20]} is not allowed", "this server is read-only: GET is all there is"
        headers: dict[bytes, bytes] = {}
        for name, value in scope["headers"]:
            if name == b"host" and name in headers:
                return 400, "two Host headers", ""
            headers[name] = value
        if b"origin" in headers:
            return 403, "requests from web pages are refused", "there is no CORS here"
        if headers.get(b"content-length", b"0") != b"0" or b"transfer-encoding" in headers:
            return 413, "a request has no body here", ""
        if len(scope["query_string"]) > MAX_QUERY:
            return 414, f"the query is longer than {MAX_QUERY} bytes", ""
        server = scope.get("server")
        over_unix = server is None or server[1] is None
        host = headers.get(b"host", b"").decode("latin-1")
        if not over_unix and not self._known(host):
            return 421, f"'{host[:100]}' is not a name of this server", "call it by its address, such as 127.0.0.1"
        return None

    def _known(self, host: str) -> bool:
        name = host.lower()
        if name.startswith("["):
            name = name[1:].partition("]")[0]
        else:
            name = name.partition(":")[0]
        if name in self._names:
            return True
        try:
            return ipaddress.ip_address(name).is_loopback
        except ValueError:
            return False


async def refuse(send: Send, status: int, error: str, hint: str = "") -> None:
    """Answers with an error as JSON `{error, hint}` and closes the connection."""
    body = wire.encode_json({"error": error, "hint": hint}) + b"\n"
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(body)).encode()),
        (b"connection", b"close"),
    ]
    if status == 405:
        headers.append((b"allow", b"GET, HEAD"))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
