"""Processes: captured hosts, real children of odd kinds, and what stays the same between two reads."""

import ctypes
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from collectors.base import Reading, Roots
from collectors.processes import Processes
from sysmon.catalogue import Catalogue
from sysmon.derive import State
from sysmon.errors import ConfigError, NoData
from sysmon.frame import Frame, ProcessRow

linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")


def rows(reading: Reading) -> dict[int, ProcessRow]:
    return {row.pid: row for row in reading.tables.processes or []}


@pytest.fixture
def tree(fixtures: Path, tmp_path: Path) -> Path:
    """A captured host that a test may change."""
    return Path(shutil.copytree(fixtures / "processes" / "vm-quiet", tmp_path / "host"))


def captured(fixtures: Path, name: str) -> dict[int, ProcessRow]:
    reading = Processes(Roots(fixtures / "processes" / name, live=False)).read()
    assert reading.faults == []
    return rows(reading)


def test_a_captured_host_with_cgroup_v2(fixtures: Path) -> None:
    found = captured(fixtures, "vm-quiet")
    assert sorted(found) == [1, 2, 157, 176, 273, 402, 907]
    assert (found[1].name, found[1].unit, found[1].command, found[1].user) == (
        "systemd",
        "init.scope",
        "/sbin/init",
        "root",
    )
    assert found[2].kernel and not found[2].command
    assert found[2].read_bytes is None
    assert found[157].unit == "systemd-udevd.service"
    assert found[176].user == "messagebus"
    assert found[402].unit == "work@b\\x20c.service"
    assert found[907].command == "sshd: root@notty"
    assert found[907].ppid == 293
    assert found[1].memory > 1 << 20 and found[1].virtual > found[1].memory
    assert found[1].read_bytes is not None and found[1].read_bytes > 0


def test_a_captured_host_with_hybrid_cgroups_and_odd_command_lines(fixtures: Path) -> None:
    found = captured(fixtures, "host-hybrid")
    assert found[3].name == "pool_workqueue_release"
    assert found[18947].threads == 4
    assert found[18949].command == "901"
    assert found[18950].command == "postgres: writer process    902"
    assert found[18944].command == "python3 -c import time\ufffdwhile True: pass"
    assert {row.container for row in found.values()} == {""}


def test_two_instants_give_the_rates_that_were_measured(fixtures: Path) -> None:
    state = State(Catalogue(Processes.metrics))
    for seq, name in enumerate(("vm-load-t0", "vm-load-t1"), start=1):
        at = 10**12 + seq * 1_003_119_860
        reading = Processes(Roots(fixtures / "processes" / name, live=False)).read()
        state.apply(Frame(host="a", boot="b", run="c", seq=seq, time=seq * 1000, monotonic=at, readings=reading.values,
                          reads={"processes": at}, tables=reading.tables))  # fmt: skip
    found = {row.pid: row for row in state.processes}
    # 19.6 % of a core by its cgroup; stat counts in ticks of 10 ms.
    assert found[922].cpu == pytest.approx(0.196, abs=0.03)
    assert found[922].unit == "spin20.service"
    assert found[930].cpu == pytest.approx(0.32, abs=0.03)


def test_a_broken_process_beside_good_ones_is_a_partial_fault(tree: Path) -> None:
    (tree / "proc" / "176" / "stat").write_bytes(b"176 (dbus-daemon) S")
    (tree / "proc" / "402" / "stat").unlink()
    (tree / "proc" / "907" / "io").write_bytes(b"read_bytes: many")
    (tree / "proc" / "157" / "status").write_bytes(b"\xff\x00")
    (tree / "proc" / "157" / "cgroup").unlink()
    reading = Processes(Roots(tree, live=False)).read()
    found = rows(reading)
    assert sorted(found) == [1, 2, 157, 273, 907]
    (fault,) = reading.faults
    assert (fault.kind, "/proc/176/stat:1" in fault.message) == ("failed", True)
    assert found[907].read_bytes is None
    assert (found[157].user, found[157].unit) == ("", "")


def test_many_broken_processes_are_told_of_once_in_a_while(tree: Path) -> None:
    for pid in range(1000, 1100):
        (tree / "proc" / str(pid)).mkdir()
        (tree / "proc" / str(pid) / "stat").write_bytes(b"nonsense")
    assert len(Processes(Roots(tree, live=False)).read().faults) == 20


