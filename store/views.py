"""What one connection of a reader answers, each question within one state of the file."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import msgspec

from store import gaps, series
from store.access import Access
from store.account import unsealed
from store.devices import SCHEMA, known_devices
from store.engine import decode_evidence
from store.held import HeldFrames
from store.notes import resets_of
from store.replay import Replay
from store.schema import BLOCK, version_of
from store.totals import Totals, add_kept
from store.usagepages import timezone_of
from sysmon.catalogue import Catalogue, Metric
from sysmon.derive import plan
from sysmon.errors import StoreError
from sysmon.records import AlertState, Event, HostInfo, Span
from sysmon.zones import zone_of

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence
    from pathlib import Path

    from sysmon.frame import Frame
    from sysmon.records import Evidence, KnownDevice, Moment, RunSpan, SeriesAnswer, SeriesQuery, Usage

_EVIDENCE_AGE = 600_000
"""Milliseconds by which evidence may be older than the moment it is asked for."""


class View:
    """Answers on one connection; used by one thread.

    Attributes:
        inode: of the file it was opened on.
        unchanging: whether the file is taken for one that nobody writes to.
        held: which frames are held, shared with other connections to the file.
        until: monotonic seconds after which an answer is given up.
    """

    def __init__(
        self,
        connection: sqlite3.Connection,
        inode: int,
        path: Path,
        catalogue: Catalogue,
        unchanging: bool = False,
        held: HeldFrames | None = None,
    ) -> None:
        self.connection = connection
        self.inode = inode
        self.unchanging = unchanging
        self.held = held or HeldFrames()
        self.until = float("inf")
        self._path = path
        self._catalogue = catalogue
        self._access = Access(connection)
        self._replay = Replay(self._access)
        self._catalogues: dict[int, tuple[int, Catalogue]] = {}

    def check(self) -> None:
        """Gives up when the deadline has passed."""
        if time.monotonic() > self.until:
            raise StoreError(f"{self._path} did not answer in time", "ask for a shorter range or fewer series")

    def since(self) -> int | None:
        """Returns the time of the oldest that is held of any host."""
        found = []
        for (number,) in self.connection.execute("SELECT id FROM host").fetchall():
            for statement, factor in (
                ("SELECT min(page) FROM rollup WHERE host = ? AND collector = ? AND tier = 900000", 43_200_000),
                ("SELECT min(page) FROM rollup WHERE host = ? AND collector = ? AND tier = 60000", 3_600_000),
                ("SELECT min(block) FROM chunk WHERE host = ? AND collector = ?", BLOCK),
            ):
                for collector in (0, *self._access.collectors()):
                    oldest = self.connection.execute(statement, (number, collector)).fetchone()[0]
                    if oldest is not None:
                        found.append(oldest * factor)
        oldest = self.connection.execute("SELECT min(contact) FROM run").fetchone()[0]
        if oldest is None:
            return None
        # Blocks begin before their first frame.
        return max(min(found), oldest) if found else int(oldest)

    def catalogue(self, host: str) -> Catalogue:
        """Returns what is known here and what the host brought with it."""
        number = self._access.host(host)
        if number is None:
            return self._catalogue
        count = self.connection.execute("SELECT count(*) FROM metric WHERE host = ?", (number,)).fetchone()[0]
        known = self._catalogues.get(number)
        if known is None or known[0] != count:
            rows = self.connection.execute("SELECT entry FROM metric WHERE host = ?", (number,))
            entries = [msgspec.msgpack.decode(row[0], type=Metric) for row in rows]
            known = self._catalogues[number] = (count, self._catalogue.merged(entries))
        return known[1]

    def hosts(self) -> list[HostInfo]:
        """Returns all hosts."""
        return [
            msgspec.msgpack.decode(info, type=HostInfo) if info else HostInfo(id=host)
            for host, info in self.connection.execute("SELECT host, info FROM host ORDER BY id")
        ]

    def keys(self, host: str) -> list[str]:
        """Returns the series of a host."""
        number = self._access.host(host)
        if number is None:
            return []
        raw = {key for keys in self._access.owners(number).values() for key in keys}
        return sorted(raw | {each.key for each in plan(self.catalogue(host), raw)})

    def series(self, query: SeriesQuery) -> SeriesAnswer:
        """Answers a query."""
        number = self._access.host(query.host)
        missing = gaps.gaps(self._access, number, query.start, query.end) if number is not None else []
        return series.answer(self._access, self.catalogue(query.host), query, missing, self.check)

    def moment(self, host: str, at: int, step: int) -> Moment | None:
        """Returns the state at a moment."""
        number = self._access.host(host)
        if number is None:
            return None
        found = self._replay.moment(number, host, at, step, self.catalogue(host))
        return found and msgspec.structs.replace(found, evidence=self.evidence(host, found.frame.time))

    def spans(self, host: str | None) -> list[RunSpan]:
        """Returns the frames held."""
        return self.held.spans(self.connection, self.inode, host)

    def frames(self, host: str, run: str, first: int, last: int) -> list[Frame]:
        """Returns frames as recorded."""
        number = self._access.host(host)
        return [] if number is None else self._replay.frames(number, host, run, first, last)

    def gaps(self, host: str, start: int, end: int) -> list[Span]:
        """Returns when there is no data."""
        number = self._access.host(host)
        if number is None:
            return [Span(start, end)]
        return gaps.gaps(self._access, number, start, end)

    def events(self, host: str | None, start: int | None, end: int | None, limit: int) -> list[Event]:
        """Returns events."""
        rows = self.connection.execute(
            "SELECT body FROM event WHERE (?1 IS NULL OR host = ?1 OR host = '') AND time >= ?2 AND time < ?3"
            " ORDER BY time DESC, id DESC LIMIT ?4",
            (host, -(2**62) if start is None else start, 2**62 if end is None else end, limit),
        )
        return [msgspec.msgpack.decode(body, type=Event) for (body,) in rows]

    def alerts(self, host: str | None) -> list[AlertState]:
        """Returns alerts that are not resolved."""
        rows = self.connection.execute(
            "SELECT body FROM alert WHERE status <> 'resolved' AND (?1 IS NULL OR host = ?1) ORDER BY host, rule, key",
            (host,),
        )
        return [msgspec.msgpack.decode(body, type=AlertState) for (body,) in rows]

    def evidence(self, host: str, at: int) -> Evidence | None:
        """Returns the evidence for a moment."""
        row = self.connection.execute(
            "SELECT e.body FROM evidence AS e JOIN host AS h ON h.id = e.host"
            " WHERE h.host = ? AND e.time <= ? AND e.time >= ? ORDER BY e.time DESC LIMIT 1",
            (host, at, at - _EVIDENCE_AGE),
        ).fetchone()
        return decode_evidence(row[0]) if row else None

    def devices(self, host: str) -> list[KnownDevice]:
        """Returns the devices ever seen behind a router, those seen last first."""
        return known_devices(self.connection, host) if version_of(self.connection) >= SCHEMA else []

    def resets(self, host: str) -> list[int]:
        """Returns when users began counting periods of a host's devices anew."""
        return resets_of(self.connection, host) if version_of(self.connection) >= SCHEMA else []

    def usage(
        self, host: str, start: int, end: int, step: str, keys: Sequence[str], *, own: bool = False
    ) -> list[Usage]:
        """Returns byte totals; the tail is added as it will be sealed. `own`: without what others counted before."""
        number = self._access.host(host)
        zone = zone_of(timezone_of(self.connection, number) if number is not None else "")
        totals = Totals(start, end, step, zone)
        if number is None:
            return []
        wanted = set(keys)
        add_kept(self.connection, number, totals, wanted, self.check, own=own)
        self.check()
        for each in unsealed(self._access, number, self.catalogue(host), wanted, self.check):
            totals.add(each.key, each.start, each.length, each.bytes, each.flags)
        return totals.usages(host)
