"""`/v1/usage?by=`: traffic step by step, as `sysmon usage` tells it."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from remote.server.names import NotThere
from sysmon import ledger, traffic, trafficanswers
from sysmon.devices import Device, adding, present, told
from sysmon.errors import UsageError, nearest
from sysmon.ledger import Ask, bounds
from sysmon.records import HostInfo
from sysmon.trafficanswers import Group, groups_of, sum_of
from sysmon.zones import zone_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from remote.server.backend import Backend
    from sysmon.bandwidth import Kind
    from sysmon.ports import History
    from sysmon.records import Span

FRESH = 5.0
"""Seconds for which an answer is remembered."""
MAX_KNOWN = 50
"""Answers that are remembered."""
MAX_KEPT = 2_000
"""Steps of an answer that is remembered, at most: longer ones take megabytes."""
BY = (*traffic.STEPS, "top", "periods")
"""What may be asked by: steps, the busiest days, the usual periods with how fast it was."""


class Wanted(NamedTuple):
    """What a request wants. `names`: of interfaces or devices; none for the sum of what counts."""

    host: str
    kind: Kind
    by: str
    ask: Ask
    names: tuple[str, ...]


class Answers:
    """Answers, remembered for a while, as each takes reading the history."""

    def __init__(self) -> None:
        self._known: dict[Wanted, tuple[float, Any]] = {}
        # Short questions to the history are not to wait behind long ones.
        self._room = asyncio.Semaphore(1)

    async def get(self, backend: Backend, wanted: Wanted) -> Any:
        """Returns what a request wants.

        Raises:
            NotThere: an interface or device is not known. UsageError: the range is none, or has too many steps.
            StoreError, TimeoutError: the history cannot answer.
        """
        known = self._known.get(wanted)
        if known is not None and time.monotonic() < known[0] + FRESH:
            return known[1]
        async with asyncio.timeout(backend.feed.limits.deadline), self._room:
            found = await _answer(backend, wanted)
        self._known.pop(wanted, None)
        if not isinstance(found, trafficanswers.StepsAnswer) or _size(found) <= MAX_KEPT:
            self._known[wanted] = (time.monotonic(), found)
        while len(self._known) > MAX_KNOWN:
            del self._known[next(iter(self._known))]
        return found


def _size(found: trafficanswers.StepsAnswer) -> int:
    return sum(len(each.steps) for each in found.series)


async def _answer(backend: Backend, wanted: Wanted) -> Any:
    now = backend.clock.now()
    history = backend.kept()
    infos = {info.id: info for info in await backend.infos()}
    info = infos.get(wanted.host) or HostInfo(id=wanted.host)
    groups, counted = await _groups(backend, history, info, wanted, now)
    if wanted.by == "periods":
        return await _periods(history, info, wanted, groups, counted, now)
    chosen = groups if wanted.names or wanted.kind == "device" else sum_of(groups, counted)
    series = []
    gaps: set[Span] = set()
    size = 0
    for group in chosen:
        if wanted.by == "top":
            made = await traffic.top(history, info, wanted.kind, group.names, now)
        else:
            by = traffic.STEPS[wanted.by]
            start, end = traffic.back(by, now, zone_of(info.timezone)), now
            if wanted.ask.given:
                resets = await history.resets(info.id) if wanted.ask.range == "reset" else ()
                start, end = bounds(wanted.ask, now, info, resets)
            made, blank = await traffic.steps(history, info, wanted.kind, group.names, start, end, by, now)
            gaps.update(blank)
            size += len(made)
            if size > traffic.MOST:
                raise UsageError(f"there are more than {traffic.MOST} steps in all", "ask for fewer names")
        series_of = trafficanswers.series_answer(group.name, group.label, group.names, made, now)
        series.append(series_of if wanted.by != "top" else msgspec.structs.replace(series_of, expected=None))
    ordered = sorted(gaps, key=lambda gap: gap.start)
    return trafficanswers.steps_answer(info, wanted.kind, wanted.by, series, ordered)


async def _periods(
    history: History, info: HostInfo, wanted: Wanted, groups: Sequence[Group], counted: Sequence[str], now: int
) -> dict[str, Any]:
    periods = await traffic.outline(history, info, wanted.kind, [group.names for group in groups], now)
    made = trafficanswers.outline_answer(info, wanted.kind, groups, counted, periods, now)
    start, end = bounds(wanted.ask if wanted.ask.given else Ask("month"), now, info)
    for group, series in zip(groups, made["series"], strict=True):
        series["figures"] = await traffic.figures(history, info, wanted.kind, group.names, start, end, now)
    return made


async def _groups(
    backend: Backend, history: History, info: HostInfo, wanted: Wanted, now: int
) -> tuple[list[Group], list[str]]:
    """Returns what is told as one, and the interfaces that count."""
    if wanted.kind == "device":
        return await _devices(history, info, wanted), []
    state = backend.feed.state(info.id)
    here = {each.name: each.counted for each in present(info.id, state, ("interface",))} if state is not None else {}
    names = await traffic.names_of(history, info, "interface", now)
    counted = adding((name, here.get(name)) for name in names)
    for name in wanted.names:
        if name not in names:
            hint = nearest(name, names) or f"/v1/devices?host={info.id} lists them"
            raise NotThere(f"'{name[:100]}' is no interface of that host that was ever counted", hint)
    return ([Group(name, name, [name]) for name in wanted.names] or groups_of(names, counted)), counted


async def _devices(history: History, info: HostInfo, wanted: Wanted) -> list[Group]:
    known = [told(each, None) for each in await history.devices(info.id)]
    if not wanted.names:
        # All of them together.
        return [Group("total", "total", [])]
    made = []
    for name in wanted.names:
        found: list[Device] = ledger.meant(known, name)
        if len(found) != 1:
            listed = ", ".join(each.name for each in found[:20])
            hint = listed or f"/v1/devices?host={info.id}&kind=device lists them"
            many = f"is the name of {len(found)} devices" if found else "is no device known behind that host"
            raise NotThere(f"'{name[:100]}' {many}", hint)
        made.append(Group(found[0].name, found[0].label or found[0].name, [found[0].name]))
    return made
