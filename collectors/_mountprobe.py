"""Asks mounts for their size in child processes that nobody waits for.

A mount whose server is gone holds whoever asks it, in a state that not even SIGKILL ends; a thread held like that keeps
its whole process from exiting. So the question is put by a child. One that does not answer is killed and left behind,
and its mount is not asked again before that child has gone and a growing pause has passed.
"""

from __future__ import annotations

import errno
import os
import select
import signal
import sys
import time
from dataclasses import dataclass, field
from typing import NamedTuple

PROGRAM = """
import os
left = b""
while chunk := os.read(0, 65536):
    *paths, left = (left + chunk).split(b"\\0")
    for path in paths:
        try:
            s = os.statvfs(path)
            text = f"{s.f_frsize} {s.f_blocks} {s.f_bfree} {s.f_bavail} {s.f_files} {s.f_ffree}"
        except OSError as error:
            text = f"! {error.errno}"
        os.write(1, text.encode() + b"\\n")
"""
"""What a child runs: paths ended by NUL on stdin, one line of statvfs for each on stdout. It ends with its stdin."""

PATIENCE = 0.5
"""Seconds that a caller waits for mounts asked just now."""

HURRY = 0.1
"""Seconds without an answer after which another child takes on the mounts that still wait."""

TIMEOUT = 8.0
"""Seconds after which a mount counts as hung."""

WORKERS = 4
"""Children at a time, those left behind not counted."""

PAUSES = (10.0, 300.0)
"""Seconds before a mount is asked again after one failure, doubled with each, and at most."""


class Size(NamedTuple):
    """What statvfs(3) tells of a filesystem: blocks in units of `fragment` bytes, and inodes."""

    fragment: int
    blocks: int
    free: int
    available: int
    inodes: int
    inodes_free: int


@dataclass(slots=True)
class _Child:
    """A prober process; `mount` and `asked` are set while a question is open."""

    pid: int
    stdin: int
    stdout: int
    mount: str | None = None
    asked: float = 0.0
    buffer: bytes = b""

    def close(self) -> None:
        os.close(self.stdin)
        os.close(self.stdout)


@dataclass(slots=True)
class _Trouble:
    """What is known of a mount that failed to answer."""

    failures: int = 0
    since: float = 0.0
    not_before: float = 0.0
    pid: int | None = None


