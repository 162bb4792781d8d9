"""Arranging processes: orders, branches, groups, and hosts that lie about who is whose child."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sysmon.frame import ProcessRow
from tui.glyphs import ASCII, UNICODE
from tui.processtree import (
    DEEPEST,
    SORTS,
    Item,
    Order,
    ancestors,
    as_before,
    by_pid,
    flat,
    group_of,
    grouped,
    item_key,
    kept_order,
    parents_of,
    tree,
)


def row(pid: int, ppid: int = 0, **values: object) -> ProcessRow:
    """A process that started at its pid's second."""
    return ProcessRow(**{"pid": pid, "ppid": ppid, "started": float(pid), "name": f"p{pid}", **values})  # type: ignore[arg-type]


def pids(items: list[Item]) -> list[int]:
    """The pids of lines from top to bottom."""
    return [item.row.pid for item in items]


FAMILY = [
    row(1, 0, cpu=0.1, memory=10),
    row(2, 1, cpu=0.2, memory=20),
    row(3, 1, cpu=0.3, memory=5),
    row(4, 2, cpu=0.9, memory=1),
    row(5, 2, cpu=None, memory=2),
]


def test_a_list_is_sorted_by_its_column_and_equals_stand_by_pid() -> None:
    rows = by_pid([row(9, cpu=0.5), row(3, cpu=0.5), row(7, cpu=2.0), row(4, cpu=0.5)])
    assert pids(flat(rows, Order("cpu", largest=True))) == [7, 3, 4, 9]
    assert pids(flat(rows, Order("cpu", largest=False))) == [3, 4, 9, 7]


def test_those_busy_a_moment_ago_stay_above_the_idle_ones() -> None:
    rows = [row(pid, cpu=0.01 if pid == 7 else 0.0) for pid in range(1, 9)]
    before = flat(rows, Order("cpu"))
    assert pids(before) == [7, 1, 2, 3, 4, 5, 6, 8]
    # What is shown alike counts as alike: 1.0 % and 0.99 %.
    rows = [row(pid, cpu={7: 0.0099, 3: 0.01}.get(pid, 0.0)) for pid in range(1, 10)]
    after = flat(as_before(rows, before), Order("cpu"))
    assert pids(after) == [7, 3, 1, 2, 4, 5, 6, 8, 9]
    rows = [row(pid, cpu=0.0) for pid in range(1, 10)]
    assert pids(flat(as_before(rows, after), Order("cpu"))) == pids(after)


@pytest.mark.parametrize("largest", [True, False])
def test_what_is_missing_comes_last_either_way(largest: bool) -> None:
    rows = [row(1, cpu=None), row(2, cpu=0.1), row(3, cpu=None), row(4, cpu=0.0)]
    assert pids(flat(rows, Order("cpu", largest)))[2:] == [1, 3]


@pytest.mark.parametrize("column", sorted(SORTS))
def test_every_column_can_be_sorted_by(column: str) -> None:
    rows = by_pid([*FAMILY, row(6, name="", user="x", container="c", gpu_memory=5, read_rate=1.0)])
    for largest in (True, False):
        assert sorted(pids(flat(rows, Order(column, largest)))) == [1, 2, 3, 4, 5, 6]
        assert sorted(pids(tree(rows, Order(column, largest), UNICODE))) == [1, 2, 3, 4, 5, 6]
        items = grouped(rows, "unit", Order(column, largest), UNICODE, folded=lambda _: False)
        assert sorted(pids([item for item in items if not item.group])) == [1, 2, 3, 4, 5, 6]


def test_what_started_lately_is_new() -> None:
    assert [item.new for item in flat(FAMILY, Order("pid", largest=False), fresh=4.0)] == [False] * 3 + [True] * 2


def test_siblings_are_sorted_by_their_branches_sums() -> None:
    items = tree(FAMILY, Order("cpu", largest=True), UNICODE)
    # 2 uses less than 3 itself, but its child makes its branch the busiest.
    assert pids(items) == [1, 2, 4, 5, 3]
    assert [item.prefix for item in items] == ["▾ ", "├─▾", "│  ├─ ", "│  └─ ", "└─ "]


def test_what_does_not_add_up_sorts_siblings_by_themselves() -> None:
    assert pids(tree(FAMILY, Order("pid", largest=True), UNICODE)) == [1, 3, 2, 5, 4]


def test_ascii_lines_are_ascii() -> None:
    assert all(item.prefix.isascii() for item in tree(FAMILY, Order(), ASCII, folded=lambda key: key[0] == 2))


def test_a_folded_branch_is_one_line_of_sums() -> None:
    items = tree(FAMILY, Order("cpu", largest=True), UNICODE, folded=lambda key: key == (2, 2.0))
    assert pids(items) == [1, 2, 3]
    branch = items[1]
    assert (branch.fold, branch.size) == ("closed", 3)
    assert branch.row.cpu == pytest.approx(1.1)
    assert branch.row.memory == 23
    # The row of the process itself is not touched.
    assert FAMILY[1].cpu == 0.2


def test_a_sum_of_nothing_known_is_not_known() -> None:
    rows = [row(1, cpu=None), row(2, 1, cpu=None)]
    assert tree(rows, Order(), UNICODE, folded=lambda _: True)[0].row.cpu is None


