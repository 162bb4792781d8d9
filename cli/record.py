"""`sysmon --record`: records this host and all of [hosts.NAME] without a screen, and serves them on."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from cli.agent import NOWHERE
from cli.once import leave_hung_threads
from sysmon.errors import UsageError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable

    from cli.context import Context
    from cli.ownhost import Contacts
    from cli.recording import Archive
    from cli.serving import Follow
    from cli.station import Station


def run_record(context: Context, options: argparse.Namespace) -> int:
    """Runs until SIGTERM or SIGINT; returns the exit status."""
    from cli.serving import run_service

    if options.no_history:
        raise UsageError("--record records; it does not go with --no-history", "leave one of them out")
    listening = options.listen is not None or options.port is not None
    settings = context.config.agent
    listen = options.listen or settings.listen
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        status = runner.run(
            run_service(
                context,
                "recorder",
                listen=None if not listening or listen == NOWHERE else listen,
                port=settings.port if options.port is None else options.port,
                socket=context.places.socket,
                interface=options.interface,
                strict=True,
                extras=[_fleet(context)],
            )
        )
    leave_hung_threads(status)
    return status


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """Returns what makes uvloop's event loops where that is installed (the extra `hub`): they take fewer cycles."""
    try:
        from uvloop import new_event_loop
    except ImportError:
        return None
    make: Callable[[], asyncio.AbstractEventLoop] = new_event_loop
    return make


def _fleet(context: Context) -> Follow:
    async def follow(station: Station, archive: Archive, contacts: Contacts) -> None:
        from cli.fleet import Fleet
        from cli.ownhost import say

        fleet = Fleet(context, station, archive, contacts=contacts, tell=lambda text: say(f"sysmon: {text}"))
        await fleet.run()

    return follow
