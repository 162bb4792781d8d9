"""The server as its peers see it: real uvicorn on a port of 127.0.0.1 and on a Unix socket."""

from __future__ import annotations

import asyncio
import gzip
import json
import socket
import subprocess
import sys
import time
import zlib
from typing import Any

import pytest

from remote import wire
from remote.server import listen
from remote.sse import Parser, ServerEvent
from sysmon.errors import StoreError
from sysmon.frame import ConnectionRow, Frame, ProcessRow, Tables, TalkerRow
from sysmon.records import Event, HostInfo
from tests.remote.peers import Raw, raw
from tests.remote.support import BOOT, HOST, OTHER, RUN, T0, MemoryHistory, frame, make_feed, served

pytestmark = pytest.mark.anyio


async def get(port: int, path: str, *headers: str, **more: Any) -> tuple[int, Any, dict[str, str]]:
    """Asks once and decodes the answer."""
    async with raw(port) as connection:
        status, given = await connection.ask(path, *headers, **more)
        body = await connection.body(given)
    if given.get("content-encoding") == "gzip":
        body = gzip.decompress(body)
    return status, json.loads(body) if given["content-type"] == "application/json" else body, given


async def events(connection: Raw, parser: Parser, count: int, inflate: Any = None) -> list[ServerEvent]:
    """Reads events of a stream until there are `count`."""
    found: list[ServerEvent] = []
    while len(found) < count:
        data = await connection.chunk()
        found += [
            each for each in parser.feed(inflate.decompress(data) if inflate else data) if isinstance(each, ServerEvent)
        ]
    return found


async def test_a_stream_begins_with_hello_and_state_and_goes_on_live() -> None:
    feed = make_feed(heartbeat=0.05)
    feed.publish(frame(1))
    history = MemoryHistory([HostInfo(id=HOST)], [frame(1)])
    async with served(feed, history) as server, raw(server.port) as connection:
        status, headers = await connection.ask("/v1/stream")
        assert status == 200
        assert headers["content-type"].startswith("text/event-stream")
        assert headers["server"] == "sysmon"
        parser = Parser()
        hello, state = await events(connection, parser, 2)
        assert (hello.event, state.event) == ("hello", "state")
        spans = json.loads(hello.data)["spans"]
        assert spans == [
            {"host": HOST, "run": RUN, "boot": BOOT, "first": 1, "last": 1, "start": T0 + 1000, "end": T0 + 1000}
        ]
        assert parser.retry == 3000
        feed.publish(frame(2))
        (live,) = await events(connection, parser, 1)
        while live.event == "heartbeat":
            (live,) = await events(connection, parser, 1)
        assert (live.event, live.id) == ("frame", f"{feed.server}-2")
        (beat,) = await events(connection, parser, 1)
        assert beat.event == "heartbeat"
        assert abs(json.loads(beat.data)["time"] - time.time() * 1000) < 5000


async def test_compressed_streams_share_one_view_and_both_decode() -> None:
    feed = make_feed()
    async with served(feed) as server, raw(server.port) as first, raw(server.port) as second:
        for connection in (first, second):
            _, headers = await connection.ask("/v1/stream?tables=processes", "Accept-Encoding: gzip")
            assert headers["content-encoding"] == "gzip"
            feed.publish(frame(feed.arrival + 1, tables=Tables(processes=[ProcessRow(pid=1)])))
        assert feed.watched == {"processes"}
        feed.publish(frame(3))
        for connection, wanted in (
            (first, ["hello", "frame", "frame", "frame"]),
            (second, ["hello", "state", "frame", "frame"]),
        ):
            inflate = zlib.decompressobj(31)
            found = await events(connection, Parser(), 4, inflate)
            assert [event.event for event in found] == wanted
            assert json.loads(found[2].data)["tables"] == {"processes": [{"pid": 1}]}
    assert feed.watched == set()


