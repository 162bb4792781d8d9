"""Wireless links: answers of nl80211 as the kernel packs them, and /proc/net/wireless."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collectors._netlink import attributes, messages
from collectors._wireless import (
    Link,
    Wireless,
    parse_wireless,
    request,
    station_interfaces,
    station_signal,
)
from sysmon.errors import MalformedInput

PROC = """Inter-| sta-|   Quality        |   Discarded packets               | Missed | WE
 face | tus | link level noise |  nwid  crypt   frag  retry   misc | beacon | 22
 wlan0: 0000   54.  -56.  -256        0      0      0      0      0        0
 wlan1: 0000   54.   70.  -256        0      0      0      0      0        0
"""


def attribute(kind: int, value: bytes) -> bytes:
    return struct.pack("=HH", 4 + len(value), kind) + value + b"\0" * (-len(value) % 4)


def message(command: int, *parts: bytes) -> bytes:
    body = struct.pack("=BBH", command, 1, 0) + b"".join(parts)
    return struct.pack("=IHHII", 16 + len(body), 0x1C, 2, 1, 0) + body


def number(value: int) -> bytes:
    return struct.pack("=I", value)


def test_levels_in_dbm_are_signals_and_others_are_of_their_own_scale() -> None:
    assert parse_wireless(PROC) == {"wlan0": Link(-56.0), "wlan1": Link(None)}
    assert parse_wireless("\n".join(PROC.splitlines()[:2])) == {}


def test_a_line_without_a_level_is_named() -> None:
    with pytest.raises(MalformedInput, match=r"/proc/net/wireless:3: .*wlan0: 0000"):
        parse_wireless("\n".join([*PROC.splitlines()[:2], " wlan0: 0000 54."]))


def test_only_clients_of_an_access_point_have_a_link() -> None:
    answer = message(5, attribute(3, number(4)), attribute(5, number(2)), attribute(52, "caf\u00e9\x1b[31m".encode()))
    answer += message(5, attribute(3, number(5)), attribute(5, number(3)), attribute(52, b"an access point"))
    answer += message(5, attribute(3, number(6)), attribute(5, number(2)))
    assert station_interfaces(answer) == {4: "caf\u00e9\ufffd[31m", 6: ""}


def test_the_signal_is_a_signed_byte_in_nested_attributes() -> None:
    info = attribute(1, number(30)) + attribute(7, struct.pack("b", -61)) + attribute(8 | 0x8000, attribute(5, b"\1\2"))
    assert station_signal(message(19, attribute(3, number(4)), attribute(21 | 0x8000, info))) == -61.0
    assert station_signal(message(19, attribute(3, number(4)))) is None
    assert station_signal(b"") is None


@given(st.binary(max_size=200))
def test_nothing_that_comes_breaks_the_readers(noise: bytes) -> None:
    list(messages(noise))
    list(attributes(noise))
    station_interfaces(noise)
    station_signal(noise)


@given(st.binary(min_size=1, max_size=40), st.integers(0, 0xFF))
def test_what_is_asked_reads_back(value: bytes, command: int) -> None:
    [(kind, payload)] = messages(request(28, command, 7, (52, value), dump=True))
    assert kind == 28
    assert payload[0] == command
    assert list(attributes(payload[4:])) == [(52, value)]


def test_a_kernel_without_wireless_links_answers_nothing() -> None:
    found = Wireless().read()
    assert all(link.signal is None or -200 < link.signal < 0 for link in found.values())
