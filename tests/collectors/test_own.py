import time

import pytest
from hypothesis import given

from collectors.base import Roots
from collectors.own import PAGE_SIZE, OwnCollector, parse_smaps_rollup, parse_statm
from sysmon.errors import MalformedInput
from tests.collectors.hostile import mangled
from tests.collectors.trees import derived, known


def test_measures_this_process() -> None:
    collector = OwnCollector(Roots())
    before = collector.read()
    known(OwnCollector, before)
    assert 5 << 20 < before.values["sysmon.memory"] < 5 << 30
    until = time.process_time() + 0.05
    while time.process_time() < until:
        pass
    now = collector.read()
    assert derived(OwnCollector, before, now, 100_000_000)["sysmon.cpu"] == pytest.approx(0.5, abs=0.2)


def test_parsers_take_sizes() -> None:
    assert parse_statm("2000 300 100 1 0 50 0\n") == 300 * PAGE_SIZE
    assert parse_smaps_rollup("5500-7ff [rollup]\nRss:  900 kB\nPss:  450 kB\nPss_Dirty: 1 kB\n") == 450 * 1024


@given(mangled("2000 300 100 1 0 50 0\n"))
def test_any_statm_gives_a_size_or_malformed_input(text: str) -> None:
    try:
        assert parse_statm(text) >= 0
    except MalformedInput:
        pass


@given(mangled("5500-7ff [rollup]\nRss:  900 kB\nPss:  450 kB\n"))
def test_any_rollup_gives_a_size_or_malformed_input(text: str) -> None:
    try:
        assert parse_smaps_rollup(text) >= 0
    except MalformedInput:
        pass
