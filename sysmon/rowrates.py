"""Rates of rows that count bytes: connections, and who used the network. Pure; `sysmon.derive` keeps one per host."""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, NamedTuple, TypeVar

import msgspec

from sysmon.frame import MAX_TALKERS, READ_BY, ConnectionRow, TalkerRow

if TYPE_CHECKING:
    from sysmon.frame import Frame

Row = TypeVar("Row", ConnectionRow, TalkerRow)


class Rated(NamedTuple, Generic[Row]):
    """A row as it was read, with its rates, when (nanoseconds since boot), and whether nothing moved."""

    raw: Row
    filled: Row
    at: int
    idle: bool


class RowRates:
    """The rows of the last tables of one host; it stays as it is.

    Attributes:
        connections: with their rates, in the order in which they were read.
        talkers: who used the network, with their rates.
    """

    def __init__(
        self,
        by_id: dict[int | str, Rated[ConnectionRow]] | None = None,
        by_key: dict[int | str, Rated[TalkerRow]] | None = None,
    ) -> None:
        self._by_id = by_id or {}
        self._by_key = by_key or {}
        self.connections: list[ConnectionRow] = [each.filled for each in self._by_id.values()]
        self.talkers: list[TalkerRow] = [each.filled for each in self._by_key.values()]

    def after(self, frame: Frame) -> RowRates:
        """Returns these with what a later frame of the same boot brought."""
        connections, talkers = frame.tables.connections, frame.tables.talkers
        if connections is None and talkers is None:
            return self
        at = frame.reads.get(READ_BY["talkers"], frame.monotonic)
        return RowRates(
            self._by_id if connections is None else rated(connections, self._by_id, at),
            self._by_key if talkers is None else rated(talkers, self._by_key, at),
        )


def rated(rows: list[Row], known: dict[int | str, Rated[Row]], at: int) -> dict[int | str, Rated[Row]]:
    """Fills in what rows received and sent per second since the last table; one that rests stays the same object.

    A counter that fell gives no rate, and neither does a row that was not there before; only talkers are counted from 0
    at the first look, so that one which a whole table did not have yet grew from there.

    Args:
        rows: as they were read.
        known: what this gave for the last table.
        at: nanoseconds since boot at which they were read.
    """
    latest: dict[int | str, Rated[Row]] = {}
    whole = next((each.at for each in known.values()), at) if len(known) < MAX_TALKERS else at
    for row in rows:
        identity, begun = _identity(row)
        old = known.get(identity)
        if row.receive_rate is not None or row.transmit_rate is not None:
            filled = row
        elif old is None:
            filled = with_rates(row, 0, 0, at - whole) if begun and at > whole else row
        elif old.at >= at:
            latest[identity] = old
            continue
        elif old.idle and row == old.raw:
            latest[identity] = old._replace(at=at)
            continue
        else:
            filled = with_rates(row, old.raw.received, old.raw.sent, at - old.at)
        idle = _uncounted(row) or (filled.receive_rate == 0.0 == filled.transmit_rate)
        latest[identity] = Rated(row, filled, at, idle)
    return latest


def _identity(row: ConnectionRow | TalkerRow) -> tuple[int | str, bool]:
    """Returns what identifies a row, and whether it is counted from 0."""
    return (row.key, True) if isinstance(row, TalkerRow) else (row.id, False)


def _uncounted(row: ConnectionRow | TalkerRow) -> bool:
    return row.received is None and row.sent is None


def with_rates(row: Row, received: int | None, sent: int | None, nanoseconds: int) -> Row:
    """Returns a row with what it moved per second since it had received and sent so much; None where that is not known
    or a counter fell.
    """
    return msgspec.structs.replace(
        row,
        receive_rate=_rate(received, row.received, nanoseconds),
        transmit_rate=_rate(sent, row.sent, nanoseconds),
    )


def _rate(before: int | None, now: int | None, nanoseconds: int) -> float | None:
    if before is None or now is None or now < before:
        return None
    return (now - before) * 1e9 / nanoseconds
