"""Usage of blocks: what lies before them is looked up, what they add is computed."""

from __future__ import annotations

import json
from bisect import bisect_right
from itertools import pairwise
from typing import TYPE_CHECKING

from store.before import before
from store.blocks import decode_group
from store.schema import BLOCK, PAGED, version_of
from store.usage import LINKED, MOST, Contribution, Last, Pace, accounted, contributions, is_narrow
from store.usagepages import host_info
from sysmon.frame import join_key, split_key
from sysmon.zones import zone_of

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Sequence

    from store.access import Access
    from store.pieces import Piece
    from sysmon.catalogue import Catalogue
    from sysmon.frame import Number

SPEED = "net.link_speed"
"""The metric that tells the speed of an interface's link, in bytes per second."""

_ASIDE = 10_000_000_000
"""Nanoseconds between two reads of a run up to which it told what happened in between."""

_BACK = 4
"""Sealed blocks looked through for a series."""


class Earlier:
    """What came before, in the pieces gone through that are not sealed.

    Attributes:
        lasts: series -> its last value.
        reads: run's number -> when it last read.
    """

    def __init__(self) -> None:
        self.lasts: dict[str, Last] = {}
        self.reads: dict[int, int] = {}

    def learn(self, piece: Piece, keys: Iterable[str]) -> None:
        """Takes a piece that was gone through."""
        self.reads[piece.run.number] = piece.ats[-1]
        for key in keys:
            found = _last_of(piece.ats, piece.columns[key], piece.run.boot)
            if found is not None:
                self.lasts[key] = found


def usage_of(
    access: Access, host: int, name: str, piece: Piece, catalogue: Catalogue, earlier: Earlier
) -> list[Contribution]:
    """Returns what a collector's reads in one block add to usage, and has `earlier` learn of them."""
    keys = accounted(piece.columns, catalogue)
    if not keys or not piece.ats:
        return []
    booted = piece.ats[0] - piece.reads[0] // 1_000_000
    pieces = _beside(access, host, name, piece, keys)
    reads = _in_turn([piece, *pieces]) if pieces else [(piece, row) for row in range(len(piece.ats))]
    own = [each is piece for each, _ in reads] if pieces else None
    runs = [each.run.number for each, _ in reads] if pieces else None
    pace = Pace([each.ats[row] for each, row in reads] if pieces else piece.ats)
    first = next((each for each, _ in reads), piece)
    lasts = lasts_before(access, host, name, first, keys, earlier)
    info = host_info(access.connection, host)
    zone = zone_of(info.timezone if info is not None else "")
    narrow = info is not None and is_narrow(info.arch)
    found: list[Contribution] = []
    for key in keys:
        column = [each.columns[key][row] for each, row in reads] if pieces else piece.columns[key]
        metric, instance = split_key(key)
        linked = metric in LINKED
        added, _ = contributions(
            key,
            catalogue.get(metric),
            piece.run.boot,
            booted,
            pace,
            column,
            lasts.get(key),
            own,
            runs,
            zone=zone,
            narrow=narrow and linked,
            speed=_speed(piece.columns.get(join_key(SPEED, instance))) if linked else None,
        )
        found += added
    earlier.learn(piece, keys)
    return found


def _speed(column: Sequence[Number | None] | None) -> float | None:
    """Returns the greatest speed that a link had, None where none is told."""
    return max((value for value in column or () if value is not None and 0 < value < MOST), default=None)


def unsealed(
    access: Access, host: int, catalogue: Catalogue, wanted: Collection[str], check: Callable[[], None]
) -> Iterator[Contribution]:
    """Yields what the blocks not yet sealed add. Late frames of sealed ones count when they are sealed again.

    Args:
        wanted: series; all where there are none.
        check: is called now and then.
    """
    places = access.waiting(host, 0, 2**62)
    if not places:
        return
    sealed = set(
        access.connection.execute(
            "SELECT block, run FROM chunk WHERE host = ? AND collector = 0 AND block >= ?",
            (host, min(block for _, block in places)),
        )
    )
    waiting = {(block, run) for run, block in places} - sealed
    if not waiting:
        return
    low, high = min(waiting)[0] * BLOCK, (max(waiting)[0] + 1) * BLOCK
    for name, keys in access.owners(host).items():
        chosen = accounted(keys if not wanted else keys.intersection(wanted), catalogue)
        if not chosen:
            continue
        speeds = [key for key in {join_key(SPEED, split_key(each)[1]) for each in chosen} if key in keys]
        earlier = Earlier()
        for piece in access.pieces(host, name, [*chosen, *speeds], low, high, waiting):
            check()
            if not piece.ats or is_followed(access, host, name, piece):
                continue
            yield from usage_of(access, host, name, piece, catalogue, earlier)


