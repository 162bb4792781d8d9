"""Filling a host's window and events from history when it is first shown, so that graphs are full at once."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from sysmon.errors import SysmonError
from tui.timetravel import read_series
from tui.window import WINDOW, hold_of, prefill

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

    from sysmon.ports import History
    from tui.chrome import Track
    from tui.model import HostModel
    from tui.window import Window

_EVENTS = 200


class Filled:
    """Which metrics of which hosts were asked for already."""

    def __init__(self) -> None:
        self._done: dict[str, tuple[Window, set[str]]] = {}

    def wanted(self, host: HostModel, graphed: Iterable[str]) -> tuple[list[str], bool] | None:
        """Returns the metrics not asked for yet, and whether the host is new; None where nothing is wanted.

        They count as asked for from now on, as long as the host keeps its window.
        """
        known = self._done.get(host.info.id)
        new = known is None
        if known is None or known[0] is not host.window:
            known = self._done[host.info.id] = (host.window, set())
        done = known[1]
        metrics = [metric for metric in graphed if metric not in done]
        done.update(metrics)
        return (metrics, new) if new or metrics else None


async def fill(
    host: HostModel, history: History, wanted: tuple[list[str], bool], now: int, seconds: int = WINDOW
) -> None:
    """Reads the last minutes of metrics, and of a new host its alerts and events. What cannot be read stays empty."""
    metrics, new = wanted
    identity = host.info.id
    try:
        if new:
            for alert in await history.alerts(identity):
                host.alerts.setdefault((alert.rule, alert.key), alert)
            for event in reversed(await history.events(identity, limit=_EVENTS)):
                host.take_event(event)
        for metric in metrics:
            told = host.catalogue.get(metric)
            hold = hold_of(host.state.intervals, told.collector if told is not None else "")
            for series in await read_series(history, identity, metric, now, seconds):
                prefill(host.window, series, hold)
    except SysmonError:
        # Live data fills the graphs; `Services.problem` says what is wrong with the history.
        return


async def then(work: Awaitable[None], after: Callable[[], None]) -> None:
    """Awaits one thing and calls another."""
    await work
    after()


def extended(track: Track, now: int) -> Track:
    """The same past, reaching to the present."""
    return track if now <= track.end else replace(track, end=now)
