"""A report as Markdown: names of hosts and devices are text, whatever they hold."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from cli import reportwords as words
from cli.devicetables import number
from cli.steptable import bar
from cli.tables import plain
from sysmon.units import format_time
from sysmon.zones import zone_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import tzinfo

    from cli.reportdata import Report
    from cli.reportwords import Grid
    from sysmon.traffic import Step

BAR = 30
_SPECIAL = re.compile(r"([\\`*_{}\[\]<>()#+!|~&$^=@])")
_SCHEME = re.compile(r"(?i)\b(https?|ftp|mailto|www)(?=[:.])")
_BEGIN = re.compile(r"^(\d*)([-+.])(?=\s|[-\s]*$)")
"""What would begin a list or a line across."""


def escaped(text: str) -> str:
    """Returns a text that Markdown shows as it is: no markup, no HTML, no link, one line."""
    made = _SPECIAL.sub(r"\\\1", plain(text))
    # Written-out addresses become links by themselves where nothing comes between.
    made = _SCHEME.sub(r"\1\\", made)
    return _BEGIN.sub(r"\1\\\2", made)


def markdown(report: Report) -> str:
    """Returns a report as Markdown."""
    lines = [f"# Traffic: {escaped(report.label)}", ""]
    shown: list[str] = []
    for host in report.hosts:
        zone = zone_of(host.info.timezone)
        lines += [f"## {escaped(host.info.label)}", "", escaped(words.span(host.period, zone, report.now)), ""]
        grid = words.interfaces(host)
        shown += [cell for row in grid.rows for cell in row]
        lines += [*_table(grid), ""]
        lines += [*(f"- {escaped(each)}" for each in words.facts(host)), ""]
        lines += _days(host.days, zone)
    for router in report.routers:
        zone = zone_of(router.info.timezone)
        lines += [
            f"## Devices behind {escaped(router.info.label)}",
            "",
            escaped(words.span(router.period, zone, report.now)),
            "",
        ]
        grid = words.devices(router)
        shown += [cell for row in grid.rows for cell in row[3:]]
        lines += [*_table(grid), ""]
        lines += [*(f"- {escaped(each)}" for each in words.behind(router)), ""]
        lines += _days(router.days, zone)
        if router.new:
            lines += ["### New devices", "", *(f"- {escaped(each)}" for each in words.newcomers(router)), ""]
    if told := words.silent(report):
        lines += [escaped(told), ""]
    if report.events:
        lines += [f"## Events: {escaped(words.counts(report))}", ""]
        lines += [*(f"- {escaped(each)}" for each in words.events(report)), ""]
    told = words.marks(shown, report)
    lines += ["---", ""]
    lines += [escaped(told), ""] if told else []
    lines += [f"Written by sysmon on {format_time(report.now)[:16]}."]
    return "\n".join(lines) + "\n"


def _table(grid: Grid) -> list[str]:
    made = [f"| {' | '.join(map(escaped, grid.heads))} |"]
    made.append(
        "|" + "|".join(" --- " if number in grid.texts else " ---: " for number in range(len(grid.heads))) + "|"
    )
    made += [f"| {' | '.join(map(escaped, row))} |" for row in grid.rows]
    return made


def _days(days: Sequence[Step], zone: tzinfo) -> list[str]:
    if len(days) < 2:
        return []
    most = max((step.amount.total for step in days if step.amount is not None), default=0)
    made = ["| day | received | sent | total | |", "| --- | ---: | ---: | ---: | --- |"]
    for step in days:
        cells = [number(step.amount, what) if step.amount else "no data" for what in ("receive", "transmit", "total")]
        made.append(f"| {words.day(step, zone)} | {' | '.join(map(escaped, cells))} | {bar(step, most, BAR)} |")
    return [*made, ""]
