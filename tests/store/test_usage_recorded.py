"""Usage from frames to answers: interfaces created anew, narrow counters, devices that come and go, long retention."""

import random
from itertools import pairwise
from pathlib import Path

import pytest

from store.retention import Retention
from sysmon.catalogue import Catalogue, counter, gauge
from sysmon.clock import ManualClock
from sysmon.frame import Frame, Number
from sysmon.records import HostInfo, Usage
from tests.store.helpers import KEEP, put, reading, recording, rows, seal_all
from tests.store.worlds import HOST, START

HOUR, DAY = 3_600_000, 86_400_000
RECEIVE, TRANSMIT, SPEED = "net.receive:eth0", "net.transmit:eth0", "net.link_speed:eth0"
CATALOGUE = Catalogue(
    [
        counter("net.receive", "bytes", "in", collector="network", instance="interface"),
        counter("net.transmit", "bytes", "out", collector="network", instance="interface"),
        gauge("net.link_speed", "bytes/s", "speed", collector="network", instance="interface"),
        counter("device.receive", "bytes", "in", collector="devices", instance="device", lifetime="own"),
    ]
)


class Box:
    """A host that is read now and then."""

    def __init__(self, collector: str = "network", every: int = 10) -> None:
        self.collector, self.every = collector, every
        self.time, self.monotonic, self.seq = START, 10**12, 0
        self.boot, self.run = "boot-1", "aa"

    def read(self, **values: Number) -> Frame:
        """The next frame; `net_receive` stands for the interface's counter, and so on."""
        self.time += self.every * 1000
        self.monotonic += self.every * 10**9
        self.seq += 1
        names = {"receive": RECEIVE, "transmit": TRANSMIT, "speed": SPEED}
        return Frame(
            host=HOST,
            boot=self.boot,
            run=self.run,
            seq=self.seq,
            time=self.time,
            monotonic=self.monotonic,
            readings={names.get(key, f"device.receive:{key}"): value for key, value in values.items()},
            reads={self.collector: self.monotonic},
            full=self.seq == 1,
        )


def copy(path: Path, to: Path) -> None:
    """What a crash at this moment would leave."""
    for end in ("", "-wal"):
        Path(f"{to}{end}").write_bytes(Path(f"{path}{end}").read_bytes())


def total(found: list[Usage], key: str) -> tuple[int, bool]:
    """Bytes of a counter, and whether they are marked."""
    return sum(each.bytes for each in found if each.key == key), any(each.at_least for each in found if each.key == key)


@pytest.mark.anyio
@pytest.mark.parametrize("ticks", [5, 59, 60, 61, 130])
async def test_an_interface_created_anew_is_counted_exactly(tmp_path: Path, ticks: int) -> None:
    """As the collector tells it: a counter that did not fall is left out of the first read. Wherever a block ends."""
    path, clock, box = tmp_path / "history.db", ManualClock(START), Box()
    frames = [box.read(receive=10_000 + 100 * tick, transmit=900_000 + 10 * tick) for tick in range(ticks)]
    # The new one has received more than the old one had, and sent less.
    frames.append(box.read(transmit=50))
    frames += [box.read(receive=70_000 + 100 * tick, transmit=60 + tick) for tick in range(100)]
    receive = 100 * (ticks - 1) + 70_000 + 100 * 99
    transmit = 10 * (ticks - 1) + 60 + 99
    async with recording(path, clock, catalogue=CATALOGUE) as recorder, reading(path, catalogue=CATALOGUE) as history:
        await put(recorder, clock, frames)
        for _ in range(2):
            await recorder.flush()
            found = await history.usage(HOST, START, START + HOUR, "hour")
            assert (total(found, RECEIVE), total(found, TRANSMIT)) == ((receive, True), (transmit, True))
            await seal_all(recorder, clock)


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("arch", "speed", "wraps"),
    [("armv7l", None, True), ("armv7l", 12.5e6, False), ("armv7l", 1.25e8, True), ("x86_64", None, False)],
)
async def test_a_narrow_machine_wraps_as_far_as_its_link_goes(
    tmp_path: Path, arch: str, speed: float | None, wraps: bool
) -> None:
    path, clock, box = tmp_path / "history.db", ManualClock(START), Box()
    more: dict[str, Number] = {} if speed is None else {"speed": speed}
    frames = [box.read(receive=2**32 - 10**9 - 100 + tick, **more) for tick in range(90)]
    frames += [box.read(receive=400, **more)]
    size = 89 + 400 + (10**9 + 100 - 89 if wraps else 0)
    async with recording(path, clock, catalogue=CATALOGUE) as recorder, reading(path, catalogue=CATALOGUE) as history:
        await recorder.record_host(HostInfo(id=HOST, arch=arch))
        await put(recorder, clock, frames)
        for _ in range(2):
            await recorder.flush()
            found = await history.usage(HOST, START, START + HOUR, "hour")
            assert total(found, RECEIVE) == (size, not wraps)
            await seal_all(recorder, clock)


