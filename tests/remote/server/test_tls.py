"""The server's key and certificate: made, kept, renewed, given; and TLS as clients of all kinds find it."""

from __future__ import annotations

import asyncio
import os
import ssl
import stat
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from cryptography.hazmat.primitives import serialization

from remote.fingerprint import spki_fingerprint, validity
from remote.private import Exposed
from remote.server import door
from remote.server.access import Access
from remote.server.door import Visitors
from remote.server.selfsigned import DAYS
from remote.server.tls import CERT, KEY, RENEW, Pair, ServerTls, given_tls, make_certificate, own_tls
from remote.server.tokens import TokenStore
from sysmon.clock import SystemClock
from sysmon.errors import MalformedInput, SysmonError
from tests.remote.authorities import DAY, make_pair
from tests.remote.peers import Raw
from tests.remote.support import make_feed, served

if TYPE_CHECKING:
    from tests.remote.support import Served

DAY_MS = 86_400_000
NOW = SystemClock().now()


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A state folder with a key and a certificate, for tests that only read them."""
    folder = tmp_path_factory.mktemp("made")
    own_tls(folder, ["web-1", "192.0.2.7", "localhost"], NOW)
    return folder


@pytest.fixture
def state(made: Path, tmp_path: Path) -> Path:
    """A copy of it, to be changed."""
    for name in (KEY, CERT):
        (tmp_path / name).write_bytes((made / name).read_bytes())
        (tmp_path / name).chmod(0o600)
    return tmp_path


def client(**more: Any) -> ssl.SSLContext:
    """A context that takes any server; what is tested is the other side."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    for name, value in more.items():
        setattr(context, name, value)
    return context


async def shown_by(server: Served, context: ssl.SSLContext | None = None) -> ssl.SSLObject:
    """Connects, asks once, and returns what TLS was agreed on."""
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port, ssl=context or client())
    try:
        status, _ = await Raw(reader, writer).ask("/healthz")
        assert status == 401
        found: ssl.SSLObject = writer.get_extra_info("ssl_object")
        return found
    finally:
        writer.transport.abort()


def guarded(folder: Path, lines: list[str] | None = None) -> dict[str, Any]:
    """What `served` needs to serve over TLS: the own key of a folder, and a token."""
    store = TokenStore(folder / "tokens.json")
    if not store.tokens():
        store.new("reader", ("read",), NOW)
    return {
        "tls": own_tls(folder, ["web-1"], NOW),
        "access": Access(store),
        "say": None if lines is None else lines.append,
    }


def test_a_key_is_made_at_first_need_for_its_owner_alone(made: Path) -> None:
    before = {name: (made / name).read_bytes() for name in (KEY, CERT)}
    tls = own_tls(made, ["web-1"], NOW)
    assert {name: (made / name).read_bytes() for name in (KEY, CERT)} == before
    assert stat.S_IMODE((made / KEY).stat().st_mode) == 0o600
    der = ssl.PEM_cert_to_DER_cert((made / CERT).read_text())
    assert tls.fingerprint == spki_fingerprint(der)
    start, end = validity(der)
    assert NOW - 4 * DAY_MS < start < NOW - 2 * DAY_MS
    assert (DAYS - 1) * DAY_MS < end - NOW <= DAYS * DAY_MS
    text = subprocess.run(["openssl", "x509", "-in", made / CERT, "-noout", "-text"], capture_output=True, text=True)
    assert "DNS:web-1, IP Address:192.0.2.7, DNS:localhost" in text.stdout
    assert "CA:FALSE" in text.stdout