@dataclass(slots=True)
class MountProber:
    """Keeps one idle child while mounts answer, and up to `workers` while some do not."""

    patience: float = PATIENCE
    timeout: float = TIMEOUT
    workers: int = WORKERS
    pauses: tuple[float, float] = PAUSES
    _children: list[_Child] = field(default_factory=list)
    _troubles: dict[str, _Trouble] = field(default_factory=dict)
    _gone: set[int] = field(default_factory=set)

    def __del__(self) -> None:
        self.close()

    def close(self) -> None:
        """Ends the children; those held by a mount are killed and left."""
        for child in self._children:
            if child.mount is not None:
                _kill(child.pid)
            child.close()
            self._gone.add(child.pid)
        self._children = []
        self._gone = {pid for pid in self._gone if not _reaped(pid)}

    def ask(self, mounts: list[str]) -> dict[str, Size | OSError | None]:
        """Asks mounts for their size, for at most `patience` seconds.

        An answer to a question of an earlier call counts, so that a slow mount is shown one call late.

        Args:
            mounts: mount points; each is asked by one child at a time.

        Returns:
            For each mount its size, the error it answered with, or None where it has not answered.
        """
        began = time.monotonic()
        answers: dict[str, Size | OSError | None] = {}
        self._gone = {pid for pid in self._gone if not _reaped(pid)}
        self._collect(0, answers)
        self._abandon(began)
        waiting = self._askable(mounts, answers, began)
        asked = set(waiting)
        until = began + self.patience
        while (now := time.monotonic()) < until:
            while waiting and self._assign(waiting):
                pass
            if not self._children or not (waiting or any(child.mount in asked for child in self._children)):
                break
            self._collect(min(until - now, HURRY) if waiting else until - now, answers)
        self._rest()
        return {mount: answers.get(mount) for mount in mounts}

    def silent_for(self, mount: str) -> float:
        """Returns for how many seconds a mount has not answered; 0 where it has not been asked in vain."""
        now = time.monotonic()
        trouble = self._troubles.get(mount)
        if trouble is not None:
            return now - trouble.since
        return max((now - child.asked for child in self._children if child.mount == mount), default=0.0)

    def _askable(self, mounts: list[str], answers: dict[str, Size | OSError | None], now: float) -> list[str]:
        self._troubles = {mount: trouble for mount, trouble in self._troubles.items() if mount in mounts}
        open_questions = {child.mount for child in self._children}
        found = []
        for mount in mounts:
            trouble = self._troubles.get(mount)
            if mount in answers or mount in open_questions:
                continue
            if trouble is not None and (now < trouble.not_before or trouble.pid in self._gone):
                continue
            found.append(mount)
        # Those known to answer go first: a dead server must not keep the others waiting.
        return sorted(found, key=lambda mount: mount in self._troubles)

    def _assign(self, waiting: list[str]) -> bool:
        """Puts the next question, to an idle child, or to a new one where there is none or all are slow."""
        child = next((child for child in self._children if child.mount is None), None)
        if child is None:
            if len(self._children) >= self.workers or self._fresh():
                return False
            child = spawn()
            if child is None:
                return False
            self._children.append(child)
        child.mount, child.asked = waiting.pop(0), time.monotonic()
        try:
            os.write(child.stdin, child.mount.encode("utf-8", "surrogateescape") + b"\0")
        except OSError:
            self._lose(child)
        return True

    def _fresh(self) -> bool:
        """Whether some child may still answer at once."""
        now = time.monotonic()
        return any(now - child.asked < HURRY for child in self._children)

    def _collect(self, wait: float, answers: dict[str, Size | OSError | None]) -> None:
        """Takes the answers that are there, or the first to come within `wait` seconds."""
        busy = {child.stdout: child for child in self._children if child.mount is not None}
        if not busy:
            return
        poll = select.poll()
        for handle in busy:
            poll.register(handle, select.POLLIN)
        for handle, _ in poll.poll(wait * 1000):
            child = busy[handle]
            try:
                chunk = os.read(handle, 4096)
            except OSError:
                chunk = b""
            if not chunk:
                self._lose(child)
                continue
            child.buffer += chunk
            if child.buffer.endswith(b"\n") and child.mount is not None:
                answers[child.mount] = parse_answer(child.buffer.decode("ascii", "replace"))
                self._troubles.pop(child.mount, None)
                child.mount, child.buffer = None, b""

    def _abandon(self, now: float) -> None:
        for child in [child for child in self._children if child.mount is not None]:
            if now - child.asked > self.timeout:
                self._lose(child)

    def _lose(self, child: _Child) -> None:
        """Gives a child up, and its mount a pause."""
        self._children.remove(child)
        child.close()
        _kill(child.pid)
        if not _reaped(child.pid):
            self._gone.add(child.pid)
        if child.mount is not None:
            trouble = self._troubles.setdefault(child.mount, _Trouble(since=child.asked))
            trouble.failures += 1
            pause = min(self.pauses[0] * 2 ** (trouble.failures - 1), self.pauses[1])
            trouble.pid, trouble.not_before = child.pid, time.monotonic() + pause

    def _rest(self) -> None:
        """Lets idle children go, one excepted."""
        idle = [child for child in self._children if child.mount is None]
        for child in idle[1:]:
            self._children.remove(child)
            child.close()
            self._gone.add(child.pid)


def parse_answer(text: str) -> Size | OSError:
    """Parses a child's line: six numbers of statvfs, or `!` and an errno; anything else is an EIO."""
    words = text.split()
    try:
        if len(words) == 2 and words[0] == "!":
            number = int(words[1])
            return OSError(number, os.strerror(number))
        return Size._make(int(word) for word in words)
    except (ValueError, TypeError, OverflowError):
        return OSError(errno.EIO, os.strerror(errno.EIO))


def spawn() -> _Child | None:
    """Starts a child; None where none can be started."""
    if not sys.executable or getattr(sys, "frozen", False):
        return None
    child_stdin, stdin = os.pipe()
    stdout, child_stdout = os.pipe()
    environment = {name: os.environ[name] for name in ("LD_LIBRARY_PATH", "PATH") if name in os.environ}
    try:
        pid = os.posix_spawn(
            sys.executable,
            [sys.executable, "-I", "-S", "-B", "-c", PROGRAM],
            environment,
            file_actions=[
                (os.POSIX_SPAWN_DUP2, child_stdin, 0),
                (os.POSIX_SPAWN_DUP2, child_stdout, 1),
                (os.POSIX_SPAWN_OPEN, 2, os.devnull, os.O_WRONLY, 0),
            ],
            # A group of its own: the terminal's Ctrl-C is not for it.
            setpgroup=0,
        )
    except OSError:
        os.close(stdin)
        os.close(stdout)
        return None
    finally:
        os.close(child_stdin)
        os.close(child_stdout)
    return _Child(pid, stdin, stdout)


def _kill(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        pass


def _reaped(pid: int) -> bool:
    try:
        return os.waitpid(pid, os.WNOHANG)[0] != 0
    except ChildProcessError:
        return True
