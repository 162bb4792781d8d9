"""One line above the list: how many alerts there are, or how long it has been quiet."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sysmon.units import format_duration
from tui.renderables.lines import badge
from tui.renderables.text import Spans, beside, strip

if TYPE_CHECKING:
    from collections.abc import Sequence

    from textual.strip import Strip

    from tui.theme import Look
    from tui.widgets.alerts_rows import AlertRow


@dataclass(frozen=True, slots=True)
class Standing:
    """How it stands.

    Attributes:
        active: alerts in being, worst first.
        quiet: when the last alert fired or was resolved, Unix milliseconds; None where none is known.
        began: when the recording began, where it is known that no alert has ever been; else None.
        time: the moment shown.
        several: whether these are all hosts.
        rules: how many rules are on.
    """

    active: Sequence[AlertRow]
    quiet: int | None
    began: int | None
    time: int
    several: bool = False
    rules: int = 0

    def line(self, width: int, look: Look) -> Strip:
        """Draw it."""
        palette = look.palette
        spans: Spans = [(" ", palette.text)]
        firing = [row for row in self.active if row.state == "firing"]
        if firing:
            spans += badge(firing[0].severity, f"{len(firing)} firing", look=look)
        else:
            spans += badge("ok", "no alerts on all hosts" if self.several else "no alerts", look=look)
            spans.append((self._quiet(), palette.dim))
        for state, word in (("pending", "pending"), ("acknowledged", "seen")):
            count = sum(row.state == state for row in self.active)
            if count:
                spans += [("   ", palette.text), (f"{count} {word}", palette.dim)]
        right: Spans = [(f"{self.rules} rules watch ", palette.faint)] if width >= 60 and self.rules else []
        return strip(beside(spans, right, width, palette.text), width, palette.text, ellipsis=look.glyphs.ellipsis)

    def _quiet(self) -> str:
        """For how long, in whole minutes."""
        since = self.quiet if self.quiet is not None else self.began
        if since is None or self.time - since < 60_000:
            return ""
        lasted = format_duration((self.time - since) // 60_000 * 60).replace(" 00s", "")
        return f"  quiet for {lasted}" if self.quiet is not None else f"  none since the recording began, {lasted} ago"
