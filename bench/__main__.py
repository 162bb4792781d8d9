"""`python -m bench`: every budget of one host, one agent and the history, beside the peers installed, in one run.

Figures are of a whole process and its children, in a pseudo terminal of 120x40, as parts of one core. Ratios are
against glances
in the same run; absolute numbers move with the machine.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from bench import processes, stream, terminal

MIB = 1 << 20
BUDGET_CPU = {100: 2.5, 1600: 6.0}


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--seconds", type=float, default=20.0, help="seconds each program is watched (20)")
    parser.add_argument("--processes", default="100,1600", help="numbers of processes (100,1600)")
    parser.add_argument("--only", choices=("screen", "agent", "start", "history"), help="one part")
    options = parser.parse_args()
    counts = [int(number) for number in options.processes.split(",")]
    print(f"{os.uname().sysname} {os.uname().release}, {os.cpu_count()} cores, Python {sys.version.split()[0]}")
    if options.only in (None, "start"):
        starts()
    if options.only in (None, "screen"):
        for number in counts:
            with processes.sleepers(number) as total:
                screens(number, total, options.seconds)
    if options.only in (None, "agent"):
        for number in counts:
            with processes.sleepers(number) as total:
                agent(total, options.seconds)
    if options.only in (None, "history"):
        from bench.history import main as history

        history()


def programs() -> dict[str, tuple[list[str], bytes]]:
    """Returns name -> (command, keys to type) of what is compared, at one update a second where it can be told."""
    own = [sys.executable, "-m", "sysmon"]
    found = {"sysmon": (own, b""), "sysmon, processes": (own, b"4")}
    for name, command in {
        "glances": ["glances", "-t", "1", "--disable-check-update"],
        "htop": ["htop", "-d", "10"],
        "btop": ["btop"],
        "top": ["top", "-d", "1"],
    }.items():
        beside = Path(sys.executable).with_name(command[0])
        place = shutil.which(command[0]) or (str(beside) if beside.exists() else None)
        if place:
            found[name] = ([place, *command[1:]], b"")
    return found


def screens(number: int, total: int, seconds: float) -> None:
    """Prints the table of screens."""
    print(f"\nscreen, 120x40, 1 Hz (btop 2 s), {total} processes, {seconds:.0f} s")
    print(f"  {'':<18} {'CPU %':>7} {'vs glances':>11} {'RSS MiB':>8} {'PSS MiB':>8} {'B/s':>8} {'painted s':>10}")
    rows = {}
    with tempfile.TemporaryDirectory() as folder:
        env = {"SYSMON_DB": f"{folder}/h.db", "XDG_RUNTIME_DIR": folder, "XDG_STATE_HOME": folder, "HOME": folder}
        for name, (command, keys) in programs().items():
            rows[name] = terminal.run(command, seconds=seconds, environment=env, keys=keys)
    base = rows["glances"].cpu if "glances" in rows else None
    for name, row in rows.items():
        ratio = f"{row.cpu / base:.2f}" if base else "-"
        painted = f"{row.painted:.2f}" if row.painted is not None else "-"
        print(
            f"  {name:<18} {row.cpu * 100:7.2f} {ratio:>11} {row.rss / MIB:8.1f} {row.pss / MIB:8.1f} "
            f"{row.written:8.0f} {painted:>10}"
        )
    print(f"  budget: sysmon <= {BUDGET_CPU.get(number, 6.0)} % CPU, <= 50 MiB PSS, <= 2000 B/s, painted <= 0.5 s")


def agent(total: int, seconds: float) -> None:
    """Prints the agent's line."""
    row = stream.run(seconds)
    print(
        f"\nagent, 1 Hz, one reader, {total} processes: {row.cpu * 100:.2f} % CPU, {row.rss / MIB:.1f} MiB RSS, "
        f"{row.pss / MIB:.1f} MiB PSS, {row.received:.0f} B/s compressed"
    )
    print("  budget: <= 1 % at 100 processes, <= 4 % at 2,000; <= 45 MiB RSS; <= 500 B/s")


def starts() -> None:
    """Prints how long the short commands take."""
    print("\nstart, median of 7, s")
    for name, arguments, less in (("--version", ["--version"], 0.0), ("--once less its second", ["--once"], 1.0)):
        times = []
        for _ in range(7):
            began = time.monotonic()
            env = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
            subprocess.run([sys.executable, "-m", "sysmon", *arguments], env=env, check=True, stdout=subprocess.DEVNULL)
            times.append(time.monotonic() - began - less)
        print(f"  {name:<24} {statistics.median(times):.3f}   (min {min(times):.3f}, max {max(times):.3f})")
    print("  budget: --version <= 0.1, --once <= 0.3")


if __name__ == "__main__":
    main()
