"""The order in which tests are dealt to processes that run them side by side."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import pytest


def dealt(items: Sequence[pytest.Item], processes: int) -> list[pytest.Item]:
    """Returns the tests so that none is left waiting for a long one at the end.

    `--dist worksteal` gives each process a stretch of equal length, and who is done takes from the end of another's.
    Tests with real programs mostly wait: half of the processes begin with them, the longest first, while the others
    keep the processor busy. Tests of one module stay together, for the fixtures that they share.

    Args:
        items: as collected.
        processes: how many there are; with one, nothing changes.
    """
    if processes < 2:
        return list(items)
    waiting = [item for item in items if item.get_closest_marker("system")]
    working = [item for item in items if not item.get_closest_marker("system")]
    slow = [item for item in waiting if item.get_closest_marker("slow")]
    rest = [item for item in waiting if not item.get_closest_marker("slow")]
    heads: list[list[pytest.Item]] = [[] for _ in range(max(1, processes // 2))]
    for number, item in enumerate(slow):
        heads[number % len(heads)].append(item)
    for module in _modules(rest):
        min(heads, key=len).extend(module)
    order: list[pytest.Item] = []
    end = 0
    for number in range(processes):
        end += (len(items) - end) // (processes - number)
        if number < len(heads):
            order += heads[number]
        count = max(0, end - len(order))
        order += working[:count]
        working = working[count:]
    return order + working


def _modules(items: Iterable[pytest.Item]) -> list[list[pytest.Item]]:
    found: dict[str, list[pytest.Item]] = {}
    for item in items:
        found.setdefault(item.nodeid.partition("::")[0], []).append(item)
    return list(found.values())
