"""The devices of a router's LAN: each as last seen, with when it first and last was there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from sysmon.frame import DeviceRow, clean_instance, clean_text
from sysmon.records import KnownDevice

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Sequence

MOST: Final = 5_000
"""Devices kept of one host at most; beyond it those unseen for the longest time go."""
EVERY: Final = 300_000
"""Milliseconds between writes of a device of which only what changes all the time has changed."""
MAX_TEXT: Final = 255
"""Characters of a text of a row at most."""
MAX_ADDRESSES: Final = 32
"""Addresses of a device at most."""
MAX_SERVICES: Final = 20
"""Services of a device at most: the largest."""
SCHEMA: Final = 2
"""The file's version from which on it has devices."""

_DECODER = msgspec.msgpack.Decoder(DeviceRow)
_KEPT = ("mac", "addresses", "name", "vendor", "category", "source", "layer", "network", "signal", "services")
"""What stays as it was where a look does not tell it: a lease that ended does not unname its device."""


class _Known:
    """A device as the writer knows it; `seen`: of the row, `written`: the clock of its last write, 0 for an earlier
    process's.
    """

    __slots__ = ("first", "last", "pending", "row", "seen", "written")

    def __init__(self, row: DeviceRow, first: int, last: int) -> None:
        self.row = row
        self.first = first
        self.last = last
        self.seen = last
        self.written = 0
        self.pending = False


class Devices:
    """Keeps devices, in the caller's transaction. What is known is read once per host and then remembered; after a
    transaction that was rolled back it must be made anew.
    """

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._hosts: dict[int, dict[str, _Known]] = {}

    def take(self, host: int, rows: Iterable[DeviceRow], time: int, now: int) -> None:
        """Keeps who was seen at a moment.

        A device is written when something about it changed; its signal, services and when it was last there at most
        every five minutes.

        Args:
            host: number of the router.
            rows: as it told them; at most `MOST` of them count, those online first.
            time: of the look, Unix milliseconds. One earlier than what is known only tells of new devices.
            now: milliseconds of any clock that goes on.
        """
        known = self._hosts.get(host)
        if known is None:
            known = self._hosts[host] = self._load(host)
        chosen = list(rows)
        if len(chosen) > MOST:
            chosen = sorted(chosen, key=lambda row: not row.online)[:MOST]
        due = []
        for row in chosen:
            row = cleaned(row)
            if row.key and self._seen(known, row, time, now):
                due.append(row.key)
        due += [key for key, each in known.items() if each.pending and now - each.written >= EVERY]
        if len(known) > MOST:
            self._forget(host, known)
        for key in due:
            if key in known:
                self._write(host, key, known[key], now)

    def _seen(self, known: dict[str, _Known], row: DeviceRow, time: int, now: int) -> bool:
        """Takes one row; returns whether it is to be written now."""
        old = known.get(row.key)
        if old is None:
            known[row.key] = _Known(row, time, time)
            return True
        earlier = time < old.first
        old.first = min(old.first, time)
        if time < old.seen:
            return earlier
        old.seen = time
        if row.online and time > old.last:
            old.last = time
            old.pending = True
        merged = _merged(old.row, row)
        if merged == old.row:
            return earlier
        old.pending = True
        told = _lasting(merged) != _lasting(old.row)
        old.row = merged
        return earlier or told

    def _load(self, host: int) -> dict[str, _Known]:
        return {
            key: _Known(_row(key, body), first, last)
            for key, first, last, body in self._connection.execute(
                "SELECT key, first, last, body FROM device WHERE host = ?", (host,)
            )
        }

    def _write(self, host: int, key: str, each: _Known, now: int) -> None:
        each.pending = False
        each.written = now
        self._connection.execute(
            "INSERT OR REPLACE INTO device(host, key, first, last, body) VALUES (?, ?, ?, ?, ?)",
            (host, key, each.first, each.last, msgspec.msgpack.encode(each.row)),
        )

    def _forget(self, host: int, known: dict[str, _Known]) -> None:
        """Lets go of those unseen for the longest time."""
        gone = sorted(known, key=lambda key: known[key].last)[: len(known) - MOST]
        for key in gone:
            del known[key]
        self._connection.executemany("DELETE FROM device WHERE host = ? AND key = ?", [(host, key) for key in gone])


def _row(key: str, body: bytes) -> DeviceRow:
    """Returns what was kept of a device; of one whose row is damaged, that it is one: the next look tells it anew."""
    try:
        return _DECODER.decode(body)
    except msgspec.DecodeError:
        return DeviceRow(key=key)


def known_devices(connection: sqlite3.Connection, host: str) -> list[KnownDevice]:
    """Returns the devices ever seen behind a router, those seen last first, with what users call them."""
    return [
        KnownDevice(
            host=host,
            key=key,
            row=_row(key, body),
            first=first,
            last=last,
            alias=alias or "",
            category=category or "",
        )
        for key, first, last, body, alias, category in connection.execute(
            "SELECT d.key, d.first, d.last, d.body, n.alias, n.category"
            " FROM host AS h JOIN device AS d ON d.host = h.id"
            " LEFT JOIN device_note AS n ON n.host = h.host AND n.key = d.key"
            " WHERE h.host = ? ORDER BY d.last DESC, d.key",
            (host,),
        )
    ]


def cleaned(row: DeviceRow) -> DeviceRow:
    """Returns a row whose texts are harmless and short, and its lists bounded: it is shown for years."""

    def short(text: str) -> str:
        return clean_text(text, MAX_TEXT)

    return msgspec.structs.replace(
        row,
        key=clean_instance(row.key),
        mac=short(row.mac),
        addresses=[short(each) for each in row.addresses[:MAX_ADDRESSES]],
        name=short(row.name),
        name_from=short(row.name_from),
        vendor=short(row.vendor),
        category=short(row.category),
        source=short(row.source),
        layer=short(row.layer),
        network=short(row.network),
        services=[
            msgspec.structs.replace(each, name=short(each.name))
            for each in row.services[:MAX_SERVICES]
            if max(each.received, each.sent, each.connections or 0) < 1 << 63
        ],
    )


def _merged(old: DeviceRow, new: DeviceRow) -> DeviceRow:
    """Returns a new row with what it does not tell taken from the old one."""
    changes: dict[str, object] = {
        name: getattr(old, name)
        for name in _KEPT
        if getattr(new, name) in ("", [], None) and getattr(old, name) not in ("", [], None)
    }
    if "name" in changes:
        changes["name_from"] = old.name_from
    return msgspec.structs.replace(new, **changes) if changes else new


def _lasting(row: DeviceRow) -> Sequence[object]:
    """What of a row does not change from look to look."""
    return (row.mac, sorted(row.addresses), row.name, row.name_from, row.vendor, row.category, row.source, row.network)