def test_making_and_using_a_key_loads_no_library_for_it_here(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from remote.server.tls import own_tls\n"
        f"tls = own_tls(Path(sys.argv[1]), ['web-1'], {NOW})\n"
        "print(tls.fingerprint, 'cryptography' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=True)
    fingerprint, loaded = done.stdout.split()
    assert fingerprint.startswith("sha256:")
    assert loaded == "False"


def test_a_certificate_is_renewed_before_its_end_and_the_pin_holds(state: Path) -> None:
    tls = own_tls(state, ["web-1"], NOW)
    fingerprint, key = tls.fingerprint, (state / KEY).read_bytes()
    first = (state / CERT).read_bytes()
    assert tls.refresh(NOW + DAYS * DAY_MS - RENEW - DAY_MS) == ""
    assert (state / CERT).read_bytes() == first
    later = NOW + DAYS * DAY_MS - RENEW + DAY_MS
    assert tls.refresh(later) == ""
    renewed = (state / CERT).read_text()
    assert renewed.encode() != first
    assert validity(ssl.PEM_cert_to_DER_cert(renewed))[1] // 1000 == (later + DAYS * DAY_MS) // 1000
    assert tls.fingerprint == fingerprint
    assert (state / KEY).read_bytes() == key


def test_a_certificate_made_under_a_wrong_clock_is_made_again(state: Path) -> None:
    fingerprint = own_tls(state, ["web-1"], NOW).fingerprint
    for moment in (NOW - 3650 * DAY_MS, NOW):
        tls = own_tls(state, ["web-1"], moment)
        assert tls.notice == ""
        assert tls.fingerprint == fingerprint


def test_two_servers_that_start_at_once_get_one_key(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from remote.server.tls import own_tls\n"
        f"print(own_tls(Path(sys.argv[1]), ['web-1'], {NOW}).fingerprint)"
    )
    command = [sys.executable, "-c", code, str(tmp_path)]
    running = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    said = {process.communicate(timeout=50)[0] for process in running}
    assert len(said) == 1
    assert said.pop().startswith("sha256:")


@pytest.mark.parametrize("mode", [0o640, 0o604])
def test_a_key_that_others_can_read_is_refused(state: Path, mode: int) -> None:
    (state / KEY).chmod(mode)
    with pytest.raises(Exposed, match=r"the TLS key in .* is open to others .*chmod 600"):
        own_tls(state, ["web-1"], NOW)


def test_a_broken_key_is_said_with_what_follows_from_replacing_it(state: Path) -> None:
    (state / KEY).write_text("-----BEGIN PRIVATE KEY-----\nbroken\n")
    (state / CERT).unlink()
    with pytest.raises(
        SysmonError, match=r"holds no key that can be read; remove it to get another; then every reader"
    ):
        own_tls(state, ["web-1"], NOW)


def test_a_folder_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("a file")
    with pytest.raises(SysmonError, match=r"state.*cannot be changed"):
        make_certificate(Pair(tmp_path / "state" / CERT, tmp_path / "state" / KEY), ["web-1"], NOW)


def test_a_given_certificate_must_be_whole(tmp_path: Path) -> None:
    one, other = make_pair(tmp_path, "one"), make_pair(tmp_path, "other")
    assert given_tls(Path(one.cert), Path(one.key), NOW).fingerprint == one.fingerprint
    with pytest.raises(SysmonError, match=r"other.key is not the key of the certificate .*one.pem"):
        given_tls(Path(one.cert), Path(other.key), NOW)
    with pytest.raises(SysmonError, match=r"no certificate with a key can be read"):
        given_tls(Path(one.key), Path(one.key), NOW)
    with pytest.raises(SysmonError, match=r"the TLS key .*nowhere.key does not exist"):
        given_tls(Path(one.cert), tmp_path / "nowhere.key", NOW)
    with pytest.raises(SysmonError, match=r"cannot be read: No such file"):
        given_tls(tmp_path / "nowhere.pem", Path(one.key), NOW)
    with pytest.raises(SysmonError, match=r"client_ca .* holds no certificate"):
        given_tls(Path(one.cert), Path(one.key), NOW, one.key)
    with pytest.raises(SysmonError, match=r"client_ca .*nowhere cannot be read"):
        given_tls(Path(one.cert), Path(one.key), NOW, str(tmp_path / "nowhere"))
    Path(one.key).chmod(0o644)
    with pytest.raises(Exposed, match=r"is open to everybody; chmod o-rwx"):
        given_tls(Path(one.cert), Path(one.key), NOW)


def test_a_key_with_a_passphrase_asks_nobody(tmp_path: Path) -> None:
    pair = make_pair(tmp_path, "one")
    locked = pair.secret.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.BestAvailableEncryption(b"x")
    )
    Path(pair.key).write_bytes(locked)
    with pytest.raises(SysmonError, match="the TLS key has a passphrase, and nobody is here to type it"):
        given_tls(Path(pair.cert), Path(pair.key), NOW)


def test_an_expired_certificate_is_told_of(tmp_path: Path) -> None:
    old = make_pair(tmp_path, "old", begin=-9 * DAY, end=-2 * DAY)
    assert "old.pem expired at" in given_tls(Path(old.cert), Path(old.key), NOW).notice
    early = make_pair(tmp_path, "early", begin=2 * DAY)
    assert "early.pem is not valid before" in given_tls(Path(early.cert), Path(early.key), NOW).notice


