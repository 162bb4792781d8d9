"""What the writer's thread does with what it is given: rows into tables, within the caller's transaction."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from store.access import Access
from store.codec import compress, decompress
from store.devices import Devices
from store.held import mark_late
from store.past import PastKeeper
from store.registry import Held, Registry, RunEntry
from store.schema import BLOCK, RUN_SHIFT
from store.summaries import decode_ranges
from store.tail import encode_row
from sysmon.errors import StoreError
from sysmon.records import AlertState, Event, Evidence, HostInfo, Past
from sysmon.units import plain_duration

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence

    from store.views import View
    from sysmon.catalogue import Catalogue, Metric
    from sysmon.clock import Clock
    from sysmon.frame import DeviceRow, Frame

SKEW = 300_000
"""Milliseconds by which a host's clock may be off before the history uses its own time for it."""

SKEW_RETELL = 600_000
"""Milliseconds between two events about one run's clock: one that jumps all the time is not told all the time."""

_LATEST = 1 << 62
"""A time or a boot clock's reading that no clock shows."""

SEQ_LIMIT = 1 << RUN_SHIFT


class Engine:
    """The tables that frames, hosts, events, alerts and evidence go to.

    Attributes:
        dirty: (run's number, block) of tail rows that wait for sealing -> boot clock (ns) of the last arrival.
        newest: run's number -> the block of its newest frame.
        unpaged: (host's number, page) whose 15-minute rollups are not made yet.
        horizon: time before which late frames are refused, as what they would change is trimmed already.
        refused: how many frames were too old.
        access: look-ups on the same connection.
    """

    def __init__(self, connection: sqlite3.Connection, catalogue: Catalogue, clock: Clock) -> None:
        self.connection = connection
        self.clock = clock
        self._catalogue = catalogue
        self.registry: Registry
        self.dirty: dict[tuple[int, int], int] = {}
        self.newest: dict[int, int] = {}
        self.unpaged: set[tuple[int, int]] = set()
        self.refused = 0
        self.horizon = 0
        self.access: Access
        self._devices: Devices
        self._view: View | None
        self.reload()

    def reload(self) -> None:
        """Reads the names anew, as after a transaction that was rolled back, and what waits in the tail."""
        self.registry = Registry(self.connection, self._catalogue)
        self.access = Access(self.connection)
        self._devices = Devices(self.connection)
        self._view = None
        self.dirty.clear()
        now = self.clock.boottime()
        for run, block in self.connection.execute(
            f"SELECT DISTINCT id >> {RUN_SHIFT}, at / {BLOCK} FROM tail ORDER BY 1, 2"
        ):
            self.dirty[run, block] = now
            self.newest[run] = max(block, self.newest.get(run, 0))

    def take_frame(self, frame: Frame, received: int, late: bool) -> None:
        """Puts one frame into the tail, unless it is held already or too old to be placed."""
        clocks = (frame.monotonic, *frame.reads.values(), *frame.intervals.values())
        if not (-_LATEST < frame.time < _LATEST and all(0 <= clock < _LATEST for clock in clocks)):
            raise StoreError(f"frame {frame.seq} of run {frame.run} of host {frame.host}: its times cannot be true")
        run = self.registry.run(frame, received)
        held = run.host.held.get(frame.run)
        if held is None:
            held = run.host.held[frame.run] = self._load_held(run)
        if frame.seq in held:
            return
        at = self._place(run, frame, received, late)
        block = at // BLOCK
        if block < run.trimmed or at < self.horizon:
            self.refused += 1
            return
        body = encode_row(run.host.splitter.split(frame))
        self.connection.execute(
            "INSERT INTO tail(id, at, body) VALUES (?, ?, ?)", (run.number << RUN_SHIFT | frame.seq, at, body)
        )
        if frame.seq < held.newest:
            mark_late(self.connection, run.number)
        held.add(frame.seq)
        self.dirty[run.number, block] = self.clock.boottime()
        if block > self.newest.get(run.number, -1):
            self.newest[run.number] = block

    def _load_held(self, run: RunEntry) -> Held:
        held = Held()
        ranges: list[tuple[int, int]] = []
        for entry in self.registry.siblings(run.host.host, run.run):
            for (summary,) in self.connection.execute(
                "SELECT summary FROM chunk WHERE host = ? AND collector = 0 AND run = ?",
                (entry.host.number, entry.number),
            ):
                ranges += [(first, last) for first, last, _, _ in decode_ranges(summary)]
            base = entry.number << RUN_SHIFT
            for (number,) in self.connection.execute(
                "SELECT id FROM tail WHERE id BETWEEN ? AND ?", (base, base + SEQ_LIMIT - 1)
            ):
                ranges.append((number - base, number - base))
        for first, last in sorted(ranges):
            held.add_range(first, last)
        return held

    def _place(self, run: RunEntry, frame: Frame, received: int, late: bool) -> int:
        """Returns the frame's time in the history's own time, learning the offset of the run's clock."""
        at = frame.time + run.offset
        off = at - received
        if off > SKEW or (off < -SKEW and not late) or at < 0:
            offset = 0 if abs(frame.time - received) <= SKEW else received - frame.time
            run.offset = offset
            self.connection.execute("UPDATE run SET offset = ? WHERE id = ?", (offset, run.number))
            at = frame.time + offset
            if offset and (run.skew_told is None or abs(received - run.skew_told) >= SKEW_RETELL):
                run.skew_told = received
                way = "behind" if offset > 0 else "ahead of"
                self.take_event(
                    Event(
                        id=f"{frame.host}-{frame.run}-offset-{frame.seq}",
                        time=at,
                        host=frame.host,
                        kind="clock",
                        severity="warning",
                        message=f"the host's clock is {plain_duration(abs(offset) / 1000)} {way} the recorder's;"
                        " its frames are kept under the recorder's time",
                        value=offset / 1000,
                    )
                )
        return at

    def latest(self) -> int | None:
        """Returns the time of the newest block of any host, None where there is none."""
        blocks = [block for _, block in self.dirty]
        for host in self.registry.hosts():
            row = self.connection.execute(
                "SELECT max(block) FROM chunk WHERE host = ? AND collector = 0", (host.number,)
            ).fetchone()
            blocks += [block for block in row if block is not None]
        return max(blocks) * BLOCK if blocks else None

    def take_host(self, info: HostInfo) -> None:
        """Keeps what is known about a host."""
        entry = self.registry.host(info.id)
        self.connection.execute("UPDATE host SET info = ? WHERE id = ?", (msgspec.msgpack.encode(info), entry.number))

    def take_metrics(self, host: str, metrics: Sequence[Metric]) -> None:
        """Keeps catalogue entries that a host brought with it."""
        self.registry.learn(self.registry.host(host), metrics)

    def take_event(self, event: Event) -> None:
        """Keeps an event once."""
        self.connection.execute(
            "INSERT OR IGNORE INTO event(id, host, time, body) VALUES (?, ?, ?, ?)",
            (event.id, event.host, event.time, msgspec.msgpack.encode(event)),
        )

    def take_alerts(self, states: Sequence[AlertState]) -> None:
        """Keeps the latest state of each alert."""
        self.connection.executemany(
            "INSERT OR REPLACE INTO alert(host, rule, key, status, body) VALUES (?, ?, ?, ?, ?)",
            [(each.host, each.rule, each.key, each.status, msgspec.msgpack.encode(each)) for each in states],
        )

    def take_evidence(self, evidence: Evidence) -> None:
        """Keeps who was busiest."""
        entry = self.registry.host(evidence.host)
        self.connection.execute(
            "INSERT OR REPLACE INTO evidence(host, time, body) VALUES (?, ?, ?)",
            (entry.number, evidence.time, encode_evidence(evidence)),
        )

    def take_devices(self, host: str, rows: Sequence[DeviceRow], time: int) -> None:
        """Keeps who was seen behind a router."""
        self._devices.take(self.registry.host(host).number, rows, time, self.clock.boottime() // 1_000_000)

    def take_past(self, past: Past) -> None:
        """Keeps what others counted before."""
        # Not above: what answers is built on what is written here.
        from store.views import View

        if self._view is None:
            self._view = View(self.connection, 0, Path("history"), self._catalogue)
        host = self.registry.host(past.host)
        self.connection.execute("SAVEPOINT past")
        try:
            PastKeeper(self._view, self.access, host.number, host.host).keep(past, host.catalogue, self.clock.now())
        except BaseException:
            # Half of it would be taken for all of it.
            self.connection.execute("ROLLBACK TO past")
            raise
        finally:
            self.connection.execute("RELEASE past")


def encode_evidence(evidence: Evidence) -> bytes:
    """Packs evidence."""
    return compress(msgspec.msgpack.encode(evidence))


def decode_evidence(body: bytes) -> Evidence:
    """Undoes `encode_evidence`."""
    return msgspec.msgpack.decode(decompress(body), type=Evidence)
