"""Made-up hosts for tests of the history: frames as the runner makes them, and what brute force says about them."""

from __future__ import annotations

import math
import random
from typing import TYPE_CHECKING

import msgspec

from sysmon.catalogue import Catalogue, Formula, Metric, counter, derived, gauge, rate
from sysmon.derive import State
from sysmon.frame import Fault, Frame, Number
from sysmon.records import Point

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

START = 1_795_219_200_000
"""2026-11-21T00:00:00Z, the start of a 12-hour page."""

HOST = "00112233aabbccdd"
_CPU = ("cpu.time.user", "cpu.time.system", "cpu.time.idle")


def _metrics(collector: str, *metrics: Metric) -> list[Metric]:
    return [msgspec.structs.replace(each, collector=collector) for each in metrics]


CATALOGUE = Catalogue(
    [
        *_metrics(
            "cpu",
            *(counter(name, "seconds", "time") for name in _CPU),
            derived("cpu.utilization", "ratio", "busy", Formula("delta_ratio", _CPU[:2], _CPU, 1.0)),
        ),
        *_metrics("load", gauge("load.1", "", "load", precision=2)),
        *_metrics(
            "memory",
            gauge("memory.used", "bytes", "used"),
            gauge("memory.total", "bytes", "total", rollup=False),
            derived("memory.utilization", "ratio", "part", Formula("value_ratio", ("memory.used",), ("memory.total",))),
        ),
        *_metrics(
            "network",
            counter("net.receive", "bytes", "in", instance="interface"),
            counter("net.transmit", "bytes", "out", instance="interface"),
            rate("net.receive_rate", "net.receive", "bytes/s", "in", instance="interface"),
            rate("net.transmit_rate", "net.transmit", "bytes/s", "out", instance="interface"),
        ),
        *_metrics("filesystems", gauge("fs.used", "bytes", "used", instance="mount")),
        *_metrics("sensors", gauge("temperature", "celsius", "temperature", precision=1, instance="sensor")),
    ]
)

INTERVALS = {"cpu": 1.0, "load": 5.0, "memory": 1.0, "network": 1.0, "filesystems": 15.0, "sensors": 5.0}


class World:
    """One host whose frames are drawn from a seed, tick by tick.

    `start`: time of its first tick; `boot`, `run`: their names. `spacing`: seconds between ticks. `interfaces` may be
    changed while it runs. `slow`: collectors that read every so many ticks only, in between full frames.
    """

    def __init__(self, seed: int = 1, *, host: str = HOST, start: int = START, boot: str = "boot-1", run: str = "aa"):
        self.random = random.Random(seed)
        self.host = host
        self.boot = boot
        self.run = run
        self.time = start
        self.monotonic = 5_000 * 10**9
        self.seq = 0
        self.spacing = 1
        self.interfaces = ["eth0", "lo"]
        self.counters: dict[str, Number] = {}
        self.used = 8 * 2**30
        self.catalogue = CATALOGUE
        self.slow: dict[str, int] = {}
        self._said: dict[str, tuple[int, dict[str, Number]]] = {}

    def reboot(self, boot: str, after: float) -> None:
        """Starts a new boot `after` seconds after the last tick, with new counters and a new run."""
        self.time += int(after * 1000)
        self.monotonic = 20 * 10**9
        self.counters.clear()
        self._said.clear()
        self.boot, self.run, self.seq = boot, f"run-of-{boot}", 0

    def skip(self, ticks: int) -> None:
        """Lets ticks pass whose frames nobody sees."""
        for _ in range(ticks):
            self.tick()

    def tick(self) -> Frame:
        """Returns the next frame."""
        draw = self.random
        number = self.seq
        self.seq += 1
        full = number % 60 == 0
        readings: dict[str, Number] = {}
        reads: dict[str, int] = {}
        faults: list[Fault] = []
        for name, values in self._values().items():
            if self.slow and name in self.slow and number % self.slow[name] != 7:
                # As the runner does: a full frame repeats what was read before it.
                if full and name in self._said:
                    reads[name], said = self._said[name]
                    readings.update(said)
            elif full or number % int(INTERVALS[name]) == 0:
                self._said[name] = (self.monotonic, values)
                if name == "sensors" and not full and draw.random() < 0.1:
                    faults.append(Fault("sensors", "timeout", "the sensor did not answer"))
                    continue
                readings.update(values)
                reads[name] = self.monotonic
        frame = Frame(
            host=self.host,
            boot=self.boot,
            run=self.run,
            seq=self.seq,
            time=self.time,
            monotonic=self.monotonic,
            readings=readings,
            reads=reads,
            full=full,
            intervals=dict(INTERVALS) if full else {},
            faults=faults,
        )
        self.time += 1000 * self.spacing
        self.monotonic += 1_000_000_000 * self.spacing + draw.randrange(-200_000, 200_000)
        return frame

    def frames(self, count: int) -> list[Frame]:
        """Returns the next frames."""
        return [self.tick() for _ in range(count)]

    def _values(self) -> dict[str, dict[str, Number]]:
        draw = self.random
        busy = abs(draw.gauss(0.3, 0.2)) + 0.2 * math.sin(self.seq / 300) ** 2
        for name, part in zip(_CPU, (busy * 0.7, busy * 0.3, max(0.0, 2 - busy)), strict=True):
            self.counters[name] = round(self.counters.get(name, 100.0) + part, 2)
        for interface in self.interfaces:
            for name in ("net.receive", "net.transmit"):
                key = f"{name}:{interface}"
                grown = int(draw.expovariate(1 / 20_000)) if draw.random() < 0.7 else 0
                self.counters[key] = self.counters.get(key, 10_000) + grown
        self.used = max(2**20, self.used + 4096 * int(draw.gauss(0, 300)))
        return {
            "cpu": {name: self.counters[name] for name in _CPU},
            "load": {"load.1": round(busy * 4, 2)},
            "memory": {"memory.used": self.used, "memory.total": 2**34},
            "network": {
                f"{name}:{interface}": self.counters[f"{name}:{interface}"]
                for interface in self.interfaces
                for name in ("net.receive", "net.transmit")
            },
            "filesystems": {"fs.used:/": 40 * 2**30 + 4096 * self.seq, "fs.used:/home": 2**33},
            "sensors": {"temperature:cpu/package": round(50 + 10 * busy + draw.gauss(0, 1), 1)},
        }


