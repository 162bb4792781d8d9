"""Meters and core grids as exact strings."""

import pytest

from tests.tui.renderables.common import ASCII_LOOK, CPU, UNICODE_LOOK, joined, texts
from tui.renderables.cores import core_grid
from tui.renderables.meter import bar_room, legend, meter, meter_line, parts_meter
from tui.theme import Look

PALETTE = UNICODE_LOOK.palette
VALUES = (None, 0.0, 0.01, 0.5, 0.57, 1.0, 3.0)


def test_thin_meter() -> None:
    drawn = [joined(meter(value, 8, low=0, high=1, hue=CPU, look=UNICODE_LOOK)) for value in VALUES]
    assert drawn == ["╌╌╌╌╌╌╌╌", "────────", "╸───────", "━━━━────", "━━━━╸───", "━━━━━━━━", "━━━━━━━━"]


def test_block_meter() -> None:
    drawn = [joined(meter(value, 8, low=0, high=1, hue=CPU, look=UNICODE_LOOK, kind="block")) for value in VALUES]
    assert drawn == ["╌╌╌╌╌╌╌╌", "        ", "▏       ", "████    ", "████▌   ", "████████", "████████"]


def test_ascii_meter() -> None:
    drawn = [joined(meter(value, 8, low=0, high=1, hue=CPU, look=ASCII_LOOK)) for value in VALUES]
    assert drawn == ["~~~~~~~~", "........", "-.......", "====....", "====-...", "========", "========"]


def test_parts_add_up() -> None:
    parts = [(1.0, PALETTE.ok), (1.0, PALETTE.dim), (None, PALETTE.text), (1.0, PALETTE.info)]
    spans = parts_meter(parts, 10, total=3.0, look=UNICODE_LOOK)
    assert [(len(text), style) for text, style in spans] == [(3, PALETTE.ok), (4, PALETTE.dim), (3, PALETTE.info)]


def test_parts_beyond_the_total_are_cut_off() -> None:
    assert joined(parts_meter([(9.0, PALETTE.ok), (9.0, PALETTE.dim)], 4, total=4, look=UNICODE_LOOK)) == "━━━━"


def test_parts_differ_without_colour() -> None:
    plain = ASCII_LOOK.palette.text
    parts = [(2.0, plain), (2.0, plain), (2.0, plain)]
    assert joined(parts_meter(parts, 8, total=8, look=ASCII_LOOK)) == "##==--.."
    assert legend([("used", plain), ("cache", plain)], 16, look=ASCII_LOOK).text == "# used  = cache "


def test_line_of_label_bar_and_value() -> None:
    room = bar_room(24, label_width=5, value_width=6)
    bar = meter(0.5, room, low=0, high=1, hue=CPU, look=UNICODE_LOOK)
    line = meter_line("swapfile", bar, "1.2", 24, look=UNICODE_LOOK, label_width=5, value_width=6, unit=" GB")
    assert line.text == "sw…le ━━━━━╸───── 1.2 GB"
    narrow = meter_line("swap", None, "1.2", 12, look=UNICODE_LOOK, label_width=5, value_width=6, unit=" GB")
    assert narrow.text == "swap  1.2 GB"


def test_legend_leaves_out_what_does_not_fit() -> None:
    entries = [("used", PALETTE.ok), ("cache", PALETTE.dim), ("free", PALETTE.text)]
    assert legend(entries, 20, look=UNICODE_LOOK).text == "━ used  ━ cache     "


@pytest.mark.parametrize(
    ("look", "expected"),
    [
        (UNICODE_LOOK, ["0 ━────────  10%  2 ━━━━╸────  50%", "1 ╌╌╌╌╌╌╌╌╌    –  3 ━━━━━━━━━ 100%"]),
        (ASCII_LOOK, ["0 =........  10%  2 ====-....  50%", "1 ~~~~~~~~~    -  3 ========= 100%"]),
    ],
    ids=["unicode", "ascii"],
)
def test_few_cores_have_a_meter_each(look: Look, expected: list[str]) -> None:
    assert texts(core_grid([0.1, None, 0.5, 1], 34, 2, hue=CPU, look=look)) == expected


def test_many_cores_are_a_heat_map() -> None:
    values = [index / 40 for index in range(40)]
    assert texts(core_grid(values, 23, 3, hue=CPU, look=UNICODE_LOOK)) == [
        " 0 ··■■■■■■■■■■■■■■    ",
        "16 ■■■■■■■■■■■■■■■■    ",
        "32 ■■■■■■■■            ",
    ]
    plain = ASCII_LOOK.palette.hue("cpu")
    assert texts(core_grid(values, 23, 3, hue=plain, look=ASCII_LOOK)) == [
        " 0 ........--------    ",
        "16 ++++++++********    ",
        "32 ########            ",
    ]


def test_more_cores_than_cells_show_the_busiest_of_several() -> None:
    values: list[float | None] = [0.0] * 200
    values[7] = 1.0
    lines = core_grid(values, 40, 3, hue=ASCII_LOOK.palette.hue("cpu"), look=ASCII_LOOK)
    assert lines[0].text.startswith("  0 ..") and "#" in lines[0].text
    assert lines[-1].text.rstrip() == "each cell: the busiest of 3"
