"""The interfaces of a view as rows of a table: what they are, what they carry, and the order in which they matter."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from sysmon.bandwidth import Amount, total
from sysmon.frame import InterfaceRow
from sysmon.interfaces import counted
from sysmon.units import format_bits, format_bytes
from tui.ordering import by_value
from tui.renderables.scale import nice_ceiling

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from tui.model import View
    from tui.window import Window

SPARK_POINTS: Final = 60
"""Points kept for a sparkline."""

FLOOR: Final = 10 * 1024.0
"""Bytes per second below which a graph's ceiling never falls, so that a quiet line does not look busy."""

_VIRTUAL: Final = frozenset({"veth", "virtual", "tunnel", "bridge", "bond", "vlan"})

_WORDS: Final = {"lowerlayerdown": "no link", "notpresent": "absent", "dormant": "dormant", "testing": "testing"}
"""What states of the kernel that are neither up nor down are called."""

Points = tuple[float | None, ...]
Usage = tuple[Amount | None, Amount | None]
"""What an interface carried (today, this month)."""


@dataclass(frozen=True, slots=True)
class Interface:
    """One interface at one moment.

    Attributes:
        kind, up, mtu: None where the table of interfaces is not known of this moment.
        speed: of the link, bytes per second each way, where it is true.
        receive, transmit: bytes per second. `packets`, `errors`, `drops`: per second, both ways.
        received, transmitted: points of the sparklines.
        today, month: totals, None until known.
        state: what the kernel says of the link where it is more than up or down, else ''.
        counts: whether it adds up to the host's traffic; interfaces that lie on others do not.
        amount: of the range shown; `share`: of what counts (0..1); `past`: the steps of the range.
        signal: of a wireless link, dBm. `network`: its name.
        members: of the row of the total, the interfaces that add up to it.
        quiet: loopback, down, or virtual without traffic: of little interest.
        rank: its place in the screen's own order.
    """

    name: str
    kind: str | None = None
    up: bool | None = None
    default: bool = False
    speed: int | None = None
    mtu: int | None = None
    addresses: tuple[str, ...] = ()
    master: str = ""
    receive: float | None = None
    transmit: float | None = None
    packets: float | None = None
    errors: float | None = None
    drops: float | None = None
    received: Points = ()
    transmitted: Points = ()
    today: Amount | None = None
    month: Amount | None = None
    state: str = ""
    counts: bool = False
    amount: Amount | None = None
    share: float | None = None
    past: Points = ()
    signal: float | None = None
    network: str = ""
    flaps: float | None = None
    lower: tuple[str, ...] = ()
    members: tuple[str, ...] = ()
    quiet: bool = False
    rank: tuple[int, int, int, str] = (0, 0, 0, "")

    @property
    def key(self) -> str:
        """What tells it from the others; the total is no interface."""
        return "\0total" if self.members else self.name

    @property
    def names(self) -> tuple[str, ...]:
        """The interfaces whose bytes it shows."""
        return self.members or (self.name,)

    @property
    def state_word(self) -> str | None:
        """What its link is, in a word; None where it is not known."""
        if self.up is None:
            return None
        return _WORDS.get(self.state) or ("up" if self.up else "down")

    @property
    def utilization(self) -> float | None:
        """The busier direction as a share of the link's speed, or None where either is unknown."""
        rates = [rate for rate in (self.receive, self.transmit) if rate is not None]
        return max(rates) / self.speed if rates and self.speed else None


