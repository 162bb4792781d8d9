"""A host's hardware in the shapes of Netronome's agent; what is not known is left out."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sysmon.derive import State
    from sysmon.frame import FilesystemRow, Number
    from sysmon.records import HostInfo


def hardware(state: State, info: HostInfo) -> dict[str, object]:
    """Returns processors, memory, filesystems and temperatures."""
    readings, derived = state.readings, state.derived()
    disks = [disk(row, state, readings, derived) for row in state.tables.filesystems or ()]
    answer: dict[str, object] = {
        "cpu": cpu(readings, derived, info),
        "memory": memory(readings, derived),
        "disks": [each for each in disks if each is not None],
    }
    temperatures = [
        named(
            sensor_key=name,
            temperature=readings[f"temperature:{name}"],
            label=name.partition("/")[2],
            critical=readings.get(f"temperature.critical:{name}"),
        )
        for name in state.instances("temperature")
        if f"temperature:{name}" in readings
    ]
    return {**answer, "temperature": temperatures} if temperatures else answer


def named(**fields: object) -> dict[str, object]:
    """Returns the fields without those not known."""
    return {name: value for name, value in fields.items() if value is not None}


def cpu(readings: Mapping[str, Number], derived: Mapping[str, float], info: HostInfo) -> dict[str, object]:
    clocks = [value for key, value in readings.items() if key.startswith("cpu.frequency:")]
    loads = [readings.get(f"load.{minutes}") for minutes in (1, 5, 15)]
    cpus = readings.get("cpu.cores") or info.cpus or None
    return named(
        usage_percent=_percent(derived.get("cpu.utilization")),
        cores=cpus,
        threads=cpus,
        model=info.cpu_model,
        frequency=round(sum(clocks) / len(clocks) / 1e6, 1) if clocks else None,
        load_avg=loads if None not in loads else None,
    )


def memory(readings: Mapping[str, Number], derived: Mapping[str, float]) -> dict[str, object]:
    return named(
        total=readings.get("memory.total"),
        used=readings.get("memory.used"),
        free=readings.get("memory.free"),
        available=readings.get("memory.available"),
        used_percent=_percent(derived.get("memory.utilization")),
        cached=readings.get("memory.cached"),
        buffers=readings.get("memory.buffers"),
        zfs_arc=readings.get("memory.arc"),
        swap_total=readings.get("swap.total"),
        swap_used=readings.get("swap.used"),
        swap_percent=_percent(derived.get("swap.utilization")),
    )


def disk(
    row: FilesystemRow, state: State, readings: Mapping[str, Number], derived: Mapping[str, float]
) -> dict[str, object] | None:
    if f"fs.size:{row.mount}" not in readings:
        return None
    models = {disk.name: disk.model for disk in state.tables.disks or ()}
    return named(
        path=row.mount,
        device=row.device,
        fstype=row.type,
        total=readings[f"fs.size:{row.mount}"],
        used=readings.get(f"fs.used:{row.mount}"),
        free=readings.get(f"fs.available:{row.mount}"),
        used_percent=_percent(derived.get(f"fs.utilization:{row.mount}")),
        model=models.get(row.disk) or None,
    )


def _percent(ratio: float | None) -> float | None:
    return None if ratio is None else round(ratio * 100, 2)
