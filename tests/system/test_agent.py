"""The agent over the network it serves: raw requests, its end, what a kill costs, and a screen that watches it."""

from __future__ import annotations

import http.client
import http.server
import json
import signal
import socket
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

from tests.system.programs import Program, free_port, wait_for
from tests.system.terminal import Screen, folders

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = [pytest.mark.system, pytest.mark.timeout(90)]


@pytest.fixture
def agent(tmp_path: Path) -> Iterator[Program]:
    """A running agent; `port` is where."""
    program = Program(tmp_path / "agent", "--agent", "--port", "0")
    program.port = program.start()
    yield program
    if program.process is not None:
        program.stop(signal.SIGKILL)


def get(port: int, path: str, address: str = "127.0.0.1", **headers: str) -> tuple[int, Any]:
    """One request; returns the status and the JSON of the answer."""
    connection = http.client.HTTPConnection(address, port, timeout=10)
    try:
        connection.request("GET", path, headers={name.replace("_", "-"): value for name, value in headers.items()})
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read())
    finally:
        connection.close()


class Stream:
    """An open `/v1/stream`, read event by event."""

    def __init__(self, port: int, query: str = "") -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), 10)
        self._socket.sendall(f"GET /v1/stream{query} HTTP/1.1\r\nhost: localhost\r\n\r\n".encode())
        self._file = self._socket.makefile("rb")
        self.head = b""
        while (line := self._file.readline()).strip():
            self.head += line

    def event(self) -> tuple[str, Any] | None:
        """The next event, None at the end of the stream."""
        name, data = "", b""
        while line := self._file.readline():
            text = line.strip()
            if text.startswith(b"event:"):
                name = text[6:].strip().decode()
            elif text.startswith(b"data:"):
                data += text[5:].strip()
            elif not text and name:
                return name, json.loads(data)
        return None

    def until(self, name: str) -> Any:
        """The data of the next event of a kind."""
        while (found := self.event()) is not None:
            if found[0] == name:
                return found[1]
        raise AssertionError(f"the stream ended before {name}")

    def close(self) -> None:
        """Hangs up."""
        self._file.close()
        self._socket.close()

    def __del__(self) -> None:
        # Of a test that failed; else another one would fail for what this one left open.
        self.close()


def test_every_endpoint_answers(agent: Program) -> None:
    port = agent.port
    stream = Stream(port)
    hello = stream.until("hello")
    assert hello["schema"] == 1
    stream.until("frame")
    frame = stream.until("frame")
    host = frame["host"]
    wait_for(lambda: any(span["last"] > 1 for span in get(port, "/v1/spans")[1]))
    assert get(port, "/healthz")[1]["status"] == "ok"
    status, present = get(port, "/v1/frame")
    assert (status, present["host"]) == (200, host)
    assert set(present) == {"host", "time", "boot", "run", "seq", "readings", "derived", "tables", "faults"}
    assert abs(present["time"] - time.time()) < 5
    _, series = get(port, "/v1/history?metric=load.1&since=1m")
    assert set(series) == {"series", "gaps"}
    assert set(series["series"][0]) == {"host", "metric", "instance", "unit", "step", "points", "stats"}
    assert series["series"][0]["points"][0]["time"].endswith("Z")
    assert isinstance(get(port, "/v1/events")[1], list)
    span = get(port, "/v1/spans")[1][0]
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    connection.request("GET", f"/v1/range?host={host}&run={span['run']}&first=1&last=2")
    lines = connection.getresponse().read().splitlines()
    connection.close()
    assert [json.loads(line)["seq"] for line in lines] == [1, 2]
    assert get(port, "/v1/frame?host=nobody")[0] == 404
    assert get(port, "/v1/history?metric=load.1&sinse=1m")[0] == 400
    stream.close()


def test_what_a_browser_could_be_made_to_send_is_refused(agent: Program) -> None:
    port = agent.port
    assert get(port, "/v1/frame", Host="evil.example:8200")[0] == 421
    assert get(port, "/v1/frame", Origin="http://evil.example")[0] == 403
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    connection.request("POST", "/v1/frame", body=b"{}")
    assert connection.getresponse().status == 405
    connection.close()
    with socket.create_connection(("127.0.0.1", port), 5) as raw:
        raw.sendall(b"\x00\xff nonsense\r\n\r\n")
        assert raw.recv(100).startswith((b"HTTP/1.1 400", b""))
    assert get(port, "/healthz")[0] == 200


def test_sigterm_with_an_open_stream_ends_soon_with_everything_committed(agent: Program) -> None:
    stream = Stream(agent.port)
    seen = [stream.until("frame")["seq"] for _ in range(3)]
    began = time.monotonic()
    assert agent.stop() == 0
    assert time.monotonic() - began < 6
    kept = agent.kept()
    while (event := stream.event()) is not None:
        if event[0] == "frame":
            seen.append(event[1]["seq"])
    stream.close()
    assert {seq for _, _, seq in kept} >= set(seen)
    assert "Traceback" not in agent.log.read_text()
    assert "never retrieved" not in agent.log.read_text()


def test_a_kill_costs_two_seconds_at_most(agent: Program) -> None:
    stream = Stream(agent.port)
    frames = [stream.until("frame") for _ in range(5)]
    agent.stop(signal.SIGKILL)
    while (event := stream.event()) is not None:
        if event[0] == "frame":
            frames.append(event[1])
    stream.close()
    kept = agent.kept()
    assert frames[-1]["time"] - max(frame.time for frame in kept.values()) <= 2000


