"""Columns of numbers as few bytes, without loss.

A column of integers becomes differences (of order 0, 1 or 2, whichever repeats itself most), less their least, divided
by their greatest common divisor, cut into byte planes; decimals are scaled to integers first; what is neither stays
float64, in planes too. Many columns are then compressed as one stream.
"""

from __future__ import annotations

import math
import struct
import sys
import zlib
from array import array
from itertools import accumulate
from operator import sub
from typing import TYPE_CHECKING

from sysmon.errors import Corrupt

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sysmon.frame import Number

ZLIB = 1
"""Codec byte of a zlib stream; other numbers are free for what Python may bring."""

_INT, _DECIMAL, _FLOAT, _MIXED, _TEXT = range(5)
_DECIMALS = (0, 1, 2, 3, 4, 6, 9)
_SWAP = sys.byteorder == "big"
_TYPECODE = {1: "B", 2: "H", 3: "I", 4: "I", 5: "Q", 6: "Q", 7: "Q", 8: "Q"}


def compress(data: bytes) -> bytes:
    """Compresses a stream behind its codec byte."""
    return bytes((ZLIB,)) + zlib.compress(data, 6)


def decompress(blob: bytes) -> bytes:
    """Returns what `compress` was given.

    Raises:
        Corrupt: damaged, or of an unknown codec.
    """
    if not blob or blob[0] != ZLIB:
        raise Corrupt(f"a block has unknown codec {blob[0] if blob else 'none'}")
    try:
        return zlib.decompress(memoryview(blob)[1:])
    except zlib.error as error:
        raise Corrupt(f"a block does not decompress: {error}") from error


def write_varint(out: bytearray, value: int) -> None:
    """Appends a number >= 0, seven bits a byte."""
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)


def read_varint(data: bytes, at: int) -> tuple[int, int]:
    """Reads a number; returns it and the position after it."""
    byte = data[at]
    at += 1
    if byte < 0x80:
        return byte, at
    value, shift = byte & 0x7F, 7
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7


def zigzag(value: int) -> int:
    """Maps 0, -1, 1, -2 … to 0, 1, 2, 3 …, without a bound."""
    return value << 1 if value >= 0 else (-value << 1) - 1


def unzigzag(value: int) -> int:
    """Undoes `zigzag`."""
    return value >> 1 if not value & 1 else -((value + 1) >> 1)


def planes(values: Sequence[int], width: int) -> bytes:
    """Cuts numbers of 0 <= value < 256**width into `width` planes, lowest bytes first."""
    if not width:
        return b""
    cells = array(_TYPECODE[width], values)
    if _SWAP:
        cells.byteswap()
    data = cells.tobytes()
    size = cells.itemsize
    return data if size == 1 else b"".join(data[plane::size] for plane in range(width))


def unplanes(data: bytes, at: int, count: int, width: int) -> list[int]:
    """Undoes `planes` for `count` numbers from position `at`."""
    return gather(data, at, count, count, width)


def gather(data: bytes, at: int, count: int, stride: int, width: int) -> list[int]:
    """Returns `count` numbers whose lowest bytes begin at `at`, each next plane `stride` bytes further."""
    if not width:
        return [0] * count
    if width == 1:
        return list(data[at : at + count])
    cells = array(_TYPECODE[width])
    size = cells.itemsize
    raw = bytearray(count * size)
    for plane in range(width):
        raw[plane::size] = data[at : at + count]
        at += stride
    cells.frombytes(raw)
    if _SWAP:
        cells.byteswap()
    return cells.tolist()


def width_of(highest: int) -> int:
    """Returns how many bytes a number >= 0 needs."""
    return (highest.bit_length() + 7) // 8


