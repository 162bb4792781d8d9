"""Telling systemd that a service is up, how it is, and that it is alive (sd_notify, by its own small protocol)."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket


def tell(*lines: str) -> None:
    """Sends lines such as `READY=1` or `STATUS=…` to the service manager; does nothing where there is none."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address.startswith(("/", "@")):
        return
    with (
        contextlib.suppress(OSError),
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as manager,
    ):
        manager.connect("\0" + address[1:] if address.startswith("@") else address)
        manager.sendall("\n".join(lines).encode())


def watchdog_seconds() -> float | None:
    """Seconds within which the manager wants a sign of life, or None where it wants none."""
    given, pid = os.environ.get("WATCHDOG_USEC", ""), os.environ.get("WATCHDOG_PID", "")
    if not given.isdigit() or int(given) == 0 or (pid and pid != str(os.getpid())):
        return None
    return int(given) / 1e6


async def stay_alive() -> None:
    """Gives signs of life for ever, from the event loop: a loop that hangs is a service that hangs."""
    wanted = watchdog_seconds()
    while wanted is not None:
        tell("WATCHDOG=1")
        await asyncio.sleep(wanted / 3)
    await asyncio.Event().wait()
