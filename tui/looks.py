"""Which theme, characters and colours to start with, as configured and as the terminal says of itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tui.glyphs import ASCII, BLOCK, UNICODE, Glyphs
from tui.palette import ANSI_NAME, MONO_NAME

if TYPE_CHECKING:
    from sysmon.config import Config
    from tui.palette import Depth
    from tui.terminal import TerminalCapabilities

THEMES: Final = {
    "dark": "sysmon-dark",
    "light": "sysmon-light",
    "contrast": "sysmon-contrast",
    "ansi": ANSI_NAME,
}
"""`[screen] theme` -> the theme's own name."""


def choose_look(config: Config, capabilities: TerminalCapabilities) -> tuple[str, Glyphs, Depth]:
    """The theme, characters and colour depth for a terminal, as configured and as it says of itself."""
    depth: Depth = "none" if capabilities.no_color else capabilities.color_depth
    if depth in ("none", "16"):
        name = MONO_NAME if depth == "none" else ANSI_NAME
    elif config.screen.theme == "auto":
        name = THEMES["light" if capabilities.background == "light" else "dark"]
    else:
        name = THEMES[config.screen.theme]
    glyphs = ASCII if config.screen.ascii or not capabilities.utf8 else UNICODE if capabilities.braille else BLOCK
    return name, glyphs, depth
