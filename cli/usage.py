"""`sysmon usage`: how much went through, by interface, hour, day, month: what a user of vnStat expects."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from cli import tables, usagetables
from cli.context import Context
from cli.ledgers import gather
from cli.output import write_json
from cli.ranges import asked
from cli.steptable import CSV, gap_lines, plot, rows, step_table
from sysmon import ledger, traffic, trafficanswers
from sysmon.bandwidth import RANGES
from sysmon.caps import applies, concerns, devices_meant, standing
from sysmon.devices import adding
from sysmon.errors import UsageError, nearest
from sysmon.ledger import Ask, bounds
from sysmon.trafficanswers import Group, groups_of, sum_of
from sysmon.zones import zone_of

if TYPE_CHECKING:
    import argparse

    from cli.ledgers import Ledger
    from sysmon.bandwidth import Kind
    from sysmon.caps import Standing
    from sysmon.ports import History
    from sysmon.records import HostInfo, Span
    from sysmon.traffic import Figures, Outline, Step

HELP = "print how much went through: today, this month, by hour or day"
EXAMPLE = """sysmon usage                                today, yesterday, this month of every interface
sysmon usage eth0 --by day --since 30d
sysmon usage --by month --format plot
sysmon usage --stats                        95th percentile of the month, mean, caps
sysmon usage --router home --by month       all devices behind a router together
sysmon usage --router home --device tv --by hour"""

FORMATS = ("table", "json", "csv", "plot")


class Scope(NamedTuple):
    """Whose usage is told. `counted`: the interfaces that add up to the host's traffic. `whole`: no one is named."""

    info: HostInfo
    kind: Kind
    groups: list[Group]
    counted: list[str]
    now: int
    whole: bool = False


def arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the command's arguments."""
    parser.add_argument(
        "interface", nargs="?", metavar="IF", help="one interface, or a glob (default: all, and their sum)"
    )
    parser.add_argument("--host", metavar="NAME", help="another host of the history")
    parser.add_argument("--device", metavar="NAME", help="a device behind a router instead of an interface")
    parser.add_argument(
        "--router", metavar="NAME", help="all devices behind this router together; with --device: one of them"
    )
    parser.add_argument("--by", choices=tuple(traffic.STEPS), help="one row per step")
    parser.add_argument(
        "--since", metavar="TIME", help=f"a moment, or {', '.join(RANGES)} (default: as many as vnStat shows)"
    )
    parser.add_argument("--until", metavar="TIME", help="the end (default: now)")
    parser.add_argument("--top", action="store_true", help="the ten busiest days")
    parser.add_argument("--stats", action="store_true", help="95th percentile, mean, least and most of the month")
    parser.add_argument("--rate", choices=("bits", "bytes"), default="bits", help="how to print mean rates (bits)")
    parser.add_argument("--format", choices=FORMATS, default="table", help="how to print (table)")
    parser.add_argument("--json", dest="format", action="store_const", const="json", help="the same as --format json")


def run(options: argparse.Namespace) -> int:
    """Runs the command."""
    context = Context.of_environment()
    _check(options)
    ask = asked(options.since, options.until, context.clock.now())
    if not context.history_path.exists():
        # Says that there is none, and what would make one.
        context.read_history(_nothing)
    wanted = Ask()
    found = gather(
        context, wanted, host=options.host, router=options.router, rates=False, kinds=_kinds(options), everything=True
    )
    scope = _scope(found, options)
    if options.stats:
        return _stats(context, scope, found, ask, options)
    if options.top:
        return _top(context, scope, options)
    if options.by or ask.given or options.format == "plot":
        return _steps(context, scope, ask, options)
    return _outline(context, scope, found, options)


async def _nothing(history: History) -> None:
    return


def _kinds(options: argparse.Namespace) -> tuple[Kind, ...]:
    return ("device",) if options.device is not None or options.router is not None else ("interface",)


def _check(options: argparse.Namespace) -> None:
    if options.interface is not None and options.device is not None:
        raise UsageError("an interface and --device exclude each other", "leave one of them out")
    if options.router is not None and options.interface is not None:
        raise UsageError("an interface and --router exclude each other", "--host NAME is the router itself")
    if options.router is not None and options.host is not None:
        raise UsageError("--router and --host exclude each other", "--router is its devices, --host the router itself")
    if options.top and (options.stats or options.by or options.since):
        raise UsageError("--top goes with no --by, --since and --stats", "leave them out")
    if options.format == "plot" and (options.top or options.stats):
        raise UsageError("--format plot goes with --by", "add --by day")
    if options.stats and options.by:
        raise UsageError("--stats and --by exclude each other", "leave one of them out")
    if options.format == "csv" and not (options.by or options.top or options.since):
        raise UsageError("--format csv goes with --by or --top", "add --by day")


