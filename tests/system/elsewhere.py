"""Somebody else's agent: a server that speaks of another host, and a relay that gives an agent's host another id."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
from typing import TYPE_CHECKING, Self

from collectors.base import Roots
from collectors.identity import machine_host_id

if TYPE_CHECKING:
    from types import TracebackType


class _Server:
    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._open: set[socket.socket] = set()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for each in list(self._open):
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
        self._thread.join(5)

    def _run(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self._open.add(connection)
            threading.Thread(target=self._serve_and_close, args=(connection,), daemon=True).start()

    def _serve_and_close(self, connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError):
            self.serve(connection)
        self._open.discard(connection)

    def serve(self, connection: socket.socket) -> None:
        raise NotImplementedError


class Elsewhere(_Server):
    """Answers `/v1/hosts` as an agent does that has never heard of this machine."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[bytes] = []

    def serve(self, connection: socket.socket) -> None:
        """Answers one request."""
        request = b""
        while b"\r\n\r\n" not in request and (piece := connection.recv(4096)):
            request += piece
        self.asked.append(request)
        body = json.dumps({"error": "not a host known here", "hint": ""}).encode()
        head = f"HTTP/1.1 404 Not Found\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n"
        connection.sendall(head.encode() + b"connection: close\r\n\r\n" + body)


class Renamed(_Server):
    """Relays to an agent on this machine, whose host gets another id of the same length."""

    def __init__(self, port: int) -> None:
        super().__init__()
        self._to = port
        own = machine_host_id(Roots())
        assert own is not None
        self._own, self.id = own.encode(), own[::-1] if own[::-1] != own else "0123456789abcdef"

    def serve(self, connection: socket.socket) -> None:
        """Relays one connection; what the agent says is not compressed, so that it can be changed."""
        with socket.create_connection(("127.0.0.1", self._to)) as far:
            self._open.add(far)
            up = threading.Thread(target=self._up, args=(connection, far), daemon=True)
            up.start()
            held = b""
            while piece := far.recv(1 << 16):
                data = (held + piece).replace(self._own, self.id.encode())
                # An id may be cut in two by the pieces.
                keep = next((n for n in range(len(self._own) - 1, 0, -1) if data.endswith(self._own[:n])), 0)
                held = data[len(data) - keep :]
                connection.sendall(data[: len(data) - keep])
            connection.sendall(held)

    def _up(self, connection: socket.socket, far: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while piece := connection.recv(1 << 16):
                piece = piece.replace(b"accept-encoding: gzip", b"accept-encoding: none")
                far.sendall(piece.replace(self.id.encode(), self._own))
            far.shutdown(socket.SHUT_WR)
