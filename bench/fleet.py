"""The recorder with a fleet, and the agent with many readers: what they cost, and whether a frame is missing.

A real `sysmon --record` with its history on follows agents on loopback (`bench.fleet_load`), one frame a second each.
CPU is what the process used, user and system, per second on the wall, in percent of one core: other work on the machine
stretches the wall, not that. `python -m bench.fleet --write docs` writes table and plot into docs/performance.md.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import multiprocessing
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
import zlib
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import msgspec

from bench import fleet_page
from bench.fleet_load import Told
from bench.fleet_runs import AgentRun, HubRun
from bench.processes import usage
from remote.sse import Parser, ServerEvent
from sysmon.frame import Frame
from sysmon.records import Hello

if TYPE_CHECKING:
    from collections.abc import Iterator

MIB = 1 << 20
READERS = 50
"""Readers that come to the recorder at once."""


def capture(seconds: float = 8.0) -> Told:
    """Returns what a real agent of this machine says of it."""
    with _folder() as folder, _agent(folder) as port:
        time.sleep(3)
        hello, first = _state(port)
        time.sleep(seconds)
        _, second = _state(port)
        return Told(hello, first, second)


def _state(port: int) -> tuple[Hello, Frame]:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/v1/stream", timeout=10) as answer:
        parser = Parser()
        hello: Hello | None = None
        while True:
            for event in parser.feed(answer.readline()):
                if isinstance(event, ServerEvent) and event.event == "hello":
                    hello = msgspec.json.decode(event.data, type=Hello)
                elif isinstance(event, ServerEvent) and event.event == "state" and hello is not None:
                    return hello, msgspec.json.decode(event.data, type=Frame)


def hub(agents: int, told: Told, seconds: float, *, warmup: float = 20.0, profile: str = "") -> HubRun:
    """Measures the recorder with so many agents; `profile`: a file for what cProfile says of its main thread."""
    with _folder() as folder, contextlib.ExitStack() as stack:
        frames = folder / "told.json"
        frames.write_bytes(msgspec.json.encode(told))
        load = stack.enter_context(_started("-m", "bench.fleet_load", "--agents", str(agents), "--frames", str(frames)))
        ports = json.loads(_line(load))
        (folder / "config.toml").write_text(
            "".join(f'[hosts.h{n:03}]\ntarget = "http://127.0.0.1:{port}"\n' for n, port in enumerate(ports))
        )
        started = time.monotonic()
        command = ["-m", "sysmon", "--record"]
        if profile:
            command = ["-m", "cProfile", "-o", profile, *command]
        recorder = stack.enter_context(_started(*command, folder=folder))
        first = _until_all_are_live(folder, agents, started)
        time.sleep(warmup)
        begin, at = usage(recorder.pid), time.monotonic()
        time.sleep(seconds)
        end, lasted = usage(recorder.pid), time.monotonic() - at
        stall, storm = _storm(folder / "sysmon" / "sysmon.sock", agents)
        # Agents end first, so that what they sent is all on its way to the recorder, then it.
        load.send_signal(signal.SIGTERM)
        said = json.loads(_line(load))
        time.sleep(3)
        recorder.send_signal(signal.SIGTERM)
        recorder.wait(60)
        sent, missing = _missing(folder, said["hosts"])
        whole = lasted + warmup + first
        return HubRun(
            agents,
            lasted,
            (end.cpu - begin.cpu) / lasted,
            end.rss,
            first,
            sent,
            missing,
            said["bytes"] / whole / agents,
            stall,
            storm,
            said["late"],
        )


def _until_all_are_live(folder: Path, agents: int, started: float) -> float:
    socket_path = folder / "sysmon" / "sysmon.sock"
    while time.monotonic() < started + 120:
        time.sleep(0.25)
        with contextlib.suppress(OSError, ValueError):
            if _live(socket_path) >= agents:
                return time.monotonic() - started
    raise RuntimeError(f"not all of {agents} agents were live within two minutes")


def _live(path: Path) -> int:
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(5)
        connection.connect(str(path))
        connection.sendall(b"GET /v1/hosts HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")
        data = b""
        while piece := connection.recv(1 << 20):
            data += piece
    statuses = json.loads(data.partition(b"\r\n\r\n")[2])["statuses"]
    return sum(each["state"] == "live" and each.get("target", "") != "local" for each in statuses)


def _storm(path: Path, agents: int) -> tuple[float, float]:
    """Has readers come at once, in another process, and asks for a sign of life over and over meanwhile."""
    readers = multiprocessing.get_context("fork").Process(target=lambda: asyncio.run(_read_all(path, agents)))
    worst = 0.0
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(str(path))
        answers = connection.makefile("rb")
        readers.start()
        began = time.monotonic()
        while readers.is_alive():
            asked = time.monotonic()
            connection.sendall(b"GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n")
            length = 0
            while (line := answers.readline()) != b"\r\n":
                if line.lower().startswith(b"content-length:"):
                    length = int(line.partition(b":")[2])
            answers.read(length)
            worst = max(worst, time.monotonic() - asked)
            time.sleep(0.005)
    return worst, time.monotonic() - began


async def _read_all(path: Path, agents: int) -> None:
    async def read() -> None:
        reader, writer = await asyncio.open_unix_connection(str(path), limit=1 << 24)
        writer.write(b"GET /v1/stream HTTP/1.1\r\nhost: localhost\r\naccept-encoding: gzip\r\n\r\n")
        await reader.readuntil(b"\r\n\r\n")
        inflate, states = zlib.decompressobj(31), 0
        while states < agents:
            size = int(await reader.readuntil(b"\r\n"), 16)
            states += inflate.decompress((await reader.readexactly(size + 2))[:-2]).count(b"event: state\n")
        writer.transport.abort()

    await asyncio.gather(*(read() for _ in range(READERS)))


def _missing(folder: Path, hosts: dict[str, Any]) -> tuple[int, int]:
    """Returns how many frames were sent to streams, and how many of them the history does not hold."""
    from collectors.registry import catalogue
    from store.reader import SqliteHistory
    from sysmon.clock import SystemClock

    async def held() -> dict[tuple[str, str], set[int]]:
        history = SqliteHistory.open(folder / "history.db", catalogue(), clock=SystemClock(), deadline=60)
        found: dict[tuple[str, str], set[int]] = {}
        for span in await history.spans():
            found.setdefault((span.host, span.run), set()).update(range(span.first, span.last + 1))
        await history.close()
        return found

    kept = asyncio.run(held())
    sent = missing = 0
    for host, (run, streams) in hosts.items():
        seqs = {seq for first, last in streams for seq in range(first, last + 1)}
        sent += len(seqs)
        missing += len(seqs - kept.get((host, run), set()))
    return sent, missing


def agent(readers: int, seconds: float, warmup: float = 8.0) -> AgentRun:
    """Measures a real agent with so many readers that take gzip and no tables."""
    with _folder() as folder, _agent(folder) as port, contextlib.ExitStack() as stack:
        pid = _pids[port]
        connections = []
        for _ in range(readers):
            connection = stack.enter_context(socket.create_connection(("127.0.0.1", port), 10))
            connection.sendall(b"GET /v1/stream HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept-Encoding: gzip\r\n\r\n")
            connection.setblocking(False)
            connections.append(connection)

        def drain(until: float) -> int:
            total = 0
            while time.monotonic() < until:
                time.sleep(0.5)
                for connection in connections:
                    with contextlib.suppress(BlockingIOError):
                        data = connection.recv(1 << 20)
                        if not data:
                            raise RuntimeError("the agent ended a stream")
                        total += len(data)
            return total

        drain(time.monotonic() + warmup)
        begin, at = usage(pid), time.monotonic()
        total = drain(at + seconds)
        end, lasted = usage(pid), time.monotonic() - at
        return AgentRun(readers, (end.cpu - begin.cpu) / lasted, end.rss, total / lasted / max(1, readers))


_pids: dict[int, int] = {}


@contextlib.contextmanager
def _folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="sysmon-bench-") as name:
        yield Path(name)


@contextlib.contextmanager
def _agent(folder: Path) -> Iterator[int]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    with _started("-m", "sysmon", "--agent", "--port", str(port), folder=folder) as process:
        deadline = time.monotonic() + 20
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                break
            except OSError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.1)
        _pids[port] = process.pid
        yield port


@contextlib.contextmanager
def _started(*arguments: str, folder: Path | None = None) -> Iterator[subprocess.Popen[str]]:
    env = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    if folder is not None:
        env |= {"SYSMON_DB": f"{folder}/history.db", "XDG_RUNTIME_DIR": str(folder), "XDG_STATE_HOME": str(folder)}
        env |= {"SYSMON_CONFIG": f"{folder}/config.toml", "HOME": str(folder)}
        (folder / "config.toml").touch()
    log: IO[Any] | int = (folder / "log").open("ab") if folder is not None else subprocess.DEVNULL
    process = subprocess.Popen(
        [sys.executable, *arguments], env=env, text=True, stdout=subprocess.PIPE if folder is None else log, stderr=log
    )
    try:
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
        if process.stdout is not None:
            process.stdout.close()


def _line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    line = process.stdout.readline()
    if not line:
        raise RuntimeError("the load program ended")
    return line


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(prog="python -m bench.fleet", description=__doc__)
    parser.add_argument("--agents", default="10,50,100,200,300", help="numbers of agents (10,50,100,200,300)")
    parser.add_argument("--readers", default="1,50", help="numbers of readers of one agent (1,50)")
    parser.add_argument("--seconds", type=float, default=30.0, help="seconds each is measured (30)")
    parser.add_argument("--write", type=Path, help="the folder of performance.md, which gets the table and the plot")
    parser.add_argument("--profile", default="", help="a file for cProfile's figures of the recorder")
    options = parser.parse_args()
    told = capture()
    print(f"{len(told.second.readings)} series a host, {os.cpu_count()} cores, Python {sys.version.split()[0]}")
    runs = []
    heads = ("agents", "CPU %", "RSS MiB", "live s", "frames", "missing", "B/s host", "stall ms", "storm s", "load ms")
    print(" ".join(f"{head:>8}" for head in heads))
    for count in [int(each) for each in options.agents.split(",") if each]:
        run = hub(count, told, options.seconds, profile=options.profile)
        runs.append(run)
        cells = (
            f"{run.agents}",
            f"{run.cpu * 100:.1f}",
            f"{run.rss / MIB:.1f}",
            f"{run.first:.1f}",
            f"{run.sent}",
            f"{run.missing}",
            f"{run.wire:.0f}",
            f"{run.stall * 1000:.0f}",
            f"{run.storm:.1f}",
            f"{run.late * 1000:.0f}",
        )
        print(" ".join(f"{cell:>8}" for cell in cells), flush=True)
    readers = []
    for count in [int(each) for each in options.readers.split(",") if each]:
        row = agent(count, options.seconds)
        readers.append(row)
        print(
            f"agent, {row.readers} readers: {row.cpu * 100:.2f} % CPU, {row.rss / MIB:.1f} MiB RSS, "
            f"{row.received:.0f} B/s to each",
            flush=True,
        )
    if options.write is not None:
        fleet_page.write(options.write, runs, readers, len(told.second.readings))


if __name__ == "__main__":
    main()
