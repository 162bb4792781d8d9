"""A terminal as something to write to: whole frames, never blocking for ever, knowing when all is written."""

from __future__ import annotations

import contextlib
import os
import select
import threading
import time
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

HURRY_SECONDS: Final = 1.0
"""What a terminal that reads nothing is given to take the last bytes at the end."""

_POLL_SECONDS: Final = 0.25

_PLAIN: Final = str.maketrans("─━═│┃║▌▐▎▊▔▁╭╮╰╯┌┐└┘├┤┬┴┼█…·•–—−×°", "--=|||||||-_" + "+" * 13 + "#~.*---x ")
"""What Textual's own widgets draw (frames, bars) and what texts hold most often; all are one cell wide."""


class TerminalFile:
    """What Textual's writer thread takes for its file.

    `expect` is called where data is queued, `write` and `flush` in the writer thread; all is drained when as much was
    flushed as was expected. An error of the terminal (it is gone) drops this and all later output.

    Args:
        descriptor: an open terminal.
        on_drained: called in the writer thread each time nothing is left.
    """

    encoding = "utf-8"

    def __init__(self, descriptor: int, on_drained: Callable[[], None] | None = None) -> None:
        self._descriptor = descriptor
        self._own = _open_nonblocking(descriptor)
        self._on_drained = on_drained
        self._lock = threading.Lock()
        self._expected = 0
        self._taken = 0
        self._flushed = 0
        self._buffer: list[str] = []
        self._deadline: float | None = None
        self.ascii: Callable[[], bool] = lambda: False
        """Whether the terminal can show ASCII alone; other characters are then replaced, cell for cell."""
        self.bytes_written = 0
        """What the terminal took."""
        self.dead = False

    @property
    def drained(self) -> bool:
        """Whether nothing is on its way."""
        with self._lock:
            return self.dead or self._flushed == self._expected

    def expect(self) -> None:
        """Count a write that is about to be queued."""
        with self._lock:
            self._expected += 1

    def hurry(self) -> None:
        """From now on, wait at most a second for the terminal; then drop what is left."""
        self._deadline = time.monotonic() + HURRY_SECONDS

    def reopen(self) -> None:
        """Take the terminal's time again."""
        self._deadline = None
        with self._lock:
            # What was dropped before does not count.
            self._expected = self._flushed = self._taken

    def write(self, text: str) -> int:
        """Keep text until the next flush."""
        self._buffer.append(text)
        self._taken += 1
        return len(text)

    def flush(self) -> None:
        """Write what is kept."""
        text = "".join(self._buffer)
        if not text.isascii() and self.ascii():
            text = to_ascii(text)
        self._buffer.clear()
        self._send(text.encode("utf-8", "replace"))
        with self._lock:
            self._flushed = self._taken
            drained = self._flushed >= self._expected
        if drained and self._on_drained is not None:
            self._on_drained()

    def isatty(self) -> bool:
        """Always; the descriptor is a terminal."""
        return True

    def fileno(self) -> int:
        """The terminal's descriptor."""
        return self._descriptor

    def _send(self, data: bytes) -> None:
        view = memoryview(data)
        descriptor = self._own if self._own is not None else self._descriptor
        while view and not self.dead:
            try:
                written = os.write(descriptor, view)
            except BlockingIOError:
                if not self._wait(descriptor):
                    return
            except OSError:
                self.dead = True
            else:
                view = view[written:]
                self.bytes_written += written

    def _wait(self, descriptor: int) -> bool:
        """Wait until the terminal takes more; False when its time is over."""
        poller = select.poll()
        poller.register(descriptor, select.POLLOUT)
        while True:
            remaining = _POLL_SECONDS if self._deadline is None else self._deadline - time.monotonic()
            if remaining <= 0:
                return False
            if poller.poll(min(remaining, _POLL_SECONDS) * 1000):
                return True

    def __del__(self) -> None:
        if self._own is not None:
            with contextlib.suppress(OSError):
                os.close(self._own)


def to_ascii(text: str) -> str:
    """Replaces every character that is not ASCII by as many as it has cells, so that nothing shifts."""
    from rich.cells import cell_len

    plain = text.translate(_PLAIN)
    if plain.isascii():
        return plain
    return "".join(each if each.isascii() else "?" * cell_len(each) for each in plain)


def _open_nonblocking(descriptor: int) -> int | None:
    """The same terminal opened anew, so that O_NONBLOCK does not reach the shell's own descriptor.

    Returns:
        A descriptor, or None where the terminal cannot be opened (after `su`, in some containers).
    """
    try:
        own = os.open(os.ttyname(descriptor), os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    except OSError:
        return None
    if os.fstat(own).st_rdev != os.fstat(descriptor).st_rdev:
        os.close(own)
        return None
    return own
