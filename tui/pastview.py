"""What a host was like at a moment, as a `View`: of what its history gave, or of nothing where nothing was recorded."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sysmon.derive import State
from sysmon.records import Status
from sysmon.wrong import findings
from tui.model import View
from tui.window import Window, hold_of, prefill

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sysmon.records import AlertState, Event, Evidence, Moment, Series
    from tui.model import HostModel


def past_view(
    host: HostModel,
    moment: Moment,
    series: Sequence[Series],
    events: Sequence[Event] = (),
    alerts: Sequence[AlertState] = (),
) -> View:
    """Builds the view of one moment of the past from what history gave.

    `series`: what the screen graphs, with points up to the moment.
    """
    state = State(host.catalogue)
    if moment.previous is not None:
        state.apply(moment.previous)
    state.apply(moment.frame)
    window = Window()
    window.end = moment.frame.time // 1000
    intervals = state.intervals or host.state.intervals
    window.hold = hold_of(intervals)
    for each in series:
        metric = host.catalogue.get(each.metric)
        prefill(window, each, hold_of(intervals, metric.collector if metric is not None else ""))
    evidence: Evidence | None = moment.evidence
    return View(
        info=host.info,
        status=Status(host=host.info.id, state="replay", target=host.info.target),
        state=state,
        window=window,
        time=moment.frame.time,
        live=False,
        alerts=list(alerts),
        events=list(events),
        wrong=findings(state, alerts),
        processes=evidence.processes if evidence else state.processes,
        processes_time=evidence.time if evidence else None,
    )


def empty_view(host: HostModel, time: int) -> View:
    """The view of a moment, Unix milliseconds, of which nothing of a host was recorded: everything is missing."""
    status = Status(host=host.info.id, state="replay", target=host.info.target)
    return View(host.info, status, State(host.catalogue), Window(), time, live=False)
