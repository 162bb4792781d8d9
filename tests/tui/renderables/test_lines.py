"""Single lines, frames and rows as exact strings."""

from tests.tui.renderables.common import ASCII_LOOK, UNICODE_LOOK, joined, texts
from tui.renderables.columns import Column, draw_header, draw_row, place
from tui.renderables.frame import Hint, hint_label, rule, sides
from tui.renderables.lines import Pair, badge, centered, key_value, key_value_columns, pairs_line, status_line
from tui.renderables.text import Spans, strip
from tui.theme import Look

PALETTE = UNICODE_LOOK.palette


def test_pairs() -> None:
    assert key_value(Pair("available", "10.9", "GiB"), 20, look=UNICODE_LOOK).text == "available   10.9 GiB"
    assert key_value(Pair("fans", None), 10, look=ASCII_LOOK).text == "fans     -"
    pairs = [Pair("up", "12 d"), Pair("temp", "51", "°C"), Pair("left", "out")]
    assert pairs_line(pairs, 26, look=UNICODE_LOOK).text == "up 12 d · temp 51°C       "
    columns = key_value_columns([Pair("a", "1"), Pair("b", None), Pair("c", "3", "%")], 40, 2, look=UNICODE_LOOK)
    assert [line.rstrip() for line in texts(columns)] == [
        "a                1   c               3%",
        "b                –",
    ]


def test_severities_differ_without_colour() -> None:
    marks = {joined(badge(level, "", look=ASCII_LOOK)) for level in ("ok", "info", "warning", "critical", "unknown")}
    assert len(marks) == 5
    assert badge("critical", "full", 8, look=UNICODE_LOOK) == [("✖ full  ", PALETTE.critical)]


def test_status_line_counts_what_does_not_fit() -> None:
    messages = ["/srv is full", "bbbbbbbb", "c"]
    assert status_line("critical", messages[:1], 30, look=UNICODE_LOOK, right="db-1").text == (
        " ✖  /srv is full         db-1 "
    )
    assert status_line("critical", messages, 30, look=UNICODE_LOOK, right="db-1").text == (
        " ✖  /srv is full  ·  +2  db-1 "
    )
    assert status_line("ok", [], 30, look=ASCII_LOOK, right="db-1").text == "   all is well           db-1 "


def test_upper_border() -> None:
    title: Spans = [("¹", PALETTE.hotkey), ("cpu", PALETTE.title)]
    line, places = rule([title], [[("3 GHz", PALETTE.dim)]], 25, look=UNICODE_LOOK, edge=PALETTE.border)
    assert line.text == "╭─┐¹cpu┌────────┐3 GHz┌─╮"
    assert places == [(3, 7), (17, 22)]
    short = rule([[("processes", PALETTE.title)]], [[("x", PALETTE.dim)]], 10, look=UNICODE_LOOK, edge=PALETTE.border)
    assert short[0].text == "╭─┐pro…┌─╮"


def test_lower_border_with_hints() -> None:
    labels = [hint_label(Hint("t", "tree"), ASCII_LOOK), hint_label(Hint("F9", "kill"), ASCII_LOOK)]
    line, places = rule(
        labels, [[("3/40", PALETTE.dim)]], 30, look=ASCII_LOOK, edge=PALETTE.border, focused=True, bottom=True
    )
    assert line.text == "#=[tree][F9 kill]=====[3/40]=#"
    assert [line.text[start:end] for start, end in places] == ["tree", "F9 kill", "3/40"]


def test_focus_shows_without_colour() -> None:
    body = strip([("x", PALETTE.text)], 3, PALETTE.text)
    assert sides(body, 5, look=UNICODE_LOOK, edge=PALETTE.border, thumb=True).text == "│x  ┃"
    first, second = (
        rule([], [], 8, look=ASCII_LOOK, edge=ASCII_LOOK.palette.border, focused=focused)[0].text
        for focused in (False, True)
    )
    assert (first, second) == ("+------+", "#======#")


def test_centred_lines() -> None:
    assert texts(centered(["no data", "yet"], 9, 4, look=UNICODE_LOOK)) == [" " * 9, " no data ", "   yet   ", " " * 9]


def _columns() -> list[Column[tuple[str, float]]]:
    def bar(row: tuple[str, float], width: int, look: Look) -> Spans:
        return [("#" * round(row[1] * width), look.palette.ok)]

    return [
        Column("name", "NAME", lambda row: row[0], min_width=6, prefix=lambda _row: "`- "),
        Column("bar", "BAR", width=4, spans=bar, priority=2),
        Column("size", "SIZE", lambda row: f"{row[1]:.1f} GiB", width=8, align="right", dim_unit=True, priority=1),
    ]


def test_rows_and_header() -> None:
    placed = place(_columns(), 28)
    assert draw_header(placed, 30, UNICODE_LOOK, sort=("size", True)).text == " NAME           BAR     SIZE▼ "
    line = draw_row(placed, ("postgres", 0.5), 30, UNICODE_LOOK)
    assert line.text == " `- postgres    ##    0.5 GiB "
    assert [segment.style for segment in line if segment.text == " GiB"] == [PALETTE.dim]
    tagged = draw_row(placed, ("postgres", 0.5), 30, UNICODE_LOOK, tagged=True, overlay=PALETTE.selection)
    assert tagged.text.startswith("●")
    backgrounds = {segment.style.bgcolor for segment in tagged if segment.style is not None}
    assert backgrounds == {PALETTE.selection.bgcolor}


def test_narrow_tables_drop_columns_by_priority() -> None:
    kept = {width: [each.column.key for each in place(_columns(), width)] for width in (20, 19, 15, 14, 3)}
    assert kept == {
        20: ["name", "bar", "size"],
        19: ["name", "size"],
        15: ["name", "size"],
        14: ["name"],
        3: ["name"],
    }


def test_without_a_flexible_column_the_widest_text_takes_the_room() -> None:
    columns: list[Column[str]] = [
        Column("a", "A", str, width=5),
        Column("b", "B", str, width=8),
        Column("c", "C", str, width=9, align="right"),
    ]
    assert [(each.start, each.width) for each in place(columns, 40)] == [(0, 5), (6, 24), (31, 9)]
