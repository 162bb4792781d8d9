"""The shortest way to write chosen cells of a line: cursor motions, style changes, erasures."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tui.cells import is_simple, is_unsure
from tui.sgr import PLAIN

if TYPE_CHECKING:
    from tui.sgr import StyleTable

Cells = list[str | None]
"""One line: see `tui.cells`; None is a cell nothing is known about."""

_LONGEST_BRIDGE: Final = 4
"""Cells that may be sent again to avoid a cursor motion, which takes this many bytes within a line."""
_SHORTEST_ERASE: Final = 10
"""Blank cells from which erasing and stepping over them is shorter than sending them."""


class CellWriter:
    """Builds one escape string, keeping track of the cursor and of the style in force.

    It begins with the default style and knows nothing of where the cursor is.

    Args:
        styles: the styles that codes stand for.
        width: columns of the terminal.
        erases_with_background: erased cells take the current background.
    """

    def __init__(self, styles: StyleTable, width: int, *, erases_with_background: bool) -> None:
        self.parts: list[str] = []
        self._styles = styles
        self._width = width
        self._erases_with_background = erases_with_background
        self._style = PLAIN
        self._x = -1  # unknown
        self._y = -1

    def finish(self) -> None:
        """Go back to the default style."""
        if self._style != PLAIN:
            self._set_style(PLAIN)

    def move(self, x: int, y: int) -> None:
        """Move the cursor by the cheapest means."""
        if y == self._y:
            if x == self._x:
                return
            best = f"\x1b[{x + 1}G" if x else "\r"
            if self._x >= 0:
                distance = x - self._x
                if distance > 0:
                    step = f"\x1b[{distance}C" if distance > 1 else "\x1b[C"
                else:
                    step = "\b" * -distance if distance >= -3 else f"\x1b[{-distance}D"
                if len(step) < len(best):
                    best = step
        else:
            if x:
                best = f"\x1b[{y + 1 if y else ''};{x + 1}H"
            else:
                best = f"\x1b[{y + 1}H" if y else "\x1b[H"
            if self._y >= 0 and x in (self._x, 0):
                distance = abs(y - self._y)
                letter = "B" if y > self._y else "A"
                step = ("" if x == self._x else "\r") + (
                    f"\x1b[{distance}{letter}" if distance > 1 else f"\x1b[{letter}"
                )
                if len(step) < len(best):
                    best = step
        self.parts.append(best)
        self._x, self._y = x, y

    def write_line(self, y: int, cells: Cells, styles: list[int], changed: list[int], *, special: bool) -> None:
        """Write some cells of a line.

        Args:
            y: the line.
            cells: all its cells.
            styles: their styles' codes.
            changed: columns to write, in order, at least one; wide characters with all their cells.
            special: the line may hold wide or doubtful characters.
        """
        erase_from = self._blank_tail(cells, styles, changed)
        if erase_from is not None:
            changed = [column for column in changed if column < erase_from]
        count = len(changed)
        index = 0
        while index < count:
            start = changed[index]
            end = start + 1
            index += 1
            while index < count:
                column = changed[index]
                if column != end and (
                    column - end > _LONGEST_BRIDGE or not self._is_bridge(cells, styles, end, column, special=special)
                ):
                    break
                end = column + 1
                index += 1
            if special:
                self._write_special(y, cells, styles, start, end)
            else:
                self._write_run(y, cells, styles, start, end)
        if erase_from is not None:
            blank = self._styles.blank
            if blank[styles[erase_from]] != blank[self._style]:
                self._set_style(blank[styles[erase_from]])
            self.move(erase_from, y)
            self.parts.append("\x1b[K")

    def _set_style(self, style: int) -> None:
        if style != self._style:
            self.parts.append(self._styles.transition(self._style, style))
            self._style = style

    def _may_erase(self, style: int) -> bool:
        known = self._styles
        return known.is_default_blank(style) or (self._erases_with_background and known.is_erasable(style))

    def _blank_tail(self, line: Cells, styles: list[int], changed: list[int]) -> int | None:
        """The column from which the rest of the line can be erased instead of written, if that is shorter."""
        width = self._width
        if changed[-1] != width - 1 or line[-1] != " ":
            return None
        blank = self._styles.blank[styles[-1]]
        if not self._may_erase(blank):
            return None
        start = width - 1
        while start > 0 and line[start - 1] == " " and self._styles.blank[styles[start - 1]] == blank:
            start -= 1
        tail = [column for column in changed if column >= start]
        return tail[0] if len(tail) > 3 else None

    def _is_bridge(self, cells: Cells, styles: list[int], start: int, end: int, *, special: bool) -> bool:
        """Whether sending the unchanged cells from `start` to `end` again is as short as stepping over them."""
        gap = end - start
        step = 3 if gap == 1 else 4
        between = cells[start:end]
        if None in between:
            return False
        text = "".join(between)  # type: ignore[arg-type]
        size = gap if text.isascii() else len(text.encode())
        if size > step or (special and not self._are_simple(cells[start - 1 : end + 1])):
            return False
        first = styles[start - 1]
        if styles[start : end + 1].count(first) == gap + 1:
            return True
        transition, blank = self._styles.transition, self._styles.blank
        style = first
        through = 0
        for column in range(start, end + 1):
            other = styles[column]
            if other != style and (cells[column] != " " or blank[other] != blank[style]):
                through += len(transition(style, other))
                style = other
        return size + through <= step + len(transition(first, styles[end]))

    def _are_simple(self, cells: Cells) -> bool:
        return all(cell is not None and len(cell) == 1 and is_simple(cell) for cell in cells)

    def _write_run(self, y: int, cells: Cells, styles: list[int], start: int, end: int) -> None:
        """Write cells that take one column each."""
        self.move(start, y)
        style = styles[start]
        if styles[start:end].count(style) == end - start:
            self._write_text(y, start, "".join(cells[start:end]), style, last=True)  # type: ignore[arg-type]
        else:
            column = start
            while column < end:
                style = styles[column]
                stop = column + 1
                while stop < end and styles[stop] == style:
                    stop += 1
                text = "".join(cells[column:stop])  # type: ignore[arg-type]  # what is unknown is never changed
                self._write_text(y, column, text, style, last=stop == end)
                column = stop
        if self._x >= self._width:
            self._x = -1  # terminals differ about where the cursor is after the last column

    def _write_text(self, y: int, x: int, text: str, style: int, *, last: bool) -> None:
        """Write text of one style at the cursor; it need not be left behind the text if nothing follows."""
        if text.strip(" "):
            if style != self._style:
                self._set_style(style)
        else:
            blank = self._styles.blank
            if blank[style] != blank[self._style]:
                self._set_style(blank[style])
            if len(text) >= _SHORTEST_ERASE and self._may_erase(blank[style]):
                self.move(x, y)
                self.parts.append(f"\x1b[{len(text)}X")
                if not last:
                    self.move(x + len(text), y)
                return
        self.parts.append(text)
        self._x = x + len(text)

    def _write_special(self, y: int, cells: Cells, styles: list[int], start: int, end: int) -> None:
        """Write cells among which are wide or doubtful ones."""
        blank = self._styles.blank
        width = self._width
        column = start
        while column < end:
            cell = cells[column]
            stop = column + 1
            while stop < width and cells[stop] == "":
                stop += 1
            if cell:
                style = styles[column]
                if cell != " " or blank[style] != blank[self._style]:
                    self._set_style(style if cell != " " else blank[style])
                self.move(column, y)
                if is_unsure(cell):
                    # Cleared first, in case the terminal draws it narrower; placed anew after, whatever it drew.
                    self.parts.append(" " * (stop - column))
                    self._x = stop if stop < width else -1
                    self.move(column, y)
                    self.parts.append(cell)
                    self._x = -1
                else:
                    self.parts.append(cell)
                    self._x = stop if stop < width else -1
            column = stop
