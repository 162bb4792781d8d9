"""Runs a program in a pseudo terminal and measures its cost: processor, memory, bytes, time to the first picture."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import signal
import struct
import termios
import time
from typing import TYPE_CHECKING, NamedTuple

from bench.processes import usage

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

PAINTED = 1500
"""Bytes after which a screen counts as painted."""


class Run(NamedTuple):
    """What a program cost.

    Attributes:
        cpu: part of one core while it ran quietly. `rss`, `pss`: bytes at the end. `written`: bytes per second to
            the terminal.
        first: seconds to the first byte; `painted`: to the first full picture, None if there was none.
    """

    cpu: float
    rss: int
    pss: int
    written: float
    first: float | None
    painted: float | None


def run(
    command: Sequence[str],
    *,
    seconds: float,
    warmup: float = 4.0,
    columns: int = 120,
    lines: int = 40,
    environment: Mapping[str, str] | None = None,
    keys: bytes = b"",
) -> Run:
    """Runs a command for `warmup` + `seconds`, types `keys` after the first picture, and ends it."""
    env = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    env |= {"TERM": "xterm-256color", "COLORTERM": "truecolor", "LANG": "C.UTF-8", **(environment or {})}
    began = time.monotonic()
    pid, master = pty.fork()
    if pid == 0:
        os.execvpe(command[0], list(command), env)
    fcntl.ioctl(master, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
    first: float | None = None
    painted: float | None = None
    total = 0
    counted = 0
    start = usage(pid)
    started = began
    typed = False
    try:
        while (now := time.monotonic()) < began + warmup + seconds:
            ready, _, _ = select.select([master], [], [], 0.05)
            if ready:
                try:
                    data = os.read(master, 1 << 16)
                except OSError:
                    break
                if not data:
                    break
                total += len(data)
                first = first if first is not None else now - began
                if painted is None and total >= PAINTED:
                    painted = now - began
                if b"\x1b[6n" in data:
                    os.write(master, b"\x1b[1;1R")
            if keys and not typed and painted is not None and now > began + warmup / 2:
                os.write(master, keys)
                typed = True
            if started == began and now >= began + warmup:
                start, started, counted = usage(pid), now, total
        end = usage(pid)
        lasted = max(time.monotonic() - started, 1e-6)
        return Run((end.cpu - start.cpu) / lasted, end.rss, end.pss, (total - counted) / lasted, first, painted)
    finally:
        _end(pid, master)


def _end(pid: int, master: int) -> None:
    for number in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            break
        deadline = time.monotonic() + 3
        while time.monotonic() < deadline:
            ready, _, _ = select.select([master], [], [], 0.05)
            try:
                if ready:
                    os.read(master, 1 << 16)
            except OSError:
                pass
            if os.waitpid(pid, os.WNOHANG)[0]:
                os.close(master)
                return
    os.close(master)
