"""The command line: argparse with errors in one sentence, a nearest known name, and an example in every help."""

from __future__ import annotations

import argparse
import re
import sys
from typing import TYPE_CHECKING, Any, NoReturn

from sysmon.errors import UsageError, nearest

if TYPE_CHECKING:
    from collections.abc import Sequence


class Parser(argparse.ArgumentParser):
    """An ArgumentParser whose errors are `UsageError`s and whose help ends with an example."""

    def __init__(self, *args: Any, example: str = "", **options: Any) -> None:
        options.setdefault("formatter_class", argparse.RawDescriptionHelpFormatter)
        options.setdefault("allow_abbrev", False)
        if example:
            options["epilog"] = "example:\n" + "\n".join(f"  {line}" for line in example.splitlines())
        super().__init__(*args, **options)

    def error(self, message: str) -> NoReturn:
        """Raises `UsageError` with the nearest known name instead of printing the whole usage."""
        hint = f"`{self.prog} --help` shows what is allowed"
        choice = re.match(r"argument (\S+): invalid choice: '?(.*?)'? \(choose from (.*)\)", message)
        if choice:
            known = [name.strip(" '") for name in choice[3].split(",")]
            message = f"'{choice[2]}' is not a {_noun(choice[1])} of {self.prog}"
            hint = nearest(choice[2], known) or f"known are {', '.join(known)}"
        unknown = re.match(r"unrecognized arguments: (\S+)", message)
        if unknown:
            known = [option for action in self._actions for option in action.option_strings]
            message = f"'{unknown[1]}' is not an option of {self.prog}"
            hint = nearest(unknown[1].split("=")[0], known) or hint
        raise UsageError(message, hint)


def _noun(argument: str) -> str:
    return "command" if argument in ("COMMAND", "VERB", "command") else f"value for {argument}"


def wants_help(arguments: Sequence[str]) -> bool:
    """Whether --help is asked for, so that only then its dress is loaded."""
    return any(argument in ("-h", "--help") for argument in arguments)


def dress(parser: argparse.ArgumentParser) -> None:
    """Gives a parser and its subparsers a coloured help where the terminal takes it."""
    if not sys.stdout.isatty():
        return
    from rich_argparse import RawDescriptionRichHelpFormatter

    parser.formatter_class = RawDescriptionRichHelpFormatter
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for sub in action.choices.values():
                dress(sub)
