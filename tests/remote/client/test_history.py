"""The past of another sysmon: every answer the same over HTTP as from the history itself."""

from __future__ import annotations

import asyncio

import pytest

from remote.client.history import HttpHistory
from sysmon import answers
from sysmon.errors import ProtocolMismatch, RemoteError, StoreError, Unreachable, UsageError
from sysmon.frame import DeviceRow, ServiceRow
from sysmon.records import Event, HostInfo, KnownDevice, SeriesAnswer, SeriesQuery
from tests.remote.peers import peer
from tests.remote.support import HOST, RUN, T0, MemoryHistory, frame, make_feed, served

pytestmark = pytest.mark.anyio


def test_the_shape_for_people_is_read_back_exactly() -> None:
    history = MemoryHistory()
    query = SeriesQuery(host=HOST, metric="load.1", start=T0, end=T0 + 1)
    answer = asyncio.run(history.series(query))
    assert answers.series_answer(answers.history_answer(answer)) == answer
    assert answers.history_answer(SeriesAnswer(series=[])) == answers.HistoryAnswer(series=[])


@pytest.mark.parametrize("time", [0, 1, 999, 1_795_168_800_123, 4_102_444_800_999])
def test_times_are_read_back_to_the_millisecond(time: int) -> None:
    from sysmon.units import rfc3339

    assert answers.milliseconds(rfc3339(time)) == time


async def test_all_answers_are_those_of_the_history_behind() -> None:
    frames = [frame(seq) for seq in range(1, 50)]
    kept = MemoryHistory([HostInfo(id=HOST, hostname="web")], frames)
    kept.events_kept = [Event(id="e", time=T0, host=HOST, kind="boot", message="started")]
    row = DeviceRow(key="02:aa:bb:cc:dd:01", mac="02:aa:bb:cc:dd:01", name="tv", services=[ServiceRow("https", 5, 6)])
    kept.devices_kept = [KnownDevice(host=HOST, key=row.key, row=row, first=T0, last=T0 + 5, alias="telly")]
    kept.resets_kept = [T0 - 5, T0]
    async with served(make_feed(), kept) as server:
        history = HttpHistory(server.url)
        query = SeriesQuery(host=HOST, metric="net.receive_rate", start=T0 + 123, end=T0 + 60_000, points=60)
        assert await history.series(query) == await kept.series(query)
        assert kept.queries[0] == query
        assert await history.status() == await kept.status()
        assert (await history.hosts())[0].id == HOST
        assert await history.keys(HOST) == await kept.keys(HOST)
        for step in (-1, 0, 1):
            assert await history.moment(HOST, T0 + 5_500, step) == await kept.moment(HOST, T0 + 5_500, step)
        assert await history.moment(HOST, T0 - 1) is None
        assert await history.spans() == await kept.spans()
        assert await history.spans(HOST) == await kept.spans(HOST)
        assert await history.frames(HOST, RUN, 3, 20) == frames[2:20]
        assert await history.events(HOST, T0, T0 + 5, 7) == kept.events_kept
        assert await history.alerts() == []
        assert await history.evidence(HOST, T0) is None
        keys = ["net.receive:eth0", "net.receive:é /x"]
        assert await history.usage(HOST, T0, T0 + 9_999, "day", keys) == await kept.usage(
            HOST, T0, T0 + 9_999, "day", keys
        )
        assert await history.gaps(HOST, T0, T0 + 5) == await kept.gaps(HOST, T0, T0 + 5)
        assert await history.devices(HOST) == kept.devices_kept
        assert await history.resets(HOST) == kept.resets_kept
        with pytest.raises(UsageError):
            await history.frames(HOST, RUN, 1, 601)
        await history.close()


