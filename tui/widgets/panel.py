"""The base of what screens are made of: a panel that draws its own frame and sends only lines that changed."""

from __future__ import annotations

import textwrap
import traceback
from pathlib import PurePath
from typing import TYPE_CHECKING, ClassVar

from rich.segment import Segment
from textual.geometry import Region
from textual.strip import Strip
from textual.widget import Widget

from tui.renderables.frame import Hint, HintPlace, hint_label, rule, sides
from tui.renderables.text import Spans, blank, strip
from tui.theme import DEFAULT_LOOK, Look, look_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.style import Style
    from textual import events


class Panel(Widget, can_focus=True):
    """A titled panel drawn line by line.

    Subclasses override `render_body` and call `update_body` when their data has changed. That renders at once, compares
    with what is on screen and refreshes only lines that differ. It never asks for a layout: sizes come from CSS.

    Args:
        title: in the upper border at the left.
        hotkey: the key that opens or focuses the panel, before the title.
        subtitle: in the upper border at the right; text, or spans where styles matter.
        hints: key hints in the lower border; a click runs their action.
        footer: in the lower border at the right.
        border: False draws the body alone.
        padding: blank cells at each side of the body, within the border.
        focusable: whether Tab and clicks reach it.
    """

    ALLOW_MAXIMIZE: ClassVar[bool | None] = True
    DEFAULT_CSS = """
    Panel { width: 1fr; height: 1fr; background: $background; overflow: hidden; }
    """

    def __init__(
        self,
        title: str = "",
        *,
        hotkey: str = "",
        subtitle: str | Spans = "",
        hints: Sequence[Hint] = (),
        footer: str | Spans = "",
        border: bool = True,
        padding: int = 0,
        focusable: bool = True,
        name: str | None = None,
        id: str | None = None,
        classes: str | None = None,
    ) -> None:
        super().__init__(name=name, id=id, classes=classes)
        self.can_focus = focusable
        self._title = title
        self._hotkey = hotkey
        self._subtitle: str | Spans = subtitle
        self._footer: str | Spans = footer
        self._hints = tuple(hints)
        self._border = border
        self._padding = padding
        self._lines: list[Strip] = []
        self._drawn: tuple[int, int, Look] | None = None
        self._hint_places: list[HintPlace] = []

    # -- what it shows

    @property
    def in_past(self) -> bool:
        """Whether the app shows a moment of the past, or a frozen one: then End is the way back to now."""
        cursor = getattr(self.app, "cursor", None)
        return cursor is not None and not cursor.live

    @property
    def look(self) -> Look:
        """The palette and glyphs to draw with."""
        return look_of(self.app) if self.is_attached else DEFAULT_LOOK

    def set_frame(
        self,
        *,
        title: str | None = None,
        subtitle: str | Spans | None = None,
        footer: str | Spans | None = None,
        hints: Sequence[Hint] | None = None,
        update: bool = True,
    ) -> None:
        """Change what stands in the border; what is None stays. `update=False` leaves drawing to the next update."""
        self._title = self._title if title is None else title
        self._subtitle = self._subtitle if subtitle is None else subtitle
        self._footer = self._footer if footer is None else footer
        self._hints = self._hints if hints is None else tuple(hints)
        if update:
            self.update_body()

    def render_body(self, width: int, height: int) -> list[Strip]:
        """Render the body: at most `height` strips; the rest is left blank, and widths are corrected."""
        return []

    def frame_footer(self) -> str | Spans:
        """What stands in the lower border at the right; called after `render_body`."""
        return self._footer

    def scroll_thumb(self, height: int) -> tuple[int, int]:
        """The body lines (first, after last) whose right border shows the scroll thumb; equal for none."""
        return 0, 0

    @property
    def body_region(self) -> Region:
        """Where the body is, relative to the widget."""
        width, height = self.size
        inset = 1 if self._border else 0
        side = inset + self._padding
        return Region(side, inset, max(0, width - 2 * side), max(0, height - 2 * inset))

    # -- drawing

    def update_body(self) -> None:
        """Render anew and refresh the lines that changed."""
        if not self.is_attached:
            self._drawn = None
            return
        if self._drawn is None or self._drawn[:2] != tuple(self.size) or not self._is_shown():
            # Not drawn yet, a resize is on its way, or nobody looks: draw when asked.
            self._drawn = None
            self.refresh()
            return
        old = self._lines
        self._draw()
        width = self.size.width
        regions: list[Region] = []
        start = -1
        for y, line in enumerate([*self._lines, None]):
            changed = line is not None and (y >= len(old) or (line is not old[y] and line != old[y]))
            if line is not None and not changed:
                self._lines[y] = old[y]
            if changed and start < 0:
                start = y
            elif not changed and start >= 0:
                regions.append(Region(0, start, width, y - start))
                start = -1
        if regions:
            self.refresh(*regions)

    def _is_shown(self) -> bool:
        return self.display and self.screen.is_current

    def render_line(self, y: int) -> Strip:
        """Return a line, drawing all where size or look changed since the last time."""
        width, height = self.size
        drawn = self._drawn
        if drawn is None or drawn[0] != width or drawn[1] != height or drawn[2] is not self.look:
            self._draw()
        return self._lines[y] if y < len(self._lines) else blank(width, self.look.palette.text)

    def _draw(self) -> None:
        width, height = self.size
        look = self.look
        self._drawn = (width, height, look)
        fill = look.palette.text
        if not self._border:
            self._lines = self._draw_body(width, height, fill)
            return
        if height < 2 or width < 2:
            self._lines = [blank(width, fill)] * height
            return
        focused = self.has_focus
        edge = look.palette.border_focus if focused else look.palette.border
        body = self._draw_body(width - 2, height - 2, fill)
        first, last = self.scroll_thumb(height - 2)
        lines = [
            sides(line, width, look=look, edge=edge, focused=focused, thumb=first <= y < last)
            for y, line in enumerate(body)
        ]
        self._lines = [
            self._draw_top(width, look, edge, focused),
            *lines,
            self._draw_bottom(width, look, edge, focused),
        ]

    def _draw_body(self, width: int, height: int, fill: Style) -> list[Strip]:
        """The body in exactly its room: cut, filled up, and padded at the sides."""
        padding = self._padding
        room = max(0, width - 2 * padding)
        lines: list[Strip] = []
        try:
            body = self.render_body(room, height)
        except Exception as error:  # a fault of one panel must not take the program with it
            body = _failure(error, room, height, self.look)
        for line in body[:height]:
            exact = line if line.cell_length == room else line.adjust_cell_length(room, fill)
            if padding:
                side = [Segment(" " * min(padding, width), fill)]
                exact = Strip([*side, *exact, *side], room + 2 * padding)
                exact = exact if exact.cell_length == width else exact.crop(0, width)
            lines.append(exact)
        return lines + [blank(width, fill)] * (height - len(lines))

    def _draw_top(self, width: int, look: Look, edge: Style, focused: bool) -> Strip:
        title: Spans = []
        if self._hotkey:
            title.append((look.glyphs.hotkey(self._hotkey), look.palette.hotkey))
        if self._title:
            title.append((self._title, look.palette.title))
        subtitle = _as_spans(self._subtitle, look)
        return rule([title], [subtitle], width, look=look, edge=edge, focused=focused)[0]

    def _draw_bottom(self, width: int, look: Look, edge: Style, focused: bool) -> Strip:
        labels = [hint_label(hint, look) for hint in self._hints]
        footer = _as_spans(self.frame_footer(), look)
        line, places = rule(labels, [footer], width, look=look, edge=edge, focused=focused, bottom=True)
        self._hint_places = [
            HintPlace(start, end, hint)
            for hint, (start, end) in zip(self._hints, places, strict=False)
            if end > start and hint.action
        ]
        return line

    # -- events

    def on_mount(self) -> None:
        """Redraw when the theme changes."""
        self.app.theme_changed_signal.subscribe(self, lambda _: self.refresh())

    def watch_has_focus(self, has_focus: bool) -> None:
        """Show whether the panel has the focus."""
        super().watch_has_focus(has_focus)
        self.update_body()

    async def on_click(self, event: events.Click) -> None:
        """Run the action of a key hint in the border."""
        if not self._border or event.y != self.size.height - 1:
            return
        for place in self._hint_places:
            if place.start <= event.x < place.end:
                event.stop()
                await self.run_action(place.hint.action)
                return


def where(error: Exception) -> str:
    """What went wrong in our own code, and in which line: enough to report it."""
    frames = traceback.extract_tb(error.__traceback__)
    place = f" ({PurePath(frames[-1].filename).name}:{frames[-1].lineno})" if frames else ""
    return f"{type(error).__name__}: {error}{place}"


def _failure(error: Exception, width: int, height: int, look: Look) -> list[Strip]:
    words = [*textwrap.wrap(where(error), max(8, width)), "a fault of sysmon; the other panels go on"]
    style = look.palette.warning
    return [strip([(line, style)], width, style, ellipsis=look.glyphs.ellipsis) for line in words][:height]


def _as_spans(label: str | Spans, look: Look) -> Spans:
    if isinstance(label, str):
        return [(label, look.palette.dim)] if label else []
    return label
