"""Where the sockets of ssh connections are: a private folder with names short enough for them."""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import secrets
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from remote.target import Target

MAX_CONTROL = 90
"""Characters of a socket's path at most: sun_path holds 108 bytes, and ssh appends 17 while it makes it."""

LONGEST = 18
"""Characters of the name of a socket in its folder at most, with the slash before it."""

_STEADY = re.compile(r"[A-Za-z0-9/._-]+")


class Runtime:
    """The private folder for the sockets of ssh.

    Args:
        runtime: this user's folder for such things, or None. One too long for a socket's name is not used.
    """

    def __init__(self, runtime: Path | None) -> None:
        self._wanted = None if runtime is None else runtime / "ssh"
        self._swept: Path | None = None
        self._temporary: tempfile.TemporaryDirectory[str] | None = None

    def folder(self) -> Path:
        """Returns the folder, made at first.

        Raises:
            OSError: none can be made.
        """
        if self._temporary is not None:
            return Path(self._temporary.name)
        if self._swept is not None:
            return self._swept
        wanted = self._wanted
        if wanted is not None and len(str(wanted)) + LONGEST <= MAX_CONTROL and _STEADY.fullmatch(str(wanted)):
            with contextlib.suppress(OSError):
                wanted.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
                wanted.mkdir(mode=0o700, exist_ok=True)
                found = wanted.lstat()
                if found.st_uid == os.geteuid() and found.st_mode & 0o40077 == 0o40000:
                    _sweep(wanted)
                    self._swept = wanted
                    return wanted
        for place in (None, "/tmp"):
            made = tempfile.TemporaryDirectory(prefix="sysmon-", dir=place, ignore_cleanup_errors=True)
            if len(made.name) + LONGEST <= MAX_CONTROL and _STEADY.fullmatch(made.name):
                self._temporary = made
                return Path(made.name)
            made.cleanup()
        raise OSError("no folder has a name short enough for a socket")

    def forwarded(self) -> Path:
        """Returns a path for a forwarded socket that nobody else uses."""
        return self.folder() / f"f-{os.getpid()}-{secrets.token_hex(3)}"

    def close(self) -> None:
        """Removes a folder made for this process alone."""
        if self._temporary is not None:
            self._temporary.cleanup()
            self._temporary = None


def control_path(folder: Path, target: Target) -> Path:
    """Returns the socket by which processes share the connection to a target."""
    return folder / f"c-{hashlib.sha256(f'{target.base} {target.port}'.encode()).hexdigest()[:10]}"


def _sweep(folder: Path) -> None:
    """Removes the forwarded sockets of processes that were killed."""
    for path in folder.glob("f-*-*"):
        owner = path.name.split("-")[1]
        if owner.isdecimal():
            try:
                os.kill(int(owner), 0)
            except (ProcessLookupError, OverflowError):
                remove(path)
            except OSError:
                continue


def remove(path: Path) -> None:
    """Removes a socket, if it is there."""
    with contextlib.suppress(OSError):
        path.unlink()
