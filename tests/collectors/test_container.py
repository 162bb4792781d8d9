"""A Docker container of cgroup v2 with half a processor and 200 MiB, as captured inside of it, busy with a loop."""

import shutil
from pathlib import Path

import pytest

from collectors._mountprobe import Size
from collectors.base import Roots
from collectors.capacity import container_kind
from collectors.cpu import CpuCollector
from collectors.filesystems import FilesystemsCollector
from collectors.load import LoadCollector
from collectors.memory import MemoryCollector
from collectors.pressure import PressureCollector
from collectors.swap import SwapCollector
from tests.collectors.trees import FIXTURES, copied, derived, known, put, tree

ELAPSED = 42_090_000_000
"""Nanoseconds between the two captures."""


def test_its_quota_is_the_capacity_and_its_tasks_are_told_from_the_hosts(tmp_path: Path) -> None:
    roots = copied("vm-container", tmp_path)
    assert container_kind(roots) == "docker"
    collector = CpuCollector(roots)
    before = collector.read()
    known(CpuCollector, before)
    shutil.copytree(FIXTURES / "vm-container-later", tmp_path, dirs_exist_ok=True)
    now = collector.read()
    found = derived(CpuCollector, before, now, ELAPSED)
    assert now.values["cpu.capacity"] == 0.5
    assert found["cpu.utilization"] == pytest.approx(14.149022 / (0.5 * 42.09))
    assert found["cpu.throttled"] == pytest.approx(283 / 287)
    assert 0 < found["host.cpu.utilization"] < 1
    # The kernel counts these over all containers.
    assert now.values["host.processes.running"] > 1
    assert {"host.cpu.context_switches", "host.processes.created", "boot.time"} <= now.values.keys()
    assert not {"cpu.context_switches", "processes.created", "processes.running", "cpu.cores"} & now.values.keys()


def test_without_a_quota_the_processors_are_the_hosts_and_the_tasks_still_not_its_own(tmp_path: Path) -> None:
    roots = copied("vm-container", tmp_path)
    put(tmp_path, "sys/fs/cgroup/cpu.max", "max 100000\n")
    values = CpuCollector(roots).read().values
    assert values["cpu.cores"] == 2 and "host.cpu.time.user" not in values and "cpu.capacity" not in values
    assert "cpu.context_switches" in values
    assert "host.processes.running" in values and "processes.running" not in values


def test_memory_swap_and_oom_kills_are_its_own() -> None:
    memory = MemoryCollector(tree("vm-container")).read().values
    assert (memory["memory.total"], memory["memory.used"]) == (200 << 20, 1662976 - 90112)
    assert memory["host.memory.total"] == 740741120
    assert (memory["swap.total"], memory["swap.used"]) == (60 << 20, 94208)
    swap = SwapCollector(tree("vm-container")).read().values
    assert swap["memory.oom_kills"] == 1 and swap["memory.major_faults"] == 4
    assert swap["host.memory.oom_kills"] == 2


def test_pressure_is_its_own() -> None:
    values = PressureCollector(tree("vm-container")).read().values
    assert values["pressure.cpu.some.time"] == 177.481102
    assert values["pressure.cpu.full.time"] == 175.546474
    assert values["host.pressure.cpu.some.time"] == 426.660463
    assert "host.pressure.cpu.full.time" not in values


def test_threads_are_those_of_its_control_group(tmp_path: Path) -> None:
    reading = LoadCollector(tree("vm-container")).read()
    known(LoadCollector, reading)
    assert reading.values["processes.threads"] == 3
    roots = copied("vm-container", tmp_path)
    (tmp_path / "sys/fs/cgroup/pids.current").unlink()
    assert "processes.threads" not in LoadCollector(roots).read().values
    put(tmp_path, "sys/fs/cgroup/pids.current", "many\n")
    torn = LoadCollector(roots).read()
    assert "processes.threads" not in torn.values and [fault.kind for fault in torn.faults] == ["failed"]


def test_its_device_nodes_and_bound_files_are_no_filesystems() -> None:
    rows = FilesystemsCollector(tree("vm-container")).read().tables.filesystems or []
    assert {row.mount for row in rows} >= {"/", "/usr", "/dev/shm"}
    assert not {"/dev", "/etc/hosts", "/etc/resolv.conf", "/etc/hostname"} & {row.mount for row in rows}


def test_what_is_bound_from_beneath_the_overlay_is_one_with_it() -> None:
    class Sized(FilesystemsCollector):
        name = "filesystems"

        def statvfs(self, point: bytes) -> Size:
            return Size(4096, 100, 60, 55, 30, 20) if point in (b"/", b"/usr", b"/opt/s") else Size(4096, 9, 9, 9, 0, 0)

    reading = Sized(Roots(FIXTURES / "vm-container", live=True)).read()
    assert {row.mount for row in reading.tables.filesystems or []} == {"/", "/dev/shm"}
    assert {key.partition(":")[2] for key in reading.values} == {"/", "/dev/shm"}
