"""Connections of real processes on loopback: whose they are, and exactly what they moved."""

from __future__ import annotations

import contextlib
import os
import socket
import struct
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from collectors import connections
from collectors._sockets import cgroups as cgroup_ids
from collectors._sockets import kernel
from collectors._sockets import owners as socket_owners
from collectors._sockets import rows as socket_rows
from collectors._sockets.inetdiag import DiagSocket
from collectors._sockets.line import Line
from collectors.base import Reading, Roots
from collectors.connections import Connections
from sysmon.derive import State
from sysmon.errors import DeadlineExceeded, Denied, MalformedInput, Unsupported
from sysmon.frame import ConnectionRow, Frame, InterfaceRow, TalkerRow

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="asks the Linux kernel")

SERVER = """
import os, socket, sys
family = socket.AF_INET6 if ":" in sys.argv[1] else socket.AF_INET
server = socket.create_server((sys.argv[1], 0), family=family, backlog=64)
print(server.getsockname()[1], flush=True)
while True:
    link, _ = server.accept()
    with link:
        while data := link.recv(1 << 16):
            if data.startswith(b"send "):
                link.sendall(bytes(int(data.split()[1])))
                break
"""


@pytest.fixture
def collector() -> Iterator[Connections]:
    made = Connections(Roots())
    yield made
    made.close()


