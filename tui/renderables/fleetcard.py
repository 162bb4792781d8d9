"""One host as a card: its name and state in the frame, its worst alert, and its values with their last minutes."""

from __future__ import annotations

import textwrap
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from textual.strip import Strip

from tui.renderables.fleetcells import (
    HUES,
    LONGEST,
    bounds,
    line_spans,
    short_message,
    spread,
    state_spans,
    tone,
    vital_text,
    ways,
    ways_spans,
    worst_spans,
)
from tui.renderables.frame import rule, sides
from tui.renderables.graph import POINTS_PER_CELL, graph
from tui.renderables.text import Spans, beside, blank, spans_width, strip

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.style import Style

    from tui.fleet import Entry
    from tui.pulse import Vital
    from tui.theme import Look

NARROWEST: Final = 38
"""Cells of the narrowest card."""
_FRAME: Final = 4
_NAMES: Final = 11
"""Cells of a value's name and number, before its line."""
_GAP: Final = 3
_PAIRED: Final = 2 * (_NAMES + LONGEST) + _GAP
"""Cells within a card from which two values stand side by side, each with all its points."""
_TALLEST: Final = 8
_LABELS: Final[dict[Vital, str]] = {"cpu": "cpu", "memory": "mem", "network": "net", "load": "load"}


@dataclass(frozen=True, slots=True)
class Grid:
    """How cards are laid out: `across` of them, each `width` cells and `height` lines, graphs of `tall` lines."""

    across: int
    width: int
    height: int
    tall: int


def card_height(width: int, tall: int) -> int:
    """The lines of a card."""
    return 2 + 1 + (2 if _is_paired(width) else 3) * tall + 1


def lines_of(grid: Grid) -> frozenset[Vital]:
    """The values that cards have lines of."""
    return frozenset(("cpu", "memory", "network", "load") if _is_paired(grid.width) else ("cpu", "memory", "network"))


def _is_paired(width: int) -> bool:
    return width - _FRAME >= _PAIRED


