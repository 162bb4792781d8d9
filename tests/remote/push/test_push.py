"""Pushing: whatever is lost, repeated or started again, the hub ends up with the agent's frames."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from remote.holes import Ranges
from remote.push import batch
from remote.push.batch import Answer
from remote.push.outbox import Ring
from remote.push.slices import PLAIN
from sysmon.errors import StoreError, Unauthorized, Unreachable
from sysmon.frame import Fault, InterfaceRow, ProcessRow, Tables
from sysmon.records import Event, Evidence
from tests.remote.hubs import lost, make
from tests.remote.support import HOST, T0, frame

if TYPE_CHECKING:
    from remote.push.batch import Report
    from tests.remote.hubs import Agent, Hub

pytestmark = pytest.mark.anyio


def decoded(body: bytes) -> Report:
    """A report as the hub reads it."""
    return batch.decode_report(batch.inflate(body), T0 + 10**9)


def seqs(report: Report) -> list[int]:
    """The sequence numbers of a report's frames."""
    return [msgspec.json.decode(bytes(raw))["seq"] for raw in report.frames]


class Recorded:
    """A line that notes what went over it."""

    def __init__(self, hub: Hub) -> None:
        self.hub = hub
        self.bodies: list[bytes] = []
        self.answers: list[Answer] = []

    async def __call__(self, body: bytes) -> Answer:
        self.bodies.append(body)
        if self.answers:
            return self.answers.pop(0)
        return await self.hub.post(body)

    @property
    def reports(self) -> list[Report]:
        return [decoded(body) for body in self.bodies]


# The whole


