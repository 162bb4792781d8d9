"""A line between two programs that can be cut: a TCP relay on loopback, as an ssh tunnel is."""

from __future__ import annotations

import contextlib
import selectors
import socket
import threading
from typing import Literal

Condition = Literal["up", "silent", "refused"]


class Line:
    """Relays connections to `port` and can stop doing so.

    `silent`: everything stays open and nothing passes, as when a cable is pulled. `refused`: open connections are
    reset and new
    ones refused, as when the program at the other end is gone.
    """

    def __init__(self, port: int) -> None:
        self._target = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._condition: Condition = "up"
        self._pairs: dict[socket.socket, socket.socket] = {}
        self._wake, self._woken = socket.socketpair()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._ended = False
        self._thread.start()

    @property
    def condition(self) -> Condition:
        """How the line is."""
        return self._condition

    @condition.setter
    def condition(self, condition: Condition) -> None:
        self._condition = condition
        self._wake.send(b"x")

    def close(self) -> None:
        """Ends the relay."""
        self._ended = True
        self._wake.send(b"x")
        self._thread.join(5)
        self._wake.close()
        self._woken.close()

    def _run(self) -> None:
        while not self._ended:
            with selectors.DefaultSelector() as selector:
                selector.register(self._woken, selectors.EVENT_READ)
                if self._condition == "up":
                    for each in self._pairs:
                        selector.register(each, selectors.EVENT_READ)
                if self._condition != "silent":
                    selector.register(self._listener, selectors.EVENT_READ)
                for key, _ in selector.select():
                    self._handle(key.fileobj)
        for each in list(self._pairs):
            self._drop(each)
        self._listener.close()

    def _handle(self, ready: object) -> None:
        if ready is self._woken:
            self._woken.recv(64)
            if self._condition == "refused":
                for each in list(self._pairs):
                    self._drop(each)
        elif ready is self._listener:
            near, _ = self._listener.accept()
            far = None
            if self._condition == "up":
                with contextlib.suppress(OSError):
                    far = socket.create_connection(("127.0.0.1", self._target), 2)
            if far is None:
                near.close()
                return
            self._pairs[near] = far
            self._pairs[far] = near
        elif isinstance(ready, socket.socket) and ready in self._pairs:
            try:
                data = ready.recv(1 << 16)
                if data:
                    self._pairs[ready].sendall(data)
                    return
            except OSError:
                pass
            self._drop(ready)

    def _drop(self, one: socket.socket) -> None:
        other = self._pairs.pop(one, None)
        one.close()
        if other is not None:
            self._pairs.pop(other, None)
            other.close()
