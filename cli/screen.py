"""`sysmon`: the screen on this host, or on targets."""

from __future__ import annotations

import asyncio
import os
import sys
from typing import TYPE_CHECKING

from cli.once import leave_hung_threads
from sysmon.frame import SMALL_TABLES

if TYPE_CHECKING:
    import argparse
    from collections.abc import AsyncIterator, Callable

    from cli.context import Context
    from cli.sources import Opened
    from sysmon.config import HostSettings
    from sysmon.ports import Actions, History, HostBook, Notes
    from sysmon.records import Update
    from tui.app import SysmonApp
    from tui.services import Services
    from tui.terminal import Question

TOLD = 8.0
"""Seconds for which a notice stands on the screen."""


def run_screen(context: Context, options: argparse.Namespace) -> int:
    """Runs the screen until the user leaves it; returns the exit status."""
    import gc

    from tui import terminal

    # No collection among the imports; the screen switches them on again once it is drawn.
    gc.disable()
    # Asked before what takes its time, so that the answer is there when it is wanted.
    question = terminal.ask(sys.stdin, sys.stdout, os.environ)
    try:
        return _run_screen(context, options, question)
    finally:
        if question is not None:
            question.close(0.0)


def _run_screen(context: Context, options: argparse.Namespace, question: Question | None) -> int:
    import msgspec

    from tui import terminal
    from tui.app import run_screen as show

    config = context.config
    changes = {"ascii": True} if options.ascii else {}
    changes |= {"theme": options.theme} if options.theme else {}
    changes |= {"readonly": True} if options.readonly else {}
    if changes:
        config = msgspec.structs.replace(config, screen=msgspec.structs.replace(config.screen, **changes))
        context.config = config
    if options.targets:
        services, on_ready = _targets(context, options.targets), None
    else:
        services, on_ready = _local(context, options)
    found = terminal.detect(sys.stdin, sys.stdout, os.environ, question)
    status = show(services, capabilities=found, on_ready=on_ready)
    leave_hung_threads(status)
    return status


def _local(context: Context, options: argparse.Namespace) -> tuple[Services, Callable[[SysmonApp], None]]:
    from cli.localsource import LocalSource
    from tui.services import Services

    source = LocalSource(context, interface=options.interface, record=not options.no_history)
    actions = _actions()

    def acting(host: str) -> Actions | None:
        return actions if host == source.local_id else None

    def ready(app: SysmonApp) -> None:
        source.tell = lambda text: app.notify(text, markup=False, timeout=TOLD)

    services = Services(
        source=source,
        history=source.history,
        actions=acting,
        catalogue=context.catalogue,
        config=context.config,
        clock=context.clock,
        watch=source.watch,
        problem=source.problem,
        hosts=_book(context),
        notes=_LaterNotes(context),
        local=source.local_id,
        save_settings=lambda settings: _save(context, settings),
    )
    return services, ready


class _LaterNotes:
    """What users say of devices, kept in the history of this machine; nothing is loaded before somebody says it."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def _open(self) -> Notes:
        from store.notes import SqliteNotes

        return SqliteNotes.open(self._context.history_path, clock=self._context.clock)

    async def name_device(self, host: str, key: str, *, alias: str | None = None, category: str | None = None) -> None:
        """Keeps what a user calls a device."""
        await self._open().name_device(host, key, alias=alias, category=category)

    async def reset_devices(self, host: str, time: int) -> None:
        """Begins a new counting period."""
        await self._open().reset_devices(host, time)


def _targets(context: Context, targets: list[str]) -> Services:
    from cli.local import own_host
    from tui.services import Services

    source = _Remotes(context, targets)
    return Services(
        source=source,
        history=source.history,
        actions=lambda host: None,
        catalogue=context.catalogue,
        config=context.config,
        clock=context.clock,
        watch=source.watch,
        hosts=_book(context),
        local=own_host(context),
        unwatched="this screen keeps to its targets; `sysmon` without any shows all configured hosts",
        save_settings=lambda settings: _save(context, settings),
    )


class _Remotes:
    """Several agents or hubs as one source; nothing of theirs is stored here."""

    def __init__(self, context: Context, targets: list[str]) -> None:
        from cli.sources import open_source
        from cli.targets import resolve
        from remote.client.transport import Connections
        from remote.liveness import WATCHED

        self._connections = Connections()
        hosts = resolve(context, targets)
        self._opened = [
            open_source(context, each, connections=self._connections, patience=WATCHED, tables=SMALL_TABLES)
            for each in hosts
        ]
        self._hosts = hosts
        self._of_host: dict[str, History] = {}
        self._tasks: list[asyncio.Task[None]] = []

    async def updates(self) -> AsyncIterator[Update]:
        """Yields the updates of all targets as they come."""
        queue: asyncio.Queue[Update | Exception] = asyncio.Queue(512)
        read = zip(self._hosts, self._opened, strict=True)
        self._tasks = [asyncio.create_task(self._read(host, opened, queue)) for host, opened in read]
        try:
            while True:
                update = await queue.get()
                if isinstance(update, Exception):
                    raise update
                yield update
        finally:
            await self.close()

    async def _read(self, host: HostSettings, opened: Opened, queue: asyncio.Queue[Update | Exception]) -> None:
        import msgspec

        from sysmon.records import Hello, HostInfo, Status

        # A target that was never reached has no host yet, and needs a name to be told by.
        unreached: Status | None = None
        try:
            async for update in opened.source.updates():
                if isinstance(update, Status) and not update.host and not update.via:
                    name, tags = host.name or host.target, [*host.tags]
                    update = msgspec.structs.replace(update, name=name, tags=tags, expected_off=host.expected_off)
                    unreached = update
                elif unreached is not None and isinstance(update, HostInfo):
                    await queue.put(msgspec.structs.replace(unreached, state="paused", message="", gone=True))
                    unreached = None
                infos = update.hosts if isinstance(update, Hello) else [update] if isinstance(update, HostInfo) else []
                past = opened.past() if infos else None
                if past is not None:
                    self._of_host |= dict.fromkeys((info.id for info in infos), past)
                await queue.put(update)
        except Exception as error:  # a fault of ours must be seen, not wait in a task that nobody asks
            await queue.put(error)

    async def close(self) -> None:
        """Ends `updates`."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for opened in self._opened:
            await opened.source.close()
        await self._connections.close()

    def history(self, host: str) -> History | None:
        """The past of a host, at the target that showed it."""
        return self._of_host.get(host)

    def watch(self, tables: set[str]) -> None:
        """Asks the targets for tables that somebody looks at."""
        for opened in self._opened:
            opened.source.ask(SMALL_TABLES | tables)


def _actions() -> Actions:
    from collectors.actions import LocalActions

    return LocalActions()


def _book(context: Context) -> HostBook:
    from cli.hostbook import ConfigHostBook

    return ConfigHostBook(context)


def _save(context: Context, settings: dict[str, object]) -> None:
    from cli.settings import save_screen

    save_screen(context.places.config, settings)
