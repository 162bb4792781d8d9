"""Changing config.toml by program: comments, order and form are kept, and no half-written or wrong file is left behind.

The one place that imports tomlkit.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from typing import TYPE_CHECKING

from cli.replacing import replace
from sysmon.errors import SysmonError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from tomlkit import TOMLDocument

LOCK_SECONDS = 3.0
"""Seconds to wait for another process that changes the same file."""


def save_screen(path: Path, settings: Mapping[str, object]) -> None:
    """Writes keys of [screen]; the file is replaced in one step, so that it is never half written.

    Raises:
        SysmonError: the file cannot be read as TOML, or not be written.
    """

    def change(text: str) -> str:
        return edited(text, lambda document: _set_screen(document, settings))

    rewrite(path, change, hint="set [screen] there by hand")


def _set_screen(document: TOMLDocument, settings: Mapping[str, object]) -> None:
    import tomlkit

    table = document.setdefault("screen", tomlkit.table())
    for key, value in settings.items():
        table[key] = value


def rewrite(path: Path, change: Callable[[str], str], *, hint: str = "") -> None:
    """Replaces a file by what `change` makes of its text, one process at a time; its mode stays, a new one has 0600.

    Args:
        path: the file; a link is followed, so that it stays one.
        change: is given the text, '' where there is no file; what it raises leaves the file as it is.
        hint: what to do where it cannot be written.

    Raises:
        SysmonError: it cannot be read, written or parsed, or another process holds it.
    """
    from tomlkit.exceptions import TOMLKitError

    target = path.resolve()
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with _alone(target.parent):
            before = target.read_bytes().decode() if target.exists() else ""
            after = change(before.replace("\r\n", "\n"))
            if "\r\n" in before:
                after = after.replace("\n", "\r\n")
            if after != before or not target.exists():
                replace(target, after, prefix=".config-", mode=0o600)
    except (OSError, UnicodeDecodeError, TOMLKitError) as error:
        why = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise SysmonError(f"{path} cannot be saved: {why}", hint) from None


def edited(text: str, change: Callable[[TOMLDocument], None]) -> str:
    """Returns TOML text with a change made to its document.

    Raises:
        TOMLKitError: the text is not TOML.
    """
    import tomlkit

    document = tomlkit.parse(text)
    change(document)
    return tomlkit.dumps(document)


def add_table(document: TOMLDocument, group: str, name: str, values: Mapping[str, object]) -> None:
    """Adds the table `[group.name]` behind the last one of its group, an empty line before it."""
    import tomlkit

    table = tomlkit.table()
    for key, value in values.items():
        table.add(key, value)
    above = document.get(group)
    if above is None:
        above = tomlkit.table(is_super_table=True)
        document[group] = above
    above[name] = table


@contextlib.contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Holds the folder's lock: two who change a file at once would each undo what the other did."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        deadline = time.monotonic() + LOCK_SECONDS
        while True:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise SysmonError(f"another process is changing a file of {folder}", "try again") from None
                time.sleep(0.02)
            except OSError:
                # A file system without locks: the file is replaced whole all the same.
                break
        yield
    finally:
        os.close(handle)
