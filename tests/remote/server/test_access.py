"""Who may do what: every route with every scope over every way in, tokens in force, guesses slowed, limits."""

from __future__ import annotations

import asyncio
import json
import socket
from typing import TYPE_CHECKING, Any

import pytest
from starlette.responses import PlainTextResponse
from starlette.routing import Mount, Route

from remote.push.batch import MAX_BODY
from remote.server import access as accessing
from remote.server import gate, guard, permits
from remote.server.access import Access
from remote.server.app import build_app
from remote.server.gate import ADDRESSES, Failures
from remote.server.murmur import BURST, SECONDS, Murmur
from remote.server.permits import EVERYTHING, WRITES, RouteTable, authorize
from remote.server.routes import Routes
from remote.server.tls import own_tls
from remote.server.tokens import SCOPES, TokenStore
from sysmon.clock import ManualClock, SystemClock
from tests.remote.peers import Raw
from tests.remote.server.test_tls import client
from tests.remote.support import frame, make_feed, served

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from starlette.requests import Request
    from starlette.responses import Response

pytestmark = pytest.mark.anyio

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT", "BREW")
FAR = ("198.51.100.7", 40000)


async def taken(request: Request) -> Response:
    """Takes what is posted."""
    state = request.scope["state"]
    return PlainTextResponse(f"{len(await request.body())} {state['token']} {state['digest'][:8]}")


def hub_routes() -> list[Route]:
    """All that a hub may ever take."""
    return [Route(path, taken, methods=["POST"]) for path in WRITES]


@pytest.fixture
def store(tmp_path: Path) -> TokenStore:
    return TokenStore(tmp_path / "tokens.json")


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


class Caller:
    """An application called without a socket, so that it may come from anywhere."""

    def __init__(self, access: Access | None, routes: list[Route] | None = None, **more: Any) -> None:
        feed = make_feed()
        feed.publish(frame(1))
        self.app = build_app(feed, access=access, routes=routes or [], **more)
        self.cut = 0

    async def __call__(
        self,
        path: str,
        *headers: tuple[str, str],
        method: str = "GET",
        token: str = "",
        scheme: str = "https",
        server: tuple[str, int | None] = ("192.0.2.1", 8200),
        host: str = "192.0.2.1:8200",
        body: bytes = b"",
        came: tuple[str, int] = FAR,
    ) -> tuple[int, Any]:
        """Returns the status and the JSON, or the text, of the answer."""
        path, _, query = path.partition("?")
        given = [("host", host), *headers]
        if token:
            given.append(("authorization", f"Bearer {token}"))
        if body:
            given.append(("content-length", str(len(body))))
        scope = {
            "type": "http",
            "method": method,
            "path": path,
            "raw_path": path.encode(),
            "root_path": "",
            "query_string": query.encode("latin-1"),
            "headers": [(name.encode(), value.encode("latin-1")) for name, value in given],
            "server": server,
            "client": came,
            "scheme": scheme,
            "http_version": "1.1",
            "state": {"abort": self._abort},
        }
        sent = [{"type": "http.request", "body": body, "more_body": False}]
        answer: list[Any] = []

        async def receive() -> Any:
            if sent:
                return sent.pop()
            await asyncio.Event().wait()

        async def send(message: Any) -> None:
            answer.append(message)

        await self.app(scope, receive, send)
        data = b"".join(message.get("body", b"") for message in answer[1:])
        self.headers = {name.decode(): value.decode() for name, value in answer[0]["headers"]}
        kind = self.headers.get("content-type", "")
        return answer[0]["status"], json.loads(data) if data and kind == "application/json" else data.decode()

    def _abort(self) -> None:
        self.cut += 1


def unix() -> dict[str, Any]:
    """How a request over the Unix socket looks."""
    return {"scheme": "http", "server": ("/run/sysmon.sock", None), "came": ("", 0)}


def local() -> dict[str, Any]:
    """How one over loopback looks."""
    return {"scheme": "http", "server": ("127.0.0.1", 8200), "host": "127.0.0.1", "came": ("127.0.0.1", 5)}


# What is allowed


def agent_routes() -> list[Route]:
    return Routes(make_feed(), None, SystemClock()).routes()


