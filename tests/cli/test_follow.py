"""Followed hosts against real servers: what their comings and goings are told as."""

from __future__ import annotations

import asyncio
import contextlib
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from cli.context import Context
from cli.follow import _heed, follow_host, make_backfill
from cli.recording import Archive
from cli.sources import open_source
from cli.station import Station
from remote.client.transport import Connections
from sysmon.catalogue import Catalogue
from sysmon.clock import SystemClock
from sysmon.config import HostSettings
from sysmon.records import Event, HostInfo, Status
from tests.remote.peers import FAST, QUICK
from tests.remote.support import CATALOGUE, HOST, OTHER, RUN, MemoryHistory, frame, make_feed, served

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from remote.server.feed import Feed

pytestmark = pytest.mark.anyio


class Followed:
    """A station that follows some servers, and the events it told."""

    def __init__(self) -> None:
        self.station = Station(Catalogue([]), SystemClock())
        self.watcher = self.station.watch()
        self.events: list[Event] = []
        self.said: dict[str, Status] = {}

    async def until(self, condition: Callable[[], object], seconds: float = 10.0) -> None:
        """Waits until something holds."""
        async with asyncio.timeout(seconds):
            while not condition():
                while self.watcher._queue:
                    update = self.watcher._queue.popleft()
                    if isinstance(update, Event):
                        self.events.append(update)
                    elif isinstance(update, Status):
                        self.said[update.host or f"@{update.name}"] = update
                await asyncio.sleep(0.01)

    @property
    def kinds(self) -> list[str]:
        """What was told so far."""
        return [event.kind for event in self.events]

    def live(self, *hosts: str) -> bool:
        """Whether all of these are live."""
        return all(host in self.said and self.said[host].state == "live" for host in hosts)


@contextlib.asynccontextmanager
async def following(*urls: str) -> AsyncIterator[Followed]:
    """Follows servers for as long as the block runs."""
    made = Followed()
    context = Context.of_environment()
    tasks = [
        asyncio.create_task(
            follow_host(context, HostSettings(name=f"h{at}", target=url), made.station, None, patience=QUICK)
        )
        for at, url in enumerate(urls)
    ]
    try:
        yield made
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await made.station.close()


def speaking(host: str, run: str = "ab" * 8) -> tuple[Feed, asyncio.Task[None]]:
    """A feed of a host that gives ten frames a second."""
    feed = make_feed(heartbeat=0.1)
    feed.hosts.clear()
    feed.publish(HostInfo(id=host, hostname=f"host-{host[:2]}"))

    async def speak() -> None:
        for seq in range(1, 10_000):
            feed.publish(frame(seq, host=host, run=run, intervals=FAST, full=True))
            await asyncio.sleep(0.1)

    return feed, asyncio.create_task(speak())


async def test_a_network_that_is_lost_and_back_is_two_words_for_all_hosts() -> None:
    one, first = speaking(HOST)
    two, second = speaking(OTHER)
    async with served(one) as left, served(two) as right, following(left.url, right.url) as seen:
        await seen.until(lambda: seen.live(HOST, OTHER))
        await left.stop()
        await right.stop()
        await seen.until(lambda: seen.kinds == ["network.lost"])
        assert seen.events[0].message == "this side lost the network: all 2 hosts vanished at once (h0, h1)"
        await seen.until(lambda: seen.said[HOST].state == seen.said[OTHER].state == "offline")
        for task in (first, second):
            task.cancel()
        one, first = speaking(HOST, "cd" * 8)
        two, second = speaking(OTHER, "cd" * 8)
        async with served(one, port=left.port), served(two, port=right.port):
            await seen.until(lambda: seen.live(HOST, OTHER))
            await seen.until(lambda: "network.back" in seen.kinds)
            assert [kind for kind in seen.kinds if kind != "run"] == ["network.lost", "network.back"]
            assert all(event.host == "" for event in seen.events if event.kind.startswith("network"))
    for task in (first, second):
        task.cancel()


async def test_one_host_of_two_is_lost_and_back_by_itself() -> None:
    one, first = speaking(HOST)
    two, second = speaking(OTHER)
    async with served(one) as left, served(two) as right, following(left.url, right.url) as seen:
        await seen.until(lambda: seen.live(HOST, OTHER))
        await left.stop()
        await seen.until(lambda: seen.kinds == ["host.down"])
        assert (seen.events[0].host, seen.events[0].message.partition(": ")[0]) == (HOST, "lost contact")
        first.cancel()
        one, first = speaking(HOST, "cd" * 8)
        async with served(one, port=left.port):
            await seen.until(lambda: "host.up" in seen.kinds)
            assert [kind for kind in seen.kinds if kind != "run"] == ["host.down", "host.up"]
    for task in (first, second):
        task.cancel()


async def test_what_a_hub_says_of_its_host_is_left_to_the_hub() -> None:
    hub, first = speaking(HOST)
    hub.publish(HostInfo(id=OTHER, hostname="behind"))
    hub.publish(frame(1, host=OTHER))
    async with served(hub) as server, following(server.url) as seen:
        await seen.until(lambda: seen.live(HOST))
        hub.publish(Status(host=OTHER, state="offline", message="refused"))
        hub.publish(Event(id="e", time=SystemClock().now(), host=OTHER, kind="host.down", message="lost contact"))
        await seen.until(lambda: seen.said[OTHER].state == "offline" and seen.events)
        await asyncio.sleep(0.3)
        assert [event.id for event in seen.events] == ["e"]
    first.cancel()


async def test_what_is_not_wanted_of_a_host_is_not_wanted_of_its_past() -> None:
    context = Context.of_environment()
    host = HostSettings(name="a", target="http://127.0.0.1:1", collectors=("load",))
    source, _ = open_source(context, host, connections=Connections())
    kept: Any = MemoryHistory()
    past: Any = MemoryHistory(frames=[frame(seq) for seq in (1, 2, 3)])
    station = Station(CATALOGUE, SystemClock())
    backfill = make_backfill(
        context, past, Archive(recorder=kept, history=kept), station, lambda each: False, host, source
    )
    fetched = await backfill._fetch(HOST, RUN, 1, 3)
    assert [(each.seq, set(each.readings), set(each.reads)) for each in fetched] == [
        (seq, {"load.1"}, {"load"}) for seq in (1, 2, 3)
    ]


@pytest.mark.parametrize(("via", "kinds"), [([], ["host.down", "host.up"]), (["hub"], [])])
async def test_that_a_host_was_away_is_told_also_when_it_is_read_after_the_line_is_back(
    via: list[str], kinds: list[str]
) -> None:
    """What was said before the line was back may be taken after; of a host behind a hub it is the hub that tells."""
    station = Station(Catalogue([]), SystemClock())
    watcher = station.watch()
    await station.take(HostInfo(id=HOST, target="http://x", via=via))
    source: Any = SimpleNamespace(connected=asyncio.Event())
    source.connected.set()
    for state in ("live", "offline", "live"):
        await _heed(station, source, Status(host=HOST, state=state, target="http://x"), late=False)
    assert [each.kind for each in watcher._queue if isinstance(each, Event)] == kinds
    await station.close()
