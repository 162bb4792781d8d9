"""Which command runs: one file per command, loaded only when it is asked for."""

from __future__ import annotations

import errno
import importlib
import os
import signal
import sys
from typing import TYPE_CHECKING, Any

from cli.arguments import Parser, dress, wants_help
from cli.output import adapt
from sysmon.errors import ConfigError, SysmonError, UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

COMMANDS = {
    "hosts": "cli.hosts",
    "history": "cli.history",
    "export": "cli.export",
    "devices": "cli.devices",
    "usage": "cli.usage",
    "report": "cli.report",
    "alerts": "cli.alerts",
    "config": "cli.config",
    "token": "cli.token",
    "service": "cli.service",
    "doctor": "cli.doctor",
    "completion": "cli.completion",
}
"""Command -> its module, which offers HELP, EXAMPLE, `arguments(parser)` and `run(arguments)`."""

ROOT = "cli.root"
"""What runs without a command: the screen, --once, --agent, --record."""


def run(arguments: Sequence[str]) -> int:
    """Runs a command line; an error is one sentence on stderr and status 1, or 2 for a wrong request."""
    adapt()
    debug = "--debug" in arguments
    given = [argument for argument in arguments if argument != "--debug"]
    try:
        return _dispatch(given)
    except ConfigError as error:
        if debug:
            raise
        _say(*error.problems)
        return 2
    except SysmonError as error:
        if debug:
            raise
        _say(f"sysmon: {error}")
        return 2 if isinstance(error, UsageError) else 1
    except BrokenPipeError:
        # Who read our output has gone: end as a program killed by SIGPIPE does, without a word.
        _discard_output()
        return 128 + signal.SIGPIPE
    except KeyboardInterrupt:
        _discard_output()
        return 128 + signal.SIGINT
    except Exception as error:
        if debug:
            raise
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT) and error.filename is None:
            _discard_output()
            _say(f"sysmon: stdout cannot be written: {error.strerror}")
            return 1
        _say(f"sysmon: a fault of sysmon itself: {type(error).__name__}: {error}; --debug shows where")
        return 70


def _dispatch(arguments: list[str]) -> int:
    name = arguments[0] if arguments and arguments[0] in COMMANDS else ""
    parser = build(name)
    if wants_help(arguments):
        dress(parser)
    options = parser.parse_args(arguments[1:] if name else arguments)
    status: int = options.run(options)
    sys.stdout.flush()
    return status


def build(name: str) -> Parser:
    """Builds the parser of one command, or of the program without one."""
    module: Any = importlib.import_module(COMMANDS[name] if name else ROOT)
    parser = Parser(prog=f"sysmon {name}".strip(), description=module.HELP, example=module.EXAMPLE)
    module.arguments(parser)
    parser.set_defaults(run=module.run)
    return parser


def everything() -> Parser:
    """Builds one parser of all commands, from which completions and documentation are made."""
    parser = build("")
    parser.prog = "sysmon"
    commands = parser.add_subparsers(metavar="COMMAND", parser_class=Parser)
    for name, place in COMMANDS.items():
        module: Any = importlib.import_module(place)
        sub = commands.add_parser(name, help=module.HELP, description=module.HELP, example=module.EXAMPLE)
        module.arguments(sub)
    return parser


def _discard_output() -> None:
    """Lets what is still buffered go nowhere, so that the interpreter's own flush at the end says nothing."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _say(*lines: str) -> None:
    try:
        print(*lines, sep="\n", file=sys.stderr)
    except OSError:
        # Nobody is left to read it.
        return
