"""Bars of what went through by hour, day or month: received above the axis, sent below."""

from __future__ import annotations

import math
from datetime import datetime
from itertools import pairwise
from typing import TYPE_CHECKING, Final

from sysmon.units import format_bytes
from tui.networkrange import Step, step_text
from tui.renderables.graph import POINTS_PER_CELL, mirror_graph, with_corners
from tui.renderables.lines import centered
from tui.renderables.scale import nice_ceiling

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import tzinfo

    from textual.strip import Strip

    from tui.theme import Look

FLOOR: Final = 1024.0 * 1024
"""Bytes of a step below which the ceiling never falls."""
_HOURS: Final = (1, 2, 3, 4, 6, 12, 24, 48, 168)
_WIDEST: Final = 12
"""Cells of a bar at most: of few steps, broad blocks say nothing more."""


def usage_chart(
    steps: Sequence[Step], step: str, zone: tzinfo, width: int, height: int, *, look: Look, empty: str = ""
) -> list[Strip]:
    """Draw the steps of a range as bars, the last at the right.

    Args:
        steps: from `steps_of`; what is not known of one is drawn as a gap.
        step: hour, day or month, for the labels of the axis.
        zone: of the labels.
        width: cells.
        height: cells.
        look: palette and glyphs.
        empty: said where there are no steps.

    Returns:
        `height` strips of `width` cells.
    """
    if not steps or width <= 0 or height <= 0:
        return centered([empty] if empty else [], width, max(0, height), look=look, style=look.palette.faint)
    fine = look.glyphs.graph == "braille"
    edges = _edges(min(len(steps), POINTS_PER_CELL * width), width, fine=fine)
    steps = steps[1 - len(edges) :]
    upper: list[float | None] = []
    lower: list[float | None] = []
    each = edges[-1] // len(steps)
    # The same between all bars, or some would look like one.
    gap = POINTS_PER_CELL if each >= 3 * POINTS_PER_CELL else 1 if fine and each >= 2 * POINTS_PER_CELL else 0
    for found, (first, after) in zip(steps, pairwise(edges), strict=True):
        for points, value in ((upper, found.receive), (lower, found.transmit)):
            points += [value] * (after - first - gap)
            points += [None if value is None else 0.0] * gap
    high_upper, high_lower = (
        nice_ceiling((getattr(found, way) for found in steps), FLOOR, base=1024) for way in ("receive", "transmit")
    )
    palette = look.palette
    lines = mirror_graph(
        upper, lower, width, height, high_upper=high_upper, high_lower=high_lower, hue_upper=palette.hue("receive"),
        hue_lower=palette.hue("transmit"), look=look, ticks=_ticks(steps, step, zone, edges),
    )  # fmt: skip
    if height >= 3:
        labels = [format_bytes(high).replace(".0 ", " ") for high in (high_upper, high_lower)]
        lines = with_corners(lines, look=look, top_left=labels[0], bottom_left=labels[1])
    return lines


def _edges(count: int, width: int, *, fine: bool) -> list[int]:
    """Where the bars begin and end, in points, evenly; in whole cells where halves cannot stand beside each other."""
    if fine or count > width:
        room = min(POINTS_PER_CELL * width, POINTS_PER_CELL * count * _WIDEST)
        return [index * room // count for index in range(count + 1)]
    cells = min(width, count * _WIDEST)
    return [POINTS_PER_CELL * (index * cells // count) for index in range(count + 1)]


def _ticks(steps: Sequence[Step], step: str, zone: tzinfo, edges: Sequence[int]) -> list[tuple[int, str]]:
    """Labels at the beginning of steps, as far apart as they need: (points before the right edge, text)."""
    texts = [step_text(found.start, step, zone) for found in steps]
    cells = max(len(text) for text in texts) + 2
    wanted = max(1, math.ceil(cells * POINTS_PER_CELL * len(steps) / max(1, edges[-1])))
    if step == "hour":
        every = next((hours for hours in _HOURS if hours >= wanted), wanted)
        hours = [round(found.start / 3_600_000 + _offset(found.start, zone)) for found in steps]
        chosen = [index for index, hour in enumerate(hours) if hour % every == 0]
    else:
        chosen = [*range(len(steps) - 1, -1, -wanted)]
    return [(edges[-1] - edges[index] - 1, texts[index]) for index in chosen]


def _offset(time: int, zone: tzinfo) -> float:
    offset = datetime.fromtimestamp(time / 1000, zone).utcoffset()
    return offset.total_seconds() / 3600 if offset else 0.0
