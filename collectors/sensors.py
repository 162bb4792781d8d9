"""Temperatures, fans, power draw, batteries and mains, from hwmon, thermal zones, powercap and power_supply.

Options: `exclude` holds globs on instances; `peripherals = true` adds the batteries of mice and the like.
"""

from __future__ import annotations

import os
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from collectors._hwmon import Sensor, find_sensors
from collectors._supplies import read_supplies
from collectors._sysfs import entries, number, text
from collectors.base import Collector, Reading, Roots
from collectors.disks import patterns
from sysmon.catalogue import counter, gauge, rate
from sysmon.errors import NoData
from sysmon.frame import Fault, Number, clean_instance

if TYPE_CHECKING:
    from collections.abc import Mapping

RESCAN = 12
"""Reads after which the sensors are looked for anew, though no chip came or went: limits change, labels too."""

SUPPLY = "power_supply"
METRIC = {"temp": "temperature", "fan": "fan.speed", "power": "power.draw"}


def celsius(millidegrees: int) -> float | None:
    """Turns thousandths of a degree into °C.

    Returns:
        None for what no machine's part can have (−50 and below, 200 and above), and for 127 to 128, which sensors of
        eight bits say when nothing is connected.
    """
    degrees = millidegrees / 1000
    if degrees <= -50 or degrees >= 200 or 127 <= degrees <= 128:
        return None
    return round(degrees, 1)


def value_of(kind: str, raw: int) -> float | None:
    """Turns the number in a sensor's file into °C, rpm or W; None where it cannot be true."""
    if kind == "temp":
        return celsius(raw)
    if kind == "fan":
        return raw if 0 <= raw < 60_000 else None
    return round(raw / 1e6, 2) if 0 <= raw < 100_000_000_000 else None


