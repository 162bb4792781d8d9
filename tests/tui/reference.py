"""A small terminal that understands exactly what the program may send, and refuses anything else.

It stands in where pyte guesses: wide characters of which one half is overwritten, hyperlinks, and terminals that draw
emoji sequences wider or narrower than the program thinks.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from rich.cells import cell_len

_SEQUENCE: Final = re.compile(r"\x1b\[(?P<parameters>[?0-9;]*)(?P<letter>[A-Za-z])|\x1b\]8;(?P<link>[^\x1b]*)\x1b\\")
_NAMES: Final = {1: "bold", 2: "dim", 3: "italic", 4: "underline", 5: "blink", 6: "blink2", 7: "reverse", 8: "conceal"}
_NAMES_ON: Final = _NAMES | {9: "strike", 21: "underline2", 51: "frame", 52: "encircle", 53: "overline"}
_NAMES_OFF: Final = {
    22: ("bold", "dim"),
    23: ("italic",),
    24: ("underline",),
    25: ("blink", "blink2"),
    27: ("reverse",),
    28: ("conceal",),
    29: ("strike",),
}
_ON_BLANK: Final = frozenset({"underline", "reverse", "strike", "underline2", "frame", "encircle", "overline"})


@dataclass(frozen=True)
class Look:
    """How a cell is drawn."""

    attributes: frozenset[str] = frozenset()
    foreground: str = ""
    background: str = ""
    link: str = ""


@dataclass
class Cell:
    """One cell; the text of a wide character's second half is empty."""

    text: str = " "
    look: Look = Look()

    def seen(self) -> tuple[object, ...]:
        """What an eye can tell: a blank has no text colour."""
        look = self.look
        if self.text == " " and not look.attributes & _ON_BLANK:
            return (" ", look.background, look.link)
        return (self.text, look)


class ReferenceTerminal:
    """Args:
    width: columns.
    height: lines.
    sequences: draws joined emoji and variation selectors as one character; otherwise each character by itself.
    bce: erases with the current background.
    """

    def __init__(self, width: int, height: int, *, sequences: bool = True, bce: bool = False) -> None:
        self.width, self.height, self.sequences, self.bce = width, height, sequences, bce
        self.lines = [[Cell() for _ in range(width)] for _ in range(height)]
        self.x = self.y = 0
        self.look = Look()
        self._last: tuple[int, int] | None = None

    def screen(self) -> list[list[tuple[object, ...]]]:
        """What can be seen, cell by cell."""
        return [[cell.seen() for cell in line] for line in self.lines]

    def text(self) -> list[str]:
        """The lines without styles."""
        return ["".join(cell.text for cell in line) for line in self.lines]

    def feed(self, data: str) -> None:
        """Do what a string says; AssertionError for anything unknown."""
        position = 0
        while position < len(data):
            character = data[position]
            if character == "\x1b":
                match = _SEQUENCE.match(data, position)
                assert match, f"unknown sequence: {data[position : position + 20]!r}"
                if match["letter"]:
                    self._control(match["parameters"], match["letter"])
                else:
                    self.look = Look(
                        self.look.attributes,
                        self.look.foreground,
                        self.look.background,
                        match["link"].partition(";")[2],
                    )
                self._last = None
                position = match.end()
                continue
            position += 1
            if character == "\r":
                self.x, self._last = 0, None
            elif character == "\b":
                self.x, self._last = max(0, min(self.x, self.width - 1) - 1), None
            else:
                assert character.isprintable() or character == "\u200d" or not cell_len(character), repr(character)
                assert character not in "\n\t\x7f", repr(character)
                self._draw(character)

    def _control(self, parameters: str, letter: str) -> None:
        if parameters.startswith("?"):
            assert parameters in ("?2026",) and letter in "hl"
            return
        numbers = [int(number or 0) for number in parameters.split(";")]
        first = numbers[0] or 1
        self.x = min(self.x, self.width - 1)
        match letter:
            case "m":
                self._style(numbers)
            case "H":
                self.y, self.x = first - 1, (numbers[1] if len(numbers) > 1 else 1) - 1
            case "G":
                self.x = first - 1
            case "A":
                self.y -= first
            case "B":
                self.y += first
            case "C":
                self.x += first
            case "D":
                self.x -= first
            case "K":
                assert parameters == ""
                self._erase(self.width - self.x)
            case "X":
                self._erase(first)
            case _:
                raise AssertionError(f"unknown control {parameters}{letter}")
        assert 0 <= self.x < self.width and 0 <= self.y < self.height, "the cursor left the screen"

    def _style(self, numbers: list[int]) -> None:
        attributes, foreground, background = set(self.look.attributes), self.look.foreground, self.look.background
        rest = iter(numbers)
        for number in rest:
            if number == 0:
                attributes, foreground, background = set(), "", ""
            elif number in _NAMES_ON:
                attributes.add(_NAMES_ON[number])
            elif number in _NAMES_OFF:
                attributes -= set(_NAMES_OFF[number])
            elif number in (38, 48):
                kind = next(rest)
                value = f"{number};{kind};" + ";".join(str(next(rest)) for _ in range(3 if kind == 2 else 1))
                foreground, background = (value, background) if number == 38 else (foreground, value)
            elif number in range(30, 38) or number in range(90, 98):
                foreground = str(number)
            elif number in range(40, 48) or number in range(100, 108):
                background = str(number)
            elif number == 39:
                foreground = ""
            elif number == 49:
                background = ""
            else:
                raise AssertionError(f"unknown style {number}")
        self.look = Look(frozenset(attributes), foreground, background, self.look.link)

    def _erase(self, count: int) -> None:
        for x in range(self.x, min(self.width, self.x + count)):
            self._wipe(x)
            self.lines[self.y][x] = Cell(" ", Look(background=self.look.background if self.bce else ""))

    def _wipe(self, x: int) -> None:
        """Blank the whole wide character of which a cell is a part."""
        line = self.lines[self.y]
        start = x
        while start > 0 and line[start].text == "":
            start -= 1
        end = start + 1
        while end < self.width and line[end].text == "":
            end += 1
        if end > start + 1:
            for other in range(start, end):
                line[other] = Cell(" ", line[other].look)

    def _draw(self, character: str) -> None:
        line = self.lines[self.y]
        width = cell_len(character)
        joined = self._last is not None and self.sequences and line[self._last[1]].text.endswith("\u200d")
        if width == 0 or joined:
            if self._last is None:
                return
            y, x = self._last
            cell = self.lines[y][x]
            cell.text += character
            wider = self.sequences and character == "\ufe0f" and cell_len(cell.text) == 2 and self.x == x + 1
            if wider and self.x < self.width:
                self._wipe(self.x)
                line[self.x] = Cell("", self.look)
                self.x += 1
            return
        x = min(self.x, self.width - width)
        for other in range(x, x + width):
            self._wipe(other)
        line[x] = Cell(character, self.look)
        for other in range(x + 1, x + width):
            line[other] = Cell("", self.look)
        self._last = (self.y, x)
        self.x = x + width
