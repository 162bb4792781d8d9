"""The keys of the Network screen, for help and `[keys]`; loads nothing of Textual."""

from __future__ import annotations

from typing import Final

from tui.keys import Key

SCOPE: Final = "network"
DEVICES: Final = "devices"
CONNECTIONS: Final = "connections"

SCREEN_KEYS: Final[tuple[Key, ...]] = (
    Key("view", ("v",), "view(1)", "the next of its tables", SCOPE, show=True, label="View"),
    Key("view_back", ("V",), "view(-1)", "the table before", SCOPE),
    Key("interfaces", ("i",), "show_tab('interfaces')", "interfaces", SCOPE),
    Key("devices", ("d",), "show_tab('devices')", "devices behind a router", SCOPE),
    Key("connections", ("c",), "show_tab('connections')", "processes and connections", SCOPE),
    Key("range", ("r",), "range(1)", "range: now, today, 7 days, month, year, all", SCOPE, show=True, label="Range"),
    Key("range_back", ("e",), "range(-1)", "the range before", SCOPE),
    Key("filter", ("slash", "f4"), "filter", "filter by words and fields", SCOPE, show=True, label="Filter"),
    Key("details", ("enter",), "details", "all that is known of this row", SCOPE),
    Key("units", ("u",), "units", "rates in bytes or in bits", SCOPE),
    Key("quiet", ("a",), "quiet", "hide or show loopback, idle virtual and down interfaces", SCOPE),
    Key("router", ("w",), "router", "the devices of the next router", SCOPE),
    Key("sort_left", ("less_than_sign",), "sort_beside(-1)", "sort by the column at the left", SCOPE),
    Key("sort_right", ("greater_than_sign",), "sort_beside(1)", "sort by the column at the right", SCOPE),
    Key("reverse", ("I",), "reverse", "reverse the order", SCOPE),
    Key("close", ("escape",), "close", "back: stop reading, close the details, drop the filter", SCOPE),
)
"""What works on every table of the screen; those of the list itself (arrows, Enter) are the table's."""

DEVICE_KEYS: Final[tuple[Key, ...]] = (
    Key("alias", ("a",), "screen.alias", "give this device a name of your own", DEVICES),
    Key("category", ("g",), "screen.category", "say what sort of device it is (on its page)", DEVICES),
    Key("reset", ("R",), "screen.reset", "begin a new counting period here; the router is not touched", DEVICES),
)

CONNECTION_KEYS: Final[tuple[Key, ...]] = (
    Key("single", ("p",), "screen.single", "by process, or every connection", CONNECTIONS),
    Key("names", ("n",), "screen.names", "ask for the names of the addresses in view, or no longer", CONNECTIONS),
    Key("open_process", ("o",), "screen.open_process", "show its process on the Processes screen", CONNECTIONS),
)

KEYS: Final[tuple[Key, ...]] = (*SCREEN_KEYS, *DEVICE_KEYS, *CONNECTION_KEYS)
"""Every action of the screen, of its device list and of its connections."""