def test_replaced_files_are_taken_in_and_broken_ones_are_not(tmp_path: Path) -> None:
    one, other = make_pair(tmp_path, "one"), make_pair(tmp_path, "other")
    tls = given_tls(Path(one.cert), Path(one.key), NOW)
    context = tls.context
    assert tls.refresh(NOW) == ""
    os.replace(other.cert, one.cert)  # half of a replacement
    assert "was not renewed" in tls.refresh(NOW)
    assert tls.fingerprint == one.fingerprint
    os.replace(other.key, one.key)
    assert tls.refresh(NOW) == f"the TLS key is another now: {other.fingerprint}"
    assert tls.context is context
    os.unlink(one.cert)
    assert "was not renewed" in tls.refresh(NOW)


@pytest.mark.anyio
async def test_only_modern_tls_is_spoken(made: Path) -> None:
    async with served(make_feed(), **guarded(made)) as server:
        found = await shown_by(server)
        assert found.version() == "TLSv1.3"
        found = await shown_by(server, client(maximum_version=ssl.TLSVersion.TLSv1_2))
        assert found.version() == "TLSv1.2"
        assert "ECDHE" in (found.cipher() or ("",))[0]
        weak = client(maximum_version=ssl.TLSVersion.TLSv1_2)
        weak.set_ciphers("ECDHE-ECDSA-AES128-SHA:@SECLEVEL=0")
        with pytest.raises(ssl.SSLError, match="HANDSHAKE_FAILURE"):
            await shown_by(server, weak)
        with pytest.warns(DeprecationWarning, match="TLSv1_1"):
            old = client(minimum_version=ssl.TLSVersion.TLSv1_1, maximum_version=ssl.TLSVersion.TLSv1_1)
        old.set_ciphers("ALL:@SECLEVEL=0")
        with pytest.raises(ssl.SSLError, match="PROTOCOL_VERSION"):
            await shown_by(server, old)


@pytest.mark.anyio
async def test_a_renewed_certificate_is_shown_to_who_comes_next(state: Path) -> None:
    with_tls = guarded(state)
    tls: ServerTls = with_tls["tls"]
    async with served(make_feed(), **with_tls) as server:
        before = (await shown_by(server)).getpeercert(binary_form=True)
        tls.refresh(NOW + DAYS * DAY_MS)
        after = (await shown_by(server)).getpeercert(binary_form=True)
    assert before is not None
    assert after is not None
    assert before != after
    assert spki_fingerprint(before) == spki_fingerprint(after) == tls.fingerprint


@pytest.mark.anyio
async def test_half_a_replacement_does_not_end_what_is_served(tmp_path: Path) -> None:
    one, other = make_pair(tmp_path, "one"), make_pair(tmp_path, "other")
    with_tls = guarded(tmp_path)
    tls = with_tls["tls"] = given_tls(Path(one.cert), Path(one.key), NOW)
    async with served(make_feed(), **with_tls) as server:
        os.replace(other.cert, one.cert)
        assert "was not renewed" in tls.refresh(NOW)
        shown = (await shown_by(server)).getpeercert(binary_form=True)
        assert spki_fingerprint(shown or b"") == one.fingerprint