ACTIONS = st.lists(
    st.sampled_from(
        ["frames", "many", "push", "push", "lose request", "lose answer", "twice", "again", "agent", "hub", "disk"]
    ),
    max_size=40,
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(ACTIONS)
def test_whatever_happens_both_histories_end_up_equal(actions: list[str]) -> None:
    asyncio.run(interleaved(actions))


async def interleaved(actions: list[str]) -> None:
    _, hub, agent = make()
    before = b""

    async def post(body: bytes) -> Answer:
        nonlocal before
        before = body
        return await hub.post(body)

    async def answer_lost(body: bytes) -> Answer:
        await hub.post(body)
        raise Unreachable("the answer was lost")

    async def twice(body: bytes) -> Answer:
        await hub.post(body)
        return await hub.post(body)

    for action in actions:
        if action in ("frames", "many"):
            await agent.tick(3 if action == "frames" else 90)
        elif action == "agent":
            agent.restart()
        elif action == "hub":
            hub.restart()
        elif action == "again" and before:
            # What was on its way for long arrives behind what was sent later.
            await hub.post(before)
        else:
            hub.history.broken = StoreError("no room") if action == "disk" else None
            agent.post = {"lose request": lost, "lose answer": answer_lost, "twice": twice}.get(action, post)
            await agent.turn()
            hub.history.broken = None
    agent.post = post
    await agent.tick(1)
    await agent.settle()
    assert set(hub.history.kept) == set(agent.history.kept)
    for identity, kept in hub.history.kept.items():
        assert kept.readings == agent.history.kept[identity].readings
    assert len(hub.history.recorded) == len(set(hub.history.recorded))
    live = [update for update, late in hub.taken if not late and hasattr(update, "seq")]
    assert len({each.identity for each in live}) == len(live)  # type: ignore[union-attr]


# What is sent


async def test_the_present_goes_first_and_the_holes_follow_newest_first() -> None:
    _, hub, agent = make()
    line = Recorded(hub)
    agent.post = lost
    await agent.tick(900)
    await agent.turn()
    agent.post = line
    await agent.settle()
    first = [seqs(report)[0] for report in line.reports if report.frames]
    assert seqs(line.reports[0])[-1] == 900
    assert len(line.reports[0].frames) <= 60
    assert first == sorted(first, reverse=True)
    live = [update.seq for update, late in hub.taken if not late and hasattr(update, "seq")]
    assert live == sorted(live)
    assert live[-1] == 900


async def test_between_two_slices_of_a_hole_there_is_a_pause_and_the_present_is_not_late() -> None:
    _, _, agent = make()
    post, agent.post = agent.post, lost
    await agent.tick(3000)
    await agent.turn()
    agent.post = post
    waits = []
    for _ in range(8):
        waits.append(await agent.pusher.turn())
        await agent.clock.advance(waits[-1])
    assert all(wait == pytest.approx(0.2) for wait in waits)
    await agent.tick(10)
    await agent.pusher.turn()
    newest = max(seq for _, _, seq in agent.history.kept)
    assert agent.pusher.status.pending
    assert agent.pusher._ledger.has(agent.run, newest)


async def test_nothing_new_is_said_too_and_the_interval_is_kept() -> None:
    _, hub, agent = make()
    line = agent.post = Recorded(hub)
    await agent.tick(3)
    await agent.settle()
    count = len(line.bodies)
    assert await agent.turn() == pytest.approx(10.0, abs=0.01)
    assert len(line.bodies) == count + 1
    assert not line.reports[-1].frames


async def test_a_slice_is_bounded_by_bytes() -> None:
    _, hub, agent = make()
    line = agent.post = Recorded(hub)
    big = {f"net.receive:eth{number}": number for number in range(4000)}
    for seq in range(1, 41):
        made = frame(
            seq, run=agent.run, start=agent.clock.now() - 60_000, readings=big, full=True, intervals={"a": 1.0}
        )
        await agent.history.record(made, received=0)
    await agent.clock.advance(2)
    await agent.settle()
    assert max(sum(len(bytes(raw)) for raw in report.frames) for report in line.reports) <= PLAIN
    assert set(hub.history.kept) == set(agent.history.kept)


async def test_a_hub_that_finds_reports_too_large_gets_smaller_ones() -> None:
    _, hub, agent = make()

    async def narrow(body: bytes) -> Answer:
        if len(batch.inflate(body)) > 40_000:
            return Answer(413, b'{"error": "too large"}')
        return await hub.post(body)

    post, agent.post = agent.post, lost
    await agent.tick(600)
    await agent.turn()
    agent.post = narrow
    del post
    await agent.settle()
    assert set(hub.history.kept) == set(agent.history.kept)
    assert agent.pusher.status.lost == 0


async def test_frames_that_a_hub_never_takes_do_not_stand_in_the_way_of_others() -> None:
    _, hub, agent = make()

    async def picky(body: bytes) -> Answer:
        if 3 in seqs(decoded(body)):
            return Answer(400, b'{"error": "not this one"}')
        return await hub.post(body)

    agent.post = picky
    await agent.tick(5)
    await agent.turn()
    assert agent.pusher.status.state == "refused"
    await agent.settle()
    await agent.tick(10)
    await agent.settle()
    assert {seq for _, _, seq in hub.history.kept} >= set(range(6, 16))
    assert agent.pusher.status.lost == 5


async def test_a_frame_that_is_none_is_refused_alone() -> None:
    _, hub, agent = make()
    await agent.tick(4)
    bad = msgspec.structs.replace(agent.history.kept[HOST, agent.run, 2], monotonic=1 << 62)
    agent.history.kept[bad.identity] = bad
    await agent.turn()
    assert {seq for _, _, seq in hub.history.kept} == {1, 3, 4}
    assert "did not take 1 frames" in agent.pusher.status.problem
    assert agent.pusher.status.lost == 1
    await agent.tick(10)
    await agent.settle()
    assert agent.pusher.status.lost == 1


async def test_frames_too_old_for_the_hub_are_not_sent() -> None:
    _, hub, agent = make()
    hub.retention = 1000.0
    hub.restart()
    post, agent.post = agent.post, lost
    await agent.tick(2000)
    await agent.turn()
    agent.post = post
    await agent.settle()
    newest = max(each.time for each in agent.history.kept.values())
    oldest = min(each.time for each in hub.history.kept.values())
    assert newest - 1_000_000 <= oldest <= newest - 870_000


async def test_what_the_hub_trims_is_not_sent_again() -> None:
    _, hub, agent = make()
    await agent.tick(100)
    await agent.settle()
    for seq in range(1, 51):
        del hub.history.kept[HOST, agent.run, seq]
    await agent.tick(10)
    await agent.settle()
    assert min(seq for _, _, seq in hub.history.kept) == 51


async def test_metrics_travel_once_and_again_to_a_hub_that_does_not_know_them() -> None:
    _, hub, agent = make()
    line = agent.post = Recorded(hub)
    await agent.tick(2)
    await agent.settle()
    await agent.turn()
    assert [bool(report.metrics) for report in line.reports] == [True, False]
    hub.restart()
    await agent.tick(2)
    await agent.settle()
    assert [bool(report.metrics) for report in line.reports][2:4] == [False, True]


async def test_tables_of_the_present_travel_when_they_changed() -> None:
    _, hub, agent = make()
    agent.tables = Tables(interfaces=[InterfaceRow(name="eth0")], processes=[ProcessRow(pid=1, name="init")])
    await agent.tick(5)
    agent.reads = {"processes": 77}
    reader = msgspec.structs.replace(agent.history.kept[HOST, agent.run, 4], reads={"processes": 77})
    agent.history.kept[reader.identity] = reader
    await agent.settle()
    given = {each.seq: each.tables for each in hub.frames()}
    assert given[4].processes == [ProcessRow(pid=1, name="init")]
    assert given[5].interfaces == [InterfaceRow(name="eth0")]
    await agent.tick(5)
    await agent.settle()
    assert all(each.tables == Tables() for each in hub.frames() if each.seq > 5)


async def test_who_was_busiest_travels_only_where_no_processes_do() -> None:
    _, hub, agent = make()
    line = agent.post = Recorded(hub)
    asked: list[int] = []

    async def evidence(host: str, time: int) -> Evidence | None:
        asked.append(time)
        return Evidence(host=host, time=time // 30_000 * 30_000, processes=[ProcessRow(pid=1, name="init")])

    agent.history.evidence = evidence  # type: ignore[method-assign]
    agent.tables = Tables(processes=[ProcessRow(pid=1, name="init")])
    await agent.tick(60)
    agent.reads = {"processes": 77}
    reader = msgspec.structs.replace(agent.history.kept[HOST, agent.run, 60], reads={"processes": 77})
    agent.history.kept[reader.identity] = reader
    await agent.settle()
    await agent.tick(40)
    await agent.settle()
    assert any(each.tables.processes for each in hub.frames())
    given = [bool(report.evidence) for report in line.reports if report.frames]
    # Those of the past are without tables; the hub sees who is busy in those of the present.
    assert given[-1] is False
    assert not asked or max(asked) < reader.time
    agent.tables = Tables()
    await agent.tick(200)
    await agent.settle()
    assert [bool(report.evidence) for report in line.reports if report.frames][-1] is True


async def test_events_travel_once_and_alerts_never() -> None:
    _, hub, agent = make()
    await agent.tick(3)
    at = agent.clock.now()
    agent.history.events_kept += [
        Event(id="boot", time=at, host=HOST, kind="boot", severity="warning", message="rebooted"),
        Event(id="fire", time=at, host=HOST, kind="alert.firing", message="hot"),
    ]
    await agent.settle()
    await agent.tick(10)
    await agent.settle()
    hub.restart()
    await agent.tick(10)
    await agent.settle()
    assert [event.id for event in hub.history.events_kept] == ["boot"]


# What goes wrong


@pytest.mark.parametrize(
    ("status", "words"),
    [(401, "token"), (403, "may not"), (404, "--record"), (409, "HTTP 409"), (400, "HTTP 400"), (405, "HTTP 405")],
)
async def test_a_refusal_is_told_and_asked_about_seldom_without_frames(status: int, words: str) -> None:
    _, hub, agent = make()
    line = agent.post = Recorded(hub)
    line.answers = [Answer(status, b"")] * 3
    await agent.tick(5)
    waits = [await agent.turn() for _ in range(3)]
    assert min(waits) >= 10
    assert words in agent.told[-1].problem
    assert agent.told[-1].state == "refused"
    assert len(agent.told) == 1
    assert [len(report.frames) for report in line.reports] == [5, 0, 0]


async def test_a_token_that_cannot_be_had_is_told() -> None:
    async def without(body: bytes) -> Answer:
        raise Unauthorized("https://hub:8200: token file x does not exist")

    _, _, agent = make()
    agent.post = without
    await agent.tick(1)
    assert await agent.turn() >= 10
    assert "does not exist" in agent.pusher.status.line()


async def test_a_busy_hub_is_given_the_time_that_it_asks_for() -> None:
    _, hub, agent = make()
    line = agent.post = Recorded(hub)
    line.answers = [Answer(503, b'{"error": "busy", "hint": ""}', 37.0), Answer(429, b"", 10**9)]
    await agent.tick(1)
    assert await agent.turn() >= 37
    assert agent.pusher.status.problem == "https://hub:8200: busy"
    assert 900 <= await agent.turn() <= 960


async def test_attempts_are_made_seldomer_while_nobody_answers() -> None:
    _, _, agent = make()
    agent.post = lost
    await agent.tick(1)
    waits = [await agent.turn() for _ in range(12)]
    assert max(waits) <= 60
    assert max(waits[6:]) > 10
    assert agent.told[-1].state == "unreachable"
    assert len(agent.told) == 1


async def test_an_answer_to_another_report_acknowledges_nothing() -> None:
    _, hub, agent = make()
    line = agent.post = Recorded(hub)
    await agent.tick(1)
    await agent.settle()
    stale = await hub.post(line.bodies[-1])
    await agent.tick(10)
    line.answers = [stale]
    await agent.turn()
    assert "another batch" in agent.pusher.status.problem
    assert len(hub.history.kept) == 1
    await agent.settle()
    assert len(hub.history.kept) == 11


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b'{"acknowledged":"x"}', b"\xff"])
async def test_an_answer_that_is_none_is_told(body: bytes) -> None:
    _, hub, agent = make()
    line = agent.post = Recorded(hub)
    line.answers = [Answer(200, body)]
    await agent.tick(1)
    await agent.turn()
    assert "answer to a report" in agent.pusher.status.problem
    await agent.settle()


