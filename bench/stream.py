"""The agent with one reader: what it costs, and how many bytes a second a compressed stream has."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from typing import NamedTuple

from bench.processes import usage


class AgentRun(NamedTuple):
    """CPU as part of one core, resident and proportional bytes, compressed bytes per second to one reader."""

    cpu: float
    rss: int
    pss: int
    received: float


def run(seconds: float, warmup: float = 5.0) -> AgentRun:
    """Runs `sysmon --agent` with one reader that asks for gzip and no tables."""
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        env = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
        env |= {"SYSMON_DB": f"{folder}/history.db", "XDG_RUNTIME_DIR": folder, "XDG_STATE_HOME": folder}
        command = [sys.executable, "-m", "sysmon", "--agent", "--port", str(port)]
        agent = stack.enter_context(subprocess.Popen(command, env=env, stderr=subprocess.DEVNULL))
        stack.callback(agent.send_signal, signal.SIGTERM)
        reader = stack.enter_context(_connect(port))
        reader.sendall(b"GET /v1/stream HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept-Encoding: gzip\r\n\r\n")
        began = time.monotonic()
        start, counted, total, started = usage(agent.pid), 0, 0, began
        reader.settimeout(0.2)
        while (now := time.monotonic()) < began + warmup + seconds:
            with contextlib.suppress(TimeoutError):
                data = reader.recv(1 << 16)
                if not data:
                    raise RuntimeError("the agent ended the stream")
                total += len(data)
            if started == began and now > began + warmup:
                start, counted, started = usage(agent.pid), total, now
        end = usage(agent.pid)
        lasted = time.monotonic() - started
        return AgentRun((end.cpu - start.cpu) / lasted, end.rss, end.pss, (total - counted) / lasted)


def _connect(port: int) -> socket.socket:
    deadline = time.monotonic() + 15
    while True:
        try:
            return socket.create_connection(("127.0.0.1", port), 1)
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)