@contextlib.contextmanager
def serving(address: str = "127.0.0.1") -> Iterator[tuple[int, int]]:
    """A process that takes what is sent, or sends as much as it is told; yields its pid and its port."""
    process = subprocess.Popen([sys.executable, "-c", SERVER, address], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        if not line:
            pytest.skip(f"no socket can listen on {address}")
        yield process.pid, int(line)
    finally:
        process.kill()
        process.communicate()


def connections_of(reading: Reading, port: int) -> list[ConnectionRow]:
    return [row for row in reading.tables.connections or [] if port in (row.local_port, row.remote_port)]


def talker(reading: Reading, pid: int | None = None, key: str = "") -> TalkerRow:
    empty = TalkerRow(key="", kind="")
    return next((row for row in reading.tables.talkers or [] if row.pid == pid if pid or row.key == key), empty)


def payload(row: TalkerRow | ConnectionRow) -> int:
    """Bytes sent, each once: also on loopback some are sent again."""
    return (row.sent or 0) - (row.retransmitted or 0)


def until(collector: Connections, wanted: Callable[[Reading], bool]) -> Reading:
    """Reads until it is as wanted: the kernel tells of an end a moment after it."""
    deadline = time.monotonic() + 10
    while not wanted(reading := collector.read()):
        assert time.monotonic() < deadline, reading.tables.talkers
        time.sleep(0.01)
    return reading


@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
def test_what_a_connection_moves_is_exact_and_put_to_both_processes(collector: Connections, address: str) -> None:
    collector.read()
    with serving(address) as (pid, port), socket.create_connection((address, port)) as link:
        before = talker(collector.read(), os.getpid())
        link.sendall(bytes(3_000_016 - 20))
        link.sendall(bytes(20))
        until(collector, lambda reading: talker(reading, pid).received >= 3_000_016)
        reading = collector.read()  # of one look, one end may be asked for before the last bytes and the other after
        mine, theirs = talker(reading, os.getpid()), talker(reading, pid)
        assert (theirs.received, theirs.sent) == (3_000_016, 0)
        assert payload(mine) - payload(before) == 3_000_016
        assert (theirs.kind, theirs.connections, theirs.name) == ("process", 1, mine.name)
        rows = {row.local_port: row for row in connections_of(reading, port) if row.state == "ESTAB"}
        row = rows[link.getsockname()[1]]
        assert (row.pid, row.local, row.remote, row.remote_port) == (os.getpid(), address, address, port)
        assert (payload(row), row.received, row.user) == (3_000_016, 0, mine.user) and row.rtt and row.user
        assert rows[port].pid == pid and rows[port].received == 3_000_016
        listening = next(row for row in connections_of(reading, port) if row.state == "LISTEN")
        assert (listening.pid, listening.remote, listening.received) == (pid, "", None)
        link.sendall(b"send 7000000")
        got = 0
        while data := link.recv(1 << 16):
            got += len(data)
        assert got == 7_000_000
    reading = until(collector, lambda reading: not [r for r in connections_of(reading, port) if r.state == "ESTAB"])
    reading = until(
        collector,
        lambda reading: (
            payload(talker(reading, pid)) >= 7_000_000
            and talker(reading, pid).received >= 3_000_028
            and talker(reading, os.getpid()).received - before.received >= 7_000_000
            and payload(talker(reading, os.getpid())) - payload(before) >= 3_000_028
        ),
    )
    theirs, mine = talker(reading, pid), talker(reading, os.getpid())
    # The kernel counts the FIN as a byte.
    assert payload(theirs) == 7_000_000 and theirs.received - 3_000_028 in (0, 1)
    assert mine.received - before.received - 7_000_000 in (0, 1)
    assert payload(mine) - payload(before) == 3_000_028


def test_connections_that_no_look_saw_are_all_counted(collector: Connections) -> None:
    """The server's side goes to the process that alone listens there, the other to the port that it went to."""
    collector.read()
    size, times = 20_000, 200
    with serving() as (pid, port):
        reading = collector.read()
        for _ in range(times):
            with socket.create_connection(("127.0.0.1", port)) as link:
                link.sendall(bytes(size))
                link.shutdown(socket.SHUT_WR)
                assert not link.recv(1)
        key = f"short:to:{port}"
        reading = until(
            collector,
            lambda reading: (
                talker(reading, pid).received >= size * times and payload(talker(reading, key=key)) >= size * times
            ),
        )
    server, client = talker(reading, pid), talker(reading, key=key)
    assert size * times <= server.received <= (size + 1) * times and server.sent == 0
    assert payload(client) == size * times and client.received <= times
    assert (client.kind, client.name, client.pid, client.user) == ("short", str(port), None, "")
    assert reading.values["connections.unbroken"] == reading.values["connections.counted"]


def test_where_two_processes_listen_none_of_them_is_guessed(collector: Connections) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        twin = subprocess.Popen(["sleep", "60"], pass_fds=[server.fileno()])
        try:
            collector.read()
            with socket.create_connection(("127.0.0.1", port)) as link:
                link.sendall(b"x" * 1000)
                server.accept()[0].close()
            # The data was not read: it was reset, which is an end as well.
            key = f"short:at:{port}"
            reading = until(collector, lambda reading: talker(reading, key=key).received >= 1000)
            assert talker(reading, key=key).name == str(port)
        finally:
            twin.kill()
            twin.wait()


def test_one_that_is_not_accepted_yet_waits_for_its_process(collector: Connections) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        collector.read()
        with socket.create_connection(server.getsockname()) as link:
            link.sendall(bytes(500))
            reading = until(
                collector, lambda reading: any(row.received == 500 for row in reading.tables.connections or [])
            )
            waiting = next(row for row in reading.tables.connections or [] if row.received == 500)
            assert waiting.pid is None
            before = talker(reading, os.getpid()).received
            with server.accept()[0]:
                until(collector, lambda reading: talker(reading, os.getpid()).received == before + 500)


def test_udp_is_listed_with_its_owner_and_without_bytes(collector: Connections) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as link:
        link.bind(("127.0.0.1", 0))
        reading = collector.read()
        if any(fault.message.startswith("UDP") for fault in reading.faults):
            pytest.skip("this kernel does not tell of UDP sockets")
        rows = [row for row in reading.tables.connections or [] if row.protocol == "udp"]
        if not rows:
            pytest.skip("this kernel has no diagnostics of UDP")
        row = next(row for row in rows if row.local_port == link.getsockname()[1])
        assert (row.pid, row.state, row.received, row.sent) == (os.getpid(), "UNCONN", None, None)


def test_rates_come_from_two_reads_and_rows_that_rest_stay(collector: Connections) -> None:
    from sysmon.catalogue import Catalogue

    state = State(Catalogue(Connections.metrics))
    with serving() as (pid, port), socket.create_connection(("127.0.0.1", port)) as link:
        for second in (1, 2, 3):
            wanted = (second - 1) * 1000
            reading = until(collector, lambda reading, wanted=wanted: talker(reading, pid).received >= wanted)  # type: ignore[misc]
            state.apply(
                Frame(
                    host="h", boot="b", run="r", seq=second, time=0, monotonic=second * 10**9, readings=reading.values,
                    reads={"connections": second * 10**9}, tables=reading.tables,
                )
            )  # fmt: skip
            link.sendall(bytes(1000))
    (row,) = [row for row in state.connections if row.local_port == port and row.state == "ESTAB"]
    assert row.receive_rate == 1000.0
    (rated,) = [row for row in state.talkers if row.pid == pid]
    assert rated.receive_rate == 1000.0 and rated.transmit_rate == 0.0


def test_the_other_ends_can_be_left_out() -> None:
    collector = Connections(Roots(), {"remotes": False})
    try:
        collector.read()
        with serving() as (_, port):
            with socket.create_connection(("127.0.0.1", port)) as link:
                rows = connections_of(collector.read(), port)
                assert rows and not any(row.remote or row.remote_port for row in rows)
                link.sendall(b"x")
            with socket.create_connection(("127.0.0.1", port)) as link:
                link.sendall(bytes(100))
            reading = until(collector, lambda reading: talker(reading, key="short:to:").sent >= 100)
            assert not any(row.key.startswith("short:to:") and row.name for row in reading.tables.talkers or [])
    finally:
        collector.close()


def test_a_busy_host_shows_the_busiest_and_says_how_many_are_left_out(
    collector: Connections, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "CONNECTIONS", 2)
    with serving() as (pid, port), contextlib.ExitStack() as stack:
        links = [stack.enter_context(socket.create_connection(("127.0.0.1", port))) for _ in range(3)]
        collector.read()
        links[0].sendall(bytes(10_000))
        reading = until(collector, lambda reading: talker(reading, pid).received >= 10_000)
    rows = reading.tables.connections or []
    assert len(rows) == 2 and 10_000 in (rows[0].received, rows[0].sent)
    assert any("more connections are not shown" in fault.message for fault in reading.faults)


def test_nobody_looks_any_more_and_listening_ends(collector: Connections, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "LINGER", 0.05)
    collector.read()
    collector.read()
    closings = collector._closings
    assert closings is not None
    deadline = time.monotonic() + 10
    while closings._link is not None and time.monotonic() < deadline:
        time.sleep(0.05)
    assert closings._link is None and not closings.keep(1)
    reading = collector.read()
    assert not any(each.gone is not None for each in collector._ledger.connections.values())
    # It is heard again from here; what ended in between is lost, and since when it is whole says so.
    assert reading.values["connections.unbroken"] == 0.0 and reading.values["connections.counted"] > 0


@pytest.mark.parametrize(
    ("gap", "ended", "lost", "seconds"),
    [
        (1.0, 0.0, None, connections.LINGER),
        (10.0, 1000.0, None, 25.0),
        (30.0, 1.0, None, 75.0),
        (30.0, 1000.0, None, connections.LINGER),
        (30.0, 1.0, 900.0, connections.LINGER),
        (3600.0, 0.0, None, connections.LINGER),
    ],
)
def test_a_quiet_host_is_listened_to_between_the_looks_for_evidence(
    gap: float, ended: float, lost: float | None, seconds: float
) -> None:
    kept: list[float] = []

    class Listening:
        def keep(self, seconds: float) -> bool:
            kept.append(seconds)
            return True

        def close(self) -> None:
            """Nothing to close."""

    collector = Connections(Roots())
    collector._closings = Listening()  # type: ignore[assignment]
    collector._read, collector._ended, collector._lost_at = 1000.0 - gap, ended, lost
    collector._listen(1000.0)
    assert kept == [seconds]


def test_the_thread_ends_with_the_collector() -> None:
    collector = Connections(Roots())
    collector.read()
    collector.close()
    deadline = time.monotonic() + 10
    while any(each.name == "sysmon-closings" for each in threading.enumerate()):
        assert time.monotonic() < deadline
        time.sleep(0.05)


class Overrun:
    """Stands in for the link of a kernel whose buffer ran over."""

    def __init__(self, *answers: OSError | bytes) -> None:
        self.answers = list(answers)

    def recvmsg(self, _: int) -> tuple[bytes, list[object], int, None]:
        if not self.answers:
            raise BlockingIOError
        answer = self.answers.pop(0)
        if isinstance(answer, OSError):
            raise answer
        return answer, [], 0, None

    def close(self) -> None:
        """Nothing to close."""


def test_what_is_lost_is_said_and_breaks_the_count(collector: Connections, monkeypatch: pytest.MonkeyPatch) -> None:
    collector.read()
    closings = collector._closings
    assert closings is not None and closings._link is not None
    real = closings._link
    monkeypatch.setattr(closings, "_link", Overrun(OSError(105, "No buffer space available"), b"garbage"))
    reading = collector.read()
    monkeypatch.setattr(closings, "_link", real)
    assert [fault.kind for fault in reading.faults if "closed connections came faster" in fault.message] == ["no_data"]
    assert reading.values["connections.unbroken"] == 0.0
    monkeypatch.setattr(connections, "TOLD", 0.0)
    assert not [fault for fault in collector.read().faults if "closed connections came" in fault.message]


def test_a_kernel_that_does_not_tell(collector: Connections, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(Unsupported):
        Connections(Roots(Path("/nowhere"), live=False)).read()

    def refuse(error: OSError) -> Callable[..., list[DiagSocket]]:
        def dump(*_: object) -> list[DiagSocket]:
            raise error

        return dump

    monkeypatch.setattr(connections, "dump", refuse(PermissionError(1, "Operation not permitted")))
    with pytest.raises(Denied, match="does not tell of sockets"):
        collector.read()
    monkeypatch.setattr(connections, "dump", refuse(FileNotFoundError(2, "No such file or directory")))
    with pytest.raises(Unsupported, match="does not tell of sockets"):
        collector.read()
    monkeypatch.setattr(connections, "dump", refuse(TimeoutError("timed out")))
    with pytest.raises(DeadlineExceeded):
        collector.read()
    monkeypatch.undo()
    monkeypatch.setattr(connections, "Closings", lambda seconds: (_ for _ in ()).throw(OSError(93, "not supported")))
    collector.close()
    reading = collector.read()
    assert [fault.kind for fault in reading.faults if "end between two looks" in fault.message] == ["unsupported"]
    assert "connections.unbroken" not in reading.values and reading.tables.connections


def test_nonsense_of_the_kernel_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernel, "parse_answer", lambda data, sequence: (_ for _ in ()).throw(MalformedInput("no")))
    with pytest.raises(MalformedInput):
        kernel.dump(6)


def closed_connections(count: int) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        for _ in range(count):
            with socket.create_connection(server.getsockname()), server.accept()[0]:
                pass


def test_a_buffer_of_the_kernel_that_runs_over_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernel, "_ROOM", 4096)
    monkeypatch.setattr(kernel, "_SO_RCVBUFFORCE", socket.SO_RCVBUF)
    closings = kernel.Closings(30)
    try:
        with closings._lock:  # its thread is held up
            closed_connections(100)
        deadline = time.monotonic() + 10
        while not closings.take()[1]:
            assert time.monotonic() < deadline
    finally:
        closings.close()


