"""The form in which commands and `/v1/usage?by=` tell traffic: times RFC 3339, bytes, null where nothing is known."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

import msgspec

from sysmon.traffic import Step, expected
from sysmon.units import rfc3339

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sysmon.bandwidth import Kind
    from sysmon.records import HostInfo, Span
    from sysmon.traffic import Outline

PERIODS: Final = ("today", "yesterday", "month", "last_month")
"""Those of an outline."""


class Group(NamedTuple):
    """What is told as one: an interface, a device, or the sum of the interfaces that count."""

    name: str
    label: str
    names: list[str]


def groups_of(names: Sequence[str], counted: Sequence[str]) -> list[Group]:
    """Returns each interface, and the sum of those that count where they are several."""
    made = [Group(name, name, [name]) for name in names]
    return [*made, Group("total", "total", list(counted))] if len(counted) > 1 else made


def sum_of(groups: Sequence[Group], counted: Sequence[str]) -> list[Group]:
    """Returns what is told step by step where none is named: the sum, or the one interface that is the sum."""
    wanted = "total" if len(counted) > 1 else counted[0] if counted else ""
    return [group for group in groups if group.name == wanted] or list(groups)


class StepAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """One step as JSON: times RFC 3339, bytes, `rate` in bytes per second both ways; null where nothing is known."""

    start: str
    end: str
    receive: int | None
    transmit: int | None
    total: int | None
    at_least: bool
    estimated: bool
    rate: float | None


class SeriesAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """One interface, device or sum. `names`: what is summed. `expected`: what the running step will come to."""

    name: str
    label: str
    names: list[str]
    steps: list[StepAnswer]
    expected: StepAnswer | None = None


class StepsAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """Usage by step of one host. `by`: the step. `gaps`: stretches of which something is not known exactly."""

    host: str
    host_name: str
    timezone: str
    kind: str
    by: str
    series: list[SeriesAnswer]
    gaps: list[dict[str, str]]


def step_answer(step: Step) -> StepAnswer:
    """Returns a step in the form of answers."""
    amount = step.amount
    return StepAnswer(
        start=rfc3339(step.start),
        end=rfc3339(step.end),
        receive=None if amount is None else amount.receive,
        transmit=None if amount is None else amount.transmit,
        total=None if amount is None else amount.total,
        at_least=amount is not None and amount.at_least,
        estimated=amount is not None and amount.estimated,
        rate=step.rate,
    )


def series_answer(name: str, label: str, names: Sequence[str], made: Sequence[Step], now: int) -> SeriesAnswer:
    """Returns the steps of one interface, device or sum in the form of answers."""
    last = made[-1] if made else None
    will = None if last is None else expected(last, now)
    return SeriesAnswer(
        name=name,
        label=label,
        names=list(names),
        steps=[step_answer(step) for step in made],
        expected=None
        if last is None or will is None
        else step_answer(Step(last.start, last.end, will, last.end - last.start)),
    )


def gap_answers(gaps: Sequence[Span]) -> list[dict[str, str]]:
    """Returns gaps in the form of answers."""
    return [{"start": rfc3339(gap.start), "end": rfc3339(gap.end)} for gap in gaps]


def steps_answer(
    info: HostInfo, kind: Kind, by: str, series: Sequence[SeriesAnswer], gaps: Sequence[Span]
) -> StepsAnswer:
    """Returns usage by step of a host in the form of answers."""
    return StepsAnswer(
        host=info.id,
        host_name=info.label,
        timezone=info.timezone or "UTC",
        kind=kind,
        by=by,
        series=list(series),
        gaps=gap_answers(gaps),
    )


def outline_answer(
    info: HostInfo, kind: Kind, groups: Sequence[Group], counted: Sequence[str], told: Sequence[Outline], now: int
) -> dict[str, Any]:
    """Returns the usual periods of a host's interfaces or devices in the form of answers."""
    series = []
    for group, outline in zip(groups, told, strict=True):
        periods = {name: step_answer(getattr(outline, name)) for name in PERIODS}
        will = expected(outline.month, now)
        series.append(
            {
                "name": group.name,
                "label": group.label,
                "names": group.names,
                "counted": kind == "device" or group.name == "total" or group.name in counted,
                **periods,
                "expected_month": None
                if will is None
                else {"receive": will.receive, "transmit": will.transmit, "total": will.total},
            }
        )
    return {
        "host": info.id,
        "host_name": info.label,
        "timezone": info.timezone or "UTC",
        "kind": kind,
        "series": series,
    }
