"""A block: ten minutes of one run's frames, as rows of the tail or as sealed columns, and the ways between the two.

Every collector's readings are a *group*: the rows (positions of frames in the block) at which it read, the time of each
read, and the values. Sealed, a group is one stream of columns; the block's *head* keeps what belongs to the frames
themselves.
"""

from __future__ import annotations

import struct
from itertools import compress as select
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from store.codec import compress, decode_column, decompress, encode_column, read_varint, write_varint
from store.tail import Extras, TailRow, decode_part, decode_row
from sysmon.errors import Corrupt
from sysmon.frame import Frame, Number

if TYPE_CHECKING:
    from collections.abc import Collection, Generator, Iterable, Mapping, Sequence

_AT_ONCE = 64
"""Columns encoded in one step."""

_EXTRAS = msgspec.msgpack.Decoder(list[Extras])


class Group:
    """What one collector gave within a block, row by row.

    `keys[i]` names the series of `values[i]`; rows mostly share one tuple of keys.
    """

    __slots__ = ("keys", "reads", "rows", "values")

    def __init__(self) -> None:
        self.rows: list[int] = []
        self.reads: list[int | None] = []
        self.keys: list[tuple[str, ...]] = []
        self.values: list[Sequence[Number]] = []

    def append(self, row: int, read: int | None, keys: tuple[str, ...], values: Sequence[Number]) -> None:
        """Adds one read."""
        self.rows.append(row)
        self.reads.append(read)
        self.keys.append(keys)
        self.values.append(values)

    def all_keys(self) -> tuple[str, ...]:
        """Returns every series that some row has, sorted."""
        kinds = set(self.keys)
        return next(iter(kinds)) if len(kinds) == 1 else tuple(sorted({key for keys in kinds for key in keys}))

    def columns(self, wanted: Sequence[str]) -> list[list[Number | None]]:
        """Returns the values of the wanted series, None where a row has none."""
        kinds = set(self.keys)
        if len(kinds) == 1:
            only = next(iter(kinds))
            whole = dict(zip(only, zip(*self.values, strict=True), strict=True)) if only else {}
            missing: list[Number | None] = [None] * len(self.rows)
            return [list(whole[key]) if key in whole else missing for key in wanted]
        rows = [dict(zip(keys, values, strict=True)) for keys, values in zip(self.keys, self.values, strict=True)]
        return [[row.get(key) for row in rows] for key in wanted]


