"""What holds when: command line, environment, file; and every command that reads the file tells all of its mistakes."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.cli.test_commands import sysmon

MISTAKES = """[agent]
prt = 1

[history]
raw = "soon"

[alerts.mine]
metric = "cpu.utilisation"
above = "90 %"

[alerts.disk-full]
above = "lots"

[keys]
quit = 7
"""


@pytest.mark.parametrize(
    "arguments",
    [
        "",
        "--once",
        "--agent",
        "--record",
        "history load.1",
        "export",
        "alerts list",
        "alerts rules",
        "doctor",
        "config check",
        "config show",
    ],
)
def test_every_mistake_is_told_by_every_command_that_loads_the_file(tmp_path: Path, arguments: str) -> None:
    path = tmp_path / "config.toml"
    path.write_text(MISTAKES)
    result = sysmon(*arguments.split(), SYSMON_CONFIG=str(path))
    assert result.returncode == 2
    lines = result.stderr.splitlines()
    assert [line.removeprefix(f"{path}:").partition(":")[0] for line in lines] == ["2", "5", "8", "12", "15"]
    assert all(line.startswith(f"{path}:") for line in lines)
    assert "did you mean 'port'?" in lines[0]
    assert "did you mean 'cpu.utilization'?" in lines[2]
    assert result.stdout == ""


def test_what_needs_no_configuration_works_beside_a_broken_one(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_text(MISTAKES)
    for arguments in (
        ["--version"],
        ["--help"],
        ["config", "path"],
        ["config", "init", "--print"],
        ["completion", "zsh"],
    ):
        assert sysmon(*arguments, SYSMON_CONFIG=str(path)).returncode == 0, arguments


def test_the_environment_and_then_the_file_name_the_history(tmp_path: Path) -> None:
    config = tmp_path / "config.toml"
    config.write_text(f'[history]\npath = "{tmp_path}/file.db"\n')

    def place(**environment: str) -> str:
        found: str = json.loads(sysmon("doctor", "--json", **environment).stdout)["history"]["path"]
        return found

    assert place().endswith("/sysmon/history.db")
    assert place(SYSMON_CONFIG=str(config)) == f"{tmp_path}/file.db"
    assert place(SYSMON_CONFIG=str(config), SYSMON_DB=f"{tmp_path}/env.db") == f"{tmp_path}/env.db"


def test_the_command_line_goes_before_the_file(tmp_path: Path) -> None:
    config = tmp_path / "config.toml"
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        config.write_text(f'[agent]\nlisten = "127.0.0.1"\nport = {port}\n')
        of_the_file = sysmon("--agent", SYSMON_CONFIG=str(config))
    assert of_the_file.returncode == 1
    assert f"port {port} is in use" in of_the_file.stderr
    result = sysmon("--agent", "--listen", "10.9.8.7", SYSMON_CONFIG=str(config))
    assert result.returncode == 2
    assert "10.9.8.7" in result.stderr


def test_an_interface_asked_for_is_the_only_one() -> None:
    frame = json.loads(sysmon("--once", "--json", "--interface", "lo").stdout)
    assert {key for key in frame["readings"] if key.startswith("net.receive:")} == {"net.receive:lo"}


def test_a_fault_of_ours_is_one_sentence_and_a_traceback_when_asked_for() -> None:
    code = (
        "import sys, cli.once\n"
        "def fail(*words): raise ZeroDivisionError('made up')\n"
        "cli.once.run_once = fail\n"
        "from cli.main import run\n"
        "sys.exit(run(sys.argv[1:]))\n"
    )

    def ran(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-c", code, *arguments], capture_output=True, text=True, timeout=40, check=False
        )

    short = ran("--once")
    assert short.returncode == 70
    assert short.stderr == "sysmon: a fault of sysmon itself: ZeroDivisionError: made up; --debug shows where\n"
    assert "Traceback" in ran("--once", "--debug").stderr


def test_the_screen_starts_without_what_it_may_never_need(home: Path) -> None:
    code = (
        "import sys, threading, os, signal\n"
        "threading.Timer(3, lambda: os.kill(os.getpid(), signal.SIGTERM)).start()\n"
        "import cli.screen\n"
        "cli.screen.leave_hung_threads = lambda status: None\n"
        "from cli.main import run\n"
        "run([])\n"
        "heavy = {'plotext', 'pynvml', 'tomlkit', 'httpx', 'starlette', 'uvicorn', 'psutil'}\n"
        "found = sorted(heavy & {name.partition('.')[0] for name in sys.modules})\n"
        "open(os.environ['HOME'] + '/loaded', 'w').write(repr(found))\n"
    )
    from tests.tui.pty_app import PtyApp

    with PtyApp("-c", code, environment={**os.environ, "LC_ALL": "C.UTF-8"}) as app:
        app.read_until(lambda: "LIVE" in "\n".join(app.screen.display), "LIVE")
        app.wait()
    assert (home / "loaded").read_text() == "[]"


@pytest.mark.parametrize("after", [0.0, 0.4])
def test_control_c_ends_a_command_without_a_word(after: float) -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "sysmon", "--once"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        # Its own modules are loaded: what happens before is Python's.
        maps = Path(f"/proc/{process.pid}/maps")
        deadline = time.monotonic() + 20
        while "msgspec" not in maps.read_text():
            assert process.poll() is None and time.monotonic() < deadline
            time.sleep(0.01)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(after)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=20)
    assert (process.returncode, out, err) == (-signal.SIGINT, b"", b"")
