"""Charts: exact sizes whatever the data, bounds and ticks people would choose, gaps that stay open."""

from __future__ import annotations

import builtins
import math
import re
import subprocess
import sys
from datetime import UTC
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sysmon.records import Event, Point, Series, SeriesAnswer, Span, Stats
from tui.chart import draw
from tui.chartaxes import bounds_of, range_text, span_text, time_ticks, value_ticks
from tui.chartdots import Canvas, columns_of
from tui.chrome import Mark
from tui.glyphs import ASCII, BLOCK, UNICODE, Glyphs
from tui.renderables.chart import Plot, chart, line_hues
from tui.theme import look

T0 = 1_795_300_000_000
ANSI = re.compile(r"\x1b\[[0-9;]*m")


def series(
    values: list[float | None], *, metric: str = "cpu.utilization", unit: str = "ratio", step: int = 10_000
) -> Series:
    """A series with a point for each value that is not None."""
    points = [
        Point(T0 + at * step, 10, value, value, value, value) for at, value in enumerate(values) if value is not None
    ]
    stats = Stats(10, 0.1, 0.2, 0.3, 0.3, 0.2)
    return Series(host="h", metric=metric, unit=unit, step=step, points=points, stats=stats)


def plain(text: str) -> list[str]:
    """The lines as a terminal shows them."""
    return ANSI.sub("", text).split("\n")


NUMBERS = st.one_of(st.none(), st.floats(), st.floats(0, 1), st.just(0.5))


@settings(max_examples=40)
@given(
    st.lists(st.lists(NUMBERS, max_size=30), max_size=14), st.integers(1, 160), st.integers(1, 50), st.booleans(),
    st.sampled_from(["ratio", "bytes/s", "seconds", "", "celsius"]),
)  # fmt: skip
def test_a_drawing_has_its_size(
    columns: list[list[float | None]], width: int, height: int, ascii: bool, unit: str
) -> None:
    answer = SeriesAnswer(series=[series(each, unit=unit) for each in columns], gaps=[Span(T0, T0 + 20_000)])
    text = draw(answer, ["x" * 50] * len(columns), width, height, color=True, ascii=ascii, zone=UTC)
    lines = plain(text)
    assert len(lines) == max(6, height)
    assert {len(line) for line in lines} == {max(24, width)}
    assert not ascii or text.replace("\x1b", "").isascii()


@settings(max_examples=60)
@given(
    st.lists(st.lists(NUMBERS, max_size=40), max_size=6), st.integers(0, 120), st.integers(0, 30),
    st.sampled_from([UNICODE, BLOCK, ASCII]), st.integers(-10, 2000),
)  # fmt: skip
def test_a_chart_on_screen_has_its_size(
    columns: list[list[float | None]], width: int, height: int, glyphs: Glyphs, at: int
) -> None:
    plot = Plot(
        tuple(series(each) for each in columns), T0, T0 + 400_000, "ratio", (Span(T0 + 50_000, T0 + 90_000),),
        (Mark(T0 + 1000, "critical"), Mark(T0 - 5000, "info")), UTC,
    )  # fmt: skip
    lines, place = chart(plot, width, height, look=look("sysmon-dark", "truecolor", glyphs), cursor=T0 + at * 1000)
    assert len(lines) == height
    assert all(sum(len(segment.text) for segment in line) == width == line.cell_length for line in lines)
    assert place.left + place.width == (width if height else 0)


def test_gaps_stay_open_and_lines_join() -> None:
    values: list[float | None] = [0.5] * 40 + [None] * 20 + [0.5] * 40
    grid = columns_of(series(values), T0, T0 + 1_000_000, 100)
    assert (39, 60) not in grid.joined
    assert (10, 11) in grid.joined
    assert set(grid.cells) == set(range(40)) | set(range(60, 100))
    canvas = Canvas(50, 5)
    canvas.line(grid, 0, 0.0, 1.0)
    row = "".join(canvas.cell(column, 2)[0] for column in range(50))
    assert row[:20].strip() and row[30:].strip() and row[20:30] == " " * 10
    assert "".join(canvas.cell(column, 0)[0] for column in range(50)).strip() == ""


def test_a_listed_gap_is_open_even_where_points_are_near() -> None:
    gaps = [Span(T0 + 95_000, T0 + 100_000)]
    assert (9, 10) not in columns_of(series([0.5] * 20), T0, T0 + 200_000, 20, gaps).joined


def test_points_far_apart_by_nature_are_joined() -> None:
    sparse: list[float | None] = [0.5 if at % 6 == 0 else None for at in range(60)]
    grid = columns_of(series(sparse), T0, T0 + 600_000, 60)
    assert len(grid.joined) == 9


def test_one_column_keeps_least_and_most() -> None:
    points = [Point(T0 + at * 1000, 1 + at, at, at + 1.0, at + 2.0, 0) for at in range(4)]
    cell = columns_of(Series(host="h", metric="m", step=1000, points=points), T0, T0 + 4000, 1).cells[0]
    assert (cell.low, cell.high) == (0, 5)
    assert cell.mean == pytest.approx((1 + 2 * 2 + 3 * 3 + 4 * 4) / 10)


def test_bounds_are_explicit() -> None:
    assert bounds_of("ratio", [0.01, 0.02]) == (0, 1)
    assert bounds_of("ratio", [2.3]) == (0, 3)
    assert bounds_of("bytes/s", [3 * 1024**2]) == (0, 5 * 1024**2)
    assert bounds_of("celsius", [61.0]) == (0, 100)
    assert bounds_of("", [-3.0, 4.0]) == (-5, 5)
    assert bounds_of("", []) == (0, 1)
    low, high = bounds_of("", [math.nan, math.inf, 1.7e308, -1.7e308])
    assert math.isfinite(low) and math.isfinite(high) and low < high