def every() -> Iterator[tuple[str, str, frozenset[str]]]:
    table = RouteTable([*agent_routes(), *hub_routes()])
    for route in table.routes:
        for method in METHODS:
            for number in range(2 ** len(SCOPES)):
                yield method, route.path, frozenset(scope for at, scope in enumerate(SCOPES) if number >> at & 1)


def test_every_route_method_and_scope_is_decided_as_written_here() -> None:
    # Written out again, and not computed from the table: a slip there must show here.
    writes = {
        ("POST", "/v1/report"): "report",
        ("POST", "/v1/alerts/{id}/ack"): "ack",
        ("POST", "/v1/alerts/{id}/silence"): "ack",
    }
    own = {path: scope for (_, path), scope in writes.items()}
    seen = 0
    for method, path, scopes in every():
        if method in ("GET", "HEAD"):
            wanted = "read" in scopes or own.get(path) in scopes
        else:
            wanted = writes.get((method, path)) in scopes
        assert authorize(method, path, scopes) == wanted, (method, path, scopes)  # type: ignore[arg-type]
        seen += 1
    assert seen >= 8 * len(METHODS) * 15


def test_what_is_unknown_is_denied() -> None:
    for method in METHODS:
        assert not authorize(method, "/v1/hosts", frozenset())
        assert authorize(method, "/nowhere", EVERYTHING) == (method in ("GET", "HEAD"))


async def test_the_gate_answers_as_it_was_decided(store: TokenStore, clock: ManualClock) -> None:
    secrets = {scope: store.new(scope, (scope,), clock.now())[1] for scope in SCOPES}
    ask = Caller(Access(store, clock=clock), hub_routes())
    for path in ("/v1/hosts", "/v1/frame", "/healthz", "/v1/nothing"):
        for scope, secret in secrets.items():
            status, body = await ask(path, token=secret)
            assert status == ((404 if "nothing" in path else 200) if scope == "read" else 403), (path, scope)
            if scope == "report":
                assert body["error"] == "the token 'report' may report, and nothing else"
    for path, write in WRITES.items():
        for scope, secret in secrets.items():
            status, _ = await ask(path.replace("{id}", "7"), method="POST", token=secret, body=b"{}")
            assert status == (200 if scope == write.scope else 403), (path, scope)
    for method in set(METHODS) - {"GET", "HEAD", "POST"}:
        assert (await ask("/v1/report", method=method, token=secrets["report"]))[0] == 405


async def test_a_route_is_told_by_which_token_it_was_asked(store: TokenStore, clock: ManualClock) -> None:
    token, secret = store.new("web-1", ("report",), clock.now())
    ask = Caller(Access(store, clock=clock), hub_routes())
    told = (await ask("/v1/report", method="POST", token=secret, body=b"abc"))[1]
    assert told == f"3 web-1 {token.digest[:8]}"
    assert (await ask("/v1/report", method="POST", body=b"abc", **unix()))[1] == "3  "


async def test_no_route_of_an_agent_takes_anything(store: TokenStore, clock: ManualClock) -> None:
    _, secret = store.new("all", SCOPES, clock.now())
    ask = Caller(Access(store, clock=clock))
    paths = [path for _, path, _ in ask.app.state.table.verbs()]
    assert len(paths) > 12
    for path in [*paths, *(path.replace("{id}", "7") for path in WRITES)]:
        for method in set(METHODS) - {"GET", "HEAD"}:
            for way in ({"token": secret}, local(), unix()):
                status, body = await ask(path, method=method, **way)
                assert status == 405, (method, path)
                assert "read-only" in body["hint"]
    assert {method for method, _, _ in ask.app.state.table.verbs()} == {"GET"}


@pytest.mark.parametrize(
    "route",
    [
        Route("/v1/exec", taken, methods=["POST"]),
        Route("/v1/report", taken, methods=["PUT"]),
        Route("/v1/hosts", taken, methods=["GET", "DELETE"]),
        Mount("/files", routes=[]),
    ],
)
def test_a_route_that_changes_something_cannot_be_added_by_a_slip(route: Any) -> None:
    with pytest.raises(ValueError, match="route"):
        build_app(make_feed(), routes=[route])


def test_limits_of_the_table_are_those_of_the_routes() -> None:
    assert WRITES["/v1/report"].body == MAX_BODY
    assert {write.scope for write in WRITES.values()} <= set(SCOPES)
    assert permits.NOTHING == frozenset()


