"""The real program as other processes, each with folders of its own."""

from __future__ import annotations

import asyncio
import os
import random
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from collectors.registry import catalogue
from store.reader import SqliteHistory
from sysmon.clock import SystemClock

if TYPE_CHECKING:
    from collections.abc import Callable

    from sysmon.frame import Frame

Kept = dict[tuple[str, str, int], "Frame"]

_GIVEN: set[int] = set()
_CHOICE = random.SystemRandom()  # not seeded by what makes tests repeatable: several run at once


class Program:
    """One `sysmon` process with its own state, runtime and configuration folders.

    `inside`: what is put before its command, such as that it runs in another network namespace.
    """

    def __init__(
        self, folder: Path, *arguments: str, config: str = "", database: str = "", inside: tuple[str, ...] = ()
    ) -> None:
        self.folder = folder
        self.inside = inside
        self.arguments = arguments
        self.database = Path(database) if database else folder / "history.db"
        self.log = folder / "log"
        folder.mkdir(exist_ok=True)
        (folder / "run").mkdir(exist_ok=True, mode=0o700)
        (folder / "config.toml").write_text(config)
        self.process: subprocess.Popen[bytes] | None = None
        self.port = 0

    @property
    def environment(self) -> dict[str, str]:
        """What it runs with."""
        return {
            **os.environ,
            "SYSMON_DB": str(self.database),
            "SYSMON_CONFIG": str(self.folder / "config.toml"),
            "XDG_STATE_HOME": str(self.folder),
            "XDG_RUNTIME_DIR": str(self.folder / "run"),
            "HOME": str(self.folder),
        }

    def start(self) -> int:
        """Starts it; returns the TCP port it serves on, 0 for none, once it says so."""
        with self.log.open("ab") as log:
            begin = log.tell()
            self.process = subprocess.Popen(
                [*self.inside, sys.executable, "-m", "sysmon", *self.arguments],
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        serving = re.compile(rb"serving .* on (?:https?://\S+:(\d+)|unix)")
        process = self.process
        found = wait_for(lambda: serving.search(self.log.read_bytes()[begin:]) or process.poll() is not None)
        assert found is not True, self.log.read_text()
        return int(found[1] or 0)

    def send(self, number: int) -> None:
        """Signals it."""
        assert self.process is not None
        self.process.send_signal(number)

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Ends it; returns its exit status."""
        assert self.process is not None
        if self.process.poll() is None:
            self.process.send_signal(number)
        status = self.process.wait(20)
        self.process = None
        return status

    def kept(self) -> Kept:
        """Returns every frame of its history, without tables, by identity."""
        return asyncio.run(self._kept())

    async def _kept(self) -> Kept:
        history = SqliteHistory.open(self.database, catalogue(), clock=SystemClock())
        try:
            found: Kept = {}
            for span in await history.spans():
                for first in range(span.first, span.last + 1, 600):
                    last = min(first + 599, span.last)
                    for frame in await history.frames(span.host, span.run, first, last):
                        found[frame.identity] = frame
            return found
        finally:
            await history.close()


def wait_for(condition: Callable[[], Any], seconds: float = 30.0) -> Any:
    """Waits until a condition of another process holds and returns what it gave."""
    deadline = time.monotonic() + seconds
    while True:
        begin = time.monotonic()
        if found := condition():
            return found
        now = time.monotonic()
        assert now < deadline, "it did not come about in time"
        # What is costly to look at is looked at less often.
        time.sleep(min(max(4 * (now - begin), 0.05), 0.4))


def free_port() -> int:
    """A TCP port of loopback that nobody listens on now.

    It lies below those that the kernel gives to whoever asks for any: nobody gets it meanwhile by chance.
    """
    while True:
        port = _CHOICE.randrange(10_000, 32_000)
        if port in _GIVEN:
            continue
        _GIVEN.add(port)
        try:
            with socket.create_server(("127.0.0.1", port)):
                return port
        except OSError:
            continue
