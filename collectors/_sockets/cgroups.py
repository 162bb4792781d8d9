"""Control groups by the id that sockets carry: the number of their folder in the hierarchy of version 2."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

from collectors._cgroups import parse_mounts
from collectors._owners import parse_cgroup
from collectors.base import read_file
from sysmon.errors import CollectorError
from sysmon.frame import clean_text

if TYPE_CHECKING:
    from collectors.base import Roots

MOST = 10_000
"""Folders looked at in one walk at most."""

AGAIN = 10.0
"""Seconds that pass at least between two walks: a group that is not found then is not in our sight."""


class CgroupIds:
    """Finds the container and the unit that a control group belongs to."""

    def __init__(self, roots: Roots) -> None:
        self._mounts = str(roots.proc / "self" / "mountinfo")
        self._known: dict[int, tuple[str, str]] = {}
        self._walked = -AGAIN

    def owner(self, cgroup: int | None) -> tuple[str, str]:
        """Returns (container, unit) of a group by its id, each '' where there is none or it cannot be told."""
        if cgroup is None:
            return "", ""
        found = self._known.get(cgroup)
        now = time.monotonic()
        if found is None and now - self._walked >= AGAIN:
            self._walk()
            self._walked = now
            found = self._known.get(cgroup)
        return found or ("", "")

    def _walk(self) -> None:
        folder = self._folder()
        known: dict[int, tuple[str, str]] = {}
        waiting = [(folder, "")] if folder else []
        while waiting and len(known) < MOST:
            path, group = waiting.pop()
            try:
                with os.scandir(path) as entries:
                    for entry in entries:
                        if entry.is_dir(follow_symlinks=False):
                            below = f"{group}/{entry.name}"
                            known[entry.inode()] = _owner(below)
                            waiting.append((entry.path, below))
            except OSError:
                continue
        self._known = known

    def _folder(self) -> str:
        try:
            mounts = parse_mounts(read_file(self._mounts))
        except CollectorError:
            return ""
        return next((mount.folder for mount in mounts if not mount.controllers), "")


def _owner(group: str) -> tuple[str, str]:
    container, unit = parse_cgroup(f"0::{group}")
    return clean_text(container, 128), clean_text(unit, 128)
