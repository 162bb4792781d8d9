"""The model that screens are functions of: windows, hosts, freezing, how fresh a host is."""

from __future__ import annotations

import msgspec
import pytest

from sysmon.frame import Frame
from sysmon.records import AlertState, Event, Hello, HostInfo, Moment, Point, Series, Status
from tests.tui.scripted import START, Script, catalogue, view
from tui.model import FEW, HostModel, Model
from tui.pastview import past_view
from tui.window import Window, prefill


def test_window_keeps_gaps_as_gaps() -> None:
    window = Window(10)
    window.append(100, {"a": 1.0})
    window.append(101, {"a": 2.0})
    window.append(104, {"a": 5.0})
    assert window.points("a", 5) == [1.0, 2.0, None, None, 5.0]
    assert window.points("a", 2, step=2) == [None, 5.0]
    assert window.points("unknown", 3) == [None, None, None]


def test_a_value_of_a_host_that_is_looked_at_seldom_stands_until_the_next() -> None:
    window = Window(20)
    window.hold = 10
    window.append(100, {"a": 1.0})
    window.append(105, {"a": 2.0})
    window.append(118, {"a": 3.0})
    assert window.points("a", 19) == [1.0] * 5 + [2.0] + [None] * 12 + [3.0]
    points = [Point(time * 1000, 1, 1.0, float(time), 1.0, 1.0) for time in (85, 90, 99)]
    prefill(window, Series(host="h", metric="a", instance="", step=1000, points=points))
    assert window.points("a", 34)[:16] == [85.0] * 5 + [90.0] * 9 + [99.0, 1.0]


def test_the_pace_of_a_host_is_that_of_its_frames() -> None:
    script = Script(processes=1)
    host = HostModel(script.info, catalogue())
    for second in (0, 5, 10, 15, 20, 45, 50):
        host.take_frame(script.frame(second))
    key = next(iter(host.window.keys()))
    shown = host.window.points(key, 51)
    assert None not in shown[10:21], "what stood between two looks is no gap"
    assert shown[21:45] == [None] * 24, "looks that were missed are one"
    assert None not in shown[45:]


def test_the_past_of_what_is_read_seldom_has_a_gap_only_where_a_read_is_missing() -> None:
    script = Script(processes=1)
    intervals = {"network": 5.0, "devices": 30.0}
    moment = Moment(frame=msgspec.structs.replace(script.frame(250), intervals=intervals))
    looks, frames = (0, 30, 65, 95, 190, 220), (200, 205, 215, 230, 245)

    def series(metric: str, seconds: tuple[int, ...]) -> Series:
        points = [Point((START + each) * 1000, 1, 1.0, float(each), 1.0, 1.0) for each in seconds]
        return Series(host=script.host, metric=metric, instance="x", step=1000, points=points)

    told = [series("device.receive_rate", looks), series("net.receive_rate", frames)]
    window = past_view(HostModel(script.info, catalogue()), moment, told).window
    assert window.end == START + 250
    shown = window.points("device.receive_rate:x", 251)
    assert shown[:96] == [0.0] * 30 + [30.0] * 35 + [65.0] * 30 + [95.0]
    assert shown[96:190] == [None] * 94
    assert shown[190:] == [190.0] * 30 + [220.0] * 31, "the last stands until the moment shown"
    assert window.points("net.receive_rate:x", 51) == (
        [200.0] * 5 + [205.0] * 10 + [215.0] + [None] * 14 + [230.0] + [None] * 14 + [245.0] * 6
    )


def test_window_does_not_call_missing_what_came_before_its_first_value() -> None:
    window = Window(10)
    window.append(100, {"a": 1.0})
    window.append(103, {"a": 4.0, "b": 9.0})
    assert window.recorded("a", 10) == [1.0, None, None, 4.0]
    assert window.recorded("a", 2) == [None, 4.0]
    assert window.recorded("b", 10) == [9.0]
    assert window.recorded("c", 10) == []


