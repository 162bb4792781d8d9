"""Peers that are too much, too new, or twice there: named plainly, at bounded cost, and nobody else is harmed."""

from __future__ import annotations

import asyncio
import json
import time
import tracemalloc
from typing import TYPE_CHECKING

import pytest

from remote import clean, wire
from remote.client.source import AgentSource
from remote.liveness import Patience
from sysmon.clock import ManualClock
from sysmon.frame import Frame
from sysmon.records import Event, Hello, HostInfo, RunSpan, Status
from tests.remote.peers import FAST, QUICK, chunked, hello, peer, send, watching
from tests.remote.support import HOST, OTHER, RUN, T0, frame, make_feed, served

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from tests.remote.peers import Watcher

pytestmark = pytest.mark.anyio

BOTH = (HostInfo(id=HOST, hostname="web"), HostInfo(id=OTHER, hostname="db"))


def saying(*events: bytes) -> Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]:
    """A peer that says this and holds the line."""

    async def say(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await send(writer, chunked(*events))

    return say


def of(seen: Watcher, host: str) -> list[Status]:
    """The statuses of a host."""
    return [status for status in seen.of(Status) if status.host == host]


def now() -> int:
    """Unix milliseconds."""
    return time.time_ns() // 1_000_000


async def test_ten_thousand_series_of_one_host_are_cut_and_the_other_goes_on() -> None:
    many = frame(1, intervals=FAST, readings={f"m:{n}": n for n in range(10_000)})
    events = [wire.encode_event(many), wire.encode_event(frame(1, host=OTHER, intervals=FAST))]
    async with peer(saying(hello(*BOTH, time=now()), *events)) as url:
        async with watching(AgentSource(url, patience=QUICK)) as seen:
            await seen.until(lambda: any(status.state == "live" for status in of(seen, OTHER)))
            got = {update.host: update for update in seen.of(Frame)}
            assert len(got[HOST].readings) == clean.MAX_SERIES
            live = [status for status in of(seen, HOST) if status.state == "live"]
            assert live[-1].message == "it has more than 8000 series; the rest is left out"
            assert of(seen, OTHER)[-1].message == ""
            assert seen.source.faults == 0


async def test_a_host_whose_clock_is_centuries_ahead_is_named_and_the_other_goes_on() -> None:
    far = [wire.encode_event(frame(seq, time=now() + 900 * 86_400_000)) for seq in (1, 2)]
    events = [*far, wire.encode_event(frame(1, host=OTHER, intervals=FAST))]
    async with peer(saying(hello(*BOTH, time=now()), *events)) as url:
        async with watching(AgentSource(url, patience=QUICK)) as seen:
            await seen.until(lambda: any("more than 400 days in the future" in each.message for each in of(seen, HOST)))
            await seen.until(lambda: any(status.state == "live" for status in of(seen, OTHER)))
            assert {update.host for update in seen.of(Frame)} == {OTHER}
            assert seen.source.connected.is_set()


async def test_a_clock_a_day_off_is_live_and_said_in_words() -> None:
    ahead = now() + 86_400_000
    events = [wire.encode_event(wire.Heartbeat(ahead)), wire.encode_event(frame(1, time=ahead, intervals=FAST))]
    async with peer(saying(hello(time=ahead), *events)) as url, watching(AgentSource(url, patience=QUICK)) as seen:
        await seen.until(lambda: any(status.state == "live" for status in of(seen, HOST)))
        status = next(status for status in of(seen, HOST) if status.state == "live")
        assert status.message == "its clock is 1 day ahead"
        assert status.skew is not None
        assert abs(status.skew - 86_400_000) < 2000


async def test_a_hello_without_hosts_is_said() -> None:
    empty = json.loads(wire.encode_json(Hello(schema=1, version="1", server="ab", time=T0, hosts=[], metrics=[])))
    data = b"event: hello\ndata: " + json.dumps(empty).encode() + b"\n\n"
    async with peer(saying(data)) as url, watching(AgentSource(url, name="web", patience=QUICK)) as seen:
        await seen.until(lambda: any(each.message == "connected, but it serves no host" for each in seen.of(Status)))
        assert seen.of(Status)[-1].name == "web"


async def test_more_hosts_than_a_server_may_have_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wire, "MAX_HOSTS", 3)
    infos = [HostInfo(id=f"{number:016x}") for number in range(4)]
    async with peer(saying(hello(*infos))) as url, watching(AgentSource(url, patience=QUICK)) as seen:
        await seen.until(lambda: any("4 hosts and 0 metrics are more than" in each.message for each in seen.of(Status)))
    more = [wire.encode_event(info) for info in infos]
    async with peer(saying(hello(infos[0]), *more)) as url, watching(AgentSource(url, patience=QUICK)) as seen:
        await seen.until(lambda: any("has more than 3 hosts" in each.message for each in seen.of(Status)))
        assert len(seen.of(HostInfo)) <= 3 * (1 + seen.source.faults)


