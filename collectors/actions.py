"""What the user may do to processes of this host: signal and renice, pinned to exactly one process.

A pid alone may belong to another process by the time a key is pressed. On Linux the process is taken by a pidfd first,
then its start time is compared, then the signal goes through the pidfd: nothing can come between. Elsewhere, and for
renice, which knows no pidfd, the start time is compared right before.
"""

from __future__ import annotations

import errno
import os
import signal
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

from collectors._procfs import CLOCK_TICKS, Stat, parse_effective_uid, parse_stat
from sysmon.errors import MalformedInput, SysmonError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sysmon.frame import ProcessRow

TOLERANCE = 0.5 / CLOCK_TICKS
"""Seconds by which two start times of one process may differ on Linux: both come from the same whole ticks."""

PORTABLE_TOLERANCE = 1.0
"""Seconds by which they may differ elsewhere, where the time of the boot is known less exactly."""


class LocalActions:
    """Signals and renices processes of this host with the user's own rights."""

    def __init__(self, proc: str | None = "/proc" if sys.platform.startswith("linux") else None) -> None:
        """Takes where the proc filesystem is; None: psutil is asked instead, as on platforms without one."""
        self._proc = proc

    def signal(self, pid: int, started: float, signum: int) -> None:
        """Signals exactly the process (pid, started).

        Args:
            pid: its id.
            started: seconds since boot at which it started, as in its row.
            signum: number of the signal.

        Raises:
            SysmonError: it is gone, is another process by now, or rights are missing.
            UsageError: no such signal or pid.
        """
        _check_pid(pid)
        if not 0 < signum < signal.NSIG:
            raise UsageError(f"{signum} is not a signal", f"signals are 1 to {signal.NSIG - 1}")
        name = _signal_name(signum)
        with self._errors(pid, f"sent {name}"):
            descriptor = _pidfd(pid)
            if descriptor is None:
                self._verify(pid, started)
                os.kill(pid, signum)
                return
            try:
                self._verify(pid, started)
                signal.pidfd_send_signal(descriptor, signum)
            finally:
                os.close(descriptor)

    def renice(self, pid: int, started: float, nice: int) -> None:
        """Sets the nice value of exactly the process (pid, started).

        Raises:
            SysmonError: as `signal`.
            UsageError: not a nice value.
        """
        _check_pid(pid)
        if not -20 <= nice <= 20:
            raise UsageError(f"{nice} is not a nice value", "nice values are -20 (first) to 19 (last)")
        with self._errors(pid, f"set to nice {nice}"):
            self._verify(pid, started)
            os.setpriority(os.PRIO_PROCESS, pid, nice)

    def dangerous(self, row: ProcessRow) -> str | None:
        """Returns why ending a process wants a second confirmation, or None.

        That is so of process 1, threads of the kernel, sysmon itself, and what sysmon runs in: its shell, terminal,
        multiplexer and ssh connection.
        """
        if row.pid == os.getpid():
            return "this is sysmon itself"
        if row.pid == 1:
            return "process 1 holds the whole system together"
        if row.kernel:
            return "this is a thread of the kernel"
        if row.pid in self._ancestors():
            return f"sysmon runs inside {row.name or 'it'}: this session would end"
        if row.pid == _session():
            return "it leads this terminal's session"
        return None

    def _ancestors(self) -> set[int]:
        """Returns the pids of sysmon's parents, process 1 left out."""
        found: set[int] = set()
        pid = os.getppid()
        while pid > 1 and pid not in found and len(found) < 100:
            found.add(pid)
            try:
                pid = self._parent(pid)
            except (OSError, MalformedInput):
                break
        return found

    def _parent(self, pid: int) -> int:
        if self._proc is None:
            return _psutil_process(pid)[1]
        return self._stat(pid).ppid

    def _stat(self, pid: int) -> Stat:
        return parse_stat(_content(f"{self._proc}/{pid}/stat"), f"{self._proc}/{pid}/stat")

    def _verify(self, pid: int, started: float) -> None:
        """Raises unless `pid` is still the process that began at `started`."""
        if self._proc is None:
            actual, tolerance = _psutil_process(pid)[0], PORTABLE_TOLERANCE
        else:
            actual, tolerance = self._stat(pid).start_ticks / CLOCK_TICKS, TOLERANCE
        if abs(actual - started) > tolerance:
            raise SysmonError(
                f"process {pid} is another process by now: the one meant has ended", "nothing was done; look again"
            )

    @contextmanager
    def _errors(self, pid: int, what: str) -> Iterator[None]:
        """Turns what the kernel says into a sentence."""
        try:
            yield
        except (ProcessLookupError, FileNotFoundError):
            raise SysmonError(f"process {pid} is gone", "nothing was done") from None
        except PermissionError as error:
            raise SysmonError(f"process {pid} cannot be {what}: {self._owner(pid)}", _rights(error, what)) from None
        except OSError as error:
            raise SysmonError(f"process {pid} cannot be {what}: {error.strerror or error}") from error

    def _owner(self, pid: int) -> str:
        if self._proc is None:
            return "it is not yours"
        try:
            uid = parse_effective_uid(_content(f"{self._proc}/{pid}/status"))
        except (OSError, MalformedInput):
            return "not permitted"
        if uid == os.geteuid():
            return "not permitted"
        try:
            import pwd

            return f"it is owned by {pwd.getpwuid(uid).pw_name}"
        except KeyError:
            return f"it is owned by user {uid}"


def _content(path: str) -> bytes:
    with open(path, "rb", buffering=0) as file:
        return file.read(4096) or b""


def _check_pid(pid: int) -> None:
    # 0 and negative numbers mean groups of processes to kill(2).
    if not 0 < pid < 1 << 31:
        raise UsageError(f"{pid} is not the id of a process", "it is a positive number")


def _pidfd(pid: int) -> int | None:
    """Opens a pidfd; None where the kernel (before 5.3), the platform or a sandbox has none."""
    if not hasattr(os, "pidfd_open") or not hasattr(signal, "pidfd_send_signal"):
        return None
    try:
        return os.pidfd_open(pid)
    except OSError as error:
        if error.errno in (errno.ENOSYS, errno.EPERM, errno.EINVAL, errno.EMFILE, errno.ENFILE):
            return None
        raise


def _signal_name(signum: int) -> str:
    try:
        return signal.Signals(signum).name
    except ValueError:
        return f"signal {signum}"


def _rights(error: OSError, what: str) -> str:
    if what.startswith("set") and error.errno == errno.EACCES:
        return "a lower nice value needs root; a higher one is always allowed on your own processes"
    return "run sysmon as that user or as root"


def _session() -> int:
    try:
        return os.getsid(0)
    except OSError:
        return 0


def _psutil_process(pid: int) -> tuple[float, int]:
    """Returns (seconds since boot at which it started, parent) through psutil, for platforms without /proc."""
    import psutil

    try:
        process = psutil.Process(pid)
        return max(0.0, process.create_time() - psutil.boot_time()), process.ppid()
    except psutil.NoSuchProcess:
        raise ProcessLookupError(errno.ESRCH, "no such process") from None
    except psutil.AccessDenied:
        raise PermissionError(errno.EPERM, "not permitted") from None
