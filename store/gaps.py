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
    """Returns what the rollups hold of the time before the readings begin."""
    found: list[tuple[int, int, int]] = []
    edge = until
    for tier, length in ((MINUTE, MINUTE_PAGE), (QUARTER, QUARTER_PAGE)):
        if edge <= start:
            break
        # The collector with the most pages reads the most often.
        best = access.connection.execute(
            "SELECT collector, count(*) FROM rollup WHERE host = ? AND tier = ? AND page BETWEEN ? AND ?"
            " GROUP BY collector ORDER BY 2 DESC, 1 LIMIT 1",
            (host, tier, start // length, edge // length),
        ).fetchone()
        if best is None:
            continue
        oldest = edge
        for (data,) in access.connection.execute(
            "SELECT data FROM rollup WHERE host = ? AND collector = ? AND tier = ? AND page BETWEEN ? AND ?",
            (host, best[0], tier, start // length, edge // length),
        ):
            for number in Page(data).times:
                if number * tier < edge:
                    found.append((number * tier, (number + 1) * tier, tier))
                    oldest = min(oldest, number * tier)
        edge = oldest
    return found
