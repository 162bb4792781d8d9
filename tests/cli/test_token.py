"""`sysmon token` and an agent that others can reach, as processes: what is printed, who gets in, what is loaded."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import ssl
import stat
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest

from cli.context import Context
from cli.explain import CANNOT, agent_verbs
from cli.main import COMMANDS, build
from remote.client.pin import looking_context
from remote.fingerprint import spki_fingerprint, words
from remote.target import Credentials
from tests.system.programs import Program, wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator

SECRET = re.compile(r"smt_[A-Za-z0-9_-]{43}")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path


def token(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Runs `sysmon token` with a state folder of its own."""
    return subprocess.run(
        [sys.executable, "-m", "sysmon", "token", *arguments],
        env={**os.environ, "XDG_STATE_HOME": str(folder), "SYSMON_CONFIG": str(folder / "config.toml")},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )


def test_the_secret_is_shown_once_and_alone(folder: Path) -> None:
    made = token(folder, "new", "hub", "--scope", "read,ack", "--expires", "90d")
    assert made.returncode == 0
    assert SECRET.fullmatch(made.stdout.strip())
    assert "allows to read, ack, until " in made.stderr
    assert not SECRET.search(made.stderr)
    for shown in (token(folder, "list"), token(folder, "list", "--json"), token(folder, "revoke", "hub")):
        assert shown.returncode == 0
        assert made.stdout.strip() not in shown.stdout + shown.stderr


def test_a_file_gets_it_instead_for_its_owner_alone(folder: Path) -> None:
    path = folder / "hub.token"
    made = token(folder, "new", "hub", "--file", str(path))
    assert made.returncode == 0
    assert not SECRET.search(made.stdout + made.stderr)
    assert SECRET.fullmatch(path.read_text().strip())
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    again = token(folder, "new", "other", "--file", str(path))
    assert (again.returncode, again.stderr) == (
        2,
        f"sysmon: {path} is there already; name another file, or remove it\n",
    )
    assert json.loads(token(folder, "list", "--json").stdout)[0]["name"] == "hub"


def test_the_list_says_what_each_allows(folder: Path) -> None:
    assert token(folder, "list").stdout == "no tokens; `sysmon token new NAME` makes one\n"
    token(folder, "new", "hub")
    token(folder, "new", "web-1", "--scope", "report", "--expires", "1y")
    token(folder, "revoke", "hub")
    rows = token(folder, "list").stdout.splitlines()
    assert rows[0].split() == ["NAME", "STATE", "SCOPE", "MADE", "EXPIRES", "LAST", "USED"]
    assert rows[1].split()[:3] == ["hub", "revoked", "read"]
    assert rows[2].split()[:3] == ["web-1", "valid", "report"]
    listed: list[dict[str, Any]] = json.loads(token(folder, "list", "--json").stdout)
    assert [set(each) for each in listed] == [{"name", "state", "scopes", "created", "expires", "used", "revoked"}] * 2
    assert listed[0]["revoked"].endswith("Z")
    assert (listed[1]["revoked"], listed[1]["used"]) == (None, None)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["new"], "`sysmon token new` needs a NAME"),
        (["new", "a b"], "'a b' is not a name for a token"),
        (["new", "x", "--scope", "write"], "--scope 'write' is not one of read, report, ack"),
        (["new", "x", "--expires", "soon"], "--expires 'soon' is not a duration; write 90d"),
        (["new", "x", "--expires", "1s"], "--expires '1s' is out of range"),
        (["new", "x", "--json"], "--json goes with `sysmon token list`"),
        (["new", "x", "--file", "/nowhere/token"], "there is no folder /nowhere for --file"),
        (["list", "x"], "takes no NAME"),
        (["list", "--file", "x"], "--file goes with `sysmon token new`"),
        (["revoke", "x"], "there is no token 'x'"),
        (["list", "--state", "/nowhere"], "--state '/nowhere' is not a folder"),
    ],
)
def test_what_cannot_be_done_is_said_with_status_2(folder: Path, arguments: list[str], words: str) -> None:
    result = token(folder, *arguments)
    assert result.returncode == 2
    assert words in result.stderr
    assert result.stdout == ""
    assert not (folder / "sysmon").exists()


def test_no_option_of_any_command_takes_a_secret() -> None:
    for name in ("", *COMMANDS):
        for action in build(name)._actions:
            for option in action.option_strings:
                assert not re.search(r"token$|key$|secret|password|bearer", option), option


# An agent that others can reach


@pytest.fixture(scope="module")
def agent(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Program]:
    """An agent on every address, with a token `hub` in `hub.token`."""
    folder = tmp_path_factory.mktemp("public")
    program = Program(folder / "agent", "--agent", "--listen", "0.0.0.0", "--port", "0")
    token(program.folder, "new", "hub", "--file", str(program.folder / "hub.token"))
    program.port = program.start()
    yield program
    if program.process is not None:
        program.stop(signal.SIGKILL)


