"""The sketch keeps its promise of 2 % at every quantile, after any merging."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from store.sketch import bucket_of, decode_sketch, encode_sketch, exact_quantile, merged, quantile, sketch_of, value_of

VALUES = st.lists(
    st.one_of(st.floats(-1e12, 1e12), st.floats(1e-6, 1e3), st.integers(0, 5), st.just(0.0)), min_size=1, max_size=300
)


@given(VALUES, st.sampled_from([0.01, 0.5, 0.95, 0.99, 1.0]))
def test_a_quantile_is_within_two_percent(values: list[float], part: float) -> None:
    found = quantile(sketch_of(values), part, min(values), max(values))
    assert math.isclose(found, exact_quantile(values, part), rel_tol=0.0201, abs_tol=2e-9)


@given(st.lists(VALUES, min_size=1, max_size=6))
def test_merging_is_the_sketch_of_all(parts: list[list[float]]) -> None:
    whole = sketch_of([value for part in parts for value in part])
    together = merged([sketch_of(part) for part in parts])
    assert together == whole
    assert together.size == sum(map(len, parts))


@given(VALUES)
def test_a_sketch_comes_back(values: list[float]) -> None:
    sketch = sketch_of(values)
    packed = b"#" + encode_sketch(sketch)
    assert decode_sketch(packed + b"rest", 1) == (sketch, len(packed))


@given(st.floats(1e-8, 1e15))
def test_buckets_stand_for_their_values(value: float) -> None:
    assert value_of(bucket_of(value)) == pytest.approx(value, rel=0.0201)
    assert value_of(bucket_of(-value)) == pytest.approx(-value, rel=0.0201)


def test_many_of_one_value_need_wider_lanes() -> None:
    sketch = sketch_of([1.0] * 900 + [2.0] * 3)
    assert decode_sketch(encode_sketch(sketch), 0)[0] == sketch