class InterfaceRows:
    """Builds the rows of successive views; keeps sparklines until their next point is complete."""

    def __init__(self) -> None:
        self._sparks: dict[str, tuple[Points, Points]] = {}
        self._sparks_of: tuple[object, ...] = ()

    def build(
        self, view: View, usage: Mapping[str, Usage], *, step: int = 10, told: Sequence[InterfaceRow] | None = None
    ) -> list[Interface]:
        """Returns the interfaces of a view in the screen's own order.

        Args:
            view: what is shown.
            usage: (today, this month) by interface name.
            step: seconds per point of the sparklines.
            told: the table by which interfaces count; that of the moment by default.
        """
        window = view.window
        tick = ((window.end or 0) + 1) // step
        sparks_of = (view.info.id, view.live, tick if view.live else view.time, step)
        if sparks_of != self._sparks_of:
            self._sparks_of, self._sparks = sparks_of, {}
        rates = view.state.derived()
        rows: list[Interface] = []
        adding = set(counted((told if told is not None else view.state.tables.interfaces) or ()))
        for row, known in interface_rows(view):
            name = row.name
            spark = self._sparks.get(name)
            if spark is None:
                spark = self._sparks[name] = (
                    _complete(window, f"net.receive_rate:{name}", step),
                    _complete(window, f"net.transmit_rate:{name}", step),
                )
            receive, transmit = rates.get(f"net.receive_rate:{name}"), rates.get(f"net.transmit_rate:{name}")
            traffic = _mean(spark[0]) + _mean(spark[1])
            idle = not traffic and not receive and not transmit
            quiet = known and (row.kind == "loopback" or not row.up or (idle and row.kind in _VIRTUAL))
            today, month = usage.get(name, (None, None))
            rows.append(
                Interface(
                    name=name,
                    kind=row.kind if known else None,
                    up=row.up if known else None,
                    default=row.default_route,
                    speed=row.speed,
                    mtu=(row.mtu or None) if known else None,
                    addresses=tuple(row.addresses) or ((row.address,) if row.address else ()),
                    master=row.master,
                    receive=receive,
                    transmit=transmit,
                    packets=rates.get(f"net.packets:{name}"),
                    errors=rates.get(f"net.errors:{name}"),
                    drops=rates.get(f"net.drops:{name}"),
                    received=spark[0],
                    transmitted=spark[1],
                    today=today,
                    month=month,
                    state=row.state,
                    counts=name in adding,
                    signal=view.value(f"net.wireless.signal:{name}"),
                    network=row.network,
                    flaps=view.value(f"net.carrier_changes:{name}"),
                    lower=tuple(row.lower),
                    quiet=quiet and not row.default_route,
                    rank=_rank(row, quiet=quiet, traffic=traffic),
                )
            )
        return sorted(rows, key=lambda each: each.rank)


def total_row(rows: Sequence[Interface]) -> Interface | None:
    """The sum of the interfaces that count; None where none does."""
    adding = [row for row in rows if row.counts]
    if not adding:
        return None

    def rate(value: Callable[[Interface], float | None]) -> float | None:
        known = [each for row in adding if (each := value(row)) is not None]
        return sum(known) if known else None

    def bytes_of(value: Callable[[Interface], Amount | None]) -> Amount | None:
        known = {row.name: each for row in adding if (each := value(row)) is not None}
        return total(known) if known else None

    return Interface(
        name="total",
        kind="interface" if len(adding) == 1 else f"{len(adding)} count",
        receive=rate(lambda row: row.receive),
        transmit=rate(lambda row: row.transmit),
        packets=rate(lambda row: row.packets),
        errors=rate(lambda row: row.errors),
        drops=rate(lambda row: row.drops),
        today=bytes_of(lambda row: row.today),
        month=bytes_of(lambda row: row.month),
        received=_added([row.received for row in adding]),
        transmitted=_added([row.transmitted for row in adding]),
        counts=True,
        members=tuple(row.name for row in adding),
    )


def _added(lines: Sequence[Points]) -> Points:
    """Points summed from the newest on; None where none of them is known."""
    length = max(map(len, lines), default=0)
    padded = [(*([None] * (length - len(line))), *line) for line in lines]
    return tuple(
        sum(present) if (present := [value for value in column if value is not None]) else None
        for column in zip(*padded, strict=True)
    )


def recorded(window: Window, metric: str, names: Sequence[str], count: int) -> list[float | None]:
    """The last points of a metric, summed over interfaces."""
    lines = [tuple(window.recorded(f"{metric}:{name}", count)) for name in names]
    return list(lines[0] if len(lines) == 1 else _added(lines))


