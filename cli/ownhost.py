"""This machine within an agent or a recorder: sampled here, but not while a configured host is this machine."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from typing import TYPE_CHECKING

from cli.witness import Witness
from sysmon.frame import READ_BY
from sysmon.records import Status

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from cli.station import Station
    from collectors.runner import Runner
    from sysmon.records import Hello

LOOK = 1.0
"""Seconds between looks at whether a configured host still is this machine."""

FIRST_CONTACT = 3.0
"""Seconds that a recorder waits for its hosts' greetings before it samples this machine itself."""


def say(*lines: str) -> None:
    """Prints lines to stderr; a closed one is no reason to stop."""
    with contextlib.suppress(OSError):
        for line in lines:
            print(line, file=sys.stderr, flush=True)


class Tables:
    """Has expensive tables collected while somebody asks for them."""

    def __init__(self, runner: Runner) -> None:
        self._runner = runner
        self._open: dict[str, contextlib.ExitStack] = {}

    def watch(self, tables: frozenset[str] | set[str]) -> None:
        """Takes the set of tables that is now asked for."""
        for name in tables - self._open.keys():
            stack = self._open[name] = contextlib.ExitStack()
            stack.enter_context(self._runner.watch(READ_BY.get(name, name)))
        for name in self._open.keys() - tables:
            self._open.pop(name).close()

    def move(self, runner: Runner) -> None:
        """Asks another runner for what is asked for now."""
        wanted = set(self._open)
        self.watch(set())
        self._runner = runner
        self.watch(wanted)


class Contacts:
    """Knows which configured hosts have answered, and which of them are this very machine.

    Args:
        own: id of this host.
        expected: whether hosts are followed at all: `expect` says which.

    Attributes:
        all: set once all of them have greeted, or one of them is this machine.
    """

    def __init__(self, own: str, expected: int) -> None:
        self._own = own
        self._expected: set[str] | None = None if expected else set()
        self._heard: set[str] = set()
        self._itself: set[str] = set()
        self.all = asyncio.Event()
        self._look()

    def expect(self, names: Iterable[str]) -> None:
        """Takes the names of the hosts that are followed from now on."""
        self._expected = set(names)
        self._look()

    def leave(self, name: str) -> None:
        """Notes that a host is not followed any more."""
        self._heard.discard(name)
        self._itself.discard(name)

    def heard(self, name: str, hello: Hello) -> None:
        """Takes the greeting of the host configured as `name`."""
        self._heard.add(name)
        if any(info.id == self._own for info in hello.hosts):
            self._itself.add(name)
        else:
            self._itself.discard(name)
        self._look()

    def _look(self) -> None:
        if self._itself or (self._expected is not None and self._expected <= self._heard):
            self.all.set()

    def elsewhere(self, station: Station) -> bool:
        """Whether this machine's frames come from a configured host now."""
        status = station.statuses.get(self._own)
        return bool(self._itself) and (status is None or status.state != "offline")


class OwnHost:
    """Samples this machine for a station.

    Args:
        make: makes a runner of this machine's collectors.
        station: takes the frames.
    """

    def __init__(self, make: Callable[[], Runner], station: Station) -> None:
        self._make = make
        self._station = station
        self.runner = make()
        self.id = self.runner.identity.host
        self.tables = Tables(self.runner)
        station.witnesses[self.id] = Witness(self.runner)
        station.clones.run_on(self.id, self.runner.identity.boot)

    async def collect(self, contacts: Contacts | None) -> None:
        """Samples for ever; where hosts are followed, only while none of them is this machine."""
        if contacts is None:
            self._station.sampled = self.id
            await self._station.run(self.runner)
            return
        with contextlib.suppress(TimeoutError):
            # Not wait_for: in Python 3.11 it swallows being cancelled in the moment in which what it waits for comes.
            async with asyncio.timeout(FIRST_CONTACT):
                await contacts.all.wait()
        while True:
            if not contacts.elsewhere(self._station):
                await self._sample_while(contacts)
                say("sysmon recorder: a configured host is this machine; its frames are recorded, none sampled twice")
            await asyncio.sleep(LOOK)
            if not contacts.elsewhere(self._station):
                say("sysmon recorder: that host is gone; this machine is sampled here again")
                self._renew()

    async def _sample_while(self, contacts: Contacts) -> None:
        self._station.sampled = self.id
        if self.id in self._station.statuses:
            # Told, not taken: what the configured host's own status is still decides who samples.
            self._station.tell(Status(host=self.id, state="live", target="local"))
        own = asyncio.create_task(self._station.run(self.runner), name="own frames")
        try:
            while not contacts.elsewhere(self._station):
                done, _ = await asyncio.wait({own}, timeout=LOOK)
                if done:
                    own.result()
                    # It was closed: what is left is to be cancelled.
                    await asyncio.Event().wait()
        finally:
            self._station.sampled = ""
            await self.runner.close()
            own.cancel()
            await asyncio.gather(own, return_exceptions=True)

    def _renew(self) -> None:
        self.runner = self._make()
        self.tables.move(self.runner)
        self._station.witnesses[self.id] = Witness(self.runner)

    async def close(self) -> None:
        """Ends sampling."""
        await self.runner.close()
