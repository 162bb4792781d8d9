"""`sysmon hosts` against real agents and a real recorder: pinned by words, let in by token, taken up while it runs."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import pexpect
import pytest

from remote.fingerprint import words
from tests.remote.authorities import make_pair
from tests.system.programs import Program, wait_for
from tests.system.sshbox import SshBox

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = [pytest.mark.system, pytest.mark.timeout(120)]

OTHER = "sha256:" + "0f" * 32


def command(program: Program, *arguments: str) -> tuple[int, str, str]:
    """Runs a command with the folders of a program; returns status, stdout, stderr."""
    done = subprocess.run(
        [sys.executable, "-m", "sysmon", *arguments],
        env=program.environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return done.returncode, done.stdout, done.stderr


def status(program: Program, *names: str) -> tuple[int, dict[str, Any]]:
    """What `sysmon hosts status --json` says."""
    code, out, err = command(program, "hosts", "status", "--json", *names)
    assert err == ""
    found: dict[str, Any] = json.loads(out)
    return code, found


@pytest.fixture
def agent(tmp_path: Path) -> Iterator[Program]:
    """A running agent with TLS by its own key, and a token for it in `hub.token`."""
    program = Program(tmp_path / "agent", "--agent", "--listen", "0.0.0.0", "--port", "0")
    code, _, err = command(program, "token", "new", "hub", "--file", str(tmp_path / "hub.token"))
    assert code == 0, err
    program.port = program.start()
    yield program
    if program.process is not None:
        program.stop(signal.SIGKILL)


@pytest.fixture
def recorder(tmp_path: Path) -> Iterator[Program]:
    """A recorder, not started, that has no hosts."""
    program = Program(tmp_path / "recorder", "--record", config="# mine\n")
    yield program
    if program.process is not None:
        program.stop(signal.SIGKILL)


def key_of(agent: Program) -> str:
    found = re.search(r"its key: (sha256:[0-9a-f]{64})", wait_for(lambda: agent.log.read_text()))
    assert found is not None
    return found[1]


def test_a_host_from_being_added_to_being_revoked(agent: Program, recorder: Program, tmp_path: Path) -> None:
    url = f"https://127.0.0.1:{agent.port}"
    key = key_of(agent)
    assert f"in words: {words(key)}" in agent.log.read_text()
    recorder.start()
    token = str(tmp_path / "hub.token")

    code, out, err = command(recorder, "hosts", "add", "far", url, "--token-file", token, "--tag", "lab")
    assert (code, out) == (1, "")
    assert f"    {words(key)}\n    {key}\n" in err
    code, out, err = command(
        recorder, "hosts", "add", "far", url, "--token-file", token, "--tag", "lab", "--fingerprint", key.upper()
    )
    assert (code, err) == (0, "")
    added = time.monotonic()
    found = wait_for(lambda: (said := status(recorder))[1]["by"].startswith("recorder") and said[0] == 0 and said[1])
    # The command itself takes some tenths of a second; the recorder looks at the file every 0.7 s.
    assert time.monotonic() - added < 8
    (far,) = found["hosts"]
    assert (far["name"], far["state"], far["live"]) == ("far", "live", 1)
    assert far["age"] < 5

    # Another token than the agent knows.
    wrong = tmp_path / "wrong.token"
    wrong.write_text("smt_" + "x" * 43)
    wrong.chmod(0o600)
    assert command(recorder, "hosts", "edit", "far", "--token-file", str(wrong))[0] == 0
    said = wait_for(
        lambda: (found := status(recorder))[0] == 1 and "token" in found[1]["hosts"][0]["message"] and found
    )
    assert f"refuses the token of {wrong}" in said[1]["hosts"][0]["message"]
    assert "x" * 43 not in json.dumps(said[1]) + recorder.log.read_text()

    # The right one again, then revoked under way: the connection that stands is cut.
    assert command(recorder, "hosts", "edit", "far", "--token-file", token)[0] == 0
    wait_for(lambda: status(recorder)[0] == 0)
    assert command(agent, "token", "revoke", "hub")[0] == 0
    said = wait_for(
        lambda: (found := status(recorder))[0] == 1 and "token" in found[1]["hosts"][0]["message"] and found
    )
    assert "revoked" in said[1]["hosts"][0]["message"]

    # Paused: nothing is wrong, and the recorder says so itself.
    assert command(recorder, "hosts", "stop", "far") == (0, "far: paused\n", "")
    code, found = status(recorder)
    assert (code, found["hosts"][0]["state"]) == (0, "paused")
    # The agent is of this very machine, which the recorder left to it meanwhile.
    wait_for(lambda: "this machine is sampled here again" in recorder.log.read_text())
    assert command(recorder, "hosts", "remove", "far")[0] == 0
    assert (recorder.folder / "config.toml").read_text() == "# mine\n"
    recorder.stop()
    assert "fault" not in recorder.log.read_text()


def test_without_a_recorder_hosts_are_asked_directly_and_each_failure_has_its_words(
    agent: Program, recorder: Program, tmp_path: Path
) -> None:
    url = f"https://127.0.0.1:{agent.port}"
    token = tmp_path / "hub.token"
    authority = make_pair(tmp_path, "authority", authority=True)
    with_token = f'token_file = "{token}"\n'
    (recorder.folder / "config.toml").write_text(
        f'[hosts.good]\ntarget = "{url}"\nfingerprint = "{key_of(agent)}"\n{with_token}'
        f'[hosts.pin]\ntarget = "https://localhost:{agent.port}"\nfingerprint = "{OTHER}"\n{with_token}'
        f'[hosts.ca]\ntarget = "https://127.0.0.2:{agent.port}"\nca = "{authority.cert}"\n{with_token}'
        f'[hosts.neither]\ntarget = "https://127.0.0.3:{agent.port}"\n{with_token}'
        f'[hosts.plain]\ntarget = "http://127.0.0.4:{agent.port}"\n'
        f'[hosts.none]\ntarget = "https://127.0.0.5:{agent.port}"\nfingerprint = "{key_of(agent)}"\n'
        '[hosts.gone]\ntarget = "http://127.0.0.1:1"\n'
        '[hosts.away]\ntarget = "http://127.0.0.1:2"\nexpected_off = true\n'
    )
    code, found = status(recorder)
    assert (code, found["by"], found["ok"]) == (1, "direct", False)
    said = {each["name"]: f"{each['state']}: {each['message']}" for each in found["hosts"]}
    assert said.pop("good") == "live: "
    expected = {
        "pin": f"wrong key: pinned is '{words(OTHER)}'",
        "ca": "its certificate comes from no authority that",
        "neither": "nothing says how to know this server",
        "plain": "answers with TLS, not plain HTTP; write https://",
        "none": "token",
        "gone": "connection refused",
        "away": "connection refused",
    }
    for name, part in expected.items():
        assert said[name].startswith("offline: ")
        assert part in said[name]
    assert status(recorder, "good")[0] == 0
    assert status(recorder, "away")[0] == 0
    assert status(recorder, "gone")[0] == 1
    code, out, err = command(recorder, "hosts", "status", "god")
    assert (code, out) == (2, "")
    assert "did you mean 'good'?" in err


def test_a_key_is_compared_at_a_terminal(agent: Program, recorder: Program) -> None:
    url = f"https://127.0.0.1:{agent.port}"
    child = pexpect.spawn(
        sys.executable,
        ["-m", "sysmon", "hosts", "add", "far", url],
        env=recorder.environment,
        encoding="utf-8",
        timeout=20,
        dimensions=(24, 200),
    )
    child.expect_exact(words(key_of(agent)))
    child.expect_exact("[y/N] ")
    child.sendline("y")
    child.expect_exact("far: added, its key pinned")
    child.expect(pexpect.EOF)
    child.close()
    assert child.exitstatus == 0
    assert f'fingerprint = "{key_of(agent)}"' in (recorder.folder / "config.toml").read_text()


@pytest.mark.needs("sshd", "ssh")
def test_a_box_behind_ssh_is_asked_like_any_other(
    recorder: Program, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    box = SshBox(tmp_path / "box", monkeypatch.setenv)
    box.start()
    try:
        assert command(recorder, "hosts", "add", "box", box.target)[0] == 0
        assert command(recorder, "hosts", "add", "shut", "ssh://127.0.0.1:1")[0] == 0
        code, found = status(recorder)
        there, shut = found["hosts"]
        assert (code, there["state"], there["live"]) == (1, "live", 1), found
        assert (shut["state"], "refused" in shut["message"]) == ("offline", True)
    finally:
        box.stop()
