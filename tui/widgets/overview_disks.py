"""The overview's panel for filesystems and the disks under them."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Final

from sysmon.units import format_bytes, format_duration
from tui.renderables.graph import mirror_graph, with_corners
from tui.renderables.meter import meter
from tui.renderables.scale import nice_ceiling
from tui.renderables.spark import sparkline
from tui.renderables.text import Spans, fit, spans_width, strip, width_of
from tui.widgets.overview_base import Shown, ViewPanel, level_style, rate_spans, ratio_text, short_rate

if TYPE_CHECKING:
    from textual.strip import Strip

    from tui.theme import Look

FLOOR: Final = 100 * 1024.0
"""The least ceiling of a sparkline of I/O, bytes per second."""

FULL: Final = (0.9, 0.97)
"""From these shares a filesystem is nearly full, and full."""


def mounts(shown: Shown) -> list[str]:
    """The filesystems: the root first, then by name."""
    return sorted(shown.instances("fs.size"), key=lambda mount: (mount != "/", mount))


def disks(shown: Shown) -> list[str]:
    """The disks that add up to the host's I/O, those that moved most since the boot first."""
    names = shown.instances("disk.read")
    kinds = {row.name: row.kind for row in shown.view.state.tables.disks or []}
    whole = [name for name in names if kinds.get(name, "disk") == "disk"] or names
    moved = {name: (shown.get(f"disk.read:{name}") or 0) + (shown.get(f"disk.write:{name}") or 0) for name in whole}
    return sorted(whole, key=lambda name: (-moved[name], name))


def total_rate(shown: Shown, metric: str) -> float | None:
    """The sum over the disks; None where no disk has one."""
    rates = [rate for name in disks(shown) if (rate := shown.get(f"{metric}:{name}")) is not None]
    return sum(rates) if rates else None


