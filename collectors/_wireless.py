"""Wireless interfaces: the signal of the link and the network's name, by nl80211, or by /proc/net/wireless.

nl80211 is asked by generic netlink, which needs no rights. The numbers are those of the kernel's
include/uapi/linux/nl80211.h and genetlink.h.
"""

from __future__ import annotations

import socket
import struct
from typing import NamedTuple

from collectors._netlink import (
    NLM_F_DUMP,
    NLM_F_REQUEST,
    NLMSG_DONE,
    NLMSG_ERROR,
    attribute,
    attributes,
    message,
    messages,
)
from collectors.base import malformed
from sysmon.frame import clean_text

NETLINK_GENERIC = 16
GENL_ID_CTRL = 16
CTRL_CMD_GETFAMILY = 3
CTRL_ATTR_FAMILY_ID, CTRL_ATTR_FAMILY_NAME = 1, 2
NL80211_CMD_GET_INTERFACE, NL80211_CMD_GET_STATION = 5, 17
NL80211_ATTR_IFINDEX, NL80211_ATTR_IFTYPE, NL80211_ATTR_STA_INFO, NL80211_ATTR_SSID = 3, 5, 21, 52
NL80211_STA_INFO_SIGNAL = 7
NL80211_IFTYPE_STATION = 2

_GENERIC = struct.Struct("=BBH")
_SECONDS = 0.2
_MOST = 1 << 20
"""Bytes of one answer at most."""


class Link(NamedTuple):
    """A wireless link. `signal`: dBm, None where the driver tells none; `network`: SSID or ''."""

    signal: float | None
    network: str = ""


def parse_wireless(content: str, path: str = "/proc/net/wireless") -> dict[str, Link]:
    """Parses /proc/net/wireless: interface -> its link, of interfaces that have one.

    Only levels that the driver gives in dBm (below 0) are a signal; others are of a scale of its own.

    Raises:
        MalformedInput: a line with too few fields or without numbers.

    Source: wireless_seq_printf_stats in the kernel's net/wireless/wext-proc.c.
    """
    found = {}
    for index, line in enumerate(content.splitlines(), start=1):
        name, colon, rest = line.rpartition(":")
        if not colon or index <= 2:
            continue
        fields = rest.split()
        try:
            level = float(fields[2].rstrip("."))
        except (IndexError, ValueError):
            raise malformed(path, index, line, "an interface with status, quality and level") from None
        found[name.strip()] = Link(level if -200 < level < 0 else None)
    return found


def request(family: int, command: int, sequence: int, given: tuple[int, bytes] | None, *, dump: bool) -> bytes:
    """Builds a generic netlink request with at most one attribute."""
    body = _GENERIC.pack(command, 1, 0)
    if given is not None:
        body += attribute(*given)
    return message(family, NLM_F_REQUEST | (NLM_F_DUMP if dump else 0), sequence, body)


def station_interfaces(answer: bytes) -> dict[int, str]:
    """Reads an answer to GET_INTERFACE: index -> SSID or '', of interfaces that are clients of an access point."""
    found = {}
    for _, payload in messages(answer):
        held = dict(attributes(payload[_GENERIC.size :]))
        index, kind = (_number(held.get(each)) for each in (NL80211_ATTR_IFINDEX, NL80211_ATTR_IFTYPE))
        if index is not None and kind == NL80211_IFTYPE_STATION:
            ssid = held.get(NL80211_ATTR_SSID, b"")
            found[index] = clean_text(ssid[:32].decode("utf-8", "replace"), 64)
    return found


def station_signal(answer: bytes) -> float | None:
    """Reads an answer to GET_STATION: dBm of the access point, None where there is none."""
    for _, payload in messages(answer):
        info = dict(attributes(payload[_GENERIC.size :])).get(NL80211_ATTR_STA_INFO)
        level = None if info is None else dict(attributes(info)).get(NL80211_STA_INFO_SIGNAL)
        if level:
            return float(struct.unpack("b", level[:1])[0])
    return None


def _number(value: bytes | None) -> int | None:
    return struct.unpack("=I", value)[0] if value is not None and len(value) == 4 else None


class Wireless:
    """Asks the running kernel for wireless links."""

    def __init__(self) -> None:
        self._family: int | None = None
        self._sequence = 0

    def read(self) -> dict[int, Link]:
        """Returns index of the interface -> its link; empty where there is none or the kernel does not tell."""
        try:
            with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, NETLINK_GENERIC) as handle:
                handle.settimeout(_SECONDS)
                handle.bind((0, 0))
                if self._family is None:
                    self._family = self._resolve(handle)
                if self._family is None:
                    return {}
                held = station_interfaces(self._ask(handle, self._family, NL80211_CMD_GET_INTERFACE, None))
                return {
                    index: Link(
                        station_signal(
                            self._ask(
                                handle,
                                self._family,
                                NL80211_CMD_GET_STATION,
                                (NL80211_ATTR_IFINDEX, struct.pack("=I", index)),
                            )
                        ),
                        network,
                    )
                    for index, network in held.items()
                }
        except OSError:
            return {}

    def _resolve(self, handle: socket.socket) -> int | None:
        name = (CTRL_ATTR_FAMILY_NAME, b"nl80211\0")
        answer = self._ask(handle, GENL_ID_CTRL, CTRL_CMD_GETFAMILY, name, dump=False)
        for _, payload in messages(answer):
            family = dict(attributes(payload[_GENERIC.size :])).get(CTRL_ATTR_FAMILY_ID)
            if family is not None and len(family) == 2:
                return int(struct.unpack("=H", family)[0])
        return None

    def _ask(
        self,
        handle: socket.socket,
        family: int,
        command: int,
        given: tuple[int, bytes] | None,
        *,
        dump: bool = True,
    ) -> bytes:
        """Sends a request; returns the messages of its answer, none where the kernel refuses."""
        self._sequence += 1
        handle.send(request(family, command, self._sequence, given, dump=dump))
        found = b""
        while len(found) < _MOST:
            piece = handle.recv(1 << 16)
            kinds = [kind for kind, _ in messages(piece)]
            if NLMSG_ERROR in kinds:
                return b""
            found += piece
            if not kinds or NLMSG_DONE in kinds or not dump:
                break
        return found
