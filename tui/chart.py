"""A chart as text, for `sysmon history --format plot`: drawn by plotext, or by our own dots where it is missing.

plotext takes a sixth of a second and 17 MB to load, keeps one figure for the whole process, and its kernel aborts the
process on a NaN; so it is loaded only here, when a chart is asked for, and is given nothing but shares of 0 to 1. The
History screen draws its charts itself (tui.renderables.chart).
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, Final

from sysmon.units import format_value
from tui.chartaxes import bounds_of, time_ticks, value_ticks
from tui.chartdots import MARKS, Canvas, Columns, columns_of
from tui.renderables.scale import share

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import tzinfo

    from sysmon.records import Event, Series, SeriesAnswer

    Ticks = list[tuple[float, str]]

COLORS: Final = (6, 3, 5, 2, 4, 1, 14, 11, 13, 10, 12, 9)
"""Colours of the series, of the terminal's own sixteen."""

MOST_SERIES: Final = 12
_NOTE: Final = "plotext is not installed: drawn by sysmon itself"
_LEAST: Final = (24, 6)


def draw(
    answer: SeriesAnswer,
    labels: list[str],
    width: int,
    height: int,
    *,
    color: bool,
    ascii: bool | None = None,
    events: Sequence[Event] = (),
    zone: tzinfo | None = None,
) -> str:
    """Draws all series of an answer into one chart.

    Args:
        answer: series of one unit; of more than twelve the first are drawn and the rest counted.
        labels: one per series.
        width, height: the size of the text in cells; it is kept exactly, and a least size of 24 by 6 taken.
        color: whether to colour by ANSI sequences.
        ascii: whether to use ASCII alone; None asks what stdout can encode.
        events: marked by vertical lines.
        zone: of the times; None is the machine's own.

    Returns:
        `height` lines of `width` cells, joined by line ends.
    """
    width, height = max(width, _LEAST[0]), max(height, _LEAST[1])
    ascii = not _encodes_braille() if ascii is None else ascii
    shown = answer.series[:MOST_SERIES]
    times = [point.time for series in shown for point in series.points]
    if not times:
        return _framed(["no data in this range"], width, height, ascii)
    step = max(series.step for series in shown)
    edges = [edge for gap in answer.gaps for edge in (gap.start, gap.end)]
    start, end = min([*times, *edges]), max([*(time + step for time in times), *edges])
    unit = shown[0].unit
    low, high = bounds_of(
        unit, (value for series in shown for point in series.points for value in (point.min, point.max))
    )
    head = _legend(answer, labels, width, height, color=color, ascii=ascii)
    room = height - len(head)
    note: list[str] = []
    body: list[str] | None = None
    ticks = value_ticks(low, high, room - 3, unit, short=width < 60)
    moments = [
        (share(time, start, end), text) for time, text in time_ticks(start, end, width - _gutter(ticks) - 2, zone)
    ]
    marks = [share(event.time, start, end) for event in events if start <= event.time <= end]
    grids = [columns_of(series, start, end, 2 * (width - _gutter(ticks) - 2), answer.gaps) for series in shown]
    if not ascii:
        try:
            body = _by_plotext(grids, (low, high), (width, room), ticks, moments, marks, color=color)
        except (ImportError, OSError):
            # Not installed, or its library cannot be loaded here (musl).
            note, room = [_NOTE], room - 1
    if body is None:
        across = 1 if ascii else 2
        grids = [columns_of(each, start, end, across * (width - _gutter(ticks) - 1), answer.gaps) for each in shown]
        body = _by_dots(grids, (low, high), (width, room), ticks, moments, marks, color=color, ascii=ascii)
    return _framed([*head, *body, *note], width, height, ascii)


def _encodes_braille() -> bool:
    try:
        "⣿".encode(getattr(sys.stdout, "encoding", None) or "ascii")
    except (UnicodeEncodeError, LookupError):
        return False
    return True


def _gutter(ticks: Ticks) -> int:
    return max((len(text) for _, text in ticks), default=0)


def _framed(lines: list[str], width: int, height: int, ascii: bool) -> str:
    """Cuts and fills to the size; what has colours is exact already."""
    fixed = [line if "\x1b" in line else line[:width].ljust(width) for line in lines[:height]]
    fixed += [" " * width] * (height - len(fixed))
    text = "\n".join(fixed)
    return text.encode("ascii", "replace").decode() if ascii else text


def _colored(text: str, number: int, color: bool) -> str:
    code = COLORS[number % len(COLORS)]
    return f"\x1b[{30 + code if code < 8 else 82 + code}m{text}\x1b[0m" if color else text


