"""Where a remote host is: what the user wrote, taken apart, and what is shown there to be let in."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Literal, NamedTuple
from urllib.parse import urlsplit

from sysmon.errors import UsageError

if TYPE_CHECKING:
    from urllib.parse import SplitResult

    from sysmon.config import HostSettings, PushSettings

DEFAULT_PORT = 8200
"""Port of agents and hubs."""

Kind = Literal["sysmon", "ssh", "node", "netronome"]
"""Who speaks there: a sysmon; a box reached by ssh; a node_exporter; a Netronome agent."""

_PORTS: dict[Kind, int] = {"sysmon": DEFAULT_PORT, "node": 9100, "netronome": 8200}
_SSH_USER = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.\\+-]*\$?")
_SSH_HOST = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*|[0-9A-Fa-f:.]+(%[A-Za-z0-9_.-]+)?")
_SCHEMES = "write https://HOST:8200, ssh://USER@HOST, node+http://HOST:9100, netronome+http://HOST:8200 or unix:///path"


class Credentials(NamedTuple):
    """How a server is known and met; fields as in `sysmon.config.HostSettings`: names of files, never secrets."""

    token_file: str = ""
    fingerprint: str = ""
    ca: str = ""
    cert: str = ""
    key: str = ""


class Target(NamedTuple):
    """One place that frames come from.

    Attributes:
        text: as shown.
        base: scheme, host and port of its URLs; of ssh `[user@]host` as ssh takes it.
        socket: its Unix socket, or ''.
        kind: who speaks there.
        credentials: how it is known and met.
        port: of ssh, or 0 for what the user's own configuration says.
    """

    text: str
    base: str
    socket: str = ""
    kind: Kind = "sysmon"
    credentials: Credentials = Credentials()
    port: int = 0

    def __str__(self) -> str:
        return self.text

    @property
    def secure(self) -> bool:
        """Whether what is sent there is encrypted."""
        return self.base.startswith("https://")


def parse_target(text: str, credentials: Credentials | None = None) -> Target:
    """Takes a target apart; the port is 8200 by default, 9100 of a node_exporter.

    Args:
        text: `http(s)://host[:port]`, `unix:///path`, `ssh://[user@]host[:port]`, `node+http(s)://host[:port]`,
            `netronome+http(s)://host[:port]`.
        credentials: how it is known and met.

    Raises:
        UsageError: another scheme, a path, a password or a query, or a port that is none.
    """
    given = text.strip()
    known = credentials or Credentials()
    try:
        parts = urlsplit(given)
        port = parts.port
    except ValueError:
        raise UsageError(f"'{given}' is not a target", _SCHEMES) from None
    if parts.scheme == "unix":
        if parts.netloc or not parts.path.startswith("/") or parts.query or parts.fragment:
            raise UsageError(f"'{given}' names no socket", "write unix:///run/sysmon/sysmon.sock")
        return Target(given, "http://localhost", parts.path, credentials=known)
    if parts.scheme == "ssh":
        return _ssh(given, parts, port, known)
    prefix, plus, scheme = parts.scheme.rpartition("+")
    kind: Kind = "node" if prefix == "node" else "netronome" if prefix == "netronome" else "sysmon"
    if scheme not in ("http", "https") or (plus and kind == "sysmon") or not parts.hostname:
        raise UsageError(f"'{given}' is not a target", _SCHEMES)
    if parts.username is not None or parts.password is not None:
        raise UsageError("a target holds no user and no password", "secrets do not belong into a URL")
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    number = _PORTS[kind] if port is None else port
    if parts.path not in ("", "/") or parts.query or parts.fragment:
        raise UsageError(f"'{given}' has a path", f"write {parts.scheme}://{host}:{number}")
    base = f"{scheme}://{host}:{number}"
    return Target(f"{prefix}{plus}{base}", base, kind=kind, credentials=known)


def _ssh(given: str, parts: SplitResult, port: int | None, credentials: Credentials) -> Target:
    """A box behind ssh: only what ssh can take for nothing but a user and a host."""
    hint = "write ssh://USER@HOST, or a Host of your ssh configuration: ssh://NAME"
    if parts.password is not None:
        raise UsageError("a target holds no password", "ssh's own keys and agent are used")
    user, _, place = parts.netloc.rpartition("@")
    bracketed = re.fullmatch(r"\[([^\]]*)\](:[0-9]+)?", place)
    host = bracketed[1] if bracketed else place.partition(":")[0]
    if parts.path not in ("", "/") or parts.query or parts.fragment:
        raise UsageError(f"'{given}' has a path", hint)
    if not _SSH_HOST.fullmatch(host) or (user and not _SSH_USER.fullmatch(user)):
        raise UsageError(f"'{given}' is not a target", hint)
    return Target(given.rstrip("/"), f"{user}@{host}" if user else host, "", "ssh", credentials, port or 0)


def host_target(settings: HostSettings | PushSettings) -> Target:
    """Returns the target of a configured host, or of the hub to push to, with what is needed to be let in there."""
    known = Credentials(settings.token_file, settings.fingerprint, settings.ca, settings.cert, settings.key)
    return parse_target(settings.target, known)
