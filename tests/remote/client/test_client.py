"""A remote sysmon as a source: live, cut, frozen, restarted, lying."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from typing import TYPE_CHECKING

import msgspec
import pytest

from remote import wire
from remote.client.source import AgentSource
from remote.client.transport import Connections, Endpoint
from sysmon.errors import UsageError
from sysmon.frame import Frame, ProcessRow, Tables
from sysmon.records import AlertState, Event, Gap, Hello, HostInfo, Status
from tests.remote.peers import FAST, QUICK, chunked, hello, peer, send, watching
from tests.remote.support import HOST, OTHER, RUN, T0, MemoryHistory, frame, make_feed, served

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.anyio


async def test_hello_host_state_and_frames_in_order() -> None:
    feed = make_feed(heartbeat=0.05)
    feed.publish(frame(1))
    async with served(feed, MemoryHistory()) as server:
        async with watching(AgentSource(server.url, name="www", patience=QUICK)) as seen:
            await seen.until(lambda: seen.of(Frame))
            for seq in range(2, 6):
                feed.publish(frame(seq))
            await seen.until(lambda: seen.frames == [2, 3, 4, 5])
            kinds = [type(update).__name__ for update in seen.seen if not isinstance(update, Status)]
            assert kinds[:4] == ["Hello", "HostInfo", "Frame", "Frame"]
            (first, *_) = seen.of(Status)
            assert (first.host, first.state, first.target) == ("", "connecting", server.url)
            assert seen.of(HostInfo)[0] == HostInfo(
                id=HOST, hostname="web", name="www", timezone="UTC", target=server.url
            )
            state = seen.of(Frame)[0]
            assert (state.seq, state.full) == (0, True)
            greeting = seen.of(Hello)[0]
            assert {metric.name for metric in greeting.metrics} >= {"net.receive_rate", "load.1"}
            await seen.until(lambda: seen.of(Status)[-1].state == "live")
            assert seen.source.skew is not None
            assert abs(seen.source.skew) < 2000
            assert not any(seen.lateness.values())


async def test_tables_come_when_asked_for_and_asking_again_reconnects() -> None:
    feed = make_feed()
    rows = Tables(processes=[ProcessRow(pid=1)])
    async with served(feed) as server, watching(AgentSource(server.url, patience=QUICK)) as seen:
        await seen.until(lambda: seen.of(Hello))
        feed.publish(frame(1, tables=rows))
        await seen.until(lambda: seen.frames == [1])
        assert seen.of(Frame)[0].tables == Tables()
        seen.source.ask(["processes"])
        await seen.until(lambda: len(seen.of(Hello)) == 2)
        assert feed.watched == {"processes"}
        feed.publish(frame(2, tables=rows))
        await seen.until(lambda: seen.frames == [1, 2])
        assert seen.of(Frame)[-1].tables == rows
        assert seen.source.faults == 0
        assert all(status.state in ("connecting", "live") for status in seen.of(Status))


async def test_a_short_cut_loses_and_repeats_nothing() -> None:
    feed = make_feed()
    async with served(feed) as server, watching(AgentSource(server.url, patience=QUICK)) as seen:
        await seen.until(lambda: seen.of(Hello))
        for seq in range(1, 6):
            feed.publish(frame(seq))
        await seen.until(lambda: seen.frames[-1:] == [5])
        for view in feed._views.values():
            for reader in list(view.readers):
                reader.drop("cut by the test")
        for seq in range(6, 11):
            feed.publish(frame(seq))
        await seen.until(lambda: len(seen.of(Hello)) == 2)
        feed.publish(frame(11))
        await seen.until(lambda: 11 in seen.frames)
        assert seen.frames == list(range(1, 12))
        late = [seq for (_, _, seq), late in seen.lateness.items() if late]
        assert late == [6, 7, 8, 9], "all but the newest of what was missed is older than the state that came first"


async def test_a_cut_longer_than_the_ring_is_told_as_a_gap() -> None:
    feed = make_feed(ring=2_000)
    async with served(feed) as server, watching(AgentSource(server.url, patience=QUICK)) as seen:
        await seen.until(lambda: seen.of(Hello))
        feed.publish(frame(1))
        await seen.until(lambda: seen.frames == [1])
        for view in feed._views.values():
            for reader in list(view.readers):
                reader.drop("cut by the test")
        for seq in range(2, 102):
            feed.publish(frame(seq))
        await seen.until(lambda: seen.of(Gap))
        gap = seen.of(Gap)[0]
        assert (gap.host, gap.run, gap.last, gap.status) == (HOST, RUN, 101, "pending")
        assert gap.first <= 2
        feed.publish(frame(102))
        await seen.until(lambda: seen.frames == [1, 102])


async def test_a_server_that_comes_back_as_another_run() -> None:
    feed = make_feed()
    async with served(feed) as server:
        source = AgentSource(server.url, patience=QUICK)
        async with watching(source) as seen:
            await seen.until(lambda: seen.of(Hello))
            feed.publish(frame(1, intervals=FAST))
            await seen.until(lambda: seen.frames == [1])
            await server.stop()
            await seen.until(lambda: seen.of(Status)[-1].state == "offline")
            assert "connection refused" in seen.of(Status)[-1].message
            again = make_feed()
            again.publish(frame(1, run="ee" * 8, start=T0 + 10_000))
            async with served(again, port=server.port):
                await seen.until(lambda: len(seen.of(Hello)) == 2)
                again.publish(frame(2, run="ee" * 8, start=T0 + 10_000))
                await seen.until(lambda: seen.frames == [1, 2])
                await seen.until(lambda: seen.of(Status)[-1].state == "live")
                assert seen.of(Frame)[-1].run == "ee" * 8
                assert seen.source.faults == 0


async def test_nobody_there_is_offline_with_the_reason_and_tried_again() -> None:
    async with peer(lambda reader, writer: asyncio.sleep(0)) as url:
        pass
    async with watching(AgentSource(url, patience=QUICK)) as seen:
        await seen.until(lambda: seen.of(Status)[-1:] and seen.of(Status)[-1].state == "offline")
        status = seen.of(Status)[-1]
        assert status.host == ""
        assert status.message == f"{url}: connection refused; is sysmon --agent or sysmon --record running there?"


FROZEN = """
import asyncio, sys
sys.path.insert(0, {root!r})
from tests.remote.support import frame, make_feed, served
async def main():
    feed = make_feed(heartbeat=0.1)
    async with served(feed) as server:
        print(server.port, flush=True)
        seq = 0
        while True:
            seq += 1
            feed.publish(frame(seq, intervals={{"network": 0.1}}, full=True))
            await asyncio.sleep(0.1)
