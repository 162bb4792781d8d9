"""Where the server listens: which addresses it may take, its sockets, and uvicorn held to limits.

uvicorn parses HTTP (h11). Added here: bounded socket buffers, a door that counts connections and agrees on TLS, a
deadline for a request's head, a handle by which a stuck connection can be cut, and a shutdown that does not wait for
endless streams.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import ipaddress
import logging
import os
import re
import socket
import stat
import struct
from typing import TYPE_CHECKING, Any

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol, RequestResponseCycle

from remote.server.addresses import is_loopback
from remote.server.door import Door, Visitors
from remote.server.murmur import Murmur
from remote.target import DEFAULT_PORT
from sysmon.errors import SysmonError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from pathlib import Path

    from starlette.applications import Starlette

    from remote.server.tls import ServerTls

SEND_BUFFER = 128 << 10
"""Bytes the kernel may hold for one reader that does not read."""
MAX_HEAD = 16 << 10
"""Bytes of a request's line and headers at most."""
HEAD_SECONDS = 10.0
"""Seconds a connection may take to send its request."""
MAX_CONNECTIONS = 400
"""Connections served at once; one more is answered 503."""
SPARE = 32
"""Connections beyond those that are still answered; a further one is closed."""
WRITE_SECONDS = 60.0
"""Seconds a reader may leave what was sent to it; then it is cut."""
WRITE_BUFFER = 64 << 10
"""Bytes held in TLS for a reader that does not read; asyncio's own choice is 512 KiB."""

_HOSTNAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,252}")


def check_listen(text: str, *, tls: bool = False, tokens: bool = False) -> list[str]:
    """Returns the addresses to bind for what `--listen` gave: addresses or names of this machine, with commas between.

    Args:
        text: as given.
        tls: whether what is said there will be encrypted.
        tokens: whether nobody will be let in without a token, and there is one.

    Raises:
        UsageError: no address, or one that others can reach where TLS and tokens are not both there.
    """
    found = []
    for part in text.split(","):
        address = _numeric(part, text)
        if not is_loopback(address) and not (tls and tokens):
            raise UsageError(
                f"--listen {text} is refused: without a token, anybody who reaches that address could read this host's "
                "processes and traffic",
                "`sysmon token new NAME --file NAME.token` makes one; give that file to who reads, start again, and "
                "TLS is on by itself with this machine's own key. Or listen on 127.0.0.1 and come in by ssh: "
                f"ssh -N -L {DEFAULT_PORT}:127.0.0.1:{DEFAULT_PORT} THIS_HOST",
            )
        if address not in found:
            found.append(address)
    return found


def reachable(text: str) -> bool:
    """Whether others can reach what `--listen` gave.

    Raises:
        UsageError: it is no address.
    """
    return any(not is_loopback(_numeric(part, text)) for part in text.split(","))


def _numeric(part: str, text: str) -> str:
    given = part.strip().removeprefix("[").removesuffix("]")
    if given.lower() == "localhost":
        return "127.0.0.1"
    try:
        return str(ipaddress.ip_address(given))
    except ValueError:
        pass
    if not _HOSTNAME.fullmatch(given):
        raise UsageError(f"--listen '{text}' is not an address", "write 127.0.0.1, ::1, 0.0.0.0 or a name of this host")
    try:
        return str(socket.getaddrinfo(given, None, type=socket.SOCK_STREAM)[0][4][0])
    except OSError:
        raise UsageError(f"--listen {text}: no address is known for the name '{given}'", "write the address") from None