# By which way


async def test_over_tls_nothing_goes_without_a_token(store: TokenStore, clock: ManualClock) -> None:
    _, secret = store.new("hub", ("read",), clock.now())
    ask = Caller(Access(store, clock=clock))
    for path in ("/healthz", "/v1/hosts", "/v1/nothing", "/"):
        status, body = await ask(path)
        assert (status, body["error"]) == (401, "a token is needed here")
        assert "`sysmon token new NAME`" in body["hint"]
        assert ask.headers["www-authenticate"].startswith("Bearer")
    assert (await ask("/v1/hosts", **{**local(), "scheme": "https"}))[0] == 401
    assert (await ask("/v1/hosts", token=secret))[0] == 200


async def test_without_a_list_of_tokens_nobody_comes_in_over_tls() -> None:
    ask = Caller(None)
    assert (await ask("/v1/hosts"))[0] == 401
    assert (await ask("/v1/hosts", token="smt_" + "A" * 43))[0] == 401


async def test_loopback_reads_and_only_reads(store: TokenStore, clock: ManualClock) -> None:
    _, secret = store.new("web-1", ("report",), clock.now())
    ask = Caller(Access(store, clock=clock), hub_routes())
    assert (await ask("/v1/hosts", **local()))[0] == 200
    status, body = await ask("/v1/report", method="POST", body=b"{}", **local())
    assert (status, body["error"]) == (403, "without a token one may read, and nothing else")
    assert (await ask("/v1/report", method="POST", body=b"{}", token=secret, **local()))[0] == 200
    assert (await ask("/v1/hosts", token=secret, **local()))[0] == 200
    assert (await ask("/v1/hosts", token="smt_wrong", **local()))[0] == 401


async def test_loopback_can_be_made_to_want_a_token(store: TokenStore, clock: ManualClock) -> None:
    _, secret = store.new("web-1", ("report",), clock.now())
    ask = Caller(Access(store, clock=clock, require_token=True), hub_routes())
    assert (await ask("/v1/hosts", **local()))[0] == 401
    assert (await ask("/v1/hosts", token=secret, **local()))[0] == 403
    assert (await ask("/v1/hosts", **unix()))[0] == 200


async def test_this_users_own_programs_may_do_everything(store: TokenStore, clock: ManualClock) -> None:
    ask = Caller(Access(store, clock=clock), hub_routes())
    assert (await ask("/v1/hosts", **unix()))[0] == 200
    assert (await ask("/v1/report", method="POST", body=b"{}", **unix()))[0] == 200


async def test_plain_http_is_answered_on_loopback_alone(store: TokenStore, clock: ManualClock) -> None:
    _, secret = store.new("hub", ("read",), clock.now())
    ask = Caller(Access(store, clock=clock))
    status, body = await ask("/v1/hosts", scheme="http", token=secret)
    assert (status, body["error"], body["hint"]) == (403, "plain HTTP is answered on loopback only", "write https://")


# Tokens


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("/v1/hosts?token=SECRET", "a token in a URL is refused"),
        ("/v1/hosts?x=SECRET", "a token in a URL is refused"),
        ("/v1/hosts?apikey=abc", "'apikey' in a URL is refused"),
        ("/v1/hosts?api_key=abc", "'api_key' in a URL is refused"),
        ("/v1/hosts?ACCESS_TOKEN=abc", "'access_token' in a URL is refused"),
    ],
)
async def test_a_token_in_a_url_is_refused_over_every_way(store: TokenStore, path: str, words: str) -> None:
    _, secret = store.new("hub", ("read",), SystemClock().now())
    lines: list[str] = []
    ask = Caller(Access(store, say=lines.append))
    for way in ({}, {"token": secret}, local(), unix()):
        status, body = await ask(path.replace("SECRET", secret), **way)
        assert status == 400
        assert body["error"].startswith(words)
        assert "Authorization: Bearer TOKEN" in body["hint"]
        assert secret not in str(body) + str(lines)


