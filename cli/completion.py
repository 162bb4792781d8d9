"""`sysmon completion SHELL`: the completion file of a shell, as it was made when sysmon was built."""

from __future__ import annotations

import sys
from importlib.resources import files
from typing import TYPE_CHECKING

from sysmon.errors import SysmonError

if TYPE_CHECKING:
    import argparse

HELP = "print the completion file of a shell"
EXAMPLE = "sysmon completion bash > ~/.local/share/bash-completion/completions/sysmon"

SHELLS = ("bash", "zsh", "tcsh")
"""Shells that completions are made for."""


def arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the command's arguments."""
    parser.add_argument("shell", choices=SHELLS, help="the shell")


def run(options: argparse.Namespace) -> int:
    """Runs the command."""
    try:
        text = files("cli").joinpath("completions", f"sysmon.{options.shell}").read_text()
    except FileNotFoundError:
        raise SysmonError("this installation holds no completions", "install sysmon from its wheel") from None
    sys.stdout.write(text)
    return 0
