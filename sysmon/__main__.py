"""The entry point: `sysmon`, `python -m sysmon`."""

from __future__ import annotations

import signal
import sys


def main() -> int:
    """Runs the command line; returns the exit status."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        # ^C ends a command at once and without a word, wherever it is; the screen and the agent have handlers of their
        # own.
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    if sys.argv[1:] in (["--version"], ["-V"]):
        from sysmon.version import version

        print(f"sysmon {version()}")
        return 0
    from cli.main import run

    return run(sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())
