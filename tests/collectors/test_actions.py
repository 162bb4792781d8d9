"""Signals and nice values reach exactly the process that was meant, with real children."""

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest

from collectors import actions
from collectors._procfs import CLOCK_TICKS, parse_stat
from collectors.actions import LocalActions
from sysmon.errors import SysmonError, UsageError
from sysmon.frame import ProcessRow

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")


def started(pid: int) -> float:
    with open(f"/proc/{pid}/stat", "rb") as file:
        return parse_stat(file.read()).start_ticks / CLOCK_TICKS


@pytest.fixture
def child() -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(["sleep", "60"])
    try:
        yield process
    finally:
        process.kill()
        process.wait()


@pytest.fixture(params=["pidfd", "kill", "psutil"])
def local(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> LocalActions:
    """Each of the ways: a new kernel, one without pidfds, a platform without /proc."""
    if request.param != "pidfd":
        monkeypatch.setattr(actions, "_pidfd", lambda pid: None)
    return LocalActions(None if request.param == "psutil" else "/proc")


def test_signals_the_process_that_is_meant(local: LocalActions, child: subprocess.Popen[bytes]) -> None:
    local.signal(child.pid, started(child.pid), signal.SIGTERM)
    assert child.wait(10) == -signal.SIGTERM


def test_a_process_that_took_the_pid_over_is_left_alone(local: LocalActions, child: subprocess.Popen[bytes]) -> None:
    for wrong in (started(child.pid) - 5, started(child.pid) + 5, 0.0):
        with pytest.raises(SysmonError, match=f"process {child.pid} is another process by now"):
            local.signal(child.pid, wrong, signal.SIGKILL)
        with pytest.raises(SysmonError, match="another process by now"):
            local.renice(child.pid, wrong, 15)
    assert child.poll() is None
    assert os.getpriority(os.PRIO_PROCESS, child.pid) == os.getpriority(os.PRIO_PROCESS, 0)


def test_one_tick_apart_is_another_process(child: subprocess.Popen[bytes]) -> None:
    with pytest.raises(SysmonError, match="another process"):
        LocalActions().signal(child.pid, started(child.pid) + 1 / CLOCK_TICKS, signal.SIGKILL)
    assert child.poll() is None


def test_a_process_that_ended_is_gone(local: LocalActions, child: subprocess.Popen[bytes]) -> None:
    began = started(child.pid)
    child.kill()
    child.wait()
    with pytest.raises(SysmonError, match=f"process {child.pid} is gone"):
        local.signal(child.pid, began, signal.SIGTERM)
    with pytest.raises(SysmonError, match="is gone"):
        local.renice(child.pid, began, 5)


def test_renices(local: LocalActions, child: subprocess.Popen[bytes]) -> None:
    local.renice(child.pid, started(child.pid), 7)
    assert os.getpriority(os.PRIO_PROCESS, child.pid) == 7


@pytest.mark.parametrize("pid", [0, -1, -5, 1 << 31])
def test_groups_of_processes_are_never_meant(pid: int) -> None:
    with pytest.raises(UsageError, match="is not the id of a process"):
        LocalActions().signal(pid, 0.0, signal.SIGTERM)
    with pytest.raises(UsageError, match="is not the id of a process"):
        LocalActions().renice(pid, 0.0, 5)


def test_values_out_of_range_are_refused(child: subprocess.Popen[bytes]) -> None:
    began = started(child.pid)
    for signum in (0, -1, 99):
        with pytest.raises(UsageError, match="is not a signal"):
            LocalActions().signal(child.pid, began, signum)
    with pytest.raises(UsageError, match="is not a nice value"):
        LocalActions().renice(child.pid, began, 21)


@pytest.mark.skipif(os.geteuid() != 0, reason="becomes another user")
@pytest.mark.parametrize("pidfd", [True, False])
def test_without_rights_the_owner_is_named(child: subprocess.Popen[bytes], pidfd: bool) -> None:
    began = started(child.pid)
    program = (
        "import os, sys\n"
        "from collectors import actions\n"
        "from sysmon.errors import SysmonError\n"
        f"if not {pidfd}: actions._pidfd = lambda pid: None\n"
        "os.setgroups([]); os.setgid(65534); os.setuid(65534)\n"
        "local = actions.LocalActions()\n"
        "for act, value in ((local.signal, 15), (local.renice, 9)):\n"
        "    try: act(%d, %r, value)\n"
        "    except SysmonError as error: print(error)\n"
    ) % (child.pid, began)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    lines = done.stdout.splitlines()
    assert lines[0].startswith(f"process {child.pid} cannot be sent SIGTERM: it is owned by root; run sysmon as")
    assert lines[1].startswith(f"process {child.pid} cannot be set to nice 9: it is owned by root; run sysmon as")
    assert child.poll() is None


def test_what_would_end_this_session_is_dangerous(child: subprocess.Popen[bytes]) -> None:
    local = LocalActions()
    assert local.dangerous(ProcessRow(pid=os.getpid(), name="sysmon")) == "this is sysmon itself"
    assert "process 1" in (local.dangerous(ProcessRow(pid=1, name="init")) or "")
    assert "kernel" in (local.dangerous(ProcessRow(pid=2, name="kthreadd", kernel=True)) or "")
    if os.getppid() > 1:
        parent = local.dangerous(ProcessRow(pid=os.getppid(), name="bash"))
        assert parent == "sysmon runs inside bash: this session would end"
    assert local.dangerous(ProcessRow(pid=child.pid, name="sleep")) is None


def test_without_proc_the_parents_are_found_too() -> None:
    with contextlib.suppress(ProcessLookupError):
        assert LocalActions(None)._ancestors() == LocalActions()._ancestors()
