"""The commands as a user runs them: another process, its output, its exit status."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from pathlib import Path

SHAPE = {"host", "time", "boot", "run", "seq", "readings", "derived", "tables", "faults"}


def sysmon(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Runs a command without a terminal."""
    return subprocess.run(
        [sys.executable, "-m", "sysmon", *arguments],
        env={**os.environ, **environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )


def test_the_version_is_printed() -> None:
    result = sysmon("--version")
    assert result.returncode == 0
    assert result.stdout.startswith("sysmon ")


def test_one_frame_as_json_has_rates_and_the_names_that_are_promised() -> None:
    result = sysmon("--once", "--json")
    assert result.returncode == 0, result.stderr
    frame: dict[str, Any] = json.loads(result.stdout)
    assert set(frame) == SHAPE
    assert frame["seq"] >= 2
    assert len(frame["host"]) == 16
    assert 0 <= frame["derived"]["cpu.utilization"] <= 1
    assert frame["readings"]["memory.used"] == frame["readings"]["memory.total"] - frame["readings"]["memory.available"]
    for name in ("load.1", "uptime", "processes.count", "swap.total", "cpu.time.user", "memory.available"):
        assert name in frame["readings"], name
    assert any(key.startswith("net.receive_rate:") for key in frame["derived"])
    assert any(key.startswith("cpu.core.utilization:") for key in frame["derived"])
    assert any(key.startswith("fs.utilization:") for key in frame["derived"])
    own = next(row for row in frame["tables"]["processes"] if row["pid"] == frame_pid(result, frame))
    assert own["memory"] > 1 << 20


def frame_pid(result: subprocess.CompletedProcess[str], frame: dict[str, Any]) -> int:
    """The pid of this test's process, which any list of processes must hold."""
    return os.getpid()


def test_without_a_terminal_it_prints_one_frame() -> None:
    result = sysmon()
    assert result.returncode == 0
    assert "cpu " in result.stdout
    assert "\x1b" not in result.stdout


def test_a_dumb_terminal_and_a_c_locale_get_plain_text() -> None:
    result = sysmon("--once", TERM="dumb", LANG="C", LC_ALL="C", PYTHONUTF8="0", PYTHONCOERCECLOCALE="0")
    assert result.returncode == 0, result.stderr
    assert "memory" in result.stdout


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--onse"], "'--onse' is not an option of sysmon; did you mean '--once'?"),
        (["histroy", "cpu.utilization"], "'histroy' is not a configured host"),
        (["alerts", "lst"], "'lst' is not a value for verb of sysmon alerts; did you mean 'list'?"),
        (["history"], "METRIC"),
        (["history", "cpu.utilization", "--since", "sometime"], "'sometime' is not a moment"),
        (["history", "cpu.utilization", "--since", "1h", "--until", "2h"], "is not before"),
        (["history", "cpu.utilization", "--points", "0"], "--points '0' is out of range"),
        (["--port", "8200"], "--listen and --port go with --agent"),
        (["--agent", "--port", "123456"], "--port '123456' is not a port"),
        (["--agent", "db"], "--agent takes no TARGET"),
        (["--agent", "--listen", "0.0.0.0"], "0.0.0.0"),
        (["--once", "ftp://db"], "ftp://db"),
        (["--once", "db"], "'db' is not a configured host"),
        (["completion", "fishy"], "'fishy' is not a value"),
    ],
)
def test_what_is_asked_wrongly_is_one_sentence_and_status_2(arguments: list[str], words: str) -> None:
    result = sysmon(*arguments)
    assert result.returncode == 2, result.stderr
    assert words in result.stderr
    assert result.stdout == ""
    assert len(result.stderr.strip().splitlines()) == 1
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize("command", ["", "history", "export", "alerts", "config", "doctor", "completion"])
def test_every_command_has_help_with_an_example(command: str) -> None:
    result = sysmon(*([command] if command else []), "--help")
    assert result.returncode == 0
    assert "example:" in result.stdout