@pytest.mark.anyio
async def test_devices_come_and_go_and_their_router_boots(tmp_path: Path) -> None:
    path, clock, box = tmp_path / "history.db", ManualClock(START), Box("devices", 30)
    chance = random.Random(8)
    names = [f"02:00:00:00:00:{number:02x}" for number in range(12)]
    counted: dict[str, int] = {}
    frames = []
    for tick in range(600):
        if tick % 150 == 149:
            box.boot, box.run, box.seq = f"boot-{tick}", f"run-{tick}", 0
        values: dict[str, Number] = {}
        for name in names:
            if tick == 400:
                # A new period of the router's own counting.
                counted[name] = counted.get(name, 0) // 3
            if chance.random() < 0.6:
                counted[name] = counted.get(name, 0) + chance.randrange(10**6)
            if name in counted and (chance.random() < 0.7 or tick in (0, 399, 400, 599)):
                values[name] = counted[name]
        frames.append(box.read(**values))
    async with recording(path, clock, catalogue=CATALOGUE) as recorder, reading(path, catalogue=CATALOGUE) as history:
        for number in range(0, 600, 100):
            await put(recorder, clock, frames[number : number + 100])
            await recorder.maintain()
        for step in ("fiveminute", "hour", "day"):
            found = await history.usage(HOST, START, START + DAY, step)
            for name in names:
                key = f"device.receive:{name}"
                series = [int(frame.readings[key]) for frame in frames if key in frame.readings]
                # What it had counted by the first read is not known to have flowed since.
                wanted = sum(after - value if after >= value else after for value, after in pairwise(series))
                assert total(found, key)[0] == wanted, name


@pytest.mark.anyio
async def test_a_year_of_readings_kept_makes_no_question_slow(tmp_path: Path) -> None:
    """Blocks are folded long before their readings are removed."""
    path, clock, box = tmp_path / "history.db", ManualClock(START), Box("devices", 300)
    kept = Retention(raw=365 * 86400, free=0.0)
    frames = [box.read(a=tick * 1000) for tick in range(4 * 288)]
    async with recording(path, clock, retention=kept, catalogue=CATALOGUE) as recorder:
        for number in range(0, len(frames), 288):
            await put(recorder, clock, frames[number : number + 288])
            await recorder.maintain()
        async with reading(path, catalogue=CATALOGUE) as history:
            found = await history.usage(HOST, START, clock.now(), "day")
            assert sum(each.bytes for each in found) == (len(frames) - 1) * 1000
    assert rows(path, "SELECT count(*) < 80 FROM usage_block WHERE folded = 0") == [(1,)]
    assert rows(path, "SELECT count(*) > 500 FROM usage_block") == [(1,)]


@pytest.mark.anyio
async def test_a_recorder_killed_between_two_commits_counts_on(tmp_path: Path) -> None:
    """What is in the file at any moment, opened anew, goes on to the same totals."""
    path, clock, box = tmp_path / "history.db", ManualClock(START), Box("devices", 60)
    frames = [box.read(a=tick * 1000, b=tick * 7) for tick in range(2000)]
    for number in range(0, 2000, 400):
        # As after a crash: nothing was said at the end.
        async with recording(path, clock, retention=KEEP, catalogue=CATALOGUE) as recorder:
            for frame in frames[max(0, number - 50) : number]:
                await recorder.record(frame, received=clock.now(), late=True)
            await put(recorder, clock, frames[number : number + 400])
            await recorder.flush()
            copied = tmp_path / f"copy-{number}.db"
            copy(path, copied)
            await recorder.maintain()
        path = copied
        async with recording(path, clock, catalogue=CATALOGUE) as recorder:
            await recorder.maintain()
        async with reading(path, catalogue=CATALOGUE) as history:
            for step in ("hour", "month"):
                found = await history.usage(HOST, START, clock.now(), step)
                assert total(found, "device.receive:a") == ((number + 399) * 1000, False)
                assert total(found, "device.receive:b") == ((number + 399) * 7, False)
