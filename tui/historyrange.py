"""Ranges of the History screen: presets, panning, zooming, and what people type. No Textual here."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from sysmon.errors import UsageError
from sysmon.units import parse_time

if TYPE_CHECKING:
    from datetime import tzinfo

HOUR: Final = 3_600_000
PRESETS: Final = (("1h", HOUR), ("12h", 12 * HOUR), ("24h", 24 * HOUR), ("7d", 168 * HOUR), ("30d", 720 * HOUR))
"""Ranges that the tabs offer: name, milliseconds."""

LEAST: Final = 60_000
MOST: Final = 10 * 365 * 24 * HOUR
EXAMPLES: Final = "03:00 to 04:30, yesterday 14:00 to 15:00, 3h ago"


@dataclass(frozen=True, slots=True)
class Range:
    """A range of time: `span` milliseconds up to `end`, which is None for one that ends now and goes on."""

    span: int = HOUR
    end: int | None = None

    @property
    def live(self) -> bool:
        """Whether it ends now."""
        return self.end is None

    @property
    def preset(self) -> str:
        """The name of the tab it is, '' for a range of the user's own."""
        return next((name for name, span in PRESETS if span == self.span), "")

    @property
    def refresh(self) -> int:
        """Milliseconds between two reads while it ends now."""
        return 10_000 if self.span <= 2 * HOUR else 60_000

    def at(self, now: int) -> tuple[int, int]:
        """Returns start and end; a live end moves in steps, so that the same question is asked only once a step."""
        end = now - now % self.refresh if self.end is None else self.end
        return end - self.span, end

    def panned(self, direction: int, now: int) -> Range:
        """Half a range back or forward; at the present it is live again."""
        end = self.at(now)[1] + direction * self.span // 2
        return self._ending(end, now)

    def zoomed(self, direction: int, around: int | None, now: int) -> Range:
        """Half or double the range, with the moment `around` kept at its place.

        Without one a live range keeps its end, another its middle.
        """
        span = min(MOST, max(LEAST, self.span // 2 if direction < 0 else self.span * 2))
        if around is None and self.live:
            return Range(span)
        start, end = self.at(now)
        fixed = around if around is not None else (start + end) // 2
        share = (fixed - start) / self.span
        return replace(self, span=span)._ending(round(fixed + (1 - share) * span), now)

    def holding(self, time: int, now: int) -> Range:
        """This range where it has the moment in it, else one of the same length about it."""
        start, end = self.at(now)
        if start <= time <= end + self.refresh:
            return self
        return self._ending(time + self.span // 2, now)

    def _ending(self, end: int, now: int) -> Range:
        return Range(self.span) if end >= now - self.refresh else Range(self.span, end)


def parse_range(text: str, now: int, zone: tzinfo | None = None) -> Range:
    """Parses `03:00 to 04:30`, `2026-11-20 .. 2026-11-21`, or one moment, from which on all is meant.

    Raises:
        UsageError: not a range, or one that lies in the future, has no length or is longer than ten years.
    """
    parts = [part.strip() for part in re.split(r"\s+(?:to|until|-|–)\s+|\s*\.\.\s*", text.strip())]
    if len(parts) > 2 or not parts[0]:
        raise UsageError(f"'{text.strip()}' is not a range", f"write {EXAMPLES}")
    start = parse_time(parts[0], now, zone)
    last = parts[1] if len(parts) == 2 else ""
    # "yesterday 14:00 to 15:00": a time of day alone belongs to the day of the start.
    clock = re.fullmatch(r"\d{1,2}:\d{2}(:\d{2})?", last)
    end = parse_time(last, start + 24 * HOUR if clock else now, zone)
    if clock and end > now:
        end = parse_time(last, now, zone)
    if start > now:
        raise UsageError(f"'{parts[0]}' lies in the future", f"write {EXAMPLES}")
    if end <= start:
        raise UsageError(f"'{text.strip()}' ends before it begins", f"write {EXAMPLES}")
    if end - start > MOST:
        raise UsageError(f"'{text.strip()}' is longer than ten years", f"write {EXAMPLES}")
    if end - start < LEAST:
        raise UsageError(f"'{text.strip()}' is shorter than a minute", f"write {EXAMPLES}")
    if end >= now - 1000:
        return Range(now - start)
    return Range(end - start, end)
