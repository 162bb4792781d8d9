"""An agent started on a box: when it is, when it is not, and what is said then."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from remote.ssh import hired
from remote.ssh.frames import Answers, Sample
from remote.ssh.hired import Hired
from remote.ssh.script import script
from remote.ssh.session import Session
from sysmon.clock import ManualClock

if TYPE_CHECKING:
    from collections.abc import Iterable

pytestmark = pytest.mark.anyio

B = "=" + "b" * 32


class Line:
    """A connection to a box that is this machine: commands run here."""

    def __init__(self, *does: str) -> None:
        self.does = list(does)
        self.asked: list[str] = []

    async def beside(self, command: str) -> Session:
        """Runs what was given instead of the command."""
        self.asked.append(command)
        return await Session.open(["sh", "-c", self.does.pop(0)])

    async def ask(self, groups: Iterable[str], seconds: float) -> Sample:
        """Knows of another agent."""
        return Sample("1", agents=["/run/other.sock"])


def hello(**facts: str) -> Sample:
    """What a box says where sysmon is installed."""
    return Sample("1", facts={"program": "/usr/bin/sysmon", **facts})


SERVES = "echo 'sysmon agent: serving web on unix:///run/sysmon/tied.sock, history in /x'; cat >/dev/null"


async def test_it_is_started_once_and_ends_with_its_input() -> None:
    made = Hired(ManualClock())
    line = Line("echo sysmon 0.1.0", SERVES)
    assert await made.start(line, hello()) == ["/run/sysmon/tied.sock"]  # type: ignore[arg-type]
    assert line.asked == ["exec /usr/bin/sysmon --version", "exec /usr/bin/sysmon --agent --listen none --tied"]
    assert made.running
    assert not made.due(hello())
    session = made._session
    await made.stop()
    assert session is not None and session.status == 0
    assert made._session is None
    assert made.due(hello())


async def test_one_that_ends_by_itself_is_left_alone_for_a_minute() -> None:
    clock = ManualClock()
    made = Hired(clock)
    line = Line("echo sysmon 0.1.0", "echo 'serving web on unix:///s'; exit 3")
    assert await made.start(line, hello()) == ["/s"]  # type: ignore[arg-type]
    assert made._session is not None
    await made._session.wait()
    await made.stop()
    assert not made.due(hello())
    await clock.advance(61)
    assert made.due(hello())


@pytest.mark.parametrize(
    ("does", "words"),
    [
        (["exit 127"], "does not tell its version: status 127"),
        (["echo 'Sysmon v1.3'"], "does not tell its version: Sysmon v1.3"),
        (["sleep 9"], "does not tell its version: no answer within 0.3 s"),
        (["echo sysmon 1", "echo 'sysmon: \033[31mno\033[0m'; exit 1"], "could not be started: "),
        (["echo sysmon 1", "exit 1"], "could not be started: it ended without a word"),
        (["echo sysmon 1", "sleep 9"], "could not be started: it did not serve within 0.3 s"),
    ],
)
async def test_where_it_does_not_come_up_the_reason_is_kept(
    monkeypatch: pytest.MonkeyPatch, does: list[str], words: str
) -> None:
    monkeypatch.setattr(hired, "VERSION_SECONDS", 0.3)
    monkeypatch.setattr(hired, "START_SECONDS", 0.3)
    monkeypatch.setattr("remote.ssh.session.END_SECONDS", 0.1)
    clock = ManualClock()
    made = Hired(clock)
    found = await made.start(Line(*does), hello())  # type: ignore[arg-type]
    assert found == (["/run/other.sock"] if len(does) == 2 else [])
    assert words in made.note and made.note.isprintable()
    assert not made.running and not made.due(hello())
    await clock.advance(601)
    assert made.due(hello())


async def test_it_is_not_started_where_it_should_not_be() -> None:
    made = Hired(ManualClock())
    assert not made.due(Sample("1"))
    assert not made.due(hello(foreign="/run/sysmon/sysmon.sock"))
    assert "another user's" in made.note
    for program in ("sysmon", "/tmp/a b/sysmon", "/tmp/$(reboot)/sysmon", "/bin/sh"):
        other = Hired(ManualClock())
        assert await other.start(Line(), hello(program=program)) == []  # type: ignore[arg-type]
        assert "not run from here" in other.note


@pytest.mark.skipif(os.geteuid() != 0, reason="needs to become another user")
def test_the_box_tells_a_socket_that_this_user_may_not_use() -> None:
    import socket

    # The folders of other tests are closed to other users, and stay so.
    with tempfile.TemporaryDirectory() as root, socket.socket(socket.AF_UNIX) as listener:
        place = Path(root) / "sysmon"
        place.mkdir()
        Path(root).chmod(0o755)
        listener.bind(str(place / "sysmon.sock"))
        (place / "sysmon.sock").chmod(0o600)
        environment = {"PATH": os.environ["PATH"], "XDG_RUNTIME_DIR": root, "HOME": root}
        with subprocess.Popen(["sh", "-s"], stdin=-1, stdout=-1, env=environment, user=65534, cwd="/") as box:
            assert box.stdin is not None and box.stdout is not None
            box.stdin.write(script(B).encode())
            box.stdin.flush()
            answers = Answers(B)
            while not answers.ready:
                list(answers.feed(box.stdout.readline()))
            box.stdin.write(b"1 agent\n")
            box.stdin.close()
            (sample,) = answers.feed(box.stdout.read())
    assert sample.facts["foreign"] == f"{place}/sysmon.sock" and f"{place}/sysmon.sock" not in sample.agents


def test_a_tied_agent_ends_with_its_input_and_gives_way(tmp_path: Path) -> None:
    import socket

    environment = {
        **os.environ,
        "XDG_RUNTIME_DIR": str(tmp_path),
        "XDG_STATE_HOME": str(tmp_path),
        "HOME": str(tmp_path),
    }
    environment |= {"SYSMON_DB": str(tmp_path / "history.db"), "SYSMON_CONFIG": str(tmp_path / "config.toml")}
    (tmp_path / "config.toml").write_text("")
    words = [sys.executable, "-m", "sysmon", "--agent", "--listen", "none", "--tied"]

    def started() -> subprocess.Popen[str]:
        made = subprocess.Popen(words, env=environment, stdin=-1, stderr=-1, text=True)
        assert made.stderr is not None and "tied.sock" in made.stderr.readline()
        return made

    with started() as first:
        second = subprocess.run(words, env=environment, input="", capture_output=True, text=True, check=False)
        assert second.returncode == 1 and "tied.sock is in use" in second.stderr
        assert first.stdin is not None
        first.stdin.close()
        assert first.wait(10) == 0
    assert not (tmp_path / "sysmon/tied.sock").exists()
    with started() as again, socket.socket(socket.AF_UNIX) as stays:
        stays.bind(str(tmp_path / "sysmon/sysmon.sock"))
        stays.listen()
        assert again.wait(10) == 0
    third = subprocess.run([*words[:-1], "--tied"], env=environment, capture_output=True, text=True, check=False)
    assert third.returncode == 0
