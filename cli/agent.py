"""`sysmon --agent`: serves this host's frames and keeps their history, so that readers can fetch what they missed."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from cli.once import leave_hung_threads

if TYPE_CHECKING:
    import argparse

    from cli.context import Context
    from cli.serving import Beside

NOWHERE = "none"
"""What `--listen` says to open no port: the Unix socket alone."""


def run_agent(context: Context, options: argparse.Namespace) -> int:
    """Runs until SIGTERM or SIGINT; returns the exit status."""
    from cli.serving import run_service

    settings = context.config.agent
    listen = options.listen or settings.listen
    beside: list[Beside] = []
    if options.push or options.push_fingerprint or context.config.push.target:
        from cli.pushing import pushing

        beside = pushing(context, options)
    socket = context.places.socket
    if options.tied:
        from cli.tied import tied

        socket, more = tied(context.places)
        beside = [*beside, *more]
    status = asyncio.run(
        run_service(
            context,
            "agent",
            listen=None if listen == NOWHERE else listen,
            port=settings.port if options.port is None else options.port,
            socket=socket,
            interface=options.interface,
            record=not options.no_history,
            beside=beside,
        )
    )
    leave_hung_threads(status)
    return status
