"""The load program speaks the protocol as an agent does, and its page holds what was measured."""

from __future__ import annotations

import asyncio
import xml.etree.ElementTree as ElementTree
from typing import TYPE_CHECKING

import pytest

from bench import fleet_page
from bench.fleet_load import Agent, Told
from bench.fleet_runs import AgentRun, HubRun
from remote.client.history import HttpHistory
from remote.client.source import AgentSource
from sysmon.derive import State
from sysmon.frame import Frame
from sysmon.records import Hello, HostInfo
from tests.remote.peers import watching
from tests.remote.support import CATALOGUE, HOST, frame

if TYPE_CHECKING:
    from pathlib import Path

RUNS = [
    HubRun(count, 30.0, count / 1000, count << 20, 2.0, 40 * count, 0, 400.0, 0.05, 1.0, 0.0) for count in (10, 300)
]


@pytest.mark.anyio
async def test_a_made_up_agent_is_read_like_a_real_one() -> None:
    hello = Hello(schema=1, version="1", server="s", time=0, hosts=[HostInfo(id=HOST)], metrics=list(CATALOGUE))
    agent = Agent(6, Told(hello, frame(1), frame(9, full=True, intervals={"network": 1.0, "load": 5.0})), CATALOGUE)
    server = await asyncio.start_server(agent.serve, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    async with watching(AgentSource(url)) as watcher:
        await watcher.until(lambda: agent.streams)
        for _ in range(130):
            agent.tick()
        await watcher.until(lambda: len(watcher.frames) == 130)
        assert watcher.frames == list(range(1, 131))
        assert list(agent.sent.values()) == [[1, 130]]
        state = State(CATALOGUE)
        for each in watcher.seen:
            if isinstance(each, Frame):
                state.apply(each)
        assert state.get("net.receive:eth0") == agent._values["net.receive:eth0"]
        assert state.derived()["net.receive_rate:eth0"] > 0
    history = HttpHistory(url)
    (span,) = await history.spans()
    assert (span.host, span.first, span.last) == (agent.host, 11, 130)
    assert [each.seq for each in await history.frames(agent.host, agent.run, 100, 105)] == list(range(100, 106))
    await history.close()
    server.close()


def test_the_page_takes_table_and_plot_and_keeps_its_words(tmp_path: Path, checkout: Path) -> None:
    text = (checkout / "docs" / "performance.md").read_text()
    (tmp_path / "images").mkdir()
    (tmp_path / "performance.md").write_text(text)
    for _ in range(2):
        fleet_page.write(tmp_path, RUNS, [AgentRun(50, 0.0055, 42 << 20, 341.0)], 159)
    written = (tmp_path / "performance.md").read_text()
    assert "| 300 | 30.0 | 300 | 2.0 | 12,000 | 0 | 400 |\n" in written
    assert "| 50 | 0.55 | 42.0 | 341 |\n" in written
    before, begin, _ = text.partition(fleet_page.BEGIN)
    assert written.startswith(before + begin)
    assert written.endswith(text.partition(fleet_page.END)[2])
    plot = ElementTree.fromstring((tmp_path / "images" / "fleet.svg").read_text())
    assert len(plot.findall("{http://www.w3.org/2000/svg}circle")) == 2 * len(RUNS)
