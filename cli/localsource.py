"""What the screen shows of this host: its own collectors, or the agent or recorder that already runs here.

A screen looks for a recorder first and samples nothing where one runs. Otherwise it records while it is open, gives
way to an agent or recorder that comes, and takes over within some seconds when the other recorder leaves.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING

from alerts.engine import Engine
from cli.caps import watch_caps
from cli.local import make_runner, own_boot, own_host
from cli.neighbours import Neighbours
from cli.ownhost import Tables
from cli.pasts import Bringer
from cli.paths import Paths
from cli.recording import Archive, begin, open_archive
from cli.station import Station
from cli.witness import Witness
from store.lock import holder
from sysmon.errors import StoreError, SysmonError
from sysmon.frame import SMALL_TABLES
from sysmon.records import Hello, HostInfo, Status

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from cli.context import Context
    from cli.neighbours import Neighbour
    from cli.sources import RemoteSource
    from collectors.runner import Runner
    from remote.client.history import HttpHistory
    from store.lock import LockHolder
    from sysmon.ports import History
    from sysmon.records import Update

LOOK = 1.0
"""Seconds between looks at who records."""

NO_HUB = "-"
"""No id of any hub."""

HELLO = 3.0
"""Seconds that an agent or recorder which was found may take to greet."""

UNSERVED = 10
"""Looks after which hosts are let go of that a recorder does not follow which now is shown."""

STATUS_EVERY = 5
"""Looks between questions to a recorder that is shown, how its history is."""


class LocalSource:
    """Implements `sysmon.ports.Source` for this host and the configured ones.

    Args:
        context: paths, catalogue, configuration.
        interface: a glob over network interfaces, or None.
        record: False keeps no history.

    Attributes:
        tell: is given sentences that people should know once; set by whoever shows them.
        local_id: id of this host.
    """

    def __init__(self, context: Context, *, interface: str | None = None, record: bool = True) -> None:
        self._context = context
        self._interface = interface
        self._record = record and context.config.history.enabled
        self._station = Station(context.catalogue, context.clock, evidence=context.config.history.evidence)
        # A screen serves nobody, so that no way leads back to it; a host with two ways is taken from one all the same.
        self._station.paths = Paths(NO_HUB)
        self._watcher = self._station.watch()
        self._tables: set[str] = set()
        self._runner: Runner | None = None
        self._asked: Tables | None = None
        self._sources: dict[str, RemoteSource] = {}
        self._archive = Archive()
        self._pasts: dict[str, History] = {}
        self._supervisor: asyncio.Task[None] | None = None
        self._problem = ""
        self._began = time.time_ns()
        self.tell: Callable[[str], None] = lambda text: None
        self.local_id = own_host(context)
        self._station.clones.run_on(self.local_id, own_boot())
        self._neighbours = Neighbours(context.places, context.config.agent.port, self.local_id)

    async def updates(self) -> AsyncIterator[Update]:
        """Yields what this host and the configured ones say, whoever reads them."""
        self._supervisor = asyncio.create_task(self._supervise(), name="this host")
        ending = asyncio.create_task(self._end_with(self._supervisor), name="end")
        try:
            async for update in self._watcher.updates():
                yield update
            if self._supervisor.done() and not self._supervisor.cancelled():
                self._supervisor.result()
        finally:
            ending.cancel()
            await self.close()

    async def _end_with(self, supervisor: asyncio.Task[None]) -> None:
        await asyncio.wait({supervisor})
        await self._watcher.close()

    async def close(self) -> None:
        """Ends, committing what was recorded."""
        if self._supervisor is not None:
            self._supervisor.cancel()
            await asyncio.gather(self._supervisor, return_exceptions=True)
        await self._station.close()

    def history(self, host: str) -> History | None:
        """The past of a host: in the file of this process or of another here, or where the host itself is asked."""
        return self._pasts.get(host) or self._archive.history

    def problem(self) -> str:
        """What is wrong with recording now, or the empty string."""
        path = self._context.history_path
        # The words matter more than the folder, and the line is short.
        return (self._archive.problem() or self._station.problem or self._problem).replace(str(path), path.name)

    def watch(self, tables: set[str]) -> None:
        """Has tables collected that somebody looks at."""
        self._tables = set(tables)
        if self._asked is not None:
            self._asked.watch(self._tables)
        for source in self._sources.values():
            source.ask(SMALL_TABLES | self._tables)

    async def _supervise(self) -> None:
        while True:
            neighbour = await self._neighbours.find()
            held = self._other()
            if neighbour is not None:
                await self._attached(neighbour)
            elif held is not None and self._record:
                await self._beside(held)
            else:
                await self._own()

    def _other(self) -> LockHolder | None:
        """Who else records into the history now."""
        held = holder(self._context.history_path)
        return held if held is not None and held.pid != os.getpid() else None

    async def _attached(self, neighbour: Neighbour) -> None:
        """Shows what a running agent or recorder of this host serves, until it leaves."""
        from remote.client.history import HttpHistory
        from remote.client.source import AgentSource
        from remote.liveness import WATCHED

        source = AgentSource(
            neighbour.address, clock=self._context.clock, tables=SMALL_TABLES | self._tables, patience=WATCHED
        )
        past = HttpHistory(neighbour.address)
        served: set[str] = set()
        mine = Path(neighbour.path) == self._context.history_path and os.access(neighbour.path, os.R_OK)
        archive = self._archive = open_archive(self._context, "screen", record=False) if mine else Archive()

        async def follow() -> None:
            async for update in source.updates():
                for info in _infos(update):
                    self._station.reached("")
                    served.add(info.id)
                    self._pasts[info.id] = archive.history or past
                await self._station.take(update)

        self._sources["local"] = source
        jobs = [asyncio.create_task(follow(), name="attached")]
        try:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(HELLO):
                    await source.connected.wait()
            # A recorder follows the configured hosts itself, also one that waits for the history this screen just had.
            hub = source.hello.hub if source.hello is not None else ""
            follows = bool(hub) or neighbour.recorder.startswith("recorder")
            who = neighbour.recorder or ("its recorder" if follows else "its agent")
            self.tell(f"this host is shown as {who} sees it, through {neighbour.address}")
            if not follows:
                jobs.append(self._follow_hosts(archive, served.__contains__))
            looks = 0
            while True:
                await _wait(jobs, LOOK)
                looks += 1
                if follows and looks == UNSERVED and source.connected.is_set():
                    await self._let_go(served)
                if not source.connected.is_set():
                    if looks > 2 and await self._neighbours.find() is None:
                        return
                elif looks % STATUS_EVERY == 2:
                    with contextlib.suppress(SysmonError):
                        self._problem = (await past.status()).problem
        finally:
            await self._stop(jobs)
            await past.close()

    async def _let_go(self, served: set[str]) -> None:
        """Lets go of hosts that were followed here before and are not by whoever does so now."""
        for id, info in list(self._station.infos.items()):
            if id != self.local_id and id not in served:
                words = "no longer followed"
                gone = Status(host=id, name=info.name, state="paused", message=words, target=info.target, gone=True)
                await self._station.take(gone)

    async def _beside(self, held: LockHolder) -> None:
        """Collects without recording while another process records into the same history and serves nobody."""
        archive = self._archive = open_archive(self._context, "screen", record=False)
        # Nothing is wrong with that: it is told once, and does not stand where what is wrong does.
        self.tell(f"the history is recorded by {held.label}; this screen only reads it")
        jobs = [asyncio.create_task(self._collect(), name="collect"), self._follow_hosts(archive)]
        try:
            while (now := self._other()) is not None and now.pid == held.pid:
                await _wait(jobs, LOOK)
                if now.who != "screen" and await self._neighbours.find() is not None:
                    return
        finally:
            await self._stop(jobs)

    async def _own(self) -> None:
        """Collects and records, until an agent or recorder comes that does so with a longer breath."""
        archive = self._archive = open_archive(self._context, "screen", record=self._record)
        # Where nobody can record, the rules are evaluated all the same: what fires is seen while the screen is open.
        await self._station.begin(
            archive.recorder,
            Engine(self._context.config.rules, self._context.catalogue, self._context.clock),
            archive.history,
        )
        if archive.recorder is not None:
            self.tell(f"recording into {self._context.history_path} while this screen is open")
        jobs = [asyncio.create_task(self._collect(), name="collect"), self._follow_hosts(archive)]
        watching = watch_caps(self._context, self._station, archive, lambda: self.local_id)
        jobs.append(asyncio.create_task(watching, name="caps"))
        counted = Bringer(self._station, lambda: self._runner).run()
        jobs.append(asyncio.create_task(counted, name="what others counted"))
        try:
            while True:
                for notice in archive.news():
                    self.tell(notice)
                await _wait(jobs, LOOK)
                if await self._neighbours.find() is not None:
                    return
                if self._record and archive.recorder is None:
                    if self._other() is not None:
                        return
                    await self._try_again(archive)
        finally:
            await self._stop(jobs)

    async def _try_again(self, archive: Archive) -> None:
        """Begins to record where that could not be done before: the disk was full, say."""
        with contextlib.suppress(StoreError):
            begin(self._context, archive, "screen")
            if archive.history is None:
                archive.history = open_archive(self._context, "screen", record=False).history
            await self._station.begin(archive.recorder, self._station.engine, archive.history)
            if self._runner is not None:
                self._runner.full_next()

    def _follow_hosts(self, archive: Archive, served: Callable[[str], bool] = lambda host: False) -> asyncio.Task[None]:
        """Follows the configured hosts that are not paused; recording them where `archive` does."""
        from cli.fleet import Fleet
        from remote.liveness import WATCHED

        def opened(name: str, source: RemoteSource) -> None:
            self._sources[f"host {name}"] = source
            source.ask(SMALL_TABLES | self._tables)

        def heard(name: str, hello: Hello, past: HttpHistory | None) -> None:
            for info in hello.hosts:
                if self._station.clones.there(name, info.id) != info.id:
                    # There it goes by another id, under which its past is that of two machines.
                    continue
                if past is not None and archive.recorder is None and not self._is_known(info.id, served):
                    self._pasts[info.id] = past

        fleet = Fleet(
            self._context,
            self._station,
            archive,
            heard=heard,
            opened=opened,
            closed=lambda name: self._sources.pop(f"host {name}", None),
            known=lambda host: self._is_known(host, served),
            patience=WATCHED,
            tell=lambda text: self.tell(text),
            changed=self._is_changed(),
        )
        return asyncio.create_task(fleet.run(), name="configured hosts")

    def _is_changed(self) -> bool:
        """Whether the configuration was written since this process read it: a recorder may have followed the hosts."""
        try:
            return self._context.places.config.stat().st_mtime_ns > self._began
        except OSError:
            return False

    def _is_known(self, host: str, served: Callable[[str], bool]) -> bool:
        return host == self.local_id or served(host)

    async def _collect(self) -> None:
        runner = self._runner = make_runner(self._context, interface=self._interface)
        self._asked = Tables(runner)
        self._asked.watch(self._tables)
        self._station.witnesses[runner.identity.host] = Witness(runner)
        if self.local_id in self._station.statuses:
            # What another recorder or its silence told is over: the frames themselves tell from now on.
            await self._station.take(Status(host=self.local_id, state="connecting", target="local"))
        try:
            await self._station.run(runner)
        finally:
            self._station.witnesses.clear()
            self._runner = self._asked = None
            await runner.close()

    async def _stop(self, jobs: list[asyncio.Task[None]]) -> None:
        for job in jobs:
            job.cancel()
        await asyncio.gather(*jobs, return_exceptions=True)
        self._problem = ""
        self._sources.clear()
        self._pasts.clear()
        self._station.take_back_unreached()
        self._station.recorder = self._station.engine = None
        archive, self._archive = self._archive, Archive()
        await archive.close()


async def _wait(jobs: list[asyncio.Task[None]], seconds: float) -> None:
    """Waits, unless one of the jobs fails: its error is raised."""
    done, _ = await asyncio.wait(jobs, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    for job in done:
        job.result()
    if done:
        raise SysmonError(f"{next(iter(done)).get_name()} ended by itself")


def _infos(update: Update) -> list[HostInfo]:
    if isinstance(update, Hello):
        return update.hosts
    return [update] if isinstance(update, HostInfo) else []
