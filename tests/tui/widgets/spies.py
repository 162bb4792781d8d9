"""Spies on what Textual does after an update."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from textual.screen import Screen

if TYPE_CHECKING:
    import pytest
    from textual.strip import Strip

    from tui.widgets.panel import Panel


def spy_layouts(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """A list that grows by one at every layout pass from now on."""
    passes: list[object] = []
    original = Screen._refresh_layout

    def refresh_layout(self: Screen[Any], *args: Any, **options: Any) -> None:
        passes.append(self)
        original(self, *args, **options)

    monkeypatch.setattr(Screen, "_refresh_layout", refresh_layout)
    return passes


def spy_lines(monkeypatch: pytest.MonkeyPatch, panel: type[Panel]) -> list[int]:
    """A list that grows by the number of every line that a panel of this class is asked for from now on."""
    asked: list[int] = []
    original = panel.render_line

    def render_line(self: Panel, y: int) -> Strip:
        asked.append(y)
        return original(self, y)

    monkeypatch.setattr(panel, "render_line", render_line)
    return asked