def test_closings_that_nobody_takes_are_kept_to_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernel, "QUEUE", 20)
    closings = kernel.Closings(30)
    try:
        closed_connections(50)
        deadline = time.monotonic() + 10
        while not closings._lost:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        assert len(closings.take()[0]) <= 20
    finally:
        closings.close()
    assert closings.take() == ([], closings._lost)


# Who holds a socket


def fake_process(root: Path, pid: int, start: int, *inodes: int, name: str = "web", uid: int = 33) -> None:
    folder = root / "proc" / str(pid)
    (folder / "fd").mkdir(parents=True)
    for number, inode in enumerate(inodes):
        (folder / "fd" / str(number)).symlink_to(f"socket:[{inode}]")
    (folder / "fd" / "99").symlink_to("/dev/null")
    (folder / "stat").write_text(f"{pid} ({name}) S 1 1 1 0 -1 0 0 0 0 0 1 1 0 0 20 0 1 0 {start} 1 1 0 0\n")
    (folder / "status").write_text(f"Name:\t{name}\nUid:\t{uid}\t{uid}\t{uid}\t{uid}\n")
    (folder / "cgroup").write_text("0::/system.slice/docker-" + "ab" * 32 + ".scope\n")


def test_the_process_that_a_socket_was_handed_to_holds_it(tmp_path: Path) -> None:
    fake_process(tmp_path, 10, 500, 1, 2, name="listener")
    fake_process(tmp_path, 900, 700, 2, 3, name="worker \x1b[31m")
    owners = socket_owners.SocketOwners(Roots(tmp_path))
    assert owners.look({1, 2, 3, 4}, set())
    found = {inode: owners.holder(inode) for inode in (1, 2, 3, 4)}
    assert [each and each.pid for each in found.values()] == [10, 900, 900, None]
    worker = found[2]
    assert worker is not None and "\x1b" not in worker.name and worker.container == "abababababab"
    assert owners.only_holder([1]) == found[1] and owners.only_holder([2]) is None and owners.only_holder([4]) is None
    assert owners.only_holder([1, 3]) is None and owners.only_holder([]) is None
    assert owners.is_settled(4) and not owners.is_settled(5) and owners.unfound == 1


