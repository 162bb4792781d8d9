"""The line that the fleet's filter is typed into."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tui.fleetfilter import begun, parse_filter
from tui.widgets.filterline import FilterLine

if TYPE_CHECKING:
    from collections.abc import Sequence

_TAGS = 12
"""Tags that are told of at most."""


class FleetFilter(FilterLine):
    """A filter of hosts."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._tags: Sequence[tuple[str, int]] = ()

    def open(self, text: str, tags: Sequence[tuple[str, int]]) -> None:
        """Begin with a filter; `tags`: (tag, how many hosts have it)."""
        self._tags = tags
        self.begin(text)

    def check(self, text: str) -> None:
        """Checks a filter."""
        parse_filter(text)

    def is_begun(self, text: str) -> bool:
        """Whether a filter is only begun."""
        return begun(text)

    def examples(self) -> str:
        """What could be written, and the tags that there are."""
        tags = "   ".join(f"tag:{name} {count}" for name, count in self._tags[:_TAGS])
        return f"web   tag:prod   state:offline,late   !name:test{'   |   ' if tags else ''}{tags}"
