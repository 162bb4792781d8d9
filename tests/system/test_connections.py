"""Who used the network, with real peers: through a link between two namespaces, without rights, out of a container."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.system.programs import Program, wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator

linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="asks the Linux kernel")
root = pytest.mark.skipif(os.name != "posix" or os.geteuid() != 0, reason="other namespaces and users need root")
pytestmark = [pytest.mark.system, linux]

COMMON = """
import os, socket, subprocess, sys, time
from collectors.base import Roots
from collectors.connections import Connections

SERVER = '''
import socket, sys
server = socket.create_server((sys.argv[1], 5001), family=socket.AF_INET6 if ":" in sys.argv[1] else socket.AF_INET)
print("ready", flush=True)
while True:
    link, _ = server.accept()
    with link:
        left = 3_000_016
        while left and (data := link.recv(1 << 16)):
            left -= len(data)
        if not left:
            link.sendall(bytes(7_000_000))
'''

collector = Connections(Roots())

def until(wanted):
    deadline = time.monotonic() + 15
    while not wanted(reading := collector.read()):
        assert time.monotonic() < deadline, reading.tables.talkers
        time.sleep(0.02)
    return reading

def talkers(reading):
    return {row.key: row for row in reading.tables.talkers}

def mine(reading, pid=os.getpid()):
    rows = [row for row in reading.tables.talkers if row.pid == pid]
    return (rows[0].received, rows[0].sent - rows[0].retransmitted) if rows else (0, 0)
"""

LINK = (
    COMMON
    + """
def ip(words, *inside):
    subprocess.run([*inside, "ip", *words.split()], check=True)

ip("link set lo up")
peer = subprocess.Popen(["unshare", "-n", "sleep", "60"])
try:
    there = ("nsenter", "-t", str(peer.pid), "-n")
    deadline = time.monotonic() + 10
    while os.readlink(f"/proc/{peer.pid}/ns/net") == os.readlink("/proc/self/ns/net"):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    ip("link add va type veth peer name vb")
    ip(f"link set vb netns {peer.pid}")
    for name, last, inside in (("va", 1, ()), ("vb", 2, there)):
        ip(f"addr add 10.9.0.{last}/24 dev {name}", *inside)
        ip(f"addr add fd00:9::{last}/64 dev {name} nodad", *inside)
        ip(f"link set {name} up", *inside)
    collector.read()
    for address in ("10.9.0.2", "fd00:9::2"):
        before = collector.read()
        server = subprocess.Popen([*there, sys.executable, "-c", SERVER, address], stdout=subprocess.PIPE)
        try:
            server.stdout.readline()
            with socket.create_connection((address, 5001)) as link:
                link.sendall(bytes(3_000_016))
                until(lambda reading: mine(reading)[1] == mine(before)[1] + 3_000_016)
                row = next(row for row in collector.read().tables.connections if row.remote == address)
                assert (row.pid, row.remote_port, row.state) == (os.getpid(), 5001, "ESTAB"), row
                while link.recv(1 << 16):
                    pass
            reading = until(lambda reading: mine(reading)[0] >= mine(before)[0] + 7_000_000)
            got, sent = (now - old for now, old in zip(mine(reading), mine(before)))
            assert got - 7_000_000 in (0, 1) and sent == 3_000_016, (got, sent)
            # What is left of the interface's bytes are headers: some, and few.
            old, new = talkers(before)["other"], talkers(reading)["other"]
            assert 0 < new.received - old.received < 700_000 and 0 < new.sent - old.sent < 700_000, (old, new)
        finally:
            server.kill()
            server.communicate()
    # One that no look sees, and UDP, which is nobody's.
    ends = {key: row for key, row in talkers(collector.read()).items()}
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        for _ in range(200):
            sender.sendto(bytes(1000), ("10.9.0.2", 9))
        reading = until(lambda reading: talkers(reading)["other"].sent >= ends["other"].sent + 200_000)
    other = talkers(reading)["other"]
    assert other.sent < ends["other"].sent + 300_000 and (other.pid, other.name) == (None, ""), other
    assert mine(reading) == (mine(before)[0] + got, mine(before)[1] + sent)
finally:
    peer.kill()
    peer.wait()
print("done")
"""
)


@root
@pytest.mark.needs("unshare", "nsenter", "ip")
def test_bytes_through_a_link_are_exact_and_the_rest_is_put_to_nobody() -> None:
    script = 'mount -t sysfs none /sys && exec "$@"'
    done = subprocess.run(
        ["unshare", "-n", "-m", "--propagation", "private", "sh", "-c", script, "sh", sys.executable, "-c", LINK],
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )
    if "Operation not permitted" in done.stderr:
        pytest.skip("namespaces are not permitted here")
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "done"


WITHOUT_RIGHTS = (
    COMMON
    + """
port = int(sys.argv[1])
begin = collector.read()
print("looking", flush=True)
owner = "owner:root:" + sys.argv[2] + ":"
reading = until(lambda reading: owner in talkers(reading) and talkers(reading)[owner].sent >= 100_000)
row = talkers(reading)[owner]
assert (row.kind, row.user, row.container, row.pid) == ("owner", "root", sys.argv[2], None), row
with socket.create_connection(("127.0.0.1", port)) as link:
    link.sendall(bytes(12_345))
    reading = until(lambda reading: mine(reading)[1] == 12_345)
    assert next(row for row in reading.tables.talkers if row.pid == os.getpid()).user == "nobody"
faults = [fault for fault in reading.faults if fault.kind == "denied"]
assert len(faults) == 1 and "CAP_SYS_PTRACE" in faults[0].hint and "of other users" in faults[0].message, faults
print("done", flush=True)
"""
)

SENDER = """
import os, socket, sys
if sys.argv[2]:
    with open(sys.argv[2], "w") as file:
        file.write(str(os.getpid()))