async def test_a_reader_that_does_not_read_is_dropped_while_another_gets_all() -> None:
    feed = make_feed(queue=64 << 10)
    rows = Tables(processes=[ProcessRow(pid=pid, command="x" * 200) for pid in range(1, 200)])
    async with served(feed) as server, raw(server.port) as reading:
        stuck = socket.create_connection(("127.0.0.1", server.port))
        stuck.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        stuck.sendall(b"GET /v1/stream?tables=processes HTTP/1.1\r\nHost: localhost\r\n\r\n")
        await reading.ask("/v1/stream?tables=processes")
        parser = Parser()
        await events(reading, parser, 1)
        while feed.readers < 2:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        seqs = []
        for seq in range(1, 120):
            feed.publish(frame(seq, tables=rows))
            seqs += [json.loads(event.data)["seq"] for event in await events(reading, parser, 1)]
        assert seqs == list(range(1, 120))
        assert (feed.readers, feed.dropped) == (1, 1)
        # Cut, not merely closed: nothing of it is left in the server.
        stuck.settimeout(5)
        with pytest.raises(ConnectionResetError):
            while stuck.recv(1 << 16):
                pass
        stuck.close()


async def test_a_reader_that_leaves_its_answer_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listen, "WRITE_SECONDS", 0.3)
    frames = [frame(seq, readings={f"net.receive:{at}": seq for at in range(300)}) for seq in range(1, 601)]
    async with served(make_feed(), MemoryHistory([HostInfo(id=HOST)], frames)) as server:
        stuck = socket.socket()
        stuck.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        stuck.connect(("127.0.0.1", server.port))
        stuck.sendall(f"GET /v1/range?run={RUN}&first=1&last=600 HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        stuck.settimeout(0)
        async with asyncio.timeout(10):
            while (await get(server.port, "/healthz"))[0] != 200 or _alive(stuck):  # noqa: ASYNC110
                await asyncio.sleep(0.05)
        stuck.close()


def _alive(connection: socket.socket) -> bool:
    # Reset by the other side: what it sent and nobody took is gone with it.
    return connection.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == 0


async def test_last_event_id_brings_what_was_missed() -> None:
    feed = make_feed()
    for seq in range(1, 6):
        feed.publish(frame(seq))
    async with served(feed) as server, raw(server.port) as connection:
        await connection.ask("/v1/stream", f"Last-Event-ID: {feed.server}-3")
        found = await events(connection, Parser(), 4)
        assert [event.event for event in found] == ["hello", "state", "frame", "frame"]
        assert [json.loads(event.data)["seq"] for event in found[2:]] == [4, 5]


@pytest.mark.parametrize(
    ("path", "headers", "more", "status", "words"),
    [
        ("/v1/stream", (), {"method": "POST"}, 405, "read-only"),
        ("/v1/hosts", (), {"method": "DELETE"}, 405, "read-only"),
        ("/v1/hosts", (), {"method": "OPTIONS"}, 405, "read-only"),
        ("/v1/hosts", (), {"host": "evil.example"}, 421, "not a name of this server"),
        ("/v1/hosts", (), {"host": "127.0.0.1.evil.example:8200"}, 421, "not a name"),
        ("/v1/hosts", (), {"host": ""}, 421, "not a name"),
        ("/v1/hosts", ("Origin: http://localhost:8200",), {}, 403, "web pages"),
        ("/v1/hosts", ("Content-Length: 5",), {}, 413, "no body"),
        ("/v1/hosts", ("Transfer-Encoding: chunked",), {}, 413, "no body"),
        ("/v1/hosts?host=" + "x" * 5000, (), {}, 414, "longer than"),
        ("/v1/nothing", (), {}, 404, "not found"),
        ("/", (), {}, 404, "not found"),
        ("/v1/../etc/passwd", (), {}, 404, "not found"),
        ("/v1/stream?tables=proceses", (), {}, 400, "did you mean 'processes'"),
        ("/v1/stream?hosts=nobody", (), {}, 404, "not a host known here"),
        ("/v1/stream?table=processes", (), {}, 400, "did you mean 'tables'"),
        ("/v1/range?host=web", (), {}, 400, "'run' is missing"),
        (f"/v1/range?host=web&run={RUN}&first=1&last=601", (), {}, 400, "from 1 to 600"),
        (f"/v1/range?host=web&run={RUN}&first=0&last=6", (), {}, 400, "first '0' is not a whole number"),
        (f"/v1/range?host=web&run={RUN}&first=-1e3&last=6", (), {}, 400, "is not a whole number"),
        ("/v1/history?host=web", (), {}, 400, "'metric' is missing"),
        ("/v1/history?metric=load.1&host=web&points=100000", (), {}, 400, "from 1 to 5000"),
        ("/v1/history?metric=load.1&since=12:99", (), {}, 400, "is not a moment"),
        ("/v1/history?metric=load.1&since=2026-01-02&until=2026-01-01", (), {}, 400, "since is not before until"),
        ("/v1/history?metric=load.1&metric=load.5", (), {}, 400, "more than once"),
        ("/v1/history?metric=" + "a" * 401, (), {}, 400, "longer than 400"),
        ("/v1/frame?time=99999-01-01T00:00:00Z", (), {}, 400, "is not a moment"),
        ("/v1/frame?time=1969-01-01T00:00:00Z", (), {}, 400, "before 1970"),
        ("/v1/frame?time=2026-01-01T00:00:00Z&step=5", (), {}, 400, "from -1 to 1"),
        ("/v1/usage?step=week", (), {}, 400, "hour, day, month or year"),
        ("/v1/events?limit=0", (), {}, 400, "from 1 to 10000"),
        ("/healthz?x=1", (), {}, 400, "it takes none"),
    ],
)
async def test_what_is_not_allowed_is_said_as_json(
    path: str, headers: tuple[str, ...], more: dict[str, str], status: int, words: str
) -> None:
    async with served(make_feed(), MemoryHistory([HostInfo(id=HOST, hostname="web")])) as server:
        got, answer, given = await get(server.port, path, *headers, **more)
    assert got == status
    assert set(answer) == {"error", "hint"}
    assert words in answer["error"] + answer["hint"]
    assert "access-control-allow-origin" not in given
    assert given["server"] == "sysmon"


async def test_a_head_that_is_too_long_or_never_ends_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listen, "HEAD_SECONDS", 0.2)
    async with served(make_feed()) as server:
        async with raw(server.port) as connection:
            connection.writer.write(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nX: " + b"y" * 40_000)
            assert (await connection.reader.readline()).startswith(b"HTTP/1.1 400")
        async with raw(server.port) as connection:
            connection.writer.write(b"GET /healthz HTT")
            with pytest.raises((asyncio.IncompleteReadError, ConnectionError)):
                async with asyncio.timeout(5):
                    await connection.reader.readexactly(1)


async def test_head_answers_without_a_body_and_opens_no_stream() -> None:
    feed = make_feed()
    async with served(feed) as server, raw(server.port) as connection:
        status, headers = await connection.ask("/v1/stream", method="HEAD")
        assert (status, headers["content-type"].split(";")[0]) == (200, "text/event-stream")
        status, _ = await connection.ask("/healthz", method="HEAD")
        assert status == 200
        assert feed.readers == 0


async def test_range_gives_frames_as_lines() -> None:
    frames = [frame(seq) for seq in range(1, 701)]
    async with served(make_feed(), MemoryHistory([HostInfo(id=HOST, hostname="web")], frames)) as server:
        status, body, headers = await get(
            server.port, f"/v1/range?host=web&run={RUN}&first=50&last=649", "Accept-Encoding: gzip"
        )
        assert status == 200
        assert headers["content-type"] == "application/x-ndjson"
        got = [wire.decode_frame(line) for line in body.splitlines()]
        assert got == frames[49:649]
        status, none, _ = await get(server.port, f"/v1/range?host=web&run={RUN}&first=900&last=905")
        assert (status, none) == (200, b"")
        status, error, _ = await get(server.port, f"/v1/range?host=web&run={RUN[:-1]}0&first=1&last=5")
        assert (status, error["hint"]) == (404, f"did you mean '{RUN}'?")


async def test_ranges_are_throttled_and_answer_in_time() -> None:
    history = MemoryHistory([HostInfo(id=HOST, hostname="web")], [frame(1)])
    history.delay = 0.2
    async with served(make_feed(ranges=1, deadline=0.3), history) as server:
        path = f"/v1/range?host={HOST}&run={RUN}&first=1&last=1"
        answers = await asyncio.gather(*(get(server.port, path) for _ in range(3)))
    assert sorted(status for status, _, _ in answers) == [200, 200, 504]


async def test_history_in_the_shape_that_the_command_prints() -> None:
    history = MemoryHistory([HostInfo(id=HOST, hostname="web")])
    async with served(make_feed(), history) as server:
        span = "since=2026-11-20T10:00:00.123Z&until=2026-11-20T11:00:00Z"
        path = f"/v1/history?host=web&metric=net.receive_rate:eth0&{span}&points=7"
        status, answer, _ = await get(server.port, path)
    assert status == 200
    query = history.queries[0]
    assert (query.host, query.metric, query.instance, query.points) == (HOST, "net.receive_rate", "eth0", 7)
    assert (query.start, query.end) == (1_795_168_800_123, 1_795_172_400_000)
    assert answer["series"][0]["points"][0] == {
        "time": "2026-09-21T14:13:20.123Z",
        "count": 3,
        "min": 1.0,
        "mean": 2.0,
        "max": 3.0,
        "last": 2.5,
        "p95": 2.9,
    }
    assert answer["series"][0]["step"] == 1.5
    assert answer["gaps"] == [{"start": "2026-09-21T14:13:25Z", "end": "2026-09-21T14:13:29.001Z"}]


async def test_frame_now_and_then() -> None:
    feed = make_feed()
    history = MemoryHistory([HostInfo(id=HOST, hostname="web")], [frame(seq) for seq in range(1, 10)])
    async with served(feed, history) as server:
        status, answer, _ = await get(server.port, "/v1/frame?host=web")
        assert (status, answer["error"]) == (404, "no frame of that host has come in yet")
        feed.publish(frame(1))
        feed.publish(frame(2, readings={"net.receive:eth0": 5000}, reads={"network": frame(2).monotonic}))
        _, now, _ = await get(server.port, "/v1/frame")
        assert list(now) == ["host", "time", "boot", "run", "seq", "readings", "derived", "tables", "faults"]
        assert now["readings"] == {"net.receive:eth0": 5000, "load.1": 0.5}
        assert now["derived"] == {"net.receive_rate:eth0": 4000.0}
        assert now["time"] == (T0 + 2000) / 1000
        when = "2026-09-21T14:13:25.500Z"
        for step, seq in (("0", 5), ("1", 6), ("-1", 4)):
            _, then, _ = await get(server.port, f"/v1/frame?host=web&time={when}&step={step}")
            assert (then["seq"], then["derived"]) == (seq, {"net.receive_rate:eth0": 1000.0})
        status, _, _ = await get(server.port, "/v1/frame?host=web&time=2020-01-01T00:00:00Z")
        assert status == 404
        status, moment, _ = await get(server.port, "/v1/moment?host=web&time=2020-01-01T00:00:00Z")
        assert (status, moment) == (200, None)


async def test_a_frame_says_who_talks_to_whom_only_when_that_is_asked_for() -> None:
    feed = make_feed()
    async with served(feed, MemoryHistory([HostInfo(id=HOST, hostname="web")])) as server:
        for seq in (1, 2):
            tables = Tables(
                processes=[ProcessRow(pid=5, started=1.0, cpu_time=float(seq))],
                connections=[ConnectionRow(id=7, remote="192.0.2.7", received=1000 * seq, sent=0)],
                talkers=[TalkerRow(key="process:5:1.0", kind="process", received=1000 * seq)],
            )
            at = frame(seq).monotonic
            feed.publish(frame(seq, tables=tables, reads={"processes": at, "connections": at}))
        _, plain, _ = await get(server.port, "/v1/frame")
        assert list(plain["tables"]) == ["processes"]
        _, asked, _ = await get(server.port, "/v1/frame?tables=connections,talkers")
        assert asked["tables"]["connections"][0]["remote"] == "192.0.2.7"
        assert asked["tables"]["connections"][0]["receive_rate"] == 1000.0
        assert asked["tables"]["talkers"][0]["receive_rate"] == 1000.0
        status, answer, _ = await get(server.port, "/v1/frame?tables=conections")
        assert (status, answer["error"]) == (400, "'conections' is not a table") and "connections" in answer["hint"]


async def test_a_history_that_fails_is_said_and_the_stream_goes_on() -> None:
    feed = make_feed()
    history = MemoryHistory()
    history.broken = StoreError("history.db: disk I/O error", "look at the disk")
    async with served(feed, history) as server, raw(server.port) as connection:
        status, answer, headers = await get(server.port, "/v1/events")
        assert (status, answer) == (503, {"error": "history.db: disk I/O error", "hint": "look at the disk"})
        assert headers["retry-after"] == "5"
        status, _ = await connection.ask("/v1/stream")
        assert status == 200
        status, hosts, _ = await get(server.port, "/v1/hosts")
        assert [each["id"] for each in hosts["hosts"]] == [HOST]


async def test_a_bug_in_a_route_is_an_answer_not_a_traceback(caplog: pytest.LogCaptureFixture) -> None:
    history = MemoryHistory()
    history.broken = ZeroDivisionError("secret detail")  # type: ignore[assignment]
    async with served(make_feed(), history) as server:
        status, answer, _ = await get(server.port, "/v1/events")
        assert status == 500
        assert "secret" not in json.dumps(answer)
        assert "ZeroDivisionError" in caplog.text
        status, _, _ = await get(server.port, "/healthz")
        assert status == 200


async def test_without_a_history_the_rest_works() -> None:
    feed = make_feed()
    feed.publish(frame(1))
    async with served(feed) as server:
        for path, expected in (("/v1/frame", 200), ("/v1/hosts", 200), ("/v1/status", 200), ("/v1/alerts", 200)):
            status, _, _ = await get(server.port, path)
            assert status == expected
        status, answer, _ = await get(server.port, "/v1/keys")
        assert (status, answer["error"]) == (503, "this server keeps no history")


async def test_streams_beyond_the_limit_are_refused() -> None:
    feed = make_feed(streams=1)
    async with served(feed) as server, raw(server.port) as connection:
        await connection.ask("/v1/stream")
        await connection.chunk()
        status, answer, headers = await get(server.port, "/v1/stream")
        assert (status, headers["retry-after"]) == (503, "5")
        assert "the most allowed" in answer["error"]


async def test_shutdown_with_open_streams_is_quick_and_clean() -> None:
    feed = make_feed()
    async with served(feed) as server, raw(server.port) as connection:
        await connection.ask("/v1/stream")
        await connection.chunk()
        stuck = socket.create_connection(("127.0.0.1", server.port))
        stuck.sendall(b"GET /v1/str")
        before = time.monotonic()
        await server.stop()
        assert time.monotonic() - before < 6
        while await connection.chunk():
            pass
        stuck.close()
        with pytest.raises(OSError):
            socket.create_connection(("127.0.0.1", server.port), 1)


async def test_hosts_spans_usage_gaps_and_status() -> None:
    feed = make_feed()
    history = MemoryHistory([HostInfo(id=OTHER, name="old")], [frame(1), frame(2), frame(4)])
    history.events_kept = [Event(id="e", time=T0, host=HOST, kind="boot")]
    async with served(feed, history) as server:
        _, hosts, _ = await get(server.port, "/v1/hosts")
        assert [each["id"] for each in hosts["hosts"]] == [HOST, OTHER]
        _, spans, _ = await get(server.port, "/v1/spans?host=web")
        assert [(each["first"], each["last"]) for each in spans] == [(1, 2), (4, 4)]
        _, usage, _ = await get(server.port, "/v1/usage?host=old&key=net.receive:eth0&key=net.transmit:eth0&step=month")
        assert [each["key"] for each in usage] == ["net.receive:eth0", "net.transmit:eth0"]
        _, status, _ = await get(server.port, "/v1/status")
        assert status["recorder"] == "agent"
        _, kept, _ = await get(server.port, "/v1/events?limit=1")
        assert kept[0]["id"] == "e"
        _, gaps, _ = await get(server.port, "/v1/gaps?host=web&since=3h")
        assert len(gaps) == 1
        status_code, answer, _ = await get(server.port, "/v1/keys")
        assert (status_code, answer["error"]) == (400, "'host' is missing")


def test_the_server_loads_neither_the_client_nor_the_screen() -> None:
    code = (
        "import sys, remote.server.app, remote.server.feed\n"
        "import remote.client.source, remote.client.history, remote.client.backfill\n"
        "print([name for name in ('httpx', 'textual', 'rich', 'sqlite3', 'psutil') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_nothing_in_the_server_can_write() -> None:
    from remote.server.routes import Routes

    routes = Routes(make_feed(), None, None).routes()  # type: ignore[arg-type]
    assert {method for route in routes for method in route.methods or ()} == {"GET", "HEAD"}


async def test_frames_of_a_screen_and_of_the_wire_are_the_same() -> None:
    sent = frame(1)
    assert isinstance(wire.decode_event(ServerEvent("frame", wire.encode_frame(sent), "")), Frame)
