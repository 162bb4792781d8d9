"""The columns of the process list, and which of them a width has room for. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Final

from sysmon.units import MISSING, format_bytes
from tui.renderables.columns import Column

if TYPE_CHECKING:
    from rich.style import Style

    from tui.palette import HueName, Palette
    from tui.processtree import Item
    from tui.renderables.text import Spans
    from tui.theme import Look

TRAIL_CELLS: Final = 5
"""Cells of the small graph of recent processor use; each shows two seconds."""
TRAIL_LEVELS: Final = 4
_LEFT: Final = (0x00, 0x40, 0x44, 0x46, 0x47)
_RIGHT: Final = (0x00, 0x80, 0xA0, 0xB0, 0xB8)


@dataclass(slots=True)
class Facts:
    """What cells need to know besides their row.

    Attributes:
        memory: bytes of memory in all. `cores`: processors.
        whole: whether CPU % is of the whole machine, not of one core.
        booted: Unix seconds of the boot. `now`: Unix seconds of the moment.
        user: the user who looks on, '' where that is not known.
        gpu: whether any process uses a GPU.
        digits: of the largest pid.
        missing: what stands for a value that is not known.
    """

    memory: float | None = None
    cores: int = 1
    whole: bool = False
    booted: float | None = None
    now: float = 0.0
    user: str = ""
    gpu: bool = False
    digits: int = 5
    missing: str = MISSING

    def share(self, bytes_used: int) -> float | None:
        """A process's part of the memory."""
        return bytes_used / self.memory if self.memory else None


def cpu_text(cores: float | None, facts: Facts) -> str:
    """Processor use in percent, of one core or of the machine, in at most 5 cells."""
    if cores is None:
        return facts.missing
    percent = cores * 100 / (max(1, facts.cores) if facts.whole else 1)
    return f"{percent:.1f}" if percent < 99.95 else f"{percent:.0f}"


def time_text(seconds: float) -> str:
    """Processor time so far in at most 6 cells: `0:07`, `59:59`, `3h12m`, `12d04h`."""
    whole = int(seconds)
    if whole < 3600:
        return f"{whole // 60}:{whole % 60:02d}"
    if whole < 360_000:
        return f"{whole // 3600}h{whole % 3600 // 60:02d}m"
    days = whole // 86400
    return f"{days}d{whole % 86400 // 3600:02d}h" if days < 100 else f"{days}d"


def started_text(started: float, facts: Facts) -> str:
    """When a process started in at most 6 cells: `14:02` of the same day, else `Nov 12`, else the year."""
    if facts.booted is None:
        return facts.missing
    try:
        moment, today = datetime.fromtimestamp(facts.booted + started), datetime.fromtimestamp(facts.now)
    except (OverflowError, OSError, ValueError):
        return facts.missing
    if moment.date() == today.date():
        return moment.strftime("%H:%M")
    return moment.strftime("%b %d") if moment.year == today.year else str(moment.year)


def owner_text(container: str, unit: str) -> str:
    """The container or the unit, without the ending that most units share."""
    return container or unit.removesuffix(".service")


def command_spans(item: Item, look: Look) -> Spans:
    """The command line with the program's name standing out; of a thread of the kernel its name in brackets."""
    palette = look.palette
    row = item.row
    spans: Spans = [(item.prefix, palette.faint)] if item.prefix else []
    if item.group:
        spans += [(item.group, palette.text), (f"  {item.size}", palette.dim)]
        return spans
    name_style = palette.faint if item.dim else _new_style(palette) if item.new else palette.text
    rest_style = palette.faint if item.dim else palette.dim
    if item.note:
        spans.append((f"{item.note} {look.glyphs.separator} ", palette.warning))
    if item.fold == "closed":
        spans += [(row.name, palette.faint if item.dim else palette.strong), (f"  +{item.size - 1}", palette.dim)]
        return spans
    if row.kernel:
        return [*spans, (f"[{row.name}]", rest_style)]
    program, space, arguments = row.command.partition(" ")
    folder, slash, base = program.rpartition("/")
    if not row.command:
        spans.append((row.name, name_style))
    elif base.lstrip("-").startswith(row.name) or (row.name and row.name.startswith(base.strip("-:") or " ")):
        spans += [(folder + slash, palette.faint), (base, name_style), (space + arguments, rest_style)]
    else:
        spans += [(row.name, name_style), ("  ", rest_style), (row.command, rest_style)]
    return spans


def _new_style(palette: Palette) -> Style:
    return palette.strong if palette.colorless else palette.ok


def _cpu_style(facts: Facts, item: Item, palette: Palette) -> Style:
    used = item.row.cpu or 0.0
    if item.dim or used < 0.0005 or cpu_text(item.row.cpu, facts) == "0.0":
        return palette.faint
    return palette.hue("cpu").at(0.35 + 0.65 * min(1.0, used))


def _memory_style(facts: Facts, item: Item, palette: Palette) -> Style:
    share = facts.share(item.row.memory)
    if item.dim or not item.row.memory:
        return palette.faint
    if share is None:
        return palette.text
    return palette.dim if share < 0.005 else palette.hue("memory").at(0.45 + 2 * share)


def _bytes_spans(value: float | None, item: Item, style: Style, look: Look) -> Spans:
    palette = look.palette
    if value is None or not value:
        return [(look.glyphs.missing if value is None else "0", palette.faint)]
    text = format_bytes(value, short=True)
    return [(text[:-1], palette.faint if item.dim else style), (text[-1], palette.faint if item.dim else palette.dim)]


