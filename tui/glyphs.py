"""The characters that screens are drawn with: a Unicode set, one with block graphs, and an ASCII set."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final, Literal

GraphKind = Literal["braille", "block", "ascii"]
Severity = Literal["ok", "info", "warning", "critical", "unknown"]


@dataclass(frozen=True, slots=True)
class Border:
    """The pieces of a panel's frame; each is one cell."""

    top_left: str
    top_right: str
    bottom_left: str
    bottom_right: str
    horizontal: str
    vertical: str
    title_open: str
    title_close: str
    foot_open: str
    foot_close: str
    thumb: str


@dataclass(frozen=True, slots=True, eq=False)
class Glyphs:
    """One set of characters, equal only to itself. Strings are one cell wide, those of trees three.

    `graph` says how graphs are drawn; `spark` and `heat` rise from lowest to highest; `heat_cell` stands for any level
    where colours tell levels apart; `bar_parts` tell the parts of a meter apart where colours do not; `severity_*`
    tell severities apart without colour; `superscripts` are the digits 0-9 of a panel's hotkey.
    """

    name: str
    graph: GraphKind
    border: Border
    border_focus: Border
    spark: tuple[str, ...]
    heat: tuple[str, ...]
    heat_cell: str
    bar_full: str
    bar_half: str
    bar_track: str
    bar_parts: tuple[str, ...]
    block_eighths: tuple[str, ...]
    block_track: str
    gap: str
    spark_gap: str
    threshold: str
    axis: str
    axis_tick: str
    tree_branch: str
    tree_last: str
    tree_pipe: str
    tree_space: str
    tree_open: str
    tree_closed: str
    up: str
    down: str
    left: str
    right: str
    ellipsis: str
    bullet: str
    tag: str
    missing: str
    separator: str
    superscripts: tuple[str, ...]
    severity_ok: str
    severity_info: str
    severity_warning: str
    severity_critical: str
    severity_unknown: str

    @property
    def ascii(self) -> bool:
        """Whether every character is within ASCII."""
        return self.name == "ascii"

    def severity(self, severity: Severity) -> str:
        """The mark of a severity, told apart without colour."""
        return {
            "ok": self.severity_ok,
            "info": self.severity_info,
            "warning": self.severity_warning,
            "critical": self.severity_critical,
            "unknown": self.severity_unknown,
        }[severity]

    def hotkey(self, key: str) -> str:
        """The hotkey of a panel as shown before its title: a superscript digit where the set has one."""
        if len(key) == 1 and key.isdecimal() and key.isascii():
            return self.superscripts[int(key)]
        return f"{key} "

    def sort_arrow(self, reverse: bool) -> str:
        """The mark of the sorted column: down for largest first."""
        return self.down if reverse else self.up


UNICODE: Final = Glyphs(
    name="unicode",
    graph="braille",
    border=Border("╭", "╮", "╰", "╯", "─", "│", "┐", "┌", "┘", "└", "┃"),
    border_focus=Border("┏", "┓", "┗", "┛", "━", "┃", "┓", "┏", "┛", "┗", "█"),
    spark=("▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"),
    heat=("·", "░", "▒", "▓", "█"),
    heat_cell="■",
    bar_full="━",
    bar_half="╸",
    bar_track="─",
    bar_parts=("━", "╍", "┅", "┉"),
    block_eighths=("▏", "▎", "▍", "▌", "▋", "▊", "▉", "█"),
    block_track="░",
    gap="╱",
    spark_gap="╌",
    threshold="┈",
    axis="─",
    axis_tick="┴",
    tree_branch="├─ ",
    tree_last="└─ ",
    tree_pipe="│  ",
    tree_space="   ",
    tree_open="▾",
    tree_closed="▸",
    up="▲",
    down="▼",
    left="◀",
    right="▶",
    ellipsis="…",
    bullet="•",
    tag="●",
    missing="–",
    separator="·",
    superscripts=("⁰", "¹", "²", "³", "⁴", "⁵", "⁶", "⁷", "⁸", "⁹"),
    severity_ok="✓",
    severity_info="i",
    severity_warning="!",
    severity_critical="✖",
    severity_unknown="?",
)
"""The set for any modern terminal."""

BLOCK: Final = replace(UNICODE, name="block", graph="block")
"""As UNICODE, with graphs of blocks, for fonts without braille (the Linux console)."""

ASCII: Final = Glyphs(
    name="ascii",
    graph="ascii",
    border=Border("+", "+", "+", "+", "-", "|", "[", "]", "[", "]", "#"),
    border_focus=Border("#", "#", "#", "#", "=", "|", "[", "]", "[", "]", "#"),
    spark=("_", ".", "-", ":", "=", "+", "*", "#"),
    heat=(".", "-", "+", "*", "#"),
    heat_cell="#",
    bar_full="=",
    bar_half="-",
    bar_track=".",
    bar_parts=("#", "=", "-", ":"),
    block_eighths=("-", "-", "-", "-", "=", "=", "=", "#"),
    block_track=".",
    gap="/",
    spark_gap="~",
    threshold="-",
    axis="-",
    axis_tick="+",
    tree_branch="|- ",
    tree_last="`- ",
    tree_pipe="|  ",
    tree_space="   ",
    tree_open="-",
    tree_closed="+",
    up="^",
    down="v",
    left="<",
    right=">",
    ellipsis="~",
    bullet="*",
    tag="*",
    missing="-",
    separator="|",
    superscripts=tuple(f"{digit} " for digit in range(10)),
    severity_ok=" ",
    severity_info="i",
    severity_warning="!",
    severity_critical="X",
    severity_unknown="?",
)
"""The set for `--ascii` and for terminals that are not UTF-8."""
