"""GPUs through a made-up NVML and a made-up sysfs: values, what is not told, sleep, loss and recovery."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pynvml
import pytest

from collectors._nvidia import IDLE, REST, RETRY, Nvidia
from collectors.base import Reading, Roots
from collectors.gpu import GpuCollector
from sysmon.errors import NoData
from sysmon.frame import GpuRow
from tests.collectors.nvml import GIB, FakeNvml, gpu


class Machine:
    """A machine with the driver and NVIDIA GPUs on its bus, and a clock that the test turns."""

    def __init__(self, root: Path, *gpus: dict[str, Any]) -> None:
        self.root = root
        self.now = 1000.0
        self.nvml = FakeNvml(*gpus)
        self.loads = 0
        (root / "proc" / "driver" / "nvidia").mkdir(parents=True)
        for each in gpus:
            self.put(each, "vendor", "0x10de")
            self.put(each, "class", "0x030000")
            self.put(each, "power/runtime_status", "active")
            self.put(each, "power/control", "on")
        self.nvidia = Nvidia(Roots(root), self.load, lambda: self.now)

    def load(self) -> FakeNvml:
        self.loads += 1
        return self.nvml

    def put(self, which: dict[str, Any], file: str, text: str) -> None:
        path = self.root / "sys" / "bus" / "pci" / "devices" / which["address"] / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text + "\n")

    def read(self, after: float = 2.0) -> Reading:
        self.now += after
        reading = Reading()
        assert self.nvidia.read(reading)
        return reading


def rows(reading: Reading) -> list[GpuRow]:
    return reading.tables.gpus or []


def test_everything_in_base_units(tmp_path: Path) -> None:
    machine = Machine(tmp_path, gpu())
    reading = machine.read()
    assert not reading.faults
    assert reading.values == {
        "gpu.utilization:0": 0.37,
        "gpu.memory.utilization:0": 0.12,
        "gpu.memory.used:0": 6 * GIB,
        "gpu.memory.total:0": 24 * GIB,
        "gpu.temperature:0": 61,
        "gpu.power:0": 285.4,
        "gpu.power.limit:0": 450.0,
        "gpu.clock.graphics:0": 2_520_000_000,
        "gpu.clock.memory:0": 10_501_000_000,
        "gpu.fan:0": 0.44,
        "gpu.encoder.utilization:0": 0.05,
        "gpu.decoder.utilization:0": 0.0,
        "gpu.ecc.corrected:0": 3,
        "gpu.ecc.uncorrected:0": 0,
        "gpu.throttled:0": 1,
    }
    assert {key.split(":")[0] for key in reading.values} <= {metric.name for metric in GpuCollector.metrics}
    assert rows(reading) == [
        GpuRow(
            name="0",
            model="NVIDIA GeForce RTX 4090",
            uuid="GPU-1",
            driver="580.95.05",
            throttle=["power cap"],
            processes=[(77, None), (900, 4 * GIB)],
        )
    ]


def test_what_a_gpu_does_not_tell_is_missing(tmp_path: Path) -> None:
    machine = Machine(tmp_path, gpu(FanSpeed=None, UtilizationRates=None, TotalEccErrors=None, EncoderUtilization=None))
    reading = machine.read()
    assert not reading.faults
    assert not {"gpu.fan:0", "gpu.utilization:0", "gpu.ecc.corrected:0", "gpu.encoder.utilization:0"} & set(
        reading.values
    )


def test_older_drivers_know_throttle_reasons_by_their_old_name(tmp_path: Path) -> None:
    thermal = pynvml.nvmlClocksThrottleReasonHwThermalSlowdown
    machine = Machine(
        tmp_path, gpu(CurrentClocksEventReasons=None, CurrentClocksThrottleReasons=thermal, Name=b"Tesla")
    )
    row = rows(machine.read())[0]
    assert row.throttle == ["hardware thermal"]
    assert row.model == "Tesla"


def test_idleness_is_no_throttling(tmp_path: Path) -> None:
    machine = Machine(tmp_path, gpu(CurrentClocksEventReasons=pynvml.nvmlClocksEventReasonGpuIdle))
    assert machine.read().values["gpu.throttled:0"] == 0


def test_parts_of_a_gpu_show_their_memory(tmp_path: Path) -> None:
    part = gpu(Name="H200 MIG 1g.18gb", UUID="MIG-1", MemoryInfo=SimpleNamespace(used=GIB, total=18 * GIB))
    whole = gpu(UtilizationRates=None, MigMode=[1, 1], MaxMigDeviceCount=7, MigDeviceHandleByIndex={2: part})
    reading = Machine(tmp_path, whole).read()
    assert [row.name for row in rows(reading)] == ["0", "0/2"]
    assert reading.values["gpu.memory.total:0/2"] == 18 * GIB
    assert "gpu.utilization:0" not in reading.values
    assert not reading.faults


def test_nvml_is_not_imported_while_all_sleep(tmp_path: Path) -> None:
    only = gpu()
    machine = Machine(tmp_path, only)
    machine.put(only, "power/runtime_status", "suspended")
    for _ in range(3):
        reading = machine.read()
        assert reading.values == {}
        assert [row.asleep for row in rows(reading)] == [True]
    assert machine.loads == 0
    machine.put(only, "power/runtime_status", "active")
    assert rows(machine.read())[0].asleep is False
    machine.put(only, "power/runtime_status", "suspended")
    row = rows(machine.read())[0]
    assert (row.asleep, row.model) == (True, "NVIDIA GeForce RTX 4090")
    assert not machine.nvml.open, "an open NVML would keep it from sleeping"


def test_one_that_sleeps_beside_one_that_works_is_not_touched(tmp_path: Path) -> None:
    first, second = gpu(), gpu(address="0000:02:00.0", UUID="GPU-2")
    machine = Machine(tmp_path, first, second)
    machine.put(first, "power/runtime_status", "suspended")
    reading = machine.read()
    assert not machine.nvml.attached
    assert {row.name: row.asleep for row in rows(reading)} == {"0": True, "1": False}
    assert {key.split(":")[1] for key in reading.values} == {"1"}
    machine.put(first, "power/runtime_status", "active")
    assert {key.split(":")[1] for key in machine.read().values} == {"0", "1"}


def test_an_idle_gpu_that_may_sleep_is_let_alone(tmp_path: Path) -> None:
    only = gpu(
        UtilizationRates=SimpleNamespace(gpu=0, memory=0), ComputeRunningProcesses=[], GraphicsRunningProcesses=[]
    )
    machine = Machine(tmp_path, only)
    machine.put(only, "power/control", "auto")
    machine.read()
    machine.read(IDLE)
    assert not machine.nvml.open
    reading = machine.read()
    assert reading.values == {}
    assert [fault.kind for fault in reading.faults] == ["no_data"]
    assert machine.read(REST).values["gpu.utilization:0"] == 0, "looked at again after a while"


def test_a_gpu_that_always_runs_is_read_when_idle(tmp_path: Path) -> None:
    only = gpu(
        UtilizationRates=SimpleNamespace(gpu=0, memory=0), ComputeRunningProcesses=[], GraphicsRunningProcesses=[]
    )
    machine = Machine(tmp_path, only)
    machine.read()
    assert machine.read(IDLE * 3).values["gpu.utilization:0"] == 0


def test_a_gpu_that_fell_off_the_bus_leaves_the_others(tmp_path: Path) -> None:
    first, second = gpu(), gpu(address="0000:02:00.0", UUID="GPU-2")
    machine = Machine(tmp_path, first, second)
    machine.read()
    first["lost"] = pynvml.NVML_ERROR_GPU_IS_LOST
    reading = machine.read()
    assert [fault.kind for fault in reading.faults] == ["failed"]
    assert "GPU 0" in reading.faults[0].message
    assert [fault.message for fault in machine.read().faults] == [reading.faults[0].message]
    del first["lost"]
    recovered = machine.read(RETRY)
    assert not recovered.faults
    assert [row.name for row in rows(recovered)] == ["0", "1"]


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (pynvml.NVML_ERROR_DRIVER_NOT_LOADED, "failed"),
        (pynvml.NVML_ERROR_LIBRARY_NOT_FOUND, "unsupported"),
        (pynvml.NVML_ERROR_LIB_RM_VERSION_MISMATCH, "failed"),
        (pynvml.NVML_ERROR_NO_PERMISSION, "denied"),
        (pynvml.NVML_ERROR_UNKNOWN, "failed"),
    ],
)
def test_a_driver_that_does_not_start(tmp_path: Path, error: int, kind: str) -> None:
    machine = Machine(tmp_path, gpu())
    machine.nvml.init_error = error
    reading = machine.read()
    assert reading.values == {}
    assert [fault.kind for fault in reading.faults] == [kind]
    tries = machine.nvml.calls.count("init")
    assert [fault.kind for fault in machine.read().faults] == [kind], "told again, not tried again"
    assert machine.nvml.calls.count("init") == tries
    machine.nvml.init_error = None
    assert machine.read(RETRY).values["gpu.temperature:0"] == 61


def test_a_driver_that_vanishes_and_comes_back(tmp_path: Path) -> None:
    only = gpu()
    machine = Machine(tmp_path, only)
    machine.read()
    only["lost"] = pynvml.NVML_ERROR_UNINITIALIZED
    reading = machine.read()
    assert reading.values == {}
    assert rows(reading) == []
    assert [fault.kind for fault in reading.faults] == ["failed"]
    (tmp_path / "proc" / "driver" / "nvidia").rmdir()
    assert "unloaded" in machine.read().faults[0].message
    (tmp_path / "proc" / "driver" / "nvidia").mkdir()
    del only["lost"]
    assert machine.read(RETRY).values["gpu.temperature:0"] == 61


def test_without_the_bindings(tmp_path: Path) -> None:
    machine = Machine(tmp_path, gpu())

    def absent() -> FakeNvml:
        raise ModuleNotFoundError("No module named 'pynvml'")

    machine.nvidia._load = absent
    assert [fault.kind for fault in machine.read().faults] == ["unsupported"]


def test_a_machine_without_gpus_imports_nothing(tmp_path: Path) -> None:
    collector = GpuCollector(Roots(tmp_path))
    with pytest.raises(NoData):
        collector.read()
    collector.close()


def test_amd_from_sysfs(tmp_path: Path) -> None:
    device = tmp_path / "sys" / "class" / "drm" / "card1" / "device"
    files = {
        "vendor": "0x1002",
        "gpu_busy_percent": "73",
        "mem_info_vram_used": str(2 * GIB),
        "mem_info_vram_total": str(8 * GIB),
        "hwmon/hwmon4/temp1_input": "58000",
        "hwmon/hwmon4/power1_average": "120500000",
        "hwmon/hwmon4/freq1_input": "2400000000",
        "hwmon/hwmon4/pwm1": "51",
        "power/runtime_status": "active",
    }
    for name, text in files.items():
        (device / name).parent.mkdir(parents=True, exist_ok=True)
        (device / name).write_text(text + "\n")
    collector = GpuCollector(Roots(tmp_path, live=False))
    reading = collector.read()
    assert reading.values == {
        "gpu.utilization:card1": 0.73,
        "gpu.memory.used:card1": 2 * GIB,
        "gpu.memory.total:card1": 8 * GIB,
        "gpu.temperature:card1": 58.0,
        "gpu.power:card1": 120.5,
        "gpu.clock.graphics:card1": 2_400_000_000,
        "gpu.fan:card1": 0.2,
    }
    (device / "power" / "runtime_status").write_text("suspended\n")
    reading = collector.read()
    assert reading.values == {}
    assert [row.asleep for row in rows(reading)] == [True]
