"""The counters of devices as they are told, over whatever counts them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from collectors._router.nlbw import MAX_HELD, Sums, plus

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

ZERO = Sums(0, 0, 0)


class Ledger:
    """Makes each device's counter one that usage can be taken from.

    Usage counts nothing at the first sight of a series. So a device that the router knows (a neighbour, a lease) is
    told with 0 before anything counted it; one that nobody told of before is told with 0 at the look that first finds
    it, and with its true value from the next look on: none of its bytes is lost, they come one look late. At the very
    first look all are told as they are: what they had moved before anybody looked is no news.

    When another source takes over, each counter goes on from where it was.
    """

    def __init__(self) -> None:
        self._source = ""
        self._offsets: dict[str, Sums] = {}
        self._told: dict[str, Sums] = {}

    def settle(self, source: str, sums: Mapping[str, Sums], listed: Collection[str], *, begun: bool) -> dict[str, Sums]:
        """Returns what is to be told.

        Args:
            source: what counted.
            sums: its counters by device.
            listed: devices that the router knows; what is not in `sums` has moved nothing.
            begun: whether the source's counting period began anew: then counters fall to what they are.
        """
        taken_over = source != self._source
        if taken_over:
            self._source = source
            self._offsets = {
                key: Sums(*(old - new for old, new in zip(told, sums.get(key, ZERO), strict=True)))
                for key, told in self._told.items()
            }
        elif begun:
            self._offsets = {}
        told: dict[str, Sums] = {}
        # What was told once goes on being told: a device that has left has moved nothing since.
        for key in {*sums, *listed, *self._told}:
            value = sums.get(key, ZERO)
            if key in self._offsets:
                value = plus(value, self._offsets[key])
            told[key] = value if taken_over or key in self._told else ZERO
        if begun:
            told = {key: value for key, value in told.items() if key in sums or key in listed}
        if len(told) > MAX_HELD:
            # Who moved most stays: devices that are made up do not push out those that use the line.
            kept = sorted(told, key=lambda key: (-sum(sums.get(key, ZERO)[:2]), key not in self._told, key))[:MAX_HELD]
            told = {key: told[key] for key in kept}
        self._told = told
        return told
