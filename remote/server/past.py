"""The routes below `/v1` that ask the history."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import msgspec
from starlette.routing import Route

from remote import wire
from remote.server.names import NotThere
from remote.server.query import Query
from remote.server.replies import json_reply, reply
from remote.server.usage import BY, Answers, Wanted
from sysmon import answers
from sysmon.devices import KINDS
from sysmon.errors import UsageError, nearest
from sysmon.frame import split_key
from sysmon.records import ACCOUNTED, HistoryStatus, SeriesQuery
from sysmon.zones import STEPS

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from remote.server.backend import Backend
    from sysmon.bandwidth import Kind

MAX_POINTS = 5000
"""Points of one series at most."""
MAX_EVENTS = 10_000
"""Events of one answer at most."""
MAX_NAMES = 20
"""Interfaces or devices of one answer on usage at most."""
DAY = 86_400_000
"""Milliseconds."""
MAX_TOTALS = 250_000
"""Totals of one answer of `/v1/usage` at most: each takes some 120 bytes on the wire, and four times that here."""
LENGTHS = {"fiveminute": DAY // 288, "hour": DAY // 24, "day": DAY, "month": 28 * DAY, "year": 365 * DAY}
"""Step -> milliseconds that it lasts at least."""
KEPT_FINE = 41 * DAY
"""Milliseconds for which five minutes are kept."""


class Past:
    """The endpoints that answer from the history."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._clock = backend.clock
        self._usages = Answers()
        self._ranges = asyncio.Semaphore(backend.feed.limits.ranges)

    def routes(self) -> list[Route]:
        """Returns them."""
        return [
            Route("/v1/spans", self.spans),
            Route("/v1/range", self.range),
            Route("/v1/moment", self.moment),
            Route("/v1/history", self.series),
            Route("/v1/keys", self.keys),
            Route("/v1/events", self.events),
            Route("/v1/alerts", self.alerts),
            Route("/v1/evidence", self.evidence),
            Route("/v1/usage", self.usage),
            Route("/v1/known-devices", self.devices),
            Route("/v1/resets", self.resets),
            Route("/v1/gaps", self.gaps),
            Route("/v1/status", self.status),
        ]

    async def spans(self, request: Request) -> Response:
        """Which frames are held, oldest first."""
        host = await self._backend.host_or_all(Query(request, "host"))
        return await json_reply(request, await self._backend.asked(self._backend.kept().spans(host)))

    async def range(self, request: Request) -> Response:
        """Frames of a run as lines of JSON, without tables."""
        query = Query(request, "host", "run", "first", "last")
        host = await self._backend.host(query)
        run = query.text("run")
        first = query.integer("first", 1, 2**53)
        last = query.integer("last", first, min(first + wire.MAX_RANGE - 1, 2**53))
        async with asyncio.timeout(self._backend.feed.limits.deadline):
            await self._ranges.acquire()
        try:
            frames = await self._backend.asked(self._backend.kept().frames(host, run, first, last))
            if not frames:
                await self._check_run(host, run)
            lines = []
            for count, frame in enumerate(frames):
                lines.append(wire.encode_frame(frame) + b"\n")
                if count % 50 == 49:
                    await asyncio.sleep(0)  # live readers come first
            return await reply(request, b"".join(lines), "application/x-ndjson")
        finally:
            self._ranges.release()

    async def _check_run(self, host: str, run: str) -> None:
        state = self._backend.feed.state(host)
        now = "" if state is None or state.frame is None else state.frame.run
        held = {span.run for span in await self._backend.asked(self._backend.kept().spans(host))}
        if run not in held and run != now:
            hint = nearest(run, held) or f"/v1/spans?host={host} lists what is held"
            raise NotThere(f"run '{run[:50]}' of that host is not held", hint)

    async def moment(self, request: Request) -> Response:
        """What a screen needs of one instant: state, predecessor, evidence; `null` where there is none."""
        query = Query(request, "host", "time", "step")
        host = await self._backend.host(query)
        when = query.moment("time", self._clock.now())
        step = query.integer("step", -1, 1, 0)
        return await json_reply(request, await self._backend.moment(host, when, step))

    async def series(self, request: Request) -> Response:
        """Series in steps."""
        query = Query(request, "host", "metric", "instance", "since", "until", "points")
        host = await self._backend.host(query)
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
        kept = self._backend.kept()
        answer = await self._backend.asked(kept.series(wanted))
        if not answer.series:
            await self._check_metric(host, metric)
        return await json_reply(request, answers.history_answer(answer))

    async def _check_metric(self, host: str, metric: str) -> None:
        """A metric without data is an empty answer, one that nobody knows is none."""
        catalogue = self._backend.feed.catalogue
        if metric in catalogue:
            return
        known = {key.partition(":")[0] for key in await self._backend.asked(self._backend.kept().keys(host))}
        if metric not in known:
            names = known | {each.name for each in catalogue}
            hint = nearest(metric, names) or f"/v1/keys?host={host} lists the series of that host"
            raise NotThere(f"'{metric[:100]}' is not a metric known here", hint)

    async def keys(self, request: Request) -> Response:
        """Series keys known of a host."""
        host = await self._backend.host(Query(request, "host"))
        return await json_reply(request, await self._backend.asked(self._backend.kept().keys(host)))

    async def events(self, request: Request) -> Response:
        """Events, newest first."""
        query = Query(request, "host", "since", "until", "limit")
        host = await self._backend.host_or_all(query)
        now = self._clock.now()
        since = query.moment("since", now) if "since" in query else None
        until = query.moment("until", now) if "until" in query else None
        limit = query.integer("limit", 1, MAX_EVENTS, 1000)
        return await json_reply(
            request, await self._backend.asked(self._backend.kept().events(host, since, until, limit))
        )

    async def alerts(self, request: Request) -> Response:
        """States of alerts that are not resolved."""
        host = await self._backend.host_or_all(Query(request, "host"))
        if self._backend.history is None:
            states = self._backend.feed.alerts.values()
            return await json_reply(request, [each for each in states if host in (None, each.host)])
        return await json_reply(request, await self._backend.asked(self._backend.history.alerts(host)))

    async def evidence(self, request: Request) -> Response:
        """Who was busiest, at or before a time; `null` where that is not known."""
        query = Query(request, "host", "time")
        host = await self._backend.host(query)
        when = query.moment("time", self._clock.now())
        return await json_reply(request, await self._backend.evidence(host, when))

    async def usage(self, request: Request) -> Response:
        """Exact byte totals per counter; with `by` as `sysmon usage` tells them."""
        query = Query(request, "host", "since", "until", "step", "by", "kind", "range", many=("key", "name"))
        for name in ("kind", "range", "name"):
            query.only_with(name, "by")
        host = await self._backend.host(query)
        if "by" in query:
            return await json_reply(request, await self._usages.get(self._backend, self._wanted(request, query, host)))
        since, until = query.span(self._clock.now(), 31 * DAY)
        step = query.choice("step", STEPS, "day")
        keys = request.query_params.getlist("key")
        await self._check_size(host, since, until, step, keys)
        return await json_reply(
            request, await self._backend.asked(self._backend.kept().usage(host, since, until, step, keys))
        )

    async def _check_size(self, host: str, since: int, until: int, step: str, keys: list[str]) -> None:
        """Refuses a question whose answer could take hundreds of megabytes, before anything is read for it."""
        count = len(keys)
        if not count:
            known = await self._backend.asked(self._backend.kept().keys(host))
            # Readings are forgotten before totals are: devices are known for longer than their series.
            devices = await self._backend.asked(self._backend.kept().devices(host))
            count = max(sum(split_key(key)[0] in ACCOUNTED for key in known), 2 * len(devices))
        kept = min(until - since, KEPT_FINE) if step == "fiveminute" else until - since
        totals = count * (kept // LENGTHS[step] + 1)
        if totals > MAX_TOTALS:
            raise UsageError(
                f"that may be {totals} totals, more than {MAX_TOTALS}", "ask for less time, longer steps or some keys"
            )

    def _wanted(self, request: Request, query: Query, host: str) -> Wanted:
        for name in ("step", "key"):
            if name in query:
                raise UsageError(f"'{name}' and 'by' exclude each other", "leave one of them out")
        kind: Kind = "device" if query.choice("kind", KINDS, "interface") == "device" else "interface"
        names = tuple(dict.fromkeys(each[:400] for each in request.query_params.getlist("name") if each))
        if len(names) > MAX_NAMES:
            raise UsageError(f"{len(names)} names are more than {MAX_NAMES}")
        return Wanted(host, kind, query.choice("by", BY), query.ask(self._clock.now()), names)

    async def devices(self, request: Request) -> Response:
        """Devices ever seen behind a router, with what users call them."""
        host = await self._backend.host(Query(request, "host"))
        return await json_reply(request, await self._backend.asked(self._backend.kept().devices(host)))

    async def resets(self, request: Request) -> Response:
        """When users began to count a router's devices anew."""
        host = await self._backend.host(Query(request, "host"))
        return await json_reply(request, await self._backend.asked(self._backend.kept().resets(host)))

    async def gaps(self, request: Request) -> Response:
        """Stretches without data."""
        query = Query(request, "host", "since", "until")
        host = await self._backend.host(query)
        since, until = query.span(self._clock.now(), DAY)
        return await json_reply(request, await self._backend.asked(self._backend.kept().gaps(host, since, until)))

    async def status(self, request: Request) -> Response:
        """How the history is."""
        Query(request)
        push = self._backend.feed.push
        line = "" if push is None else push().line()
        if self._backend.history is None:
            return await json_reply(request, HistoryStatus(path="", problem="this server keeps no history", push=line))
        found = await self._backend.asked(self._backend.history.status())
        return await json_reply(request, msgspec.structs.replace(found, push=line) if line else found)
