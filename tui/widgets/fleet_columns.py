"""The columns of the list of hosts, and how they share a width: values first, then lines, then longer lines."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tui.renderables.columns import Column
from tui.renderables.fleetcells import LONGEST, line_spans, state_spans, vital_spans, ways_spans, worst_spans

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from tui.fleet import Entry
    from tui.pulse import Vital
    from tui.renderables.text import Spans
    from tui.theme import Look

TITLES: Final[Mapping[Vital, str]] = {
    "cpu": "CPU", "memory": "MEM", "network": "NET", "disk": "DISK", "load": "LOAD", "temperature": "TEMP",
}  # fmt: skip
_STATE: Final = 13
_TIGHT: Final = 10
_VALUES: Final[Mapping[Vital, int]] = {"cpu": 4, "memory": 4, "network": 6, "disk": 4, "load": 5, "temperature": 5}
_BOTH_WAYS: Final = 13


def _name(entry: Entry, width: int, look: Look) -> Spans:
    palette = look.palette
    mark = entry.mark
    sign = look.glyphs.severity(mark) if mark != "ok" else " "
    style = palette.strong if mark in ("critical", "warning") else palette.text if entry.heard else palette.dim
    return [(f"{sign} ", palette.severity(mark)), (entry.label, style)]


def _vital(name: Vital, width: int) -> Column[Entry]:
    return Column(
        name, TITLES[name], width=width, align="right",
        spans=(lambda entry, _, look: ways_spans(entry, look)) if width == _BOTH_WAYS
        else (lambda entry, _, look: vital_spans(entry, name, look)),
    )  # fmt: skip


def _line(name: Vital, width: int) -> Column[Entry]:
    return Column(
        f"{name}_past", "", width=width, sortable=False,
        spans=lambda entry, room, look: line_spans(entry, name, room, look),
    )  # fmt: skip


def lines_of(placed: Iterable[Column[Entry]]) -> frozenset[Vital]:
    """The values that columns have lines of."""
    names = {column.key for column in placed}
    return frozenset(name for name in _VALUES if f"{name}_past" in names)


def columns(width: int) -> list[Column[Entry]]:
    """The columns that fit, from left to right.

    Args:
        width: cells of the table's body.
    """
    room = width - 2
    host = max(9, min(22, room // 7))
    worst = max(_TIGHT, min(40, room // 5))
    state = _STATE if room >= 50 else _TIGHT
    left = room - host - 1 - state - 1 - worst
    values: dict[Vital, int] = {}
    lines: dict[Vital, int] = {}

    def value(name: Vital) -> None:
        nonlocal left
        if left >= _VALUES[name] + 1:
            values[name] = _VALUES[name]
            left -= _VALUES[name] + 1

    def grow(names: Sequence[Vital], least: int, most: int) -> None:
        """Lengthens the lines of values that are there, evenly."""
        nonlocal left
        shown = [name for name in names if name in values]
        for name in shown:
            if name not in lines and left >= least + 1:
                lines[name] = least
                left -= least + 1
        while True:
            short = [name for name in shown if name in lines and lines[name] < most]
            if not short or left < len(short):
                return
            for name in short:
                lines[name] += 1
            left -= len(short)

    main: tuple[Vital, ...] = ("cpu", "memory", "network")
    for name in main:
        value(name)
    for name in ("cpu", "network", "memory"):
        grow((name,), 6, 6)
    grow(main, 6, 10)
    if "network" in values and left >= _BOTH_WAYS - values["network"]:
        left -= _BOTH_WAYS - values["network"]
        values["network"] = _BOTH_WAYS
    value("disk")
    grow(main, 6, 16)
    value("load")
    value("temperature")
    grow(main, 6, LONGEST)
    grow(("disk", "load", "temperature"), 8, LONGEST)
    found: list[Column[Entry]] = [
        Column("host", "HOST", width=host, spans=_name),
        Column("state", "STATE", width=state, spans=lambda entry, _, look: state_spans(entry, look)),
        Column("worst", "WORST", width=None, min_width=worst, spans=lambda entry, _, look: worst_spans(entry, look)),
    ]
    for name in _VALUES:
        if name in values:
            found.append(_vital(name, values[name]))
        if name in lines:
            found.append(_line(name, lines[name]))
    return found
