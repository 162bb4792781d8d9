"""Rates and ratios from raw readings: the one code path for live, remote and replayed data.

`State.apply(frame)` folds sparse frames into the latest value of each series with the time of its read and its
predecessor; `State.derived()`
computes every derived metric from those. Elapsed time is the boot clock's, within one boot. A counter that fell yields
no value.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from sysmon.frame import Fault, Frame, Number, ProcessRow, Tables, join_key, split_key
from sysmon.rowrates import RowRates

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sysmon.catalogue import Catalogue, Formula
    from sysmon.frame import ConnectionRow, TalkerRow

MAX_TAUGHT_WORK = 50_000
"""Parts of formulas of one host that come from peers; those of this program are not bounded. Of the latter a machine of
256 cores has about 15,000."""
DEFAULT_INTERVAL = 60.0
"""Seconds assumed between reads of a collector whose interval was never told."""


SHARED_TEXTS = 10_000
"""Keys that are held once for all hosts, at most."""
_texts: dict[str, str] = {}


def _shared(text: str) -> str:
    return _texts.setdefault(text, text) if len(_texts) < SHARED_TEXTS else _texts.get(text, text)


class Sample(NamedTuple):
    """A value and the nanoseconds since boot at which it was read."""

    value: Number
    at: int


class _Process(NamedTuple):
    raw: ProcessRow
    filled: ProcessRow
    at: int
    idle: bool


class _Plan(NamedTuple):
    key: str
    formula: Formula
    over: tuple[str, ...]
    per: tuple[str, ...]


def increase(before: Sample | None, now: Sample | None) -> Number | None:
    """Returns how much a counter grew between two reads; None without both, without time between them, or when it
    fell.
    """
    if before is None or now is None or now.at <= before.at or now.value < before.value:
        return None
    return now.value - before.value


class State:
    """The latest value of every series of one host, with its predecessor.

    Values whose collector has not read for two of its intervals are missing (`readings` leaves them out).
    """

    def __init__(self, catalogue: Catalogue) -> None:
        self.catalogue = catalogue
        self.frame: Frame | None = None
        self.intervals: dict[str, float] = {}
        self.reads: dict[str, int] = {}
        self.tables = Tables()
        self._now: dict[str, Sample] = {}
        self._before: dict[str, Sample] = {}
        self._faults: dict[str, list[Fault]] = {}
        self._collector: dict[str, str] = {}
        self._keys: dict[str, set[str]] = {}
        self._plans: list[_Plan] | None = None
        self._derived: dict[str, float] | None = None
        self._some: tuple[frozenset[str], list[_Plan], list[str]] | None = None
        self._processes: dict[tuple[int, float], _Process] = {}
        self.processes: list[ProcessRow] = []
        """The processes of the last read, with their derived rates filled in."""
        self._traffic = RowRates()

    @property
    def connections(self) -> list[ConnectionRow]:
        """The connections of the last read, with their rates."""
        return self._traffic.connections

    @property
    def talkers(self) -> list[TalkerRow]:
        """Who used the network by the last read, with their rates."""
        return self._traffic.talkers

    def apply(self, frame: Frame) -> None:
        """Folds one frame in. Frames must come in order; one older than the last of its boot is ignored."""
        last = self.frame
        if last is not None:
            if last.boot != frame.boot or last.host != frame.host:
                self._forget()
            elif frame.monotonic < last.monotonic:
                return
        self.frame = frame
        self._derived = None
        if frame.intervals:
            self.intervals = dict(frame.intervals)
        fresh = {name for name, at in frame.reads.items() if self.reads.get(name) != at}
        self._take_readings(frame, fresh)
        for name, at in frame.reads.items():
            self.reads[name] = at
        if frame.full:
            # A full state carries all present faults.
            self._faults.clear()
        for name in {*frame.reads, *(fault.collector for fault in frame.faults)}:
            self._faults[name] = [fault for fault in frame.faults if fault.collector == name]
        self.tables = self.tables.merged(frame.tables)
        if frame.tables.processes is not None:
            self._take_processes(frame.tables.processes, frame.reads.get("processes", frame.monotonic))
        self._traffic = self._traffic.after(frame)

    def learn(self, catalogue: Catalogue) -> None:
        """Takes a catalogue that knows more; what was read stays."""
        self.catalogue = catalogue
        self._collector.clear()
        self._plans = self._derived = self._some = None

    def _forget(self) -> None:
        self._now.clear()
        self._before.clear()
        self._faults.clear()
        self._keys.clear()
        self._processes.clear()
        self.processes = []
        self._traffic = RowRates()
        self.reads.clear()
        self.tables = Tables()
        self._plans = self._some = None

    def _take_readings(self, frame: Frame, fresh: set[str]) -> None:
        now, before, collectors = self._now, self._before, self._collector
        reads, monotonic = frame.reads, frame.monotonic
        seen: dict[str, set[str]] = {name: set() for name in fresh}
        for key, value in frame.readings.items():
            owner = collectors.get(key)
            if owner is None:
                # Many hosts have the same keys: one text of each is enough.
                key = _shared(key)
                metric = self.catalogue.of_key(key)
                owner = collectors[key] = metric.collector if metric is not None else ""
            old = now.get(key)
            if owner in seen:
                seen[owner].add(key)
            elif old is not None and owner in reads:
                continue
            at = reads.get(owner, monotonic)
            if old is None:
                self._plans = self._some = None
                before.pop(key, None)
            elif old.at < at:
                before[key] = old
            now[key] = Sample(value, at)
        for name, keys in seen.items():
            known = self._keys.get(name, set())
            if known == keys:
                # The same again is let go of: its texts are those of this frame alone.
                continue
            for gone in known - keys:
                now.pop(gone, None)
                before.pop(gone, None)
                self._plans = self._some = None
            self._keys[name] = keys

    def _take_processes(self, rows: list[ProcessRow], at: int) -> None:
        """Fills in rates and GPU memory; a process that did nothing keeps its row, so that readers can skip it."""
        on_gpu = {pid: used for gpu in self.tables.gpus or () for pid, used in gpu.processes if used is not None}
        latest: dict[tuple[int, float], _Process] = {}
        for row in rows:
            identity = (row.pid, row.started)
            old = self._processes.get(identity)
            if row.cpu is not None or old is None:
                filled = row
            elif old.at >= at:
                latest[identity] = old
                continue
            elif row is old.raw and old.idle:
                filled = old.filled
            else:
                filled = _with_rates(row, old.raw, (at - old.at) / 1e9)
            if on_gpu and row.pid in on_gpu and filled.gpu_memory != on_gpu[row.pid]:
                filled = msgspec.structs.replace(filled, gpu_memory=on_gpu[row.pid])
            idle = filled.cpu == 0.0 and not filled.read_rate and not filled.write_rate
            latest[identity] = _Process(row, filled, at, idle)
        self._processes = latest
        self.processes = [each.filled for each in latest.values()]

    def stale(self, collector: str) -> bool:
        """Whether a collector's values are older than two of its intervals."""
        if self.frame is None:
            return True
        read = self.reads.get(collector)
        if read is None:
            return False
        age = (self.frame.monotonic - read) / 1e9
        return age > 2 * self.intervals.get(collector, DEFAULT_INTERVAL) + 0.5

    @property
    def readings(self) -> dict[str, Number]:
        """Series key -> latest raw value, without those gone stale."""
        old = {name for name in self.reads if self.stale(name)}
        if not old:
            return {key: sample.value for key, sample in self._now.items()}
        return {key: sample.value for key, sample in self._now.items() if self._collector.get(key) not in old}

    @property
    def faults(self) -> list[Fault]:
        """All present faults."""
        return [fault for faults in self._faults.values() for fault in faults]

    def get(self, key: str) -> Number | None:
        """Returns the latest raw or derived value of a series, or None."""
        sample = self._now.get(key)
        if sample is not None:
            return None if self.stale(self._collector.get(key, "")) else sample.value
        return self.derived().get(key)

    def instances(self, metric: str) -> list[str]:
        """Returns the instances that a raw or derived metric now has, sorted."""
        prefix = metric + ":"
        keys = {*self._now, *self.derived()}
        return sorted(key[len(prefix) :] for key in keys if key.startswith(prefix))

    def derived(self) -> dict[str, float]:
        """Returns series key -> value of every derived metric that has one now."""
        if self._derived is None:
            if self._plans is None:
                self._plans = plan(self.catalogue, self._now)
            old = {name for name in self.reads if self.stale(name)}
            result = {}
            for key, formula, over, per in self._plans:
                if old and self._collector.get(over[0]) in old:
                    continue
                value = evaluate(formula, self._before, self._now, over, per)
                if value is not None:
                    result[key] = value
            self._derived = result
        return self._derived

    def some(self, metrics: frozenset[str]) -> dict[str, float]:
        """Returns series key -> present value of these metrics alone, raw or derived: for who watches many hosts.

        Asked for the same metrics again, it costs what they cost, not what the host has.
        """
        known = self._some
        if known is None or known[0] != metrics:
            # Not kept whole: of hundreds of hosts few are asked for more.
            chosen = plan(self.catalogue, self._now, metrics)
            raw = [key for key in self._now if split_key(key)[0] in metrics]
            known = self._some = (metrics, chosen, raw)
        old = {name for name in self.reads if self.stale(name)}
        result: dict[str, float] = {}
        for key, formula, over, per in known[1]:
            if not old or self._collector.get(over[0]) not in old:
                value = evaluate(formula, self._before, self._now, over, per)
                if value is not None:
                    result[key] = value
        for key in known[2]:
            if not old or self._collector.get(key) not in old:
                result[key] = self._now[key].value
        return result

    def copy(self) -> State:
        """Returns a state that stays as it is while this one goes on."""
        twin = State(self.catalogue)
        for name, value in vars(self).items():
            setattr(twin, name, value.copy() if isinstance(value, dict | list) else value)
        return twin

    def full(self) -> Frame | None:
        """Returns the present state as a full frame under the last frame's identity, or None before the first."""
        if self.frame is None:
            return None
        readings = self.readings
        return msgspec.structs.replace(
            self.frame,
            readings=readings,
            reads={name: at for name, at in self.reads.items() if not self.stale(name)},
            full=True,
            intervals=dict(self.intervals),
            tables=self.tables,
            faults=self.faults,
        )


