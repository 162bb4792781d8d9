"""Who is spoken to over TLS, what is never said to anybody else, and the words for each way in which that fails."""

from __future__ import annotations

import asyncio
import os
import ssl
from typing import TYPE_CHECKING

import pytest

from remote.client import lean, look
from remote.client.answers import check_kind
from remote.client.bearer import private
from remote.client.pin import context_of
from remote.client.transport import Connections, Endpoint
from remote.fingerprint import words
from remote.server.tls import tame_asyncio
from remote.target import Credentials, parse_target
from sysmon.errors import MalformedInput, ProtocolMismatch, RemoteError, Unauthorized, Unreachable, Untrusted
from tests.remote.authorities import DAY, Pair, make_pair, tls_server

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.anyio

TOKEN = "smt_" + "Ab1-" * 10 + "xyz"


@pytest.fixture
def pair(tmp_path: Path) -> Pair:
    """A server's own key, as an agent makes it."""
    return make_pair(tmp_path, "agent", names=("sysmon",))


def token_file(folder: Path, text: str = TOKEN, mode: int = 0o600) -> str:
    path = folder / "token"
    path.write_text(text + "\n")
    path.chmod(mode)
    return str(path)


@pytest.fixture(autouse=True, params=["httpx", "lean"])
def client(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both ways of asking say the same."""
    monkeypatch.setitem(WAY, "lean", request.param == "lean")


WAY = {"lean": False}


async def ask(url: str, **known: str) -> bytes:
    """One request; what it raises is what a user reads."""
    if WAY["lean"]:
        endpoint = lean.Endpoint(parse_target(url, Credentials(**known)))
        try:
            return await endpoint.get("/healthz", deadline=5.0)
        finally:
            await endpoint.close()
    connections = Connections()
    try:
        return await Endpoint(parse_target(url, Credentials(**known)), connections).get("/healthz", deadline=5.0)
    finally:
        await connections.close()


async def refused(url: str, kind: type[RemoteError] | type[MalformedInput], **known: str) -> str:
    with pytest.raises(kind) as caught:
        await ask(url, **known)
    assert TOKEN not in f"{caught.value} {caught.value!r} {caught.value.__cause__!r}"
    return str(caught.value)


async def test_a_pinned_key_is_enough(pair: Pair, tmp_path: Path) -> None:
    async with tls_server(pair) as server:
        body = await ask(server.url, fingerprint=pair.fingerprint, token_file=token_file(tmp_path))
        assert body == b'{"status":"ok"}'
        assert f"authorization: Bearer {TOKEN}\r\n".encode() in server.data


async def test_a_renewed_certificate_of_the_same_key_is_still_known(pair: Pair, tmp_path: Path) -> None:
    renewed = make_pair(tmp_path, "renewed", names=("other",), begin=-9 * DAY, end=-2 * DAY, secret=pair.secret)
    assert renewed.fingerprint == pair.fingerprint
    async with tls_server(renewed) as server:
        assert await ask(server.url, fingerprint=pair.fingerprint)


async def test_whoever_is_in_the_middle_is_told_nothing(pair: Pair, tmp_path: Path) -> None:
    other = make_pair(tmp_path, "middle", names=("sysmon", "127.0.0.1"))
    async with tls_server(other) as server:
        said = await refused(server.url, Untrusted, fingerprint=pair.fingerprint, token_file=token_file(tmp_path))
        assert words(pair.fingerprint) in said
        assert words(other.fingerprint) in said
        assert other.fingerprint in said
        assert "`sysmon hosts pin NAME`" in said
        # Let it take in whatever was sent before it is asked what that was.
        await asyncio.wait_for(look.look(parse_target(server.url)), 5)
        assert server.connections >= 2
        assert server.data == b""


async def test_a_pin_holds_for_everything_that_takes_the_context(pair: Pair, tmp_path: Path) -> None:
    other = make_pair(tmp_path, "middle")
    async with tls_server(other) as server:
        context = context_of(parse_target(server.url, Credentials(fingerprint=pair.fingerprint)))
        with pytest.raises(ssl.SSLError, match="not sha256:"):
            await asyncio.open_connection("127.0.0.1", server.port, ssl=context)

        def blocking() -> None:
            import socket

            with socket.create_connection(("127.0.0.1", server.port), 5) as raw:
                context.wrap_socket(raw, server_hostname="127.0.0.1")

        with pytest.raises(ssl.SSLError, match="not sha256:"):
            await asyncio.to_thread(blocking)
        assert server.data == b""


async def test_https_without_a_pin_or_an_authority_is_not_even_connected_to(pair: Pair) -> None:
    async with tls_server(pair) as server:
        said = await refused(server.url, Untrusted)
        assert f"`sysmon hosts add NAME {server.url}`" in said
        assert "`sysmon hosts pin NAME`" in said
        assert server.connections == 0


async def test_an_authority_vouches_for_a_name(tmp_path: Path) -> None:
    authority = make_pair(tmp_path, "authority", authority=True)
    good = make_pair(tmp_path, "good", issuer=authority)
    async with tls_server(good) as server:
        assert await ask(server.url, ca=authority.cert)
        assert await ask(server.url, ca=authority.cert, fingerprint=good.fingerprint)
        assert "wrong key" in await refused(server.url, Untrusted, ca=authority.cert, fingerprint=authority.fingerprint)
        assert "no authority that the system knows" in await refused(server.url, Untrusted, ca="system")


@pytest.mark.parametrize(
    ("made", "expected"),
    [
        ({"end": -DAY / 2}, "its certificate has expired"),
        ({"begin": DAY}, "its certificate is not valid yet; compare the clocks"),
        ({"names": ("elsewhere.example",)}, "its certificate is for another name than '127.0.0.1'"),
    ],
)
async def test_a_certificate_that_does_not_hold_says_why(
    tmp_path: Path, made: dict[str, object], expected: str
) -> None:
    authority = make_pair(tmp_path, "authority", authority=True)
    bad = make_pair(tmp_path, "bad", issuer=authority, **made)  # type: ignore[arg-type]
    async with tls_server(bad) as server:
        said = await refused(server.url, Untrusted, ca=authority.cert, token_file=token_file(tmp_path))
        assert expected in said
        assert server.data == b""


async def test_files_that_cannot_be_used_are_named(tmp_path: Path, pair: Pair) -> None:
    url = "https://127.0.0.1:1"
    assert "ca = '/nowhere.pem' cannot be read: No such file" in await refused(url, Untrusted, ca="/nowhere.pem")
    (tmp_path / "empty.pem").write_text("nothing")
    assert "holds no certificates" in await refused(url, Untrusted, ca=str(tmp_path / "empty.pem"))
    pin = pair.fingerprint
    assert "cert = '/nowhere.pem' cannot be read" in await refused(url, Untrusted, fingerprint=pin, cert="/nowhere.pem")
    said = await refused(url, Untrusted, fingerprint=pin, cert=pair.cert, key="/nowhere.key")
    assert "key = '/nowhere.key' cannot be read" in said
    other = make_pair(tmp_path, "other")
    assert "the key does not belong to it" in await refused(
        url, Untrusted, fingerprint=pin, cert=pair.cert, key=other.key
    )


async def test_mutual_tls(tmp_path: Path, pair: Pair) -> None:
    authority = make_pair(tmp_path, "authority", authority=True)
    own = make_pair(tmp_path, "reader", issuer=authority)
    stranger = make_pair(tmp_path, "stranger")
    async with tls_server(pair, client_ca=authority.cert) as server:
        assert await ask(server.url, fingerprint=pair.fingerprint, cert=own.cert, key=own.key)
        said = await refused(server.url, Unauthorized, fingerprint=pair.fingerprint)
        assert "wants a certificate of this side; set cert and key" in said
        said = await refused(
            server.url, Unauthorized, fingerprint=pair.fingerprint, cert=stranger.cert, key=stranger.key
        )
        assert "refuses this side's certificate: unknown ca" in said


async def test_nobody_but_the_pinned_server_sees_our_certificate(tmp_path: Path, pair: Pair) -> None:
    tame_asyncio()  # as in a hub, which serves over TLS and asks others too
    authority = make_pair(tmp_path, "authority", authority=True)
    own = make_pair(tmp_path, "reader", issuer=authority)
    other = make_pair(tmp_path, "middle")
    async with tls_server(other, client_ca=authority.cert) as server:
        assert "wrong key" in await refused(
            server.url, Untrusted, fingerprint=pair.fingerprint, cert=own.cert, key=own.key
        )
        seen = await look.look(
            parse_target(server.url, Credentials(fingerprint=pair.fingerprint, cert=own.cert, key=own.key))
        )
        assert (seen.fingerprint, seen.problem is None) == (other.fingerprint, False)
    assert server.connections == 3
    # The last flight of the handshake is where a client's certificate goes: it was never sent.
    assert server.handshakes == 0


async def test_plain_http_and_tls_that_meet_are_told(pair: Pair) -> None:
    async with tls_server(pair) as server:
        plain = server.url.replace("https", "http")
        assert f"answers with TLS, not plain HTTP; write {server.url}" in await refused(plain, ProtocolMismatch)
        assert server.data == b""
    async with tls_server(None) as server:
        secure = server.url.replace("http", "https")
        said = await refused(secure, ProtocolMismatch, fingerprint=pair.fingerprint)
        assert "does not speak TLS" in said


async def test_no_name_and_nobody_there_are_told_apart(pair: Pair) -> None:
    known = {"fingerprint": pair.fingerprint}
    said = await refused("https://no-such-host.invalid", Unreachable, **known)
    assert "no address is known for the name 'no-such-host.invalid'" in said or "name service did not answer" in said
    assert "connection refused; is sysmon --agent or sysmon --record running there?" in await refused(
        "https://127.0.0.1:1", Unreachable, **known
    )
    assert "no such socket" in await refused("unix:///nowhere.sock", Unreachable)


async def test_a_port_that_takes_no_connection_times_out(monkeypatch: pytest.MonkeyPatch) -> None:
    import socket

    monkeypatch.setattr("remote.client.transport.CONNECT_SECONDS", 0.3)
    monkeypatch.setattr("remote.client.lean.CONNECT_SECONDS", 0.3)
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        held = []
        for _ in range(4):  # the queue of a listener that never accepts is soon full
            each = socket.socket()
            each.setblocking(False)
            each.connect_ex(listener.getsockname())
            held.append(each)
        said = await refused(f"http://127.0.0.1:{listener.getsockname()[1]}", Unreachable)
        for each in held:
            each.close()
    assert "no connection within 0.3 s; it is off, or a firewall drops" in said


def answering(status: bytes, body: bytes = b"") -> bytes:
    return b"HTTP/1.1 %s\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%s" % (status, len(body), body)


async def test_a_token_that_is_missing_wrong_or_not_allowed(pair: Pair, tmp_path: Path) -> None:
    shown = token_file(tmp_path)
    known = {"fingerprint": pair.fingerprint}
    said_there = b'{"error":"the token \'hub\' was revoked","hint":"make another"}'
    async with tls_server(pair, answer=answering(b"401 Unauthorized")) as server:
        assert "a token is wanted; `sysmon token new NAME` there" in await refused(server.url, Unauthorized, **known)
    async with tls_server(pair, answer=answering(b"401 Unauthorized", said_there)) as server:
        said = await refused(server.url, Unauthorized, **known, token_file=shown)
        assert f"refuses the token of {shown}: the token 'hub' was revoked; it is wrong, revoked or expired" in said
    forbidden = b'{"error":"this token may not read","hint":"make one with --scope read"}'
    async with tls_server(pair, answer=answering(b"403 Forbidden", forbidden)) as server:
        said = await refused(server.url, Unauthorized, **known, token_file=shown)
        assert "this token may not read; make one with --scope read" in said


async def test_a_token_never_crosses_a_network_in_the_clear(tmp_path: Path) -> None:
    shown = token_file(tmp_path)
    said = await refused("http://192.0.2.1:8200", Unauthorized, token_file=shown)
    assert "http:// to another machine is not encrypted; write https://" in said
    for url, safe in [
        ("http://127.0.0.1:1", True),
        ("http://[::1]:1", True),
        ("http://localhost", True),
        ("https://192.0.2.1", True),
        ("unix:///run/x.sock", True),
        ("http://127.0.0.1.example.org", False),
        ("http://localhost.example.org", False),
        ("http://0.0.0.0", False),
        ("http://[::ffff:192.0.2.1]", False),
        ("node+http://192.0.2.1", False),
    ]:
        assert private(parse_target(url)) is safe, url
    async with tls_server(None) as server:
        assert await ask(server.url, token_file=shown)
        assert TOKEN.encode() in server.data


async def test_where_a_token_may_be_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    url = "http://127.0.0.1:1"
    said = await refused(url, Unauthorized, token_file=token_file(tmp_path, mode=0o644))
    assert f"is open to others (mode 0644); chmod 600 {tmp_path}/token" in said
    assert "does not exist; `sysmon token new" in await refused(url, Unauthorized, token_file="/nowhere/token")
    assert "is empty" in await refused(url, Unauthorized, token_file=token_file(tmp_path, ""))
    assert "holds no token" in await refused(url, Unauthorized, token_file=token_file(tmp_path, "two words here"))
    assert "holds no token" in await refused(url, Unauthorized, token_file=token_file(tmp_path, "x" * 2000))
    assert "the environment has no SYSMON_TOKEN" in await refused(url, Unauthorized, token_file="$SYSMON_TOKEN")
    if os.geteuid() == 0:
        os.chown(token_file(tmp_path), 12345, 12345)
        assert "belongs to another user (uid 12345)" in await refused(
            url, Unauthorized, token_file=str(tmp_path / "token")
        )
    async with tls_server(None) as server:
        monkeypatch.setenv("SYSMON_TOKEN", TOKEN)
        assert await ask(server.url, token_file="$SYSMON_TOKEN")
        assert server.data.count(TOKEN.encode()) == 1
        folder = tmp_path / "credentials"
        folder.mkdir()
        (folder / "hub").write_text(TOKEN[::-1])
        (folder / "hub").chmod(0o440)
        monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(folder))
        assert await ask(server.url, token_file="$CREDENTIALS_DIRECTORY/hub")
        assert TOKEN[::-1].encode() in server.data


async def test_a_token_that_was_changed_is_shown_at_the_next_request(tmp_path: Path) -> None:
    shown = token_file(tmp_path)
    connections = Connections()
    async with tls_server(None) as server:
        endpoint = Endpoint(parse_target(server.url, Credentials(token_file=shown)), connections)
        await endpoint.get("/healthz", deadline=5.0)
        token_file(tmp_path, TOKEN[::-1])
        await endpoint.get("/healthz", deadline=5.0)
        assert server.data.index(TOKEN.encode()) < server.data.index(TOKEN[::-1].encode())
    await connections.close()


def test_no_secret_is_written_where_it_might_be_logged(tmp_path: Path) -> None:
    target = parse_target("https://127.0.0.1", Credentials(token_file=token_file(tmp_path)))
    assert TOKEN not in f"{target!r} {target}"


def test_hosts_that_are_known_the_same_way_share_one_context(pair: Pair, tmp_path: Path) -> None:
    one = context_of(parse_target("https://a", Credentials(fingerprint=pair.fingerprint, token_file="x")))
    other = context_of(parse_target("https://b:99", Credentials(fingerprint=pair.fingerprint, token_file="y")))
    assert one is other
    ca = make_pair(tmp_path, "authority", authority=True).cert
    before = context_of(parse_target("https://a", Credentials(ca=ca)))
    assert before is context_of(parse_target("https://b", Credentials(ca=ca)))
    make_pair(tmp_path, "authority", authority=True)
    assert before is not context_of(parse_target("https://a", Credentials(ca=ca)))


async def test_looking_shows_the_key_and_says_nothing(pair: Pair, tmp_path: Path) -> None:
    async with tls_server(pair) as server:
        seen = await look.look(parse_target(server.url, Credentials(token_file=token_file(tmp_path))))
        assert (seen.fingerprint, seen.words) == (pair.fingerprint, words(pair.fingerprint))
        assert seen.certificate.startswith("agent, valid 20")
        assert isinstance(seen.problem, Untrusted)
        known = await look.look(parse_target(server.url, Credentials(fingerprint=pair.fingerprint)))
        assert known.problem is None
        assert server.data == b""
    async with tls_server(None) as server:
        with pytest.raises(ProtocolMismatch, match="does not speak TLS"):
            await look.look(parse_target(server.url.replace("http", "https")))


@pytest.mark.parametrize(
    ("target", "asked"),
    [
        ("http://a:1", "is that a sysmon?"),
        ("node+http://a:1", "is that node_exporter?"),
        ("netronome+http://a:1", "is that netronome agent?"),
    ],
)
def test_what_should_answer_is_asked_after(target: str, asked: str) -> None:
    with pytest.raises(ProtocolMismatch) as caught:
        check_kind(parse_target(target), "text/html", "application/json")
    assert caught.value.hint == asked
