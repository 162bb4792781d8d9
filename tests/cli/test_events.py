"""Events among hubs: each is told once, wherever it comes from and however often."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

import msgspec
import pytest

from alerts.engine import Engine
from cli.context import Context
from cli.follow import follow_host
from cli.paths import Paths
from cli.station import Station
from remote.client.source import AgentSource
from remote.server.feed import Feed, Limits
from sysmon.catalogue import Catalogue
from sysmon.clock import ManualClock, SystemClock
from sysmon.config import HostSettings
from sysmon.frame import Frame
from sysmon.records import Event, HostInfo, Status
from tests.remote.peers import QUICK
from tests.remote.support import HOST, MemoryHistory, served

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from cli.watcher import Watcher

pytestmark = pytest.mark.anyio


def event(id: str, host: str = "", **more: object) -> Event:
    """An event."""
    return Event(id=id, time=SystemClock().now(), host=host, kind="hub.back", message="in contact again", **more)  # type: ignore[arg-type]


class Hub:
    """A hub with a host of its own, served by a real server."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.station = Station(Catalogue([]), SystemClock())
        self.feed = Feed(Catalogue([]), states=self.station.states, hub=name * 16, limits=Limits(heartbeat=0.1))
        self.station.feed = self.feed
        self.station.paths = Paths(name * 16)
        self.url = ""
        self._watcher: Watcher = self.station.watch()
        self._events: list[Event] = []

    async def up(self, stack: contextlib.AsyncExitStack) -> None:
        """Serves it."""
        await self.station.take(HostInfo(id=self.name * 8, hostname=f"machine-{self.name}"))
        self.url = (await stack.enter_async_context(served(self.feed))).url
        stack.push_async_callback(self.station.close)

    def follow(self, other: Hub, stack: contextlib.AsyncExitStack) -> None:
        """Follows another under its name."""
        host = HostSettings(name=other.name, target=other.url)
        task = asyncio.create_task(
            follow_host(Context.of_environment(), host, self.station, None, patience=QUICK),
            name=f"{self.name} {other.name}",
        )

        async def end() -> None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

        stack.push_async_callback(end)

    @property
    def told(self) -> list[Event]:
        """The events that whoever watches this hub was told."""
        while self._watcher._queue:
            update = self._watcher._queue.popleft()
            if isinstance(update, Event):
                self._events.append(update)
        return self._events

    async def greeted(self, other: Hub) -> None:
        """Waits for the other's greeting."""
        async for update in self.station.watch().updates():
            if isinstance(update, HostInfo) and update.id == other.name * 8:
                return


@contextlib.asynccontextmanager
async def ring(*names: str) -> AsyncIterator[list[Hub]]:
    """Hubs each of which follows the next, the last the first."""
    async with contextlib.AsyncExitStack() as stack:
        hubs = [Hub(name) for name in names]
        for each in hubs:
            await each.up(stack)
        pairs = list(zip(hubs, [*hubs[1:], hubs[0]], strict=True))
        for each, other in pairs:
            each.follow(other, stack)
        async with asyncio.timeout(10):
            for each, other in pairs:
                await each.greeted(other)
        yield hubs


async def settled(*hubs: Hub) -> None:
    """Waits until nothing goes on between them any more; fails where that never comes."""
    async with asyncio.timeout(5):
        before = None
        while (now := [each.feed.arrival for each in hubs]) != before:
            before = now
            await asyncio.sleep(0.3)


async def test_what_happens_to_a_hub_does_not_go_to_and_fro_between_two_that_watch_each_other() -> None:
    async with ring("a", "b") as (a, b):
        await a.station.take(event("one"))
        await settled(a, b)
        assert [each.message for each in a.told] == ["in contact again"]
        assert [each.message for each in b.told] == ["a: in contact again"]
        assert b.told[0].via == ["a" * 16]
        await b.station.take(event("two"))
        await settled(a, b)
        assert [each.message for each in a.told] == ["in contact again", "b: in contact again"]


