"""The columns of the list of alerts and events."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tui.renderables.columns import Column
from tui.renderables.lines import value_spans
from tui.widgets.alerts_rows import AlertRow, when
from tui.widgets.alerts_rules import plain

if TYPE_CHECKING:
    from collections.abc import Callable

    from rich.style import Style

    from tui.renderables.text import Spans
    from tui.theme import Look


def _tone(row: AlertRow, look: Look) -> Style:
    return look.palette.text if row.group == "active" else look.palette.dim


def _severity(row: AlertRow, look: Look) -> Style:
    """The colour of what goes on now; what is over keeps its mark and loses its colour."""
    palette = look.palette
    return palette.severity(row.severity) if row.group == "active" and row.state != "pending" else palette.dim


def _mark(row: AlertRow, width: int, look: Look) -> Spans:
    palette = look.palette
    return [
        (
            look.glyphs.severity(row.severity),
            palette.dim if row.group == "past" or row.severity == "info" else palette.severity(row.severity),
        )
    ]


def _text(text: Callable[[AlertRow], str]) -> Callable[[AlertRow, int, Look], Spans]:
    return lambda row, _width, look: [(text(row), _tone(row, look))]


def _value(row: AlertRow, width: int, look: Look) -> Spans:
    if row.value is None:
        return [(look.glyphs.missing, look.palette.faint)] if row.rule else []
    return value_spans(plain(row.value_text, look), _severity(row, look), look)


def columns(*, hosts: bool, now: Callable[[], int]) -> list[Column[AlertRow]]:
    """The columns from left to right.

    Args:
        hosts: whether rows of several hosts are shown.
        now: the moment shown, by which times lose their date.
    """

    def state(row: AlertRow, width: int, look: Look) -> Spans:
        word = {"acknowledged": "seen"}.get(row.state, row.state)
        return [(word, _severity(row, look))]

    found: list[Column[AlertRow]] = [
        Column("severity", "", width=1, spans=_mark, sortable=False),
        Column("state", "STATE", width=13, spans=state, sortable=False),
        Column("since", "SINCE", width=11, priority=2, spans=_text(lambda row: when(row.since, now())), sortable=False),
        Column("lasted", "LASTED", width=6, align="right", priority=5, spans=_text(AlertRow.lasted_text),
               sortable=False),
        Column("rule", "RULE", width=18, priority=3, spans=_text(lambda row: row.rule), sortable=False),
        Column("series", "WHAT", width=None, min_width=14, fraction=0.7,
               spans=_text(lambda row: row.subject), sortable=False),
        Column("value", "VALUE", width=10, align="right", priority=1, spans=_value, sortable=False),
        Column("limit", "LIMIT", width=11, align="right", priority=6, sortable=False,
               spans=lambda row, _, look: [(plain(row.threshold_text, look), look.palette.dim)]),
        Column("message", "MESSAGE", width=None, min_width=56, fraction=1.0, priority=8, sortable=False,
               spans=lambda row, _, look: [(plain(row.message, look) if row.key else "", look.palette.dim)]),
    ]  # fmt: skip
    if hosts:
        host = Column("host", "HOST", width=12, priority=4, spans=_text(lambda row: row.host_label), sortable=False)
        found.insert(2, host)
    return found