def plan(catalogue: Catalogue, keys: Iterable[str], only: frozenset[str] | None = None) -> list[_Plan]:
    """Works out which derived series the given raw series allow: (key, formula, keys over, keys per) each.

    Args:
        catalogue: knows the formulas. Those that peers taught count up to `MAX_TAUGHT_WORK`.
        keys: of the raw series.
        only: the derived metrics wanted; None for all.
    """
    present = set(keys)
    found: dict[str, _Plan] = {}
    work = 0
    for key in present:
        metric, instance = split_key(key)
        for user in catalogue.derived_from(metric):
            formula = user.formula
            if formula is None or (only is not None and user.name not in only):
                continue
            name = join_key(user.name, instance)
            if name in found:
                continue
            if catalogue.is_taught(user.name):
                work += len(formula.over) + len(formula.per)
                if work > MAX_TAUGHT_WORK:
                    continue
            over = tuple(join_key(each, instance) for each in formula.over)
            per = tuple(join_key(each, instance) for each in formula.per)
            if formula.kind == "value_ratio":
                if present.issuperset(over) and present.issuperset(per):
                    found[name] = _Plan(name, formula, over, per)
                continue
            over = tuple(each for each in over if each in present)
            per = tuple(each for each in per if each in present)
            if over and (per or not formula.per):
                found[name] = _Plan(name, formula, over, per)
    return list(found.values())