async def test_a_history_that_does_not_answer_is_told_and_asked_again() -> None:
    _, hub, agent = make()
    await agent.tick(2)
    agent.history.broken = StoreError("locked")
    assert await agent.turn() <= 10
    assert "locked" in agent.pusher.status.problem
    agent.history.broken = None
    await agent.settle()
    assert len(hub.history.kept) == 2


# Without a history


async def test_without_a_history_frames_wait_in_memory_and_are_let_go_when_taken() -> None:
    _, hub, agent = make(record=False)
    post, agent.post = agent.post, lost
    await agent.tick(120)
    await agent.turn()
    assert len(agent.ring) == 120
    agent.post = post
    await agent.settle()
    assert len(hub.history.kept) == 120
    assert len(agent.ring) == 0


async def test_what_falls_out_of_memory_is_said_as_lost_on_both_sides() -> None:
    _, hub, agent = make(record=False)
    await agent.tick(5)
    await agent.settle()
    post, agent.post = agent.post, lost
    agent.ring._limit = 5000
    await agent.tick(100)
    await agent.turn()
    fallen = agent.ring.lost
    assert fallen > 50
    agent.post = post
    await agent.settle()
    assert agent.pusher.status.lost == fallen
    gaps = [(gap.first, gap.last, gap.status) for gap in hub.told]  # type: ignore[union-attr]
    assert gaps == [(6, 5 + fallen, "lost")]
    assert f"{fallen} frames were lost" in agent.pusher.status.line()


