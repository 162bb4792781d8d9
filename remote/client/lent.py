"""Who was busiest on a host that is followed: what this side does not keep is asked of the host itself.

A hub takes no process tables of hundreds of hosts; each keeps its own. Answers are remembered, as a screen that steps
through time asks for the same stretch again.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

from sysmon.errors import SysmonError

if TYPE_CHECKING:
    from collections.abc import Callable

    from sysmon.ports import History
    from sysmon.records import Evidence

DEADLINE = 3.0
"""Seconds the host may take: the rest of a moment is there already."""
AT_ONCE = 4
"""Questions under way at once."""
KEPT = 256
"""Answers remembered."""
STEP = 10_000
"""Milliseconds within which moments have one answer."""
AGAIN = 20.0
"""Seconds after which a host that gave none is asked again."""


class LentEvidence:
    """Asks hosts for their evidence.

    Args:
        past: returns the history that a host keeps itself, or the hub that it is followed through; None where there is
            none, or it does not answer now.
    """

    def __init__(self, past: Callable[[str], History | None]) -> None:
        self._past = past
        self._room = asyncio.Semaphore(AT_ONCE)
        self._known: dict[tuple[str, int], tuple[float, Evidence | None]] = {}

    async def get(self, host: str, at: int) -> Evidence | None:
        """Returns the last evidence at or before a time, None where it is not known or did not come in time."""
        place = (host, at // STEP)
        when, known = self._known.get(place, (-AGAIN, None))
        if (known is not None and known.time <= at) or (known is None and time.monotonic() < when + AGAIN):
            return known
        past = self._past(host)
        if past is None:
            return None
        found: Evidence | None = None
        try:
            async with asyncio.timeout(DEADLINE), self._room:
                found = await past.evidence(host, at)
        except (SysmonError, TimeoutError):
            pass
        if len(self._known) >= KEPT:
            del self._known[next(iter(self._known))]
        self._known[place] = (time.monotonic(), found)
        return found