@pytest.mark.parametrize("mode", ["--agent", "--record"])
def test_a_port_in_use_is_one_sentence(tmp_path: Path, mode: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        result = run(tmp_path, mode, "--port", str(taken.getsockname()[1]))
    assert result.returncode == 1
    assert f"port {taken_port(result)} is in use on 127.0.0.1" in result.stderr
    assert len(result.stderr.splitlines()) == 1


def taken_port(result: subprocess.CompletedProcess[str]) -> str:
    """The port that an error names."""
    return result.stderr.partition("port ")[2].split()[0]


@pytest.mark.parametrize("address", ["0.0.0.0", "::", "192.0.2.1", "10.0.0.1"])
def test_an_address_that_others_reach_is_refused_with_the_mend(tmp_path: Path, address: str) -> None:
    for result in (run(tmp_path, "--agent", "--listen", address), listening_by_config(tmp_path, address)):
        assert result.returncode == 2
        assert "refused" in result.stderr
        assert "ssh -N -L 8200:127.0.0.1:8200" in result.stderr
        assert len(result.stderr.splitlines()) == 1


def listening_by_config(folder: Path, address: str) -> subprocess.CompletedProcess[str]:
    """`sysmon --agent` with the address in its configuration."""
    return run(folder, "--agent", config=f'[agent]\nlisten = "{address}"\n')


def run(folder: Path, *arguments: str, config: str = "") -> subprocess.CompletedProcess[str]:
    """Runs a command to its end."""
    return subprocess.run(
        [sys.executable, "-m", "sysmon", *arguments],
        env=folders(folder, config),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=40,
        check=False,
    )


def test_it_listens_on_ipv6_loopback(tmp_path: Path) -> None:
    if not socket.has_ipv6:
        pytest.skip("no IPv6 here")
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        pytest.skip("no IPv6 loopback here")
    program = Program(tmp_path, "--agent", "--listen", "::1", "--port", str(free_port()))
    try:
        port = program.start()
        assert f"http://[::1]:{port}" in program.log.read_text()
        assert get(port, "/healthz", address="::1")[0] == 200
        once = run(tmp_path, "--once", f"http://[::1]:{port}")
        assert once.returncode == 0, once.stderr
    finally:
        program.stop()


def test_a_screen_shows_it_and_its_past_and_tells_when_it_is_away(tmp_path: Path, agent: Program) -> None:
    port = agent.port
    config = f'[hosts.web]\ntarget = "http://127.0.0.1:{port}"\n'
    with Screen(tmp_path / "here", "web", config=config) as screen:
        screen.wait_shown("LIVE", "load", "web")
        wait_for(lambda: len(agent.kept()) > 3)
        screen.write(b"[[")
        screen.wait_shown("REPLAY")
        screen.write(b"\x1b[F")
        screen.wait_shown("LIVE")
        agent.stop(signal.SIGKILL)
        screen.wait_shown("OFFLINE")
        screen.wait_until(lambda: any(f"OFFLINE {age}" in screen.text for age in "23456789"), "an age")
        agent.arguments = ("--agent", "--port", str(port))
        agent.start()
        screen.wait_until(lambda: "LIVE" in screen.text, "LIVE again", 30)
        assert screen.quit() == 0
        screen.assert_whole()
    assert not (tmp_path / "here" / "history.db").exists()


def test_once_of_an_agent_prints_its_frame(tmp_path: Path, agent: Program) -> None:
    result = run(tmp_path / "here", "--once", "--json", f"http://127.0.0.1:{agent.port}")
    assert result.returncode == 0, result.stderr
    frame = json.loads(result.stdout)
    assert frame["host"] == get(agent.port, "/v1/frame")[1]["host"]
    assert "cpu.utilization" in frame["derived"]
    assert any(row["cpu"] is not None for row in frame["tables"]["processes"])
    nobody = run(tmp_path / "here", "--once", f"http://127.0.0.1:{free_port()}")
    assert nobody.returncode == 1
    assert "connection refused" in nobody.stderr
    assert len(nobody.stderr.splitlines()) == 1


class _Hub(http.server.BaseHTTPRequestHandler):
    """A hub that takes nothing."""

    asked = 0

    def do_POST(self) -> None:
        """Is busy."""
        type(self).asked += 1
        self.send_error(503)

    def log_message(self, format: str, *args: object) -> None:
        """Says nothing."""


@pytest.mark.parametrize("pushes", [False, True])
def test_the_agent_loads_neither_httpx_nor_a_screen(tmp_path: Path, pushes: bool) -> None:
    hub = http.server.HTTPServer(("127.0.0.1", 0), _Hub)
    threading.Thread(target=hub.serve_forever, daemon=True).start()
    _Hub.asked = 0
    more = ["--push", f"http://127.0.0.1:{hub.server_port}"] if pushes else []
    code = (
        "import asyncio, os, signal, sys, threading\n"
        "from cli.main import run\n"
        "threading.Timer(2.5, lambda: os.kill(os.getpid(), signal.SIGTERM)).start()\n"
        "import cli.agent\n"
        "cli.agent.leave_hung_threads = lambda status: None\n"
        f"status = run(['--agent', '--port', '0', *{more}])\n"
        "heavy = {'httpx', 'textual', 'rich', 'plotext', 'tomlkit', 'psutil', 'rich_argparse'}\n"
        "print(status, sorted(heavy & {name.partition('.')[0] for name in sys.modules}))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], env=folders(tmp_path), capture_output=True, text=True, timeout=40, check=False
    )
    hub.shutdown()
    hub.server_close()
    assert done.stdout == "0 []\n", done.stderr
    assert bool(_Hub.asked) == pushes
