"""Evidence of the right moment: processes and connections are read more often while an alert is in the making."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collectors.runner import Runner

INTERVAL = 2.0
"""Seconds between reads while something is brewing, so that rates are of this alert and not of the calm before."""

WATCHED = ("processes", "connections")
"""Collectors whose rows are evidence."""

LINGER = 6 * 10**9
"""Nanoseconds that reading goes on after a rule fired at once, so that who it was is seen at least afterwards."""


class Witness:
    """Has one host's processes and connections read often while a rule is pending, or has just fired.

    Args:
        runner: reads them.
    """

    def __init__(self, runner: Runner) -> None:
        self._runner = runner
        self._open: contextlib.ExitStack | None = None
        self._until = 0

    def look(self, now: int, *, pending: bool, fired: bool) -> None:
        """Takes what the rules said of the frame read at `now` (nanoseconds since boot)."""
        if fired:
            self._until = now + LINGER
        wanted = pending or now < self._until
        if wanted and self._open is None:
            self._open = contextlib.ExitStack()
            for name in WATCHED:
                self._open.enter_context(self._runner.watch(name, INTERVAL))
        elif not wanted:
            self.close()

    def close(self) -> None:
        """Leaves them to their usual interval."""
        if self._open is not None:
            self._open.close()
            self._open = None
