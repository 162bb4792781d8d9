"""What others counted of a host before it was watched here, brought to who records it: soon, then now and then.

It is what collectors find, such as vnStat's; of an agent's own, see `cli.agentpasts`.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final, Protocol

from sysmon.records import Past, UsagePiece

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from cli.station import Station

LOOK: Final = 3.0
"""Seconds between looks at whether there is something to be brought."""
EVERY: Final = 3600.0
"""Seconds after which what was brought is brought again, as it stands then."""
SLACK: Final = 5.0
"""Seconds after which what others counted last is in this side's own readings as well: it can be told apart then."""
HOLE: Final = 60
"""Missed seconds after which it is brought sooner: meanwhile somebody else may have counted on."""


class Counts(Protocol):
    """Who knows what others counted; a `collectors.runner.Runner` is one."""

    @property
    def missed(self) -> int:
        """Seconds without a sample so far."""
        ...

    def pasts(self) -> Sequence[Past]:
        """Returns what others counted, the latest of each."""
        ...

    def forget(self, source: str) -> None:
        """Lets go of what a source counted, until it is found again: it may be large."""
        ...


class Kept:
    """What was found of boxes whose collectors run out of sight; implements `Counts`."""

    def __init__(self) -> None:
        self._found: dict[tuple[str, str], Past] = {}
        self.missed = 0

    def keep(self, past: Past) -> None:
        """Takes what was found, in place of what was before."""
        self._found[past.host, past.source] = past

    def pasts(self) -> list[Past]:
        """Returns what others counted, the latest of each."""
        return list(self._found.values())

    def forget(self, source: str) -> None:
        """Lets go of what a source counted, until it is found again."""
        self._found = {key: past for key, past in self._found.items() if past.source != source}


def shifted(past: Past, host: str, ahead: int) -> Past:
    """Returns what was counted of a host as one of ours, by our clock: `ahead` milliseconds less."""
    pieces = past.pieces
    if ahead:
        pieces = [UsagePiece(each.key, each.start - ahead, each.end - ahead, each.bytes) for each in pieces]
    return Past(host=host, source=past.source, time=past.time - ahead, pieces=pieces)


class Bringer:
    """Hands what others counted to a station.

    What is found anew is brought at first, once more when its source wrote down what came until then, then every hour,
    and after a hole; nothing before the host's first frame is here, nor while nobody records.

    Args:
        station: records it, under the ids that hosts have here.
        counts: who found it now; None: nobody.
        here: id that a host tells -> the one that it has here.
        every: seconds until it is brought again. `slack`: seconds that its end lies back at least.
    """

    def __init__(
        self,
        station: Station,
        counts: Callable[[], Counts | None],
        *,
        here: Callable[[str], str] = lambda host: host,
        every: float = EVERY,
        slack: float = SLACK,
    ) -> None:
        self._station = station
        self._counts = counts
        self._here = here
        self._every = round(every * 1e9)
        self._slack = round(slack * 1000)
        self._brought: dict[tuple[str, str], tuple[int, int, int, int]] = {}

    async def run(self, look: float = LOOK) -> None:
        """Looks and brings for ever."""
        while True:
            await self.look()
            await self._station.clock.sleep(look)

    async def look(self) -> int:
        """Brings what is due; returns how much."""
        counts, station = self._counts(), self._station
        if counts is None or station.recorder is None:
            return 0
        brought = 0
        now = station.clock.boottime()
        for past in counts.pasts():
            host = self._here(past.host)
            ahead = station.skew(host)
            if host not in station.states or station.clock.now() - (past.time - ahead) < self._slack:
                continue
            counts.forget(past.source)
            until, at, missed, times = self._brought.get((host, past.source), (0, 0, 0, 0))
            if times:
                soon = times < 2 or counts.missed - missed >= HOLE
                if past.time <= until or not (soon or now - at >= self._every):
                    continue
            self._brought[host, past.source] = past.time, now, counts.missed, times + 1
            await station.take_past(shifted(past, host, ahead))
            brought += 1
            await asyncio.sleep(0)
        return brought
