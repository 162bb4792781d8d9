"""JSON for people and scripts, one shape for commands and HTTP.

It is what `history`, `--once --json`, `/v1/history` and `/v1/frame` print.

Times are RFC 3339 in UTC here (a frame's are seconds); everywhere else they are integer milliseconds.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import msgspec

from sysmon.frame import PRIVATE_TABLES
from sysmon.records import Point, Series, SeriesAnswer, Span, Stats
from sysmon.units import rfc3339

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from sysmon.derive import State
    from sysmon.frame import Frame

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)


class PointAnswer(msgspec.Struct, frozen=True):
    """One step of a series: `time` is its start, `count` the reads in it."""

    time: str
    count: int
    min: float
    mean: float
    max: float
    last: float
    p95: float | None = None


class SpanAnswer(msgspec.Struct, frozen=True):
    """A stretch of time without data."""

    start: str
    end: str


class SeriesItem(msgspec.Struct, frozen=True, kw_only=True):
    """One series. `step`: seconds."""

    host: str
    metric: str
    instance: str = ""
    unit: str = ""
    step: float
    points: list[PointAnswer]
    stats: Stats | None = None


class HistoryAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """What `sysmon history --format json` and `/v1/history` print."""

    series: list[SeriesItem]
    gaps: list[SpanAnswer] = []


class FrameAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """What `sysmon --once --json` and `/v1/frame` print: a full state. `time`: Unix seconds."""

    host: str
    time: float
    boot: str
    run: str
    seq: int
    readings: dict[str, int | float]
    derived: dict[str, float]
    tables: dict[str, Any]
    faults: list[Any]


def history_answer(answer: SeriesAnswer) -> HistoryAnswer:
    """Shapes an answer of the history for people."""
    return HistoryAnswer(
        series=[
            SeriesItem(
                host=series.host,
                metric=series.metric,
                instance=series.instance,
                unit=series.unit,
                step=series.step / 1000,
                points=[
                    PointAnswer(rfc3339(at.time), at.count, at.min, at.mean, at.max, at.last, at.p95)
                    for at in series.points
                ],
                stats=series.stats,
            )
            for series in answer.series
        ],
        gaps=[SpanAnswer(rfc3339(gap.start), rfc3339(gap.end)) for gap in answer.gaps],
    )


def series_answer(answer: HistoryAnswer) -> SeriesAnswer:
    """Reads back what `history_answer` shaped.

    Raises:
        ValueError: a time is not RFC 3339.
    """
    return SeriesAnswer(
        series=[
            Series(
                host=item.host,
                metric=item.metric,
                instance=item.instance,
                unit=item.unit,
                step=round(item.step * 1000),
                points=[
                    Point(milliseconds(at.time), at.count, at.min, at.mean, at.max, at.last, at.p95)
                    for at in item.points
                ],
                stats=item.stats,
            )
            for item in answer.series
        ],
        gaps=[Span(milliseconds(gap.start), milliseconds(gap.end)) for gap in answer.gaps],
    )


def frame_answer(
    frame: Frame, derived: Mapping[str, float], state: State | None = None, asked: Collection[str] = ()
) -> FrameAnswer:
    """Shapes a full frame with its derived values.

    Args:
        frame: the full state.
        derived: derived series key -> value.
        state: of which it is; its rows with their rates stand in place of the frame's own.
        asked: those of `PRIVATE_TABLES` that are told.
    """
    hidden = dict.fromkeys(PRIVATE_TABLES.difference(asked))
    told = msgspec.structs.replace(frame.tables, **hidden)
    if state is not None:
        rated = {"processes": state.processes, "connections": state.connections, "talkers": state.talkers}
        given = {name: rows for name, rows in rated.items() if getattr(told, name) is not None}
        told = msgspec.structs.replace(told, **given)
    tables = msgspec.to_builtins(told)
    return FrameAnswer(
        host=frame.host,
        time=frame.time / 1000,
        boot=frame.boot,
        run=frame.run,
        seq=frame.seq,
        readings=frame.readings,
        derived=dict(derived),
        tables=tables,
        faults=msgspec.to_builtins(frame.faults),
    )


def milliseconds(text: str) -> int:
    """Returns the Unix milliseconds of an RFC 3339 time, exactly; without an offset it is UTC.

    Raises:
        ValueError: not such a time.
    """
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return (moment - _EPOCH) // _MILLISECOND