class Block:
    """Frames of one run, ordered by seq."""

    def __init__(self) -> None:
        self.seqs: list[int] = []
        self.ats: list[int] = []
        self.times: list[int] = []
        self.monotonics: list[int] = []
        self.fulls: list[bool] = []
        self.extras: list[Extras | None] = []
        self.groups: dict[str, Group] = {}

    def append(self, seq: int, at: int, row: TailRow, layouts: Mapping[int, tuple[tuple[str, ...], str]]) -> None:
        """Adds one frame from its tail row."""
        position = self._append_head(seq, at, row.time, row.monotonic, row.full, row.extras)
        for layout, read, values in row.groups:
            keys, name = layouts[layout]
            group = self.groups.get(name)
            if group is None:
                group = self.groups[name] = Group()
            group.append(position, read, keys, values)

    def _append_head(self, seq: int, at: int, time: int, monotonic: int, full: bool, extras: Extras | None) -> int:
        self.seqs.append(seq)
        self.ats.append(at)
        self.times.append(time)
        self.monotonics.append(monotonic)
        self.fulls.append(full)
        self.extras.append(extras)
        return len(self.seqs) - 1

    def merged(self, other: Block) -> Block:
        """Returns the frames of both, ordered by seq, each once."""
        places: dict[int, tuple[Block, int]] = {}
        for block in (other, self):
            for position, seq in enumerate(block.seqs):
                places[seq] = (block, position)
        made = Block()
        moved: dict[int, dict[int, int]] = {id(self): {}, id(other): {}}
        for seq in sorted(places):
            block, position = places[seq]
            moved[id(block)][position] = made._append_head(
                seq,
                block.ats[position],
                block.times[position],
                block.monotonics[position],
                block.fulls[position],
                block.extras[position],
            )
        for name in {**self.groups, **other.groups}:
            entries: list[tuple[int, Group, int]] = []
            for block in (self, other):
                group = block.groups.get(name)
                if group is not None:
                    to = moved[id(block)]
                    entries += [(to[row], group, index) for index, row in enumerate(group.rows) if row in to]
            entries.sort(key=lambda entry: entry[0])
            made.groups[name] = merged = Group()
            for row, group, index in entries:
                merged.append(row, group.reads[index], group.keys[index], group.values[index])
        return made

    def ranges(self) -> list[tuple[int, int, int, int]]:
        """Returns the ranges of seqs without holes: (first, last, time of the first, time of the last)."""
        found: list[tuple[int, int, int, int]] = []
        start = 0
        for position in range(1, len(self.seqs) + 1):
            if position == len(self.seqs) or self.seqs[position] != self.seqs[position - 1] + 1:
                end = position - 1
                found.append((self.seqs[start], self.seqs[end], self.ats[start], self.ats[end]))
                start = position
        return found

    def frames(self, host: str, boot: str, run: str, positions: Sequence[int] | None = None) -> list[Frame]:
        """Builds the frames at the given positions (all by default)."""
        chosen = range(len(self.seqs)) if positions is None else positions
        made: dict[int, Frame] = {}
        for position in chosen:
            extras = self.extras[position] or Extras()
            made[position] = Frame(
                host=host,
                boot=boot,
                run=run,
                seq=self.seqs[position],
                time=self.times[position],
                monotonic=self.monotonics[position],
                full=self.fulls[position],
                readings={},
                reads={},
                intervals=dict(extras.intervals),
                faults=list(extras.faults),
                via=list(extras.via),
            )
        for name, group in self.groups.items():
            for row, read, keys, values in zip(group.rows, group.reads, group.keys, group.values, strict=True):
                frame = made.get(row)
                if frame is not None:
                    frame.readings.update(zip(keys, values, strict=True))
                    if read is not None:
                        frame.reads[name] = read
        return list(made.values())


class SealedGroup(NamedTuple):
    """A group's columns, still packed: each is decoded when asked for."""

    keys: tuple[str, ...]
    data: bytes
    offsets: list[int]
    rows: list[int]
    reads: list[int | None]

    def column(self, index: int) -> list[Number | None]:
        """Returns the values of the series `keys[index]`."""
        return decode_column(self.data, self.offsets[index + 2], len(self.rows))


def block_of_tail(
    rows: Iterable[tuple[int, int, bytes]],
    layouts: Mapping[int, tuple[tuple[str, ...], str]],
    mask: int,
    only: Collection[str] | None = None,
) -> Block:
    """Builds a block from tail rows (id, at, body), ordered by id; `mask` gives the seq of an id. `only`: with the
    groups of these collectors, and without extras.
    """
    made = Block()
    if only is None:
        for number, at, body in rows:
            made.append(number & mask, at, decode_row(body), layouts)
        return made
    wanted = {number for number, (_, name) in layouts.items() if name in only}
    for number, at, body in rows:
        made.append(number & mask, at, decode_part(body, wanted), layouts)
    return made


def encode_head(block: Block) -> bytes:
    """Encodes what belongs to the frames themselves."""
    distinct: dict[Extras, int] = {}
    index = [0 if each is None else distinct.setdefault(each, len(distinct) + 1) for each in block.extras]
    columns: list[Sequence[Number | None]] = [
        block.seqs,
        block.ats,
        block.times,
        block.monotonics,
        [int(full) for full in block.fulls],
        index,
    ]
    packed = [encode_column(column) for column in columns]
    return compress(_join(len(block.seqs), [*packed, msgspec.msgpack.encode(list(distinct))]))


