"""A glance at a server: what it says of itself, and not what it says of others."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from cli.context import Context
from cli.probe import glance
from remote.client.transport import Connections
from remote.server.feed import Feed
from sysmon.config import HostSettings
from sysmon.records import HostInfo, Status
from tests.remote.support import CATALOGUE, HOST, frame, served

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.anyio
async def test_a_hub_that_never_reached_a_host_is_there_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    feed = Feed(CATALOGUE, version="1", hub="ab" * 8)
    feed.publish(HostInfo(id=HOST, hostname="hubbox"))
    feed.publish(Status(host="", name="db", state="offline", message="refused", target="https://db:8200"))
    feed.publish(frame(1))
    connections = Connections()
    try:
        async with served(feed) as server:
            settings = HostSettings(name="hub", target=server.url)
            seen = await glance(Context.of_environment(), settings, connections, 10.0)
    finally:
        await connections.close()
    assert seen.problem == ""
    assert [status.state for status in seen.statuses.values()] == ["live"]
