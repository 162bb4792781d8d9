"""nlbwmon: what `nlbw -c json` prints, what its exit statuses mean, and its rows as counters of devices.

Its counters are bytes of IP packets (layer 3) since the counting period began, of what went through the router; what
devices of the LAN send each other is not in them. Received is what the device downloaded.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from collectors._router.lan import address_of, mac_of, single
from sysmon.errors import CollectorError, MalformedInput, NoData, Unsupported
from sysmon.frame import ServiceRow, clean_text

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from collectors._router.lan import Lan

MAX_ROWS = 100_000
"""Rows of one answer at most; nlbwmon keeps 10,000 unless it is told to keep more."""

TOP_SERVICES = 12
"""Services kept of a device."""

RESTORED_WITHIN = 600.0
"""Seconds between two looks within which most rows cannot come back in a new period."""

DOWN = 247
"""Status of `nlbw` where nobody answers at nlbwmon's socket."""

MAX_HELD = 10_000
"""Devices remembered of one router at most."""

_LARGEST = 1 << 62
_ZERO = "00:00:00:00:00:00"


class Sums(NamedTuple):
    """Counters of one device or row: bytes received and sent by it, and its connections."""

    received: int
    sent: int
    connections: int


class Row(NamedTuple):
    """One row of `nlbw`: MAC ('' where not known), address ('' where it is none), counters."""

    mac: str
    address: str
    sums: Sums


class ServiceUse(NamedTuple):
    """One row of services: who, which service, counters."""

    mac: str
    name: str
    sums: Sums


class _Answer(msgspec.Struct):
    columns: list[str]
    data: list[list[object]]


_decoder = msgspec.json.Decoder(_Answer)


def parse_nlbw(text: str) -> list[Row]:
    """Parses the answer of `nlbw -c json -g family,mac,ip`.

    Columns are found by their names, in whatever order they come; others are ignored.

    Returns:
        The rows, in the order given; of a group's MAC (multicast) none.

    Raises:
        MalformedInput: no JSON of this form; a column is missing; a row is not of the form that its columns name.
    """
    columns, data = _table(text, "nlbw", ("mac", "ip", "conns", "rx_bytes", "tx_bytes"))
    mac_at, ip_at, *counters_at = columns
    macs: dict[object, str | None] = {}
    rows = []
    for index, row in enumerate(data):
        try:
            given, ip = row[mac_at], row[ip_at]
            if given in macs:
                mac = macs[given]
            else:
                mac = macs[given] = _mac(given)
            if mac is None:
                continue
            if not isinstance(ip, str):
                raise ValueError
            rows.append(Row(sys.intern(mac), address_of(ip), _sums(row, counters_at)))
        except (IndexError, TypeError, ValueError):
            raise _bad("nlbw", index, row) from None
    return rows


def parse_services(text: str) -> list[ServiceUse]:
    """Parses the answer of `nlbw -c json -g mac,layer7`; rows whose MAC is not known can be put to nobody.

    Raises:
        MalformedInput: as `parse_nlbw`.
    """
    wanted = ("mac", "proto", "port", "layer7", "conns", "rx_bytes", "tx_bytes")
    columns, data = _table(text, "nlbw", wanted)
    mac_at, protocol_at, port_at, layer7_at, *counters_at = columns
    rows = []
    for index, row in enumerate(data):
        try:
            mac = _mac(row[mac_at])
            protocol, port, layer7 = row[protocol_at], row[port_at], row[layer7_at]
            if not isinstance(protocol, str) or type(port) is not int or not isinstance(layer7, str | None):
                raise ValueError
            name = layer7 or (f"{protocol}/{port}" if port else protocol)
            if mac:
                rows.append(ServiceUse(mac, clean_text(name, 40), _sums(row, counters_at)))
        except (IndexError, TypeError, ValueError):
            raise _bad("nlbw", index, row) from None
    return rows


def services_of(uses: Iterable[ServiceUse]) -> dict[str, list[ServiceRow]]:
    """Returns the largest services of each device, by MAC."""
    found: dict[str, dict[str, Sums]] = {}
    for mac, name, sums in uses:
        mine = found.setdefault(mac, {})
        mine[name] = plus(mine[name], sums) if name in mine else sums
    return {
        mac: [
            ServiceRow(name, *sums)
            for name, sums in sorted(mine.items(), key=lambda each: (-each[1].received - each[1].sent, each[0]))
        ][:TOP_SERVICES]
        for mac, mine in found.items()
    }


def failure(status: int, said: str) -> CollectorError | None:
    """Returns what an exit status of `nlbw` means, in words; None for 0.

    Args:
        status: of the command; nlbw returns errno values negated, modulo 256.
        said: the beginning of what it wrote to stderr.
    """
    words = clean_text(" ".join(said.split()), 160)
    if status == 0:
        return None
    if status in (126, 127):
        return Unsupported("nlbwmon is not installed on the router", "there: opkg install nlbwmon, or apk add nlbwmon")
    if status == DOWN:
        return NoData(
            "nlbwmon does not run on the router", "there: service nlbwmon enable; service nlbwmon start; see logread"
        )
    if status == 195:
        return NoData("nlbwmon has no data of the present period", "it has some once something goes through the router")
    if status == 1:
        told = f": {words}" if words else ""
        return CollectorError(f"nlbw does not take what it is asked{told}", "update nlbwmon on the router")
    return CollectorError(f"nlbw ended with status {status}{f': {words}' if words else ''}")


