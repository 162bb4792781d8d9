"""What users say of devices (names, categories, counting periods), and how the routers are."""

from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING

from cli.ledgers import gather
from cli.output import write_json
from sysmon import ledger
from sysmon.errors import UsageError
from sysmon.ledger import Ask

if TYPE_CHECKING:
    import argparse

    from cli.context import Context
    from cli.ledgers import Ledger
    from store.notes import SqliteNotes


def note(context: Context, options: argparse.Namespace) -> int:
    """Names a device, or puts it into a category; '' takes it back."""
    verb, given, text = options.words
    found = gather(context, Ask(), host=options.host, router=options.router, rates=False)
    behind = [each for each in found.devices if each.kind == "device"]
    if not behind:
        raise UsageError("no devices are known behind any router", "`sysmon devices status` says how routers are")
    device = ledger.one(behind, given, found.labels)
    write = _notes(context)
    if verb == "name":
        same = [each for each in behind if text and each.alias.lower() == text.strip().lower() and each != device]
        if same:
            raise UsageError(f"'{text}' is the name of {same[0].name} already", "take another, or take it back there")
        asyncio.run(write.name_device(device.host, device.name, alias=text))
    else:
        asyncio.run(write.name_device(device.host, device.name, category=text))
    where = found.infos[device.host].label
    what = "is called" if verb == "name" else "is a"
    lost = "has no name of its own now" if verb == "name" else "has no category of its own now"
    print(f"{device.name} behind {where} {f'{what} {text.strip()}' if text.strip() else lost}")
    return 0


def reset(context: Context, options: argparse.Namespace) -> int:
    """Begins a new counting period of a router's devices, or of those of all routers."""
    found = gather(context, Ask(), host=options.host, router=options.router, rates=False)
    routers = found.chosen.routers
    if not routers:
        raise UsageError("no devices are known behind any router", "`sysmon devices status` says how routers are")
    names = ", ".join(found.infos[id].label for id in routers)
    if not options.yes:
        _confirm(names)
    write = _notes(context)
    for id in routers:
        asyncio.run(write.reset_devices(id, context.clock.now()))
    print(
        f"a new counting period of {names} begins: `sysmon devices --since reset` shows it. Nothing was deleted, and"
        " the router was not touched: its own counters go on"
    )
    return 0


def _confirm(names: str) -> None:
    if not sys.stdin.isatty():
        raise UsageError(f"reset of {names} wants to be confirmed", "add --yes")
    print(
        f"Begin a new counting period of {names}? What was recorded stays. [y/N] ", end="", file=sys.stderr, flush=True
    )
    if sys.stdin.readline().strip().lower() not in ("y", "yes"):
        raise UsageError("nothing was begun", "answer y, or add --yes")


def _notes(context: Context) -> SqliteNotes:
    from store.notes import SqliteNotes

    return SqliteNotes.open(context.history_path, clock=context.clock)


def status(context: Context, options: argparse.Namespace) -> int:
    """Says how the routers are; ends with status 1 when one that should be there is not, or cannot count."""
    from cli.routerstatus import standing

    found: Ledger = gather(context, Ask(), host=options.host, router=options.router, rates=False)
    told = asyncio.run(standing(context, found))
    if options.format == "json":
        write_json([each.builtins() for each in told])
    elif not told:
        print("no router is configured: `sysmon hosts add NAME ssh://root@192.168.1.1 --router` adds one")
    for each in told if options.format != "json" else ():
        print(each.line())
        for line in each.more():
            print(f"  {line}")
    return 1 if any(each.broken for each in told) else 0
