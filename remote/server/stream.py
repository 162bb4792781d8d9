"""The answer of `/v1/stream`: one reader's events, written as fast as it takes them."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Protocol

from starlette.responses import Response

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.types import Receive, Scope, Send

    from remote.server.fanout import Reader


class Left(Protocol):
    """What readers join and leave."""

    def leave(self, reader: Reader) -> None:
        """Forgets a reader whose connection is gone."""
        ...


class StreamResponse(Response):
    """Joins the feed when it begins and leaves it when the connection ends, whoever ends it.

    Args:
        feed: what is streamed.
        join: opens the reader, given what cuts its connection.
        gzip: whether the events are compressed.
    """

    media_type = "text/event-stream"

    def __init__(self, feed: Left, join: Callable[[Callable[[], None]], Reader], *, gzip: bool) -> None:
        self._feed = feed
        self._join = join
        self.status_code = 200
        self.background = None
        self.body = b""
        self.init_headers({"content-encoding": "gzip"} if gzip else {})
        self.headers["vary"] = "accept-encoding"
        self.headers["x-accel-buffering"] = "no"
        del self.headers["content-length"]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Writes until the reader leaves, is dropped, or the feed closes."""
        start: dict[str, Any] = {"type": "http.response.start", "status": 200, "headers": self.raw_headers}
        if scope["method"] == "HEAD":
            await send(start)
            await send({"type": "http.response.body", "body": b""})
            return
        reader = self._join(scope.get("state", {}).get("abort", lambda: None))
        watcher = asyncio.get_running_loop().create_task(_left(receive, reader))
        try:
            await send(start)
            while (piece := await reader.next()) is not None:
                await send({"type": "http.response.body", "body": piece, "more_body": True})
            await send({"type": "http.response.body", "body": b""})
        finally:
            self._feed.leave(reader)
            watcher.cancel()
            await asyncio.gather(watcher, return_exceptions=True)


async def _left(receive: Receive, reader: Reader) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    reader.finish("left")
