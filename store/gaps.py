"""Gaps: when nothing was recorded."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

from store.pages import Page
from store.schema import BLOCK, MINUTE, MINUTE_PAGE, QUARTER, QUARTER_PAGE, RUN_SHIFT
from store.summaries import decode_ranges
from sysmon.records import Span

if TYPE_CHECKING:
    from store.access import Access

_LONG = 7 * 86_400_000
"""Milliseconds of a range from which on holes of less than a quarter of an hour do not matter."""


def gaps(access: Access, host: int, start: int, end: int) -> list[Span]:
    """Returns the stretches from `start` to `end` without data, the edges included."""
    held = _held(access, host, start, end)
    found: list[Span] = []
    reached = start
    for first, last, slack in sorted(held):
        if first - reached > slack:
            found.append(Span(reached, min(first, end)))
        reached = max(reached, last)
        if reached >= end:
            break
    slack = held[-1][2] if held else 0
    if end - reached > slack:
        found.append(Span(max(reached, start), end))
    return found


def _held(access: Access, host: int, start: int, end: int) -> list[tuple[int, int, int]]:
    """Returns (first, last, distance to the next that is no gap) of what is held, from readings and from rollups."""
    found: list[tuple[int, int, int]] = []
    for (summary,) in access.connection.execute(
        "SELECT summary FROM chunk WHERE host = ? AND collector = 0 AND block BETWEEN ? AND ?",
        (host, start // BLOCK - 1, end // BLOCK),
    ):
        for first, last, begin, finish in decode_ranges(summary):
            spacing = (finish - begin) / (last - first) if last > first else 0
            found.append((begin, finish, _slack(spacing)))
    for run in access.runs_waiting(host):
        base = run.number << RUN_SHIFT
        ats = [
            at
            for (at,) in access.connection.execute(
                "SELECT at FROM tail WHERE id BETWEEN ? AND ? AND at BETWEEN ? AND ? ORDER BY at",
                (base, base + (1 << RUN_SHIFT) - 1, start - BLOCK, end),
            )
        ]
        if ats:
            distances = sorted(later - earlier for earlier, later in pairwise(ats))
            slack = _slack(distances[len(distances) // 2] if distances else 0)
            found += [(at, at, slack) for at in ats]
    found += _rolled(access, host, start, end, min((first for first, _, _ in found), default=end))
    found.sort()
    return found


def _slack(spacing: float) -> int:
    return int(3 * spacing + 5_000)


def _rolled(access: Access, host: int, start: int, end: int, until: int) -> list[tuple[int, int, int]]:
    """Returns what the rollups hold of the time before the readings begin: over many days quarters, else minutes, and
    each where the other is missing.
    """
    found: list[tuple[int, int, int]] = []
    tiers = [(MINUTE, MINUTE_PAGE), (QUARTER, QUARTER_PAGE)]
    if end - start > _LONG:
        tiers.reverse()
    known: set[int] = set()
    for tier, length in tiers:
        if until <= start:
            break
        # The collector with the most pages reads the most often.
        best = access.connection.execute(
            "SELECT collector, count(*) FROM rollup WHERE host = ? AND tier = ? AND page BETWEEN ? AND ?"
            " GROUP BY collector ORDER BY 2 DESC, 1 LIMIT 1",
            (host, tier, start // length, until // length),
        ).fetchone()
        if best is None:
            continue
        fresh: set[int] = set()
        for page, data in access.connection.execute(
            "SELECT page, data FROM rollup WHERE host = ? AND collector = ? AND tier = ? AND page BETWEEN ? AND ?",
            (host, best[0], tier, start // length, until // length),
        ):
            if page * length // QUARTER_PAGE in known:
                continue
            fresh.add(page * length // QUARTER_PAGE)
            found += [
                (number * tier, (number + 1) * tier, tier) for number in Page(data).times if number * tier < until
            ]
        known |= fresh
    return found
