from pathlib import Path

import pytest
from hypothesis import given

from collectors.swap import SwapCollector, parse_mm_stat, parse_vmstat
from sysmon.errors import MalformedInput
from tests.collectors.hostile import mangled
from tests.collectors.trees import FIXTURES, contain, copied, derived, known, put, tree

TEXT = (FIXTURES / "vm-load-t1/proc/vmstat").read_text()


def test_swapping_is_bytes() -> None:
    reading = SwapCollector(tree("vm-load-t1")).read()
    known(SwapCollector, reading)
    assert parse_vmstat(TEXT, page_size=4096) == {
        "swap.in": 119987 * 4096,
        "swap.out": 178712 * 4096,
        "memory.major_faults": 120452,
        "memory.oom_kills": 1,
    }


def test_rates_between_two_instants() -> None:
    before, now = SwapCollector(tree("vm-load-t0")).read(), SwapCollector(tree("vm-load-t1")).read()
    found = derived(SwapCollector, before, now)
    grown = now.values["swap.in"] - before.values["swap.in"]
    assert grown > 0
    assert found["swap.in_rate"] == pytest.approx(grown / 1.00311986)
    assert found["memory.oom_kill_rate"] == 0


def test_zram_is_found_and_its_loss_survived(tmp_path: Path) -> None:
    roots = copied("vm-quiet", tmp_path)
    collector = SwapCollector(roots)
    values = collector.read().values
    assert (values["zram.stored:zram0"], values["zram.compressed:zram0"]) == (307200, 50047)
    assert values["zram.used:zram0"] == 241664
    (tmp_path / "sys/block/zram0/mm_stat").unlink()
    assert "zram.used:zram0" not in collector.read().values
    put(tmp_path, "sys/block/zram1/mm_stat", "10 5 4096 0 0 0 0\n")
    put(tmp_path, "sys/block/zram0/mm_stat", "garbage\n")
    reading = collector.read()
    assert reading.values["zram.used:zram1"] == 4096
    assert [fault.kind for fault in reading.faults] == ["failed"]


def test_kills_in_a_container_are_its_own(tmp_path: Path) -> None:
    roots = contain(tmp_path, "vm-load-t1", "hog.service")
    put(tmp_path, "sys/fs/cgroup/memory.events", "low 0\noom 3\noom_kill 2\n")
    reading = SwapCollector(roots).read()
    known(SwapCollector, reading)
    assert reading.values["memory.oom_kills"] == 2
    assert reading.values["host.memory.oom_kills"] == 1
    assert "swap.in" not in reading.values and "host.swap.in" in reading.values


@given(mangled(TEXT))
def test_any_text_gives_counters_or_malformed_input(text: str) -> None:
    try:
        found = parse_vmstat(text)
    except MalformedInput:
        return
    assert found and all(0 <= value < 1 << 63 for value in found.values())


@given(mangled("307200 50047 241664 0 11440128\n"))
def test_any_mm_stat_gives_sizes_or_malformed_input(text: str) -> None:
    try:
        assert min(parse_mm_stat(text, "mm_stat")) >= 0
    except MalformedInput:
        pass
