"""Which sensors there are: the files of /sys/class/hwmon and /sys/class/thermal, each with a name of its own."""

from __future__ import annotations

import os
from typing import NamedTuple

from collectors._sysfs import entries, number, target, text
from sysmon.frame import clean_instance

OWN_NAME = frozenset({"nvme", "drivetemp"})
"""Chips of which a machine has one per disk: they are named after the disk."""

KINDS = {"temp": ("input",), "fan": ("input",), "power": ("average", "input")}
"""Kind of sensor -> the file that holds its value, the best first."""

ZONES_OF_CHIPS = {"x86_pkg_temp": "coretemp", "cpu_thermal": "cpu_thermal"}
"""Type of a thermal zone -> hwmon chip that shows the same."""


class Sensor(NamedTuple):
    """One sensor: `kind` temp, fan or power, its instance, the file of its value, that of its fault (may not exist).

    `limits`: value of its `max` and `crit` files in thousandths of a degree, None where not there. `power`: the file
    that says whether its device sleeps, '' where it cannot.
    """

    kind: str
    instance: str
    path: str
    fault: str
    limits: tuple[int | None, int | None]
    power: str


def find_sensors(sys_root: str) -> list[Sensor]:
    """Finds every temperature, fan and power sensor of hwmon, then the thermal zones that hwmon does not show."""
    chips = [_chip(f"{sys_root}/class/hwmon/{name}") for name in entries(f"{sys_root}/class/hwmon")]
    names = [name for _, name, _ in chips]
    found: list[Sensor] = []
    for folder, name, device in chips:
        shown = name
        if name in OWN_NAME and device:
            shown = device
        elif names.count(name) > 1 and device:
            # Two of a kind: the device's own name tells them apart (coretemp.0, coretemp.1; 0000:03:00.0).
            shown = device if device.startswith(name) else f"{name} {device}"
        found += _sensors(folder, shown)
    for zone in entries(f"{sys_root}/class/thermal"):
        if zone.startswith("thermal_zone"):
            found += _zone(f"{sys_root}/class/thermal/{zone}", zone, set(names))
    return _told_apart(found)


def _chip(link: str) -> tuple[str, str, str]:
    """Folder that holds the values, chip name, and name of the device it sits on."""
    name = text(f"{link}/name")
    folder = link
    if name is None or not any(_split(file) for file in entries(link)):
        # Old drivers keep their files in the device's folder.
        below = f"{link}/device"
        if text(f"{below}/name") is not None and any(_split(file) for file in entries(below)):
            folder, name = below, name or text(f"{below}/name")
    device = target(f"{link}/device")
    if name == "drivetemp":
        device = next(iter(entries(f"{link}/device/block")), device)
    return folder, (name or os.path.basename(link)).strip(), device


def _split(file: str) -> tuple[str, str] | None:
    """'temp1_input' -> ('temp', '1'); None for any other file."""
    stem, _, attribute = file.partition("_")
    kind = stem.rstrip("0123456789")
    if kind in KINDS and kind != stem and attribute in KINDS[kind]:
        return kind, stem[len(kind) :]
    return None


def _sensors(folder: str, chip: str) -> list[Sensor]:
    sleeps = f"{folder}/device/power/runtime_status"
    power = sleeps if text(sleeps) not in (None, "unsupported") else ""
    found: dict[tuple[str, int], Sensor] = {}
    for file in entries(folder):
        split = _split(file)
        if split is None:
            continue
        kind, index = split
        stem, attribute = f"{folder}/{kind}{index}", file.partition("_")[2]
        kept = found.get((kind, int(index)))
        if kept is not None and KINDS[kind].index(attribute) > 0:
            continue
        label = text(f"{stem}_label") or f"{kind}{index}"
        limits = (number(f"{stem}_max"), number(f"{stem}_crit")) if kind == "temp" else (None, None)
        instance = clean_instance(f"{chip}/{label}")
        found[kind, int(index)] = Sensor(kind, instance, f"{folder}/{file}", f"{stem}_fault", limits, power)
    return [found[key] for key in sorted(found)]


def _zone(folder: str, zone: str, chips: set[str]) -> list[Sensor]:
    name = text(f"{folder}/type") or zone
    chip = name.replace("-", "_")
    if chip in chips or ZONES_OF_CHIPS.get(chip) in chips or any(e.startswith("hwmon") for e in entries(folder)):
        return []
    critical = None
    for index in range(16):
        kind = text(f"{folder}/trip_point_{index}_type")
        if kind is None:
            break
        if kind == "critical":
            critical = number(f"{folder}/trip_point_{index}_temp")
    instance = clean_instance(f"{name}/{zone.removeprefix('thermal_')}")
    return [Sensor("temp", instance, f"{folder}/temp", "", (None, critical), "")]


def _told_apart(sensors: list[Sensor]) -> list[Sensor]:
    """Gives a second sensor of the same kind and name a number."""
    seen: dict[tuple[str, str], int] = {}
    found = []
    for sensor in sensors:
        count = seen[sensor.kind, sensor.instance] = seen.get((sensor.kind, sensor.instance), 0) + 1
        found.append(sensor if count == 1 else sensor._replace(instance=f"{sensor.instance} #{count}"))
    return found