async def test_an_id_twice_in_one_hello_is_taken_once_and_said() -> None:
    twice = (HostInfo(id=HOST, hostname="first"), HostInfo(id=HOST, hostname="second"), BOTH[1])
    events = [wire.encode_event(frame(1, intervals=FAST)), wire.encode_event(frame(1, host=OTHER, intervals=FAST))]
    async with peer(saying(hello(*twice, time=now()), *events)) as url:
        async with watching(AgentSource(url, patience=QUICK)) as seen:
            await seen.until(lambda: any(each.state == "live" for each in of(seen, OTHER)))
            assert [info.hostname for info in seen.of(HostInfo)] == ["first", "db"]
            assert [info.hostname for info in seen.of(Hello)[0].hosts] == ["first", "db"]
            live = [status for status in of(seen, HOST) if status.state == "live"]
            assert live[-1].message == "its server names it twice; what it says of the second is left out"
            assert of(seen, OTHER)[-1].message == ""


@pytest.mark.parametrize(
    ("events", "words"),
    [
        ([frame(5), frame(4, monotonic=2_000_000_000_000)], "frame 4 comes after frame 5, of the same run"),
        ([frame(5), frame(5, monotonic=2_000_000_000_000)], "frame 5 is counted again, of the same run"),
        ([frame(9), *(frame(seq, start=T0 + 60_000) for seq in (1, 2))], "frame 1 comes after frame 9"),
    ],
)
async def test_numbers_that_go_backwards_are_told_with_the_run(events: list[Frame], words: str) -> None:
    encoded = [wire.encode_event(each) for each in events]
    async with peer(saying(hello(), *encoded)) as url, watching(AgentSource(url, patience=QUICK)) as seen:
        await seen.until(lambda: any(words in status.message for status in seen.of(Status)))
        assert any(f"run {RUN}: its numbers go backwards" in status.message for status in seen.of(Status))


@pytest.mark.parametrize(
    "data",
    [
        b'{"readings": {"load.1": NaN}}',
        b'{"host": "\xff\xfe"}',
        b'{"host": "a1b2c3d4e5f60718", "seq": 1e999}',
        b'{"host": "a1b2c3d4e5f60718", "time": 1234567890123456789012345678901234567890}',
        b"\x00" * 1000,
    ],
)
async def test_what_is_no_json_is_an_error_in_words(data: bytes) -> None:
    async with peer(saying(hello(), b"event: frame\ndata: " + data + b"\n\n")) as url:
        async with watching(AgentSource(url, patience=QUICK)) as seen:
            await seen.until(lambda: any(each.message.startswith(f"{url}: frame: ") for each in seen.of(Status)))
            assert all(each.message.isprintable() and len(each.message) < 500 for each in seen.of(Status))