def fitting(count: int, width: int, height: int) -> Grid | None:
    """The grid in which so many cards fill a room best; None where they do not all fit."""
    best: tuple[float, Grid] | None = None
    for across in range(1, min(count, width // NARROWEST) + 1):
        size = width // across
        rows = -(-count // across)
        for tall in range(_TALLEST, 0, -1):
            lines = card_height(size, tall)
            if rows * lines <= height:
                area = _drawn(size, tall) * count / (rows * across)
                if best is None or area >= best[0]:
                    best = (area, Grid(across, size, lines, tall))
                break
    return best[1] if best is not None else None


def _drawn(width: int, tall: int) -> int:
    """How much of a card's picture is worth its room: more points than there are tell nothing."""
    paired = _is_paired(width)
    room = ((width - _FRAME - _GAP) // 2 if paired else width - _FRAME) - _NAMES
    return (4 if paired else 3) * min(tall, 4) * min(room, LONGEST)


def scrolling(width: int) -> Grid:
    """The grid of the smallest cards, for more of them than fit."""
    across = max(1, width // (NARROWEST + 2))
    size = max(1, width // across)
    return Grid(across, size, card_height(size, 1), 1)


def card(
    entry: Entry, width: int, tall: int, look: Look, *, chosen: bool = False, focused: bool = False
) -> list[Strip]:
    """Draw a host in `card_height(width, tall)` lines.

    Args:
        entry: the host.
        width: cells, the frame included.
        tall: lines of each graph.
        look: palette and glyphs.
        chosen: whether the cursor is on it. `focused`: whether the list has the focus, too.
    """
    palette, glyphs = look.palette, look.glyphs
    mark = entry.mark
    edge = palette.border_focus if chosen and focused else palette.border
    if mark in ("critical", "warning") and not (chosen and focused) and not palette.colorless:
        edge = palette.severity(mark)
    sign = f"{glyphs.severity(mark)} " if mark != "ok" else ""
    name: Spans = [(f"{glyphs.right} " if chosen else "", palette.hotkey), (sign, palette.severity(mark))]
    name.append((entry.label, palette.strong if entry.heard or chosen else palette.dim))
    top = rule([name], [state_spans(entry, look)], width, look=look, edge=edge, focused=chosen)[0]
    room = max(0, width - _FRAME)
    if entry.pulse is None:
        return _framed(top, _reason(entry, room, card_height(width, tall) - 2, look), width, look, edge, chosen=chosen)
    body = [_words(entry, room, look)]
    pairs: list[tuple[Vital, ...]] = (
        [("cpu", "memory"), ("network", "load")] if _is_paired(width) else [("cpu",), ("memory",), ("network",)]
    )
    for pair in pairs:
        body += _joined([_vital(entry, name, room, len(pair), tall, look) for name in pair], room, look)
    body.append(_others(entry, room, look, load=not _is_paired(width), ways=tall > 2))
    return _framed(top, body, width, look, edge, chosen=chosen)


def _framed(top: Strip, body: Sequence[Strip], width: int, look: Look, edge: Style, *, chosen: bool) -> list[Strip]:
    side = blank(1, look.palette.text)
    lines = [sides(Strip.join([side, line, side]), width, look=look, edge=edge, focused=chosen) for line in body]
    return [top, *lines, rule([], [], width, look=look, edge=edge, focused=chosen, bottom=True)[0]]


def _reason(entry: Entry, width: int, height: int, look: Look) -> list[Strip]:
    """Why there are no values, in full as far as there is room, and where they should come from."""
    palette, dots = look.palette, look.glyphs.ellipsis
    words = textwrap.wrap(short_message(entry), max(8, width))
    lines = [strip([(line, palette.dim)], width, palette.text, ellipsis=dots) for line in words][: height - 1]
    lines += [blank(width, palette.text)] * (height - 1 - len(lines))
    tags: Spans = [(" ".join(entry.tags), palette.faint)]
    last = beside([(entry.target, palette.faint)], tags, width, palette.text, ellipsis=dots)
    return [*lines, strip(last, width, palette.text, ellipsis=dots)]


def _joined(blocks: Sequence[list[Strip]], width: int, look: Look) -> list[Strip]:
    if len(blocks) == 1:
        return blocks[0]
    return [Strip.join([left, blank(_GAP, look.palette.text), right]) for left, right in zip(*blocks, strict=True)]


def _words(entry: Entry, width: int, look: Look) -> Strip:
    """The worst alert; where there is none, who it is."""
    palette, dots = look.palette, look.glyphs.ellipsis
    worst = worst_spans(entry, look)
    tags: Spans = [(" ".join(entry.tags), palette.faint)] if entry.tags else []
    if worst:
        return strip(worst, width, palette.text, ellipsis=dots)
    info = entry.host.info if entry.host is not None else None
    about = (
        f" {look.glyphs.separator} ".join(filter(None, (info.os, info.kernel))) if info is not None else entry.target
    )
    return strip(beside([(about, palette.dim)], tags, width, palette.text, ellipsis=dots), width, palette.text)


def _vital(entry: Entry, name: Vital, room: int, among: int, tall: int, look: Look) -> list[Strip]:
    """A value with its name, and its line beside it."""
    palette = look.palette
    width = room if among == 1 else (room - _GAP) // 2 + (room - _GAP) % 2 * (name in ("memory", "load"))
    size = max(0, width - _NAMES)
    value: float | None = getattr(entry.now, name) if entry.now is not None else None
    label: Spans = [(f"{_LABELS[name]:<5}", palette.dim)]
    if value is None:
        label.append((f"{look.glyphs.missing if entry.pulse is not None else '':>5}", palette.faint))
    else:
        label.append((f"{vital_text(name, value):>5}", tone(entry, name, value, look)))
    left = [strip(label, width - size, palette.text)]
    left += _ways(entry, width - size, tall, look) if name == "network" and tall > 2 else []
    left += [blank(width - size, palette.text)] * (tall - len(left))
    if tall == 1:
        picture = [strip(line_spans(entry, name, size, look), size, palette.text)]
    elif entry.pulse is None or not entry.pulse.has(name):
        picture = [blank(size, palette.text)] * tall
    else:
        points = entry.pulse.points(name, entry.last)
        low, high = bounds(name, points)
        shown = spread(points, size * POINTS_PER_CELL)
        picture = graph(shown, size, tall, low=low, high=high, hue=palette.hue(HUES[name]), look=look)
    return [Strip.join(pair) for pair in zip(left, picture, strict=True)]


def _ways(entry: Entry, width: int, tall: int, look: Look) -> list[Strip]:
    now, palette = entry.now, look.palette
    if now is None or now.network is None:
        return []
    lines = []
    for mark, text, style in ways(entry, now, look):
        lines.append(strip([("  ", palette.text), (mark, style), (f"{text:>7}", style)], width, palette.text))
    return lines[: tall - 1]


def _others(entry: Entry, width: int, look: Look, *, load: bool, ways: bool) -> Strip:
    """The values that have no line of their own here."""
    palette, now = look.palette, entry.now
    right = ways_spans(entry, look) if now is not None and now.network is not None and not ways else []
    left = width - spans_width(right) - 2
    spans: Spans = []
    named: tuple[tuple[Vital, str], ...] = (("disk", "disk"), ("load", "load"), ("temperature", ""))
    for name, label in named:
        value: float | None = getattr(entry.now, name) if entry.now is not None else None
        if value is None or (name == "load" and not load):
            continue
        text = vital_text(name, value)
        if name == "temperature":
            text = text.replace("°", " C" if look.glyphs.ascii else " °C")
        piece: Spans = [("   " if spans else "", palette.text), (f"{label} " if label else "", palette.dim)]
        piece.append((text, tone(entry, name, value, look)))
        if spans_width([*spans, *piece]) <= left:
            spans += piece
    return strip(beside(spans, right, width, palette.text, ellipsis=look.glyphs.ellipsis), width, palette.text)
