"""Which processes are kept as evidence."""

from hypothesis import given
from hypothesis import strategies as st

from sysmon.evidence import describe, top, top_talkers
from sysmon.frame import ProcessRow, TalkerRow


def test_top_is_the_union_of_cpu_memory_and_io() -> None:
    busy = ProcessRow(pid=1, cpu=0.9, memory=10)
    large = ProcessRow(pid=2, cpu=0.1, memory=1000)
    writer = ProcessRow(pid=3, cpu=0.2, memory=20, write_rate=5.0)
    others = [ProcessRow(pid=pid, cpu=0.01, memory=5) for pid in range(10, 30)]
    assert top([*others, large, writer, busy], 1) == [busy, writer, large]


def test_idle_processes_without_memory_are_no_evidence() -> None:
    assert top([ProcessRow(pid=2, kernel=True), ProcessRow(pid=3, cpu=0.0)]) == []


def test_a_pid_used_again_is_another_process() -> None:
    rows = [ProcessRow(pid=1, started=1.0, cpu=0.5), ProcessRow(pid=1, started=2.0, cpu=0.4)]
    assert top(rows, 2) == rows


def test_top_talkers_are_the_busiest_and_what_is_left_open() -> None:
    busy = [TalkerRow(key=str(n), kind="process", receive_rate=float(n), transmit_rate=1.0) for n in range(1, 30)]
    idle = [
        TalkerRow(key="idle", kind="process", received=10**12, receive_rate=0.0),
        TalkerRow(key="new", kind="short"),
    ]
    other = TalkerRow(key="other", kind="other", receive_rate=5.0, transmit_rate=0.0)
    assert top_talkers([other, *idle, *busy], 2) == [busy[-1], busy[-2], other]
    assert top_talkers([other], 2) == [other]
    assert top_talkers(idle) == []


rates = st.none() | st.floats(0, 100)


@given(st.lists(st.builds(ProcessRow, pid=st.integers(1, 50), cpu=rates, memory=st.integers(0, 99), read_rate=rates)))
def test_top_holds_the_greatest_of_each_kind(rows: list[ProcessRow]) -> None:
    unique = list({row.pid: row for row in rows}.values())
    chosen = top(unique, 2)
    assert len(chosen) <= 6
    if unique and max(row.memory for row in unique) > 0:
        assert max(row.memory for row in chosen) == max(row.memory for row in unique)
    assert max((row.cpu or 0 for row in chosen), default=0) == max((row.cpu or 0 for row in unique), default=0)


def test_describe_says_what_is_known() -> None:
    row = ProcessRow(
        pid=123, user="www", name="nginx", cpu=0.351, memory=2 << 30, read_rate=3 * 2**20, unit="nginx.service"
    )
    assert describe(row) == "nginx (123, www, nginx.service): 35 % CPU, 2.0 GiB, 3.0 MiB/s I/O"
    assert describe(ProcessRow(pid=1, user="root", name="init")) == "init (1, root): 0 B"