async def test_memory_and_history_are_one_while_recording_begins() -> None:
    _, hub, agent = make(record=False)
    await agent.tick(3)
    agent.record = True
    await agent.tick(3)
    await agent.settle()
    assert sorted(seq for _, _, seq in hub.history.kept) == [1, 2, 3, 4, 5, 6]


def test_the_ring_is_bounded_and_its_spans_are_what_it_holds() -> None:
    ring = Ring(limit=3000)
    for seq in range(1, 200):
        ring.add(frame(seq, faults=[Fault("disk", "failed", "it failed")]))
    spans = ring.spans(HOST)
    assert [(span.first, span.last) for span in spans] == [(200 - len(ring), 199)]
    assert len(ring) + ring.lost == 199
    assert ring._bytes <= 3000
    taken = Ranges()
    taken.add(199)
    ring.let_go(lambda run, seq: seq in taken)
    assert ring.spans(HOST)[-1].last == 198


async def test_an_agent_of_hours_loads_no_more_than_a_slice(monkeypatch: pytest.MonkeyPatch) -> None:
    _, _, agent = make()
    post, agent.post = agent.post, lost
    await agent.tick(1500)
    await agent.turn()
    agent.post = post
    asked: list[int] = []
    frames = agent.history.frames

    async def counted(host: str, run: str, first: int, last: int) -> object:
        asked.append(last - first + 1)
        return await frames(host, run, first, last)

    monkeypatch.setattr(agent.history, "frames", counted)
    await agent.settle()
    assert max(asked) <= 200


def test_typing_of_the_fakes_is_that_of_the_real() -> None:
    agent: Agent = make()[2]
    assert agent.pusher.status.line() == "about to push to https://hub:8200"
