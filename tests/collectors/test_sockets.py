"""Sockets by state, from the kernel itself, from captured text, and from texts that are none."""

import socket
import struct
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collectors import sockets
from collectors.base import Roots
from collectors.sockets import (
    STATES,
    Sockets,
    count_states,
    dump_states,
    name_states,
    parse_net_tcp,
    parse_sockstat,
)
from sysmon.errors import MalformedInput, NoData

linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="asks the Linux kernel")


@linux
def test_counts_real_sockets_of_both_families() -> None:
    before = name_states(dump_states())
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()) as client:
        accepted, _ = server.accept()
        with accepted:
            during = name_states(dump_states())
            assert during["listen"] >= before["listen"] + 1
            assert during["established"] >= 2
            texts: dict[int, int] = {}
            for name in ("tcp", "tcp6"):
                for state, count in parse_net_tcp(Path(f"/proc/net/{name}").read_text()).items():
                    texts[state] = texts.get(state, 0) + count
            assert name_states(texts)["listen"] >= before["listen"] + 1
            client.shutdown(socket.SHUT_WR)
            assert name_states(dump_states())["close_wait"] >= 1
    assert name_states(dump_states(1 << 10))["established"] == 0


@linux
def test_on_a_host_with_many_the_totals_give_the_common_states(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def dumped(states: int) -> dict[int, int]:
        asked.append(states)
        return {10: 5, 8: 7}

    monkeypatch.setattr(sockets, "dump_states", dumped)
    totals = {"TCP.inuse": 30_000, "TCP6.inuse": 2_000, "TCP.tw": 9_000}
    states = Sockets(Roots())._states(totals)
    assert asked == [0b111110111100]
    assert states["time_wait"] == 9_000
    assert states["established"] == 32_000 - 12
    assert (states["listen"], states["close_wait"]) == (5, 7)


def test_a_captured_host(fixtures: Path) -> None:
    reading = Sockets(Roots(fixtures / "processes" / "vm-quiet", live=False)).read()
    assert reading.faults == []
    assert reading.values["sockets.used"] == 77
    assert reading.values["sockets.tcp:listen"] == 3
    assert reading.values["sockets.tcp:established"] == 1
    assert reading.values["sockets.tcp.memory"] == 21 * 4096
    assert reading.values["sockets.udp"] == 0
    assert len([key for key in reading.values if key.startswith("sockets.tcp:")]) == len(STATES)


@linux
def test_without_socket_diagnostics_the_text_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(states: int) -> dict[int, int]:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(sockets, "dump_states", refused)
    with socket.create_server(("127.0.0.1", 0)):
        reading = Sockets(Roots()).read()
    assert reading.faults == []
    assert reading.values["sockets.tcp:listen"] >= 1


def test_a_host_without_network_files_has_no_data(tmp_path: Path) -> None:
    with pytest.raises(NoData):
        Sockets(Roots(tmp_path, live=False)).read()


def test_a_broken_file_beside_good_ones_is_a_partial_fault(tmp_path: Path) -> None:
    net = tmp_path / "proc" / "net"
    net.mkdir(parents=True)
    (net / "sockstat").write_text("sockets: used 9\nTCP: inuse one\n")
    (net / "tcp").write_text("head\n 0: 0100007F:1E61 00000000:0000 0A 0\n 1: a b 0C 0\n")
    reading = Sockets(Roots(tmp_path, live=False)).read()
    assert reading.values["sockets.tcp:listen"] == 1
    assert reading.values["sockets.tcp:syn_recv"] == 1
    assert "sockets.used" not in reading.values
    (fault,) = reading.faults
    assert (fault.kind, "sockstat:2" in fault.message) == ("failed", True)


def message(kind: int, payload: bytes) -> bytes:
    return struct.pack("=IHHII", 16 + len(payload), kind, 0, 0, 0) + payload


def test_datagrams_of_a_dump() -> None:
    counts: dict[int, int] = {}
    assert not count_states(message(20, bytes([2, 10, 0, 0])) + message(20, bytes([10, 1, 0, 0])), counts)
    assert count_states(message(20, bytes([2, 10, 0, 0])) + message(3, bytes(4)), counts)
    assert counts == {10: 2, 1: 1}
    with pytest.raises(FileNotFoundError):
        count_states(message(2, struct.pack("=i", -2)), {})


@given(st.binary(max_size=100) | st.builds(message, st.sampled_from([2, 3, 20]), st.binary(max_size=20)))
def test_any_datagram_counts_or_is_refused(data: bytes) -> None:
    try:
        count_states(data, {})
    except (MalformedInput, OSError):
        pass


@given(st.text(max_size=200) | st.text("TCP: inuse0A1 -\n", max_size=200))
def test_any_text_parses_or_is_malformed(text: str) -> None:
    for parse in (parse_net_tcp, parse_sockstat):
        try:
            parsed = parse(text)
        except MalformedInput:
            continue
        assert all(isinstance(value, int) for value in parsed.values())
