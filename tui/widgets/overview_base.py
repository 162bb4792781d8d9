"""What the overview's panels share: the view's values looked up once per tick, and how a panel shows them."""

from __future__ import annotations

from itertools import zip_longest
from typing import TYPE_CHECKING, ClassVar

from textual.binding import Binding, BindingType
from textual.message import Message

from sysmon.frame import split_key
from sysmon.units import format_bytes
from tui.renderables.lines import centered, value_spans
from tui.widgets.panel import Panel

if TYPE_CHECKING:
    from collections.abc import Collection

    from rich.style import Style
    from textual import events
    from textual.strip import Strip

    from sysmon.frame import Fault
    from tui.model import View
    from tui.palette import Hue
    from tui.renderables.text import Spans
    from tui.theme import Look


class Shown:
    """A view with all its values in one dictionary, and their instances by metric."""

    def __init__(self, view: View) -> None:
        self.view = view
        self.values: dict[str, float] = {**view.state.readings, **view.state.derived()}
        self._instances: dict[str, list[str]] = {}
        for key in self.values:
            metric, instance = split_key(key)
            if instance:
                self._instances.setdefault(metric, []).append(instance)

    def get(self, key: str) -> float | None:
        """A value, or None where it is missing."""
        return self.values.get(key)

    def instances(self, metric: str) -> list[str]:
        """The instances that a metric now has, in the order in which the collector gives them."""
        return self._instances.get(metric, [])

    def points(self, key: str, width: int) -> list[float | None]:
        """The past that a graph of so many cells shows."""
        return self.view.window.recorded(key, 2 * width)

    def past(self, key: str, count: int) -> list[float | None]:
        """The last points of a sparkline, each the mean of two seconds: it moves at every second tick only."""
        return self.view.window.recorded(key, count, 2)

    def past_sum(self, keys: tuple[str, str], count: int) -> list[float | None]:
        """The last points of two series together."""
        ones, twos = self.past(keys[0], count), self.past(keys[1], count)
        pairs = list(zip_longest(reversed(ones), reversed(twos)))
        return [None if one is None and two is None else (one or 0.0) + (two or 0.0) for one, two in reversed(pairs)]

    @property
    def taken(self) -> int:
        """How many points there have ever been, so that graphs move by whole cells."""
        return self.view.window.end or 0

    def fault(self, *collectors: str, kinds: Collection[str] = ()) -> Fault | None:
        """The first fault of one of these collectors, of one of these kinds where some are named."""
        faults = (fault for fault in self.view.state.faults if fault.collector in collectors)
        return next((fault for fault in faults if not kinds or fault.kind in kinds), None)


class ViewPanel(Panel):
    """A panel of the overview. Enter, or a click on its title, opens the screen that tells more.

    Class attributes:
        OPENS: that screen's name.
        COLLECTORS: whose faults say why there is nothing to show.
    """

    OPENS: ClassVar[str] = "history"
    COLLECTORS: ClassVar[tuple[str, ...]] = ()
    BINDINGS: ClassVar[list[BindingType]] = [Binding("enter", "open", "Open", show=False, id="panel.open")]

    ABOUT: ClassVar[str] = ""
    """What is chosen on that screen, unless a line of the panel says something else."""

    class Opened(Message):
        """The screen `name` is to be opened at an item of it."""

        def __init__(self, name: str, item: object) -> None:
            super().__init__()
            self.name = name
            self.item = item

    shown: Shown | None = None

    def show(self, shown: Shown) -> None:
        """Draw these values; only lines that changed are sent."""
        self.shown = shown
        self._subtitle = self.subtitle(shown, self.look)
        self.update_body()

    def subtitle(self, shown: Shown, look: Look) -> Spans:
        """What stands at the right of the title."""
        return []

    def missing(self, shown: Shown) -> str:
        """Why there is nothing to draw; '' where there is something."""
        return ""

    def draw(self, shown: Shown, width: int, height: int, look: Look) -> list[Strip]:
        """The body."""
        raise NotImplementedError

    def render_body(self, width: int, height: int) -> list[Strip]:
        """The body, or why there is none."""
        look, shown = self.look, self.shown
        if shown is None:
            return centered([f"collecting{look.glyphs.ellipsis}"], width, height, look=look, style=look.palette.faint)
        reason = self.missing(shown)
        if reason:
            return centered(wrapped(reason, width, height), width, height, look=look)
        return self.draw(shown, width, height, look)

    def action_open(self) -> None:
        """Open the screen that tells more."""
        self.post_message(self.Opened(self.OPENS, self.ABOUT))

    def item_at(self, x: int, y: int) -> object:
        """What a line of the body is about, as the screen that it opens knows it; '' for nothing of its own."""
        return ""

    async def on_click(self, event: events.Click) -> None:
        """A click on the title, a double click anywhere, or a click on a line about one thing opens."""
        body = self.body_region
        item = self.item_at(event.x - body.x, event.y - body.y) if body.contains(event.x, event.y) else ""
        if item or event.y == 0 or event.chain > 1:
            event.stop()
            self.post_message(self.Opened(self.OPENS, item or self.ABOUT))

    def because(self, shown: Shown, nothing: str) -> str:
        """Words for an empty panel: the collectors' own reason where they gave one."""
        fault = shown.fault(*self.COLLECTORS)
        return fault.message if fault is not None else nothing


def wrapped(text: str, width: int, height: int) -> list[str]:
    """A sentence in at most `height` lines."""
    lines: list[str] = []
    line = ""
    for word in text.split():
        if line and len(line) + 1 + len(word) > width:
            lines.append(line)
            line = word
        else:
            line = f"{line} {word}" if line else word
    return [*lines, line][: max(1, height)]


def level_style(value: float | None, look: Look, *, warning: float, critical: float, fine: Style) -> Style:
    """The style of a value that has limits."""
    if value is None or value < warning:
        return fine
    return look.palette.critical if value >= critical else look.palette.warning


def ratio_text(value: float | None, look: Look) -> str:
    """A ratio as a short percentage, `0.3%` `12%`; a dash where it is missing."""
    if value is None:
        return look.glyphs.missing
    percent = value * 100
    return f"{percent:.1f}%" if 0.05 <= percent < 9.95 else f"{percent:.0f}%"


def rate_spans(mark: str, value: float | None, hue: Hue, look: Look, *, short: bool = False) -> Spans:
    """`▼   1.2 MiB/s` in the metric's hue, the unit dim; short: `▼  1.2M`. All are as wide, so that nothing moves."""
    palette = look.palette
    if short:
        return [(mark, hue.base), (f"{short_rate(value, look):>6}", palette.text if value else palette.faint)]
    if value is None:
        return [(f"{mark} ", hue.base), (f"{look.glyphs.missing:>6}      ", palette.faint)]
    number, _, unit = format_bytes(value, per_second=True).partition(" ")
    return [(f"{mark} ", hue.base), *value_spans(f"{number:>6} {unit:<5}", palette.text, look)]


def degrees(look: Look) -> str:
    """The unit of temperatures."""
    return "C" if look.glyphs.ascii else "°C"


def short_rate(value: float | None, look: Look) -> str:
    """Bytes per second in at most five characters."""
    return look.glyphs.missing if value is None else format_bytes(value, short=True)
