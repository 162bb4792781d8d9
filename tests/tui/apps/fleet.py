"""A Fleet screen on made-up hosts that speak once a second: `python -m tests.tui.apps.fleet COUNT [SCREEN] [rows]`."""

from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING

import msgspec

from sysmon.clock import SystemClock
from sysmon.config import Config, ScreenSettings
from sysmon.records import Status
from tests.tui.scripted import catalogue
from tests.tui.scriptedfleet import Member, members
from tui.app import run_screen
from tui.services import Services

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from sysmon.records import Update

_CYCLE = 60
"""Seconds after which the hosts say the same again."""


class Speaking:
    """A source of hosts that all speak once a second, on the second."""

    def __init__(self, hosts: list[Member]) -> None:
        self._hosts = hosts
        self._clock = SystemClock()

    async def updates(self) -> AsyncIterator[Update]:
        """Who they are, how they are, and then their frames."""
        for host in self._hosts:
            yield host.info
            yield Status(host=host.id, name=host.name, state=host.state, message=host.message)
            for alert in host.alerts:
                yield alert
        readings = {
            (id(host.script), second): host.script.readings(second)
            for host in self._hosts
            for second in range(2 * _CYCLE)
        }
        second = 0
        while True:
            now = self._clock.now() // 1000
            for host in self._hosts:
                if host.until is not None and second > 2:
                    continue
                frame = host.frame(0)
                at = (second + host.shift) % _CYCLE
                values = readings[id(host.script), at]
                monotonic = (1_000_000 + second) * 1_000_000_000
                yield msgspec.structs.replace(
                    frame, time=now * 1000, monotonic=monotonic, seq=second + 1, readings=values,
                    reads=dict.fromkeys(frame.reads, monotonic), full=second % 60 == 0,
                )  # fmt: skip
            second += 1
            await asyncio.sleep(
                now + 1.02 - self._clock.now() / 1000 if now + 1.02 > self._clock.now() / 1000 else 0.01
            )

    async def close(self) -> None:
        """Nothing is held."""


def main(words: list[str]) -> int:
    """Runs it until it is left."""
    count = int(words[0])
    hosts = members(count, 700)
    for host in hosts:
        # A counter of a made-up host is a sum over all its seconds: few of them, as the measure is of the screen.
        host.shift %= _CYCLE
    start = words[1] if len(words) > 1 else "fleet"
    services = Services(
        source=Speaking(hosts),
        history=lambda host: None,
        actions=lambda host: None,
        catalogue=catalogue(),
        config=Config(screen=ScreenSettings(start=start)),
        clock=SystemClock(),
    )
    return run_screen(services)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
