import shutil
from pathlib import Path

import pytest
from hypothesis import given

from collectors.memory import MemoryCollector, available_memory, parse_arcstats, parse_meminfo
from sysmon.errors import MalformedInput
from tests.collectors.hostile import mangled
from tests.collectors.trees import FIXTURES, contain, copied, derived, known, put, tree

TEXT = (FIXTURES / "vm-load-t0/proc/meminfo").read_text()
KIB = 1024
ARC = (
    "13 1 0x01 123 33456 8206 1\nname                            type data\nhits 4 99\nc_min 4 {c_min}\nsize 4 {size}\n"
)


def test_used_is_total_less_available() -> None:
    reading = MemoryCollector(tree("vm-load-t0")).read()
    known(MemoryCollector, reading)
    values = reading.values
    assert values["memory.total"] == 981428 * KIB
    assert values["memory.available"] == 588136 * KIB
    assert values["memory.used"] == (981428 - 588136) * KIB
    assert values["swap.used"] == (262136 - 144168) * KIB
    assert values["memory.slab.reclaimable"] == 30400 * KIB
    assert "memory.hugepages.total" not in values and "memory.arc" not in values
    found = derived(MemoryCollector, reading, reading)
    assert found["memory.utilization"] == pytest.approx(393292 / 981428)
    assert found["swap.utilization"] == pytest.approx(117968 / 262136)


def test_host_without_swap_has_no_swap_utilization() -> None:
    reading = MemoryCollector(tree("host-hybrid")).read()
    assert reading.values["swap.total"] == 0
    assert "swap.utilization" not in derived(MemoryCollector, reading, reading)


def test_what_zfs_would_give_back_is_available(tmp_path: Path) -> None:
    roots = copied("vm-load-t0", tmp_path)
    put(tmp_path, "proc/spl/kstat/zfs/arcstats", ARC.format(size=100 << 20, c_min=32 << 20))
    values = MemoryCollector(roots).read().values
    assert values["memory.arc"] == 100 << 20
    assert values["memory.available"] == 588136 * KIB + (68 << 20)
    put(tmp_path, "proc/spl/kstat/zfs/arcstats", ARC.format(size=10 << 40, c_min=0))
    values = MemoryCollector(roots).read().values
    assert values["memory.available"] == values["memory.total"] and values["memory.used"] == 0


def test_broken_zfs_statistics_leave_the_rest(tmp_path: Path) -> None:
    roots = copied("vm-load-t0", tmp_path)
    put(tmp_path, "proc/spl/kstat/zfs/arcstats", "size 4\n")
    reading = MemoryCollector(roots).read()
    assert reading.values["memory.available"] == 588136 * KIB
    assert [fault.kind for fault in reading.faults] == ["failed"]
    assert "arcstats" in reading.faults[0].message


def test_hugepages_are_bytes(tmp_path: Path) -> None:
    roots = copied("vm-load-t0", tmp_path)
    text = TEXT.replace("HugePages_Total:       0", "HugePages_Total:      16").replace(
        "HugePages_Free:        0", "HugePages_Free:        5"
    )
    put(tmp_path, "proc/meminfo", text)
    values = MemoryCollector(roots).read().values
    assert values["memory.hugepages.total"] == 16 * 2048 * KIB
    assert values["memory.hugepages.free"] == 5 * 2048 * KIB


def test_hugepages_of_every_size_count(tmp_path: Path) -> None:
    roots = copied("vm-container", tmp_path)
    (tmp_path / ".dockerenv").unlink()
    put(tmp_path, "proc/meminfo", (tmp_path / "proc/meminfo").read_text().replace("  16384 kB", "2113536 kB"))
    for size, total, free in (("2048", 8, 8), ("1048576", 2, 1)):
        put(tmp_path, f"sys/kernel/mm/hugepages/hugepages-{size}kB/nr_hugepages", f"{total}\n")
        put(tmp_path, f"sys/kernel/mm/hugepages/hugepages-{size}kB/free_hugepages", f"{free}\n")
    values = MemoryCollector(roots).read().values
    assert values["memory.hugepages.total"] == 8 * 2048 * KIB + 2 * 1048576 * KIB
    assert values["memory.hugepages.free"] == 8 * 2048 * KIB + 1048576 * KIB
    shutil.rmtree(tmp_path / "sys/kernel")
    values = MemoryCollector(roots).read().values
    assert values["memory.hugepages.total"] == 2113536 * KIB and "memory.hugepages.free" not in values


def test_old_kernel_is_estimated_near_what_newer_ones_say(tmp_path: Path) -> None:
    roots = copied("vm-load-t0", tmp_path)
    put(
        tmp_path, "proc/meminfo", "".join(line for line in TEXT.splitlines(True) if not line.startswith("MemAvailable"))
    )
    put(tmp_path, "proc/sys/vm/min_free_kbytes", "3952\n")
    values = MemoryCollector(roots).read().values
    assert values["memory.available"] == pytest.approx(588136 * KIB, rel=0.25)
    assert available_memory({"MemTotal": 1000, "MemFree": 100, "Cached": 200, "Buffers": 50}) == 350
    assert available_memory({"MemTotal": 1000, "MemFree": 100}, min_free=1000) == 0


def test_container_with_a_limit_is_measured_against_it(tmp_path: Path) -> None:
    reading = MemoryCollector(contain(tmp_path, "vm-load-t0", "hog.service")).read()
    known(MemoryCollector, reading)
    values = reading.values
    assert values["memory.total"] == 419430400
    assert values["memory.used"] == 157229056 - 12288
    assert values["memory.available"] == 419430400 - values["memory.used"]
    assert values["swap.used"] == 120299520 and values["swap.total"] == 262136 * KIB
    assert values["host.memory.total"] == 981428 * KIB and values["host.swap.used"] == 117968 * KIB
    assert derived(MemoryCollector, reading, reading)["host.memory.utilization"] == pytest.approx(393292 / 981428)


@pytest.mark.parametrize("limit", ["max\n", f"{1 << 40}\n", "9223372036854771712\n"])
def test_container_without_a_real_limit_sees_the_host(tmp_path: Path, limit: str) -> None:
    roots = contain(tmp_path, "vm-load-t0", "hog.service")
    put(tmp_path, "sys/fs/cgroup/memory.max", limit)
    assert MemoryCollector(roots).read().values["memory.total"] == 981428 * KIB


@pytest.mark.parametrize(
    "text", ["", "MemTotal: 5 kB\n", "MemTotal: x kB\nMemFree: 1 kB\n", "MemTotal: 0 kB\nMemFree: 0 kB\n"]
)
def test_truncated_text_is_malformed(text: str) -> None:
    with pytest.raises(MalformedInput, match=r"^/proc/meminfo:1: "):
        parse_meminfo(text)


@given(mangled(TEXT))
def test_any_text_gives_sizes_or_malformed_input(text: str) -> None:
    try:
        found = parse_meminfo(text)
    except MalformedInput:
        return
    assert all(0 <= size < 1 << 63 for size in found.values())
    assert 0 <= available_memory(found) <= found["MemTotal"]


@given(mangled(ARC.format(size=5, c_min=1)))
def test_any_statistics_of_zfs_give_sizes_or_malformed_input(text: str) -> None:
    try:
        assert min(parse_arcstats(text)) >= 0
    except MalformedInput:
        pass
