"""The text of /proc/PID: what it means, and that no text of it does harm."""

import os
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collectors._procfs import (
    ProcessFiles,
    affordable_descriptors,
    parse_arguments,
    parse_effective_uid,
    parse_io,
    parse_stat,
)
from sysmon.errors import MalformedInput

LINE = b"157 (systemd-udevd) S 1 157 157 0 -1 4194560 1 2 3 4 82 110 5 6 20 -5 3 0 1234 33554432 1500 1844 1 1 0"


def test_fields_of_stat() -> None:
    stat = parse_stat(LINE)
    assert (stat.name, stat.state, stat.ppid, stat.kernel) == ("systemd-udevd", "S", 1, False)
    assert (stat.cpu_ticks, stat.nice, stat.threads, stat.start_ticks) == (192, -5, 3, 1234)
    assert (stat.virtual, stat.resident) == (33554432, 1500)


@pytest.mark.parametrize("name", [b") S 1 (", b"a b\nc", b"", b"(((", b"))) R 0 ", b"\xff\xfe", b"rcu_exp_gp_worker/0"])
def test_names_may_hold_anything(name: bytes) -> None:
    stat = parse_stat(LINE.replace(b"systemd-udevd", name))
    assert stat.name.encode("utf-8", "surrogateescape") == name
    assert (stat.state, stat.start_ticks) == ("S", 1234)


@pytest.mark.parametrize(
    "text",
    [b"", b"157 (a", b"157 (a)", b"157 a S 1", LINE[:60], LINE.replace(b"1234", b"12x4"), LINE.replace(b" S ", b" SS "),
     LINE.replace(b" S ", b" 7 "), LINE.replace(b" 82 ", b" -82 "), LINE.replace(b" 82 ", b" 9" + b"9" * 30 + b" "),
     b"157 )a( S " + LINE[22:], LINE.replace(b" 82 ", b" " + b"9" * 5000 + b" ")],
)  # fmt: skip
def test_a_stat_that_is_none_is_malformed(text: bytes) -> None:
    with pytest.raises(MalformedInput, match="/proc/7/stat:1"):
        parse_stat(text, "/proc/7/stat")


def test_sizes_out_of_range_are_bounded() -> None:
    stat = parse_stat(LINE.replace(b"33554432 1500", b"9" * 25 + b" -7"))
    assert stat.virtual == 1 << 63
    assert stat.resident == 0


@given(st.binary(max_size=300) | st.text("()S 0123456789-\n", max_size=200).map(str.encode))
def test_any_bytes_parse_or_are_malformed(data: bytes) -> None:
    for parse in (parse_stat, parse_io, parse_effective_uid):
        try:
            parse(data)
        except MalformedInput as error:
            assert error.message
    assert all(isinstance(argument, str) for argument in parse_arguments(data))


def test_io_counts_storage_alone() -> None:
    text = b"rchar: 1\nwchar: 2\nsyscr: 3\nsyscw: 4\nread_bytes: 4096\nwrite_bytes: 8192\ncancelled_write_bytes: 5\n"
    assert parse_io(text) == (4096, 8192)
    for bad in (b"", b"read_bytes: 1\n", text.replace(b"8192", b"-1"), text.replace(b"4096", b"x")):
        with pytest.raises(MalformedInput):
            parse_io(bad)


def test_the_effective_user_counts() -> None:
    assert parse_effective_uid(b"Name:\tx\nUid:\t1000\t0\t1000\t1000\nGid:\t1\n") == 0
    for bad in (b"Name:\tx\n", b"x\nUid:\t1\n", b"x\nUid:\t1\tx\t1\n", b"x\nUid:\t1\t-1\t1\n"):
        with pytest.raises(MalformedInput):
            parse_effective_uid(bad)


def test_arguments_lose_their_padding_only() -> None:
    assert parse_arguments(b"a\0b c\0\0d\0") == ["a", "b c", "", "d"]
    assert parse_arguments(b"postgres: writer   \0\0\0   \0") == ["postgres: writer   "]
    assert parse_arguments(b"\0901\0") == ["", "901"]
    assert parse_arguments(b"") == []


def test_a_file_kept_open_never_shows_another_process() -> None:
    files = ProcessFiles("/proc", keep=10)
    child = subprocess.Popen(["sleep", "60"])
    pid = str(child.pid)
    first = files.stat(pid)
    assert first.startswith(pid.encode())
    assert files.kept == 1
    child.kill()
    child.wait()
    with pytest.raises((FileNotFoundError, ProcessLookupError)):
        files.stat(pid)
    assert files.kept == 0
    files.close()


def test_what_is_kept_open_is_bounded_and_closed(tmp_path: Path) -> None:
    names = [str(number) for number in range(10, 20)]
    for name in names:
        (tmp_path / name).mkdir()
        (tmp_path / name / "stat").write_bytes(LINE)
    (tmp_path / "self").mkdir()
    (tmp_path / "²").mkdir()
    before = len(os.listdir("/proc/self/fd"))
    files = ProcessFiles(str(tmp_path), keep=3)
    assert sorted(files.pids()) == names
    for _ in range(2):
        for pid in files.pids():
            assert files.stat(pid) == LINE
        assert files.kept == 3
    files.close()
    files.close()
    assert len(os.listdir("/proc/self/fd")) == before


def test_half_of_the_descriptors_at_most() -> None:
    import resource

    soft = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    assert 0 < affordable_descriptors() <= max(soft // 2, 1)
    assert affordable_descriptors(5) == 5
