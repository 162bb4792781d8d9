"""The agent's and the hub's HTTP server: on a Unix socket, on loopback, or over TLS to who has a token."""

from __future__ import annotations

import asyncio
import logging
import traceback
from typing import TYPE_CHECKING, Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.responses import Response

from remote import wire
from remote.server import listen as listening
from remote.server.access import Access
from remote.server.feed import Feed, TooManyStreams
from remote.server.gate import Gate
from remote.server.guard import Guard
from remote.server.listen import check_listen
from remote.server.names import NotThere
from remote.server.permits import RouteTable
from remote.server.routes import Routes
from remote.target import DEFAULT_PORT
from sysmon.clock import SystemClock
from sysmon.errors import RemoteError, StoreError, SysmonError, UsageError
from sysmon.frame import clean_text

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from starlette.requests import Request
    from starlette.routing import Route

    from remote.client.lent import LentEvidence
    from remote.server.tls import ServerTls
    from sysmon.clock import Clock
    from sysmon.ports import History

__all__ = ["DEFAULT_PORT", "build_app", "check_listen", "serve"]

CERTIFICATE_SECONDS = 600.0
"""Seconds between looks at the certificate's files and its end."""

_log = logging.getLogger("sysmon.remote")


def build_app(
    feed: Feed,
    history: History | None = None,
    *,
    clock: Clock | None = None,
    names: frozenset[str] = frozenset(),
    routes: Sequence[Route] = (),
    access: Access | None = None,
    lent: LentEvidence | None = None,
) -> Starlette:
    """Builds the application.

    Args:
        feed: what is streamed, with the hosts and the catalogue it learnt.
        history: where the past is asked for; None where none is kept.
        clock: the server's.
        names: hostnames and addresses beside loopback by which the server may be called.
        routes: further endpoints; one that takes POST must stand in `remote.server.permits.WRITES`.
        lent: of a hub: asks the hosts it follows for what only they know.
        access: who is let in; without it this machine's own programs, to read.

    Raises:
        ValueError: a route changes something and is not allowed to.
    """
    access = access or Access(clock=clock)
    table = RouteTable([*Routes(feed, history, clock or SystemClock(), lent).routes(), *routes])
    app = Starlette(
        routes=table.routes,
        middleware=[
            Middleware(Guard, names=names, body=table.body),
            Middleware(Gate, access=access, routes=table),
        ],
        exception_handlers={
            SysmonError: _known_error,
            TimeoutError: _timeout,
            HTTPException: _http_error,
            Exception: _unknown_error,
        },
    )
    app.state.feed = feed
    app.state.access = access
    app.state.table = table
    return app


async def serve(
    app: Starlette,
    listen: str | None = "127.0.0.1",
    port: int = DEFAULT_PORT,
    *,
    uds: Path | None = None,
    uds_mode: int = 0o600,
    started: Callable[[int | None], Any] | None = None,
    tls: ServerTls | None = None,
    say: Callable[[str], None] | None = None,
) -> None:
    """Serves until cancelled; then ends open streams and connections within about a second.

    Args:
        app: from `build_app`.
        listen: addresses or names of this machine with commas between, or None for the Unix socket alone.
        port: TCP port; 0 lets the kernel choose.
        uds: path of a Unix socket to serve on as well.
        uds_mode: its file mode, 0600 or 0660.
        started: called with the TCP port once requests are answered.
        tls: what is spoken on TCP; without it only loopback is listened on.
        say: takes lines about who was turned away.

    Raises:
        UsageError: the address is not allowed. SysmonError: it cannot be bound, such as a port in use.
    """
    sockets = []
    bound: int | None = None
    try:
        if listen is not None:
            for address in check_listen(listen, tls=tls is not None, tokens=app.state.access.usable):
                tcp = listening.bind_tcp(address, port if bound is None else bound)
                sockets.append(tcp)
                bound = tcp.getsockname()[1]
        if uds is not None:
            sockets.append(listening.bind_unix(uds, uds_mode))
    except SysmonError:
        for listener in sockets:
            listener.close()
        raise
    watch = asyncio.get_running_loop().create_task(_watch(app.state.access, tls, say), name="tokens")
    try:
        await listening.run(
            app,
            sockets,
            started=None if started is None else lambda: started(bound),
            close=app.state.feed.close,
            tls=tls,
            say=say,
        )
    finally:
        watch.cancel()
        await asyncio.gather(watch, return_exceptions=True)
        if uds is not None:
            listening.unbind_unix(uds)


async def _watch(access: Access, tls: ServerTls | None, say: Callable[[str], None] | None) -> None:
    """Looks after tokens and certificate."""
    async with asyncio.TaskGroup() as group:
        group.create_task(access.watch())
        while tls is not None:
            await access.clock.sleep(CERTIFICATE_SECONDS)
            if (notice := await asyncio.to_thread(tls.refresh, access.clock.now())) and say is not None:
                say(f"sysmon: {notice}")


def _error(status: int, error: str, hint: str = "", **headers: str) -> Response:
    body = wire.encode_json({"error": error, "hint": hint}) + b"\n"
    return Response(body, status, headers, "application/json")


async def _known_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, SysmonError)
    if isinstance(error, NotThere):
        return _error(404, error.message, error.hint)
    if isinstance(error, UsageError):
        return _error(400, error.message, error.hint)
    if isinstance(error, TooManyStreams | StoreError):
        return _error(503, error.message, error.hint, **{"retry-after": "5"})
    return _error(502 if isinstance(error, RemoteError) else 500, error.message, error.hint)


async def _timeout(request: Request, error: Exception) -> Response:
    return _error(504, "the history did not answer in time", "ask for less, or try again", **{"retry-after": "5"})


async def _http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    hint = "docs/wire.md lists the endpoints" if error.status_code == 404 else ""
    return _error(error.status_code, f"{request.url.path[:200]}: {error.detail}".lower(), hint)


async def _unknown_error(request: Request, error: Exception) -> Response:
    # What a peer sent may stand in path and error: neither reaches a terminal as it came.
    trace = "".join(traceback.format_exception(error)).splitlines()
    _log.error("%s failed\n%s", clean_text(request.url.path, 300), "\n".join(clean_text(line, 300) for line in trace))
    return _error(500, "this request failed inside the server", "its log says why")
