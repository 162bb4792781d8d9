"""Small files of the kernel, read without ceremony: what is not there is None."""

from __future__ import annotations

import os

_LARGEST = 1 << 63


def text(path: str, limit: int = 4096) -> str | None:
    """Returns the stripped text of a small file; None where it is absent, refused or empty."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except (OSError, ValueError):  # ValueError: a NUL in a made-up name
        return None
    try:
        return os.read(handle, limit).decode("utf-8", "surrogateescape").strip() or None
    except OSError:
        return None
    finally:
        os.close(handle)


def number(path: str, base: int = 10) -> int | None:
    """Returns the whole number that a small file holds; None where there is none of 64 bits."""
    found = text(path, 64)
    if found is None:
        return None
    try:
        value = int(found, base)
    except ValueError:
        return None
    return value if -_LARGEST < value < _LARGEST else None


def entries(path: str) -> list[str]:
    """Returns the names in a folder, sorted; empty where it is absent or refused."""
    try:
        return sorted(os.listdir(path))
    except (OSError, ValueError):
        return []


def target(path: str) -> str:
    """Returns the last part of where a link leads; '' where it is no link."""
    try:
        return os.path.basename(os.readlink(path))
    except (OSError, ValueError):
        return ""
