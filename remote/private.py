"""Files that only their owner may read: keys and tokens. Checked when read, replaced whole when written."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import secrets
import stat
import time
from typing import TYPE_CHECKING

from sysmon.errors import SysmonError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MAX_BYTES = 1 << 20
"""Bytes of such a file at most."""


class Exposed(SysmonError):
    """A file with a secret that others could read or change."""


def read_private(path: Path, what: str) -> bytes:
    """Reads a file that nobody but its owner may read or write: this user or root; for root also the folder's owner.

    Args:
        path: the file; a link is followed, and what it names is checked.
        what: what it holds, for the error: `the token`.

    Raises:
        FileNotFoundError: it is not there.
        Exposed: its mode or owner lets others in.
        SysmonError: it cannot be read, or is no file of that kind.
    """
    try:
        handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise SysmonError(f"{what} in {path} cannot be read: {error.strerror}") from None
    with os.fdopen(handle, "rb") as file:
        found = os.fstat(file.fileno())
        if not stat.S_ISREG(found.st_mode):
            raise SysmonError(f"{what}: {path} is not a file")
        if found.st_uid not in _owners(path):
            raise Exposed(f"{what} in {path} belongs to another user (uid {found.st_uid})", "make it your own: chown")
        # systemd lets a service read its credentials by an ACL, whose mask shows as the group's right to read.
        service = found.st_uid == 0 and str(path.parent) == os.environ.get("CREDENTIALS_DIRECTORY")
        if found.st_mode & (0o037 if service else 0o077):
            mode = stat.S_IMODE(found.st_mode)
            raise Exposed(f"{what} in {path} is open to others (mode {mode:04o})", f"chmod 600 {path}")
        data = file.read(MAX_BYTES + 1)
    if len(data) > MAX_BYTES:
        raise SysmonError(f"{what}: {path} is larger than {MAX_BYTES} bytes")
    return data


def write_private(path: Path, data: bytes) -> None:
    """Replaces a file, mode 0600, in one step: who reads it sees the old or the new, also after a crash.

    Root writes it for the folder's owner, so that a service finds what an administrator made for it.

    Raises:
        SysmonError: it cannot be written.
    """
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        make_folder(path.parent)
        with _created(temporary) as handle:
            with os.fdopen(os.dup(handle), "wb") as file:
                file.write(data)
            _give_to_owner(handle, path.parent)
            os.fsync(handle)
        os.replace(temporary, path)
        folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    except OSError as error:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise SysmonError(f"{path} cannot be written: {error.strerror}") from None


def make_folder(folder: Path) -> None:
    """Makes a private folder, and refuses one in which anybody may put another file in ours' place.

    Raises:
        OSError: it cannot be made. Exposed: others may write there.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    found = folder.stat()
    if found.st_mode & stat.S_IWOTH and not found.st_mode & stat.S_ISVTX:
        raise Exposed(f"everybody may write in {folder}", f"chmod o-w {folder}")


@contextlib.contextmanager
def locked(path: Path, *, wait: float = 30.0) -> Iterator[None]:
    """Holds the lock beside a file while it is read, changed and replaced.

    Args:
        path: the file.
        wait: seconds to wait for another process that holds it.

    Raises:
        SysmonError: the lock cannot be made, or is held for longer.
    """
    try:
        make_folder(path.parent)
        lock = path.with_name(f"{path.name}.lock")
        handle = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    except OSError as error:
        raise SysmonError(f"{path} cannot be changed: {error.strerror}") from None
    try:
        _give_to_owner(handle, path.parent)
        deadline = time.monotonic() + wait
        while True:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() >= deadline:
                    raise SysmonError(f"{path} is being changed by another process") from None
                time.sleep(0.01)
        yield
    finally:
        os.close(handle)


def _owners(path: Path) -> tuple[int, ...]:
    if os.geteuid() == 0:  # an administrator looks after what a service has
        with contextlib.suppress(OSError):
            return 0, path.parent.stat().st_uid
    return os.geteuid(), 0


@contextlib.contextmanager
def _created(path: Path) -> Iterator[int]:
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        yield handle
    finally:
        os.close(handle)


def _give_to_owner(handle: int, folder: Path) -> None:
    if os.geteuid() == 0:
        owner = folder.stat()
        try:
            os.fchown(handle, owner.st_uid, owner.st_gid)
        except OSError as error:
            if error.errno not in (errno.EPERM, errno.EINVAL):
                raise