def test_window_ignores_seconds_that_are_past() -> None:
    window = Window(10)
    window.append(100, {"a": 1.0})
    window.append(100, {"a": 7.0})
    window.append(99, {"a": 8.0})
    assert window.points("a", 2) == [None, 1.0]


def test_window_stays_bounded() -> None:
    window = Window(10)
    for second in range(1000):
        window.append(second, {"a": float(second)})
    assert window.points("a", 10) == [float(second) for second in range(990, 1000)]
    assert window.points("a", 30)[:10] == [None] * 10


def test_history_is_laid_before_live_values() -> None:
    window = Window(20)
    window.append(110, {"net.receive_rate:eth0": 5.0})
    points = [Point(time * 1000, 2, 1.0, float(time), 1.0, 1.0) for time in (100, 102, 104, 110)]
    series = Series(host="h", metric="net.receive_rate", instance="eth0", step=2000, points=points)
    prefill(window, series)
    assert window.points("net.receive_rate:eth0", 11) == [
        100.0, 100.0, 102.0, 102.0, 104.0, 104.0, None, None, None, None, 5.0,
    ]  # fmt: skip
    assert window.end == 110


def test_copies_do_not_change_with_their_original() -> None:
    script = Script()
    model = HostModel(script.info, catalogue())
    for second in range(20):
        model.take_frame(script.frame(second))
    frozen = model.view().frozen()
    before = (frozen.value("cpu.utilization"), frozen.window.points("cpu.utilization", 10), len(frozen.processes))
    for second in range(20, 40):
        model.take_frame(script.frame(second))
    after = (frozen.value("cpu.utilization"), frozen.window.points("cpu.utilization", 10), len(frozen.processes))
    assert before == after
    assert not frozen.live
    assert model.view().value("cpu.utilization") != before[0]


def test_late_frames_change_nothing_live() -> None:
    script = Script()
    model = HostModel(script.info, catalogue())
    model.take_frame(script.frame(10))
    model.take_frame(script.frame(11))
    model.take_frame(script.frame(3))
    assert model.view().time == (START + 11) * 1000


def test_late_frames_are_no_sign_of_life_and_have_the_history_read_once_they_are_in_it() -> None:
    script, second = Script(), 1_000_000_000
    model = Model(catalogue())
    for at in (10, 11):
        model.take(script.frame(at), at * second)
    model.take(script.frame(3), 20 * second)
    host = model.hosts[script.host]
    assert host.received == 11 * second
    assert not host.came_late(15 * second, 21 * second)
    assert host.came_late(19 * second, 24 * second)
    assert not host.came_late(24 * second, 60 * second)
    model.take(script.frame(4), 31 * second)
    assert host.came_late(24 * second, 34 * second + 1)


def test_frames_from_before_a_reboot_do_not_bring_its_state_back() -> None:
    script, second = Script(), 1_000_000_000
    model = Model(catalogue())
    old = [msgspec.structs.replace(script.frame(at), boot="a" * 32) for at in range(12)]
    start = script.frame(20).monotonic - second
    new = [msgspec.structs.replace(script.frame(at), monotonic=script.frame(at).monotonic - start) for at in (20, 21)]
    model.take(new[0], 20 * second)
    model.take(old[5], 20 * second + 1)
    model.take(new[1], 21 * second)
    host = model.hosts[script.host]
    assert host.view().time == new[1].time
    assert host.frames == 2
    again = Model(catalogue())
    for frame in (old[11], new[0], old[3]):
        again.take(frame, None)
    assert again.hosts[script.host].view().time == new[0].time
    unset = msgspec.structs.replace(script.frame(30), boot="c" * 32, time=1_000_000)
    again.take(unset, 40 * second)
    assert again.hosts[script.host].view().time == unset.time


def test_liveness_goes_by_age_where_the_source_says_nothing() -> None:
    script = Script()
    model = HostModel(script.info, catalogue())
    assert model.liveness(10**12) == ("connecting", None)
    model.take_frame(script.frame(0))
    model.received = 10**12
    assert model.liveness(10**12 + 10**9)[0] == "live"
    assert model.liveness(10**12 + 5 * 10**9) == ("late", 5.0)
    assert model.liveness(10**12 + 60 * 10**9) == ("stale", 60.0)
    model.status = Status(host=script.host, state="offline")
    assert model.liveness(10**12 + 60 * 10**9) == ("offline", 60.0)


