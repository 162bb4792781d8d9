"""An agent, a recorder and a line between them: whatever breaks, both histories end up the same."""

from __future__ import annotations

import signal
import time
from typing import TYPE_CHECKING

import pytest

from tests.system.line import Line
from tests.system.programs import Kept, Program, wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = [pytest.mark.system, pytest.mark.slow, pytest.mark.timeout(240)]


@pytest.fixture
def agent(tmp_path: Path) -> Iterator[Program]:
    """An agent on a port of its own."""
    program = Program(tmp_path / "agent", "--agent", "--port", "0")
    yield program
    if program.process is not None:
        program.stop(signal.SIGKILL)


@pytest.fixture
def line(agent: Program) -> Iterator[Line]:
    """The line to the agent, which keeps its port when it is started again."""
    port = agent.start()
    agent.arguments = ("--agent", "--port", str(port))
    made = Line(port)
    yield made
    made.close()


@pytest.fixture
def recorder(tmp_path: Path, line: Line) -> Iterator[Program]:
    """A recorder of that agent."""
    config = f'[hosts.far]\ntarget = "http://127.0.0.1:{line.port}"\n'
    program = Program(tmp_path / "recorder", "--record", config=config)
    program.start()
    yield program
    if program.process is not None:
        program.stop(signal.SIGKILL)


def frames_of_agent(agent: Program, recorder: Program) -> tuple[Kept, Kept]:
    """What both hold of the agent's runs, from the recorder's first contact on."""
    theirs, ours = agent.kept(), recorder.kept()
    runs = {run for _, run, _ in theirs}
    ours = {identity: frame for identity, frame in ours.items() if identity[1] in runs}
    begin = min((frame.time for frame in ours.values()), default=0)
    return {identity: frame for identity, frame in theirs.items() if frame.time >= begin}, ours


def same(agent: Program, recorder: Program) -> bool:
    """Whether both hold the same frames, but for the newest, which may still be on their way."""
    theirs, ours = frames_of_agent(agent, recorder)
    if not theirs or not ours:
        return False
    newest = [max(frame.time for frame in side.values()) for side in (theirs, ours)]
    if abs(newest[0] - newest[1]) > 4000:
        return False
    # Theirs was read first, and live frames are kept in order: what is missing up to here is a hole still to be filled.
    old = [identity for identity, frame in theirs.items() if frame.time <= min(newest)]
    return len(old) > 5 and all(identity in ours for identity in old)


def assert_identical(agent: Program, recorder: Program, killed: str = "") -> None:
    """Both ended: readings and faults of every frame that both hold are equal, and nobody has another.

    `killed`: the run of an agent that had no time to commit its last 2 s; the recorder may hold those.
    """
    theirs, ours = frames_of_agent(agent, recorder)
    newest = max(frame.time for frame in ours.values())
    ends = {run: max(frame.time for (_, each, _), frame in theirs.items() if each == run) for _, run, _ in theirs}
    ahead = {identity for identity, frame in ours.items() if identity not in theirs}
    assert all(run == killed and ours[host, run, seq].time <= ends[run] + 3000 for host, run, seq in ahead)
    assert {identity for identity, frame in theirs.items() if frame.time <= newest} == set(ours) - ahead
    for identity, frame in ours.items():
        if identity in ahead:
            continue
        assert frame.readings == theirs[identity].readings, identity
        assert frame.faults == theirs[identity].faults, identity


def test_a_silent_cut_is_noticed_and_filled(agent: Program, line: Line, recorder: Program) -> None:
    wait_for(lambda: same(agent, recorder))
    before = len(recorder.kept())
    line.condition = "silent"
    time.sleep(25)
    stalled = len(recorder.kept())
    line.condition = "up"
    wait_for(lambda: same(agent, recorder), 60)
    assert stalled <= before + 12
    assert len(recorder.kept()) >= stalled + 20
    assert recorder.stop() == 0
    assert agent.stop() == 0
    assert_identical(agent, recorder)


def test_restarts_of_either_side_lose_nothing(agent: Program, line: Line, recorder: Program) -> None:
    wait_for(lambda: same(agent, recorder))
    recorder.stop(signal.SIGKILL)
    time.sleep(6)
    recorder.start()
    wait_for(lambda: same(agent, recorder), 60)
    line.condition = "refused"
    agent.stop(signal.SIGTERM)
    agent.start()
    time.sleep(6)
    line.condition = "up"
    wait_for(lambda: same(agent, recorder) and len({run for _, run, _ in agent.kept()}) == 2, 60)
    recorder.stop()
    agent.stop()
    assert_identical(agent, recorder)


def test_a_killed_agent_loses_at_most_its_last_two_seconds(agent: Program, line: Line, recorder: Program) -> None:
    wait_for(lambda: same(agent, recorder))
    run = next(iter(agent.kept()))[1]
    agent.stop(signal.SIGKILL)
    agent.start()
    wait_for(lambda: same(agent, recorder) and sum(each != run for _, each, _ in agent.kept()) >= 8, 60)
    recorder.stop()
    agent.stop()
    assert_identical(agent, recorder, killed=run)


def test_a_stopped_agent_is_found_out_and_caught_up_with(agent: Program, line: Line, recorder: Program) -> None:
    wait_for(lambda: same(agent, recorder))
    agent.send(signal.SIGSTOP)
    time.sleep(8)
    agent.send(signal.SIGCONT)
    wait_for(lambda: same(agent, recorder), 60)
    recorder.stop()
    agent.stop()
    assert_identical(agent, recorder)
