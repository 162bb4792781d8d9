"""The keys of the Network screen, for help and `[keys]`; loads nothing of Textual."""

from __future__ import annotations

from typing import Final

from tui.keys import Key

SCOPE: Final = "network"

KEYS: Final[tuple[Key, ...]] = (
    Key("details", ("enter",), "details", "all that is known of this interface", SCOPE),
    Key("units", ("u",), "units", "rates in bytes or in bits", SCOPE),
    Key("quiet", ("a",), "quiet", "hide or show loopback, idle virtual and down interfaces", SCOPE),
    Key("sort_left", ("less_than_sign",), "sort_beside(-1)", "sort by the column at the left", SCOPE),
    Key("sort_right", ("greater_than_sign",), "sort_beside(1)", "sort by the column at the right", SCOPE),
    Key("reverse", ("I",), "reverse", "reverse the order", SCOPE),
    Key("close", ("escape",), "close", "back: close the details", SCOPE),
)
"""Every action of the screen; those of the list itself (arrows, Enter) are the table's."""
