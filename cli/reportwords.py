"""The sentences and tables of a report, before they are Markdown or HTML: plain text, none of it escaped."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Final, NamedTuple

from cli.devicetables import LAYERS, MARKS, apart_words, number
from cli.steptable import rate
from sysmon.units import format_bytes, format_duration, format_time, format_value
from sysmon.zones import zone_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import tzinfo

    from cli.reportdata import HostPart, Period, Report, RouterPart
    from sysmon.traffic import Step


SILENT: Final = 20
"""Hosts that are named of which nothing was counted, at most."""


class Grid(NamedTuple):
    """A table: heads, rows, and which columns are text."""

    heads: list[str]
    rows: list[list[str]]
    texts: frozenset[int]


def span(period: Period, zone: tzinfo, now: int) -> str:
    """Returns from when to when a period goes, and whether it is over."""
    first = format_time(period.start, zone)[:16]
    if period.end > now:
        return f"{first} to {format_time(now, zone)[:16]}, not over yet"
    return f"{first} to {format_time(period.end, zone)[:16]}"


def interfaces(part: HostPart) -> Grid:
    """Returns the table of a host's interfaces."""
    rows = [
        [
            each.name + ("" if each.counted else " *"),
            number(each.amount, "receive"),
            number(each.amount, "transmit"),
            number(each.amount),
            format_value(each.share, "ratio"),
        ]
        for each in part.parts
    ]
    total = part.total if any(each.counted for each in part.parts) else None
    rows.append(["total", *(number(total, what) for what in ("receive", "transmit", "total")), ""])
    return Grid(["interface", "received", "sent", "total", "share"], rows, frozenset({0}))


def facts(part: HostPart) -> list[str]:
    """Returns what else is to be said of a host, a sentence each."""
    zone = zone_of(part.info.timezone)
    made = []
    if part.busiest_day is not None:
        made.append(f"Busiest day: {day(part.busiest_day, zone)}, {number(part.busiest_day.amount)}.")
    if part.busiest_hour is not None:
        began = format_time(part.busiest_hour.start, zone)[:16]
        made.append(f"Busiest hour: {began}, {number(part.busiest_hour.amount)} ({rate(part.busiest_hour.rate)}).")
    if part.figures is not None:
        figures = part.figures
        made.append(
            f"95th percentile of five minutes: {rate(figures.receive.p95)} received, {rate(figures.transmit.p95)} sent;"
            f" mean {rate(figures.total.mean)} both ways ({format_value(figures.seen, 'ratio')} of the time is known)."
        )
    for each in part.caps:
        until = format_time(each.end, zone)[:10]
        will = "" if each.expected is None else f"; {format_bytes(each.expected)} expected by {until}"
        used = f"{each.amount.mark}{format_bytes(each.used)} of {format_bytes(each.cap.limit)}"
        made.append(f"Cap {each.cap.name}: {used} ({format_value(each.utilization, 'ratio')}){will}.")
    if part.began is not None:
        made.append(f"Nothing is known of the time before {format_time(part.began, zone)[:16]}.")
    if part.outages:
        named = ", ".join(
            f"{format_time(gap.start, zone)[:16]} for {format_duration((gap.end - gap.start) / 1000)}"
            for gap in part.outages
        )
        made.append(f"Without data: {format_duration(part.missing / 1000)} in all, the longest {named}.")
    return made


def devices(part: RouterPart) -> Grid:
    """Returns the table of the devices behind a router."""
    rows = [
        [
            each.label or each.name,
            each.addresses[0] if each.addresses else "",
            each.category,
            number(each.range, "receive"),
            number(each.range, "transmit"),
            number(each.range),
            format_value(each.share, "ratio"),
        ]
        for each in part.top
    ]
    count, rest = part.rest
    if count:
        rows.append([f"{count} others", "", "", *(number(rest, what) for what in ("receive", "transmit", "total")), ""])
    rows.append(["total", "", "", *(number(part.total, what) for what in ("receive", "transmit", "total")), ""])
    return Grid(["device", "address", "category", "received", "sent", "total", "share"], rows, frozenset({0, 1, 2}))


def behind(part: RouterPart) -> list[str]:
    """Returns what else is to be said of the devices behind a router, a sentence each."""
    zone = zone_of(part.info.timezone)
    sources = sorted({(each.source, each.layer) for each in part.top if each.source})
    since = "" if part.since is None else f", the first since {format_time(part.since, zone)[:16]}"
    made = [f"{part.known} devices are known{since}."]
    for source, layer in sources:
        made.append(f"Counted by {source}{f': {LAYERS[layer]}' if layer in LAYERS else ''}.")
    if part.reset is not None:
        made.append(
            f"Counted anew since {format_time(part.reset, zone)[:16]}; the numbers here are of the whole period."
        )
    return made


def newcomers(part: RouterPart) -> list[str]:
    """Returns a line for each new device."""
    zone = zone_of(part.info.timezone)
    made = []
    for each in part.new:
        known = ", ".join(filter(None, [each.mac or each.name, each.vendor]))
        since = format_time(each.first or 0, zone)[:16]
        made.append(f"{since}: {each.label or each.name} ({known})" if known else f"{since}: {each.label or each.name}")
    if part.new_count > len(part.new):
        made.append(f"and {part.new_count - len(part.new)} more")
    return made


def events(report: Report) -> list[str]:
    """Returns a line for each event."""
    made = []
    for event, host in report.events:
        words = [event.severity, host, f"{event.rule}: {event.message}" if event.rule else event.message or event.kind]
        made.append(f"{format_time(event.time)[:16]}  {'  '.join(filter(None, words))}")
    total = sum(report.counts.values())
    if total > len(made):
        made.append(f"and {total - len(made)} more")
    return made


def counts(report: Report) -> str:
    """Returns how many events there were."""
    return ", ".join(f"{count} {name}" for name, count in report.counts.items())


def day(step: Step, zone: tzinfo) -> str:
    """Returns the date of a day."""
    return datetime.fromtimestamp(step.start / 1000, zone).strftime("%Y-%m-%d %a")


def silent(report: Report) -> str:
    """Returns of whom nothing was counted in the time, or ''."""
    if not report.silent:
        return ""
    more = f" and {len(report.silent) - SILENT} more" if len(report.silent) > SILENT else ""
    return f"Nothing was counted in this time: {', '.join(report.silent[:SILENT])}{more}."


def marks(texts: Sequence[str], report: Report) -> str:
    """Returns what the marks that occur mean, or ''."""
    text = "\n".join(texts)
    told = [meaning for mark, meaning in MARKS.items() if mark in text]
    reasons = sorted({each.why for host in report.hosts for each in host.parts if each.why})
    return "; ".join([*told, *([apart_words(reasons)] if reasons else [])])
