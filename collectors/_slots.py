"""What the runner keeps of each collector: when it is due, what it last gave, how it fails; and its thread."""

from __future__ import annotations

import queue
import threading
import time
from typing import TYPE_CHECKING

from collectors.base import Reading
from sysmon.catalogue import counter
from sysmon.frame import Fault, Tables

if TYPE_CHECKING:
    from collections.abc import Callable

    from collectors.base import Collector

Outcome = Reading | Fault | BaseException
"""What came of a read; a `BaseException` that is none of `Exception` is raised again in the runner."""

BACK_OFF_LIMIT = 300
"""Seconds between attempts of a failing collector at most, unless its own interval is longer."""

_NO_TABLES = Tables()

METRICS = (
    counter(
        "sysmon.ticks.missed",
        "",
        "Seconds without a sample: the machine slept, or was too busy to take one",
        "the runner",
        collector="runner",
    ),
)
"""What the runner itself reports."""


class Worker:
    """The daemon thread of a collector that may block, reused from read to read; one that hangs blocks no exit."""

    def __init__(self, collector: Collector, deliver: Callable[[int, Outcome, float], None]) -> None:
        self._collector = collector
        self._deliver = deliver
        self._requests: queue.SimpleQueue[int | None] = queue.SimpleQueue()
        threading.Thread(target=self._work, name=f"sysmon-{collector.name}", daemon=True).start()

    def ask(self, token: int) -> None:
        """Has it read; the outcome is delivered with the token."""
        self._requests.put(token)

    def stop(self) -> None:
        """Ends the thread once it is idle."""
        self._requests.put(None)

    def _work(self) -> None:
        while (token := self._requests.get()) is not None:
            began = time.perf_counter()
            outcome: Outcome
            try:
                outcome = self._collector.read()
            except Exception as error:
                outcome = self._collector.fault(error)
            except BaseException as error:
                outcome = error
            self._deliver(token, outcome, time.perf_counter() - began)
            del outcome


class Slot:
    """One collector under the runner. Times of reads are nanoseconds since boot, `due` is a number of a tick.

    Attributes:
        reading, read_at: the last success and when it was asked for.
        faults: what is wrong at present; `broken`: whether the last read failed.
        paced: seconds between reads as its source wants them, None where it has no wish.
        busy: a thread is reading; `late`: beyond its deadline.
        cost: seconds that the last read took.
    """

    __slots__ = (
        "asked",
        "broken",
        "busy",
        "collector",
        "configured",
        "cost",
        "deadline",
        "due",
        "every",
        "evidence",
        "failures",
        "faults",
        "has_tables",
        "interval",
        "late",
        "name",
        "paced",
        "phase",
        "read_at",
        "reading",
        "token",
        "watchers",
        "worker",
    )

    def __init__(self, collector: Collector, configured: float, evidence: float, phase: int) -> None:
        self.collector = collector
        self.name = collector.name
        self.configured = max(1.0, configured)
        self.evidence = evidence
        self.phase = phase
        self.deadline = int(collector.deadline * 1e9)
        self.watchers: list[float] = []
        self.interval = self.configured
        self.every = 1
        self.due = 0
        self.failures = 0
        self.asked = 0
        self.token = 0
        self.busy = False
        self.late = False
        self.broken = False
        self.worker: Worker | None = None
        self.reading: Reading | None = None
        self.read_at = 0
        self.has_tables = False
        self.paced: float | None = None
        self.faults: list[Fault] = []
        self.cost = 0.0
        self._pace()

    def retime(self, number: int) -> None:
        """Takes a changed interval into account: at the next tick where it became shorter, else after the next read."""
        before = self.every
        self._pace()
        if self.every < before and not self.failures:
            self.due = min(self.due, number + 1)

    def start(self, asked: int) -> None:
        """Has the thread read."""
        assert self.worker is not None
        self.asked = asked
        self.busy, self.late = True, False
        self.token += 1
        self.worker.ask(self.token)

    def returned(self, token: int) -> bool:
        """Notes that the thread is back; returns whether its outcome still counts."""
        counts = not self.late and token == self.token
        self.busy = self.late = False
        return counts

    def expire(self, now: int, number: int) -> None:
        """Gives up on the present read; the thread is not asked again before it has returned."""
        self.late = True
        self.cost = (now - self.asked) / 1e9
        what = (
            f"no answer within {self.collector.deadline:g} s"
            if self.cost >= self.collector.deadline
            else "no answer yet"
        )
        self.failed(
            Fault(self.name, "timeout", f"{self.name}: {what}", "it is tried again once the read returns"), number
        )

    def failed(self, fault: Fault, number: int) -> None:
        """Notes a failure; the next attempt waits twice as long as the last."""
        self.failures += 1
        self.broken = True
        self.faults = [fault]
        self.due = number + max(self.every, min(BACK_OFF_LIMIT, self.every << min(self.failures, 10)))

    def succeeded(self, reading: Reading, number: int) -> None:
        """Notes a success; the next read is at the collector's own phase, so that slow ones fall in different ticks."""
        self.failures = 0
        self.broken = False
        self.faults = reading.faults
        self.reading = reading
        self.read_at = self.asked
        self.has_tables = reading.tables != _NO_TABLES
        if reading.interval != self.paced:
            self.paced = reading.interval
            self._pace()
        self.due = number + 1 + (self.phase - number - 1) % self.every

    def unchanged(self, number: int) -> None:
        """Notes a read that found nothing newer: what was told stays as old as it is."""
        self.due = number + 1 + (self.phase - number - 1) % self.every

    def valid(self, now: int) -> bool:
        """Whether the last success is younger than two intervals, as a reader judges it too."""
        return (now - self.read_at) / 1e9 <= 2 * self.interval + 0.5

    def stop(self) -> None:
        """Lets the thread end."""
        if self.worker is not None:
            self.worker.stop()
            self.worker = None

    def _pace(self) -> None:
        if self.collector.expensive:
            self.interval = max(self.configured, min(self.watchers)) if self.watchers else self.evidence
        else:
            self.interval = self.configured if self.paced is None else max(1.0, self.paced)
            if self.configured > self.collector.interval:
                # It was slowed on purpose.
                self.interval = max(self.interval, self.configured)
        self.every = max(1, round(self.interval))
        self.interval = float(self.every)
