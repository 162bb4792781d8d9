"""Floods: what a host brings beyond what it can have made is left out and said, and nobody else waits."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from remote import clean, wire
from remote.client.source import AgentSource
from remote.liveness import Patience
from remote.pace import (
    EVENTS_BURST,
    FRAMES_BURST,
    RUNS_BURST,
    TOO_MANY_EVENTS,
    TOO_MANY_FRAMES,
    TOO_MANY_RUNS,
    HostPace,
    Newcomers,
    PeerPace,
)
from sysmon.allowance import Allowance
from sysmon.frame import Fault, FilesystemRow, ProcessRow, Tables
from sysmon.records import Event, HostInfo, Status
from tests.remote.peers import FAST, chunked, hello, peer, send, watching
from tests.remote.support import HOST, T0, frame

if TYPE_CHECKING:
    import asyncio

SECOND = 1_000_000_000


def test_an_allowance_is_a_burst_and_a_rate() -> None:
    allowance = Allowance(2.0, 10.0)
    assert sum(not allowance.take(1, 0) for _ in range(100)) == 10
    assert allowance.take(1, 0) == 0.5
    assert sum(not allowance.take(1, 3 * SECOND) for _ in range(100)) == 6
    # A clock that goes back gives nothing, and never more than the burst comes back.
    assert allowance.take(1, 0) > 0
    assert sum(not allowance.take(1, 10_000 * SECOND) for _ in range(100)) == 10
    assert allowance.owe(20, 10_000 * SECOND) == 10.0


def test_a_host_that_makes_a_frame_a_second_is_never_held_up() -> None:
    pace = HostPace()
    # What a reconnect brings at once, then two days.
    assert all(pace.frame(frame(seq), 0) for seq in range(1, 1_500))
    assert all(pace.frame(frame(1_500 + second), second * SECOND) for second in range(172_800))
    assert pace.words(172_800 * SECOND) == ""


def test_a_flood_of_frames_of_runs_and_of_events_ends_at_its_burst() -> None:
    now = 5 * SECOND
    pace = HostPace()
    assert sum(pace.frame(frame(seq), now) for seq in range(1, 20_000)) == FRAMES_BURST
    assert pace.words(now) == TOO_MANY_FRAMES
    assert pace.words(now + 61 * SECOND) == ""
    assert pace.frame(frame(20_000), now + SECOND)
    pace = HostPace()
    taken = [pace.frame(frame(1, run=f"{seq:016x}"), now) for seq in range(2_000)]
    assert sum(taken) == RUNS_BURST
    assert pace.frame(frame(2, run=f"{3:016x}"), now), "a run that is known goes on"
    assert pace.words(now) == TOO_MANY_RUNS
    pace = HostPace()
    assert sum(pace.frame(frame(seq, boot=f"boot{seq}"), now) for seq in range(1, 2_000)) == RUNS_BURST
    assert sum(pace.event(now) for _ in range(5_000)) == EVENTS_BURST
    assert TOO_MANY_EVENTS in pace.words(now)


def test_a_stream_is_read_as_fast_as_its_hosts_can_speak() -> None:
    pace = PeerPace()
    # A hub of 300 hosts that sends each its state, then a day at a frame of 20 KB a second of each.
    assert not any(pace.wait(60_000, 300, 0) for _ in range(300))
    for second in range(1, 3_600):
        assert not any(pace.wait(20_000, 300, second * SECOND) for _ in range(300))
    flood = PeerPace()
    waits = [flood.wait(1 << 23, 1, 0) for _ in range(10)]
    assert waits[7] == 0.0 < waits[8] < waits[9]
    small = PeerPace()
    assert max(small.wait(100, 1, 0) for _ in range(40_000)) > 100


def test_a_peer_that_brings_ever_new_hosts_brings_no_more_than_a_server_has() -> None:
    newcomers = Newcomers(100)
    assert sum(newcomers.admits(f"{turn}-{number}", turn * SECOND) for turn in range(60) for number in range(50)) == 100
    assert newcomers.admits("0-3", 0), "one that is known comes again"
    assert newcomers.admits("new", 200 * SECOND)


@pytest.mark.anyio
async def test_ever_new_hosts_in_greetings_are_left_out_and_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("remote.wire.MAX_HOSTS", 20)
    greetings = [
        hello(HostInfo(id=HOST), *(HostInfo(id=f"{turn:08x}{number:08x}") for number in range(15))) for turn in range(5)
    ]

    async def crowd(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await send(writer, chunked(*greetings, wire.encode_event(frame(1, intervals=FAST))))

    async with peer(crowd) as url, watching(AgentSource(url, patience=Patience(tick=0.05))) as seen:
        words = "it brings too many hosts; 15 are left out"
        await seen.until(lambda: any(words in status.message for status in seen.of(Status) if status.message))
        assert len({info.id for info in seen.of(HostInfo)}) == 20


def test_an_event_is_short() -> None:
    long = Event(
        id="e", time=T0, host=HOST, kind="oom", message="m" * 4_000, evidence=["x"] * 90_000, via=["v"] * 90_000
    )
    short = wire.short_event(long)
    assert (len(short.message), len(short.evidence), len(short.via)) == (2_000, 20, 64)
    assert wire.short_event(short) is short


def test_the_faults_of_a_frame_are_kept_as_far_as_they_can_be_true() -> None:
    faults = [Fault(f"c{number}", "failed", "m" * 4_000, "h" * 4_000) for number in range(900)]
    got = clean.Cleaner().frame(frame(1, faults=faults))
    assert sum(len(fault.message) + len(fault.hint) for fault in got.faults) <= clean.MAX_FAULT_TEXT + 200
    assert got.faults[-1].message == "it has more faults than can be; the rest is left out"
    usual = [Fault(f"c{number}", "failed", "m" * 100, "h" * 100) for number in range(60)]
    assert clean.Cleaner().frame(frame(1, faults=usual)).faults == usual


def test_tables_that_nobody_asked_for_are_dropped_before_they_cost_anything() -> None:
    rows = [ProcessRow(pid=number) for number in range(30_000)]
    sent = frame(1, tables=Tables(processes=rows, filesystems=[FilesystemRow(mount="/")]))
    cleaner = clean.Cleaner(tables=("filesystems",))
    got = cleaner.frame(sent)
    assert got.tables.processes is None
    assert got.tables.filesystems == [FilesystemRow(mount="/")]
    cleaner.wanted = ("processes",)
    assert len(cleaner.frame(sent).tables.processes or ()) == clean.MAX_ROWS


@pytest.mark.anyio
async def test_a_flood_of_frames_and_events_is_cut_and_said_and_the_rest_goes_on() -> None:
    frames = [wire.encode_event(frame(seq, intervals=FAST, full=True)) for seq in range(1, 6_000)]
    events = [
        wire.encode_event(Event(id=f"e{number}", time=T0, host=host, kind="oom"))
        for number in range(2_000)
        for host in (HOST, "")
    ]

    async def flood(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await send(writer, chunked(hello(), *frames, *events))

    async with peer(flood) as url, watching(AgentSource(url, patience=Patience(tick=0.05))) as seen:
        words = (TOO_MANY_FRAMES, TOO_MANY_EVENTS)
        await seen.until(
            lambda: any(all(word in status.message for word in words) for status in seen.of(Status) if status.message),
            seconds=30.0,
        )
        assert FRAMES_BURST <= len(seen.frames) <= FRAMES_BURST + 200
        assert len(seen.of(Event)) <= 2 * EVENTS_BURST + 10
        assert seen.source.faults == 0
