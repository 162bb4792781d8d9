"""The labels under graphs of the last minutes. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sysmon.units import format_time

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tui.model import View

TICKS: Final = ((0, "now"), (60, "1m"), (120, "2m"), (180, "3m"), (300, "5m"), (420, "7m"), (600, "10m"), (840, "14m"))
"""Labels of the time axis, in seconds before now."""


def time_ticks(view: View) -> Sequence[tuple[int, str]]:
    """The labels; where the right edge is not now, be it the past or a host that is not heard, its time of day."""
    if view.live and view.status.state not in ("stale", "offline"):
        return TICKS
    return ((0, format_time(view.time, date=False)), *TICKS[1:])
