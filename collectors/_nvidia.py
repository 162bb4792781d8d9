"""NVIDIA GPUs through NVML, by the pynvml bindings, which are imported only where the driver is.

NVML wakes a GPU that sleeps, and keeps one awake that would fall asleep. So nothing is asked while all sleep, those
that sleep are left out while others work, and where GPUs may sleep NVML is let go when they have been idle.
"""

from __future__ import annotations

import importlib
import os
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from collectors._sysfs import entries, number, text
from sysmon.frame import Fault, FaultKind, GpuRow, Number, clean_text

if TYPE_CHECKING:
    from collections.abc import Callable

    from collectors.base import Reading, Roots

VENDOR = 0x10DE
RETRY = 30.0
"""Seconds before a driver that vanished is tried again."""
SCAN = 60.0
"""Seconds between looks for GPUs that came or went on the bus."""
IDLE = 20.0
"""Seconds of idleness after which GPUs that may sleep are let alone."""
REST = 60.0
"""Seconds that they are then let alone, though they have not fallen asleep."""

LIMITS = {
    "SwPowerCap": "power cap",
    "HwSlowdown": "hardware slowdown",
    "SwThermalSlowdown": "thermal",
    "HwThermalSlowdown": "hardware thermal",
    "HwPowerBrakeSlowdown": "power brake",
}
"""Suffix of nvmlClocksEventReason* -> what limits the clocks. Idleness and settings are no limits."""

GONE = ("UNINITIALIZED", "DRIVER_NOT_LOADED", "LIB_RM_VERSION_MISMATCH", "LIBRARY_NOT_FOUND")
"""Errors that mean all of NVML."""

LOST = ("GPU_IS_LOST", "RESET_REQUIRED")
"""Errors that mean one GPU."""

ABSENT = (
    "NOT_SUPPORTED",
    "FUNCTION_NOT_FOUND",
    "NO_PERMISSION",
    "INVALID_ARGUMENT",
    "ARGUMENT_VERSION_MISMATCH",
    "NO_DATA",
    "NOT_FOUND",
    "DEPRECATED",
)
"""Errors that mean one value that this GPU, driver or user does not have."""


@dataclass(slots=True)
class _Gpu:
    """One GPU that answers; `handle` is NVML's."""

    row: GpuRow
    handle: Any


