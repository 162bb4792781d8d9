"""`/metrics`: the present of every host known here, for Prometheus and what speaks as it does."""

from __future__ import annotations

import asyncio
import gzip
from typing import TYPE_CHECKING

from starlette.responses import Response
from starlette.routing import Route

from remote.foreign.exposition import OPENMETRICS, TEXT
from remote.foreign.openmetrics import PRESENT, HostPage, Page, labels_of
from remote.server.query import Query
from remote.server.replies import accepts_gzip
from sysmon.records import HostInfo

if TYPE_CHECKING:
    from starlette.requests import Request

    from remote.server.feed import Feed

VERSIONS = frozenset({"", "1.0.0"})
"""Versions of OpenMetrics that are served."""
_COMPRESS_FROM = 1024


class MetricsRoute:
    """The endpoint of one server."""

    def __init__(self, feed: Feed) -> None:
        self._feed = feed

    def routes(self) -> list[Route]:
        """Returns the route."""
        return [Route("/metrics", self.metrics)]

    async def metrics(self, request: Request) -> Response:
        """The present for Prometheus: of all hosts, or of those given by `host`."""
        query = Query(request, many=("host",))
        names = query.texts("host")
        wanted = {self._feed.find(name) for name in names} if names else None
        openmetrics = wants_openmetrics(request.headers.get("accept", ""))
        body = (await self._page(wanted, openmetrics=openmetrics)).encode()
        version = f"{OPENMETRICS}; version=1.0.0" if openmetrics else f"{TEXT}; version=0.0.4"
        headers = {"content-type": f"{version}; charset=utf-8", "vary": "accept, accept-encoding"}
        if len(body) > _COMPRESS_FROM and accepts_gzip(request):
            headers["content-encoding"] = "gzip"
            # zlib lets go of the interpreter, so that a large page delays nobody.
            body = await asyncio.to_thread(gzip.compress, body, 3, mtime=0)
        return Response(body, headers=headers)

    async def _page(self, wanted: set[str] | None, *, openmetrics: bool) -> str:
        feed = self._feed
        page = Page(openmetrics=openmetrics)
        labels = labels_of((("version", feed.version),))
        page.add("sysmon_build_info", "gauge", "Which sysmon answers", labels, 1)
        for info in list(feed.hosts.values()):
            if wanted is None or info.id in wanted:
                status = feed.statuses.get(info.id)
                state = feed.state(info.id)
                host = HostPage(page, feed.catalogue, info)
                present = state is not None and (status is None or status.state in PRESENT)
                host.up(present)
                if state is not None and present:
                    host.state(state)
                await asyncio.sleep(0)  # live readers come first
        waiting: dict[tuple[str, str], None] = {}
        for key, status in list(feed.statuses.items()):
            if wanted is None and key not in feed.hosts and status.name and status.state not in PRESENT:
                # Configured, and never reached; behind several hubs it may be the same name, which is told once.
                waiting[status.host, status.name] = None
        for host_id, name in waiting:
            HostPage(page, feed.catalogue, HostInfo(id=host_id, name=name)).up(False)
        return page.text()


def wants_openmetrics(accept: str) -> bool:
    """Says whether a reader prefers OpenMetrics 1.0 to Prometheus' text format."""
    best = {OPENMETRICS: -1.0, TEXT: -1.0}
    for part in accept[:2000].split(","):
        media, *parameters = (piece.strip() for piece in part.lower().split(";"))
        given = dict(piece.partition("=")[::2] for piece in parameters)
        try:
            quality = float(given.get("q", "1"))
        except ValueError:
            continue
        if media == OPENMETRICS and given.get("version", "").strip('"') in VERSIONS and quality > 0:
            best[OPENMETRICS] = max(best[OPENMETRICS], quality)
        elif media in (TEXT, "text/*", "*/*"):
            best[TEXT] = max(best[TEXT], quality if media == TEXT else 0.0)
    return best[OPENMETRICS] > 0 and best[OPENMETRICS] >= best[TEXT]
