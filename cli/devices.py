"""`sysmon devices`: who uses the line: this machine's interfaces, and the devices behind every router."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from cli import devicenotes, devicepage, tables
from cli.context import Context
from cli.devicetables import builtins, device_table, interface_table, legend, write_csv
from cli.ledgers import gather
from cli.output import write_json
from cli.ranges import asked
from sysmon import ledger
from sysmon.devices import HEARD
from sysmon.errors import UsageError
from sysmon.traffic import STEPS
from sysmon.units import format_time, plain_duration, rfc3339
from sysmon.zones import zone_of

if TYPE_CHECKING:
    import argparse

    from cli.ledgers import Ledger
    from sysmon.devices import Device

HELP = "print who uses the line: interfaces, and the devices behind routers"
EXAMPLE = """sysmon devices                                  what is now, today, this month
sysmon devices --router home --since 7d --top 10
sysmon devices 'living room tv' --by day        one device: its totals, days and services
sysmon devices name 52:54:00:12:34:56 'living room tv'
sysmon devices reset --router home              count anew from now on, here alone
sysmon devices status                           how the routers are"""

VERBS = ("name", "category", "reset", "status")
"""First words that mean no device."""


def arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the command's arguments."""
    parser.add_argument(
        "words",
        nargs="*",
        metavar="NAME",
        help="one device or interface by alias, name, address or MAC; or: name DEVICE ALIAS, category DEVICE CATEGORY,"
        " reset, status",
    )
    parser.add_argument("--router", metavar="NAME", help="the devices behind this router alone")
    parser.add_argument("--host", metavar="NAME", help="another host of the history")
    parser.add_argument(
        "--since", metavar="TIME", help="a range: today, yesterday, 7d, 30d, month, year, all, reset, or a moment"
    )
    parser.add_argument("--until", metavar="TIME", help="the end of the range (default: now)")
    parser.add_argument("--sort", metavar="WHAT", default="total", help=f"{', '.join(ledger.SORTS)} (total)")
    parser.add_argument("--top", type=int, metavar="N", help="only the first N of each kind")
    parser.add_argument("--page", type=int, metavar="N", help="the N-th page (1)")
    parser.add_argument("--per-page", type=int, metavar="M", help="rows of a page (50 with --page, else all)")
    parser.add_argument("--by", choices=tuple(STEPS), help="with NAME: its history by this step (day)")
    parser.add_argument("--format", choices=("table", "json", "csv"), default="table", help="how to print (table)")
    parser.add_argument("--json", dest="format", action="store_const", const="json", help="the same as --format json")
    parser.add_argument("--yes", action="store_true", help="with reset: do not ask")


def run(options: argparse.Namespace) -> int:
    """Runs the command."""
    context = Context.of_environment()
    verb = options.words[0] if options.words else ""
    _check(options, verb)
    if verb in ("name", "category"):
        return devicenotes.note(context, options)
    if verb == "reset":
        return devicenotes.reset(context, options)
    if verb == "status":
        return devicenotes.status(context, options)
    ask = asked(options.since, options.until, context.clock.now())
    found = gather(context, ask, host=options.host, router=options.router, rates=options.until is None)
    if verb:
        return devicepage.page(context, options, found, ask)
    listed, total = _listed(found, options)
    if options.format == "csv":
        write_csv(listed, found.labels)
        return 0
    problems = asyncio.run(_problems(context, found))
    if options.format == "json":
        write_json(_json(found, listed, total, problems))
    else:
        _print(context, found, listed, total, options, problems)
    return 0


async def _problems(context: Context, found: Ledger) -> list[str]:
    """Returns what is missing of devices now, a sentence each: numbers that are not there look like little traffic."""
    from cli.routerstatus import faults

    told = {each.host: each for each in found.present.statuses}
    made = []
    for id in found.chosen.routers:
        label, status = found.infos[id].label, told.get(id)
        if status is not None and status.state not in HEARD:
            since = "" if status.age is None else f" for {plain_duration(status.age)}"
            made.append(f"{label} is {status.state}{since}{f': {status.message}' if status.message else ''}")
        else:
            made += [f"{label}: {fault.message}" for fault in (await faults(context, found, id))[0]]
    return made


def _check(options: argparse.Namespace, verb: str) -> None:
    """Checks what the parser cannot.

    Raises:
        UsageError: something is out of range, or does not go together.
    """
    wanted = {"name": 3, "category": 3, "reset": 1, "status": 1}.get(verb, 1)
    if len(options.words) > wanted or (verb in ("name", "category") and len(options.words) < wanted):
        if verb in ("name", "category"):
            what = "ALIAS" if verb == "name" else "CATEGORY"
            raise UsageError(f"`sysmon devices {verb}` takes a DEVICE and its {what}", f"'' as {what} takes it back")
        raise UsageError(f"one NAME can be looked at, given are {len(options.words)}", "quote a name that has blanks")
    if options.router is not None and options.host is not None:
        raise UsageError("--router and --host exclude each other", "--host NAME of a router shows both")
    for name, value, most in (
        ("--top", options.top, 10**6),
        ("--page", options.page, 10**6),
        ("--per-page", options.per_page, 10**4),
    ):
        if value is not None and not 1 <= value <= most:
            raise UsageError(f"{name} '{value}' is out of range", f"allowed is 1 to {most}")
    if options.by and not verb:
        raise UsageError("--by goes with NAME", "`sysmon usage --by day` is that of a whole host")
    if options.yes and verb != "reset":
        raise UsageError("--yes goes with reset", "leave it out")
    ledger.order([], options.sort)


