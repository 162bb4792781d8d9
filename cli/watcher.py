"""What a station takes, as a source for one screen in the same process."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING

from sysmon.frame import Frame

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from cli.station import Station
    from sysmon.records import Update

BACKLOG = 2048
"""Updates that a watcher may lag behind; then the oldest frames are left out, which costs it resolution."""


class Watcher:
    """A source of what a station takes, for one screen in the same process."""

    def __init__(self, station: Station) -> None:
        self._station = station
        self._queue: deque[Update] = deque(station.present())
        self._ready = asyncio.Event()
        self._closed = False
        self._ready.set()

    def put(self, update: Update) -> None:
        """Queues an update; never waits."""
        if len(self._queue) >= BACKLOG:
            stale = next((each for each in self._queue if isinstance(each, Frame) and not each.full), self._queue[0])
            self._queue.remove(stale)
        self._queue.append(update)
        self._ready.set()

    async def updates(self) -> AsyncIterator[Update]:
        """Yields what is known already, then everything as it comes."""
        while not self._closed:
            while self._queue:
                yield self._queue.popleft()
            self._ready.clear()
            if not self._queue and not self._closed:
                await self._ready.wait()

    async def close(self) -> None:
        """Ends `updates`."""
        self._closed = True
        self._station.watchers.discard(self)
        self._ready.set()
