"""Replacing a file as a whole: whoever reads it finds the old text or the new one."""

from __future__ import annotations

import contextlib
import os
import tempfile
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


def replace(target: Path, text: str, *, prefix: str, mode: int) -> None:
    """Writes a text beside a file and puts it in the file's place, with its mode and, where that may be, its owner.

    Args:
        target: the file itself, not a link to it.
        text: all of it.
        prefix: begin of the temporary file's name.
        mode: of a file that was not there.

    Raises:
        OSError: it cannot be written; the file is as it was.
    """
    found = target.stat() if target.exists() else None
    handle, name = tempfile.mkstemp(dir=target.parent, prefix=prefix)
    try:
        with os.fdopen(handle, "w", encoding="utf-8", newline="") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        if found is not None and (found.st_uid, found.st_gid) != (os.geteuid(), os.getegid()):
            # What root changes for a user or a service must stay readable for them.
            with contextlib.suppress(OSError):
                os.chown(name, found.st_uid, found.st_gid)
        os.chmod(name, found.st_mode & 0o777 if found is not None else mode)
        os.replace(name, target)
    except BaseException:
        os.unlink(name)
        raise
