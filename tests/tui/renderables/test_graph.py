"""Graphs as exact strings."""

import pytest

from tests.tui.renderables.common import ASCII_LOOK, BLOCK_LOOK, CPU, UNICODE_LOOK, joined, texts
from tui.renderables.graph import graph, mirror_graph, time_axis, with_corners, with_scale
from tui.renderables.spark import sparkline
from tui.theme import Look

POINTS = [0, 0.25, 0.5, 0.75, 1, None, None, None, 0.5, 0]


@pytest.mark.parametrize(
    ("look", "expected"),
    [
        (UNICODE_LOOK, ["  ⢠⡇╱ ", " ⣠⣿⡇╱⣇"]),
        (BLOCK_LOOK, ["  ▄█╱ ", " ▄██╱█"]),
        (ASCII_LOOK, ["  .|/ ", " :||/|"]),
    ],
    ids=["braille", "block", "ascii"],
)
def test_newest_at_the_right_gaps_shaded_and_nothing_before_the_beginning(look: Look, expected: list[str]) -> None:
    assert texts(graph(POINTS, 6, 2, low=0, high=1, hue=CPU, look=look)) == expected


@pytest.mark.parametrize(
    ("look", "expected"),
    [
        (UNICODE_LOOK, ["⠈⢻⣿╱⢸⠁", "  ⢻╱  "]),
        (BLOCK_LOOK, ["▀██╱█▀", "  █╱  "]),
        (ASCII_LOOK, ["'||/|'", "  |/  "]),
    ],
    ids=["braille", "block", "ascii"],
)
def test_hanging_graph_with_its_newest_half_cell_open(look: Look, expected: list[str]) -> None:
    assert texts(graph(POINTS, 6, 2, low=0, high=1, hue=CPU, look=look, hanging=True, phase=1)) == expected


def test_a_measured_zero_shows_and_a_gap_does_not_look_like_it() -> None:
    line = graph([0, 0, None, None], 3, 1, low=0, high=1, hue=CPU, look=UNICODE_LOOK)[0]
    assert line.text == " ⣀╱"
    assert [segment.style for segment in line] == [CPU.at(0.5), UNICODE_LOOK.palette.gap]


def test_bounds_are_what_the_caller_says() -> None:
    low = texts(graph([2, 2], 1, 1, low=0, high=100, hue=CPU, look=UNICODE_LOOK))
    full = texts(graph([2, 2], 1, 1, low=0, high=2, hue=CPU, look=UNICODE_LOOK))
    assert (low, full) == (["⣀"], ["⣿"])


def test_values_outside_are_clamped_and_nan_is_a_gap() -> None:
    points = [float("inf"), 9.0, -3.0, float("-inf"), float("nan"), float("nan")]
    assert texts(graph(points, 3, 1, low=0, high=1, hue=CPU, look=UNICODE_LOOK)) == ["⣿⣀╱"]


def test_colour_rises_with_height() -> None:
    lines = graph([1] * 4, 2, 4, low=0, high=1, hue=CPU, look=UNICODE_LOOK)
    styles = [next(iter(line)).style for line in lines]
    assert styles == [CPU.at(0.875), CPU.at(0.625), CPU.at(0.375), CPU.at(0.125)]
    hanging = graph([1] * 4, 2, 4, low=0, high=1, hue=CPU, look=UNICODE_LOOK, hanging=True)
    assert [next(iter(line)).style for line in hanging] == styles[::-1]


def test_threshold_runs_where_the_area_leaves_room() -> None:
    lines = graph(POINTS, 6, 2, low=0, high=1, hue=CPU, look=UNICODE_LOOK, threshold=0.8)
    assert texts(lines) == ["┈┈⢠⡇╱┈", " ⣠⣿⡇╱⣇"]
    assert texts(graph(POINTS, 6, 2, low=0, high=1, hue=CPU, look=UNICODE_LOOK, threshold=2.0))[0] == "  ⢠⡇╱ "


def test_every_second_step_moves_by_a_whole_cell() -> None:
    points: list[float | None] = [0.1, 0.9, 0.4, 0.6, 0.2, 0.8]
    even = texts(graph(points, 3, 2, low=0, high=1, hue=CPU, look=UNICODE_LOOK, phase=0))
    odd = texts(graph([*points, 0.5], 4, 2, low=0, high=1, hue=CPU, look=UNICODE_LOOK, phase=1))
    assert [line[:3] for line in odd] == even


@pytest.mark.parametrize(
    ("look", "expected"),
    [
        (UNICODE_LOOK, ["  ⢠⡇╱ ", " ⣠⣿⡇╱⣇", "──────", " ⠉⠻⡇╱⠋", "    ╱ "]),
        (ASCII_LOOK, ["  .|/ ", " :||/|", "------", " ':|/:", "    / "]),
    ],
    ids=["unicode", "ascii"],
)
def test_mirror_graph_about_its_axis(look: Look, expected: list[str]) -> None:
    lines = mirror_graph(POINTS, POINTS, 6, 5, high_upper=1, high_lower=2, hue_upper=CPU, hue_lower=CPU, look=look)
    assert texts(lines) == expected


def test_time_axis_leaves_out_what_does_not_fit() -> None:
    assert time_axis(24, [(0, "now"), (20, "20s"), (46, "46s")], look=UNICODE_LOOK).text == "┴46s─────────┴20s───now┴"
    assert time_axis(8, [(0, "now"), (4, "4s"), (99, "99s")], look=ASCII_LOOK).text == "-----+4s"


def test_labels_in_the_gutter_and_the_corners() -> None:
    lines = graph([1] * 4, 4, 3, low=0, high=1, hue=CPU, look=UNICODE_LOOK)
    scaled = with_scale(lines, [(1.0, "100%"), (0.0, "0")], 9, gutter=5, look=UNICODE_LOOK)
    assert texts(scaled) == ["100%   ⣿⣿", "       ⣿⣿", "   0   ⣿⣿"]
    assert [line.cell_length for line in scaled] == [9, 9, 9]
    corners = with_corners(lines, look=UNICODE_LOOK, top_left="1M", bottom_left="0")
    assert texts(corners) == ["1M⣿⣿", "  ⣿⣿", "0 ⣿⣿"]


@pytest.mark.parametrize(
    ("look", "expected"), [(UNICODE_LOOK, "  ▁▁▃▅╌▇██▁"), (ASCII_LOOK, "  __-=~*##_")], ids=["unicode", "ascii"]
)
def test_sparkline(look: Look, expected: str) -> None:
    points = [0, 0.1, 0.3, 0.5, None, 0.8, 1, 2, -1]
    assert joined(sparkline(points, 11, low=0, high=1, hue=CPU, look=look)) == expected


def test_braille_sparkline_shows_two_points_per_cell() -> None:
    points = [0, 0.1, 0.3, 0.5, None, None, 1, 2, -1, 0.5]
    spans = sparkline(points, 6, low=0, high=1, hue=CPU, look=UNICODE_LOOK, braille=True)
    assert joined(spans) == " ⣀⣠╌⣿⣠"
