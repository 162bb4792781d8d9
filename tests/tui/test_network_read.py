"""What the Network screen asks of a history, from real ones: since when anything is known."""

from __future__ import annotations

from datetime import UTC
from typing import TYPE_CHECKING

import msgspec
import pytest

from collectors.registry import catalogue
from sysmon.bandwidth import Amount
from sysmon.clock import ManualClock
from sysmon.frame import DeviceRow, Frame, Number
from sysmon.records import HostInfo, Moment, Past, UsagePiece
from tests.store.helpers import put, reading, recording
from tests.store.worlds import HOST
from tests.tui.scripted import Script, ScriptedHistory
from tui.devicerows import build
from tui.model import HostModel
from tui.networkmoment import used_by
from tui.networkread import read_range, read_since, read_top_days, read_totals
from tui.screens.network import NetworkScreen
from tui.timetravel import PastReader

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from sysmon.bandwidth import Kind

pytestmark = pytest.mark.anyio

HOUR, DAY = 3_600_000, 86_400_000
BEGUN = 1_795_284_083_000
"""2026-11-21 18:01:23 UTC."""


def frames(name: str, count: int = 600) -> list[Frame]:
    """One a second from `BEGUN` on, with traffic in each."""
    return [
        Frame(
            host=HOST, run="a" * 16, seq=1 + at, boot="b" * 32, time=BEGUN + 1000 * at, monotonic=(50 + at) * 10**9,
            readings={f"net.receive:{name}": 5000 * at, f"net.transmit:{name}": 100 * at},
            reads={"network": (50 + at) * 10**9}, intervals={"network": 1.0}, full=not at,
        )
        for at in range(count)
    ]  # fmt: skip


async def since(path: Path, pieces: Sequence[UsagePiece] = (), *, before: int = 0) -> tuple[int, ...]:
    """From when on eth0 is said to be known, where vnStat told pieces."""
    clock = ManualClock(BEGUN)
    async with recording(path, clock) as recorder:
        await recorder.record_host(HostInfo(id=HOST, timezone="UTC"))
        if pieces:
            await recorder.record_past(Past(host=HOST, source="vnstat", time=BEGUN, pieces=[*pieces]))
        await put(recorder, clock, frames("eth0"))
        await recorder.flush()
    async with reading(path, clock) as history:
        return await read_since(history, HOST, "interface", clock.now() - before, UTC, ["eth0"])


async def test_it_is_known_since_the_first_frame_and_not_since_the_beginning_of_its_month(tmp_path: Path) -> None:
    assert await since(tmp_path / "history.db") == (BEGUN,)


async def test_what_others_told_goes_back_further(tmp_path: Path) -> None:
    key = "net.receive:eth0"
    hours = BEGUN // HOUR * HOUR
    told = [UsagePiece(key, hours - 3 * HOUR, hours - 2 * HOUR, 1000)]
    assert await since(tmp_path / "hour.db", told) == (hours - 3 * HOUR,)
    days = BEGUN // DAY * DAY
    told.append(UsagePiece(key, days - 40 * DAY, days - 39 * DAY, 1000))
    assert await since(tmp_path / "day.db", told) == (days - 40 * DAY,)


async def test_before_anything_is_known_there_is_nothing(tmp_path: Path) -> None:
    assert await since(tmp_path / "history.db", before=2 * HOUR) == ()


@pytest.mark.parametrize("seconds", [93, 400, 580])
async def test_totals_of_a_moment_end_there(tmp_path: Path, seconds: int) -> None:
    path, clock = tmp_path / "history.db", ManualClock(BEGUN)
    async with recording(path, clock) as recorder:
        await recorder.record_host(HostInfo(id=HOST, timezone="UTC"))
        await put(recorder, clock, frames("eth0", 4000))
        await recorder.flush()
    time = BEGUN + 1000 * seconds
    async with reading(path, clock) as history:
        totals = await read_totals(history, HOST, "interface", time, UTC)
        ranged = await read_range(history, HOST, "interface", "today", time, UTC)
        top = await read_top_days(history, HOST, "interface", time, UTC, ["eth0"])
        live = await read_totals(history, HOST, "interface", BEGUN + 3_999_000, UTC, live=True)
    expected = 5000 * seconds
    for told in (totals.today, totals.week, totals.month, totals.all, ranged.amounts, ranged.buckets[-1].amounts):
        assert told["eth0"].receive == pytest.approx(expected, rel=0.01)
        assert told["eth0"].mark == "~", "the five minutes are cut"
    assert len(ranged.buckets) == 1
    assert top[0][1].receive == totals.all["eth0"].receive
    assert not totals.yesterday
    assert live.today["eth0"] == Amount(5000 * 3999, 100 * 3999), "of now all is there"