def decode_head(blob: bytes) -> Block:
    """Undoes `encode_head`; the block has no groups yet.

    Raises:
        Corrupt: it is damaged.
    """
    data = decompress(blob)
    count, offsets = _parts(data)
    made = _clocks(data, count, offsets)
    made.times = decode_column(data, offsets[2], count)  # type: ignore[assignment]
    distinct = [None, *_EXTRAS.decode(data[offsets[6] :])]
    made.extras = [distinct[int(index or 0)] for index in decode_column(data, offsets[5], count)]
    return made


def decode_clocks(blob: bytes) -> Block:
    """Undoes `encode_head` as far as columns need it: seqs, times in the history, boot clock, which frames are full."""
    data = decompress(blob)
    return _clocks(data, *_parts(data))


def _clocks(data: bytes, count: int, offsets: list[int]) -> Block:
    made = Block()
    made.seqs, made.ats, made.monotonics = (  # type: ignore[assignment]
        decode_column(data, offsets[part], count) for part in (0, 1, 3)
    )
    made.fulls = [bool(full) for full in decode_column(data, offsets[4], count)]
    return made


def encode_group(group: Group, monotonics: Sequence[int]) -> Generator[None, None, tuple[tuple[str, ...], bytes]]:
    """Encodes a group in small steps; returns its series and the data."""
    keys = group.all_keys()
    columns = group.columns(keys)
    yield
    # Reads are stamped with the tick that asked for them, so most lie at distance 0 of it.
    reads = [
        None if read is None else read - monotonics[row] for row, read in zip(group.rows, group.reads, strict=True)
    ]
    packed = [encode_column(group.rows), encode_column(reads)]
    for count, column in enumerate(columns, start=1):
        packed.append(encode_column(column))
        if count % _AT_ONCE == 0:
            yield
    return keys, compress(_join(len(group.rows), packed))


def decode_group(blob: bytes, keys: tuple[str, ...], monotonics: Sequence[int]) -> SealedGroup:
    """Undoes `encode_group`, but for the columns.

    Raises:
        Corrupt: it is damaged.
    """
    data = decompress(blob)
    count, offsets = _parts(data)
    rows: list[int] = decode_column(data, offsets[0], count)  # type: ignore[assignment]
    distances = decode_column(data, offsets[1], count)
    if not any(distances) and None not in distances:
        # All were asked for at their frame's tick.
        return SealedGroup(keys, data, offsets, rows, [monotonics[row] for row in rows])
    reads: list[int | None] = [
        None if distance is None else int(distance) + monotonics[row]
        for row, distance in zip(rows, distances, strict=True)
    ]
    return SealedGroup(keys, data, offsets, rows, reads)


def unseal_group(sealed: SealedGroup) -> Group:
    """Turns columns back into rows."""
    made = Group()
    made.rows, made.reads = sealed.rows, sealed.reads
    keys = sealed.keys
    if not keys:
        made.keys = [()] * len(sealed.rows)
        made.values = [()] * len(sealed.rows)
        return made
    columns = [sealed.column(index) for index in range(len(keys))]
    whole: list[tuple[Number | None, ...]] = list(zip(*columns, strict=True))
    shared: dict[tuple[str, ...], tuple[str, ...]] = {keys: keys}
    for values in whole:
        if None in values:
            present = [value is not None for value in values]
            kept = tuple(select(keys, present))
            made.keys.append(shared.setdefault(kept, kept))
            made.values.append([value for value in values if value is not None])
        else:
            made.keys.append(keys)
            made.values.append(values)  # type: ignore[arg-type]
    return made


def _join(count: int, parts: Sequence[bytes]) -> bytes:
    out = bytearray()
    write_varint(out, count)
    write_varint(out, len(parts))
    out += struct.pack(f"<{len(parts)}I", *map(len, parts))
    return bytes(out) + b"".join(parts)


def _parts(data: bytes) -> tuple[int, list[int]]:
    try:
        count, at = read_varint(data, 0)
        parts, at = read_varint(data, at)
        lengths = struct.unpack_from(f"<{parts}I", data, at)
    except (IndexError, struct.error) as error:
        raise Corrupt("a block's directory is damaged") from error
    at += parts * 4
    offsets = []
    for length in lengths:
        offsets.append(at)
        at += length
    return count, offsets
