"""Sockets as the kernel's diagnostics tell of them: pure codec of requests, answers and events, sock_diag(7).

The messages are taken apart here rather than by a library: a thousand sockets cost some milliseconds, a tenth of what
the libraries at hand need. Of `struct tcp_info`, which grew over the years, as much is read as the kernel gave.
"""

from __future__ import annotations

import os
import struct
from typing import TYPE_CHECKING, NamedTuple

from collectors._netlink import (
    ATTRIBUTE,
    HEADER,
    NLA_TYPE_MASK,
    NLM_F_DUMP,
    NLM_F_REQUEST,
    NLMSG_DONE,
    NLMSG_ERROR,
    NLMSG_NOOP,
    message,
)
from sysmon.errors import MalformedInput

if TYPE_CHECKING:
    from collections.abc import Iterator

TCP, UDP = 6, 17
LISTEN, TIME_WAIT, NEW_SYN_RECV = 10, 6, 12

STATES = (
    *("", "ESTAB", "SYN-SENT", "SYN-RECV", "FIN-WAIT-1", "FIN-WAIT-2", "TIME-WAIT", "UNCONN", "CLOSE-WAIT"),
    *("LAST-ACK", "LISTEN", "CLOSING", "SYN-RECV"),
)
"""Names by the kernel's number (include/net/tcp_states.h), as ss(8) has them; the last is inside the kernel alone."""

ALL_STATES = (1 << len(STATES)) - 2

_MESSAGE = 20  # SOCK_DIAG_BY_FAMILY
_INFO, _CGROUP = 2, 21  # INET_DIAG_INFO, INET_DIAG_CGROUP_ID

_SOCKET = struct.Struct("=BB2x4x16s16sIQ12xII")
_PORTS = struct.Struct(">HH")
_TCP_INFO = struct.Struct("=68xI48xQQ64xQQ")
_TCP_INFO_ACKED = struct.Struct("=68xI48xQQ")
_WORD = struct.Struct("=Q")
_CODE = struct.Struct("=i")
_MAPPED = bytes(10) + b"\xff\xff"


class DiagSocket(NamedTuple):
    """One socket.

    Attributes:
        family: AF_INET or AF_INET6 of the socket itself. `state`: number in `STATES`.
        local, remote: addresses of 4 or 16 bytes; an IPv4 one that IPv6 carries has 4.
        interface: index that it is bound to, or 0.
        cookie: never given twice while the kernel runs.
        uid: of its owner; meaningless where `inode` is 0: no file refers to it (not yet accepted, or closed).
        cgroup: id of its control group of version 2, None where not told.
        received, sent: bytes of TCP payload, None where not counted; `sent` holds what was `retransmitted`, which is
            None where the kernel is too old (before 4.19: then only what was acknowledged counts as sent).
        rtt: microseconds, smoothed, 0 where never measured.
    """

    family: int
    state: int
    local: bytes
    local_port: int
    remote: bytes
    remote_port: int
    interface: int
    cookie: int
    uid: int
    inode: int
    cgroup: int | None
    received: int | None
    sent: int | None
    retransmitted: int | None
    rtt: int | None


def request(family: int, protocol: int, states: int = ALL_STATES, sequence: int = 1) -> bytes:
    """Builds the request for all sockets of a family and protocol in any of `states` (a bit mask).

    Source: sock_diag(7): struct nlmsghdr, then struct inet_diag_req_v2.
    """
    body = struct.pack("=BBBBI48x", family, protocol, 1 << (_INFO - 1), 0, states)
    return message(_MESSAGE, NLM_F_REQUEST | NLM_F_DUMP, sequence, body)


