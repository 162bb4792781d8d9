"""Lines of totals: a name, and what was received, sent and both together."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sysmon.units import format_bytes
from tui.renderables.text import Spans, fit, strip
from tui.widgets.network_columns import marked, total_texts

if TYPE_CHECKING:
    from textual.strip import Strip

    from sysmon.bandwidth import Amount
    from tui.theme import Look


def amount_line(name: str, amount: Amount | None, width: int, look: Look) -> Strip:
    """One line; a dash for each number that is not known."""
    palette, glyphs = look.palette, look.glyphs
    texts: tuple[str | None, ...] = (None, None, None)
    if amount is not None:
        texts = (*total_texts(amount, look), marked(format_bytes(amount.total, short=True), amount.mark, look))
    cell = max(8, min(11, (width - 11) // 3))
    spans: Spans = [(fit(name, max(0, width - 3 * cell), ellipsis=glyphs.ellipsis), palette.dim)]
    styles = (palette.hue("receive").base, palette.hue("transmit").base, palette.text)
    for text, style in zip(texts, styles, strict=True):
        shown = glyphs.missing if text is None else text
        spans.append((fit(shown, cell, align="right"), palette.faint if text is None else style))
    return strip(spans, width, palette.text, ellipsis=glyphs.ellipsis)


def amount_head(name: str, width: int, look: Look) -> Strip:
    """The line above them that says which number is which."""
    palette, glyphs = look.palette, look.glyphs
    cell = max(8, min(11, (width - 11) // 3))
    spans: Spans = [(fit(name, max(0, width - 3 * cell), ellipsis=glyphs.ellipsis), palette.title)]
    for text, style in (
        (f"{glyphs.down} recv", palette.hue("receive").base), (f"{glyphs.up} sent", palette.hue("transmit").base),
        ("both", palette.dim),
    ):  # fmt: skip
        spans.append((fit(text, cell, align="right", ellipsis=glyphs.ellipsis), style))
    return strip(spans, width, palette.text, ellipsis=glyphs.ellipsis)
