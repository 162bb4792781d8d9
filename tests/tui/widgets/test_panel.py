"""Panels: what they draw, and that an update sends only what changed and asks for no layout."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from textual.app import App, ComposeResult

from tests.tui.widgets.spies import spy_layouts, spy_lines
from tui.glyphs import ASCII
from tui.renderables.frame import Hint
from tui.renderables.text import strip
from tui.theme import install
from tui.widgets.graph import GraphPanel, MirrorGraphPanel
from tui.widgets.lines import Line, LinesPanel
from tui.widgets.panel import Panel

if TYPE_CHECKING:
    from textual.strip import Strip

pytestmark = pytest.mark.anyio


class Words(Panel):
    """A panel of words, one per line."""

    words: tuple[str, ...] = ("alpha", "beta", "gamma")

    def render_body(self, width: int, height: int) -> list[Strip]:
        fill = self.look.palette.text
        return [strip([(word, fill)], width, fill) for word in self.words]


class PanelApp(App[None]):
    """One panel of words and one beside it."""

    CSS = "Screen { layout: horizontal; } #other { width: 10; }"
    reached = 0

    def __init__(self) -> None:
        super().__init__()
        install(self, theme="sysmon-dark")

    def compose(self) -> ComposeResult:
        yield Words("words", hotkey="3", subtitle="3 of them", hints=[Hint("t", "tree", "app.reach")], id="words")
        yield Panel("other", id="other")

    def action_reach(self) -> None:
        """What the hint runs."""
        self.reached += 1


def shown(app: App[None], selector: str) -> list[str]:
    """The lines of a panel as drawn."""
    panel = app.screen.query_one(selector, Panel)
    return [panel.render_line(y).text for y in range(panel.size.height)]


async def test_frame_and_body() -> None:
    app = PanelApp()
    async with app.run_test(size=(40, 7)) as pilot:
        await pilot.pause()
        lines = shown(app, "#words")
        assert lines[0] == "╭─┐³words┌───────┐3 of them┌─╮"
        assert lines[1] == "│alpha                       │"
        assert lines[-1] == "╰─┘tree└─────────────────────╯"
        assert {len(line) for line in lines} == {30}


async def test_only_changed_lines_are_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    app = PanelApp()
    async with app.run_test(size=(40, 7)) as pilot:
        await pilot.pause()
        panel = app.screen.query_one(Words)
        layouts, asked = spy_layouts(monkeypatch), spy_lines(monkeypatch, Words)
        panel.words = ("alpha", "BETA", "gamma")
        panel.update_body()
        await pilot.pause()
        assert asked == [2]
        asked.clear()
        panel.update_body()
        await pilot.pause()
        assert asked == []
        assert layouts == []


async def test_focus_changes_the_frame() -> None:
    app = PanelApp()
    async with app.run_test(size=(40, 7)) as pilot:
        panel = app.screen.query_one(Words)
        panel.focus()
        await pilot.pause()
        palette = panel.look.palette
        assert next(iter(panel.render_line(0))).style is palette.border_focus
        app.screen.query_one("#other").focus()
        await pilot.pause()
        assert next(iter(panel.render_line(0))).style is palette.border


async def test_a_click_on_a_hint_runs_its_action() -> None:
    app = PanelApp()
    async with app.run_test(size=(40, 7)) as pilot:
        await pilot.click("#words", offset=(4, 6))
        await pilot.click("#words", offset=(15, 6))
        await pilot.click("#words", offset=(4, 3))
        assert app.reached == 1


async def test_theme_and_size_redraw() -> None:
    app = PanelApp()
    async with app.run_test(size=(40, 7)) as pilot:
        panel = app.screen.query_one(Words)
        app.theme = "sysmon-light"
        await pilot.pause()
        assert next(iter(panel.render_line(0))).style in (panel.look.palette.border, panel.look.palette.border_focus)
        assert panel.look.palette.name == "sysmon-light"
        await pilot.resize_terminal(30, 5)
        await pilot.pause()
        assert [len(line) for line in shown(app, "#words")] == [20] * 5
        await pilot.resize_terminal(11, 1)
        await pilot.pause()
        assert [len(line) for line in shown(app, "#words")] == [1]


async def test_a_hidden_panel_draws_when_it_is_shown() -> None:
    app = PanelApp()
    async with app.run_test(size=(40, 7)) as pilot:
        panel = app.screen.query_one(Words)
        panel.display = False
        await pilot.pause()
        panel.words = ("new",)
        panel.update_body()
        await pilot.pause()
        panel.display = True
        await pilot.pause()
        assert shown(app, "#words")[1].startswith("│new ")


async def test_a_panel_can_be_maximised() -> None:
    app = PanelApp()
    async with app.run_test(size=(40, 7)) as pilot:
        assert app.screen.maximize(app.screen.query_one(Words))
        await pilot.pause()
        assert {len(line) for line in shown(app, "#words")} == {40}


class GraphApp(App[None]):
    """Both kinds of graph, ready lines and a line."""

    CSS = "GraphPanel, MirrorGraphPanel, #lines { height: 7; width: 20; }"

    def __init__(self) -> None:
        super().__init__()
        install(self, theme="sysmon-mono", glyphs=ASCII)

    def compose(self) -> ComposeResult:
        yield Line(id="line")
        yield GraphPanel("cpu", title="cpu", ticks=[(10, "10s")], id="graph")
        yield MirrorGraphPanel(title="net", id="mirror")
        yield LinesPanel("lines", id="lines")


async def test_graphs_show_their_points() -> None:
    app = GraphApp()
    async with app.run_test(size=(20, 30)) as pilot:
        graph = app.screen.query_one("#graph", GraphPanel)
        graph.set_points([0.0, 0.5, 1.0, 1.0, None, None], high=1.0, labels=("100%", "0"), subtitle="now")
        mirror = app.screen.query_one("#mirror", MirrorGraphPanel)
        mirror.set_points([1.0, 1.0], [0.5, 0.5], high_upper=1, high_lower=1)
        app.screen.query_one("#line", Line).set_draw(
            lambda width, _height, look: [strip([("fine", look.palette.ok)], width, look.palette.text)]
        )
        await pilot.pause()
        assert shown(app, "#graph") == [
            "#=[cpu]======[now]=#",
            "|100%            |/|",
            "|                |/|",
            "|               ||/|",
            "|0              ||/|",
            "|------------+10s--|",
            "#==================#",
        ]
        assert [line[-2] for line in shown(app, "#mirror")[1:-1]] == ["|", "|", "-", "|", " "]
        assert shown(app, "#line") == ["fine                "]
