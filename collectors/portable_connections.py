"""Connections of macOS and FreeBSD, through psutil: with their processes, but nothing counts their bytes there."""

from __future__ import annotations

import socket
import zlib
from typing import TYPE_CHECKING, Any

import msgspec

from collectors._portable import Portable
from collectors._sockets.options import OPTIONS, remotes
from collectors.base import Reading
from sysmon.catalogue import gauge
from sysmon.errors import Denied
from sysmon.frame import ConnectionRow, Fault, Tables, clean_text

if TYPE_CHECKING:
    from collections.abc import Mapping

    from collectors.base import Roots

CONNECTIONS = 2_000
"""Rows at most."""

_STATES = {"ESTABLISHED": "ESTAB", "NONE": "UNCONN", "CLOSE": "UNCONN", "SYN_RECV": "SYN-RECV", "SYN_SENT": "SYN-SENT"}
_STATES |= {"FIN_WAIT1": "FIN-WAIT-1", "FIN_WAIT2": "FIN-WAIT-2"}


class PortableConnections(Portable):
    """Reads connections; option `remotes` = false leaves addresses and ports of the other ends out."""

    name = "connections"
    help = "TCP and UDP connections with their processes"
    interval = 2.0
    blocking = True
    expensive = True
    OPTIONS = OPTIONS
    metrics = (gauge("connections.listed", "", "Sockets of TCP and UDP that there are, but for TIME-WAIT", "psutil"),)

    def __init__(self, roots: Roots, options: Mapping[str, object] | None = None) -> None:
        super().__init__(roots, options)
        self._remotes = remotes(self.options)

    def read(self) -> Reading:
        """Reads all connections.

        Raises:
            Denied: the platform tells of them to root alone. Unsupported: it does not tell of them.
        """
        try:
            found = self.psutil.net_connections(kind="inet")
        except (self.psutil.AccessDenied, PermissionError):
            raise Denied("connections of all processes are told to root alone", "run as root") from None
        except (OSError, NotImplementedError, AttributeError):
            found = self.call("net_connections", "inet")
        rows = [self._row(each) for each in found[:CONNECTIONS]]
        names = {pid: self._process(pid) for pid in {row.pid for row in rows} if pid is not None}
        rows = [
            msgspec.structs.replace(row, name=names[row.pid][0], user=names[row.pid][1]) if row.pid is not None else row
            for row in rows
        ]
        faults = [Fault(self.name, "unsupported", "this platform does not count the bytes of connections")]
        if len(found) > CONNECTIONS:
            message = f"{len(found) - CONNECTIONS:,} more connections are not shown"
            faults.append(Fault(self.name, "no_data", message))
        return Reading(
            {"connections.listed": sum("TIME_WAIT" not in each.status for each in found)},
            Tables(connections=rows),
            faults,
        )

    def _row(self, each: Any) -> ConnectionRow:
        local, local_port = tuple(each.laddr)[:2] or ("", 0)
        remote, remote_port = tuple(each.raddr)[:2] or ("", 0)
        protocol = "udp" if each.type == socket.SOCK_DGRAM else "tcp"
        # There is no number of the kernel's own: what tells one from the other has to do.
        identity = zlib.crc32(repr((protocol, local, local_port, remote, remote_port, each.pid, each.fd)).encode())
        state = str(each.status).replace("CONN_", "")
        return ConnectionRow(
            id=identity,
            protocol=protocol,
            state=_STATES.get(state, state.replace("_", "-")),
            local=clean_text(local, 64),
            local_port=local_port,
            remote=clean_text(remote, 64) if self._remotes else "",
            remote_port=remote_port if self._remotes else 0,
            pid=each.pid,
        )

    def _process(self, pid: int) -> tuple[str, str]:
        """Returns name and user of a process, '' where they are not told."""
        try:
            process = self.psutil.Process(pid)
            return clean_text(process.name(), 255), clean_text(process.username(), 64)
        except (self.psutil.Error, OSError, KeyError):
            return "", ""


COLLECTOR = PortableConnections
