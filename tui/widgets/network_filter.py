"""The line that a filter of the Network screen is typed into."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tui.networkfilter import begun, parse_filter
from tui.widgets.filterline import FilterLine

if TYPE_CHECKING:
    from collections.abc import Mapping


class RowFilter(FilterLine):
    """A filter of the rows of a table."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._fields: Mapping[str, str] = {}

    def open(self, text: str, fields: Mapping[str, str]) -> None:
        """Begin with a filter; `fields`: those there are, each with an example."""
        self._fields = fields
        self.begin(text)

    def check(self, text: str) -> None:
        """Checks a filter."""
        parse_filter(text, self._fields)

    def is_begun(self, text: str) -> bool:
        """Whether a filter is only begun."""
        return begun(text, self._fields)

    def examples(self) -> str:
        """What could be written."""
        return "   ".join(["word", *(f"{field}:{example}" for field, example in self._fields.items())])
