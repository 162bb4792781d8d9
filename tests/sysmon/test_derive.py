"""Rates: elapsed boot time, resets, gaps, sparse frames, staleness, full states."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sysmon.catalogue import Catalogue, Formula, counter, derived, gauge, rate
from sysmon.derive import State, derive
from sysmon.frame import (
    MAX_TALKERS,
    ConnectionRow,
    Fault,
    Frame,
    GpuRow,
    Number,
    ProcessRow,
    Tables,
    TalkerRow,
)

SECOND = 10**9
CATALOGUE = Catalogue(
    [
        counter("net.receive", "bytes", "", collector="network", instance="interface"),
        rate("net.receive_rate", "net.receive", "bytes/s", "", collector="network", instance="interface"),
        *[counter(f"cpu.time.{state}", "seconds", "", collector="cpu") for state in ("user", "idle", "steal")],
        derived(
            "cpu.utilization",
            "ratio",
            "",
            Formula(
                "delta_ratio",
                ("cpu.time.user", "cpu.time.steal"),
                ("cpu.time.user", "cpu.time.steal", "cpu.time.idle"),
                1.0,
            ),
            collector="cpu",
        ),
        gauge("fs.used", "bytes", "", collector="filesystems", instance="mount"),
        gauge("fs.available", "bytes", "", collector="filesystems", instance="mount"),
        derived(
            "fs.utilization",
            "ratio",
            "",
            Formula("value_ratio", ("fs.used",), ("fs.used", "fs.available")),
            collector="filesystems",
            instance="mount",
        ),
    ]
)


def frame(seq: int, at: float, readings: dict[str, Number], reads: dict[str, float], **more: object) -> Frame:
    """A frame at `at` seconds since boot."""
    made = Frame(
        host="h",
        boot="b",
        run="r",
        seq=seq,
        time=int(at * 1000),
        monotonic=int(at * SECOND),
        readings=readings,
        reads={name: int(seconds * SECOND) for name, seconds in reads.items()},
    )
    return msgspec.structs.replace(made, **more)


def test_rate_uses_the_time_between_the_two_reads() -> None:
    first = frame(1, 10.2, {"net.receive:eth0": 1000}, {"network": 10})
    second = frame(2, 14.9, {"net.receive:eth0": 3000}, {"network": 14})
    assert derive(first, second, CATALOGUE) == {"net.receive_rate:eth0": 500.0}


def test_without_a_predecessor_there_is_no_rate() -> None:
    assert derive(None, frame(1, 1, {"net.receive:eth0": 5}, {"network": 1}), CATALOGUE) == {}


def test_a_counter_that_fell_yields_no_rate() -> None:
    first = frame(1, 1, {"net.receive:eth0": 5000}, {"network": 1})
    assert derive(first, frame(2, 2, {"net.receive:eth0": 10}, {"network": 2}), CATALOGUE) == {}


def test_another_boot_forgets_everything() -> None:
    state = State(CATALOGUE)
    state.apply(frame(1, 100, {"net.receive:eth0": 5, "fs.used:/": 1}, {"network": 100, "filesystems": 100}))
    state.apply(frame(1, 5, {"net.receive:eth0": 900}, {"network": 5}, boot="b2", run="r2"))
    assert state.derived() == {}
    assert state.readings == {"net.receive:eth0": 900}


def test_another_run_of_the_same_boot_goes_on() -> None:
    first = frame(7, 100, {"net.receive:eth0": 5}, {"network": 100})
    second = frame(1, 110, {"net.receive:eth0": 25}, {"network": 110}, run="r2")
    assert derive(first, second, CATALOGUE) == {"net.receive_rate:eth0": 2.0}


def test_lost_frames_cost_resolution_not_bytes() -> None:
    frames = [
        frame(seq, seq, {"net.receive:eth0": seq * seq * 10}, {"network": seq}, intervals={"network": 60.0})
        for seq in range(1, 21)
    ]
    for kept in (frames, [*frames[::3], frames[-1]], [frames[0], frames[-1]]):
        state = State(CATALOGUE)
        total = 0.0
        last = None
        for each in kept:
            state.apply(each)
            value = state.derived().get("net.receive_rate:eth0")
            if value is not None and last is not None:
                total += value * (each.monotonic - last) / SECOND
            last = each.monotonic
        assert total == pytest.approx(20 * 20 * 10 - 10)


def test_absent_states_do_not_hide_utilization() -> None:
    first = frame(1, 1, {"cpu.time.user": 10.0, "cpu.time.idle": 90.0}, {"cpu": 1})
    second = frame(2, 2, {"cpu.time.user": 11.0, "cpu.time.idle": 93.0}, {"cpu": 2})
    assert derive(first, second, CATALOGUE)["cpu.utilization"] == 0.25


def test_utilization_of_a_filesystem_is_as_df_says() -> None:
    only = frame(1, 1, {"fs.used:/a:b": 30, "fs.available:/a:b": 10}, {"filesystems": 1})
    assert derive(None, only, CATALOGUE) == {"fs.utilization:/a:b": 0.75}


def test_values_go_missing_after_two_intervals_and_come_back() -> None:
    state = State(CATALOGUE)
    intervals = {"network": 1.0, "cpu": 1.0}
    state.apply(frame(1, 1, {"net.receive:eth0": 1}, {"network": 1}, intervals=intervals, full=True))
    state.apply(frame(2, 2, {"net.receive:eth0": 11}, {"network": 2}))
    state.apply(frame(3, 4, {"cpu.time.user": 1.0}, {"cpu": 4}))
    assert state.get("net.receive_rate:eth0") == 10.0
    state.apply(frame(4, 5, {"cpu.time.user": 2.0}, {"cpu": 5}))
    assert state.get("net.receive:eth0") is None
    assert state.get("net.receive_rate:eth0") is None
    assert "net.receive:eth0" not in state.readings
    state.apply(frame(5, 6, {"net.receive:eth0": 51}, {"network": 6}))
    assert state.get("net.receive_rate:eth0") == 10.0


def test_a_series_that_its_collector_stops_giving_is_gone() -> None:
    state = State(CATALOGUE)
    state.apply(frame(1, 1, {"net.receive:eth0": 1, "net.receive:tun0": 1}, {"network": 1}))
    state.apply(frame(2, 2, {"net.receive:eth0": 1}, {"network": 2}))
    assert state.instances("net.receive") == ["eth0"]
    state.apply(frame(3, 3, {"net.receive:eth0": 1, "net.receive:tun0": 900}, {"network": 3}))
    assert "net.receive_rate:tun0" not in state.derived()


def test_a_fault_lasts_until_its_collector_reads_again() -> None:
    state = State(CATALOGUE)
    fault = Fault("network", "timeout", "it hangs")
    state.apply(frame(1, 1, {}, {}, faults=[fault]))
    state.apply(frame(2, 2, {"cpu.time.user": 1.0}, {"cpu": 2}))
    assert state.faults == [fault]
    state.apply(frame(3, 3, {"net.receive:eth0": 1}, {"network": 3}))
    assert state.faults == []


def test_a_full_frame_repeating_old_reads_changes_no_rate() -> None:
    state = State(CATALOGUE)
    state.apply(frame(1, 1, {"net.receive:eth0": 0}, {"network": 1}))
    state.apply(frame(2, 2, {"net.receive:eth0": 10}, {"network": 2}))
    state.apply(frame(3, 3, {"net.receive:eth0": 10, "fs.used:/": 1}, {"network": 2, "filesystems": 3}, full=True))
    assert state.derived()["net.receive_rate:eth0"] == 10.0


def test_a_full_state_stands_for_all_frames_before_it() -> None:
    state = State(CATALOGUE)
    state.apply(frame(1, 1, {"fs.used:/": 3, "fs.available:/": 1}, {"filesystems": 1}, intervals={"filesystems": 10}))
    state.apply(frame(2, 2, {"net.receive:eth0": 10}, {"network": 2}))
    full = state.full()
    assert full is not None
    fresh = State(CATALOGUE)
    fresh.apply(full)
    assert fresh.readings == state.readings
    assert fresh.reads == state.reads
    assert fresh.get("fs.utilization:/") == 0.75


def test_processes_get_their_rates_by_pid_and_start() -> None:
    state = State(CATALOGUE)
    old = ProcessRow(pid=5, started=1.0, name="a", cpu_time=1.0, read_bytes=100)
    state.apply(frame(1, 1, {}, {"processes": 1}, tables=Tables(processes=[old])))
    assert state.processes[0].cpu is None
    rows = [ProcessRow(pid=5, started=1.0, name="a", cpu_time=2.0, read_bytes=None), ProcessRow(pid=6, started=2.0)]
    state.apply(frame(2, 3, {}, {"processes": 3}, tables=Tables(processes=rows)))
    assert [row.cpu for row in state.processes] == [0.5, None]
    assert state.processes[0].read_rate is None
    reused = [ProcessRow(pid=5, started=2.5, cpu_time=90.0)]
    state.apply(frame(3, 4, {}, {"processes": 4}, tables=Tables(processes=reused)))
    assert state.processes[0].cpu is None


def test_a_process_that_does_nothing_keeps_its_row_until_it_does() -> None:
    state = State(CATALOGUE)
    idle = ProcessRow(pid=5, started=1.0, cpu_time=1.0)
    for second in (1, 2, 3):
        state.apply(frame(second, second, {}, {"processes": second}, tables=Tables(processes=[idle])))
        kept = state.processes[0]
    assert kept.cpu == 0.0
    state.apply(frame(4, 4, {}, {"processes": 4}, tables=Tables(processes=[idle])))
    assert state.processes[0] is kept
    busy = ProcessRow(pid=5, started=1.0, cpu_time=1.5)
    state.apply(frame(5, 5, {}, {"processes": 5}, tables=Tables(processes=[busy])))
    assert state.processes[0].cpu == 0.5
    state.apply(frame(6, 6, {}, {"processes": 6}, tables=Tables(processes=[busy])))
    assert state.processes[0].cpu == 0.0


def test_memory_on_gpus_is_joined_to_its_process() -> None:
    state = State(CATALOGUE)
    gpus = [GpuRow(name="0", processes=[(5, 1 << 30), (6, None)])]
    rows = [ProcessRow(pid=5, started=1.0), ProcessRow(pid=6, started=1.0)]
    state.apply(frame(1, 1, {}, {"processes": 1}, tables=Tables(processes=rows, gpus=gpus)))
    assert [row.gpu_memory for row in state.processes] == [1 << 30, None]


def traffic(seq: int, at: float, connections: list[ConnectionRow], talkers: list[TalkerRow]) -> Frame:
    tables = Tables(connections=connections, talkers=talkers)
    return frame(seq, at, {}, {"connections": at}, tables=tables)


def test_connections_and_talkers_get_their_rates_by_identity_and_time_of_read() -> None:
    state = State(CATALOGUE)
    state.apply(
        traffic(
            1,
            1,
            [ConnectionRow(id=7, received=100, sent=5), ConnectionRow(id=8, protocol="udp")],
            [TalkerRow(key="a", kind="process", received=100)],
        )
    )
    assert [(row.receive_rate, row.transmit_rate) for row in state.connections] == [(None, None), (None, None)]
    assert state.talkers[0].receive_rate is None
    later = traffic(
        2,
        3,
        [ConnectionRow(id=9, received=4, sent=4), ConnectionRow(id=7, received=300, sent=4)],
        [TalkerRow(key="a", kind="process", received=500), TalkerRow(key="b", kind="short", sent=80)],
    )
    state.apply(later)
    # What fell has no rate; neither has what was not there: of a connection nobody knows what was before.
    assert [(row.receive_rate, row.transmit_rate) for row in state.connections] == [(None, None), (100.0, None)]
    # A talker that was not there had moved nothing.
    assert [(row.receive_rate, row.transmit_rate) for row in state.talkers] == [(200.0, 0.0), (0.0, 40.0)]
    state.apply(msgspec.structs.replace(later, seq=3, monotonic=4 * SECOND, full=True))
    assert state.connections[1].receive_rate == 100.0  # the same read once more
    state.apply(frame(4, 5, {}, {"network": 5}))
    assert len(state.connections) == 2
    twin = state.copy()
    state.apply(msgspec.structs.replace(frame(5, 1, {}, {}), boot="c"))
    assert state.connections == [] and state.talkers == [] and len(twin.talkers) == 2


def test_a_talker_that_a_cut_table_did_not_show_gets_no_rate_at_first() -> None:
    state = State(CATALOGUE)
    many = [TalkerRow(key=str(number), kind="process", received=9) for number in range(MAX_TALKERS)]
    state.apply(traffic(1, 1, [], many))
    state.apply(traffic(2, 2, [], [TalkerRow(key="new", kind="process", received=10**12), *many[1:]]))
    assert state.talkers[0].receive_rate is None and state.talkers[1].receive_rate == 0.0


def test_rows_that_rest_are_the_same_objects() -> None:
    state = State(CATALOGUE)
    for second in (1, 2, 3):
        rows = [ConnectionRow(id=7, received=1, sent=1), ConnectionRow(id=8, protocol="udp")]
        state.apply(traffic(second, second, rows, []))
        kept = list(state.connections)
    assert kept[0].receive_rate == 0.0 and kept[1].receive_rate is None
    rows = [ConnectionRow(id=7, received=1, sent=1), ConnectionRow(id=8, protocol="udp")]
    state.apply(traffic(4, 4, rows, []))
    assert state.connections[0] is kept[0] and state.connections[1] is kept[1]
    state.apply(traffic(5, 6, [ConnectionRow(id=7, received=21, sent=1)], []))
    assert state.connections[0].receive_rate == 10.0


@given(
    st.lists(
        st.tuples(st.integers(-3, 10**6), st.integers(0, 2**64)),
        min_size=1,
        max_size=30,
    )
)
def test_rates_are_never_negative_nor_infinite(reads: list[tuple[int, int]]) -> None:
    state = State(CATALOGUE)
    at = 0
    for seq, (step, value) in enumerate(reads, start=1):
        at += step
        state.apply(frame(seq, at, {"net.receive:x": value}, {"network": at}))
        rates = state.derived()
        assert all(0 <= each <= 2**64 for each in rates.values())
