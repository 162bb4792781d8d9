"""The bytes of a difference, and that any run of differences ends where a full repaint does."""

from __future__ import annotations

import unicodedata
from typing import TYPE_CHECKING, Any

import pyte
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.color import ColorSystem
from rich.segment import Segment
from rich.style import Style

from tests.tui.reference import ReferenceTerminal
from tui.celldiff import CellDiff
from tui.cells import is_simple, is_unsure, to_cells

if TYPE_CHECKING:
    from collections.abc import Sequence

RED = Style(color="#ff0000")
RED_ON_BLUE = Style(color="#ff0000", bgcolor="#0000ff")
ON_BLUE = Style(bgcolor="#0000ff")
BOLD_RED = Style(color="#ff0000", bold=True)
LINK = Style(link="https://example.org/a")


def line(*parts: str | tuple[str, Style]) -> list[Segment]:
    """Segments from texts and (text, style) pairs."""
    return [Segment(part) if isinstance(part, str) else Segment(*part) for part in parts]


def shown(*lines: Sequence[Segment], width: int = 20, **options: bool) -> CellDiff:
    """A diff that has written these lines, cursor at home."""
    diff = CellDiff(width, len(lines), **options)  # type: ignore[arg-type]
    for y, segments in enumerate(lines):
        diff.put(y, 0, segments)
    diff.flush()
    return diff


def written(diff: CellDiff, segments: Sequence[Segment], y: int = 0, x: int = 0) -> str:
    """What it takes to show these segments, without the way back home."""
    diff.put(y, x, segments)
    sequence = diff.flush()
    return sequence.removesuffix("\x1b[H").removesuffix("\r")


def test_first_frame_is_whole() -> None:
    diff = CellDiff(5, 2)
    diff.put(0, 0, line("hello"))
    diff.put(1, 0, line(("world", RED)))
    assert diff.flush() == "\x1b[Hhello\x1b[2H\x1b[38;2;255;0;0mworld\x1b[m\x1b[H"
    assert diff.flush() == ""
    assert diff.cells_written == 10


def test_the_same_object_is_not_looked_at_again() -> None:
    class Once(list[Segment]):
        reads = 0

        def __iter__(self):  # type: ignore[no-untyped-def]
            Once.reads += 1
            return super().__iter__()

    segments = Once(line("abc"))
    diff = shown(segments, width=3)
    diff.put(0, 0, segments)
    assert not diff.pending
    assert Once.reads == 1
    diff.put(0, 1, line("x"))
    diff.put(0, 0, segments)
    assert Once.reads == 2, "a piece that was written over has to be put again"
    assert diff.flush() == ""


@pytest.mark.parametrize(
    ("before", "after", "sequence"),
    [
        (line("cpu  12.5 %"), line("cpu  13.5 %"), "\x1b[;7H3"),
        (line("cpu  12.5 %"), line("cpu  23.6 %"), "\x1b[;6H23.6"),
        (line("a........b"), line("x........y"), "\x1b[Hx\x1b[8Cy"),
        (line("a...b"), line("x...y"), "\x1b[Hx...y"),
        (line("a⣿⣿b"), line("x⣿⣿y"), "\x1b[Hx\x1b[4Gy"),
        (line("up"), line(("up", RED)), "\x1b[H\x1b[38;2;255;0;0mup\x1b[m"),
        (line(("ab", RED)), line("ab"), "\x1b[Hab"),
        (line(("ab", RED)), line(("ab", BOLD_RED)), "\x1b[H\x1b[1;38;2;255;0;0mab\x1b[m"),
        (line("ab"), line(("a", RED), ("b", BOLD_RED)), "\x1b[H\x1b[38;2;255;0;0ma\x1b[1mb\x1b[m"),
        (line("ab"), line(("a", RED_ON_BLUE), ("b", ON_BLUE)), "\x1b[H\x1b[38;2;255;0;0;48;2;0;0;255ma\x1b[39mb\x1b[m"),
        (line("a  b"), line(("a", RED), "  ", ("b", RED)), "\x1b[H\x1b[38;2;255;0;0ma  b\x1b[m"),
        (line(("  ", RED)), line("  "), ""),
        (line("abcdefgh"), line("a       "), "\x1b[;2H\x1b[K"),
        (line("abcdefgh"), line(("a       ", ON_BLUE)), "\x1b[H\x1b[48;2;0;0;255ma       \x1b[m"),
        (line("a"), line(("a", LINK)), "\x1b[H\x1b]8;id=1;https://example.org/a\x1b\\a\x1b]8;;\x1b\\"),
        (line("日本"), line("日木"), "\x1b[;3H木"),
        (line("日本"), line("x 本"), "\x1b[Hx "),
    ],
)
def test_exact_bytes(before: list[Segment], after: list[Segment], sequence: str) -> None:
    width = sum(cell_len(segment.text) for segment in before)
    assert written(shown(before, width=width), after) == sequence


