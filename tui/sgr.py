"""Rich styles as small integers, and the shortest escape sequence from one to the next.

A style is known here by what a terminal shows of it: attributes, the two colours after they were reduced to the
terminal's colour depth, and the hyperlink. Styles that look alike share one code, whatever else they carry.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple
from urllib.parse import quote

if TYPE_CHECKING:
    from rich.color import Color, ColorSystem
    from rich.style import Style

PLAIN: Final = 0
"""Code of the terminal's default look."""

STYLE_LIMIT: Final = 8192
"""Styles after which a table asks to be compacted (blended colours could otherwise grow it for ever)."""

_IDENTITY_LIMIT: Final = 2048
"""Style objects whose code is remembered; Textual makes new ones of the same look all the time."""

_ON: Final = ("1", "2", "3", "4", "5", "6", "7", "8", "9", "21", "51", "52", "53")
"""SGR parameter of each attribute bit, in Rich's order: bold, dim, italic, underline, blink, blink2, reverse, conceal,
strike, double underline, frame, encircle, overline."""

_OFF: Final = (
    (0b11, "22"),
    (0b100, "23"),
    (0b1000, "24"),
    (0b110000, "25"),
    (1 << 6, "27"),
    (1 << 7, "28"),
    (1 << 8, "29"),
)
"""What switches a group of attribute bits off; bold and dim share one, as do the two blinks."""

_RARE: Final = 0b1111 << 9
"""Double underline, frame, encircle and overline: terminals differ about what ends them; a full reset does."""

_SHOWN_ON_BLANK: Final = (1 << 3) | (1 << 6) | (1 << 8) | _RARE
"""Attributes that can be seen where there is only a space."""

_REVERSE: Final = 1 << 6


class _Look(NamedTuple):
    attributes: int
    foreground: str
    background: str
    link: str


def _bits(style: Style) -> int:
    flags = (
        style.bold,
        style.dim,
        style.italic,
        style.underline,
        style.blink,
        style.blink2,
        style.reverse,
        style.conceal,
        style.strike,
        style.underline2,
        style.frame,
        style.encircle,
        style.overline,
    )
    return sum(1 << bit for bit, flag in enumerate(flags) if flag)


def _on_codes(attributes: int) -> list[str]:
    return [code for bit, code in enumerate(_ON) if attributes >> bit & 1]


def _safe_url(url: str) -> str:
    """A URL that cannot end the escape sequence it stands in: only printable ASCII, the rest percent-encoded."""
    return "".join(character if " " < character <= "~" else quote(character, errors="replace") for character in url)


class StyleTable:
    """Gives styles their codes, and remembers the way from each to each.

    Args:
        color_system: the depth colours are reduced to; None leaves colours out altogether.
        bright_is_bold: the terminal shows bright colours by its bold attribute (the Linux console), so that only a full
            reset leaves them.
    """

    def __init__(self, color_system: ColorSystem | None, *, bright_is_bold: bool = False) -> None:
        self.color_system = color_system
        self.bright_is_bold = bright_is_bold
        self._looks: list[_Look] = [_Look(0, "", "", "")]
        self._codes: dict[_Look, int] = {self._looks[0]: PLAIN}
        self._by_identity: dict[int, tuple[Style, int]] = {}
        self._transitions: dict[tuple[int, int], str] = {}
        self._link_ids: dict[str, int] = {}
        self.blank: list[int] = [PLAIN]
        """Code → code of what a space in that style looks like (its text colour does not count)."""

    def __len__(self) -> int:
        return len(self._looks)

    def code(self, style: Style | None) -> int:
        """The code of a style; None is the default look."""
        if style is None:
            return PLAIN
        known = self._by_identity.get(id(style))
        if known is not None:
            return known[1]
        code = self._intern(
            _Look(
                _bits(style),
                self._color(style.color, foreground=True),
                self._color(style.bgcolor, foreground=False),
                _safe_url(style.link) if style.link else "",
            )
        )
        if len(self._by_identity) >= _IDENTITY_LIMIT:
            self._by_identity.clear()
        # The style is kept beside its code: its id stays taken for as long as the entry lives.
        self._by_identity[id(style)] = (style, code)
        return code

    def look(self, code: int) -> tuple[int, str, str, str]:
        """Attribute bits, foreground and background parameters, and link of a code."""
        return self._looks[code]

    def is_default_blank(self, code: int) -> bool:
        """Whether a space in this style is an untouched cell: no background, nothing drawn on it."""
        return self.blank[code] == PLAIN

    def is_erasable(self, code: int) -> bool:
        """Whether an erased cell can stand for a space in this style: a background at most."""
        attributes, _, _, link = self._looks[code]
        return not attributes & _SHOWN_ON_BLANK and not link

    def transition(self, before: int, after: int) -> str:
        """The shortest sequence that leads from one style to another."""
        sequence = self._transitions.get((before, after))
        if sequence is None:
            sequence = self._transitions[before, after] = self._find_transition(self._looks[before], self._looks[after])
        return sequence

    def compacted(self, live: set[int]) -> tuple[StyleTable, dict[int, int]]:
        """A new table that holds only the given codes, and what each of them became."""
        table = StyleTable(self.color_system, bright_is_bold=self.bright_is_bold)
        return table, {code: table._intern(self._looks[code]) if code >= 0 else code for code in live}

    def _intern(self, look: _Look) -> int:
        code = self._codes.get(look)
        if code is None:
            code = self._codes[look] = len(self._looks)
            self._looks.append(look)
            if look.attributes & _SHOWN_ON_BLANK:
                # Text colour shows in underlines and, reversed, as the background; bold and dim may change it.
                self.blank.append(code)
            else:
                self.blank.append(code)  # holds the place while the blank look itself is interned
                self.blank[code] = self._intern(_Look(0, "", look.background, look.link))
        return code

    def _color(self, color: Color | None, *, foreground: bool) -> str:
        if color is None or self.color_system is None:
            return ""
        parameters = ";".join(color.downgrade(self.color_system).get_ansi_codes(foreground))
        return "" if parameters in ("39", "49") else parameters

    def _find_transition(self, before: _Look, after: _Look) -> str:
        link = ""
        if before.link != after.link:
            if after.link:
                # Cells of one URL share an id, so a terminal highlights a link that was written in pieces as one.
                link_id = self._link_ids.setdefault(after.link, len(self._link_ids) + 1)
                link = f"\x1b]8;id={link_id};{after.link}\x1b\\"
            else:
                link = "\x1b]8;;\x1b\\"
        if before[:3] == after[:3]:
            return link
        whole = [*_on_codes(after.attributes), *filter(None, (after.foreground, after.background))]
        reset = f"\x1b[{';'.join(['0', *whole])}m" if whole else "\x1b[m"
        bright = self.bright_is_bold and before.foreground.startswith("9")
        rare = (before.attributes | after.attributes) & _RARE and before.attributes != after.attributes
        if rare or bright:
            return link + reset
        removed = before.attributes & ~after.attributes
        added = after.attributes & ~before.attributes
        parameters: list[str] = []
        for group, off in _OFF:
            if removed & group:
                parameters.append(off)
                added |= after.attributes & group
        parameters += _on_codes(added)
        if before.foreground != after.foreground:
            parameters.append(after.foreground or "39")
        if before.background != after.background:
            parameters.append(after.background or "49")
        change = f"\x1b[{';'.join(parameters)}m"
        return link + (reset if len(reset) < len(change) else change)
