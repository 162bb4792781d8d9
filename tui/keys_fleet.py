"""The keys of the Fleet screen, for help and `[keys]`; loads nothing of Textual."""

from __future__ import annotations

from typing import Final

from tui.keys import Key

SCOPE: Final = "fleet"

KEYS: Final[tuple[Key, ...]] = (
    Key("open", ("enter",), "open", "open this host in every other screen", SCOPE),
    Key("filter", ("slash", "f4"), "filter", "filter by words, tag: and state:", SCOPE, show=True, label="Filter"),
    Key("layout", ("v",), "layout", "cards or rows", SCOPE, show=True, label="View"),
    Key("details", ("d",), "details", "show or hide the details", SCOPE),
    Key("sort_left", ("less_than_sign",), "sort_beside(-1)", "sort by the column at the left", SCOPE),
    Key("sort_right", ("greater_than_sign",), "sort_beside(1)", "sort by the column at the right", SCOPE),
    Key("reverse", ("I",), "reverse", "reverse the order", SCOPE),
    Key("tags", ("t",), "next_tag", "the hosts of one tag after another", SCOPE),
    Key("add", ("a",), "add_host", "add a host", SCOPE, show=True, label="Add"),
    Key("edit", ("e",), "edit_host", "change this host's settings", SCOPE),
    Key("remove", ("D", "delete"), "remove_host", "remove this host from the configuration", SCOPE),
    Key("pause", ("p",), "pause_host", "stop watching this host, or start again", SCOPE),
    Key("close", ("escape",), "close", "back: clear the filter, close the details", SCOPE),
)
"""Every action of the screen; those of the list itself (arrows, Enter) are the table's."""
