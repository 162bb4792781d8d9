"""Targets of the command line as a screen hears of them: never reached, and reached."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import msgspec
import pytest

from cli.context import Context
from cli.screen import _Remotes
from remote.client.source import AgentSource
from remote.server.feed import Feed
from sysmon.records import HostInfo, Status
from tests.remote.peers import QUICK, peer, watching
from tests.remote.support import CATALOGUE, HOST, frame, served

if TYPE_CHECKING:
    from pathlib import Path

    from sysmon.records import Update

pytestmark = pytest.mark.anyio


@pytest.fixture(autouse=True)
def nothing_configured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SYSMON_CONFIG", str(tmp_path / "config.toml"))
    (tmp_path / "config.toml").write_text("")


async def seen_until(remotes: _Remotes, enough: object) -> list[Update]:
    seen: list[Update] = []
    async with asyncio.timeout(10):
        async for update in remotes.updates():
            seen.append(update)
            if callable(enough) and enough(update):
                break
    await remotes.close()
    return seen


async def test_a_target_that_is_never_reached_has_a_name_and_a_reason_at_once() -> None:
    remotes = _Remotes(Context.of_environment(), ["https://127.0.0.1:9"])
    *_, told = await seen_until(remotes, lambda update: isinstance(update, Status) and update.state == "offline")
    assert isinstance(told, Status)
    assert (told.host, told.name, told.key) == ("", "https://127.0.0.1:9", "@https://127.0.0.1:9")
    assert "nothing says how to know it" in told.message or "pin" in told.message


async def test_once_it_is_reached_nothing_is_left_of_that() -> None:
    feed = Feed(CATALOGUE, version="1")
    feed.publish(HostInfo(id=HOST, hostname="web"))
    feed.publish(frame(1))
    async with served(feed) as server:
        remotes = _Remotes(Context.of_environment(), [server.url])
        seen = await seen_until(remotes, lambda update: isinstance(update, HostInfo))
    kept: dict[str, Status] = {}
    for status in (update for update in seen if isinstance(update, Status)):
        kept[status.key] = status
    assert kept[f"@{server.url}"].gone


async def test_one_that_says_nothing_is_said_to_say_nothing() -> None:
    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()

    quick = msgspec.structs.replace(QUICK, late=0.1, head=5.0)
    async with peer(silent) as url, watching(AgentSource(url, patience=quick)) as seen:
        await seen.until(lambda: any(status.message == "no answer yet" for status in seen.of(Status)))
        assert seen.of(Status)[-1].state == "connecting"