def _scope(found: Ledger, options: argparse.Namespace) -> Scope:
    """Returns whose usage is wanted.

    Raises:
        UsageError: no such interface or device, or nothing was ever counted.
    """
    if options.device is not None:
        device = ledger.one([each for each in found.devices if each.kind == "device"], options.device, found.labels)
        label = device.label or device.name
        return Scope(found.infos[device.host], "device", [Group(device.name, label, [device.name])], [], found.now)
    if options.router is not None:
        (id,) = found.chosen.routers
        return Scope(found.infos[id], "device", [Group("total", "total", [])], [], found.now)
    if len(found.chosen.hosts) != 1:
        labels = ", ".join(found.infos[id].label for id in found.chosen.hosts)
        raise UsageError(f"there are {len(found.chosen.hosts)} hosts: {labels}", "choose one with --host")
    info = found.infos[found.chosen.hosts[0]]
    listed = [each for each in found.devices if each.kind == "interface"]
    names = [each.name for each in listed if each.recorded is not None]
    counted = adding((each.name, each.counted) for each in listed if each.name in names)
    if options.interface is None:
        groups = groups_of(names, counted)
        if not groups:
            raise UsageError(f"nothing was counted on {info.label} yet", "let `sysmon --record` run for some minutes")
        return Scope(info, "interface", groups, counted, found.now, whole=True)
    chosen = [name for name in names if fnmatchcase(name, options.interface)]
    if not chosen:
        hint = nearest(options.interface, names) or (f"known are {', '.join(names[:20])}" if names else "")
        raise UsageError(f"'{options.interface}' is no interface of {info.label} that was ever counted", hint)
    return Scope(info, "interface", [Group(name, name, [name]) for name in chosen], counted, found.now)


def _range(scope: Scope, ask: Ask, by: str) -> tuple[int, int]:
    if ask.given:
        return bounds(ask, scope.now, scope.info)
    return traffic.back(by, scope.now, zone_of(scope.info.timezone)), scope.now


def _one(scope: Scope) -> list[Group]:
    """Returns what is told step by step: the sum, or the one interface that is the sum."""
    if len(scope.groups) == 1 or scope.kind == "device" or not scope.whole:
        return scope.groups
    return sum_of(scope.groups, scope.counted)


def _steps(context: Context, scope: Scope, ask: Ask, options: argparse.Namespace) -> int:
    by = traffic.STEPS[options.by or "day"]
    start, end = _range(scope, ask, by)
    chosen = _one(scope)

    async def read(history: History) -> list[tuple[list[Step], list[Span]]]:
        return [
            await traffic.steps(history, scope.info, scope.kind, group.names, start, end, by, scope.now)
            for group in chosen
        ]

    told = context.read_history(read)
    gaps = sorted({gap for _, each in told for gap in each}, key=lambda gap: gap.start)
    zone = zone_of(scope.info.timezone)
    if options.format == "json":
        series = [
            trafficanswers.series_answer(group.name, group.label, group.names, made, scope.now)
            for group, (made, _) in zip(chosen, told, strict=True)
        ]
        write_json(trafficanswers.steps_answer(scope.info, scope.kind, options.by or "day", series, gaps))
    elif options.format == "csv":
        tables.write_csv(
            CSV,
            [
                row
                for group, (made, _) in zip(chosen, told, strict=True)
                for row in rows(scope.info.id, group.name, made)
            ],
        )
    elif options.format == "plot":
        print(plot([(group.label, made) for group, (made, _) in zip(chosen, told, strict=True)], scope.info.id, gaps))
    else:
        lines: list[str] = []
        for group, (made, _) in zip(chosen, told, strict=True):
            lines += [
                _title(scope, group),
                *_or_nothing(step_table(made, by, zone, scope.now, tables.width(), bits=_bits(options))),
                "",
            ]
        usagetables.print_lines([*lines, *gap_lines(gaps, zone, [step for made, _ in told for step in made[:1]])])
    return 0


def _or_nothing(lines: list[str]) -> list[str]:
    return lines or ["nothing was counted in this time"]


