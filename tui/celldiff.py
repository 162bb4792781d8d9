"""What has to be written so that a terminal shows what it should: only the cells that differ.

`CellDiff` keeps two screens: the *wanted* one, into which pieces of lines are put as they are drawn, and the *shown*
one, what the terminal is known to show. `flush` returns the escape string that leads from the second to the first.
Skipped frames need no care: the next flush goes straight to the newest state.

Nothing here knows Textual; a piece is any iterable of Rich segments. Pieces are recognised by identity, then by equal
texts and styles, and only then cell by cell, so what did not change costs next to nothing.
"""

from __future__ import annotations

from itertools import compress
from operator import ne, or_
from typing import TYPE_CHECKING, Final

from rich.color import ColorSystem

from tui.cells import is_simple, is_unsure, to_cells, widest
from tui.cellwriter import Cells, CellWriter
from tui.sgr import STYLE_LIMIT, StyleTable

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rich.segment import Segment

_UNKNOWN: Final = None
_UNKNOWN_STYLE: Final = -1

_Key = list[tuple[str, int]]


class _Piece:
    """What was last put at one place of a line."""

    __slots__ = ("end", "key", "lengths", "source")

    def __init__(self, source: object, end: int, key: _Key, lengths: list[int]) -> None:
        self.source = source
        self.end = end
        self.key = key
        self.lengths = lengths


