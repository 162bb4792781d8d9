"""One recorder per file: a lock that ends with its process and says who holds it.

The lock is `flock` on `<file>.lock`, so one left by a killed process is free at once; the file's text (JSON) names the
holder. The lock file itself stays: removing it would let two processes lock two files of one name.
"""

from __future__ import annotations

import errno
import fcntl
import os
import socket
import stat
import time
from typing import TYPE_CHECKING

import msgspec

from sysmon.errors import Locked, StoreError

if TYPE_CHECKING:
    from pathlib import Path

PRIVATE = 0o600
"""Mode of files made here: command lines and whom they belong to are nobody else's business."""

_PATIENCE = 0.3
"""Seconds for which taking the lock is tried again: somebody may just be looking who holds it."""


class LockHolder(msgspec.Struct, frozen=True):
    """Who records into a file. `since`: Unix milliseconds."""

    pid: int
    who: str
    host: str
    since: int

    @property
    def label(self) -> str:
        """The holder in words."""
        return f"{self.who} (process {self.pid})"


def lock_path(path: Path) -> Path:
    """Returns the lock file of a history."""
    return path.with_name(path.name + ".lock")


class Lock:
    """The held lock."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor: int | None = descriptor

    @classmethod
    def acquire(cls, path: Path, who: str, now: int) -> Lock:
        """Takes the lock of the history `path` for `who` (screen, agent, record …).

        Raises:
            Locked: another process records into it; names it.
            StoreError: the folder cannot be written to.
        """
        place = lock_path(path)
        until = time.monotonic() + _PATIENCE
        while True:
            try:
                descriptor = os.open(place, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, PRIVATE)
            except OSError as error:
                raise unwritable(path, error) from error
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if _is_at(descriptor, place):
                    break
                # Somebody removed the file meanwhile: this one locks nothing.
                os.close(descriptor)
            except OSError as error:
                if error.errno not in (errno.EAGAIN, errno.EACCES):
                    os.close(descriptor)
                    raise StoreError(f"{place} cannot be locked: {error.strerror}") from error
                if time.monotonic() > until:
                    found = _read(descriptor)
                    os.close(descriptor)
                    label = found.label if found else "another process"
                    raise Locked(f"{label} already records into {path}", "it can be read meanwhile") from None
                os.close(descriptor)
                time.sleep(0.02)
        _follow(descriptor, path)
        text = msgspec.json.encode(LockHolder(os.getpid(), who, socket.gethostname(), now))
        try:
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, text + b"\n", 0)
        except OSError:
            # A full disk: the lock holds all the same, only its holder stays unnamed.
            pass
        return cls(descriptor)

    def release(self) -> None:
        """Lets go of the lock; a second call does nothing."""
        if self._descriptor is not None:
            try:
                os.ftruncate(self._descriptor, 0)
            finally:
                os.close(self._descriptor)
                self._descriptor = None


def holder(path: Path) -> LockHolder | None:
    """Returns who records into the history `path` now, or None."""
    try:
        descriptor = os.open(lock_path(path), os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return _read(descriptor) or LockHolder(0, "another process", "", 0)
    else:
        return None
    finally:
        os.close(descriptor)


def unwritable(path: Path, error: OSError) -> StoreError:
    """Builds the error for a folder in which no history can be kept."""
    reason = error.strerror or str(error)
    return StoreError(
        f"history cannot be written in {path.parent}: {reason}",
        "give this user the right to write there, or name another file with SYSMON_DB",
    )


def _is_at(descriptor: int, place: Path) -> bool:
    try:
        there = os.stat(place)
    except OSError:
        return False
    return os.path.samestat(os.fstat(descriptor), there)


def _follow(descriptor: int, path: Path) -> None:
    """Lets whoever may read the history see who records into it."""
    try:
        os.fchmod(descriptor, stat.S_IMODE(os.stat(path).st_mode) & 0o666)
    except OSError:
        # There is no history yet, or the lock is somebody else's: its mode stays.
        pass


def _read(descriptor: int) -> LockHolder | None:
    try:
        return msgspec.json.decode(os.pread(descriptor, 4096, 0), type=LockHolder)
    except (OSError, msgspec.MsgspecError):
        return None
