"""Traffic as `vnstat --live --json` tells it, line by line, from a host's present state."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sysmon.derive import State
    from sysmon.frame import InterfaceRow, Number

PERIOD: Final = 2.0
"""Seconds between lines; vnstat's own, which cannot be changed there (LIVETIME)."""
RESTART: Final = 60.0
"""Seconds without a read after which what is counted begins anew: the next line would speak of a long time ago."""
_COUNTERS: Final = ("net.receive", "net.receive.packets", "net.transmit", "net.transmit.packets")
_PREFIXES: Final = ("", "k", "M", "G", "T")


def rate_string(bytes_per_second: float) -> str:
    """Writes a rate as vnstat does: bits with decimal prefixes, '10.56 kbit/s'; below 1000 without decimals."""
    bits = bytes_per_second * 8
    index = 0
    while bits >= 1000 and index < len(_PREFIXES) - 1:
        bits /= 1000
        index += 1
    return f"{bits:.2f} {_PREFIXES[index]}bit/s" if index else f"{bits:.0f} bit/s"


def interfaces_of(state: State, pattern: str | None = None) -> list[str]:
    """Returns the interfaces that stand for a host's traffic.

    Those that match `pattern`; without one those of the default route, else those with a cable or an antenna, else all
    but loopback.
    """
    counted = state.instances("net.receive")
    if pattern is not None:
        return [name for name in counted if fnmatchcase(name, pattern)]
    rows: dict[str, InterfaceRow] = {row.name: row for row in state.tables.interfaces or ()}
    routed = [name for name in counted if name in rows and rows[name].default_route]
    if routed:
        return routed
    wired = [name for name in counted if name in rows and rows[name].up and rows[name].kind in ("ethernet", "wifi")]
    return wired or [name for name in counted if name != "lo"]


class Counted(NamedTuple):
    """Counters of the chosen interfaces at one read: interface -> bytes and packets in, bytes and packets out."""

    at: int
    boot: str
    values: dict[str, tuple[Number, Number, Number, Number]]


def count(state: State, interfaces: Sequence[str]) -> Counted | None:
    """Returns the counters of some interfaces, or None where none is read now."""
    frame = state.frame
    if frame is None:
        return None
    readings = state.readings
    values: dict[str, tuple[Number, Number, Number, Number]] = {}
    for name in interfaces:
        received = readings.get(f"net.receive:{name}")
        sent = readings.get(f"net.transmit:{name}")
        if received is not None and sent is not None:
            packets = (readings.get(f"{metric}:{name}", 0) for metric in (_COUNTERS[1], _COUNTERS[3]))
            values[name] = (received, next(packets), sent, next(packets))
    if not values:
        return None
    return Counted(state.reads.get("network", frame.monotonic), frame.boot, values)


class LiveLines:
    """Turns reads into lines; totals count from its first read on."""

    def __init__(self) -> None:
        self.index = 0
        self.peaks: list[tuple[int, int | None]] = [(0, None), (0, None)]
        """Highest rate in and out so far, bytes per second, and when, Unix milliseconds."""
        self._before: Counted | None = None
        self._seconds = 0.0
        self._totals = [0, 0, 0, 0]

    def line(self, now: Counted | None, time: int) -> dict[str, Any] | None:
        """Returns the next line, or None where nothing was read since the last.

        Args:
            now: from `count`.
            time: Unix milliseconds.
        """
        before = self._before
        if now is None or (before is not None and before.boot == now.boot and now.at <= before.at):
            return None
        self._before = now
        if before is None or before.boot != now.boot or now.at - before.at > RESTART * 1e9:
            return None
        seconds = (now.at - before.at) / 1e9
        grown = [0, 0, 0, 0]
        for name, values in now.values.items():
            old = before.values.get(name)
            for index, value in enumerate(values):
                if old is not None:
                    # A counter that fell began anew: all it shows came since.
                    grown[index] += int(value - old[index] if value >= old[index] else value)
        self.index += 1
        self._seconds += seconds
        answer: dict[str, Any] = {"index": self.index, "seconds": round(self._seconds)}
        for at, name in enumerate(("rx", "tx")):
            count, packets = grown[2 * at], grown[2 * at + 1]
            self._totals[2 * at] += count
            self._totals[2 * at + 1] += packets
            rate = round(count / seconds)
            if rate > self.peaks[at][0]:
                self.peaks[at] = (rate, time)
            answer[name] = {
                "ratestring": rate_string(count / seconds),
                "bytespersecond": rate,
                "packetspersecond": round(packets / seconds),
                "bytes": count,
                "packets": packets,
                "totalbytes": self._totals[2 * at],
                "totalpackets": self._totals[2 * at + 1],
            }
        return answer
