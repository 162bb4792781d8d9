"""What agent and recorder serve beside sysmon's own endpoints: what other programs read."""

from __future__ import annotations

from typing import TYPE_CHECKING

from remote.metricsroute import MetricsRoute

if TYPE_CHECKING:
    from starlette.routing import Route

    from remote.feed import Feed


def endpoints(feed: Feed) -> list[Route]:
    """Returns the routes of `/metrics`.

    Args:
        feed: the present of every host.
    """
    return MetricsRoute(feed).routes()
