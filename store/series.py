"""Series over a range: which tiers answer, and how they are stitched.

Long steps are answered from 15-minute rollups, then from those of minutes where no quarter is made yet, then from the
readings of blocks that are not sealed, so the newest moment is always there. Short steps are answered from readings
while they are kept, and from minutes where they are not.
"""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, NamedTuple

from store.before import settled
from store.pages import Page
from store.pieces import Before
from store.rollup import derived_samples, gauge_samples
from store.schema import BLOCK, MINUTE, MINUTE_PAGE, QUARTER, QUARTER_PAGE
from store.steps import Steps, step_for
from sysmon.frame import join_key, split_key
from sysmon.records import Series, SeriesAnswer

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from store.access import Access
    from sysmon.catalogue import Catalogue, Metric
    from sysmon.records import SeriesQuery, Span

_HOURS = QUARTER_PAGE // MINUTE_PAGE
_BLOCKS = MINUTE_PAGE // BLOCK
_MINUTES = BLOCK // MINUTE


class _Wanted(NamedTuple):
    """One series to answer: its key, and the raw series it comes from."""

    key: str
    over: tuple[str, ...]
    per: tuple[str, ...]


def answer(
    access: Access, catalogue: Catalogue, query: SeriesQuery, gaps: list[Span], check: Callable[[], None]
) -> SeriesAnswer:
    """Answers a query; `check` is called now and then and raises when it takes too long."""
    metric = catalogue.get(query.metric)
    host = access.host(query.host)
    if host is None or query.end <= query.start:
        return SeriesAnswer(series=[], gaps=gaps)
    step = step_for(query.start, query.end, query.points)
    found: dict[str, Steps] = {}
    for name, keys in access.owners(host).items():
        wanted = _wanted(metric, query, keys)
        if wanted:
            steps = {each.key: Steps(query.start, query.end, step) for each in wanted}
            _collect(access, host, name, metric, wanted, steps, check)
            for key, each in steps.items():
                if key not in found or each:
                    found[key] = each
    series = []
    for key, each in sorted(found.items()):
        points = each.points()
        if points:
            name, instance = split_key(key)
            unit = metric.unit if metric is not None else ""
            series.append(
                Series(
                    host=query.host,
                    metric=name,
                    instance=instance,
                    unit=unit,
                    step=step,
                    points=points,
                    stats=each.stats(),
                )
            )
    return SeriesAnswer(series=series, gaps=gaps)


def _wanted(metric: Metric | None, query: SeriesQuery, keys: set[str]) -> list[_Wanted]:
    """Returns which series of a collector's keys match the query."""
    formula = metric.formula if metric is not None else None
    if formula is None:
        chosen = [key for key in keys if _matches(key, query.metric, query.instance)]
        return [_Wanted(key, (key,), ()) for key in sorted(chosen)]
    instances = {
        split_key(key)[1]
        for key in keys
        if split_key(key)[0] in formula.over and _matches(key, split_key(key)[0], query.instance)
    }
    found = []
    for instance in sorted(instances):
        over = tuple(key for each in formula.over if (key := join_key(each, instance)) in keys)
        per = tuple(key for each in formula.per if (key := join_key(each, instance)) in keys)
        whole = len(over) == len(formula.over) and len(per) == len(formula.per)
        if whole or (formula.kind != "value_ratio" and over and (per or not formula.per)):
            found.append(_Wanted(join_key(query.metric, instance), over, per))
    return found


def _matches(key: str, metric: str, pattern: str) -> bool:
    name, instance = split_key(key)
    return name == metric and (pattern == "*" or instance == pattern or fnmatchcase(instance, pattern))


