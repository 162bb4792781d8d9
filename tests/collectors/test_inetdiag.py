"""The codec of socket diagnostics: what the kernel says, what older ones say, and bytes that are none of it."""

import socket
import struct
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collectors._sockets.inetdiag import LISTEN, STATES, TCP, DiagSocket, parse_answer, request
from sysmon.errors import MalformedInput

MAPPED = bytes(10) + b"\xff\xff"


def attribute(kind: int, value: bytes) -> bytes:
    return struct.pack("=HH", 4 + len(value), kind) + value + bytes(-len(value) % 4)


def message(payload: bytes, kind: int = 20, sequence: int = 1) -> bytes:
    return struct.pack("=IHHII", 16 + len(payload), kind, 2, sequence, 0) + payload + bytes(-len(payload) % 4)


def tcp_info(received: int, sent: int, again: int, rtt: int, acked: int = 0, length: int = 280) -> bytes:
    whole = bytes(68) + struct.pack("=I", rtt) + bytes(48) + struct.pack("=QQ", acked, received)
    return (whole + bytes(64) + struct.pack("=QQ", sent, again) + bytes(64))[:length]


def encoded(each: DiagSocket, before: bytes = b"", length: int = 280) -> bytes:
    """A message as the kernel writes it."""
    local, remote = (address.ljust(16, b"\0") for address in (each.local, each.remote))
    if each.family == 10 and len(each.local) == 4:
        local, remote = MAPPED + each.local, MAPPED + each.remote
    ports = struct.pack(">HH", each.local_port, each.remote_port)
    body = struct.pack("=BBBB", each.family, each.state, 0, 0) + ports + local + remote
    body += struct.pack("=IQ12xII", each.interface, each.cookie, each.uid, each.inode) + before
    if each.cgroup is not None:
        body += attribute(21, struct.pack("=Q", each.cgroup))
    if each.received is not None:
        info = tcp_info(each.received, each.sent or 0, each.retransmitted or 0, each.rtt or 0, length=length)
        body += attribute(2, info)
    return message(body)


@st.composite
def sockets(draw: st.DrawFn) -> DiagSocket:
    family = draw(st.sampled_from([2, 10]))
    size = 4 if family == 2 or draw(st.booleans()) else 16
    state = draw(st.integers(1, len(STATES) - 1))
    port, word, count = st.integers(0, 65535), st.integers(0, 2**32 - 1), st.integers(0, 2**63 - 1)
    counted = state != LISTEN and draw(st.booleans())
    address = st.binary(min_size=size, max_size=size).filter(lambda text: text[:12] != MAPPED)
    return DiagSocket(
        *(family, state, draw(address), draw(port), draw(address), draw(port), draw(word)),
        *(draw(st.integers(0, 2**64 - 1)), draw(word), draw(word), draw(st.none() | st.integers(0, 2**64 - 1))),
        *([draw(count), draw(count), draw(count), draw(word)] if counted else [None] * 4),
    )


@given(st.lists(sockets(), max_size=5), st.lists(st.tuples(st.integers(3, 20), st.binary(max_size=20)), max_size=3))
def test_what_is_encoded_is_read_back(given_sockets: list[DiagSocket], others: list[tuple[int, bytes]]) -> None:
    unknown = b"".join(attribute(kind, value) for kind, value in others)
    data = b"".join(encoded(each, unknown) for each in given_sockets)
    assert parse_answer(data) == (given_sockets, False)
    assert parse_answer(data + message(bytes(4), kind=3)) == (given_sockets, True)


@given(sockets(), st.integers(0, 400), st.integers(0, 255))
def test_any_byte_may_be_any_other(each: DiagSocket, place: int, value: int) -> None:
    data = bytearray(encoded(each) + message(bytes(4), kind=3))
    data[place % len(data)] = value
    try:
        found, _ = parse_answer(bytes(data))
    except (MalformedInput, OSError):
        return
    for one in found:
        assert len(one.local) in (4, 16) and 0 < one.state < len(STATES)
        assert all(count is None or 0 <= count < 2**63 for count in (one.received, one.sent, one.retransmitted))


@given(sockets(), st.data())
def test_a_datagram_may_end_anywhere(each: DiagSocket, data: st.DataObject) -> None:
    whole = encoded(each)
    cut = data.draw(st.integers(1, len(whole) - 1))
    with pytest.raises(MalformedInput):
        parse_answer(whole[:cut])


