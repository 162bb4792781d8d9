"""The version, kept in pyproject.toml alone."""

from __future__ import annotations

import os
import sys

_BEGINS, _ENDS = "sysmon-", ".dist-info"


def version() -> str:
    """Returns the installed distribution's version, or '0' when run from a tree that was never installed."""
    # The folder's name has it; importlib.metadata, which knows every other way, takes longer than all else here.
    for folder in sys.path:
        try:
            names = os.listdir(folder or ".")
        except OSError:
            continue
        for name in names:
            if name.startswith(_BEGINS) and name.endswith(_ENDS):
                return name[len(_BEGINS) : -len(_ENDS)]
    from importlib.metadata import PackageNotFoundError
    from importlib.metadata import version as installed

    try:
        return installed("sysmon")
    except PackageNotFoundError:
        return "0"