class CellDiff:
    """The wanted and the shown screen of one terminal.

    Args:
        width: columns.
        height: lines.
        color_system: colour depth of the terminal; None writes attributes only.
        erases_with_background: the terminal fills erased cells with the current background (terminfo `bce`).
        bright_is_bold: see `StyleTable`.
    """

    def __init__(
        self,
        width: int,
        height: int,
        color_system: ColorSystem | None = ColorSystem.TRUECOLOR,
        *,
        erases_with_background: bool = False,
        bright_is_bold: bool = False,
    ) -> None:
        self.erases_with_background = erases_with_background
        self.cells_written = 0
        """Cells sent since the start, bridged ones included."""
        self._styles = StyleTable(color_system, bright_is_bold=bright_is_bold)
        self._style_limit = STYLE_LIMIT
        self.resize(width, height)

    @property
    def color_system(self) -> ColorSystem | None:
        """The depth that colours are reduced to."""
        return self._styles.color_system

    def resize(self, width: int, height: int) -> None:
        """Start anew at another size: nothing is wanted yet, and nothing known to be shown."""
        self.width = width
        self.height = height
        self._wanted: list[Cells] = [[_UNKNOWN] * width for _ in range(height)]
        self._wanted_styles: list[list[int]] = [[_UNKNOWN_STYLE] * width for _ in range(height)]
        self._pieces: list[dict[int, _Piece]] = [{} for _ in range(height)]
        self.forget()
        self._dirty.clear()

    def forget(self) -> None:
        """Take nothing for granted about the terminal: the next flush sends all that is wanted."""
        self._shown: list[Cells] = [[_UNKNOWN] * self.width for _ in range(self.height)]
        self._shown_styles: list[list[int]] = [[_UNKNOWN_STYLE] * self.width for _ in range(self.height)]
        self._dirty: dict[int, tuple[int, int]] = {y: (0, self.width) for y in range(self.height)}
        # Lines that hold, or held, anything but one-cell characters need more care.
        self._special: set[int] = {
            y
            for y, line in enumerate(self._wanted)
            if not all(cell and is_simple(cell) for cell in line if cell is not None)
        }
        self._cursor = (-1, -1)

    @property
    def pending(self) -> bool:
        """Whether anything was put since the last flush that may differ."""
        return bool(self._dirty)

    def put(self, y: int, x: int, segments: Iterable[Segment]) -> None:
        """Want a piece of a line.

        Args:
            y: line, from 0; others are left out.
            x: column of the first cell, from 0; what goes beyond the width is cut off.
            segments: styled text. It must not change after: the same object at the same place is not looked at again.
        """
        if not 0 <= y < self.height or not 0 <= x < self.width:
            return
        pieces = self._pieces[y]
        old = pieces.get(x)
        if old is not None and old.source is segments:
            return
        code = self._styles.code
        key = [(text, code(style)) for text, style, control in segments if text and not control]
        if old is not None and old.key == key:
            old.source = segments
            return
        lengths: list[int] = []
        column = x
        aligned = old is not None
        for index, pair in enumerate(key):
            if aligned and old is not None and index < len(old.key) and old.key[index] == pair:
                length = old.lengths[index]
            else:
                length = self._lay(y, column, *pair)
                # Behind a segment of another length everything moves, and nothing there can be skipped.
                aligned = aligned and old is not None and index < len(old.key) and old.lengths[index] == length
            lengths.append(length)
            column += length
        if old is None or old.end != column:
            for other in [start for start, piece in pieces.items() if start < column and piece.end > x]:
                del pieces[other]
        pieces[x] = _Piece(segments, column, key, lengths)

    def flush(self, cursor_x: int = 0, cursor_y: int = 0) -> str:
        """What to write now. It is taken as written: the wanted screen becomes the shown one.

        The sequence assumes the default style, and nothing about where the cursor is; it ends with the default style
        and the cursor at the place named.

        Args:
            cursor_x: column the cursor shall rest at.
            cursor_y: its line.

        Returns:
            An escape string, empty if the terminal shows all this already.
        """
        writer = CellWriter(self._styles, self.width, erases_with_background=self.erases_with_background)
        if self._dirty:
            for y in sorted(self._dirty):
                low, high = self._dirty[y]
                changed = self._changed(y, low, high)
                if changed:
                    writer.write_line(y, self._wanted[y], self._wanted_styles[y], changed, special=y in self._special)
                    self.cells_written += len(changed)
                self._shown[y][low:high] = self._wanted[y][low:high]
                self._shown_styles[y][low:high] = self._wanted_styles[y][low:high]
            self._dirty.clear()
            if len(self._styles) > self._style_limit:
                writer.finish()
                self._compact_styles()
        if not writer.parts and self._cursor == (cursor_x, cursor_y):
            return ""
        self._cursor = (cursor_x, cursor_y)
        writer.finish()
        writer.move(cursor_x, cursor_y)
        return "".join(writer.parts)

    def _lay(self, y: int, x: int, text: str, code: int) -> int:
        """Set the wanted cells of one segment; returns how many it takes, those beyond the edge included."""
        cells: Cells
        if is_simple(text):
            length = len(text)
            cells = list(text)
            if not text.strip(" "):
                code = self._styles.blank[code]
        else:
            cells = [*to_cells(text)]
            length = len(cells)
            self._special.add(y)
        width = self.width
        if not length or x >= width:
            return length
        end = x + length
        if end > width:
            end = width
            cut = cells[width - x] == ""
            del cells[width - x :]
            if cut:
                _blank_last(cells)
        line = self._wanted[y]
        low, high = x, end
        if y in self._special:
            # A wide character that is only partly covered loses its other half too.
            while low > 0 and line[low] == "":
                low -= 1
            while high < width and line[high] == "":
                high += 1
            line[low:x] = [" "] * (x - low)
            line[end:high] = [" "] * (high - end)
        line[x:end] = cells
        self._wanted_styles[y][x:end] = [code] * (end - x)
        before = self._dirty.get(y)
        self._dirty[y] = (low, high) if before is None else (min(low, before[0]), max(high, before[1]))
        return length

    def _changed(self, y: int, low: int, high: int) -> list[int]:
        """Columns between two that have to be written, in order."""
        wanted = self._wanted[y][low:high]
        shown = self._shown[y][low:high]
        wanted_styles = self._wanted_styles[y][low:high]
        shown_styles = self._shown_styles[y][low:high]
        if wanted_styles != shown_styles:
            differ = map(or_, map(ne, wanted, shown), map(ne, wanted_styles, shown_styles))
        elif wanted != shown:
            differ = map(ne, wanted, shown)
        else:
            return []
        changed = list(compress(range(low, high), differ))
        if y in self._special and changed:
            changed = self._whole_characters(y, changed)
        return changed

    def _whole_characters(self, y: int, changed: list[int]) -> list[int]:
        """Add to changed columns those which have to be written with them.

        Overwriting a part of a wide character wipes all of it; and where a terminal may draw a sequence wider than
        thought, the cell behind it is written after it.
        """
        found = set(changed)
        work = changed[:]
        while work:
            column = work.pop()
            for line in (self._wanted[y], self._shown[y]):
                start = column
                while start > 0 and line[start] == "":
                    start -= 1
                end = self._end_of_unit(line, start)
                for other in range(start, end):
                    if other not in found:
                        found.add(other)
                        work.append(other)
        wanted = self._wanted[y]
        return sorted(column for column in found if wanted[column] is not None)

    def _end_of_unit(self, line: Cells, start: int) -> int:
        """The end of the character at a column, with the cells that a terminal may draw it over."""
        end = start + 1
        while end < self.width and line[end] == "":
            end += 1
        cell = line[start]
        if cell and is_unsure(cell):
            end = min(self.width, max(end + 1, start + widest(cell)))
        return end

    def _compact_styles(self) -> None:
        live = {code for lines in (self._wanted_styles, self._shown_styles) for line in lines for code in line}
        self._styles, renamed = self._styles.compacted(live)
        self._style_limit = max(STYLE_LIMIT, 2 * len(self._styles))
        for lines in (self._wanted_styles, self._shown_styles):
            for line in lines:
                line[:] = [renamed[code] for code in line]
        for pieces in self._pieces:
            pieces.clear()


def _blank_last(cells: Cells) -> None:
    """Replace a wide character cut off at the end of a line by spaces."""
    index = len(cells) - 1
    while index > 0 and cells[index] == "":
        cells[index] = " "
        index -= 1
    cells[index] = " "