class DisksPanel(ViewPanel):
    """How full filesystems are, and what disks do."""

    ABOUT: ClassVar[str] = "disk."
    COLLECTORS: ClassVar[tuple[str, ...]] = ("filesystems", "disks")

    def __init__(self) -> None:
        super().__init__("disks", id="disks", padding=1)

    def subtitle(self, shown: Shown, look: Look) -> Spans:
        """All reads and writes."""
        palette = look.palette
        if not disks(shown):
            return []
        short = self.size.width < 50
        read, write = (total_rate(shown, f"disk.{way}_rate") for way in ("read", "write"))
        return [
            *rate_spans("R", read, palette.hue("disk_read"), look, short=short),
            ("  ", palette.text),
            *rate_spans("W", write, palette.hue("disk_write"), look, short=short),
        ]

    def missing(self, shown: Shown) -> str:
        """There may be neither."""
        if shown.instances("fs.size") or shown.instances("disk.read"):
            return ""
        return self.because(shown, "no filesystems and no disks")

    def draw(self, shown: Shown, width: int, height: int, look: Look) -> list[Strip]:
        """Filesystems at the left and disks at the right, or below where the panel is narrow."""
        places, devices = mounts(shown), disks(shown)
        if width >= 86 and places and devices:
            half = (width - 3) // 2
            left = self._mounts(shown, places, half, height, look)
            right = self._disks(shown, devices, width - half - 3, height, look)
            blank = strip([], half, look.palette.text)
            left += [blank] * (height - len(left))
            right += [strip([], width - half - 3, look.palette.text)] * (height - len(right))
            gap = strip([], 3, look.palette.text)
            return [type(gap).join([one, gap, two]) for one, two in zip(left, right, strict=True)]
        if not places or not devices:
            return self._mounts(shown, places, width, height, look) or self._disks(shown, devices, width, height, look)
        spare = height - len(places) - len(devices)
        upper = len(places) if spare >= 0 else max(height - len(devices), (height + 1) // 2)
        lines = self._mounts(shown, places, width, min(upper, height), look)
        if spare > 0 and height - len(lines) > len(devices):
            lines.append(strip([], width, look.palette.text))
        return lines + self._disks(shown, devices, width, height - len(lines), look)

    def _mounts(self, shown: Shown, places: list[str], width: int, room: int, look: Look) -> list[Strip]:
        more = len(places) - room
        if more > 0:
            # Where not all fit, the fullest are those to see; the root stays.
            full = sorted(places[1:], key=lambda mount: -(shown.get(f"fs.utilization:{mount}") or 0.0))
            kept = {places[0], *full[: max(0, room - 1)]} if places[0] == "/" else {*full[:room]}
            places = [mount for mount in places if mount in kept]
        label = max((width_of(mount) for mount in places), default=0)
        label = min(label, max(8, width * 2 // 5))
        return [mount_line(shown, mount, width, label, look) for mount in places[: max(0, room)]]

    def _disks(self, shown: Shown, devices: list[str], width: int, room: int, look: Look) -> list[Strip]:
        if room <= 0:
            return []
        label = min(max((width_of(name) for name in devices), default=0), 12)
        each = room // len(devices)
        if each >= 3 and width >= 30:
            lines: list[Strip] = []
            for name in devices:
                lines += disk_block(shown, name, width, min(each, 12), label, look)
            return lines[:room]
        return [disk_line(shown, name, width, label, look) for name in devices[:room]]


def mount_line(shown: Shown, mount: str, width: int, label: int, look: Look) -> Strip:
    """One filesystem: name, meter, share used, what is free; inodes where they run out."""
    palette, glyphs = look.palette, look.glyphs
    used = shown.get(f"fs.utilization:{mount}")
    hue = palette.hue("disk_read")
    limit = (
        None
        if used is None or used < FULL[0]
        else level_style(used, look, warning=FULL[0], critical=FULL[1], fine=hue.base)
    )
    name: Spans = [(fit(mount, label, cut="middle", ellipsis=glyphs.ellipsis), palette.text)]
    values: Spans = [(f"{ratio_text(used, look):>5}", limit or palette.text)]
    inodes = shown.get(f"fs.inodes.utilization:{mount}")
    if inodes is not None and inodes >= FULL[0]:
        style = level_style(inodes, look, warning=FULL[0], critical=FULL[1], fine=palette.text)
        values.append((f" inodes {ratio_text(inodes, look)}", style))
    free = shown.get(f"fs.available:{mount}")
    tail: Spans = [(f"{short_rate(free, look):>7}", palette.text), (" free", palette.dim)]
    if width - label - spans_width(values) - spans_width(tail) >= 8:
        values += tail
    room = width - label - spans_width(values) - 1
    bar = meter(used, room, low=0.0, high=1.0, hue=hue, look=look, style=limit) if room >= 3 else []
    return strip([*name, (" ", palette.text), *bar, *values], width, palette.text, ellipsis=glyphs.ellipsis)


def disk_line(shown: Shown, name: str, width: int, label: int, look: Look) -> Strip:
    """One disk in one line: reads, writes, their past, how busy it is, and how long an operation takes."""
    palette = look.palette
    read, write = shown.get(f"disk.read_rate:{name}"), shown.get(f"disk.write_rate:{name}")
    head: Spans = [(fit(name, label, ellipsis=look.glyphs.ellipsis), palette.dim)]
    values: Spans = []
    for mark, hue, rate in ((" R", palette.hue("disk_read"), read), (" W", palette.hue("disk_write"), write)):
        values += [(mark, hue.base), (f"{short_rate(rate, look):>6}", palette.text if rate else palette.faint)]
    values += busy_spans(shown, name, width - spans_width(head) - spans_width(values) - 8, look)
    room = width - spans_width(head) - spans_width(values) - 1
    bar: Spans = []
    if room >= 4:
        points = shown.past_sum((f"disk.read_rate:{name}", f"disk.write_rate:{name}"), room)
        high = nice_ceiling(points, FLOOR, base=1024)
        bar = [
            (" ", palette.text),
            *sparkline(points, room, low=0.0, high=high, hue=palette.hue("disk_read"), look=look),
        ]
    return strip([*head, *bar, *values], width, palette.text, ellipsis=look.glyphs.ellipsis)


def disk_block(shown: Shown, name: str, width: int, height: int, label: int, look: Look) -> list[Strip]:
    """One disk in three lines or more: what it does, then the past of reads and of writes."""
    palette, glyphs = look.palette, look.glyphs
    head: Spans = [(fit(name, label, ellipsis=glyphs.ellipsis), palette.text)]
    tail = busy_spans(shown, name, width - label, look)
    lines = [
        strip([*head, (" " * max(0, width - label - spans_width(tail)), palette.text), *tail], width, palette.text)
    ]
    if height >= 5:
        return [*lines, *_disk_graph(shown, name, width, height - 1, look)]
    for way, mark in (("read", "R"), ("write", "W")):
        hue = palette.hue("disk_read" if way == "read" else "disk_write")
        rate = shown.get(f"disk.{way}_rate:{name}")
        room = width - 9
        points = shown.past(f"disk.{way}_rate:{name}", room)
        high = nice_ceiling(points, FLOOR, base=1024)
        bar = sparkline(points, room, low=0.0, high=high, hue=hue, look=look)
        value = (f"{short_rate(rate, look):>7}", palette.text if rate else palette.faint)
        lines.append(strip([(f"{mark} ", hue.base), *bar, value], width, palette.text))
    return lines


def _disk_graph(shown: Shown, name: str, width: int, height: int, look: Look) -> list[Strip]:
    read, write = (shown.points(f"disk.{way}_rate:{name}", width) for way in ("read", "write"))
    high, low = (nice_ceiling(points, FLOOR, base=1024) for points in (read, write))
    palette = look.palette
    lines = mirror_graph(
        read, write, width, height, high_upper=high, high_lower=low, hue_upper=palette.hue("disk_read"),
        hue_lower=palette.hue("disk_write"), look=look, axis=False, phase=shown.taken & 1,
    )  # fmt: skip
    now = (shown.get(f"disk.{way}_rate:{name}") for way in ("read", "write"))
    words = [f"{mark} {short_rate(rate, look)}" for mark, rate in zip("RW", now, strict=True)]
    return with_corners(
        lines, look=look, top_left=f"{words[0]} of {format_bytes(high, short=True)}",
        bottom_left=f"{words[1]} of {format_bytes(low, short=True)}",
    )  # fmt: skip


def busy_spans(shown: Shown, name: str, room: int, look: Look) -> Spans:
    """How busy a disk is and how long its operations take, as far as there is room."""
    palette = look.palette
    busy, wait = shown.get(f"disk.busy:{name}"), shown.get(f"disk.await:{name}")
    style = level_style(busy, look, warning=0.8, critical=0.98, fine=palette.text if busy else palette.faint)
    spans: Spans = []
    if room >= 5:
        spans.append((f"{ratio_text(busy, look):>5}", style))
    if room >= 10:
        spans.append((" busy", palette.dim))
    if room >= 19 and wait is not None:
        slow = level_style(wait, look, warning=0.1, critical=1.0, fine=palette.text)
        spans.append((f"{format_duration(wait, short=True) if wait >= 0.0005 else '<1ms':>8}", slow))
    return spans
