"""A made-up NVML: the constants and errors of the real bindings, the GPUs of a test."""

from types import SimpleNamespace
from typing import Any

import pynvml

GIB = 1 << 30


class FakeNvml:
    """Stands in for the module pynvml; what a GPU lacks is answered as the driver does, with NOT_SUPPORTED."""

    def __init__(self, *gpus: dict[str, Any]) -> None:
        self.gpus = list(gpus)
        self.calls: list[str] = []
        self.open = False
        self.init_error: int | None = None
        self.attached = True

    def __getattr__(self, name: str) -> Any:
        if name.startswith(("NVML_", "nvmlClocks", "NVMLError", "nvmlMemory")):
            return getattr(pynvml, name)
        if name.startswith("nvmlDeviceGet"):
            return lambda handle, *arguments, **named: self._device(
                name.removeprefix("nvmlDeviceGet"), handle, *arguments
            )
        raise AttributeError(name)

    def nvmlInit(self) -> None:
        self.nvmlInitWithFlags(0)

    def nvmlInitWithFlags(self, flags: int) -> None:
        self.calls.append("init")
        if self.init_error is not None:
            raise pynvml.NVMLError(self.init_error)
        self.open, self.attached = True, not flags & pynvml.NVML_INIT_FLAG_NO_ATTACH

    def nvmlShutdown(self) -> None:
        self.calls.append("shutdown")
        self.open = False

    def nvmlSystemGetDriverVersion(self) -> str:
        return "580.95.05"

    def nvmlDeviceGetCount(self) -> int:
        return len(self.gpus)

    def nvmlDeviceGetHandleByIndex(self, index: int) -> dict[str, Any]:
        assert self.attached, "asking by index attaches to every GPU"
        return self._alive(self.gpus[index])

    def nvmlDeviceGetHandleByPciBusId(self, address: bytes) -> dict[str, Any]:
        return self._alive(next(gpu for gpu in self.gpus if gpu["address"] == address.decode()))

    def _alive(self, gpu: dict[str, Any]) -> dict[str, Any]:
        if "lost" in gpu:
            raise pynvml.NVMLError(gpu["lost"])
        return gpu

    def _device(self, what: str, gpu: dict[str, Any], *arguments: Any) -> Any:
        assert self.open, "NVML is not initialised"
        self.calls.append(what)
        self._alive(gpu)
        value = gpu.get(what)
        if isinstance(value, dict):
            value = value.get(arguments[0])
        if value is None:
            raise pynvml.NVMLError(pynvml.NVML_ERROR_NOT_SUPPORTED)
        return value


def gpu(**changes: Any) -> dict[str, Any]:
    """A GPU that tells everything, but for the changes; None takes a value away."""
    full = {
        "address": "0000:01:00.0",
        "Name": "NVIDIA GeForce RTX 4090",
        "UUID": "GPU-1",
        "UtilizationRates": SimpleNamespace(gpu=37, memory=12),
        "MemoryInfo": SimpleNamespace(used=6 * GIB, total=24 * GIB),
        "Temperature": 61,
        "PowerUsage": 285_400,
        "EnforcedPowerLimit": 450_000,
        "ClockInfo": {pynvml.NVML_CLOCK_GRAPHICS: 2520, pynvml.NVML_CLOCK_MEM: 10501},
        "FanSpeed": 44,
        "EncoderUtilization": [5, 167000],
        "DecoderUtilization": [0, 167000],
        "TotalEccErrors": {pynvml.NVML_MEMORY_ERROR_TYPE_CORRECTED: 3, pynvml.NVML_MEMORY_ERROR_TYPE_UNCORRECTED: 0},
        "CurrentClocksEventReasons": pynvml.nvmlClocksEventReasonGpuIdle | pynvml.nvmlClocksEventReasonSwPowerCap,
        "ComputeRunningProcesses": [SimpleNamespace(pid=900, usedGpuMemory=4 * GIB)],
        "GraphicsRunningProcesses": [
            SimpleNamespace(pid=900, usedGpuMemory=4 * GIB),
            SimpleNamespace(pid=77, usedGpuMemory=None),
        ],
    }
    return full | changes
