"""Tables: the cursor keeps to its row, only what changed is drawn, and every way to move and choose works."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from textual.app import App, ComposeResult
from textual.events import MouseScrollDown

from tests.tui.widgets.spies import spy_layouts, spy_lines
from tui.renderables.columns import Column
from tui.theme import install
from tui.widgets.table import Table

pytestmark = pytest.mark.anyio


@dataclass(frozen=True)
class Item:
    """A row."""

    key: int
    size: int


def items(count: int, *, reverse: bool = False) -> list[Item]:
    """Rows with keys 0, 1, ..."""
    rows = [Item(key, key * 10) for key in range(count)]
    return rows[::-1] if reverse else rows


class TableApp(App[None]):
    """One table that counts what it draws and remembers what it tells."""

    def __init__(self, rows: int = 100) -> None:
        super().__init__()
        install(self, theme="sysmon-dark")
        self.count = rows
        self.formatted: list[int] = []
        self.told: list[tuple[str, object]] = []

    def compose(self) -> ComposeResult:
        def name(row: Item) -> str:
            self.formatted.append(row.key)
            return f"item {row.key}"

        yield Table(
            [
                Column("name", "NAME", name, min_width=10),
                Column("note", "NOTE", lambda _row: "-", width=12, priority=2, sortable=False),
                Column("size", "SIZE", lambda row: str(row.size), width=6, align="right"),
            ],
            lambda row: row.key,
            "items",
            taggable=True,
            empty="no items",
        )

    def on_mount(self) -> None:
        self.table.set_rows(items(self.count), sort=("name", False))
        self.table.focus()

    @property
    def table(self) -> Table[Item]:
        return self.screen.query_one(Table)

    def on_table_row_highlighted(self, event: Table.RowHighlighted) -> None:
        self.told.append(("highlighted", event.key))

    def on_table_row_selected(self, event: Table.RowSelected) -> None:
        self.told.append(("selected", event.key))

    def on_table_tags_changed(self, event: Table.TagsChanged) -> None:
        self.told.append(("tags", event.table.tagged))

    def on_table_header_selected(self, event: Table.HeaderSelected) -> None:
        self.told.append(("header", event.column))


def shown(table: Table[Item]) -> list[str]:
    """The lines of the table within its frame."""
    return [table.render_line(y).text[1:-1] for y in range(1, table.size.height - 1)]


def highlighted(table: Table[Item]) -> list[str]:
    """The first words of the lines drawn as the cursor's."""
    overlay = table.look.palette.selection.bgcolor
    lines = [table.render_line(y) for y in range(2, table.size.height - 1)]
    return [
        line.text[2:-1].split("  ")[0]
        for line in lines
        if any(part.style is not None and part.style.bgcolor == overlay for part in line)
    ]


async def test_header_rows_and_position() -> None:
    app = TableApp()
    async with app.run_test(size=(40, 8)) as pilot:
        await pilot.pause()
        assert shown(app.table)[:2] == [
            " NAME▲            NOTE           SIZE ",
            " item 0           -                 0 ",
        ]
        assert app.table.render_line(7).text.endswith("┘1/100└─╯")
        assert {len(line) for line in shown(app.table)} == {38}


async def test_only_visible_rows_are_formatted() -> None:
    app = TableApp(rows=10_000)
    async with app.run_test(size=(40, 8)) as pilot:
        await pilot.pause()
        assert set(app.formatted) == {0, 1, 2, 3, 4}
        await pilot.press("end")
        await pilot.pause()
        assert set(app.formatted) == {0, 1, 2, 3, 4, 9995, 9996, 9997, 9998, 9999}
        assert highlighted(app.table) == ["item 9999"]


async def test_unchanged_rows_are_neither_formatted_nor_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    app = TableApp()
    async with app.run_test(size=(40, 8)) as pilot:
        await pilot.pause()
        layouts, asked = spy_layouts(monkeypatch), spy_lines(monkeypatch, Table)
        app.formatted.clear()
        rows = items(100)
        rows[2] = Item(2, 999)
        app.table.set_rows(rows)
        await pilot.pause()
        assert app.formatted == [2]
        assert asked == [4]
        for step in range(5):
            app.table.set_rows(items(100 + step * 50, reverse=step % 2 == 0))
            await pilot.pause()
        assert layouts == []


async def test_the_cursor_rests_on_the_first_row_until_it_is_moved() -> None:
    app = TableApp()
    async with app.run_test(size=(40, 8)) as pilot:
        await pilot.pause()
        app.table.set_rows(items(100, reverse=True))
        await pilot.pause()
        assert app.table.cursor_key == 99
        assert app.told == [("highlighted", 0), ("highlighted", 99)]


