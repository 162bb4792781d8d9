"""Followers kept in step with the configuration: begun, ended and begun anew one by one, none at another's cost."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any

import pytest

from cli import fleet as fleets
from cli.context import Context
from cli.fleet import Fleet
from cli.ownhost import Contacts
from cli.recording import Archive
from cli.sources import open_source
from cli.station import Station
from remote.server.feed import Feed
from sysmon.errors import UsageError
from sysmon.records import Hello, HostInfo, Status
from tests.remote.peers import QUICK
from tests.remote.support import CATALOGUE, HOST, OTHER, MemoryHistory, frame, served

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    from cli.sources import RemoteSource

pytestmark = pytest.mark.anyio


def feed_of(host: str, name: str) -> Feed:
    feed = Feed(CATALOGUE, version="1")
    feed.publish(HostInfo(id=host, hostname=name))
    feed.publish(frame(1, host=host))
    return feed


class Kept:
    """A fleet that runs, and what it did."""

    def __init__(self, file: Path, **more: Any) -> None:
        self.file = file
        self.context = Context.of_environment()
        self.station = Station(CATALOGUE, self.context.clock)
        self.watcher = self.station.watch()
        self.opened: list[str] = []
        self.closed: list[str] = []
        self.told: list[str] = []
        self.contacts = Contacts("own", 1)
        self.fleet = Fleet(
            self.context,
            self.station,
            more.pop("archive", Archive()),
            opened=self._open,
            closed=self.closed.append,
            contacts=self.contacts,
            patience=QUICK,
            tell=self.told.append,
            look=0.03,
            **more,
        )

    def _open(self, name: str, source: RemoteSource) -> None:
        self.opened.append(name)

    def write(self, text: str) -> None:
        self.file.write_text(text)

    def status(self, key: str) -> Status | None:
        return self.station.statuses.get(key)

    def state(self, key: str) -> str:
        found = self.status(key)
        return "" if found is None else found.state

    async def until(self, condition: Callable[[], Any]) -> None:
        async with asyncio.timeout(8):
            while not condition():  # noqa: ASYNC110  (a fleet has no event for a test to wait on)
                await asyncio.sleep(0.01)


@contextlib.asynccontextmanager
async def running(kept: Kept) -> AsyncIterator[Kept]:
    task = asyncio.create_task(kept.fleet.run())
    try:
        yield kept
        assert not task.done()
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "config.toml"
    monkeypatch.setenv("SYSMON_CONFIG", str(path))
    monkeypatch.setattr(fleets, "AGAIN", 0.05)
    path.write_text("")
    return path


def write(file: Path, text: str) -> None:
    file.write_text(text)


def table(name: str, url: str, more: str = "") -> str:
    return f'[hosts.{name}]\ntarget = "{url}"\n{more}\n'


async def test_only_what_changed_begins_or_ends(file: Path) -> None:
    async with served(feed_of(HOST, "one")) as one, served(feed_of(OTHER, "two")) as two:
        write(file, table("one", one.url))
        async with running(Kept(file)) as kept:
            await kept.until(lambda: kept.state(HOST) == "live")
            kept.write(table("one", one.url) + table("two", two.url))
            await kept.until(lambda: kept.state(OTHER) == "live")
            assert (kept.opened, kept.closed) == (["one", "two"], [])
            kept.write(table("one", one.url) + table("two", two.url, 'tags = ["x"]'))
            await kept.until(lambda: kept.station.infos[OTHER].tags == ["x"])
            assert (kept.opened, kept.closed) == (["one", "two", "two"], ["two"])
            kept.write(table("one", one.url) + "\n# only a comment\n" + table("two", two.url, 'tags = ["x"]'))
            await asyncio.sleep(0.2)
            assert (kept.opened, kept.closed) == (["one", "two", "two"], ["two"])
            assert [*kept.context.config.hosts] == ["one", "two"]


async def test_a_host_that_is_taken_out_is_let_go_of(file: Path) -> None:
    async with served(feed_of(HOST, "one")) as one:
        write(file, table("one", one.url))
        async with running(Kept(file)) as kept:
            kept.station.feed = feed = Feed(CATALOGUE)
            await kept.until(lambda: kept.state(HOST) == "live" and HOST in kept.station.states)
            seen: list[Status] = []

            async def watch() -> None:
                async for update in kept.watcher.updates():
                    seen.extend([update] if isinstance(update, Status) else [])

            watching = asyncio.create_task(watch())
            kept.write("")
            await kept.until(lambda: kept.state(HOST) == "")
            assert HOST not in kept.station.infos
            assert (HOST in feed.hosts, HOST in feed.statuses) == (False, False)
            await kept.until(lambda: seen and seen[-1].state == "paused")
            assert (seen[-1].host, seen[-1].message) == (HOST, "no longer configured")
            watching.cancel()


async def test_a_paused_host_says_so_under_its_id_and_comes_back(file: Path) -> None:
    async with served(feed_of(HOST, "one")) as one:
        write(file, table("one", one.url))
        async with running(Kept(file)) as kept:
            await kept.until(lambda: kept.state(HOST) == "live")
            kept.write(table("one", one.url, "paused = true"))
            await kept.until(lambda: kept.state(HOST) == "paused")
            assert kept.closed == ["one"]
            kept.write(table("one", one.url))
            await kept.until(lambda: kept.state(HOST) == "live")
            assert "@one" not in kept.station.statuses


async def test_a_host_that_is_paused_from_the_start_is_known_by_the_history(file: Path) -> None:
    url = "http://127.0.0.1:9"
    history: Any = MemoryHistory([HostInfo(id=HOST, name="one", target=url), HostInfo(id=OTHER, target="local")])
    write(file, table("one", url, "paused = true") + table("new", "ssh://new", "paused = true"))
    async with running(Kept(file, archive=Archive(history=history))) as kept:
        await kept.until(lambda: kept.state("@new") == "paused")
        paused = kept.status(HOST)
        assert paused is not None
        assert (paused.state, paused.name, paused.target) == ("paused", "one", url)
        assert kept.opened == []


async def test_settings_that_do_not_work_are_said_of_the_host_itself(file: Path) -> None:
    async with served(feed_of(HOST, "one")) as one:
        write(file, table("one", one.url))
        async with running(Kept(file)) as kept:
            await kept.until(lambda: kept.state(HOST) == "live")
            kept.write(table("one", one.url, 'token_file = "/nowhere"'))
            await kept.until(lambda: kept.state(HOST) == "offline")
            now = kept.status(HOST)
            assert now is not None
            assert "token file /nowhere does not exist" in now.message
            assert "@one" not in kept.station.statuses


async def test_a_renamed_host_goes_on_under_its_new_name(file: Path) -> None:
    async with served(feed_of(HOST, "one")) as one:
        write(file, table("one", one.url))
        async with running(Kept(file)) as kept:
            await kept.until(lambda: kept.state(HOST) == "live")
            kept.write(table("first", one.url))
            await kept.until(lambda: kept.opened == ["one", "first"])
            await kept.until(lambda: kept.station.infos[HOST].name == "first" and kept.state(HOST) == "live")
            assert not [key for key in kept.station.statuses if key.startswith("@")]


async def test_a_file_with_mistakes_keeps_the_hosts_and_is_told_once(file: Path) -> None:
    async with served(feed_of(HOST, "one")) as one:
        good = table("one", one.url)
        write(file, good)
        async with running(Kept(file)) as kept:
            await kept.until(lambda: kept.state(HOST) == "live")
            kept.write("[hosts.one]\ntarget = 1\n[screen]\nascii = 2\n")
            await kept.until(lambda: kept.told)
            kept.write("[hosts.one]\ntarget = 1\n[screen]\nascii = 2\n# still\n")
            await asyncio.sleep(0.2)
            assert len(kept.told) == 1
            assert kept.told[0].startswith(f"{file}:2: [hosts.one] target = '1' is not text")
            assert kept.told[0].endswith("and 1 more; hosts stay as they were")
            assert (kept.opened, kept.closed, kept.state(HOST)) == (["one"], [], "live")
            kept.write(good)
            await kept.until(lambda: len(kept.told) == 2)
            assert kept.told[1] == f"{file} has no mistakes any more"
            assert (kept.opened, kept.closed) == (["one"], [])


async def test_a_file_that_comes_later_is_taken(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    later = file.parent / "later" / "config.toml"
    monkeypatch.delenv("SYSMON_CONFIG")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(later.parent.parent))
    later = later.parent.parent / "sysmon" / "config.toml"
    async with served(feed_of(HOST, "one")) as one, running(Kept(later)) as kept:
        await kept.until(kept.contacts.all.is_set)
        later.parent.mkdir()
        kept.write(table("one", one.url))
        await kept.until(lambda: kept.state(HOST) == "live")


@pytest.mark.parametrize(
    ("error", "words", "again"),
    [
        (RuntimeError("boom"), "a fault of sysmon itself: RuntimeError: boom", True),
        (UsageError("that is no target", "write another"), "that is no target; write another", False),
    ],
)
async def test_one_that_fails_takes_nobody_down(
    file: Path, monkeypatch: pytest.MonkeyPatch, error: Exception, words: str, again: bool
) -> None:
    tried: list[str] = []

    def opening(context: Context, host: Any, **more: Any) -> Any:
        tried.append(host.name)
        if host.name == "bad":
            raise error
        return open_source(context, host, **more)

    monkeypatch.setattr("cli.follow.open_source", opening)
    async with served(feed_of(HOST, "one")) as one:
        write(file, table("bad", "http://127.0.0.1:9") + table("one", one.url))
        async with running(Kept(file)) as kept:
            await kept.until(lambda: kept.state(HOST) == "live")
            bad = kept.status("@bad")
            assert bad is not None
            assert (bad.state, bad.message) == ("offline", words)
            if again:
                await kept.until(lambda: tried.count("bad") > 2)
            else:
                await asyncio.sleep(0.2)
                assert tried.count("bad") == 1
            kept.write(table("bad", one.url))
            await kept.until(lambda: kept.context.config.hosts.keys() == {"bad"})
            assert kept.opened[:1] == ["one"]


def test_contacts_are_with_those_that_are_followed_now() -> None:
    contacts = Contacts("own", 1)
    hello = Hello(schema=1, version="1", server="x", time=0, hosts=[HostInfo(id="own")], metrics=[])
    other = Hello(schema=1, version="1", server="x", time=0, hosts=[HostInfo(id="other")], metrics=[])
    assert not contacts.all.is_set()
    contacts.expect(["a", "b"])
    contacts.heard("a", other)
    contacts.heard("push", other)
    assert not contacts.all.is_set()
    contacts.expect(["a"])
    assert contacts.all.is_set()
    station = Station(CATALOGUE, Context.of_environment().clock)
    contacts.heard("a", hello)
    assert contacts.elsewhere(station)
    contacts.leave("a")
    assert not contacts.elsewhere(station)
    assert Contacts("own", 0).all.is_set()
