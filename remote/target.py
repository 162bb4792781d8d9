"""Where a remote sysmon is: what the user wrote, taken apart."""

from __future__ import annotations

from typing import NamedTuple
from urllib.parse import urlsplit

from sysmon.errors import UsageError

DEFAULT_PORT = 8200
"""Port of agents and hubs."""


class Target(NamedTuple):
    """One server. `text`: as shown; `base`: scheme, host and port of its URLs; `socket`: its Unix socket, or ''."""

    text: str
    base: str
    socket: str = ""

    def __str__(self) -> str:
        return self.text


def parse_target(text: str) -> Target:
    """Takes `http://host[:port]` or `unix:///path` apart; the port is 8200 by default.

    Raises:
        UsageError: another scheme, a path, a user or a query, or a port that is none.
    """
    given = text.strip()
    try:
        parts = urlsplit(given)
        port = parts.port
    except ValueError:
        raise UsageError(f"'{given}' is not a target", f"write http://host:{DEFAULT_PORT}") from None
    if parts.scheme == "unix":
        if parts.netloc or not parts.path.startswith("/") or parts.query or parts.fragment:
            raise UsageError(f"'{given}' names no socket", "write unix:///run/sysmon/sysmon.sock")
        return Target(given, "http://localhost", parts.path)
    if parts.scheme == "https":
        raise UsageError(
            f"'{given}': https is not there yet",
            f"come in by ssh: ssh -N -L {DEFAULT_PORT}:127.0.0.1:{DEFAULT_PORT} HOST",
        )
    if parts.scheme != "http" or not parts.hostname:
        raise UsageError(f"'{given}' is not a target", f"write http://host:{DEFAULT_PORT} or unix:///path")
    if parts.username is not None or parts.password is not None:
        raise UsageError("a target holds no user and no password", "secrets do not belong into a URL")
    if parts.path not in ("", "/") or parts.query or parts.fragment:
        raise UsageError(f"'{given}' has a path", f"write http://{parts.hostname}:{port or DEFAULT_PORT}")
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    base = f"http://{host}:{DEFAULT_PORT if port is None else port}"
    return Target(base, base)
