"""Per-second values of a host's series, right-aligned at the present: what graphs are drawn from."""

from __future__ import annotations

import math
from array import array
from typing import TYPE_CHECKING

from sysmon.frame import join_key

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from sysmon.records import Series

WINDOW = 900
"""Seconds of per-second values that a live window keeps."""


class Window:
    """Per-second values of series, right-aligned at `end`; gaps are None.

    Seven digits of each are kept, more than any picture shows. A value read more seldom is repeated until it goes
    stale, so a column is what the screen would have shown.

    Attributes:
        hold: seconds up to which a value stands until the next: of a host that is looked at more seldom than once a
            second, two of its intervals.
    """

    def __init__(self, length: int = WINDOW) -> None:
        self.length = length
        self.hold = 1
        self.end: int | None = None
        self._columns: dict[str, tuple[int, array[float]]] = {}

    def append(self, second: int, values: dict[str, float]) -> None:
        """Takes the values of one second; earlier or equal seconds overwrite nothing and are ignored."""
        if self.end is not None and second <= self.end:
            return
        self.end = second
        for key, value in values.items():
            self._put(key, second, value)

    def _put(self, key: str, second: int, value: float) -> None:
        column = self._columns.get(key)
        if column is None or second - column[0] >= self.length + len(column[1]):
            self._columns[key] = (second, array("f", (value,)))
            return
        start, data = column
        missing = second - start - len(data)
        if missing > 0:
            data.extend([data[-1] if missing < self.hold else math.nan] * missing)
        data.append(value)
        if len(data) >= 2 * self.length:
            cut = len(data) - self.length
            del data[:cut]
            self._columns[key] = (start + cut, data)

    def prefill(self, key: str, points: Iterable[tuple[int, float]], hold: int = 1) -> None:
        """Lays older values, (second, value) in order, before those the column holds already, and into its gaps.

        Args:
            key: of the series.
            points: its values.
            hold: seconds up to which one of them stands until the next, where that is longer than the host's.
        """
        column = self._columns.get(key)
        limit = column[0] if column else None
        older: list[tuple[int, float]] = []
        for second, value in self._held(points, max(hold, self.hold)):
            if column is None or second < column[0]:
                older.append((second, value))
            elif second - column[0] < len(column[1]) and math.isnan(column[1][second - column[0]]):
                column[1][second - column[0]] = value
        if not older:
            return
        start = older[0][0]
        stop = limit if limit is not None else older[-1][0] + 1
        data = array("f", [math.nan]) * (stop - start)
        for second, value in older:
            data[second - start] = value
        if column:
            data.extend(column[1])
        if self.end is None or self.end < stop - 1:
            self.end = stop - 1
        self._columns[key] = (start, data)

    def _held(self, points: Iterable[tuple[int, float]], hold: int) -> Iterator[tuple[int, float]]:
        """Yields points with those between them, and up to the end, at which the earlier one still stood."""
        last: tuple[int, float] | None = None
        for second, value in points:
            if last is not None and second - last[0] <= hold:
                yield from ((between, last[1]) for between in range(last[0] + 1, second))
            yield second, value
            last = second, value
        if last is not None and hold > 1 and self.end is not None:
            yield from ((after, last[1]) for after in range(last[0] + 1, min(self.end, last[0] + hold) + 1))

    def points(self, key: str, count: int, step: int = 1) -> list[float | None]:
        """Returns the last `count` points of a series, each the mean over `step` seconds aligned to multiples of it."""
        column = self._columns.get(key)
        if column is None or self.end is None or count <= 0:
            return [None] * max(0, count)
        start, data = column
        stop = self.end + 1
        if step > 1:
            stop += -stop % step
        first = stop - count * step
        result: list[float | None] = []
        if step == 1:
            low, high = max(0, first - start), max(0, stop - start)
            result = [None] * max(0, min(count, start - first))
            result += [None if value != value else value for value in data[low:high]]
            return result + [None] * (count - len(result))
        for left in range(first, stop, step):
            low, high = max(0, left - start), min(len(data), left - start + step)
            present = [value for value in data[low:high] if value == value] if low < high else []
            result.append(sum(present) / len(present) if present else None)
        return result

    def recorded(self, key: str, count: int, step: int = 1) -> list[float | None]:
        """Returns what `points` does, without what lies before the first value: nothing was missed there."""
        column = self._columns.get(key)
        if column is None or self.end is None:
            return []
        held = self.end // step - column[0] // step + 1
        return self.points(key, min(count, max(0, held)), step)

    def keys(self) -> list[str]:
        """Returns the keys it holds."""
        return list(self._columns)

    def copy(self) -> Window:
        """Returns a window that stays as it is while this one goes on."""
        twin = Window(self.length)
        twin.end = self.end
        twin.hold = self.hold
        twin._columns = {key: (start, data[:]) for key, (start, data) in self._columns.items()}
        return twin


def hold_of(intervals: Mapping[str, float], collector: str = "") -> int:
    """Returns the seconds that a value stands in graphs until the next: two intervals of what is not read each second.

    Args:
        intervals: of the collectors of a host, seconds.
        collector: which of them reads the value; '' for the values of whole frames.
    """
    frames = min(intervals.values(), default=1.0)
    seconds = math.ceil(max(frames, intervals.get(collector, frames)))
    return 2 * seconds if seconds > 1 else 1


def prefill(window: Window, series: Series, hold: int = 1) -> None:
    """Lays a series read from history before what a window holds; a step of several seconds fills each of them.

    `hold`: as for `Window.prefill`.
    """
    seconds = max(1, series.step // 1000)
    spread = ((point.time // 1000 + offset, point.mean) for point in series.points for offset in range(seconds))
    window.prefill(join_key(series.metric, series.instance), spread, hold)