async def test_the_cursor_keeps_to_its_key_when_rows_are_sorted_anew() -> None:
    app = TableApp(rows=5)
    async with app.run_test(size=(40, 9)) as pilot:
        await pilot.press("down")
        assert app.table.cursor_key == 1
        app.table.set_rows(items(5, reverse=True))
        await pilot.pause()
        assert (app.table.cursor_key, app.table.cursor_index) == (1, 3)
        assert highlighted(app.table) == ["item 1"]
        app.table.set_rows([row for row in items(5) if row.key != 1])
        await pilot.pause()
        assert (app.table.cursor_key, app.table.cursor_index) == (4, 3)
        app.table.set_rows([])
        await pilot.pause()
        empty = app.screen.query_one(Table)
        assert empty.cursor_key is None
        assert empty.cursor_row is None


async def test_a_cursor_in_view_stays_in_view_but_one_scrolled_away_does_not_pull_the_view_back() -> None:
    app = TableApp()
    async with app.run_test(size=(40, 8)) as pilot:
        await pilot.press("j")
        app.table.set_rows(items(100, reverse=True))
        await pilot.pause()
        assert highlighted(app.table) == ["item 1"]
        await pilot.press("home")
        for _ in range(4):
            app.table.post_message(MouseScrollDown(app.table, 5, 5, 0, 1, 0, False, False, False))
        await pilot.pause()
        assert highlighted(app.table) == []
        before = shown(app.table)
        app.table.set_rows(items(100, reverse=True))
        await pilot.pause()
        assert shown(app.table) == before
        app.table.follow = True
        await pilot.pause()
        assert highlighted(app.table) == ["item 99"]
        app.table.set_rows(items(100))
        await pilot.pause()
        assert highlighted(app.table) == ["item 99"]


@pytest.mark.parametrize(
    ("keys", "index"),
    [
        ("down", 1), ("j j k", 1), ("up", 0), ("pagedown", 5), ("pagedown pagedown pageup", 5), ("end", 99), ("G", 99),
        ("G g", 0), ("end home", 0), ("ctrl+d", 2), ("ctrl+d ctrl+d ctrl+u", 2), ("G down", 99),
    ],
)  # fmt: skip
async def test_keys_move_the_cursor(keys: str, index: int) -> None:
    app = TableApp()
    async with app.run_test(size=(40, 8)) as pilot:
        await pilot.pause()
        await pilot.press(*keys.split())
        assert app.table.cursor_index == index
        assert highlighted(app.table) == [f"item {index}"]


async def test_enter_and_clicks_choose() -> None:
    app = TableApp()
    async with app.run_test(size=(40, 8)) as pilot:
        await pilot.pause()
        await pilot.press("enter")
        await pilot.click(Table, offset=(5, 4))
        assert app.told == [("highlighted", 0), ("selected", 0), ("highlighted", 2)]
        await pilot.press("home")
        await pilot.click(Table, offset=(5, 3), times=2)
        await pilot.pause()
        assert app.told[-1] == ("selected", 1)


async def test_a_click_on_a_title_tells_the_column() -> None:
    app = TableApp()
    async with app.run_test(size=(40, 8)) as pilot:
        await pilot.pause()
        await pilot.click(Table, offset=(3, 1))
        await pilot.click(Table, offset=(36, 1))
        await pilot.click(Table, offset=(22, 1))
        assert [what for what in app.told if what[0] == "header"] == [("header", "name"), ("header", "size")]


async def test_tags_follow_their_rows() -> None:
    app = TableApp(rows=4)
    async with app.run_test(size=(40, 8)) as pilot:
        await pilot.press("space", "space")
        assert app.table.tagged == {0, 1}
        app.table.set_rows(items(4, reverse=True))
        await pilot.pause()
        assert [line[0] for line in shown(app.table)[1:5]] == [" ", " ", "●", "●"]
        app.table.set_rows(items(4)[1:])
        assert app.table.tagged == {1}
        app.table.set_tagged()
        await pilot.pause()
        assert app.told[-1] == ("tags", frozenset())


async def test_empty_and_narrow() -> None:
    app = TableApp(rows=0)
    async with app.run_test(size=(40, 8)) as pilot:
        await pilot.pause()
        assert shown(app.table)[3].strip() == "no items"
        await pilot.press("down", "enter", "space", "end", "pageup")
        assert app.told == []
        app.table.set_rows(items(3))
        await pilot.resize_terminal(24, 8)
        await pilot.pause()
        assert shown(app.table)[0].split() == ["NAME▲", "SIZE"]
        await pilot.resize_terminal(12, 4)
        await pilot.pause()
        assert {len(line) for line in shown(app.table)} == {10}


async def test_the_scroll_thumb_shows_and_drags() -> None:
    app = TableApp()
    async with app.run_test(size=(40, 12)) as pilot:
        await pilot.pause()

        def thumb() -> list[int]:
            return [y for y in range(12) if app.table.render_line(y).text[-1] == "┃"]

        assert thumb() == [2]
        await pilot.mouse_down(Table, offset=(39, 10))
        await pilot.mouse_up(Table, offset=(39, 10))
        await pilot.pause()
        assert thumb() == [10]
        assert shown(app.table)[-1].split()[:2] == ["item", "99"]
