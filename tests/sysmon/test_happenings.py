"""What frames tell of by themselves."""

from __future__ import annotations

import pytest

from collectors.registry import catalogue
from sysmon.derive import State
from sysmon.frame import Frame
from sysmon.happenings import Happenings


def frame(seq: int, at: int, kills: int = 0, run: str = "r", boot: str = "b", *, up: int = 0, ahead: int = 0) -> Frame:
    """A frame with an OOM counter; `up`: seconds since a later boot; `ahead`: seconds that its clock is."""
    return Frame(
        host="h",
        boot=boot,
        run=run,
        seq=seq,
        time=(at + ahead) * 1000,
        monotonic=(up or at) * 10**9,
        readings={"memory.oom_kills": kills},
        reads={"swap": (up or at) * 10**9},
        full=seq == 0,
    )


def told(*frames: Frame) -> list[tuple[str, str]]:
    """The events of a sequence of frames."""
    return tell([(each, "") for each in frames])


def tell(frames: list[tuple[Frame, str]]) -> list[tuple[str, str]]:
    """The events of a sequence of frames with where each came from."""
    state = State(catalogue())
    happenings = Happenings()
    events = []
    for each, where in frames:
        events += [(event.kind, event.message) for event in happenings.take(state, each, where)]
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
        ids.add(Happenings().take(state, frame(2, 2, 4))[0].id)
    assert len(ids) == 1


def test_a_reboot_says_for_how_long_it_was_down() -> None:
    before, after = frame(9, 100, boot="b1"), frame(1, 400, run="r2", boot="b2", up=30)
    assert told(before, after) == [
        ("boot", "the host was rebooted and down for 4 min; no data for 5m 00s"),
    ]


def test_a_restart_that_is_first_seen_as_a_state_is_told_too_and_once() -> None:
    assert told(frame(9, 100), frame(0, 110, run="r2"), frame(12, 111, run="r2")) == [
        ("run", "sysmon was started again; no data for 10.0 s")
    ]


def test_frames_that_now_come_from_elsewhere_are_no_restart() -> None:
    assert tell([(frame(9, 100), "local"), (frame(5, 101, run="r2"), "unix:///s"), (frame(10, 102), "local")]) == []


def test_two_runs_that_alternate_are_told_once() -> None:
    frames = [frame(seq, seq, run="r" if seq % 2 else "r2") for seq in range(1, 20)]
    assert [kind for kind, _ in told(*frames)] == ["run"]


@pytest.mark.parametrize(
    ("ahead", "words"),
    [
        (-3 * 3600, "its clock was set back by 3 h"),
        (86_400, "its clock was set forward by 1 day"),
        (3, "its clock was set forward by 3 s"),
    ],
)
def test_a_clock_that_is_set_is_told_once(ahead: int, words: str) -> None:
    assert told(frame(1, 100), frame(2, 101, ahead=ahead), frame(3, 102, ahead=ahead)) == [("clock", words)]


def test_a_clock_that_drifts_over_hours_was_not_set() -> None:
    assert told(frame(1, 0), frame(2, 36_000, ahead=30), frame(3, 36_001, ahead=31)) == []


def test_a_step_that_the_host_tells_itself_is_not_told_again() -> None:
    state, happenings = State(catalogue()), Happenings()
    for each in (frame(1, 100), frame(0, 200, ahead=3600), frame(50, 201, ahead=3600)):
        if each.seq == 50:
            happenings.told_clock()
        assert happenings.take(state, each) == []
        state.apply(each)


def test_a_reboot_with_another_clock_is_a_reboot_alone() -> None:
    assert [kind for kind, _ in told(frame(1, 100), frame(1, 400, run="r2", boot="b2", up=3, ahead=86_400))] == ["boot"]
