"""Where the texts of a router come from: the tree that ssh laid out, or commands run on this machine."""

from __future__ import annotations

import os
import subprocess  # the one way to nlbwmon, whose socket speaks a format of its own that changes with its version
from typing import TYPE_CHECKING, NamedTuple

from collectors._router.commands import COMMANDS, FOLDER
from collectors.base import read_bytes
from sysmon.errors import CollectorError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

LIMIT = 48 << 20
"""Bytes taken of one text at most."""

PATIENCE = 4.0
"""Seconds that a command may take on this machine."""

TIMED_OUT = 124
"""The status told of a command that took longer, as timeout(1) does."""

UNKNOWN = 255
"""Stands for a status that is no number."""

PATHS = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


class Text(NamedTuple):
    """What a command printed, its exit status, and the beginning of what it said on stderr."""

    text: str
    status: int = 0
    said: str = ""


class TreeTexts:
    """The texts that lie in a tree.

    Args:
        base: '/' of that tree.
    """

    def __init__(self, base: Path) -> None:
        self._folder = base / FOLDER

    def take(self, names: Iterable[str]) -> dict[str, Text]:
        """Returns those that are there."""
        found = {}
        for name in names:
            try:
                text = self._read(name)
            except CollectorError:
                text = None
            try:
                status, _, said = (self._read(f"{name}.status") or "").partition("\n")
            except CollectorError:
                status = said = ""
            if text is None and not status:
                continue
            number = status.strip()
            good = number.isascii() and number.isdigit() and len(number) < 4
            known = int(number) if good else UNKNOWN if number else 0
            found[name] = Text(text or "", known, said[:400])
        return found

    def _read(self, name: str) -> str | None:
        data = read_bytes(self._folder / name, LIMIT + 1)
        return None if len(data) > LIMIT else data.decode("utf-8", "replace")


class LiveTexts:
    """The texts of this machine, where it is a router itself."""

    def __init__(self) -> None:
        own = os.environ.get("PATH", "")
        self._environment = {"PATH": f"{own}:{PATHS}" if own else PATHS, "LC_ALL": "C"}

    def take(self, names: Iterable[str]) -> dict[str, Text]:
        """Runs the commands; one that does not end in time has status `TIMED_OUT`."""
        return {name: self._run(COMMANDS[name].text) for name in names}

    def _run(self, command: str) -> Text:
        try:
            process = subprocess.Popen(
                ["/bin/sh", "-c", command],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env=self._environment,
                cwd="/",
                start_new_session=True,
            )
        except OSError as error:
            return Text("", 126, str(error))
        try:
            printed, said = process.communicate(timeout=PATIENCE)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, 9)
            process.communicate()
            return Text("", TIMED_OUT, f"no answer within {PATIENCE:g} s")
        return Text(
            printed[:LIMIT].decode("utf-8", "replace"), process.returncode & 255, said[:400].decode("utf-8", "replace")
        )
