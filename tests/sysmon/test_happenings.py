"""What frames tell of by themselves."""

from __future__ import annotations

from collectors.registry import catalogue
from sysmon.derive import State
from sysmon.frame import Frame
from sysmon.happenings import happenings


def frame(seq: int, at: int, kills: int = 0, run: str = "r", boot: str = "b") -> Frame:
    """A frame with an OOM counter."""
    return Frame(
        host="h",
        boot=boot,
        run=run,
        seq=seq,
        time=at * 1000,
        monotonic=at * 10**9,
        readings={"memory.oom_kills": kills},
        reads={"swap": at * 10**9},
    )


def told(*frames: Frame) -> list[tuple[str, str]]:
    """The events of a sequence of frames."""
    state = State(catalogue())
    events = []
    for each in frames:
        events += [(event.kind, event.message) for event in happenings(state, each)]
        state.apply(each)
    return events


def test_a_quiet_host_tells_nothing() -> None:
    assert told(frame(1, 1), frame(2, 2), frame(3, 3)) == []


def test_a_reboot_is_told_and_nothing_else_of_that_frame() -> None:
    assert told(frame(9, 100, kills=5), frame(1, 160, run="r2", boot="b2")) == [
        ("boot", "the host was rebooted; no data for 1m 00s")
    ]


def test_a_restarted_agent_is_told_once() -> None:
    assert told(frame(9, 100), frame(1, 110, run="r2"), frame(2, 111, run="r2")) == [
        ("run", "sysmon was started again; no data for 10.0 s")
    ]


def test_oom_kills_are_counted() -> None:
    assert told(frame(1, 1, 3), frame(2, 2, 4), frame(3, 3, 6), frame(4, 4, 6)) == [
        ("oom", "the kernel killed a process for want of memory"),
        ("oom", "the kernel killed 2 processes for want of memory"),
    ]


def test_everybody_gives_an_event_the_same_id() -> None:
    ids = set()
    for _ in range(2):
        state = State(catalogue())
        state.apply(frame(1, 1, 3))
        ids.add(happenings(state, frame(2, 2, 4))[0].id)
    assert len(ids) == 1
