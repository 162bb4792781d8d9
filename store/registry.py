"""Small numbers for names: hosts, runs, collectors and layouts, as the writer gives them out."""

from __future__ import annotations

from bisect import bisect_left
from typing import TYPE_CHECKING

import msgspec

from store.tail import Splitter
from sysmon.catalogue import Catalogue, Metric

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable

    from sysmon.frame import Frame

_ENTRY = msgspec.msgpack.Decoder(Metric)


class Held:
    """Which seqs of a run are held: ordered ranges without touching ends."""

    def __init__(self, seqs: Iterable[int] = ()) -> None:
        self._first: list[int] = []
        self._last: list[int] = []
        for seq in seqs:
            self.add(seq)

    def __contains__(self, seq: int) -> bool:
        index = bisect_left(self._last, seq)
        return index < len(self._last) and self._first[index] <= seq

    @property
    def newest(self) -> int:
        """The greatest seq held, 0 for none."""
        return self._last[-1] if self._last else 0

    def add(self, seq: int) -> bool:
        """Adds a seq; returns False where it was there."""
        if self._last and seq == self._last[-1] + 1:
            self._last[-1] = seq
            return True
        index = bisect_left(self._last, seq)
        if index < len(self._last) and self._first[index] <= seq:
            return False
        joins_before = index > 0 and self._last[index - 1] == seq - 1
        joins_after = index < len(self._first) and self._first[index] == seq + 1
        if joins_before and joins_after:
            self._last.pop(index - 1)
            self._first.pop(index)
        elif joins_before:
            self._last[index - 1] = seq
        elif joins_after:
            self._first[index] = seq
        else:
            self._first.insert(index, seq)
            self._last.insert(index, seq)
        return True

    def add_range(self, first: int, last: int) -> None:
        """Adds a range that overlaps none held."""
        if self._last and first == self._last[-1] + 1:
            self._last[-1] = last
        elif not self._last or first > self._last[-1]:
            self._first.append(first)
            self._last.append(last)
        else:
            for seq in (first, last):
                self.add(seq)
            index = bisect_left(self._last, first)
            while self._last[index] < last:
                self._last[index] = self._last.pop(index + 1)
                self._first.pop(index + 1)


class RunEntry:
    """One boot within one run of one host."""

    def __init__(
        self, number: int, host: HostEntry, run: str, boot: str, contact: int, offset: int, trimmed: int
    ) -> None:
        self.number = number
        self.contact = contact
        self.host = host
        self.run = run
        self.boot = boot
        self.offset = offset
        self.trimmed = trimmed
        self.skew_told: int | None = None


def _number(run: RunEntry) -> int:
    return run.number


class HostEntry:
    """A host as the writer knows it."""

    def __init__(self, number: int, host: str, catalogue: Catalogue) -> None:
        self.number = number
        self.host = host
        self.catalogue = catalogue
        self.known_metrics: set[str] = set()
        self.layouts: dict[tuple[str, tuple[str, ...]], int] = {}
        self.splitter: Splitter
        self.held: dict[str, Held] = {}


