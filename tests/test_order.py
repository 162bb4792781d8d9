"""How tests are dealt to processes: none is lost, the longest begin, modules stay together."""

from __future__ import annotations

from typing import Any, cast

from hypothesis import given
from hypothesis import strategies as st

from tests.order import dealt


class Item:
    """As much of a test as is looked at."""

    def __init__(self, nodeid: str, *marks: str) -> None:
        self.nodeid = nodeid
        self._marks = marks

    def get_closest_marker(self, name: str) -> object:
        """Whether it is marked."""
        return name if name in self._marks else None


def order(items: list[Item], processes: int) -> list[str]:
    """Names of the tests as they are dealt."""
    return [item.nodeid for item in dealt(cast("Any", items), processes)]


MARKS = [(), ("system",), ("system", "slow"), ("slow",)]


@given(
    st.lists(st.tuples(st.sampled_from("abcd"), st.sampled_from(MARKS)), max_size=60),
    st.integers(1, 9),
)
def test_none_is_lost_and_none_comes_twice(given: list[tuple[str, tuple[str, ...]]], processes: int) -> None:
    items = [Item(f"{module}.py::t{number}", *marks) for number, (module, marks) in enumerate(given)]
    found = order(items, processes)
    assert sorted(found) == sorted(item.nodeid for item in items)
    assert processes > 1 or found == [item.nodeid for item in items]


def test_half_of_the_processes_begin_with_what_waits_longest() -> None:
    items = [Item(f"a.py::t{number}") for number in range(20)]
    items += [Item(f"s.py::t{number}", "system") for number in range(4)]
    items += [Item(f"l.py::t{number}", "system", "slow") for number in range(4)]
    found = order(items, 4)
    assert found[:3] == ["l.py::t0", "l.py::t2", "s.py::t0"]
    assert found[7:9] == ["l.py::t1", "l.py::t3"]
    assert found[14:] == [f"a.py::t{number}" for number in range(6, 20)]