def evaluate(
    formula: Formula,
    before: dict[str, Sample],
    now: dict[str, Sample],
    over: tuple[str, ...],
    per: tuple[str, ...],
) -> float | None:
    """Computes one derived value from two reads; None where a part is missing, a counter fell, or nothing is to be
    divided by.
    """
    if formula.kind == "value_ratio":
        top = sum(now[key].value for key in over)
        bottom = sum(now[key].value for key in per)
    else:
        top = 0
        for key in over:
            grown = increase(before.get(key), now.get(key))
            if grown is None:
                return None
            top += grown
        if formula.kind == "rate":
            bottom = (now[over[0]].at - before[over[0]].at) / 1e9
        else:
            bottom = 0
            for key in per:
                grown = increase(before.get(key), now.get(key))
                if grown is None:
                    return None
                bottom += grown
    if bottom <= 0:
        return None
    value = top / bottom
    if not math.isfinite(value):
        return None
    return value if formula.ceiling is None else min(value, formula.ceiling)


def derive(previous: Frame | None, current: Frame, catalogue: Catalogue) -> dict[str, float]:
    """Returns the derived values of `current`, given its predecessor of the same host."""
    state = State(catalogue)
    if previous is not None:
        state.apply(previous)
    state.apply(current)
    return state.derived()


def _with_rates(row: ProcessRow, old: ProcessRow, seconds: float) -> ProcessRow:
    return msgspec.structs.replace(
        row,
        cpu=_rate(old.cpu_time, row.cpu_time, seconds),
        read_rate=_rate(old.read_bytes, row.read_bytes, seconds),
        write_rate=_rate(old.written_bytes, row.written_bytes, seconds),
    )


def _rate(before: float | None, now: float | None, seconds: float) -> float | None:
    if before is None or now is None or now < before:
        return None
    return (now - before) / seconds
