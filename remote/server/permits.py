"""What may be done by whom: one table of all that changes something, and one function that decides."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from starlette.routing import Route

from remote.server.tokens import SCOPES, Scope

if TYPE_CHECKING:
    from collections.abc import Sequence

    from starlette.routing import BaseRoute


class Write(NamedTuple):
    """What a POST route needs. `scope`: of the token; `body`: bytes it takes at most."""

    scope: Scope
    body: int


WRITES: dict[str, Write] = {
    "/v1/report": Write("report", 4 << 20),
    "/v1/alerts/{id}/ack": Write("ack", 4096),
    "/v1/alerts/{id}/silence": Write("ack", 4096),
}
"""All that a hub may ever take by POST, by the path of its route. An agent registers none of these."""

EVERYTHING: frozenset[Scope] = frozenset(SCOPES)
READING: frozenset[Scope] = frozenset(("read",))
NOTHING: frozenset[Scope] = frozenset()


def authorize(method: str, route: str, scopes: frozenset[Scope]) -> bool:
    """Decides whether a request may be made; the only place that does. What is not allowed here is denied.

    Args:
        method: of HTTP.
        route: the path of the route, with its parameters' names: `/v1/alerts/{id}/ack`; '' where there is none.
        scopes: what the one who asks may do.
    """
    write = WRITES.get(route)
    own = write is not None and write.scope in scopes
    if method in ("GET", "HEAD"):
        return own or "read" in scopes
    return method == "POST" and own


class RouteTable:
    """The routes of an application, by path.

    Args:
        routes: all of them.

    Raises:
        ValueError: one takes a method other than GET, HEAD and POST, or POST without standing in `WRITES`.
    """

    def __init__(self, routes: Sequence[BaseRoute]) -> None:
        self.routes: list[Route] = []
        for route in routes:
            if not isinstance(route, Route):
                raise ValueError(f"{route} is not a plain route")
            methods = set(route.methods or ())
            if methods - {"GET", "HEAD", "POST"} or ("POST" in methods and route.path not in WRITES):
                raise ValueError(
                    f"{route.path} takes {', '.join(sorted(methods))}: a route that changes anything must "
                    "stand in remote.server.access.WRITES"
                )
            self.routes.append(route)

    def find(self, path: str) -> str:
        """Returns the path of the route that answers, '' where none does."""
        return next((route.path for route in self.routes if route.path_regex.match(path)), "")

    def body(self, path: str) -> int | None:
        """Returns how many bytes a POST to that path may hold; None where none is taken."""
        for route in self.routes:
            if "POST" in (route.methods or ()) and route.path_regex.match(path):
                return WRITES[route.path].body
        return None

    def verbs(self) -> list[tuple[str, str, str]]:
        """Returns (method, path, first line of what it says it does) of every route."""
        found = []
        for route in self.routes:
            says = (route.endpoint.__doc__ or "").strip().partition("\n")[0]
            found += [(method, route.path, says) for method in sorted(set(route.methods or ()) - {"HEAD"})]
        return found
