"""Any history of counters, however it comes in and whenever it is tidied up, adds up to what the reads say."""

from __future__ import annotations

import random
from collections import defaultdict, deque
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

from hypothesis import given, settings
from hypothesis import strategies as st

from store.engine import Engine
from store.maintenance import Maintenance
from store.retention import Retention
from store.schema import connect, migrate, prepare
from store.views import View
from sysmon.catalogue import Catalogue, counter
from sysmon.clock import ManualClock
from sysmon.frame import Frame
from sysmon.records import HostInfo, Usage
from sysmon.zones import STEPS
from tests.store.worlds import HOST, START

HOUR = 3_600_000
BOOT, OWN = "net.receive:eth0", "device.receive:02:00:00:00:00:01"
CATALOGUE = Catalogue(
    [
        counter("net.receive", "bytes", "in", collector="network", instance="interface"),
        counter("device.receive", "bytes", "in", collector="devices", instance="device", lifetime="own"),
    ]
)


class Read(NamedTuple):
    """What one key was at one read of its collector."""

    at: int
    boot: str
    run: str
    value: int | None


class Script(NamedTuple):
    """What happens, step by step. `hours`: for which readings are kept."""

    seed: int
    zone: str
    hours: int
    steps: list[tuple[str, int]]


STEP = st.one_of(
    st.tuples(st.sampled_from(["reads_on", "late"]), st.integers(1, 70)),
    st.tuples(st.just("gap"), st.sampled_from([3, 11, 47, 190, 700, 2000, 5000])),
    st.tuples(st.sampled_from(["reboot", "restart", "fall", "anew", "dip", "away"]), st.integers(1, 40)),
    st.tuples(st.sampled_from(["deliver", "tidy", "tidy", "reopen"]), st.just(0)),
)
SCRIPTS = st.builds(
    Script,
    st.integers(0, 2**20),
    st.sampled_from(["", "Asia/Kathmandu", "Europe/Berlin", "America/St_Johns"]),
    st.sampled_from([5, 60]),
    st.lists(STEP, min_size=10, max_size=40),
)


