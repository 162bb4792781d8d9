"""Batteries and mains: /sys/class/power_supply."""

from __future__ import annotations

from collectors._sysfs import entries, number, text
from sysmon.frame import Number, clean_instance

MICRO = 1e-6

LONGEST = 100 * 86_400
"""Seconds for which no battery lasts: a gauge between two states tells a draw of next to nothing."""


def read_supplies(sys_root: str, peripherals: bool = False) -> dict[str, Number]:
    """Reads every power supply.

    Args:
        sys_root: the sys filesystem.
        peripherals: whether batteries of mice, keyboards and the like count as well.

    Returns:
        `battery.*` and `power.online` readings.
    """
    folder = f"{sys_root}/class/power_supply"
    values: dict[str, Number] = {}
    for name in entries(folder):
        path = f"{folder}/{name}"
        if not peripherals and text(f"{path}/scope") == "Device":
            continue
        kind = text(f"{path}/type") or ""
        if kind == "Battery":
            values.update(battery(path, clean_instance(name)))
        elif kind == "Mains" or kind.startswith("USB"):
            online = number(f"{path}/online")
            if online is not None:
                values[f"power.online:{clean_instance(name)}"] = int(online > 0)
    return values


def battery(path: str, name: str) -> dict[str, Number]:
    """Reads one battery.

    Drivers tell energy (µWh, µW) or charge (µAh, µA), whose difference is the voltage; some know only percent.
    The sign of a flow differs between drivers, so the status gives it: power is above 0 while discharging.

    Returns:
        Its `battery.*` readings; nothing where no battery is in its place.
    """
    if number(f"{path}/present") == 0:
        return {}
    values: dict[str, Number] = {}
    unit = "energy" if number(f"{path}/energy_now") is not None else "charge"
    now, full = number(f"{path}/{unit}_now"), number(f"{path}/{unit}_full")
    capacity = number(f"{path}/capacity")
    if now is not None and now >= 0 and full is not None and full > 0:
        values[f"battery.charge:{name}"] = round(min(now / full, 1.0), 4)
    elif capacity is not None and 0 <= capacity <= 100:
        values[f"battery.charge:{name}"] = capacity / 100
    design = number(f"{path}/{unit}_full_design")
    # One that says it holds much more than it was made for has a gauge that is wrong.
    if full is not None and full > 0 and design is not None and 0 < full <= 2 * design:
        values[f"battery.health:{name}"] = round(full / design, 4)
    cycles = number(f"{path}/cycle_count")
    if cycles is not None and 0 < cycles < 100_000:
        values[f"battery.cycles:{name}"] = cycles
    status = text(f"{path}/status") or ""
    flow = number(f"{path}/power_now") if unit == "energy" else number(f"{path}/current_now")
    volts = number(f"{path}/voltage_now")
    if flow is not None:
        scale = MICRO if unit == "energy" else None if volts is None else MICRO * MICRO * volts
        watts = None if scale is None else abs(flow) * scale
        if watts is not None and watts < 1000:
            values[f"battery.power:{name}"] = round(-watts if status == "Charging" else watts, 3)
    if now is not None and now >= 0 and flow is not None and flow != 0:
        if status == "Discharging":
            metric, amount = "battery.remaining", now
        elif status == "Charging" and full is not None and full >= now:
            metric, amount = "battery.time_to_full", full - now
        else:
            return values
        seconds = round(amount / abs(flow) * 3600)
        if seconds < LONGEST:
            values[f"{metric}:{name}"] = seconds
    return values
