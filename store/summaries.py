"""The summary of a block's head: which frames it holds."""

from __future__ import annotations

import msgspec

Range = tuple[int, int, int, int]
"""First seq, last seq, time of the first, time of the last; all between are held."""

encode_ranges = msgspec.msgpack.Encoder().encode
_DECODE = msgspec.msgpack.Decoder(list[Range]).decode


def decode_ranges(summary: bytes) -> list[Range]:
    """Reads a head's summary."""
    return _DECODE(summary)
