"""Processes of this host, from /proc/PID/stat, status, cgroup, cmdline and io.

Only `stat` is read of every process each time. What rarely changes (user, command line, container, unit) is read once
per process, again soon after it appeared (it may yet exec or be moved), when its name changes, and about every 45 s;
bytes of storage are read of those that ran, and of all where there are few. A process of which nothing changed gives
the very row of the previous read, so that readers can skip it by identity.
"""

from __future__ import annotations

import pwd
import time
from typing import TYPE_CHECKING

from collectors._owners import parse_cgroup
from collectors._processoptions import OPTIONS, commands
from collectors._procfs import (
    CLOCK_TICKS,
    ProcessFiles,
    Stat,
    affordable_descriptors,
    parse_arguments,
    parse_effective_uid,
    parse_io,
    parse_stat,
)
from collectors._redact import redact
from collectors.base import Collector, Reading, Roots, read_text
from sysmon.catalogue import gauge
from sysmon.errors import CollectorError, Denied, MalformedInput, NoData
from sysmon.frame import Fault, ProcessRow, Tables, clean_text

if TYPE_CHECKING:
    from collections.abc import Mapping

FEW = 256
"""With at most so many processes the storage bytes of all are read each time."""

REFRESH = 30.0
"""Seconds after which what rarely changes is read again; up to as much is added, so that not all fall due at once."""

SETTLE = 1.5
"""Seconds after which a new process is looked at again: by then it has exec'ed and was moved to its cgroup."""

NAMES_FOR = 600.0
"""Seconds for which a user's name is remembered."""

SHOWN = 20
"""Broken processes named in faults at most."""

_COMMAND_BYTES = 4096


class _Process:
    """What is remembered of one process between reads; times are of the monotonic clock, reads are counted."""

    __slots__ = (
        *("data", "stat", "row", "user", "command", "container", "unit", "due"),
        *("io", "io_known", "io_read", "io_due", "io_busy", "io_denied"),
    )

    def __init__(self, data: bytes, stat: Stat) -> None:
        self.data = data
        self.stat = stat
        self.row: ProcessRow | None = None
        self.user = ""
        self.command = ""
        self.container = ""
        self.unit = ""
        self.due = 0.0
        self.io: tuple[int, int] | None = None
        self.io_known = False
        self.io_read = 0
        self.io_due = 0.0
        self.io_busy = 0.0
        self.io_denied = False