async def test_the_header_of_netronome_is_taken_on_its_paths_alone(store: TokenStore, clock: ManualClock) -> None:
    _, secret = store.new("netronome", ("read",), clock.now())

    async def info(request: Request) -> Response:
        """What it is."""
        return PlainTextResponse("here")

    ask = Caller(Access(store, clock=clock), [Route("/system/info", info)])
    assert await ask("/system/info", ("x-api-key", secret)) == (200, "here")
    assert (await ask("/system/info", ("x-api-key", "wrong")))[0] == 401
    assert (await ask("/v1/hosts", ("x-api-key", secret)))[0] == 401
    assert (await ask("/system/info", ("x-api-key", secret), token=secret))[0] == 400


@pytest.mark.parametrize("header", ["Basic aHViOng=", "Bearer", "Bearer ", "smt_x", "", "Bearer \xff"])
async def test_a_header_that_is_no_token_is_refused(store: TokenStore, clock: ManualClock, header: str) -> None:
    store.new("hub", ("read",), clock.now())
    ask = Caller(Access(store, clock=clock))
    assert (await ask("/v1/hosts", ("authorization", header)))[0] == 401
    assert (await ask("/v1/hosts", ("authorization", header), **local()))[0] == 401


async def test_the_word_bearer_is_taken_as_it_is_written(store: TokenStore, clock: ManualClock) -> None:
    _, secret = store.new("hub", ("read",), clock.now())
    ask = Caller(Access(store, clock=clock))
    assert (await ask("/v1/hosts", ("authorization", f"bearer   {secret} ")))[0] == 200
    twice = [("authorization", f"Bearer {secret}")] * 2
    assert (await ask("/v1/hosts", *twice))[0] == 400


async def test_a_new_token_works_at_once_and_a_revoked_or_expired_one_says_so(
    store: TokenStore, clock: ManualClock
) -> None:
    ask = Caller(Access(store, clock=clock))
    _, hub = store.new("hub", ("read",), clock.now())
    _, brief = store.new("brief", ("read",), clock.now(), lifetime=60.0)
    assert (await ask("/v1/hosts", token=hub))[0] == 200
    assert (await ask("/v1/hosts", token=brief))[0] == 200
    clock.step_wall(60_000)
    status, body = await ask("/v1/hosts", token=brief)
    assert status == 401
    assert body["error"].startswith("the token 'brief' expired at")
    store.revoke("hub", clock.now())
    ask.app.state.access.look()
    status, body = await ask("/v1/hosts", token=hub)
    assert status == 401
    assert body["error"].startswith("the token 'hub' was revoked at")


async def test_a_list_that_others_could_have_written_lets_nobody_in(store: TokenStore, clock: ManualClock) -> None:
    _, secret = store.new("hub", ("read",), clock.now())
    lines: list[str] = []
    access = Access(store, clock=clock, say=lines.append)
    ask = Caller(access)
    store.path.chmod(0o666)
    access.look()
    access.look()
    assert (await ask("/v1/hosts", token=secret))[0] == 401
    assert not access.usable
    assert "open to others" in access.problem
    assert [line for line in lines if "no token is taken" in line] == [lines[0]]
    store.path.chmod(0o600)
    access.look()
    assert (await ask("/v1/hosts", token=secret))[0] == 200
    assert access.problem == ""


