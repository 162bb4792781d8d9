"""What a peer says, made harmless once, on the way in.

Control, ESC, bidi and zero-width characters are neutralised; counts, lengths, numbers and times are bounded. What
has not the documented form is refused whole, with its path.
"""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Any, Final, TypeVar

import msgspec

from sysmon.errors import MalformedInput
from sysmon.frame import Frame, Tables, clean_instance, clean_text, join_key, split_key

if TYPE_CHECKING:
    from collections.abc import Iterable

T = TypeVar("T")

MAX_SERIES = 20_000
"""Readings of one frame at most."""
MAX_ROWS = 40_000
"""Rows of all tables of one frame at most."""
MAX_FAULTS = 1_000
"""Faults of one frame at most."""
MAX_COLLECTORS = 500
"""Entries of `reads`, `cost`, `intervals` at most."""
MAX_METRIC = 128
"""Characters of a metric's name at most."""
MAX_LABEL = 255
"""Characters of a short text at most."""
MAX_TEXT = 4096
"""Characters of a long text (command line, message) at most."""
MAX_LIST = 100_000
"""Elements of a list at most."""
MAX_TIME = 253_402_300_799_000
"""Unix milliseconds of the last moment that has a date."""
FUTURE = 400 * 86_400_000
"""Milliseconds a time may lie ahead of this side's clock; beyond it is not a wrong clock but a wrong number."""
SKIP_AHEAD = 60_000_000_000
"""Nanoseconds a read may lie ahead of its frame's tick."""

_ID: Final = re.compile(r"[0-9A-Za-z_.-]{1,64}")
_METRIC: Final = re.compile(r"[a-z0-9_.]{1,128}")
_COLLECTOR: Final = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_INT_MIN, _INT_MAX = -(2**63), 2**64
_LONG_TEXTS: Final = frozenset({"command", "message", "hint", "help", "source", "problem", "path"})


class Cleaner:
    """Cleans the frames of one peer; remembers which keys were found harmless, so that a usual frame costs little.

    Args:
        max_series, max_rows: readings and rows of one frame at most.
    """

    def __init__(self, max_series: int = MAX_SERIES, max_rows: int = MAX_ROWS) -> None:
        self._max_series = max_series
        self._max_rows = max_rows
        self._good: set[str] = set()
        self._names: set[str] = set()

    def frame(self, frame: Frame, *, now: int | None = None) -> Frame:
        """Returns the frame with its texts cleaned; the same object where nothing had to be.

        Args:
            frame: as decoded.
            now: this side's Unix milliseconds, to bound the future; None leaves it at the last date there is.

        Raises:
            MalformedInput: an id, a number, a time or a count is out of bounds; the message names the path.
        """
        identifier(frame.host, "$.host")
        identifier(frame.run, "$.run")
        identifier(frame.boot, "$.boot")
        if frame.seq < 0 or frame.seq >= 2**53 or (frame.seq == 0 and not frame.full):
            raise MalformedInput(f"$.seq: {frame.seq} is not a sequence number; they count from 1")
        moment(frame.time, "$.time", now)
        if not 0 <= frame.monotonic < 2**63:
            raise MalformedInput(f"$.monotonic: {_shown(frame.monotonic)} is not nanoseconds since boot")
        for hub in frame.via[:65]:
            identifier(hub, "$.via")
        _count(len(frame.via), 64, "$.via")
        _count(len(frame.readings), self._max_series, "$.readings")
        _count(len(frame.faults), MAX_FAULTS, "$.faults")
        changes: dict[str, object] = {}
        if not frame.readings.keys() <= self._good:
            changes["readings"] = self._readings(frame.readings)
        for key, value in frame.readings.items():
            if not _INT_MIN <= value < _INT_MAX and not (isinstance(value, float) and math.isfinite(value)):
                raise MalformedInput(f"$.readings[{_shown(key)}]: {_shown(value)} is out of range")
        self._collectors(frame)
        if frame.faults:
            faults = [record(fault) for fault in frame.faults]
            for fault in faults:
                self._collector(fault.collector, "$.faults[].collector")
            changes["faults"] = faults
        tables = self._tables(frame.tables)
        if tables is not frame.tables:
            changes["tables"] = tables
        return msgspec.structs.replace(frame, **changes) if changes else frame

    def _readings(self, readings: dict[str, int | float]) -> dict[str, int | float]:
        cleaned = {}
        for key, value in readings.items():
            name = key if key in self._good else series_key(key)
            cleaned[name] = value
            if name == key and len(self._good) < 2 * self._max_series:
                self._good.add(key)
        return cleaned

    def _collectors(self, frame: Frame) -> None:
        latest = frame.monotonic + SKIP_AHEAD
        for path, mapping in (("$.reads", frame.reads), ("$.cost", frame.cost), ("$.intervals", frame.intervals)):
            _count(len(mapping), MAX_COLLECTORS, path)
            if not mapping.keys() <= self._names:
                for name in mapping:
                    self._collector(name, path)
        for name, at in frame.reads.items():
            if not 0 <= at <= latest:
                raise MalformedInput(f"$.reads[{name}]: {_shown(at)} is not a time before the frame's own")
        for name, seconds in frame.cost.items():
            if not 0 <= seconds <= 86_400:
                raise MalformedInput(f"$.cost[{name}]: {seconds} is not seconds that a read can take")
        for name, seconds in frame.intervals.items():
            if not 0 < seconds <= 31_557_600:
                raise MalformedInput(f"$.intervals[{name}]: {seconds} is not an interval in seconds")

    def _collector(self, name: str, path: str) -> None:
        if name not in self._names:
            if not _COLLECTOR.fullmatch(name):
                raise MalformedInput(f"{path}: {_shown(name)} is not a collector's name")
            if len(self._names) < 10 * MAX_COLLECTORS:
                self._names.add(name)

    def _tables(self, tables: Tables) -> Tables:
        changes = {}
        rows = 0
        for name in tables.__struct_fields__:
            table = getattr(tables, name)
            if table:
                rows += len(table)
                _count(rows, self._max_rows, f"$.tables.{name}")
                changes[name] = [record(row, f"$.tables.{name}[]") for row in table]
        return msgspec.structs.replace(tables, **changes) if changes else tables


