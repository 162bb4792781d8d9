"""Connections of this host, whose they are, and who used the network: TCP payload counted by the kernel.

Every socket of this network namespace is asked for by socket diagnostics, and the kernel tells what each closed TCP
connection had moved in the end, so that short ones are not missed while somebody looks. UDP has no counters: what no
TCP connection accounts for stands by itself and is put to nobody.
"""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

from collectors._sockets.cgroups import CgroupIds
from collectors._sockets.inetdiag import ALL_STATES, LISTEN, TCP, TIME_WAIT, UDP, DiagSocket
from collectors._sockets.kernel import Closings, dump
from collectors._sockets.line import Line
from collectors._sockets.options import OPTIONS, remotes
from collectors._sockets.owners import Holder, SocketOwners
from collectors._sockets.rows import SocketRows
from collectors._sockets.talkers import PATIENCE, Ledger, Owner
from collectors.base import Collector, Reading, Roots, read_text
from collectors.sockets import parse_sockstat
from sysmon.catalogue import gauge
from sysmon.errors import CollectorError, DeadlineExceeded, Denied, MalformedInput, Unsupported
from sysmon.frame import MAX_TALKERS, Fault, Number, Tables

if TYPE_CHECKING:
    from collections.abc import Mapping

CONNECTIONS = 2_000
"""Rows of the table of connections at most."""

WAITING = 500
"""Connections in TIME-WAIT up to which they are listed: they move nothing any more, and a server has thousands."""

LINGER = 5.0
"""Seconds for which closed connections are listened for after a read; more where reads are further apart."""

PACE = 15.0
"""Seconds between two reads up to which somebody is taken to look; nobody does where only evidence is due."""

SELDOM = 90.0
"""Seconds between two looks up to which a quiet host is listened to in between."""

QUIET = 50.0
"""Connections that end in a second, up to which a host is quiet."""

CALM = 600.0
"""Seconds after more had ended than could be heard of, until a host may be quiet again."""

TOLD = 60.0
"""Seconds for which it is told that closed connections were lost."""

_NEEDED = {19: "CAP_SYS_PTRACE", 2: "CAP_DAC_READ_SEARCH"}