def test_background_is_erased_only_where_the_terminal_does_so() -> None:
    full, empty = line(("abcdefgh", ON_BLUE)), line(("a       ", ON_BLUE))
    assert written(shown(full, width=8), empty).endswith("       \x1b[m")
    able = shown(full, width=8, erases_with_background=True)
    assert written(able, empty) == "\x1b[48;2;0;0;255m\x1b[;2H\x1b[K\x1b[m"
    middle = shown(line("a" * 30), width=30)
    assert written(middle, line(("b", RED), " " * 28, ("c", RED))) == "\x1b[H\x1b[38;2;255;0;0mb\x1b[28X\x1b[30Gc\x1b[m"


def test_half_of_a_wide_character_takes_the_other_half_with_it() -> None:
    diff = shown(line("a日b"), width=4)
    assert written(diff, line("x"), x=2) == "\x1b[;2H x"
    diff = shown(line("a日b"), width=4)
    assert written(diff, line("x"), x=1) == "\x1b[;2Hx "


def test_a_wide_character_at_the_edge_is_cut_to_a_blank() -> None:
    diff = CellDiff(3, 1)
    diff.put(0, 0, line("a日日"))
    assert diff.flush() == "\x1b[Ha日\r"
    diff = CellDiff(4, 1)
    diff.put(0, 0, line("a日日"))
    assert diff.flush() == "\x1b[Ha日 \r"


def test_a_doubtful_width_is_followed_by_a_position() -> None:
    diff = CellDiff(6, 1)
    diff.put(0, 0, line("ae\u0301bcd"))
    assert diff.flush() == "\x1b[Ha \be\u0301\x1b[3Gbcd\r"


def test_control_characters_never_reach_the_terminal() -> None:
    diff = CellDiff(10, 1)
    diff.put(0, 0, line("a\x1b[2J\x07\n\r\x9bb\udc80\u2028", ("c", Style(link="https://x/\x1b\\\x07ü"))))
    sequence = diff.flush()
    terminal = ReferenceTerminal(10, 1)
    terminal.feed(sequence)
    assert terminal.text() == ["a[2Jb\ufffdc   "]
    assert terminal.lines[0][6].look.link == "https://x/%1B\\%07%C3%BC"
    sequence.encode()


@pytest.mark.parametrize(
    ("color_system", "expected"),
    [
        (None, "\x1b[1m"),
        (ColorSystem.STANDARD, "\x1b[1;31m"),
        (ColorSystem.EIGHT_BIT, "\x1b[1;38;5;196m"),
        (ColorSystem.TRUECOLOR, "\x1b[1;38;2;255;0;0m"),
    ],
)
def test_color_depths(color_system: ColorSystem | None, expected: str) -> None:
    diff = CellDiff(1, 1, color_system)
    diff.put(0, 0, line(("x", Style(color="#ff0000", bold=True))))
    assert diff.flush() == f"\x1b[H{expected}x\x1b[m\r"


def test_bright_colours_of_the_linux_console_end_by_a_reset() -> None:
    diff = CellDiff(2, 1, ColorSystem.STANDARD, bright_is_bold=True)
    diff.put(0, 0, line(("x", Style(color="bright_red")), ("y", Style(color="red"))))
    assert diff.flush() == "\x1b[H\x1b[91mx\x1b[0;31my\x1b[m\r"


def test_cursor_rests_where_it_is_told_to() -> None:
    diff = shown(line("abc"), width=3)
    assert diff.flush(1, 0) == "\x1b[;2H"
    assert diff.flush(1, 0) == ""
    diff.put(0, 0, line("xbc"))
    assert diff.flush(1, 0) == "\x1b[Hx"


def test_forget_sends_everything_again_and_resize_nothing_old() -> None:
    diff = shown(line("abc"), line("日本"), width=4)
    whole = diff.flush()
    assert whole == ""
    diff.forget()
    assert diff.flush() == "\x1b[Habc\x1b[2H日本\x1b[H"
    diff.resize(4, 2)
    assert not diff.pending
    assert diff.flush(0, 0) == "\x1b[H"


def test_many_styles_are_forgotten_without_trace() -> None:
    terminal = ReferenceTerminal(40, 1)
    diff = CellDiff(40, 1)
    for step in range(700):
        colors = [((step * 40 + column) * 997) % 0xFFFFFF for column in range(40)]
        diff.put(0, 0, [Segment("x", Style(color=f"#{color:06x}")) for color in colors])
        terminal.feed(diff.flush())
    assert len(diff._styles) < 9000
    assert [cell[1].foreground for cell in terminal.screen()[0]] == [  # type: ignore[attr-defined]
        f"38;2;{color >> 16};{color >> 8 & 255};{color & 255}" for color in colors
    ]


