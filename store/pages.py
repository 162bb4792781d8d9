"""Pages of rollups: many series by a few steps of time, as few bytes.

A cell is (size, sum, weight, least, greatest, last, sketch); its mean is sum / weight. Of gauges with decimals all
numbers come back exactly. Of derived series sum and weight are exact (a rate's increase and seconds, a ratio's parts)
while least, greatest and last keep 13 binary digits, that is 0.006 %; so do those of gauges without decimals.
"""

from __future__ import annotations

import struct
from array import array
from itertools import accumulate
from operator import add
from typing import TYPE_CHECKING, NamedTuple

from store.codec import (
    compress,
    decode_ints,
    decompress,
    encode_ints,
    gather,
    planes,
    read_varint,
    width_of,
    write_varint,
    zigzag,
)
from store.sketch import NOTHING, Sketch, decode_sketch, encode_sketch, skip_sketch
from sysmon.errors import Corrupt

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence

    from sysmon.frame import Number

GAUGE, QUOTIENT, FLOAT = 0, 16, 32
"""How a series is kept, added to its decimals: a gauge of such decimals; a derived series whose sum has such decimals;
floats of no known decimals."""

_WEIGHT = 10**6
"""A quotient's weight is kept to the millionth: a rate's seconds to the microsecond."""

_DROPPED = 10
"""Binary digits of a float32 that are dropped: 13 remain."""

_FIELDS = 6
_AT_ONCE = 32
"""Series encoded in one step."""

_TOGETHER = 8
"""Series whose sketches are compressed as one stream: few, for one series is mostly read alone."""


class Cell(NamedTuple):
    """Statistics of one series over one step: how many reads, their sum …

    `sketch` is None where one bucket holds all, and may be encoded already on the way into a page.
    """

    size: int
    sum: Number
    weight: Number
    least: Number
    greatest: Number
    last: Number
    sketch: Sketch | bytes | None


class Rolled(NamedTuple):
    """One series of a page: how it is kept, and its cell at each of the page's times (None: no value then)."""

    kind: int
    cells: Sequence[Cell | None]


def encode_page(times: Sequence[int], series: Sequence[Rolled]) -> Generator[None, None, bytes]:
    """Encodes a page in small steps of work; returns the bytes.

    `times`: each step's number, rising. Their count and every series' length are the same.
    """
    out = bytearray()
    packed_times = encode_ints(times) or b""
    write_varint(out, len(times))
    write_varint(out, len(packed_times))
    out += packed_times
    write_varint(out, len(series))
    kinds = []
    fields: list[list[int]] = [[] for _ in range(_FIELDS)]
    sketches: list[bytes] = []
    for rolled in series:
        kind, rows = _rows(rolled)
        kinds.append(kind)
        total = weight = least = 0
        packed = bytearray()
        for row, cell in zip(rows, rolled.cells, strict=True):
            if row is None or cell is None:
                for field in fields:
                    field.append(0)
                continue
            count, new_total, new_weight, new_least, above, last = row
            differences = (new_total - total, new_weight - weight, new_least - least, above, last)
            fields[0].append(count)
            for field, difference in zip(fields[1:], differences, strict=True):
                field.append(zigzag(difference))
            if kind != FLOAT:
                total, weight = new_total, new_weight
            least = new_least
            if cell.sketch is None:
                packed += NOTHING
            else:
                packed += cell.sketch if isinstance(cell.sketch, bytes) else encode_sketch(cell.sketch)
        sketches.append(bytes(packed))
        if len(sketches) % _AT_ONCE == 0:
            yield
    out += bytes(kinds)
    body = [bytes(out)]
    for field in fields:
        width = width_of(max(field, default=0))
        body.append(bytes((width,)))
        body.append(planes(field, width))
    body.append(struct.pack(f"<{len(sketches)}I", *map(len, sketches)))
    streams = [compress(b"".join(body))]
    together = range(0, len(sketches), _TOGETHER)
    streams += [compress(b"".join(sketches[start : start + _TOGETHER])) for start in together]
    return struct.pack(f"<H{len(streams)}I", len(streams), *map(len, streams)) + b"".join(streams)


_Row = tuple[int, int, int, int, int, int]


def _rows(rolled: Rolled) -> tuple[int, list[_Row | None]]:
    """Returns a series' cells as integers, and how: as asked, or as floats where they would be too large."""
    rows = [None if cell is None else _row(rolled.kind, cell) for cell in rolled.cells]
    if rolled.kind == FLOAT or all(-(2**61) < number < 2**61 for row in rows if row for number in row):
        return rolled.kind, rows
    return FLOAT, [None if cell is None else _row(FLOAT, cell) for cell in rolled.cells]


def _row(kind: int, cell: Cell) -> _Row:
    power = 10 ** (kind & 15)
    if kind < QUOTIENT:
        least = round(cell.least * power)
        above, last = round(cell.greatest * power) - least, round(cell.last * power) - least
        return cell.size, round(cell.sum * power), 0, least, above, last
    least, greatest, last = (float_code(float(value)) for value in (cell.least, cell.greatest, cell.last))
    if kind == FLOAT:
        total, weight = double_code(float(cell.sum)), double_code(float(cell.weight))
    else:
        total, weight = round(cell.sum * power), round(cell.weight * _WEIGHT)
    return cell.size, total, weight, least, greatest - least, last - least