def test_busy_processes_are_looked_at_first_and_all_of_them_again_after_a_while(tmp_path: Path) -> None:
    now = [100.0]
    fake_process(tmp_path, 10, 500, 1, name="busy")
    owners = socket_owners.SocketOwners(Roots(tmp_path), clock=lambda: now[0])
    owners.look({1}, set())
    (tmp_path / "proc/10/fd/7").symlink_to("socket:[8]")
    fake_process(tmp_path, 20, 600, 8, 9, name="other")
    now[0] += 1
    assert not owners.look({1, 8}, set())
    assert (owners.holder(8) or found_none()).pid == 10
    assert not owners.look({1, 8, 9}, {9})
    assert (owners.holder(9) or found_none()).pid == 20
    now[0] += socket_owners.AGAIN
    assert owners.look({1, 8, 9}, {9})
    assert (owners.holder(8) or found_none()).pid == 20
    owners.look({1}, set())
    assert owners.holder(8) is None


def found_none() -> socket_owners.Holder:
    raise AssertionError("no process was found")


def test_one_look_goes_through_so_many_open_files_at_most(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket_owners, "DESCRIPTORS", 3)
    fake_process(tmp_path, 10, 500, *range(1, 6))
    owners = socket_owners.SocketOwners(Roots(tmp_path))
    owners.look({1, 5}, set())
    assert owners.cut


