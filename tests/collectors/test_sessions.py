"""Logged-in users from utmp in both of its sizes, and from systemd-logind's files."""

import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collectors.base import Roots
from collectors.sessions import LAYOUTS, SessionsCollector, parse_logind, parse_utmp
from sysmon.errors import MalformedInput, NoData
from sysmon.frame import SessionRow

LOGIND = """# This is private data. Do not parse.
UID=1000
USER=op
ACTIVE=1
STATE=active
REMOTE=1
REMOTE_HOST=192.0.2.7
TTY=pts/3
CLASS=user
REALTIME=1763719505123456
"""


def record(
    size: int, kind: int = 7, pid: int = 100, user: bytes = b"op", line: bytes = b"pts/0", host: bytes = b""
) -> bytes:
    layout = next(layout for layout in LAYOUTS if layout.size == size)
    return layout.pack(kind, pid, line, b"ts/0", user, host, 0, 0, 0, 1_763_719_505, 250_000)


@pytest.mark.parametrize("size", [384, 400])
def test_both_sizes(size: int) -> None:
    content = record(size, kind=2, user=b"reboot", line=b"~") + record(size, host=b"192.0.2.7") + record(size, kind=8)
    assert parse_utmp(content) == [
        (100, SessionRow(user="op", terminal="pts/0", origin="192.0.2.7", since=1_763_719_505.25))
    ]


def test_a_common_multiple_of_both_sizes_is_told_by_its_sense() -> None:
    # 25 records of 384 bytes are as long as 24 of 400.
    assert len(parse_utmp(record(384) * 25)) == 25
    assert len(parse_utmp(record(400) * 24)) == 24


def test_a_truncated_file() -> None:
    with pytest.raises(MalformedInput, match="383 bytes"):
        parse_utmp(record(384)[:-1])


@given(st.binary(max_size=1200))
def test_any_bytes_give_sessions_or_malformed_input(content: bytes) -> None:
    for bytes_ in (content, content.ljust(384, b"\0")[:384], content.ljust(400, b"\0")[:400]):
        try:
            parse_utmp(bytes_)
        except MalformedInput:
            continue


@given(st.text())
def test_any_text_is_a_session_or_none(text: str) -> None:
    parse_logind(text)
    parse_logind("USER=x\nREALTIME=" + text)


def test_logind() -> None:
    assert parse_logind(LOGIND) == SessionRow(
        user="op", terminal="pts/3", origin="192.0.2.7", since=1_763_719_505.123456
    )
    assert parse_logind(LOGIND.replace("CLASS=user", "CLASS=greeter")) is None
    assert parse_logind(LOGIND.replace("CLASS=user", "CLASS=manager")) is None
    assert parse_logind(LOGIND.replace("STATE=active", "STATE=closing")) is None


def test_hostile_names_are_cleaned() -> None:
    assert parse_logind("USER=a\x1b[31mb\n") == SessionRow(user="a\ufffd[31mb")


def test_a_session_whose_leader_is_gone_does_not_count(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "proc" / "100").mkdir(parents=True)
    (tmp_path / "run" / "utmp").write_bytes(record(384, pid=100) * 2 + record(384, pid=101, user=b"gone"))
    reading = SessionsCollector(Roots(tmp_path, live=False)).read()
    assert reading.values == {"users.count": 1, "users.sessions": 2}


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="asks a live Linux")
def test_a_leader_that_proc_hides_still_counts(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "utmp").write_bytes(record(384, pid=1) + record(384, pid=(1 << 22) + 1, user=b"gone"))
    assert SessionsCollector(Roots(tmp_path, live=True)).read().values == {"users.count": 1, "users.sessions": 1}


def test_logind_where_there_is_no_utmp(tmp_path: Path) -> None:
    with pytest.raises(NoData):
        SessionsCollector(Roots(tmp_path, live=False)).read()
    folder = tmp_path / "run" / "systemd" / "sessions"
    folder.mkdir(parents=True)
    assert SessionsCollector(Roots(tmp_path, live=False)).read().values == {"users.count": 0, "users.sessions": 0}
    (folder / "3").write_text(LOGIND)
    (folder / "4").write_text(LOGIND.replace("CLASS=user", "CLASS=manager"))
    reading = SessionsCollector(Roots(tmp_path, live=False)).read()
    assert [row.user for row in reading.tables.sessions or []] == ["op"]
