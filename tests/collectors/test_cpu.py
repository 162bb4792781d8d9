import shutil
from pathlib import Path

import pytest
from hypothesis import given

from collectors.base import Roots
from collectors.cpu import CLOCK_TICKS, CpuCollector, parse_stat
from sysmon.errors import MalformedInput
from tests.collectors.hostile import mangled
from tests.collectors.trees import FIXTURES, contain, copied, derived, known, put, tree

LOADED = (FIXTURES / "vm-load-t0/proc/stat").read_text()


def test_ratios_match_the_ticks_between_two_instants() -> None:
    before, now = CpuCollector(tree("vm-load-t0")).read(), CpuCollector(tree("vm-load-t1")).read()
    found = derived(CpuCollector, before, now)
    # 113 user, 82 system, 1 softirq, 1 idle: 197 ticks on two cores.
    assert found["cpu.utilization"] == pytest.approx(196 / 197)
    assert found["cpu.user"] == pytest.approx(113 / 197)
    assert found["cpu.system"] == pytest.approx(82 / 197)
    assert found["cpu.irq"] == pytest.approx(1 / 197)
    assert found["cpu.steal"] == found["cpu.iowait"] == found["cpu.nice"] == 0
    assert found["cpu.core.utilization:0"] == pytest.approx(99 / 100)
    assert found["cpu.core.utilization:1"] == pytest.approx(1.0)
    assert found["cpu.context_switch_rate"] == pytest.approx(490 / 1.00311986)
    assert found["processes.created_rate"] == pytest.approx(2 / 1.00311986)
    assert "cpu.utilization:0" not in found and "cpu.core.utilization" not in found


def test_counters_are_seconds_and_gauges_as_read() -> None:
    reading = CpuCollector(tree("vm-load-t0")).read()
    known(CpuCollector, reading)
    assert reading.values["cpu.time.user"] == 23602 / CLOCK_TICKS
    assert reading.values["cpu.time.idle:1"] == (37860 + 53) / CLOCK_TICKS
    assert reading.values["cpu.cores"] == 2
    assert reading.values["processes.running"] == 5
    assert reading.values["boot.time"] == 1795250594
    assert reading.faults == []


def test_host_with_steal_is_not_taken_for_a_container() -> None:
    reading = CpuCollector(tree("host-hybrid")).read()
    assert reading.values["cpu.time.steal"] > 0
    assert not any(key.startswith("host.") or key == "cpu.capacity" for key in reading.values)


def test_offline_core_vanishes_and_comes_back(tmp_path: Path) -> None:
    roots = copied("vm-load-t0", tmp_path)
    collector = CpuCollector(roots)
    assert "cpu.time.busy:1" in collector.read().values
    put(tmp_path, "proc/stat", "".join(line for line in LOADED.splitlines(True) if not line.startswith("cpu1")))
    without = collector.read().values
    assert "cpu.time.busy:1" not in without and without["cpu.cores"] == 1
    put(tmp_path, "proc/stat", LOADED)
    assert "cpu.time.busy:1" in collector.read().values


def test_idle_time_that_falls_for_a_moment_costs_no_rate(tmp_path: Path) -> None:
    put(tmp_path, "proc/stat", "cpu 100 0 100 5000 50\ncpu0 100 0 100 5000 50\n")
    collector = CpuCollector(Roots(base=tmp_path, live=False))
    first = collector.read()
    put(tmp_path, "proc/stat", "cpu 110 0 100 4999 49\ncpu0 110 0 100 4999 49\n")
    second = collector.read()
    assert derived(CpuCollector, first, second)["cpu.utilization"] == 1.0
    put(tmp_path, "proc/stat", "cpu 1 0 1 20 0\ncpu0 1 0 1 20 0\n")
    assert collector.read().values["cpu.time.idle"] == 20 / CLOCK_TICKS


def test_old_kernel_with_four_states() -> None:
    found = parse_stat("cpu 1 2 3 4\ncpu0 1 2 3 4\n")
    assert found.total == [1, 2, 3, 4]
    assert found.cores == {0: (6, 4)}


@pytest.mark.parametrize(
    "text", ["", "cpu 1 2\n", "cpu a b c d\n", "cpu 1 2 3 -4\n", "intr 5\n", "cpu 1 2 3 4\nctxt\n"]
)
def test_truncated_text_names_file_and_line(text: str) -> None:
    with pytest.raises(MalformedInput, match=r"^/proc/stat:\d: "):
        parse_stat(text)


@given(mangled(LOADED))
def test_any_text_gives_numbers_or_malformed_input(text: str) -> None:
    try:
        found = parse_stat(text)
    except MalformedInput:
        return
    assert all(0 <= ticks < 1 << 63 for ticks in found.total)


def test_container_with_a_quota_is_measured_against_it(tmp_path: Path) -> None:
    collector = CpuCollector(contain(tmp_path, "vm-load-t0", "hog.service"))
    before = collector.read()
    known(CpuCollector, before)
    contain(tmp_path, "vm-load-t1", "hog.service")
    now = collector.read()
    assert now.values["cpu.capacity"] == 0.6
    found = derived(CpuCollector, before, now)
    # 340.32 ms of processor time, 0.6 cores allowed, 1.00 s by /proc/uptime.
    assert found["cpu.utilization"] == pytest.approx(0.34032 / 0.6, rel=0.02)
    assert found["cpu.system"] == pytest.approx(found["cpu.utilization"], rel=0.01)
    assert found["cpu.throttled"] == pytest.approx(1 / 10)
    assert found["host.cpu.utilization"] == pytest.approx(196 / 197)
    assert found["host.cpu.core.utilization:0"] == pytest.approx(99 / 100)
    assert not any(key.startswith("cpu.core.") for key in found)


def test_container_at_its_quota_is_full(tmp_path: Path) -> None:
    collector = CpuCollector(contain(tmp_path, "vm-load-t0", "spin20.service"))
    before = collector.read()
    contain(tmp_path, "vm-load-t1", "spin20.service")
    found = derived(CpuCollector, before, collector.read())
    assert found["cpu.utilization"] == pytest.approx(0.19793 / 0.2, rel=0.02)
    assert found["cpu.throttled"] == 1.0


def test_container_without_a_limit_sees_the_host(tmp_path: Path) -> None:
    roots = contain(tmp_path, "vm-load-t0", "hog.service")
    put(tmp_path, "sys/fs/cgroup/cpu.max", "max 100000\n")
    values = CpuCollector(roots).read().values
    assert "cpu.capacity" not in values and values["cpu.cores"] == 2


def test_service_with_a_quota_is_no_container(tmp_path: Path) -> None:
    roots = contain(tmp_path, "vm-load-t0", "hog.service")
    (tmp_path / "run/systemd/container").unlink()
    assert "cpu.capacity" not in CpuCollector(roots).read().values


def test_broken_control_group_is_malformed(tmp_path: Path) -> None:
    roots = contain(tmp_path, "vm-load-t0", "hog.service")
    put(tmp_path, "sys/fs/cgroup/cpu.max", "lots 100000\n")
    with pytest.raises(MalformedInput, match=r"cpu\.max:1: 'lots' is not a whole number"):
        CpuCollector(roots).read()


def test_missing_file_says_which(tmp_path: Path) -> None:
    shutil.copytree(FIXTURES / "vm-quiet/etc", tmp_path / "etc")
    with pytest.raises(Exception, match=r"/proc/stat does not exist"):
        CpuCollector(Roots(base=tmp_path, live=False)).read()