def test_a_process_that_goes_meanwhile_or_says_nonsense_is_none(tmp_path: Path) -> None:
    fake_process(tmp_path, 10, 500, 1)
    (tmp_path / "proc/10/stat").write_text("nonsense")
    owners = socket_owners.SocketOwners(Roots(tmp_path))
    owners.look({1}, set())
    assert owners.holder(1) is None and owners.is_settled(1)
    assert socket_owners.SocketOwners(Roots(tmp_path / "nowhere")).look({1}, set())


def test_a_control_group_is_found_by_the_number_of_its_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    top = tmp_path / "cgroup"
    unit = top / "system.slice" / "nginx.service"
    container = top / "system.slice" / f"docker-{'cd' * 32}.scope"
    for folder in (unit, container, tmp_path / "proc" / "self"):
        folder.mkdir(parents=True)
    (tmp_path / "proc/self/mountinfo").write_text(
        f"30 1 0:1 / /v1 rw - cgroup cgroup rw,cpu\n31 1 0:2 / {top} rw - cgroup2 cgroup2 rw\n"
    )
    groups = cgroup_ids.CgroupIds(Roots(tmp_path))
    assert groups.owner(unit.stat().st_ino) == ("", "nginx.service")
    assert groups.owner(container.stat().st_ino) == ("cdcdcdcdcdcd", "")
    assert groups.owner(None) == groups.owner(1) == ("", "")
    # One that is made later is found at the next walk, which is not at once.
    late = top / "late.service"
    late.mkdir()
    assert groups.owner(late.stat().st_ino) == ("", "")
    monkeypatch.setattr(cgroup_ids, "AGAIN", 0.0)
    assert groups.owner(late.stat().st_ino) == ("", "late.service")
    monkeypatch.setattr(cgroup_ids, "MOST", 1)
    assert groups.owner(1) == ("", "") and len(groups._known) <= 3
    nowhere = cgroup_ids.CgroupIds(Roots(tmp_path / "nowhere"))
    assert nowhere.owner(5) == ("", "")


