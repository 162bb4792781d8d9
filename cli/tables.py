"""Tables of commands: as wide as the terminal, cells of foreign text harmless, CSV that no spreadsheet runs."""

from __future__ import annotations

import csv
import os
import shutil
import sys
import unicodedata
from typing import TYPE_CHECKING, NamedTuple

from sysmon.frame import clean_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

LEAST = 8
"""Cells that the first column keeps at least."""
_FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""What a spreadsheet takes for the beginning of a formula."""


class Column(NamedTuple):
    """One column.

    Attributes:
        title: its head. `cells`: one per row.
        drop: columns with the highest go first where the width does not do; those of 0 stay.
        left: whether it is text.
    """

    title: str
    cells: list[str]
    drop: int = 0
    left: bool = False

    @property
    def width(self) -> int:
        """Its width in cells."""
        return max([cells_of(self.title), *map(cells_of, self.cells)])


def width() -> int | None:
    """Returns the width to keep to: the terminal's, or COLUMNS; None where nobody reads it on a terminal."""
    if os.environ.get("COLUMNS", "").isdigit() or sys.stdout.isatty():
        return max(20, shutil.get_terminal_size((100, 30)).columns)
    return None


def cells_of(text: str) -> int:
    """Returns how many cells of a terminal a text takes."""
    if text.isascii():
        return len(text)
    return sum(
        0 if unicodedata.combining(each) else 2 if unicodedata.east_asian_width(each) in "WF" else 1 for each in text
    )


def shortened(text: str, room: int) -> str:
    """Cuts a text to a width, its end replaced by '…'."""
    if cells_of(text) <= room:
        return text
    kept = ""
    for each in text:
        if cells_of(kept + each) > room - 1:
            break
        kept += each
    return kept + "…"


def plain(text: str) -> str:
    """Returns a foreign text for one cell: no controls, one line."""
    return clean_text(text, 255)


def fit(columns: Sequence[Column], room: int | None) -> list[Column]:
    """Leaves out columns without anything in them, then those that the width has no room for."""
    kept = [each for each in columns if not each.drop or any(cell.strip("– ") for cell in each.cells)]
    while room is not None and kept and sum(each.width + 2 for each in kept) - 2 > room:
        last = max(kept, key=lambda each: each.drop)
        if not last.drop:
            break
        kept.remove(last)
    return kept


def lines(columns: Sequence[Column], room: int | None = None) -> list[str]:
    """Returns the lines of a table; where it still is too wide, the first column is shortened."""
    kept = fit(columns, room)
    if not kept:
        return []
    widths = [each.width for each in kept]
    if room is not None:
        widths[0] = max(LEAST, min(widths[0], room - sum(each + 2 for each in widths[1:])))
    made = []
    for number in range(-1, len(kept[0].cells)):
        row = []
        for each, size in zip(kept, widths, strict=True):
            text = shortened(each.title if number < 0 else each.cells[number], size)
            blank = " " * (size - cells_of(text))
            row.append(text + blank if each.left else blank + text)
        line = "  ".join(row).rstrip()
        made.append(line if room is None else shortened(line, room))
    return made


def write_csv(head: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Writes CSV to stdout; None is an empty cell, and text that would begin a formula is quoted by an apostrophe."""
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(head)
    writer.writerows([_value(each) for each in row] for row in rows)


def _value(value: object) -> object:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        text = plain(value)
        return f"'{text}" if text.startswith(_FORMULA) else text
    return value
