"""What the agent and the recorder share: this host's frames recorded, alerted on and served, until a signal ends it."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import signal
from typing import TYPE_CHECKING

from alerts.engine import Engine
from cli import notify
from cli.caps import watch_caps
from cli.local import make_runner
from cli.ownhost import Contacts, OwnHost, say
from cli.pasts import Bringer
from cli.paths import Paths, hub_id
from cli.recording import begin, open_archive
from cli.station import Station
from sysmon.errors import StoreError
from sysmon.version import version

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Sequence
    from pathlib import Path

    from cli.context import Context
    from cli.recording import Archive
    from remote.server.feed import Feed

    Beside = Callable[[Station, Archive, OwnHost, Feed], Coroutine[object, object, None]]
    Follow = Callable[[Station, Archive, Contacts], Coroutine[object, object, None]]

LOOK = 1.0
"""Seconds between looks at how recording goes."""


def usable(socket: Path | None) -> Path | None:
    """Makes the folder of the Unix socket; returns None, saying why, where that cannot be."""
    if socket is None:
        return None
    try:
        socket.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        say(f"sysmon: no Unix socket in {socket.parent}: {error.strerror}; screens find this process by its port")
        return None
    return socket


async def run_service(
    context: Context,
    who: str,
    *,
    listen: str | None,
    port: int,
    socket: Path | None,
    interface: str | None = None,
    record: bool = True,
    strict: bool = False,
    extras: Sequence[Follow] = (),
    beside: Sequence[Beside] = (),
) -> int:
    """Collects this host, keeps its history, evaluates its rules and serves it until SIGTERM or SIGINT.

    Args:
        context: paths, catalogue, configuration.
        who: agent or recorder.
        listen: addresses served on, as `--listen` takes them, or None for the Unix socket alone.
        port: TCP port.
        socket: path of the Unix socket, or None.
        interface: a glob over network interfaces, or None.
        record: False keeps no history.
        strict: whether it is an error that nothing can be recorded.
        extras: further tasks of the same life, such as one per remote host; they begin when recording does.
        beside: tasks that begin at once.

    Returns:
        The exit status.
    """
    # Here and not above: the screen takes `Tables` from this file, and serves nothing.
    from cli.entrance import entrance
    from remote.client.lent import LentEvidence
    from remote.server.app import build_app, serve
    from remote.server.endpoints import endpoints
    from remote.server.feed import Feed

    way_in = entrance(context, listen)
    archive = open_archive(context, who, record=record, strict=strict)
    say(*(f"sysmon: {notice}" for notice in archive.news()))
    if archive.failure:
        say(f"sysmon: {archive.failure}")
    socket = usable(socket)
    station = Station(context.catalogue, context.clock, evidence=context.config.history.evidence)
    own = OwnHost(lambda: make_runner(context, interface=interface), station)
    hub = hub_id(own.id, context.history_path) if who == "recorder" else ""
    feed = Feed(
        context.catalogue,
        clock=context.clock,
        version=version(),
        watch=lambda tables: _look(own, station, tables),
        states=station.states,
        hub=hub,
    )
    station.feed = feed
    station.paths = Paths(hub, own.id) if hub else None
    recording = asyncio.Event()
    if archive.recorder is not None:
        await _begin(context, station, archive, recording)
    contacts = Contacts(own.id, len(extras))
    reports = None
    routes = endpoints(feed, archive.history, context.clock, lambda: own.id, interface)
    if who == "recorder":
        from cli.pushed import PushedHosts
        from remote.push.report import ReportRoute

        reports = PushedHosts(
            context, station, archive, contacts, own=own.id, boot=own.runner.identity.boot, server=feed.server
        )
        routes += ReportRoute(reports.intake, context.clock).routes()
    app = build_app(
        feed,
        archive.history,
        clock=context.clock,
        names=way_in.names,
        access=way_in.access,
        routes=routes,
        lent=LentEvidence(station.past) if hub else None,
    )

    def started(bound: int | None) -> None:
        where = way_in.where(bound) if bound is not None else f"unix://{socket}"
        kept = f", history in {context.history_path}" if archive.recorder is not None else ", nothing is recorded"
        say(f"sysmon {who}: serving {own.runner.identity.info.label} on {where}{kept}")
        say(*(f"sysmon {who}: {line}" for line in way_in.told()))
        notify.tell("READY=1", f"STATUS={archive.problem() or f'serving on {where}{kept}'}")
        asyncio.get_running_loop().call_later(LOOK, settle)

    async def extra_when_recording(extra: Follow) -> None:
        await recording.wait()
        await extra(station, archive, contacts)

    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    loop.add_signal_handler(signal.SIGHUP, lambda: None)
    jobs = [
        asyncio.create_task(
            serve(app, listen, port, uds=socket, started=started, tls=way_in.tls, say=say)
            if listen is not None or socket is not None
            else _serve_nobody(who),
            name="serve",
        ),
        asyncio.create_task(own.collect(contacts if who == "recorder" else None), name="collect"),
        asyncio.create_task(_look_after(context, who, station, archive, own, recording, wanted=record), name="look"),
        asyncio.create_task(notify.stay_alive(), name="signs of life"),
        asyncio.create_task(Bringer(station, lambda: own.runner).run(), name="what others counted"),
        asyncio.create_task(watch_caps(context, station, archive, lambda: own.id), name="caps"),
        *(asyncio.create_task(extra_when_recording(extra), name="host") for extra in extras),
        *(asyncio.create_task(each(station, archive, own, feed), name="beside") for each in beside),
    ]
    if reports is not None:
        jobs.append(asyncio.create_task(reports.run(recording), name="pushed hosts"))
    stopped = asyncio.create_task(stop.wait(), name="stop")
    try:
        done, _ = await asyncio.wait([*jobs, stopped], return_when=asyncio.FIRST_COMPLETED)
        for job in done:
            if job is not stopped:
                job.result()
        return 0 if stopped in done else 1
    finally:
        notify.tell("STOPPING=1")
        await own.close()
        for job in (*jobs, stopped):
            job.cancel()
        await asyncio.gather(*jobs, stopped, return_exceptions=True)
        await station.close()
        await archive.close()


async def _serve_nobody(who: str) -> None:
    say(f"sysmon {who}: serving nobody: there is no port, and no folder for a Unix socket")
    notify.tell("READY=1")
    await asyncio.Event().wait()


def _look(own: OwnHost, station: Station, tables: frozenset[str]) -> None:
    """Has collected what somebody looks at: here, and of the routers that are followed."""
    own.tables.watch(tables)
    for ask in station.asks.values():
        ask(tables)


async def _begin(context: Context, station: Station, archive: Archive, recording: asyncio.Event) -> None:
    engine = Engine(context.config.rules, context.catalogue, context.clock)
    await station.begin(archive.recorder, engine, archive.history)
    recording.set()


def settle() -> None:
    """Has what was loaded and made so far looked through no more: a full collection of garbage holds everybody up, for
    tens of milliseconds where thousands of devices are asked for.
    """
    gc.collect()
    gc.freeze()


async def _look_after(
    context: Context,
    who: str,
    station: Station,
    archive: Archive,
    own: OwnHost,
    recording: asyncio.Event,
    *,
    wanted: bool,
) -> None:
    """Says what becomes of recording, and begins with it once what was in the way is gone: a screen, a full disk."""
    told = archive.problem()
    while True:
        await asyncio.sleep(LOOK)
        if wanted and archive.recorder is None and context.config.history.enabled:
            with contextlib.suppress(StoreError):
                begin(context, archive, who)
                await _begin(context, station, archive, recording)
                own.runner.full_next()
        say(*(f"sysmon: {notice}" for notice in archive.news()))
        problem = archive.problem() or station.problem
        if problem != told:
            told = problem
            say(f"sysmon: {problem}" if problem else f"sysmon {who}: recording into {context.history_path}")
            notify.tell(f"STATUS={problem or f'recording into {context.history_path}'}")
