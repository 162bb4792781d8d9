"""The service: its units as systemd reads them, what it tells its manager, and what is refused."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cli.unitfiles import MARK, Role, make_unit
from tests.cli.test_commands import sysmon
from tests.system.programs import Program, free_port


@pytest.mark.parametrize("role", ["record", "agent"])
@pytest.mark.parametrize("user", [False, True])
@pytest.mark.needs("systemd-analyze")
def test_systemd_takes_every_line_of_a_unit(role: Role, user: bool, tmp_path: Path) -> None:
    program = shutil.which("true")
    assert program is not None
    unit = make_unit(role, [program, f"--{role}"], user=user, paths=[Path("/srv/my history")])
    path = tmp_path / unit.name
    path.write_text(unit.text)
    manager = ["--user"] if user else ["--system"]
    done = subprocess.run(
        ["systemd-analyze", *manager, "--man=no", "verify", str(path)],
        capture_output=True,
        text=True,
        env={**os.environ, "XDG_RUNTIME_DIR": str(tmp_path)},
        timeout=30,
        check=False,
    )
    said = [line for line in done.stderr.splitlines() if unit.name in line]
    assert done.returncode == 0, done.stderr
    assert not said


def test_a_service_of_the_system_has_no_capability_and_a_user_of_its_own() -> None:
    text = make_unit("agent", ["/usr/bin/sysmon", "--agent"]).text
    lines = text.splitlines()
    for line in ("DynamicUser=yes", "CapabilityBoundingSet=", "AmbientCapabilities=", "NoNewPrivileges=yes"):
        assert line in lines
    assert "ProtectSystem=strict" in lines
    assert text.startswith(MARK)


@given(st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\0\n\r"), min_size=1), min_size=1))
def test_words_of_a_command_reach_the_program_as_they_are(words: list[str]) -> None:
    text = make_unit("agent", ["/usr/bin/sysmon", *words]).text
    line = next(line for line in text.split("\n") if line.startswith("ExecStart="))
    # systemd takes words apart as a shell does without expansions, then resolves %% and $$.
    given_words = shlex.split(line.removeprefix("ExecStart="), posix=True)
    assert [word.replace("%%", "%").replace("$$", "$") for word in given_words] == ["/usr/bin/sysmon", *words]


def test_without_systemd_the_mend_is_named(tmp_path: Path) -> None:
    if Path("/run/systemd/system").is_dir():
        pytest.skip("systemd runs here")
    result = sysmon("service", "install", HOME=str(tmp_path))
    assert result.returncode == 1
    assert "systemd does not run here" in result.stderr
    assert "sysmon --record" in result.stderr
    assert sysmon("service", "status", "--user", HOME=str(tmp_path), XDG_CONFIG_HOME=str(tmp_path)).returncode == 1


def test_a_unit_can_be_printed_anywhere(tmp_path: Path) -> None:
    config = tmp_path / "config.toml"
    config.write_text('[history]\npath = "/srv/sysmon/history.db"\n')
    result = sysmon("service", "install", "--role", "agent", "--print", SYSMON_CONFIG=str(config))
    assert result.returncode == 0, result.stderr
    assert re.search(r"^ExecStart=.* --agent$", result.stdout, re.MULTILINE)
    assert "ReadWritePaths=/srv/sysmon\n" in result.stdout


@pytest.mark.timeout(60)
def test_the_manager_hears_that_it_is_up_and_alive_and_that_it_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        manager.settimeout(20)
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        monkeypatch.setenv("WATCHDOG_USEC", "300000")
        agent = Program(tmp_path / "agent", "--agent", "--port", str(free_port()))
        agent.start()
        heard = ""
        while not ("READY=1" in heard and heard.count("WATCHDOG=1") > 2):
            heard += manager.recv(4096).decode() + "\n"
        assert re.search(r"STATUS=serving on http://127\.0\.0\.1:\d+, history in ", heard)
        assert agent.stop(signal.SIGTERM) == 0
        while "STOPPING=1" not in heard:
            heard += manager.recv(4096).decode() + "\n"


def test_a_hung_loop_gives_no_sign_of_life(tmp_path: Path) -> None:
    code = """
import asyncio, time
from cli import notify

async def main():
    alive = asyncio.create_task(notify.stay_alive())
    await asyncio.sleep(0.25)
    notify.tell("STATUS=hung")
    time.sleep(0.6)
    notify.tell("STATUS=after")
    alive.cancel()

asyncio.run(main())
"""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        manager.settimeout(10)
        environment = {**os.environ, "NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "300000"}
        subprocess.run([sys.executable, "-c", code], env=environment, check=True, timeout=20)
        heard: list[str] = []
        while not heard or heard[-1] != "STATUS=after":
            heard.append(manager.recv(4096).decode())
    assert heard.count("WATCHDOG=1") >= 2
    assert heard[heard.index("STATUS=hung") + 1] == "STATUS=after"
