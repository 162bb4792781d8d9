"""Histories that cannot be kept or read: the screen and the agent go on and say so."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.system.programs import Program, wait_for
from tests.system.terminal import Screen, folders

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = [pytest.mark.system, pytest.mark.timeout(90)]

ROOT = os.geteuid() == 0


@pytest.fixture
def started() -> Iterator[list[Program]]:
    """Programs that the test started, ended after it."""
    programs: list[Program] = []
    yield programs
    for program in programs:
        if program.process is not None:
            program.stop(signal.SIGKILL)


def make_history(folder: Path) -> Path:
    """Records a few frames; returns the file."""
    program = Program(folder, "--agent", "--port", "0")
    program.start()
    wait_for(lambda: len(program.kept()) >= 2)
    assert program.stop() == 0
    return program.database


def command(folder: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Runs a command to its end."""
    return subprocess.run(
        [sys.executable, "-m", "sysmon", *arguments],
        env=folders(folder) | environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=40,
        check=False,
    )


def no_folder(folder: Path) -> str:
    """A path whose folder cannot be made, for root too: a file is in the way."""
    (folder / "file").write_text("")
    return str(folder / "file" / "deeper" / "history.db")


def test_the_screen_goes_on_where_nothing_can_be_written(tmp_path: Path) -> None:
    with Screen(tmp_path, environment={"SYSMON_DB": no_folder(tmp_path)}) as screen:
        screen.wait_shown("LIVE", "load", "nothing is recorded")
        screen.write(b"9")
        screen.wait_shown("24h")
        screen.write(b"0")
        screen.wait_shown("alerts")
        assert screen.quit() == 0
        screen.assert_whole()


def test_the_agent_goes_on_and_the_recorder_does_not(tmp_path: Path, started: list[Program]) -> None:
    nowhere = no_folder(tmp_path)
    agent = Program(tmp_path, "--agent", "--port", "0", database=nowhere)
    started.append(agent)
    agent.start()
    lines = agent.log.read_text().splitlines()
    assert sum("nothing is recorded: history cannot be written" in line for line in lines) == 1
    assert "SYSMON_DB" in lines[0]
    assert agent.stop() == 0
    recorder = command(tmp_path, "--record", SYSMON_DB=nowhere)
    assert recorder.returncode == 1
    assert "history cannot be written" in recorder.stderr
    assert len(recorder.stderr.splitlines()) == 1


def test_a_missing_folder_is_made(tmp_path: Path) -> None:
    path = tmp_path / "not" / "there" / "history.db"
    with Screen(tmp_path, environment={"SYSMON_DB": str(path)}) as screen:
        screen.wait_shown("LIVE", "recording into")
        assert screen.quit() == 0
    assert path.exists()


def test_a_history_that_may_only_be_read_is_read(tmp_path: Path, small_disk: Path) -> None:
    path = make_history(tmp_path / "made")
    kept = small_disk / "history.db"
    kept.write_bytes(path.read_bytes())
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    result = command(tmp_path, "history", "load.1", "--json", SYSMON_DB=str(kept))
    assert result.returncode == 0, result.stderr
    assert '"points":[{' in result.stdout
    with Screen(tmp_path, environment={"SYSMON_DB": str(kept)}) as screen:
        screen.wait_shown("LIVE", "load", "nothing is recorded")
        screen.write(b"9")
        screen.wait_shown("24h", "CPU")
        assert screen.quit() == 0
    assert command(tmp_path, "--record", SYSMON_DB=str(kept)).returncode == 1


def test_a_damaged_history_is_set_aside_and_said(tmp_path: Path, started: list[Program]) -> None:
    for number, kind in enumerate(("screen", "agent")):
        folder = tmp_path / kind
        folder.mkdir()
        (folder / "history.db").write_bytes(b"this is not a database, but long enough to be one" * 200)
        if kind == "screen":
            with Screen(folder) as screen:
                screen.wait_shown("LIVE", "could not be read", "corrupt-")
                assert screen.quit() == 0
        else:
            agent = Program(folder, "--agent", "--port", "0")
            started.append(agent)
            agent.start()
            assert "could not be read" in agent.log.read_text()
            assert agent.stop() == 0
        aside = [path for path in folder.iterdir() if ".corrupt-" in path.name]
        assert len(aside) == 1, number
        assert (folder / "history.db").read_bytes().startswith(b"SQLite format 3")
        events = command(folder, "alerts", "history", "--json")
        assert "could not be read" in events.stdout


