"""Reading the tables: names, blocks, and what lies before a block. Writer and readers share it."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING

import msgspec

from store.blocks import Block, SealedGroup, block_of_tail, decode_clocks, decode_group, decode_head, unseal_group
from store.pieces import Piece, Run, pieces_of
from store.schema import BLOCK, RUN_SHIFT

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Collection, Iterator, Sequence

    from sysmon.frame import Number

SEQ_MASK = (1 << RUN_SHIFT) - 1
_HEADS = 12
"""Heads kept decoded."""


class Access:
    """Look-ups on one connection. Names are cached; numbers never change their meaning."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self.connection = connection
        self.layouts: dict[int, tuple[tuple[str, ...], str]] = {}
        self._collectors: dict[int, str] = {}
        self._runs: dict[int, Run] = {}
        self._heads: OrderedDict[int, Block] = OrderedDict()

    def host(self, host: str) -> int | None:
        """Returns a host's number."""
        row = self.connection.execute("SELECT id FROM host WHERE host = ?", (host,)).fetchone()
        return row[0] if row else None

    def runs(self, host: int | None = None) -> list[Run]:
        """Returns the runs of a host, or all."""
        newest = max(self._runs, default=0)
        for row in self.connection.execute("SELECT id, host, run, boot FROM run WHERE id > ?", (newest,)):
            self._runs[row[0]] = Run(*row)
        return [run for run in self._runs.values() if host is None or run.host == host]

    def runs_waiting(self, host: int) -> list[Run]:
        """Returns the runs of a host with frames in the tail, few among the many that there may be."""
        found: list[Run] = []
        number = 0
        while True:
            row = self.connection.execute(
                "SELECT id FROM tail WHERE id >= ? ORDER BY id LIMIT 1", (number << RUN_SHIFT,)
            ).fetchone()
            if row is None:
                return found
            run = self.run(row[0] >> RUN_SHIFT)
            if run.host == host:
                found.append(run)
            number = run.number + 1

    def run(self, number: int) -> Run:
        """Returns a run by its number."""
        if number not in self._runs:
            self.runs()
        return self._runs[number]

    def collector(self, name: str) -> int | None:
        """Returns a collector's number."""
        for number, known in self.collectors().items():
            if known == name:
                return number
        return None

    def collectors(self) -> dict[int, str]:
        """Returns number -> name of all collectors."""
        count = self.connection.execute("SELECT count(*) FROM collector").fetchone()[0]
        if count != len(self._collectors):
            self._collectors = dict(self.connection.execute("SELECT id, name FROM collector"))
        return self._collectors

    def learn_layouts(self) -> None:
        """Reads the layouts made since the last call."""
        newest = max(self.layouts, default=0)
        rows = self.connection.execute("SELECT id, collector, keys FROM layout WHERE id > ?", (newest,)).fetchall()
        if rows:
            names = self.collectors()
            for number, collector, keys in rows:
                self.layouts[number] = (tuple(msgspec.msgpack.decode(keys, type=list[str])), names[collector])

    def layout(self, number: int) -> tuple[str, ...]:
        """Returns the series of a layout."""
        if number not in self.layouts:
            self.learn_layouts()
        return self.layouts[number][0]

    def owners(self, host: int) -> dict[str, set[str]]:
        """Returns collector -> series keys of a host, as far as the history reaches."""
        self.learn_layouts()
        found: dict[str, set[str]] = {}
        for (number,) in self.connection.execute("SELECT id FROM layout WHERE host = ?", (host,)):
            keys, name = self.layouts[number]
            found.setdefault(name, set()).update(keys)
        return found

    def head(self, host: int, block: int, run: int) -> Block | None:
        """Returns the seqs and clocks of the frames of a sealed block, or None; not to be changed."""
        row = self.connection.execute(
            "SELECT id, data FROM chunk WHERE host = ? AND collector = 0 AND block = ? AND run = ?", (host, block, run)
        ).fetchone()
        if row is None:
            return None
        known = self._heads.get(row[0])
        if known is None:
            known = self._heads[row[0]] = decode_clocks(row[1])
            if len(self._heads) > _HEADS:
                self._heads.popitem(last=False)
        return known

    def sealed_block(self, host: int, block: int, run: int, only: Collection[str] | None = None) -> Block | None:
        """Returns a sealed block as rows, with the groups of all collectors or of those named, or None."""
        row = self.connection.execute(
            "SELECT data FROM chunk WHERE host = ? AND collector = 0 AND block = ? AND run = ?", (host, block, run)
        ).fetchone()
        if row is None:
            return None
        made = decode_head(row[0])
        self.learn_layouts()
        for layout, data in self.connection.execute(
            "SELECT c.layout, c.data FROM collector AS k JOIN chunk AS c"
            " ON c.host = ? AND c.collector = k.id AND c.block = ? AND c.run = ?",
            (host, block, run),
        ):
            keys, name = self.layouts[layout]
            if only is None or name in only:
                made.groups[name] = unseal_group(decode_group(data, keys, made.monotonics))
        return made

    def tail_block(self, run: int, block: int, only: Collection[str] | None = None) -> Block:
        """Returns the frames of a block that wait in the tail, with the groups of all collectors or of those named."""
        self.learn_layouts()
        base = run << RUN_SHIFT
        rows = self.connection.execute(
            "SELECT id, at, body FROM tail WHERE id BETWEEN ? AND ? AND at >= ? AND at < ? ORDER BY id",
            (base, base + SEQ_MASK, block * BLOCK, (block + 1) * BLOCK),
        )
        return block_of_tail(rows, self.layouts, SEQ_MASK, only)

    def block(self, host: int, run: int, block: int, only: Collection[str] | None = None) -> Block:
        """Returns a block with all its frames, sealed or not."""
        waiting = self.tail_block(run, block, only)
        sealed = self.sealed_block(host, block, run, only)
        if sealed is None:
            return waiting
        return sealed.merged(waiting) if waiting.seqs else sealed

    def waiting(self, host: int, start: int, end: int) -> list[tuple[int, int]]:
        """Returns (run, block) of the frames in the tail with a time from `start` to before `end`."""
        found: list[tuple[int, int]] = []
        for run in self.runs_waiting(host):
            base = run.number << RUN_SHIFT
            found += self.connection.execute(
                f"SELECT DISTINCT {run.number}, at / {BLOCK} FROM tail WHERE id BETWEEN ? AND ? AND at >= ? AND at < ?",
                (base, base + SEQ_MASK, start, end),
            ).fetchall()
        return found

    def following(self, host: int, collector: int, run: int, block: int) -> list[tuple[int, int]]:
        """Returns (block, run) of the sealed blocks of a collector that may go on from one: those of other runs at the
        same time, and those of the next time.
        """
        found: list[tuple[int, int]] = self.connection.execute(
            "SELECT block, run FROM chunk WHERE host = ?1 AND collector = ?2 AND (block = ?3 AND run <> ?4 OR block ="
            " (SELECT min(block) FROM chunk WHERE host = ?1 AND collector = ?2 AND block > ?3))",
            (host, collector, block, run),
        ).fetchall()
        return found

    def unsettled(self, host: int, collector: int, start: int, end: int) -> set[tuple[int, int]]:
        """Returns (block, run) whose rollups are not there yet or do not stand: those with frames in the tail, and the
        sealed ones right after them, whose first rates start from those frames.
        """
        found = {(block, run) for run, block in self.waiting(host, start, end)}
        numbers = {run.number for run in self.runs(host)}
        after = set(self.connection.execute("SELECT block, run FROM todo"))
        for block, run in found:
            after.update(self.following(host, collector, run, block))
        return found | {(block, run) for block, run in after if run in numbers}

    def sealed_places(self, host: int, collector: int, first: int, last: int) -> set[tuple[int, int]]:
        """Returns (block, run) of the sealed blocks from `first` to `last`."""
        return set(
            self.connection.execute(
                "SELECT block, run FROM chunk WHERE host = ? AND collector = ? AND block BETWEEN ? AND ?",
                (host, collector, first, last),
            )
        )

    def pieces(
        self,
        host: int,
        name: str,
        wanted: Sequence[str],
        start: int,
        end: int,
        only: Collection[tuple[int, int]] | None = None,
    ) -> Iterator[Piece]:
        """Yields the columns of a collector's wanted series, piece by piece, by block and run.

        Whole blocks are yielded: rows may lie outside of `start` to `end`. `only`: the (block, run) to read.
        """
        number = self.collector(name)
        if number is None:
            return
        self.learn_layouts()
        waiting = set(self.waiting(host, start, end))
        places: dict[tuple[int, int], tuple[int, bytes] | None] = {
            (block, run): None for run, block in waiting if only is None or (block, run) in only
        }
        low, high = start // BLOCK, (end - 1) // BLOCK
        if only is not None:
            low, high = min((block for block, _ in only), default=0), max((block for block, _ in only), default=-1)
        for block, run, layout, data in self.connection.execute(
            "SELECT block, run, layout, data FROM chunk WHERE host = ? AND collector = ? AND block BETWEEN ? AND ?",
            (host, number, low, high),
        ):
            if only is None or (block, run) in only:
                places[block, run] = (layout, data)
        for (block, run), sealed in sorted(places.items(), key=lambda place: place[0]):
            yield from self._pieces(host, block, run, name, wanted, sealed, (run, block) in waiting)

    def _pieces(
        self,
        host: int,
        block: int,
        run: int,
        name: str,
        wanted: Sequence[str],
        sealed: tuple[int, bytes] | None,
        waits: bool,
    ) -> list[Piece]:
        if waits:
            whole = self.block(host, run, block, (name,))
            group = whole.groups.get(name)
            if group is None:
                return []
            columns = dict(zip(wanted, group.columns(wanted), strict=True))
            return pieces_of(self.run(run), block, whole, group.rows, group.reads, columns)
        head = self.head(host, block, run)
        if head is None or sealed is None:
            return []
        packed = decode_group(sealed[1], self.layouts[sealed[0]][0], head.monotonics)
        return pieces_of(self.run(run), block, head, packed.rows, packed.reads, _columns(packed, wanted))


def _columns(packed: SealedGroup, wanted: Sequence[str]) -> dict[str, list[Number | None]]:
    places = {key: index for index, key in enumerate(packed.keys)}
    missing: list[Number | None] = [None] * len(packed.rows)
    return {key: packed.column(places[key]) if key in places else missing for key in wanted}
