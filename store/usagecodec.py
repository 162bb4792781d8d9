"""Usage as few bytes: one counter's buckets over a stretch of time (a page), or what one block adds to many counters.

Times lie at even distances and hardly cost anything; the bytes are cut into planes as the readings are. In a block the
buckets that most counters share are columns of a table, the rest are listed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from store.codec import (
    compress,
    decode_ints,
    decompress,
    encode_ints,
    planes,
    read_varint,
    unplanes,
    unzigzag,
    write_varint,
)
from sysmon.errors import Corrupt

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

_WIDE = 0xFF
"""Instead of the head of `encode_ints`: numbers whose differences need more than eight bytes, as they are."""

_NOTHING = b"\0\0"
"""What numbers are packed as that are all 0."""

_SHARED = 4
"""A bucket becomes a column where one in so many counters has it."""

Bucket = tuple[int, int]
"""Start and length, milliseconds."""


class Page:
    """One counter's buckets, packed.

    Attributes:
        count: how many.
        times: what their starts and lengths are packed as; equal for counters with the same buckets.
    """

    def __init__(self, blob: bytes) -> None:
        data = decompress(blob)
        try:
            self.count, at = read_varint(data, 0)
            size, at = read_varint(data, at)
        except IndexError as error:
            raise Corrupt("a page of usage is damaged") from error
        self._data = data
        self._rest = at + size
        self.times = self.count, data[at : at + size]

    def buckets(self) -> tuple[list[int], list[int]]:
        """Returns the starts, ascending, and the lengths."""
        starts, at = _get(self.times[1], 0, self.count)
        return starts, _get(self.times[1], at, self.count)[0]

    def values(self) -> tuple[list[int], list[int] | None]:
        """Returns bytes and marks; None where there are no marks."""
        if self._data.startswith(_NOTHING, self._rest):
            return _get(self._data, self._rest + len(_NOTHING), self.count)[0], None
        marks, at = _get(self._data, self._rest, self.count)
        return _get(self._data, at, self.count)[0], marks if any(marks) else None


def encode_page(starts: Sequence[int], lengths: Sequence[int], sizes: Sequence[int], marks: Sequence[int]) -> bytes:
    """Packs one counter's buckets, ordered by start; bytes from 0 to below 2**63, marks as `usagepages` counts them."""
    times = bytearray()
    _put(times, starts)
    _put(times, lengths)
    out = bytearray()
    write_varint(out, len(starts))
    write_varint(out, len(times))
    out += times
    _put(out, marks)
    _put(out, sizes)
    return compress(bytes(out))


class Listed(NamedTuple):
    """One counter's bytes in one bucket that few others have."""

    counter: int
    start: int
    length: int
    bytes: int
    flags: int


class Added(NamedTuple):
    """What a block adds.

    Attributes:
        counters: numbers of those in the table.
        buckets: the table's columns.
        sizes, flags: of the table, bucket by bucket, a value per counter; 0 and no flag is nothing at all. No flags
            where nothing has one.
        listed: what is not in the table.
    """

    counters: tuple[int, ...]
    buckets: list[Bucket]
    sizes: list[int]
    flags: list[int] | None
    listed: list[Listed]

    def each(self) -> Iterable[Listed]:
        """Yields all that it adds, one by one."""
        count = len(self.counters)
        for column, (start, length) in enumerate(self.buckets):
            low = column * count
            for row, counter in enumerate(self.counters, start=low):
                size, flag = self.sizes[row], self.flags[row] if self.flags is not None else 0
                if size or flag:
                    yield Listed(counter, start, length, size, flag)
        yield from self.listed


def encode_added(entries: Mapping[Bucket, Mapping[int, tuple[int, int]]]) -> bytes:
    """Packs what a block adds: bucket -> counter -> (bytes, flags)."""
    counters = sorted({counter for held in entries.values() for counter in held})
    shared = sorted(bucket for bucket, held in entries.items() if len(held) * _SHARED >= len(counters))
    table = [entries[bucket].get(counter, (0, 0)) for bucket in shared for counter in counters]
    listed = [
        Listed(counter, *bucket, *values)
        for bucket, held in sorted(entries.items())
        if len(held) * _SHARED < len(counters)
        for counter, values in sorted(held.items())
    ]
    out = bytearray()
    for count in (len(counters), len(shared), len(listed)):
        write_varint(out, count)
    _put(out, counters)
    _put(out, [start for start, _ in shared])
    _put(out, [length for _, length in shared])
    _put(out, [flags for _, flags in table])
    _put(out, [size for size, _ in table])
    for field in zip(*listed, strict=True):
        _put(out, field)
    return compress(bytes(out))


def decode_added(blob: bytes, only: Collection[int] | None = None) -> Added:
    """Undoes `encode_added`. `only`: for these counters, the others stay packed; all by default.

    Raises:
        Corrupt: it is damaged.
    """
    data = decompress(blob)
    try:
        rows, at = read_varint(data, 0)
        columns, at = read_varint(data, at)
        rest, at = read_varint(data, at)
        counters, at = _get(data, at, rows)
        starts, at = _get(data, at, columns)
        lengths, at = _get(data, at, columns)
        if only is None:
            flags, at = _get(data, at, rows * columns)
            sizes, at = _get(data, at, rows * columns)
        else:
            chosen = [row for row, counter in enumerate(counters) if counter in only]
            cells = [column * rows + row for column in range(columns) for row in chosen]
            counters = [counters[row] for row in chosen]
            flags, at = _pick(data, at, rows * columns, cells)
            sizes, at = _pick(data, at, rows * columns, cells)
        fields = []
        for _ in Listed._fields if rest else ():
            field, at = _get(data, at, rest)
            fields.append(field)
    except IndexError as error:
        raise Corrupt("what a block adds to usage is damaged") from error
    buckets = list(zip(starts, lengths, strict=True))
    listed = [Listed(*each) for each in zip(*fields, strict=True)]
    return Added(tuple(counters), buckets, sizes, flags if any(flags) else None, listed)


def _put(out: bytearray, values: Sequence[int]) -> None:
    packed = encode_ints(values)
    if packed is None:
        out.append(_WIDE)
        out += planes(values, 8)
    else:
        out += packed


def _pick(data: bytes, at: int, count: int, places: Sequence[int]) -> tuple[list[int], int]:
    """Does as `_get` for the numbers at some places only."""
    if not count or data[at] >> 4:
        values, at = _get(data, at, count)
        return [values[place] for place in places], at
    width = data[at] & 15
    zigzagged, at = read_varint(data, at + 1)
    least = unzigzag(zigzagged)
    if not width:
        return [least] * len(places), at
    divisor, at = read_varint(data, at)
    end = at + count * width
    return [int.from_bytes(data[at + place : end : count], "little") * divisor + least for place in places], end


def _get(data: bytes, at: int, count: int) -> tuple[list[int], int]:
    if count and data[at] == _WIDE:
        return unplanes(data, at + 1, count, 8), at + 1 + count * 8
    return decode_ints(data, at, count)