def test_a_newer_history_is_left_alone(tmp_path: Path, started: list[Program]) -> None:
    path = make_history(tmp_path)
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA user_version = 9999")
        connection.execute("INSERT INTO migration VALUES (9999, 0)")
    connection.close()
    before = path.read_bytes()
    with Screen(tmp_path) as screen:
        screen.wait_shown("LIVE", "load", "nothing is recorded", "newer")
        assert screen.quit() == 0
    agent = Program(tmp_path, "--agent", "--port", "0")
    started.append(agent)
    agent.start()
    assert "newer" in agent.log.read_text()
    assert agent.stop() == 0
    for words in (["history", "load.1"], ["export"], ["alerts", "list"]):
        result = command(tmp_path, *words)
        assert result.returncode == 1
        assert "newer" in result.stderr
        assert len(result.stderr.splitlines()) == 1
    assert command(tmp_path, "--record").returncode == 1
    doctor = command(tmp_path, "doctor")
    assert doctor.returncode == 1
    assert "newer" in doctor.stdout
    assert path.read_bytes() == before


def test_commands_on_what_is_no_history_say_so(tmp_path: Path) -> None:
    (tmp_path / "history.db").write_bytes(b"nonsense" * 1000)
    result = command(tmp_path, "history", "load.1")
    assert result.returncode == 1
    assert str(tmp_path / "history.db") in result.stderr
    assert len(result.stderr.splitlines()) == 1
    assert (tmp_path / "history.db").exists()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 3 MB."""
    if not ROOT:
        pytest.skip("mounting needs root")
    place = tmp_path / "disk"
    place.mkdir()
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=3m", "none", str(place)], check=False)
    if done.returncode:
        pytest.skip("mounting is not permitted here")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


@pytest.mark.parametrize("kind", ["screen", "agent"])
def test_a_full_disk_is_said_and_recording_resumes(
    tmp_path: Path, small_disk: Path, started: list[Program], kind: str
) -> None:
    database = small_disk / "history.db"
    config = '[history]\nfree = "0 %"\n'
    ballast = small_disk / "ballast"

    def fill() -> None:
        with ballast.open("wb", buffering=0) as file:
            try:
                while True:
                    file.write(bytes(4096))
            except OSError:
                pass

    def frames() -> int:
        program = Program(tmp_path / "reader", database=str(database))
        return len(program.kept())

    if kind == "screen":
        with Screen(tmp_path, config=config, environment={"SYSMON_DB": str(database)}) as screen:
            screen.wait_shown("LIVE", "recording into")
            screen.wait_until(lambda: frames() > 0, "frames")
            fill()
            screen.wait_shown("LIVE", "cannot grow")
            count = frames()
            ballast.unlink()
            screen.wait_gone("cannot grow")
            screen.wait_until(lambda: frames() > count + 2, "more frames")
            assert screen.quit() == 0
            screen.assert_whole()
        return
    agent = Program(tmp_path / "agent", "--agent", "--port", "0", config=config, database=str(database))
    started.append(agent)
    agent.start()
    wait_for(lambda: frames() > 0)
    fill()
    wait_for(lambda: "cannot grow" in agent.log.read_text())
    count = frames()
    ballast.unlink()
    wait_for(lambda: "sysmon agent: recording into" in agent.log.read_text())
    wait_for(lambda: frames() > count + 2)
    assert agent.stop() == 0
    assert "Traceback" not in agent.log.read_text()


def test_a_disk_full_from_the_start_is_recorded_into_later(
    tmp_path: Path, small_disk: Path, started: list[Program]
) -> None:
    ballast = small_disk / "ballast"
    ballast.write_bytes(bytes((3 << 20) - 8192))
    agent = Program(tmp_path / "agent", "--agent", "--port", "0", database=str(small_disk / "history.db"))
    started.append(agent)
    agent.start()
    assert "nothing is recorded" in agent.log.read_text()
    ballast.unlink()
    wait_for(lambda: "sysmon agent: recording into" in agent.log.read_text())
    wait_for(lambda: agent.kept())
    assert agent.stop() == 0