def interface_rows(view: View) -> list[tuple[InterfaceRow, bool]]:
    """Every interface of a moment, and whether the table of interfaces tells what it is."""
    known = {row.name: row for row in view.state.tables.interfaces or ()}
    names = [*known, *(name for name in view.state.instances("net.receive") if name not in known)]
    return [(known.get(name) or InterfaceRow(name=name), name in known) for name in names]


def _complete(window: Window, key: str, step: int) -> Points:
    """The last points whose seconds have all passed."""
    if window.end is not None and (window.end + 1) % step:
        return tuple(window.recorded(key, SPARK_POINTS + 1, step)[:-1])
    return tuple(window.recorded(key, SPARK_POINTS, step))


def _mean(points: Points) -> float:
    present = [point for point in points if point is not None]
    return sum(present) / len(present) if present else 0.0


def _rank(row: InterfaceRow, *, quiet: bool, traffic: float) -> tuple[int, int, int, str]:
    """The default route's first, then by traffic in powers of four, so that neighbours do not keep changing places."""
    last = 0
    if quiet and not row.default_route:
        last = 3 if not row.up else 2 if row.kind == "loopback" else 1
    busy = 0 if traffic < 64 else int(math.log(traffic, 4))
    return (not row.default_route, last, -busy, row.name)


SORTS: Final[Mapping[str, bool]] = {
    "name": False,
    "kind": False,
    "state": True,
    "speed": True,
    "receive": True,
    "transmit": True,
    "link": True,
    "packets": True,
    "errors": True,
    "drops": True,
    "today": True,
    "month": True,
    "counts": True,
    "received": True,
    "sent": True,
    "total": True,
    "share": True,
    "signal": True,
    "mtu": True,
    "master": False,
    "address": False,
}
"""Columns that can be sorted by, and whether the largest comes first."""


def sort_rows(rows: Sequence[Interface], column: str, reverse: bool) -> list[Interface]:
    """Sorts by a column, what is missing last; by no column ('') the order is the screen's own."""
    if not column:
        return list(reversed(rows)) if reverse else list(rows)
    return by_value(rows, lambda row: _sort_value(row, column), reverse=reverse)


def _sort_value(row: Interface, column: str) -> tuple[float, str] | None:
    if column in ("today", "month", "received", "sent", "total"):
        amount = row.today if column == "today" else row.month if column == "month" else row.amount
        if amount is None:
            return None
        size = amount.receive if column == "received" else amount.transmit if column == "sent" else amount.total
        return float(size), ""
    if column in ("name", "kind", "master"):
        text = str(getattr(row, column) or "")
        return (0.0, text) if text else None
    if column == "address":
        return (0.0, row.addresses[0]) if row.addresses else None
    value = row.utilization if column == "link" else getattr(row, "up" if column == "state" else column)
    return None if value is None else (float(value), "")


def rate_text(value: float | None, *, bits: bool) -> str:
    """A rate with its unit: `1.2 MiB/s` or `9.8 Mbit/s`."""
    return format_bits(value, per_second=True) if bits else format_bytes(value, per_second=True)


def round_text(text: str) -> str:
    """A round number without its decimal: `10 KiB/s`, `1 Gbit/s`."""
    return text.replace(".0 ", " ")


def speed_text(value: float | None) -> str | None:
    """The speed of a link, always in bits, as it is printed on the box; None where it is not known."""
    return None if value is None else round_text(format_bits(value, per_second=True))


def traffic_ceiling(points: Sequence[float | None], previous: float | None, *, bits: bool) -> float:
    """A bound in bytes per second that is round in the unit shown."""
    if not bits:
        return nice_ceiling(points, FLOOR, previous=previous, base=1024)
    shown = [None if point is None else 8 * point for point in points]
    return nice_ceiling(shown, 1e5, previous=None if previous is None else 8 * previous, base=1000) / 8
