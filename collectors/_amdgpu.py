"""AMD GPUs from sysfs, as the amdgpu driver shows them; one that sleeps is not woken."""

from __future__ import annotations

from typing import TYPE_CHECKING

from collectors._sysfs import entries, number, text
from sysmon.frame import GpuRow, Number, clean_instance, clean_text

if TYPE_CHECKING:
    from collectors.base import Reading

VENDOR = 0x1002

FILES = {
    "gpu.utilization": ("gpu_busy_percent", 0.01),
    "gpu.memory.utilization": ("mem_busy_percent", 0.01),
    "gpu.memory.used": ("mem_info_vram_used", 1),
    "gpu.memory.total": ("mem_info_vram_total", 1),
}
"""Metric -> file of the device's folder, factor."""

SENSORS = {
    "gpu.temperature": ("temp1_input", 1e-3),
    "gpu.power.limit": ("power1_cap", 1e-6),
    "gpu.clock.graphics": ("freq1_input", 1),
    "gpu.clock.memory": ("freq2_input", 1),
    "gpu.fan": ("pwm1", 1 / 255),
}
"""Metric -> file of the device's hwmon folder, factor."""


def read_amd(sys_root: str, reading: Reading) -> bool:
    """Adds readings and rows of every AMD GPU, named card0 and so on; returns whether there is one."""
    drm = f"{sys_root}/class/drm"
    rows = []
    for card in entries(drm):
        device = f"{drm}/{card}/device"
        if not card.startswith("card") or "-" in card or number(f"{device}/vendor", 16) != VENDOR:
            continue
        name = clean_instance(card)
        model = clean_text(text(f"{device}/product_name") or "AMD GPU", 120)
        asleep = text(f"{device}/power/runtime_status") in ("suspended", "suspending")
        rows.append(GpuRow(name=name, model=model, driver="amdgpu", asleep=asleep))
        if not asleep:
            _read(device, name, reading.values)
    if rows:
        reading.tables.gpus = [*(reading.tables.gpus or []), *rows]
    return bool(rows)


def _read(device: str, name: str, values: dict[str, Number]) -> None:
    for metric, (file, factor) in FILES.items():
        _put(values, f"{metric}:{name}", number(f"{device}/{file}"), factor)
    for hwmon in entries(f"{device}/hwmon")[:1]:
        folder = f"{device}/hwmon/{hwmon}"
        for metric, (file, factor) in SENSORS.items():
            _put(values, f"{metric}:{name}", number(f"{folder}/{file}"), factor)
        power = number(f"{folder}/power1_average")
        _put(values, f"gpu.power:{name}", number(f"{folder}/power1_input") if power is None else power, 1e-6)


def _put(values: dict[str, Number], key: str, value: int | None, factor: Number) -> None:
    if value is not None and value >= 0:
        scaled = value * factor
        values[key] = round(scaled, 3) if isinstance(scaled, float) else scaled
