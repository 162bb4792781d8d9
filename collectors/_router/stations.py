"""Wi-Fi clients of a router's access points, by hostapd: signal, and bytes where nothing better counts them.

Bytes are those of layer 2 in the air, also to other devices of the LAN. What the access point receives, the client
sent. They begin anew with each association.
"""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from collectors._router.lan import mac_of
from sysmon.errors import MalformedInput
from sysmon.frame import clean_text

MAX_STATIONS = 5_000
"""Clients taken at most."""

_LARGEST = 1 << 62


class Station(NamedTuple):
    """One Wi-Fi client.

    Attributes:
        point: the access point's name, as of ubus.
        network: SSID, or the interface where that is not told.
        signal: dBm, None where not told.
        received, sent: bytes of the client; None where not told.
    """

    point: str
    mac: str
    network: str
    signal: float | None
    received: int | None
    sent: int | None


class _Bytes(msgspec.Struct):
    rx: int = -1
    tx: int = -1


class _Client(msgspec.Struct):
    signal: int | None = None
    bytes: _Bytes | None = None


class _Clients(msgspec.Struct):
    clients: dict[str, _Client] = {}


class _Status(msgspec.Struct):
    ssid: str = ""


_clients = msgspec.json.Decoder(_Clients)
_status = msgspec.json.Decoder(_Status)


def parse_stations(text: str) -> list[Station]:
    """Parses what hostapd tells of its clients and of itself.

    Args:
        text: answers of `ubus call hostapd.IF get_clients` and `get_status`, each behind a line `@clients hostapd.IF`
            or `@status hostapd.IF`.

    Raises:
        MalformedInput: an answer that is there is no JSON of its form.
    """
    names: dict[str, str] = {}
    found: list[tuple[str, str, _Client]] = []
    for kind, point, answer in _parts(text):
        if not answer.strip():
            continue
        try:
            if kind == "status":
                names[point] = _status.decode(answer.encode("utf-8", "replace")).ssid
            else:
                told = _clients.decode(answer.encode("utf-8", "replace")).clients
                found += [(point, mac, client) for given, client in told.items() if (mac := mac_of(given))]
        except (msgspec.DecodeError, RecursionError) as error:
            raise MalformedInput(f"what {clean_text(point, 60)} tells is not its JSON: {error}") from None
    stations = []
    for point, mac, client in found[:MAX_STATIONS]:
        counted = client.bytes is not None and 0 <= client.bytes.rx < _LARGEST and 0 <= client.bytes.tx < _LARGEST
        received, sent = (client.bytes.tx, client.bytes.rx) if counted and client.bytes is not None else (None, None)
        signal = float(client.signal) if client.signal is not None and -120 <= client.signal < 0 else None
        network = clean_text(names.get(point) or point.removeprefix("hostapd."), 64)
        stations.append(Station(point, mac, network, signal, received, sent))
    return stations


def _parts(text: str) -> list[tuple[str, str, str]]:
    parts: list[tuple[str, str, list[str]]] = []
    for line in text.splitlines():
        if line.startswith(("@clients ", "@status ")):
            kind, _, point = line[1:].partition(" ")
            parts.append((kind, point, []))
        elif parts:
            parts[-1][2].append(line)
    return [(kind, point, "\n".join(lines)) for kind, point, lines in parts]
