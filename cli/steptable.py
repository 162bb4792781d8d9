"""Usage step by step: as a table with bars, a plot, CSV."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Final

from cli import tables
from cli.devicetables import number
from cli.tables import Column
from sysmon import traffic
from sysmon.records import Point, Series, SeriesAnswer
from sysmon.units import MISSING, format_bits, format_bytes, format_duration, format_time, rfc3339
from sysmon.zones import span_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import tzinfo

    from sysmon.records import Span
    from sysmon.traffic import Step

BAR: Final = 30
"""Cells of the longest bar at most."""
_FORMS: Final = {
    "fiveminute": "%Y-%m-%d %H:%M",
    "hour": "%Y-%m-%d %H:%M",
    "day": "%Y-%m-%d %a",
    "month": "%Y-%m",
    "year": "%Y",
}
SHORT: Final = 60_000
"""Milliseconds without data that are not worth a word."""
GAPS: Final = 5
"""Gaps that are named at most."""


def when(step: Step, by: str, zone: tzinfo) -> str:
    """Returns the time of a step, as exact as it is; of one that is known only as a longer one both ends."""
    text = datetime.fromtimestamp(step.start / 1000, zone).strftime(_FORMS[by])
    if step.end > span_of(step.start, by, zone)[1]:
        # Of days, months and years the last is named, of what is finer the moment.
        end = step.end - 1 if by in ("day", "month", "year") else step.end
        text += f" to {datetime.fromtimestamp(end / 1000, zone).strftime(_FORMS[by])}"
    return text


def rate(bytes_per_second: float | None, *, bits: bool = True) -> str:
    """Returns a rate for people, in bits as vnStat shows it, or in bytes."""
    if bytes_per_second is None:
        return MISSING
    return format_bits(bytes_per_second, per_second=True) if bits else format_bytes(bytes_per_second, per_second=True)


def step_table(
    made: Sequence[Step], by: str, zone: tzinfo, now: int, room: int | None, *, bits: bool = True, title: str = ""
) -> list[str]:
    """Returns the lines of a table of steps, the last with what it will come to."""
    if not made:
        return []
    rows = list(made)
    names = [when(step, by, zone) for step in rows]
    will = traffic.expected(rows[-1], now)
    if will is not None:
        last = rows[-1]
        rows.append(last._replace(amount=will, elapsed=last.end - last.start))
        names.append("expected")
    most = max((step.amount.total for step in made if step.amount is not None), default=0)
    columns = [
        Column(title or by.replace("fiveminute", "5 minutes"), names, left=True),
        *(
            Column(head, ["no data" if step.amount is None else number(step.amount, what) for step in rows], drop)
            for head, what, drop in (("received", "receive", 2), ("sent", "transmit", 2), ("total", "total", 0))
        ),
        Column("mean rate", [rate(step.rate, bits=bits) for step in rows], 3),
    ]
    if will is not None:
        columns[1:4] = [
            column._replace(cells=[*column.cells[:-1], column.cells[-1].lstrip("~")]) for column in columns[1:4]
        ]
    used = sum(each.width + 2 for each in columns)
    length = BAR if room is None else min(BAR, room - used)
    if length >= 5 and most:
        columns.append(
            Column(
                "",
                [bar(step, most, length) for step in rows[: len(made)]] + [""] * (len(rows) - len(made)),
                1,
                left=True,
            )
        )
    return tables.lines(columns, room)


def bar(step: Step, most: int, length: int) -> str:
    """Returns a bar: received solid, sent lighter, together as long as the step is large."""
    if step.amount is None or not most:
        return ""
    whole = round(length * step.amount.total / most)
    received = round(whole * step.amount.receive / step.amount.total) if step.amount.total else 0
    return "█" * received + "▒" * (whole - received)


def gap_lines(gaps: Sequence[Span], zone: tzinfo, made: Sequence[Step]) -> list[str]:
    """Returns a line that names times without data, of those since the first step."""
    first = made[0].start if made else 0
    since = [(max(gap.start, first), gap.end) for gap in gaps if made]
    told = [(start, end) for start, end in since if end - start >= SHORT]
    if not told:
        return []
    named = [
        f"{format_time(start, zone)[:16]} for {format_duration((end - start) / 1000)}" for start, end in told[:GAPS]
    ]
    more = f", and {len(told) - GAPS} more" if len(told) > GAPS else ""
    return [f"no data: {', '.join(named)}{more}"]


def plot(named: Sequence[tuple[str, Sequence[Step]]], host: str, gaps: Sequence[Span]) -> str:
    """Draws steps as a chart: received and sent of each."""
    from cli.plot import plot as draw

    found = []
    for name, made in named:
        for way in ("receive", "transmit"):
            points = [
                Point(step.start, 1, value, value, value, value)
                for step in made
                if step.amount is not None and (value := float(getattr(step.amount, way))) >= 0
            ]
            step = max((each.end - each.start for each in made), default=1)
            found.append(Series(host=host, metric=way, instance=name, unit="bytes", step=step, points=points))
    blank = [*gaps, *(_span(step) for _, made in named for step in made if step.amount is None)]
    return draw(SeriesAnswer(series=found, gaps=sorted(set(blank), key=lambda gap: gap.start)))


def _span(step: Step) -> Span:
    from sysmon.records import Span

    return Span(step.start, step.end)


CSV: Final = ("host", "name", "start", "end", "receive", "transmit", "total", "at_least", "estimated", "rate")
"""Columns of CSV: bytes, bytes per second, times RFC 3339."""


def rows(host: str, name: str, made: Sequence[Step]) -> list[list[object]]:
    """Returns the rows of CSV of some steps."""
    return [
        [
            host,
            name,
            rfc3339(step.start),
            rfc3339(step.end),
            *(None if step.amount is None else getattr(step.amount, what) for what in ("receive", "transmit", "total")),
            step.amount is not None and step.amount.at_least,
            step.amount is not None and step.amount.estimated,
            None if step.rate is None else round(step.rate, 1),
        ]
        for step in made
    ]
