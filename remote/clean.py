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
from sysmon.frame import Fault, Frame, Tables, clean_instance, clean_text, join_key, split_key

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from sysmon.catalogue import Metric

T = TypeVar("T")

MAX_SERIES = 8_000
"""Series of one host at most; a machine of 256 cores and 100 interfaces has about 5,000."""
MAX_PEER_SERIES = 500_000
"""Series of all hosts of one peer at most."""
MAX_METRICS = 1_500
"""Metrics that one peer may bring, over all that it ever says; sysmon itself has some 270."""
MAX_HELP = 500
"""Characters of what a metric is and comes from at most; sysmon's own have 130."""
MAX_ROWS = 20_000
"""Rows of all tables of one frame at most."""
MAX_INSTANCE = 255
"""Bytes of an instance at most."""
LIMITS = "limits"
"""What faults about a peer that goes beyond these bounds are filed under, where a collector's name stands else."""
MAX_FAULTS = 1_000
"""Faults of one frame at most; of more it is none."""
KEPT_FAULTS = 200
"""Of these, those that are kept at most."""
MAX_FAULT = 400
"""Characters of what a fault says, and of its hint, at most."""
MAX_FAULT_TEXT = 16_000
"""Characters of all faults of one frame at most: they are kept with it."""
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


class Implausible(MalformedInput):
    """A frame that is well formed and whose time cannot be true; it is left out, those after it may be better."""


