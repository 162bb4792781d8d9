"""What `[collectors.network]` may hold, the same on every platform."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from sysmon.configschema import Option, texts

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

OPTIONS: Mapping[str, Option] = {
    "include": Option(texts, '["*"]', "globs over the names of the interfaces to read"),
}
"""The options, for the check of the configuration."""


def included(options: Mapping[str, object]) -> Callable[[str], bool]:
    """Returns whether an interface of a name is to be read."""
    given = options.get("include", ("*",))
    globs = [str(glob) for glob in given] if isinstance(given, list | tuple) else [str(given)]
    if "*" in globs:
        return lambda name: True
    return lambda name: any(fnmatchcase(name, glob) for glob in globs)
