"""Sockets by state: from the kernel's socket diagnostics, else from /proc/net; totals from /proc/net/sockstat.

On a host with very many connections only the rarer states are asked for; the common two are known from the totals, so
that the cost stays bounded.
"""

from __future__ import annotations

import os
import socket
import struct
from typing import TYPE_CHECKING

from collectors.base import Collector, Reading, malformed, read_bytes, read_text
from sysmon.catalogue import gauge
from sysmon.errors import CollectorError, MalformedInput, NoData
from sysmon.frame import Number, join_key

if TYPE_CHECKING:
    from collections.abc import Iterator

MANY = 20_000
"""TCP sockets above which the states established and time_wait are taken from the totals alone."""

STATES = (
    *("established", "syn_sent", "syn_recv", "fin_wait1", "fin_wait2", "time_wait"),
    *("close", "close_wait", "last_ack", "listen", "closing"),
)
"""TCP states in the kernel's numbering, from 1 (include/net/tcp_states.h)."""

_ALL = (1 << len(STATES) + 1) - 2
_RARE = _ALL & ~(1 << 1 | 1 << 6)
_NEW_SYN_RECV = 12
_SOCK_DIAG_BY_FAMILY = 20
_NETLINK_SOCK_DIAG = 4
_ERROR, _DONE = 2, 3
_REQUEST_DUMP = 0x301
_BUFFER = 1 << 16
_TIMEOUT = 2.0