class Cleaner:
    """Cleans and bounds the frames of one peer; remembers its series, so that a usual frame costs little.

    What is too much is cut and said in a fault of `LIMITS`; what cannot be a frame is refused.

    Args:
        max_series: series of one host at most, over all its frames since its last full state.
        max_rows: rows of one frame at most.
        max_peer_series: series of all hosts of the peer at most.
        tables: those asked for, others are dropped; None for all.

    Attributes:
        wanted: tables asked for.
    """

    def __init__(
        self,
        max_series: int = MAX_SERIES,
        max_rows: int = MAX_ROWS,
        max_peer_series: int = MAX_PEER_SERIES,
        *,
        tables: Collection[str] | None = None,
    ) -> None:
        self.wanted = tables
        self._max_series = max_series
        self._max_rows = max_rows
        self._max_peer_series = max_peer_series
        self._series: dict[str, set[str]] = {}
        self._excess: dict[str, dict[str, str]] = {}
        self._held = 0
        self._names: set[str] = set()
        self._metrics: set[str] = set()

    def metrics(self, given: Iterable[Metric]) -> list[Metric]:
        """Returns the catalogue entries with short texts, of the first `MAX_METRICS` names that the peer ever gave."""
        kept = []
        for metric in given:
            if metric.name not in self._metrics:
                if len(self._metrics) >= MAX_METRICS:
                    continue
                self._metrics.add(metric.name)
            if len(metric.help) > MAX_HELP or len(metric.source) > MAX_HELP:
                metric = msgspec.structs.replace(metric, help=metric.help[:MAX_HELP], source=metric.source[:MAX_HELP])
            kept.append(metric)
        return kept

    def forget(self, host: str) -> None:
        """Forgets a host that the peer no longer has."""
        self._held -= len(self._series.pop(host, ()))
        self._excess.pop(host, None)

    def frame(self, frame: Frame, *, now: int | None = None) -> Frame:
        """Returns the frame with its texts cleaned and its size bounded; the same object where nothing had to be.

        Args:
            frame: as decoded.
            now: this side's Unix milliseconds, to bound the future; None leaves it at the last date there is.

        Raises:
            Implausible: its time lies too far in the future.
            MalformedInput: an id, a number or a count is out of bounds; the message names the path.
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
        _count(len(frame.faults), MAX_FAULTS, "$.faults")
        changes: dict[str, object] = {}
        excess = self._excess.get(frame.host, {})
        if frame.full:
            # A full state says everything anew, what was too much included.
            excess = {}
        readings = frame.readings
        known = self._series.get(frame.host)
        if known is None or not readings.keys() <= known or (frame.full and len(known) > 2 * len(readings) + 100):
            readings = self._readings(frame, excess)
        if readings and not _all_in_range(readings.values()):
            wrong = [key for key, value in readings.items() if not _in_range(value)]
            excess["numbers"] = f"numbers that are out of range are left out, such as {_shown(wrong[0])}"
            readings = {key: value for key, value in readings.items() if _in_range(value)}
        if readings is not frame.readings:
            changes["readings"] = readings
        self._collectors(frame)
        tables = self._tables(frame.tables, excess)
        if tables is not frame.tables:
            changes["tables"] = tables
        if frame.faults or excess:
            faults = self._faults(frame.faults, excess)
            for fault in faults:
                self._collector(fault.collector, "$.faults[].collector")
            changes["faults"] = [*faults, *(Fault(LIMITS, "failed", words) for words in excess.values())]
        if excess:
            self._excess[frame.host] = excess
        else:
            self._excess.pop(frame.host, None)
        return msgspec.structs.replace(frame, **changes) if changes else frame

    def _readings(self, frame: Frame, excess: dict[str, str]) -> dict[str, int | float]:
        """Returns the readings under clean keys, those of new series only as far as there is room for them."""
        before = self._series.setdefault(frame.host, set())
        known: set[str] = set() if frame.full else before
        self._held -= len(before)
        room = min(self._max_series, self._max_peer_series - self._held)
        cleaned = {}
        # Those known before come first, so that an excess does not push out what was there.
        keys = (
            sorted(frame.readings, key=lambda key: key not in before) if len(frame.readings) > room else frame.readings
        )
        for key in keys:
            name = key if key in before else series_key(key)
            if name not in known:
                if len(known) >= room:
                    if room < self._max_series:
                        excess["series"] = (
                            f"the hosts of this server have more than {self._max_peer_series} series;"
                            " the rest is left out"
                        )
                    else:
                        excess["series"] = f"it has more than {self._max_series} series; the rest is left out"
                    continue
                known.add(name)
                if name != key and len(split_key(key)[1].encode("utf-8", "surrogatepass")) > MAX_INSTANCE:
                    excess["names"] = f"names of more than {MAX_INSTANCE} bytes are cut"
            cleaned[name] = frame.readings[key]
        self._series[frame.host] = known
        self._held += len(known)
        same = len(cleaned) == len(frame.readings) and cleaned.keys() == frame.readings.keys()
        return frame.readings if same else cleaned

    def _faults(self, faults: list[Fault], excess: dict[str, str]) -> list[Fault]:
        kept = []
        room = MAX_FAULT_TEXT
        for fault in faults[:KEPT_FAULTS]:
            message, hint = text(fault.message, MAX_FAULT), text(fault.hint, MAX_FAULT)
            room -= len(message) + len(hint)
            if room < 0:
                break
            kept.append(record(msgspec.structs.replace(fault, message=message, hint=hint)))
        if len(kept) < len(faults):
            excess["faults"] = "it has more faults than can be; the rest is left out"
        return kept

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

    def _tables(self, tables: Tables, excess: dict[str, str]) -> Tables:
        changes: dict[str, Any] = {}
        room = self._max_rows
        for name in tables.__struct_fields__:
            table = getattr(tables, name)
            if table is not None and self.wanted is not None and name not in self.wanted:
                changes[name] = None
            elif table:
                if len(table) > room:
                    excess["rows"] = f"its tables have more than {self._max_rows} rows; the rest is left out"
                    table = table[:room]
                room -= len(table)
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
    if len(instance) <= 63 and instance.isascii() and instance.isprintable():
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
        Implausible: it lies more than `FUTURE` ahead of `now`.
        MalformedInput: no date has it.
    """
    if not 0 <= time <= MAX_TIME:
        raise MalformedInput(f"{path}: {_shown(time)} is not a time in Unix milliseconds")
    if now is not None and time > now + FUTURE:
        raise Implausible(f"{path}: {_shown(time)} lies more than {FUTURE // 86_400_000} days in the future")
    return time


def text(raw: str, limit: int = MAX_LABEL) -> str:
    """Returns a text fit for the screen; what is printable and short enough is returned as it is."""
    return raw if len(raw) <= limit and raw.isascii() and raw.isprintable() else clean_text(raw, limit)


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
            if value and not (len(value) <= MAX_LABEL and value.isascii() and value.isprintable()):
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


def _all_in_range(numbers: Collection[int | float]) -> bool:
    """Whether all numbers are usual ones; the quick look, for it is taken at every number that comes in."""
    if not (min(numbers) >= _INT_MIN and max(numbers) < _INT_MAX):
        return all(map(_in_range, numbers))
    # NaN compares as nothing, and spoils every sum.
    return not math.isnan(sum(numbers))


def _in_range(number: int | float) -> bool:
    return _INT_MIN <= number < _INT_MAX or (isinstance(number, float) and math.isfinite(number))


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