async def test_a_frame_of_a_hundred_megabytes_is_given_up_before_it_fills_memory() -> None:
    sent = 0

    async def flood(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        writer.write(chunked(hello()) + b'event: frame\ndata: {"host": "')
        piece = b"x" * (1 << 20)
        for _ in range(100):
            writer.write(piece)
            await writer.drain()
            sent += len(piece)

    patience = Patience(deadline=5.0, first=5.0, most=5.0, tick=0.05)
    async with peer(flood) as url, watching(AgentSource(url, patience=patience)) as seen:
        tracemalloc.start()
        try:
            await seen.until(lambda: any("is longer than 16777216" in each.message for each in seen.of(Status)))
            assert all(url in each.message for each in seen.of(Status) if "is longer" in each.message)
            _, most = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert most < 80 << 20
        assert sent < 40 << 20


async def test_a_name_that_nobody_has_is_told_apart_from_a_host_that_refuses() -> None:
    async with watching(AgentSource("http://no-such-host.invalid:1", patience=QUICK)) as seen:
        await seen.until(lambda: seen.of(Status) and seen.of(Status)[-1].state == "offline")
        words = seen.of(Status)[-1].message
        assert "no-such-host.invalid" in words
        assert "refused" not in words
        assert "name" in words


# What is asked for


async def queries(answers: list[bytes], seconds: float, collectors: tuple[str, ...]) -> list[str]:
    """Lets a source ask a peer, which gives these answers, for fewer frames; returns the queries."""
    heads: list[str] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await send(writer, answers[len(heads) - 1])

    async with peer(answer, heads) as url:
        source = AgentSource(url, interval=seconds, collectors=collectors, patience=QUICK)
        async with watching(source) as seen:
            await seen.until(lambda: seen.frames == [1])
    return [head.split(" ", 2)[1].partition("?")[2] for head in heads]


def good() -> bytes:
    """What a sound server answers."""
    return chunked(hello(time=now()), wire.encode_event(frame(1, intervals=FAST)))


@pytest.mark.parametrize(
    ("seconds", "collectors", "query"),
    [
        (1.0, (), ""),
        (0.5, (), ""),
        (60.0, (), "interval=60"),
        (10.4, ("network", "cpu"), "interval=10&collectors=cpu%2Cnetwork"),
    ],
)
async def test_fewer_frames_and_collectors_are_asked_for(
    seconds: float, collectors: tuple[str, ...], query: str
) -> None:
    assert await queries([good()], seconds, collectors) == [query]


async def test_an_older_server_that_cannot_send_less_sends_everything() -> None:
    body = b'{"error": "\'interval\' is not a parameter of /v1/stream", "hint": ""}'
    refused = b"HTTP/1.1 400 Bad Request\r\nconnection: close\r\ncontent-length: %d\r\n\r\n" % len(body) + body
    assert await queries([refused, good()], 60.0, ()) == ["interval=60", ""]


# The states, against a real server


async def test_a_host_read_once_a_minute_is_live_between_its_frames_and_late_after_three() -> None:
    clock = ManualClock(now=T0)
    feed = make_feed(heartbeat=0.02)
    patience = Patience(deadline=5.0)
    async with served(feed) as server:
        source = AgentSource(server.url, interval=60.0, clock=clock, patience=patience)
        async with watching(source) as seen:
            await seen.until(lambda: seen.of(Hello))
            feed.publish(frame(1))
            await seen.until(lambda: of(seen, HOST) and of(seen, HOST)[-1].state == "live")
            for _ in range(17):
                await clock.advance(10)
                await asyncio.sleep(0.005)
            assert of(seen, HOST)[-1].state == "live"
            await clock.advance(15)
            await seen.until(lambda: of(seen, HOST)[-1].state == "late")
            feed.publish(frame(200))
            await seen.until(lambda: of(seen, HOST)[-1].state == "live")


async def test_a_line_that_is_back_is_not_blamed_for_frames_that_were_not_due() -> None:
    feed = make_feed(heartbeat=0.05)
    async with served(feed) as server, watching(AgentSource(server.url, patience=QUICK)) as seen:
        await seen.until(lambda: seen.of(Hello))
        feed.publish(frame(1, intervals=FAST))
        await seen.until(lambda: seen.frames == [1])
        await server.stop()
        await seen.until(lambda: of(seen, HOST)[-1].state == "offline")
        async with served(make_feed(heartbeat=0.05), port=server.port):
            await seen.until(lambda: any(each.message == "connected again, no frame yet" for each in of(seen, HOST)))
            waiting = next(each for each in of(seen, HOST) if each.message == "connected again, no frame yet")
            assert waiting.state == "connecting"
            await seen.until(lambda: of(seen, HOST)[-1].message == "connected, but frames have stopped")


async def test_what_a_hub_says_of_itself_comes_under_its_name() -> None:
    event = Event(id="e1", time=T0, host="", kind="network.lost", message="this side lost the network")
    async with peer(saying(hello(), wire.encode_event(event))) as url:
        async with watching(AgentSource(url, name="hub-1", patience=QUICK)) as seen:
            await seen.until(lambda: seen.of(Event))
            assert seen.of(Event)[0].message == "hub-1: this side lost the network"
            assert seen.of(Event)[0].host == ""


async def test_spans_and_metrics_of_an_older_hello_may_be_missing() -> None:
    bare = {"schema": 1, "version": "0", "server": "ab", "time": T0, "hosts": [{"id": HOST}], "metrics": []}
    good = wire.encode_event(frame(1, intervals=FAST))
    data = b"event: hello\ndata: " + json.dumps(bare).encode() + b"\n\n"
    async with peer(saying(data, good)) as url, watching(AgentSource(url, patience=QUICK)) as seen:
        await seen.until(lambda: seen.frames == [1])
        assert seen.of(Hello)[0].spans == list[RunSpan]()