@pytest.mark.anyio
async def test_a_handshake_that_stalls_is_ended_and_keeps_nobody_waiting(
    made: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(door, "HANDSHAKE_SECONDS", 0.4)
    lines: list[str] = []
    async with served(make_feed(), **guarded(made, lines)) as server:
        silent = await asyncio.open_connection("127.0.0.1", server.port)
        half = await asyncio.open_connection("127.0.0.1", server.port)
        half[1].write(b"\x16\x03\x01\x02\x00\x01")
        assert (await shown_by(server)).version() == "TLSv1.3"
        async with asyncio.timeout(5):
            assert await silent[0].read() == b""
            assert await half[0].read() == b""
        for _, writer in (silent, half):
            writer.close()
    assert lines == ["sysmon: 127.0.0.1 did not agree on TLS within 0.4 s"] * 2


@pytest.mark.anyio
async def test_connections_that_only_knock_are_bounded(made: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(door, "WAITING", 2)
    lines: list[str] = []
    async with served(make_feed(), **guarded(made, lines)) as server:
        knocking = [await asyncio.open_connection("127.0.0.1", server.port) for _ in range(2)]
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        async with asyncio.timeout(5):
            assert await reader.read() == b""
        writer.close()
        assert lines == ["sysmon: 2 connections wait for TLS, the most allowed"]
        knocking[0][1].transport.abort()
        async with asyncio.timeout(5):
            while True:
                try:
                    await shown_by(server)
                    break
                except OSError:
                    await asyncio.sleep(0)
        knocking[1][1].transport.abort()


@pytest.mark.anyio
async def test_one_address_takes_no_more_than_its_connections(made: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(door, "is_loopback", lambda address: False)
    monkeypatch.setattr(door.Visitors.__init__, "__defaults__", (3,))
    lines: list[str] = []
    async with served(make_feed(), **guarded(made, lines)) as server:
        open_now = [await asyncio.open_connection("127.0.0.1", server.port, ssl=client()) for _ in range(3)]
        with pytest.raises(OSError):
            await shown_by(server)
        assert lines == ["sysmon: 127.0.0.1 has 3 connections open, the most allowed"]
        status, _ = await Raw(*open_now[0]).ask("/healthz")
        assert status == 401
        for _, writer in open_now:
            writer.transport.abort()


def test_connections_are_counted_by_address_and_all_together() -> None:
    visitors = Visitors(5, per_address=2)
    leave = [visitors.enter("192.0.2.1"), visitors.enter("192.0.2.1")]
    assert visitors.enter("192.0.2.1") == "192.0.2.1 has 2 connections open, the most allowed"
    local = [visitors.enter(address) for address in ("127.0.0.1", "127.0.0.1", "")]
    assert all(callable(each) for each in (*leave, *local))
    assert visitors.enter("192.0.2.2") == "5 connections are open, the most allowed"
    for each in (leave[0], leave[0], local[0]):
        assert not isinstance(each, str)
        each()
    assert visitors.count == 3
    assert callable(visitors.enter("192.0.2.1"))
    assert isinstance(visitors.enter("192.0.2.1"), str)


@pytest.mark.anyio
async def test_plain_http_to_a_port_with_tls_is_answered_in_words(made: Path) -> None:
    lines: list[str] = []
    async with served(make_feed(), **guarded(made, lines)) as server:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(b"GET /v1/hosts HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer smt_secret\r\n\r\n")
        async with asyncio.timeout(5):
            answer = (await reader.read()).decode()
        writer.close()
    assert answer.startswith("HTTP/1.1 400 Bad Request\r\n")
    assert answer.endswith("\r\n\r\nthis port speaks TLS: write https:// instead of http://\n")
    assert lines == ["sysmon: 127.0.0.1 spoke without TLS to a port with TLS"]


@pytest.mark.anyio
async def test_tls_to_a_port_without_is_said() -> None:
    lines: list[str] = []
    async with served(make_feed(), say=lines.append) as server:
        with pytest.raises(ssl.SSLError):
            await shown_by(server)
    assert lines == ["sysmon: 127.0.0.1 spoke TLS to a port without TLS"]


@pytest.mark.anyio
async def test_mutual_tls_lets_nobody_in_without_a_certificate(tmp_path: Path) -> None:
    authority = make_pair(tmp_path, "authority", authority=True)
    own, friend = make_pair(tmp_path, "server"), make_pair(tmp_path, "friend", issuer=authority)
    stranger = make_pair(tmp_path, "stranger", issuer=make_pair(tmp_path, "elsewhere", authority=True))
    with_tls = guarded(tmp_path)
    with_tls["tls"] = given_tls(Path(own.cert), Path(own.key), NOW, authority.cert)
    async with served(make_feed(), **with_tls) as server:
        with pytest.raises(ssl.SSLError, match="CERTIFICATE_REQUIRED"):
            await shown_by(server)
        known = client()
        known.load_cert_chain(friend.cert, friend.key)
        # The certificate opens the door; what may be done behind it still takes a token.
        await shown_by(server, known)
        other = client()
        other.load_cert_chain(stranger.cert, stranger.key)
        with pytest.raises(ssl.SSLError, match="UNKNOWN_CA"):
            await shown_by(server, other)


@pytest.mark.anyio
async def test_a_tls_connection_holds_little(made: Path) -> None:
    async with served(make_feed(), **guarded(made)) as server:
        await shown_by(server)
    assert asyncio.sslproto.SSLProtocol.max_size == 16 << 10


def test_a_file_without_a_certificate_is_named(tmp_path: Path, state: Path) -> None:
    (tmp_path / CERT).write_text("nothing")
    with pytest.raises((MalformedInput, SysmonError), match=r"tls-cert\.pem"):
        ServerTls(Pair(tmp_path / CERT, state / KEY), now=NOW)
