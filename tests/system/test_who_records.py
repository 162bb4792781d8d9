"""Who records: one process per history, the others look on, and somebody takes over when it ends."""

from __future__ import annotations

import signal
import sqlite3
import time
from typing import TYPE_CHECKING

import msgspec
import pytest

from store.lock import holder
from tests.system.elsewhere import Elsewhere, Renamed
from tests.system.programs import Program, free_port, wait_for
from tests.system.terminal import Screen

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = [pytest.mark.system, pytest.mark.timeout(90)]


@pytest.fixture
def agent(tmp_path: Path) -> Iterator[Program]:
    """An agent of the user whose folders the screens share; not started."""
    program = Program(tmp_path, "--agent", "--port", "0", config=f"[agent]\nport = {free_port()}\n")
    yield program
    if program.process is not None:
        program.stop(signal.SIGKILL)


def runs(folder: Path) -> list[str]:
    """The runs of which frames are in the history, oldest first."""
    with sqlite3.connect(f"file:{folder / 'history.db'}?mode=ro", uri=True, timeout=5) as connection:
        return [run for (run,) in connection.execute("SELECT run FROM run ORDER BY id")]


def who(folder: Path) -> tuple[str, int]:
    """Who records now: its kind and its pid."""
    held = holder(folder / "history.db")
    return (held.who, held.pid) if held is not None else ("", 0)


def test_a_second_screen_reads_along_and_takes_over(tmp_path: Path) -> None:
    with Screen(tmp_path) as first:
        first.wait_shown("LIVE", "recording into")
        assert who(tmp_path) == ("screen", first.pid)
        with Screen(tmp_path) as second:
            second.wait_shown("LIVE", f"recorded by screen (process {first.pid})")
            second.wait_until(lambda: len(runs(tmp_path)) == 1, "frames of the first screen")
            second.write(b"9")
            second.wait_shown("24h")
            first.read()
            assert len(runs(tmp_path)) == 1
            assert first.quit() == 0
            ended = time.monotonic()
            second.wait_until(lambda: who(tmp_path) == ("screen", second.pid), "the second screen's lock")
            assert time.monotonic() - ended < 10
            second.wait_until(lambda: len(runs(tmp_path)) == 2, "frames of the second screen")
            second.write(b"1")
            second.wait_gone("recorded by screen")
            second.wait_shown("LIVE")
            assert second.quit() == 0
    assert len(runs(tmp_path)) == 2
    assert who(tmp_path) == ("", 0)


def test_a_screen_beside_an_agent_samples_nothing_and_takes_over(tmp_path: Path, agent: Program) -> None:
    agent.start()
    assert agent.process is not None
    wait_for(lambda: runs(tmp_path))
    with Screen(tmp_path) as screen:
        screen.wait_shown("LIVE", "load", "as agent", str(agent.process.pid))
        screen.write(b"4")
        screen.wait_shown("PID", "COMMAND", "python")
        screen.write(b"9")
        screen.wait_shown("24h")
        screen.write(b"1")
        screen.wait_shown("LIVE", "load")
        assert len(runs(tmp_path)) == 1
        assert who(tmp_path)[0] == "agent"
        agent.stop()
        ended = time.monotonic()
        screen.wait_until(lambda: who(tmp_path) == ("screen", screen.pid), "the screen's lock")
        assert time.monotonic() - ended < 10
        screen.wait_until(lambda: len(runs(tmp_path)) == 2, "frames of the screen")
        screen.wait_shown("LIVE", "load")
        assert screen.quit() == 0


def test_without_a_unix_socket_the_agent_is_found_by_its_port(tmp_path: Path) -> None:
    port = free_port()
    config = f"[agent]\nport = {port}\n"
    agent = Program(tmp_path, "--agent", config=config)
    (tmp_path / "run" / "sysmon").write_text("in the way\n")
    try:
        assert agent.start() == port
        assert "no Unix socket" in agent.log.read_text()
        wait_for(lambda: runs(tmp_path))
        with Screen(tmp_path) as screen:
            screen.wait_shown("LIVE", f"http://127.0.0.1:{port}")
            assert screen.quit() == 0
        assert len(runs(tmp_path)) == 1
    finally:
        agent.stop()


def test_an_agent_that_starts_beside_a_screen_is_given_way_to(tmp_path: Path, agent: Program) -> None:
    with Screen(tmp_path) as screen:
        screen.wait_shown("LIVE", "recording into")
        agent.start()
        assert f"screen (process {screen.pid}) already records" in agent.log.read_text()
        assert agent.process is not None
        pid = agent.process.pid
        screen.wait_until(lambda: who(tmp_path) == ("agent", pid), "the agent's lock")
        wait_for(lambda: "sysmon agent: recording into" in agent.log.read_text())
        screen.wait_until(lambda: len(runs(tmp_path)) == 2, "frames of the agent")
        screen.wait_shown("LIVE", "load")
        assert screen.quit() == 0
    assert agent.stop() == 0
    kept = agent.kept()
    late = max(kept.values(), key=lambda frame: frame.time).run
    first = min((frame for frame in kept.values() if frame.run == late), key=lambda frame: frame.seq)
    assert first.full, "replay of the agent's frames would begin with half a state"


