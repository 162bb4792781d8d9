"""Bounds: shares of them, and ceilings for rates."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tui.renderables.scale import nice_ceiling, share


@pytest.mark.parametrize(
    ("peak", "ceiling"), [(0, 1), (1, 1), (1.5, 2), (3, 5), (999, 1000), (1000, 1000), (1001, 2000), (4.9e6, 5e6)]
)
def test_ceilings_are_easy_to_label(peak: float, ceiling: float) -> None:
    assert nice_ceiling([peak], 1) == ceiling


def test_ceilings_of_bytes_are_powers_of_1024() -> None:
    assert [nice_ceiling([peak], 1024, base=1024) for peak in (0, 1025, 3000, 600 * 1024, (1 << 20) + 1)] == [
        1024,
        2048,
        5120,
        1 << 20,
        2 << 20,
    ]


def test_a_ceiling_falls_only_when_the_values_are_well_below_the_lower_one() -> None:
    assert nice_ceiling([1.9], 1, previous=5) == 5
    assert nice_ceiling([1.3], 1, previous=5) == 2
    assert nice_ceiling([1.9], 1, previous=500) == 5
    assert nice_ceiling([5.1], 1, previous=5) == 10


def test_missing_values_do_not_count() -> None:
    assert nice_ceiling([None, float("nan"), float("inf"), 3], 1) == 5
    assert nice_ceiling([], 64) == 100


@given(
    st.lists(st.one_of(st.none(), st.floats())),
    st.floats(1e-3, 1e12),
    st.one_of(st.none(), st.floats(1e-3, 1e18)),
    st.sampled_from([1000, 1024]),
)
def test_a_ceiling_holds_every_value(
    values: list[float | None], floor: float, previous: float | None, base: int
) -> None:
    ceiling = nice_ceiling(values, floor, previous=previous, base=base)
    finite = [value for value in values if value is not None and abs(value) < float("inf")]
    assert ceiling >= max([floor, *finite]) * (1 - 1e-12)
    assert nice_ceiling(values, floor, previous=ceiling, base=base) == ceiling


@given(st.floats(), st.floats(), st.floats())
def test_a_share_is_within_0_and_1(value: float, low: float, high: float) -> None:
    assert 0 <= share(value, low, high) <= 1