def bind_tcp(address: str, port: int) -> socket.socket:
    """Binds and listens.

    Raises:
        UsageError: the port is no port.
        SysmonError: it is in use, may not be used, or the address is not this machine's.
    """
    if not 0 <= port <= 65535:
        raise UsageError(f"port {port} is not a port", "write 1024 to 65535")
    listener = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if address == "::":
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        _bound(listener)
        listener.bind((address, port))
        listener.listen(128)
    except OSError as error:
        listener.close()
        if error.errno == errno.EADDRINUSE:
            raise SysmonError(f"port {port} is in use on {address}; another sysmon?", "use --port") from None
        if error.errno in (errno.EACCES, errno.EPERM):
            raise SysmonError(f"port {port} may not be used by this user", "use --port with 1024 or higher") from None
        if error.errno == errno.EADDRNOTAVAIL:
            raise SysmonError(f"{address} is no address of this machine", "`ip address` lists them") from None
        raise SysmonError(f"cannot listen on {address} port {port}: {error.strerror}") from None
    listener.setblocking(False)
    return listener


def bind_unix(path: Path, mode: int = 0o600) -> socket.socket:
    """Binds and listens on a Unix socket; one left behind by a process that is gone is replaced.

    Raises:
        SysmonError: another process answers there, something else is at that path, or it cannot be made.
    """
    try:
        found = path.lstat()
    except OSError:
        found = None
    if found is not None:
        if not stat.S_ISSOCK(found.st_mode):
            raise SysmonError(f"{path} is there and is not a socket", "remove it or name another path")
        if _answers(path):
            raise SysmonError(f"{path} is in use; another sysmon?")
        with contextlib.suppress(FileNotFoundError):
            path.unlink()
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    # Between bind and chmod nobody else may connect: the umask makes it private from the first moment.
    before = os.umask(0o177)
    try:
        _bound(listener)
        listener.bind(str(path))
        path.chmod(mode)
        listener.listen(128)
    except OSError as error:
        listener.close()
        raise SysmonError(f"cannot listen on {path}: {error.strerror or error}") from None
    finally:
        os.umask(before)
    listener.setblocking(False)
    return listener


def unbind_unix(path: Path) -> None:
    """Removes the socket's file."""
    path.unlink(missing_ok=True)


def _bound(listener: socket.socket) -> None:
    # Inherited by what is accepted: what the kernel holds for a reader that does not read, and for how long.
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER)
    if listener.family != socket.AF_UNIX and hasattr(socket, "TCP_USER_TIMEOUT"):
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, 30_000)


