"""The files of processes in /proc: how they are reached, and pure parsers of their text.

Reading costs more than parsing. A file kept open is read again for half the price of opening it anew (4.5 against 9 µs,
measured), and never shows another process, since it stays bound to the one it was opened for. What it costs is a
descriptor and a page of kernel memory each, so that their number is bounded.
"""

from __future__ import annotations

import contextlib
import os
from typing import NamedTuple

from collectors.base import malformed

CLOCK_TICKS = os.sysconf("SC_CLK_TCK") if hasattr(os, "sysconf") else 100
"""Ticks per second of the times in /proc/PID/stat."""

KERNEL_THREAD = 0x00200000
"""PF_KTHREAD of include/linux/sched.h, in the flags of /proc/PID/stat."""

LARGEST_PAGE = 1 << 18
"""Bytes of the largest page that Linux can be built with; resident memory in /proc/PID/stat is in pages."""

STAT_LIMIT = 2048
_LARGEST = 1 << 63
_DIRECTORY = os.O_RDONLY | getattr(os, "O_DIRECTORY", 0) | getattr(os, "O_CLOEXEC", 0)
_FILE = os.O_RDONLY | getattr(os, "O_CLOEXEC", 0)


class Stat(NamedTuple):
    """What is used of /proc/PID/stat; times in ticks, `resident` in pages, `virtual` in bytes."""

    name: str
    state: str
    ppid: int
    kernel: bool
    cpu_ticks: int
    nice: int
    threads: int
    start_ticks: int
    virtual: int
    resident: int


def parse_stat(data: bytes, path: str = "/proc/PID/stat") -> Stat:
    """Parses the content of /proc/PID/stat.

    The name stands between the first '(' and the last ')': it may itself hold both, spaces and newlines.

    Raises:
        MalformedInput: truncated, or a field is not a number of its kind.

    Source: proc(5).
    """
    start, end = data.find(b"("), data.rfind(b")")
    fields = data[end + 1 :].split(None, 22)
    if start < 0 or end < start or len(fields) < 22:
        raise malformed(path, 1, data.decode("utf-8", "replace"), "a process's state of at least 24 fields")
    try:
        numbers = [int(fields[index]) for index in (1, 6, 11, 12, 16, 17, 19, 20, 21)]
    except ValueError:
        numbers = []
    state = fields[0].decode("ascii", "replace")
    if not numbers or max(numbers[:-2]) >= _LARGEST or len(state) != 1 or not state.isalpha() or min(numbers[2:4]) < 0:
        raise malformed(path, 1, data.decode("utf-8", "replace"), "a process's state in numbers")
    ppid, flags, user, system, nice, threads, began, virtual, resident = numbers
    name = data[start + 1 : end].decode("utf-8", "surrogateescape")
    return Stat(
        name,
        state,
        max(0, ppid),
        bool(flags & KERNEL_THREAD),
        user + system,
        nice,
        max(0, threads),
        max(0, began),
        min(max(0, virtual), _LARGEST),
        min(max(0, resident), _LARGEST // LARGEST_PAGE),
    )


def parse_io(data: bytes, path: str = "/proc/PID/io") -> tuple[int, int]:
    """Parses /proc/PID/io into bytes fetched from and sent to storage (`read_bytes`, `write_bytes`).

    Raises:
        MalformedInput: one of the two is missing or no number.

    Source: proc(5).
    """
    found: dict[bytes, int] = {}
    for line in data.split(b"\n"):
        key, _, value = line.partition(b":")
        if key in (b"read_bytes", b"write_bytes"):
            try:
                found[key] = int(value)
            except ValueError:
                break
    if len(found) != 2 or not all(0 <= value < _LARGEST for value in found.values()):
        raise malformed(path, 1, data.decode("utf-8", "replace"), "bytes read and written")
    return found[b"read_bytes"], found[b"write_bytes"]


def parse_effective_uid(data: bytes, path: str = "/proc/PID/status") -> int:
    """Parses the effective user id out of /proc/PID/status.

    Raises:
        MalformedInput: no such line, or no number in it.

    Source: proc(5).
    """
    at = data.find(b"\nUid:")
    fields = data[at + 5 : data.find(b"\n", at + 5)].split() if at >= 0 else []
    try:
        uid = int(fields[1])
    except (IndexError, ValueError):
        uid = -1
    if not 0 <= uid < 1 << 32:
        raise malformed(path, 1, data.decode("utf-8", "replace"), "a status with user ids")
    return uid


def parse_arguments(data: bytes) -> list[str]:
    """Splits /proc/PID/cmdline into arguments, without the trailing empty ones (padding of one that renamed itself)."""
    arguments = data.decode("utf-8", "surrogateescape").split("\0")
    while arguments and not arguments[-1].strip():
        arguments.pop()
    return arguments


class ProcessFiles:
    """Reads files of processes below one proc filesystem, holding some of them open."""

    def __init__(self, proc: str, keep: int) -> None:
        """Opens `proc`; at most `keep` stat files stay open.

        Raises:
            OSError: `proc` cannot be opened.
        """
        self._root = os.open(proc, _DIRECTORY)
        self._keep = keep
        self._open: dict[str, int] = {}

    @property
    def kept(self) -> int:
        """How many files are held open."""
        return len(self._open)

    def pids(self) -> list[str]:
        """Returns the ids of all visible processes, as names of their folders.

        Raises:
            OSError: the folder cannot be listed.
        """
        return [name for name in os.listdir(self._root) if name.isdigit() and name.isascii()]

    def stat(self, pid: str) -> bytes:
        """Returns the content of /proc/PID/stat.

        Raises:
            OSError: the process is gone (FileNotFoundError, ProcessLookupError) or may not be looked at
                (PermissionError).
        """
        held = self._open.get(pid)
        if held is not None:
            try:
                return os.pread(held, STAT_LIMIT, 0)
            except OSError:
                self.forget(pid)
        descriptor = os.open(f"{pid}/stat", _FILE, dir_fd=self._root)
        try:
            data = os.read(descriptor, STAT_LIMIT)
        except BaseException:
            os.close(descriptor)
            raise
        if len(self._open) < self._keep:
            self._open[pid] = descriptor
        else:
            os.close(descriptor)
        return data

    def content(self, pid: str, name: str, limit: int = 4096) -> bytes:
        """Returns at most `limit` bytes of another file of a process; raises as `stat` does."""
        descriptor = os.open(f"{pid}/{name}", _FILE, dir_fd=self._root)
        try:
            return os.read(descriptor, limit)
        finally:
            os.close(descriptor)

    def forget(self, pid: str) -> None:
        """Lets go of a process that is gone."""
        descriptor = self._open.pop(pid, None)
        if descriptor is not None:
            os.close(descriptor)

    def close(self) -> None:
        """Closes everything."""
        while self._open:
            os.close(self._open.popitem()[1])
        if self._root >= 0:
            os.close(self._root)
            self._root = -1

    def __del__(self) -> None:
        with contextlib.suppress(Exception):
            self.close()


def affordable_descriptors(most: int = 2048) -> int:
    """Returns how many files may be held open without crowding out the rest: half of the soft limit, at most `most`."""
    try:
        import resource

        soft = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    except (ImportError, OSError, ValueError):
        return 0
    return most if soft < 0 else min(most, soft // 2)
