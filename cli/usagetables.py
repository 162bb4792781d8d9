"""The tables of `sysmon usage`: the usual periods, how fast it was, caps."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

from cli import tables
from cli.devicetables import legend, number
from cli.steptable import rate
from cli.tables import Column, plain
from sysmon import traffic, trafficanswers
from sysmon.answers import milliseconds
from sysmon.units import format_bytes, format_time, format_value, plain_duration, rfc3339
from sysmon.zones import zone_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import tzinfo

    from cli.usage import Scope
    from sysmon.caps import Standing
    from sysmon.devices import Device
    from sysmon.traffic import Figures, Outline, Step


def print_lines(lines: list[str], devices: Sequence[Device] = ()) -> None:
    """Prints lines, and what their marks mean. `devices`: what they tell of."""
    while lines and not lines[-1]:
        lines.pop()
    told = legend(lines, devices)
    print("\n".join([*lines, *([""] if told else []), *told]))


def outline_lines(scope: Scope, told: Sequence[Outline], caps: Sequence[Standing], room: int | None) -> list[str]:
    """Returns the lines of today, yesterday, this month and the last, of each interface or device."""
    zone = zone_of(scope.info.timezone)
    firsts: list[str] = []
    periods: list[str] = []
    steps: list[Step] = []
    will: list[str] = []
    for group, outline in zip(scope.groups, told, strict=True):
        if scope.whole and all(step.amount is None for step in outline):
            continue
        for name, step in _named(outline, zone):
            if (
                step.amount is None
                and len(scope.groups) > 1
                and name.startswith(("yesterday", "20"))
                and step.end <= scope.now
            ):
                continue
            mark = (
                "*" if scope.kind == "interface" and group.name != "total" and group.name not in scope.counted else ""
            )
            firsts.append(plain(group.label) + mark if not firsts or _last(firsts) != plain(group.label) + mark else "")
            periods.append(name)
            steps.append(step)
            expected = traffic.expected(step, scope.now)
            will.append("" if expected is None else format_bytes(expected.total))
    columns = [
        Column("device" if scope.kind == "device" else "interface", firsts, left=True),
        Column("", periods, left=True),
        *(
            Column(title, [number(step.amount, what) for step in steps], drop)
            for title, what, drop in (("received", "receive", 2), ("sent", "transmit", 2), ("total", "total", 0))
        ),
        Column("expected", will, 1),
        Column("mean rate", [rate(step.rate) for step in steps], 3),
    ]
    names = " + ".join(scope.counted) if scope.kind == "interface" else "that of all devices"
    title = f"{plain(scope.info.label)}, days of {scope.info.timezone or 'UTC'}"
    if any(group.name == "total" for group in scope.groups):
        title += f"; total is {names}"
    return [title, *tables.lines(columns, room), *([""] if caps else []), *cap_lines(caps, scope)]


def _last(firsts: Sequence[str]) -> str:
    return next((each for each in reversed(firsts) if each), "")


def _named(outline: Outline, zone: tzinfo) -> list[tuple[str, Step]]:
    def month(step: Step) -> str:
        return datetime.fromtimestamp(step.start / 1000, zone).strftime("%Y-%m")

    return [
        ("today", outline.today),
        ("yesterday", outline.yesterday),
        (month(outline.month), outline.month),
        (month(outline.last_month), outline.last_month),
    ]


def outline_answer(scope: Scope, told: Sequence[Outline], caps: Sequence[Standing]) -> dict[str, Any]:
    """Returns the same for JSON."""
    made = trafficanswers.outline_answer(scope.info, scope.kind, scope.groups, scope.counted, told, scope.now)
    return {**made, "caps": [cap_answer(each) for each in caps]}


def figure_lines(figures: Figures | None, zone: tzinfo, room: int | None, *, bits: bool = True) -> list[str]:
    """Returns the lines of how fast it was."""
    if figures is None:
        return ["how fast it was is not known: that takes five minutes' values, which were not recorded in this time"]
    names = ("receive", "transmit", "total")
    ways = [figures.receive, figures.transmit, figures.total]
    columns = [
        Column("", list(names), left=True),
        *(
            Column(title, [rate(getattr(way, what), bits=bits) for way in ways])
            for title, what in (("least", "min"), ("mean", "mean"), ("most", "max"), ("95th percentile", "p95"))
        ),
    ]
    seen = format_value(figures.seen, "ratio")
    start, end = (format_time(milliseconds(each), zone)[:16] for each in (figures.start, figures.end))
    return [
        *tables.lines(columns, room),
        f"{start} to {end}, means of five minutes; {seen} of it is known",
    ]


def cap_lines(caps: Sequence[Standing], scope: Scope) -> list[str]:
    """Returns a line per cap."""
    made = []
    for each in caps:
        cap = each.cap
        counts = {"both": "", "receive": " received", "transmit": " sent", "larger": " of the larger way"}[cap.count]
        left = plain_duration(max(0, each.end - scope.now) / 1000)
        will = "" if each.expected is None else f", {format_bytes(each.expected)} expected"
        made.append(
            f"cap {plain(cap.name)}: {each.amount.mark}{format_bytes(each.used)} of {format_bytes(cap.limit)}{counts}"
            f" ({format_value(each.utilization, 'ratio')}), {left} left{will}"
        )
    return made


def cap_answer(each: Standing) -> dict[str, Any]:
    """Returns a cap for JSON."""
    return {
        "name": each.cap.name,
        "limit": each.cap.limit,
        "count": each.cap.count,
        "used": each.used,
        "expected": each.expected,
        "at_least": each.amount.at_least,
        "estimated": each.amount.estimated,
        "start": rfc3339(each.start),
        "end": rfc3339(each.end),
    }