def _last_of(ats: Sequence[int], column: Sequence[Number | None], boot: str) -> Last | None:
    """Returns the last value of a column."""
    for position in range(len(column) - 1, -1, -1):
        value = column[position]
        if value is not None and 0 <= value < MOST:
            return Last(boot, value, ats[position])
    return None


def _beside(access: Access, host: int, name: str, piece: Piece, keys: Sequence[str]) -> list[Piece]:
    """Returns the pieces around one where other runs of its boot read too: none nearly always."""
    number = access.collector(name)
    if number is None:
        return []
    low, high = piece.block - 1, piece.block + 1
    places = access.sealed_places(host, number, low, high)
    places.update((block, run) for run, block in access.waiting(host, low * BLOCK, (high + 1) * BLOCK))
    runs = {run.number for run in access.runs(host) if run.boot == piece.run.boot}
    places = {place for place in places if place[1] in runs and place != (piece.block, piece.run.number)}
    if all(run == piece.run.number for _, run in places):
        return []
    found = access.pieces(host, name, keys, low * BLOCK, (high + 1) * BLOCK, places)
    return [each for each in found if each.ats]


def _in_turn(pieces: Sequence[Piece]) -> list[tuple[Piece, int]]:
    """Returns the reads of several runs of a boot in their order, each moment told by one run: while two read side by
    side, the one known longer counts.
    """
    told: dict[int, list[int]] = {}
    for piece in pieces:
        told.setdefault(piece.run.number, []).extend(piece.reads)
    holes = {}
    for run, reads in told.items():
        reads.sort()
        steps = sorted(later - earlier for earlier, later in pairwise(reads))
        holes[run] = max(_ASIDE, int(2.5 * steps[len(steps) // 2])) if steps else _ASIDE

    def covered(run: int, read: int) -> bool:
        for other, reads in told.items():
            if other < run:
                index = bisect_right(reads, read)
                last = reads[index - 1] if index else None
                if last == read:
                    return True
                if last is not None and index < len(reads) and reads[index] - last <= holes[other]:
                    return True
        return False

    found = [
        (read, piece, row)
        for piece in pieces
        for row, read in enumerate(piece.reads)
        if not covered(piece.run.number, read)
    ]
    found.sort(key=lambda each: each[0])
    return [(piece, row) for _, piece, row in found]


def depending(access: Access, host: int, name: str, run: int, block: int, keys: Iterable[str]) -> set[tuple[int, int]]:
    """Returns (block, run) of the sealed blocks whose usage starts from values of one, for any of some series: mostly
    the next, for a series that was away a later one.
    """
    collector = access.collector(name)
    left = set(keys)
    found: set[tuple[int, int]] = set()
    rows = access.connection.execute(
        "SELECT id, block, run, layout FROM chunk WHERE host = ? AND collector = ? AND block >= ? ORDER BY block",
        (host, collector, block),
    ).fetchall()
    access.learn_layouts()
    done = block
    seen: set[str] = set()
    for number, each, of, layout in rows:
        if each != done:
            left -= seen
            done = each
        if not left:
            break
        names = access.layouts[layout][0]
        wanted = [place for place, key in enumerate(names) if key in left]
        head = access.head(host, each, of) if wanted and (each, of) != (block, run) else None
        if head is not None:
            (data,) = access.connection.execute("SELECT data FROM chunk WHERE id = ?", (number,)).fetchone()
            packed = decode_group(data, names, head.monotonics)
            has = {names[place] for place in wanted if any(value is not None for value in packed.column(place))}
            if has:
                found.add((each, of))
                if each > block:
                    seen |= has
    return found


def is_followed(access: Access, host: int, name: str, piece: Piece) -> bool:
    """Whether later reads of the same boot are sealed already: what grew until then is counted there, for now."""
    number = access.collector(name)
    if number is None or not piece.reads:
        return False
    rows = access.connection.execute(
        "SELECT block, run FROM chunk WHERE host = ? AND collector = ? AND block >= ? ORDER BY block LIMIT 24",
        (host, number, piece.block),
    ).fetchall()
    for block, run in rows:
        if run != piece.run.number or block != piece.block:
            head = access.head(host, block, run) if access.run(run).boot == piece.run.boot else None
            if head is not None and head.monotonics[-1] > piece.reads[-1]:
                return True
    return False


def lasts_before(
    access: Access, host: int, name: str, piece: Piece, keys: Sequence[str], earlier: Earlier
) -> dict[str, Last]:
    """Returns the last value of each series before the first row of a piece, where there is one."""
    found: dict[str, Last] = {}
    earlier_read = before(access, name, piece)
    if earlier_read is not None:
        for key in keys:
            value = earlier_read.values.get(key)
            if value is not None and 0 <= value < MOST:
                found[key] = Last(piece.run.boot, value, earlier_read.at)
    missing = [key for key in keys if key not in found]
    if not missing:
        return found
    sealed = _last_sealed(access, host, name, piece, missing)
    read = max(_last_read(access, host, name, piece), earlier.reads.get(piece.run.number, -1))
    for key in missing:
        known = (sealed.get(key), floor_of(access, host, key, piece.run.number), earlier.lasts.get(key))
        lasts = [last for last in known if last is not None and last.at <= piece.ats[0]]
        if lasts:
            last = max(lasts, key=lambda last: last.at)
            found[key] = last._replace(gone=last.gone or read > last.at)
    return found


def _last_read(access: Access, host: int, name: str, piece: Piece) -> int:
    """Returns when the run of a piece last read in the sealed blocks before it, -1 where it did not."""
    run = piece.run.number
    row = access.connection.execute(
        "SELECT block, layout, data FROM chunk WHERE host = ? AND collector = ? AND block < ? AND run = ?"
        " ORDER BY block DESC LIMIT 1",
        (host, access.collector(name), piece.block, run),
    ).fetchone()
    head = access.head(host, row[0], run) if row is not None else None
    if head is None:
        return -1
    packed = decode_group(row[2], access.layout(row[1]), head.monotonics)
    return head.ats[packed.rows[-1]] if packed.rows else -1


def floor_of(access: Access, host: int, key: str, run: int) -> Last | None:
    """Returns the last value of a series among what was trimmed, for reads of a run."""
    # A file that no recorder has brought up to date yet knows of none that is missed.
    missed = "missed" if version_of(access.connection) >= PAGED else "0"
    row = access.connection.execute(
        f"SELECT boot, value, at, {missed} FROM floor WHERE host = ? AND key = ?", (host, key)
    ).fetchone()
    return Last(row[0], row[1], row[2], row[3] == run) if row else None


def _last_sealed(access: Access, host: int, name: str, piece: Piece, wanted: Sequence[str]) -> dict[str, Last]:
    """Looks through the sealed blocks from the piece backward; of each series the newest few that may have it."""
    access.learn_layouts()
    left = dict.fromkeys(wanted, _BACK)
    has = {
        number: shared
        for number, (keys, owner) in access.layouts.items()
        if owner == name and (shared := left.keys() & set(keys))
    }
    found: dict[str, Last] = {}
    rows = access.connection.execute(
        "SELECT id, block, run, layout FROM chunk WHERE host = ? AND collector = ? AND block <= ?"
        " AND NOT (block = ? AND run = ?) AND layout IN (SELECT value FROM json_each(?)) ORDER BY block DESC",
        (host, access.collector(name), piece.block, piece.block, piece.run.number, json.dumps(list(has))),
    )
    for number, block, run, layout in rows:
        keys = [key for key in has[layout] if left.get(key) and not (key in found and found[key].at // BLOCK > block)]
        if not keys:
            if not any(count and not (key in found and found[key].at // BLOCK > block) for key, count in left.items()):
                break
            continue
        head = access.head(host, block, run)
        if head is None:
            continue
        boot = access.run(run).boot
        places = {key: place for place, key in enumerate(access.layouts[layout][0])}
        (data,) = access.connection.execute("SELECT data FROM chunk WHERE id = ?", (number,)).fetchone()
        packed = decode_group(data, access.layouts[layout][0], head.monotonics)
        rows_before = [
            (position, head.ats[row])
            for position, row in enumerate(packed.rows)
            if head.ats[row] < piece.ats[0] and not (boot == piece.run.boot and head.monotonics[row] >= piece.reads[0])
        ]
        for key in keys:
            left[key] -= 1
            column = packed.column(places[key])
            values = [column[position] for position, _ in rows_before]
            last = _last_of([at for _, at in rows_before], values, boot)
            if last is not None and (key not in found or last.at >= found[key].at):
                found[key] = last
    return found
