"""A hub read by another: the hosts it never reached, those it lets go of, and its word on the others."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import pytest

from remote.client import roster
from remote.client.source import AgentSource
from remote.client.transport import Connections, Endpoint
from remote.server.feed import Feed
from remote.target import parse_target
from sysmon.clock import ManualClock
from sysmon.records import Hello, HostInfo, Status
from tests.remote.peers import FAST, QUICK, watching
from tests.remote.support import CATALOGUE, HOST, OTHER, frame, served

if TYPE_CHECKING:
    from tests.remote.peers import Watcher

pytestmark = pytest.mark.anyio

HUB, FAR = "ab" * 8, "cd" * 8


def hub_feed(*hosts: str) -> Feed:
    feed = Feed(CATALOGUE, version="1", hub=HUB)
    feed.publish(HostInfo(id=HOST, hostname="hubbox"))
    feed.publish(frame(1))
    for host in hosts:
        feed.publish(HostInfo(id=host, hostname="far", target="https://far:8200"))
    return feed


def cut(feed: Feed) -> None:
    for view in feed._views.values():
        for reader in list(view.readers):
            reader.drop("cut by the test")


def unreached(seen: Watcher) -> dict[str, Status]:
    """Who was never reached, as a screen keeps it."""
    kept: dict[str, Status] = {}
    for status in seen.of(Status):
        if status.gone:
            kept.pop(status.key, None)
        elif not status.host and status.via:
            kept[status.key] = status
    return kept


async def test_hosts_that_a_hub_never_reached_are_handed_on_as_it_tells_them() -> None:
    feed = hub_feed()
    feed.publish(Status(host="", name="db", state="offline", message="refused", target="https://db:8200", tags=["x"]))
    feed.publish(Status(host="", name="nas", state="offline", via=[FAR]))
    async with served(feed) as server, watching(AgentSource(server.url, name="hub", patience=QUICK)) as seen:
        await seen.until(lambda: len(unreached(seen)) == 2)
        db = unreached(seen)[f"@{HUB}/db"]
        assert (db.message, db.target, db.via, db.tags) == ("refused", "https://db:8200", [HUB], ["x"])
        assert f"@{FAR}/{HUB}/nas" in unreached(seen)
        feed.publish(Status(host="", name="db", state="offline", message="no token"))
        await seen.until(lambda: unreached(seen)[f"@{HUB}/db"].message == "no token")
        # It got an id, or was taken out of the configuration.
        feed.publish(Status(host="", name="db", state="paused", gone=True))
        await seen.until(lambda: len(unreached(seen)) == 1)
        # What was taken back while the line was cut is taken back too, and what is the same is not told again.
        cut(feed)
        feed.publish(Status(host="", name="nas", state="paused", via=[FAR], gone=True))
        feed.publish(Status(host="", name="late", state="offline"))
        await seen.until(lambda: [*unreached(seen)] == [f"@{HUB}/late"])
        cut(feed)
        told = len([status for status in seen.of(Status) if status.name == "late"])
        await seen.until(lambda: len(seen.of(Hello)) == 3)
        feed.publish(frame(2))
        await seen.until(lambda: 2 in seen.frames)
        assert len([status for status in seen.of(Status) if status.name == "late"]) == told


async def test_a_host_that_a_hub_lets_go_of_is_gone_here_too() -> None:
    feed = hub_feed(OTHER)
    async with served(feed) as server, watching(AgentSource(server.url, name="hub", patience=QUICK)) as seen:
        await seen.until(lambda: len(seen.of(HostInfo)) == 2)
        assert {(info.id, info.name, info.origin) for info in seen.of(HostInfo)} == {
            (HOST, "hub", ""),
            (OTHER, "", "https://far:8200"),
        }
        feed.publish(Status(host=OTHER, state="paused", message="no longer configured", gone=True))
        await seen.until(lambda: any(status.gone for status in seen.of(Status)))
        (gone,) = [status for status in seen.of(Status) if status.gone]
        assert gone.host == OTHER and OTHER not in feed.hosts
        # While the line is cut nothing tells of it: it is missing in the next greeting of the same hub.
        feed.publish(HostInfo(id=OTHER, hostname="far"))
        await seen.until(lambda: len(seen.of(HostInfo)) == 3)
        cut(feed)
        feed.publish(Status(host=OTHER, state="paused", gone=True))
        await seen.until(lambda: len([status for status in seen.of(Status) if status.gone]) == 2)


async def test_a_hub_that_was_restarted_has_time_to_reach_its_hosts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(roster, "LEAVE", 0.5)
    feed = hub_feed(OTHER, FAR)
    async with served(feed) as server, watching(AgentSource(server.url, patience=QUICK)) as seen:
        await seen.until(lambda: len(seen.of(HostInfo)) == 3)
        feed.server = "ef" * 8
        for host in (OTHER, FAR):
            feed.forget(host)
        cut(feed)
        await seen.until(lambda: len([each for each in seen.of(Status) if "or not yet" in each.message]) == 2)
        assert not any(status.gone for status in seen.of(Status))
        feed.publish(HostInfo(id=OTHER, hostname="far"))
        await seen.until(lambda: any(status.gone for status in seen.of(Status)))
        assert [status.host for status in seen.of(Status) if status.gone] == [FAR]


async def test_whether_a_frame_is_overdue_is_the_hubs_to_say() -> None:
    feed = hub_feed(OTHER)
    async with served(feed) as server, watching(AgentSource(server.url, patience=QUICK)) as seen:
        for host in (HOST, OTHER):
            feed.publish(frame(2, host=host, intervals=FAST))
        feed.publish(Status(host=OTHER, state="live"))
        # Of the first the hub says nothing: it is judged here.
        await seen.until(lambda: any(each.host == HOST and each.state == "stale" for each in seen.of(Status)))
        assert {each.state for each in seen.of(Status) if each.host == OTHER} <= {"connecting", "live"}
        await server.stop()
        await seen.until(lambda: any(each.host == OTHER and each.state == "offline" for each in seen.of(Status)))


async def test_how_old_the_last_frame_is_is_told_to_who_asks() -> None:
    clock = ManualClock()
    feed = Feed(CATALOGUE, version="1", clock=clock, hub=HUB)
    feed.publish(HostInfo(id=HOST, hostname="hubbox"))
    feed.publish(Status(host=HOST, state="live", since=clock.boottime()))
    feed.publish(Status(host="", name="db", state="offline"))
    feed.publish(frame(1))
    await clock.advance(600)
    feed.publish(frame(2))
    await clock.advance(4)
    async with served(feed, clock=clock) as server:
        connections = Connections()
        body = await Endpoint(parse_target(server.url), connections).get("/v1/hosts", deadline=5)
        await connections.close()
        answer = msgspec.json.decode(body)
    live, db = answer["statuses"]
    # It changed ten minutes ago; the last frame came just now.
    assert (live["state"], live["age"], live["since"]) == ("live", 4.0, clock.boottime() - 4 * 10**9)
    assert (db["name"], db["via"]) == ("db", [HUB])
