"""What a station keeps of hosts beside their frames: who was busiest, who used the network, who was behind a router."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import pytest

from cli.station import Station
from sysmon.clock import ManualClock
from sysmon.frame import DeviceRow, Frame, ProcessRow, Tables, TalkerRow
from sysmon.records import Status
from tests.remote.support import CATALOGUE, HOST, T0, MemoryHistory

if TYPE_CHECKING:
    from sysmon.records import Evidence

pytestmark = pytest.mark.anyio

TV = DeviceRow(key="02:aa:bb:cc:dd:01", name="tv", online=True)


class Kept(MemoryHistory):
    """A history that notes the evidence which it is given."""

    def __init__(self) -> None:
        super().__init__()
        self.evidences: list[Evidence] = []

    async def record_evidence(self, evidence: Evidence) -> None:
        self.evidences.append(evidence)


def frame(second: int, tables: Tables, **changes: object) -> Frame:
    made = Frame(
        host=HOST,
        boot="boot",
        run="00112233445566ff",
        seq=second + 1,
        time=T0 + second * 1000,
        monotonic=(second + 100) * 10**9,
        full=True,
        intervals={"processes": 1.0, "connections": 1.0, "devices": 30.0},
        reads={name: (second + 100) * 10**9 for name in ("processes", "connections", "devices")},
        tables=tables,
    )
    return msgspec.structs.replace(made, **changes)


def seen(second: int) -> Tables:
    """Processes and talkers, each using twice what the one before it does."""
    return Tables(
        processes=[ProcessRow(pid=pid, started=1.0, cpu_time=pid * second, memory=pid) for pid in range(1, 4)],
        talkers=[
            TalkerRow(key=str(pid), kind="process", pid=pid, received=second << pid, sent=0) for pid in range(1, 31)
        ],
    )


async def test_the_ten_that_used_the_network_most_stand_beside_the_processes() -> None:
    clock, history = ManualClock(now=T0), Kept()
    station = Station(CATALOGUE, clock, recorder=history, evidence=30.0)
    for second in range(70):
        clock.step_wall(T0 + second * 1000 - clock.now())
        await station.take(frame(second, seen(second)))
    assert [each.time for each in history.evidences] == [T0 + second * 1000 for second in (1, 31, 61)]
    for each in history.evidences:
        assert [row.pid for row in each.processes] == [3, 2, 1]
        assert [row.pid for row in each.talkers] == list(range(30, 20, -1))
        assert each.talkers[0].receive_rate == pytest.approx(2**30)
    await station.close()


async def test_who_used_the_network_between_two_records_stands_in_the_next_though_it_rests_by_then() -> None:
    clock, history = ManualClock(now=T0), Kept()
    station = Station(CATALOGUE, clock, recorder=history, evidence=30.0)
    for second in range(70):
        clock.step_wall(T0 + second * 1000 - clock.now())
        burst = TalkerRow(key="curl", kind="process", pid=9, received=1000 * min(max(second - 40, 0), 5), sent=0)
        rows = [burst] if second >= 38 else []
        rest = TalkerRow(key="sshd", kind="process", pid=1, received=5, sent=0)
        await station.take(frame(second, Tables(processes=seen(second).processes, talkers=[*rows, rest])))
    by_time = {each.time: {row.key: row.receive_rate for row in each.talkers} for each in history.evidences}
    assert by_time[T0 + 31_000] == {}
    assert by_time[T0 + 61_000] == pytest.approx({"curl": 5000 / 30})
    await station.close()


async def test_devices_are_kept_by_this_clock_as_of_when_they_were_asked_for() -> None:
    clock, history = ManualClock(now=T0), Kept()
    station = Station(CATALOGUE, clock, recorder=history)
    await station.take(frame(0, Tables(devices=[TV])))
    # A full frame repeats what was read a while ago.
    clock.step_wall(60_000)
    await station.take(frame(60, Tables(devices=[TV]), reads={"devices": 150 * 10**9}))
    await station.take(frame(60, Tables(), seq=100))
    await station.take(frame(60, Tables(devices=[]), seq=101))
    assert [(each.key, each.last - T0) for each in history.devices_kept] == [(TV.key, 0), (TV.key, 50_000)]
    # Its clock is an hour ahead, as its status says.
    hour = 3_600_000
    await station.take(Status(host=HOST, state="live", skew=hour))
    await station.take(frame(61, Tables(devices=[TV]), time=T0 + 61_000 + hour, seq=102))
    assert history.devices_kept[-1].last == T0 + 61_000
    # What comes late is no later than it was.
    await station.take(frame(30, Tables(devices=[TV]), time=T0 + 30_000 + hour, seq=31), late=True)
    assert history.devices_kept[-1].last == T0 + 30_000
    await station.close()


async def test_without_a_recorder_nothing_is_kept_and_the_first_after_it_begins_is() -> None:
    clock, history = ManualClock(now=T0), Kept()
    station = Station(CATALOGUE, clock)
    for second in range(3):
        await station.take(frame(second, msgspec.structs.replace(seen(second), devices=[TV])))
    await station.begin(history, None, None)
    await station.take(frame(3, msgspec.structs.replace(seen(3), devices=[TV])))
    assert len(history.evidences) == len(history.devices_kept) == 1
    await station.close()
