"""A recorder whose configured host is the machine it runs on: sampled once, and never not at all."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

import pytest

from tests.system.programs import Program, wait_for

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.system
@pytest.mark.slow
@pytest.mark.timeout(120)
def test_a_recorder_samples_its_machine_again_when_the_agent_there_is_gone(tmp_path: Path) -> None:
    agent = Program(tmp_path / "agent", "--agent", "--port", "0")
    port = agent.start()
    config = f'[hosts.here]\ntarget = "http://127.0.0.1:{port}"\n'
    recorder = Program(tmp_path / "recorder", "--record", config=config)
    recorder.start()
    try:
        wait_for(lambda: len(recorder.kept()) >= 3)
        run = next(iter(agent.kept()))[1]
        assert {each for _, each, _ in recorder.kept()} == {run}
        agent.stop(signal.SIGKILL)
        wait_for(lambda: sum(each != run for _, each, _ in recorder.kept()) >= 3, 60)
        wait_for(lambda: b"sampled here again" in recorder.log.read_bytes())
    finally:
        recorder.stop()
        if agent.process is not None:
            agent.stop(signal.SIGKILL)