def test_a_configuration_is_written_checked_and_shown(home: Path) -> None:
    path = sysmon("config", "path").stdout.strip()
    assert path.startswith(str(home))
    assert sysmon("config", "init").returncode == 0
    assert os.stat(path).st_mode & 0o777 == 0o600
    again = sysmon("config", "init")
    assert again.returncode == 1
    assert "exists already" in again.stderr
    assert sysmon("config", "check").stdout.strip().endswith("no mistakes")
    shown = json.loads(sysmon("config", "show", "--json").stdout)
    assert shown["agent"]["port"] == 8200
    assert "[alerts.disk-full]" in sysmon("config", "show").stdout


def test_every_mistake_of_a_configuration_is_named(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_text('[agent]\nprt = 1\n\n[alerts.disk-full]\nfor = "x"\n')
    result = sysmon("config", "check", str(path))
    assert result.returncode == 2
    assert result.stderr.splitlines() == [
        f"{path}:2: [agent] 'prt' is not known here; did you mean 'port'?",
        f"{path}:5: [alerts.disk-full] for = 'x' is not a duration; write \"5m\"",
    ]
    assert sysmon("--once", SYSMON_CONFIG=str(path)).returncode == 2
    missing = sysmon("--once", SYSMON_CONFIG=str(tmp_path / "none.toml"))
    assert missing.returncode == 2
    assert "none.toml does not exist" in missing.stderr


def test_without_a_history_the_commands_say_how_to_get_one() -> None:
    for command in (["history", "cpu.utilization"], ["export"], ["alerts", "list"]):
        result = sysmon(*command)
        assert result.returncode == 2
        assert "there is no history yet" in result.stderr


def test_doctor_tells_of_every_collector() -> None:
    result = sysmon("doctor", "--json")
    report = json.loads(result.stdout)
    names = {each["name"] for each in report["collectors"]}
    assert {"cpu", "memory", "network", "disks", "filesystems", "processes", "gpu", "sensors"} <= names
    silent = [each["name"] for each in report["collectors"] if not each["series"] and not each["faults"]]
    assert silent == []
    metrics = sysmon("doctor", "--metrics").stdout
    assert "net.receive_rate:INTERFACE" in metrics


def test_completions_are_shipped() -> None:
    for shell in ("bash", "zsh", "tcsh"):
        assert "sysmon" in sysmon("completion", shell).stdout


def test_a_reader_that_leaves_early_ends_it_quietly() -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "sysmon", "doctor", "--metrics"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.wait(30) in (0, 128 + signal.SIGPIPE, -signal.SIGPIPE)
        assert process.stderr.read() == b""


@pytest.mark.parametrize(
    "arguments",
    [["--once", "--json"], ["doctor"], ["config", "show"], ["history", "cpu.utilization"], ["alerts", "list"]],
)
def test_no_command_loads_the_screen(arguments: list[str]) -> None:
    code = (
        "import sys\n"
        "from cli.main import run\n"
        "import cli.once\n"
        "cli.once.leave_hung_threads = lambda status: None\n"
        f"run({arguments!r})\n"
        "heavy = {'textual', 'plotext', 'rich', 'httpx', 'tomlkit'}\n"
        "loaded = heavy & {name.partition('.')[0] for name in sys.modules}\n"
        "print('loaded', sorted(loaded), file=sys.stderr)\n"
    )
    result = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )
    assert "loaded []" in result.stderr, result.stderr


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--once", "--interface", "nosuch0"], "--interface 'nosuch0' names no interface; known are "),
        (["report", "list"], "'list' is not an option of sysmon report"),
        (["--agent", "--json"], "--json goes with --once"),
    ],
)
def test_what_names_nothing_is_said(arguments: list[str], words: str) -> None:
    result = sysmon(*arguments)
    assert result.returncode == 2
    assert words in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1


def test_the_c_locale_gets_ascii_alone() -> None:
    environment = {"LC_ALL": "C", "LANG": "", "LC_CTYPE": ""}
    assert sysmon("--once", **environment).stdout.isascii()
    assert sysmon("doctor", **environment).stdout.isascii()
