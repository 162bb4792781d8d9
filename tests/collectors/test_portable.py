"""The collectors for macOS and FreeBSD, run here: their shape, and that they agree with the kernel's files."""

import os
import socket
import subprocess
import sys
import time

import pytest

from collectors import portable, portable_connections, portable_devices, portable_processes
from collectors._portable import Portable
from collectors.base import Reading, Roots
from collectors.portable_devices import interface_kind
from collectors.registry import available, found
from sysmon.catalogue import Catalogue
from sysmon.errors import CollectorError, ConfigError, Unsupported
from sysmon.frame import split_key

CLASSES = (
    *portable.COLLECTORS,
    *portable_devices.COLLECTORS,
    portable_processes.COLLECTOR,
    portable_connections.COLLECTOR,
)
linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="compares with /proc")


def read(cls: type[Portable]) -> Reading:
    try:
        return cls(Roots()).read()
    except CollectorError as error:
        assert error.kind in ("no_data", "unsupported")
        return Reading()


@pytest.mark.parametrize("cls", CLASSES, ids=lambda cls: cls.name)
def test_fills_only_what_it_declares(cls: type[Portable]) -> None:
    known = Catalogue(cls.metrics)
    for key, value in read(cls).values.items():
        metric = known.require(split_key(key)[0])
        assert isinstance(value, int | float)
        # Idle time is a series in all, and one per core.
        assert bool(split_key(key)[1]) == bool(metric.instance) or metric.name == "cpu.time.idle"


def test_stands_in_for_each_of_them_on_macos_and_freebsd() -> None:
    for platform in ("darwin", "freebsd14"):
        assert {cls.name for cls in CLASSES} <= {each.name for each in available(Roots(), platform)}
        assert all(each in CLASSES or "linux" not in each.platforms or "darwin" in each.platforms
                   for each in available(Roots(), platform))  # fmt: skip


def test_names_kinds_units_and_instances_are_those_of_linux() -> None:
    theirs = {metric.name: metric for each in found().classes if "linux" in each.platforms for metric in each.metrics}
    for cls in CLASSES:
        for metric in cls.metrics:
            same = theirs[metric.name]
            assert (metric.kind, metric.unit, metric.instance) == (same.kind, same.unit, same.instance), metric.name
            assert same.collector == cls.name, metric.name


@linux
def test_agrees_with_the_kernel() -> None:
    with open("/proc/meminfo") as file:
        total = int(next(line for line in file if line.startswith("MemTotal")).split()[1]) * 1024
    memory = read(portable.PortableMemory).values
    assert memory["memory.total"] == total
    assert memory["memory.used"] == total - memory["memory.available"]
    with open("/proc/stat") as file:
        user = int(file.readline().split()[1]) / os.sysconf("SC_CLK_TCK")
    cpu = read(portable.PortableCpu).values
    assert -1 < cpu["cpu.time.user"] - user < 60
    assert cpu["cpu.cores"] == os.cpu_count()
    cores = [value for key, value in cpu.items() if key.startswith(("cpu.time.busy:", "cpu.time.idle:"))]
    states = [value for key, value in cpu.items() if key.startswith("cpu.time.") and ":" not in key]
    assert sum(cores) == pytest.approx(sum(states), abs=0.1)
    with open("/proc/uptime") as file:
        assert abs(read(portable.PortableUptime).values["uptime"] - float(file.read().split()[0])) < 5
    with open("/proc/net/dev") as file:
        received = int(next(line for line in file if line.strip().startswith("lo:")).split(":")[1].split()[0])
    assert read(portable_devices.PortableNetwork).values["net.receive:lo"] >= received


@linux
def test_rows_of_processes_are_those_of_linux() -> None:
    from collectors.processes import Processes

    child = subprocess.Popen(["sleep", "60"])
    try:
        ours = {row.pid: row for row in Processes(Roots()).read().tables.processes or []}
        theirs = {row.pid: row for row in read(portable_processes.PortableProcesses).tables.processes or []}
        for pid in (child.pid, os.getpid()):
            mine, other = ours[pid], theirs[pid]
            for name in ("ppid", "user", "name", "command", "threads", "nice", "kernel", "virtual"):
                assert getattr(mine, name) == getattr(other, name), name
            assert abs(mine.started - other.started) < 1.5
        assert theirs[child.pid].state == "S"
    finally:
        child.kill()
        child.wait()


@linux
def test_rows_of_connections_are_those_of_linux_but_for_bytes() -> None:
    from collectors.connections import Connections

    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()) as client:
        port = client.getsockname()[1]
        linux = Connections(Roots())
        mine = next(row for row in linux.read().tables.connections or [] if row.local_port == port)
        linux.close()
        reading = read(portable_connections.PortableConnections)
        other = next(row for row in reading.tables.connections or [] if row.local_port == port)
        for name in ("protocol", "state", "local", "remote", "remote_port", "pid", "name", "user"):
            assert getattr(mine, name) == getattr(other, name), name
        assert other.received is None and [fault.kind for fault in reading.faults] == ["unsupported"]
        hidden = portable_connections.PortableConnections(Roots(), {"remotes": False}).read().tables.connections or []
        assert not any(row.remote or row.remote_port for row in hidden)


@linux
def test_interfaces_and_filesystems_have_rows() -> None:
    network = read(portable_devices.PortableNetwork).tables.interfaces or []
    assert "lo" in {row.name for row in network if row.kind == "loopback" and row.up}
    filesystems = read(portable_devices.PortableFilesystems)
    for row in filesystems.tables.filesystems or []:
        stat = os.statvfs(row.mount)
        assert filesystems.values[f"fs.size:{row.mount}"] == stat.f_blocks * stat.f_frsize


@pytest.mark.parametrize(
    ("name", "kind"),
    [("lo0", "loopback"), ("en0", "ethernet"), ("utun3", "tunnel"), ("bridge0", "bridge"), ("awdl0", "virtual"),
     ("igb1", "ethernet"), ("wg0", "wireguard"), ("lagg0", "bond"), ("xyz", "other")],
)  # fmt: skip
def test_kinds_of_interfaces(name: str, kind: str) -> None:
    assert interface_kind(name) == kind


def test_a_call_that_a_platform_lacks_is_unsupported() -> None:
    cpu = portable.PortableCpu(Roots())
    with pytest.raises(Unsupported, match="psutil has no no_such_call"):
        cpu.call("no_such_call")

    def refused() -> None:
        raise PermissionError(1, "Operation not permitted")

    cpu.psutil = type("psutil", (), {"refused": staticmethod(refused), "Error": cpu.psutil.Error})
    with pytest.raises(Unsupported, match="Operation not permitted"):
        cpu.call("refused")


def test_command_lines_can_be_left_out() -> None:
    rows = portable_processes.PortableProcesses(Roots(), {"commands": "none"}).read().tables.processes or []
    assert rows
    assert not any(row.command for row in rows)
    with pytest.raises(ConfigError, match="commands = 'all'"):
        portable_processes.PortableProcesses(Roots(), {"commands": "all"})


def test_linux_does_not_import_psutil_for_them() -> None:
    program = "import sys, collectors.portable, collectors.portable_devices, collectors.portable_processes\n"
    program += "sys.exit('psutil' in sys.modules)"
    began = time.monotonic()
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
    assert time.monotonic() - began < 30
