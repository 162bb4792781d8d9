"""What a collector is: a name, an interval, the metrics it fills, and `read()`.

One file holds one collector: its metrics, pure parsers (text -> values) and the class that reads. The registry finds
it by itself.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import msgspec

from sysmon.errors import CollectorError, Denied, MalformedInput, NoData, SysmonError, Unsupported
from sysmon.frame import Fault, Number, Tables

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sysmon.catalogue import Metric
    from sysmon.records import Past

PROC_LIMIT = 16 << 20
"""Bytes read of one kernel file at most."""

PAGE_SIZE = os.sysconf("SC_PAGE_SIZE") if hasattr(os, "sysconf") else 4096
"""Bytes of a page of this machine."""

_READ = os.O_RDONLY | getattr(os, "O_CLOEXEC", 0)


@dataclass(frozen=True, slots=True)
class Roots:
    """Where the kernel's files are; tests point it at a captured tree.

    Attributes:
        base: '/' of the host looked at; `proc`, `sys`, `etc`, `run` lie below it.
        live: whether it is this machine's own kernel, so that system calls (statvfs, sockets, NVML) may be made as
            well.
        page_size: bytes of a page of the host looked at.
    """

    base: Path = Path("/")
    live: bool = True
    page_size: int = PAGE_SIZE

    @property
    def proc(self) -> Path:
        """The proc filesystem."""
        return self.base / "proc"

    @property
    def sys(self) -> Path:
        """The sys filesystem."""
        return self.base / "sys"

    @property
    def etc(self) -> Path:
        """Configuration of the host."""
        return self.base / "etc"

    @property
    def run(self) -> Path:
        """Run-time state of the host."""
        return self.base / "run"

    @property
    def sizes(self) -> Path:
        """In a captured tree: what statvfs told of each mount; see `collectors.filesystems.parse_sizes`."""
        return self.base / "statvfs"


@dataclass(slots=True)
class Reading:
    """What one read gave: every series the collector now has, tables, and faults of parts that failed.

    `interval`: seconds until the next read, where what is read keeps a pace of its own; else the configured one.
    """

    values: dict[str, Number] = field(default_factory=dict)
    tables: Tables = field(default_factory=Tables)
    faults: list[Fault] = field(default_factory=list)
    interval: float | None = None


class Collector:
    """Base of all collectors.

    Class attributes:
        name: config key, `[collectors.NAME]`.
        metrics: what it fills, and what is derived from that.
        interval: seconds between reads by default, at least 1.
        blocking: whether `read` may block and so runs off the loop with a deadline.
        prompt: whether a frame waits a moment for its read, where that may block.
        heavy: whether `read` may compute for long enough that also files of a captured tree are read off the loop.
        expensive: read only while somebody looks or evidence is due (the runner is told).
        platforms: where it works: beginnings of `sys.platform`.
        help: one sentence for `sysmon doctor`.

    Attributes:
        past: what its last read found that others counted before, its host left open; None: nothing.
    """

    name: ClassVar[str]
    help: ClassVar[str] = ""
    interval: ClassVar[float] = 1.0
    deadline: ClassVar[float] = 5.0
    blocking: ClassVar[bool] = False
    heavy: ClassVar[bool] = False
    prompt: ClassVar[bool] = True
    expensive: ClassVar[bool] = False
    platforms: ClassVar[tuple[str, ...]] = ("linux",)
    metrics: ClassVar[tuple[Metric, ...]] = ()
    past: Past | None = None

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        if "metrics" in cls.__dict__:
            cls.metrics = tuple(msgspec.structs.replace(metric, collector=cls.name) for metric in cls.metrics)

    def __init__(self, roots: Roots, options: Mapping[str, object] | None = None) -> None:
        self.roots = roots
        self.options = dict(options or {})

    @classmethod
    def applies(cls, roots: Roots, options: Mapping[str, object]) -> bool:
        """Whether a host is of the sort that this is for at all; where it is not, nobody is told of it."""
        return True

    def read(self) -> Reading:
        """Reads once, into a new `Reading`: the runner keeps it and rounds its values while the next read may run.

        The very reading of before says that its source has nothing newer yet: then nothing is told.

        Raises:
            CollectorError: nothing could be read; its kind and message become the fault.
        """
        raise NotImplementedError

    def fault(self, error: Exception) -> Fault:
        """Turns an error into this collector's fault."""
        kind = error.kind if isinstance(error, CollectorError) else "failed"
        if isinstance(error, SysmonError):
            return Fault(self.name, kind, error.message, error.hint)
        return Fault(self.name, kind, f"{type(error).__name__}: {error}" if str(error) else type(error).__name__)


def read_text(path: Path, limit: int = PROC_LIMIT) -> str:
    """Reads a kernel file as text, invalid UTF-8 as surrogate escapes.

    Raises:
        NoData: it does not exist. Denied: no right to read it. Unsupported: the kernel refuses it.
    """
    return read_bytes(path, limit).decode("utf-8", "surrogateescape")


def read_bytes(path: Path, limit: int = PROC_LIMIT) -> bytes:
    """Reads a kernel file; the errors are those of `read_text`."""
    try:
        with path.open("rb", buffering=0) as file:
            chunks = []
            left = limit
            while left > 0 and (chunk := file.read(min(left, 1 << 16))):
                chunks.append(chunk)
                left -= len(chunk)
            return b"".join(chunks)
    except (OSError, ValueError) as error:
        raise unreadable(path, error) from None


def read_file(path: str, limit: int = PROC_LIMIT) -> str:
    """Reads a kernel file as `read_text` does, at less cost: for paths kept as strings and read every second."""
    try:
        descriptor = os.open(path, _READ)
        try:
            data = os.read(descriptor, 1 << 14)
            if data:
                while len(data) < limit and (more := os.read(descriptor, min(1 << 16, limit - len(data)))):
                    data += more
        finally:
            os.close(descriptor)
    except (OSError, ValueError) as error:
        raise unreadable(path, error) from None
    return data.decode("utf-8", "surrogateescape")


def unreadable(path: str | Path, error: OSError | ValueError) -> CollectorError:
    """Turns the system's error for a kernel file into the collector's: NoData, Denied or Unsupported.

    A ValueError is a path with a NUL in it, made of a name that no kernel gives: there is no such file.
    """
    if isinstance(error, ValueError):
        return NoData(f"{str(path)!r} is no path")
    if isinstance(error, FileNotFoundError | NotADirectoryError):
        return NoData(f"{path} does not exist", whole_proc(str(path)))
    if isinstance(error, PermissionError):
        return Denied(f"{path} may not be read by this user", "run as root, or grant the right to read it")
    return Unsupported(f"{path}: {error.strerror or error}")


def whole_proc(path: str) -> str:
    """Returns a hint where a file of /proc is missing because only the processes' part of it is mounted, else ''."""
    if path.startswith("/proc/") and not os.path.exists("/proc/stat"):
        return "only processes are mounted at /proc: leave out subset=pid, in a systemd unit ProcSubset=pid"
    return ""


def malformed(path: Path | str, line: int, text: str, wanted: str) -> MalformedInput:
    """Builds the error for a line that does not parse: place, value, what was wanted."""
    shown = text if len(text) <= 80 else text[:77] + "..."
    return MalformedInput(f"{path}:{line}: {shown!r} is not {wanted}")