class Reads:
    """Brute force: every value of one series with its time, by `State` frame by frame, and what a mean divides."""

    def __init__(self, frames: Sequence[Frame], key: str, catalogue: Catalogue = CATALOGUE) -> None:
        self.ats: list[int] = []
        self.values: list[float] = []
        self.parts: list[tuple[float, float]] = []
        metric = catalogue.of_key(key)
        assert metric is not None
        self.formula = metric.formula
        instance = key.partition(":")[2]
        state = State(catalogue)
        seen: int | None = None
        boot = ""
        before: dict[str, Number] = {}
        for frame in frames:
            state.apply(frame)
            if frame.boot != boot:
                boot, seen, before = frame.boot, None, {}
            read = frame.reads.get(metric.collector)
            if read is None or read == seen:
                continue
            value = state.derived().get(key) if metric.formula is not None else frame.readings.get(key)
            if value is not None:
                self.ats.append(frame.time)
                self.values.append(value)
                self.parts.append(self._parts(frame, before, read, seen, instance, value))
            seen = read
            before = dict(frame.readings)

    def _parts(
        self, frame: Frame, before: dict[str, Number], read: int, seen: int | None, instance: str, value: float
    ) -> tuple[float, float]:
        if self.formula is None or self.formula.kind == "value_ratio":
            return value, 1
        assert seen is not None
        end = f":{instance}" if instance else ""
        top = sum(frame.readings[name + end] - before[name + end] for name in self.formula.over)
        if self.formula.kind == "rate":
            return top, (read - seen) / 1e9
        return top, sum(frame.readings[name + end] - before[name + end] for name in self.formula.per)

    def points(self, start: int, end: int, step: int) -> list[Point]:
        """Returns the points that a query ought to give, p95 exact."""
        found: dict[int, list[int]] = {}
        for index, at in enumerate(self.ats):
            if start <= at < end:
                found.setdefault(at // step, []).append(index)
        return [self._point(number * step, indices) for number, indices in sorted(found.items())]

    def _point(self, time: int, indices: list[int]) -> Point:
        values = [self.values[index] for index in indices]
        top, bottom = (sum(self.parts[index][side] for index in indices) for side in (0, 1))
        ordered = sorted(values)
        return Point(
            time=time,
            count=len(values),
            min=ordered[0],
            mean=top / bottom,
            max=ordered[-1],
            last=values[-1],
            p95=ordered[math.ceil(0.95 * len(ordered)) - 1],
        )


def same_points(found: Sequence[Point], wanted: Sequence[Point], *, sketched: bool) -> Iterator[str]:
    """Yields what differs beyond what the tier allows."""
    if [each.time for each in found] != [each.time for each in wanted]:
        yield f"times {[each.time for each in found][:5]}… for {[each.time for each in wanted][:5]}…"
        return
    near = 1e-4 if sketched else 1e-9
    for got, want in zip(found, wanted, strict=True):
        if got.count != want.count:
            yield f"{got.time}: count {got.count} for {want.count}"
        for name, error in (
            ("min", near),
            ("max", near),
            ("last", near),
            ("mean", 1e-6),
            ("p95", 0.021 if sketched else near),
        ):
            left, right = getattr(got, name), getattr(want, name)
            if not math.isclose(left, right, rel_tol=error, abs_tol=1e-6):
                yield f"{got.time}: {name} {left} for {right}"
