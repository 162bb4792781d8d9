"""Who is let in: over which way, by which token, and how many at once.

Over the Unix socket (mode 0600) come this user's own programs: they may do everything there is. Over plain HTTP, which
is only served on loopback, anybody on this machine may read, unless a token is required. Over TLS nothing goes without
a token.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import parse_qsl

from remote.server.addresses import is_loopback
from remote.server.murmur import Murmur
from remote.server.permits import EVERYTHING, NOTHING, READING
from remote.server.tokens import PREFIX, Scope, Token, TokenStore, find_token
from sysmon.clock import SystemClock
from sysmon.errors import SysmonError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from starlette.types import Scope as Request

    from sysmon.clock import Clock

LOOK = 1.0
"""Seconds between looks at the list of tokens."""
KEEP_USE = 60.0
"""Seconds between writes of when tokens were last used."""
OPEN_PER_TOKEN = 64
"""Requests, streams among them, that one token may have open."""
OPEN_PER_ADDRESS = 128
"""Requests that one address may have open over TLS."""
_SECRET_PARAMETERS = frozenset(("token", "access_token", "apikey", "api_key", "auth", "authorization", "secret"))


class Refusal(NamedTuple):
    """An answer to a request that goes no further."""

    status: int
    error: str
    hint: str = ""
    guess: bool = False


class Admitted(NamedTuple):
    """One who may ask. `token`: its token, or None for this machine's own programs."""

    scopes: frozenset[Scope]
    token: Token | None = None


