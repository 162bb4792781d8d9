"""What most commands need: where files are, the catalogue, the configuration, the history to read."""

from __future__ import annotations

import asyncio
import os
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, TypeVar

from sysmon.clock import SystemClock
from sysmon.config import Config, Places, places
from sysmon.errors import UsageError, nearest
from sysmon.units import parse_time

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from sysmon.catalogue import Catalogue
    from sysmon.ports import History
    from sysmon.records import HostInfo

Result = TypeVar("Result")


@dataclass
class Context:
    """Built once per command; what is not asked for is not loaded."""

    places: Places

    @classmethod
    def of_environment(cls) -> Context:
        """The context of this process's environment."""
        return cls(places())

    @cached_property
    def clock(self) -> SystemClock:
        """The machine's clocks."""
        return SystemClock()

    @cached_property
    def catalogue(self) -> Catalogue:
        """Every metric of this host's collectors."""
        from collectors.registry import catalogue

        return catalogue()

    @cached_property
    def config(self) -> Config:
        """The checked configuration.

        Raises:
            ConfigError: with every mistake of the file.
        """
        from cli.configuration import load_config

        return load_config(self.places.config, self.catalogue, named=self.places.config_named)

    @property
    def history_path(self) -> Path:
        """The history's file: what SYSMON_DB names, else what the configuration does, else the state folder's."""
        from pathlib import Path

        configured = "" if os.environ.get("SYSMON_DB") else self.config.history.path
        return Path(configured).expanduser() if configured else self.places.history

    def read_history(self, work: Callable[[History], Awaitable[Result]]) -> Result:
        """Opens the history for reading, does `work` with it and closes it.

        Raises:
            UsageError: there is none yet.
        """
        from store.reader import SqliteHistory

        path = self.history_path
        if not path.exists():
            raise UsageError(
                f"there is no history yet: {path} does not exist",
                "start `sysmon`, or `sysmon --record` to record in the background",
            )

        async def go() -> Result:
            history = SqliteHistory.open(path, self.catalogue, clock=self.clock)
            try:
                return await work(history)
            finally:
                await history.close()

        return asyncio.run(go())


def pick_host(hosts: list[HostInfo], given: str | None, local: str = "") -> HostInfo:
    """Finds the host that a name, hostname or id means; without one, this host or the only one.

    Raises:
        UsageError: unknown, or several hosts have that name.
    """
    if not hosts:
        raise UsageError("the history holds no host yet", "let `sysmon` run for some seconds first")
    if given is None:
        own = [host for host in hosts if host.id == local] or [host for host in hosts if host.target == "local"]
        if len(own) == 1 or len(hosts) == 1:
            return (own or hosts)[0]
        names = ", ".join(host.label for host in hosts)
        raise UsageError(f"there are {len(hosts)} hosts: {names}", "choose one with --host")
    found = [host for host in hosts if given == host.id] or [
        host for host in hosts if given in (host.name, host.hostname)
    ]
    if len(found) == 1:
        return found[0]
    if found:
        ids = ", ".join(host.id for host in found)
        raise UsageError(f"'{given}' is the name of {len(found)} hosts", f"give the id: {ids}")
    hint = nearest(given, [host.label for host in hosts]) or f"known are {', '.join(host.label for host in hosts)}"
    raise UsageError(f"'{given}' is not a host of the history", hint)


def time_range(since: str | None, until: str | None, now: int, back: float = 3600.0) -> tuple[int, int]:
    """Turns --since and --until into (start, end) in Unix milliseconds.

    Raises:
        UsageError: not moments, or the wrong way round.
    """
    end = parse_time(until, now) if until else now
    start = parse_time(since, now) if since else end - int(back * 1000)
    if start >= end:
        raise UsageError(f"--since '{since}' is not before --until '{until or 'now'}'", "swap them")
    return start, end