def _listed(found: Ledger, options: argparse.Namespace) -> tuple[list[Device], int]:
    """Returns the devices to print, and how many there are; of interfaces first, each kind in its order.

    Raises:
        UsageError: there is no such page.
    """
    listed: list[Device] = []
    for kind in ("interface", "device"):
        ordered = ledger.order([each for each in found.devices if each.kind == kind], options.sort)
        if kind == "interface" and options.sort == "total":
            # What counts, above what lies on it.
            ordered.sort(key=lambda each: each.counted is False)
        listed += ordered if options.top is None else ordered[: options.top]
    total = len(listed)
    if options.page is None and options.per_page is None:
        return listed, total
    size = options.per_page or 50
    page = options.page or 1
    pages = max(1, -(-total // size))
    if page > pages:
        raise UsageError(f"there is no page {page}", f"{total} rows are {pages} pages of {size}")
    return listed[(page - 1) * size : page * size], total


def _json(found: Ledger, listed: list[Device], total: int, problems: list[str]) -> dict[str, object]:
    ranges = [each for each in found.sums.values() if each.range is not None]
    return {
        "time": rfc3339(found.now),
        "since": rfc3339(min(each.start for each in ranges)) if ranges else None,
        "until": rfc3339(max(each.end for each in ranges)) if ranges else None,
        "total": total,
        "hosts": {id: found.infos[id].label for id in dict.fromkeys([*found.chosen.hosts, *found.chosen.routers])},
        "devices": [builtins(each) for each in listed],
        "problem": found.present.problem,
        "problems": problems,
    }


def _print(
    context: Context,
    found: Ledger,
    listed: list[Device],
    total: int,
    options: argparse.Namespace,
    problems: list[str],
) -> None:
    room = tables.width()
    ranged = any(each.range is not None for each in found.sums.values())
    interfaces = [each for each in listed if each.kind == "interface"]
    devices = [each for each in listed if each.kind == "device"]
    lines: list[str] = []
    for host in found.chosen.hosts:
        own = [each for each in interfaces if each.host == host]
        if own:
            complete = len(own) == sum(each.kind == "interface" and each.host == host for each in found.devices)
            lines += [_title(f"interfaces of {found.infos[host].label}", found, host, ranged=ranged)]
            lines += [*interface_table(own, room, ranged=ranged, total=complete), ""]
    if devices:
        everyone = [each for each in found.devices if each.kind == "device"]
        behind = ", ".join(tables.plain(found.infos[id].label) for id in found.chosen.routers)
        lines += [_title(f"devices behind {behind}", found, found.chosen.routers[0], ranged=ranged)]
        lines += [*device_table(devices, everyone, found.labels, found.now, room, ranged=ranged), ""]
    if not listed:
        lines += ["nothing is known yet of any interface or device", ""]
    lines += legend(lines, interfaces)
    if len(listed) < total or options.page:
        size = options.per_page or 50
        lines.append(f"page {options.page or 1} of {max(1, -(-total // size))}: {len(listed)} of {total} rows")
    lines += [*map(tables.plain, problems), *_foot(context, found)]
    print("\n".join(lines))


def _title(what: str, found: Ledger, host: str, *, ranged: bool) -> str:
    told = next((each for (id, _), each in found.sums.items() if id == host and each.range is not None), None)
    if not ranged or told is None:
        return what
    zone = zone_of(found.infos[host].timezone)
    return f"{what}, {format_time(told.start, zone)[:16]} to {format_time(told.end, zone)[:16]}"


def _foot(context: Context, found: Ledger) -> list[str]:
    """Says since when there is a past, who records, and what stands in the way."""
    made = []
    for router in found.chosen.routers:
        told = found.sums.get((router, "device"))
        if told is not None and told.resets:
            began = format_time(told.resets[-1])[:16]
            made.append(f"{found.infos[router].label} is counted anew since {began}: --since reset")
    if found.present.problem:
        made.append(f"rates are missing: {found.present.problem}")
    if found.status is None:
        made.append(f"no history yet: {context.history_path} does not exist; `sysmon --record` records")
    elif found.status.since is not None:
        who = f"by {found.status.recorder}" if found.status.recorder else "by nobody now: `sysmon --record` does"
        made.append(f"recorded since {format_time(found.status.since)[:16]}, {who}")
    return made