asyncio.run(main())
"""


async def test_a_frozen_server_is_found_by_the_read_deadline(checkout: Path) -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", FROZEN.format(root=str(checkout)), stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    try:
        port = int(await process.stdout.readline())
        async with watching(AgentSource(f"http://127.0.0.1:{port}", patience=QUICK)) as seen:
            await seen.until(lambda: len(seen.frames) > 3)
            await seen.until(lambda: seen.of(Status)[-1].state == "live")
            os.kill(process.pid, signal.SIGSTOP)
            await seen.until(lambda: any("has been silent for 1 s" in status.message for status in seen.of(Status)))
            await seen.until(lambda: seen.of(Status)[-1].state == "offline")
            states = [status.state for status in seen.of(Status) if status.host]
            assert list(dict.fromkeys(states[states.index("live") :])) == ["live", "late", "stale", "offline"]
            os.kill(process.pid, signal.SIGCONT)
            await seen.until(lambda: seen.of(Status)[-1].state == "live")
            frames = seen.frames
            assert len(frames) == len(set(frames))
    finally:
        process.send_signal(signal.SIGCONT)
        process.kill()
        await process.wait()


async def test_events_alerts_and_a_hubs_judgement_are_handed_on() -> None:
    feed = make_feed()
    feed.publish(HostInfo(id=OTHER, hostname="db"))
    async with served(feed) as server, watching(AgentSource(server.url, patience=QUICK)) as seen:
        await seen.until(lambda: seen.of(Hello))
        event = Event(id="e1", time=T0, host=OTHER, kind="boot", message="started")
        alert = AlertState(host=HOST, rule="disk", key="fs.used:/", status="firing")
        feed.publish(event)
        feed.publish(alert)
        feed.publish(frame(1, host=OTHER))
        feed.publish(Status(host=OTHER, state="paused", message="by its owner"))
        await seen.until(lambda: any(status.state == "paused" for status in seen.of(Status)))
        assert seen.of(Event) == [event]
        assert seen.of(AlertState) == [alert]
        assert [info.hostname for info in seen.of(HostInfo)] == ["web", "db"]
        told = [status for status in seen.of(Status) if status.state == "paused"]
        assert [(status.host, status.message) for status in told] == [(OTHER, "by its owner")]


async def test_a_host_that_is_no_longer_served_is_said_to_be_gone() -> None:
    calls = 0

    async def change(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal calls
        calls += 1
        await send(writer, chunked(hello(HostInfo(id=HOST if calls == 1 else OTHER))), hold=calls > 1)

    async with peer(change) as url, watching(AgentSource(url, patience=QUICK)) as seen:
        await seen.until(lambda: any("no longer serves this host" in status.message for status in seen.of(Status)))
        assert [info.id for info in seen.of(HostInfo)] == [HOST, OTHER]


async def test_clock_skew_is_the_median_and_told() -> None:
    ahead = 7_200_000

    async def skewed(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        import time

        now = time.time_ns() // 1_000_000
        beats = [wire.encode_event(wire.Heartbeat(now + ahead + shift)) for shift in (0, 5, 900_000, 10)]
        good = frame(1, time=now + ahead)
        await send(writer, chunked(hello(time=now + ahead), *beats, wire.encode_event(good)))

    async with peer(skewed) as url, watching(AgentSource(url, patience=QUICK)) as seen:
        await seen.until(lambda: any(status.skew is not None and status.state == "live" for status in seen.of(Status)))
        skew = next(status.skew for status in seen.of(Status) if status.state == "live")
        assert skew is not None
        assert abs(skew - ahead) < 1500


async def test_over_a_unix_socket(tmp_path: Path) -> None:
    feed = make_feed()
    path = tmp_path / "s.sock"
    async with served(feed, uds=path), watching(AgentSource(f"unix://{path}", patience=QUICK)) as seen:
        await seen.until(lambda: seen.of(Hello))
        feed.publish(frame(1))
        await seen.until(lambda: seen.frames == [1])


async def test_a_slow_consumer_slows_the_source_and_loses_nothing() -> None:
    feed = make_feed()
    async with served(feed) as server:
        source = AgentSource(server.url)
        updates = source.updates()
        seqs = []
        async for update in updates:
            if isinstance(update, Hello):
                for seq in range(1, 301):
                    feed.publish(frame(seq))
                await asyncio.sleep(0.3)
                assert source._queue.qsize() <= 64
            if isinstance(update, Frame):
                seqs.append(update.seq)
                if update.seq == 300:
                    break
        await updates.aclose()  # type: ignore[attr-defined]
        await source.close()
    assert seqs == list(range(1, 301))


async def test_sources_share_connections_and_close_leaves_nothing_behind() -> None:
    feed = make_feed()
    shared = Connections()
    before = len(asyncio.all_tasks())
    async with served(feed) as server:
        sources = [AgentSource(server.url, connections=shared, patience=QUICK) for _ in range(5)]
        async with watching(sources[0]) as first, watching(sources[1]) as second:
            await first.until(lambda: first.of(Hello))
            await second.until(lambda: second.of(Hello))
            assert len(shared._clients) == 1
        await asyncio.sleep(0.05)
        assert feed.readers == 0
    await shared.close()
    await asyncio.sleep(0)
    assert len(asyncio.all_tasks()) == before


@pytest.mark.parametrize(
    ("target", "words"),
    [
        ("ftp://x", "write https://HOST:8200, ssh://USER@HOST"),
        ("http://", "is not a target"),
        ("http://a:99999", "is not a target"),
        ("http://user:pa55@a", "holds no user and no password"),
        ("http://a/path", "write http://a:8200"),
        ("ssh://-oProxyCommand=x", "is not a target"),
        ("ssh://ann:pa55@a", "holds no password"),
        ("other+http://a", "is not a target"),
        ("unix://relative/path", "names no socket"),
        ("web1", "is not a target"),
    ],
)
def test_what_is_no_target_is_said(target: str, words: str) -> None:
    with pytest.raises(UsageError) as caught:
        AgentSource(target)
    assert words in str(caught.value)
    assert "pa55" not in str(caught.value)


@pytest.mark.parametrize(
    ("target", "base"),
    [
        ("http://web", "http://web:8200"),
        ("http://[::1]:9", "http://[::1]:9"),
        ("http://10.0.0.1/", "http://10.0.0.1:8200"),
        ("https://a", "https://a:8200"),
        ("node+http://a", "http://a:9100"),
        ("netronome+https://a", "https://a:8200"),
        ("ssh://ann@a", "ann@a"),
        ("ssh://[fe80::1]:2222", "fe80::1"),
    ],
)
def test_targets(target: str, base: str) -> None:
    assert AgentSource(target).target.base == base


async def test_a_wait_ends_when_the_server_answers_on_another_connection() -> None:
    slow = msgspec.structs.replace(QUICK, first=0.05, most=60.0)
    connections = Connections()
    async with served(make_feed()) as server:
        port = server.port
    source = AgentSource(f"http://127.0.0.1:{port}", patience=slow, connections=connections)
    source._backoff.next = lambda *, offence=False: 60.0  # type: ignore[method-assign]
    async with watching(source) as seen:
        await seen.until(lambda: any(each.state == "offline" for each in seen.of(Status)))
        async with served(make_feed(), port=port):
            # Backfill, say, whose turn it is.
            await Endpoint(source.target, connections).get("/v1/hosts", deadline=5)
            await seen.until(lambda: seen.of(Hello))
    await connections.close()
