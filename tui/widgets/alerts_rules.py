"""The rules in force: in words, and as rows of a table with what fires of each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sysmon.units import format_duration, format_value
from tui.renderables.columns import Column
from tui.renderables.lines import value_spans

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sysmon.catalogue import Catalogue
    from sysmon.config import Rule
    from sysmon.records import AlertState
    from tui.renderables.text import Spans
    from tui.theme import Look

_NO_DATA = {"keep": "keeps its state", "fire": "fires", "clear": "counts as clear"}


def level(rule: Rule, value: float | None, catalogue: Catalogue) -> str:
    """A threshold with its unit; '' for none."""
    metric = catalogue.get(rule.metric)
    return "" if value is None else format_value(value, metric.unit if metric else "").replace(".0 ", " ")


def condition(rule: Rule, catalogue: Catalogue) -> str:
    """`> 90 %`."""
    sign, value = (">", rule.above) if rule.above is not None else ("<", rule.below)
    return f"{sign} {level(rule, value, catalogue)}"


def lasting(seconds: float) -> str:
    """A duration as it is written in a rule: `5m`, `1h 30m`; '' for none."""
    return format_duration(seconds).replace(" 00s", "").replace(" 00m", "").replace(".0 s", "s") if seconds else ""


def in_words(rule: Rule, catalogue: Catalogue) -> str:
    """A rule as a sentence: when it fires, when it resolves, and what no data means."""
    side, value = ("above", rule.above) if rule.above is not None else ("below", rule.below)
    text = f"Fires {side} {level(rule, value, catalogue)}"
    if rule.hold:
        text += f" for {lasting(rule.hold)}"
    back = rule.clear if rule.clear is not None else value
    other = "below" if side == "above" else "above"
    if rule.clear is None:
        text += f"; resolves once it is no longer {side}"
    else:
        text += f"; resolves {other} {level(rule, back, catalogue)}"
    if rule.keep:
        text += f" for {lasting(rule.keep)}"
    return f"{text}. Without data it {_NO_DATA[rule.no_data]}."


def plain(text: str, look: Look) -> str:
    """A text without the degree sign where the characters are ASCII."""
    return text.replace("°", "") if look.glyphs.ascii else text


@dataclass(frozen=True, slots=True)
class RuleRow:
    """A rule with how many of its alerts fire and are pending."""

    rule: Rule
    limit: str
    clear: str
    firing: int
    pending: int


def rule_rows(rules: Iterable[Rule], alerts: Iterable[AlertState], catalogue: Catalogue) -> list[RuleRow]:
    """Rows of rules in the order in which they are listed, those that are off at the end."""
    firing: dict[str, int] = {}
    pending: dict[str, int] = {}
    for alert in alerts:
        counts = pending if alert.status == "pending" else firing
        counts[alert.rule] = counts.get(alert.rule, 0) + 1
    rows = [
        RuleRow(
            rule, condition(rule, catalogue), level(rule, rule.clear, catalogue), firing.get(rule.name, 0),
            pending.get(rule.name, 0),
        )
        for rule in rules
    ]  # fmt: skip
    return sorted(rows, key=lambda row: not row.rule.enabled)


def rule_columns(*, hosts: bool = False) -> list[Column[RuleRow]]:
    """The columns of the table of rules; `hosts`: whether some rule is not for all of them."""

    def name(row: RuleRow, width: int, look: Look) -> Spans:
        palette = look.palette
        if not row.rule.enabled:
            return [("  " + row.rule.name, palette.faint)]
        mark = look.glyphs.severity(row.rule.severity) if row.firing else " "
        style = palette.severity(row.rule.severity) if row.firing else palette.text
        return [(f"{mark} ", style), (row.rule.name, style)]

    def now(row: RuleRow, width: int, look: Look) -> Spans:
        palette = look.palette
        if not row.rule.enabled:
            return [("off", palette.faint)]
        if row.firing:
            return [(f"{row.firing} firing", palette.severity(row.rule.severity))]
        return [(f"{row.pending} pending", palette.dim)] if row.pending else [("quiet", palette.ok)]

    def severity(row: RuleRow, width: int, look: Look) -> Spans:
        palette = look.palette
        style = palette.severity(row.rule.severity) if row.firing else palette.dim
        return [(row.rule.severity, style if row.rule.enabled else palette.faint)]

    def metric(row: RuleRow) -> str:
        rule = row.rule
        return rule.metric if rule.instance == "*" else f"{rule.metric} {rule.instance}"

    found = [
        Column("name", "RULE", width=None, min_width=18, fraction=0.5, spans=name, sortable=False),
        Column("now", "NOW", width=9, spans=now, sortable=False),
        Column("metric", "METRIC", metric, width=None, min_width=16, fraction=0.6, priority=2, sortable=False),
        Column("limit", "LIMIT", width=9, align="right", priority=1, sortable=False,
               spans=lambda row, _, look: value_spans(plain(row.limit, look), look.palette.text, look)),
        Column("for", "FOR", lambda row: lasting(row.rule.hold), width=6, align="right", priority=3, sortable=False,
               style=lambda _, palette: palette.dim),
        Column("clear", "CLEAR", width=8, align="right", priority=5, sortable=False,
               spans=lambda row, _, look: value_spans(plain(row.clear, look), look.palette.text, look)),
        Column("severity", "SEVERITY", width=8, priority=4, spans=severity, sortable=False),
        Column("hosts", "HOSTS", lambda row: "all" if row.rule.hosts == ("*",) else " ".join(row.rule.hosts), width=10,
               priority=7, sortable=False, style=lambda _, palette: palette.dim),
        Column("help", "WHAT IT MEANS", lambda row: row.rule.help, width=None, min_width=24, fraction=1.6, priority=6,
               sortable=False, style=lambda _, palette: palette.dim),
    ]  # fmt: skip
    return [column for column in found if hosts or column.key != "hosts"]
