"""What this history lacks of a series: the time before its first reading, and gaps in which the host booted anew.

Across a gap without a boot the counters themselves tell what went through.
"""

from __future__ import annotations

import json
from bisect import bisect_left, bisect_right
from itertools import accumulate, groupby
from operator import itemgetter
from typing import TYPE_CHECKING, NamedTuple

from store.gaps import gaps
from store.schema import BLOCK
from store.usage import MOST

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from store.access import Access
    from sysmon.records import RunSpan

EVER = 1 << 62
"""A time that never comes: the end of what is lacked of a series without any reading."""


class Lack(NamedTuple):
    """A stretch of time of which this history knows nothing of a series; one that starts at 0 is that before its first
    reading.
    """

    start: int
    end: int


def first_reads(access: Access, host: int, keys: Iterable[str], before: dict[str, int]) -> dict[str, int]:
    """Returns when series were first read, as far as raw readings of that are held.

    Args:
        access: look-ups.
        host: its number.
        keys: those asked for.
        before: key -> a time at which it is known to have been read; only earlier reads are told.
    """
    wanted = set(keys)
    found: dict[str, int] = {}
    for name, known in access.owners(host).items():
        asked = wanted & known
        if not asked:
            continue
        last = EVER // BLOCK if asked - before.keys() else max(before[key] for key in asked) // BLOCK
        _first_of(access, host, name, asked, before, last, found)
    return found


def _first_of(
    access: Access, host: int, name: str, asked: set[str], before: dict[str, int], last: int, found: dict[str, int]
) -> None:
    """Looks through the blocks of one collector, the earliest first, until each series was seen."""
    for block, places in groupby(_places(access, host, name, asked, last), itemgetter(0)):
        left = [key for key in asked if key not in found and before.get(key, EVER) >= block * BLOCK]
        if not left:
            return
        for piece in access.pieces(host, name, left, block * BLOCK, (block + 1) * BLOCK, set(places)):
            for key in left:
                read = _first_value(piece.ats, piece.columns[key])
                if read is not None and read < min(before.get(key, EVER), found.get(key, EVER)):
                    found[key] = read


def _places(access: Access, host: int, name: str, asked: set[str], last: int) -> list[tuple[int, int]]:
    """Returns (block, run) up to a block in which some of the series may be, the earliest first."""
    mine = {number for (number,) in access.connection.execute("SELECT id FROM layout WHERE host = ?", (host,))}
    layouts = [
        number for number in mine if access.layouts[number][1] == name and asked & set(access.layouts[number][0])
    ]
    places = set(
        access.connection.execute(
            "SELECT block, run FROM chunk WHERE host = ? AND collector = ? AND block <= ?"
            " AND layout IN (SELECT value FROM json_each(?))",
            (host, access.collector(name), last, json.dumps(layouts)),
        )
    )
    places.update((block, run) for run, block in access.waiting(host, 0, min(EVER, (last + 1) * BLOCK)))
    return sorted(places)


def _first_value(ats: Sequence[int], column: Sequence[object]) -> int | None:
    for at, value in zip(ats, column, strict=True):
        if isinstance(value, (int, float)) and 0 <= value < MOST:
            return at
    return None


def reboots(access: Access, host: int, spans: Sequence[RunSpan]) -> list[Lack]:
    """Returns the gaps between frames of different boots, oldest first.

    `spans`: of the host, as held; where raw readings are trimmed nothing tells boots apart any more.
    """
    if len({span.boot for span in spans}) < 2:
        return []
    start, end = min(span.start for span in spans), max(span.end for span in spans)
    ends = sorted((span.end, span.boot) for span in spans)
    starts = sorted((span.start, span.boot) for span in spans)
    reached = list(accumulate((span.end for span in sorted(spans, key=lambda span: span.start)), max))
    found = []
    for gap in gaps(access, host, start, end + 1):
        begun = bisect_right(starts, gap.start, key=itemgetter(0))
        if begun and reached[begun - 1] >= gap.end:
            # A run goes on behind it, as after a sleep.
            continue
        earlier = bisect_right(ends, gap.start, key=itemgetter(0))
        later = bisect_left(starts, gap.end, key=itemgetter(0))
        if earlier and later < len(starts) and ends[earlier - 1][1] != starts[later][1]:
            found.append(Lack(gap.start, gap.end))
    return found
