"""`sysmon --record`: records this host and all of [hosts.NAME] without a screen, and serves them on."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from cli.once import leave_hung_threads
from sysmon.errors import UsageError

if TYPE_CHECKING:
    import argparse

    from cli.context import Context
    from cli.ownhost import Contacts
    from cli.recording import Archive
    from cli.serving import Follow
    from cli.station import Station
    from sysmon.config import HostSettings


def run_record(context: Context, options: argparse.Namespace) -> int:
    """Runs until SIGTERM or SIGINT; returns the exit status."""
    from cli.serving import run_service

    if options.no_history:
        raise UsageError("--record records; it does not go with --no-history", "leave one of them out")
    listening = options.listen is not None or options.port is not None
    settings = context.config.agent
    status = asyncio.run(
        run_service(
            context,
            "recorder",
            listen=(options.listen or settings.listen) if listening else None,
            port=settings.port if options.port is None else options.port,
            socket=context.places.socket,
            interface=options.interface,
            strict=True,
            extras=[_host(context, host) for host in context.config.hosts.values() if not host.paused],
        )
    )
    leave_hung_threads(status)
    return status


def _host(context: Context, host: HostSettings) -> Follow:
    async def follow(station: Station, archive: Archive, contacts: Contacts) -> None:
        from cli.follow import follow_host

        await follow_host(context, host, station, archive, heard=lambda hello, past: contacts.heard(host.name, hello))

    return follow