def _rate(name: HueName, value: float | None, item: Item, look: Look) -> Spans:
    # A byte a second is the rounding of a rate, not traffic.
    return _bytes_spans(value if value is None or value >= 1 else 0, item, look.palette.hue(name).base, look)


_STATES: Final = {"R": "strong", "D": "warning", "Z": "warning", "T": "warning", "t": "warning"}


def _state_style(item: Item, palette: Palette) -> Style:
    if item.dim:
        return palette.faint
    return getattr(palette, _STATES.get(item.row.state, "faint"))  # type: ignore[no-any-return]


def _dim(style: str, item: Item, palette: Palette) -> Style:
    return palette.faint if item.dim else getattr(palette, style)


def _trail_spans(item: Item, width: int, look: Look) -> Spans:
    """Draws the trail: two points a cell in braille, the higher of both where there is none."""
    trail = item.trail
    if not trail:
        return []
    hue = look.palette.hue("cpu")
    pairs = zip(trail[::2], trail[1::2], strict=False)
    if look.glyphs.graph == "braille":
        text = "".join(chr(0x2800 + (_LEFT[left] | _RIGHT[right])) for left, right in pairs)
    else:
        steps = (" ", *look.glyphs.spark[1::2])
        text = "".join(steps[max(left, right)] for left, right in pairs)
    return [(text[-width:], hue.at(0.3 + 0.7 * max(trail) / TRAIL_LEVELS))]


def columns(width: int, facts: Facts, *, grouped: bool = False) -> list[Column[Item]]:
    """The columns for a width; `place` drops those of the highest priority where even these do not fit.

    Args:
        width: cells of the panel. The command keeps more than a third of it before further columns come.
        facts: what cells look up each time they are drawn.
        grouped: rows stand in groups of owners: their column says nothing new then.
    """
    inner = width - 4
    command = max(14, int(inner * (0.38 if width < 100 else 0.34)))
    title = f"CPU/{facts.cores}" if facts.whole else "CPU%"

    def pid(item: Item) -> str:
        return "" if item.group else str(item.row.pid)

    def user_style(item: Item, palette: Palette) -> Style:
        own = not facts.user or item.row.user == facts.user
        return palette.faint if item.dim else palette.text if own else palette.dim

    def pid_style(item: Item, palette: Palette) -> Style:
        return palette.faint if item.dim else _new_style(palette) if item.new else palette.dim

    def share(item: Item) -> str:
        part = facts.share(item.row.memory)
        return facts.missing if part is None else f"{part * 100:.1f}"

    def number(value: int, item: Item) -> str:
        return "" if item.group or item.note else str(value)

    made: list[Column[Item]] = [
        Column("pid", "PID", pid, width=max(5, facts.digits), align="right", style=pid_style),
        Column("user", "USER", lambda item: item.row.user, width=8 if width < 140 else 11, priority=2,
               style=user_style),
        Column("state", "S", lambda item: item.row.state, width=1, priority=3, style=_state_style),
        Column("cpu", title, lambda item: cpu_text(item.row.cpu, facts), width=max(5, len(title) + 1),
               align="right", style=partial(_cpu_style, facts)),
        Column("trail", "", width=TRAIL_CELLS, priority=13, spans=_trail_spans, sortable=False),
        Column("memory", "MEM", width=6, align="right",
               spans=lambda item, _, look: _bytes_spans(
                   item.row.memory, item, _memory_style(facts, item, look.palette), look)),
        Column("share", "MEM%", share, width=5, align="right", priority=4, style=partial(_memory_style, facts)),
        Column("time", "TIME", lambda item: time_text(item.row.cpu_time), width=6, align="right", priority=5,
               style=partial(_dim, "dim")),
        Column("read", "READ/s", width=7, align="right", priority=6,
               spans=lambda item, _, look: _rate("disk_read", item.row.read_rate, item, look)),
        Column("write", "WRITE/s", width=7, align="right", priority=7,
               spans=lambda item, _, look: _rate("disk_write", item.row.write_rate, item, look)),
        Column("threads", "THR", lambda item: str(item.row.threads), width=4, align="right", priority=9,
               style=partial(_dim, "dim")),
        Column("nice", "NI", lambda item: number(item.row.nice, item), width=3, align="right", priority=10,
               style=lambda item, palette: palette.faint if item.dim or not item.row.nice else palette.text),
        Column("started", "START", lambda item: started_text(item.row.started, facts), width=6, align="right",
               priority=11, style=partial(_dim, "dim")),
        Column("owner", "UNIT", lambda item: owner_text(item.row.container, item.row.unit),
               width=18 if width < 220 else 26, priority=12, style=partial(_dim, "dim"), cut="middle"),
        Column("command", "COMMAND", min_width=command, spans=lambda item, _, look: command_spans(item, look)),
    ]  # fmt: skip
    if facts.gpu:
        gpu: Column[Item] = Column(
            "gpu", "GPU", width=6, align="right", priority=8,
            spans=lambda item, _, look: (
                _bytes_spans(item.row.gpu_memory, item, look.palette.hue("gpu").base, look)
                if item.row.gpu_memory is not None else []
            ),
        )  # fmt: skip
        made.insert(7, gpu)
    return [column for column in made if not (grouped and column.key == "owner")]
