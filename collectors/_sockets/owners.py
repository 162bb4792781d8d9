"""Whose a socket is: the process that holds its inode, found through the descriptors in /proc/PID/fd.

Those of other users may be read with CAP_SYS_PTRACE and CAP_DAC_READ_SEARCH alone. Processes that held sockets lately
are looked at first, and all of them only where that did not find every socket: most new sockets are theirs.
"""

from __future__ import annotations

import os
import pwd
import time
from typing import TYPE_CHECKING, NamedTuple

from collectors._owners import parse_cgroup
from collectors._procfs import CLOCK_TICKS, parse_effective_uid, parse_stat
from collectors.base import read_file
from sysmon.errors import CollectorError, MalformedInput
from sysmon.frame import clean_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from collectors.base import Roots

AGAIN = 15.0
"""Seconds after which all is looked up anew: sockets are handed on, processes exec."""

SHARE = 20
"""Looking at all processes takes at most this part of the time: one after which comes so many times its duration."""

DESCRIPTORS = 100_000
"""Descriptors looked at in one go at most."""

_NAMES_FOR = 600.0


class Holder(NamedTuple):
    """A process; `started`: seconds since boot."""

    pid: int
    started: float
    name: str
    user: str
    container: str
    unit: str


class SocketOwners:
    """Finds the processes that hold sockets.

    Attributes:
        denied: processes whose descriptors could not be read when all were looked at.
        cut: whether there were more descriptors than are looked at.
    """

    def __init__(self, roots: Roots, clock: Callable[[], float] = time.monotonic) -> None:
        self._proc = str(roots.proc)
        self._clock = clock
        self._holders: dict[int, list[int]] = {}
        self._tried: set[int] = set()
        self._processes: dict[int, Holder | None] = {}
        self._busy: dict[int, None] = {}
        self._users: dict[int, tuple[str, float]] = {}
        self._next = 0.0
        self._whole = -AGAIN
        self._refused: set[str] = set()
        self._left = 0
        self.denied = 0
        self.cut = False

    def look(self, inodes: set[int], listening: set[int]) -> bool:
        """Finds the holders of these sockets as far as they are not known.

        Args:
            inodes: of all sockets that there are; what was known of others is forgotten.
            listening: those of which all holders are wanted: a new one has every process looked at.

        Returns:
            Whether everything was looked up anew.
        """
        now = self._clock()
        anew = now - self._whole >= AGAIN
        if anew:
            self._forget()
        else:
            self._holders = {inode: pids for inode, pids in self._holders.items() if inode in inodes}
            self._tried &= inodes
        wanted = inodes - self._holders.keys() - self._tried
        if not wanted and not anew:
            return False
        self._left, self.cut = DESCRIPTORS, False
        every = anew or not wanted.isdisjoint(listening)
        if not every:
            for pid in list(self._busy):
                self._scan(str(pid), wanted)
            wanted -= self._holders.keys()
            every = bool(wanted) and now >= self._next
        if every:
            self._scan_all(wanted)
            self._next = self._clock() + SHARE * (self._clock() - now)
            self._tried |= wanted - self._holders.keys()
            if anew:
                self._whole = now
        self._busy = dict.fromkeys(pid for pids in self._holders.values() for pid in pids)
        for pid in self._processes.keys() - self._busy.keys():
            del self._processes[pid]
        return anew

    @property
    def unfound(self) -> int:
        """How many sockets no process was found for."""
        return len(self._tried)

    def is_settled(self, inode: int) -> bool:
        """Whether a socket's holder is known, or was looked for in vain."""
        return inode in self._holders or inode in self._tried

    def holder(self, inode: int) -> Holder | None:
        """Returns the process that holds a socket: of several the one that began last, which is the one it was handed
        to; None where none is to be seen.
        """
        found = [process for pid in self._holders.get(inode, ()) if (process := self.process(pid)) is not None]
        return max(found, key=lambda each: (each.started, each.pid), default=None)

    def only_holder(self, inodes: Iterable[int]) -> Holder | None:
        """Returns the process that alone holds all of these sockets, None where several do or none is to be seen."""
        held = [self._holders.get(inode, ()) for inode in inodes]
        pids = {pid for each in held for pid in each}
        return self.process(pids.pop()) if len(pids) == 1 and all(held) else None

    def process(self, pid: int) -> Holder | None:
        """Returns what a process is, None where it is gone."""
        if pid not in self._processes:
            self._processes[pid] = self._described(pid)
        return self._processes[pid]

    def user(self, uid: int) -> str:
        """Returns the name of a user, or the number."""
        known, now = self._users.get(uid), self._clock()
        if known is None or known[1] <= now:
            try:
                name = clean_text(pwd.getpwuid(uid).pw_name, 64)
            except (KeyError, OSError, OverflowError):
                name = str(uid)
            known = self._users[uid] = (name, now + _NAMES_FOR)
        return known[0]

    def _forget(self) -> None:
        self._holders, self._tried, self._processes = {}, set(), {}
        self._refused.clear()

    def _described(self, pid: int) -> Holder | None:
        folder = f"{self._proc}/{pid}"
        try:
            stat = parse_stat(read_file(f"{folder}/stat", 4096).encode("utf-8", "surrogateescape"))
        except (CollectorError, MalformedInput, OSError):
            return None
        user = container = unit = ""
        try:
            status = read_file(f"{folder}/status", 1 << 14).encode("utf-8", "surrogateescape")
            user = self.user(parse_effective_uid(status))
            container, unit = parse_cgroup(read_file(f"{folder}/cgroup", 1 << 14))
        except (CollectorError, MalformedInput, OSError):
            pass
        name = clean_text(stat.name, 255)
        return Holder(
            pid, stat.start_ticks / CLOCK_TICKS, name, user, clean_text(container, 128), clean_text(unit, 128)
        )

    def _scan_all(self, wanted: set[int]) -> None:
        try:
            pids = [name for name in os.listdir(self._proc) if name.isascii() and name.isdigit()]
        except OSError:
            return
        # Holders are found anew: of one that several hold all are to be known.
        for inode in wanted:
            self._holders.pop(inode, None)
        for pid in pids:
            self._scan(pid, wanted)
        self._refused.intersection_update(pids)
        self.denied = len(self._refused)

    def _scan(self, pid: str, wanted: set[int]) -> None:
        if pid in self._refused:
            return
        folder = f"{self._proc}/{pid}/fd"
        try:
            names = os.listdir(folder)
        except PermissionError:
            self._refused.add(pid)
            return
        except OSError:
            return
        if len(names) > self._left:
            self.cut = True
            names = names[: self._left]
        self._left -= len(names)
        number = int(pid)
        for name in names:
            try:
                link = os.readlink(f"{folder}/{name}")
            except PermissionError:
                self._refused.add(pid)
                return
            except OSError:
                continue
            if link.startswith("socket:["):
                inode = int(link[8:-1])
                if inode in wanted:
                    holders = self._holders.setdefault(inode, [])
                    if number not in holders:
                        holders.append(number)
