"""Signals and nice values: to exactly the processes that were meant, or to none."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import pytest

from collectors.actions import LocalActions
from sysmon.errors import UsageError
from tests.tui.screens.processstage import HOUSEHOLD, FakeActions, Stage, process, stage
from tui.processactions import dangers, parse_nice
from tui.screens.prompt import Prompt
from tui.screens.signal import MANY, SignalDialog, choices, signal_name

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sysmon.frame import ProcessRow

pytestmark = pytest.mark.anyio

linux_only = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs /proc")


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    """A child that sleeps."""
    with subprocess.Popen(["sleep", "60"]) as child:
        yield child
        child.kill()


def row_of(child: subprocess.Popen[bytes]) -> ProcessRow:
    """A child's row, as the collector would make it."""
    fields = Path(f"/proc/{child.pid}/stat").read_text().rpartition(")")[2].split()
    started = int(fields[19]) / os.sysconf("SC_CLK_TCK")
    return process(child.pid, started=started, name="sleep", command="sleep 60", cpu=4.0)


def dialog(on: Stage) -> SignalDialog:
    """The dialog that is up."""
    found = on.app.screen
    assert isinstance(found, SignalDialog)
    return found


@linux_only
async def test_a_signal_really_ends_a_process(sleeper: subprocess.Popen[bytes]) -> None:
    async with stage([*HOUSEHOLD, row_of(sleeper)], actions=LocalActions()) as on:
        await on.go_to(sleeper.pid)
        await on.press("x")
        assert f"signal sleep ({sleeper.pid})" in on.text
        await on.press("enter")
        assert sleeper.wait(5) == -signal.SIGTERM
        await on.until(lambda: f"TERM sent to sleep ({sleeper.pid})" in on.text)


@linux_only
async def test_a_pid_that_is_another_process_by_now_is_left_alone(sleeper: subprocess.Popen[bytes]) -> None:
    row = row_of(sleeper)
    former = msgspec.structs.replace(row, started=row.started - 100)
    async with stage([*HOUSEHOLD, former], actions=LocalActions()) as on:
        await on.go_to(sleeper.pid)
        await on.press("f9", "down", "enter")
        assert "another process by now" in on.text
        assert "KILL: 0 sent, 1 not" in on.text
        assert sleeper.poll() is None
        await on.press("enter")
        assert on.app.screen is on.screen


async def test_the_list_stands_still_while_the_dialog_is_up() -> None:
    actions = FakeActions()
    async with stage(actions=actions) as on:
        await on.go_to(20)
        before = list(on.items)
        await on.press("x")
        await on.tick([process(99, cpu=9.0), *HOUSEHOLD[:2]], seconds=10, wait=False)
        view = on.app.model.hosts[on.script.host].view()
        # Even where the app asked for a picture, none is made.
        on.screen.show(view)
        assert list(on.items) == before
        await on.press("enter")
        assert actions.calls == [("signal", 20, 5.0, signal.SIGTERM)]
        await on.until(lambda: 99 in on.pids)


async def test_tagged_processes_all_get_it_and_each_failure_is_told() -> None:
    actions = FakeActions(
        failures={12: "process 12 cannot be sent SIGHUP: it is owned by root", 20: "process 20 is gone"}
    )
    async with stage(actions=actions) as on:
        for pid in (11, 12, 20):
            await on.go_to(pid)
            await on.press("space")
        assert "3 tagged" in on.text
        await on.press("x")
        assert "signal 3 processes" in on.text
        await on.press("down", "down", "down", "enter")
        assert actions.calls == [("signal", 11, 5.0, signal.SIGHUP)]
        for words in ("HUP: 1 sent, 2 not", "owned by root", "is gone", "sent"):
            assert words in on.text, words
        await on.press("escape")
        assert on.screen.table.tagged == frozenset()


async def test_untag_all() -> None:
    async with stage() as on:
        await on.press("space", "space", "U")
        assert on.screen.table.tagged == frozenset()


async def test_a_danger_wants_a_second_confirmation_that_enter_does_not_give() -> None:
    actions = FakeActions(dangers={1: "process 1 holds the whole system together"})
    async with stage(actions=actions) as on:
        await on.go_to(1)
        await on.press("x", "enter", "enter", "enter")
        assert "process 1 holds the whole system together" in on.text
        assert actions.calls == []
        await on.press("escape")
        assert dialog(on).stage == "choose"
        await on.press("enter", "y")
        assert actions.calls == [("signal", 1, 5.0, signal.SIGTERM)]