def parse_answer(data: bytes, sequence: int | None = 1) -> tuple[list[DiagSocket], bool]:
    """Parses one datagram: of the answer to `request`, or of events (`sequence` None).

    Returns:
        Its sockets, and whether the answer ends with it. Messages to another request are passed over.

    Raises:
        MalformedInput: not such a datagram. OSError: the kernel refused, or ended with an error.
    """
    found: list[DiagSocket] = []
    for kind, start, end in _messages(data, sequence):
        if kind == _MESSAGE:
            found.append(_socket(data, start, end))
        elif kind == NLMSG_DONE or kind == NLMSG_ERROR:
            # An error says its number; one of 0 is an acknowledgement, and the end of a dump may leave it out.
            if end - start < _CODE.size and kind == NLMSG_ERROR:
                raise MalformedInput(f"netlink: an error of {end - start} bytes")
            code = -_CODE.unpack_from(data, start)[0] if end - start >= _CODE.size else 0
            if code:
                raise OSError(code, os.strerror(code) if code > 0 else "unknown error")
            if kind == NLMSG_DONE:
                return found, True
        elif kind != NLMSG_NOOP:
            raise MalformedInput(f"netlink: {kind} is no type of message of socket diagnostics")
    return found, False


def _messages(data: bytes, sequence: int | None) -> Iterator[tuple[int, int, int]]:
    """Yields (type, start, end) of the payload of each message."""
    offset, size = 0, len(data)
    while offset < size:
        if size - offset < HEADER.size:
            raise MalformedInput(f"netlink: a header of {size - offset} bytes is not one of {HEADER.size}")
        length, kind, _, number, _ = HEADER.unpack_from(data, offset)
        if not HEADER.size <= length <= size - offset:
            raise MalformedInput(f"netlink: a message of {length} bytes does not fit {size - offset}")
        if sequence is None or number == sequence:
            yield kind, offset + HEADER.size, offset + length
        offset += (length + 3) & ~3


def _socket(data: bytes, start: int, end: int) -> DiagSocket:
    """Parses struct inet_diag_msg and the attributes behind it."""
    at = start + _SOCKET.size
    if at > end:
        raise MalformedInput(f"netlink: a socket of {end - start} bytes is not one of {_SOCKET.size}")
    family, state, local, remote, interface, cookie, uid, inode = _SOCKET.unpack_from(data, start)
    local_port, remote_port = _PORTS.unpack_from(data, start + 4)
    if not 0 < state < len(STATES):
        raise MalformedInput(f"netlink: {state} is no state of a socket")
    if family == 2:
        local, remote = local[:4], remote[:4]
    elif family == 10:
        if local[:12] == _MAPPED or remote[:12] == _MAPPED:
            local, remote = _plain(local), _plain(remote)
    else:
        raise MalformedInput(f"netlink: {family} is no family of addresses")
    cgroup = received = sent = retransmitted = rtt = None
    while at < end:
        if end - at < ATTRIBUTE.size:
            raise MalformedInput(f"netlink: an attribute of {end - at} bytes")
        length, kind = ATTRIBUTE.unpack_from(data, at)
        if not ATTRIBUTE.size <= length <= end - at:
            raise MalformedInput(f"netlink: an attribute of {length} bytes does not fit {end - at}")
        kind &= NLA_TYPE_MASK
        if kind == _INFO and state != LISTEN:
            # Of one that listens the fields mean something else.
            received, sent, retransmitted, rtt = _info(data, at + 4, length - 4)
        elif kind == _CGROUP and length == 12:
            cgroup = _WORD.unpack_from(data, at + 4)[0]
        at += (length + 3) & ~3
    return DiagSocket(
        *(family, state, local, local_port, remote, remote_port, interface, cookie, uid, inode),
        *(cgroup, received, sent, retransmitted, rtt),
    )


def _info(data: bytes, at: int, length: int) -> tuple[int | None, int | None, int | None, int | None]:
    """Returns bytes received, sent and sent again, and the round trip time, of a struct tcp_info of any length."""
    received = sent = retransmitted = rtt = None
    if length >= _TCP_INFO.size:
        rtt, _, received, sent, retransmitted = _TCP_INFO.unpack_from(data, at)
    elif length >= _TCP_INFO_ACKED.size:
        rtt, sent, received = _TCP_INFO_ACKED.unpack_from(data, at)
    if max(received or 0, sent or 0, retransmitted or 0) >> 63:
        raise MalformedInput("netlink: a socket counts more bytes than there can be")
    return received, sent, retransmitted, rtt


def _plain(address: bytes) -> bytes:
    """Returns the IPv4 address in an IPv6 one; the unspecified one stays one of its kind."""
    return address[12:] if address[:12] in (_MAPPED, bytes(12)) else address
