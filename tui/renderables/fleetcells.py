"""What rows and cards of hosts are made of: states, alerts, values and lines, each as spans."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sysmon.units import format_bytes
from tui.fleet import skew_text
from tui.pulse import POINTS, Vital
from tui.renderables.graph import POINTS_PER_CELL
from tui.renderables.lines import badge
from tui.renderables.spark import sparkline

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from rich.style import Style

    from tui.fleet import Entry
    from tui.palette import HueName
    from tui.pulse import Beat
    from tui.renderables.text import Spans
    from tui.theme import Look

HUES: Final[Mapping[Vital, HueName]] = {
    "cpu": "cpu", "memory": "memory", "network": "receive", "disk": "disk_read", "load": "process",
    "temperature": "temperature",
}  # fmt: skip
NET_FLOOR: Final = 10 * 1024.0
"""The least ceiling of a line of bytes per second: a quiet host does not look busy."""
LIMITS: Final[Mapping[Vital, tuple[float, float]]] = {
    "memory": (0.92, 0.97),
    "disk": (0.9, 0.97),
    "temperature": (90.0, 100.0),
}
"""Above which a value is a warning, and critical; as `sysmon.wrong` judges."""

LONGEST: Final = POINTS // POINTS_PER_CELL
"""Cells of a line that shows all its points."""


def missing(look: Look) -> Spans:
    """The mark of a value that is not there."""
    return [(look.glyphs.missing, look.palette.faint)]


def tone(entry: Entry, name: Vital, value: float, look: Look) -> Style:
    """The style of a value: its hue, what is too much in its severity's, what is old faint."""
    palette = look.palette
    if not entry.heard:
        return palette.faint
    if name in LIMITS:
        warning, critical = LIMITS[name]
        if value > warning:
            return palette.critical if value > critical else palette.warning
    return palette.hue(HUES[name]).base


def vital_text(name: Vital, value: float) -> str:
    """A value in at most five cells."""
    if name in ("cpu", "memory", "disk"):
        return f"{value * 100:.0f}%"
    if name == "network":
        return format_bytes(value, short=True)
    if name == "load":
        return f"{value:.2f}" if value < 9.995 else f"{value:.1f}" if value < 999.95 else f"{value:.0f}"
    return f"{value:.0f}°"


def vital_spans(entry: Entry, name: Vital, look: Look) -> Spans:
    """A value as it stands in a row."""
    value: float | None = getattr(entry.now, name) if entry.now is not None else None
    if value is None:
        return missing(look) if entry.pulse is not None else []
    text = vital_text(name, value)
    return [(text.replace("°", "C") if look.glyphs.ascii else text, tone(entry, name, value, look))]


def ways_spans(entry: Entry, look: Look) -> Spans:
    """Bytes received and sent per second."""
    now = entry.now
    if now is None or now.network is None:
        return missing(look) if entry.pulse is not None else []
    spans: Spans = []
    for mark, text, style in ways(entry, now, look):
        spans += [(" " if spans else "", look.palette.text), (mark, style), (f"{text:>5}", style)]
    return spans


def ways(entry: Entry, now: Beat, look: Look) -> Iterator[tuple[str, str, Style]]:
    """Yields for what is received and what is sent: the mark, the rate in words, their style."""
    glyphs, palette = look.glyphs, look.palette
    both: tuple[tuple[str, float | None, HueName], ...] = (
        (glyphs.down, now.receive, "receive"), (glyphs.up, now.transmit, "transmit"),
    )  # fmt: skip
    for mark, value, hue in both:
        style = palette.hue(hue).base if entry.heard else palette.faint
        yield mark, format_bytes(value, short=True) if value is not None else glyphs.missing, style


def bounds(name: Vital, points: Sequence[float | None]) -> tuple[float, float]:
    """The values at the lower and the upper edge of a line."""
    if name in ("cpu", "memory", "disk"):
        return 0.0, 1.0
    peak = max((point for point in points if point is not None), default=0.0)
    if name == "temperature":
        return 20.0, 100.0
    # Each line fills its own height: the number beside it says how much that is.
    return 0.0, 1.2 * max(peak, NET_FLOOR if name == "network" else 1.0)


def spread(points: Sequence[float | None], count: int) -> list[float | None]:
    """Gives the last `POINTS` points `count` places: means where they are fewer, repeated where they are more.

    Args:
        points: the newest last; where there are fewer than `POINTS`, what came before them stays blank.
        count: places.

    Returns:
        At most `count` points. One that half of what it stands for is missing from is a gap.
    """
    absent = POINTS - len(points)
    if count == POINTS or not points:
        return list(points)
    result: list[float | None] = []
    for place in range(count):
        first, last = place * POINTS // count, -(-(place + 1) * POINTS // count)
        if count > POINTS:
            last = first + 1
        if last <= absent:
            continue
        held = points[max(0, first - absent) : last - absent]
        present = [point for point in held if point is not None]
        result.append(sum(present) / len(present) if 2 * len(present) > len(held) else None)
    return result


def line_spans(entry: Entry, name: Vital, width: int, look: Look) -> Spans:
    """The last points of a value, gaps shaded; without colour where they are not the present ones."""
    if entry.pulse is None or not entry.pulse.has(name):
        return []
    points = entry.pulse.points(name, entry.last)
    low, high = bounds(name, points)
    # Eight heights tell more than four; two points to a cell only where all of them have room then.
    braille = width >= LONGEST and look.glyphs.graph == "braille"
    shown = spread(points, width * POINTS_PER_CELL if braille else width)
    hue = look.palette.hue(HUES[name])
    spans = sparkline(shown, width, low=low, high=high, hue=hue, look=look, braille=braille)
    # A shade that is seen: here a gap is often what a row has to tell.
    gap = look.glyphs.spark_gap if look.glyphs.ascii else look.glyphs.block_track
    old, new = look.palette.gap, look.palette.border
    return [(gap * len(text), new) if style is old else (text, style) for text, style in spans]


def state_spans(entry: Entry, look: Look) -> Spans:
    """The state, and the age of the last frame."""
    word, severity = entry.word
    palette = look.palette
    spans: Spans = [(word, palette.severity(severity))]
    if entry.age_text:
        spans.append(
            (f" {entry.age_text}", palette.dim if severity in ("ok", "unknown") else palette.severity(severity))
        )
    elif entry.state in ("offline", "stale") and entry.host is None:
        spans.append((" never", palette.severity(severity)))
    return spans


def short_message(entry: Entry) -> str:
    """The source's words without the host's name or target before them: they stand in a row that tells it."""
    for known in (entry.label, entry.target):
        if known and entry.message.startswith(f"{known}: "):
            return entry.message[len(known) + 2 :]
    return entry.message


def worst_spans(entry: Entry, look: Look) -> Spans:
    """The worst alert, why it is not heard, or how far its clock is off."""
    palette = look.palette
    if entry.worst is not None:
        severity, words = entry.worst
        spans = badge(severity, words.replace("°", "") if look.glyphs.ascii else words, look=look)
        return [*spans, (f"  +{entry.more}", palette.dim)] if entry.more else spans
    if entry.message and entry.state not in ("live", "paused"):
        return [(short_message(entry), palette.dim)]
    if entry.skew is not None:
        return badge("warning", skew_text(entry.skew), look=look)
    return []