class Registry:
    """Everything by name, read from the file once and extended in the writer's transaction.

    After a rolled back transaction it is made anew: numbers given out in it no longer stand.
    """

    def __init__(self, connection: sqlite3.Connection, catalogue: Catalogue) -> None:
        self._connection = connection
        self._catalogue = catalogue
        self._merged: tuple[Catalogue, list[Metric], Catalogue] = (catalogue, [], catalogue)
        self._hosts: dict[str, HostEntry] = {}
        self._runs: dict[tuple[str, str, str], RunEntry] = {}
        self.runs: dict[int, RunEntry] = {}
        self.collectors: dict[str, int] = {}
        self.collector_names: dict[int, str] = {}
        self.layouts: dict[int, tuple[tuple[str, ...], str]] = {}
        for number, name in connection.execute("SELECT id, name FROM collector"):
            self._know_collector(number, name)
        for number, host in connection.execute("SELECT id, host FROM host"):
            self._know_host(number, host)
        by_number = {entry.number: entry for entry in self._hosts.values()}
        for number, host_number, run, boot, contact, offset, trimmed in connection.execute(
            "SELECT id, host, run, boot, contact, offset, trimmed FROM run"
        ):
            self._know_run(RunEntry(number, by_number[host_number], run, boot, contact, offset, trimmed))

    def hosts(self) -> list[HostEntry]:
        """Returns all hosts."""
        return list(self._hosts.values())

    def host(self, name: str) -> HostEntry:
        """Returns the host, new or known."""
        entry = self._hosts.get(name)
        if entry is None:
            number = self._insert("INSERT INTO host(host) VALUES (?)", (name,))
            entry = self._know_host(number, name)
        return entry

    def run(self, frame: Frame, received: int) -> RunEntry:
        """Returns the run of a frame, new or known."""
        entry = self._runs.get((frame.host, frame.run, frame.boot))
        if entry is None:
            host = self.host(frame.host)
            # A clock that is off was off before a restart too: what comes late of a run never heard live tells no
            # offset of its own.
            last = max((each for each in self.runs.values() if each.host is host), key=_number, default=None)
            offset = last.offset if last is not None else 0
            number = self._insert(
                "INSERT INTO run(host, run, boot, contact, offset) VALUES (?, ?, ?, ?, ?)",
                (host.number, frame.run, frame.boot, received, offset),
            )
            entry = self._know_run(RunEntry(number, host, frame.run, frame.boot, received, offset, 0))
        return entry

    def siblings(self, host: str, run: str) -> list[RunEntry]:
        """Returns the entries (one per boot) of one run."""
        return [entry for entry in self.runs.values() if entry.host.host == host and entry.run == run]

    def forget(self, runs: Iterable[RunEntry]) -> None:
        """Drops runs that were removed."""
        for entry in runs:
            del self.runs[entry.number]
            del self._runs[entry.host.host, entry.run, entry.boot]
            entry.host.held.pop(entry.run, None)

    def collector(self, name: str) -> int:
        """Returns a collector's number (from 1)."""
        number = self.collectors.get(name)
        if number is None:
            number = self._insert("INSERT INTO collector(name) VALUES (?)", (name,))
            self._know_collector(number, name)
        return number

    def layout(self, host: HostEntry, collector: str, keys: tuple[str, ...]) -> int:
        """Returns the number of a layout, new or known."""
        number = host.layouts.get((collector, keys))
        if number is None:
            number = self._insert(
                "INSERT INTO layout(host, collector, keys) VALUES (?, ?, ?)",
                (host.number, self.collector(collector), msgspec.msgpack.encode(keys)),
            )
            host.layouts[collector, keys] = number
            self.layouts[number] = (keys, collector)
        return number

    def learn(self, host: HostEntry, metrics: Iterable[Metric]) -> None:
        """Keeps catalogue entries that a host's frames need."""
        fresh = [metric for metric in metrics if metric.name not in host.known_metrics]
        if not fresh:
            return
        self._connection.executemany(
            "INSERT OR REPLACE INTO metric(host, name, entry) VALUES (?, ?, ?)",
            [(host.number, metric.name, msgspec.msgpack.encode(metric)) for metric in fresh],
        )
        host.known_metrics.update(metric.name for metric in fresh)
        if any(metric.name not in host.catalogue for metric in fresh):
            host.catalogue = self._with(host.catalogue, fresh)
            host.splitter.catalogue = host.catalogue
            host.splitter.forget()

    def _with(self, known: Catalogue, metrics: list[Metric]) -> Catalogue:
        """Adds metrics to a catalogue; the hosts of one hub bring the same, and share what is made of them."""
        base, given, made = self._merged
        if base is not known or given != metrics:
            made = known.merged(metrics)
            self._merged = known, metrics, made
        return made

    def _know_host(self, number: int, name: str) -> HostEntry:
        entries = [
            _ENTRY.decode(row[0])
            for row in self._connection.execute("SELECT entry FROM metric WHERE host = ?", (number,))
        ]
        entry = HostEntry(number, name, self._with(self._catalogue, entries))
        entry.known_metrics = {metric.name for metric in entries}
        for layout, collector, keys in self._connection.execute(
            "SELECT id, collector, keys FROM layout WHERE host = ?", (number,)
        ):
            found = tuple(msgspec.msgpack.decode(keys, type=list[str]))
            entry.layouts[self.collector_names[collector], found] = layout
            self.layouts[layout] = (found, self.collector_names[collector])
        entry.splitter = Splitter(entry.catalogue, self._layout_taker(entry))
        self._hosts[name] = entry
        return entry

    def _layout_taker(self, entry: HostEntry):  # type: ignore[no-untyped-def]
        def take(collector: str, keys: tuple[str, ...]) -> int:
            names = {key.partition(":")[0] for key in keys}
            used = [metric for name in names if (metric := entry.catalogue.get(name)) is not None]
            used += [user for metric in list(used) for user in entry.catalogue.derived_from(metric.name)]
            self.learn(entry, used)
            return self.layout(entry, collector, keys)

        return take

    def _know_run(self, entry: RunEntry) -> RunEntry:
        self._runs[entry.host.host, entry.run, entry.boot] = entry
        self.runs[entry.number] = entry
        return entry

    def _know_collector(self, number: int, name: str) -> None:
        self.collectors[name] = number
        self.collector_names[number] = name

    def _insert(self, statement: str, values: tuple[object, ...]) -> int:
        number = self._connection.execute(statement, values).lastrowid
        assert number is not None
        return number
