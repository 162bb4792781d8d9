"""What a view shows of a frame: its tables, the collectors wanted, and at longer intervals the frames folded into one.

Each distinct form of a frame is made and encoded once, whoever and however many want it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import msgspec

from remote import wire

if TYPE_CHECKING:
    from collections.abc import Callable

    from remote.server.fanout import ViewKey
    from sysmon.frame import Frame

Due = Literal["", "frame", "folded"]
"""What a view is to be given at a frame: nothing, the frame as it is, or the state that it left."""

EARLY = 0.25
"""Part of an interval, half a second at most, by which a frame may come early: ticks are never quite even."""


class Pace:
    """Decides, for the hosts of one view, at which frames it is given something.

    Args:
        interval: seconds between frames of one host at least; 0 for every frame.
    """

    def __init__(self, interval: float) -> None:
        self._least = int((interval - min(0.5, EARLY * interval)) * 1e9)
        self._last: dict[str, tuple[str, int]] = {}
        self._skipped: set[str] = set()

    def due(self, frame: Frame) -> Due:
        """Takes the next frame of a host in order; says what the view gets."""
        if self._least <= 0:
            return "frame"
        host = frame.host
        last = self._last.get(host)
        if last is not None and last[0] == frame.boot and 0 <= frame.monotonic - last[1] < self._least:
            self._skipped.add(host)
            return ""
        self._last[host] = (frame.boot, frame.monotonic)
        if host not in self._skipped:
            return "frame"
        self._skipped.discard(host)
        return "folded"


class Forms:
    """The encoded forms of one frame.

    Args:
        frame: as it came in.
        id: its SSE id, or ''.
        plain: the frame without tables, encoded already; None where it is not.
        state: returns the state that the frame left, as a full frame of the same identity.
        collector: gives the collector of a series key.
    """

    def __init__(
        self,
        frame: Frame,
        id: str,
        plain: bytes | None,
        *,
        state: Callable[[], Frame | None],
        collector: Callable[[str], str],
    ) -> None:
        self._frame = frame
        self._id = id
        self._state = state
        self._collector = collector
        self._folded: Frame | None = None
        self._made: dict[tuple[frozenset[str], frozenset[str] | None, bool], bytes] = {}
        if plain is not None:
            self._made[frozenset(), None, False] = plain

    def get(self, key: ViewKey, due: Due) -> bytes:
        """Returns what a view is given."""
        folded = due == "folded"
        frame = self._frame
        if folded:
            if self._folded is None:
                self._folded = self._state() or frame
            frame = self._folded
        tables = frozenset(name for name in key.tables if getattr(frame.tables, name) is not None)
        place = (tables, key.collectors, folded)
        data = self._made.get(place)
        if data is None:
            shown = frame if key.collectors is None else only(frame, key.collectors, self._collector)
            data = self._made[place] = wire.encode_event(shown, self._id, tables)
        return data


def only(frame: Frame, collectors: frozenset[str], collector: Callable[[str], str]) -> Frame:
    """Returns a frame with what the named collectors read, and with all its tables.

    A frame of which nothing is left is still given: sequence numbers have no holes.
    """
    return msgspec.structs.replace(
        frame,
        readings={key: value for key, value in frame.readings.items() if collector(key) in collectors},
        reads={name: at for name, at in frame.reads.items() if name in collectors},
        intervals={name: each for name, each in frame.intervals.items() if name in collectors},
        faults=[fault for fault in frame.faults if fault.collector in collectors],
        cost={name: each for name, each in frame.cost.items() if name in collectors},
    )
