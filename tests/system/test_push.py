"""An agent that pushes to a recorder over TLS, and opens no port itself: whatever breaks, both end up the same."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import psutil
import pytest

from tests.system.line import Line
from tests.system.programs import Program, wait_for
from tests.system.test_lines_that_break import assert_identical, same

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = [
    pytest.mark.system,
    pytest.mark.slow,
    pytest.mark.timeout(120),
    pytest.mark.needs("unshare"),
    pytest.mark.skipif(os.geteuid() != 0, reason="a machine-id of one's own needs root"),
]


def sysmon(program: Program, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Runs a command with a program's folders."""
    return subprocess.run(
        [sys.executable, "-m", "sysmon", *arguments],
        env=program.environment,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


def asked(program: Program, path: str) -> Any:
    """What a program answers on its Unix socket."""
    with socket.socket(socket.AF_UNIX) as line:
        line.connect(str(program.folder / "run/sysmon/sysmon.sock"))
        line.sendall(f"GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n".encode())
        data = b""
        while piece := line.recv(1 << 16):
            data += piece
    return json.loads(data.partition(b"\r\n\r\n")[2])


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[Program]:
    """A recorder that is reached from anywhere, so with TLS and a token."""
    program = Program(tmp_path / "hub", "--record", "--listen", "0.0.0.0", "--port", "0")
    made = sysmon(program, "token", "new", "far", "--scope", "report", "--file", str(tmp_path / "token"))
    assert made.returncode == 0, made.stderr
    port = program.start()
    program.arguments = ("--record", "--listen", "0.0.0.0", "--port", str(port))
    program.port = port
    yield program
    if program.process is not None:
        program.stop(signal.SIGKILL)


@pytest.fixture
def line(hub: Program) -> Iterator[Line]:
    """The line to the hub."""
    made = Line(hub.port)
    yield made
    made.close()


@pytest.fixture
def agent(tmp_path: Path, line: Line) -> Iterator[Program]:
    """An agent that pushes over the line; not started."""
    config = f'[push]\ninterval = "1s"\ntoken_file = "{tmp_path / "token"}"\n'
    target = f"https://127.0.0.1:{line.port}"
    # It is of another machine: for the hub's own nobody may report over a network.
    (tmp_path / "machine-id").write_text("0123456789abcdef" * 2 + "\n")
    other = f'mount --bind {tmp_path / "machine-id"} /etc/machine-id && exec "$@"'
    program = Program(
        tmp_path / "agent",
        *("--agent", "--listen", "none", "--push", target),
        config=config,
        inside=("unshare", "--mount", "sh", "-c", other, "sh"),
    )
    yield program
    if program.process is not None:
        program.stop(signal.SIGKILL)


def introduced(agent: Program, hub: Program) -> None:
    """Has the agent shown the hub's key, compares it with what the hub says, and gives it to the agent."""
    shown = sysmon(agent, *agent.arguments)
    assert shown.returncode == 2
    found = re.search(r"--push-fingerprint (sha256:[0-9a-f]{64})", shown.stderr)
    assert found, shown.stderr
    assert f"its key: {found[1]}" in hub.log.read_text()
    words = re.search(r"in words: (.+)", shown.stderr)
    assert words
    assert words[1] in hub.log.read_text()
    agent.arguments = (*agent.arguments, "--push-fingerprint", found[1])


def test_cuts_and_kills_of_either_side_lose_nothing(agent: Program, hub: Program, line: Line) -> None:
    introduced(agent, hub)
    agent.start()
    wait_for(lambda: same(agent, hub))
    assert agent.process is not None
    inside = psutil.Process(agent.process.pid)
    assert [each for each in inside.net_connections("inet") if each.status == psutil.CONN_LISTEN] == []
    assert asked(agent, "/healthz")["push"]["state"] == "pushing"
    assert asked(hub, "/v1/hosts")["statuses"][0]["target"] == "push"

    line.condition = "refused"
    time.sleep(3)
    hub.stop(signal.SIGKILL)
    hub.start()
    run = asked(agent, "/v1/spans")[-1]["run"]
    agent.stop(signal.SIGKILL)
    agent.start()
    time.sleep(2)
    line.condition = "up"
    wait_for(lambda: same(agent, hub) and len({run for _, run, _ in agent.kept()}) == 2)
    log = agent.log.read_text()
    assert "pushing to https://127.0.0.1" in log
    assert "not pushed, and tried again" in log
    assert hub.stop() == 0
    assert agent.stop() == 0
    assert_identical(agent, hub, killed=run)


def test_a_revoked_token_and_a_wrong_key_are_told(agent: Program, hub: Program) -> None:
    introduced(agent, hub)
    agent.start()
    wait_for(lambda: "pushing to" in agent.log.read_text())
    assert sysmon(hub, "token", "revoke", "far").returncode == 0
    wait_for(lambda: "nothing is pushed" in agent.log.read_text())
    assert "revoked" in asked(agent, "/v1/status")["push"]
    agent.stop()
    wrong = ("--push-fingerprint", f"sha256:{'0' * 64}")
    agent.arguments = (*agent.arguments[:-2], *wrong)
    before = len(hub.kept())
    agent.start()
    wait_for(lambda: "wrong key" in agent.log.read_text())
    assert agent.stop() == 0
    hub.stop()
    assert before
    runs = {run for _, run, _ in hub.kept()}
    assert len(runs & {run for _, run, _ in agent.kept()}) == 1


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--push", "https://127.0.0.1:1"), "connection refused"),
        (("--push", "http://192.0.2.1:8200"), "not encrypted"),
        (("--push", "ssh://web"), "no hub"),
        (("--push-fingerprint", f"sha256:{'0' * 64}"), "goes with --push"),
        (("--push", "https://127.0.0.1:1", "--push-fingerprint", "0"), "fingerprint"),
    ],
)
def test_what_cannot_be_pushed_to_is_said_before_anything_begins(
    tmp_path: Path, arguments: tuple[str, ...], words: str
) -> None:
    program = Program(tmp_path / "agent", "--agent", "--listen", "none")
    told = sysmon(program, "--agent", "--listen", "none", *arguments)
    assert told.returncode == 2, told.stderr
    assert words in told.stderr
    assert not program.database.exists()