async def test_in_a_ring_of_three_everybody_is_told_once_whose_it_is() -> None:
    async with ring("a", "b", "c") as (a, b, c):
        # What happens to `a` is read by `c`, then by `b`, and is not taken back.
        await a.station.take(event("one"))
        await settled(a, b, c)
        assert [each.message for each in a.told] == ["in contact again"]
        assert [each.message for each in c.told] == ["a: in contact again"]
        assert [each.message for each in b.told] == ["a: in contact again"]
        assert b.told[0].via == ["a" * 16, "c" * 16]


async def test_a_hub_that_says_nothing_of_the_way_is_not_echoed_either() -> None:
    """Older hubs know no `via`, and add their words."""
    async with ring("a", "b") as (a, b):
        b.feed.hub = ""
        await a.station.take(event("one"))
        await settled(a, b)
        assert [each.message for each in a.told] == ["in contact again"]
        assert [each.message for each in b.told] == ["a: in contact again"]


async def test_an_event_that_comes_again_is_told_once_in_bounded_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cli.station.REMEMBERED", 200)
    station = Station(Catalogue([]), ManualClock())
    watcher = station.watch()
    for id in ("one", "two", "one"):
        await station.take(event(id))
    # The same id on a host is another event: nobody can silence what a host says by saying it first.
    await station.take(event("one", HOST))
    assert [(each.id, each.host) for each in watcher._queue if isinstance(each, Event)] == [
        ("one", ""),
        ("two", ""),
        ("one", HOST),
    ]
    for at in range(400):
        await station.take(event(f"e{at}"))
    assert len(station._told) == 200
    await station.close()


async def test_what_was_told_before_a_restart_is_not_told_again() -> None:
    history = MemoryHistory()
    history.events_kept = [event("one")]
    station = Station(Catalogue([]), ManualClock())
    await station.begin(None, Engine((), Catalogue([]), ManualClock()), history)
    watcher = station.watch()
    await station.take(event("one"))
    await station.take(event("two"))
    assert [each.id for each in watcher._queue if isinstance(each, Event)] == ["two"]
    await station.close()


async def test_a_screen_of_this_machine_is_not_told_the_name_of_a_socket(tmp_path: Path) -> None:
    """What its own recorder says of "this side" is as true of the screen."""
    hub = Hub("a")
    async with served(hub.feed, uds=tmp_path / "s"):
        source = AgentSource(f"unix://{tmp_path / 's'}", patience=QUICK)
        async with asyncio.timeout(5):
            async for update in source.updates():
                if isinstance(update, Status) and source.connected.is_set():
                    hub.feed.publish(event("one"))
                if isinstance(update, Event):
                    assert update.message == "in contact again"
                    break
        await source.close()
    await hub.station.close()


@pytest.mark.parametrize("days", [399, -3000])
async def test_what_happened_on_a_host_is_told_by_our_clock_whatever_its_own_says(days: int) -> None:
    """Its server's heartbeats are honest: nothing but the frames themselves shows it."""
    clock = ManualClock()
    station = Station(Catalogue([]), clock)
    watcher = station.watch()
    await station.take(Status(host=HOST, state="live", skew=0))
    for seq, run in ((8, "aa" * 8), (1, "bb" * 8)):
        frame = Frame(
            host=HOST, boot="b", run=run, seq=seq, time=clock.now() + days * 86_400_000, monotonic=clock.boottime()
        )
        await station.take(frame)
        await clock.advance(5)
    await station.take(msgspec.structs.replace(event("one", HOST), time=clock.now() + 399 * 86_400_000))
    await station.take(msgspec.structs.replace(event("old", HOST), time=clock.now() - 86_400_000))
    told = {each.id if each.kind != "run" else "run": each.time for each in watcher._queue if isinstance(each, Event)}
    now = clock.now()
    assert told == {"run": now - 5000, "one": now, "old": now - 86_400_000}
    await station.close()
