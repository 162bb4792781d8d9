import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given

from collectors.base import Roots
from collectors.load import LoadCollector, hides_processes, parse_loadavg
from sysmon.errors import MalformedInput
from tests.collectors.hostile import mangled
from tests.collectors.trees import FIXTURES, copied, known, put, tree


def test_reads_averages_and_counts() -> None:
    reading = LoadCollector(tree("vm-quiet")).read()
    known(LoadCollector, reading)
    assert [reading.values[f"load.{minutes}"] for minutes in (1, 5, 15)] == [1.37, 1.53, 0.81]
    assert reading.values["processes.threads"] == 95


def test_processes_are_the_numbers_in_proc(tmp_path: Path) -> None:
    roots = copied("vm-load-t0", tmp_path)
    before = LoadCollector(roots).read().values["processes.count"]
    for pid in (70001, 70002):
        put(tmp_path, f"proc/{pid}/stat", "")
    put(tmp_path, "proc/7x/stat", "")
    assert LoadCollector(roots).read().values["processes.count"] == before + 2


@pytest.mark.parametrize(
    ("options", "hides"),
    [("rw", False), ("rw,hidepid=2", True), ("rw,gid=27,hidepid=invisible", True), ("rw,hidepid=0", False)],
)
def test_hidden_processes_are_noticed(options: str, hides: bool) -> None:
    text = f"21 27 0:20 / /sys rw - sysfs sysfs rw\n22 27 0:21 / /proc rw,nosuid shared:5 - proc proc {options}\n"
    assert hides_processes(text) is hides


@pytest.mark.parametrize(
    "text", ["", "0.1 0.2\n", "0.1 0.2 x 1/2 3\n", "nan 0 0 1/2 3\n", "0.1 0.2 0.3\n", "0 0 0 1/x 3\n"]
)
def test_truncated_text_is_malformed(text: str) -> None:
    with pytest.raises(MalformedInput, match=r"^/proc/loadavg:1: "):
        parse_loadavg(text)


@given(mangled((FIXTURES / "vm-quiet/proc/loadavg").read_text()))
def test_any_text_gives_numbers_or_malformed_input(text: str) -> None:
    try:
        assert min(parse_loadavg(text).values()) >= 0
    except MalformedInput:
        pass


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="counts processes of a live Linux")
def test_counting_by_links_agrees_with_a_listing() -> None:
    collector = LoadCollector(Roots())
    collector.read()
    listed = sum(name.isdecimal() for name in os.listdir("/proc"))
    children = [subprocess.Popen(["sleep", "30"]) for _ in range(60)]
    try:
        more = collector.read().values["processes.count"]
    finally:
        for child in children:
            child.kill()
            child.wait()
    assert more - listed == pytest.approx(60, abs=25)