class SensorsCollector(Collector):
    """Reads every sensor by paths found once; a device that sleeps is left asleep."""

    name = "sensors"
    help = "Temperatures, fans, power and batteries"
    interval = 5.0
    blocking = True
    metrics = (
        gauge("temperature", "celsius", "Temperature", "hwmon, thermal zones", precision=1, instance="sensor"),
        gauge("temperature.high", "celsius", "Begin of what is high", "hwmon", precision=1, instance="sensor"),
        gauge("temperature.critical", "celsius", "Begin of what harms", "hwmon", precision=1, instance="sensor"),
        gauge("fan.speed", "rpm", "Turns per minute", "hwmon", instance="sensor"),
        gauge("power.draw", "watts", "Power that a part draws", "hwmon", precision=2, instance="sensor"),
        counter("power.energy", "joules", "Energy drawn; begins anew every hour or so", "RAPL", instance="zone"),
        rate("power.zone", "power.energy", "watts", "Power that a part of the processor draws", instance="zone"),
        gauge("battery.charge", "ratio", "Charge of what it can hold now", SUPPLY, precision=4, instance="battery"),
        gauge("battery.health", "ratio", "What it holds of what it once did", SUPPLY, precision=4, instance="battery"),
        gauge("battery.cycles", "", "Charge cycles", SUPPLY, instance="battery"),
        gauge(
            "battery.power",
            "watts",
            "Power drawn from the battery; below 0 while it is charged",
            SUPPLY,
            precision=3,
            instance="battery",
        ),
        gauge("battery.remaining", "seconds", "Time until it is empty at the present draw", SUPPLY, instance="battery"),
        gauge("battery.time_to_full", "seconds", "Time until it is full at this charge", SUPPLY, instance="battery"),
        gauge("power.online", "", "1 where mains feeds the machine, 0 where not", SUPPLY, instance="supply"),
    )

    def __init__(self, roots: Roots, options: Mapping[str, object] | None = None) -> None:
        super().__init__(roots, options)
        self._sys = str(roots.sys)
        self._exclude = patterns(self.options.get("exclude"))
        self._peripherals = self.options.get("peripherals") is True
        self._present: tuple[list[str], ...] = ()
        self._sensors: list[Sensor] = []
        self._limits: dict[str, Number] = {}
        self._good: set[str] = set()
        self._zones: list[tuple[str, str]] = []
        self._age = 0

    def read(self) -> Reading:
        """Reads every sensor that tells something possible.

        Raises:
            NoData: this machine has none.
        """
        present = tuple(entries(f"{self._sys}/class/{name}") for name in ("hwmon", "thermal"))
        self._age += 1
        if present != self._present or self._age >= RESCAN:
            self._present, self._age = present, 0
            self._look()
        reading = Reading(dict(self._limits))
        for sensor in self._sensors:
            self._read_sensor(sensor, reading)
        refused = False
        for key, path in self._zones:
            energy = number(path)
            if energy is not None and energy >= 0:
                reading.values[key] = energy / 1e6
            refused = refused or (energy is None and os.path.exists(path))
        if refused:
            message = "the processor's energy may be read by root only"
            hint = f"run as root, or grant the right to read {self._sys}/class/powercap/*/energy_uj"
            reading.faults.append(Fault(self.name, "denied", message, hint))
        supplies = read_supplies(self._sys, self._peripherals)
        reading.values.update({key: value for key, value in supplies.items() if self._wanted(key.split(":", 1)[1])})
        if not reading.values and not reading.faults:
            raise NoData("no temperature, fan, battery or power sensor is known here", "virtual machines have none")
        return reading

    def _look(self) -> None:
        self._sensors = [sensor for sensor in find_sensors(self._sys) if self._wanted(sensor.instance)]
        self._limits = {}
        for sensor in self._sensors:
            for metric, limit in zip(("temperature.high", "temperature.critical"), sensor.limits, strict=True):
                degrees = celsius(limit) if limit is not None and limit > 0 else None
                if degrees is not None:
                    self._limits[f"{metric}:{sensor.instance}"] = degrees
        powercap = f"{self._sys}/class/powercap"
        # The same package shows twice on some machines, by register and by memory-mapped I/O.
        zones = sorted((name for name in entries(powercap) if ":" in name), key=lambda name: ("mmio" in name, name))
        found = {f"power.energy:{_zone_name(powercap, zone)}": f"{powercap}/{zone}/energy_uj" for zone in zones[::-1]}
        self._zones = [(key, path) for key, path in found.items() if self._wanted(key.split(":", 1)[1])]

    def _wanted(self, instance: str) -> bool:
        return not any(fnmatchcase(instance, pattern) for pattern in self._exclude)

    def _read_sensor(self, sensor: Sensor, reading: Reading) -> None:
        key = f"{METRIC[sensor.kind]}:{sensor.instance}"
        if sensor.power and text(sensor.power) in ("suspended", "suspending"):
            raw, silent = None, "sleeps, and is not woken"
        else:
            raw, silent = number(sensor.path), "tells nothing now"
        if raw is None:
            if key in self._good:
                reading.faults.append(Fault(self.name, "no_data", f"{sensor.instance} {silent} ({sensor.path})"))
            return
        value = value_of(sensor.kind, raw)
        # Exactly 0 °C is what an input says that nothing is connected to; one that has shown a temperature is believed.
        if value is None or (sensor.kind == "temp" and raw == 0 and key not in self._good):
            self._complain(sensor, key, raw, reading)
        elif sensor.fault and number(sensor.fault) == 1:
            self._complain(sensor, key, raw, reading)
        else:
            self._good.add(key)
            reading.values[key] = value

    def _complain(self, sensor: Sensor, key: str, raw: int, reading: Reading) -> None:
        """Leaves a fault where a sensor went wrong; one that never was right is simply not there."""
        if key in self._good:
            message = f"{sensor.path} ({sensor.instance}) says {raw}, which cannot be"
            reading.faults.append(Fault(self.name, "failed", message, "a loose sensor, or a driver's fault"))


def _zone_name(folder: str, zone: str) -> str:
    """'intel-rapl:0:1' -> 'package-0/core'."""
    name = text(f"{folder}/{zone}/name") or zone
    parent = zone.rpartition(":")[0]
    if ":" in parent:
        return f"{_zone_name(folder, parent)}/{clean_instance(name)}"
    return clean_instance(name)


COLLECTOR = SensorsCollector