@given(st.binary(max_size=400), st.none() | st.integers(0, 3))
def test_garbage_is_refused_and_nothing_else_happens(data: bytes, sequence: int | None) -> None:
    try:
        parse_answer(data, sequence)
    except (MalformedInput, OSError):
        pass


SAMPLE = DiagSocket(2, 1, b"\x0a\0\0\1", 50_000, b"\x0a\0\0\2", 443, 0, 77, 1000, 4711, 5, 7, 9, 2, 1500)


def test_older_kernels_tell_less() -> None:
    def read(length: int) -> tuple[int | None, ...]:
        body = encoded(SAMPLE._replace(received=None, sent=None, retransmitted=None, rtt=None))[16:]
        info = tcp_info(7, 9, 2, 1500, acked=8, length=length)
        return parse_answer(message(body + attribute(2, info)))[0][0][-4:]

    assert read(280) == (7, 9, 2, 1500)
    assert read(216) == (7, 9, 2, 1500)
    # Before 4.19 only what was acknowledged is counted, before 4.1 nothing.
    assert read(192) == (7, 8, None, 1500)
    assert read(136) == (7, 8, None, 1500)
    assert read(104) == (None, None, None, None)
    assert read(0) == (None, None, None, None)


def test_one_that_listens_counts_nothing() -> None:
    data = encoded(SAMPLE._replace(state=LISTEN))
    assert parse_answer(data)[0] == [
        SAMPLE._replace(state=LISTEN, received=None, sent=None, retransmitted=None, rtt=None)
    ]


def test_answers_to_others_are_passed_over_and_events_have_no_number() -> None:
    data = encoded(SAMPLE)
    assert parse_answer(data, 2) == ([], False)
    assert parse_answer(data, None) == ([SAMPLE], False)


def test_errors_of_the_kernel() -> None:
    with pytest.raises(FileNotFoundError):
        parse_answer(message(struct.pack("=i", -2) + bytes(16), kind=2))
    with pytest.raises(PermissionError):
        parse_answer(message(struct.pack("=i", -1), kind=3))
    with pytest.raises(OSError, match="unknown"):
        parse_answer(message(struct.pack("=i", 5), kind=2))
    with pytest.raises(MalformedInput):
        parse_answer(message(b"", kind=2))
    assert parse_answer(message(struct.pack("=i", 0), kind=2)) == ([], False)
    assert parse_answer(message(b"", kind=1) + message(b"", kind=3)) == ([], True)


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(message(bytes(40), kind=99), id="a type that there is not"),
        pytest.param(encoded(SAMPLE._replace(state=1)).replace(b"\x02\x01", b"\x02\x0d", 1), id="a state of tomorrow"),
        pytest.param(message(b"\x07" + encoded(SAMPLE)[17:]), id="a family that has no addresses"),
        pytest.param(message(encoded(SAMPLE)[16:] + struct.pack("=HH", 3, 2)), id="an attribute shorter than its head"),
        pytest.param(message(encoded(SAMPLE)[16:] + struct.pack("=HH", 9, 2)), id="an attribute longer than there is"),
        pytest.param(message(encoded(SAMPLE)[16:] + b"ab"), id="half a head of an attribute"),
        pytest.param(encoded(SAMPLE._replace(received=2**63)), id="more bytes than there can be"),
    ],
)
def test_nonsense_is_said(data: bytes) -> None:
    with pytest.raises(MalformedInput):
        parse_answer(data)


def test_a_request_is_what_the_kernel_takes() -> None:
    data = request(socket.AF_INET, TCP, 1 << 1, sequence=9)
    length, kind, flags, sequence, _ = struct.unpack_from("=IHHII", data)
    assert (length, kind, flags, sequence) == (len(data), 20, 0x301, 9) and len(data) == 72
    assert struct.unpack_from("=BBBBI", data, 16) == (socket.AF_INET, TCP, 2, 0, 2)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="asks the Linux kernel")
def test_the_kernel_itself() -> None:
    from collectors._sockets.kernel import dump

    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()) as client:
        accepted, _ = server.accept()
        with accepted:
            client.sendall(bytes(1000))
            received = 0
            while received < 1000:
                received += len(accepted.recv(1000))
            found = {(each.local_port, each.remote_port): each for each in dump(TCP)}
            port, mine = server.getsockname()[1], client.getsockname()[1]
            assert found[port, 0].state == LISTEN and found[port, 0].received is None
            assert found[port, mine].received == 1000 and found[mine, port].sent == 1000
            assert found[mine, port].local == b"\x7f\0\0\1" and found[mine, port].inode
            assert found[mine, port].rtt
