"""The keys of the History screen, for help and `[keys]`; loads nothing of Textual."""

from __future__ import annotations

from typing import Final

from tui.keys import Key

SCOPE: Final = "history"

KEYS: Final[tuple[Key, ...]] = (
    Key("shorter", ("comma",), "range(-1)", "a shorter range: 30d, 7d, 24h, 12h, 1h", SCOPE, show=True, label="Range"),
    Key("longer", ("full_stop",), "range(1)", "a longer range", SCOPE),
    Key("custom", ("c",), "custom", "a range of your own: 03:00 to 04:30, 3h ago", SCOPE, show=True, label="Custom"),
    Key("series", ("s",), "series", "choose the series to draw", SCOPE, show=True, label="Series"),
    Key("pan_back", ("left",), "pan(-1)", "half a range back", SCOPE),
    Key("pan_forward", ("right",), "pan(1)", "half a range forward", SCOPE),
    Key("zoom_in", ("i",), "zoom(-1)", "zoom in around the cursor", SCOPE, show=True, label="In"),
    Key("zoom_out", ("o",), "zoom(1)", "zoom out", SCOPE, show=True, label="Out"),
    Key("cursor_back", ("less_than_sign", "shift+left"), "cursor(-1)", "cursor to the left", SCOPE),
    Key("cursor_forward", ("greater_than_sign", "shift+right"), "cursor(1)", "cursor to the right", SCOPE),
    Key("go", ("enter",), "go", "show the cursor's moment on every screen", SCOPE),
    Key("previous", ("up", "k"), "scroll(-1)", "charts further up", SCOPE),
    Key("next", ("down", "j"), "scroll(1)", "charts further down", SCOPE),
    Key("page_up", ("pageup",), "page(-1)", "a page of charts up", SCOPE),
    Key("page_down", ("pagedown",), "page(1)", "a page of charts down", SCOPE),
    Key("export", ("e",), "export", "write what is shown to a file (CSV or JSON)", SCOPE, show=True, label="Export"),
    Key("compare", ("H",), "compare", "compare with other hosts", SCOPE, show=True, label="Compare"),
    Key("reload", ("r",), "reload", "read again", SCOPE),
    Key("close", ("escape",), "close", "back: stop reading, take the cursor away", SCOPE),
)
"""Every action of the screen."""