def test_simple_text_is_one_cell_each() -> None:
    simple = [chr(code) for code in range(0x20, 0x30000) if is_simple(chr(code))]
    assert len(simple) > 1000
    assert [character for character in simple if cell_len(character) != 1] == []
    assert [c for c in simple if unicodedata.category(c)[0] in "CM" or unicodedata.east_asian_width(c) in "WF"] == []
    assert not any(map(is_unsure, simple))


@given(st.text())
def test_cells_take_what_rich_says(text: str) -> None:
    cells = to_cells(text)
    assert len(cells) == cell_len(text)
    assert not cells or cells[0]
    "".join(cells).encode()


# --- any run of updates

WORDS = st.sampled_from(
    [*"ab .█⣿é", "日", "本", "한", "\N{GRINNING FACE}", "\N{WARNING SIGN}", "\N{WARNING SIGN}\ufe0f", "e\u0301", "    ",
     "\N{MAN}\u200d\N{WOMAN}\u200d\N{GIRL}", "\N{THUMBS UP SIGN}\U0001f3fd", "\U0001f1e9\U0001f1ea", "\x1b", "abcdef"]
)  # fmt: skip
TEXTS = st.lists(WORDS, max_size=8).map("".join)
COLORS = st.sampled_from([None, "red", "bright_blue", "#123456", "default", "color(200)"])
# As arguments: older versions of Rich draw a random number for each style with a link.
STYLES = st.none() | st.fixed_dictionaries(
    dict(
        color=COLORS,
        bgcolor=COLORS,
        bold=st.booleans(),
        dim=st.none() | st.booleans(),
        underline=st.booleans(),
        reverse=st.booleans(),
        strike=st.booleans(),
        overline=st.sampled_from([None, None, None, True]),
        link=st.sampled_from([None, None, "https://a", "https://b"]),
    )
)
PIECES = st.lists(st.tuples(TEXTS, STYLES), max_size=4)
PUTS = st.tuples(st.integers(0, 4), st.integers(0, 23), PIECES)


@settings(max_examples=150, deadline=None)
@given(
    st.integers(1, 24),
    st.integers(1, 5),
    st.lists(st.lists(PUTS, max_size=5), min_size=1, max_size=6),
    st.booleans(),
    st.booleans(),
    st.sampled_from([None, *ColorSystem]),
)
def test_updates_end_where_a_full_repaint_does(
    width: int,
    height: int,
    frames: list[list[tuple[int, int, list[tuple[str, dict[str, Any] | None]]]]],
    sequences: bool,
    bce: bool,
    color_system: ColorSystem | None,
) -> None:
    terminal = ReferenceTerminal(width, height, sequences=sequences, bce=bce)
    diff = CellDiff(width, height, color_system, erases_with_background=bce)
    background = line(" " * width)
    for y in range(height):
        diff.put(y, 0, background)
    terminal.feed(diff.flush())
    for frame in frames:
        for y, x, parts in frame:
            diff.put(y, x, [Segment(text, None if look is None else Style(**look)) for text, look in parts])
        terminal.feed(diff.flush())
        assert terminal.look.attributes == frozenset() and not terminal.look.link
    whole = ReferenceTerminal(width, height, sequences=sequences, bce=bce)
    diff.forget()
    whole.feed(diff.flush())
    assert terminal.screen() == whole.screen()


PLAIN_TEXTS = st.text(alphabet="ab .⣿日本", min_size=1, max_size=10)


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 12), PLAIN_TEXTS), max_size=12), st.booleans())
def test_pyte_shows_what_was_put(puts: list[tuple[int, int, str]], at_once: bool) -> None:
    screen = pyte.Screen(24, 4)
    stream = pyte.Stream(screen)
    diff = CellDiff(24, 4)
    wanted = [[" "] * 24 for _ in range(4)]
    for y in range(4):
        diff.put(y, 0, line(" " * 24))
    for y, x, text in puts:
        diff.put(y, x, line(text))
        if not at_once:
            stream.feed(diff.flush())
        row = wanted[y]
        cells = [cell for character in text for cell in ([character, ""] if cell_len(character) == 2 else [character])]
        cells = cells[: 24 - x]
        if cell_len(cells[-1] or " ") == 2:
            cells[-1] = " "
        if row[x] == "":
            row[x - 1] = " "
        if x + len(cells) < 24 and row[x + len(cells)] == "":
            row[x + len(cells)] = " "
        row[x : x + len(cells)] = cells
    stream.feed(diff.flush())
    assert [[screen.buffer[y][x].data for x in range(24)] for y in range(4)] == wanted
