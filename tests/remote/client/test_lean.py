"""The client without httpx: it posts and asks over one connection that it keeps, and believes nobody."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import json
import zlib
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from remote.client import lean
from remote.client.lean import Endpoint
from remote.push import batch
from remote.push.report import ReportRoute
from remote.server.access import Access
from remote.server.tokens import TokenStore
from remote.target import Credentials, parse_target
from sysmon.clock import SystemClock
from sysmon.errors import MalformedInput, ProtocolMismatch, RemoteError, SysmonError, Unauthorized, Unreachable
from tests.remote.authorities import make_pair
from tests.remote.hubs import Hub, make
from tests.remote.peers import peer
from tests.remote.support import HOST, make_feed, served

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable
    from pathlib import Path

    from remote.push.batch import Answer

    Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]

pytestmark = pytest.mark.anyio


@contextlib.asynccontextmanager
async def endpoint(url: str, **known: str) -> AsyncIterator[Endpoint]:
    """A client of one server."""
    made = Endpoint(parse_target(url, Credentials(**known)))
    try:
        yield made
    finally:
        await made.close()


def saying(data: bytes) -> Handler:
    """A server that says the same whatever it is asked, and hangs up."""

    async def say(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(data)
        await writer.drain()

    return say


def answer(body: bytes, *headers: str, status: str = "200 OK", kind: str = "application/json") -> bytes:
    """A whole answer."""
    lines = [f"HTTP/1.1 {status}", f"content-type: {kind}", f"content-length: {len(body)}", *headers, "", ""]
    return "\r\n".join(lines).encode() + body


async def posted(url: str, body: bytes = b"x", deadline: float = 5.0, limit: int = 1000) -> Answer:
    """Posts once."""
    async with endpoint(url) as there:
        return await there.post("/v1/report", body, deadline=deadline, limit=limit)


async def test_what_is_posted_arrives_whole_and_the_answer_too() -> None:
    seen: list[bytes] = []

    async def keep(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.append(await reader.readexactly(1 << 20))
        writer.write(answer(b'{"a": 1}', "retry-after: 7", status="503 Busy"))
        await writer.drain()

    heads: list[str] = []
    body = bytes(range(256)) * 4096
    async with peer(keep, heads) as url:
        told = await posted(url, body)
    assert told == (503, b'{"a": 1}', 7.0)
    assert seen == [body]
    assert heads[0].startswith("POST /v1/report HTTP/1.1\r\n")
    assert f"host: {url.removeprefix('http://')}\r\n" in heads[0].lower()
    for line in ("content-encoding: gzip", "accept-encoding: gzip", "content-length: 1048576"):
        assert line in heads[0].lower()


async def test_one_connection_is_kept_and_another_made_where_it_was_closed_meanwhile() -> None:
    connections, requests = 0, 0

    async def twice(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections, requests
        connections += 1
        for turn in range(2):
            if turn:
                await reader.readuntil(b"\r\n\r\n")
            requests += 1
            writer.write(answer(b"{}"))

    async with peer(twice) as url, endpoint(url) as there:
        for _ in range(6):
            assert await there.get("/x", deadline=5.0) == b"{}"
    assert (connections, requests) == (3, 6)


async def test_a_kept_connection_that_breaks_under_a_request_is_replaced() -> None:
    heads: list[str] = []

    async def once(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(answer(b"{}"))
        await writer.drain()
        # It takes the next request, and hangs up on it.
        await reader.read(1)

    async with peer(once, heads) as url, endpoint(url) as there:
        for _ in range(3):
            assert await there.get("/x", deadline=5.0) == b"{}"
    assert len(heads) == 3


async def test_what_nobody_asked_for_is_not_taken_for_the_next_answer() -> None:
    async def more(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(answer(b'"right"') + answer(b'"wrong"'))
        await reader.read(1)

    async def later(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(answer(b'"right"'))
        await asyncio.sleep(0.05)
        writer.write(answer(b'"wrong"'))
        await reader.read(1)

    for way in (more, later):
        async with peer(way) as url, endpoint(url) as there:
            for _ in range(2):
                assert await there.get("/x", deadline=5.0) == b'"right"'
                await asyncio.sleep(0.1)


async def test_a_connection_that_lay_idle_for_long_is_not_trusted(monkeypatch: pytest.MonkeyPatch) -> None:
    heads: list[str] = []

    async def forget(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(answer(b"{}"))
        await asyncio.sleep(30)

    monkeypatch.setattr(lean, "KEPT_SECONDS", -1.0)
    async with peer(forget, heads) as url, endpoint(url) as there:
        for _ in range(2):
            assert await there.get("/x", deadline=5.0) == b"{}"
    assert len(heads) == 2


@pytest.mark.parametrize(
    ("data", "kind", "words"),
    [
        (b"", Unreachable, "broke the connection off"),
        (b"SSH-2.0-OpenSSH_9.6\r\n", MalformedInput, "does not speak HTTP"),
        (b"HTTP/1.1 200 OK\r\n" + b"a: b\r\n" * 200_000, MalformedInput, "does not speak HTTP"),
        (b"HTTP/1.1 100 Continue\r\n\r\n" * 100_000, MalformedInput, "does not speak HTTP"),
        (b"HTTP/1.1 101 Switching\r\nupgrade: x\r\n\r\n", MalformedInput, "does not speak HTTP"),
        (b"HTTP/1.1 200 OK\r\ncontent-length: x\r\n\r\n", MalformedInput, "does not speak HTTP"),
        (b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 9\r\n\r\n{}", Unreachable, "broke the"),
        (answer(b"x" * 2000), MalformedInput, "longer than 1000 bytes"),
        (answer(gzip.compress(b"x" * 2000), "content-encoding: gzip"), MalformedInput, "longer than 1000 bytes"),
        (answer(b"xx", "content-encoding: gzip"), MalformedInput, "compressed answer"),
        (answer(b"xx", "content-encoding: br"), ProtocolMismatch, "content-encoding br, which was not asked for"),
        (answer(b"", "location: https://login/", status="302 Found"), ProtocolMismatch, "redirects to 'login'"),
        (answer(b"", "location: //[", status="302 Found"), ProtocolMismatch, "redirects to"),
        (answer(b"<html>", kind="text/html"), ProtocolMismatch, "answers text/html where application/json is due"),
    ],
)
async def test_what_is_no_answer_is_told(data: bytes, kind: type[SysmonError], words: str) -> None:
    async with peer(saying(data)) as url:
        with pytest.raises(kind, match=words):
            await posted(url)


@pytest.mark.parametrize(
    ("data", "kind", "words"),
    [
        (answer(b'{"error":"gone","hint":"look"}', status="410 Gone"), RemoteError, "gone; look"),
        (answer(b"<html>", status="502 Bad", kind="text/html"), ProtocolMismatch, "answers HTTP 502"),
        (answer(b'{"error":"no"}', status="401 No"), Unauthorized, "no; `sysmon token new"),
    ],
)
async def test_what_is_refused_is_told(data: bytes, kind: type[SysmonError], words: str) -> None:
    async with peer(saying(data)) as url, endpoint(url) as there:
        with pytest.raises(kind, match=words):
            await there.get("/x", [("a b", "c&d")], deadline=5.0)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.binary(max_size=300)
    | st.binary(max_size=300).map(lambda data: b"HTTP/1.1 " + data)
    | st.binary(max_size=300).map(lambda data: b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n" + data)
)
def test_any_bytes_are_an_answer_or_a_fault_in_words(data: bytes) -> None:
    async def go() -> None:
        async with peer(saying(data)) as url:
            with contextlib.suppress(RemoteError, MalformedInput):
                await posted(url, deadline=2.0)

    async def plain(*_: object) -> bool:
        return False

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("remote.client.look.speaks_tls", plain)
        asyncio.run(go())


async def test_a_body_without_end_is_given_up_where_it_is_too_long() -> None:
    async def flood(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n\r\n")
        while True:
            writer.write(b" " * 10_000)
            await writer.drain()

    async with peer(flood) as url:
        with pytest.raises(MalformedInput, match="longer than 1000 bytes"):
            await posted(url)


async def test_a_bomb_is_given_up() -> None:
    bomb = zlib.compressobj(9, wbits=31)
    data = bomb.compress(b"\0" * (16 << 20)) + bomb.flush()
    async with peer(saying(answer(data, "content-encoding: gzip"))) as url:
        with pytest.raises(MalformedInput, match="swell"):
            await posted(url, limit=1 << 30)


@pytest.mark.parametrize("begin", [b"", b"HTTP/1.1 200 OK\r\n", answer(b"12345")[:-1]])
async def test_silence_ends_at_the_deadline(begin: bytes) -> None:
    async def hang(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(begin)
        await asyncio.sleep(30)

    async with peer(hang) as url:
        with pytest.raises(Unreachable, match=r"did not answer within 0\.3 s"):
            await posted(url, deadline=0.3)


async def test_a_server_that_takes_nothing_in_is_given_up_at_the_deadline() -> None:
    async def deaf(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(30)

    async with peer(deaf) as url:
        with pytest.raises(Unreachable, match=r"did not answer within 0\.5 s"):
            await posted(url, b"x" * (32 << 20), deadline=0.5)


async def test_an_answer_that_comes_before_all_was_sent_is_heard() -> None:
    async def early(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(answer(b'{"error":"too large"}', "connection: close", status="413 Large"))
        await writer.drain()
        await asyncio.sleep(0.2)

    async with peer(early) as url:
        told = await posted(url, b"x" * (8 << 20))
    assert told.status == 413


async def test_no_name_of_several_addresses_is_told_like_one(monkeypatch: pytest.MonkeyPatch) -> None:
    async def both(*given: object, **more: object) -> list[object]:
        import socket

        kind = (socket.SOCK_STREAM, socket.IPPROTO_TCP, "")
        return [(socket.AF_INET, *kind, ("127.0.0.1", 1)), (socket.AF_INET, *kind, ("127.0.0.2", 1))]

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", both)
    with pytest.raises(Unreachable, match="connection refused; is sysmon --agent or sysmon --record running"):
        await posted("http://several.invalid:1")


@pytest.mark.parametrize("way", ["http", "https", "unix"])
async def test_a_pusher_reports_to_a_real_hub(tmp_path: Path, way: str) -> None:
    store = TokenStore(tmp_path / "tokens.json")
    clock = SystemClock()
    _, secret = store.new("far", ("report",), clock.now())
    token = tmp_path / "token"
    token.write_text(secret)
    token.chmod(0o600)
    hub = Hub(clock)  # type: ignore[arg-type]
    pair = make_pair(tmp_path, "hub")
    tls = None
    if way == "https":
        from pathlib import Path as Given

        from remote.server.tls import given_tls

        tls = given_tls(Given(pair.cert), Given(pair.key), clock.now(), "")
    socket = tmp_path / "s" if way == "unix" else None
    routes = ReportRoute(hub.intake, clock).routes()
    async with served(make_feed(), hub.history, routes=routes, access=Access(store), tls=tls, uds=socket) as server:
        url = f"unix://{socket}" if socket else server.url
        known = {"fingerprint": pair.fingerprint} if tls else {}
        async with endpoint(url, token_file=str(token), **known) as there:
            _, _, agent = make()

            async def post(body: bytes) -> Answer:
                return await there.post(batch.PATH, body, deadline=5.0, limit=batch.MAX_ANSWER)

            agent.post = post
            await agent.tick(5)
            await agent.settle()
            assert agent.pusher.status.state == "pushing", agent.pusher.status
    assert sorted(seq for _, _, seq in hub.history.kept) == [1, 2, 3, 4, 5]
    assert {host for host, _, _ in hub.history.kept} == {HOST}


def test_it_is_told_where_a_proxy_answers_instead_of_the_hub() -> None:
    from remote.push.pusher import _said

    assert "is there a proxy in between?" in _said(batch.Answer(502, b"\n<html>"))
    assert json.loads(answer(b'{"error": "x"}').partition(b"\r\n\r\n")[2])