def series_key(key: str) -> str:
    """Returns the series key with its instance cleaned.

    Raises:
        MalformedInput: the metric's name is none.
    """
    metric, instance = split_key(key)
    if not _METRIC.fullmatch(metric):
        raise MalformedInput(f"$.readings: {_shown(key)} does not begin with a metric's name (a-z 0-9 _ .)")
    if instance.isprintable() and len(instance) <= 63:
        return key
    return join_key(metric, clean_instance(instance))


def identifier(text: str, path: str) -> str:
    """Returns an id unchanged.

    Raises:
        MalformedInput: not 1 to 64 characters of 0-9 A-Z a-z _ . -
    """
    if not _ID.fullmatch(text):
        raise MalformedInput(f"{path}: {_shown(text)} is not an id")
    return text


def moment(time: int, path: str, now: int | None = None) -> int:
    """Returns Unix milliseconds unchanged.

    Raises:
        MalformedInput: no date has it, or it lies more than `FUTURE` ahead of `now`.
    """
    if not 0 <= time <= (MAX_TIME if now is None else min(MAX_TIME, now + FUTURE)):
        raise MalformedInput(f"{path}: {_shown(time)} is not a time in Unix milliseconds, or lies far in the future")
    return time


def text(raw: str, limit: int = MAX_LABEL) -> str:
    """Returns a text fit for the screen; what is printable and short enough is returned as it is."""
    return raw if len(raw) <= limit and raw.isprintable() else clean_text(raw, limit)


def record(struct: T, path: str = "$") -> T:
    """Returns a struct with all its texts cleaned, however deep, and its numbers and lists held to their bounds.

    Raises:
        MalformedInput: a number is not finite or too large, or a list too long.
    """
    changes: dict[str, Any] = {}
    for name in struct.__struct_fields__:  # type: ignore[attr-defined]
        value = getattr(struct, name)
        kind = type(value)
        if kind is str:
            if value and not (len(value) <= MAX_LABEL and value.isprintable()):
                cleaned = clean_text(value, MAX_TEXT if name in _LONG_TEXTS else MAX_LABEL)
                if cleaned != value:
                    changes[name] = cleaned
        elif kind is int:
            if not _INT_MIN <= value < _INT_MAX:
                raise MalformedInput(f"{path}.{name}: {_shown(value)} is out of range")
        elif kind is float:
            if not math.isfinite(value):
                raise MalformedInput(f"{path}.{name}: {value} is not a number")
        elif value is not None and kind is not bool:
            cleaned = _inner(value, f"{path}.{name}")
            if cleaned is not value:
                changes[name] = cleaned
    return msgspec.structs.replace(struct, **changes) if changes else struct  # type: ignore[type-var]


def records(structs: Iterable[T], path: str = "$") -> list[T]:
    """Returns each struct cleaned."""
    return [record(struct, f"{path}[]") for struct in structs]


def value(found: T, path: str = "$") -> T:
    """Returns a decoded answer, a struct, a list of them or a plain value, cleaned.

    Raises:
        MalformedInput: as `record`.
    """
    return text(found, MAX_TEXT) if isinstance(found, str) else _inner(found, path)  # type: ignore[return-value]


def _inner(value: Any, path: str) -> Any:
    if isinstance(value, Frame):
        return Cleaner().frame(value)
    if isinstance(value, msgspec.Struct):
        return record(value, path)
    if isinstance(value, list | tuple):
        _count(len(value), MAX_LIST, path)
        return type(value)(text(each) if isinstance(each, str) else _inner(each, path) for each in value)
    if isinstance(value, int) and not _INT_MIN <= value < _INT_MAX:
        raise MalformedInput(f"{path}: {_shown(value)} is out of range")
    if isinstance(value, float) and not math.isfinite(value):
        raise MalformedInput(f"{path}: {value} is not a number")
    return value


def _count(count: int, limit: int, path: str) -> None:
    if count > limit:
        raise MalformedInput(f"{path}: {count} entries are more than {limit}")


def _shown(value: object) -> str:
    shown = (
        ascii(value)
        if isinstance(value, str)
        else str(value)
        if not isinstance(value, int)
        else f"{value:.6g}"
        if abs(value) < 10**300
        else "a huge number"
    )
    return shown if len(shown) <= 60 else shown[:57] + "..."
