"""The test application in a terminal of its own, and pyte reading along."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import select
import signal
import struct
import sys
import termios
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pyte

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from types import TracebackType

ROOT = Path(__file__).parent.parent.parent
DEADLINE_SECONDS = 20.0


class Terminal(pyte.Screen):
    """pyte's, which puts a line together again only where something changed in it."""

    _lines: Sequence[str] = ()

    @property
    def display(self) -> list[str]:
        """The lines, each as wide as the terminal; what follows a wide character is empty."""
        if len(self._lines) != self.lines:
            self._lines = [""] * self.lines
            self.dirty.update(range(self.lines))
        lines = list(self._lines)
        for y in self.dirty:
            if y < self.lines:
                row = self.buffer[y]
                lines[y] = "".join([row[x].data for x in range(self.columns)])
        self.dirty.clear()
        self._lines = lines
        return list(lines)


class PtyApp:
    """A command in a pseudo-terminal; a context manager that leaves no process behind.

    Args:
        words: arguments for Python.
        width: columns.
        height: lines.
        ignore_hangup: the command starts with SIGHUP ignored, as under nohup.
        environment: additions to the environment.
    """

    def __init__(
        self,
        *words: str,
        width: int = 80,
        height: int = 24,
        ignore_hangup: bool = False,
        environment: dict[str, str] | None = None,
    ) -> None:
        self.output = b""
        self.screen = Terminal(width, height)
        self.stream = pyte.ByteStream(self.screen)
        self.status: int | None = None
        self.usage = 0.0
        """CPU seconds, known after the end."""
        env = os.environ | {"TERM": "xterm-256color", "COLORTERM": "truecolor", "PYTHONPATH": str(ROOT)}
        env.pop("NO_COLOR", None)
        env |= environment or {}
        self.master, slave = pty.openpty()
        self.slave_name = os.ttyname(slave)
        self.resize(width, height, tell=False)
        self.modes_before = termios.tcgetattr(slave)
        self.pid = os.fork()
        if self.pid == 0:  # pragma: no cover
            try:
                os.setsid()
                fcntl.ioctl(slave, termios.TIOCSCTTY, 0)
                for descriptor in range(3):
                    os.dup2(slave, descriptor)
                os.closerange(3, 64)
                os.chdir(ROOT)
                signal.signal(signal.SIGHUP, signal.SIG_IGN if ignore_hangup else signal.SIG_DFL)
                os.execve(sys.executable, [sys.executable, *words], env)
            finally:
                os._exit(127)
        self.slave = slave

    def __enter__(self) -> PtyApp:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        if self.status is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)
            with contextlib.suppress(ChildProcessError):
                os.waitpid(self.pid, 0)
        for descriptor in (self.master, self.slave):
            with contextlib.suppress(OSError):
                os.close(descriptor)

    def read(self, seconds: float = 0.05) -> bytes:
        """What comes within a time, shown to pyte too."""
        if not select.select([self.master], [], [], seconds)[0]:
            return b""
        try:
            data = os.read(self.master, 65536)
        except OSError:
            return b""
        self.output += data
        # pyte stumbles over the kitty protocol's private markers; they draw nothing.
        self.stream.feed(data.replace(b"\x1b[<u", b"").replace(b"\x1b[>25u", b""))
        return data

    def read_until(self, condition: Callable[[], bool], what: str) -> None:
        """Read on until a condition holds."""
        deadline = time.monotonic() + DEADLINE_SECONDS
        while not condition():
            assert time.monotonic() < deadline, f"{what} did not come; the end of the output: {self.output[-600:]!r}"
            self.read()

    def wait_for(self, text: bytes, since: int = 0) -> int:
        """Read on until a text was written after a place in the output; returns the place behind it."""
        self.read_until(lambda: text in self.output[since:], repr(text))
        return self.output.index(text, since) + len(text)

    def settle(self) -> None:
        """Read on until the program has drawn all that it had to, and waits."""
        deadline = time.monotonic() + DEADLINE_SECONDS
        while self.read(0.2) or not self._waits():
            assert time.monotonic() < deadline, "it never came to rest"

    def _waits(self) -> bool:
        """Whether none of its threads wants a processor; a busy machine may keep one waiting for it."""
        stats = [path.read_text() for path in Path(f"/proc/{self.pid}/task").glob("*/stat")]
        return all(stat.rpartition(")")[2].split()[0] == "S" for stat in stats)

    def write(self, data: bytes) -> None:
        """Type."""
        os.write(self.master, data)

    def resize(self, width: int, height: int, *, tell: bool = True) -> None:
        """Give the terminal another size."""
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", height, width, 0, 0))
        if tell:
            self.screen.resize(height, width)

    def cpu_seconds(self) -> float:
        """What the process used so far."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def hang_up(self) -> None:
        """Let the terminal vanish."""
        os.close(self.slave)
        os.close(self.master)

    def wait(self, seconds: float = DEADLINE_SECONDS, *, reading: bool = True) -> int:
        """The exit status, negative for a signal; fails if the end does not come in time."""
        deadline = time.monotonic() + seconds
        while True:
            pid, status, usage = os.wait4(self.pid, os.WNOHANG)
            if pid:
                break
            assert time.monotonic() < deadline, f"still running; the end of the output: {self.output[-600:]!r}"
            if reading:
                self.read()
            else:
                time.sleep(0.02)
        self.status = os.waitstatus_to_exitcode(status)
        self.usage = usage.ru_utime + usage.ru_stime
        if reading:
            while self.read(0.05):
                pass
        return self.status
