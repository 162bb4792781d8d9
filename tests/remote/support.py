"""What the tests of the wire share: frames, a history in memory, a served application."""

from __future__ import annotations

import asyncio
import contextlib
import re
from typing import TYPE_CHECKING, Any

from remote.server.app import build_app, serve
from remote.server.feed import Feed, Limits
from sysmon.catalogue import Catalogue, counter, gauge, rate
from sysmon.frame import Frame
from sysmon.records import (
    Evidence,
    HistoryStatus,
    HostInfo,
    KnownDevice,
    Moment,
    Point,
    RunSpan,
    Series,
    SeriesAnswer,
    Span,
    Stats,
    Usage,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable, Sequence
    from pathlib import Path

    from remote.server.tls import ServerTls
    from sysmon.catalogue import Metric
    from sysmon.errors import StoreError
    from sysmon.frame import DeviceRow
    from sysmon.ports import History
    from sysmon.records import AlertState, Event, Past, SeriesQuery

HOST = "a1b2c3d4e5f60718"
OTHER = "ffffffffffffffff"
RUN = "00112233445566ff"
BOOT = "6e9c1f0a-0000-4000-8000-000000000001"
T0 = 1_790_000_000_000
"""Unix milliseconds of a run's frame 0."""

CATALOGUE = Catalogue(
    [
        counter("net.receive", "bytes", "Bytes received.", "net/dev", instance="interface", collector="network"),
        rate("net.receive_rate", "net.receive", "bytes/s", "Bytes received per second.", collector="network"),
        gauge("load.1", "", "Load.", "loadavg", precision=2, collector="load"),
        gauge("temperature", "celsius", "Temperature.", "hwmon", instance="sensor", collector="sensors"),
    ]
)


def frame(seq: int, *, host: str = HOST, run: str = RUN, boot: str = BOOT, start: int = T0, **more: Any) -> Frame:
    """Builds frame `seq` of a run: one a second, a counter that grows by 1000."""
    at = (1000 + (start - T0) // 1000 + seq) * 1_000_000_000
    given: dict[str, Any] = {
        "host": host,
        "boot": boot,
        "run": run,
        "seq": seq,
        "time": start + seq * 1000,
        "monotonic": at,
        "readings": {"net.receive:eth0": 1000 * seq, "load.1": 0.5},
        "reads": {"network": at, "load": at},
        "full": seq % 60 == 1,
    }
    if given["full"]:
        given["intervals"] = {"network": 1.0, "load": 1.0}
    return Frame(**{**given, **more})


HARMFUL = re.compile(
    "[\\x00-\\x1f\\x7f-\\x9f\\u061c\\u200b-\\u200f\\u2028-\\u202e\\u2060-\\u206f\\ufeff\\ud800-\\udfff\\U000e0000-\\U000e007f]"
)
"""Controls, characters that turn the direction of a line, and ones that nobody sees."""


def harmless(text: str) -> bool:
    """Whether a terminal draws a text as it stands there.

    Unlike `isprintable` it says nothing against characters that this Python's Unicode does not know yet.
    """
    return not HARMFUL.search(text)


class MemoryHistory:
    """A history and a recorder in memory: frames by identity."""

    def __init__(self, infos: Iterable[HostInfo] = (), frames: Iterable[Frame] = ()) -> None:
        self.infos = {info.id: info for info in infos}
        self.kept: dict[tuple[str, str, int], Frame] = {}
        self.late: list[tuple[str, str, int]] = []
        self.recorded: list[tuple[str, str, int]] = []
        self.asked: list[tuple[str, str, int, int]] = []
        self.queries: list[SeriesQuery] = []
        self.events_kept: list[Event] = []
        self.devices_kept: list[KnownDevice] = []
        self.resets_kept: list[int] = []
        self.pasts: list[Past] = []
        self.broken: StoreError | None = None
        self.delay = 0.0
        for each in frames:
            self.kept[each.identity] = each

    async def _check(self) -> None:
        if self.delay:
            await asyncio.sleep(self.delay)
        if self.broken is not None:
            raise self.broken

    async def status(self) -> HistoryStatus:
        await self._check()
        return HistoryStatus(path="/var/lib/sysmon/history.db", bytes=4096, since=T0, recorder="agent")

    async def hosts(self) -> list[HostInfo]:
        await self._check()
        return list(self.infos.values())

    async def keys(self, host: str) -> list[str]:
        await self._check()
        return ["load.1", "net.receive:eth0", "net.receive_rate:eth0"]

    async def series(self, query: SeriesQuery) -> SeriesAnswer:
        await self._check()
        self.queries.append(query)
        point = Point(T0 + 123, 3, 1.0, 2.0, 3.0, 2.5, 2.9)
        series = Series(
            host=query.host,
            metric=query.metric,
            instance="eth0",
            unit="bytes/s",
            step=1500,
            points=[point, Point(T0 + 60_000, 1, 1.0, 1.0, 1.0, 1.0)],
            stats=Stats(4, 1.0, 1.75, 3.0, 2.9, 1.0),
        )
        return SeriesAnswer(series=[series], gaps=[Span(T0 + 5_000, T0 + 9_001)])

    async def moment(self, host: str, time: int, step: int = 0) -> Moment | None:
        await self._check()
        frames = sorted((each for each in self.kept.values() if each.host == host), key=lambda each: each.time)
        if step > 0:
            found = next((at for at, each in enumerate(frames) if each.time > time), None)
        else:
            before = [at for at, each in enumerate(frames) if each.time <= time]
            found = before[-1] + step if before else None
        if found is None or found < 0:
            return None
        return Moment(frame=frames[found], previous=frames[found - 1] if found else None)

    async def spans(self, host: str | None = None) -> list[RunSpan]:
        await self._check()
        found: list[RunSpan] = []
        for key in sorted(self.kept):
            each = self.kept[key]
            if host is not None and each.host != host:
                continue
            last = found[-1] if found else None
            if last is not None and (last.host, last.run, last.last + 1) == key:
                found[-1] = RunSpan(
                    host=last.host,
                    run=last.run,
                    boot=last.boot,
                    first=last.first,
                    last=each.seq,
                    start=last.start,
                    end=each.time,
                )
            else:
                found.append(
                    RunSpan(
                        host=each.host,
                        run=each.run,
                        boot=each.boot,
                        first=each.seq,
                        last=each.seq,
                        start=each.time,
                        end=each.time,
                    )
                )
        return found

    async def frames(self, host: str, run: str, first: int, last: int) -> list[Frame]:
        await self._check()
        self.asked.append((host, run, first, last))
        return [self.kept[host, run, seq] for seq in range(first, last + 1) if (host, run, seq) in self.kept]

    async def events(
        self, host: str | None = None, start: int | None = None, end: int | None = None, limit: int = 1000
    ) -> list[Event]:
        await self._check()
        return self.events_kept[:limit]

    async def alerts(self, host: str | None = None) -> list[AlertState]:
        await self._check()
        return []

    async def evidence(self, host: str, time: int) -> Evidence | None:
        await self._check()
        return None

    async def usage(self, host: str, start: int, end: int, step: str, keys: Sequence[str] = ()) -> list[Usage]:
        await self._check()
        return [Usage(host=host, key=key, start=start, end=end, bytes=2**40, at_least=True) for key in keys]

    async def devices(self, host: str) -> list[KnownDevice]:
        await self._check()
        return [device for device in self.devices_kept if device.host == host]

    async def resets(self, host: str) -> list[int]:
        await self._check()
        return self.resets_kept

    async def gaps(self, host: str, start: int, end: int) -> list[Span]:
        await self._check()
        return [Span(start, end)]

    async def close(self) -> None:
        pass

    # As a recorder

    async def record(self, frame: Frame, *, received: int, late: bool = False) -> None:
        if frame.seq == 0 or frame.identity in self.kept:
            return
        self.kept[frame.identity] = frame
        self.recorded.append(frame.identity)
        if late:
            self.late.append(frame.identity)

    async def record_host(self, info: HostInfo) -> None:
        self.infos[info.id] = info

    async def record_metrics(self, host: str, metrics: Sequence[Metric]) -> None:
        pass

    async def record_event(self, event: Event) -> None:
        self.events_kept.append(event)

    async def record_alerts(self, states: Sequence[AlertState]) -> None:
        pass

    async def record_evidence(self, evidence: Evidence) -> None:
        pass

    async def record_past(self, past: Past) -> None:
        self.pasts.append(past)

    async def record_devices(self, host: str, rows: Sequence[DeviceRow], time: int) -> None:
        self.devices_kept += [KnownDevice(host=host, key=row.key, row=row, first=time, last=time) for row in rows]

    async def flush(self) -> None:
        await self._check()


def make_feed(**limits: Any) -> Feed:
    """Builds a feed with one host that has not said anything."""
    feed = Feed(CATALOGUE, version="1.2.3", limits=Limits(**limits))
    feed.publish(HostInfo(id=HOST, hostname="web", timezone="UTC"))
    return feed


class Served:
    """A running server."""

    def __init__(self, port: int, task: asyncio.Task[None], scheme: str = "http") -> None:
        self.port = port
        self.url = f"{scheme}://127.0.0.1:{port}"
        self._task = task

    async def stop(self) -> None:
        """Shuts it down."""
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)


@contextlib.asynccontextmanager
async def served(
    feed: Feed,
    history: History | None = None,
    *,
    port: int = 0,
    uds: Path | None = None,
    tls: ServerTls | None = None,
    say: Callable[[str], None] | None = None,
    **more: Any,
) -> AsyncIterator[Served]:
    """Serves a feed on a port of 127.0.0.1 by the real uvicorn."""
    up: asyncio.Future[int | None] = asyncio.get_running_loop().create_future()
    task = asyncio.create_task(
        serve(build_app(feed, history, **more), "127.0.0.1", port, uds=uds, started=up.set_result, tls=tls, say=say)
    )
    waiting: set[asyncio.Future[Any]] = {task, up}
    await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
    if task.done():
        task.result()
    server = Served(up.result() or 0, task, "https" if tls is not None else "http")
    try:
        yield server
    finally:
        await server.stop()
