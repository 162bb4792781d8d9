"""A panel whose body is a list of ready lines, and a single line without a frame."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tui.widgets.panel import Panel

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from textual.strip import Strip

    from tui.renderables.frame import Hint
    from tui.renderables.text import Spans
    from tui.theme import Look


class LinesPanel(Panel):
    """A panel drawn by a function of (width, height, look) that returns its lines; for meters, pairs and core grids.

    Its arguments are those of Panel; one cell at each side of the body stays free.
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
        padding: int = 1,
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
            footer=footer,
            border=border,
            padding=padding,
            focusable=focusable,
            name=name,
            id=id,
            classes=classes,
        )
        self._draw_lines: Callable[[int, int, Look], list[Strip]] | None = None

    def set_draw(self, draw: Callable[[int, int, Look], list[Strip]]) -> None:
        """Draw with this function from now on: give a new one, closed over new data, whenever the data changed."""
        self._draw_lines = draw
        self.update_body()

    def render_body(self, width: int, height: int) -> list[Strip]:
        """Call the function."""
        return [] if self._draw_lines is None else self._draw_lines(width, height, self.look)


class Line(LinesPanel):
    """One line of the screen without a frame, such as the line of what is wrong."""

    DEFAULT_CSS = """
    Line { height: 1; }
    """

    def __init__(self, *, name: str | None = None, id: str | None = None, classes: str | None = None) -> None:
        super().__init__(border=False, padding=0, focusable=False, name=name, id=id, classes=classes)