def test_a_filter_keeps_ancestors_dim_and_unfolds() -> None:
    items = tree(FAMILY, Order(), UNICODE, folded=lambda _: True, matches=lambda each: each.pid == 4)
    assert [(item.row.pid, item.dim) for item in items] == [(1, True), (2, True), (4, False)]


def test_a_child_without_its_parent_is_a_root() -> None:
    items = tree([row(10, 999), row(11, 10)], Order("pid", largest=False), UNICODE)
    assert pids(items) == [10, 11]
    assert items[0].prefix == "▾ "


def test_parents_in_a_circle_are_shown_once_each() -> None:
    rows = [row(1, 1), row(2, 3), row(3, 4), row(4, 2), row(5, 4)]
    items = tree(rows, Order("pid", largest=False), UNICODE)
    assert sorted(pids(items)) == [1, 2, 3, 4, 5]
    assert ancestors(rows[4], rows) == [rows[3], rows[1], rows[2]]


def test_lines_of_a_deep_tree_stay_short() -> None:
    rows = [row(pid, pid - 1) for pid in range(1, 3000)]
    items = tree(rows, Order("pid", largest=False), UNICODE)
    assert len(items) == 2999
    assert max(len(item.prefix) for item in items) <= 3 * (DEEPEST + 2)


def test_groups_show_sums_and_their_members_when_unfolded() -> None:
    rows = [
        row(1, unit="a.service", user="root", cpu=0.1), row(2, unit="b.service", user="x", cpu=0.3),
        row(3, unit="a.service", user="www", cpu=0.4), row(4, kernel=True, cpu=0.0), row(5, cpu=None),
    ]  # fmt: skip
    items = grouped(rows, "unit", Order(), UNICODE, folded=lambda key: key[0] != "a.service")
    assert [(item.group, item.row.pid) for item in items] == [
        ("a.service", 0), ("", 3), ("", 1), ("b.service", 0), ("kernel", 0), ("no unit", 0),
    ]  # fmt: skip
    assert items[0].row.cpu == pytest.approx(0.5)
    assert (items[0].size, items[0].row.user, items[3].row.user) == (2, "2 users", "x")
    assert items[5].row.cpu is None


def test_groups_by_container_and_user() -> None:
    each = row(1, unit="docker-1.scope", container="web", user="app")
    assert [group_of(each, by) for by in ("unit", "container", "user")] == ["docker-1.scope", "web", "app"]
    assert group_of(row(2), "container") == "this host"


def test_a_held_order_keeps_places_and_appends_what_is_new() -> None:
    before = [item_key(item) for item in flat(FAMILY, Order("pid", largest=True))]
    after = flat([*FAMILY[1:], row(6)], Order("pid", largest=False))
    assert pids(kept_order(after, before)) == [5, 4, 3, 2, 6]


_ROWS = st.lists(
    st.builds(
        ProcessRow,
        pid=st.integers(0, 12),
        ppid=st.integers(-1, 13),
        started=st.floats(0, 3, allow_nan=False),
        cpu=st.none() | st.floats(0, 8, allow_nan=False),
        memory=st.integers(0, 100),
        unit=st.sampled_from(["", "a", "b"]),
        kernel=st.booleans(),
    ),
    max_size=24,
    unique_by=lambda each: (each.pid, each.started),
)


@given(_ROWS, st.sampled_from(sorted(SORTS)), st.booleans())
def test_whatever_parents_are_claimed_every_process_is_shown_once(
    rows: list[ProcessRow], column: str, largest: bool
) -> None:
    order = Order(column, largest)
    wanted = sorted((each.pid, each.started) for each in rows)
    assert sorted(item_key(item) for item in tree(by_pid(rows), order, UNICODE)) == wanted
    groups = grouped(by_pid(rows), "unit", order, UNICODE, folded=lambda _: False)
    assert sorted(item_key(item) for item in groups if not item.group) == wanted
    assert sum(item.size for item in groups if item.group) == len(rows)


@given(_ROWS, st.sets(st.integers(0, 12)))
def test_folding_hides_rows_but_loses_none(rows: list[ProcessRow], folded: set[int]) -> None:
    items = tree(by_pid(rows), Order(), UNICODE, folded=lambda key: key[0] in folded)
    assert sum(item.size for item in items) == len(rows)
    assert sum(item.row.memory for item in items) == sum(each.memory for each in rows)


@given(_ROWS, st.integers(0, 100))
def test_a_filtered_tree_has_all_matches_and_nothing_without_one_below(rows: list[ProcessRow], least: int) -> None:
    items = tree(by_pid(rows), Order(), UNICODE, matches=lambda each: each.memory >= least)
    assert sum(not item.dim for item in items) == sum(each.memory >= least for each in rows)
    for item, below in zip(items, [*items[1:], None], strict=False):
        if item.dim:
            assert below is not None
            assert item.fold == "open"


@given(_ROWS)
def test_parents_come_before_children(rows: list[ProcessRow]) -> None:
    parents, order = parents_of(rows)
    place = {index: at for at, index in enumerate(order)}
    assert sorted(order) == list(range(len(rows)))
    assert all(parent < 0 or place[parent] < place[index] for index, parent in enumerate(parents))
