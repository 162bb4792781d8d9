"""vnStat: what its daemon counted of this host's interfaces, also before sysmon was here.

Its daemon counts by five minutes, hours, days, months and years and writes that down every few minutes. `vnstat --json`
is asked for all of it; live traffic is read from the kernel, by the network collector. On a box reached by ssh it is
the script there that asks: its answer and exit status lie in the tree as files.
"""

from __future__ import annotations

import contextlib
import os
import select
import shutil
import signal
import subprocess
import time
from datetime import UTC
from typing import TYPE_CHECKING, Final

from collectors._networkoptions import included
from collectors._router.commands import FOLDER
from collectors._vnstatjson import MAX_TEXT, first_line, parse_vnstat, shown
from collectors._vnstattiles import pieces
from collectors.base import Collector, Reading, read_bytes
from collectors.identity import timezone
from sysmon.catalogue import gauge
from sysmon.configschema import Option, quoted
from sysmon.configschema import text as plain_text
from sysmon.errors import CollectorError, DeadlineExceeded, Denied, MalformedInput, NoData, Unsupported
from sysmon.frame import Fault, clean_instance, clean_text
from sysmon.records import Past
from sysmon.units import plain_duration
from sysmon.zones import zone_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from collectors._vnstatjson import VnstatHistory
    from collectors.base import Roots

TIMEOUT: Final = 5.0
"""Seconds that it may take; of a default-sized database it takes some hundredths."""
STALE: Final = 600.0
"""Seconds after which what was written down last is old: twice what its daemon takes by default."""
BOX_TEXT: Final = 4 << 20
"""Bytes taken from a box: they are taken apart where its frames are made."""
COMMAND: Final = 'echo "now=$(date +%s)"; vnstat --json'
"""How it is asked elsewhere, by a shell: the Unix time there stands before its answer."""
ANSWER, STATUS = f"{FOLDER}/vnstat", f"{FOLDER}/vnstat.status"
"""Where in a tree the answer of one that was run elsewhere is, and its exit status."""
STOPPED: Final = (124, 137, 143)
"""Exit statuses of one that was ended because it took too long: by `timeout`, by SIGKILL, by SIGTERM."""
_KEPT: Final = ("HOME", "PATH", "TZ")
"""What of the environment it is given; its own configuration may lie in the home."""


def zone(value: object) -> str:
    """Checks the name of a time zone: IANA's, or an offset from UTC."""
    name = plain_text(value).strip()
    if name and zone_of(name) is UTC:
        raise ValueError(f'{quoted(name)} is not a time zone; write "Europe/Berlin", "+01:00", or "UTC"')
    return name


OPTIONS: Mapping[str, Option] = {
    "timezone": Option(zone, '""', 'zone that its daemon counts in, where not the host\'s: "UTC" with UseUTC 1'),
}
"""The options, for the check of the configuration."""


def answered(said: bytes) -> bytes:
    """Leaves out what vnStat says of its own configuration before it answers, on standard output as well."""
    while said.startswith(b"Config: "):
        said = said.partition(b"\n")[2]
    return said


def refused(told: str, status: int) -> CollectorError | None:
    """Returns what an answer that is none says; None where it is one.

    Args:
        told: all of standard output: vnStat prints its errors there, and nothing on standard error.
        status: the exit status. vnStat 1.x ends with 0 also after an error.
    """
    if status == 0 and told.lstrip().startswith("{"):
        return None
    low, said = told.lower(), first_line(told)
    if status in STOPPED:
        return DeadlineExceeded("vnstat did not answer in time", "it is asked again in some minutes")
    if status == 127:
        return absent()
    if status == 126 or "permission denied" in low:
        return _unreadable(said)
    if "should have created" in low or "no database found" in low or "unable to open database directory" in low:
        return never_ran()
    if "failed to open database" in low:
        # That line alone: the file is there.
        return _unreadable(said)
    if "unable to read database" in low:
        return never_ran()
    if "unknown parameter" in low or "unknown option" in low:
        return Unsupported("this vnStat is too old to answer with JSON", "upgrade it; nothing else depends on that")
    return CollectorError(
        f"vnstat --json ended with status {status} and said {shown(said) if said else 'nothing'}",
        "run `vnstat --json` to see more of it",
    )


def absent() -> Unsupported:
    """Returns what is said where there is none."""
    return Unsupported("vnStat is not installed", "nothing is wrong: where it counts, its past would be taken in")


def never_ran() -> NoData:
    """Returns what is said where its daemon never ran."""
    return NoData(
        "vnStat has no database: its daemon never ran",
        "start it with `systemctl enable --now vnstat`, or leave it: sysmon counts by itself",
    )


def nothing_yet() -> NoData:
    """Returns what is said where it just began."""
    return NoData("vnStat counted nothing yet", "its daemon writes down what it counted every five minutes")


def _unreadable(said: str) -> Denied:
    place = said.partition('"')[2].partition('"')[0]
    where = clean_text(place, 200) if place.startswith("/") else "vnStat's database"
    return Denied(f"{where} may not be read by this user", "let others read it, as Debian does: chmod o+r")


_MOST = (1 << 63) - 1


