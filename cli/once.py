"""`sysmon --once`: one frame on stdout, from two samples a second apart, so that rates are there."""

from __future__ import annotations

import asyncio
import os
import sys
import threading
from typing import TYPE_CHECKING

from cli.output import write_json
from sysmon.answers import frame_answer
from sysmon.errors import UsageError
from sysmon.frame import PRIVATE_TABLES
from sysmon.units import MISSING, format_bytes, format_duration, format_time, format_value
from sysmon.wrong import findings

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterable

    from cli.context import Context
    from sysmon.derive import State
    from sysmon.records import HostInfo

_MARK = {"critical": "!!", "warning": "! ", "info": "- "}


def run_once(context: Context, options: argparse.Namespace) -> int:
    """Prints one frame of this host, or of a target."""
    asked = _asked(options.tables or "")
    if options.targets:
        info, state = asyncio.run(_remote(context, options.targets, asked))
    else:
        info, state = asyncio.run(_local(context, options.interface))
    if options.interface and not options.targets and not state.instances("net.receive"):
        known = ", ".join(sorted(os.listdir("/sys/class/net"))) if os.path.isdir("/sys/class/net") else ""
        raise UsageError(f"--interface '{options.interface}' names no interface", known and f"known are {known}")
    if options.json:
        frame = state.full()
        assert frame is not None
        write_json(frame_answer(frame, state.derived(), state, asked), sort=True)
    else:
        print("\n".join(report(info, state)))
    sys.stdout.flush()
    leave_hung_threads(0)
    return 0


def leave_hung_threads(status: int) -> None:
    """Ends at once where a collector's thread still reads: nobody waits for it."""
    if any(thread.daemon and thread is not threading.current_thread() for thread in threading.enumerate()):
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


async def _local(context: Context, interface: str | None) -> tuple[HostInfo, State]:
    from cli.local import make_runner

    runner = make_runner(context, interface=interface)
    state = await runner.once()
    return runner.identity.info, state


async def _remote(context: Context, targets: list[str], asked: frozenset[str]) -> tuple[HostInfo, State]:
    from cli.targets import first_state

    return await first_state(context, targets, tables=asked)


def _asked(text: str) -> frozenset[str]:
    """Returns the tables of --tables."""
    asked = frozenset(filter(None, text.split(",")))
    for name in sorted(asked - PRIVATE_TABLES):
        raise UsageError(f"--tables '{name}' is not one of {', '.join(sorted(PRIVATE_TABLES))}", "the others are there")
    return asked


def report(info: HostInfo, state: State) -> list[str]:
    """Returns the lines that people read: one topic a line, worst news first."""
    frame = state.frame
    assert frame is not None
    lines = [f"{info.label}  {info.os}  {info.kernel}  {format_time(frame.time)}  up {_value(state, 'uptime')}"]
    found = findings(state)
    lines += [f"{_MARK[finding.severity]} {finding.text}" for finding in found] or ["   nothing is wrong"]
    lines.append("")
    load = " ".join(_value(state, f"load.{span}") for span in (1, 5, 15))
    lines.append(
        f"cpu        {_value(state, 'cpu.utilization'):>8}  of {info.cpus} cores  load {load}  "
        f"iowait {_value(state, 'cpu.iowait')}  steal {_value(state, 'cpu.steal')}"
    )
    lines.append(
        f"memory     {_value(state, 'memory.utilization'):>8}  {_value(state, 'memory.used')} of "
        f"{_value(state, 'memory.total')}  available {_value(state, 'memory.available')}  swap "
        f"{_value(state, 'swap.used')} of {_value(state, 'swap.total')}"
    )
    pressure = "  ".join(
        f"{what} {_value(state, f'pressure.{what}.some')}"
        for what in ("cpu", "memory", "io")
        if state.get(f"pressure.{what}.some") is not None
    )
    if pressure:
        lines.append(f"pressure   {pressure}")
    lines += _section(
        "filesystem",
        ["used", "size", "use", "inodes"],
        (
            (
                mount,
                *(
                    _value(state, f"fs.{what}:{mount}")
                    for what in ("used", "size", "utilization", "inodes.utilization")
                ),
            )
            for mount in state.instances("fs.size")
        ),
    )
    lines += _section(
        "disk",
        ["read", "write", "busy", "await"],
        (
            (name, *(_value(state, f"disk.{what}:{name}") for what in ("read_rate", "write_rate", "busy", "await")))
            for name in state.instances("disk.read")
        ),
    )
    lines += _section(
        "interface",
        ["receive", "transmit", "errors", "drops"],
        (
            (
                name,
                *(_value(state, f"net.{what}:{name}") for what in ("receive_rate", "transmit_rate", "errors", "drops")),
            )
            for name in state.instances("net.receive")
        ),
    )
    lines += _section(
        "sensor", ["value"], ((name, _value(state, f"temperature:{name}")) for name in state.instances("temperature"))
    )
    busiest = sorted(state.processes, key=lambda row: (-(row.cpu or 0.0), -row.memory))[:10]
    lines += _section(
        "process",
        ["pid", "user", "cpu", "memory", "time"],
        (
            (
                row.name,
                str(row.pid),
                row.user[:12],
                MISSING if row.cpu is None else f"{row.cpu * 100:.1f} %",
                format_bytes(row.memory),
                format_duration(row.cpu_time),
            )
            for row in busiest
        ),
    )
    unreadable = [fault for fault in state.faults if fault.kind not in ("unsupported", "no_data")]
    lines += [""] * bool(unreadable)
    lines += [f"{fault.collector}: {fault.message}{f'; {fault.hint}' if fault.hint else ''}" for fault in unreadable]
    return lines


def _value(state: State, key: str) -> str:
    metric = state.catalogue.of_key(key)
    return format_value(state.get(key), metric.unit if metric else "")


def _section(name: str, titles: list[str], rows: Iterable[tuple[str, ...]]) -> list[str]:
    body = list(rows)
    if not body:
        return []
    table = [(name, *titles), *body]
    widths = [max(len(row[column]) for row in table) for column in range(len(table[0]))]
    widths[0] = min(max(widths[0], 10), 32)
    lines = [""]
    for row in table:
        first = row[0] if len(row[0]) <= widths[0] else "…" + row[0][-(widths[0] - 1) :]
        cells = [f"{cell:>{width}}" for cell, width in zip(row[1:], widths[1:], strict=True)]
        lines.append("  ".join([f"{first:<{widths[0]}}", *cells]))
    return lines
