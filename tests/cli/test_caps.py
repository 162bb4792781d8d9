"""Caps watched by whoever records: what went through is held against them, and an alert ends with its cap."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from alerts.engine import Engine
from cli.caps import watch_caps
from cli.station import Station
from collectors.registry import catalogue
from sysmon.clock import ManualClock
from sysmon.config import CapSettings, Config
from sysmon.defaultrules import DEFAULT_RULES
from sysmon.errors import StoreError
from sysmon.frame import Frame, InterfaceRow, Tables
from sysmon.records import HostInfo, Span, Usage

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

HOST = HostInfo(id="aa", hostname="db-1", timezone="UTC")


class History:
    """One that has counted so many bytes in all."""

    def __init__(self) -> None:
        self.used = 0
        self.asked = asyncio.Event()
        self.broken = False

    async def usage(self, host: str, start: int, end: int, step: str, keys: Sequence[str] = ()) -> list[Usage]:
        self.asked.set()
        if self.broken:
            raise StoreError("the disk is gone")
        if step != "fiveminute":
            return []
        return [
            Usage(host=host, key=key, start=start, end=end, bytes=self.used)
            for key in ("net.receive:eth0", "net.receive:br0")
        ]

    async def gaps(self, host: str, start: int, end: int) -> list[Span]:
        return []

    async def looked(self) -> None:
        """Waits for two more looks: the first of them is over by then."""
        for _ in range(2):
            self.asked.clear()
            await asyncio.wait_for(self.asked.wait(), 5)


@pytest.mark.anyio
async def test_what_counts_is_held_against_the_cap_and_ends_with_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    clock, history = ManualClock(), History()
    station = Station(catalogue(), clock)
    station.engine = Engine(DEFAULT_RULES, station.catalogue, clock)
    rows = [
        InterfaceRow(name="eth0", kind="ethernet", physical=True),
        InterfaceRow(name="br0", kind="bridge", lower=["eth0"]),
    ]
    await station.take(HOST)
    frame = Frame(
        host="aa", boot="b", run="r", seq=1, time=clock.now(), monotonic=1, full=True, tables=Tables(interfaces=rows)
    )
    await station.take(frame)
    config = Config(caps={"line": CapSettings(name="line", limit=1000)})
    places = SimpleNamespace(config=tmp_path / "config.toml", config_named=False)
    context: Any = SimpleNamespace(config=config, clock=clock, catalogue=catalogue(), places=places)
    archive: Any = SimpleNamespace(history=history)

    def fires() -> dict[str, float | None]:
        assert station.engine is not None
        station.engine.evaluate(HOST, station.states["aa"])
        return {state.key: state.value for state in station.engine.states}

    watching = asyncio.create_task(watch_caps(context, station, archive, lambda: "aa", every=0.01))
    try:
        history.used = 500
        await history.looked()
        assert fires() == {}
        history.used = 850
        await history.looked()
        assert fires() == {"cap.utilization:line": 0.85}
        history.broken = True
        await history.looked()
        assert fires() == {"cap.utilization:line": 0.85}
        history.broken = False
        await history.looked()
        # What the file has is taken up, and kept while it has mistakes.
        for text, value in (("limit = 'much'", 0.85), ("limit = 900", 850 / 900), ("limit = 900\nday = 40", 850 / 900)):
            places.config.write_text(f"[caps.line]\n{text}\n")
            await history.looked()
            await history.looked()
            assert fires() == {"cap.utilization:line": value}
        context.config = Config()
    finally:
        watching.cancel()
    given = asyncio.Event()
    give = station.engine.give

    def told(host: str, values: Mapping[str, float]) -> None:
        give(host, values)
        given.set()

    monkeypatch.setattr(station.engine, "give", told)
    again = asyncio.create_task(watch_caps(context, station, archive, lambda: "aa", every=0.001))
    try:
        await asyncio.wait_for(given.wait(), 5)
        assert fires() == {}
    finally:
        again.cancel()
