"""The order of a table's rows by one of its columns. No Textual here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

Row = TypeVar("Row")

NOTHING = (None, "")
"""Values of a row that has nothing in a column."""


def by_value(rows: Iterable[Row], value: Callable[[Row], Any], *, reverse: bool) -> list[Row]:
    """Sorts rows by a value; equal ones stay as they stand, and those without come last in either direction."""
    keyed = [(value(row), row) for row in rows]
    present = [pair for pair in keyed if pair[0] not in NOTHING]
    ordered = sorted(present, key=lambda pair: pair[0], reverse=reverse)
    return [row for _, row in ordered] + [row for key, row in keyed if key in NOTHING]
