"""The pulse of a host: a few values and their last 60 points, kept for every host, so that hundreds cost little."""

from __future__ import annotations

from array import array
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal
from zlib import crc32

from sysmon import wrong
from sysmon.frame import split_key

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from sysmon.derive import State
    from sysmon.wrong import Finding

Vital = Literal["cpu", "memory", "network", "disk", "load", "temperature"]

VITALS: Final[tuple[Vital, ...]] = ("cpu", "memory", "network", "disk", "load", "temperature")
"""What is kept of every host: shares of CPU and memory, bytes per second through the network, the fullest filesystem,
the load of one minute, the hottest sensor."""

POINTS: Final = 60
STEP: Final = 10
"""Seconds to a point: a line moves once in ten seconds, so a hundred of them cost a terminal little."""

METRICS: Final = frozenset(wrong.METRICS) | frozenset(
    {
        "cpu.utilization", "memory.utilization", "net.receive_rate", "net.transmit_rate", "fs.utilization", "load.1",
        "temperature",
    }
)  # fmt: skip
_SIMPLE: Final[Mapping[str, Vital]] = {"cpu.utilization": "cpu", "memory.utilization": "memory", "load.1": "load"}
_LARGEST: Final[Mapping[str, Vital]] = {"fs.utilization": "disk", "temperature": "temperature"}
_SIZE: Final = POINTS + 4
_NONE: Final = -1
_USUAL: Final = 5
"""Frames by whose distance the usual one is judged."""
_INNER: Final = frozenset({"loopback", "veth", "bridge", "bond", "virtual", "vlan", "tunnel", "wireguard"})
"""Kinds of interfaces whose bytes are also counted elsewhere, or never leave the host."""


@dataclass(frozen=True, slots=True)
class Beat:
    """The present values; None is missing.

    Attributes:
        cpu, memory, disk: shares, 0-1. `mount`: the fullest filesystem.
        receive, transmit: bytes per second. `load`: of one minute. `temperature`: °C, of `sensor`.
        wrong: what is wrong with the host's values, worst first.
    """

    cpu: float | None = None
    memory: float | None = None
    receive: float | None = None
    transmit: float | None = None
    disk: float | None = None
    mount: str = ""
    load: float | None = None
    temperature: float | None = None
    sensor: str = ""
    wrong: tuple[Finding, ...] = ()

    @property
    def network(self) -> float | None:
        """Bytes per second, both ways."""
        if self.receive is None and self.transmit is None:
            return None
        return (self.receive or 0.0) + (self.transmit or 0.0)


def outer_interfaces(state: State, names: Iterable[str]) -> set[str]:
    """The interfaces whose traffic is the host's: that of the default route, else all that are no inner ones."""
    rows = {row.name: row for row in state.tables.interfaces or ()}
    present = set(names)
    default = {name for name in present if name in rows and rows[name].default_route}
    if default:
        return default
    known = {name for name in present if name in rows and rows[name].kind not in _INNER and not rows[name].master}
    return known or {name for name in present if name != "lo"}


def beat(state: State) -> Beat:
    """Reads the few values off a host's state."""
    simple: dict[Vital, float] = {}
    largest: dict[Vital, tuple[float, str]] = {}
    rates: dict[str, dict[str, float]] = {"net.receive_rate": {}, "net.transmit_rate": {}}
    values = state.some(METRICS)
    for key, value in values.items():
        metric, instance = split_key(key)
        if metric in _SIMPLE:
            simple[_SIMPLE[metric]] = value
        elif metric in _LARGEST:
            name = _LARGEST[metric]
            largest[name] = max(largest.get(name, (value, instance)), (value, instance))
        elif metric in rates:
            rates[metric][instance] = value
    received, sent = rates["net.receive_rate"], rates["net.transmit_rate"]
    outer = outer_interfaces(state, {*received, *sent}) if received or sent else set()
    disk, hottest = largest.get("disk"), largest.get("temperature")
    return Beat(
        cpu=simple.get("cpu"),
        memory=simple.get("memory"),
        receive=sum(received[name] for name in outer if name in received) if outer & received.keys() else None,
        transmit=sum(sent[name] for name in outer if name in sent) if outer & sent.keys() else None,
        disk=disk[0] if disk else None,
        mount=disk[1] if disk else "",
        load=simple.get("load"),
        temperature=hottest[0] if hottest else None,
        sensor=hottest[1] if hottest else "",
        wrong=tuple(wrong.judge(values, state.faults)),
    )


