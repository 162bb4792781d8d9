"""The routes below `/v1` that speak of the present. Each asks the feed, and answers JSON. None changes anything."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from starlette.routing import Route

from remote import wire
from remote.server.backend import Backend
from remote.server.devices import Totals, Wanted, devices
from remote.server.fanout import ViewKey
from remote.server.names import UnknownHost, find_host
from remote.server.past import Past
from remote.server.query import Query
from remote.server.replies import accepts_gzip, json_reply, missing
from remote.server.stream import StreamResponse
from sysmon import answers, ledger
from sysmon.derive import derive
from sysmon.devices import KINDS
from sysmon.errors import UsageError, nearest

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from remote.client.lent import LentEvidence
    from remote.server.feed import Feed
    from sysmon.clock import Clock
    from sysmon.ports import History

MAX_INTERVAL = 900
"""Seconds between frames that a reader may ask for at most."""
TURN = 0.1
"""Seconds between the beginnings of streams, where many want to begin."""
MAX_DEVICES = 10_000
"""Devices of one answer at most; `offset` leads to those behind."""


class Routes:
    """The endpoints of one server."""

    def __init__(self, feed: Feed, history: History | None, clock: Clock, lent: LentEvidence | None = None) -> None:
        self._feed = feed
        self._clock = clock
        self._backend = Backend(feed, history, clock, lent)
        self._past = Past(self._backend)
        self._totals = Totals()
        self._begins = 0.0

    def routes(self) -> list[Route]:
        """Returns all routes."""
        return [
            Route("/healthz", self.health),
            Route("/v1/stream", self.stream),
            Route("/v1/hosts", self.hosts),
            Route("/v1/frame", self.frame),
            Route("/v1/devices", self.devices),
            *self._past.routes(),
        ]

    async def health(self, request: Request) -> Response:
        """Liveness."""
        Query(request)
        feed = self._feed
        alive = {"status": "ok", "version": feed.version, "time": self._clock.now(), "hosts": len(feed.hosts)}
        pushed = {} if feed.push is None else {"push": feed.push()}
        return await json_reply(request, {**alive, "streams": feed.readers, "dropped": feed.dropped, **pushed})

    async def stream(self, request: Request) -> Response:
        """Server-sent events."""
        query = Query(request, "interval", many=("hosts", "tables", "collectors"))
        tables = _tables(query)
        interval = query.integer("interval", 1, MAX_INTERVAL, 0)
        names = query.texts("hosts")
        hosts = frozenset([self._feed.find(name) for name in names]) if names else None
        collectors = self._collectors(query)
        # Without what the history holds the stream still says what is now.
        spans = [] if request.method == "HEAD" else await self._backend.held()
        compress = accepts_gzip(request)
        key = ViewKey(hosts, tables, compress, collectors, interval)
        last_id = request.headers.get("last-event-id", "")[:64]
        await self._turn()
        self._feed.room()
        return StreamResponse(
            self._feed, lambda abort: self._feed.join(key, abort=abort, last_id=last_id, spans=spans), gzip=compress
        )

    async def _turn(self) -> None:
        """Lets streams begin in groups where many come at once: those of one moment share what is made for them."""
        loop = asyncio.get_running_loop()
        now = loop.time()
        self._begins = max(self._begins + TURN, now) if self._begins < now else self._begins
        await asyncio.sleep(self._begins - now)

    def _collectors(self, query: Query) -> frozenset[str] | None:
        wanted = frozenset(query.texts("collectors"))
        known = self._feed.known_collectors() | wire.TABLES
        for strange in sorted(wanted - known):
            # What nobody has, or a hub does not know yet, is merely not sent; what is nearly the name of one is a slip.
            if hint := nearest(strange, known):
                raise UsageError(f"collectors: '{strange[:50]}' is not a collector", hint)
        return wanted or None

    async def hosts(self, request: Request) -> Response:
        """Who is known, how fresh, which frames are held, and the catalogue."""
        query = Query(request, "host")
        feed = self._feed
        infos = await self._backend.infos()
        chosen: frozenset[str] | None = None
        waiting = feed.unreached
        if "host" in query:
            name = query.text("host")
            waiting = [status for status in waiting if status.name.lower() == name.lower()]
            try:
                chosen = frozenset([find_host(infos, name)])
            except UnknownHost:
                if not waiting:
                    raise
                chosen = frozenset()
        listed = [info for info in infos if chosen is None or info.id in chosen]
        statuses = [status for info in listed if (status := feed.status(info.id)) is not None]
        answer = {
            "schema": wire.SCHEMA,
            "version": feed.version,
            "server": feed.server,
            "hub": feed.hub,
            "time": self._clock.now(),
            "hosts": listed,
            # A configured host that was never reached has a name and no id.
            "statuses": [*statuses, *waiting],
            "spans": [span for span in await self._backend.held() if chosen is None or span.host in chosen],
            "metrics": feed.used_metrics(chosen),
        }
        return await json_reply(request, answer)

    async def frame(self, request: Request) -> Response:
        """A full state with its derived values: the present one, or that at a time."""
        query = Query(request, "host", "time", "step", many=("tables",))
        query.only_with("step", "time")
        asked = _tables(query)
        host = await self._backend.host(query)
        if "time" not in query:
            state = self._feed.state(host)
            full = None if state is None else state.full()
            if state is None or full is None:
                return await missing(request, "no frame of that host has come in yet")
            return await json_reply(request, answers.frame_answer(full, state.derived(), state, asked))
        when = query.moment("time", self._clock.now())
        step = query.integer("step", -1, 1, 0)
        found = await self._backend.asked(self._backend.kept().moment(host, when, step))
        if found is None:
            return await missing(request, "the history has no frame there")
        derived = derive(found.previous, found.frame, self._feed.catalogue)
        return await json_reply(request, answers.frame_answer(found.frame, derived))

    async def devices(self, request: Request) -> Response:
        """Bandwidth per interface and per device behind routers: rates now, today, this month, in a range, in total."""
        query = Query(request, "host", "kind", "range", "since", "until", "sort", "limit", "offset", "name", "totals")
        kind = query.choice("kind", (*KINDS, "all"), "interface")
        wanted = Wanted(
            host=await self._backend.host_or_all(query),
            kinds=KINDS if kind == "all" else tuple(each for each in KINDS if each == kind),
            ask=query.ask(self._clock.now()),
            totals=query.choice("totals", ("yes", "no"), "yes") == "yes",
            name=query.text("name", ""),
            sort=query.choice("sort", ledger.SORTS) if "sort" in query else "",
            offset=query.integer("offset", 0, 10**9, 0),
            limit=query.integer("limit", 1, MAX_DEVICES, MAX_DEVICES),
        )
        return await json_reply(request, await devices(self._backend, self._totals, wanted))


def _tables(query: Query) -> frozenset[str]:
    """Returns the tables that are asked for by name."""
    tables = frozenset(query.texts("tables"))
    for table in tables - wire.TABLES:
        hint = nearest(table, wire.TABLES) or f"known: {', '.join(sorted(wire.TABLES))}"
        raise UsageError(f"'{table[:50]}' is not a table", hint)
    return tables
