"""What `[collectors.processes]` may hold, the same on every platform."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sysmon.configschema import Option, boolean, choice, integer
from sysmon.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping

COMMANDS = ("full", "redacted", "none")

OPTIONS: Mapping[str, Option] = {
    "commands": Option(choice(*COMMANDS), '"redacted"', "command lines: all of them, likely secrets hidden, or none"),
    "io": Option(boolean, "true", "whether bytes from and to storage are read"),
    "keep_open": Option(integer(0, 100_000), "2048", "files of processes held open between reads at most; Linux alone"),
}
"""The options, for the check of the configuration."""


def commands(options: Mapping[str, object]) -> str:
    """Returns how command lines are shown.

    Raises:
        ConfigError: not a known way.
    """
    given = options.get("commands", "redacted")
    if given not in COMMANDS:
        raise ConfigError(
            f"[collectors.processes] commands = '{given}' is not one of {', '.join(COMMANDS)}",
            'write commands = "redacted"',
        )
    return str(given)
