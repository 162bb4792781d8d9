"""The axes of charts: bounds by unit, labelled values, and times of day that people would choose. No Textual here."""

from __future__ import annotations

import math
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Final

from sysmon.units import format_duration, format_value
from tui.renderables.scale import nice_ceiling

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from datetime import tzinfo

_FLOORS: Final = {"bytes": 1024.0, "bytes/s": 1024.0, "celsius": 100.0, "hertz": 1e6, "rpm": 1000.0, "watts": 10.0}
"""The least upper bound of a unit, so that a quiet line does not look busy."""

_DURATIONS: Final = (
    0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1200, 1800, 3600,
    7200, 14_400, 28_800, 43_200, 86_400, 172_800, 432_000, 864_000, 1_728_000, 4_320_000, 8_640_000, 17_280_000,
    34_560_000, 86_400_000,
)  # fmt: skip
"""Upper bounds of durations, seconds."""

_DAY: Final = 86_400
_TIME_STEPS: Final = (
    1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10_800, 21_600, 43_200,
    _DAY, 2 * _DAY, 3 * _DAY, 7 * _DAY, 14 * _DAY, 31 * _DAY, 92 * _DAY, 366 * _DAY,
)  # fmt: skip
"""Seconds between ticks; from 31 days on they are months, quarters, years."""


def bounds_of(unit: str, values: Iterable[float | None]) -> tuple[float, float]:
    """Chooses explicit bounds for values of a unit.

    A ratio is shown from 0 to 100 %, and above only where it goes above (two cores of a process are 200 %). What is
    never negative begins at 0; temperatures reach to 100 °C at least.

    Returns:
        (low, high) with low < high.
    """
    finite = [value for value in values if value is not None and math.isfinite(value)]
    peak, least = max(finite, default=0.0), min(finite, default=0.0)
    base = 1024 if unit in ("bytes", "bytes/s") else 1000
    low = -nice_ceiling([-least], _floor(unit), base=base) if least < 0 else 0.0
    if unit == "ratio":
        # Rounding of the kernel's clocks leads a little above.
        high = 1.0 if peak <= 1.005 else float(math.ceil(peak)) if peak < 10 else nice_ceiling([peak], 1.0)
    elif unit == "seconds":
        high = next((step for step in _DURATIONS if step >= peak), nice_ceiling([peak], 1.0))
    else:
        high = nice_ceiling([peak], _floor(unit), base=base)
    return max(-1e300, low), min(1e300, high)


def _floor(unit: str) -> float:
    return _FLOORS.get(unit, 1.0)


def value_ticks(low: float, high: float, rows: int, unit: str, *, short: bool = False) -> list[tuple[float, str]]:
    """Labels a value axis: as many round parts as `rows` lines have room for.

    Returns:
        (value, text) from low to high; always both bounds where there are two rows.
    """
    if rows < 2:
        return [(high, _label(high, unit, short))] if rows == 1 else []
    lead = int(f"{high:e}"[0])
    choices: tuple[int, ...] = {1: (10, 5, 4, 2), 2: (10, 5, 4, 2), 5: (10, 5)}.get(lead, (lead,))
    if unit in ("bytes", "bytes/s") and lead in (1, 2):
        choices = (8, 4, 2) if lead == 2 else (4, 2)
    elif unit == "seconds":
        choices = (4, 2)
    if low < 0:
        choices = (2,)
    parts = next((count for count in choices if rows - 1 >= 3 * count), 0) or (2 if rows >= 5 else 1)
    ticks = [(low + (high - low) * part / parts) for part in range(parts + 1)]
    return [(value, _label(value, unit, short)) for value in ticks]


def _label(value: float, unit: str, short: bool) -> str:
    if unit == "seconds" and value == 0:
        return "0 s"
    if unit == "ratio":
        return f"{value * 100:.4g}{'' if short else ' '}%"
    text = format_value(value, unit, short=short)
    return text.replace(".0 ", " ") if not short else text.replace(".0", "")