def test_values_are_labelled_with_units() -> None:
    assert [text for _, text in value_ticks(0, 1, 13, "ratio")] == ["0 %", "25 %", "50 %", "75 %", "100 %"]
    assert [text for _, text in value_ticks(0, 2 * 1024**2, 8, "bytes/s")] == ["0 B/s", "1 MiB/s", "2 MiB/s"]
    assert value_ticks(0, 1, 0, "ratio") == []


@pytest.mark.parametrize(
    ("seconds", "first"),
    [(60, ":"), (3600, ":"), (86_400, ":"), (7 * 86_400, "Nov"), (30 * 86_400, "Oct"), (700 * 86_400, "2026")],
)  # fmt: skip
def test_times_are_round_and_fit(seconds: int, first: str) -> None:
    ticks = time_ticks(T0 - seconds * 1000, T0, 100, UTC)
    assert 3 <= len(ticks) <= 12
    assert any(first in text for _, text in ticks)
    assert all(T0 - seconds * 1000 <= time <= T0 for time, _ in ticks)
    cells = [(time - T0 + seconds * 1000) * 100 // (seconds * 1000) for time, _ in ticks]
    assert all(right - left > len(text) for left, right, (_, text) in zip(cells, cells[1:], ticks, strict=False))


def test_clocks_turned_back_and_forward() -> None:
    zone = ZoneInfo("Europe/Berlin")
    for change in (1_792_890_000_000, 1_774_746_000_000):
        times = [time for time, _ in time_ticks(change - 6 * 3_600_000, change + 6 * 3_600_000, 120, zone)]
        assert times == sorted(set(times)) and len(times) >= 4


def test_ranges_in_words() -> None:
    assert range_text(T0 - 3_600_000, T0, UTC) == "Nov 21 21:26 - 22:26"
    assert range_text(T0 - 86_400_000, T0, UTC) == "Nov 20 22:26 - Nov 21 22:26"
    assert [span_text(hours * 3_600_000) for hours in (1, 12, 24, 168, 720)] == ["1h", "12h", "24h", "7d", "30d"]


def test_what_a_drawing_says() -> None:
    answer = SeriesAnswer(series=[series([0.2, 0.4] * 50), series([0.6] * 100, metric="cpu.iowait")])
    text = draw(answer, ["cpu.utilization", "cpu.iowait"], 90, 20, color=False, zone=UTC)
    lines = plain(text)
    assert "cpu.utilization" in lines[0] and "p95 30.0 %" in lines[0] and "cpu.iowait" in lines[1]
    assert any(line.startswith("100 %") for line in lines) and "0 %" in text
    assert "22:30" in text and "\x1b" not in text
    assert any(0x2800 < ord(char) < 0x2900 for char in text)
    assert "\x1b[" in draw(answer, ["a", "b"], 90, 20, color=True)


def test_too_many_series_are_counted() -> None:
    answer = SeriesAnswer(series=[series([0.1 * (at % 9)] * 9) for at in range(30)])
    assert "and " in draw(answer, [f"s{at}" for at in range(30)], 80, 24, color=False)


def test_nothing_is_said() -> None:
    assert "no data in this range" in draw(SeriesAnswer(series=[]), [], 60, 10, color=False)


def test_without_plotext_our_own_dots_draw(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def missing(name: str, *rest: object, **more: object) -> object:
        if name == "plotext":
            raise ImportError(name)
        return real(name, *rest, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(builtins, "__import__", missing)
    answer = SeriesAnswer(series=[series([0.5] * 60)])
    event = Event(id="1", time=T0 + 300_000, host="h", kind="oom")
    text = draw(answer, ["cpu"], 80, 16, color=True, ascii=False, events=[event], zone=UTC)
    lines = plain(text)
    assert lines[-1].strip() == "plotext is not installed: drawn by sysmon itself"
    assert "┊" in text and any(0x2800 < ord(char) < 0x2900 for char in text)
    assert {len(line) for line in lines} == {80}


def test_neither_textual_nor_plotext_is_loaded_at_start() -> None:
    code = "import sys, tui.chart; sys.exit(any(name in sys.modules for name in ('textual', 'rich', 'plotext')))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_events_gaps_and_cursor_show_on_the_chart() -> None:
    plot = Plot(
        (series([0.2] * 40),), T0, T0 + 400_000, "ratio", (Span(T0 + 200_000, T0 + 300_000),),
        (Mark(T0 + 100_000, "critical"),), UTC,
    )  # fmt: skip
    style = look()
    lines, place = chart(plot, 100, 12, look=style, cursor=T0 + 350_000)
    cell = place.cell_of(T0 + 100_000)
    assert cell is not None
    assert lines[0].text[cell] == style.glyphs.severity_critical and lines[3].text[cell] == "┊"
    middle = place.cell_of(T0 + 250_000)
    assert middle is not None and lines[2].text[middle] == style.glyphs.gap
    cursor = place.cell_of(T0 + 350_000)
    assert cursor is not None
    marked = next(iter(lines[1].crop(cursor, cursor + 1))).style
    assert marked is not None and marked.bgcolor == style.palette.selection.bgcolor
    assert place.time_at(cursor) is not None and place.time_at(0) is None


def test_lines_of_one_family_get_their_own_hues() -> None:
    names = [hue.name for hue in line_hues(["cpu.utilization", "cpu.iowait", "cpu.steal"], look().palette)]
    assert names[0] == "cpu" and len(set(names)) == 3
