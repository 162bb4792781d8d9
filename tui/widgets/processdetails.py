"""One process in full: who it is, where it comes from, what it uses and has used."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from rich.segment import Segment
from textual.actions import SkipAction
from textual.binding import Binding, BindingType
from textual.strip import Strip

from sysmon.units import format_bytes, format_duration, format_time
from tui.processcolumns import Facts, cpu_text, owner_text, time_text
from tui.renderables.frame import Hint
from tui.renderables.graph import graph
from tui.renderables.lines import centered
from tui.renderables.text import Spans, clean, shorten, strip, take, width_of
from tui.widgets.panel import Panel

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.style import Style
    from textual import events

    from sysmon.frame import ProcessRow
    from tui.theme import Look

STATES = {
    "R": "running",
    "S": "sleeping",
    "D": "blocked, waiting for a device",
    "T": "stopped",
    "t": "stopped by a debugger",
    "Z": "zombie: ended, its parent has not asked how",
    "X": "dead",
    "I": "idle thread of the kernel",
}
_LABEL = 10
_GRAPH_HEIGHT = 4


@dataclass(frozen=True, slots=True)
class Detail:
    """What is shown of a process.

    Attributes:
        row: its row.
        parents: nearest first.
        children: busiest first.
        points: its processor use in cores, oldest first; None before it started. Empty where that is not known.
        facts: of the host.
        time: the moment, Unix milliseconds.
        note: what is to be said of it, such as that it ended.
        past: whether this is a moment of the past, of which no course is known.
    """

    row: ProcessRow
    parents: Sequence[ProcessRow]
    children: Sequence[ProcessRow]
    points: Sequence[float | None]
    facts: Facts
    time: int
    note: str = ""
    past: bool = False


def wrapped(text: str, width: int) -> list[str]:
    """Breaks a text into lines of at most `width` cells, at spaces where a line has one in its second half."""
    rest = clean(text)
    lines: list[str] = []
    while rest and width > 0:
        line = take(rest, width)
        if not line:
            break
        if len(line) < len(rest):
            space = line.rfind(" ")
            if rest[len(line)] != " " and space > len(line) // 2:
                line = line[: space + 1]
        lines.append(line.rstrip())
        rest = rest[len(line) :].lstrip()
    return lines


def detail_lines(detail: Detail, width: int, look: Look) -> list[Strip]:
    """Draws all lines of a process, however many they are."""
    palette, glyphs, row, facts = look.palette, look.glyphs, detail.row, detail.facts
    lines: list[Strip] = []

    def add(spans: Spans) -> None:
        lines.append(strip(spans, width, palette.text, ellipsis=glyphs.ellipsis))

    def pair(label: str, *values: tuple[str, Style]) -> None:
        add([(label.ljust(_LABEL), palette.dim), *values])

    def head(title: str) -> None:
        if lines:
            add([])
        add([(title, palette.title)])

    if detail.note:
        add([(f"{glyphs.severity_warning} {detail.note}", palette.warning)])
    for line in wrapped(row.command or (f"[{row.name}]" if row.kernel else row.name), width):
        add([(line, palette.text)])
    head("processor")
    lines += _course(detail, width, look)
    used = "" if row.cpu is None else f" % of {f'{facts.cores} processors' if facts.whole else 'one processor'}"
    pair(
        "now", (cpu_text(row.cpu, facts), palette.hue("cpu").base if row.cpu else palette.faint),
        (used, palette.dim),
    )  # fmt: skip
    pair("so far", (time_text(row.cpu_time), palette.text))
    pair("nice", (str(row.nice), palette.text), (f"   {row.threads} threads", palette.dim))
    pair("state", (row.state, palette.text), (f" {STATES.get(row.state, '')}", palette.dim))

    head("memory")
    share = facts.share(row.memory)
    of_all = "" if share is None else f"  {share * 100:.1f} % of {format_bytes(facts.memory)}"
    pair("resident", (format_bytes(row.memory), palette.hue("memory").base), (of_all, palette.dim))
    pair("address", (format_bytes(row.virtual) if row.virtual else glyphs.missing, palette.text))
    if row.gpu_memory is not None:
        pair("on GPUs", (format_bytes(row.gpu_memory), palette.hue("gpu").base))

    head("storage")
    for label, hue, rate, so_far in (
        ("reads", palette.hue("disk_read"), row.read_rate, row.read_bytes),
        ("writes", palette.hue("disk_write"), row.write_rate, row.written_bytes),
    ):
        if rate is None and so_far is None:
            pair(label, (glyphs.missing, palette.faint), ("  not permitted, or not counted", palette.dim))
            continue
        rate_text = glyphs.missing if rate is None else format_bytes(rate, per_second=True)
        so_far_text = glyphs.missing if so_far is None else format_bytes(so_far)
        pair(label, (rate_text.ljust(12), hue.base if rate else palette.faint), (f"{so_far_text} so far", palette.dim))

    head("origin")
    pair("user", (clean(row.user) or glyphs.missing, palette.text))
    if row.container:
        pair("container", (clean(row.container), palette.text))
    if row.unit:
        pair("unit", (clean(row.unit), palette.text))
    if facts.booted is not None:
        started = int((facts.booted + row.started) * 1000)
        age = format_duration(max(0.0, (detail.time - started) / 1000))
        pair("started", (format_time(started), palette.text))
        pair("age", (age, palette.text))
    _family(detail, head, pair, look)
    return lines


def _course(detail: Detail, width: int, look: Look) -> list[Strip]:
    """The graph of processor use; its upper edge is a number of whole cores, and said."""
    started = next((at for at, point in enumerate(detail.points) if point is not None), len(detail.points))
    points = detail.points[started:]
    if detail.past or not points:
        return []
    palette = look.palette
    most = max((point for point in points if point is not None), default=0.0)
    high = 1
    while high < most - 0.05:
        high *= 2
    drawn = graph(points, width, _GRAPH_HEIGHT, low=0, high=high, hue=palette.hue("cpu"), look=look)
    seconds = min(len(points), width * 2)
    edge = f"top: {high * 100 // (detail.facts.cores if detail.facts.whole else 1)} %   last {seconds} s"
    return [*drawn, strip([(edge, palette.faint)], width, palette.text, align="right")]


def _family(detail: Detail, head: object, pair: object, look: Look) -> None:
    palette, glyphs = look.palette, look.glyphs
    assert callable(head)
    assert callable(pair)
    if detail.parents:
        head("parents")
        for parent in detail.parents:
            pair(str(parent.pid), (clean(parent.name), palette.text), (f"  {clean(parent.user)}", palette.dim))
    elif detail.row.ppid:
        head("parents")
        pair(str(detail.row.ppid), (glyphs.missing, palette.faint), ("  not among the rows kept", palette.dim))
    if detail.children:
        head(f"children  {len(detail.children)}")
        for child in detail.children[:20]:
            pair(
                str(child.pid),
                (clean(child.name).ljust(16), palette.text),
                (f" {cpu_text(child.cpu, detail.facts):>5} %", palette.dim),
                (f" {format_bytes(child.memory, short=True):>6}", palette.dim),
            )
        if len(detail.children) > 20:
            pair("", (f"and {len(detail.children) - 20} more", palette.dim))


class ProcessDetails(Panel):
    """A pane with one process; arrows and the wheel scroll it."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "scroll_lines(-1)", show=False, id="details.up"),
        Binding("down,j", "scroll_lines(1)", show=False, id="details.down"),
        Binding("pageup,ctrl+b", "scroll_lines(-10)", show=False, id="details.page_up"),
        Binding("pagedown,ctrl+f,space", "scroll_lines(10)", show=False, id="details.page_down"),
        Binding("home,g", "scroll_lines(-100000)", show=False, id="details.first"),
        Binding("G", "scroll_lines(100000)", show=False, id="details.last"),
        Binding("end", "end", show=False, id="details.end"),
        Binding("enter", "screen.close", show=False, id="details.close"),
    ]

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__("process", hints=[Hint("Esc", "close", "screen.close")], padding=1, id=id)
        self._detail: Detail | None = None
        self._top = 0
        self._count = 0

    @property
    def detail(self) -> Detail | None:
        """What is shown."""
        return self._detail

    def show(self, detail: Detail | None) -> None:
        """Shows a process, or that none is chosen."""
        before = self._detail
        if before is None or detail is None or (before.row.pid, before.row.started) != (
            detail.row.pid, detail.row.started,
        ):  # fmt: skip
            self._top = 0
        self._detail = detail
        title = "process" if detail is None else f"{detail.row.name} {detail.row.pid}"
        owner = "" if detail is None else owner_text(detail.row.container, detail.row.unit) or detail.row.user
        self.set_frame(title=title, subtitle=shorten(owner, 24), update=False)
        self.update_body()

    def render_body(self, width: int, height: int) -> list[Strip]:
        """The lines in view."""
        if self._detail is None:
            return centered(["no process is chosen"], width, height, look=self.look)
        lines = detail_lines(self._detail, width, self.look)
        self._count = len(lines)
        self._top = max(0, min(self._top, len(lines) - height))
        shown = lines[self._top : self._top + height]
        if self._top + height < len(lines) and shown:
            more = f"{self.look.glyphs.down} {len(lines) - self._top - height + 1} more"
            style = self.look.palette.faint
            shown[-1] = Strip([Segment(more + " " * max(0, width - width_of(more)), style)], width)
        return shown

    def scroll_thumb(self, height: int) -> tuple[int, int]:
        """Where the visible lines lie among all."""
        if self._count <= height or height < 2:
            return 0, 0
        size = max(1, round(height * height / self._count))
        start = round(self._top / (self._count - height) * (height - size))
        return start, start + size

    def action_end(self) -> None:
        """Scroll to the end; in the past the key is the app's."""
        if self.in_past:
            raise SkipAction
        self.action_scroll_lines(100_000)

    def action_scroll_lines(self, lines: int) -> None:
        """Scroll."""
        self._top = max(0, self._top + lines)
        self.update_body()

    def on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        """Scroll."""
        event.stop()
        self.action_scroll_lines(3)

    def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        """Scroll."""
        event.stop()
        self.action_scroll_lines(-3)
