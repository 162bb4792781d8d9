"""Where the server listens, and where it will not."""

from __future__ import annotations

import asyncio
import os
import socket
import stat
from typing import TYPE_CHECKING

import pytest

from remote.server.app import build_app, serve
from remote.server.listen import bind_tcp, check_listen, reachable
from sysmon.errors import SysmonError, UsageError
from tests.remote.support import make_feed, served

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.anyio
async def test_a_port_in_use_is_said_plainly() -> None:
    async with served(make_feed()) as server:
        with pytest.raises(SysmonError) as caught:
            async with served(make_feed(), port=server.port):
                pass
    assert str(caught.value) == f"port {server.port} is in use on 127.0.0.1; another sysmon?; use --port"


@pytest.mark.parametrize(("given", "bound"), [("127.0.0.1", "127.0.0.1"), ("localhost", "127.0.0.1"), ("[::1]", "::1")])
def test_loopback_may_be_listened_on(given: str, bound: str) -> None:
    assert check_listen(given) == [bound]
    assert not reachable(given)


@pytest.mark.parametrize("given", ["0.0.0.0", "::", "192.168.1.5", "100.64.0.1"])
def test_other_addresses_are_refused_with_the_reason_and_what_to_do(given: str) -> None:
    words = r"without a token.*`sysmon token new NAME --file NAME.token`.*TLS is on by itself.*ssh -N -L 8200:"
    for tls, tokens in ((False, False), (True, False), (False, True)):
        with pytest.raises(UsageError, match=words):
            check_listen(given, tls=tls, tokens=tokens)
    assert check_listen(given, tls=True, tokens=True) == [given]
    assert reachable(f"127.0.0.1, {given}")


def test_several_addresses_and_names_are_taken() -> None:
    assert check_listen("localhost, [::1],127.0.0.1") == ["127.0.0.1", "::1"]
    with pytest.raises(UsageError, match="is refused: without a token"):
        check_listen("127.0.0.1,0.0.0.0")


@pytest.mark.parametrize("given", ["", "http://x", "a b", "127.0.0.1;", "-x", "\x1b[31m", "x" * 300])
def test_what_is_no_address_is_refused(given: str) -> None:
    with pytest.raises(UsageError, match="is not an address"):
        check_listen(given)


def test_a_name_without_an_address_is_said() -> None:
    with pytest.raises(UsageError, match=r"no address is known for the name 'nowhere.invalid'"):
        check_listen("nowhere.invalid")


@pytest.mark.anyio
async def test_an_address_of_another_machine_is_said_plainly() -> None:
    with pytest.raises(SysmonError, match=r"192.0.2.7 is no address of this machine; `ip address` lists them"):
        bind_tcp("192.0.2.7", 0)


@pytest.mark.anyio
async def test_the_server_itself_refuses_a_public_address_without_tls() -> None:
    with pytest.raises(UsageError, match="is refused: without a token"):
        await serve(build_app(make_feed()), "0.0.0.0", 0)


@pytest.mark.anyio
async def test_a_unix_socket_is_private_and_replaces_one_left_behind(tmp_path: Path) -> None:
    path = tmp_path / "sysmon.sock"
    left = socket.socket(socket.AF_UNIX)
    left.bind(str(path))
    left.close()
    feed = make_feed()
    async with served(feed, uds=path):
        assert stat.S_IMODE(os.stat(path).st_mode) == 0o600
        reader, writer = await asyncio.open_unix_connection(str(path))
        writer.write(b"GET /healthz HTTP/1.1\r\nHost: whatever\r\n\r\n")
        assert (await reader.readline()).startswith(b"HTTP/1.1 200")
        writer.close()
        with pytest.raises(SysmonError, match="is in use"):
            async with served(make_feed(), uds=path):
                pass
        assert path.exists()
    assert not path.exists()


@pytest.mark.anyio
async def test_a_file_in_the_sockets_place_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "sysmon.sock"
    path.write_text("mine")
    with pytest.raises(SysmonError, match="is not a socket"):
        async with served(make_feed(), uds=path):
            pass
    assert path.read_text() == "mine"