def encode_ints(values: Sequence[int]) -> bytes | None:
    """Encodes integers; None where a difference needs more than eight bytes. Their count is not stored."""
    out = bytearray()
    if not values:
        return bytes(out)
    lists = [list(values)]
    distinct = [len(set(lists[0]))]
    for _ in range(2):
        last = lists[-1]
        if distinct[-1] <= 2 or len(last) < 2:
            break
        lists.append(list(map(sub, last[1:], last[:-1])))
        distinct.append(len(set(lists[-1])))
    order = min(range(len(lists)), key=lambda each: (distinct[each], each))
    chosen = lists[order]
    least = min(chosen)
    rest = [value - least for value in chosen] if least else chosen
    divisor = math.gcd(*rest)
    if divisor > 1:
        rest = [value // divisor for value in rest]
    width = width_of(max(rest))
    if width > 8:
        return None
    out.append(order << 4 | width)
    for each in lists[:order]:
        write_varint(out, zigzag(each[0]))
    write_varint(out, zigzag(least))
    if width:
        write_varint(out, divisor)
        out += planes(rest, width)
    return bytes(out)


def decode_ints(data: bytes, at: int, count: int) -> tuple[list[int], int]:
    """Decodes `count` integers from position `at`; returns them and the position after them."""
    if not count:
        return [], at
    head = data[at]
    order, width = head >> 4, head & 15
    at += 1
    firsts = []
    for _ in range(order):
        value, at = read_varint(data, at)
        firsts.append(unzigzag(value))
    value, at = read_varint(data, at)
    least = unzigzag(value)
    left = count - order
    if width:
        divisor, at = read_varint(data, at)
        values = unplanes(data, at, left, width)
        at += left * width
        if divisor > 1:
            values = [value * divisor + least for value in values]
        elif least:
            values = list(map(least.__add__, values))
    else:
        values = [least] * left
    for first in reversed(firsts):
        values = list(accumulate(values, initial=first))
    return values, at


def decimals_of(values: Sequence[float]) -> int | None:
    """Returns the fewest decimals that give back every value exactly, or None."""
    start = 0
    probe = values[:: max(1, len(values) // 8)]
    for sample in (probe, values):
        for index in range(start, len(_DECIMALS)):
            if _exact(sample, 10 ** _DECIMALS[index]):
                start = index
                break
        else:
            return None
    return _DECIMALS[start]


def scaled(values: Sequence[float], decimals: int) -> list[int]:
    """Returns the values as integers of 10**-decimals."""
    power = 10**decimals
    return [round(value * power) for value in values]


def _exact(values: Sequence[float], power: int) -> bool:
    try:
        if power == 1:
            # A whole float beyond 2**53 is as exact as any, but -0.0 and infinities are not whole numbers.
            return all(map(float.is_integer, values)) and not _negative_zero(values)
        return [round(value * power) / power for value in values] == list(values) and not _negative_zero(values)
    except (OverflowError, ValueError):
        return False


def _negative_zero(values: Sequence[float]) -> bool:
    return 0.0 in values and any(value == 0 and math.copysign(1, value) < 0 for value in values)


def encode_numbers(values: Sequence[Number]) -> bytes:
    """Encodes ints and floats so that values and types come back. Their count is not stored."""
    types = set(map(type, values))
    if types <= {int, bool}:
        packed = encode_ints([int(value) for value in values] if bool in types else values)  # type: ignore[arg-type]
        return bytes((_INT,)) + packed if packed is not None else _text(values)
    if types == {float}:
        decimals = decimals_of(values)
        if decimals is not None:
            packed = encode_ints(scaled(values, decimals))
            if packed is not None:
                return bytes((_DECIMAL, decimals)) + packed
        cells = array("d", values)
        if _SWAP:
            cells.byteswap()
        data = cells.tobytes()
        return bytes((_FLOAT,)) + b"".join(data[plane::8] for plane in range(8))
    flags = [isinstance(value, float) for value in values]
    out = bytearray((_MIXED,))
    out += bitmap(flags)
    for wanted in (False, True):
        part = encode_numbers([value for value, flag in zip(values, flags, strict=True) if flag is wanted])
        write_varint(out, len(part))
        out += part
    return bytes(out)


def decode_numbers(data: bytes, at: int, count: int) -> list[Number]:
    """Undoes `encode_numbers` for `count` values from position `at`."""
    kind = data[at]
    if kind == _INT:
        return list(decode_ints(data, at + 1, count)[0])
    if kind == _DECIMAL:
        whole = decode_ints(data, at + 2, count)[0]
        power = 10 ** data[at + 1]
        return [value / power for value in whole] if power > 1 else list(map(float, whole))
    if kind == _FLOAT:
        raw = bytearray(count * 8)
        for plane in range(8):
            raw[plane::8] = data[at + 1 + plane * count : at + 1 + (plane + 1) * count]
        cells = array("d")
        cells.frombytes(raw)
        if _SWAP:
            cells.byteswap()
        return list(cells)
    if kind == _MIXED:
        flags = unbitmap(data, at + 1, count)
        at += 1 + (count + 7) // 8
        parts = []
        for wanted in (False, True):
            size, at = read_varint(data, at)
            parts.append(iter(decode_numbers(data, at, flags.count(wanted))))
            at += size
        return [next(parts[flag]) for flag in flags]
    if kind == _TEXT:
        size = struct.unpack_from("<I", data, at + 1)[0]
        return [int(part) for part in data[at + 5 : at + 5 + size].split(b",")]
    raise Corrupt(f"a column has unknown kind {kind}")


def _text(values: Sequence[Number]) -> bytes:
    text = ",".join(map(str, values)).encode()
    return bytes((_TEXT,)) + struct.pack("<I", len(text)) + text


def bitmap(flags: Sequence[bool]) -> bytes:
    """Packs flags, eight a byte."""
    bits = int("".join("1" if flag else "0" for flag in reversed(flags)) or "0", 2)
    return bits.to_bytes((len(flags) + 7) // 8, "little")


def unbitmap(data: bytes, at: int, count: int) -> list[bool]:
    """Undoes `bitmap`."""
    bits = int.from_bytes(data[at : at + (count + 7) // 8], "little")
    return [character == "1" for character in reversed(f"{bits:0{count}b}"[-count:])] if count else []


def encode_column(values: Sequence[Number | None]) -> bytes:
    """Encodes a column in which some values may be missing."""
    if None not in values:
        return b"\x00" + encode_numbers(values) if values else b"\x00"  # type: ignore[arg-type]
    present = [value for value in values if value is not None]
    head = b"\x01" + bitmap([value is not None for value in values])
    return head + encode_numbers(present) if present else head


def decode_column(data: bytes, at: int, count: int) -> list[Number | None]:
    """Undoes `encode_column` for `count` values from position `at`."""
    if not count:
        return []
    if not data[at]:
        return list(decode_numbers(data, at + 1, count))
    flags = unbitmap(data, at + 1, count)
    held = flags.count(True)
    if not held:
        return [None] * count
    found = iter(decode_numbers(data, at + 1 + (count + 7) // 8, held))
    return [next(found) if flag else None for flag in flags]