with socket.create_connection(("127.0.0.1", int(sys.argv[1]))) as link:
    link.sendall(bytes(100_000))
    sys.stdin.read()
"""


@contextlib.contextmanager
def control_group(name: str) -> Iterator[Path | None]:
    """A control group of version 2, or None where none can be made."""
    with open("/proc/self/mountinfo") as file:
        mounts = [line.split() for line in file if " - cgroup2 " in line]
    made = Path(mounts[0][4]) / name if mounts else None
    try:
        if made is not None:
            made.mkdir()
    except OSError:
        made = None
    try:
        yield made
    finally:
        if made is not None:
            deadline = time.monotonic() + 5
            while time.monotonic() < deadline:
                with contextlib.suppress(OSError):
                    made.rmdir()
                    break
                time.sleep(0.02)


@contextlib.contextmanager
def taking() -> Iterator[int]:
    """A server that takes connections and reads nothing; yields its port."""
    with socket.create_server(("127.0.0.1", 0), backlog=16) as server:
        yield server.getsockname()[1]


@root
@pytest.mark.needs("setpriv")
@pytest.mark.parametrize("contained", [False, True], ids=["of another user", "out of a container"])
def test_without_rights_others_stand_by_user_and_container(contained: bool) -> None:
    nobody = ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups", sys.executable, "-c"]
    tried = subprocess.run([*nobody, "import collectors.connections"], capture_output=True, check=False)
    if tried.returncode:
        pytest.skip("the program cannot be read by nobody here")
    name = "docker-" + "5a" * 32 + ".scope"
    with contextlib.ExitStack() as stack:
        group = stack.enter_context(control_group(name)) if contained else None
        if contained and group is None:
            pytest.skip("no control group can be made here")
        port = stack.enter_context(taking())
        watcher = subprocess.Popen(
            [*nobody, WITHOUT_RIGHTS, str(port), "5a5a5a5a5a5a" if contained else ""],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert watcher.stdout is not None
        assert watcher.stdout.readline() == "looking\n", watcher.communicate()
        procs = str(group / "cgroup.procs") if group is not None else ""
        sender = subprocess.Popen([sys.executable, "-c", SENDER, str(port), procs], stdin=subprocess.PIPE)
        try:
            out, errors = watcher.communicate(timeout=30)
            assert (out, watcher.returncode) == ("done\n", 0), errors
        finally:
            watcher.kill()
            sender.communicate()


@root
def test_a_process_in_a_container_stands_with_it() -> None:
    from collectors.base import Roots
    from collectors.connections import Connections

    collector = Connections(Roots())
    with control_group("docker-" + "6b" * 32 + ".scope") as group, taking() as port:
        if group is None:
            pytest.skip("no control group can be made here")
        collector.read()
        sender = subprocess.Popen(
            [sys.executable, "-c", SENDER, str(port), str(group / "cgroup.procs")], stdin=subprocess.PIPE
        )
        try:

            def row() -> object:
                talkers = collector.read().tables.talkers or []
                return next((row for row in talkers if row.pid == sender.pid and row.sent), None)

            found = wait_for(row)
            assert (found.kind, found.container, found.sent - found.retransmitted) == (
                "process",
                "6b6b6b6b6b6b",
                100_000,
            )
        finally:
            sender.communicate()
            collector.close()


def once(folder: Path, *more: str, status: int = 0) -> subprocess.CompletedProcess[str]:
    """Runs `sysmon --once --json`."""
    program = Program(folder, "--once", "--json", *more)
    command = [sys.executable, "-m", "sysmon", *program.arguments]
    done = subprocess.run(command, env=program.environment, capture_output=True, text=True, timeout=40, check=False)
    assert done.returncode == status, done.stderr
    return done


def test_only_those_who_ask_are_told_who_talks_to_whom(tmp_path: Path) -> None:
    with taking() as port, socket.create_connection(("127.0.0.1", port)) as link:
        mine = link.getsockname()[1]
        assert {"connections", "talkers"}.isdisjoint(json.loads(once(tmp_path).stdout)["tables"])
        asked = json.loads(once(tmp_path, "--tables", "connections,talkers").stdout)["tables"]
        row = next(row for row in asked["connections"] if row.get("local_port") == mine)
        assert (row["pid"], row["receive_rate"]) == (os.getpid(), 0.0)
        assert any(row["kind"] == "other" for row in asked["talkers"])
    assert "connections, talkers" in once(tmp_path, "--tables", "secrets", status=2).stderr


@pytest.mark.parametrize("table", ["connections", "talkers"])
def test_an_agent_reads_them_while_one_is_asked_for(tmp_path: Path, table: str) -> None:
    agent = Program(tmp_path / "agent", "--agent", "--port", "0", config="[history]\nevidence = '10m'")
    served = agent.start()
    try:
        with taking() as port, socket.create_connection(("127.0.0.1", port)) as link:
            mine = link.getsockname()[1]
            there = f"http://127.0.0.1:{served}"
            given = json.loads(once(tmp_path / "here", "--tables", table, there).stdout)["tables"]
            if table == "connections":
                row = next(row for row in given["connections"] if row.get("local_port") == mine)
                assert (row["pid"], row["remote_port"]) == (os.getpid(), port)
            else:
                assert any(row.get("pid") == os.getpid() for row in given["talkers"])
            assert ({"connections", "talkers"} & given.keys()) == {table}
            # Between one that asks for neither and the next read for evidence there are minutes.
            assert {"connections", "talkers"}.isdisjoint(json.loads(once(tmp_path / "here", there).stdout)["tables"])
    finally:
        agent.stop()