def test_alerts_and_events_are_folded_in() -> None:
    script = Script()
    model = Model(catalogue())
    model.take(script.info)
    firing = AlertState(host=script.host, rule="r", key="k", status="firing", severity="critical", message="bad")
    event = Event(id="1", time=1, host=script.host, kind="alert.firing")
    for _ in range(2):
        model.take(firing)
        model.take(event)
    shown = model.hosts[script.host].view()
    assert [alert.message for alert in shown.alerts] == ["bad"]
    assert len(shown.events) == 1
    assert shown.wrong[0].text == "bad"
    model.take(AlertState(host=script.host, rule="r", key="k", status="resolved"))
    assert model.hosts[script.host].view().alerts == []


def test_hello_brings_hosts_and_metrics_that_are_not_known_here() -> None:
    model = Model(catalogue().__class__())
    hello = Hello(
        schema=1, version="0.1.0", server="s", time=0, hosts=[HostInfo(id="h1", name="one")], metrics=list(catalogue())
    )
    assert model.take(hello) is None
    assert model.hosts["h1"].info.label == "one"
    assert "cpu.utilization" in model.hosts["h1"].catalogue


@pytest.mark.parametrize(
    "given",
    [
        Status(host="x", state="live"),
        AlertState(host="x", rule="r", key="k", status="firing"),
        Event(id="1", time=0, host="x", kind="boot"),
    ],
    ids=["status", "alert", "event"],
)
def test_words_about_unknown_hosts_are_left_out(given: Status | AlertState | Event) -> None:
    model = Model(catalogue())
    assert model.take(given) is None
    assert model.hosts == {}


def test_past_view_is_derived_from_the_moment_and_its_predecessor() -> None:
    script = Script()
    live = view(script, 60)
    model = HostModel(script.info, catalogue())
    moment = Moment(frame=script.frame(59), previous=script.frame(58))
    past = past_view(model, moment, [])
    assert past.value("cpu.utilization") == pytest.approx(live.value("cpu.utilization"))
    assert not past.live
    assert past.status.state == "replay"
    assert [row.pid for row in past.processes] == [row.pid for row in live.processes]


def test_of_many_hosts_only_those_looked_at_have_a_window() -> None:
    model = Model(catalogue())
    scripts = [Script(host=f"{index:016x}", name=f"h{index}") for index in range(FEW + 4)]
    model.look_at(scripts[0].host)
    for second in range(3):
        for script in scripts:
            model.take(script.frame(second, tables=False))
    assert [bool(host.window.keys()) for host in model.hosts.values()].count(True) == 1
    assert all(host.pulse.now.cpu is not None for host in model.hosts.values())
    model.look_at(scripts[-1].host)
    model.take(scripts[-1].frame(3, tables=False))
    assert model.hosts[scripts[-1].host].window.points("cpu.utilization", 1) != [None]
    for script in scripts[1 : FEW + 2]:
        model.look_at(script.host)
    assert not model.hosts[scripts[0].host].window.keys()


def test_a_host_that_was_never_reached_is_known_by_its_name_until_it_is() -> None:
    model = Model(catalogue())
    model.take(Status(host="", name="db", state="offline", message="refused"))
    assert model.unreached["@db"].message == "refused"
    model.take(HostInfo(id="a" * 16, name="db"))
    assert not model.unreached
    model.take(Status(host="", name="db", state="offline", message="again"))
    assert not model.unreached
    assert model.hosts["a" * 16].status.message == "again"
    model.forget("db")
    assert not model.hosts
    model.take(msgspec.structs.replace(Script().frame(1), host="a" * 16))
    assert not model.hosts
    model.take(HostInfo(id="a" * 16, name="db"))
    model.take(msgspec.structs.replace(Script().frame(1), host="a" * 16))
    assert model.hosts["a" * 16].frames == 1


