"""A screen that records, gives way to a recorder and takes over again: of hosts never reached it keeps no ghost."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from typing import TYPE_CHECKING

import pytest

from cli.context import Context
from cli.localsource import LocalSource
from sysmon.records import Status
from tests.system.programs import Program, free_port

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

pytestmark = [pytest.mark.system, pytest.mark.slow, pytest.mark.timeout(120), pytest.mark.anyio]

HOSTS = '[hosts.{}]\ntarget = "http://127.0.0.1:{}"\n'


async def test_hosts_that_were_never_reached_are_told_by_whoever_follows_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    port = f"[agent]\nport = {free_port()}\n"
    program = Program(tmp_path / "one", "--record", config=port + HOSTS.format("nas", 1) + HOSTS.format("old", 2))
    for name, value in program.environment.items():
        monkeypatch.setenv(name, value)
    source = LocalSource(Context.of_environment())
    kept: dict[str, Status] = {}
    news = asyncio.Event()

    async def read() -> None:
        async for update in source.updates():
            if isinstance(update, Status) and update.gone:
                kept.pop(update.key, None)
            elif isinstance(update, Status):
                kept[update.key] = update
            news.set()

    def ways() -> list[tuple[str, int]]:
        return sorted((status.name, len(status.via)) for status in kept.values() if not status.host)

    async def until(holds: Callable[[], bool]) -> None:
        async with asyncio.timeout(30):
            while not holds():
                news.clear()
                await news.wait()

    reading = asyncio.create_task(read())
    try:
        await until(lambda: ways() == [("nas", 0), ("old", 0)])
        await asyncio.to_thread(program.start)
        await until(lambda: ways() == [("nas", 1), ("old", 1)])
        config = program.folder / "config.toml"
        config.write_text(port + HOSTS.format("nas", 1))
        await until(lambda: ways() == [("nas", 1)])
        await asyncio.to_thread(program.stop, signal.SIGTERM)
        # The configuration of now, not that of the screen's start.
        await until(lambda: ways() == [("nas", 0)])
        config.write_text(port)
        await until(lambda: not ways())
    finally:
        reading.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await reading
        await source.close()
        if program.process is not None:
            program.stop(signal.SIGKILL)
