"""What a collector gave, made fit for a frame: gauges to their metric's precision, no number that is not finite."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sysmon.frame import Fault

if TYPE_CHECKING:
    from collectors.base import Reading
    from sysmon.catalogue import Catalogue

_LARGEST = 1 << 63
"""What a reading stays below, so that every format can hold it."""


class Rounding:
    """Remembers the precision of each key; `catalogue` knows it by metric."""

    def __init__(self, catalogue: Catalogue) -> None:
        self._catalogue = catalogue
        self._places: dict[str, int] = {}

    def settle(self, name: str, reading: Reading) -> None:
        """Rounds gauges to their metric's precision, and takes out what is no finite number."""
        places = self._places
        bad: list[str] = []
        values = reading.values
        for key, value in values.items():
            kind = type(value)
            if kind is int and -_LARGEST < value < _LARGEST:
                continue
            if kind is not float or not -_LARGEST < value < _LARGEST:
                bad.append(key)
                continue
            decimals = places.get(key)
            if decimals is None:
                decimals = self._places_of(key)
            if decimals > 0:
                values[key] = round(value, decimals)
            else:
                number = round(value, -decimals)
                values[key] = int(number) if number == int(number) else number
        for key in bad:
            message = f"the collector gave {values.pop(key)!r} for {key}, which is not a finite number"
            reading.faults.append(Fault(name, "failed", message))

    def _places_of(self, key: str) -> int:
        """Returns the decimals that `Catalogue.rounded` keeps; negated where it makes integers of whole values."""
        if len(self._places) > 50_000:
            self._places.clear()
        metric = self._catalogue.of_key(key)
        if metric is None:
            return 6
        decimals = metric.precision if metric.kind == "gauge" else max(metric.precision, 6)
        self._places[key] = decimals = -decimals if metric.precision == 0 else decimals
        return decimals
