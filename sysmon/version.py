"""The version, kept in pyproject.toml alone."""

from __future__ import annotations


def version() -> str:
    """Returns the installed distribution's version, or '0' when run from a tree that was never installed."""
    from importlib.metadata import PackageNotFoundError
    from importlib.metadata import version as installed

    try:
        return installed("sysmon")
    except PackageNotFoundError:
        return "0"
