"""Panels with graphs: one series, or two about an axis."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tui.renderables.graph import graph, mirror_graph, time_axis, with_corners
from tui.widgets.panel import Panel

if TYPE_CHECKING:
    from collections.abc import Sequence

    from textual.strip import Strip

    from tui.palette import HueName
    from tui.renderables.frame import Hint
    from tui.renderables.text import Spans


class GraphPanel(Panel):
    """A panel with the graph of one series.

    Args:
        hue: the metric's colours.
        low: the value at the lower edge.
        high: the value at the upper edge; `set_points` may change it.
        title: as for Panel, with the arguments after it.
        ticks: labels of the time axis as (points before now, text); without them there is no axis.
        threshold: a value marked by a dotted line.
    """

    def __init__(
        self,
        hue: HueName,
        *,
        low: float = 0.0,
        high: float = 1.0,
        title: str = "",
        hotkey: str = "",
        subtitle: str | Spans = "",
        hints: Sequence[Hint] = (),
        ticks: Sequence[tuple[int, str]] = (),
        threshold: float | None = None,
        border: bool = True,
        focusable: bool = True,
        name: str | None = None,
        id: str | None = None,
        classes: str | None = None,
    ) -> None:
        super().__init__(
            title,
            hotkey=hotkey,
            subtitle=subtitle,
            hints=hints,
            border=border,
            focusable=focusable,
            name=name,
            id=id,
            classes=classes,
        )
        self._hue: HueName = hue
        self._low, self._high = low, high
        self._ticks = tuple(ticks)
        self._threshold = threshold
        self._points: Sequence[float | None] = ()
        self._phase = 0
        self._labels = ("", "")

    def set_points(
        self,
        points: Sequence[float | None],
        *,
        taken: int = 0,
        high: float | None = None,
        labels: tuple[str, str] | None = None,
        subtitle: str | Spans | None = None,
    ) -> None:
        """Show these points.

        Args:
            points: oldest first; None is a gap. Kept, not copied: a deque must be given as a list or tuple.
            taken: how many points there have ever been, so that the picture moves by whole cells.
            high: a new upper bound.
            labels: what is written at the upper and the lower left corner.
            subtitle: a new subtitle.
        """
        self._points, self._phase = points, taken & 1
        self._high = self._high if high is None else high
        self._labels = self._labels if labels is None else labels
        if subtitle is not None:
            self.set_frame(subtitle=subtitle, update=False)
        self.update_body()

    def render_body(self, width: int, height: int) -> list[Strip]:
        """Draw the graph, and the time axis where there is room."""
        look = self.look
        axis = bool(self._ticks) and height >= 4
        lines = graph(
            self._points,
            width,
            height - axis,
            low=self._low,
            high=self._high,
            hue=look.palette.hue(self._hue),
            look=look,
            threshold=self._threshold,
            phase=self._phase,
        )
        lines = with_corners(lines, look=look, top_left=self._labels[0], bottom_left=self._labels[1])
        return [*lines, time_axis(width, self._ticks, look=look)] if axis else lines


class MirrorGraphPanel(Panel):
    """A panel with two series about an axis: received above, transmitted below.

    Args:
        hue_upper: colours of the upper series.
        hue_lower: colours of the lower series.
        title: as for Panel, with the arguments after it.
        ticks: labels on the axis as (points before now, text).
    """

    def __init__(
        self,
        hue_upper: HueName = "receive",
        hue_lower: HueName = "transmit",
        *,
        title: str = "",
        hotkey: str = "",
        subtitle: str | Spans = "",
        hints: Sequence[Hint] = (),
        ticks: Sequence[tuple[int, str]] = (),
        border: bool = True,
        focusable: bool = True,
        name: str | None = None,
        id: str | None = None,
        classes: str | None = None,
    ) -> None:
        super().__init__(
            title,
            hotkey=hotkey,
            subtitle=subtitle,
            hints=hints,
            border=border,
            focusable=focusable,
            name=name,
            id=id,
            classes=classes,
        )
        self._hues: tuple[HueName, HueName] = (hue_upper, hue_lower)
        self._ticks = tuple(ticks)
        self._upper: Sequence[float | None] = ()
        self._lower: Sequence[float | None] = ()
        self._highs = (1.0, 1.0)
        self._phase = 0
        self._labels = ("", "")

    def set_points(
        self,
        upper: Sequence[float | None],
        lower: Sequence[float | None],
        *,
        high_upper: float,
        high_lower: float,
        taken: int = 0,
        labels: tuple[str, str] | None = None,
        subtitle: str | Spans | None = None,
    ) -> None:
        """Show these points; the arguments are as for `GraphPanel.set_points`, with a bound for each side."""
        self._upper, self._lower, self._phase = upper, lower, taken & 1
        self._highs = (high_upper, high_lower)
        self._labels = self._labels if labels is None else labels
        if subtitle is not None:
            self.set_frame(subtitle=subtitle, update=False)
        self.update_body()

    def render_body(self, width: int, height: int) -> list[Strip]:
        """Draw both graphs and the axis between them."""
        look = self.look
        lines = mirror_graph(
            self._upper,
            self._lower,
            width,
            height,
            high_upper=self._highs[0],
            high_lower=self._highs[1],
            hue_upper=look.palette.hue(self._hues[0]),
            hue_lower=look.palette.hue(self._hues[1]),
            look=look,
            ticks=self._ticks,
            phase=self._phase,
        )
        return with_corners(lines, look=look, top_left=self._labels[0], bottom_left=self._labels[1])
