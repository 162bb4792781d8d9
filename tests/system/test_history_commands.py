"""The commands that read a history, on one that a real run recorded."""

from __future__ import annotations

import csv
import io
import json
import sqlite3
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from sysmon.records import HostInfo
from tests.system.programs import Program, wait_for
from tests.system.terminal import folders

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.system, pytest.mark.timeout(60)]

CONFIG = """
[alerts.always]
metric = "uptime"
above = "0 s"
for = "2s"
severity = "critical"
"""


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folders of a user whose agent ran for some seconds, until its alert fired."""
    folder = tmp_path_factory.mktemp("recorded")
    program = Program(folder, "--agent", "--port", "0", config=CONFIG)
    program.start()
    wait_for(lambda: len(program.kept()) >= 6)
    assert program.stop() == 0
    return folder


def run(folder: Path, *arguments: str, status: int = 0, environment: dict[str, str] | None = None) -> str:
    """Runs a command that ends with a status; returns its stdout, or its stderr where it failed."""
    done = subprocess.run(
        [sys.executable, "-m", "sysmon", *arguments],
        env=folders(folder) | (environment or {}),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=40,
        check=False,
    )
    assert done.returncode == status, done.stderr
    assert "Traceback" not in done.stderr
    if status == 0:
        assert done.stderr == ""
    return done.stderr if status == 2 else done.stdout


def test_history_as_json_is_what_is_promised(recorded: Path) -> None:
    answer = json.loads(run(recorded, "history", "cpu.utilization", "--format", "json"))
    assert set(answer) == {"series", "gaps"}
    (series,) = answer["series"]
    assert set(series) == {"host", "metric", "instance", "unit", "step", "points", "stats"}
    assert (series["metric"], series["unit"]) == ("cpu.utilization", "ratio")
    point = series["points"][0]
    assert set(point) == {"time", "count", "min", "mean", "max", "last", "p95"}
    assert point["time"].endswith("Z")
    assert set(series["stats"]) == {"count", "min", "mean", "max", "p95", "last"}
    assert 0 <= series["stats"]["min"] <= series["stats"]["p95"] <= series["stats"]["max"] <= 1


def test_history_in_every_form(recorded: Path) -> None:
    table = run(recorded, "history", "load.1")
    assert "p95" in table.splitlines()[1]
    rows = list(csv.DictReader(io.StringIO(run(recorded, "history", "net.receive_rate", "--format", "csv"))))
    assert {row["instance"] for row in rows} >= {"lo"}
    assert float(rows[0]["mean"]) >= 0
    assert "mean" in run(recorded, "history", "memory.used", "--stats")
    plot = run(
        recorded, "history", "load.1", "--since", "1m", "--format", "plot", environment={"COLUMNS": "60", "LINES": "20"}
    )
    assert max(len(line) for line in plot.splitlines()) <= 60
    assert "\x1b" not in plot
    plain = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    assert run(recorded, "history", "load.1", "--format", "plot", environment=plain).isascii()
    assert run(recorded, "history", "temperature:nowhere*", "--since", "1m", status=2)


def test_export_in_every_form(recorded: Path) -> None:
    frames = [json.loads(line) for line in run(recorded, "export").splitlines()]
    assert [frame["seq"] for frame in frames] == list(range(1, len(frames) + 1))
    shape = {"host", "time", "boot", "run", "seq", "readings", "derived", "tables", "faults"}
    assert all(set(frame) == shape for frame in frames)
    assert "cpu.time.user" in frames[0]["readings"]
    derived = [json.loads(line) for line in run(recorded, "export", "--derived", "cpu.*").splitlines()]
    assert all(key.startswith("cpu.") for frame in derived for key in frame["derived"])
    assert "cpu.utilization" in derived[-1]["derived"]
    rows = list(csv.DictReader(io.StringIO(run(recorded, "export", "load.1", "net.receive:lo", "--format", "csv"))))
    assert {(row["metric"], row["instance"]) for row in rows} == {("load.1", ""), ("net.receive", "lo")}
    assert len({row["time"] for row in rows}) >= len(frames) - 1


def test_alerts_in_every_form(recorded: Path) -> None:
    alerts = json.loads(run(recorded, "alerts", "list", "--json", status=1))
    mine = next(alert for alert in alerts if alert["rule"] == "always")
    assert (mine["series"], mine["status"], mine["severity"]) == ("uptime", "firing", "critical")
    assert "always: uptime is" in run(recorded, "alerts", "list", status=1)
    events = json.loads(run(recorded, "alerts", "history", "--json"))
    assert [event["kind"] for event in events if event.get("rule") == "always"] == ["alert.firing"]
    assert "alert.firing" in run(recorded, "alerts", "history")
    assert any(rule["name"] == "always" for rule in json.loads(run(recorded, "alerts", "rules", "--json")))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["history", "cpu.utilisation"], "'cpu.utilisation' is not a metric; did you mean 'cpu.utilization'?"),
        (["history", "net.receive:eth99x"], "net.receive has no instance 'eth99x'"),
        (["history", "load.1", "--host", "nobody"], "'nobody' is not a host of the history"),
        (["history", "load.1", "--since", "noonish"], "'noonish' is not a moment"),
        (["history", "load.1", "--since", "1h", "--until", "2h"], "is not before --until"),
        (["history", "battery.charge", "--format", "jason"], "did you mean 'json'?"),
        (["export", "--host", "nobody"], "'nobody' is not a host of the history"),
        (["export", "cpu.utilisation"], "did you mean 'cpu.utilization'?"),
        (["export", "cpu.utilization"], "add --derived"),
        (["alerts", "list", "--host", "nobody"], "'nobody' is not a host of the history"),
        (["alerts", "history", "--since", "x"], "'x' is not a moment"),
    ],
)
def test_what_is_not_there_is_said_in_one_sentence(recorded: Path, arguments: list[str], words: str) -> None:
    said = run(recorded, *arguments, status=2)
    assert words in said
    assert len(said.splitlines()) == 1


def test_a_name_that_two_hosts_have_asks_for_the_id(recorded: Path, tmp_path: Path) -> None:
    with sqlite3.connect(recorded / "history.db") as source, sqlite3.connect(tmp_path / "history.db") as copy:
        source.backup(copy)
        for number, name in enumerate(("1111111111111111", "2222222222222222"), 90):
            info = HostInfo(id=name, hostname="twin", target="http://elsewhere:8200")
            copy.execute("INSERT INTO host VALUES (?, ?, ?)", (number, name, msgspec.msgpack.encode(info)))
    for command in (["history", "load.1"], ["export"], ["alerts", "list"]):
        said = run(tmp_path, *command, "--host", "twin", status=2)
        assert "'twin' is the name of 2 hosts" in said
        assert "1111111111111111" in said
    # Beside others, this host is the one meant where none is named.
    assert json.loads(run(tmp_path, "history", "load.1", "--format", "json"))["series"]


def test_doctor_tells_of_the_history(recorded: Path) -> None:
    report: dict[str, Any] = json.loads(run(recorded, "doctor", "--json"))
    assert report["history"]["path"] == str(recorded / "history.db")
    assert report["history"]["bytes"] > 0
    assert report["history"]["recorder"] == ""
    text = run(recorded, "doctor")
    assert "nobody records now" in text


@pytest.mark.parametrize(
    "arguments",
    [
        "history load.1",
        "history load.1 --format json",
        "history load.1 --format csv",
        "export",
        "export --format csv",
        "alerts rules",
        "alerts history",
        "config show",
        "config init --print",
        "doctor --metrics",
        "completion bash",
        "--once",
        "--once --json",
        "--help",
    ],
)
def test_a_reader_that_goes_away_is_no_error(recorded: Path, arguments: str) -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "sysmon", *arguments.split()],
        env=folders(recorded),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.wait(30) in (0, 141)
        assert process.stderr.read() == b""


def test_a_full_disk_behind_stdout_is_said(recorded: Path) -> None:
    with open("/dev/full", "wb") as full:
        for command in (["export"], ["doctor", "--metrics"], ["--once"]):
            done = subprocess.run(
                [sys.executable, "-m", "sysmon", *command],
                env=folders(recorded),
                stdout=full,
                stderr=subprocess.PIPE,
                text=True,
                timeout=40,
                check=False,
            )
            assert (done.returncode, done.stderr) == (1, "sysmon: stdout cannot be written: No space left on device\n")


def test_a_closed_stdout_is_no_error(recorded: Path) -> None:
    line = f"exec {sys.executable} -m sysmon history load.1 >&-"
    done = subprocess.run(["sh", "-c", line], env=folders(recorded), capture_output=True, timeout=40, check=False)
    assert (done.returncode, done.stderr) == (0, b"")
