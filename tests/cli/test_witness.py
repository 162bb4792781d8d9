"""Evidence is of the moment that an alert is about."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from alerts.engine import Engine
from cli.station import Station
from cli.witness import INTERVAL, LINGER, Witness
from collectors.base import Collector, Reading, Roots
from collectors.identity import Identity
from collectors.runner import Runner
from sysmon.catalogue import Catalogue, gauge
from sysmon.clock import ManualClock
from sysmon.config import Rule
from sysmon.frame import ProcessRow, Tables
from sysmon.records import HostInfo

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sysmon.records import AlertState, Event

CATALOGUE = Catalogue([gauge("cpu.utilization", "ratio", "", collector="cpu")])


class Cpu(Collector):
    """A processor that gets busy when told."""

    name = "cpu"
    busy = 0.0

    def read(self) -> Reading:
        """Reads."""
        return Reading({"cpu.utilization": type(self).busy})


class Processes(Collector):
    """One process that uses what the processor is busy with."""

    name = "processes"
    expensive = True
    reads = 0
    used = 0.0

    def read(self) -> Reading:
        """Reads."""
        kind = type(self)
        kind.reads += 1
        return Reading(tables=Tables(processes=[ProcessRow(pid=7, started=1.0, name="hog", cpu_time=kind.used)]))


@pytest.mark.anyio
async def test_processes_are_read_often_while_a_rule_is_pending() -> None:
    Cpu.busy, Processes.reads, Processes.used = 0.0, 0, 0.0
    clock = ManualClock()
    runner = Runner(
        [Cpu(Roots()), Processes(Roots())], CATALOGUE, Identity(HostInfo(id="h"), "b"), clock, evidence=30.0
    )
    rule = Rule(name="busy", metric="cpu.utilization", above=0.5, hold=10.0)
    station = Station(CATALOGUE, clock, engine=Engine([rule], CATALOGUE, clock))
    station.witnesses["h"] = Witness(runner)
    fired: list[Event] = []
    kept = station.settle

    async def settle(events: Sequence[Event], states: Sequence[AlertState]) -> None:
        fired.extend(events)
        await kept(events, states)

    station.settle = settle  # type: ignore[method-assign, assignment]
    updates = runner.updates()
    for second in range(60):
        if second == 20:
            Cpu.busy = 1.0
        if second > 20:
            Processes.used += 0.9
        if second == 20:
            calm = Processes.reads
        waiting = asyncio.ensure_future(anext(updates))
        await clock.advance(1.0)
        await station.take(await waiting)
    assert calm <= 2
    assert Processes.reads - calm >= 10 / INTERVAL
    assert [event.kind for event in fired] == ["alert.firing"]
    assert "90 % CPU" in fired[0].evidence[0]
    await runner.close()
    await updates.aclose()  # type: ignore[attr-defined]


def test_it_lets_go_when_nothing_is_brewing() -> None:
    clock = ManualClock()
    runner = Runner([Processes(Roots())], CATALOGUE, Identity(HostInfo(id="h"), "b"), clock, evidence=30.0)
    witness = Witness(runner)
    usual = runner.intervals["processes"]
    witness.look(10**9, pending=True, fired=False)
    assert runner.intervals["processes"] == INTERVAL
    witness.look(2 * 10**9, pending=False, fired=True)
    assert runner.intervals["processes"] == INTERVAL
    witness.look(2 * 10**9 + LINGER, pending=False, fired=False)
    assert runner.intervals["processes"] == usual
