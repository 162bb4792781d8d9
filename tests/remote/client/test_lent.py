"""Evidence of followed hosts: asked of them, once, and not for long."""

from __future__ import annotations

import asyncio

import pytest

from remote.client import lent
from remote.client.lent import LentEvidence
from sysmon.errors import Unreachable
from sysmon.frame import ProcessRow
from sysmon.records import Evidence, HostInfo
from tests.remote.server.test_server import get
from tests.remote.support import HOST, OTHER, T0, MemoryHistory, frame, make_feed, served

pytestmark = pytest.mark.anyio


class Far(MemoryHistory):
    """A host's own history: evidence every 30 s."""

    def __init__(self) -> None:
        super().__init__()
        self.times: list[int] = []

    async def evidence(self, host: str, time: int) -> Evidence | None:
        self.times.append(time)
        await self._check()
        at = time // 30_000 * 30_000
        return Evidence(host=host, time=at, processes=[ProcessRow(pid=at // 30_000 % 1000, name="busy")])


async def test_a_hub_asks_the_host_for_who_it_was() -> None:
    far = Far()
    near = MemoryHistory([HostInfo(id=HOST, hostname="web"), HostInfo(id=OTHER)], [frame(seq) for seq in range(1, 90)])
    lender = LentEvidence(lambda host: far if host == HOST else None)
    async with served(make_feed(), near, lent=lender) as server:
        at = T0 + 61_000
        _, answer, _ = await get(server.port, f"/v1/evidence?host=web&time={at // 1000}")
        assert answer["processes"][0]["name"] == "busy"
        assert answer["time"] <= at
        _, moment, _ = await get(server.port, f"/v1/moment?host=web&time={at // 1000 + 2}")
        assert moment["evidence"]["time"] == answer["time"]
        assert len(far.times) == 1, "what was just asked for is not asked for again"
        _, none, _ = await get(server.port, f"/v1/evidence?host={OTHER}&time={at // 1000}")
        assert none is None
        _, before, _ = await get(server.port, f"/v1/evidence?host=web&time={answer['time'] // 1000 - 1}")
        assert before["time"] < answer["time"]


async def test_a_host_that_does_not_answer_is_waited_for_a_moment_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lent, "DEADLINE", 0.1)
    far = Far()
    far.delay = 5.0
    lender = LentEvidence(lambda host: far)
    async with asyncio.timeout(3):
        assert await asyncio.gather(*(lender.get(f"{number:016x}", T0) for number in range(20))) == [None] * 20
    assert len(far.times) <= 20
    asked = len(far.times)
    assert await lender.get(f"{0:016x}", T0 + 1) is None
    assert len(far.times) == asked, "it is not asked again at once"


async def test_what_goes_wrong_over_there_costs_only_the_evidence() -> None:
    class Broken(Far):
        async def evidence(self, host: str, time: int) -> Evidence | None:
            raise Unreachable("http://web:8200: connection refused")

    assert await LentEvidence(lambda host: Broken()).get(HOST, T0) is None
    gone = LentEvidence(lambda host: None)
    assert await gone.get(HOST, T0) is None


async def test_answers_are_bounded() -> None:
    far = Far()
    lender = LentEvidence(lambda host: far)
    for number in range(2 * lent.KEPT):
        await lender.get(HOST, T0 + number * lent.STEP)
    assert len(lender._known) == lent.KEPT
