"""The keys of the Alerts screen, for help and `[keys]`; loads nothing of Textual."""

from __future__ import annotations

from typing import Final

from tui.keys import Key

SCOPE: Final = "alerts"

KEYS: Final[tuple[Key, ...]] = (
    Key("go", ("enter",), "go", "go to the moment: the overview as it was then", SCOPE),
    Key("filter", ("slash", "f4"), "filter", "filter by any text of the row", SCOPE),
    Key("kinds", ("f",), "kinds", "alerts and host events, alerts alone, host events alone", SCOPE),
    Key("rules", ("r",), "rules", "the rules in force, and back", SCOPE),
    Key("hosts", ("a",), "all_hosts", "this host alone, or all hosts", SCOPE),
    Key("details", ("d",), "details", "show or hide the details", SCOPE),
    Key("close", ("escape",), "close", "back: leave the rules, drop the filter", SCOPE),
)
"""Every action of the screen; those of the list itself (arrows, pages) are the table's."""
