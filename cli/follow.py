"""Following a remote host: live frames first, the holes filled behind them where somebody records."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import msgspec

from cli.agentpasts import AgentPasts
from cli.pasts import HOLE, SLACK, Bringer, Kept
from cli.sources import open_source
from remote.client.backfill import Backfill
from remote.client.transport import Connections
from remote.foreign.polled import PolledSource
from remote.server.reduced import only
from sysmon.clock import far_off
from sysmon.frame import Frame
from sysmon.records import AlertState, Event, Gap, Hello, HostInfo, Status

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from cli.context import Context
    from cli.recording import Archive
    from cli.sources import RemoteSource
    from cli.station import Station
    from remote.client.history import HttpHistory
    from remote.liveness import Patience
    from sysmon.config import HostSettings
    from sysmon.records import RunSpan, Update


DEVICES = frozenset({"devices"})
"""The table that is asked for of every host: who is behind its routers, be it a hub, is kept with their counters."""

SETTLE = 12.0
"""Seconds after a greeting at which what is still missing is no longer on its way."""


async def follow_host(
    context: Context,
    host: HostSettings,
    station: Station,
    archive: Archive | None,
    *,
    heard: Callable[[Hello, HttpHistory | None], None] | None = None,
    opened: Callable[[RemoteSource], None] | None = None,
    known: Callable[[str], bool] = lambda host: False,
    patience: Patience | None = None,
) -> None:
    """Takes a remote host's frames into a station for ever.

    Args:
        context: clock and configuration.
        host: where it is.
        station: takes what comes.
        archive: with a recorder, what was missed is fetched and recorded; otherwise the host is only looked at.
        heard: given every `Hello`, with the past of whoever said it.
        opened: given the source before anything came.
        known: whether a host's frames come another way already; it is left out here.
        patience: how long is too long; a recorder's by default.
    """
    connections = Connections()
    counted = Kept()
    tables: frozenset[str] = frozenset() if host.router else DEVICES
    source, past = open_source(
        context, host, connections=connections, patience=patience, counted=counted.keep, tables=tables
    )
    filling: asyncio.Task[None] | None = None
    backfill: Backfill | None = None
    before: AgentPasts | None = None
    recording = archive is not None and archive.recorder is not None and archive.history is not None
    paths = station.paths
    if paths is not None:
        station.clones.taken = paths.taken
        station.pasts[host.name] = past

    def elsewhere(each: str) -> bool:
        return known(each) or (paths is not None and paths.taken(each) != host.name)

    if isinstance(source, PolledSource) and archive is not None and archive.history is not None and recording:
        await source.resume(archive.history)
    station.contact.fetches = station.contact.fetches or recording
    station.wakes[host.name] = source.wake
    if host.router:
        # Its rows come anyway; while somebody looks at them, more is in them.
        station.asks[host.name] = lambda tables: source.ask(DEVICES & tables)
    if opened is not None:
        opened(source)
    beside: list[asyncio.Task[None]] = []
    if recording:
        bringer = Bringer(
            station,
            lambda: counted,
            here=lambda each: station.clones.here(host.name, each),
            slack=max(SLACK, 2 * host.interval),
        )
        beside.append(asyncio.create_task(bringer.run(), name=f"what others counted of {host.name}"))
    try:
        async for said in source.updates():
            late = isinstance(said, Frame) and source.late(said)
            if isinstance(said, Hello) and said.hosts:
                station.reached(host.name)
            for update in _admitted(station, host, said, late=late):
                if isinstance(update, Hello) and heard is not None:
                    heard(update, past())
                if recording and isinstance(update, Hello | Gap):
                    if backfill is None and archive is not None and (there := past()) is not None:
                        backfill = make_backfill(context, there, archive, station, elsewhere, host, source)
                        filling = asyncio.create_task(backfill.run(), name=f"fill {host.name}")
                        before = make_agent_pasts(there, archive, station, host, backfill)
                        beside.append(asyncio.create_task(before.run(), name=f"the past of {host.name}"))
                        if paths is not None:
                            paths.on_change(host.name, backfill.wake)
                if backfill is not None and isinstance(update, Hello | Gap):
                    # Once more when the frames that were just on their way have come, rather than at the next round.
                    backfill.wake(again=SETTLE)
                if before is not None and isinstance(update, Hello):
                    before.greeted(info for info in update.hosts if not elsewhere(info.id))
                for job in (filling, *beside):
                    if job is not None and job.done():
                        job.result()
                if isinstance(update, Status) and update.state == "offline":
                    counted.missed += HOLE
                if station.engine is not None and _is_alert(update):
                    # Who records a host evaluates its rules; the agent's own verdicts would tell everything twice.
                    continue
                kept = _without(update, known)
                if kept is None:
                    continue
                if isinstance(kept, HostInfo):
                    station.reached((paths.taken(kept.id) if paths is not None else None) or host.name)
                await station.take(kept, late=late)
                await _heed(station, source, kept, late=late)
    finally:
        for job in (*beside, *([filling] if filling is not None else [])):
            job.cancel()
            await asyncio.gather(job, return_exceptions=True)
        station.clones.leave(host.name)
        station.pasts.pop(host.name, None)
        station.wakes.pop(host.name, None)
        station.asks.pop(host.name, None)
        if paths is not None:
            for update in paths.leave(host.name):
                await station.take(update)
        await source.close()
        await connections.close()


def _admitted(station: Station, host: HostSettings, said: Update, *, late: bool) -> Iterator[Update]:
    """Yields what is to be taken of what a host's source said, under the ids that its hosts have here."""
    for update in station.clones.admit(host.name, _labelled(said, host), late=late):
        for each in [update] if station.paths is None else station.paths.admit(host.name, update):
            yield from _spread(station, each)


