"""GPUs: NVIDIA's through NVML, AMD's from sysfs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from collectors._amdgpu import read_amd
from collectors._nvidia import Nvidia
from collectors.base import Collector, Reading, Roots
from sysmon.catalogue import Formula, counter, derived, gauge, rate
from sysmon.errors import NoData

if TYPE_CHECKING:
    from collections.abc import Mapping

NVML = "NVML; sysfs of amdgpu"


class GpuCollector(Collector):
    """Reads every GPU; what one does not tell (a MIG device its load, a passive card its fan) is left out."""

    name = "gpu"
    help = "Load, memory, power and heat of GPUs"
    interval = 2.0
    blocking = True
    metrics = (
        gauge("gpu.utilization", "ratio", "Share of time in which a kernel ran", NVML, precision=2, instance="gpu"),
        gauge("gpu.memory.utilization", "ratio", "Share of time at its memory", NVML, precision=2, instance="gpu"),
        gauge("gpu.memory.used", "bytes", "Memory in use", NVML, instance="gpu"),
        gauge("gpu.memory.total", "bytes", "Memory", NVML, instance="gpu"),
        gauge("gpu.temperature", "celsius", "Temperature", NVML, precision=1, instance="gpu"),
        gauge("gpu.power", "watts", "Power drawn", NVML, precision=1, instance="gpu"),
        gauge("gpu.power.limit", "watts", "Power that it may draw", NVML, precision=1, instance="gpu"),
        gauge("gpu.clock.graphics", "hertz", "Clock of its cores", NVML, instance="gpu"),
        gauge("gpu.clock.memory", "hertz", "Clock of its memory", NVML, instance="gpu"),
        gauge("gpu.fan", "ratio", "Speed of its fan, of the highest", NVML, precision=2, instance="gpu"),
        gauge("gpu.encoder.utilization", "ratio", "Load of the video encoder", NVML, precision=2, instance="gpu"),
        gauge("gpu.decoder.utilization", "ratio", "Load of the video decoder", NVML, precision=2, instance="gpu"),
        gauge("gpu.throttled", "", "1 while heat or power holds the clocks down, else 0", NVML, instance="gpu"),
        counter("gpu.ecc.corrected", "", "Memory errors corrected since the driver was loaded", NVML, instance="gpu"),
        counter("gpu.ecc.uncorrected", "", "Memory errors not corrected since then", NVML, instance="gpu"),
        derived(
            "gpu.memory.occupancy",
            "ratio",
            "Share of its memory in use",
            Formula("value_ratio", ("gpu.memory.used",), ("gpu.memory.total",)),
            instance="gpu",
        ),
        rate("gpu.ecc.rate", "gpu.ecc.uncorrected", "/s", "Memory errors not corrected, per second", instance="gpu"),
    )

    def __init__(self, roots: Roots, options: Mapping[str, object] | None = None) -> None:
        super().__init__(roots, options)
        self.nvidia = Nvidia(roots) if roots.live else None

    def read(self) -> Reading:
        """Reads every GPU that is awake, and a row for each.

        Raises:
            NoData: this machine has no GPU whose load can be read.
        """
        reading = Reading()
        nvidia = self.nvidia is not None and self.nvidia.read(reading)
        if not read_amd(str(self.roots.sys), reading) and not nvidia:
            raise NoData("no GPU of NVIDIA or AMD with its driver is here")
        return reading

    def close(self) -> None:
        """Lets NVML go."""
        if self.nvidia is not None:
            self.nvidia.close()


COLLECTOR = GpuCollector
