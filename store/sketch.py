"""A small mergeable sketch of a distribution: counts in buckets whose bounds grow by a fixed ratio.

A quantile read from it lies within 2 % of the value at that rank, at any range and after any merging. Values nearer to
0 than 1e-9 count as 0. Counts lie side by side, 32 bits each, in one large integer: merging is a shift and an addition.
"""

from __future__ import annotations

import math
import sys
from array import array
from bisect import bisect_left
from collections import Counter
from itertools import accumulate
from typing import TYPE_CHECKING, NamedTuple

from store.codec import read_varint, unzigzag, write_varint, zigzag

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

ERROR = 0.02
"""Relative error of a quantile."""

_GAMMA = (1 + ERROR) / (1 - ERROR)
_SCALE = 1 / math.log(_GAMMA)
_LEAST = 1e-9
_SHIFT = math.log(1 / _LEAST) * _SCALE
_LANE = 32


class Sketch(NamedTuple):
    """Counts by bucket: how many zeros, the lowest other bucket, and the counts from it on.

    Buckets are ordered as their values are; negative ones hold negative values.
    """

    zeros: int
    low: int
    lanes: int

    @property
    def size(self) -> int:
        """How many values it holds."""
        return self.zeros + sum(_counts(self.lanes))


def bucket_of(value: float) -> int:
    """Returns the bucket that a finite value falls into; 0 holds 0."""
    if value > _LEAST:
        return math.ceil(math.log(value) * _SCALE + _SHIFT) + 1
    if value < -_LEAST:
        return -math.ceil(math.log(-value) * _SCALE + _SHIFT) - 1
    return 0


def value_of(bucket: int) -> float:
    """Returns the value that stands for a bucket."""
    if not bucket:
        return 0.0
    size = _LEAST * _GAMMA ** (abs(bucket) - 1) * 2 / (_GAMMA + 1)
    return size if bucket > 0 else -size


def sketch_of(values: Iterable[float]) -> Sketch:
    """Returns the sketch of some values."""
    counts = Counter(map(bucket_of, values))
    zeros = counts.pop(0, 0)
    if not counts:
        return Sketch(zeros, 0, 0)
    low = min(counts)
    lanes = array("I", bytes(4 * (max(counts) - low + 1)))
    for bucket, count in counts.items():
        lanes[bucket - low] = count
    return Sketch(zeros, low, _lanes(lanes))


def single(bucket: int, count: int) -> Sketch:
    """Returns the sketch of `count` values of one bucket."""
    return Sketch(0, bucket, count) if bucket else Sketch(count, 0, 0)


def merged(sketches: Sequence[Sketch]) -> Sketch:
    """Returns the sketch of all that some sketches hold."""
    zeros = sum(each.zeros for each in sketches)
    held = [each for each in sketches if each.lanes]
    if not held:
        return Sketch(zeros, 0, 0)
    low = min(each.low for each in held)
    return Sketch(zeros, low, sum(each.lanes << _LANE * (each.low - low) for each in held))


def quantile(sketch: Sketch, part: float, least: float, greatest: float) -> float:
    """Returns the value at rank ceil(part * size), kept within the least and greatest value known."""
    counts = _counts(sketch.lanes)
    below = max(0, min(len(counts), -sketch.low)) if sketch.low < 0 else 0
    if sketch.zeros:
        # Zeros belong between negative and positive values.
        sums = [*accumulate([*counts[:below], sketch.zeros, *counts[below:]])]
    else:
        sums = [*accumulate(counts)]
    if not sums:
        return greatest
    index = bisect_left(sums, math.ceil(part * sums[-1]))
    if sketch.zeros and index >= below:
        bucket = 0 if index == below else sketch.low + index - 1
    else:
        bucket = sketch.low + index
    return min(max(value_of(bucket), least), greatest)


def exact_quantile(values: Iterable[float], part: float) -> float:
    """Returns the value at rank ceil(part * count) of at least one value."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(part * len(ordered)) - 1)]


def encode_sketch(sketch: Sketch) -> bytes:
    """Encodes a sketch: how many lanes and zeros, the lowest bucket, bytes a lane has, the lanes."""
    out = bytearray()
    counts = _counts(sketch.lanes)
    write_varint(out, len(counts) + 1)
    write_varint(out, sketch.zeros)
    if counts:
        write_varint(out, zigzag(sketch.low))
        wide = max(counts) > 0xFF
        out.append(4 if wide else 1)
        out += _bytes(sketch.lanes, len(counts)) if wide else bytes(counts)
    return bytes(out)


NOTHING = b"\x00"
"""Stands where a cell needs no sketch, as one bucket holds all."""


def decode_sketch(data: bytes, at: int) -> tuple[Sketch | None, int]:
    """Decodes a sketch or `NOTHING` from position `at`; returns it and the position after it."""
    count = data[at]
    if count < 0x80:
        at += 1
    else:
        count, at = read_varint(data, at)
    if not count:
        return None, at
    zeros = data[at]
    if zeros < 0x80:
        at += 1
    else:
        zeros, at = read_varint(data, at)
    count -= 1
    if not count:
        return Sketch(zeros, 0, 0), at
    low, at = read_varint(data, at)
    width = data[at]
    at += 1
    end = at + count * width
    if width == 1:
        wide = bytearray(4 * count)
        wide[::4] = data[at:end]
        return Sketch(zeros, unzigzag(low), int.from_bytes(wide, "little")), end
    return Sketch(zeros, unzigzag(low), int.from_bytes(data[at:end], "little")), end


def skip_sketch(data: bytes, at: int) -> int:
    """Returns the position after a sketch or `NOTHING`."""
    count, at = read_varint(data, at)
    if not count:
        return at
    _, at = read_varint(data, at)
    if count == 1:
        return at
    _, at = read_varint(data, at)
    return at + 1 + (count - 1) * data[at]


def _counts(lanes: int) -> list[int]:
    cells = array("I")
    cells.frombytes(_bytes(lanes, (lanes.bit_length() + _LANE - 1) // _LANE))
    if sys.byteorder == "big":
        cells.byteswap()
    return cells.tolist()


def _bytes(lanes: int, count: int) -> bytes:
    return lanes.to_bytes(count * 4, "little")


def _lanes(counts: array[int]) -> int:
    if sys.byteorder == "big":
        counts.byteswap()
    return int.from_bytes(counts.tobytes(), "little")