# What goes through the line


def tcp(local: str, remote: str) -> DiagSocket:
    def packed(text: str) -> bytes:
        return socket.inet_pton(socket.AF_INET6 if ":" in text else socket.AF_INET, text)

    return DiagSocket(2, 1, packed(local), 1, packed(remote), 2, 0, 1, 0, 1, None, 0, 0, 0, 0)


def test_what_stays_in_this_host_is_not_on_the_line() -> None:
    line = Line(Roots())
    line._place(
        [
            InterfaceRow(name="eth0", kind="ethernet", physical=True, master="br0"),
            InterfaceRow(name="br0", kind="bridge", lower=["eth0", "tap0"], addresses=["192.0.2.1", "2001:db8::1"]),
            InterfaceRow(name="docker0", kind="bridge", lower=["veth1"], addresses=["172.17.0.1"]),
            InterfaceRow(name="veth1", kind="veth", master="docker0"),
            InterfaceRow(name="wg0", kind="wireguard", addresses=["10.8.0.1", "no address"]),
            InterfaceRow(name="lo", kind="loopback", addresses=["127.0.0.1", "::1"]),
        ]
    )
    assert line.outside(tcp("192.0.2.1", "198.51.100.7")) and line.outside(tcp("2001:db8::1", "2001:db8::2"))
    # Through a tunnel it leaves as well, in other packets.
    assert line.outside(tcp("10.8.0.1", "10.8.0.2"))
    assert not line.outside(tcp("172.17.0.1", "172.17.0.2"))
    for own in ("192.0.2.1", "127.0.0.53", "::1", "2001:db8::1", "172.17.0.1"):
        assert not line.outside(tcp("192.0.2.1", own))


def test_addresses_as_people_write_them() -> None:
    assert socket_rows.address(b"\x7f\0\0\x01", 0) == "127.0.0.1"
    assert socket_rows.address(struct.pack(">QQ", 0xFE80 << 48, 1), 1) == "fe80::1%lo"
    assert socket_rows.address(struct.pack(">QQ", 0xFE80 << 48, 1), 2**31 - 1) == f"fe80::1%{2**31 - 1}"
    assert socket_rows.address(struct.pack(">QQ", 0x20010DB8 << 32, 1), 1) == "2001:db8::1"
