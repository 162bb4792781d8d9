"""Derivation by column gives what `State` gives frame by frame."""

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from sysmon.catalogue import Catalogue, Formula, counter, derived, gauge, rate
from sysmon.columns import derive_column, increases
from sysmon.derive import State
from sysmon.frame import Frame, Number

METRICS = (
    counter("a", "", ""),
    counter("b", "", ""),
    counter("c", "", ""),
    gauge("g", "", ""),
    gauge("h", "", ""),
    rate("a_rate", "a", "/s", ""),
    derived("both_rate", "/s", "", Formula("rate", ("a", "b"))),
    derived("busy", "ratio", "", Formula("delta_ratio", ("a", "b"), ("a", "b", "c"), 1.0)),
    derived("part", "ratio", "", Formula("value_ratio", ("g",), ("g", "h"))),
)
CATALOGUE = Catalogue(msgspec.structs.replace(metric, collector="x") for metric in METRICS)
NUMBERS = st.one_of(st.integers(0, 50), st.floats(0, 50).map(lambda value: round(value, 2)))
ROWS = st.lists(
    st.tuples(st.fixed_dictionaries({}, optional=dict.fromkeys("abcgh", NUMBERS)), st.integers(1, 3)),
    min_size=1,
    max_size=12,
)


@given(ROWS)
def test_columns_agree_with_the_state(rows: list[tuple[dict[str, Number], int]]) -> None:
    state, monotonic = State(CATALOGUE), 0
    wanted: list[dict[str, float]] = []
    reads: list[int] = []
    for seq, (readings, seconds) in enumerate(rows, start=1):
        monotonic += seconds * 10**9
        reads.append(monotonic)
        state.apply(
            Frame(
                host="h",
                boot="b",
                run="r",
                seq=seq,
                time=seq,
                monotonic=monotonic,
                readings=readings,
                reads={"x": monotonic},
            )
        )
        wanted.append(dict(state.derived()))
    columns = {key: [readings.get(key) for readings, _ in rows] for key in "abcgh"}
    seen = {key for key, column in columns.items() if any(value is not None for value in column)}
    for metric in CATALOGUE:
        formula = metric.formula
        if formula is None:
            continue
        whole = formula.kind == "value_ratio"
        over = [columns[key] for key in formula.over if whole or key in seen]
        per = [columns[key] for key in formula.per if whole or key in seen]
        if not over or (formula.per and not per):
            assert all(metric.name not in row for row in wanted)
            continue
        found = derive_column(formula, over, per, reads)
        assert found.values == [row.get(metric.name) for row in wanted]
        for value, top, bottom in zip(*found, strict=True):
            assert (value is None) == (top is None) == (bottom is None)


def test_a_counter_that_falls_has_no_increase() -> None:
    assert increases([1, 5, 3, 4]) == [None, 4, None, 1]
    assert increases([1, None, 3, 4]) == [None, None, None, 1]
    assert increases([]) == []
