"""What a station hands on to a screen in the same process."""

from __future__ import annotations

import pytest

from cli.station import Station
from sysmon.clock import ManualClock
from sysmon.records import Status
from tests.tui.scripted import catalogue

pytestmark = pytest.mark.anyio


async def test_a_screen_is_told_of_a_host_that_was_never_reached() -> None:
    station = Station(catalogue(), ManualClock())
    watcher = station.watch()
    status = Status(host="", name="nas", state="offline", message="refused")
    await station.take(status)
    assert watcher._queue
    assert await anext(watcher.updates()) == status
    await station.close()
