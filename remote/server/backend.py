"""What the routes ask: the feed for the present, the history for the past, each within the deadline."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, TypeVar

import msgspec

from remote.server.names import find_host
from sysmon.errors import StoreError

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from remote.client.lent import LentEvidence
    from remote.server.feed import Feed
    from remote.server.query import Query
    from sysmon.clock import Clock
    from sysmon.ports import History
    from sysmon.records import Evidence, HostInfo, Moment, RunSpan

T = TypeVar("T")


class Backend:
    """The feed and the history of one server. `lent`: asks hosts for what only they know."""

    def __init__(self, feed: Feed, history: History | None, clock: Clock, lent: LentEvidence | None = None) -> None:
        self.feed = feed
        self.history = history
        self.clock = clock
        self._lent = lent

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

    async def evidence(self, host: str, at: int) -> Evidence | None:
        """Returns who was busiest on a host at or before a time: by the history, else by the host itself."""
        found = await self.asked(self.kept().evidence(host, at))
        return found if found is not None or self._lent is None else await self._lent.get(host, at)

    async def moment(self, host: str, at: int, step: int) -> Moment | None:
        """Returns a moment of a host, with its evidence."""
        found = await self.asked(self.kept().moment(host, at, step))
        if found is None or found.evidence is not None or self._lent is None:
            return found
        evidence = await self._lent.get(host, found.frame.time)
        return found if evidence is None else msgspec.structs.replace(found, evidence=evidence)

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
