"""What the routes ask: the feed for the present, the history for the past, each within the deadline."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, TypeVar

from remote.names import find_host
from sysmon.errors import StoreError

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from remote.feed import Feed
    from remote.query import Query
    from sysmon.clock import Clock
    from sysmon.ports import History
    from sysmon.records import HostInfo, RunSpan

T = TypeVar("T")


class Backend:
    """The feed and the history of one server."""

    def __init__(self, feed: Feed, history: History | None, clock: Clock) -> None:
        self.feed = feed
        self.history = history
        self.clock = clock

    def kept(self) -> History:
        """Returns the history.

        Raises:
            StoreError: none is kept.
        """
        if self.history is None:
            raise StoreError("this server keeps no history", "start it without --no-history")
        return self.history

    async def asked(self, answer: Awaitable[T]) -> T:
        """Returns an answer of the history.

        Raises:
            TimeoutError: it did not come within the deadline.
        """
        async with asyncio.timeout(self.feed.limits.deadline):
            return await answer

    async def held(self, host: str | None = None) -> list[RunSpan]:
        """Returns which frames are held; none where the history cannot tell now."""
        if self.history is None:
            return []
        try:
            return await self.asked(self.history.spans(host))
        except (StoreError, TimeoutError):
            return []

    async def infos(self) -> list[HostInfo]:
        """Returns the hosts known now or from before."""
        known = dict(self.feed.hosts)
        if self.history is not None:
            try:
                for info in await self.asked(self.history.hosts()):
                    if info.id not in known:
                        known[info.id] = self.feed.served(info)
            except (StoreError, TimeoutError):
                pass
        return list(known.values())

    async def host(self, query: Query) -> str:
        """Returns the id of the host a request names; where this server knows only one, it need not.

        Raises:
            UnknownHost: there is none of that name. UsageError: none is named among several.
        """
        name = query.text("host", "")
        if name in self.feed.hosts:
            return name
        infos = await self.infos()
        if not name:
            if len(infos) == 1:
                return infos[0].id
            name = query.text("host")
        return find_host(infos, name)

    async def host_or_all(self, query: Query) -> str | None:
        """Returns the id of the host a request names, None where it names none."""
        return await self.host(query) if "host" in query else None
