"""A chart in the terminal; the only place of the commands that loads plotext."""

from __future__ import annotations

import os
import shutil
import sys
from typing import TYPE_CHECKING

from sysmon.frame import join_key

if TYPE_CHECKING:
    from sysmon.records import Series, SeriesAnswer


def plot(answer: SeriesAnswer) -> str:
    """Draws the series of an answer, as wide as the terminal; gaps stay open."""
    from tui.chart import draw

    size = shutil.get_terminal_size((100, 30))
    labels = [_label(series) for series in answer.series]
    return draw(
        answer,
        labels,
        size.columns,
        min(size.lines - 2, 24),
        color=sys.stdout.isatty() and not os.environ.get("NO_COLOR"),
    )


def _label(series: Series) -> str:
    return join_key(series.metric, series.instance)
