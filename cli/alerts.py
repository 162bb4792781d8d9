"""`sysmon alerts`: what fires now, and what did."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cli.context import Context, pick_host, time_range
from cli.output import write_json
from sysmon.configschema import plain_value
from sysmon.units import format_duration, format_time, rfc3339

if TYPE_CHECKING:
    import argparse

    from sysmon.ports import History
    from sysmon.records import AlertState, Event, HostInfo

HELP = "list the alerts that fire now, or those of the past"
EXAMPLE = """sysmon alerts list
sysmon alerts history --since 7d --json"""


def arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the command's arguments."""
    parser.add_argument("verb", choices=("list", "history", "rules"), help="what to print")
    parser.add_argument("--host", metavar="NAME", help="one host of the history (default: all)")
    parser.add_argument("--since", metavar="TIME", help="history: the start (default: 24h)")
    parser.add_argument("--until", metavar="TIME", help="history: the end (default: now)")
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(options: argparse.Namespace) -> int:
    """Runs the command; `list` ends with status 1 when something critical fires."""
    context = Context.of_environment()
    if options.verb == "rules":
        return _rules(context, as_json=options.json)
    if options.verb == "history":
        return _history(context, options)

    async def ask(history: History) -> tuple[list[HostInfo], list[AlertState]]:
        hosts = await history.hosts()
        chosen = pick_host(hosts, options.host).id if options.host else None
        return hosts, await history.alerts(chosen)

    hosts, alerts = context.read_history(ask)
    names = {host.id: host.label for host in hosts}
    if options.json:
        write_json(
            [
                {
                    "host": alert.host,
                    "name": names.get(alert.host, alert.host),
                    "rule": alert.rule,
                    "series": alert.key,
                    "status": alert.status,
                    "severity": alert.severity,
                    "since": rfc3339(alert.since),
                    "started": rfc3339(alert.started),
                    "value": alert.value,
                    "threshold": alert.threshold,
                    "message": alert.message,
                }
                for alert in alerts
            ]
        )
    elif not alerts:
        print("no alerts")
    else:
        now = context.clock.now()
        for alert in alerts:
            age = format_duration(max(0, now - alert.since) / 1000)
            place = f"{names.get(alert.host, alert.host)}  " if len(hosts) > 1 else ""
            print(f"{alert.severity:<8}  {alert.status:<12}  {age:>8}  {place}{alert.rule}: {alert.message}")
    critical = any(alert.severity == "critical" and alert.status == "firing" for alert in alerts)
    return 1 if critical else 0


def _history(context: Context, options: argparse.Namespace) -> int:
    start, end = time_range(options.since, options.until, context.clock.now(), back=86400.0)

    async def ask(history: History) -> tuple[list[HostInfo], list[Event]]:
        hosts = await history.hosts()
        chosen = pick_host(hosts, options.host).id if options.host else None
        return hosts, await history.events(chosen, start, end)

    hosts, events = context.read_history(ask)
    names = {host.id: host.label for host in hosts}
    if options.json:
        import msgspec

        write_json([{**msgspec.to_builtins(event), "time": rfc3339(event.time)} for event in events])
    elif not events:
        print(f"nothing happened from {format_time(start)} to {format_time(end)}")
    else:
        for event in reversed(events):
            place = f"{names.get(event.host, event.host)}  " if len(hosts) > 1 else ""
            rule = f"{event.rule}: " if event.rule else ""
            print(f"{format_time(event.time)}  {event.severity:<8}  {event.kind:<16}  {place}{rule}{event.message}")
            for line in event.evidence:
                print(f"{'':<19}  {'':<8}  {line}")
    return 0


def _rules(context: Context, *, as_json: bool) -> int:
    import msgspec

    rules = context.config.rules
    if as_json:
        write_json([msgspec.to_builtins(rule) for rule in rules])
        return 0
    for rule in rules:
        word, level = ("above", rule.above) if rule.above is not None else ("below", rule.below)
        state = rule.severity if rule.enabled else "off"
        where = f"{rule.metric}:{rule.instance}" if rule.instance != "*" else rule.metric
        metric = context.catalogue.get(rule.metric)
        shown = "" if level is None else plain_value(level, metric.unit if metric else "")
        lasting = f" for {format_duration(rule.hold)}" if rule.hold else ""
        print(f"{rule.name:<20}  {state:<8}  {where} {word} {shown}{lasting}")
    return 0
