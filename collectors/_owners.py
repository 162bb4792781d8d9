"""Whose a process is, from its cgroup path alone: its container and its systemd unit.

Pure: text of /proc/PID/cgroup in, names out. No container engine is asked, so that a container's id stands where only
the engine knows its name.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

_ID_SCOPE = re.compile(r"(?:docker|libpod|cri-containerd|crio|nerdctl|podman|containerd)-([0-9a-f]{12,64})(?:\.scope)?")
_BARE_ID = re.compile(r"(?:[^:]*:)*([0-9a-f]{64}|[0-9a-f]{32}-[0-9]{5,20})")
_LXC = re.compile(r"lxc\.payload\.(.+)")
_MACHINE = re.compile(r"(?:machine-(?!qemu)(.+)\.scope|systemd-nspawn@(.+)\.service)")
_ESCAPE = re.compile(r"\\x([0-9a-fA-F]{2})")
_UNIT = (".service", ".scope", ".socket", ".mount", ".swap")
SHORT_ID = 12
"""Digits of a container's id that are shown, as the engines do."""


def parse_cgroup(text: str) -> tuple[str, str]:
    """Parses /proc/PID/cgroup into (container, unit), each empty where there is none.

    Knows cgroup v2, v1 (the `name=systemd` line first) and both at once; Docker, Podman, containerd, CRI-O, Kubernetes,
    ECS, LXC, LXD and systemd-nspawn. A unit is the innermost one of the path, as `systemctl status PID` says. Any text
    gives an answer.

    Source: cgroups(7), systemd.unit(5).
    """
    paths = []
    for line in text.split("\n"):
        parts = line.split(":", 2)
        if len(parts) == 3 and parts[2] not in ("", "/"):
            first = 0 if not parts[1] else 1 if parts[1] == "name=systemd" else 2
            paths.append((first, parts[2]))
    paths.sort(key=lambda pair: pair[0])
    split = [path.split("/") for _, path in paths]
    container = next((found for segments in split if (found := _container(segments))), "")
    unit = next((found for segments in split if (found := _unit(segments))), "")
    return container, unit


def _container(segments: list[str]) -> str:
    for index in range(len(segments) - 1, -1, -1):
        segment = segments[index]
        found = _ID_SCOPE.fullmatch(segment) or _BARE_ID.fullmatch(segment)
        if found:
            return found[1][:SHORT_ID]
        found = _LXC.fullmatch(segment)
        if found:
            return found[1]
        if index and segments[index - 1] in ("lxc", "lxc.payload") and not segment.startswith("lxc."):
            return segment
        found = _MACHINE.fullmatch(segment)
        if found:
            return unescape(found[1] or found[2])
    return ""


def _unit(segments: Iterable[str]) -> str:
    units = [segment for segment in segments if segment.endswith(_UNIT)]
    while units:
        unit = units.pop()
        # A container's scope is named by its id, which is shown as the container; a user manager's own processes belong
        # to its service.
        if _ID_SCOPE.fullmatch(unit) or (unit == "init.scope" and units and units[-1].startswith("user@")):
            continue
        return unit
    return ""


def unescape(name: str) -> str:
    """Undoes systemd's escaping of names: `\\x2d` is a dash; bytes that are no UTF-8 stay as they are."""
    if "\\x" not in name:
        return name
    raw = _ESCAPE.sub(lambda found: chr(int(found[1], 16)), name)
    try:
        return raw.encode("latin-1").decode("utf-8")
    except UnicodeError:
        return name
