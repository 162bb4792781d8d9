"""The entry point: `sysmon`, `python -m sysmon`."""

from __future__ import annotations

import sys


def main() -> int:
    """Runs the command line; returns the exit status."""
    if sys.argv[1:] in (["--version"], ["-V"]):
        from sysmon.version import version

        print(f"sysmon {version()}")
        return 0
    from cli.main import run

    return run(sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())
