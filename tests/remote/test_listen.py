"""Where the server listens, and where it will not."""

from __future__ import annotations

import asyncio
import os
import socket
import stat
from typing import TYPE_CHECKING

import pytest

from remote.listen import check_listen
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
    assert check_listen(given) == bound


@pytest.mark.parametrize("given", ["0.0.0.0", "::", "192.168.1.5", "100.64.0.1"])
def test_other_addresses_are_refused_with_the_reason_and_what_to_do(given: str) -> None:
    with pytest.raises(UsageError, match=r"without a token and TLS.*ssh -N -L 8200:127.0.0.1:8200"):
        check_listen(given)


def test_a_name_is_no_address() -> None:
    with pytest.raises(UsageError, match=r"'example.org' is not an IP address"):
        check_listen("example.org")


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
