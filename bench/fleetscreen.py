"""What the Fleet screen costs with 3, 100 and 300 hosts at 1 Hz: `python -m bench.fleetscreen [SECONDS]`.

The hosts are made up in the same process, with 180 series each and no line between; making them costs some of it.
"""

from __future__ import annotations

import sys

from bench.terminal import run

SIZES = ((80, 24), (120, 40), (200, 50))
COUNTS = (3, 100, 300)


def main() -> None:
    """Prints a line per count and size."""
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 20.0
    print(f"{'hosts':>6} {'size':>8} {'% of a core':>12} {'bytes/s':>9} {'PSS MiB':>8}")
    for count in COUNTS:
        for columns, lines in SIZES if count == 100 else SIZES[1:2]:
            cost = run(
                [sys.executable, "-m", "tests.tui.apps.fleet", str(count)],
                seconds=seconds, warmup=14.0, columns=columns, lines=lines,
            )  # fmt: skip
            print(
                f"{count:>6} {columns:>4}x{lines:<3} {cost.cpu * 100:>12.1f} {cost.written:>9.0f}"
                f" {cost.pss / 2**20:>8.1f}",
                flush=True,
            )


if __name__ == "__main__":
    main()