def test_without_a_proc_filesystem_there_is_no_data(tmp_path: Path) -> None:
    with pytest.raises(NoData, match="does not exist"):
        Processes(Roots(tmp_path, live=False)).read()
    (tmp_path / "proc").mkdir()
    with pytest.raises(NoData, match="no processes"):
        Processes(Roots(tmp_path, live=False)).read()


@pytest.mark.parametrize("keep", [0, 100])
def test_a_pid_used_again_is_another_process(tree: Path, keep: int) -> None:
    collector = Processes(Roots(tree, live=False), {"keep_open": keep})
    before = rows(collector.read())[402]
    path = tree / "proc" / "402"
    shutil.rmtree(path)
    assert 402 not in rows(collector.read()) or keep
    collector.close()
    shutil.copytree(tree / "proc" / "176", path)
    stat = (path / "stat").read_text().replace("176 (", "402 (")
    (path / "stat").write_text(stat)
    after = rows(collector.read())[402]
    assert (after.name, after.unit, after.user) == ("dbus-daemon", "dbus.service", "messagebus")
    assert after.started != before.started


def test_a_process_of_which_nothing_changed_gives_the_same_row(tree: Path) -> None:
    collector = Processes(Roots(tree, live=False))
    first = rows(collector.read())
    second = rows(collector.read())
    assert all(first[pid] is second[pid] for pid in first)
    path = tree / "proc" / "402" / "stat"
    fields = path.read_text().rsplit(")", 1)
    values = fields[1].split()
    values[7] = str(int(values[7]) + 5)  # minor faults, which no row shows
    path.write_text(fields[0] + ") " + " ".join(values) + "\n")
    assert rows(collector.read())[402] is first[402]
    values[11] = str(int(values[11]) + 5)
    path.write_text(fields[0] + ") " + " ".join(values) + "\n")
    changed = rows(collector.read())
    assert changed[402].cpu_time == pytest.approx(first[402].cpu_time + 0.05)
    assert changed[176] is first[176]


def test_bytes_found_after_a_pause_are_no_spike(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("collectors.processes.FEW", 0)
    now = [1000.0]
    monkeypatch.setattr("collectors.processes.time.monotonic", lambda: now[0])
    collector = Processes(Roots(tree, live=False))
    path = tree / "proc" / "907" / "io"

    def read(count: int, after: float) -> int | None:
        path.write_text(f"read_bytes: {count}\nwrite_bytes: 0\n")
        now[0] += after
        return rows(collector.read())[907].read_bytes

    assert read(0, 1) == 0
    assert read(5000, 1) == 0, "an idle process is not asked each time"
    assert read(5000, 40) is None, "what was read in which second is unknown"
    assert read(6000, 1) == 6000
    assert read(7000, 1) == 7000, "asked each time while bytes flow"


def test_options(tree: Path) -> None:
    (tree / "proc" / "402" / "cmdline").write_bytes(b"sleep\0--password=hunter2\0")
    roots = Roots(tree, live=False)
    assert rows(Processes(roots).read())[402].command == "sleep --password=***"
    assert rows(Processes(roots, {"commands": "full"}).read())[402].command == "sleep --password=hunter2"
    assert rows(Processes(roots, {"commands": "none"}).read())[402].command == ""
    assert rows(Processes(roots, {"io": False}).read())[907].read_bytes is None
    with pytest.raises(ConfigError, match="commands = 'all' is not one of full, redacted, none"):
        Processes(roots, {"commands": "all"})


@contextmanager
def forked(name: bytes) -> Iterator[int]:
    """A child with a name of its own."""
    libc = ctypes.CDLL(None)
    ready, tell = os.pipe()
    hold, release = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(release)
        libc.prctl(15, name, 0, 0, 0)
        os.write(tell, b"1")
        os.read(hold, 1)
        os._exit(0)
    os.close(hold)
    os.read(ready, 1)
    try:
        yield pid
    finally:
        os.close(release)
        os.waitpid(pid, 0)
        os.close(ready)
        os.close(tell)


@linux
@pytest.mark.parametrize(
    ("name", "shown"),
    [(b") S 1 (", ") S 1 ("), (b"a\nb\x1b[2J", "a\ufffdb\ufffd[2J"), (b"caf\xc3\xa9", "café"),
     (b"\xff\xfe", "\ufffd\ufffd"), (b"", "")],
)  # fmt: skip
def test_names_of_real_processes_are_made_harmless(name: bytes, shown: str) -> None:
    with forked(name) as pid:
        row = rows(Processes(Roots()).read())[pid]
    assert row.name == shown
    assert (row.ppid, row.state) == (os.getpid(), "S")


@linux
@pytest.mark.parametrize("keep", [0, 5000])
def test_real_children_come_and_go(keep: int) -> None:
    collector = Processes(Roots(), {"keep_open": keep})
    collector.read()
    child = subprocess.Popen(["sleep", "60"], env={"PATH": os.environ["PATH"]})
    found = rows(collector.read())
    assert found[child.pid].command == "sleep 60"
    assert found[child.pid].threads == 1
    child.kill()
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    reading = collector.read()
    assert rows(reading)[child.pid].state == "Z"
    assert reading.values["processes.zombies"] >= 1
    child.wait()
    assert child.pid not in rows(collector.read())
    collector.close()


@linux
def test_our_own_row_agrees_with_what_we_know_of_ourselves() -> None:
    row = rows(Processes(Roots()).read())[os.getpid()]
    assert row.ppid == os.getppid()
    assert row.cpu_time == pytest.approx(time.process_time(), abs=0.5)
    assert row.nice == os.getpriority(os.PRIO_PROCESS, 0)
    uptime = float(Path("/proc/uptime").read_text().split()[0])
    assert 0 <= row.started <= uptime
    assert row.read_bytes is not None


@linux
def test_an_exec_is_noticed() -> None:
    ready, tell = os.pipe()
    program = f"import os; os.write({tell}, b'1'); input(); os.execvp('sleep', ['sleep', '60'])"
    child = subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE, pass_fds=[tell])
    try:
        os.read(ready, 1)
        collector = Processes(Roots())
        assert rows(collector.read())[child.pid].name.startswith("python")
        assert child.stdin is not None
        child.stdin.write(b"\n")
        child.stdin.flush()
        until = time.monotonic() + 10
        while rows(collector.read())[child.pid].name != "sleep" and time.monotonic() < until:
            time.sleep(0.01)
        assert rows(collector.read())[child.pid].command == "sleep 60"
    finally:
        os.close(ready)
        os.close(tell)
        child.kill()
        child.wait()
        if child.stdin is not None:
            child.stdin.close()


