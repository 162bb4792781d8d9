"""Processes to measure and processes to measure among."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import time
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

TICKS = os.sysconf("SC_CLK_TCK")
_PR_SET_PDEATHSIG = 1


class Usage(NamedTuple):
    """Of a process and its descendants: CPU seconds, resident and proportional bytes."""

    cpu: float
    rss: int
    pss: int


def count() -> int:
    """Returns how many processes there are now."""
    return sum(name.isdigit() for name in os.listdir("/proc"))


@contextlib.contextmanager
def sleepers(total: int) -> Iterator[int]:
    """Has about `total` processes on the machine while the context is open; yields how many there are."""
    wanted = total - count() - 1
    if wanted <= 0:
        yield count()
        return
    ready, done = os.pipe()
    parent = os.fork()
    if parent == 0:
        _breed(wanted, done)
    os.close(done)
    os.read(ready, 1)
    os.close(ready)
    try:
        yield count()
    finally:
        os.kill(parent, signal.SIGKILL)
        os.waitpid(parent, 0)
        deadline = time.monotonic() + 20
        while count() > total // 2 and time.monotonic() < deadline:
            time.sleep(0.2)


def _breed(wanted: int, done: int) -> None:
    libc = ctypes.CDLL(None)
    libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    for _ in range(wanted):
        if os.fork() == 0:
            libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
            os.close(done)
            while True:
                signal.pause()
    os.write(done, b"x")
    while True:
        signal.pause()


def usage(root: int) -> Usage:
    """Returns what a process and its living descendants have used so far, its ended children included."""
    cpu = 0.0
    rss = pss = 0
    for pid in _family(root):
        try:
            with open(f"/proc/{pid}/stat", "rb") as file:
                fields = file.read().rpartition(b")")[2].split()
            cpu += sum(map(int, fields[11:15])) / TICKS
            with open(f"/proc/{pid}/smaps_rollup", "rb") as file:
                for line in file:
                    if line.startswith(b"Rss:"):
                        rss += int(line.split()[1]) * 1024
                    elif line.startswith(b"Pss:"):
                        pss += int(line.split()[1]) * 1024
        except OSError:
            continue
    return Usage(cpu, rss, pss)


def _family(root: int) -> list[int]:
    found = [root]
    for pid in found:
        with contextlib.suppress(OSError):
            for task in os.listdir(f"/proc/{pid}/task"):
                with open(f"/proc/{pid}/task/{task}/children") as file:
                    found += [int(child) for child in file.read().split()]
    return found
