"""A report as one HTML page: nothing of it is loaded from anywhere, nothing in it runs, and all text is escaped."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from cli import reportwords as words
from cli.devicetables import number
from cli.tables import plain
from sysmon.units import format_bytes, format_time
from sysmon.zones import zone_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import tzinfo

    from cli.reportdata import Report
    from cli.reportwords import Grid
    from sysmon.traffic import Step

STYLE = """
:root { color-scheme: light dark; --received: #2a78b8; --sent: #d98a2b; --faint: #8888; }
body { font: 15px/1.45 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
table { border-collapse: collapse; margin: 1rem 0; width: 100%; }
th, td { padding: .2rem .6rem; text-align: right; border-bottom: 1px solid var(--faint); }
td { font-variant-numeric: tabular-nums; }
th.text, td.text { text-align: left; overflow-wrap: anywhere; }
tr:last-child td { font-weight: 600; }
svg { width: 100%; height: auto; } svg text { font-size: 10px; fill: currentColor; }
.received { fill: var(--received); } .sent { fill: var(--sent); } .none { fill: var(--faint); }
footer, .span { color: #777; }
@media print { body { margin: 0; max-width: none; } section { break-inside: avoid; } }
"""
WIDTH, HEIGHT, FOOT = 720, 150, 16


def text(raw: str) -> str:
    """Returns a text that HTML shows as it is."""
    return escape(plain(raw), quote=True)


def html(report: Report) -> str:
    """Returns a report as one page."""
    body: list[str] = [f"<h1>Traffic: {text(report.label)}</h1>"]
    shown: list[str] = []
    for host in report.hosts:
        zone = zone_of(host.info.timezone)
        grid = words.interfaces(host)
        facts = words.facts(host)
        shown += [cell for row in grid.rows for cell in row] + facts
        body.append("<section>")
        body += _head(host.info.label, words.span(host.period, zone, report.now))
        body += [*_table(grid), *_list(facts), *_chart(host.days, zone), "</section>"]
    for router in report.routers:
        zone = zone_of(router.info.timezone)
        grid = words.devices(router)
        shown += [cell for row in grid.rows for cell in row[3:]]
        body.append("<section>")
        body += _head(f"Devices behind {router.info.label}", words.span(router.period, zone, report.now))
        body += [*_table(grid), *_list(words.behind(router)), *_chart(router.days, zone)]
        if router.new:
            body += ["<h3>New devices</h3>", *_list(words.newcomers(router))]
        body.append("</section>")
    if told := words.silent(report):
        body.append(f"<p>{text(told)}</p>")
    if report.events:
        body += [f"<h2>Events: {text(words.counts(report))}</h2>", *_list(words.events(report))]
    told = words.marks(shown, report)
    foot = [f"<p>{text(told)}</p>"] if told else []
    body += ["<footer>", *foot, f"<p>Written by sysmon on {format_time(report.now)[:16]}.</p>", "</footer>"]
    return "\n".join(
        [
            "<!DOCTYPE html>",
            '<html lang="en"><head><meta charset="utf-8">',
            "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">",
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f"<title>Traffic: {text(report.label)}</title><style>{STYLE}</style></head><body>",
            *body,
            "</body></html>",
            "",
        ]
    )


def _head(title: str, span: str) -> list[str]:
    return [f"<h2>{text(title)}</h2>", f'<p class="span">{text(span)}</p>']


def _list(lines: Iterable[str]) -> list[str]:
    made = [f"<li>{text(each)}</li>" for each in lines]
    return ["<ul>", *made, "</ul>"] if made else []


def _table(grid: Grid) -> list[str]:
    def row(cells: Sequence[str], tag: str) -> str:
        made = [
            f'<{tag} class="text">{text(cell)}</{tag}>' if number in grid.texts else f"<{tag}>{text(cell)}</{tag}>"
            for number, cell in enumerate(cells)
        ]
        return f"<tr>{''.join(made)}</tr>"

    return ["<table>", row(grid.heads, "th"), *(row(each, "td") for each in grid.rows), "</table>"]


def _chart(days: Sequence[Step], zone: tzinfo) -> list[str]:
    """Returns a bar for each day: received below, sent above; a faint foot where there is no data."""
    if len(days) < 2:
        return []
    most = max((step.amount.total for step in days if step.amount is not None), default=0) or 1
    wide = WIDTH / len(days)
    made = [f'<svg viewBox="0 0 {WIDTH} {HEIGHT + FOOT + 12}" role="img" aria-label="traffic by day">']
    made.append(f'<text x="0" y="10">{text(format_bytes(most))} a day</text>')
    for place, name in enumerate(("received", "sent")):
        x = WIDTH - 140.0 + 75 * place
        made.append(f'<circle class="{name}" cx="{x:.0f}" cy="6" r="4"/><text x="{x + 8:.0f}" y="10">{name}</text>')
    every = max(1, -(-len(days) // 12))
    for place, step in enumerate(days):
        x = place * wide + wide * 0.1
        day = words.day(step, zone)
        if step.amount is None:
            made.append(_bar("none", x, wide * 0.8, HEIGHT + 10, 2, f"{day}: no data"))
        else:
            lower = (HEIGHT - 4) * step.amount.receive / most
            upper = (HEIGHT - 4) * step.amount.transmit / most
            told = f"{day}: {number(step.amount)}, {number(step.amount, 'receive')} received"
            made.append(_bar("received", x, wide * 0.8, HEIGHT + 12 - lower, lower, told))
            made.append(_bar("sent", x, wide * 0.8, HEIGHT + 12 - lower - upper, upper, told))
        if place % every == 0:
            made.append(f'<text x="{x:.1f}" y="{HEIGHT + FOOT + 8}">{text(day[5:10])}</text>')
    return [*made, "</svg>"]


def _bar(kind: str, x: float, width: float, y: float, height: float, told: str) -> str:
    shape = f'x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{max(0.0, height):.1f}"'
    return f'<rect class="{kind}" {shape}><title>{text(told)}</title></rect>'