def _table(text: str, what: str, wanted: tuple[str, ...]) -> tuple[list[int], list[list[object]]]:
    if not text.strip():
        raise MalformedInput(f"{what} printed nothing")
    try:
        answer = _decoder.decode(text.encode("utf-8", "replace"))
    except (msgspec.DecodeError, RecursionError) as error:
        cut = " (it is cut off)" if not text.rstrip().endswith("}") else ""
        shown = clean_text(text[:40])
        raise MalformedInput(f"what {what} printed is not its JSON{cut}: {error}: '{shown}'") from None
    places = {name: index for index, name in reversed(list(enumerate(answer.columns)))}
    missing = [name for name in wanted if name not in places]
    if missing:
        raise MalformedInput(f"{what} gives no column {', '.join(missing)}", "this nlbwmon is not one sysmon knows")
    if len(answer.data) > MAX_ROWS:
        raise MalformedInput(f"{what} gives {len(answer.data)} rows, more than {MAX_ROWS}")
    return [places[name] for name in wanted], answer.data


def _mac(given: object) -> str | None:
    """Returns a MAC, '' for the one that stands for none known, None for a group's."""
    if not isinstance(given, str):
        raise ValueError
    mac = mac_of(given)
    if mac or given == _ZERO or not given:
        return mac
    if int(given[1:2], 16) & 1:
        return None
    raise ValueError


def _sums(row: list[object], places: list[int]) -> Sums:
    connections, received, sent = row[places[0]], row[places[1]], row[places[2]]
    if not type(connections) is type(received) is type(sent) is int:
        raise ValueError
    if min(connections, received, sent) < 0 or max(connections, received, sent) > _LARGEST:
        raise ValueError
    return Sums(received, sent, connections)


def _bad(what: str, index: int, row: object) -> MalformedInput:
    return MalformedInput(f"row {index + 1} of {what} is not of its form: '{clean_text(str(row)[:80])}'")


def plus(one: Sums, other: Sums) -> Sums:
    """Returns both together."""
    return Sums(one[0] + other[0], one[1] + other[1], one[2] + other[2])


def forget(held: dict[str, Sums], present: Collection[str]) -> None:
    """Lets go of what is held beyond `MAX_HELD` devices, the oldest first, and at last of those that are present."""
    if len(held) > MAX_HELD:
        gone = sorted(held, key=lambda key: key in present)
        for key in gone[: len(held) - MAX_HELD]:
            del held[key]


def key_of(row: Row, lan: Lan) -> str:
    """Returns the device that a row belongs to: its MAC, else its address; '' for the router itself and outsiders."""
    if row.mac:
        return "" if row.mac in lan.macs or (row.address and row.address in lan.own) else row.mac
    return row.address if row.address and single(row.address) and lan.routed(row.address) else ""


class Counters:
    """The rows of nlbwmon as counters of devices that fall only when a counting period begins.

    nlbwmon lets go of rows: of the oldest where it has too many, and of what it had not saved when it was killed. What
    such a row had counted is kept here, so that the device's counter goes on from there. A new period (or a database
    that was removed) shows as a fall of all of it together to less than half; then the counters are the new values.
    """

    def __init__(self) -> None:
        self._rows: dict[tuple[str, str], Sums] = {}
        self._kept: dict[str, Sums] = {}
        self._at = 0.0

    def take(self, rows: Iterable[Row], lan: Lan, at: float) -> tuple[dict[str, Sums], bool]:
        """Takes one answer.

        Args:
            rows: of `parse_nlbw`.
            lan: tells which are the router's own.
            at: seconds, of a clock that does not jump.

        Returns:
            Counters by device, and whether a period has begun since the last answer.
        """
        now: dict[tuple[str, str], Sums] = {}
        for row in rows:
            key = key_of(row, lan)
            if key:
                place = (key, row.address)
                now[place] = plus(now[place], row.sums) if place in now else row.sums
        before, self._rows = self._rows, now
        since, self._at = at - self._at, at
        old = sum(each[0] + each[1] for each in before.values())
        fell = 2 * sum(each[0] + each[1] for each in now.values()) < old
        restored = (
            since < RESTORED_WITHIN and len(before) >= 10 and 5 * sum(each in now for each in before) >= 4 * len(before)
        )
        begun = fell and not restored
        if begun:
            self._kept = {}
        else:
            for place, last in before.items():
                self._keep(place[0], last, now.get(place), restored=fell)
            forget(self._kept, {key for key, _ in now})
        sums = dict(self._kept)
        for (key, _), each in now.items():
            sums[key] = plus(sums[key], each) if key in sums else each
        return sums, begun

    def _keep(self, key: str, last: Sums, now: Sums | None, *, restored: bool) -> None:
        if now is None:
            lost = last
        elif now[0] >= last[0] and now[1] >= last[1] and now[2] >= last[2]:
            return
        elif restored or 2 * (now[0] + now[1]) >= last[0] + last[1]:
            # An older state of the same row: what is counted from here on goes on from what it had reached.
            lost = Sums(*(max(0, old - new) for old, new in zip(last, now, strict=True)))
        else:
            lost = last
        self._kept[key] = plus(self._kept[key], lost) if key in self._kept else lost
