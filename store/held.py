"""Which frames are held, remembered between questions: what was committed since is read, not everything again.

A file of 300 hosts has 200,000 rows in its tail and as many sealed blocks; every stream that opens asks for this.
Sealing moves frames and changes nothing here. A frame that does not follow its run's newest one, and the trimming of a
run, leave a mark in the file; that run is then read anew.
"""

from __future__ import annotations

import threading
from itertools import pairwise
from typing import TYPE_CHECKING

from store.schema import RUN_SHIFT
from store.summaries import Range, decode_ranges
from sysmon.records import RunSpan

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable

SINGLES = 5
"""Single frames at one distance from each other, in a row, that are no holes but all that was asked for."""
_MARK = "late:"
_MASK = (1 << RUN_SHIFT) - 1


def mark_late(connection: sqlite3.Connection, run: int) -> None:
    """Notes, in the writer's transaction, that a frame was added before the newest of its run."""
    connection.execute(
        "INSERT INTO note(key, value) VALUES (?, 1) ON CONFLICT(key) DO UPDATE SET value = value + 1",
        (f"{_MARK}{run}",),
    )


def forget_marks(connection: sqlite3.Connection, runs: Iterable[int]) -> None:
    """Removes the marks of runs that are removed themselves."""
    connection.executemany("DELETE FROM note WHERE key = ?", [(f"{_MARK}{run}",) for run in runs])


class _Held:
    """The frames of one row of `run`, as ranges (first, last, start, end, every) in the order of their seqs.

    Attributes:
        seen: the newest seq in them. `sealed`: ranges of blocks sealed since, which may reach beyond it.
        trimmed, late: the marks that the run had when it was read.
    """

    __slots__ = ("boot", "host", "late", "ranges", "run", "sealed", "seen", "spans", "trimmed")

    def __init__(self, host: str, run: str, boot: str, trimmed: int, late: int) -> None:
        self.host = host
        self.run = run
        self.boot = boot
        self.trimmed = trimmed
        self.late = late
        self.seen = 0
        self.ranges: list[list[int]] = []
        self.sealed: list[Range] = []
        self.spans: list[RunSpan] | None = None

    def add(self, first: int, last: int, start: int, end: int) -> None:
        """Adds what lies behind all that is known."""
        self.spans = None
        self.seen = max(self.seen, last)
        if self.ranges:
            newest = self.ranges[-1]
            if first == newest[1] + newest[4] and (newest[4] == 1 or first == last):
                newest[1], newest[3] = last, end
                return
        self.ranges.append([first, last, start, end, 1])
        self._thin_out()

    def _thin_out(self) -> None:
        """Makes one range of the last ones where they are single frames at one distance: a reader of few frames."""
        if len(self.ranges) < SINGLES:
            return
        last = self.ranges[-SINGLES:]
        every = last[1][0] - last[0][0]
        if all(each[0] == each[1] for each in last) and all(
            after[0] - before[0] == every for before, after in pairwise(last)
        ):
            del self.ranges[-SINGLES:]
            self.ranges.append([last[0][0], last[-1][1], last[0][2], last[-1][3], every])

    def told(self) -> list[RunSpan]:
        """Returns the ranges for readers."""
        if self.spans is None:
            self.spans = [
                RunSpan(
                    host=self.host,
                    run=self.run,
                    boot=self.boot,
                    first=first,
                    last=last,
                    start=start,
                    end=end,
                    every=every,
                )
                for first, last, start, end, every in self.ranges
            ]
        return self.spans


