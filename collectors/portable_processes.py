"""Processes of macOS and FreeBSD, through psutil: rows as those of Linux, as far as it goes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from collectors._portable import Portable
from collectors._processoptions import OPTIONS, commands
from collectors._redact import redact
from collectors.base import Reading
from sysmon.catalogue import gauge
from sysmon.errors import NoData
from sysmon.frame import ProcessRow, Tables, clean_text

if TYPE_CHECKING:
    from collections.abc import Mapping

    from collectors.base import Roots

_STATES = {
    "running": "R",
    "sleeping": "S",
    "disk-sleep": "D",
    "stopped": "T",
    "tracing-stop": "t",
    "zombie": "Z",
    "dead": "X",
    "idle": "I",
    "locked": "L",
    "waiting": "W",
    "parked": "P",
}
_ATTRIBUTES = ("ppid", "name", "username", "status", "cpu_times", "memory_info", "num_threads", "nice", "create_time")


class PortableProcesses(Portable):
    """Reads all processes into rows; what the platform does not tell of another user's process is left out.

    Option `commands`: "full", "redacted" (likely secrets hidden, the default) or "none".
    """

    name = "processes"
    help = "all processes with user, CPU, memory and command line"
    interval = 2.0
    blocking = True
    expensive = True
    OPTIONS = OPTIONS
    metrics = (gauge("processes.zombies", "", "Processes that ended and were not yet waited for", "psutil"),)

    def __init__(self, roots: Roots, options: Mapping[str, object] | None = None) -> None:
        super().__init__(roots, options)
        self._commands = commands(self.options)
        known = self.psutil.Process.__dict__
        wanted = [*_ATTRIBUTES]
        wanted += ["cmdline"] if self._commands != "none" else []
        wanted += ["io_counters"] if self.options.get("io", True) else []
        self._attributes = [name for name in wanted if name in known or hasattr(self.psutil.Process, name)]

    def read(self) -> Reading:
        """Reads all processes.

        Raises:
            NoData: there are none to be seen.
        """
        booted = self.call("boot_time")
        # A process that ends meanwhile is left out by psutil; what may not be read is None.
        rows = [self._row(process.pid, process.info, booted) for process in self.call("process_iter", self._attributes)]
        if not rows:
            raise NoData("the platform shows no processes")
        return Reading({"processes.zombies": sum(row.state == "Z" for row in rows)}, Tables(processes=rows))

    def _row(self, pid: int, info: dict[str, Any], booted: float) -> ProcessRow:
        times, memory, io = info.get("cpu_times"), info.get("memory_info"), info.get("io_counters")
        arguments = info.get("cmdline") or []
        command = redact(arguments) if self._commands == "redacted" else " ".join(arguments)
        created = info.get("create_time")
        return ProcessRow(
            pid=pid,
            ppid=info.get("ppid") or 0,
            started=max(0.0, round(created - booted, 2)) if created else 0.0,
            user=clean_text(info.get("username") or "", 64),
            name=clean_text(info.get("name") or "", 255),
            command=clean_text(command),
            state=_STATES.get(info.get("status") or "", "?"),
            cpu_time=round(times.user + times.system, 6) if times is not None else 0.0,
            memory=memory.rss if memory is not None else 0,
            virtual=memory.vms if memory is not None else 0,
            threads=info.get("num_threads") or 0,
            nice=info.get("nice") or 0,
            read_bytes=getattr(io, "read_bytes", None),
            written_bytes=getattr(io, "write_bytes", None),
        )


COLLECTOR = PortableProcesses
