"""The tail: each frame as one row, a positional array against layouts of series.

A frame's readings are split by the collector that owns them; what one collector gave is `(layout, read, values)`, the
layout naming the series that the positions stand for.
"""

from __future__ import annotations

import math
from operator import itemgetter
from typing import TYPE_CHECKING, Any

import msgspec

from sysmon.errors import Corrupt
from sysmon.frame import Fault, Frame, Number, split_key

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    from sysmon.catalogue import Catalogue

_PLANS = 256
"""Frame shapes remembered; a host has a few, and one that never repeats must not fill memory."""


class Extras(msgspec.Struct, frozen=True, array_like=True, omit_defaults=True):
    """What a frame carries beside readings and is kept: faults, intervals, the hubs it came through."""

    faults: tuple[Fault, ...] = ()
    intervals: tuple[tuple[str, float], ...] = ()
    via: tuple[str, ...] = ()


class TailRow(msgspec.Struct, array_like=True):
    """The body of a tail row. `groups`: (layout, read in ns or None, values in the layout's order) per collector."""

    time: int
    monotonic: int
    full: bool
    groups: list[tuple[int, int | None, list[Number]]]
    extras: Extras | None = None


class _SpelledRow(msgspec.Struct, array_like=True):
    """A row as JSON, which knows integers of any size but no infinities: those are spelled out."""

    time: int
    monotonic: int
    full: bool
    groups: list[tuple[int, int | None, list[int | float | str]]]
    extras: Extras | None = None


class _Unread(msgspec.Struct, array_like=True):
    """A row whose groups are still packed: those of one collector are a small part of it."""

    time: int
    monotonic: int
    full: bool
    groups: list[tuple[int, int | None, msgspec.Raw]]


_ENCODE = msgspec.msgpack.Encoder().encode
_DECODE = msgspec.msgpack.Decoder(TailRow).decode
_DECODE_PART = msgspec.msgpack.Decoder(_Unread).decode
_DECODE_VALUES = msgspec.msgpack.Decoder(list[Number]).decode
_ENCODE_JSON = msgspec.json.Encoder().encode
_DECODE_JSON = msgspec.json.Decoder(_SpelledRow).decode


class Splitter:
    """Splits frames of one host by collector, remembering the plan of each shape of frame."""

    def __init__(self, catalogue: Catalogue, layout_of: Callable[[str, tuple[str, ...]], int]) -> None:
        self.catalogue = catalogue
        self._layout_of = layout_of
        self._plans: dict[tuple[Any, ...], list[tuple[str, int, Callable[[Any], tuple[Number, ...]]]]] = {}

    def forget(self) -> None:
        """Drops the plans, as the catalogue or the layouts changed."""
        self._plans.clear()

    def split(self, frame: Frame) -> TailRow:
        """Returns the frame as a tail row."""
        shape = (tuple(frame.readings), tuple(frame.reads))
        found = self._plans.get(shape)
        if found is None:
            if len(self._plans) >= _PLANS:
                self._plans.clear()
            found = self._plans[shape] = self._plan(frame)
        values = tuple(frame.readings.values())
        reads = frame.reads
        groups = [(layout, reads.get(name), list(pick(values))) for name, layout, pick in found]
        return TailRow(frame.time, frame.monotonic, frame.full, groups, _extras(frame))

    def _plan(self, frame: Frame) -> list[tuple[str, int, Callable[[Any], tuple[Number, ...]]]]:
        owned: dict[str, list[tuple[str, int]]] = {name: [] for name in frame.reads}
        for index, key in enumerate(frame.readings):
            metric = self.catalogue.get(split_key(key)[0])
            owned.setdefault(metric.collector if metric is not None else "", []).append((key, index))
        plan = []
        for name, places in owned.items():
            places.sort()
            layout = self._layout_of(name, tuple(key for key, _ in places))
            plan.append((name, layout, _picker([index for _, index in places])))
        return plan


def _picker(indices: list[int]) -> Callable[[Any], tuple[Number, ...]]:
    if not indices:
        return lambda values: ()
    if len(indices) == 1:
        only = indices[0]
        return lambda values: (values[only],)
    return itemgetter(*indices)


def _extras(frame: Frame) -> Extras | None:
    if not (frame.faults or frame.intervals or frame.via):
        return None
    return Extras(tuple(frame.faults), tuple(frame.intervals.items()), tuple(frame.via))


def encode_row(row: TailRow) -> bytes:
    """Encodes a tail row's body."""
    try:
        return _ENCODE(row)
    except OverflowError:
        # An integer of more than 64 bits.
        groups = [(layout, read, [_spelled(value) for value in values]) for layout, read, values in row.groups]
        return _ENCODE_JSON(_SpelledRow(row.time, row.monotonic, row.full, groups, row.extras))


def _spelled(value: Number) -> int | float | str:
    return value if isinstance(value, int) or math.isfinite(value) else repr(value)


def decode_row(body: bytes) -> TailRow:
    """Undoes `encode_row`.

    Raises:
        Corrupt: it is not such a body.
    """
    try:
        if body[:1] != b"[":
            return _DECODE(body)
        row = _DECODE_JSON(body)
        groups = [
            (layout, read, [float(value) if isinstance(value, str) else value for value in values])
            for layout, read, values in row.groups
        ]
        return TailRow(row.time, row.monotonic, row.full, groups, row.extras)
    except msgspec.MsgspecError as error:
        raise Corrupt(f"a row of the tail does not decode: {error}") from error


def decode_part(body: bytes, layouts: Collection[int]) -> TailRow:
    """Undoes `encode_row` for the groups of some layouts, and without extras.

    Raises:
        Corrupt: it is not such a body.
    """
    if body[:1] == b"[":
        row = decode_row(body)
        groups = [group for group in row.groups if group[0] in layouts]
        return TailRow(row.time, row.monotonic, row.full, groups)
    try:
        part = _DECODE_PART(body)
        groups = [(layout, read, _DECODE_VALUES(values)) for layout, read, values in part.groups if layout in layouts]
    except msgspec.MsgspecError as error:
        raise Corrupt(f"a row of the tail does not decode: {error}") from error
    return TailRow(part.time, part.monotonic, part.full, groups)


def build_frame(
    host: str,
    boot: str,
    run: str,
    seq: int,
    row: TailRow,
    keys_of: Mapping[int, tuple[tuple[str, ...], str]],
) -> Frame:
    """Builds the frame of a tail row. `keys_of`: layout -> (series keys, collector)."""
    readings: dict[str, Number] = {}
    reads: dict[str, int] = {}
    for layout, read, values in row.groups:
        keys, collector = keys_of[layout]
        readings.update(zip(keys, values, strict=True))
        if read is not None:
            reads[collector] = read
    extras = row.extras or Extras()
    return Frame(
        host=host,
        boot=boot,
        run=run,
        seq=seq,
        time=row.time,
        monotonic=row.monotonic,
        readings=readings,
        reads=reads,
        full=row.full,
        intervals=dict(extras.intervals),
        faults=list(extras.faults),
        via=list(extras.via),
    )
