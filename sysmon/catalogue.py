"""The catalogue: every metric described once.

Each collector's file declares its metrics; the catalogue is assembled from them and travels with a host's frames (in
the stream's
`hello`, in the history, in `/v1/hosts`), so a reader can show, derive and store metrics that it was not built with.
Formatting, rule validation, completion, documentation and the history's encoding derive from it.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Literal

import msgspec

from sysmon.errors import UsageError, nearest
from sysmon.frame import Number, split_key

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

Kind = Literal["counter", "gauge", "derived"]
Unit = Literal[
    "", "ratio", "bytes", "bytes/s", "seconds", "/s", "hertz", "celsius", "watts", "joules", "rpm", "volts", "dbm"
]
FormulaKind = Literal["rate", "delta_ratio", "value_ratio"]

METRIC_NAME = re.compile(r"[a-z0-9_.]+")
"""What a metric's name may hold."""
MAX_TAUGHT = 10_000
"""Metrics that all peers together may teach a process; sysmon itself has some 270."""
MAX_TAUGHT_DERIVED = 2_000
"""Derived ones among them; sysmon itself has some 70."""
MAX_TAUGHT_PARTS = 32
"""Metrics that a taught formula may be made of; sysmon's own have 14 at most."""
MAX_TAUGHT_USERS = 16
"""Taught formulas that one metric may be part of; of sysmon's own it is 8 at most."""


class Formula(msgspec.Struct, frozen=True, omit_defaults=True):
    """How a derived metric comes from others of the same instance.

    rate: sum of increases of `over`, per second between the two reads.
    delta_ratio: sum of increases of `over` by sum of increases of `per`; no value when nothing increased.
    value_ratio: sum of values of `over` by sum of values of `per`; all must be there.
    Of the counters in `over` and `per` those present count (a kernel without steal time has none), at least one of
    each.
    `ceiling` caps the result, where rounding of the kernel's clocks can lead above it.
    """

    kind: FormulaKind
    over: tuple[str, ...]
    per: tuple[str, ...] = ()
    ceiling: float | None = None


