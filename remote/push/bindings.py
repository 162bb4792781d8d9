"""Which token of scope `report` belongs to which host: one each, the first that were used together, so that none writes
another's past.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from remote.private import locked, read_private, write_private
from sysmon.errors import SysmonError

if TYPE_CHECKING:
    from pathlib import Path

MAX_BINDINGS = 10_000
"""Tokens remembered at most; the oldest is forgotten first."""


class _File(msgspec.Struct, forbid_unknown_fields=True):
    version: int
    hosts: dict[str, str]


class Bindings:
    """Digest of a token -> host id and back, in a private file of the state folder.

    Args:
        path: the file; None keeps them in memory.

    Raises:
        SysmonError: the file is open to others, or not such a file.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._hosts: dict[str, str] = {}
        if path is None:
            return
        try:
            file = msgspec.json.decode(read_private(path, "the list of who reports"), type=_File)
        except FileNotFoundError:
            return
        except msgspec.MsgspecError as error:
            raise SysmonError(f"{path} is not a list of who reports: {error}", "move it away") from None
        self._hosts = file.hosts

    def host(self, digest: str) -> str:
        """Returns the host that a token belongs to, '' for none yet."""
        return self._hosts.get(digest, "")

    def owner(self, host: str) -> str:
        """Returns the digest of the token that a host belongs to, '' for none yet."""
        # Where an older sysmon gave a host several, the first.
        return next((digest for digest, bound in self._hosts.items() if bound == host), "")

    def bind(self, digest: str, host: str) -> None:
        """Gives a token to a host, and the host to no other token, for good.

        Raises:
            SysmonError: the file cannot be written.
        """
        if self._hosts.get(digest) == host:
            return
        hosts = {each: bound for each, bound in self._hosts.items() if bound != host} | {digest: host}
        while len(hosts) > MAX_BINDINGS:
            del hosts[next(iter(hosts))]
        if self._path is not None:
            with locked(self._path):
                write_private(self._path, msgspec.json.encode(_File(1, hosts)) + b"\n")
        self._hosts = hosts
