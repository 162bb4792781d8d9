"""The texts of a box as files, so that the collectors read them as they read this machine's own.

Only names that the script on the box can print are written, below a private folder of memory; links lead nowhere else.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from collectors._router.commands import FOLDER
from remote.ssh.script import GROUPS, SPECIAL, pattern
from sysmon.errors import MalformedInput

if TYPE_CHECKING:
    from collections.abc import Iterable

    from remote.ssh.frames import Output, Sample

MAX_BYTES = 64 << 20
"""Bytes that the files of one box may hold at most."""

UNKNOWN_STATUS = 255
"""Status told of a command whose own did not come."""

MAX_PIDS = 40_000
"""Processes of one box at most."""

_PLAIN_LINK = re.compile(r"[A-Za-z0-9_/.+:\[\]-]{1,200}")
_TOLD = ("/etc/localtime", "/proc/1/ns/pid", "/proc/self/ns/pid")
"""Links of which only the end's name is looked at."""

PREFIX = "sysmon-box-"
LOCK = ".lock"
"""Begin of the folder's name, and the file in it that is locked as long as its process lives."""

_OF_PROCESS = re.compile(r"/proc/([0-9]{1,9})/")
_PARTS = ("stat", "status", "cgroup", "cmdline")
"""Files of a process that may be there."""

_BROUGHT = {
    name: re.compile(pattern(globs)) for name, globs in {**GROUPS, **SPECIAL}.items() if globs and name != "describe"
}


