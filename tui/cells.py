"""Text as terminal cells, with the widths that Rich (and so the layout) gives it.

A cell is a string: what the terminal is sent for it. The cells that a wide character covers after its first are empty
strings. Where terminals are known to disagree about a width (emoji sequences, combining marks, variation selectors),
`is_unsure` says so of the cell, and whoever writes it must position the cursor anew behind it.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache
from typing import Final

from rich.cells import cell_len

is_simple: Final = re.compile(
    "[ -~\xa0-\xac\xae-\u02ff\u0370-\u0377\u037a-\u037f\u0384-\u038a\u038e-\u03a1\u03a3-\u0482"
    "\u2010-\u2027\u2030-\u205e\u20ac\u2190-\u2193\u2500-\u25fc\u2713\u2717\u2800-\u28ff]*"
).fullmatch
"""Matches text of which every character takes one cell everywhere: no look-up is needed then."""

_REGIONAL: Final = range(0x1F1E6, 0x1F200)
_SKIN_TONES: Final = range(0x1F3FB, 0x1F400)
_ZWJ: Final = "\u200d"
_SURE_WIDE: Final = (
    range(0x1100, 0x1160),  # Hangul initials
    range(0x2E80, 0xA4D0),  # CJK radicals to Yi
    range(0xAC00, 0xD7A4),  # Hangul syllables
    range(0xF900, 0xFB00),  # CJK compatibility
    range(0xFE30, 0xFE70),  # CJK compatibility forms
    range(0xFF00, 0xFFE7),  # fullwidth forms
    range(0x20000, 0x3FFFE),  # CJK extensions
)


@lru_cache(maxsize=4096)
def is_unsure(cell: str) -> bool:
    """Whether terminals may disagree about how many cells this takes."""
    if len(cell) != 1:
        return len(cell) > 1
    if is_simple(cell):
        return False
    code_point = ord(cell)
    if cell_len(cell) == 2:
        return not any(code_point in wide for wide in _SURE_WIDE)
    return unicodedata.category(cell) in ("Cf", "Cn", "Co", "Mn", "Mc", "Me", "So")


@lru_cache(maxsize=4096)
def widest(cell: str) -> int:
    """The most cells any terminal may draw this over: each of its characters by itself, marks included."""
    return 2 * len(cell)


def to_cells(text: str) -> list[str]:
    """Split text into cells.

    Control characters and line separators are left out (Rich gives them no width either); what cannot be encoded
    becomes U+FFFD. A mark without a character before it is left out as well.

    Args:
        text: what one segment shows; any characters.

    Returns:
        As many entries as Rich's `cell_len(text)`: a character or sequence, followed by an empty string for each
        further cell it covers.
    """
    if is_simple(text):
        return list(text)
    return list(_split(text))


@lru_cache(maxsize=1024)
def _split(text: str) -> tuple[str, ...]:
    clusters: list[str] = []
    width = 0
    for character in text:
        code_point = ord(character)
        category = unicodedata.category(character)
        if category in ("Cc", "Zl", "Zp"):
            continue
        if category == "Cs":
            if not cell_len(character):
                continue
            character = "\ufffd"
        if not clusters:
            if cell_len(character):
                clusters.append(character)
        elif (
            clusters[-1].endswith(_ZWJ)
            or not cell_len(character)
            or (code_point in _SKIN_TONES and cell_len(clusters[-1]) == 2)
            or (code_point in _REGIONAL and len(clusters[-1]) == 1 and ord(clusters[-1]) in _REGIONAL)
        ):
            clusters[-1] += character
        else:
            clusters.append(character)
    cells: list[str] = []
    for cluster in clusters:
        width = cell_len(cluster)
        if width:
            cells.append(cluster)
            cells.extend([""] * (width - 1))
    total = cell_len(text)
    if len(cells) != total:
        # Rich measures the whole otherwise than its parts. The layout went by the whole, so the whole is one cluster.
        whole = "".join(clusters)
        return (whole or " ", *[""] * (total - 1)) if total else ()
    return tuple(cells)