def _bits(options: argparse.Namespace) -> bool:
    return bool(options.rate == "bits")


def _title(scope: Scope, group: Group) -> str:
    what = f"{group.label} ({' + '.join(group.names)})" if group.name == "total" and group.names else group.label
    if scope.kind == "device" and not group.names:
        what = "all devices"
    return f"{tables.plain(what)} {'behind' if scope.kind == 'device' else 'on'} {tables.plain(scope.info.label)}"


def _top(context: Context, scope: Scope, options: argparse.Namespace) -> int:
    chosen = _one(scope)

    async def read(history: History) -> list[list[Step]]:
        return [await traffic.top(history, scope.info, scope.kind, group.names, scope.now) for group in chosen]

    told = context.read_history(read)
    if options.format == "json":
        series = [
            trafficanswers.SeriesAnswer(
                name=group.name,
                label=group.label,
                names=group.names,
                steps=[trafficanswers.step_answer(step) for step in made],
            )
            for group, made in zip(chosen, told, strict=True)
        ]
        write_json(trafficanswers.steps_answer(scope.info, scope.kind, "top", series, []))
    elif options.format == "csv":
        tables.write_csv(
            CSV,
            [row for group, made in zip(chosen, told, strict=True) for row in rows(scope.info.id, group.name, made)],
        )
    else:
        lines: list[str] = []
        zone = zone_of(scope.info.timezone)
        for group, made in zip(chosen, told, strict=True):
            table = step_table(made, "day", zone, 2**60, tables.width(), bits=_bits(options), title="busiest days")
            lines += [_title(scope, group), *_or_nothing(table), ""]
        usagetables.print_lines(lines)
    return 0


def _outline(context: Context, scope: Scope, found: Ledger, options: argparse.Namespace) -> int:
    async def read(history: History) -> tuple[list[Outline], list[Standing]]:
        told = await traffic.outline(
            history, scope.info, scope.kind, [group.names for group in scope.groups], scope.now
        )
        return told, await _caps(context, history, scope, found)

    told, caps = context.read_history(read)
    if options.format == "json":
        write_json(usagetables.outline_answer(scope, told, caps))
    else:
        usagetables.print_lines(usagetables.outline_lines(scope, told, caps, tables.width()), found.devices)
    return 0


def _stats(context: Context, scope: Scope, found: Ledger, ask: Ask, options: argparse.Namespace) -> int:
    start, end = bounds(ask if ask.given else Ask("month"), scope.now, scope.info)
    chosen = _one(scope)

    async def read(history: History) -> tuple[list[Figures | None], list[Standing]]:
        told = [
            await traffic.figures(history, scope.info, scope.kind, group.names, start, end, scope.now)
            for group in chosen
        ]
        return told, await _caps(context, history, scope, found)

    told, caps = context.read_history(read)
    if options.format == "json":
        write_json(
            {
                "host": scope.info.id,
                "host_name": scope.info.label,
                "kind": scope.kind,
                "series": [
                    {
                        "name": group.name,
                        "label": group.label,
                        "names": group.names,
                        "figures": msgspec.to_builtins(each),
                    }
                    for group, each in zip(chosen, told, strict=True)
                ],
                "caps": [usagetables.cap_answer(each) for each in caps],
            }
        )
        return 0
    lines: list[str] = []
    zone = zone_of(scope.info.timezone)
    for group, each in zip(chosen, told, strict=True):
        lines += [_title(scope, group), *usagetables.figure_lines(each, zone, tables.width(), bits=_bits(options)), ""]
    usagetables.print_lines([*lines, *usagetables.cap_lines(caps, scope)])
    return 0


async def _caps(context: Context, history: History, scope: Scope, found: Ledger) -> list[Standing]:
    """Returns how the caps stand that have to do with what is told."""
    made = []
    named = {name for group in scope.groups for name in group.names}
    known = await history.devices(scope.info.id) if scope.kind == "device" else ()
    for cap in context.config.caps.values():
        if scope.kind == "device":
            meant = devices_meant(cap, known) if cap.device else []
            wanted = bool(meant) and (not named or not named.isdisjoint(meant))
        else:
            wanted = scope.whole or concerns(cap, named, scope.counted)
        if wanted and applies(cap, scope.info, found.present.own):
            told = await standing(cap, history, scope.info.id, scope.now, zone_of(scope.info.timezone), scope.counted)
            if told is not None:
                made.append(told)
    return made
