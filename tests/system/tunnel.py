"""A link between two network namespaces that delays, loses and cuts: two TUN devices, and a process that joins them.

Run as a program it is that process: `python tunnel.py NAMESPACE_A NAMESPACE_B CONTROL`. It takes JSON such as
`{"delay": 0.2, "loss": 0.3}` on the datagram socket CONTROL.
"""

from __future__ import annotations

import fcntl
import heapq
import json
import os
import random
import secrets
import select
import socket
import struct
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType

NEAR, FAR = "10.98.0.1", "10.98.0.2"
"""Addresses of the two ends."""

_TUNSETIFF = 0x400454CA
_IFF_TUN_NO_PI = 0x1001


class Tunnel:
    """Two namespaces, `near` and `far`, and the link between them; needs root and /dev/net/tun.

    Args:
        folder: where the control socket is made; a short path.
    """

    def __init__(self, folder: Path) -> None:
        mark = secrets.token_hex(3)
        self.near, self.far = f"sma{mark}", f"smb{mark}"
        self._control = folder / f"tun{mark}"
        self._process: subprocess.Popen[str] | None = None

    def __enter__(self) -> Self:
        for name in (self.near, self.far):
            subprocess.run(["ip", "netns", "add", name], check=True)
        self._process = subprocess.Popen(
            [sys.executable, __file__, self.near, self.far, str(self._control)], stdout=subprocess.PIPE, text=True
        )
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == "ready\n"
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
        for name in (self.near, self.far):
            subprocess.run(["ip", "netns", "del", name], check=False)

    def inside(self, namespace: str) -> tuple[str, ...]:
        """What is put before a command so that it runs in a namespace, and sees /sys and the cgroups as here."""
        return ("nsenter", f"--net=/run/netns/{namespace}", "--")

    def set(self, *, delay: float = 0.0, loss: float = 0.0, cut: bool = False) -> None:
        """Makes the link so from now on.

        Args:
            delay: seconds each way. loss: part of the packets lost, each way. cut: nothing passes.
        """
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as control:
            control.sendto(json.dumps({"delay": delay, "loss": loss, "cut": cut}).encode(), str(self._control))


def _tun(name: str) -> int:
    descriptor = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(descriptor, _TUNSETIFF, struct.pack("16sH", name.encode(), _IFF_TUN_NO_PI))
    return descriptor


def _join(namespaces: tuple[str, str], control_path: str) -> None:
    mark = namespaces[0][-6:]
    names = (f"tn{mark}", f"tf{mark}")
    ends = tuple(_tun(name) for name in names)
    for name, namespace, own, peer in zip(names, namespaces, (NEAR, FAR), (FAR, NEAR), strict=True):
        for command in (
            ["ip", "link", "set", name, "netns", namespace],
            ["ip", "-n", namespace, "link", "set", "lo", "up"],
            ["ip", "-n", namespace, "addr", "add", own, "peer", peer, "dev", name],
            ["ip", "-n", namespace, "link", "set", name, "up"],
        ):
            subprocess.run(command, check=True)
    control = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    control.bind(control_path)
    print("ready", flush=True)
    link = {"delay": 0.0, "loss": 0.0, "cut": False}
    queue: list[tuple[float, int, int, bytes]] = []
    count = 0
    while True:
        wait = max(0.0, queue[0][0] - time.monotonic()) if queue else None
        ready = select.select([*ends, control.fileno()], [], [], wait)[0]
        if control.fileno() in ready:
            link.update(json.loads(control.recv(4096)))
        for index in (0, 1):
            while ends[index] in ready:
                try:
                    packet = os.read(ends[index], 1 << 16)
                except BlockingIOError:
                    break
                if not link["cut"] and random.random() >= link["loss"]:
                    count += 1
                    heapq.heappush(queue, (time.monotonic() + link["delay"], count, 1 - index, packet))
        while queue and queue[0][0] <= time.monotonic():
            _, _, to, packet = heapq.heappop(queue)
            try:
                os.write(ends[to], packet)
            except OSError:
                continue


if __name__ == "__main__":
    _join((sys.argv[1], sys.argv[2]), sys.argv[3])
