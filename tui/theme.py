"""Themes registered with Textual, and the look (palette and glyphs) that an app's widgets draw with."""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

from textual.theme import Theme

from tui.glyphs import UNICODE, Glyphs
from tui.palette import ANSI_NAME, MONO_NAME, THEME_NAMES, Depth, Palette, palette
from tui.tones import TONES, Tones

if TYPE_CHECKING:
    from textual.app import App


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Look:
    """What renderables draw with. The same palette and glyphs give the same object, so caches may hang on it."""

    palette: Palette
    glyphs: Glyphs

    def __repr__(self) -> str:
        return f"Look({self.palette!r}, {self.glyphs.name})"


@lru_cache(64)
def look(theme: str = "sysmon-dark", depth: Depth = "truecolor", glyphs: Glyphs = UNICODE) -> Look:
    """The look of a theme at a colour depth with a set of glyphs; the same arguments give the same object."""
    return Look(palette(theme, depth), glyphs)


DEFAULT_LOOK: Final = look()
"""Dark, truecolor, Unicode."""


def _textual_theme(tones: Tones) -> Theme:
    return Theme(
        name=tones.name,
        primary=tones.border_focus,
        secondary=tones.dim,
        accent=tones.hotkey,
        warning=tones.warning,
        error=tones.critical,
        success=tones.ok,
        foreground=tones.text,
        background=tones.background,
        surface=tones.surface,
        panel=tones.surface,
        dark=tones.dark,
        variables={
            "border": tones.border_focus,
            "border-blurred": tones.border,
            "block-cursor-background": tones.selection,
            "block-cursor-foreground": tones.strong,
            "block-cursor-text-style": "bold",
            "footer-background": tones.background,
            "footer-foreground": tones.dim,
            "footer-key-foreground": tones.hotkey,
            "footer-description-foreground": tones.dim,
            "input-selection-background": tones.selection,
            "scrollbar": tones.border,
            "scrollbar-hover": tones.dim,
            "scrollbar-active": tones.border_focus,
            "scrollbar-background": tones.background,
            "scrollbar-background-hover": tones.background,
            "scrollbar-background-active": tones.background,
        },
    )


def _terminal_theme(name: str, *, colors: bool) -> Theme:
    """A theme that leaves the terminal its own colours."""
    plain = "ansi_default"
    return Theme(
        name=name,
        ansi=True,
        primary="ansi_cyan" if colors else plain,
        secondary="ansi_blue" if colors else plain,
        accent="ansi_yellow" if colors else plain,
        warning="ansi_yellow" if colors else plain,
        error="ansi_red" if colors else plain,
        success="ansi_green" if colors else plain,
        foreground=plain,
        background=plain,
        surface=plain,
        panel=plain,
        boost=plain,
        variables={
            "ansi-background": "ansi_black",
            "ansi-foreground": "ansi_white",
            "border": "ansi_cyan" if colors else plain,
            "border-blurred": "ansi_bright_black" if colors else plain,
            "block-cursor-foreground": "ansi_black" if colors else plain,
            "block-cursor-background": "ansi_cyan" if colors else plain,
            "block-cursor-text-style": "none" if colors else "reverse",
            "footer-key-foreground": "ansi_yellow" if colors else plain,
            "input-cursor-text-style": "reverse",
            "input-selection-background": "ansi_cyan" if colors else "ansi_white",
            "input-selection-foreground": "ansi_black",
            "screen-selection-background": "ansi_cyan" if colors else "ansi_white",
            "screen-selection-foreground": "ansi_black",
        },
    )


def textual_themes() -> list[Theme]:
    """The Textual themes that fit the palettes, so that Textual's own widgets look at home."""
    return [
        *(_textual_theme(tones) for tones in TONES.values()),
        _terminal_theme(ANSI_NAME, colors=True),
        _terminal_theme(MONO_NAME, colors=False),
    ]


def detect_depth(app: App[Any]) -> Depth:
    """How many colours the app's terminal shows; NO_COLOR gives none, a running app without a terminal all."""
    if os.environ.get("NO_COLOR"):
        return "none"
    if app.is_headless:
        return "truecolor"
    depths: dict[str | None, Depth] = {"truecolor": "truecolor", "256": "256", "standard": "16", "windows": "16"}
    return depths.get(app.console.color_system, "none")


def install(app: App[Any], *, theme: str | None = None, glyphs: Glyphs = UNICODE, depth: Depth | None = None) -> None:
    """Register the themes with an app and choose one. Call it in the app's `__init__` or `on_mount`.

    Args:
        app: the app; its widgets find their look by `look_of`.
        theme: one of THEME_NAMES; None takes the one that fits the terminal's colours.
        glyphs: the characters to draw with.
        depth: the terminal's colours; None asks the terminal, which an app that does not run yet only guesses at: tests
            name both.
    """
    for each in textual_themes():
        app.register_theme(each)
    app.__dict__["_sysmon_glyphs"] = glyphs
    app.__dict__["_sysmon_depth"] = depth
    app.set_class(glyphs.ascii, "-ascii")
    if theme is None:
        fitting = {"16": ANSI_NAME, "none": MONO_NAME}
        theme = fitting.get(depth or detect_depth(app), THEME_NAMES[0])
    app.theme = theme


def set_glyphs(app: App[Any], glyphs: Glyphs) -> None:
    """Change the characters that an app's widgets draw with, and redraw them."""
    app.__dict__["_sysmon_glyphs"] = glyphs
    app.set_class(glyphs.ascii, "-ascii")
    app.refresh_css(animate=False)


def look_of(app: App[Any]) -> Look:
    """The look that an app's widgets draw with now."""
    state = app.__dict__
    depth: Depth | None = state.get("_sysmon_depth")
    if depth is None:
        depth = detect_depth(app)
        if app.is_running:
            state["_sysmon_depth"] = depth
    return look(app.theme, depth, state.get("_sysmon_glyphs", UNICODE))
