"""The routes below `/v1`: each asks the feed or the history, and answers JSON. None changes anything."""

from __future__ import annotations

import asyncio
import gzip
from datetime import UTC
from typing import TYPE_CHECKING, Any, TypeVar

from starlette.responses import Response
from starlette.routing import Route

from remote import wire
from remote.fanout import ViewKey
from remote.names import find_host
from remote.stream import StreamResponse
from sysmon import answers
from sysmon.derive import derive
from sysmon.errors import StoreError, UsageError, nearest
from sysmon.records import HistoryStatus, SeriesQuery
from sysmon.units import parse_time

if TYPE_CHECKING:
    from collections.abc import Awaitable, Iterable

    from starlette.requests import Request

    from remote.feed import Feed
    from sysmon.clock import Clock
    from sysmon.ports import History
    from sysmon.records import HostInfo, RunSpan

T = TypeVar("T")

MAX_POINTS = 5000
"""Points of one series at most."""
MAX_EVENTS = 10_000
"""Events of one answer at most."""
DAY = 86_400_000
"""Milliseconds."""
_COMPRESS_FROM = 1024


class Query:
    """The query of a request, each value checked.

    Raises:
        UsageError: a name is unknown or given twice (where it may not be), or a value is not what it should be.
    """

    def __init__(self, request: Request, *known: str, many: Iterable[str] = ()) -> None:
        self._values = request.query_params
        allowed = {*known, *many}
        for name in self._values:
            if name not in allowed:
                hint = nearest(name, allowed) or (
                    f"known: {', '.join(sorted(allowed))}" if allowed else "it takes none"
                )
                raise UsageError(f"'{name[:50]}' is not a parameter of {request.url.path}", hint)
            if name not in many and len(self._values.getlist(name)) > 1:
                raise UsageError(f"'{name}' is given more than once")

    def text(self, name: str, default: str | None = None) -> str:
        """Returns a text of at most 400 characters."""
        value = self._values.get(name, default)
        if value is None or (value == "" and default is None):
            raise UsageError(f"'{name}' is missing", f"add {name}=…")
        if len(value) > 400:
            raise UsageError(f"'{name}' is longer than 400 characters")
        return value

    def texts(self, name: str) -> list[str]:
        """Returns all values of a name, comma-separated or repeated."""
        return [part for value in self._values.getlist(name) for part in value.split(",") if part]

    def integer(self, name: str, low: int, high: int, default: int | None = None) -> int:
        """Returns a whole number within bounds."""
        text = self._values.get(name)
        if text is None and default is not None:
            return default
        given = self.text(name)
        digits = given.removeprefix("-")
        if not (digits.isascii() and digits.isdigit() and len(digits) <= 17) or not low <= int(given) <= high:
            raise UsageError(f"{name} '{given[:50]}' is not a whole number from {low} to {high}")
        return int(given)

    def moment(self, name: str, now: int, default: int | None = None) -> int:
        """Returns a time in Unix milliseconds, given as RFC 3339, Unix seconds, or as `3h` (ago); UTC."""
        text = self._values.get(name)
        if text is None and default is not None:
            return default
        given = self.text(name)
        try:
            value = parse_time(given, now, UTC) if given.replace(".", "").isdigit() else answers.milliseconds(given)
        except ValueError:
            value = parse_time(given, now, UTC)
        if not 0 <= value < 2**53:
            raise UsageError(f"{name} '{given[:50]}' is before 1970 or too far ahead")
        return value

    def span(self, now: int, length: int) -> tuple[int, int]:
        """Returns `since` and `until`; the last `length` milliseconds by default."""
        until = self.moment("until", now, now)
        since = self.moment("since", now, max(0, until - length))
        if since >= until:
            raise UsageError("since is not before until")
        return since, until