async def test_last_use_is_written_once_a_minute_and_at_the_end(
    store: TokenStore, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def at_once(work: Callable[[], None]) -> None:
        work()

    monkeypatch.setattr(asyncio, "to_thread", at_once)  # a thread knows nothing of this clock
    _, secret = store.new("hub", ("read",), clock.now())
    access = Access(store, clock=clock)
    ask = Caller(access)
    watch = asyncio.create_task(access.watch())
    await clock.advance(1.0)
    first = clock.now()
    await ask("/v1/hosts", token=secret)
    await clock.advance(1.0)
    assert store.tokens()[0].used == first
    await clock.advance(9.0)
    await ask("/v1/hosts", token=secret)
    second, before = clock.now(), store.stamp()
    await clock.advance(50.0)
    assert store.stamp() == before
    await clock.advance(1.0)
    assert store.tokens()[0].used == second
    await ask("/v1/hosts", token=secret)
    watch.cancel()
    await asyncio.gather(watch, return_exceptions=True)
    assert store.tokens()[0].used == clock.now()


# Guesses


def test_each_wrong_token_of_an_address_waits_longer_up_to_a_bound(clock: ManualClock) -> None:
    failures = Failures(clock)
    waits = []
    for _ in range(9):
        with failures.failed("192.0.2.1") as wait:
            waits.append(wait)
    assert waits == [0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 8.0, 8.0, 8.0]
    with failures.failed("192.0.2.2") as wait:
        assert wait == 0.25


async def test_an_address_is_forgotten_after_some_quiet(clock: ManualClock) -> None:
    failures = Failures(clock)
    for _ in range(5):
        with failures.failed("192.0.2.1"):
            pass
    await clock.advance(gate.FORGET + 1)
    with failures.failed("192.0.2.1") as wait:
        assert wait == 0.25


def test_the_table_of_addresses_is_bounded(clock: ManualClock) -> None:
    failures = Failures(clock)
    for number in range(ADDRESSES + 500):
        with failures.failed(str(number)):
            pass
    assert len(failures) == ADDRESSES


async def test_guessing_is_slowed_and_locks_out_nobody_who_knows(
    store: TokenStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gate, "FIRST_DELAY", 3600.0)
    monkeypatch.setattr(gate, "MOST_DELAY", 3600.0)
    _, secret = store.new("hub", ("read",), SystemClock().now())
    lines: list[str] = []
    ask = Caller(Access(store, say=lines.append))
    guesses = [asyncio.create_task(ask("/v1/hosts", token=f"smt_{number}")) for number in range(4)]
    await asyncio.sleep(0)
    status, body = await ask("/v1/hosts", token="smt_x")
    assert (status, body["error"]) == (429, "too many wrong tokens from here")
    assert ask.headers["retry-after"] == "3600"
    # The right token goes through from there and from elsewhere, while wrong ones wait for their answer.
    assert (await ask("/v1/hosts", token=secret))[0] == 200
    assert (await ask("/v1/hosts", token=secret, came=("203.0.113.9", 1)))[0] == 200
    other = asyncio.create_task(ask("/v1/hosts", token="smt_y", came=("203.0.113.9", 1)))
    await asyncio.sleep(0.01)
    assert not any(task.done() for task in (*guesses, other))
    for task in (*guesses, other):
        task.cancel()
    await asyncio.gather(*guesses, other, return_exceptions=True)
    assert lines
    assert all(
        line.startswith(("sysmon: 198.51.100.7 was refused", "sysmon: 203.0.113.9 was refused")) for line in lines
    )
    assert "smt_" not in str(lines)


async def test_a_wrong_token_is_answered_after_its_wait(store: TokenStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gate, "FIRST_DELAY", 0.01)
    ask = Caller(Access(store))
    status, body = await ask("/v1/hosts", token="smt_x")
    assert (status, body["error"]) == (401, "this token is not known here")


def test_ipv6_addresses_are_counted_by_network() -> None:
    from remote.server.addresses import address_key, is_loopback

    assert address_key(("2001:db8:1:2:3::4", 5)) == address_key(("2001:db8:1:2:ffff::1%eth0", 5)) == "2001:db8:1:2::/64"
    assert address_key(("::ffff:192.0.2.1", 5)) == address_key(("192.0.2.1", 5)) == "192.0.2.1"
    assert (address_key(None), address_key(("", 0)), address_key(("::1", 1))) == ("", "", "::1")
    assert is_loopback("127.8.9.1")
    assert is_loopback("::ffff:127.0.0.1")
    assert not is_loopback("::ffff:192.0.2.1")
    assert not is_loopback("localhost.evil.example")


# Limits


async def test_one_token_has_only_so_many_requests_open(
    store: TokenStore, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(accessing, "OPEN_PER_TOKEN", 2)
    _, hub = store.new("hub", ("read",), clock.now())
    _, other = store.new("other", ("read",), clock.now())
    ask = Caller(Access(store, clock=clock))
    streams = [asyncio.create_task(ask("/v1/stream", token=hub)) for _ in range(2)]
    await asyncio.sleep(0.01)
    status, body = await ask("/v1/hosts", token=hub)
    assert (status, body["error"]) == (429, "the token 'hub' has 2 requests open, the most allowed")
    assert ask.headers["retry-after"] == "5"
    assert (await ask("/v1/hosts", token=other))[0] == 200
    for stream in streams:
        stream.cancel()
    await asyncio.gather(*streams, return_exceptions=True)
    assert (await ask("/v1/hosts", token=hub))[0] == 200


async def test_one_address_has_only_so_many_requests_open(
    store: TokenStore, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(accessing, "OPEN_PER_ADDRESS", 1)
    _, hub = store.new("hub", ("read",), clock.now())
    ask = Caller(Access(store, clock=clock))
    stream = asyncio.create_task(ask("/v1/stream", token=hub))
    await asyncio.sleep(0.01)
    assert (await ask("/v1/hosts", token=hub))[0] == 429
    assert (await ask("/v1/hosts", token=hub, came=("203.0.113.9", 1)))[0] == 200
    stream.cancel()
    await asyncio.gather(stream, return_exceptions=True)


async def test_a_body_has_a_size_and_a_time(
    store: TokenStore, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    token, secret = store.new("web-1", ("ack",), clock.now())
    async with served(make_feed(), access=Access(store, clock=clock), clock=clock, routes=hub_routes()) as server:

        async def post(*lines: str, body: bytes = b"") -> tuple[int, Any]:
            reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
            connection = Raw(reader, writer)
            writer.write(b"")
            task = asyncio.create_task(
                connection.ask("/v1/alerts/1/ack", f"Authorization: Bearer {secret}", *lines, method="POST")
            )
            await asyncio.sleep(0)
            writer.write(body)
            async with asyncio.timeout(5):
                status, headers = await task
                data = await connection.body(headers)
            writer.close()
            return status, json.loads(data) if headers["content-type"] == "application/json" else data

        assert await post("Content-Length: 4", body=b"{  }") == (200, f"4 web-1 {token.digest[:8]}".encode())
        status, told = await post("Content-Length: 5000")
        assert (status, told["error"]) == (413, "a body of 5000 bytes is more than 4096")
        chunk = b"400\r\n" + b"x" * 1024 + b"\r\n"
        status, told = await post("Transfer-Encoding: chunked", body=chunk * 5 + b"0\r\n\r\n")
        assert (status, told["error"]) == (413, "/v1/alerts/1/ack: the body is larger than 4096 bytes")
        monkeypatch.setattr(guard, "BODY_SECONDS", 0.1)
        status, told = await post("Content-Length: 4", body=b"{")
        assert status == 408
        assert "did not arrive within 0.1 s" in told["error"]


# Pages in browsers


@pytest.mark.parametrize(
    "headers",
    [
        [("origin", "https://192.0.2.1:8200")],
        [("origin", "null")],
        [("sec-fetch-site", "cross-site")],
        [("sec-fetch-site", "same-site")],
    ],
)
async def test_a_web_page_is_refused_whatever_it_holds(
    store: TokenStore, clock: ManualClock, headers: list[tuple[str, str]]
) -> None:
    _, secret = store.new("all", SCOPES, clock.now())
    ask = Caller(Access(store, clock=clock), hub_routes())
    for way in ({"token": secret}, local(), unix()):
        status, body = await ask("/v1/hosts", *headers, **way)
        assert (status, body["error"]) == (403, "requests from web pages are refused")
        assert not any(name.startswith("access-control") for name in ask.headers)
    assert (await ask("/v1/report", *headers, method="POST", token=secret, body=b"{}"))[0] == 403
    assert (await ask("/v1/hosts", ("sec-fetch-site", "none"), **local()))[0] == 200


async def test_a_name_that_was_pointed_here_is_refused(
    store: TokenStore, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(socket, "gethostname", lambda: "db-1.lan")
    _, secret = store.new("hub", ("read",), clock.now())
    ask = Caller(Access(store, clock=clock), names=frozenset(("db-1.lan", "Status.Example.")))
    at_loopback = {key: value for key, value in local().items() if key != "host"}
    good = ["127.0.0.1", "127.0.0.1:8200", "localhost:8200", "[::1]:8200", "db-1.lan:1", "status.example", "DB-1.LAN."]
    for host in good:
        assert (await ask("/v1/hosts", host=host, **at_loopback))[0] == 200, host
    for host in ("evil.example", "127.0.0.1.evil.example", "db-1.evil.example", "192.0.2.1", "", "localhost.evil"):
        status, body = await ask("/v1/hosts", host=host, **at_loopback)
        assert status == 421, host
        assert "[agent] names" in body["hint"]
    # Over TLS, where nothing goes without a token: its own address, and its own name in whatever domain.
    for host in ("192.0.2.1:8200", "db-1.other.example:8200", "db-1"):
        assert (await ask("/v1/hosts", host=host, token=secret))[0] == 200, host
    for host in ("evil.example", "192.0.2.2", "db-12.lan"):
        assert (await ask("/v1/hosts", host=host, token=secret))[0] == 421, host


async def test_two_lengths_or_hosts_are_refused(store: TokenStore) -> None:
    ask = Caller(Access(store), hub_routes())
    assert (await ask("/v1/hosts", ("host", "localhost"), **local()))[0] == 400
    twice = [("content-length", "0"), ("content-length", "5")]
    assert (await ask("/v1/report", *twice, method="POST", **unix()))[0] == 400


# Over the wire


async def test_a_revoked_token_cuts_its_open_stream_and_no_other(tmp_path: Path) -> None:
    store = TokenStore(tmp_path / "tokens.json")
    clock = SystemClock()
    secrets = {name: store.new(name, ("read",), clock.now())[1] for name in ("hub", "other")}
    feed = make_feed(heartbeat=0.05)
    async with served(feed, access=Access(store), tls=own_tls(tmp_path, ["web-1"], clock.now())) as server:
        streams = {}
        for name, secret in secrets.items():
            reader, writer = await asyncio.open_connection("127.0.0.1", server.port, ssl=client())
            streams[name] = (Raw(reader, writer), writer)
            status, _ = await streams[name][0].ask("/v1/stream", f"Authorization: Bearer {secret}")
            assert status == 200
        store.revoke("hub", clock.now())
        with pytest.raises((OSError, EOFError)):
            async with asyncio.timeout(5):
                while True:
                    await streams["hub"][0].chunk()
        for _ in range(3):
            assert await streams["other"][0].chunk()
        assert feed.readers == 1
        for _, writer in streams.values():
            writer.transport.abort()


async def test_an_expired_token_is_cut_too(store: TokenStore, clock: ManualClock) -> None:
    _, secret = store.new("brief", ("read",), clock.now(), lifetime=60.0)
    access = Access(store, clock=clock)
    ask = Caller(access)
    stream = asyncio.create_task(ask("/v1/stream", token=secret))
    await asyncio.sleep(0.01)
    access.look()
    assert ask.cut == 0
    clock.step_wall(61_000)
    access.look()
    assert ask.cut == 1
    stream.cancel()
    await asyncio.gather(stream, return_exceptions=True)


# What is said of strangers


async def test_what_strangers_send_reaches_no_terminal_as_it_came(store: TokenStore) -> None:
    lines: list[str] = []
    murmur = Murmur(lines.append)
    murmur("sysmon: \x1b]0;owned\x07 \u202ereversed " + "x" * 1000)
    assert lines[0].startswith("sysmon: \ufffd]0;owned\ufffd \ufffdreversed xxx")
    assert not any(character in lines[0] for character in "\x1b\x07\u202e")
    assert len(lines[0]) <= 300


def test_a_flood_of_strangers_is_said_in_few_lines() -> None:
    now = [0.0]
    lines: list[str] = []
    murmur = Murmur(lines.append, lambda: now[0])
    for _ in range(1000):
        murmur("sysmon: 192.0.2.1 was refused")
    assert len(lines) == BURST
    now[0] = SECONDS
    murmur("sysmon: 192.0.2.1 was refused")
    assert lines[-1] == f"sysmon: 192.0.2.1 was refused (and {1000 - BURST} more like it that were not said)"
    assert len(lines) == BURST + 1
    Murmur(None)("nobody hears this")


async def test_a_fault_of_ours_is_logged_without_what_a_peer_wrote(
    store: TokenStore, caplog: pytest.LogCaptureFixture
) -> None:
    async def broken(request: Request) -> Response:
        """Fails."""
        raise KeyError("\x1b[2Jfrom a peer")

    ask = Caller(Access(store), [Route("/broken/{name}", broken)])
    with pytest.raises(KeyError):
        await ask("/broken/\x1b]0;owned\x07", **unix())
    said = caplog.text
    assert "KeyError" in said
    assert "\x1b" not in said
    assert "\x07" not in said