class HeldFrames:
    """The frames held in one file, for all connections that read it."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._inode = 0
        self._runs: dict[int, _Held] = {}
        self._chunk = 0
        self._versions: dict[int, int] = {}

    def spans(self, connection: sqlite3.Connection, inode: int, host: str | None = None) -> list[RunSpan]:
        """Returns the ranges of frames held of a host, or of all, oldest first.

        Args:
            connection: in a transaction, which gives all that is read one state of the file.
            inode: of the file; with another one everything is read anew.
            host: id of the host, or None.
        """
        with self._guard:
            if inode != self._inode:
                self._runs.clear()
                self._versions.clear()
                self._inode, self._chunk = inode, 0
            version: int = connection.execute("PRAGMA data_version").fetchone()[0]
            if self._versions.get(id(connection)) != version:
                self._refresh(connection, host)
                if host is None:
                    self._versions[id(connection)] = version
            found = [span for held in self._runs.values() if host is None or held.host == host for span in held.told()]
        found.sort(key=lambda span: (span.start, span.run, span.first))
        return found

    def forget(self, connection: sqlite3.Connection) -> None:
        """Notes that a connection is closed: another one may come to lie at its place."""
        with self._guard:
            self._versions.pop(id(connection), None)

    def _refresh(self, connection: sqlite3.Connection, host: str | None) -> None:
        """Reads what was committed since; a connection that still sees an older state adds nothing."""
        late = {
            int(key.removeprefix(_MARK)): value
            for key, value in connection.execute(
                "SELECT key, value FROM note WHERE key >= 'late:' AND key < 'late;'"
            ).fetchall()
        }
        rows = connection.execute(
            "SELECT r.id, h.id, h.host, r.run, r.boot, r.trimmed FROM run AS r JOIN host AS h ON h.id = r.host"
            " WHERE ?1 IS NULL OR h.host = ?1",
            (host,),
        ).fetchall()
        self._take_sealed(connection)
        anew: dict[int, list[int]] = {}
        for number, place, name, run, boot, trimmed in rows:
            held = self._runs.get(number)
            if held is None or trimmed > held.trimmed or late.get(number, 0) > held.late:
                self._runs[number] = _Held(name, run, boot, trimmed, late.get(number, 0))
                anew.setdefault(place, []).append(number)
            else:
                self._append(connection, number, held)
        for place, numbers in anew.items():
            self._load(connection, place, numbers)
        if host is None:
            for gone in self._runs.keys() - {row[0] for row in rows}:
                del self._runs[gone]

    def _take_sealed(self, connection: sqlite3.Connection) -> None:
        """Hands the runs what was sealed since, as it may have passed through the tail between two questions."""
        newest = connection.execute("SELECT max(id) FROM chunk").fetchone()[0] or 0
        if self._runs and newest > self._chunk:
            for run, summary in connection.execute(
                "SELECT run, summary FROM chunk WHERE id > ? AND collector = 0", (self._chunk,)
            ):
                held = self._runs.get(run)
                if held is not None:
                    held.sealed += decode_ranges(summary)
        self._chunk = max(self._chunk, newest)

    def _append(self, connection: sqlite3.Connection, number: int, held: _Held) -> None:
        base, seen = number << RUN_SHIFT, held.seen
        found: list[Range] = [
            (id - base, id - base, at, at)
            for id, at in connection.execute(
                "SELECT id, at FROM tail WHERE id > ? AND id <= ?", (base | seen, base | _MASK)
            )
        ]
        if held.sealed:
            found += [
                (max(first, seen + 1), last, start, end) for first, last, start, end in held.sealed if last > seen
            ]
            held.sealed = []
            found.sort()
        for each in found:
            held.add(*each)

    def _load(self, connection: sqlite3.Connection, place: int, numbers: list[int]) -> None:
        """Reads some runs of one host from the summaries of their sealed blocks and from the tail."""
        ranges: dict[int, list[Range]] = {number: [] for number in numbers}
        for run, summary in connection.execute(
            "SELECT run, summary FROM chunk WHERE host = ? AND collector = 0", (place,)
        ):
            if run in ranges:
                ranges[run].extend(decode_ranges(summary))
        for number, found in ranges.items():
            base = number << RUN_SHIFT
            found += [
                (id - base, id - base, at, at)
                for id, at in connection.execute(
                    "SELECT id, at FROM tail WHERE id >= ? AND id <= ?", (base, base | _MASK)
                )
            ]
            found.sort()
            for each in found:
                self._runs[number].add(*each)
