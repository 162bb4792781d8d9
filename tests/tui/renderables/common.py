"""Looks and helpers that tests of renderables share."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tui.glyphs import ASCII, BLOCK
from tui.theme import DEFAULT_LOOK, look

if TYPE_CHECKING:
    from collections.abc import Iterable

    from textual.strip import Strip

    from tui.renderables.text import Span

UNICODE_LOOK = DEFAULT_LOOK
BLOCK_LOOK = look("sysmon-light", "256", BLOCK)
ASCII_LOOK = look("sysmon-mono", "none", ASCII)
LOOKS = (UNICODE_LOOK, BLOCK_LOOK, ASCII_LOOK, look("sysmon-ansi", "16"))
CPU = DEFAULT_LOOK.palette.hue("cpu")


def texts(strips: Iterable[Strip]) -> list[str]:
    """The text of each strip."""
    return [strip.text for strip in strips]


def joined(spans: Iterable[Span]) -> str:
    """The text of spans."""
    return "".join(text for text, _ in spans)
