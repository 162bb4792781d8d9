"""Columns come back as they were: values, types, holes."""

import math
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from store.codec import (
    bitmap,
    compress,
    decimals_of,
    decode_column,
    decompress,
    encode_column,
    unbitmap,
)
from sysmon.errors import Corrupt
from sysmon.frame import Number

DECIMALS = st.floats(-1e6, 1e6).map(lambda value: round(value, 2))
NUMBERS = st.one_of(st.integers(-(2**70), 2**70), st.integers(0, 1000), st.floats(allow_nan=False), DECIMALS, st.none())
COUNTERS = st.lists(st.integers(0, 2**40), min_size=1).map(
    lambda steps: [sum(steps[: end + 1]) for end in range(len(steps))]
)


def same(left: Sequence[Number | None], right: Sequence[Number | None]) -> bool:
    """Whether two columns are equal, types and the sign of zero too."""
    return [(type(value), value, math.copysign(1, value or 0)) for value in left] == [
        (type(value), value, math.copysign(1, value or 0)) for value in right
    ]


@given(st.one_of(st.lists(NUMBERS), st.lists(DECIMALS), COUNTERS, st.lists(st.integers(-(2**63), 2**64 - 1))))
def test_a_column_comes_back(column: list[Number | None]) -> None:
    packed = b"##" + encode_column(column) + b"rest"
    assert same(decode_column(packed, 2, len(column)), column)


def test_a_steady_counter_costs_nothing_per_sample() -> None:
    assert len(encode_column(list(range(0, 600 * 4096, 4096)))) < 10


def test_decimals_are_kept_as_integers() -> None:
    assert decimals_of([0.1, 2.35, 7.0]) == 2
    assert decimals_of([1 / 3]) is None
    assert len(encode_column([round(20 + index % 7 / 10, 1) for index in range(600)])) < 620


@given(st.lists(st.booleans()))
def test_flags_come_back(flags: list[bool]) -> None:
    assert unbitmap(b"x" + bitmap(flags), 1, len(flags)) == flags


@given(st.binary())
def test_damage_is_noticed(data: bytes) -> None:
    assert decompress(compress(data)) == data
    with pytest.raises(Corrupt):
        decompress(b"\x63" + data)
    with pytest.raises(Corrupt):
        decompress(compress(data)[:-1])
