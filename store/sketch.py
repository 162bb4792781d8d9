"""A small mergeable sketch of a distribution: counts in buckets whose bounds grow by a fixed ratio.

A quantile read from it lies within 2 % of the value at that rank, at any range and after any merging. Values nearer to
0 than 1e-9 count as 0.
"""

from __future__ import annotations

import math
from collections import Counter
from typing import TYPE_CHECKING

from store.codec import read_varint, unzigzag, write_varint, zigzag

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

ERROR = 0.02
"""Relative error of a quantile."""

_GAMMA = (1 + ERROR) / (1 - ERROR)
_SCALE = 1 / math.log(_GAMMA)
_LEAST = 1e-9
_SHIFT = math.log(1 / _LEAST) * _SCALE

Sketch = dict[int, int]
"""Bucket -> count. Buckets are ordered as their values are; 0 holds 0, negative ones negative values."""


def bucket_of(value: float) -> int:
    """Returns the bucket that a finite value falls into."""
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
    return Counter(map(bucket_of, values))


def merge(into: Sketch, other: Mapping[int, int]) -> None:
    """Adds one sketch to another."""
    for bucket, count in other.items():
        into[bucket] = into.get(bucket, 0) + count


def quantile(sketch: Mapping[int, int], part: float, least: float, greatest: float) -> float:
    """Returns the value at rank ceil(part * count), kept within the least and greatest value known."""
    rank = math.ceil(part * sum(sketch.values()))
    for bucket in sorted(sketch):
        rank -= sketch[bucket]
        if rank <= 0:
            return min(max(value_of(bucket), least), greatest)
    return greatest


def exact_quantile(values: Iterable[float], part: float) -> float:
    """Returns the value at rank ceil(part * count) of at least one value."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(part * len(ordered)) - 1)]


def encode_sketch(sketch: Mapping[int, int]) -> bytes:
    """Encodes a sketch of at least one bucket: how many, the first, the steps to the next, the counts less one."""
    out = bytearray()
    buckets = sorted(sketch)
    write_varint(out, len(buckets))
    write_varint(out, zigzag(buckets[0]))
    last = buckets[0]
    for bucket in buckets[1:]:
        write_varint(out, bucket - last - 1)
        last = bucket
    for bucket in buckets:
        write_varint(out, sketch[bucket] - 1)
    return bytes(out)


def decode_sketch(data: bytes, at: int) -> tuple[Sketch, int]:
    """Decodes a sketch from position `at`; returns it and the position after it."""
    size, at = read_varint(data, at)
    first, at = read_varint(data, at)
    bucket = unzigzag(first)
    buckets = [bucket]
    for _ in range(size - 1):
        step = data[at]
        if step < 0x80:
            at += 1
        else:
            step, at = read_varint(data, at)
        bucket += step + 1
        buckets.append(bucket)
    counts = data[at : at + size]
    if len(counts) == size and (not size or max(counts) < 0x80):
        return dict(zip(buckets, [count + 1 for count in counts], strict=True)), at + size
    found: Sketch = {}
    for bucket in buckets:
        count, at = read_varint(data, at)
        found[bucket] = count + 1
    return found, at
