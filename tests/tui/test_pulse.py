"""The pulse of a host: what is kept of each of hundreds, gaps that stay gaps, and what it costs."""

from __future__ import annotations

import pytest

from sysmon.derive import State
from sysmon.frame import InterfaceRow, Tables
from tests.tui.scripted import START, Script, catalogue
from tui.model import HostModel
from tui.pulse import METRICS, POINTS, STEP, Beat, Pulse, outer_interfaces


def taken(seconds: range, **values: float) -> Pulse:
    """A pulse that took the same values at some seconds."""
    pulse = Pulse("h")
    for second in seconds:
        pulse.take(START + second, Beat(**values))  # type: ignore[arg-type]
    return pulse


def test_some_values_are_those_that_all_values_say() -> None:
    script = Script()
    state = State(catalogue())
    for second in range(5):
        state.apply(script.frame(second))
        few = state.some(METRICS)
        everything = {**state.readings, **state.derived()}
        assert few == {key: value for key, value in everything.items() if key.partition(":")[0] in METRICS}
    assert few
    state.apply(Script(missing=frozenset({"memory"}), load=0.9).frame(300))
    assert "memory.utilization" not in state.some(METRICS)


def test_a_beat_reads_the_outer_interface_and_the_fullest_disk() -> None:
    script = Script()
    host = HostModel(script.info, catalogue())
    for second in range(20):
        host.take_frame(script.frame(second))
    now = host.pulse.now
    assert now.cpu == host.state.get("cpu.utilization")
    assert now.receive == host.state.get("net.receive_rate:eth0")
    assert now.network == pytest.approx((now.receive or 0) + (now.transmit or 0))
    assert (now.mount, now.disk) == ("/srv", host.state.get("fs.utilization:/srv"))
    assert now.temperature == max(float(host.state.get(f"temperature:{name}") or 0) for name in
                                  host.state.instances("temperature"))  # fmt: skip
    assert Beat().network is None


def test_without_a_default_route_inner_interfaces_do_not_count() -> None:
    state = State(catalogue())
    names = ["eth0", "docker0", "veth1", "lo"]
    assert outer_interfaces(state, names) == {"eth0", "docker0", "veth1"}
    rows = [InterfaceRow(name="eth0", kind="ethernet"), InterfaceRow(name="docker0", kind="bridge"),
            InterfaceRow(name="veth1", kind="veth"), InterfaceRow(name="lo", kind="loopback")]  # fmt: skip
    state.tables = Tables(interfaces=rows)
    assert outer_interfaces(state, names) == {"eth0"}


def test_a_gap_is_a_gap_up_to_now_and_never_a_zero() -> None:
    pulse = taken(range(100), cpu=0.5)
    for second in range(200, 260):
        pulse.take(START + second, Beat(cpu=0.25))
    points = pulse.points("cpu", pulse.number(START + 320))
    assert set(points) == {0.5, 0.25, None}
    middle = points[: len(points) - 6]
    assert middle.count(None) in (9, 10)
    assert points[-6:] == [None] * 6
    assert points[0] == 0.5
    assert pulse.points("temperature", pulse.number(START + 320)) == [None] * len(points)


def test_points_are_means_and_bounded() -> None:
    pulse = Pulse("h")
    for second in range(3 * POINTS * STEP):
        pulse.take(START + second, Beat(load=float(second % STEP)))
    last = pulse.number(START + 3 * POINTS * STEP - 1)
    points = pulse.points("load", last, 500)
    assert len(points) == POINTS
    assert points[-2] == pytest.approx((STEP - 1) / 2)


def test_a_host_heard_of_once_a_minute_has_no_gaps_but_a_lost_hour_is_one() -> None:
    pulse = taken(range(0, 600, 60), cpu=0.5)
    assert None not in pulse.points("cpu", pulse.number(START + 540))
    pulse.take(START + 4200, Beat(cpu=0.5))
    points = pulse.points("cpu", pulse.number(START + 4200))
    assert points.count(None) > 50
    before = pulse.beats
    pulse.take(START + 4000, Beat(cpu=0.9))
    assert pulse.beats == before


def test_the_past_is_laid_before_and_into_gaps_only() -> None:
    pulse = taken(range(100, 130), cpu=0.5)
    first = pulse.first
    assert first is not None
    pulse.lay("cpu", {first - 3: 0.1, first: 0.9})
    pulse.lay("disk", {})
    points = pulse.points("cpu", first + 1)
    assert points == [0.1, None, None, 0.5, 0.5]
    kept = pulse.copy()
    pulse.take(START + 300, Beat(cpu=0.7))
    assert kept.points("cpu", first + 1) == points
    assert kept.now.cpu == 0.5


def test_hosts_do_not_all_begin_their_points_at_one_second() -> None:
    begins = {
        next(second for second in range(START + 1, START + STEP + 1) if pulse.number(second) > pulse.number(second - 1))
        for pulse in (Pulse(f"{index:016x}") for index in range(60))
    }
    assert len(begins) > STEP // 2


def test_what_was_not_asked_for_yet_is_no_gap() -> None:
    pulse = taken(range(100, 130), cpu=0.5, load=1.0)
    begun = pulse.first
    assert begun is not None
    pulse.lay("cpu", {begun - 5: 0.1})
    assert pulse.points("cpu", begun) == [0.1, None, None, None, None, 0.5]
    assert pulse.points("load", begun) == [1.0]
    pulse.lay("load", {})
    assert pulse.points("load", begun) == [None] * 5 + [1.0]
    assert pulse.copy().points("load", begun) == [None] * 5 + [1.0]
