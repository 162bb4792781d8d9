"""The states of alerts: for, clear threshold, keep, no data, gone instances, restarts."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from alerts.engine import Engine, Outcome
from sysmon import caps
from sysmon.catalogue import Catalogue, gauge
from sysmon.clock import ManualClock
from sysmon.config import Rule
from sysmon.derive import State
from sysmon.frame import Fault, Frame, ProcessRow, Tables
from sysmon.records import AlertState, HostInfo

CATALOGUE = Catalogue(
    [
        gauge("fs.utilization", "ratio", "", instance="mount", collector="filesystems"),
        gauge("memory.utilization", "ratio", "", collector="memory"),
        gauge("battery.charge", "ratio", "", instance="battery", collector="sensors"),
        *caps.METRICS,
    ]
)
HOST = HostInfo(id="h1", hostname="db-1")
FULL = Rule(name="disk-full", metric="fs.utilization", above=0.9, clear=0.85, hold=60.0, severity="critical")


class Bench:
    """An engine, a clock, and one host fed by hand."""

    def __init__(self, *rules: Rule) -> None:
        self.clock = ManualClock()
        self.engine = Engine(rules, CATALOGUE, self.clock)
        self.state = State(CATALOGUE)
        self.seq = 0

    async def feed(self, seconds: float = 1.0, faults: tuple[Fault, ...] = (), **values: float | None) -> Outcome:
        """Moves time on and evaluates a frame of `fs_root`, `fs_srv`, `memory`, `battery`; None: read, and gone."""
        await self.clock.advance(seconds)
        self.seq += 1
        names = {
            "fs_root": ("fs.utilization:/", "filesystems"),
            "fs_srv": ("fs.utilization:/srv", "filesystems"),
            "memory": ("memory.utilization", "memory"),
            "battery": ("battery.charge:BAT0", "sensors"),
        }
        at = self.clock.boottime()
        given = {names[name]: value for name, value in values.items()}
        self.state.apply(
            Frame(
                host="h1",
                boot="b",
                run="r",
                seq=self.seq,
                time=self.clock.now(),
                monotonic=at,
                readings={key: value for (key, _), value in given.items() if value is not None},
                reads={collector: at for (_, collector) in given} if not faults else {},
                faults=list(faults),
                tables=Tables(processes=[ProcessRow(pid=7, name="dd", cpu=0.5, memory=1 << 20)]),
                intervals={"filesystems": 10.0, "memory": 1.0, "sensors": 5.0},
            )
        )
        return self.engine.evaluate(HOST, self.state)

    @property
    def statuses(self) -> dict[str, str]:
        """Series key -> status of every alert in being."""
        return {state.key: state.status for state in self.engine.states}


def kinds(outcome: Outcome) -> list[str]:
    """The kinds of the events of an outcome."""
    return [event.kind for event in outcome.events]


@pytest.mark.anyio
async def test_it_fires_only_after_it_has_lasted() -> None:
    bench = Bench(FULL)
    await bench.feed(fs_root=0.95)
    assert bench.statuses == {"fs.utilization:/": "pending"}
    assert kinds(await bench.feed(59, fs_root=0.95)) == []
    fired = await bench.feed(1, fs_root=0.96)
    assert kinds(fired) == ["alert.firing"]
    event = fired.events[0]
    assert event.severity == "critical"
    assert event.value == 0.96
    assert event.threshold == 0.9
    assert event.message == "fs.utilization of / is 96.0 %, above 90.0 % for 1m 00s"
    assert event.evidence and "dd" in event.evidence[0]
    assert kinds(await bench.feed(1, fs_root=0.99)) == []


@pytest.mark.anyio
async def test_a_dip_starts_the_wait_anew() -> None:
    bench = Bench(FULL)
    await bench.feed(fs_root=0.95)
    await bench.feed(50, fs_root=0.95)
    dipped = await bench.feed(1, fs_root=0.5)
    assert [state.status for state in dipped.states] == ["resolved"]
    assert kinds(dipped) == []
    await bench.feed(1, fs_root=0.95)
    assert kinds(await bench.feed(59, fs_root=0.95)) == []
    assert kinds(await bench.feed(1, fs_root=0.95)) == ["alert.firing"]


@pytest.mark.anyio
async def test_it_resolves_only_past_the_clear_threshold() -> None:
    bench = Bench(FULL)
    await bench.feed(fs_root=0.95)
    await bench.feed(60, fs_root=0.95)
    assert kinds(await bench.feed(5, fs_root=0.87)) == []
    resolved = await bench.feed(5, fs_root=0.84)
    assert kinds(resolved) == ["alert.resolved"]
    assert "now 84.0 %" in resolved.events[0].message
    assert bench.statuses == {}


@pytest.mark.anyio
async def test_keep_holds_it_until_it_has_been_calm() -> None:
    bench = Bench(msgspec.structs.replace(FULL, keep=30.0, hold=0.0))
    assert kinds(await bench.feed(fs_root=0.95)) == ["alert.firing"]
    assert kinds(await bench.feed(1, fs_root=0.1)) == []
    assert kinds(await bench.feed(20, fs_root=0.95)) == []
    assert kinds(await bench.feed(1, fs_root=0.1)) == []
    assert kinds(await bench.feed(29, fs_root=0.1)) == []
    assert kinds(await bench.feed(1, fs_root=0.1)) == ["alert.resolved"]


@pytest.mark.anyio
async def test_each_instance_has_its_own_state() -> None:
    bench = Bench(msgspec.structs.replace(FULL, instance="/srv*", hold=0.0))
    outcome = await bench.feed(fs_root=0.99, fs_srv=0.99)
    assert [event.key for event in outcome.events] == ["fs.utilization:/srv"]


@pytest.mark.anyio
@pytest.mark.parametrize(("hosts", "fires"), [(("db-*",), True), (("web-*",), False), (("h1",), True)])
async def test_rules_choose_their_hosts(hosts: tuple[str, ...], fires: bool) -> None:
    bench = Bench(msgspec.structs.replace(FULL, hosts=hosts, hold=0.0))
    assert bool((await bench.feed(fs_root=0.99)).events) is fires


@pytest.mark.anyio
async def test_below_is_the_mirror_of_above() -> None:
    bench = Bench(Rule(name="low", metric="battery.charge", below=0.1, clear=0.15))
    assert kinds(await bench.feed(battery=0.09)) == ["alert.firing"]
    assert kinds(await bench.feed(battery=0.14)) == []
    assert kinds(await bench.feed(battery=0.16)) == ["alert.resolved"]


@pytest.mark.anyio
async def test_a_filesystem_that_is_unmounted_resolves() -> None:
    bench = Bench(msgspec.structs.replace(FULL, hold=0.0))
    await bench.feed(fs_root=0.5, fs_srv=0.99)
    outcome = await bench.feed(fs_root=0.5)
    assert kinds(outcome) == ["alert.resolved"]
    assert "it is gone" in outcome.events[0].message


@pytest.mark.anyio
@pytest.mark.parametrize(("no_data", "expected"), [("keep", []), ("clear", ["alert.resolved"]), ("fire", [])])
async def test_no_data_does_what_the_rule_says(no_data: Any, expected: list[str]) -> None:
    bench = Bench(msgspec.structs.replace(FULL, hold=0.0, no_data=no_data))
    await bench.feed(fs_root=0.99)
    failing = (Fault("filesystems", "timeout", "hangs"),)
    seen = [kind for _ in range(4) for kind in kinds(await bench.feed(10, faults=failing, memory=0.1))]
    assert seen == expected
    assert ("fs.utilization:/" in bench.statuses) is (no_data != "clear")


@pytest.mark.anyio
async def test_a_metric_that_never_comes_can_fire() -> None:
    bench = Bench(Rule(name="mem", metric="memory.utilization", above=0.9, hold=10.0, no_data="fire"))
    for _ in range(7):
        assert kinds(await bench.feed(10, fs_root=0.1)) == []
    outcome = await bench.feed(10, fs_root=0.1)
    assert kinds(outcome) == ["alert.firing"]
    assert outcome.events[0].message == "memory.utilization has no data"
    assert kinds(await bench.feed(1, fs_root=0.1, memory=0.5)) == ["alert.resolved"]


@pytest.mark.anyio
async def test_a_step_of_the_wall_clock_fires_nothing() -> None:
    bench = Bench(FULL)
    await bench.feed(fs_root=0.95)
    bench.clock.step_wall(7_200_000)
    assert kinds(await bench.feed(1, fs_root=0.95)) == []
    bench.clock.step_wall(-9_000_000)
    assert kinds(await bench.feed(1, fs_root=0.95)) == []
    assert kinds(await bench.feed(58, fs_root=0.95)) == ["alert.firing"]


@pytest.mark.anyio
async def test_states_survive_a_restart() -> None:
    bench = Bench(FULL)
    await bench.feed(fs_root=0.95)
    await bench.feed(60, fs_root=0.95, fs_srv=0.95)
    kept = msgspec.json.decode(msgspec.json.encode(bench.engine.states), type=list[AlertState])
    assert {state.status for state in kept} == {"firing", "pending"}

    again = Bench(FULL)
    again.clock = bench.clock
    again.engine = Engine([FULL], CATALOGUE, bench.clock)
    assert again.engine.restore(kept, last_seen=bench.clock.now()) == []
    assert kinds(await again.feed(30, fs_root=0.95, fs_srv=0.95)) == []
    assert kinds(await again.feed(30, fs_root=0.95, fs_srv=0.95)) == ["alert.firing"]
    assert kinds(await again.feed(1, fs_root=0.1, fs_srv=0.95)) == ["alert.resolved"]


@pytest.mark.anyio
async def test_a_long_absence_does_not_count_as_lasting() -> None:
    bench = Bench(FULL)
    await bench.feed(fs_root=0.95)
    kept = bench.engine.states
    last_seen = bench.clock.now()
    await bench.clock.advance(3600)
    bench.engine = Engine([FULL], CATALOGUE, bench.clock)
    bench.engine.restore(kept, last_seen)
    assert kinds(await bench.feed(1, fs_root=0.95)) == []


def test_a_rule_that_was_removed_resolves_its_alerts() -> None:
    engine = Engine([], CATALOGUE, ManualClock())
    events = engine.restore([AlertState(host="h1", rule="old", key="x", status="firing", message="x is 5")])
    assert [event.kind for event in events] == ["alert.resolved"]
    assert "the rule was removed" in events[0].message
    assert engine.states == []


@pytest.mark.anyio
async def test_an_acknowledged_alert_stays_until_it_resolves() -> None:
    bench = Bench(msgspec.structs.replace(FULL, hold=0.0))
    await bench.feed(fs_root=0.95)
    outcome = bench.engine.acknowledge("h1", "disk-full", "fs.utilization:/", "ada")
    assert kinds(outcome) == ["alert.acknowledged"]
    assert bench.statuses == {"fs.utilization:/": "acknowledged"}
    await bench.feed(1, fs_root=0.95)
    assert bench.statuses == {"fs.utilization:/": "acknowledged"}
    assert kinds(await bench.feed(1, fs_root=0.5)) == ["alert.resolved"]


@pytest.mark.anyio
async def test_a_pending_alert_says_its_value_from_the_start() -> None:
    bench = Bench(FULL)
    [state] = (await bench.feed(fs_root=0.95)).states
    assert (state.status, state.value, state.threshold) == ("pending", 0.95, 0.9)
    assert state.message == "fs.utilization of / is 95.0 %, above 90.0 % for 1m 00s"


@pytest.mark.anyio
async def test_what_still_fires_is_told_anew_at_most_every_five_seconds() -> None:
    bench = Bench(msgspec.structs.replace(FULL, hold=0.0))
    await bench.feed(fs_root=0.95)
    for step in range(4):
        assert (await bench.feed(1, fs_root=0.96 + step / 100)).states == []
    told = await bench.feed(1, fs_root=0.98)
    assert told.events == []
    assert [(state.status, state.value) for state in told.states] == [("firing", 0.98)]
    assert "is 98.0 %" in told.states[0].message
    assert (await bench.feed(1, fs_root=0.97)).states == []
    assert (await bench.feed(10, fs_root=0.98)).states == [], "what the readers have seen is not told again"


@pytest.mark.anyio
async def test_what_is_pending_or_seen_is_told_anew_too() -> None:
    bench = Bench(FULL)
    await bench.feed(fs_root=0.95)
    [pending] = (await bench.feed(5, fs_root=0.97)).states
    assert (pending.status, pending.value) == ("pending", 0.97)
    await bench.feed(60, fs_root=0.97)
    bench.engine.acknowledge("h1", "disk-full", "fs.utilization:/", "eve")
    assert (await bench.feed(4, fs_root=0.99)).states == []
    [seen] = (await bench.feed(1, fs_root=0.99)).states
    assert (seen.status, seen.value, seen.acknowledged_by) == ("acknowledged", 0.99, "eve")


@pytest.mark.anyio
async def test_what_is_not_resolved_yet_does_not_claim_to_be_beyond_its_threshold() -> None:
    bench = Bench(msgspec.structs.replace(FULL, hold=0.0, keep=30.0))
    await bench.feed(fs_root=0.95)
    [between] = (await bench.feed(5, fs_root=0.87)).states
    assert between.message == "fs.utilization of / is 87.0 %, no longer above 90.0 %"
    [calm] = (await bench.feed(5, fs_root=0.5)).states
    assert (calm.status, calm.value) == ("firing", 0.5)
    assert calm.message == "fs.utilization of / is 50.0 %, no longer above 90.0 %"


@pytest.mark.anyio
async def test_what_was_pending_when_contact_was_lost_has_not_been_seen_to_last() -> None:
    bench = Bench(FULL)
    await bench.feed(fs_root=0.95)
    await bench.clock.advance(600)
    bench.engine.found("h1")
    assert kinds(await bench.feed(fs_root=0.95)) == []
    assert kinds(await bench.feed(58, fs_root=0.95)) == []
    assert kinds(await bench.feed(3, fs_root=0.95)) == ["alert.firing"]


@pytest.mark.anyio
@pytest.mark.parametrize("no_data", ["clear", "fire"])
async def test_what_has_not_come_yet_after_contact_was_found_again_is_not_missing(no_data: Any) -> None:
    bench = Bench(
        msgspec.structs.replace(FULL, hold=0.0, keep=0.0, no_data=no_data),
        Rule(name="mem", metric="memory.utilization", above=0.9, no_data="fire"),
    )
    assert kinds(await bench.feed(fs_root=0.99, memory=0.1)) == ["alert.firing"]
    await bench.clock.advance(600)
    bench.engine.found("h1")
    # The first frames after the gap carry what is read every second, and the rest is ten minutes old.
    for _ in range(25):
        assert kinds(await bench.feed(1, battery=0.5)) == []
    assert bench.statuses == {"fs.utilization:/": "firing"}
    assert kinds(await bench.feed(1, fs_root=0.99, memory=0.1)) == []
    # A minute after contact what is not there is missing, as ever.
    seen = [kind for _ in range(40) for kind in kinds(await bench.feed(1, battery=0.5))]
    assert "alert.firing" in seen


@pytest.mark.anyio
async def test_a_firing_alert_is_not_resolved_by_a_calm_that_nobody_saw() -> None:
    bench = Bench(msgspec.structs.replace(FULL, hold=0.0, keep=30.0))
    await bench.feed(fs_root=0.99)
    await bench.feed(fs_root=0.5)
    await bench.clock.advance(600)
    bench.engine.found("h1")
    assert kinds(await bench.feed(fs_root=0.5)) == []
    assert kinds(await bench.feed(31, fs_root=0.5)) == ["alert.resolved"]


@pytest.mark.anyio
async def test_the_alerts_of_a_host_that_is_watched_no_more_end() -> None:
    bench = Bench(msgspec.structs.replace(FULL, hold=0.0), Rule(name="busy", metric="memory.utilization", above=0.5))
    await bench.feed(fs_root=0.99, memory=0.9)
    assert bench.engine.forget("another").states == []
    outcome = bench.engine.forget("h1")
    assert {state.status for state in outcome.states} == {"resolved"}
    assert kinds(outcome) == ["alert.resolved"] * 2
    assert "not watched any more" in outcome.events[0].message
    assert bench.statuses == {}
    assert kinds(await bench.feed(fs_root=0.99, memory=0.9)) == ["alert.firing"] * 2, "watched again, it is found anew"


@pytest.mark.anyio
async def test_what_is_worked_out_of_the_past_is_held_against_rules_and_ends_when_it_is_gone() -> None:
    bench = Bench(Rule(name="traffic-cap", metric="cap.utilization", above=0.8, clear=0.79))
    bench.engine.give("h1", {"cap.utilization:line": 0.5})
    assert kinds(await bench.feed(memory=0.5)) == []
    bench.engine.give("h1", {"cap.utilization:line": 0.85})
    fired = await bench.feed(memory=0.5)
    assert [event.message for event in fired.events] == ["cap.utilization of line is 85.0 %, above 80.0 %"]
    assert kinds(await bench.feed(3600, memory=0.5)) == []
    bench.engine.give("h1", {})
    assert kinds(await bench.feed(memory=0.5)) == ["alert.resolved"]


@pytest.mark.anyio
async def test_an_alert_of_a_cap_waits_for_the_first_word_of_it_after_a_restart() -> None:
    rule = Rule(name="traffic-cap", metric="cap.utilization", above=0.8)
    first = Bench(rule)
    first.engine.give("h1", {"cap.utilization:line": 0.85})
    await first.feed(memory=0.5)
    second = Bench(rule)
    second.engine.restore(first.engine.states, None)
    assert kinds(await second.feed(600, memory=0.5)) == []
    second.engine.give("h1", {"cap.utilization:line": 0.1})
    assert kinds(await second.feed(memory=0.5)) == ["alert.resolved"]
