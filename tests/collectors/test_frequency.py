from pathlib import Path

import pytest
from hypothesis import given

from collectors.base import Roots
from collectors.frequency import FrequencyCollector, parse_cpuinfo, parse_frequency
from sysmon.errors import MalformedInput, NoData
from tests.collectors.hostile import mangled
from tests.collectors.trees import FIXTURES, copied, known, put, tree

TEXT = (FIXTURES / "vm-quiet/proc/cpuinfo").read_text()


def test_cpuinfo_serves_where_cpufreq_is_missing() -> None:
    reading = FrequencyCollector(tree("vm-quiet")).read()
    known(FrequencyCollector, reading)
    assert reading.values == {"cpu.frequency:0": 2_445_000_000, "cpu.frequency:1": 2_445_000_000}


def test_cpufreq_comes_first_and_an_offline_core_is_left_out(tmp_path: Path) -> None:
    roots = copied("vm-quiet", tmp_path)
    put(tmp_path, "sys/devices/system/cpu/cpu0/cpufreq/scaling_cur_freq", "800123\n")
    put(tmp_path, "sys/devices/system/cpu/cpu1/online", "0\n")
    put(tmp_path, "sys/devices/system/cpu/cpuidle/current_driver", "none\n")
    assert FrequencyCollector(roots).read().values == {"cpu.frequency:0": 800_000_000}


def test_processor_that_does_not_tell(tmp_path: Path) -> None:
    put(tmp_path, "proc/cpuinfo", "processor : 0\nBogoMIPS : 108.00\n")
    with pytest.raises(NoData):
        FrequencyCollector(Roots(base=tmp_path, live=False)).read()


def test_powerpc_says_clock() -> None:
    assert parse_cpuinfo("processor : 0\ncpu : POWER9\nclock : 2300.000000MHz\n") == {0: 2.3e9}


@given(mangled(TEXT[:2000]))
def test_any_cpuinfo_gives_frequencies_or_malformed_input(text: str) -> None:
    try:
        assert all(0 < hertz < 1e12 for hertz in parse_cpuinfo(text).values())
    except MalformedInput:
        pass


@given(mangled("2445427\n"))
def test_any_cpufreq_gives_a_frequency_or_malformed_input(text: str) -> None:
    try:
        assert parse_frequency(text, "scaling_cur_freq") > 0
    except MalformedInput:
        pass
