"""What the screen shows of this host: its own collectors, or the recorder that already runs here.

A screen looks for a recorder first and samples nothing where one runs. Otherwise it records while it is open, and
takes over within
some seconds when the other recorder leaves.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from pathlib import Path
from typing import TYPE_CHECKING

from alerts.engine import Engine
from cli.local import make_runner
from cli.recording import Archive, open_archive
from cli.serving import Tables
from cli.station import Station
from store.lock import holder
from sysmon.records import Hello

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from cli.context import Context
    from sysmon.ports import History
    from sysmon.records import Update

LOOK = 2.0
"""Seconds between looks at who records."""

SERVICE_SOCKET = Path("/run/sysmon/sysmon.sock")
"""Where the system's own agent or recorder listens."""


class LocalSource:
    """Implements `sysmon.ports.Source` for this host and the configured ones.

    Args:
        context: paths, catalogue, configuration.
        interface: a glob over network interfaces, or None.
        record: False keeps no history.
    """

    def __init__(self, context: Context, *, interface: str | None = None, record: bool = True) -> None:
        self._context = context
        self._interface = interface
        self._record = record and context.config.history.enabled
        self._station = Station(context.catalogue, context.clock, evidence=context.config.history.evidence)
        self._watcher = self._station.watch()
        self._tables: set[str] = set()
        self._ask: Tables | None = None
        self._asked_agent: object | None = None
        self._archive: Archive | None = None
        self._remote_history: History | None = None
        self._supervisor: asyncio.Task[None] | None = None
        self.problem_text = ""
        self.local_id = ""

    async def updates(self) -> AsyncIterator[Update]:
        """Yields what this host says, whoever reads it."""
        self._supervisor = asyncio.create_task(self._supervise(), name="this host")
        self._supervisor.add_done_callback(self._ended)
        async for update in self._watcher.updates():
            yield update
        if self._supervisor.done() and not self._supervisor.cancelled():
            self._supervisor.result()

    def _ended(self, task: asyncio.Task[None]) -> None:
        asyncio.get_running_loop().create_task(self._watcher.close())

    async def close(self) -> None:
        """Ends, committing what was recorded."""
        if self._supervisor is not None:
            self._supervisor.cancel()
            await asyncio.gather(self._supervisor, return_exceptions=True)
        await self._station.close()

    def history(self) -> History | None:
        """The history of this host: its file, or the recorder that serves it."""
        if self._archive is not None and self._archive.history is not None:
            return self._archive.history
        return self._remote_history

    def problem(self) -> str:
        """What is wrong with recording now, or the empty string."""
        recorder = self._archive.problem() if self._archive is not None else ""
        return recorder or self.problem_text

    def watch(self, tables: set[str]) -> None:
        """Has tables collected that somebody looks at."""
        self._tables = set(tables)
        if self._ask is not None:
            self._ask.watch(self._tables)
        ask = getattr(self._asked_agent, "ask", None)
        if ask is not None:
            ask(self._tables)

    async def _supervise(self) -> None:
        while True:
            held = holder(self._context.history_path)
            address = await self._server() if held is None or held.who in ("agent", "recorder") else None
            if address is not None:
                await self._attached(address)
            elif held is not None and held.pid != os.getpid():
                await self._beside(held.label)
            else:
                await self._own()

    async def _server(self) -> str | None:
        """Finds the address of an agent or recorder of this host, or None."""
        for path in (self._context.places.socket, SERVICE_SOCKET):
            if path is not None and path.is_socket() and _answers(path):
                return f"unix://{path}"
        address = f"http://127.0.0.1:{self._context.config.agent.port}"
        return address if await asyncio.to_thread(_listens, self._context.config.agent.port) else None

    async def _attached(self, address: str) -> None:
        """Shows what a running agent or recorder of this host serves, until it leaves."""
        from remote.client import AgentSource
        from remote.history import HttpHistory

        source = AgentSource(address, clock=self._context.clock, tables=self._tables)
        self._asked_agent = source
        self._remote_history = HttpHistory(address)
        self._archive = open_archive(self._context, "screen", record=False)
        own = make_runner(self._context).identity.host
        left = asyncio.Event()

        async def follow() -> None:
            async for update in source.updates():
                if isinstance(update, Hello) and own not in {info.id for info in update.hosts}:
                    break
                await self._station.take(update)
            left.set()

        following = asyncio.create_task(follow(), name="attached")
        try:
            missing = 0
            while missing < 2 and not left.is_set():
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(left.wait(), LOOK)
                missing = 0 if source.connected.is_set() else missing + 1
        finally:
            following.cancel()
            await asyncio.gather(following, return_exceptions=True)
            await source.close()
            self._asked_agent = None
            await self._close_archive()
            remote, self._remote_history = self._remote_history, None
            if remote is not None:
                await remote.close()

    async def _beside(self, who: str) -> None:
        """Collects without recording while another screen records into the same history."""
        self.problem_text = f"the history is recorded by {who}; this screen only reads it"
        self._archive = open_archive(self._context, "screen", record=False)
        collecting = asyncio.create_task(self._collect(), name="collect")
        try:
            while (held := holder(self._context.history_path)) is not None and held.who == "screen":
                done, _ = await asyncio.wait({collecting}, timeout=LOOK)
                if done:
                    collecting.result()
        finally:
            self.problem_text = ""
            await self._stop(collecting)

    async def _own(self) -> None:
        """Collects and records."""
        archive = self._archive = open_archive(self._context, "screen", record=self._record)
        self.problem_text = "" if archive.recorder is not None or not self._record else "; ".join(archive.notices)
        self._station.recorder = archive.recorder
        if archive.recorder is not None:
            self._station.engine = Engine(self._context.config.rules, self._context.catalogue, self._context.clock)
            if archive.history is not None:
                await self._station.restore(archive.history)
        jobs = [asyncio.create_task(self._collect(), name="collect")]
        jobs += [asyncio.create_task(self._follow(name), name=name) for name in self._context.config.hosts]
        try:
            done, _ = await asyncio.wait(jobs, return_when=asyncio.FIRST_COMPLETED)
            for job in done:
                job.result()
        finally:
            await self._stop(*jobs)

    async def _follow(self, name: str) -> None:
        from cli.follow import follow_host

        host = self._context.config.hosts[name]
        if not host.paused:
            await follow_host(self._context, host, self._station, self._archive)
        await asyncio.Event().wait()

    async def _collect(self) -> None:
        runner = make_runner(self._context, interface=self._interface)
        self.local_id = runner.identity.host
        self._ask = Tables(runner)
        self._ask.watch(self._tables)
        try:
            await self._station.run(runner)
        finally:
            self._ask = None
            await runner.close()

    async def _stop(self, *jobs: asyncio.Task[None]) -> None:
        for job in jobs:
            job.cancel()
        await asyncio.gather(*jobs, return_exceptions=True)
        await self._close_archive()

    async def _close_archive(self) -> None:
        archive, self._archive = self._archive, None
        self._station.recorder = None
        self._station.engine = None
        if archive is not None and archive.recorder is not None:
            await archive.recorder.close()
        if archive is not None and archive.history is not None:
            await archive.history.close()


def _answers(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as probe:
        probe.settimeout(0.2)
        try:
            probe.connect(str(path))
        except OSError:
            return False
        return True


def _listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 0.2).close()
    except OSError:
        return False
    return True