@linux
@pytest.mark.skipif(os.geteuid() != 0, reason="mounts a proc filesystem in a namespace of its own")
@pytest.mark.needs("unshare")
@pytest.mark.parametrize("hidepid", ["1", "2"])
def test_hidden_processes_are_told_of(hidepid: str) -> None:
    program = (
        "import json, os, sys\n"
        "from collectors.base import Roots\n"
        "from collectors.processes import Processes\n"
        "os.setgroups([]); os.setgid(65534); os.setuid(65534)\n"
        "reading = Processes(Roots()).read()\n"
        "pids = [row.pid for row in reading.tables.processes]\n"
        "print(json.dumps([pids, [[fault.kind, fault.message] for fault in reading.faults], reading.values]))\n"
    )
    # Process 1 of the namespace stays the shell, which is root's.
    script = f'mount -t proc -o hidepid={hidepid} proc /proc && {sys.executable} -c "$0"; exit $?'
    done = subprocess.run(
        ["unshare", "--mount", "--pid", "--fork", "sh", "-c", script, program],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode != 0 and "mount" in done.stderr:
        pytest.skip(f"may not mount here: {done.stderr.strip()}")
    assert done.returncode == 0, done.stderr
    pids, faults, values = json.loads(done.stdout)
    assert len(pids) == 1
    assert faults and faults[0][0] == "denied" and "hidepid" in faults[0][1]
    assert values == {}, "what is counted over some processes is not the host's number"


@linux
@pytest.mark.skipif(os.geteuid() != 0, reason="becomes another user")
def test_io_that_may_not_be_read_is_told_of() -> None:
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        answer = b"?"
        try:
            os.setgroups([])
            os.setgid(65534)
            os.setuid(65534)
            reading = Processes(Roots()).read()
            row = rows(reading)[os.getppid()]
            answer = repr([row.read_bytes, [(fault.kind, fault.message) for fault in reading.faults]]).encode()
        finally:
            os.write(write, answer)
            os._exit(0)
    os.close(write)
    os.waitpid(child, 0)
    with os.fdopen(read, "rb") as pipe:
        told = pipe.read().decode()
    assert told == repr([None, [("denied", "I/O of some processes may not be read")]])


def test_the_configuration_knows_the_options() -> None:
    known = Processes.OPTIONS
    assert known["commands"].check("none") == "none"
    assert known["keep_open"].check(0) == 0
    with pytest.raises(ValueError, match="all"):
        known["commands"].check("all")