def _values(kind: int, numbers: list[int]) -> list[Number]:
    """Returns what leasts, greatests and lasts stand for."""
    if kind >= QUOTIENT:
        cells = array("f")
        cells.frombytes(array("I", [abs(number) << _DROPPED for number in numbers]).tobytes())
        values: list[Number] = cells.tolist()
        if min(numbers, default=0) < 0:
            values = [-value if number < 0 else value for value, number in zip(values, numbers, strict=True)]
        return values
    return [number / 10**kind for number in numbers] if kind else list(numbers)


class Page:
    """A page whose series are decoded when asked for.

    Raises:
        Corrupt: it is damaged.
    """

    def __init__(self, blob: bytes) -> None:
        try:
            count = struct.unpack_from("<H", blob)[0]
            lengths = struct.unpack_from(f"<{count}I", blob, 2)
            self._blob = blob
            self._starts = list(accumulate(lengths, initial=2 + 4 * count))
            self._data = data = self._stream(0)
            steps, at = read_varint(data, 0)
            size, at = read_varint(data, at)
            self.times, _ = decode_ints(data, at, steps)
            at += size
            self._series, at = read_varint(data, at)
            self._kinds = data[at : at + self._series]
            at += self._series
            self._fields: list[tuple[int, int]] = []
            for _ in range(_FIELDS):
                width = data[at]
                self._fields.append((at + 1, width))
                at += 1 + width * steps * self._series
            self._lengths = struct.unpack_from(f"<{self._series}I", data, at)
        except (IndexError, struct.error) as error:
            raise Corrupt("a page of rollups is damaged") from error
        self._sketches: dict[int, bytes] = {}

    def _stream(self, number: int) -> bytes:
        return decompress(self._blob[self._starts[number] : self._starts[number + 1]])

    def _sketches_of(self, index: int) -> tuple[bytes, int]:
        """Returns the stream that holds a series' sketches, and where they begin."""
        group = index // _TOGETHER
        data = self._sketches.get(group)
        if data is None:
            data = self._sketches[group] = self._stream(group + 1)
        return data, sum(self._lengths[group * _TOGETHER : index])

    def series(self, index: int, *, packed: bool = False) -> Rolled:
        """Returns one series; `packed`: its sketches still encoded, on their way into another page."""
        steps = len(self.times)
        kind = self._kinds[index]
        counts, totals, weights, lows, aboves, lasts = (self._field(field, index, steps) for field in range(_FIELDS))
        power = 10 ** (kind & 15)
        lows = list(accumulate(lows))
        numbers = _values(kind, [*lows, *map(add, lows, aboves), *map(add, lows, lasts)])
        if kind != FLOAT:
            totals, weights = list(accumulate(totals)), list(accumulate(weights))
        data, at = self._sketches_of(index)
        cells: list[Cell | None] = []
        for step, count in enumerate(counts):
            if not count:
                cells.append(None)
                continue
            sketch: Sketch | bytes | None
            if packed:
                begin, at = at, skip_sketch(data, at)
                sketch = data[begin:at] if at > begin + 1 else None
            else:
                sketch, at = decode_sketch(data, at)
            total: Number = totals[step]
            weight: Number = count
            if kind == FLOAT:
                total, weight = double_of(totals[step]), double_of(weights[step])
            else:
                if power > 1:
                    total /= power
                if kind >= QUOTIENT:
                    weight = weights[step] / _WEIGHT
            cells.append(
                Cell(count, total, weight, numbers[step], numbers[step + steps], numbers[step + 2 * steps], sketch)
            )
        return Rolled(kind, cells)

    def _field(self, field: int, index: int, steps: int) -> list[int]:
        start, width = self._fields[field]
        if not width:
            return [0] * steps
        stride = steps * self._series
        first = start + index * steps
        data = self._data
        values = gather(data, first, steps, stride, width)
        return values if not field else [value >> 1 ^ -(value & 1) for value in values]


def float_code(value: float) -> int:
    """Maps a float to an integer of the same order, keeping 13 binary digits."""
    try:
        bits: int = struct.unpack("<I", struct.pack("<f", abs(value)))[0]
    except OverflowError:
        bits = 0x7F7FFFFF
    code = min(bits + (1 << _DROPPED - 1), 0x7F7FFFFF) >> _DROPPED
    return code if value >= 0 else -code


def float_of(code: int) -> float:
    """Undoes `float_code`."""
    value: float = struct.unpack("<f", struct.pack("<I", abs(code) << _DROPPED))[0]
    return value if code >= 0 else -value


def double_code(value: float) -> int:
    """Maps a float to an integer of the same order, without loss."""
    bits: int = struct.unpack("<Q", struct.pack("<d", abs(value)))[0]
    return bits if value >= 0 else -bits


def double_of(code: int) -> float:
    """Undoes `double_code`."""
    value: float = struct.unpack("<d", struct.pack("<Q", abs(code)))[0]
    return value if code >= 0 else -value