def test_an_unreached_target_is_no_more_than_a_host_of_it_once_that_is_known() -> None:
    model = Model(catalogue())
    model.take(Status(host="", name="hub2", state="connecting", target="https://hub2:8200"))
    model.take(Status(host="", name="", state="offline", target="https://other:8200", message="refused"))
    model.take(Status(host="", name="nas", state="offline", target="https://nas:8200", via=["hub"]))
    assert list(model.unreached) == ["@hub2", "@https://other:8200", "@hub/nas"]
    model.take(HostInfo(id="a" * 16, hostname="box", target="https://hub2:8200"))
    model.take(HostInfo(id="b" * 16, hostname="box", target="https://other:8200"))
    assert list(model.unreached) == ["@hub/nas"]
    model.take(HostInfo(id="c" * 16, name="nas", target="https://hub2:8200", via=["hub"]))
    model.take(Status(host="", name="nas", state="offline", target="https://nas:8200", via=["hub"], gone=True))
    assert not model.unreached


def test_a_host_that_is_gone_is_let_go_of_until_it_introduces_itself_again() -> None:
    script, model = Script(), Model(catalogue())
    model.take(script.info)
    model.take(script.frame(1), 1)
    model.take(Status(host=script.host, state="paused", gone=True))
    model.take(script.frame(2), 2)
    assert not model.hosts
    model.take(script.info)
    assert list(model.hosts) == [script.host]


def test_that_this_side_lost_the_network_is_kept_until_it_is_back() -> None:
    model = Model(catalogue())
    model.take(Event(id="1", time=1, host="", kind="network.lost", severity="critical", message="lost"))
    assert model.lost is not None
    model.take(Event(id="2", time=2, host="", kind="network.back", message="back"))
    assert model.lost is None


def test_what_is_about_no_host_is_an_event_of_every_one() -> None:
    model = Model(catalogue())
    for host in "ab":
        model.take(HostInfo(id=host))
    model.take(Event(id="1", time=1, host="", kind="hub.lost", severity="critical", message="lost"))
    assert [event.kind for host in "ab" for event in model.hosts[host].events] == ["hub.lost", "hub.lost"]


def test_a_host_a_day_ahead_is_drawn_under_our_time() -> None:
    script, model = Script(), Model(catalogue())
    frame = script.frame(1)
    model.take(HostInfo(id=script.host))
    model.take(Status(host=script.host, state="live", skew=86_400_300))
    model.take(msgspec.structs.replace(frame, time=frame.time + 86_400_000))
    state = model.hosts[script.host].state
    assert state.frame is not None
    assert state.frame.time == frame.time


def test_graphs_go_on_when_a_clock_is_set_back() -> None:
    script, model = Script(), Model(catalogue())
    model.take(HostInfo(id=script.host))
    model.look_at(script.host)
    for second in range(1, 4):
        model.take(script.frame(second))
    window = model.hosts[script.host].window
    end = window.end
    assert end is not None
    for second in range(4, 7):
        frame = script.frame(second)
        model.take(msgspec.structs.replace(frame, time=frame.time - 3 * 3_600_000))
    window = model.hosts[script.host].window
    assert window.end == end + 3 - 3 * 3600
    assert any(len([each for each in window.points(key, 3) if each is not None]) == 3 for key in window.keys())


def test_of_hundreds_of_hosts_nothing_is_held_twice() -> None:
    script = Script(cores=2, gpus=0, processes=0)
    model = Model(catalogue())
    for index in range(12):
        model.take(HostInfo(id=f"{index:016x}"))
    for second in range(3):
        blob = msgspec.json.encode(script.frame(second, tables=False))
        for id_ in model.hosts:
            model.take(msgspec.json.decode(blob.replace(script.host.encode(), id_.encode()), type=Frame), 1)
    keys = [key for host in model.hosts.values() for key in host.state.readings]
    assert len({id(key) for key in keys}) == len(set(keys))
    for host in model.hosts.values():
        assert host.state.frame is not None
        assert (host.state.frame.seq, host.state.frame.readings) == (3, {})