def _collect(
    access: Access,
    host: int,
    name: str,
    metric: Metric | None,
    wanted: list[_Wanted],
    steps: dict[str, Steps],
    check: Callable[[], None],
) -> None:
    first = next(iter(steps.values()))
    start, end, step = first.start, first.end, first.step
    rolled = metric is not None and metric.rollup and metric.kind != "counter"
    number = access.collector(name)
    if number is None:
        return
    if not rolled:
        _raw(access, host, name, metric, wanted, steps, None, check)
        return
    done: set[tuple[int, int]] = set()
    whole: set[int] = set()
    waiting = access.unsettled(host, number, start, end)
    if step >= QUARTER:
        unsettled = {block * BLOCK // QUARTER_PAGE for block, _ in waiting}
        for page, layout, data in access.connection.execute(
            "SELECT page, layout, data FROM rollup"
            " WHERE host = ? AND collector = ? AND tier = ? AND page BETWEEN ? AND ?",
            (host, number, QUARTER, start // QUARTER_PAGE, (end - 1) // QUARTER_PAGE),
        ):
            if page not in unsettled:
                whole.add(page)
                _add_page(access, layout, data, QUARTER, wanted, steps)
                check()
    raw_blocks = set() if step >= MINUTE else access.sealed_places(host, number, start // BLOCK, (end - 1) // BLOCK)
    for hour, run, layout, data in access.connection.execute(
        "SELECT page, run, layout, data FROM rollup"
        " WHERE host = ? AND collector = ? AND tier = ? AND page BETWEEN ? AND ?",
        (host, number, MINUTE, start // MINUTE_PAGE, (end - 1) // MINUTE_PAGE),
    ):
        if hour // _HOURS in whole:
            continue
        blocks = {(block, run) for block in range(hour * _BLOCKS, (hour + 1) * _BLOCKS)}
        without = blocks & (waiting | raw_blocks)
        if without != blocks:
            done |= blocks - without
            _add_page(access, layout, data, MINUTE, wanted, steps, {block for block, _ in without})
            check()
    if step >= MINUTE:
        # What is sealed is in the minutes; only blocks with frames in the tail are read whole.
        places = {place for place in waiting if place[0] * BLOCK // QUARTER_PAGE not in whole}
    else:
        places = (raw_blocks | waiting) - done
    _raw(access, host, name, metric, wanted, steps, places, check)


def _add_page(
    access: Access,
    layout: int,
    data: bytes,
    tier: int,
    wanted: list[_Wanted],
    steps: dict[str, Steps],
    without: Collection[int] = (),
) -> None:
    """Adds the wanted series of a page; of minutes, but for those of the blocks `without`."""
    if layout not in access.layouts:
        access.learn_layouts()
    keys = access.layouts[layout][0]
    page = None
    for each in wanted:
        if each.key in keys:
            page = page or Page(data)
            cells = page.series(keys.index(each.key)).cells
            if without:
                cells = [
                    None if number // _MINUTES in without else cell
                    for number, cell in zip(page.times, cells, strict=True)
                ]
            steps[each.key].add_cells(tier, page.times, cells)


def _raw(
    access: Access,
    host: int,
    name: str,
    metric: Metric | None,
    wanted: list[_Wanted],
    steps: dict[str, Steps],
    places: set[tuple[int, int]] | None,
    check: Callable[[], None],
) -> None:
    """Adds what readings say; of the (block, run) in `places`, or of all."""
    if places is not None and not places:
        return
    first = next(iter(steps.values()))
    formula = metric.formula if metric is not None else None
    keys = sorted({key for each in wanted for key in (*each.over, *each.per)})
    last: dict[int, tuple[Before | None, int]] = {}
    for piece in access.pieces(host, name, keys, first.start, first.end, places):
        check()
        earlier, seq = last.get(piece.run.number, (None, 0))
        if piece.repeated or (formula is not None and (earlier is None or piece.first != seq + 1)):
            fresh, earlier = settled(access, name, piece)
            if fresh is None:
                continue
            piece = fresh
        if formula is None:
            for each in wanted:
                steps[each.key].add_samples(gauge_samples(piece.ats, piece.columns[each.key]))
            continue
        for each in wanted:
            start = None
            if earlier is not None:
                value_of = earlier.values.get
                start = (earlier.read, [value_of(key) for key in each.over], [value_of(key) for key in each.per])
            columns = piece.columns
            steps[each.key].add_samples(
                derived_samples(
                    formula,
                    [columns[key] for key in each.over],
                    [columns[key] for key in each.per],
                    piece.ats,
                    piece.reads,
                    start,
                )
            )
        values = {key: column[-1] for key, column in piece.columns.items() if column[-1] is not None}
        last[piece.run.number] = (Before(piece.ats[-1], piece.reads[-1], values), piece.last)