def parse_messages(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Splits a netlink datagram into (type, payload).

    Raises:
        MalformedInput: a message is longer than the datagram, or shorter than its header.

    Source: netlink(7).
    """
    offset = 0
    while offset < len(data):
        if len(data) - offset < 16:
            raise MalformedInput(f"netlink: a header of {len(data) - offset} bytes is not one of 16")
        length, kind = struct.unpack_from("=IH", data, offset)
        if not 16 <= length <= len(data) - offset:
            raise MalformedInput(f"netlink: a message of {length} bytes does not fit {len(data) - offset}")
        yield kind, data[offset + 16 : offset + length]
        offset += (length + 3) & ~3


def count_states(data: bytes, counts: dict[int, int]) -> bool:
    """Adds the states of one datagram of an inet_diag dump to `counts`.

    Returns:
        Whether the dump is complete.

    Raises:
        MalformedInput: not such a datagram. OSError: the kernel refused.

    Source: sock_diag(7): struct inet_diag_msg begins with family and state.
    """
    for kind, payload in parse_messages(data):
        if kind == _DONE:
            return True
        if kind == _ERROR:
            code = -struct.unpack_from("=i", payload)[0] if len(payload) >= 4 else 0
            raise OSError(code, os.strerror(code) if code >= 0 else "unknown error")
        if len(payload) < 2:
            raise MalformedInput(f"netlink: a socket of {len(payload)} bytes")
        state = payload[1]
        counts[state] = counts.get(state, 0) + 1
    return False


def dump_states(states: int = _ALL) -> dict[int, int]:
    """Asks the kernel for its TCP sockets in any of `states` (a bit mask) and counts them by state.

    Raises:
        OSError: it knows no socket diagnostics, or does not answer. MalformedInput: it answers nonsense.
    """
    counts: dict[int, int] = {}
    with socket.socket(getattr(socket, "AF_NETLINK", 16), socket.SOCK_RAW, _NETLINK_SOCK_DIAG) as link:
        link.settimeout(_TIMEOUT)
        for sequence, family in enumerate((socket.AF_INET, socket.AF_INET6), start=1):
            # struct nlmsghdr, then struct inet_diag_req_v2: family, protocol, extensions, padding, states, socket id
            body = struct.pack("=BBBBI48x", family, socket.IPPROTO_TCP, 0, 0, states)
            link.send(struct.pack("=IHHII", 16 + len(body), _SOCK_DIAG_BY_FAMILY, _REQUEST_DUMP, sequence, 0) + body)
            while not count_states(link.recv(_BUFFER), counts):
                pass
    return counts


def parse_net_tcp(text: str, path: str = "/proc/net/tcp") -> dict[int, int]:
    """Parses /proc/net/tcp or tcp6 into sockets by number of their state.

    Raises:
        MalformedInput: a line without a state.

    Source: proc(5).
    """
    counts: dict[int, int] = {}
    for number, line in enumerate(text.splitlines()[1:], start=2):
        fields = line.split(None, 4)
        if not fields:
            continue
        try:
            state = int(fields[3], 16)
        except (IndexError, ValueError):
            raise malformed(path, number, line, "a socket with its state") from None
        counts[state] = counts.get(state, 0) + 1
    return counts


def parse_sockstat(text: str, path: str = "/proc/net/sockstat") -> dict[str, int]:
    """Parses /proc/net/sockstat or sockstat6 into `PROTOCOL.item` -> number, such as `TCP.tw`; memory is in pages.

    Raises:
        MalformedInput: a line that is not `PROTOCOL: item number …`.

    Source: proc(5).
    """
    found: dict[str, int] = {}
    for number, line in enumerate(text.splitlines(), start=1):
        protocol, colon, rest = line.partition(":")
        items = rest.split()
        if not line.strip():
            continue
        try:
            if not colon or len(items) % 2:
                raise ValueError
            for name, value in zip(items[::2], items[1::2], strict=True):
                found[f"{protocol}.{name}"] = int(value)
        except ValueError:
            raise malformed(path, number, line, "a protocol with its counts") from None
    return found


def name_states(counts: dict[int, int]) -> dict[str, int]:
    """Names counted states; every state is there, 0 where no socket is in it, so that a series does not come and go."""
    named = dict.fromkeys(STATES, 0)
    for state, count in counts.items():
        # Half-open connections have a number of their own inside the kernel.
        index = 2 if state == _NEW_SYN_RECV else state - 1
        if 0 <= index < len(STATES):
            named[STATES[index]] += count
    return named


class Sockets(Collector):
    """Reads how many sockets there are, of TCP by state."""

    name = "sockets"
    help = "TCP sockets by state, UDP sockets, and memory of TCP"
    interval = 5.0
    blocking = True
    metrics = (
        gauge("sockets.used", "", "Sockets of all kinds", "/proc/net/sockstat"),
        gauge("sockets.tcp", "", "TCP sockets in a state", "sock_diag(7), else /proc/net/tcp, tcp6", instance="state"),
        gauge("sockets.tcp.orphan", "", "TCP sockets that no process holds any more", "/proc/net/sockstat"),
        gauge("sockets.tcp.memory", "bytes", "Memory of the kernel in TCP buffers", "/proc/net/sockstat"),
        gauge("sockets.udp", "", "UDP sockets", "/proc/net/sockstat, sockstat6"),
    )

    def read(self) -> Reading:
        """Reads once.

        Raises:
            NoData: the kernel has no network files.
        """
        reading = Reading()
        totals: dict[str, int] = {}
        for name in ("sockstat", "sockstat6"):
            path = self.roots.proc / "net" / name
            try:
                totals |= parse_sockstat(read_text(path), str(path))
            except NoData as error:
                # Without IPv6 there is no sockstat6.
                if name == "sockstat":
                    reading.faults.append(self.fault(error))
            except (CollectorError, MalformedInput) as error:
                reading.faults.append(self.fault(error))
        reading.values |= _from_totals(totals, self.roots.page_size)
        try:
            states = self._states(totals)
        except (CollectorError, MalformedInput) as error:
            reading.faults.append(self.fault(error))
        else:
            reading.values |= {join_key("sockets.tcp", state): count for state, count in states.items()}
        if not reading.values and reading.faults and all(fault.kind == "no_data" for fault in reading.faults):
            raise NoData(f"{self.roots.proc}/net shows no sockets")
        return reading

    def _states(self, totals: dict[str, int]) -> dict[str, int]:
        """Counts TCP sockets by state, at a bounded cost."""
        total = totals.get("TCP.inuse", 0) + totals.get("TCP6.inuse", 0)
        waiting = totals.get("TCP.tw", 0)
        many = total + waiting > MANY
        if self.roots.live:
            try:
                named = name_states(dump_states(_RARE if many else _ALL))
            except (OSError, MalformedInput):
                if many:
                    return {"time_wait": waiting}
            else:
                if many:
                    named["time_wait"] = waiting
                    # Half-open connections are not among those in use.
                    named["established"] = max(0, total - sum(named.values()) + waiting + named["syn_recv"])
                return named
        counts: dict[int, int] = {}
        missing = 0
        for name in ("tcp", "tcp6"):
            path = self.roots.proc / "net" / name
            try:
                text = read_bytes(path).decode("ascii", "replace")
            except NoData:
                missing += 1
                continue
            for state, count in parse_net_tcp(text, str(path)).items():
                counts[state] = counts.get(state, 0) + count
        if missing == 2:
            if many or (not self.roots.live and "TCP.tw" in totals):
                return {"time_wait": waiting}  # whoever captured the files spared the long ones
            raise NoData(f"{self.roots.proc}/net/tcp does not exist")
        return name_states(counts)


def _from_totals(totals: dict[str, int], page_size: int) -> dict[str, Number]:
    values: dict[str, Number] = {}
    for key, item, factor in (
        ("sockets.used", "sockets.used", 1),
        ("sockets.tcp.orphan", "TCP.orphan", 1),
        ("sockets.tcp.memory", "TCP.mem", page_size),
    ):
        if item in totals:
            values[key] = totals[item] * factor
    if "UDP.inuse" in totals:
        values["sockets.udp"] = totals["UDP.inuse"] + totals.get("UDP6.inuse", 0)
    return values


COLLECTOR = Sockets
