"""Fitting text into cells."""

import pytest

from tests.tui.renderables.common import UNICODE_LOOK, joined
from tui.renderables.text import Align, Cut, beside, fit, fit_spans, shorten, strip, width_of

PALETTE = UNICODE_LOOK.palette


@pytest.mark.parametrize(
    ("text", "width", "align", "cut", "expected"),
    [
        ("cpu", 5, "left", "end", "cpu  "),
        ("cpu", 5, "right", "end", "  cpu"),
        ("cpu", 6, "center", "end", " cpu  "),
        ("abcdefghij", 6, "left", "end", "abcde…"),
        ("abcdefghij", 6, "left", "middle", "abc…ij"),
        ("日本語のモジュール", 9, "left", "end", "日本語の…"),
        ("日本語のモジュール", 8, "left", "end", "日本語… "),
        ("日本語のモジュール", 9, "right", "middle", "日本…ール"),
        ("日本語", 1, "left", "end", "…"),
        ("ab\ncd\x1b", 6, "left", "end", "ab cd "),
        ("anything", 0, "left", "end", ""),
        ("anything", -3, "left", "end", ""),
    ],
)
def test_fit_gives_exact_cells(text: str, width: int, align: Align, cut: Cut, expected: str) -> None:
    assert fit(text, width, align=align, cut=cut) == expected
    assert width_of(fit(text, width, align=align, cut=cut)) == max(0, width)


def test_a_wide_character_is_never_halved() -> None:
    assert shorten("日本", 3) == "日…"
    assert fit("日本", 2, ellipsis="") == "日"
    assert fit("日", 1, ellipsis="") == " "


def test_spans_keep_their_styles_when_cut() -> None:
    spans = fit_spans([("12.5", PALETTE.text), (" GiB", PALETTE.dim)], 6, PALETTE.text)
    assert spans == [("12.5", PALETTE.text), (" …", PALETTE.dim)]


def test_a_cut_between_spans_is_marked() -> None:
    assert joined(fit_spans([("1234", PALETTE.text), ("56", PALETTE.dim)], 4, PALETTE.text)) == "123…"


def test_the_right_side_stays_whole() -> None:
    row = beside([("a long name", PALETTE.text)], [("99%", PALETTE.dim)], 10, PALETTE.text)
    assert joined(row) == "a lon… 99%"


def test_a_strip_joins_neighbours_of_one_style() -> None:
    line = strip([("a", PALETTE.text), ("b", PALETTE.text), ("c", PALETTE.dim)], 5, PALETTE.text)
    assert [segment.text for segment in line] == ["ab", "c", "  "]
    assert line.cell_length == 5


@pytest.mark.parametrize("text", ["👨‍👩‍👧 family", "❤️ heart", "🇩🇪🇫🇷", "é combined", "‍joiner", "⚠️⚠️⚠️"])
@pytest.mark.parametrize("width", [1, 2, 3, 5, 9])
def test_joined_characters_keep_the_width(text: str, width: int) -> None:
    aligns: tuple[Align, ...] = ("left", "right")
    for align in aligns:
        for spans in ([(fit(text, width), PALETTE.text), ("|", PALETTE.dim)], [(text, PALETTE.text)]):
            line = strip(spans, width + 1, PALETTE.text, align=align)
            assert sum(segment.cell_length for segment in line) == line.cell_length == width + 1