def _legend(answer: SeriesAnswer, labels: list[str], width: int, height: int, *, color: bool, ascii: bool) -> list[str]:
    """Lines that name the series with what is known of the whole range; at most a third of the height."""
    shown = answer.series[:MOST_SERIES]
    names = [_printable(label) for label in labels] + [""] * len(shown)
    room = max(1, height // 3)
    lines: list[str] = []
    for number, series in enumerate(shown):
        if len(lines) == room - 1 and len(answer.series) > room:
            rest = len(answer.series) - number
            return [*lines, f"and {rest} more"[:width].ljust(width)]
        mark = MARKS[number % len(MARKS)] if ascii else "━"
        numbers = _numbers(series)
        name = names[number][: max(8, width - 2 - len(numbers) - 2)]
        tail = f"{name}{'':{max(2, width - 2 - len(name) - len(numbers))}}{numbers}"[: width - 2].ljust(width - 2)
        lines.append(f"{_colored(mark, number, color)} {tail}")
    if len(answer.series) > len(shown):
        lines[-1] = f"and {len(answer.series) - len(shown) + 1} more"[:width].ljust(width)
    return lines


def _printable(text: str) -> str:
    return "".join(char if char.isprintable() else "?" for char in text)


def _numbers(series: Series) -> str:
    stats = series.stats
    if stats is None:
        return ""
    named = (("min", stats.min), ("mean", stats.mean), ("max", stats.max), ("p95", stats.p95), ("last", stats.last))
    return "  ".join(f"{name} {format_value(value, series.unit)}" for name, value in named)


def _by_plotext(
    grids: list[Columns],
    bounds: tuple[float, float],
    size: tuple[int, int],
    ticks: Ticks,
    moments: Ticks,
    marks: list[float],
    *,
    color: bool,
) -> list[str]:
    import plotext

    width, height = size
    figure: Any = plotext.figure
    plotext.terminal.limit(False, False)
    figure.clear()
    # Its own look is black on white; "simple" leaves the terminal its colours.
    figure.theme("simple")
    figure.plot_size(width, height)
    for name, lines in (("x", moments), ("y", _shares(ticks, bounds))):
        ruler = figure.ruler(name)
        ruler.lim(0.0, 1.0)
        ruler.ticks([at for at, _ in lines], labels=[text for _, text in lines])
    for at in marks:
        stem = plotext.marker("┊", pixel=plotext.pixel(style="dim"))
        figure.draw(figure.segment((at, at), (0.0, 1.0), marker=stem))
    for number, grid in enumerate(grids):
        for signal in _signals(plotext, grid, number, bounds, band=len(grids) == 1):
            figure.draw(signal)
    matrix = figure.build()
    text: str = matrix.string(colorless=not color)
    figure.clear()
    return text.split("\n")[:height]


def _shares(ticks: Ticks, bounds: tuple[float, float]) -> Ticks:
    return [(share(value, *bounds), text) for value, text in ticks]


def _signals(plotext: Any, grid: Columns, number: int, bounds: tuple[float, float], *, band: bool) -> list[Any]:
    """The signals of one series: its line, broken at gaps, and the most of each column as dots above it."""
    color = COLORS[number % len(COLORS)]
    order = sorted(grid.cells)
    last = max(1, grid.width - 1)
    across = [x / last for x in order]
    found: list[Any] = []
    if band and any(cell.high > cell.mean for cell in grid.cells.values()):
        peaks = plotext.figure.signal(
            across,
            [share(grid.cells[x].high, *bounds) for x in order],
            marker=plotext.marker("braille", pixel=plotext.pixel(color, style="dim")),
        )
        found.append(peaks)
    signal = plotext.figure.signal(
        across,
        [share(grid.cells[x].mean, *bounds) for x in order],
        marker=plotext.marker("braille", pixel=plotext.pixel(color)),
    )
    signal.lines(True)
    joined = set(grid.joined)
    for index in range(1, len(order)):
        if (order[index - 1], order[index]) not in joined:
            signal.line(index, False)
    found.append(signal)
    return found


def _by_dots(
    grids: list[Columns],
    bounds: tuple[float, float],
    size: tuple[int, int],
    ticks: Ticks,
    moments: Ticks,
    marks: list[float],
    *,
    color: bool,
    ascii: bool,
) -> list[str]:
    width, height = size
    gutter = _gutter(ticks)
    canvas = Canvas(max(1, width - gutter - 1), max(1, height - 2), "ascii" if ascii else "braille")
    if len(grids) == 1:
        canvas.band(grids[0], 0, *bounds)
    for number, grid in reversed(list(enumerate(grids))):
        canvas.line(grid, number, *bounds)
    labels = {
        canvas.height - 1 - round(at * (canvas.height - 1)): text for at, text in reversed(_shares(ticks, bounds))
    }
    stems = {min(canvas.width - 1, int(at * canvas.width)) for at in marks}
    upright, along, corner = ("|", "-", "+") if ascii else ("│", "─", "└")
    lines: list[str] = []
    for row in range(canvas.height):
        pieces = [labels.get(row, "").rjust(gutter), upright]
        for column in range(canvas.width):
            char, owner, _ = canvas.cell(column, row)
            if owner < 0:
                pieces.append((":" if ascii else "┊") if column in stems else " ")
            else:
                pieces.append(_colored(char, owner, color))
        lines.append("".join(pieces))
    axis = [" "] * canvas.width
    for at, text in moments:
        begin = min(canvas.width - len(text), max(0, int(at * canvas.width) - len(text) // 2))
        if begin >= 0 and all(char == " " for char in axis[max(0, begin - 1) : begin + len(text) + 1]):
            axis[begin : begin + len(text)] = text
    lines.append(" " * gutter + corner + along * canvas.width)
    lines.append(" " * (gutter + 1) + "".join(axis))
    return lines
