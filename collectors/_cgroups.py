"""Pure parsers of the control groups' files, versions 1 and 2."""

from __future__ import annotations

from typing import NamedTuple

from collectors.base import malformed

UNLIMITED = 1 << 60
"""A memory limit from here on means none: cgroup v1 says so with 2^63 less a page."""

_LARGEST = 1 << 63


class Mount(NamedTuple):
    """A mounted cgroup hierarchy: its folder, the group at its root there, its controllers (none for version 2)."""

    folder: str
    root: str
    controllers: frozenset[str]


def parse_cgroups(text: str, path: str = "/proc/self/cgroup") -> dict[str, str]:
    """Parses /proc/PID/cgroup into controller -> group; that of version 2 is under ''.

    Raises:
        MalformedInput: a line has no three fields.

    Source: cgroups(7).
    """
    groups: dict[str, str] = {}
    for number, line in enumerate(text.split("\n"), 1):
        if not line:
            continue
        fields = line.split(":", 2)
        if len(fields) < 3 or not fields[2].startswith("/"):
            raise malformed(path, number, line, "a control group")
        for controller in fields[1].split(","):
            groups[controller] = fields[2]
    return groups


def parse_mounts(text: str) -> list[Mount]:
    """Finds the cgroup hierarchies in /proc/PID/mountinfo; lines of any other form are left out.

    Source: proc(5): `id parent major:minor root mountpoint options … - type source superoptions`.
    """
    mounts = []
    for line in text.split("\n"):
        left, dash, right = line.partition(" - cgroup")
        if not dash:
            continue
        here, there = left.split(), right.split()
        if len(here) < 5 or not there:
            continue
        if right[0] == "2":
            mounts.append(Mount(here[4], here[3], frozenset()))
        elif right[0] == " " and len(there) >= 2:
            mounts.append(Mount(here[4], here[3], frozenset(there[-1].split(","))))
    return mounts


def parse_flat(text: str, path: str) -> dict[str, int]:
    """Parses a flat keyed file such as cpu.stat or memory.stat: `name number` a line.

    Raises:
        MalformedInput: a line is not that.
    """
    values: dict[str, int] = {}
    for number, line in enumerate(text.split("\n"), 1):
        if line:
            name, _, value = line.partition(" ")
            values[name] = whole(value, path, number)
    return values


def parse_limit(text: str, path: str) -> int | None:
    """Parses a limit in bytes: 'max' and what no machine has is None.

    Raises:
        MalformedInput: neither a number nor 'max'.
    """
    if text.strip() == "max":
        return None
    value = whole(text, path)
    return value if value < UNLIMITED else None


def parse_cpu_max(text: str, path: str) -> float | None:
    """Parses cpu.max (`QUOTA PERIOD` in microseconds, or `max PERIOD`) into cores; None without a limit.

    Raises:
        MalformedInput: not that.
    """
    fields = text.split()
    if len(fields) != 2:
        raise malformed(path, 1, text.strip(), "'QUOTA PERIOD'")
    if fields[0] == "max":
        return None
    quota, period = whole(fields[0], path), whole(fields[1], path)
    if not quota or not period:
        raise malformed(path, 1, text.strip(), "'QUOTA PERIOD' above 0")
    return quota / period


def parse_cpu_list(text: str, path: str) -> int:
    """Counts the processors of a list such as `0-3,8`.

    Raises:
        MalformedInput: not a list of ranges.
    """
    count = 0
    for part in text.strip().split(","):
        if not part:
            continue
        first, dash, last = part.partition("-")
        low = whole(first, path)
        high = whole(last, path) if dash else low
        if high < low:
            raise malformed(path, 1, text.strip(), "a list of processors")
        count += high - low + 1
    return count


def whole(text: str, path: str, line: int = 1) -> int:
    """Parses a non-negative decimal below 2^63, spaces around it allowed.

    Raises:
        MalformedInput: it is none.
    """
    stripped = text.strip()
    if stripped.isascii() and stripped.isdecimal() and len(stripped) < 20:
        value = int(stripped)
        if value < _LARGEST:
            return value
    raise malformed(path, line, text, "a whole number")
