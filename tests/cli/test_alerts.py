"""What `sysmon alerts` prints of rules and of the past."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

from cli.main import run
from collectors.registry import catalogue
from store.retention import Retention
from store.writer import SqliteRecorder
from sysmon.clock import SystemClock
from sysmon.records import Event, HostInfo

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


def test_rules_are_printed_with_the_units_of_their_thresholds(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["alerts", "rules"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert "disk-full             warning   fs.utilization above 90 % for 5m 00s" in lines
    assert any(line.endswith("temperature above 90 °C for 2m 00s") for line in lines)


def test_the_past_names_the_rule(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "history.db"
    event = Event(
        id="e1",
        time=int(time.time() * 1000) - 60_000,
        host="h1",
        kind="alert.firing",
        severity="warning",
        message="fs.utilization of / is 95.0 %, above 90.0 %",
        rule="disk-full",
    )

    async def fill() -> None:
        recorder = SqliteRecorder.open(path, catalogue(), retention=Retention(), clock=SystemClock())
        await recorder.record_host(HostInfo(id="h1", hostname="db-1"))
        await recorder.record_event(event)
        await recorder.close()

    asyncio.run(fill())
    monkeypatch.setenv("SYSMON_DB", str(path))
    assert run(["alerts", "history"]) == 0
    assert capsys.readouterr().out.rstrip().endswith("disk-full: fs.utilization of / is 95.0 %, above 90.0 %")
