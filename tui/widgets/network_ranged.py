"""Rows of interfaces with what they carried in a range: sum, share of what counts, and its steps as a line."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from sysmon.bandwidth import share, total, used
from tui.networkrange import steps_of
from tui.widgets.network_rows import Interface, total_row

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import tzinfo

    from tui.networkread import RangeTold
    from tui.widgets.network_rows import Points


class RangedRows:
    """Keeps the lines of the last answer, which stay as they are until another comes."""

    def __init__(self) -> None:
        self._told: RangeTold | None = None
        self._lines: dict[tuple[str, ...], Points] = {}

    def fill(
        self, rows: Sequence[Interface], told: RangeTold | None, zone: tzinfo, counting: Callable[[str], bool]
    ) -> list[Interface]:
        """Returns the rows with what was told of a range, and after them the total; nothing is known without it.

        Args:
            rows: the interfaces.
            told: what went through; one that is counted and not named there carried nothing.
            zone: of the host.
            counting: whether the bytes of an interface are counted at the moment shown.
        """
        whole = total_row(rows)
        every = [*rows, whole] if whole is not None else [*rows]
        if told is None:
            return every
        if told is not self._told:
            self._told, self._lines = told, {}
        sum_of = total(told.amounts, whole.members) if whole is not None else None
        found = []
        for row in every:
            each = {name: used(told.amounts, name, counted=counting(name)) for name in row.names}
            known = {name: part for name, part in each.items() if part is not None}
            amount = total(known) if known else None
            part = share(amount, sum_of) if amount is not None and sum_of is not None and row.counts else None
            found.append(replace(row, amount=amount, share=part, past=self._line(row.names, told, zone)))
        return found

    def _line(self, names: tuple[str, ...], told: RangeTold, zone: tzinfo) -> Points:
        line = self._lines.get(names)
        if line is None:
            line = self._lines[names] = tuple(
                None if step.receive is None else step.receive + (step.transmit or 0)
                for step in steps_of(told.period, told.buckets, names, zone)
            )
        return line