class Access:
    """The tokens in force, and who is here by which.

    Args:
        store: the list of tokens; None where there is none: then only this machine's own programs are let in.
        require_token: whether loopback wants a token too.
        clock: the server's.
        say: takes lines about who was refused.

    Attributes:
        problem: why no token is taken, or ''.
    """

    def __init__(
        self,
        store: TokenStore | None = None,
        *,
        require_token: bool = False,
        clock: Clock | None = None,
        say: Callable[[str], None] | None = None,
    ) -> None:
        self.problem = ""
        self.say = Murmur(say)
        self._store = store
        self._require = require_token
        self.clock = clock or SystemClock()
        self._tokens: list[Token] = []
        self._stamp: object = ()
        self._used: dict[str, int] = {}
        self._open: dict[str, list[Callable[[], None]]] = {}
        self._from: dict[str, int] = {}
        self.look()

    @property
    def usable(self) -> bool:
        """Whether any token would let somebody in."""
        return any(token.state(self.clock.now()) == "valid" for token in self._tokens)

    def look(self) -> None:
        """Reads the list again where it changed, and cuts the connections of tokens that are not in force any more."""
        stamp = self._store.stamp() if self._store is not None else None
        if self._store is not None and stamp != self._stamp:
            self._stamp = stamp
            before, self.problem = self.problem, ""
            try:
                self._tokens = self._store.tokens()
            except SysmonError as error:
                # Nobody is let in by a list that somebody else may have written.
                self._tokens, self.problem = [], f"no token is taken: {error}"
            if self.problem != before:
                self.say(self.problem or "tokens are taken again")
        if self._open:
            now = self.clock.now()
            valid = {token.digest for token in self._tokens if token.state(now) == "valid"}
            for digest in [digest for digest in self._open if digest not in valid]:
                for cut in self._open[digest][:]:
                    cut()

    async def watch(self) -> None:
        """Looks every second, and keeps when tokens were last used, the first use at once; runs until cancelled."""
        kept = self.clock.boottime() - int(KEEP_USE * 1e9)
        try:
            while True:
                await self.clock.sleep(LOOK)
                self.look()
                if (self._used or self._open) and self.clock.boottime() - kept >= KEEP_USE * 1e9:
                    kept = self.clock.boottime()
                    await asyncio.to_thread(self.keep_use)
        finally:
            self.keep_use()

    def keep_use(self) -> None:
        """Writes when tokens were last used; blocks."""
        used, self._used = self._used, {}
        used.update(dict.fromkeys(list(self._open), self.clock.now()))
        if used and self._store is not None:
            with contextlib.suppress(SysmonError):  # a file that cannot be written lets nobody in or out
                self._store.note_used(used)

    def admit(self, request: Request) -> Admitted | Refusal:
        """Finds out who asks: by its way in and its token."""
        if leaked := _in_url(request["query_string"]):
            return Refusal(
                400, leaked, "send it as the header 'Authorization: Bearer TOKEN'; revoke the one in the URL"
            )
        server = request.get("server")
        if server is None or server[1] is None:
            return Admitted(EVERYTHING)
        secure = request.get("scheme") == "https"
        if not secure and not is_loopback(server[0]):
            return Refusal(403, "plain HTTP is answered on loopback only", "write https://")
        given = _credentials(request)
        if isinstance(given, Refusal):
            return given
        if not given:
            if secure or self._require:
                return Refusal(
                    401,
                    "a token is needed here",
                    self.problem or "`sysmon token new NAME` there makes one; send it as 'Authorization: Bearer TOKEN'",
                )
            return Admitted(READING)
        token = self._find(given)
        if token is None:
            return Refusal(401, "this token is not known here", "`sysmon token list` there shows what is", guess=True)
        if why := token.why_not(self.clock.now()):
            return Refusal(401, why, "`sysmon token new NAME` there makes another")
        self._used[token.digest] = self.clock.now()
        local = NOTHING if secure or self._require else READING
        return Admitted(frozenset(token.scopes) | local, token)

    def _find(self, secret: str) -> Token | None:
        found = find_token(self._tokens, secret)
        if found is None and self._store is not None and self._store.stamp() != self._stamp:
            self.look()  # it may be a new one
            found = find_token(self._tokens, secret)
        return found

    @contextlib.contextmanager
    def opened(self, who: Admitted, address: str, cut: Callable[[], None]) -> Iterator[Refusal | None]:
        """Counts a request while it is answered; gives a refusal where its token or address has too many open."""
        if who.token is None:
            yield None
            return
        mine = self._open.setdefault(who.token.digest, [])
        if len(mine) >= OPEN_PER_TOKEN:
            yield Refusal(429, f"the token '{who.token.name}' has {len(mine)} requests open, the most allowed")
            return
        if self._from.get(address, 0) >= OPEN_PER_ADDRESS:
            yield Refusal(429, f"{OPEN_PER_ADDRESS} requests are open from this address, the most allowed")
            return
        mine.append(cut)
        self._from[address] = self._from.get(address, 0) + 1
        try:
            yield None
        finally:
            mine.remove(cut)
            if not mine:
                self._open.pop(who.token.digest, None)
            self._from[address] -= 1
            if not self._from[address]:
                del self._from[address]


def _in_url(query: bytes) -> str:
    text = query.decode("latin-1")
    if PREFIX in text:
        return "a token in a URL is refused: URLs end up in logs and histories"
    for name, value in parse_qsl(text, keep_blank_values=True, max_num_fields=None):
        if name.lower() in _SECRET_PARAMETERS and value:
            return f"'{name.lower()}' in a URL is refused: URLs end up in logs and histories"
    return ""


def _credentials(request: Request) -> str | Refusal:
    bearer = [value for name, value in request["headers"] if name == b"authorization"]
    # As Netronome's servers send it, and on their paths alone.
    keys = [
        value for name, value in request["headers"] if name == b"x-api-key" and not request["path"].startswith("/v1/")
    ]
    if len(bearer) + len(keys) > 1:
        return Refusal(400, "more than one token in one request")
    if keys:
        return str(keys[0], "latin-1").strip()[:300]
    if not bearer:
        return ""
    kind, _, secret = str(bearer[0], "latin-1").strip().partition(" ")
    if kind.lower() != "bearer" or not secret.strip():
        return Refusal(401, "the Authorization header holds no token", "write 'Authorization: Bearer TOKEN'")
    return secret.strip()[:300]