class VnstatCollector(Collector):
    """Asks vnStat what it counted; see `past`."""

    name = "vnstat"
    help = "What vnStat counted, also before sysmon was here"
    interval = 300.0
    deadline = 10.0
    blocking = True
    heavy = True
    prompt = False
    OPTIONS = OPTIONS
    metrics = (
        gauge("vnstat.age", "seconds", "Since vnStat last wrote down what it counted", "vnstat --json"),
        gauge("vnstat.interfaces", "", "Interfaces that vnStat has counted", "vnstat --json"),
        gauge(
            "vnstat.total",
            "bytes",
            "Bytes that vnStat counted in all, both ways; of interfaces in its database alone",
            "vnstat --json",
            instance="interface",
            rollup=False,
        ),
    )

    def __init__(self, roots: Roots, options: Mapping[str, object] | None = None) -> None:
        super().__init__(roots, options)
        self._zone = str(self.options.get("timezone") or "")
        self._included = included(self.options)

    def read(self) -> Reading:
        """Asks it, and keeps the answer as `past`.

        Raises:
            CollectorError: it is not there, never ran, may not be read, counted nothing yet, or does not answer.
            MalformedInput: its answer is none.
        """
        if self.roots.live:
            text, status = run_vnstat()
            now = time.time_ns() // 1_000_000
        else:
            text, status, now = self._told()
        text = answered(text)
        error = refused(text[:4096].decode("utf-8", "replace"), status)
        if error is not None:
            raise error
        history = parse_vnstat(text, zone_of(self._zone or timezone(self.roots)), now)
        updated = history.updated
        if updated is None or all(each.empty for each in history.interfaces):
            raise nothing_yet()
        self._keep(history, updated)
        age = max(0.0, (now - updated) / 1000)
        reading = Reading({"vnstat.age": age, "vnstat.interfaces": len(history.interfaces)})
        for each in history.interfaces:
            reading.values[f"vnstat.total:{clean_instance(each.name)}"] = min(each.receive + each.transmit, _MOST)
        if age > STALE:
            reading.faults.append(
                Fault(
                    self.name,
                    "no_data",
                    f"vnStat last wrote down what it counted {plain_duration(age)} ago",
                    "its daemon may have stopped: `systemctl status vnstat`",
                )
            )
        return reading

    def _keep(self, history: VnstatHistory, updated: int) -> None:
        wanted = (interface for interface in history.interfaces if self._included(interface.name))
        found = [piece for interface in wanted for piece in pieces(interface)]
        if found:
            self.past = Past(host="", source=self.name, time=updated, pieces=found)

    def _told(self) -> tuple[bytes, int, int]:
        """What was told of a vnstat that was run elsewhere, with the Unix milliseconds there."""
        try:
            status = first_line(read_bytes(self.roots.base / STATUS, 1024))
            text = read_bytes(self.roots.base / ANSWER, BOX_TEXT + 1)
        except NoData:
            raise absent() from None
        if len(text) > BOX_TEXT:
            raise MalformedInput(f"vnstat --json: more than {BOX_TEXT >> 20} MiB")
        first, _, answer = text.partition(b"\n")
        now = first.removeprefix(b"now=")
        if first == now or not now.isdigit() or len(now) > 12:
            raise MalformedInput(f"vnstat --json: {shown(first_line(first))} is not the time there")
        if not (status.isascii() and status.isdecimal() and len(status) <= 3):
            raise MalformedInput(f"vnstat --json: {shown(status)} is not an exit status")
        return answer, int(status), int(now) * 1000


def run_vnstat(timeout: float = TIMEOUT, most: int = MAX_TEXT) -> tuple[bytes, int]:
    """Runs `vnstat --json`; nothing where there is none on PATH.

    Args:
        timeout: seconds after which it is killed.
        most: bytes of its answer after which it is killed.

    Returns:
        Standard output and the exit status; 137 where it was killed because it took too long.

    Raises:
        Unsupported: it is not installed. Denied: it may not be run. MalformedInput: it says too much.
    """
    program = shutil.which("vnstat")
    if program is None:
        raise absent()
    # A fixed command without a shell; nothing that anybody gave is part of it.
    environment = {"LC_ALL": "C", **{name: os.environ[name] for name in _KEPT if name in os.environ}}
    try:
        child = subprocess.Popen(
            [program, "--json"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=environment,
            start_new_session=True,
        )
    except OSError as error:
        raise Denied(f"{program} cannot be run: {error.strerror or error}") from None
    assert child.stdout is not None
    with child.stdout as pipe:
        text, ended = _output(pipe.fileno(), time.monotonic() + timeout, most)
        if not ended or len(text) > most:
            _kill(child.pid)
    status = _reaped(child, 0.5 if ended else 0.2)
    if len(text) > most:
        raise MalformedInput(f"vnstat --json: more than {most >> 20} MiB")
    return text, status if status >= 0 else 128 - status


def _output(descriptor: int, until: float, most: int) -> tuple[bytes, bool]:
    """Reads until the end, a moment or a size; returns what came, and whether that was its end."""
    chunks: list[bytes] = []
    size = 0
    # Not select(): a descriptor may have a number that it cannot hold.
    poll = select.poll()
    poll.register(descriptor, select.POLLIN | select.POLLHUP)
    while size <= most:
        left = until - time.monotonic()
        if left <= 0 or not poll.poll(left * 1000):
            return b"".join(chunks), False
        chunk = os.read(descriptor, 1 << 16)
        if not chunk:
            return b"".join(chunks), True
        chunks.append(chunk)
        size += len(chunk)
    return b"".join(chunks), False


def _reaped(child: subprocess.Popen[bytes], seconds: float) -> int:
    """Returns its exit status; it is killed where it goes on beyond its output."""
    for patience in (seconds, 0.2):
        with contextlib.suppress(subprocess.TimeoutExpired):
            return child.wait(patience)
        _kill(child.pid)
    # It hangs where not even SIGKILL ends it: nobody waits for it.
    return STOPPED[1]


def _kill(process: int) -> None:
    with contextlib.suppress(OSError):
        # With all that it started itself: it leads a session of its own.
        os.killpg(process, signal.SIGKILL)


COLLECTOR = VnstatCollector
