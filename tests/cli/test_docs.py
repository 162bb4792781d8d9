"""docs/commands.md names every command and option."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from cli.main import COMMANDS, build

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("name", ["", *COMMANDS])
def test_every_command_and_option_is_documented(checkout: Path, name: str) -> None:
    text = (checkout / "docs" / "commands.md").read_text()
    assert f"## `sysmon {name}".rstrip() in text
    for action in build(name)._actions:
        for option in action.option_strings:
            if option.startswith("--") and option != "--help":
                assert re.search(rf"`{option}\b", text), option
        for choice in action.choices or ():
            if action.dest in ("verb", "shell", "format"):
                assert str(choice) in text, choice
