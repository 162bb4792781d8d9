"""`sysmon` without a command: the screen, one frame, an agent, a recorder."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from cli.context import Context
from sysmon.errors import UsageError

if TYPE_CHECKING:
    import argparse

HELP = "one terminal screen for this machine and for all of yours, with a memory"
EXAMPLE = """sysmon                          the screen of this host
sysmon http://127.0.0.1:8200    the screen of another, through its agent (ssh -L 8200:127.0.0.1:8200 host)
sysmon --once --json            one frame, for scripts
sysmon --agent                  serve this host's frames
sysmon --record                 record this host and all of [hosts.NAME] without a screen
commands: hosts, history, devices, usage, report, export, alerts, config, token, service, doctor, completion
(each has --help)"""


def arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the program's own arguments."""
    parser.add_argument(
        "targets", nargs="*", metavar="TARGET", help="a configured host, or http://HOST:PORT of an agent"
    )
    parser.add_argument("--version", "-V", action="store_true", help="print the version")
    modes = parser.add_argument_group("instead of the screen").add_mutually_exclusive_group()
    modes.add_argument("--once", action="store_true", help="print one frame and end")
    modes.add_argument("--agent", action="store_true", help="serve this host's frames and keep its history")
    modes.add_argument("--record", action="store_true", help="record this host and the configured ones")
    parser.add_argument("--json", action="store_true", help="with --once: one JSON object")
    parser.add_argument("--listen", metavar="ADDR", help="where --agent serves (127.0.0.1); else it wants a token")
    parser.add_argument("--port", type=int, metavar="PORT", help="port that --agent serves on (8200)")
    parser.add_argument("--explain", action="store_true", help="with --agent: print what it can be asked, and end")
    parser.add_argument("--push", metavar="URL", help="with --agent: send its frames to this hub")
    parser.add_argument("--push-fingerprint", metavar="KEY", help="of that hub's key: sha256: and 64 hex digits")
    parser.add_argument("--tied", action="store_true", help="with --agent: end when standard input does")
    parser.add_argument("--tables", metavar="NAMES", help="with --once --json: connections, talkers, or both, as well")
    parser.add_argument("--interface", metavar="NAME", help="show only this network interface")
    parser.add_argument("--ascii", action="store_true", help="draw without Unicode")
    parser.add_argument("--theme", choices=("auto", "dark", "light", "contrast", "ansi"), help="colours of the screen")
    parser.add_argument("--no-history", action="store_true", help="record nothing")
    parser.add_argument("--readonly", action="store_true", help="no signals and no renice from the screen")
    parser.add_argument("--debug", action="store_true", help="print a traceback with an error")


def run(options: argparse.Namespace) -> int:
    """Chooses the mode and runs it."""
    if options.version:
        from sysmon.version import version

        print(f"sysmon {version()}")
        return 0
    _check(options)
    context = Context.of_environment()
    if options.explain:
        from cli.explain import run_explain

        return run_explain(context)
    if options.agent:
        from cli.agent import run_agent

        return run_agent(context, options)
    if options.record:
        from cli.record import run_record

        return run_record(context, options)
    if options.once or options.json or not _has_screen():
        from cli.once import run_once

        return run_once(context, options)
    from cli.screen import run_screen

    return run_screen(context, options)


def _check(options: argparse.Namespace) -> None:
    if (options.listen or options.port is not None) and not (options.agent or options.record):
        raise UsageError("--listen and --port go with --agent or --record", "add --agent")
    if options.explain and not options.agent:
        raise UsageError("--explain goes with --agent", "add --agent")
    if (options.push or options.push_fingerprint) and not options.agent:
        raise UsageError("--push goes with --agent", "add --agent")
    if options.tied and not options.agent:
        raise UsageError("--tied goes with --agent", "add --agent")
    if options.port is not None and not 0 <= options.port <= 65535:
        raise UsageError(f"--port '{options.port}' is not a port", "allowed is 0 to 65535; 0 takes a free one")
    if options.json and (options.agent or options.record):
        raise UsageError("--json goes with --once", "`curl http://127.0.0.1:8200/v1/frame` prints an agent's frame")
    if options.targets and (options.agent or options.record):
        mode = "--agent" if options.agent else "--record"
        raise UsageError(
            f"{mode} takes no TARGET: '{options.targets[0]}'", "put hosts into config.toml as [hosts.NAME]"
        )


def _has_screen() -> bool:
    """Whether stdin and stdout are a terminal that can be drawn on."""
    # A closed stdin or stdout is None here.
    here = all(stream is not None and stream.isatty() for stream in (sys.stdin, sys.stdout))
    return here and os.environ.get("TERM", "dumb") not in ("dumb", "")