@pytest.mark.parametrize(
    ("kind", "value", "bytes_of", "mark"),
    [
        ("interface", 700, 700, "≥"), ("interface", 90_000, 70_000, "~"), ("device", 700, 700, "≥"),
        ("device", 19_000, 0, "≥"), ("device", 90_000, 70_000, "~"), ("device", 20_000, 0, ""),
    ],
)  # fmt: skip
async def test_a_counter_that_fell_within_the_last_minutes_counts_at_least(
    kind: Kind, value: int, bytes_of: int, mark: str
) -> None:
    key = "net.receive:eth0" if kind == "interface" else f"device.receive:{MAC}"
    start = BEGUN // 300_000 * 300_000
    base, there = (
        msgspec.structs.replace(frames("x", 1)[0], time=time, readings={key: number, "net.receive:new": 5})
        for time, number in ((start - 1000, 20_000), (BEGUN, value))
    )

    class Cut(ScriptedHistory):
        async def moment(self, host: str, time: int, step: int = 0) -> Moment | None:
            return Moment(frame=there if time >= BEGUN else base)

    told = await used_by(Cut(Script(), []), HOST, kind, start, BEGUN, UTC)
    name = key.partition(":")[2]
    assert (told[name].receive, told[name].mark) == (bytes_of, mark)


MAC = "02:aa:bb:00:00:01"
QUIET = "02:aa:bb:00:00:02"


def looks(count: int) -> list[Frame]:
    """A router read every five seconds, its devices at every sixth look, at 2000 bytes per second."""
    found = []
    for at in range(count):
        read = (50 + 5 * at) * 10**9
        devices = (50 + 30 * (at // 6)) * 10**9
        full, looked = at % 12 == 0, at % 6 == 0
        readings: dict[str, Number] = {"net.receive:wan": 50_000 * at}
        if full or looked:
            bytes_of = {"device.receive": 60_000 * (at // 6), "device.transmit": 3000 * (at // 6)}
            readings |= {f"{metric}:{MAC}": value for metric, value in bytes_of.items()}
            readings |= {f"{metric}:{QUIET}": 777 for metric in bytes_of}
        found.append(
            Frame(
                host=HOST, run="a" * 16, seq=1 + at, boot="b" * 32, time=BEGUN + 5000 * at, monotonic=read,
                readings=readings, reads={"network": read, **({"devices": devices} if full or looked else {})},
                intervals={"network": 5.0, "devices": 30.0} if full else {}, full=full,
            )
        )  # fmt: skip
    return found


@pytest.mark.parametrize("seconds", [150, 165, 175, 180, 185])
async def test_devices_of_the_past_have_the_rates_of_their_step_at_any_moment_of_it(
    tmp_path: Path, seconds: int
) -> None:
    clock = ManualClock(BEGUN)
    path = tmp_path / "history.db"
    rows = [DeviceRow(key=key, mac=key, source="nlbwmon", layer="L3", online=True) for key in (MAC, QUIET)]
    async with recording(path, clock, catalogue=catalogue()) as recorder:
        await recorder.record_host(HostInfo(id=HOST, timezone="UTC"))
        await recorder.record_devices(HOST, rows, BEGUN)
        await put(recorder, clock, looks(60))
        await recorder.record_devices(HOST, rows, clock.now())
        await recorder.flush()
    async with reading(path, clock, catalogue=catalogue()) as history:
        host = HostModel(HostInfo(id=HOST, timezone="UTC"), catalogue())
        landing = await PastReader(host, history, NetworkScreen.GRAPHED, clock.now()).at(BEGUN + 1000 * seconds)
        assert landing.view is not None
        known = await history.devices(HOST)
        busy, quiet = build(landing.view, known, {})
    assert busy.receive == pytest.approx(2000, rel=1e-6)
    assert busy.transmit == pytest.approx(100, rel=1e-6)
    assert (busy.online, busy.last) == (True, landing.view.time)
    assert (quiet.receive, quiet.transmit) == (0, 0)
    assert quiet.online is None, "whether who moved nothing was there is not kept"
