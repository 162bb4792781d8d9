"""Reading the tables: names, blocks, and what lies before a block. Writer and readers share it."""

from __future__ import annotations

from collections import OrderedDict
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from store.blocks import Block, SealedGroup, block_of_tail, decode_group, decode_head, unseal_group
from store.schema import BLOCK, RUN_SHIFT
from store.tail import decode_row

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Collection, Iterator, Sequence

    from sysmon.frame import Number

SEQ_MASK = (1 << RUN_SHIFT) - 1
_LOOKBACK = 24
"""Sealed blocks looked through for what lies before a block."""


_HEADS = 12
"""Heads kept decoded."""


class Run(NamedTuple):
    """A row of `run`."""

    number: int
    host: int
    run: str
    boot: str


class Before(NamedTuple):
    """The last read of a collector before a block, within one boot."""

    at: int
    read: int
    values: dict[str, Number]


class Piece(NamedTuple):
    """Columns of one collector in one block. `reads` has the tick's boot clock where the collector named none; `first`
    is the seq of the block's first frame.
    """

    run: Run
    block: int
    first: int
    ats: list[int]
    reads: list[int]
    columns: dict[str, list[Number | None]]


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

    def owners(self, host: int) -> dict[str, set[str]]:
        """Returns collector -> series keys of a host, as far as the history reaches."""
        self.learn_layouts()
        found: dict[str, set[str]] = {}
        for (number,) in self.connection.execute("SELECT id FROM layout WHERE host = ?", (host,)):
            keys, name = self.layouts[number]
            found.setdefault(name, set()).update(keys)
        return found

    def head(self, host: int, block: int, run: int) -> Block | None:
        """Returns what belongs to the frames of a sealed block, or None; not to be changed."""
        row = self.connection.execute(
            "SELECT id, data FROM chunk WHERE host = ? AND collector = 0 AND block = ? AND run = ?", (host, block, run)
        ).fetchone()
        if row is None:
            return None
        known = self._heads.get(row[0])
        if known is None:
            known = self._heads[row[0]] = decode_head(row[1])
            if len(self._heads) > _HEADS:
                self._heads.popitem(last=False)
        return known

    def sealed_block(self, host: int, block: int, run: int, only: Collection[str] | None = None) -> Block | None:
        """Returns a sealed block as rows, with the groups of all collectors or of those named, or None."""
        head = self.head(host, block, run)
        if head is None:
            return None
        made = Block()
        for name in ("seqs", "ats", "times", "monotonics", "fulls", "extras"):
            setattr(made, name, list(getattr(head, name)))
        self.learn_layouts()
        for layout, data in self.connection.execute(
            "SELECT c.layout, c.data FROM collector AS k JOIN chunk AS c"
            " ON c.host = ? AND c.collector = k.id AND c.block = ? AND c.run = ?",
            (host, block, run),
        ):
            keys, name = self.layouts[layout]
            if only is None or name in only:
                made.groups[name] = unseal_group(decode_group(data, keys, head.monotonics))
        return made

    def tail_block(self, run: int, block: int) -> Block:
        """Returns the frames of a block that wait in the tail."""
        self.learn_layouts()
        base = run << RUN_SHIFT
        rows = self.connection.execute(
            "SELECT id, at, body FROM tail WHERE id BETWEEN ? AND ? AND at >= ? AND at < ? ORDER BY id",
            (base, base + SEQ_MASK, block * BLOCK, (block + 1) * BLOCK),
        )
        return block_of_tail(rows, self.layouts, SEQ_MASK)

    def block(self, host: int, run: int, block: int, only: Collection[str] | None = None) -> Block:
        """Returns a block with all its frames, sealed or not."""
        waiting = self.tail_block(run, block)
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
        """Yields the columns of a collector's wanted series, block by block in order of time.

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
            piece = self._piece(host, block, run, name, wanted, sealed, (run, block) in waiting)
            if piece is not None:
                yield piece

    def _piece(
        self,
        host: int,
        block: int,
        run: int,
        name: str,
        wanted: Sequence[str],
        sealed: tuple[int, bytes] | None,
        waits: bool,
    ) -> Piece | None:
        if waits:
            whole = self.block(host, run, block, (name,))
            group = whole.groups.get(name)
            if group is None:
                return None
            columns = dict(zip(wanted, group.columns(wanted), strict=True))
            return _piece_of(self.run(run), block, whole, group.rows, group.reads, columns)
        head = self.head(host, block, run)
        if head is None or sealed is None:
            return None
        packed = decode_group(sealed[1], self.layouts[sealed[0]][0], head.monotonics)
        return _piece_of(self.run(run), block, head, packed.rows, packed.reads, _columns(packed, wanted))

    def before(self, name: str, piece: Piece) -> Before | None:
        """Returns the last read of a collector before a piece, in the same boot."""
        number = self.collector(name)
        boot = {each.number for each in self.runs(piece.run.host) if each.boot == piece.run.boot}
        read = piece.reads[0]
        best: Before | None = None
        if number is not None:
            best = self._before_sealed(piece, number, boot, "<= ?")
            if best is None:
                # The clock may have been set back: what came before by the boot's clock is later by the wall's.
                best = self._before_sealed(piece, number, boot, "> ?")
        for other in (each.number for each in self.runs_waiting(piece.run.host) if each.number in boot):
            base = other << RUN_SHIFT
            below = base | piece.first if other == piece.run.number else base + SEQ_MASK
            best = self._before_in_tail(base, below, name, read, best)
        return best

    def _before_sealed(self, piece: Piece, collector: int, boot: set[int], where: str) -> Before | None:
        host, read = piece.run.host, piece.reads[0]
        best: Before | None = None
        for place, other, layout, data in self.connection.execute(
            f"SELECT block, run, layout, data FROM chunk WHERE host = ? AND collector = ? AND block {where}"
            f" ORDER BY block DESC LIMIT {_LOOKBACK}",
            (host, collector, piece.block),
        ):
            if best is not None and place < best.at // BLOCK:
                break
            head = self.head(host, place, other) if other in boot else None
            if head is None or head.monotonics[0] >= read:
                continue
            last = _last_read(head, decode_group(data, self.layouts[layout][0], head.monotonics), read)
            if last is not None and (best is None or last.read > best.read):
                best = last
        return best

    def _before_in_tail(self, base: int, below: int, name: str, read: int, best: Before | None) -> Before | None:
        self.learn_layouts()
        for at, body in self.connection.execute(
            "SELECT at, body FROM tail WHERE id >= ? AND id < ? ORDER BY id DESC LIMIT 5000", (base, below)
        ):
            row = decode_row(body)
            if best is not None and row.monotonic <= best.read:
                break
            for layout, when, values in row.groups:
                keys, owner = self.layouts[layout]
                moment = row.monotonic if when is None else when
                if owner == name and moment < read and (best is None or moment > best.read):
                    best = Before(at, moment, dict(zip(keys, values, strict=True)))
        return best


def fresh_rows(reads: Sequence[int]) -> list[int] | None:
    """Returns the positions at which something new was read, or None where that is at all of them.

    A full frame repeats what slow collectors read before it.
    """
    if all(later > earlier for earlier, later in pairwise(reads)):
        return None
    kept: list[int] = []
    newest = -1
    for position, read in enumerate(reads):
        if read > newest:
            kept.append(position)
            newest = read
    return kept


def _columns(packed: SealedGroup, wanted: Sequence[str]) -> dict[str, list[Number | None]]:
    places = {key: index for index, key in enumerate(packed.keys)}
    missing: list[Number | None] = [None] * len(packed.rows)
    return {key: packed.column(places[key]) if key in places else missing for key in wanted}


def _piece_of(
    run: Run,
    block: int,
    head: Block,
    rows: Sequence[int],
    reads: Sequence[int | None],
    columns: dict[str, list[Number | None]],
) -> Piece:
    """Makes a piece of the rows at which something new was read."""
    ats = head.ats
    monotonics = head.monotonics
    moments = [monotonics[row] if read is None else read for row, read in zip(rows, reads, strict=True)]
    kept = fresh_rows(moments)
    if kept is None:
        return Piece(run, block, head.seqs[0], [ats[row] for row in rows], moments, columns)
    return Piece(
        run,
        block,
        head.seqs[0],
        [ats[rows[position]] for position in kept],
        [moments[position] for position in kept],
        {key: [column[position] for position in kept] for key, column in columns.items()},
    )


def _last_read(head: Block, packed: SealedGroup, read: int) -> Before | None:
    position = -1
    newest = -1
    for index, (row, moment) in enumerate(zip(packed.rows, packed.reads, strict=True)):
        when = head.monotonics[row] if moment is None else moment
        if newest < when < read:
            position, newest = index, when
    if position < 0:
        return None
    values: dict[str, Number] = {}
    for index, key in enumerate(packed.keys):
        value = packed.column(index)[position]
        if value is not None:
            values[key] = value
    return Before(head.ats[packed.rows[position]], newest, values)