class _Column:
    """The last points of one value, by their number modulo the size; each the mean of what fell into it."""

    __slots__ = ("counts", "numbers", "sums")

    def __init__(self) -> None:
        self.numbers = array("i", [_NONE]) * _SIZE
        self.sums = array("d", [0.0]) * _SIZE
        self.counts = array("H", [0]) * _SIZE

    def put(self, number: int, value: float) -> None:
        at = number % _SIZE
        if self.numbers[at] == number:
            self.sums[at] += value
            self.counts[at] += 1
        elif self.numbers[at] < number:
            self.numbers[at], self.sums[at], self.counts[at] = number, value, 1

    def get(self, number: int) -> float | None:
        at = number % _SIZE
        return self.sums[at] / self.counts[at] if self.numbers[at] == number else None


class Pulse:
    """The present values and the points of one host.

    Points are means over `STEP` seconds; a point without a frame is a gap. What came before the first frame is none
    until the history was asked for it. Which second a point begins with differs from host to host, so that not all
    lines of a screen move at once.

    Args:
        host: the host's id.
    """

    __slots__ = ("_begun", "_columns", "_first", "_last", "_shift", "_spacings", "beats", "laid", "now")

    def __init__(self, host: str = "") -> None:
        self.now = Beat()
        self.beats = 0
        """Grows with every change."""
        self._shift = crc32(host.encode()) % STEP
        self._columns: dict[Vital, _Column] = {}
        self.laid: frozenset[Vital] = frozenset()
        """Of which the past was asked for."""
        self._first: int | None = None
        self._begun: int | None = None
        """The number of the first point that a frame told of."""
        self._last: int | None = None
        self._spacings: deque[int] = deque(maxlen=_USUAL)

    def number(self, second: int) -> int:
        """The number of the point that a second falls into."""
        return (second + self._shift) // STEP

    @property
    def first(self) -> int | None:
        """The number of the first point there is."""
        return self._first

    def take(self, second: int, present: Beat) -> None:
        """Takes the values of one frame; of a second that is past already they are ignored."""
        last = self._last
        if last is not None and second <= last:
            return
        self.now = present
        self.beats += 1
        number = self.number(second)
        first = number
        if last is not None:
            spacing = second - last
            self._spacings.append(spacing)
            # Of a host that is heard of once a minute the points between two frames are no gaps.
            if spacing > STEP and spacing <= 2 * sorted(self._spacings)[len(self._spacings) // 2]:
                first = max(self.number(last) + 1, number - _SIZE)
        self._last = second
        self._first = number if self._first is None else min(self._first, number)
        if self._begun is None:
            self._begun = number
        for name in VITALS:
            value = getattr(present, name)
            if value is not None:
                column = self._columns.get(name)
                if column is None:
                    column = self._columns[name] = _Column()
                for each in range(first, number + 1):
                    column.put(each, value)

    def lay(self, name: Vital, values: Mapping[int, float]) -> None:
        """Lays older points, number -> value, where there are none yet; none at all: then nothing was recorded."""
        self.laid |= {name}
        self.beats += 1
        if not values:
            return
        column = self._columns.get(name)
        if column is None:
            column = self._columns[name] = _Column()
        for number, value in values.items():
            if column.get(number) is None:
                column.put(number, value)
        first = min(values)
        self._first = first if self._first is None else min(self._first, first)

    def has(self, name: Vital) -> bool:
        """Whether there ever was a value."""
        return name in self._columns

    def points(self, name: Vital, last: int, count: int = POINTS) -> list[float | None]:
        """Returns the points up to number `last`, without those before the first of the host, or before the first
        frame where the past was not asked for yet; None is a gap.
        """
        first = self._first if name in self.laid else self._begun
        if first is None:
            return []
        column = self._columns.get(name)
        start = max(last - min(count, POINTS) + 1, first)
        if column is None:
            return [None] * max(0, last - start + 1)
        return [column.get(number) for number in range(start, last + 1)]

    def copy(self) -> Pulse:
        """Returns one that stays as it is while this one goes on."""
        twin = Pulse()
        twin.now, twin.beats, twin._shift = self.now, self.beats, self._shift
        twin._first, twin._begun, twin._last, twin.laid = self._first, self._begun, self._last, self.laid
        for name, column in self._columns.items():
            kept = twin._columns[name] = _Column()
            kept.numbers, kept.sums, kept.counts = column.numbers[:], column.sums[:], column.counts[:]
        return twin