def time_ticks(start: int, end: int, width: int, zone: tzinfo | None = None) -> list[tuple[int, str]]:
    """Chooses moments that people would write at a time axis, in local time.

    Args:
        start, end: Unix milliseconds.
        width: cells of the axis; labels keep their distance.
        zone: None is the machine's own.

    Returns:
        (Unix milliseconds, text) in order, within the range.
    """
    if end <= start or width < 8:
        return []
    seconds = (end - start) / 1000
    step = next((each for each in _TIME_STEPS if seconds / each * (_room(each)) <= width), _TIME_STEPS[-1])
    try:
        moments = list(_moments(start, end, step, zone))
    except (OverflowError, ValueError, OSError):
        # Times that no calendar has.
        return []
    return moments


def _room(step: int) -> int:
    """Cells that a label of this step wants, with the space around it."""
    return 13 if step < 60 else 11


def _moments(start: int, end: int, step: int, zone: tzinfo | None) -> Iterator[tuple[int, str]]:
    day = datetime.fromtimestamp(start / 1000, zone).date()
    last = start - 1
    while True:
        begin = _local(day, 0, zone)
        if begin > end:
            return
        if step < _DAY:
            for second in range(0, _DAY, step):
                moment = _local(day, second, zone)
                # When clocks are turned back an hour comes twice: never go back.
                if last < moment <= end:
                    last = moment
                    yield moment, _time_text(day, second, step)
        elif begin > last and _is_tick(day, step):
            last = begin
            yield begin, _date_text(day, step)
        day += timedelta(days=1)


def _local(day: date, second: int, zone: tzinfo | None) -> int:
    """Unix milliseconds of a wall clock's time."""
    wall = datetime(day.year, day.month, day.day, second // 3600, second // 60 % 60, second % 60, tzinfo=zone)
    return round(wall.timestamp() * 1000)


def _time_text(day: date, second: int, step: int) -> str:
    if second == 0 and step >= 60:
        return _date_text(day, _DAY)
    text = f"{second // 3600:02d}:{second // 60 % 60:02d}"
    return f"{text}:{second % 60:02d}" if step < 60 else text


def _is_tick(day: date, step: int) -> bool:
    days = step // _DAY
    if days < 7:
        return day.toordinal() % days == 0
    if days < 31:
        return day.weekday() == 0 and (days == 7 or day.toordinal() // 7 % 2 == 0)
    months = 1 if days < 92 else 3 if days < 366 else 12
    return day.day == 1 and (day.month - 1) % months == 0


_MONTHS: Final = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def _date_text(day: date, step: int) -> str:
    if step >= 31 * _DAY:
        return str(day.year) if day.month == 1 else _MONTHS[day.month - 1]
    return f"{_MONTHS[day.month - 1]} {day.day:02d}"


def range_text(start: int, end: int, zone: tzinfo | None = None) -> str:
    """Writes a range so that nothing is said twice: `Nov 21 03:12 - 04:12`."""
    first, last = (datetime.fromtimestamp(each / 1000, zone) for each in (start, end))
    clock = "%H:%M:%S" if end - start <= 600_000 else "%H:%M"
    year = f"{first.year} " if first.year != last.year else ""
    head = f"{year}{_date_text(first.date(), _DAY)} {first.strftime(clock)}"
    if first.date() == last.date():
        return f"{head} - {last.strftime(clock)}"
    year = f"{last.year} " if year else ""
    return f"{head} - {year}{_date_text(last.date(), _DAY)} {last.strftime(clock)}"


def span_text(milliseconds: int) -> str:
    """Writes how long a range is: `1h`, `24h`, `7d`, `90m`."""
    seconds = milliseconds // 1000
    for size, name in ((_DAY, "d"), (3600, "h"), (60, "m")):
        if seconds % size == 0 and seconds >= size and not (size == _DAY and seconds == _DAY):
            return f"{seconds // size}{name}"
    return format_duration(seconds)
