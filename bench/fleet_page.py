"""The table and the plot of how the recorder's cost grows with its agents, for docs/performance.md."""

from __future__ import annotations

import os
import platform
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from bench.fleet_runs import AgentRun, HubRun

MIB = 1 << 20
BEGIN, END = "<!-- measured: begin -->\n", "<!-- measured: end -->\n"
WIDTH, HEIGHT, MARGIN = 360, 240, 48


def write(folder: Path, runs: Sequence[HubRun], readers: Sequence[AgentRun], series: int) -> None:
    """Writes the measured part of performance.md, and images/fleet.svg."""
    page = folder / "performance.md"
    text = page.read_text()
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    page.write_text(before + BEGIN + table(runs, readers, series) + END + after)
    (folder / "images" / "fleet.svg").write_text(plot(runs))


def table(runs: Sequence[HubRun], readers: Sequence[AgentRun], series: int) -> str:
    """Returns both tables in Markdown."""
    machine = f"{os.uname().sysname} {platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"
    heads = ("agents", "CPU, % of one core", "memory, MiB", "all live after, s", "frames sent", "of them missing")
    lines = [
        f"Measured on {machine}; {series} series a host, one frame a second each.",
        "",
        _row((*heads, "bytes/s per host")),
        _row(["--:"] * 7),
    ]
    for run in runs:
        cells = (
            f"{run.agents}",
            f"{run.cpu * 100:.1f}",
            f"{run.rss / MIB:.0f}",
            f"{run.first:.1f}",
            f"{run.sent:,}",
            f"{run.missing}",
            f"{run.wire:.0f}",
        )
        lines.append(_row(cells))
    if readers:
        lines += ["", _row(("readers of one agent", "CPU, % of one core", "memory, MiB", "bytes/s to each"))]
        lines.append(_row(["--:"] * 4))
        for each in readers:
            lines.append(
                _row((f"{each.readers}", f"{each.cpu * 100:.2f}", f"{each.rss / MIB:.1f}", f"{each.received:.0f}"))
            )
    return "\n".join(lines) + "\n"


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def plot(runs: Sequence[HubRun]) -> str:
    """Returns an SVG with two panels over the number of agents: CPU and memory, both from 0."""
    most = max(run.agents for run in runs)
    panels = (
        ("CPU, % of one core", [run.cpu * 100 for run in runs], 100.0, "#2563eb"),
        ("memory, MiB", [run.rss / MIB for run in runs], _above(max(run.rss for run in runs) / MIB), "#b45309"),
    )
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {2 * WIDTH} {HEIGHT}" font-family="sans-serif" '
        'font-size="11"><rect width="100%" height="100%" fill="#ffffff"/>'
    ]
    for number, (title, values, top, colour) in enumerate(panels):
        left, right = number * WIDTH + MARGIN, (number + 1) * WIDTH - 16
        low, high = HEIGHT - 36, 32
        parts.append(f'<text x="{left}" y="18" font-weight="bold">{title}</text>')
        for quarter in range(5):
            y = low - (low - high) * quarter / 4
            parts.append(f'<line x1="{left}" y1="{y:.1f}" x2="{right}" y2="{y:.1f}" stroke="#e5e7eb"/>')
            parts.append(f'<text x="{left - 6}" y="{y + 4:.1f}" text-anchor="end">{top * quarter / 4:g}</text>')
        points = []
        for run, value in zip(runs, values, strict=True):
            x = left + (right - left) * run.agents / most
            y = low - (low - high) * min(1.0, value / top)
            points.append(f"{x:.1f},{y:.1f}")
            parts.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{colour}"/>')
            parts.append(f'<text x="{x:.1f}" y="{low + 16}" text-anchor="middle">{run.agents}</text>')
        parts.append(f'<polyline points="{" ".join(points)}" fill="none" stroke="{colour}" stroke-width="2"/>')
        parts.append(f'<text x="{right}" y="{HEIGHT - 6}" text-anchor="end">agents at one frame a second</text>')
    return "\n".join([*parts, "</svg>"]) + "\n"


def _above(value: float) -> float:
    """A round number not below a value."""
    step = 40.0
    return step * -(-value // step)
