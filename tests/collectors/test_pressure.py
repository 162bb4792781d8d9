from pathlib import Path

import pytest
from hypothesis import given

from collectors.base import Roots
from collectors.pressure import PressureCollector, parse_pressure
from sysmon.errors import MalformedInput, Unsupported
from tests.collectors.hostile import mangled
from tests.collectors.trees import FIXTURES, contain, copied, derived, known, put, tree

TEXT = (FIXTURES / "vm-load-t0/proc/pressure/memory").read_text()


def test_totals_are_seconds_and_shares_derived() -> None:
    before, now = PressureCollector(tree("vm-load-t0")).read(), PressureCollector(tree("vm-load-t1")).read()
    known(PressureCollector, before)
    assert before.values["pressure.memory.full.time"] == 15.497425
    assert before.values["pressure.io.some.time"] == 1.300778
    assert "pressure.cpu.full.time" not in before.values
    found = derived(PressureCollector, before, now)
    grown = now.values["pressure.memory.some.time"] - before.values["pressure.memory.some.time"]
    assert found["pressure.memory.some"] == pytest.approx(min(1.0, grown / 1.00311986))
    assert 0.9 < found["pressure.cpu.some"] <= 1.0


def test_interrupts_where_the_kernel_has_them(tmp_path: Path) -> None:
    roots = copied("vm-load-t0", tmp_path)
    put(tmp_path, "proc/pressure/irq", "full avg10=0.00 avg60=0.00 avg300=0.00 total=2500000\n")
    values = PressureCollector(roots).read().values
    assert values["pressure.irq.full.time"] == 2.5
    assert "pressure.irq.some.time" not in values


def test_container_has_its_own(tmp_path: Path) -> None:
    reading = PressureCollector(contain(tmp_path, "vm-load-t0", "hog.service")).read()
    known(PressureCollector, reading)
    own = parse_pressure(
        (FIXTURES / "vm-load-t0/sys/fs/cgroup/system.slice/hog.service/memory.pressure").read_text(), ""
    )
    assert reading.values["pressure.memory.full.time"] == own["full"]
    assert reading.values["host.pressure.memory.full.time"] == 15.497425
    assert "pressure.cpu.full.time" in reading.values


def test_kernel_without_it_is_told_how_to_get_it(tmp_path: Path) -> None:
    with pytest.raises(Unsupported) as caught:
        PressureCollector(Roots(base=tmp_path, live=False)).read()
    assert "psi=1" in caught.value.hint


def test_one_bad_file_leaves_the_others(tmp_path: Path) -> None:
    roots = copied("vm-load-t0", tmp_path)
    put(tmp_path, "proc/pressure/io", "some avg10=0.00 total=\n")
    reading = PressureCollector(roots).read()
    assert "pressure.io.some.time" not in reading.values
    assert "pressure.memory.some.time" in reading.values
    assert [fault.collector for fault in reading.faults] == ["pressure"]


@given(mangled(TEXT))
def test_any_text_gives_seconds_or_malformed_input(text: str) -> None:
    try:
        found = parse_pressure(text, "/proc/pressure/memory")
    except MalformedInput:
        return
    assert found and all(seconds >= 0 for seconds in found.values())