async def test_errors_keep_their_words_and_their_kind() -> None:
    kept = MemoryHistory([HostInfo(id=HOST, hostname="web")])
    async with served(make_feed(deadline=0.1), kept) as server:
        history = HttpHistory(server.url, deadline=2.0)
        with pytest.raises(RemoteError, match="'nobody' is not a host known here"):
            await history.keys("nobody")
        kept.broken = StoreError("history.db: disk I/O error", "look at the disk")
        with pytest.raises(StoreError, match="disk I/O error; look at the disk"):
            await history.events()
        kept.broken = None
        kept.delay = 1.0
        with pytest.raises(StoreError, match="did not answer in time"):
            await history.events()
    with pytest.raises(Unreachable, match="connection refused"):
        await history.status()
    await history.close()


LIES = [
    (b"<html>", "answers text/html"),
    (b"[]", "Expected `object`"),
    (b'{"path": 5}', r"at `\$.path`"),
    (b"[" * 100_000, "v1/status"),
    (b'{"path": "\xff"}', "v1/status"),
]


@pytest.mark.parametrize(("body", "words"), LIES)
async def test_a_lying_server_is_a_remote_error(body: bytes, words: str) -> None:
    async def lie(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        kind = b"text/html" if body == b"<html>" else b"application/json"
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: %s\r\ncontent-length: %d\r\n\r\n%s" % (kind, len(body), body))
        await writer.drain()

    async with peer(lie) as url:
        history = HttpHistory(url)
        with pytest.raises(ProtocolMismatch, match=words):
            await history.status()
        await history.close()


async def test_frames_that_were_not_asked_for_are_refused() -> None:
    from remote import wire

    async def lie(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        body = wire.encode_frame(frame(99)) + b"\n"
        writer.write(
            b"HTTP/1.1 200 OK\r\ncontent-type: application/x-ndjson\r\ncontent-length: %d\r\n\r\n" % len(body) + body
        )
        await writer.drain()

    async with peer(lie) as url:
        history = HttpHistory(url)
        with pytest.raises(ProtocolMismatch, match="was not asked for"):
            await history.frames(HOST, RUN, 1, 5)
        await history.close()


async def test_frames_of_a_far_future_do_not_cost_those_around_them() -> None:
    from remote import wire

    async def odd(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        frames = [frame(1), frame(2, time=T0 + 20_000 * 86_400_000), frame(3)]
        body = b"".join(wire.encode_frame(each) + b"\n" for each in frames)
        writer.write(
            b"HTTP/1.1 200 OK\r\ncontent-type: application/x-ndjson\r\ncontent-length: %d\r\n\r\n" % len(body) + body
        )
        await writer.drain()

    async with peer(odd) as url:
        history = HttpHistory(url)
        assert [each.seq for each in await history.frames(HOST, RUN, 1, 5)] == [1, 3]
        await history.close()


async def test_an_answer_that_never_ends_or_never_comes_meets_a_deadline() -> None:
    async def trickle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n\r\n[")
        while True:
            writer.write(b" ")
            await writer.drain()
            await asyncio.sleep(0.02)

    async with peer(trickle) as url:
        history = HttpHistory(url, deadline=0.3)
        with pytest.raises(Unreachable, match=r"did not answer within 0\.3 s"):
            await history.status()
        await history.close()


async def test_an_answer_that_is_too_large_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    from remote.client import answers

    monkeypatch.setattr(answers, "MAX_BODY", 100_000)

    async def flood(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n\r\n")
        while True:
            writer.write(b" " * 10_000)
            await writer.drain()

    async with peer(flood) as url:
        history = HttpHistory(url)
        with pytest.raises(ProtocolMismatch, match="longer than 100000 bytes"):
            await history.status()
        await history.close()


@pytest.mark.parametrize("wrong", ["[-1]", "[1e300]", "[253402300799001]", '["now"]', "{}"])
async def test_times_of_counting_periods_that_no_date_has_are_refused(wrong: str) -> None:
    async def lie(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = f"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {len(wrong)}\r\n\r\n"
        writer.write(head.encode() + wrong.encode())
        await writer.drain()

    async with peer(lie) as url:
        history = HttpHistory(url)
        with pytest.raises(ProtocolMismatch):
            await history.resets(HOST)
        with pytest.raises(ProtocolMismatch):
            await history.devices(HOST)
        await history.close()
