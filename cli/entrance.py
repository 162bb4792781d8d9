"""How `--agent` and `--record` are reached: on which addresses, by which names, with which tokens and certificate."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from cli.ownhost import say
from cli.token import store_of
from remote.server.access import Access
from remote.server.listen import check_listen, reachable
from sysmon.errors import ConfigError

if TYPE_CHECKING:
    from cli.context import Context
    from remote.server.tls import ServerTls
    from sysmon.config import AgentSettings


class Entrance(NamedTuple):
    """What a server of this machine lets people in by.

    Attributes:
        listen: addresses with commas between, or None for the Unix socket alone.
        tls: None where HTTP is plain.
        names: by which it may be called beside loopback's.
    """

    listen: str | None
    access: Access
    tls: ServerTls | None
    names: frozenset[str]

    def where(self, port: int) -> str:
        """Returns its URLs with commas between."""
        scheme = "http" if self.tls is None else "https"
        hosts = check_listen(self.listen or "", tls=True, tokens=True)
        return ", ".join(f"{scheme}://{f'[{host}]' if ':' in host else host}:{port}" for host in hosts)

    def told(self) -> list[str]:
        """Returns what the user is told when it begins to serve: the key, as who comes here first will see it."""
        if self.tls is None:
            return []
        from remote.fingerprint import words

        shown = [f"its key: {self.tls.fingerprint}", f"in words: {words(self.tls.fingerprint)}"]
        return [*shown, *([self.tls.notice] if self.tls.notice else [])]


def entrance(context: Context, listen: str | None) -> Entrance:
    """Checks that nobody is let in who should not be, and makes this machine's key where one is needed first.

    Args:
        context: paths and configuration.
        listen: what `--listen` or `[agent] listen` gave, or None for the Unix socket alone.

    Raises:
        UsageError: others could reach it, and there is no token. ConfigError: only half a certificate is given.
        SysmonError: key or certificate cannot be used.
    """
    settings = context.config.agent
    access = Access(
        store_of(context.places), require_token=settings.require_token, clock=context.clock, say=lambda line: say(line)
    )
    names = frozenset((socket.gethostname(), *settings.names))
    wanted = listen is not None and (reachable(listen) or bool(settings.cert or settings.client_ca))
    if listen is not None:
        check_listen(listen, tls=wanted, tokens=access.usable)
    tls = _tls(settings, context, names) if wanted else None
    if settings.require_token and not access.usable:
        say("sysmon: [agent] require_token is set and no token is in force: `sysmon token new NAME` makes one")
    return Entrance(listen, access, tls, names)


def _tls(settings: AgentSettings, context: Context, names: frozenset[str]) -> ServerTls:
    from remote.server.tls import given_tls, own_tls

    client_ca = str(Path(settings.client_ca).expanduser()) if settings.client_ca else ""
    now = context.clock.now()
    if bool(settings.cert) != bool(settings.key):
        lacking = "key" if settings.cert else "cert"
        raise ConfigError(f"[agent]: {lacking} is missing: a certificate and its key go together")
    if settings.cert:
        return given_tls(Path(settings.cert).expanduser(), Path(settings.key).expanduser(), now, client_ca)
    own = socket.gethostname()
    return own_tls(context.places.state, [own, *sorted(names - {own}), "localhost"], now, client_ca)