def _answers(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(1.0)
        try:
            probe.connect(str(path))
        except OSError as error:
            return error.errno not in (errno.ECONNREFUSED, errno.ENOENT)
        return True


class Protocol(H11Protocol):
    """uvicorn's HTTP/1.1 with a deadline for the request's head, and its connection within reach of the application."""

    _head: asyncio.TimerHandle | None = None
    _stuck: asyncio.TimerHandle | None = None
    _first = True
    gone: Callable[[], None] = staticmethod(lambda: None)
    say: Callable[[str], None] = staticmethod(lambda line: None)

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begins: the first request has `HEAD_SECONDS` to arrive."""
        super().connection_made(transport)
        if self.scheme == "https":
            transport.set_write_buffer_limits(WRITE_BUFFER)
        self.app_state = {**self.app_state, "abort": self._cut}
        self._await_head()

    def data_received(self, data: bytes) -> None:
        """Takes bytes; a head that is not finished in time ends the connection."""
        if self._first and self.scheme == "http" and data[:1] == b"\x16":
            self.say(f"sysmon: {self.client[0] if self.client else 'somebody'} spoke TLS to a port without TLS")
        self._first = False
        super().data_received(data)
        if self._idle:
            self._await_head()
        elif self._head is not None:
            self._head.cancel()
            self._head = None

    def connection_lost(self, exc: Exception | None) -> None:
        """Ends."""
        for timer in (self._head, self._stuck):
            if timer is not None:
                timer.cancel()
        super().connection_lost(exc)
        self.gone()

    def pause_writing(self) -> None:
        """More is held for the reader than should be."""
        super().pause_writing()
        if self._stuck is None:
            self._stuck = self.loop.call_later(WRITE_SECONDS, self._cut)

    def resume_writing(self) -> None:
        """The reader took most of it."""
        super().resume_writing()
        if self._stuck is not None:
            self._stuck.cancel()
            self._stuck = None

    def _cut(self) -> None:
        # A reset lets go of what the kernel still holds for a peer that does not read.
        found = self.transport.get_extra_info("socket")
        if found is not None:
            with contextlib.suppress(OSError):
                found.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.transport.abort()

    @property
    def _idle(self) -> bool:
        cycle: RequestResponseCycle | None = self.cycle
        return cycle is None or cycle.response_complete

    def _await_head(self) -> None:
        if self._head is None:
            self._head = self.loop.call_later(HEAD_SECONDS, self._late)

    def _late(self) -> None:
        self._head = None
        if self._idle:
            self.transport.abort()


class _Server(uvicorn.Server):
    """uvicorn behind doors of ours, without its signal handlers, and without its ten wake-ups a second."""

    def __init__(
        self,
        config: uvicorn.Config,
        answering: Callable[[], Any] | None,
        tls: ServerTls | None,
        say: Callable[[str], None] | None,
    ) -> None:
        super().__init__(config)
        self.ending = asyncio.Event()
        self._answering = answering
        self._tls = tls
        self._say = Murmur(say)
        self._doors: list[asyncio.Task[None]] = []

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        self.servers = []
        visitors = Visitors(MAX_CONNECTIONS + SPARE)
        for listener in sockets or []:
            tls = self._tls if listener.family != socket.AF_UNIX else None
            door = Door(listener, self._protocol, visitors, self._say, tls)
            self._doors.append(asyncio.get_running_loop().create_task(door.run(), name="door"))
        self.started = True

    def _protocol(self) -> Protocol:
        made = Protocol(self.config, self.server_state, app_state={})
        made.say = self._say
        return made

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        for door in self._doors:
            door.cancel()
        await asyncio.gather(*self._doors, return_exceptions=True)
        await super().shutdown(sockets)

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        yield

    async def main_loop(self) -> None:
        if self._answering is not None:
            self._answering()
        while not self.should_exit:
            await self.on_tick(0)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self.ending.wait(), 1.0)

    def end(self) -> None:
        self.should_exit = True
        self.ending.set()


async def run(
    app: Starlette,
    sockets: list[socket.socket],
    *,
    started: Callable[[], Any] | None = None,
    close: Callable[[], Any] | None = None,
    tls: ServerTls | None = None,
    say: Callable[[str], None] | None = None,
) -> None:
    """Serves until cancelled, then ends all connections within a second.

    Args:
        app: what to serve.
        sockets: bound and listening; closed at the end.
        started: called once requests are answered.
        close: called first when it ends, so that open streams finish.
        tls: what is spoken on all sockets but Unix ones; None for plain HTTP.
        say: takes lines about who was turned away; few, however many are.
    """
    config = uvicorn.Config(
        app,
        http=Protocol,
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        headers=[("server", "sysmon")],
        proxy_headers=False,
        limit_concurrency=MAX_CONNECTIONS,
        timeout_keep_alive=15,
        timeout_graceful_shutdown=1,
        h11_max_incomplete_event_size=MAX_HEAD,
    )
    # Its log lines belong to nobody: errors of requests are answered, the rest is for the caller to say.
    logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL)
    server = _Server(config, started, tls, say)
    task = asyncio.get_running_loop().create_task(server.serve(sockets=sockets), name="http server")
    try:
        await asyncio.shield(task)
    finally:
        if close is not None:
            close()
        server.end()
        await asyncio.shield(_ended(task, server))
        for listener in sockets:
            listener.close()


async def _ended(task: asyncio.Task[None], server: _Server) -> None:
    try:
        await asyncio.wait_for(asyncio.shield(task), 3.0)
    except TimeoutError:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    for connection in list(server.server_state.connections):
        connection.transport.abort()
