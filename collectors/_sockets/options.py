"""What `[collectors.connections]` may hold, the same on every platform."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sysmon.configschema import Option, boolean

if TYPE_CHECKING:
    from collections.abc import Mapping

OPTIONS: Mapping[str, Option] = {
    "remotes": Option(boolean, "true", "whether addresses and ports of the other ends are told"),
}
"""The options, for the check of the configuration."""


def remotes(options: Mapping[str, object]) -> bool:
    """Returns whether the other ends are told."""
    return bool(options.get("remotes", True))