def ask(program: Program, path: str, *headers: str) -> tuple[int, Any, str]:
    """Asks over TLS whoever answers there; returns status, JSON and the fingerprint of the key shown."""
    context = looking_context(Credentials())
    with socket.create_connection(("127.0.0.1", program.port), 10) as plain, context.wrap_socket(plain) as secure:
        lines = [f"GET {path} HTTP/1.1", "Host: 127.0.0.1", "Connection: close", *headers, "", ""]
        secure.sendall("\r\n".join(lines).encode())
        answer = b""
        while piece := secure.recv(1 << 16):
            answer += piece
        head, _, body = answer.partition(b"\r\n\r\n")
        if b"chunked" in head:
            body = body.split(b"\r\n")[1]
        return int(head.split()[1]), json.loads(body), spki_fingerprint(secure.getpeercert(binary_form=True) or b"")


def test_it_does_not_start_for_others_without_a_token(folder: Path) -> None:
    program = Program(folder / "agent", "--agent", "--listen", "0.0.0.0", "--port", "0")
    done = subprocess.run(
        [sys.executable, "-m", "sysmon", *program.arguments], env=program.environment, capture_output=True, text=True
    )
    assert done.returncode == 2
    assert done.stderr.startswith("sysmon: --listen 0.0.0.0 is refused: without a token, anybody who reaches that")
    assert "`sysmon token new NAME --file NAME.token` makes one" in done.stderr
    assert not list((folder / "agent").glob("sysmon/*"))


def test_it_prints_its_key_as_everybody_sees_it(agent: Program) -> None:
    status, told, fingerprint = ask(agent, "/v1/hosts")
    assert (status, told["error"]) == (401, "a token is needed here")
    log = agent.log.read_text()
    assert f"on https://0.0.0.0:{agent.port}" in log
    assert f"sysmon agent: its key: {fingerprint}\n" in log
    assert f"sysmon agent: in words: {words(fingerprint)}\n" in log


def test_a_token_lets_in_until_it_is_revoked(agent: Program) -> None:
    secret = (agent.folder / "hub.token").read_text().strip()
    status, told, _ = ask(agent, "/v1/hosts", f"Authorization: Bearer {secret}")
    assert status == 200
    assert len(told["hosts"]) == 1
    made = token(agent.folder, "new", "second").stdout.strip()
    assert ask(agent, "/healthz", f"Authorization: Bearer {made}")[0] == 200
    assert token(agent.folder, "revoke", "second").returncode == 0
    wait_for(lambda: ask(agent, "/healthz", f"Authorization: Bearer {made}")[0] == 401, 10.0)
    assert ask(agent, "/healthz", f"Authorization: Bearer {secret}")[0] == 200
    for leaked in (secret, made):
        assert leaked not in agent.log.read_text()
        assert leaked.encode() not in b"".join(Path(path).read_bytes() for path in agent.folder.glob("sysmon/*.json"))


def test_it_takes_nothing_and_loads_no_library_for_keys(agent: Program) -> None:
    assert agent.process is not None
    mapped = Path(f"/proc/{agent.process.pid}/maps").read_text()
    assert "_ssl" in mapped
    assert "cryptography" not in mapped
    secret = (agent.folder / "hub.token").read_text().strip()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    for _, path, _ in agent_verbs(Context.of_environment()):
        with socket.create_connection(("127.0.0.1", agent.port), 10) as plain, context.wrap_socket(plain) as secure:
            lines = [f"POST {path} HTTP/1.1", "Host: 127.0.0.1", f"Authorization: Bearer {secret}", "", ""]
            secure.sendall("\r\n".join(lines).encode())
            assert secure.recv(1 << 16).startswith(b"HTTP/1.1 405 "), path


def test_a_web_page_reaches_nothing(agent: Program) -> None:
    secret = (agent.folder / "hub.token").read_text().strip()
    assert ask(agent, "/v1/hosts", f"Authorization: Bearer {secret}", "Origin: https://evil.example")[0] == 403


def test_explain_prints_every_route_and_what_nothing_makes_it_do() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "sysmon", "--agent", "--explain"], capture_output=True, text=True, check=True
    )
    for method, path, says in agent_verbs(Context.of_environment()):
        assert method == "GET"
        assert re.search(rf"^  GET +{re.escape(path)} +{re.escape(says)}$", done.stdout, re.MULTILINE), path
    assert all(each in done.stdout for each in CANNOT)
    assert "Methods other than GET: none." in done.stdout
    refused = subprocess.run([sys.executable, "-m", "sysmon", "--explain"], capture_output=True, text=True)
    assert (refused.returncode, refused.stderr) == (2, "sysmon: --explain goes with --agent; add --agent\n")


@pytest.mark.parametrize("name", ["' OR 1=1 --", '"; DROP TABLE frames; --', "*' UNION SELECT 1 --", "%", "\\"])
def test_sql_in_a_name_is_a_name(agent: Program, name: str) -> None:
    secret = (agent.folder / "hub.token").read_text().strip()
    header = f"Authorization: Bearer {secret}"
    given = quote(name, safe="")
    status, told, _ = ask(agent, f"/v1/history?metric=load.1&instance={given}", header)
    assert (status, told["series"]) == (200, [])
    assert ask(agent, f"/v1/history?metric={given}", header)[0] in (200, 404)
    assert ask(agent, f"/v1/spans?host={given}", header)[0] == 404
    assert ask(agent, f"/v1/usage?key={given}", header)[:2] == (200, [])
    # The first frame is committed within two seconds.
    assert len(wait_for(lambda: ask(agent, "/v1/hosts", header)[1]["spans"])) == 1