class Played:
    """A host whose frames go into a history as a script says."""

    def __init__(self, script: Script) -> None:
        self.random = random.Random(script.seed)
        self.clock = ManualClock(START)
        self.connection = connect(":memory:")
        prepare(self.connection)
        migrate(self.connection, ":memory:", 1)
        self.engine = Engine(self.connection, CATALOGUE, self.clock)
        self.engine.take_host(HostInfo(id=HOST, timezone=script.zone))
        self.hours = script.hours
        self.retention = Retention(raw=script.hours * 3600, minute=20 * 86400, quarter=20 * 86400, free=0.0)
        self.maintenance = Maintenance(self.engine, self.retention, Path())
        self.time, self.monotonic = START, 10**12
        self.boots = self.runs = self.seq = 0
        self.values: dict[str, int | None] = {BOOT: 5000, OWN: 70_000}
        self.held: list[Frame] = []
        self.reads: dict[str, list[Read]] = {BOOT: [], OWN: []}
        for what, size in script.steps:
            getattr(self, what)(size)
        self.deliver()
        self.tidy()

    def frame(self, late: bool = False) -> None:
        self.time += 30_000
        self.monotonic += 30 * 10**9
        self.seq += 1
        for key, value in self.values.items():
            if value is not None and self.random.random() < 0.8:
                self.values[key] = value + self.random.randrange(100_000)
            self.reads[key].append(Read(self.time, f"boot-{self.boots}", f"run-{self.runs}", self.values[key]))
        made = Frame(
            host=HOST,
            boot=f"boot-{self.boots}",
            run=f"run-{self.runs}",
            seq=self.seq,
            time=self.time,
            monotonic=self.monotonic,
            readings={key: value for key, value in self.values.items() if value is not None},
            reads={"network": self.monotonic, "devices": self.monotonic},
            full=self.seq == 1,
        )
        self.clock.step_wall(self.time - self.clock.now())
        if late:
            self.held.append(made)
        else:
            self.engine.take_frame(made, self.time, late=False)

    def reads_on(self, count: int, late: bool = False) -> None:
        for _ in range(count):
            self.frame(late)

    def late(self, count: int) -> None:
        self.reads_on(count, late=True)

    def gap(self, minutes: int) -> None:
        if minutes * 60_000 > (self.hours - 4) * HOUR:
            # What comes later than the readings before it are kept is refused.
            self.deliver()
        self.time += minutes * 60_000
        self.monotonic += minutes * 60 * 10**9
        self.frame()

    def reboot(self, minutes: int) -> None:
        self.boots += 1
        self.restart(0)
        self.time += minutes * 60_000
        self.monotonic = minutes * 10**9
        self.values[BOOT] = self.random.randrange(50_000)

    def restart(self, _: int) -> None:
        self.runs += 1
        self.seq = 0

    def fall(self, size: int) -> None:
        for key, value in self.values.items():
            self.values[key] = value and value // (size + 1)
        self.frame()

    def dip(self, size: int) -> None:
        value = self.values[OWN]
        self.values[OWN] = value and value - value * size // 100
        self.frame()

    def anew(self, size: int) -> None:
        """The interface is created anew, and counts beyond where the old one was."""
        value = self.values[BOOT] or 0
        self.values[BOOT] = None
        self.frame()
        self.values[BOOT] = value + size * 1000
        self.frame()

    def away(self, size: int) -> None:
        kept = dict(self.values)
        self.values = {BOOT: None, OWN: None}
        self.reads_on(size)
        self.values = {BOOT: self.random.randrange(200_000), OWN: (kept[OWN] or 0) + size}

    def deliver(self, _: int = 0) -> None:
        self.random.shuffle(self.held)
        for frame in self.held:
            self.engine.take_frame(frame, self.clock.now(), late=True)
        self.held.clear()
        assert not self.engine.refused

    def tidy(self, _: int = 0) -> None:
        if self.time - min((frame.time for frame in self.held), default=self.time) > (self.hours - 2) * HOUR:
            self.deliver()
        before = self.clock.now()
        self.clock.step_wall(21 * 60_000)
        self.maintenance.hurry()
        while (steps := self.maintenance.due(asked=True)) is not None:
            deque(steps, 0)
        self.clock.step_wall(before - self.clock.now())

    def reopen(self, _: int = 0) -> None:
        self.engine = Engine(self.connection, CATALOGUE, self.clock)
        self.maintenance = Maintenance(self.engine, self.retention, Path())

    def usage(self, step: str) -> list[Usage]:
        view = View(self.connection, 0, Path("history.db"), CATALOGUE)
        return view.usage(HOST, START - HOUR, self.time + HOUR, step, ())


def grown(reads: list[Read], own: bool) -> dict[int, int]:
    """What each read adds, by its time: straight from the rules."""
    found: dict[int, int] = {}
    last: Read | None = None
    missed: set[str] = set()
    for read in reads:
        if read.value is None:
            missed.add(read.run)
            continue
        if last is not None and last.value is not None:
            same = own or (last.boot == read.boot and read.run not in missed)
            if same and read.value >= last.value:
                found[read.at] = read.value - last.value
            elif own and read.value * 2 >= last.value:
                found[read.at] = 0
            else:
                found[read.at] = read.value
        last = read
        missed.clear()
    return found


def tiled(found: list[Usage]) -> bool:
    """Whether the buckets of a key follow each other without overlap."""
    return all(earlier.end <= later.start for earlier, later in pairwise(found))


@given(SCRIPTS)
@settings(max_examples=35, deadline=None)
def test_every_step_adds_up_to_what_the_reads_say(script: Script) -> None:
    played = Played(script)
    wanted = {BOOT: grown(played.reads[BOOT], False), OWN: grown(played.reads[OWN], True)}
    told = {step: played.usage(step) for step in STEPS}
    for key, reads in wanted.items():
        of_key = {step: [each for each in found if each.key == key] for step, found in told.items()}
        for step, found in of_key.items():
            assert sum(each.bytes for each in found) == sum(reads.values()), (key, step)
            assert tiled(found), (key, step)
        exact: dict[int, int] = defaultdict(int)
        for at, size in reads.items():
            exact[at // 300_000 * 300_000] += size
        for each in of_key["fiveminute"]:
            if not each.estimated and not each.at_least:
                assert each.bytes == exact[each.start], key
        for coarse in STEPS[1:]:
            for each in of_key[coarse]:
                parts = [part for part in of_key["fiveminute"] if each.start <= part.start < each.end]
                assert sum(part.bytes for part in parts) == each.bytes, (key, coarse)
    played.connection.close()