class Connections(Collector):
    """Reads connections and keeps the accounts of who used the network.

    Option `remotes` = false leaves addresses and ports of the other ends out.
    """

    name = "connections"
    help = "TCP and UDP connections with their processes, and who moved how much"
    interval = 1.0
    blocking = True
    expensive = True
    OPTIONS = OPTIONS
    metrics = (
        gauge("connections.listed", "", "Sockets of TCP and UDP that there are, but for TIME-WAIT", "sock_diag(7)"),
        gauge(
            "connections.counted",
            "seconds",
            "For how long it is counted who used the network",
            "sock_diag(7)",
            precision=1,
        ),
        gauge(
            "connections.unbroken",
            "seconds",
            "For how long connections that were closed are counted without a gap",
            "SKNLGRP_INET_TCP_DESTROY of sock_diag(7)",
            precision=1,
        ),
    )

    def __init__(self, roots: Roots, options: Mapping[str, object] | None = None) -> None:
        super().__init__(roots, options)
        self._remotes = remotes(self.options)
        self._owners = SocketOwners(roots)
        self._groups = CgroupIds(roots)
        self._line = Line(roots)
        self._rows = SocketRows(remotes=self._remotes)
        self._ledger = Ledger(self._owner, self._heir, self._line.outside)
        self._listening: dict[int, list[DiagSocket]] = {}
        self._closings: Closings | None = None
        self._since: float | None = None
        self._unbroken: float | None = None
        self._read = 0.0
        self._ended = 0.0
        self._lost = 0
        self._lost_at: float | None = None

    def read(self) -> Reading:
        """Reads all sockets.

        Raises:
            Unsupported: the kernel knows no socket diagnostics. Denied: it does not answer us. DeadlineExceeded: not in
                time. MalformedInput: it answers nonsense.
        """
        if not self.roots.live:
            raise Unsupported("connections are told by the kernel alone, not by its files")
        now, before = time.monotonic(), self._read
        faults = self._listen(now)
        try:
            moved = self._line.read()
        except (CollectorError, MalformedInput) as error:
            moved = None
            faults.append(self.fault(error))
        sockets = self._sockets(faults)
        anew = self._find_owners([each for _, each in sockets])
        ledger = self._ledger
        ledger.look((each for protocol, each in sockets if protocol == "tcp"), now, anew=anew)
        if self._closings is not None:
            closed, lost = self._closings.take()
            self._ended = len(closed) / max(1.0, now - before)
            ledger.close(closed)
            if lost > self._lost:
                self._unbroken = self._lost_at = now
            self._lost = lost
        # Where the kernel was not listened to, no news of ends are to come.
        heard = self._unbroken is not None and self._unbroken < now
        ledger.settle(now, PATIENCE if heard or self._lost_at == now else 0.0)
        if moved is not None:
            ledger.beyond(*moved)
        if self._since is None:
            self._since = now
        rows, unseen = self._rows.rows(sockets, self._shown_owner, self._moved, CONNECTIONS)
        talkers, silent = ledger.rows(MAX_TALKERS)
        faults += self._told(now, unseen, silent)
        there = sum(each.state != TIME_WAIT for _, each in sockets)
        values: dict[str, Number] = {"connections.listed": there, "connections.counted": now - self._since}
        if self._unbroken is not None:
            values["connections.unbroken"] = now - self._unbroken
        return Reading(values, Tables(connections=rows, talkers=talkers), faults)

    def close(self) -> None:
        """Ends listening for closed connections."""
        if self._closings is not None:
            self._closings.close()
            self._closings = self._unbroken = None

    def _listen(self, now: float) -> list[Fault]:
        """Listens for closed connections while somebody looks; returns what is wrong with that."""
        gap, self._read = now - self._read, now
        seconds = max(LINGER, 2.5 * gap) if gap <= (SELDOM if self._is_quiet(now) else PACE) else LINGER
        if self._closings is not None and self._closings.keep(seconds):
            return []
        self._closings = self._unbroken = None
        try:
            self._closings = Closings(seconds)
        except OSError as error:
            message = f"connections that end between two looks are not counted: {error.strerror or error}"
            return [Fault(self.name, "unsupported", message, "a kernel from 4.2 on tells of them")]
        self._unbroken, self._lost = now, 0
        return []

    def _is_quiet(self, now: float) -> bool:
        """Whether so few connections end here that it costs nothing to hear of all, also while nobody looks: then those
        that ended between two looks stand in the evidence too.
        """
        return self._ended <= QUIET and (self._lost_at is None or now - self._lost_at > CALM)

    def _sockets(self, faults: list[Fault]) -> list[tuple[str, DiagSocket]]:
        states = ALL_STATES
        try:
            path = self.roots.proc / "net" / "sockstat"
            waiting = parse_sockstat(read_text(path), str(path)).get("TCP.tw", 0)
        except (CollectorError, MalformedInput):
            waiting = 0
        if waiting > WAITING:
            states &= ~(1 << TIME_WAIT)
            message = f"{waiting:,} connections in TIME-WAIT are not listed"
            faults.append(Fault(self.name, "no_data", message))
        try:
            found = [("tcp", each) for each in dump(TCP, states)]
        except PermissionError as error:
            raise Denied(f"the kernel does not tell of sockets: {error.strerror}", "allow AF_NETLINK") from None
        except TimeoutError:
            raise DeadlineExceeded("the kernel does not tell of sockets in time", "it is asked again") from None
        except OSError as error:
            hint = "a kernel with INET_DIAG tells of them; a sandbox must allow AF_NETLINK"
            raise Unsupported(f"the kernel does not tell of sockets: {error.strerror or error}", hint) from None
        try:
            found += [("udp", each) for each in dump(UDP)]
        except (OSError, MalformedInput) as error:
            faults.append(Fault(self.name, "no_data", f"UDP sockets are not listed: {error}"))
        return found

    def _find_owners(self, sockets: list[DiagSocket]) -> bool:
        self._listening = {}
        inodes, listening = set(), set()
        for each in sockets:
            if each.inode:
                inodes.add(each.inode)
                if each.state == LISTEN:
                    listening.add(each.inode)
                    self._listening.setdefault(each.local_port, []).append(each)
        return self._owners.look(inodes, listening)

    def _owner(self, socket: DiagSocket) -> Owner | None:
        """Whose a socket is; None while that may yet be known."""
        if not socket.inode:
            # Either nobody has accepted it yet, or its process has let go of it.
            return None if STILL_TO_COME >> socket.state & 1 else self._heir(socket)
        holder = self._owners.holder(socket.inode)
        if holder is not None:
            return _process(holder)
        return self._of_user(socket) if self._owners.is_settled(socket.inode) else None

    def _heir(self, socket: DiagSocket) -> Owner:
        """Whose a connection was of which no look could tell: of the process that alone listens at its port."""
        if socket.inode:
            return self._of_user(socket)
        port = socket.local_port
        at = [each for each in self._listening.get(port, ()) if each.local == socket.local]
        at = at or [each for each in self._listening.get(port, ()) if not any(each.local)]
        if not at:
            name = str(socket.remote_port) if self._remotes else ""
            return Owner(f"short:to:{name}", "short", name=name)
        holder = self._owners.only_holder(each.inode for each in at)
        return _process(holder) if holder is not None else Owner(f"short:at:{port}", "short", name=str(port))

    def _of_user(self, socket: DiagSocket) -> Owner:
        container, unit = self._groups.owner(socket.cgroup)
        user = self._owners.user(socket.uid)
        return Owner(f"owner:{user}:{container}:{unit}", "owner", user=user, container=container, unit=unit)

    def _shown_owner(self, socket: DiagSocket) -> Owner | None:
        connection = self._ledger.connections.get(socket.cookie)
        if connection is not None:
            return connection.owner
        return self._owner(socket) if socket.inode else None

    def _moved(self, cookie: int) -> int:
        connection = self._ledger.connections.get(cookie)
        return connection.moved if connection is not None else 0

    def _told(self, now: float, unseen: int, silent: int) -> list[Fault]:
        faults = []
        if unseen:
            message = f"{unseen:,} more connections are not shown: the busiest {CONNECTIONS:,} are"
            faults.append(Fault(self.name, "no_data", message))
        if silent:
            message = f"{silent:,} more users of the network are not shown: the busiest {MAX_TALKERS} are"
            faults.append(Fault(self.name, "no_data", message))
        if self._lost_at is not None and now - self._lost_at < TOLD:
            message = "closed connections came faster than they could be read: what some of them moved is not counted"
            faults.append(Fault(self.name, "no_data", message))
        faults += self._unknown()
        return faults

    def _unknown(self) -> list[Fault]:
        """Tells where sockets cannot be put to their processes, and what would mend it."""
        if self._owners.cut:
            return [Fault(self.name, "no_data", "there are too many open files to look for the process of each socket")]
        nobodys, denied = self._owners.unfound, self._owners.denied
        if not nobodys and not denied:
            return []
        missing = _missing_capabilities(self.roots)
        if not missing:
            # What hides even from root: processes of other namespaces, and what the kernel itself opened.
            return []
        files = f"open files of {denied:,} processes" if denied else "open files of others"
        many = f"{nobodys:,} sockets" if nobodys > 1 else "a socket" if nobodys else "sockets"
        message = (
            f"{many} of other users cannot be put to a process, as {files} may not be read: user and unit stand there"
        )
        return [Fault(self.name, "denied", message, f"run as root, or with {' and '.join(missing)}")]


STILL_TO_COME = 1 << 1 | 1 << 2 | 1 << 3 | 1 << 12
"""States in which a socket without an inode will yet get one: it is not accepted yet."""


def _process(holder: Holder) -> Owner:
    key = f"process:{holder.pid}:{holder.started}"
    return Owner(key, "process", *holder)


def _missing_capabilities(roots: Roots) -> list[str]:
    """Returns the capabilities that this process lacks to read open files of other users' processes."""
    try:
        text = read_text(roots.proc / "self" / "status")
    except CollectorError:
        return [] if os.geteuid() == 0 else list(_NEEDED.values())
    held = next((int(line[7:], 16) for line in text.split("\n") if line.startswith("CapEff:")), 0)
    return [name for bit, name in _NEEDED.items() if not held >> bit & 1]


COLLECTOR = Connections