class Nvidia:
    """Reads all NVIDIA GPUs; keeps NVML initialised between reads while it is of use."""

    def __init__(
        self,
        roots: Roots,
        load: Callable[[], Any] = lambda: importlib.import_module("pynvml"),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._load, self._clock = load, clock
        self._pci = str(roots.sys / "bus" / "pci" / "devices")
        self._marks = (str(roots.proc / "driver" / "nvidia"), str(roots.base / "dev" / "nvidiactl"))
        self._nvml: Any = None
        self._open = False
        self._worked = False
        self._devices: list[str] = []
        self._awake: list[str] = []
        self._gpus: list[_Gpu] = []
        self._known: dict[str, GpuRow] = {}
        self._failed: list[Fault] = []
        self._passing: list[Fault] = []
        self._retry_at = self._scan_at = self._rest_until = 0.0
        self._busy_at = 0.0

    def read(self, reading: Reading) -> bool:
        """Adds readings, rows and faults of every GPU; returns whether this machine has (or had) the driver."""
        if not any(os.path.exists(mark) for mark in self._marks):
            if self._worked:
                self.close()
                reading.faults.append(_fault("failed", "the NVIDIA driver was unloaded"))
            return self._worked
        now = self._clock()
        self._passing = []
        if now >= self._scan_at:
            self._scan_at = now + SCAN
            self._devices = _on_bus(self._pci)
        awake = [device for device in self._devices if not self._sleeps(device)]
        asleep = [device for device in self._devices if device not in awake]
        if self._open and (awake != self._awake or now >= self._retry_at > 0):
            self.close()
        if not awake and asleep:
            self.close()
            self._rest_until = 0.0
        elif self._open or now >= max(self._retry_at, self._rest_until):
            self._read_awake(reading, awake, bool(asleep), now)
        elif now < self._rest_until:
            reading.faults.append(_fault("no_data", "the GPU is idle and let alone, so that it can sleep"))
        reading.faults += self._failed + self._passing
        rows = reading.tables.gpus = reading.tables.gpus or []
        rows += [self._asleep(device) for device in asleep]
        return True

    def _read_awake(self, reading: Reading, awake: list[str], some_asleep: bool, now: float) -> None:
        rows = reading.tables.gpus = reading.tables.gpus or []
        try:
            if not self._open:
                self._init(awake, some_asleep)
                self._busy_at = now
            for gpu in list(self._gpus):
                try:
                    rows += self._read_gpu(gpu, reading)
                except self._nvml.NVMLError as error:
                    if self._is(error, GONE):
                        raise
                    self._gpus.remove(gpu)
                    self._failed.append(_fault("failed", f"GPU {gpu.row.name} ({gpu.row.model}): {error}"))
                    self._retry_at = now + RETRY
        except ImportError as error:
            self._fail(now, _fault("unsupported", f"pynvml cannot be imported: {error}", "install nvidia-ml-py"))
        except Exception as error:
            # The class of NVML's errors is known only where pynvml could be imported.
            if self._nvml is None or not isinstance(error, self._nvml.NVMLError):
                raise
            self._fail(now, self._explain(error))
            reading.values = {key: value for key, value in reading.values.items() if not key.startswith("gpu.")}
            rows.clear()
        else:
            self._rest_when_idle(reading.values, awake, now)

    def _fail(self, now: float, fault: Fault) -> None:
        self.close()
        self._failed, self._retry_at = [fault], now + RETRY

    def _explain(self, error: Exception) -> Fault:
        if self._is(error, ("LIBRARY_NOT_FOUND",)):
            return _fault("unsupported", f"NVML: {error}", "install the library libnvidia-ml of the driver's version")
        if self._is(error, ("LIB_RM_VERSION_MISMATCH",)):
            return _fault("failed", f"NVML: {error}", "the driver was updated: load its module anew, or reboot")
        return _fault("denied" if self._is(error, ("NO_PERMISSION",)) else "failed", f"NVML: {error}")

    def _rest_when_idle(self, values: dict[str, Number], awake: list[str], now: float) -> None:
        used = any(value > 0 for key, value in values.items() if key.startswith("gpu.utilization:"))
        holders = any(gpu.row.processes for gpu in self._gpus)
        if used or holders or not all(text(f"{self._pci}/{device}/power/control") == "auto" for device in awake):
            self._busy_at = now
        elif awake and now - self._busy_at >= IDLE:
            self.close()
            self._rest_until = now + REST

    def _init(self, awake: list[str], some_asleep: bool) -> None:
        self._failed = []
        self._retry_at = 0.0
        if self._nvml is None:
            self._nvml = self._load()
        nvml = self._nvml
        if some_asleep:
            # Attaching to all GPUs, as nvmlInit does, would wake those that sleep.
            nvml.nvmlInitWithFlags(nvml.NVML_INIT_FLAG_NO_ATTACH)
        else:
            nvml.nvmlInit()
        self._open, self._awake, self._gpus = True, awake, []
        driver = _decoded(self._ask("nvmlSystemGetDriverVersion"))
        if some_asleep:
            places = [(self._devices.index(device), device) for device in awake]
        else:
            places = [(index, "") for index in range(nvml.nvmlDeviceGetCount())]
        for index, device in places:
            try:
                handle = (
                    nvml.nvmlDeviceGetHandleByPciBusId(device.encode())
                    if device
                    else nvml.nvmlDeviceGetHandleByIndex(index)
                )
                self._add(index, handle, driver)
            except nvml.NVMLError as error:
                if self._is(error, GONE):
                    raise
                self._failed.append(_fault("failed", f"GPU {index}: {error}"))
                self._retry_at = self._clock() + RETRY
        self._worked = True

    def _add(self, index: int, handle: Any, driver: str) -> None:
        row = GpuRow(
            name=str(index),
            model=_decoded(self._ask("nvmlDeviceGetName", handle)),
            uuid=_decoded(self._ask("nvmlDeviceGetUUID", handle)),
            driver=driver,
        )
        self._gpus.append(_Gpu(row, handle))
        self._known[row.name] = row

    def _asleep(self, device: str) -> GpuRow:
        name = str(self._devices.index(device))
        known = self._known.get(name, GpuRow(name=name, model="NVIDIA"))
        return GpuRow(name=name, model=known.model, uuid=known.uuid, driver=known.driver, asleep=True)

    def _sleeps(self, device: str) -> bool:
        return text(f"{self._pci}/{device}/power/runtime_status") in ("suspended", "suspending")

    def close(self) -> None:
        """Lets NVML go; the next read takes it up again."""
        if self._open:
            self._open, self._gpus, self._awake = False, [], []
            try:
                self._nvml.nvmlShutdown()
            except self._nvml.NVMLError:
                pass

    def _is(self, error: Exception, names: tuple[str, ...]) -> bool:
        value = getattr(error, "value", None)
        return value in [getattr(self._nvml, f"NVML_ERROR_{name}", -1) for name in names]

    def _ask(self, function: str, *arguments: Any, **named: Any) -> Any:
        """Calls a function of NVML; None where this GPU, driver or binding does not have the value."""
        call = getattr(self._nvml, function, None)
        if call is None:
            return None
        try:
            return call(*arguments, **named)
        except self._nvml.NVMLError as error:
            if self._is(error, GONE + LOST):
                raise
            if not self._is(error, ABSENT) and len(self._passing) < 8:
                fault = _fault("failed", f"{function}: {error}")
                self._passing += [fault] if fault not in self._passing else []
            return None

    def _read_gpu(self, gpu: _Gpu, reading: Reading) -> list[GpuRow]:
        nvml, handle, name = self._nvml, gpu.handle, gpu.row.name
        put = _Putter(reading.values, name)
        rates = self._ask("nvmlDeviceGetUtilizationRates", handle)
        if rates is not None:
            put("gpu.utilization", rates.gpu, 0.01)
            put("gpu.memory.utilization", rates.memory, 0.01)
        self._memory(handle, put)
        put("gpu.temperature", self._ask("nvmlDeviceGetTemperature", handle, nvml.NVML_TEMPERATURE_GPU))
        put("gpu.power", self._ask("nvmlDeviceGetPowerUsage", handle), 1e-3)
        put("gpu.power.limit", self._ask("nvmlDeviceGetEnforcedPowerLimit", handle), 1e-3)
        put("gpu.clock.graphics", self._ask("nvmlDeviceGetClockInfo", handle, nvml.NVML_CLOCK_GRAPHICS), 1_000_000)
        put("gpu.clock.memory", self._ask("nvmlDeviceGetClockInfo", handle, nvml.NVML_CLOCK_MEM), 1_000_000)
        put("gpu.fan", self._ask("nvmlDeviceGetFanSpeed", handle), 0.01)
        for metric in ("encoder", "decoder"):
            used = self._ask(f"nvmlDeviceGet{metric.title()}Utilization", handle)
            put(f"gpu.{metric}.utilization", used[0] if used else None, 0.01)
        for metric, kind in (("corrected", "CORRECTED"), ("uncorrected", "UNCORRECTED")):
            kind_number = getattr(nvml, f"NVML_MEMORY_ERROR_TYPE_{kind}")
            errors = self._ask("nvmlDeviceGetTotalEccErrors", handle, kind_number, nvml.NVML_VOLATILE_ECC)
            put(f"gpu.ecc.{metric}", errors)
        throttle = self._throttle(handle)
        put("gpu.throttled", None if throttle is None else int(bool(throttle)))
        gpu.row = GpuRow(
            name=name,
            model=gpu.row.model,
            uuid=gpu.row.uuid,
            driver=gpu.row.driver,
            throttle=throttle or [],
            processes=self._processes(handle),
        )
        return [gpu.row, *self._parts(gpu, reading.values)]

    def _memory(self, handle: Any, put: _Putter) -> None:
        # The second version of this call counts what the driver reserves apart from what is used.
        memory = self._ask("nvmlDeviceGetMemoryInfo", handle, version=getattr(self._nvml, "nvmlMemory_v2", None))
        memory = memory or self._ask("nvmlDeviceGetMemoryInfo", handle)
        if memory is not None:
            put("gpu.memory.used", memory.used)
            put("gpu.memory.total", memory.total)

    def _throttle(self, handle: Any) -> list[str] | None:
        bits = self._ask("nvmlDeviceGetCurrentClocksEventReasons", handle)
        if bits is None:
            bits = self._ask("nvmlDeviceGetCurrentClocksThrottleReasons", handle)
        if bits is None:
            return None
        return [
            words for name, words in LIMITS.items() if bits & getattr(self._nvml, f"nvmlClocksThrottleReason{name}", 0)
        ]

    def _processes(self, handle: Any) -> list[tuple[int, int | None]]:
        found: dict[int, int | None] = {}
        for kind in ("Compute", "Graphics"):
            for process in self._ask(f"nvmlDeviceGet{kind}RunningProcesses", handle) or ():
                used = process.usedGpuMemory
                before = found.get(process.pid)
                # One that computes and draws is in both lists with the same memory.
                found[process.pid] = before if used is None else max(used, before or 0)
        return sorted(found.items())

    def _parts(self, gpu: _Gpu, values: dict[str, Number]) -> list[GpuRow]:
        """The MIG devices of a GPU; their load is not told, their memory is."""
        mode = self._ask("nvmlDeviceGetMigMode", gpu.handle)
        if not mode or mode[0] != 1:
            return []
        rows = []
        for index in range(self._ask("nvmlDeviceGetMaxMigDeviceCount", gpu.handle) or 0):
            part = self._ask("nvmlDeviceGetMigDeviceHandleByIndex", gpu.handle, index)
            if part is None:
                continue
            name = f"{gpu.row.name}/{index}"
            self._memory(part, _Putter(values, name))
            model, uuid = (_decoded(self._ask(f"nvmlDeviceGet{what}", part)) for what in ("Name", "UUID"))
            rows.append(GpuRow(name=name, model=model, uuid=uuid, driver=gpu.row.driver))
        return rows


class _Putter:
    """Puts values of one GPU among the readings, scaled; what is not there is left out."""

    def __init__(self, values: dict[str, Number], name: str) -> None:
        self._values, self._name = values, name

    def __call__(self, metric: str, value: Any, scale: Number = 1) -> None:
        if value is not None and value >= 0:
            scaled = value * scale
            self._values[f"{metric}:{self._name}"] = round(scaled, 3) if isinstance(scaled, float) else scaled


def _on_bus(folder: str) -> list[str]:
    """PCI addresses of NVIDIA's display controllers, in the order in which NVML counts them."""
    found = []
    for device in entries(folder):
        if number(f"{folder}/{device}/vendor", 16) == VENDOR:
            kind = number(f"{folder}/{device}/class", 16)
            if kind is not None and kind >> 16 == 0x03:
                found.append(device)
    return found


def _decoded(value: object) -> str:
    # Older bindings give bytes.
    return clean_text(value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value or ""), 120)


def _fault(kind: FaultKind, message: str, hint: str = "") -> Fault:
    return Fault("gpu", kind, message, hint)
