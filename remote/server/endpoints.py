"""What agent and recorder serve beside sysmon's own endpoints: what other programs read."""

from __future__ import annotations

from typing import TYPE_CHECKING

from remote.foreign.metricsroute import MetricsRoute
from remote.foreign.netronomeroutes import NetronomeRoutes

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.routing import Route

    from remote.server.feed import Feed
    from sysmon.clock import Clock
    from sysmon.ports import History


def endpoints(
    feed: Feed, history: History | None, clock: Clock, host: Callable[[], str], interface: str | None = None
) -> list[Route]:
    """Returns the routes of `/metrics`, and those that Netronome's agent has.

    Args:
        feed: the present of every host.
        history: the past, or None where none is kept.
        clock: the server's.
        host: id of this very host, of which Netronome is told.
        interface: a glob over its network interfaces, or None.
    """
    return [*MetricsRoute(feed).routes(), *NetronomeRoutes(feed, history, clock, host, interface).routes()]