class Tree:
    """A folder that looks like the root of a box, as far as it was told of it."""

    def __init__(self) -> None:
        memory = "/dev/shm" if os.path.isdir("/dev/shm") and os.access("/dev/shm", os.W_OK) else tempfile.gettempdir()
        sweep(memory)
        self._folder = tempfile.TemporaryDirectory(prefix=PREFIX, dir=memory, ignore_cleanup_errors=True)
        self._lock = _locked(f"{self._folder.name}/{LOCK}", os.O_CREAT)
        self.base = Path(self._folder.name)
        self._base = self._folder.name
        self._texts: dict[str, bytes] = {}
        self._of: dict[str, set[str]] = {}
        self._links: dict[str, str] = {}
        self._marks: set[str] = set()
        self._pids: set[int] = set()
        self._made: set[str] = set()
        self._bytes = 0
        for name in ("proc", "sys", "etc", "run"):
            self._make(f"/{name}")

    def close(self) -> None:
        """Removes the folder."""
        self._folder.cleanup()
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    @property
    def pids(self) -> set[int]:
        """The processes last told of."""
        return self._pids

    def text(self, path: str) -> str:
        """Returns what a file holds, or ''."""
        return self._texts.get(path, b"").decode("utf-8", "surrogateescape")

    def has(self, path: str) -> bool:
        """Whether a file, a link or a mark is there."""
        return path in self._texts or path in self._links or path in self._marks

    def count(self, group: str) -> int:
        """Returns how many files a group brought."""
        return len(self._of.get(group, ()))

    def tell(self, name: str, output: Output, said: str) -> None:
        """Writes what came of a command: `NAME`, what it printed, and `NAME.status`, its status and what it said.

        Raises:
            MalformedInput: it is too much.
        """
        self._write(f"/{FOLDER}/{name}", output.text)
        status = UNKNOWN_STATUS if output.status is None else output.status
        self._write(f"/{FOLDER}/{name}.status", f"{status}\n{said}".encode("utf-8", "replace"))

    def take(self, sample: Sample, groups: Iterable[str]) -> None:
        """Writes what came, and removes what the groups asked for brought before and bring no more.

        Raises:
            MalformedInput: it is too much.
        """
        asked = set(groups)
        if "links" in asked:
            self._take_links(sample)
        for path, data in sample.texts.items():
            # A process that ended while it was described is not there any more.
            if "describe" not in asked or (number := _process(path)) is None or number in self._pids:
                self._write(path, data)
        for group in asked & _BROUGHT.keys():
            brought = {path for path in sample.texts if _BROUGHT[group].fullmatch(path)}
            for gone in self._of.get(group, set()) - brought:
                if not self._elsewhere(gone, group):
                    self._remove(gone)
            self._of[group] = brought
        if "processes" in asked:
            found = (int(path.split("/", 3)[2]) for path in self._of.get("processes", ()))
            self._take_pids(set(found))
        elif sample.pids is not None:
            self._take_pids(set(sample.pids))

    def _elsewhere(self, path: str, group: str) -> bool:
        return any(path in paths for name, paths in self._of.items() if name != group)

    def _write(self, path: str, data: bytes) -> None:
        before = self._texts.get(path)
        if before == data:
            return
        self._bytes += len(data) - len(before or b"")
        if self._bytes > MAX_BYTES:
            raise MalformedInput(f"the box tells more than {MAX_BYTES >> 20} MiB")
        if before is None:
            self._make(path.rpartition("/")[0])
        try:
            # In place: a collector may hold the file open from one read to the next.
            handle = os.open(self._base + path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
        except (OSError, ValueError):
            self._bytes -= len(data) - len(before or b"")
            return  # a file where a folder is, or the other way round, or a name with a NUL in it: left out
        try:
            os.write(handle, data)
        finally:
            os.close(handle)
        self._texts[path] = data

    def _remove(self, path: str) -> None:
        self._bytes -= len(self._texts.pop(path, b""))
        with contextlib.suppress(OSError, ValueError):
            os.unlink(self._base + path)

    def _make(self, folder: str) -> None:
        if folder in self._made or ".." in folder.split("/"):
            return
        with contextlib.suppress(OSError, ValueError):
            os.makedirs(self._base + folder, mode=0o700, exist_ok=True)
            self._made.add(folder)

    def _take_links(self, sample: Sample) -> None:
        for gone in self._marks - sample.marks:
            with contextlib.suppress(OSError, ValueError):
                os.rmdir(self._base + gone)
            self._made.discard(gone)
        for mark in sample.marks - self._marks:
            if mark not in sample.links:
                self._make(mark)
        self._marks = set(sample.marks)
        for gone in self._links.keys() - sample.links.keys():
            with contextlib.suppress(OSError, ValueError):
                os.unlink(self._base + gone)
            del self._links[gone]
        for path, end in sample.links.items():
            if self._links.get(path) != end and _PLAIN_LINK.fullmatch(end):
                self._link(path, end)

    def _link(self, path: str, end: str) -> None:
        """Makes a link whose end has the right name; where files below it are read, it is a folder of this tree."""
        place = self._base + path
        folder = path.rpartition("/")[0]
        self._make(folder)
        if path not in _TOLD:
            name = end.rstrip("/").rpartition("/")[2]
            if name in ("", ".", ".."):
                return
            self._make(f"/.ends{path}/{name}")
            leads = f"{self._base}/.ends{path}/{name}"
        else:
            leads = end
        if not os.path.islink(place) and os.path.isdir(place):
            # Files below it came before the link did; they come again.
            for below in [each for each in self._texts if each.startswith(f"{path}/")]:
                self._remove(below)
            shutil.rmtree(place, ignore_errors=True)
            self._made = {each for each in self._made if each != path and not each.startswith(f"{path}/")}
        with contextlib.suppress(OSError, ValueError):
            if os.path.islink(place):
                os.unlink(place)
            os.symlink(leads, place)
            self._links[path] = end

    def _take_pids(self, pids: set[int]) -> None:
        if len(pids) > MAX_PIDS:
            raise MalformedInput(f"the box tells of more than {MAX_PIDS} processes")
        for gone in self._pids - pids:
            folder = f"/proc/{gone}"
            for path in [path for path in (f"{folder}/{name}" for name in _PARTS) if path in self._texts]:
                self._bytes -= len(self._texts.pop(path))
            shutil.rmtree(self._base + folder, ignore_errors=True)
            self._made.discard(folder)
        for new in pids - self._pids:
            self._make(f"/proc/{new}")
        self._pids = pids


def sweep(folder: str) -> None:
    """Removes the trees of processes that were killed: memory is too dear to be left to them."""
    for entry in os.scandir(folder):
        if not entry.name.startswith(PREFIX):
            continue
        with contextlib.suppress(OSError, ValueError):
            if entry.stat(follow_symlinks=False).st_uid != os.geteuid() or not entry.is_dir(follow_symlinks=False):
                continue
            lock = _locked(f"{entry.path}/{LOCK}")
            if lock is not None:
                shutil.rmtree(entry.path, ignore_errors=True)
                os.close(lock)


def _locked(path: str, more: int = 0) -> int | None:
    """Opens and locks a file; None where there is none, or another process holds it."""
    try:
        handle = os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW | more, 0o600)
    except OSError:
        return None
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(handle)
        return None
    return handle


def _process(path: str) -> int | None:
    found = _OF_PROCESS.match(path)
    return int(found[1]) if found else None
