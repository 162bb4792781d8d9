"""A stream of vnstat's live lines to all who read it, bounded as our own streams are."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from remote import wire
from remote.foreign.vnstatlive import PERIOD, LiveLines, count, interfaces_of
from remote.server.fanout import Reader, ViewKey
from remote.server.feed import TooManyStreams

if TYPE_CHECKING:
    from collections.abc import Callable

    from remote.server.feed import Feed
    from sysmon.clock import Clock

BEHIND: Final = 0.3
"""Seconds after an even second at which a line is made."""


class LiveStream:
    """One line every two seconds to all who read, for as long as somebody does."""

    def __init__(self, feed: Feed, host: Callable[[], str], pattern: str | None, clock: Clock) -> None:
        self._feed = feed
        self._host = host
        self._pattern = pattern
        self._clock = clock
        self._key = ViewKey(None, frozenset(), False)
        self._task: asyncio.Task[None] | None = None
        self.readers: list[Reader] = []
        self.lines = LiveLines()

    def room(self) -> None:
        """Checks that another reader may come.

        Raises:
            TooManyStreams: as many are open as may be, or the server ends.
        """
        self._feed.room()
        if self._feed.readers + len(self.readers) >= self._feed.limits.streams:
            raise TooManyStreams("as many streams are open as are allowed", "close one, or try again later")

    def join(self, abort: Callable[[], None]) -> Reader:
        """Adds a reader. `abort`: cuts its connection."""
        self.room()
        limits = self._feed.limits
        reader = Reader(self._key, limit=limits.queue, stall=limits.stall, abort=abort)
        self.readers.append(reader)
        if self._task is None or self._task.done():
            self._task = asyncio.get_running_loop().create_task(self._run(), name="live data")
        return reader

    def leave(self, reader: Reader) -> None:
        """Forgets a reader whose connection is gone."""
        reader.finish("left")
        if reader in self.readers:
            self.readers.remove(reader)

    async def _run(self) -> None:
        self.tick()
        while self.readers:
            # On even seconds, a moment after the counters are read.
            await self._clock.sleep(PERIOD - self._clock.now() % int(PERIOD * 1000) / 1000 + BEHIND)
            try:
                self._feed.room()
            except TooManyStreams:
                if self._feed.readers == 0:  # the server ends
                    break
            self.tick()
        for reader in self.readers:
            reader.finish("the server ends")
        self.readers.clear()

    def tick(self) -> None:
        """Sends the next line, if there is one."""
        state = self._feed.state(self._host())
        if state is None:
            return
        line = self.lines.line(count(state, interfaces_of(state, self._pattern)), self._clock.now())
        if line is not None:
            # As their agent writes it: no space behind the colons, no id.
            event = b"event:message\ndata:" + wire.encode_json(line) + b"\n\n"
            for reader in self.readers:
                reader.push(event)
            self.readers = [reader for reader in self.readers if not reader.ended]