class Metric(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """One metric.

    Attributes:
        name: dotted, after OpenTelemetry's system conventions without the prefix.
        kind: counter (cumulative, falls only by a reset), gauge, or derived by `formula`.
        unit: base unit; '' is a plain number.
        help: one sentence for people.
        source: where the number comes from.
        collector: the collector that reads it, or whose readings it is derived from.
        instance: what its instance names ('' when it has none), such as `interface`.
        precision: decimals that a gauge is rounded to when read.
        bits: 32 where a counter of that width can wrap.
        lifetime: of a counter: that of the `boot`, or its `own`: then a new boot says nothing, and only a fall to less
            than half is taken for a beginning anew; a smaller one is what its source let go of.
        rollup: whether history keeps rollups of it.
        formula: of a derived metric.
    """

    name: str
    kind: Kind
    unit: Unit = ""
    help: str = ""
    source: str = ""
    collector: str = ""
    instance: str = ""
    precision: int = 0
    bits: int = 64
    lifetime: Literal["boot", "own"] = "boot"
    rollup: bool = True
    formula: Formula | None = None


def counter(name: str, unit: Unit, help: str, source: str = "", **more: object) -> Metric:
    """Declares a counter; the collector's name is filled in by its class."""
    return msgspec.structs.replace(Metric(name=name, kind="counter", unit=unit, help=help, source=source), **more)


def gauge(name: str, unit: Unit, help: str, source: str = "", *, precision: int = 0, **more: object) -> Metric:
    """Declares a gauge, rounded to `precision` decimals when read."""
    made = Metric(name=name, kind="gauge", unit=unit, help=help, source=source, precision=precision)
    return msgspec.structs.replace(made, **more)


def derived(name: str, unit: Unit, help: str, formula: Formula, **more: object) -> Metric:
    """Declares a derived metric."""
    return msgspec.structs.replace(Metric(name=name, kind="derived", unit=unit, help=help, formula=formula), **more)


def rate(name: str, of: str, unit: Unit, help: str, **more: object) -> Metric:
    """Declares the per-second rate of one counter."""
    return derived(name, unit, help, Formula("rate", (of,)), **more)


class Catalogue:
    """Metrics by name, with the look-ups that readers need."""

    def __init__(self, metrics: Iterable[Metric] = ()) -> None:
        self._metrics: dict[str, Metric] = {}
        for metric in metrics:
            self._metrics.setdefault(metric.name, metric)
        self._users: dict[str, tuple[Metric, ...]] = {}
        self._taught: set[str] = set()
        self._derived = 0
        users: dict[str, list[Metric]] = {}
        for metric in self._metrics.values():
            for name in _parts(metric):
                users.setdefault(name, []).append(metric)
        self._users = {name: tuple(found) for name, found in users.items()}

    def __iter__(self) -> Iterator[Metric]:
        return iter(self._metrics.values())

    def __len__(self) -> int:
        return len(self._metrics)

    def __contains__(self, name: object) -> bool:
        return name in self._metrics

    def get(self, name: str) -> Metric | None:
        """Returns the metric of that name, or None."""
        return self._metrics.get(name)

    def of_key(self, key: str) -> Metric | None:
        """Returns the metric of a series key, or None."""
        return self._metrics.get(split_key(key)[0])

    def require(self, name: str) -> Metric:
        """Returns the metric of that name.

        Raises:
            UsageError: unknown; names the nearest known one.
        """
        metric = self._metrics.get(name)
        if metric is None:
            hint = nearest(name, self._metrics) or "`sysmon doctor --metrics` lists all"
            raise UsageError(f"'{name}' is not a metric", hint)
        return metric

    def derived_from(self, name: str) -> Sequence[Metric]:
        """Returns the derived metrics whose formula uses metric `name`, those of this program first."""
        return self._users.get(name, ())

    def is_taught(self, name: str) -> bool:
        """Whether a metric came from a peer and is none of this program's own."""
        return name in self._taught

    def merged(self, others: Iterable[Metric]) -> Catalogue:
        """Returns a catalogue that also knows `others`, as far as peers may teach it; this one's own entries win.

        Its cost grows with `others` and the number of names, not with what is known of them; where nothing is new, the
        catalogue itself is returned.
        """
        made: Catalogue | None = None
        for metric in others:
            if metric.name in (made or self)._metrics:
                continue
            if made is None:
                made = self._copy()
            made._learn(metric)
        return self if made is None or len(made) == len(self) else made

    def _copy(self) -> Catalogue:
        made = Catalogue()
        made._metrics = dict(self._metrics)
        made._users = dict(self._users)
        made._taught = set(self._taught)
        made._derived = self._derived
        return made

    def _learn(self, metric: Metric) -> None:
        """Takes a peer's metric, unless that is too much. Formulas cost work with every frame of every host."""
        parts = _parts(metric)
        if len(self._taught) >= MAX_TAUGHT or len(parts) > MAX_TAUGHT_PARTS:
            return
        formula = metric.formula
        if formula is not None:
            if self._derived >= MAX_TAUGHT_DERIVED or not formula.over or not (formula.per or formula.kind == "rate"):
                return
            if any(self._uses(name) >= MAX_TAUGHT_USERS for name in parts):
                return
            self._derived += 1
        for name in parts:
            # A tuple, so that catalogues share it; it is as short as the bound.
            self._users[name] = (*self._users.get(name, ()), metric)
        self._taught.add(metric.name)
        self._metrics[metric.name] = metric

    def _uses(self, name: str) -> int:
        users = self._users.get(name, ())
        return len(users) if len(users) < MAX_TAUGHT_USERS else sum(each.name in self._taught for each in users)

    def rounded(self, key: str, value: Number) -> Number:
        """Rounds a gauge to its metric's precision, so that history can be lossless; counters of whole numbers stay
        integers.
        """
        metric = self.of_key(key)
        if metric is None or isinstance(value, int):
            return value
        number = round(value, metric.precision if metric.kind == "gauge" else max(metric.precision, 6))
        return int(number) if metric.precision == 0 and number == int(number) else number


def _parts(metric: Metric) -> tuple[str, ...]:
    """The names that a metric's formula is made of, each once."""
    formula = metric.formula
    return () if formula is None else tuple(dict.fromkeys((*formula.over, *formula.per)))
