"""Sensors of a node_exporter, under the names that our own collector gives them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from remote.foreign.nodenames import SENSORS
from sysmon.frame import clean_instance

if TYPE_CHECKING:
    from remote.foreign.nodeexporter import Family
    from sysmon.frame import Number

_OWN_NAME = frozenset({"nvme", "drivetemp"})
"""Chips of which a machine has one per disk: the exporter's name of the chip tells them apart."""
_ZONE = re.compile(r"[0-9]+")


def sensor_readings(found: Family) -> dict[str, Number]:
    """Returns temperatures with their limits, fans and power, by CHIP/SENSOR, and thermal zones that no chip shows."""
    chips = {
        each.labels.get("chip", ""): each.labels.get("chip_name", "") for each in found.of("node_hwmon_chip_names")
    }
    names = list(chips.values())
    labels = {
        (each.labels.get("chip", ""), each.labels.get("sensor", "")): each.labels.get("label", "")
        for each in found.of("node_hwmon_sensor_label")
    }
    readings: dict[str, Number] = {}
    for theirs, ours in SENSORS.items():
        for sample in found.of(theirs):
            chip, sensor = sample.labels.get("chip", ""), sample.labels.get("sensor", "")
            name = chips.get(chip) or chip
            if name in _OWN_NAME or names.count(name) > 1:
                name = f"{name} {chip}" if chip != name else name
            instance = clean_instance(f"{name}/{labels.get((chip, sensor)) or sensor}")
            if _possible(ours, sample.value):
                readings.setdefault(f"{ours}:{instance}", sample.value)
    for sample in found.of("node_thermal_zone_temp"):
        kind, zone = sample.labels.get("type", ""), sample.labels.get("zone", "")
        if kind.replace("-", "_") in names or not _ZONE.fullmatch(zone):
            continue
        if _possible("temperature", sample.value):
            readings.setdefault(f"temperature:{clean_instance(f'{kind}/zone{zone}')}", sample.value)
    return readings


def _possible(metric: str, value: Number) -> bool:
    """Whether a part can have that value; see `collectors.sensors`."""
    if metric == "fan.speed":
        return 0 <= value < 60_000
    if metric == "power.draw":
        return 0 <= value < 100_000
    return -50 < value < 200 and not 127 <= value <= 128 and value != 0