class Processes(Collector):
    """Reads all processes into rows.

    Options: `commands` = "full", "redacted" (likely secrets hidden, the default) or "none"; `io` = false leaves out
    bytes of storage; `keep_open` bounds the files held open between reads (by default half of what sysmon may open).
    """

    name = "processes"
    help = "all processes with user, CPU, memory, I/O, command line, container and unit"
    interval = 1.0
    blocking = True
    expensive = True
    OPTIONS = OPTIONS
    metrics = (gauge("processes.zombies", "", "Processes that ended and were not yet waited for", "/proc/PID/stat"),)

    def __init__(self, roots: Roots, options: Mapping[str, object] | None = None) -> None:
        super().__init__(roots, options)
        self._commands = commands(self.options)
        self._page_size = roots.page_size
        self._with_io = bool(self.options.get("io", True))
        keep = self.options.get("keep_open")
        self._keep = keep if isinstance(keep, int) and keep >= 0 else affordable_descriptors()
        self._files: ProcessFiles | None = None
        self._processes: dict[str, _Process] = {}
        self._refused: set[str] = set()
        self._users: dict[int, tuple[str, float]] = {}
        self._reads = 0
        self._now = 0.0

    def read(self) -> Reading:
        """Reads all processes.

        Raises:
            NoData: there is no proc filesystem, or no process in it. Denied: it may not be listed.
        """
        files = self._opened()
        try:
            pids = files.pids()
        except PermissionError:
            raise Denied(f"{self.roots.proc} may not be listed by this user", "run as root") from None
        except OSError as error:
            self.close()
            raise NoData(f"{self.roots.proc}: {error.strerror or error}") from error
        self._now = now = time.monotonic()
        self._reads += 1
        before = self._processes
        after: dict[str, _Process] = {}
        rows: list[ProcessRow] = []
        faults: list[Fault] = []
        denied = 0
        all_io = self._with_io and len(pids) <= FEW
        read = files.stat
        for pid in pids:
            try:
                data = read(pid)
            except PermissionError:
                denied += 1
                continue
            except OSError:
                continue
            process = before.get(pid)
            if (
                process is not None
                and process.data == data
                and process.due > now
                and not self._wants_io(process, all_io)
            ):
                row = process.row
            else:
                try:
                    process, row = self._update(files, pid, process, data, all_io)
                except MalformedInput as error:
                    if len(faults) < SHOWN:
                        faults.append(self.fault(error))
                    continue
            if row is not None:
                after[pid] = process
                rows.append(row)
        for pid in before.keys() - after.keys():
            files.forget(pid)
            self._refused.discard(pid)
        self._processes = after
        hidden = self._hidden(pids, denied)
        if not rows and not faults and not hidden:
            raise NoData(f"{self.roots.proc} shows no processes")
        faults += hidden
        if self._refused:
            hint = "run as root, in a container with CAP_SYS_PTRACE"
            faults.append(Fault(self.name, "denied", "I/O of some processes may not be read", hint))
        return Reading({} if hidden else _totals(rows), Tables(processes=rows), faults)

    def close(self) -> None:
        """Closes the files held open."""
        if self._files is not None:
            self._files.close()
            self._files = None
        self._processes = {}
        self._refused = set()

    def _opened(self) -> ProcessFiles:
        if self._files is None:
            try:
                self._files = ProcessFiles(str(self.roots.proc), self._keep)
            except (FileNotFoundError, NotADirectoryError):
                raise NoData(f"{self.roots.proc} does not exist", "is /proc mounted?") from None
            except OSError as error:
                raise Denied(f"{self.roots.proc}: {error.strerror or error}") from error
        return self._files

    def _wants_io(self, process: _Process, all_io: bool) -> bool:
        if process.io_denied or process.stat.kernel or not self._with_io:
            return False
        # One row more after bytes were unknown: then they are.
        return all_io or process.io_busy > self._now or process.io_due <= self._now or not process.io_known

    def _update(
        self, files: ProcessFiles, pid: str, process: _Process | None, data: bytes, all_io: bool
    ) -> tuple[_Process, ProcessRow | None]:
        """Brings one process up to date; the row is the old one where nothing that it shows changed."""
        stat = parse_stat(data, f"{self.roots.proc}/{pid}/stat")
        now = self._now
        changed = process is None or process.data != data
        if process is None or process.stat.start_ticks != stat.start_ticks:
            process = _Process(data, stat)
            process.due = now + (SETTLE if self._reads > 1 else _spread(pid, REFRESH))
            self._describe(files, pid, process)
        else:
            renamed = process.stat.name != stat.name
            process.data, process.stat = data, stat
            if renamed or process.due <= now:
                process.due = now + _spread(pid, REFRESH)
                process.io_denied = False
                self._describe(files, pid, process)
        if (changed and self._with_io and not stat.kernel and not process.io_denied) or self._wants_io(process, all_io):
            self._read_io(files, pid, process)
        row = self._row(int(pid), process)
        if row == process.row:
            return process, process.row
        process.row = row
        return process, row

    def _row(self, pid: int, process: _Process) -> ProcessRow:
        stat = process.stat
        read, written = process.io if process.io is not None and process.io_known else (None, None)
        return ProcessRow(
            pid=pid,
            ppid=stat.ppid,
            started=stat.start_ticks / CLOCK_TICKS,
            user=process.user,
            name=_clean(stat.name),
            command=process.command,
            state=stat.state,
            cpu_time=stat.cpu_ticks / CLOCK_TICKS,
            memory=stat.resident * self._page_size,
            virtual=stat.virtual,
            threads=stat.threads,
            nice=stat.nice,
            kernel=stat.kernel,
            read_bytes=read,
            written_bytes=written,
            container=process.container,
            unit=process.unit,
        )

    def _describe(self, files: ProcessFiles, pid: str, process: _Process) -> None:
        """Reads what rarely changes; parts that cannot be read stay as they were."""
        try:
            process.user = self._user(parse_effective_uid(files.content(pid, "status")))
        except (OSError, MalformedInput):
            pass
        if process.stat.kernel:
            return
        try:
            text = files.content(pid, "cgroup").decode("utf-8", "surrogateescape")
            process.container, process.unit = (_clean(part, 128) for part in parse_cgroup(text))
        except OSError:
            pass
        if self._commands != "none":
            try:
                arguments = parse_arguments(files.content(pid, "cmdline", _COMMAND_BYTES))
            except OSError:
                return
            line = redact(arguments) if self._commands == "redacted" else " ".join(arguments).strip()
            process.command = _clean(line)

    def _read_io(self, files: ProcessFiles, pid: str, process: _Process) -> None:
        """Reads the bytes of storage.

        Where they were not read at the previous read and moved since, they count as unknown once: else the bytes of
        many reads would look like the rate of one.
        """
        now = self._now
        process.io_due = now + _spread(pid, REFRESH / 2)
        try:
            counted = parse_io(files.content(pid, "io", 512))
        except PermissionError:
            self._refused.add(pid)
            process.io_denied = True
            process.io, process.io_known = None, False
            return
        except (OSError, MalformedInput):
            process.io, process.io_known = None, False
            process.io_denied = True
            return
        self._refused.discard(pid)
        moved = process.io is not None and process.io != counted
        process.io_known = not moved or process.io_read == self._reads - 1
        if moved:
            process.io_busy = now + REFRESH
        process.io, process.io_read = counted, self._reads

    def _user(self, uid: int) -> str:
        known = self._users.get(uid)
        if known is not None and known[1] > self._now:
            return known[0]
        name = _user_name(uid) if self.roots.live else self._captured_user(uid)
        self._users[uid] = (_clean(name, 64), self._now + NAMES_FOR)
        return self._users[uid][0]

    def _captured_user(self, uid: int) -> str:
        try:
            text = read_text(self.roots.etc / "passwd")
        except CollectorError:
            return str(uid)
        for line in text.split("\n"):
            fields = line.split(":")
            if len(fields) > 2 and fields[2] == str(uid):
                return fields[0]
        return str(uid)

    def _hidden(self, pids: list[str], denied: int) -> list[Fault]:
        """Returns a fault where the kernel shows only some processes: /proc mounted with hidepid."""
        if not denied and ("1" in pids or not self.roots.live):
            return []
        which = f"{denied} processes" if denied else "processes of other users"
        hint = "run as root, or as a member of the group in /proc's mount option gid="
        return [Fault(self.name, "denied", f"{which} are hidden: /proc is mounted with hidepid", hint)]


def _spread(pid: str, seconds: float) -> float:
    return seconds * (1 + int(pid) % 100 / 100)


def _totals(rows: list[ProcessRow]) -> dict[str, int | float]:
    return {
        "processes.zombies": sum([row.state == "Z" for row in rows]),
    }


def _user_name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except (KeyError, OSError, OverflowError):
        return str(uid)


def _clean(text: str, limit: int = _COMMAND_BYTES) -> str:
    return text[:limit] if text.isascii() and text.isprintable() else clean_text(text, limit)


COLLECTOR = Processes