class Routes:
    """The endpoints of one server."""

    def __init__(self, feed: Feed, history: History | None, clock: Clock) -> None:
        self._feed = feed
        self._history = history
        self._clock = clock
        self._ranges = asyncio.Semaphore(feed.limits.ranges)

    def routes(self) -> list[Route]:
        """Returns all routes."""
        return [
            Route("/healthz", self.health),
            Route("/v1/stream", self.stream),
            Route("/v1/hosts", self.hosts),
            Route("/v1/spans", self.spans),
            Route("/v1/range", self.range),
            Route("/v1/frame", self.frame),
            Route("/v1/moment", self.moment),
            Route("/v1/history", self.series),
            Route("/v1/keys", self.keys),
            Route("/v1/events", self.events),
            Route("/v1/alerts", self.alerts),
            Route("/v1/evidence", self.evidence),
            Route("/v1/usage", self.usage),
            Route("/v1/gaps", self.gaps),
            Route("/v1/status", self.status),
        ]

    async def health(self, request: Request) -> Response:
        """Liveness."""
        Query(request)
        feed = self._feed
        alive = {"status": "ok", "version": feed.version, "time": self._clock.now(), "hosts": len(feed.hosts)}
        return await _json(request, {**alive, "streams": feed.readers, "dropped": feed.dropped})

    async def stream(self, request: Request) -> Response:
        """Server-sent events."""
        query = Query(request, many=("hosts", "tables"))
        tables = frozenset(query.texts("tables"))
        for table in tables - wire.TABLES:
            hint = nearest(table, wire.TABLES) or f"known: {', '.join(sorted(wire.TABLES))}"
            raise UsageError(f"'{table[:50]}' is not a table", hint)
        names = query.texts("hosts")
        hosts = frozenset([self._feed.find(name) for name in names]) if names else None
        # Without what the history holds the stream still says what is now.
        spans = [] if request.method == "HEAD" else await self._held()
        compress = _accepts_gzip(request)
        key = ViewKey(hosts, tables, compress)
        last_id = request.headers.get("last-event-id", "")[:64]
        self._feed.room()
        return StreamResponse(
            self._feed, lambda abort: self._feed.join(key, abort=abort, last_id=last_id, spans=spans), gzip=compress
        )

    async def hosts(self, request: Request) -> Response:
        """Who is known, how fresh, which frames are held, and the catalogue."""
        query = Query(request, "host")
        infos = await self._infos()
        chosen = frozenset([find_host(infos, query.text("host"))]) if "host" in request.query_params else None
        listed = [info for info in infos if chosen is None or info.id in chosen]
        feed = self._feed
        answer = {
            "schema": wire.SCHEMA,
            "version": feed.version,
            "server": feed.server,
            "time": self._clock.now(),
            "hosts": listed,
            "statuses": [feed.statuses[info.id] for info in listed if info.id in feed.statuses],
            "spans": [span for span in await self._held() if chosen is None or span.host in chosen],
            "metrics": feed.used_metrics(chosen),
        }
        return await _json(request, answer)

    async def spans(self, request: Request) -> Response:
        """Which frames are held, oldest first."""
        query = Query(request, "host")
        host = await self._host(query) if "host" in request.query_params else None
        return await _json(request, await self._asked(self._kept().spans(host)))

    async def range(self, request: Request) -> Response:
        """Frames of a run as lines of JSON, without tables."""
        query = Query(request, "host", "run", "first", "last")
        host = await self._host(query)
        run = query.text("run")
        first = query.integer("first", 1, 2**53)
        last = query.integer("last", first, min(first + wire.MAX_RANGE - 1, 2**53))
        async with asyncio.timeout(self._feed.limits.deadline):
            await self._ranges.acquire()
        try:
            frames = await self._asked(self._kept().frames(host, run, first, last))
            lines = []
            for count, frame in enumerate(frames):
                lines.append(wire.encode_frame(frame) + b"\n")
                if count % 50 == 49:
                    await asyncio.sleep(0)  # live readers come first
            return await _answer(request, b"".join(lines), "application/x-ndjson")
        finally:
            self._ranges.release()

    async def frame(self, request: Request) -> Response:
        """A full state with its derived values: the present one, or that at a time."""
        query = Query(request, "host", "time", "step")
        host = await self._host(query)
        if "time" not in request.query_params:
            state = self._feed.state(host)
            full = None if state is None else state.full()
            if state is None or full is None:
                return await _missing(request, "no frame of that host has come in yet")
            return await _json(request, answers.frame_answer(full, state.derived(), state.processes))
        when = query.moment("time", self._clock.now())
        found = await self._asked(self._kept().moment(host, when, query.integer("step", -1, 1, 0)))
        if found is None:
            return await _missing(request, "the history has no frame there")
        derived = derive(found.previous, found.frame, self._feed.catalogue)
        return await _json(request, answers.frame_answer(found.frame, derived))

    async def moment(self, request: Request) -> Response:
        """What a screen needs of one instant: state, predecessor, evidence; `null` where there is none."""
        query = Query(request, "host", "time", "step")
        host = await self._host(query)
        when = query.moment("time", self._clock.now())
        return await _json(request, await self._asked(self._kept().moment(host, when, query.integer("step", -1, 1, 0))))

    async def series(self, request: Request) -> Response:
        """Series in steps."""
        query = Query(request, "host", "metric", "instance", "since", "until", "points")
        host = await self._host(query)
        since, until = query.span(self._clock.now(), 3_600_000)
        metric, _, instance = query.text("metric").partition(":")
        wanted = SeriesQuery(
            host=host,
            metric=metric,
            instance=query.text("instance", instance or "*"),
            start=since,
            end=until,
            points=query.integer("points", 1, MAX_POINTS, 500),
        )
        return await _json(request, answers.history_answer(await self._asked(self._kept().series(wanted))))

    async def keys(self, request: Request) -> Response:
        """Series keys known of a host."""
        host = await self._host(Query(request, "host"))
        return await _json(request, await self._asked(self._kept().keys(host)))

    async def events(self, request: Request) -> Response:
        """Events, newest first."""
        query = Query(request, "host", "since", "until", "limit")
        host = await self._host(query) if "host" in request.query_params else None
        now = self._clock.now()
        since = query.moment("since", now) if "since" in request.query_params else None
        until = query.moment("until", now) if "until" in request.query_params else None
        limit = query.integer("limit", 1, MAX_EVENTS, 1000)
        return await _json(request, await self._asked(self._kept().events(host, since, until, limit)))

    async def alerts(self, request: Request) -> Response:
        """States of alerts that are not resolved."""
        query = Query(request, "host")
        host = await self._host(query) if "host" in request.query_params else None
        if self._history is None:
            return await _json(request, [each for each in self._feed.alerts.values() if host in (None, each.host)])
        return await _json(request, await self._asked(self._history.alerts(host)))

    async def evidence(self, request: Request) -> Response:
        """Who was busiest, at or before a time; `null` where that is not known."""
        query = Query(request, "host", "time")
        host = await self._host(query)
        when = query.moment("time", self._clock.now())
        return await _json(request, await self._asked(self._kept().evidence(host, when)))

    async def usage(self, request: Request) -> Response:
        """Exact byte totals per counter."""
        query = Query(request, "host", "since", "until", "step", many=("key",))
        host = await self._host(query)
        since, until = query.span(self._clock.now(), 31 * DAY)
        step = query.text("step", "day")
        if step not in ("hour", "day", "month"):
            raise UsageError(f"step '{step[:50]}' is not hour, day or month")
        keys = request.query_params.getlist("key")
        return await _json(request, await self._asked(self._kept().usage(host, since, until, step, keys)))

    async def gaps(self, request: Request) -> Response:
        """Stretches without data."""
        query = Query(request, "host", "since", "until")
        host = await self._host(query)
        since, until = query.span(self._clock.now(), DAY)
        return await _json(request, await self._asked(self._kept().gaps(host, since, until)))

    async def status(self, request: Request) -> Response:
        """How the history is."""
        Query(request)
        if self._history is None:
            return await _json(request, HistoryStatus(path="", problem="this server keeps no history"))
        return await _json(request, await self._asked(self._history.status()))

    def _kept(self) -> History:
        if self._history is None:
            raise StoreError("this server keeps no history", "start it without --no-history")
        return self._history

    async def _asked(self, answer: Awaitable[T]) -> T:
        async with asyncio.timeout(self._feed.limits.deadline):
            return await answer

    async def _held(self) -> list[RunSpan]:
        if self._history is None:
            return []
        try:
            return await self._asked(self._history.spans())
        except (StoreError, TimeoutError):
            return []

    async def _infos(self) -> list[HostInfo]:
        known = dict(self._feed.hosts)
        if self._history is not None:
            try:
                for info in await self._asked(self._history.hosts()):
                    known.setdefault(info.id, info)
            except (StoreError, TimeoutError):
                pass
        return list(known.values())

    async def _host(self, query: Query) -> str:
        """The host a request names; where this server knows only one, it need not."""
        name = query.text("host", "")
        if name in self._feed.hosts:
            return name
        infos = await self._infos()
        if not name:
            if len(infos) == 1:
                return infos[0].id
            name = query.text("host")
        return find_host(infos, name)


async def _missing(request: Request, error: str) -> Response:
    response = await _json(request, {"error": error, "hint": "/v1/spans lists what is held"})
    response.status_code = 404
    return response


async def _json(request: Request, value: Any) -> Response:
    return await _answer(request, wire.encode_json(value) + b"\n", "application/json")


async def _answer(request: Request, body: bytes, media_type: str) -> Response:
    headers = {"vary": "accept-encoding"}
    if len(body) > _COMPRESS_FROM and _accepts_gzip(request):
        headers["content-encoding"] = "gzip"
        # zlib lets go of the interpreter, so that a large answer delays nobody.
        body = await asyncio.to_thread(gzip.compress, body, 3, mtime=0)
    return Response(body, media_type=media_type, headers=headers)


def _accepts_gzip(request: Request) -> bool:
    for part in request.headers.get("accept-encoding", "").lower().split(","):
        coding, _, parameters = part.partition(";")
        if coding.strip() in ("gzip", "*"):
            return parameters.replace(" ", "") not in ("q=0", "q=0.0", "q=0.00", "q=0.000")
    return False
