"""What is wrong: the worst first, alerts before judgements, nothing said twice."""

from __future__ import annotations

from typing import TYPE_CHECKING

from collectors.registry import catalogue
from sysmon.derive import State
from sysmon.frame import Fault, Frame
from sysmon.records import AlertState
from sysmon.wrong import findings, summary

if TYPE_CHECKING:
    from sysmon.frame import Number


def state_of(readings: dict[str, Number], faults: tuple[Fault, ...] = ()) -> State:
    """A state with gauges alone."""
    state = State(catalogue())
    state.apply(Frame(host="h", boot="b", run="r", seq=1, time=1, monotonic=1, readings=readings, faults=list(faults)))
    return state


def test_a_healthy_host_has_no_findings() -> None:
    state = state_of({"fs.used:/": 10, "fs.available:/": 90, "memory.used": 10, "memory.total": 100})
    assert findings(state) == []
    assert summary(state) == "nothing is wrong"


def test_the_worst_comes_first() -> None:
    state = state_of(
        {
            "fs.used:/": 91,
            "fs.available:/": 9,
            "fs.used:/srv": 99,
            "fs.available:/srv": 1,
            "temperature:cpu": 95.0,
        },
        (Fault("disks", "failed", "/proc/diskstats:1: 'x' is no number"), Fault("gpu", "no_data", "no GPU")),
    )
    assert [(found.severity, found.text) for found in findings(state)] == [
        ("critical", "/srv is 99 % full"),
        ("warning", "/ is 91 % full"),
        ("warning", "cpu at 95 °C"),
        ("info", "disks: /proc/diskstats:1: 'x' is no number"),
    ]
    assert summary(state, 2) == "/srv is 99 % full; / is 91 % full (+2 more)"


def test_an_alert_speaks_for_its_series_and_an_acknowledged_one_is_silent() -> None:
    state = state_of({"fs.used:/": 91, "fs.available:/": 9, "fs.used:/srv": 95, "fs.available:/srv": 5})
    alerts = [
        AlertState(host="h", rule="r", key="fs.utilization:/", status="firing", severity="critical", message="full!"),
        AlertState(host="h", rule="r", key="fs.utilization:/srv", status="acknowledged"),
    ]
    assert [found.text for found in findings(state, alerts)] == ["full!"]
