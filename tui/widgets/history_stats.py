"""The lines under a chart: each series with its mark, the value now or at the cursor, and statistics of the range."""

from __future__ import annotations

from bisect import bisect_right
from typing import TYPE_CHECKING

from sysmon.units import MISSING, format_duration, format_time, format_value
from tui.renderables.chart import line_hues, line_mark
from tui.renderables.text import Spans, fit, strip

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import tzinfo

    from textual.strip import Strip

    from sysmon.records import Point, Series
    from tui.historyreader import ChartData, Line
    from tui.theme import Look

_CELL = 12
_COLUMNS = ("min", "mean", "max", "p95", "last")
_DROPPED = ("last", "min", "p95", "max")
"""What goes first where room is short."""


def value_at(series: Series, time: int) -> Point | None:
    """The point whose step holds a moment, None in a gap."""
    at = bisect_right(series.points, time, key=lambda point: point.time) - 1
    if at < 0:
        return None
    point = series.points[at]
    usual = min(
        (later.time - earlier.time for earlier, later in zip(series.points, series.points[1:], strict=False)), default=0
    )
    return point if time < point.time + max(series.step, usual) else None


def stats_lines(
    data: ChartData,
    width: int,
    rows: int,
    *,
    look: Look,
    now: Callable[[Line], float | None],
    cursor: int | None = None,
    zone: tzinfo | None = None,
) -> list[Strip]:
    """Draw a table of the series.

    Args:
        data: what is drawn.
        width: cells.
        rows: lines there are, the heading included; with one line there is no heading.
        look: palette and glyphs.
        now: the present value of a line.
        cursor: a moment whose values stand in for the present ones, Unix milliseconds.
        zone: of the cursor's time.
    """
    palette = look.palette
    if rows <= 0 or not data.lines:
        return []
    names = list(_COLUMNS)
    label_room = min(30, max(len(line.label) for line in data.lines) + 1)
    for name in _DROPPED:
        if width - _CELL * (len(names) + 1) - 2 >= min(label_room, 16):
            break
        names.remove(name)
    room = max(4, width - _CELL * (len(names) + 1) - 2)
    ascii_missing = look.glyphs.missing
    heading = rows > len(data.lines) or rows >= 3
    strips: list[Strip] = []
    if heading:
        first = format_time(cursor, zone, date=False) if cursor is not None else "now"
        if data.end - data.start > 86_400_000 and cursor is not None:
            first = format_time(cursor, zone)[5:16]
        cells: Spans = [
            (" " * (2 + room), palette.text),
            (first.rjust(_CELL), palette.hotkey if cursor is not None else palette.dim),
        ]
        cells += [(name.rjust(_CELL), palette.dim) for name in names]
        strips.append(strip(cells, width, palette.text))
    shown = data.lines[: rows - heading]
    hidden = len(data.lines) - len(shown) + data.more
    if hidden and len(shown) > 1:
        shown, hidden = shown[:-1], hidden + 1
    hues = line_hues([line.series.metric for line in data.lines], palette)
    for number, line in enumerate(shown):
        value = now(line)
        if cursor is not None:
            point = value_at(line.series, cursor)
            value = point.mean if point is not None else None
        stats = line.series.stats
        cells = [
            (line_mark(number, len(data.lines), look) + " ", hues[number].base),
            (fit(line.label, room, cut="middle", ellipsis=look.glyphs.ellipsis), palette.text),
            (format_value(value, line.series.unit).replace(MISSING, ascii_missing).rjust(_CELL), palette.strong),
        ]
        for name in names:
            number_of = None if stats is None else getattr(stats, name)
            text = format_value(number_of, line.series.unit).replace(MISSING, ascii_missing)
            cells.append((text.rjust(_CELL), palette.text))
        strips.append(strip(cells, width, palette.text))
    if hidden and len(strips) < rows:
        strips.append(strip([(f"  and {hidden} more", palette.faint)], width, palette.text))
    return strips


def coverage_text(data: ChartData, zone: tzinfo | None = None) -> str:
    """How much of the range has data, and where the longest gaps are."""
    gaps = sorted(
        ((max(gap.start, data.start), min(gap.end, data.end)) for gap in data.gaps),
        key=lambda gap: gap[0] - gap[1],
    )
    gaps = [gap for gap in gaps if gap[1] > gap[0]]
    if not gaps:
        return "no gaps"
    share = data.coverage * 100
    percent = "<1" if 0 < share < 1 else ">99" if 99 < share < 100 else f"{share:.0f}"
    long = data.end - data.start > 86_400_000
    words = [
        f"{format_duration((end - start) / 1000)} from {format_time(start, zone)[5 if long else 11 : 16]}"
        for start, end in gaps[:2]
    ]
    more = f" and {len(gaps) - 2} more" if len(gaps) > 2 else ""
    return f"{percent} % of the range, gaps: {', '.join(words)}{more}"
