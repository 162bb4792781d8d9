"""What a station hands on to a screen in the same process."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from cli.station import Station
from remote.server.feed import Feed
from sysmon.catalogue import MAX_TAUGHT_DERIVED, Formula, Metric, counter, derived, gauge
from sysmon.clock import ManualClock
from sysmon.records import Hello, HostInfo, Status
from tests.remote.support import CATALOGUE, HOST, OTHER, T0, MemoryHistory, frame
from tests.tui.scripted import catalogue

if TYPE_CHECKING:
    from collections.abc import Sequence

pytestmark = pytest.mark.anyio


async def test_a_screen_is_told_of_a_host_that_was_never_reached() -> None:
    station = Station(catalogue(), ManualClock())
    watcher = station.watch()
    status = Status(host="", name="nas", state="offline", message="refused")
    await station.take(status)
    assert watcher._queue
    assert await anext(watcher.updates()) == status
    await station.close()


class Recording(MemoryHistory):
    """A history that notes the metrics which it is given."""

    def __init__(self) -> None:
        super().__init__()
        self.metrics: dict[str, list[str]] = {}

    async def record_metrics(self, host: str, metrics: Sequence[Metric]) -> None:
        self.metrics.setdefault(host, []).extend(metric.name for metric in metrics)


def hello(metrics: Sequence[Metric]) -> Hello:
    """A greeting of two hosts."""
    return Hello(
        schema=1, version="1", server="s", time=T0, hosts=[HostInfo(id=HOST), HostInfo(id=OTHER)], metrics=list(metrics)
    )


async def test_a_greeting_full_of_formulas_holds_nobody_up() -> None:
    station = Station(CATALOGUE, ManualClock(now=T0), recorder=Recording())
    station.feed = Feed(CATALOGUE, clock=station.clock)
    await station.take(HostInfo(id=HOST))
    await station.take(frame(1))
    names = tuple(f"a{number}" for number in range(32))
    begun = time.process_time()
    for turn in range(5):
        await station.take(hello([derived(f"x{turn}.{each}", "", "", Formula("rate", names)) for each in range(9_999)]))
    # Each of them took minutes.
    assert time.process_time() - begun < 10
    assert len(station.catalogue) - len(CATALOGUE) <= MAX_TAUGHT_DERIVED
    assert len(station.feed.catalogue) == len(station.catalogue)
    await station.close()


async def test_what_frames_tell_of_without_end_is_not_told_without_end() -> None:
    history = Recording()
    station = Station(CATALOGUE, ManualClock(now=T0), recorder=history)
    for number in range(1, 2_000):
        await station.take(frame(number, boot=f"boot{number}", run=f"{number:016x}"))
    assert 400 <= len(history.events_kept) <= 500
    await station.close()


async def test_what_every_process_knows_is_not_recorded_of_each_host_and_nothing_known_is_redefined() -> None:
    history = Recording()
    station = Station(CATALOGUE, ManualClock(now=T0), recorder=history)
    poison = [gauge("net.receive", "volts", "poison"), gauge("load.1", "volts", "poison")]
    await station.take(hello([*poison, counter("new.bytes", "bytes", "")]))
    assert history.metrics == {HOST: ["new.bytes"], OTHER: ["new.bytes"]}
    assert station.catalogue.require("net.receive") == CATALOGUE.require("net.receive")
    # What was learnt before is recorded of a host that is new.
    await station.take(hello([gauge("new.bytes", "volts", "poison")]))
    assert history.metrics[HOST] == ["new.bytes", "new.bytes"]
    assert station.catalogue.require("new.bytes").kind == "counter"
    await station.close()


async def test_what_is_taken_back_of_a_host_is_told_to_whoever_shows_it() -> None:
    feed = Feed(catalogue())
    station = Station(catalogue(), ManualClock(), feed=feed)
    watcher = station.watch()
    await station.take(Status(host="", name="nas", state="offline", message="refused"))
    await station.take(HostInfo(id="a1", name="nas"))
    await station.take(Status(host="a1", name="nas", state="live"))
    station.reached("nas")
    told = list(watcher._queue)[-1]
    assert isinstance(told, Status) and (told.key, told.gone) == ("@nas", True)
    assert [*feed.statuses] == [*station.statuses] == ["a1"]
    station.reached("nas")
    assert list(watcher._queue)[-1] is told
    await station.take(Status(host="a1", state="paused", gone=True))
    told = list(watcher._queue)[-1]
    assert isinstance(told, Status) and (told.key, told.gone) == ("a1", True)
    assert not station.infos and not feed.hosts and not feed.statuses
    # Who comes now hears nothing of it.
    assert station.present() == []
    await station.close()
