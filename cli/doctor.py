"""`sysmon doctor`: what can be measured here, what not, why, and what would help."""

from __future__ import annotations

import asyncio
import os
import sys
from typing import TYPE_CHECKING, Any

from cli.context import Context
from cli.output import write_json
from sysmon.errors import SysmonError
from sysmon.units import format_bytes, format_duration, format_time

if TYPE_CHECKING:
    import argparse

HELP = "say what can be measured here, what not, why, and what would help"
EXAMPLE = "sysmon doctor\nsysmon doctor --metrics"

_WORDS = {
    "unsupported": "not supported",
    "no_data": "none here",
    "denied": "no right",
    "timeout": "too slow",
    "failed": "failed",
}


def arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the command's arguments."""
    parser.add_argument("--metrics", action="store_true", help="list every metric instead")
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(options: argparse.Namespace) -> int:
    """Runs the command; status 1 when a collector failed or the history cannot be used."""
    context = Context.of_environment()
    if options.metrics:
        return _metrics(context, as_json=options.json)
    collectors = asyncio.run(_collectors(context))
    history = _history(context)
    terminal = _terminal()
    if options.json:
        answer = {"collectors": collectors, "history": history, "terminal": terminal, "config": _config(context)}
        write_json(answer)
    else:
        _print(context, collectors, history, terminal)
    broken = any(fault["kind"] in ("failed", "timeout") for each in collectors for fault in each["faults"])
    return 1 if broken or history["problem"] else 0


async def _collectors(context: Context) -> list[dict[str, Any]]:
    from cli.local import make_runner
    from collectors.base import Roots
    from collectors.registry import available

    runner = make_runner(context)
    state = await runner.once()
    frame = state.full()
    assert frame is not None
    readings = state.readings
    report = []
    for collector in available(Roots()):
        names = {metric.name for metric in collector.metrics}
        report.append(
            {
                "name": collector.name,
                "help": collector.help,
                "interval": runner.intervals.get(collector.name),
                "series": sum(key.partition(":")[0] in names for key in readings),
                "faults": [
                    {"kind": fault.kind, "message": fault.message, "hint": fault.hint}
                    for fault in state.faults
                    if fault.collector == collector.name
                ],
                "read": collector.name in state.reads,
            }
        )
    return report


def _history(context: Context) -> dict[str, Any]:
    from store.lock import holder
    from store.reader import SqliteHistory

    path = context.history_path
    found: dict[str, Any] = {"path": str(path), "bytes": 0, "since": None, "recorder": "", "problem": ""}
    folder = next((parent for parent in path.parents if parent.exists()), path.parent)
    if not os.access(path if path.exists() else folder, os.W_OK):
        found["problem"] = f"{path if path.exists() else folder} may not be written by this user"
    held = holder(path)
    if held is not None:
        found["recorder"] = f"{held.who}, process {held.pid}"
    if path.exists():

        async def ask() -> None:
            history = SqliteHistory.open(path, context.catalogue, clock=context.clock)
            try:
                status = await history.status()
                found.update(bytes=status.bytes, since=status.since, problem=status.problem or found["problem"])
            finally:
                await history.close()

        try:
            asyncio.run(ask())
        except SysmonError as error:
            found["problem"] = str(error)
    return found


def _terminal() -> dict[str, Any]:
    import locale

    return {
        "term": os.environ.get("TERM", ""),
        "colors": os.environ.get("COLORTERM", ""),
        "encoding": locale.getpreferredencoding(False),
        "stdout": sys.stdout.isatty(),
        "no_color": "NO_COLOR" in os.environ,
    }


def _config(context: Context) -> dict[str, Any]:
    return {"path": str(context.places.config), "exists": context.places.config.exists()}


def _print(
    context: Context, collectors: list[dict[str, Any]], history: dict[str, Any], terminal: dict[str, Any]
) -> None:
    print("collectors")
    for each in collectors:
        faults = each["faults"]
        worst = faults[0]["kind"] if faults else ""
        state = "ok" if not faults else _WORDS.get(worst, worst)
        if faults and each["series"]:
            state = "partly"
        print(f"  {each['name']:<14} {state:<14} {each['series']:>4} series   {each['help']}")
        for fault in faults:
            print(f"  {'':<14} {fault['message']}")
            if fault["hint"]:
                print(f"  {'':<14} → {fault['hint']}")
    print("history")
    print(f"  file           {history['path']}  {format_bytes(history['bytes'])}")
    if history["since"]:
        age = format_duration((context.clock.now() - history["since"]) / 1000)
        print(f"  since          {format_time(history['since'])}  ({age})")
    print(f"  recorder       {history['recorder'] or 'nobody records now; `sysmon --record` would'}")
    if history["problem"]:
        print(f"  problem        {history['problem']}")
    print("terminal")
    color = "none (NO_COLOR)" if terminal["no_color"] else terminal["colors"] or "by TERM"
    print(f"  TERM={terminal['term'] or '(unset)'}  colours {color}  encoding {terminal['encoding']}")
    print("configuration")
    print(
        f"  {context.places.config}{'' if context.places.config.exists() else '  (does not exist; the defaults hold)'}"
    )


def _metrics(context: Context, *, as_json: bool) -> int:
    if as_json:
        write_json(list(context.catalogue))
        return 0
    for metric in sorted(context.catalogue, key=lambda metric: metric.name):
        name = f"{metric.name}:{metric.instance.upper()}" if metric.instance else metric.name
        print(f"{name:<34} {metric.kind:<8} {metric.unit or 'number':<8} {metric.help}")
    return 0
