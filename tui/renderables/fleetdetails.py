"""All about one host of the fleet in a few lines: why it is not heard, what fires, who it is and how it is reached."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

from sysmon.units import format_bytes, format_duration, format_time
from sysmon.wrong import findings
from tui.fleet import skew_text
from tui.renderables.fleetcells import state_spans
from tui.renderables.lines import badge
from tui.renderables.text import Spans, spans_width, strip

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from rich.style import Style
    from textual.strip import Strip

    from sysmon.derive import State
    from sysmon.records import AlertState, HostInfo
    from tui.fleet import Entry
    from tui.theme import Look

_DAY = 86_400_000


def details(
    entry: Entry, width: int, height: int, look: Look, *, now: int, state: State | None = None,
    alerts: Sequence[AlertState] = (), seen: Iterable[AlertState] = (),
    labels: Mapping[str, str] | None = None,
) -> list[Strip]:  # fmt: skip
    """Draw what is known of a host.

    Args:
        entry: the host.
        width: cells. `height`: lines at most.
        look: palette and glyphs.
        now: the moment shown, Unix milliseconds.
        state: its values at that moment, for what is wrong with it and no alert; None where they are not known.
        alerts: those that fire, worst first. `seen`: all others, too: what is acknowledged is not told again.
        labels: id -> name, for the hubs it comes through.
    """
    lines = [_head(entry, width, look, now)]
    lines += _why(entry, width, look)
    facts = _facts(entry, state, width, look, labels or {})
    wrong = _wrong(alerts, seen, state, width, look)
    room = max(0, height - len(lines))
    # The facts keep a line as long as there is one.
    lines += wrong[: max(0, room - min(len(facts), 1))]
    return [*lines, *facts][:height]


def _head(entry: Entry, width: int, look: Look, now: int) -> Strip:
    palette = look.palette
    spans: Spans = [(entry.label, palette.strong), ("  ", palette.text), *state_spans(entry, look)]
    if entry.time is not None and not (entry.heard and entry.age is not None and entry.age < 60):
        told = format_time(entry.time, date=abs(now - entry.time) > _DAY // 2)
        spans.append((f"  last heard {told}", palette.dim))
    if entry.skew is not None:
        spans += [("  ", palette.text), *badge("warning", skew_text(entry.skew), look=look)]
    if entry.tags:
        spans += [("  ", palette.text), (" ".join(entry.tags), palette.hotkey)]
    return strip(spans, width, palette.text, ellipsis=look.glyphs.ellipsis)


def _why(entry: Entry, width: int, look: Look) -> list[Strip]:
    """The source's words in full."""
    if not entry.message:
        return []
    style: Style = (
        look.palette.text if entry.state in ("paused", "off", "blind") else look.palette.severity(entry.word[1])
    )
    return [strip([(line, style)], width, style) for line in textwrap.wrap(entry.message, max(8, width))[:4]]


def _wrong(
    alerts: Sequence[AlertState], seen: Iterable[AlertState], state: State | None, width: int, look: Look
) -> list[Strip]:
    palette, dots = look.palette, look.glyphs.ellipsis
    lines: list[Strip] = []
    told = {alert.message for alert in alerts} | {""}
    for alert in alerts:
        spans = badge(alert.severity, alert.message or alert.rule, look=look)
        since = f"  since {format_time(alert.started, date=False)}" if alert.started else ""
        lines.append(strip([*spans, (since, palette.dim)], width, palette.text, ellipsis=dots))
    found = findings(state, [*alerts, *seen]) if state is not None else []
    others = [each for each in found if each.text not in told]
    return lines + [
        strip(badge(each.severity, each.text, look=look), width, palette.text, ellipsis=dots) for each in others
    ]


def _facts(entry: Entry, state: State | None, width: int, look: Look, labels: Mapping[str, str]) -> list[Strip]:
    """Pairs of a name and a value, as many to a line as fit."""
    palette = look.palette
    lines: list[Strip] = []
    row: Spans = []
    for name, value in _pairs(entry, state, labels):
        value = value.replace("°", "") if look.glyphs.ascii else value
        piece: Spans = [(f"{name} ", palette.dim), (value, palette.text)]
        if row and spans_width(row) + 3 + spans_width(piece) > width:
            lines.append(strip(row, width, palette.text, ellipsis=look.glyphs.ellipsis))
            row = []
        row += [("   " if row else "", palette.text), *piece]
    return [*lines, strip(row, width, palette.text, ellipsis=look.glyphs.ellipsis)] if row else lines


def _pairs(entry: Entry, state: State | None, labels: Mapping[str, str]) -> list[tuple[str, str]]:
    info: HostInfo | None = entry.host.info if entry.host is not None else None
    now = entry.now
    where = (info.origin if info is not None else "") or entry.target
    pairs = [("from", where)] if where else []
    if now is not None and now.disk is not None:
        pairs.append(("fullest", f"{now.mount} {now.disk * 100:.0f} %"))
    if now is not None and now.temperature is not None:
        pairs.append(("hottest", f"{now.sensor} {now.temperature:.0f} °C"))
    if info is not None:
        if info.hostname and info.hostname != entry.label:
            pairs.append(("hostname", info.hostname))
        system = " ".join(filter(None, (info.os, info.kernel, info.arch)))
        pairs += [("system", system)] if system else []
        if info.cpus:
            size = f", {format_bytes(info.memory)}" if info.memory else ""
            pairs.append(("with", f"{info.cpus} CPUs{size}"))
        if state is not None and (uptime := state.get("uptime")) is not None:
            pairs.append(("up", format_duration(uptime)))
        pairs += [("agent", info.version)] if info.version else []
        if info.via:
            pairs.append(("through", ", ".join(labels.get(hub, hub) for hub in info.via)))
    return pairs