async def test_many_processes_want_it_too() -> None:
    actions = FakeActions()
    rows = [process(pid, unit="x.service") for pid in range(50, 50 + MANY)]
    async with stage(rows, actions=actions) as on:
        await on.press("o", "x", "enter")
        assert f"these are {MANY} processes at once" in on.text
        assert actions.calls == []
        await on.press("y")
        assert sorted(call[1] for call in actions.calls) == [row.pid for row in rows]


async def test_a_number_chooses_any_signal() -> None:
    actions = FakeActions()
    async with stage(actions=actions) as on:
        await on.go_to(20)
        await on.press("x", "9", "9")
        assert "no such signal" in on.text
        await on.press("enter")
        assert actions.calls == []
        await on.press("backspace", "backspace", "1", "0")
        assert dialog(on).chosen == 10
        await on.press("backspace", "backspace", "3", "4", "enter")
        assert actions.calls == [("signal", 20, 5.0, 34)]


async def test_arrows_after_a_number_choose_anew() -> None:
    async with stage(actions=FakeActions()) as on:
        await on.press("x", "9")
        assert dialog(on).chosen == 9
        await on.press("down")
        assert dialog(on).chosen == signal.SIGINT


async def test_a_folded_branch_means_the_process_it_hangs_on() -> None:
    actions = FakeActions()
    async with stage(actions=actions) as on:
        await on.press("t")
        await on.go_to(10)
        await on.press("left", "x", "enter")
        assert [call[1] for call in actions.calls] == [10]


async def test_other_hosts_and_readonly_are_refused_in_words() -> None:
    async with stage(actions=None) as on:
        for key in ("x", "n", "f7", "f8"):
            await on.press(key)
            assert on.app.screen is on.screen
            assert "another host" in on.text
    actions = FakeActions()
    async with stage(actions=actions, readonly=True) as on:
        await on.press("x", "y")
        assert "--readonly" in on.text
        assert actions.calls == []


async def test_a_frozen_screen_can_be_signalled_from() -> None:
    actions = FakeActions()
    async with stage(actions=actions) as on:
        await on.press("Z", "x", "enter")
        assert [call[1] for call in actions.calls] == [30]


async def test_one_that_ended_while_followed_gets_nothing() -> None:
    actions = FakeActions()
    async with stage(actions=actions) as on:
        await on.go_to(30)
        await on.press("F")
        await on.tick([row for row in HOUSEHOLD if row.pid != 30])
        await on.press("x")
        assert on.app.screen is on.screen
        assert "this process has ended" in on.text


async def test_nice_steps_add_up_before_the_next_read() -> None:
    actions = FakeActions()
    async with stage(actions=actions) as on:
        await on.go_to(20)
        await on.press("f8", "y", "a")
        assert [call[3] for call in actions.calls] == [1, 2, 1]
        await on.tick()
        await on.press("f7")
        assert actions.calls[-1] == ("renice", 20, 5.0, -1)


async def test_a_nice_value_is_asked_for() -> None:
    actions = FakeActions()
    async with stage(actions=actions) as on:
        await on.go_to(20)
        await on.press("n")
        assert isinstance(on.app.screen, Prompt)
        await on.write("40")
        assert "is not a nice value" in on.text
        await on.press("backspace", "backspace")
        await on.write("15")
        await on.press("enter")
        assert actions.calls == [("renice", 20, 5.0, 15)]
        await on.until(lambda: "postgres (20): nice 15" in on.text)


async def test_a_renice_that_is_not_permitted_is_told() -> None:
    words = "process 20 cannot be set to nice -1: it is owned by postgres"
    async with stage(actions=FakeActions(failures={20: words})) as on:
        await on.go_to(20)
        await on.press("f7")
        assert words[:60] in on.text


@pytest.mark.parametrize("size", [(80, 24), (60, 15), (40, 12)])
async def test_the_dialog_fits(size: tuple[int, int]) -> None:
    async with stage(size=size, actions=FakeActions(dangers={30: "so it is"})) as on:
        await on.press("x")
        assert "TERM" in on.text
        assert "Esc" in on.text
        await on.press("enter")
        assert "so it is" in on.text
        assert "yes, send it" in on.text


def test_ssh_daemons_are_dangerous_whoever_asks() -> None:
    rows = [process(7, name="sshd"), process(8)]
    assert [row.pid for row, _ in dangers(rows, FakeActions())] == [7]


def test_term_comes_first_and_names_are_known() -> None:
    assert [each.name for each in choices()][:2] == ["TERM", "KILL"]
    assert signal_name(signal.SIGKILL) == "KILL"
    assert signal_name(33) == "signal 33"


@pytest.mark.parametrize("text", ["", "x", "-21", "20", "1.5"])
def test_bad_nice_values(text: str) -> None:
    with pytest.raises(UsageError, match="is not a nice value"):
        parse_nice(text)
