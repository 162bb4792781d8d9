"""What Netronome's agent answers, so that a Netronome server can use a sysmon as one.

The shapes are theirs, field by field; what is not known is left out, and what their agent takes from vnstat comes from
our own counters and totals. Their server asks `/` and `/netronome/info` without its key, the rest with `X-API-Key`.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from starlette.routing import Route

from remote.foreign.netronomehardware import hardware
from remote.foreign.vnstatexport import Interface, document, interfaces_from, rfc3339_local
from remote.foreign.vnstatlive import interfaces_of
from remote.foreign.vnstatstream import LiveStream
from remote.server.query import Query
from remote.server.replies import json_reply
from remote.server.stream import StreamResponse
from sysmon.errors import StoreError, UsageError
from sysmon.records import HostInfo, SeriesQuery
from sysmon.zones import zone_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from starlette.requests import Request
    from starlette.responses import Response

    from remote.server.feed import Feed
    from sysmon.clock import Clock
    from sysmon.derive import State
    from sysmon.frame import Number
    from sysmon.ports import History

DAY = 86_400_000
"""Milliseconds."""
PEAKS = 30 * DAY
"""Milliseconds back that peaks are looked for."""
KEEP = 60.0
"""Seconds for which totals are told again before they are added up anew."""
NEVER = "0001-01-01T00:00:00Z"
"""How their agent writes a time that has not come."""
_VIRTUAL = frozenset({"bridge", "bond", "vlan", "veth", "tunnel", "wireguard", "virtual"})


class NetronomeRoutes:
    """The endpoints of one server.

    Args:
        feed: the present.
        history: totals and peaks, or None where none is kept.
        clock: the server's.
        host: id of the host that is spoken of.
        pattern: a glob over network interfaces, or None for those of the default route.
    """

    def __init__(
        self, feed: Feed, history: History | None, clock: Clock, host: Callable[[], str], pattern: str | None = None
    ) -> None:
        self._feed = feed
        self._history = history
        self._clock = clock
        self._host = host
        self._pattern = pattern
        self._live = LiveStream(feed, host, pattern, clock)
        self._totals: tuple[float, dict[str, int]] | None = None

    def routes(self) -> list[Route]:
        """Returns all routes."""
        return [
            Route("/", self.root),
            Route("/netronome/info", self.about),
            Route("/events", self.events),
            Route("/system/info", self.system),
            Route("/system/hardware", self.hardware),
            Route("/stats/peaks", self.peaks),
            Route("/export/historical", self.historical),
        ]

    async def root(self, request: Request) -> Response:
        """What a Netronome server may ask for."""
        Query(request)
        host, port = _server(request)
        endpoints = {
            "live": "/events?stream=live-data",
            "historical": "/export/historical",
            "system": "/system/info",
            "hardware": "/system/hardware",
            "peaks": "/stats/peaks",
        }
        keyed = request.url.scheme == "https" or "x-api-key" in request.headers or "authorization" in request.headers
        auth = (
            {"authentication": "required", "auth_methods": ["X-API-Key header"]}
            if keyed
            else {"authentication": "none"}
        )
        return await json_reply(
            request, {"service": "sysmon", "host": host, "port": port, "endpoints": endpoints, **auth}
        )

    async def about(self, request: Request) -> Response:
        """Who answers, for a Netronome server."""
        Query(request)
        host, port = _server(request)
        answer = {
            "type": "netronome-agent",
            "version": f"sysmon {self._feed.version}",
            "hostname": self._info().hostname,
            "listening_host": host,
            "listening_port": port,
            "using_tailscale": False,
        }
        return await json_reply(request, answer)

    async def events(self, request: Request) -> Response:
        """Traffic as vnstat's live lines."""
        query = Query(request, "stream")
        stream = query.text("stream", "live-data")
        if stream != "live-data":
            raise UsageError(f"stream '{stream[:50]}' is not one of this server", "write /events?stream=live-data")
        self._live.room()
        return StreamResponse(self._live, self._live.join, gzip=False)

    async def system(self, request: Request) -> Response:
        """The machine and its interfaces."""
        Query(request)
        state, info = self._state(), self._info()
        now = self._clock.now()
        readings = state.readings
        totals = await self._counted(readings)
        rows = {row.name: row for row in state.tables.interfaces or ()}
        interfaces = {}
        for name in state.instances("net.receive"):
            row = rows.get(name)
            if (row is not None and row.kind == "loopback") or name == "lo":
                continue
            speed = -1 if row is not None and row.kind in _VIRTUAL else 0
            if row is not None and row.speed:
                speed = row.speed // 125_000
            interfaces[name] = {
                "name": name,
                "alias": "",
                "ip_address": next((each for each in row.addresses if "." in each), "") if row is not None else "",
                "link_speed": speed,
                "is_up": row is not None and row.up,
                "bytes_total": totals.get(name, 0),
            }
        answer = {
            "hostname": info.hostname,
            "kernel": f"Linux {info.kernel}" if info.kernel else info.os,
            "uptime": state.frame.monotonic // 1_000_000_000 if state.frame is not None else 0,
            "interfaces": interfaces,
            "vnstat_version": f"sysmon {self._feed.version}",
            "updated_at": rfc3339_local(now, zone_of(info.timezone)),
        }
        return await json_reply(request, answer)

    async def hardware(self, request: Request) -> Response:
        """Processors, memory, filesystems, temperatures."""
        Query(request)
        info = self._info()
        answer = hardware(self._state(), info)
        answer["updated_at"] = rfc3339_local(self._clock.now(), zone_of(info.timezone))
        return await json_reply(request, answer)

    async def peaks(self, request: Request) -> Response:
        """The highest rates of the last 30 days; without a history, since somebody reads."""
        Query(request)
        zone = zone_of(self._info().timezone)
        found = [await self._peak("net.receive_rate", 0), await self._peak("net.transmit_rate", 1)]
        answer: dict[str, Any] = {}
        for name, (rate, _) in zip(("rx", "tx"), found, strict=True):
            answer[f"peak_{name}"] = rate
        for name, (rate, _) in zip(("rx", "tx"), found, strict=True):
            answer[f"peak_{name}_string"] = _binary(rate)
        for name, (_, when) in zip(("rx", "tx"), found, strict=True):
            answer[f"peak_{name}_timestamp"] = NEVER if when is None else rfc3339_local(when, zone)
        answer["updated_at"] = rfc3339_local(self._clock.now(), zone)
        return await json_reply(request, answer)

    async def historical(self, request: Request) -> Response:
        """Totals by hour, day, month and year."""
        query = Query(request, "interface")
        wanted = query.text("interface", "")
        state, info = self._state(), self._info()
        now = self._clock.now()
        zone = zone_of(info.timezone)
        known = state.instances("net.receive")
        names = [wanted] if wanted else interfaces_of(state, self._pattern)
        keys = [f"{metric}:{name}" for name in names for metric in ("net.receive", "net.transmit")]
        since, usage = await self._usage(keys, now)
        found = interfaces_from(usage)
        if wanted and wanted not in found and wanted not in known:
            raise UsageError(f"'{wanted[:50]}' is not an interface here", f"known are {', '.join(known[:20])}")
        answers = []
        for name in names:
            if self._history is not None:
                answers.append(found.get(name, Interface(name)).answer(zone, now, since))
            elif (told := _since_boot(name, state)) is not None:
                answers.append(told)
        return await json_reply(request, document(answers, self._feed.version, zone, now))

    # What is known

    def _state(self) -> State:
        state = self._feed.state(self._host())
        if state is None or state.frame is None:
            raise StoreError("nothing has been read yet", "ask again in a second")
        return state

    def _info(self) -> HostInfo:
        host = self._host()
        return self._feed.hosts.get(host) or HostInfo(id=host)

    async def _usage(self, keys: list[str], now: int) -> tuple[int, list[tuple[str, list[Any]]]]:
        if self._history is None:
            return now, []
        host = self._host()
        async with asyncio.timeout(self._feed.limits.deadline):
            status = await self._history.status()
            since = status.since if status.since is not None else now
            found = []
            for step, back in (("hour", 4 * DAY), ("day", 62 * DAY), ("month", 20 * 366 * DAY)):
                found.append((step, await self._history.usage(host, max(0, now - back), now, step, keys)))
        starts = [each.start for _, usage in found for each in usage]
        return min([since, *starts]), found

    async def _counted(self, readings: Mapping[str, Number]) -> dict[str, int]:
        """Returns interface -> all bytes counted there, both ways: since the history began; without one, since boot."""
        loop = asyncio.get_running_loop()
        if self._totals is not None and loop.time() - self._totals[0] < KEEP:
            return self._totals[1]
        counted: dict[str, int] = {}
        for key, value in readings.items():
            metric, _, name = key.partition(":")
            if metric in ("net.receive", "net.transmit"):
                counted[name] = counted.get(name, 0) + (int(value) if self._history is None else 0)
        if self._history is not None:
            keys = [f"{metric}:{name}" for name in counted for metric in ("net.receive", "net.transmit")]
            async with asyncio.timeout(self._feed.limits.deadline):
                usage = await self._history.usage(self._host(), 0, self._clock.now(), "month", keys)
            for each in usage:
                name = each.key.partition(":")[2]
                counted[name] = counted.get(name, 0) + each.bytes
        self._totals = (loop.time(), counted)
        return counted

    async def _peak(self, metric: str, direction: int) -> tuple[int, int | None]:
        live = self._live.lines.peaks[direction]
        state = self._state()
        if self._history is None:
            return live
        now = self._clock.now()
        best = live
        try:
            for name in interfaces_of(state, self._pattern)[:8]:
                query = SeriesQuery(
                    host=self._host(), metric=metric, instance=name, start=now - PEAKS, end=now, points=1000
                )
                async with asyncio.timeout(self._feed.limits.deadline):
                    answer = await self._history.series(query)
                for series in answer.series:
                    for point in series.points:
                        if point.max > best[0]:
                            best = (round(point.max), point.time)
        except (StoreError, TimeoutError):
            return best
        return best


def _server(request: Request) -> tuple[str, int]:
    server = request.scope.get("server")
    return (str(server[0]), server[1] or 0) if server is not None else ("", 0)


def _since_boot(name: str, state: State) -> dict[str, Any] | None:
    """An interface without recorded totals: what its counters have shown since boot, and no buckets."""
    readings = state.readings
    received, sent = readings.get(f"net.receive:{name}"), readings.get(f"net.transmit:{name}")
    if received is None or sent is None:
        return None
    empty: list[Any] = []
    lists = {step: empty for step in ("fiveminute", "hour", "day", "month", "year", "top")}
    return {"name": name, "alias": "", "traffic": {"total": {"rx": int(received), "tx": int(sent)}, **lists}}


def _binary(rate: int) -> str:
    """Writes bytes per second with binary prefixes, as their agent does."""
    if rate == 0:
        return "0 B/s"
    value = float(rate)
    for unit in ("B/s", "KiB/s", "MiB/s", "GiB/s"):
        if value < 1024:
            return f"{value:.2f} {unit}"
        value /= 1024
    return f"{value:.2f} TiB/s"
