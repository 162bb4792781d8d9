"""Whatever the data and the room: no exception, and exactly the cells that were asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from tests.tui.renderables.common import LOOKS
from tui.renderables.columns import Column, draw_header, draw_row, place
from tui.renderables.cores import core_grid
from tui.renderables.frame import Hint, hint_label, rule, sides
from tui.renderables.graph import graph, mirror_graph, time_axis, with_corners, with_scale
from tui.renderables.lines import Pair, key_value, key_value_columns, pairs_line, status_line
from tui.renderables.meter import bar_room, legend, meter, meter_line, parts_meter
from tui.renderables.spark import sparkline
from tui.renderables.text import Align, Cut, fit, fit_spans, spans_width, strip

if TYPE_CHECKING:
    from collections.abc import Iterable

    from textual.strip import Strip

    from tui.glyphs import Severity
    from tui.renderables.meter import MeterKind
    from tui.theme import Look

WIDTHS = st.integers(-2, 70)
HEIGHTS = st.integers(-2, 12)
LOOK = st.sampled_from(LOOKS)
VALUES = st.one_of(st.none(), st.floats(), st.floats(0, 1), st.integers(-5, 5))
POINTS = st.lists(VALUES, max_size=90)
TEXTS = st.text(max_size=30)
ALIGNS: st.SearchStrategy[Align] = st.sampled_from(("left", "right", "center"))
CUTS: st.SearchStrategy[Cut] = st.sampled_from(("end", "middle"))
SEVERITIES: st.SearchStrategy[Severity] = st.sampled_from(("ok", "info", "warning", "critical", "unknown"))


def exact(strips: Iterable[Strip], width: int) -> bool:
    """Whether each strip says and has the width."""
    return all(line.cell_length == max(0, width) == sum(cell_len(segment.text) for segment in line) for line in strips)


@given(TEXTS, WIDTHS, ALIGNS, CUTS, st.sampled_from(["…", "~", ""]))
def test_fit(text: str, width: int, align: Align, cut: Cut, ellipsis: str) -> None:
    assert cell_len(fit(text, width, align=align, cut=cut, ellipsis=ellipsis)) == max(0, width)


@given(st.lists(TEXTS, max_size=5), WIDTHS, ALIGNS, LOOK)
def test_spans(parts: list[str], width: int, align: Align, look: Look) -> None:
    spans = [(part, look.palette.text) for part in parts]
    assert spans_width(fit_spans(spans, width, look.palette.dim, align=align)) == max(0, width)
    assert exact([strip(spans, width, look.palette.dim, align=align)], width)


@given(POINTS, WIDTHS, HEIGHTS, VALUES, st.floats(), st.one_of(st.none(), st.floats()), st.booleans(), LOOK)
def test_graph(
    points: list[float | None],
    width: int,
    height: int,
    low: float | None,
    high: float,
    threshold: float | None,
    hanging: bool,
    look: Look,
) -> None:
    lines = graph(
        points,
        width,
        height,
        low=low or 0.0,
        high=high,
        hue=look.palette.hue("cpu"),
        look=look,
        threshold=threshold,
        hanging=hanging,
        phase=len(points),
    )
    assert len(lines) == max(0, height)
    assert exact(lines, width)
    assert exact(with_corners(lines, look=look, top_left="100%", top_right="now", bottom_left="0"), width)
    if width >= 0:
        scaled = with_scale(lines, [(1.0, "100%"), (0.0, "0")], width + 5, gutter=5, look=look)
        assert exact(scaled, width + 5)


@given(POINTS, POINTS, WIDTHS, HEIGHTS, st.lists(st.tuples(st.integers(-5, 200), TEXTS), max_size=4), LOOK)
def test_mirror_graph(
    upper: list[float | None],
    lower: list[float | None],
    width: int,
    height: int,
    ticks: list[tuple[int, str]],
    look: Look,
) -> None:
    hue = look.palette.hue("receive")
    lines = mirror_graph(
        upper, lower, width, height, high_upper=1, high_lower=5, hue_upper=hue, hue_lower=hue, look=look, ticks=ticks
    )
    assert len(lines) == max(0, height)
    assert exact(lines, width)
    assert exact([time_axis(width, ticks, look=look)], width)


@given(POINTS, WIDTHS, st.booleans(), LOOK)
def test_sparkline_and_meters(points: list[float | None], width: int, fine: bool, look: Look) -> None:
    hue, palette = look.palette.hue("memory"), look.palette
    assert spans_width(sparkline(points, width, low=0, high=1, hue=hue, look=look, braille=fine)) == max(0, width)
    for value in points[:5]:
        kind: MeterKind = "block" if fine else "thin"
        assert spans_width(meter(value, width, low=0, high=1, hue=hue, look=look, kind=kind)) == max(0, width)
    parts = [(value, palette.ok) for value in points]
    assert spans_width(parts_meter(parts, width, total=3, look=look)) == max(0, width)


@given(TEXTS, TEXTS, WIDTHS, st.integers(0, 12), st.integers(0, 12), LOOK)
def test_meter_line(label: str, value: str, width: int, label_width: int, value_width: int, look: Look) -> None:
    room = bar_room(width, label_width=label_width, value_width=value_width)
    bar = meter(0.4, room, low=0, high=1, hue=look.palette.hue("cpu"), look=look)
    line = meter_line(label, bar, value, width, look=look, label_width=label_width, value_width=value_width, unit="%")
    assert exact([line], width)
    assert exact([legend([(label, look.palette.ok), (value, look.palette.dim)], width, look=look)], width)


@given(POINTS, WIDTHS, HEIGHTS, LOOK)
def test_core_grid(values: list[float | None], width: int, height: int, look: Look) -> None:
    lines = core_grid(values, width, height, hue=look.palette.hue("cpu"), look=look)
    assert len(lines) <= max(0, height)
    assert exact(lines, width)


@given(st.lists(st.tuples(TEXTS, st.one_of(st.none(), TEXTS), TEXTS), max_size=6), WIDTHS, HEIGHTS, SEVERITIES, LOOK)
def test_lines(
    entries: list[tuple[str, str | None, str]], width: int, height: int, severity: Severity, look: Look
) -> None:
    pairs = [Pair(*entry) for entry in entries]
    assert exact([key_value(pair, width, look=look) for pair in pairs], width)
    assert exact([pairs_line(pairs, width, look=look)], width)
    assert exact(key_value_columns(pairs, width, height, look=look), width)
    messages = [entry[0] for entry in entries]
    assert exact([status_line(severity, messages, width, look=look, right=entry[2]) for entry in entries], width)


@given(TEXTS, TEXTS, TEXTS, st.integers(0, 60), st.booleans(), st.booleans(), LOOK)
def test_frame(title: str, side: str, hint: str, width: int, focused: bool, bottom: bool, look: Look) -> None:
    palette = look.palette
    labels = [[(title, palette.title)], hint_label(Hint("x", hint), look)]
    line, places = rule(
        labels, [[(side, palette.dim)]], width, look=look, edge=palette.border, focused=focused, bottom=bottom
    )
    assert exact([line], width)
    assert all(0 <= start <= end <= width for start, end in places)
    body = strip([(fit(title, 20), palette.text)], 20, palette.text)
    assert exact([sides(body, width, look=look, edge=palette.border, focused=focused, thumb=bottom)], width)


@given(st.lists(st.tuples(TEXTS, TEXTS, st.integers(0, 3)), min_size=1, max_size=6), st.integers(0, 60), LOOK)
def test_rows(cells: list[tuple[str, str, int]], width: int, look: Look) -> None:
    columns: list[Column[int]] = [
        Column(
            f"c{index}",
            title,
            lambda _row, text=text: text,  # type: ignore[misc]
            width=None if index % 2 else 5,
            priority=priority,
            align="right" if index % 3 else "left",
            dim_unit=index == 2,
            prefix=(lambda _row: "├─ ") if index == 1 else None,
        )
        for index, (title, text, priority) in enumerate(cells)
    ]
    placed = place(columns, width - 2)
    assert exact([draw_header(placed, width, look, sort=("c0", True))], width)
    assert exact([draw_row(placed, 0, width, look, tagged=True, overlay=look.palette.selection)], width)