def test_the_agent_of_another_machine_on_our_port_is_not_taken_for_ours(tmp_path: Path) -> None:
    """As behind `ssh -L 8200:127.0.0.1:8200 elsewhere`: somebody answers there, but speaks of another host."""
    with Elsewhere() as other, Screen(tmp_path, config=f"[agent]\nport = {other.port}\n") as screen:
        screen.wait_shown("LIVE", "recording into")
        assert other.asked
        screen.wait_until(lambda: bool(runs(tmp_path)), "frames of the screen")
        assert screen.quit() == 0


def test_without_history_nothing_is_recorded(tmp_path: Path) -> None:
    with Screen(tmp_path, "--no-history") as screen:
        screen.wait_shown("LIVE", "load")
        assert screen.quit() == 0
    assert not (tmp_path / "history.db").exists()


def test_a_second_agent_or_recorder_says_who_is_there(tmp_path: Path, agent: Program) -> None:
    agent.start()
    again = Program(tmp_path, "--record", config=(tmp_path / "config.toml").read_text())
    again.log = tmp_path / "second.log"
    with pytest.raises(AssertionError, match="already records into"):
        again.start()
    assert again.process is not None
    assert again.process.wait(10) == 1
    assert len(again.log.read_text().splitlines()) == 1


def test_the_screen_shows_the_configured_hosts_beside_this_one(tmp_path: Path) -> None:
    far = Program(tmp_path / "far", "--agent", "--port", "0")
    port = far.start()
    try:
        # On one machine both have one id: the relay in between gives the far one another.
        with (
            Renamed(port) as other,
            Screen(tmp_path / "near", config=f'[hosts.far]\ntarget = "http://127.0.0.1:{other.port}"\n') as screen,
        ):
            screen.wait_shown("LIVE", "load")
            screen.write(b"h")
            screen.wait_shown("Hosts: ", f"http://127.0.0.1:{other.port}")
            # The cursor is on the host shown; which of the two is the worse, and so above, is the machine's matter.
            above = screen.text.index(f"http://127.0.0.1:{other.port}") < screen.text.index(" * ")
            screen.write(b"\x1b[A\r" if above else b"\x1b[B\r")
            screen.wait_gone("Hosts: ")
            screen.wait_until(lambda: screen.text.lstrip().startswith("far "), "far in the header")
            screen.write(b"4")
            screen.wait_gone("pressure")
            screen.wait_shown("COMMAND", "python")
            assert screen.quit() == 0
    finally:
        far.stop()


def test_json_of_the_lock_names_its_holder(tmp_path: Path) -> None:
    with Screen(tmp_path) as screen:
        screen.wait_shown("LIVE", "recording into")
        text = (tmp_path / "history.db.lock").read_bytes()
        assert msgspec.json.decode(text)["pid"] == screen.pid
        assert screen.quit() == 0


def test_a_recorder_that_starts_beside_a_screen_is_given_way_to(tmp_path: Path) -> None:
    recorder = Program(tmp_path, "--record")
    with Screen(tmp_path) as screen:
        screen.wait_shown("LIVE", "recording into")
        recorder.start()
        try:
            screen.wait_until(lambda: who(tmp_path)[0] == "recorder", "the recorder's lock")
            screen.wait_until(lambda: len(runs(tmp_path)) == 2, "frames of the recorder")
            screen.wait_shown("LIVE", "load")
            assert screen.quit() == 0
        finally:
            assert recorder.stop() == 0


def test_two_screens_share_one_recorder_and_leave_it_as_it_was(tmp_path: Path) -> None:
    recorder = Program(tmp_path, "--record")
    recorder.start()
    assert recorder.process is not None
    pid = recorder.process.pid
    try:
        wait_for(lambda: runs(tmp_path))
        with Screen(tmp_path) as first, Screen(tmp_path) as second:
            for screen in (first, second):
                screen.wait_shown("LIVE", "load", "as recorder", str(pid))
            assert first.quit() == 0
            second.write(b"4")
            second.wait_shown("PID", "COMMAND", "python")
            assert second.quit() == 0
        assert who(tmp_path) == ("recorder", pid)
        seen = max(seq for _, _, seq in recorder.kept())
        wait_for(lambda: max(seq for _, _, seq in recorder.kept()) > seen + 1)
        assert len(runs(tmp_path)) == 1, "neither screen sampled anything"
    finally:
        assert recorder.stop() == 0
