"""What a real agent counted before a real recorder followed it is known there, and nothing of it twice."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import threading
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from collectors.base import Roots
from collectors.identity import machine_host_id, timezone
from collectors.registry import catalogue
from store.reader import SqliteHistory
from sysmon.clock import SystemClock
from sysmon.zones import span_of, zone_of
from tests.system.programs import Program, wait_for

if TYPE_CHECKING:
    from pathlib import Path

    from sysmon.records import Usage

pytestmark = pytest.mark.system

BURST = 64 << 20
"""Bytes sent through loopback while only the agent is there."""


def sent_through_loopback(size: int) -> None:
    """Sends so many bytes through loopback."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def drain() -> None:
            with server.accept()[0] as taken:
                while taken.recv(1 << 20):
                    pass

        reader = threading.Thread(target=drain)
        reader.start()
        with socket.create_connection(server.getsockname()) as sender:
            for _ in range(size >> 20):
                sender.sendall(bytes(1 << 20))
        reader.join()


def used(program: Program, key: str, step: str = "year", until: int | None = None) -> list[Usage]:
    """What a process recorded of this machine, up to a moment."""

    async def ask() -> list[Usage]:
        history = SqliteHistory.open(program.database, catalogue(), clock=SystemClock())
        try:
            host = machine_host_id(Roots()) or (await history.hosts())[0].id
            return await history.usage(host, 0, until or SystemClock().now() + 1000, step, [key])
        finally:
            await history.close()

    return asyncio.run(ask())


def total(program: Program, key: str) -> int:
    """Bytes in all."""
    return sum(each.bytes for each in used(program, key))


def vnstat_of_a_month(folder: Path, now: datetime) -> int:
    """Makes a `vnstat` that tells of `old0` and of loopback; returns the bytes of each."""

    def row(wall: datetime, size: int, *parts: str) -> dict[str, object]:
        date = {part: getattr(wall, part) for part in parts[:3]}
        clock = {"time": {"hour": wall.hour, "minute": wall.minute}} if len(parts) == 4 else {}
        return {"date": date, **clock, "rx": size, "tx": 0}

    day = now.replace(hour=0, minute=0)
    fields = ("year", "month", "day", "time")
    traffic = {
        "total": {"rx": 0, "tx": 0},
        "fiveminute": [row(day - timedelta(hours=2, minutes=5 * at), 1000 + at, *fields) for at in range(5)],
        "hour": [row(day - timedelta(hours=at), 70_000 + at, *fields) for at in range(2, 30)],
        "day": [row(day - timedelta(days=at), 9_000_000 + at, *fields[:3]) for at in range(1, 70)],
    }
    common = {
        "alias": "",
        "created": {"date": {"year": 2020, "month": 1, "day": 1}},
        # Without seconds the whole minute is taken to be counted.
        "updated": row(now - timedelta(minutes=2), 0, *fields),
        "traffic": traffic,
    }
    answer = {
        "vnstatversion": "2.6",
        "jsonversion": "2",
        "interfaces": [{"name": name, **common} for name in ("old0", "lo")],
    }
    folder.mkdir()
    (folder / "answer").write_text(json.dumps(answer))
    program = folder / "vnstat"
    program.write_text(f"#!/bin/sh\nexec /bin/cat {folder}/answer\n")
    program.chmod(0o755)
    return sum(9_000_000 + at for at in range(1, 70))


def test_a_recorder_that_comes_later_knows_what_its_agent_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    zone = zone_of(timezone(Roots()))
    now = datetime.now(zone).replace(tzinfo=None, second=0, microsecond=0)
    size = vnstat_of_a_month(tmp_path / "bin", now)
    path = os.environ["PATH"]
    monkeypatch.setenv("PATH", f"{tmp_path}/bin{os.pathsep}{path}")
    agent = Program(tmp_path / "agent", "--agent", "--listen", "127.0.0.1", "--port", "0")
    port = agent.start()
    hub = Program(
        tmp_path / "hub",
        *("--record", "--listen", "127.0.0.1", "--port", "0"),
        config=f'[collectors.vnstat]\nenabled = false\n[hosts.a]\ntarget = "http://127.0.0.1:{port}"\n',
    )
    try:
        wait_for(lambda: agent.database.exists() and total(agent, "net.receive:old0") == size)
        begun = total(agent, "net.receive:lo")
        sent_through_loopback(BURST)
        wait_for(lambda: total(agent, "net.receive:lo") >= begun + BURST)
        known = total(agent, "net.receive:lo")
        hub.start()
        wait_for(lambda: hub.database.exists() and total(hub, "net.receive:lo") >= known, 40)
        # All of it, from the agent's first frame on, and by the steps in which the agent has it.
        told = total(hub, "net.receive:lo")
        wait_for(lambda: total(agent, "net.receive:lo") >= told, 10)
        assert told < size + 2 * BURST
        assert total(hub, "net.receive:old0") == size
        midnight, _ = span_of(SystemClock().now(), "day", zone)
        # The month that runs holds what goes through loopback now.
        for key, steps in (("net.receive:old0", ("hour", "day", "month")), ("net.receive:lo", ("hour", "day"))):
            for step in steps:
                theirs = used(agent, key, step, midnight)
                assert theirs and used(hub, key, step, midnight) == theirs, step
        # Neither a new contact nor another start tells any of it again.
        hub.stop()
        hub.start()
        sent_through_loopback(1 << 20)
        wait_for(lambda: total(hub, "net.receive:lo") >= told + (1 << 20), 20)
        again = total(hub, "net.receive:lo")
        wait_for(lambda: total(agent, "net.receive:lo") >= again, 10)
        assert total(hub, "net.receive:old0") == size
    finally:
        for each in (hub, agent):
            if each.process is not None:
                each.stop()
