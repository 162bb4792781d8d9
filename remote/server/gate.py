"""The gate between the guard and the routes: nobody passes whom `authorize` does not let, and wrong tokens wait."""

from __future__ import annotations

import asyncio
import contextlib
from collections import OrderedDict
from typing import TYPE_CHECKING

from remote.server.access import Refusal
from remote.server.addresses import address_key
from remote.server.guard import refuse
from remote.server.permits import authorize

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from starlette.types import ASGIApp, Receive, Scope, Send

    from remote.server.access import Access
    from remote.server.permits import RouteTable
    from sysmon.clock import Clock

FIRST_DELAY, MOST_DELAY = 0.25, 8.0
"""Seconds that a wrong token waits for its answer: the first, and at most; each further one doubles them."""
PENDING, PENDING_PER_ADDRESS = 64, 4
"""Wrong tokens that wait at once: of everybody, and of one address; a further one is answered 429."""
FORGET = 600.0
"""Seconds without a wrong token after which an address is forgotten."""
ADDRESSES = 4096
"""Addresses remembered at most; the one that was quiet longest is forgotten first."""


class Failures:
    """Addresses that showed wrong tokens: how many, and how long the next answer waits."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._seen: OrderedDict[str, tuple[int, float]] = OrderedDict()
        self._waiting: dict[str, int] = {}

    def __len__(self) -> int:
        return len(self._seen)

    @contextlib.contextmanager
    def failed(self, address: str) -> Iterator[float | None]:
        """Notes a wrong token; gives the seconds to wait with the answer, or None where too many wait already."""
        now = self._clock.boottime() / 1e9
        count, last = self._seen.pop(address, (0, now))
        count = 1 if now - last > FORGET else min(count + 1, 30)
        self._seen[address] = (count, now)
        while len(self._seen) > ADDRESSES:
            self._seen.popitem(last=False)
        waiting = self._waiting.get(address, 0)
        if waiting >= PENDING_PER_ADDRESS or sum(self._waiting.values()) >= PENDING:
            yield None
            return
        self._waiting[address] = waiting + 1
        try:
            yield min(MOST_DELAY, FIRST_DELAY * 2.0 ** (count - 1))
        finally:
            self._waiting[address] -= 1
            if not self._waiting[address]:
                del self._waiting[address]


class Gate:
    """ASGI middleware behind the guard: nobody passes whom `authorize` does not let."""

    def __init__(self, app: ASGIApp, access: Access, routes: RouteTable) -> None:
        self._app = app
        self._access = access
        self._routes = routes
        self._failures = Failures(access.clock)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hands a request on, or answers it."""
        access = self._access
        who = access.admit(scope)
        address = address_key(scope.get("client"))
        if isinstance(who, Refusal):
            await self._refuse(who, address, send)
            return
        if not authorize(scope["method"], self._routes.find(scope["path"]), who.scopes):
            name = f"the token '{who.token.name}' may" if who.token is not None else "without a token one may"
            does = ", ".join(sorted(who.scopes)) or "do nothing"
            await refuse(
                send, 403, f"{name} {does}, and nothing else", "`sysmon token new NAME --scope …` makes another"
            )
            return
        abort: Callable[[], None] = scope.get("state", {}).get("abort", _nothing)

        def cut() -> None:
            abort()

        with access.opened(who, address, cut) as refusal:
            if refusal is not None:
                access.say(f"sysmon: {address}: {refusal.error}")
                await refuse(send, refusal.status, refusal.error, "close some, or use another token", retry=5)
                return
            state = scope.setdefault("state", {})
            state["token"] = who.token.name if who.token is not None else ""
            state["digest"] = who.token.digest if who.token is not None else ""
            await self._app(scope, receive, send)

    async def _refuse(self, refusal: Refusal, address: str, send: Send) -> None:
        if not refusal.guess:
            if refusal.status == 401:
                self._access.say(f"sysmon: {address} was refused: {refusal.error}")
            await refuse(send, refusal.status, refusal.error, refusal.hint)
            return
        with self._failures.failed(address) as delay:
            self._access.say(f"sysmon: {address} was refused: {refusal.error}")
            if delay is None:
                await refuse(send, 429, "too many wrong tokens from here", "check the token", retry=int(MOST_DELAY))
                return
            await asyncio.sleep(delay)
        await refuse(send, refusal.status, refusal.error, refusal.hint)


def _nothing() -> None:
    pass
