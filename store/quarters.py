"""From minutes to quarters of an hour: twelve hours of a host at a time, once their blocks are sealed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from store.pages import Cell, Page, encode_page
from store.rollup import RolledUp, merge_cells, page_of
from store.schema import MINUTE, MINUTE_PAGE, QUARTER, QUARTER_PAGE
from store.sketch import Sketch, encode_sketch

if TYPE_CHECKING:
    from collections.abc import Iterator

    from store.engine import Engine

_AT_ONCE = 24
"""Series merged in one pass: bounds what is in memory."""

_PAGES = QUARTER_PAGE // MINUTE_PAGE
_MINUTES = QUARTER // MINUTE


def roll_quarters(engine: Engine, host: int, page: int) -> Iterator[None]:
    """Makes the 15-minute rollups of one page of a host from those of its minutes."""
    made = []
    for collector in list(engine.access.collectors()):
        rows = engine.connection.execute(
            "SELECT layout, data FROM rollup WHERE host = ? AND collector = ? AND tier = ? AND page BETWEEN ? AND ?"
            " ORDER BY page, run",
            (host, collector, MINUTE, page * _PAGES, (page + 1) * _PAGES - 1),
        ).fetchall()
        if not rows:
            continue
        engine.access.learn_layouts()
        yield
        keys = sorted({key for layout, _ in rows for key in engine.access.layouts[layout][0]})
        found: RolledUp = {}
        for start in range(0, len(keys), _AT_ONCE):
            wanted = set(keys[start : start + _AT_ONCE])
            merged: dict[str, dict[int, list[Cell]]] = {key: {} for key in wanted}
            kinds = dict.fromkeys(wanted, 0)
            for layout, data in rows:
                decoded = Page(data)
                for index, key in enumerate(engine.access.layouts[layout][0]):
                    if key in wanted:
                        kind, cells = decoded.series(index)
                        kinds[key] = max(kinds[key], kind)
                        _collect(merged[key], decoded.times, cells)
                yield
            for key in wanted:
                found[key] = (
                    kinds[key],
                    {number: _packed(merge_cells(parts)) for number, parts in merged[key].items()},
                )
            yield
        times, series, rolled = page_of(found)
        made.append((collector, series, (yield from encode_page(times, rolled))))
        yield
    _write(engine, host, page, made)


def _collect(into: dict[int, list[Cell]], times: list[int], cells: object) -> None:
    """Puts cells of minutes with those of their quarter, merging what has piled up."""
    for number, cell in zip(times, cells, strict=True):  # type: ignore[call-overload]
        if cell is not None:
            parts = into.setdefault(number // _MINUTES, [])
            parts.append(cell)
            if len(parts) > _MINUTES:
                into[number // _MINUTES] = [merge_cells(parts)]


def _packed(cell: Cell) -> Cell:
    return cell._replace(sketch=encode_sketch(cell.sketch)) if isinstance(cell.sketch, Sketch) else cell


def _write(engine: Engine, host: int, page: int, made: list[tuple[int, tuple[str, ...], bytes]]) -> None:
    registry = engine.registry
    entry = next(each for each in registry.hosts() if each.number == host)
    engine.connection.execute("BEGIN IMMEDIATE")
    for collector, keys, data in made:
        layout = registry.layout(entry, registry.collector_names[collector], keys)
        engine.connection.execute(
            "INSERT OR REPLACE INTO rollup(host, collector, tier, page, run, layout, data)"
            " VALUES (?, ?, ?, ?, 0, ?, ?)",
            (host, collector, QUARTER, page, layout, data),
        )
    engine.connection.execute("COMMIT")
    engine.unpaged.discard((host, page))