def _spread(station: Station, update: Update) -> list[Update]:
    """Makes of what is said of a target as a whole a status of each of its hosts, where they are known already."""
    if isinstance(update, Status) and not update.host and not update.via and update.target and not update.gone:
        known = [info.id for info in station.infos.values() if info.target == update.target]
        if known:
            return [msgspec.structs.replace(update, host=id) for id in known]
    return [update]


async def _heed(station: Station, source: RemoteSource, update: Update, *, late: bool) -> None:
    """Has the station tell what an update means for contact with its host."""
    contact = station.contact
    if isinstance(update, Frame):
        if not late:
            contact.frame(update, station.clock.boottime())
    elif isinstance(update, HostInfo):
        contact.know(update)
    elif isinstance(update, Hello):
        contact.hold(update.spans)
    elif isinstance(update, Status):
        info = station.infos.get(update.host)
        behind = info is not None and info.via not in ([], [info.hub])
        if update.state == "offline" and behind and source.connected.is_set():
            # A hub that is heard says so: what it means for the host is told by the hub.
            contact.leave(update.host)
        else:
            await station.heed(update)


def _labelled(update: Update, host: HostSettings) -> Update:
    """Adds what only the configuration knows: the name, tags, whether it may be off."""
    if isinstance(update, HostInfo) and (host.tags or host.expected_off):
        tags = [*dict.fromkeys([*update.tags, *host.tags])]
        return msgspec.structs.replace(update, tags=tags, expected_off=update.expected_off or host.expected_off)
    if isinstance(update, Hello):
        return msgspec.structs.replace(update, hosts=[_labelled(info, host) for info in update.hosts])
    if isinstance(update, Status) and not update.host and not update.via:
        tags = [*host.tags]
        return msgspec.structs.replace(update, name=host.name, tags=tags, expected_off=host.expected_off)
    return update


def make_backfill(
    context: Context,
    past: HttpHistory,
    archive: Archive,
    station: Station,
    known: Callable[[str], bool],
    host: HostSettings,
    source: RemoteSource,
) -> Backfill:
    """Makes what fills the holes between a server's history and ours."""
    history, recorder = archive.history, archive.recorder
    assert history is not None
    assert recorder is not None
    contact: dict[str, int] = {}

    clones = station.clones
    wanted = frozenset(host.collectors)

    def collector(key: str) -> str:
        metric = station.catalogue.of_key(key)
        return metric.collector if metric is not None else ""

    async def theirs() -> Sequence[RunSpan]:
        spans = await past.spans()
        here = {name: clones.here(host.name, name) for name in {span.host for span in spans}}
        return [
            span if here[span.host] == span.host else msgspec.structs.replace(span, host=here[span.host])
            for span in spans
            if not known(here[span.host])
        ]

    async def fetch(name: str, run: str, first: int, last: int) -> Sequence[Frame]:
        there = clones.there(host.name, name)
        frames = await past.frames(there, run, first, last)
        if wanted:
            # As the live ones: what is not wanted of a host is not wanted of its past either.
            frames = [only(frame, wanted, collector) for frame in frames]
        return frames if there == name else [msgspec.structs.replace(frame, host=name) for frame in frames]

    async def ours() -> Sequence[RunSpan]:
        spans = await history.spans()
        for span in spans:
            contact[span.host] = min(contact.get(span.host, span.start), span.start)
        return spans

    def skews(name: str) -> tuple[int, int]:
        return far_off(source.skew), station.skew(name)

    def tell(news: Gap | Frame) -> None:
        if station.feed is not None:
            station.feed.publish(news, late=True)

    return Backfill(
        theirs,
        ours,
        fetch,
        recorder,
        context.clock,
        contact=contact.get,
        tell=tell,
        skews=skews,
        interval=host.interval,
    )


def make_agent_pasts(
    past: HttpHistory, archive: Archive, station: Station, host: HostSettings, backfill: Backfill
) -> AgentPasts:
    """Makes what takes the usage that a server kept of its hosts before they were followed here."""
    assert archive.history is not None
    assert archive.recorder is not None
    return AgentPasts(
        past,
        archive.history,
        archive.recorder,
        station,
        backfill=backfill,
        there=lambda each: station.clones.there(host.name, each),
    )


def _without(update: Update, known: Callable[[str], bool]) -> Update | None:
    """Leaves out what is said of hosts that are known another way."""
    if isinstance(update, Hello):
        if not any(known(info.id) for info in update.hosts):
            return update
        return msgspec.structs.replace(
            update,
            hosts=[info for info in update.hosts if not known(info.id)],
            spans=[span for span in update.spans if not known(span.host)],
            alerts=[alert for alert in update.alerts if not known(alert.host)],
        )
    return None if known(update.id if isinstance(update, HostInfo) else update.host) else update


def _is_alert(update: Update) -> bool:
    return isinstance(update, AlertState) or (isinstance(update, Event) and update.kind.startswith("alert."))
