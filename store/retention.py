"""How long and how much is kept."""

from __future__ import annotations

import msgspec

_DAY = 86400.0


class Retention(msgspec.Struct, frozen=True, kw_only=True):
    """Limits by age (seconds), by size and by free disk.

    Attributes:
        raw: age of readings as recorded; time travel and backfill reach as far.
        minute, quarter: age of the 1-minute and 15-minute rollups.
        evidence: age of who was busiest.
        events: age of events.
        size: bytes that the file may have.
        free: part of the disk that is to stay free; where it is not, the file shrinks, down to `least`.
        least: bytes below which a short disk alone does not shrink the file.

    Usage totals are kept for ever.
    """

    raw: float = 2 * _DAY
    minute: float = 30 * _DAY
    quarter: float = 2 * 365.25 * _DAY
    evidence: float = 30 * _DAY
    events: float = 2 * 365.25 * _DAY
    size: float = 2 << 30
    free: float = 0.05
    least: float = 32 << 20
