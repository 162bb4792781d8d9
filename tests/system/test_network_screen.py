"""The Network screen as a user runs it: beside a router played over a real sshd, and on this host's own line."""

from __future__ import annotations

import os
import socket
import threading
from typing import TYPE_CHECKING

import pytest

from tests.system.playedrouter import HASTE, PlayedRouter, _roots
from tests.system.terminal import Screen

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.system.playedrouter import Row

pytestmark = [pytest.mark.system, pytest.mark.timeout(90)]

TV, PHONE = "02:aa:bb:cc:dd:01", "02:aa:bb:cc:dd:02"


def rows(tv: int) -> list[Row]:
    """What nlbwmon tells of two devices."""
    return [(TV, "192.168.1.184", 3, tv, tv // 10), (PHONE, "192.168.1.185", 2, 5000, 500)]


@pytest.fixture
def router(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[PlayedRouter]:
    """A router that is switched on."""
    made = PlayedRouter(tmp_path / "router", monkeypatch.setenv)
    made.count(rows(1000))
    made.switch_on()
    yield made
    made.stop()


def hasty(folder: Path) -> dict[str, str]:
    """An environment in which routers are looked at every second."""
    folder.mkdir()
    (folder / "sitecustomize.py").write_text(HASTE)
    path = [str(folder), *filter(None, [os.environ.get("PYTHONPATH"), *_roots()])]
    return {"PYTHONPATH": os.pathsep.join(path)}


def narrow(screen: Screen, text: str, *shown: str) -> None:
    """Types a filter and keeps it."""
    screen.write(b"/")
    screen.wait_shown("word   name:")
    screen.write(text.encode())
    screen.wait_shown(f"'{text}'", *shown)
    screen.write(b"\r")
    screen.wait_gone("word   name:")


@pytest.mark.needs("sshd", "ssh", "ssh-keygen", "dash")
def test_devices_of_a_router_are_shown_named_and_counted_anew(router: PlayedRouter, tmp_path: Path) -> None:
    config = (
        f'[routers.home]\ntarget = "{router.target}"\ninterval = "1s"\ndevices = "1s"\n[screen]\nstart = "network"\n'
    )
    with Screen(tmp_path / "user", config=config, environment=hasty(tmp_path / "haste")) as screen:
        screen.wait_shown("INTERFACE", "LIVE")
        screen.write(b"d")
        screen.wait_shown("is no router; home is")
        screen.write(b"w")
        screen.wait_shown("devices of home", "Living-Room-TV", "192.168.1.101", "nlbwmon")
        router.count(rows(900_001_000))
        screen.wait_shown("858M", "100%")
        narrow(screen, "living", "1 of ")
        before = router.held()
        screen.write(b"a")
        screen.wait_shown("to be called")
        screen.write(b"Telly\r")
        screen.wait_shown("Telly")
        screen.write(b"\r")
        screen.wait_shown(
            "called by the network", "Living-Room-TV", TV, "not what devices send each other", "this month"
        )
        screen.write(b"\x1b")
        screen.wait_shown("DEVICE")
        screen.write(b"R")
        screen.wait_shown("Nothing is written to the router")
        screen.write(b"y")
        screen.wait_shown("since ")
        assert router.held() == before, "nothing is written to the router"
        assert screen.quit() == 0
        screen.assert_whole()


def test_who_uses_the_line_is_shown_and_its_process(tmp_path: Path) -> None:
    """Bytes go from this process to itself until the screen shows them."""
    listening = socket.create_server(("127.0.0.1", 0))
    sender = socket.create_connection(listening.getsockname())
    taker, _ = listening.accept()
    done = threading.Event()

    def send() -> None:
        while not done.wait(0.05):
            sender.sendall(bytes(40_000))
            left = 40_000
            while left:
                left -= len(taker.recv(left))

    sending = threading.Thread(target=send)
    sending.start()
    port = listening.getsockname()[1]
    try:
        with Screen(tmp_path, width=160, config='[screen]\nstart = "network"\n') as screen:
            screen.wait_shown("INTERFACE", "LIVE")
            screen.write(b"c")
            screen.wait_shown("UNIT OR CONTAINER", str(os.getpid()))
            narrow(screen, f"pid:{os.getpid()}", "iB/s")
            screen.write(b"p")
            screen.wait_shown("REMOTE")
            narrow(screen, f"port:{port}", f"127.0.0.1:{port}", "3 of ")
            screen.write(b"\r")
            screen.wait_shown("whose it is", str(os.getpid()), "round trip")
            screen.write(b"o")
            screen.wait_shown("PID", "COMMAND")
            assert screen.quit() == 0
            screen.assert_whole()
    finally:
        done.set()
        sending.join()
        for each in (sender, taker, listening):
            each.close()
