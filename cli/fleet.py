"""The fleet: a follower for each configured host that is not paused, kept in step with the configuration file."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Final

import msgspec

from cli.configuration import load_config, stamp
from remote.target import host_target
from sysmon.errors import ConfigError, StoreError, SysmonError, UsageError
from sysmon.records import Liveness, Status

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from cli.context import Context
    from cli.ownhost import Contacts
    from cli.recording import Archive
    from cli.sources import RemoteSource
    from cli.station import Station
    from remote.client.history import HttpHistory
    from remote.liveness import Patience
    from sysmon.config import HostSettings
    from sysmon.records import Hello

LOOK: Final = 0.7
"""Seconds between looks at the configuration file. A change is taken at the second look that finds it the same, so that
an editor may take its time to write."""
AGAIN: Final = 1.0
"""Seconds until a host whose follower failed is followed again; doubled each time, up to `MOST`."""
MOST: Final = 60.0


class _Follower:
    """One configured host. `task`: None while it is paused."""

    __slots__ = ("settings", "task")

    def __init__(self, settings: HostSettings, task: asyncio.Task[None] | None) -> None:
        self.settings = settings
        self.task = task


class Fleet:
    """Follows the configured hosts, and does so with exactly those that the file has now.

    Args:
        context: clock, configuration and where it is.
        station: takes what comes.
        archive: with a recorder, what was missed is fetched and recorded.
        heard: given a host's name, every `Hello` of it, and the past of whoever said it.
        opened: given a host's name and its source before anything came; `closed`: its name, when it is let go of.
        known: whether a host's frames come another way already.
        contacts: of a recorder: is told which hosts there are.
        patience: how long is too long; a recorder's by default.
        tell: given sentences for people, each once.
        look: seconds between looks at the file. `changed`: whether it is another by now than the context has read.
    """

    def __init__(
        self,
        context: Context,
        station: Station,
        archive: Archive,
        *,
        heard: Callable[[str, Hello, HttpHistory | None], None] | None = None,
        opened: Callable[[str, RemoteSource], None] | None = None,
        closed: Callable[[str], object] | None = None,
        known: Callable[[str], bool] = lambda host: False,
        contacts: Contacts | None = None,
        patience: Patience | None = None,
        tell: Callable[[str], None] = lambda text: None,
        look: float = LOOK,
        changed: bool = False,
    ) -> None:
        self._context = context
        self._station = station
        self._archive = archive
        self._heard = heard
        self._opened = opened
        self._closed = closed
        self._known = known
        self._contacts = contacts
        self._patience = patience
        self._tell = tell
        self._look = look
        self._changed = changed
        self._followers: dict[str, _Follower] = {}
        self._told = ""

    async def run(self) -> None:
        """Follows until it is cancelled."""
        taken = seen = stamp(self._context.places.config)
        try:
            hosts = self._read() if self._changed else None
            await self._take(self._context.config.hosts if hosts is None else hosts)
            while True:
                await asyncio.sleep(self._look)
                now = stamp(self._context.places.config)
                if now == seen and now != taken:
                    taken = now
                    hosts = self._read()
                    if hosts is not None:
                        await self._take(hosts)
                seen = now
        finally:
            await self._stop(self._followers)

    def _read(self) -> Mapping[str, HostSettings] | None:
        """Returns the hosts that the file has now, or None where it has mistakes."""
        context = self._context
        try:
            hosts = load_config(context.places.config, context.catalogue, named=context.places.config_named).hosts
        except ConfigError as error:
            more = f" and {len(error.problems) - 1} more" if len(error.problems) > 1 else ""
            words = f"{error.problems[0]}{more}; hosts stay as they were"
            if words != self._told:
                self._told = words
                self._tell(words)
            return None
        if self._told:
            self._told = ""
            self._tell(f"{context.places.config} has no mistakes any more")
        return hosts

    async def _take(self, hosts: Mapping[str, HostSettings]) -> None:
        """Stops, begins and begins anew with those that changed; the others notice nothing."""
        if hosts != self._context.config.hosts:
            self._context.config = msgspec.structs.replace(self._context.config, hosts=dict(hosts))
        changed = [name for name, each in self._followers.items() if hosts.get(name) != each.settings]
        before = {name: self._followers[name].settings for name in changed}
        await self._stop(changed)
        if self._contacts is not None:
            for name in changed:
                self._contacts.leave(name)
            self._contacts.expect(name for name, host in hosts.items() if not host.paused)
        self._station.clones.configure({name: _text(host) for name, host in hosts.items()})
        targets = {_text(host) for host in hosts.values()}
        for name, settings in before.items():
            if name not in hosts:
                await self._forget(settings, kept=_text(settings) in targets)
        for name, host in hosts.items():
            if name in self._followers:
                continue
            self._followers[name] = _Follower(host, None)
            if host.paused:
                await self._say(host, "paused", "")
            else:
                self._followers[name].task = asyncio.create_task(self._follow(host), name=f"host {name}")

    async def _stop(self, names: Iterable[str]) -> None:
        gone = [self._followers.pop(name) for name in list(names)]
        tasks = [each.task for each in gone if each.task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _follow(self, host: HostSettings) -> None:
        """Follows one host for ever; what goes wrong is its own status, and nobody else's matter."""
        # With it comes what speaks HTTP: 14 MB that a screen without hosts does without.
        from cli.follow import follow_host

        wait = AGAIN
        loop = asyncio.get_running_loop()
        while True:
            began = loop.time()
            try:
                await follow_host(
                    self._context,
                    host,
                    self._station,
                    self._archive,
                    heard=lambda hello, past: self._greeted(host, hello, past),
                    opened=lambda source: self._open(host, source),
                    known=self._known,
                    patience=self._patience,
                )
                problem = "its source ended by itself"
            except UsageError as error:
                # The settings themselves: another attempt would fail the same way.
                await self._say(host, "offline", str(error))
                await asyncio.Event().wait()
            except SysmonError as error:
                problem = str(error)
            except Exception as error:  # a fault of ours with one host: said there, and the others go on
                problem = f"a fault of sysmon itself: {type(error).__name__}: {error}"
            finally:
                if self._closed is not None:
                    self._closed(host.name)
            wait = AGAIN if loop.time() - began > MOST else wait
            await self._say(host, "offline", problem)
            await asyncio.sleep(wait)
            wait = min(MOST, 2 * wait)

    def _open(self, host: HostSettings, source: RemoteSource) -> None:
        if self._opened is not None:
            self._opened(host.name, source)

    def _greeted(self, host: HostSettings, hello: Hello, past: HttpHistory | None) -> None:
        if self._contacts is not None:
            self._contacts.heard(host.name, hello)
        if self._heard is not None:
            self._heard(host.name, hello, past)

    async def _say(self, host: HostSettings, state: Liveness, message: str) -> None:
        """Says how the hosts of a target are that gives no word itself; one never reached has a name alone."""
        ids = await self._ids(host)
        if ids:
            self._station.reached(host.name)
        for id in ids or [""]:
            status = Status(
                host=id,
                name=host.name,
                state=state,
                message=message,
                target=_text(host),
                tags=[*host.tags],
                expected_off=host.expected_off,
            )
            await self._station.take(status)
            if id:
                await self._station.heed(status)

    async def _forget(self, host: HostSettings, *, kept: bool) -> None:
        """Lets go of a host that was taken out of the configuration; `kept`: another one has its target now."""
        self._station.reached(host.name)
        if kept:
            return
        for id in [id for id in await self._ids(host) if id != self._station.sampled]:
            words = "no longer configured"
            await self._station.take(
                Status(host=id, name=host.name, state="paused", message=words, target=_text(host), gone=True)
            )

    async def _ids(self, host: HostSettings) -> list[str]:
        """The ids of the hosts that are known at a target: by what was said here, else by the history."""
        target = _text(host)
        found = [info.id for info in self._station.infos.values() if info.target == target]
        if not found and self._archive.history is not None:
            with contextlib.suppress(StoreError):
                recorded = await self._archive.history.hosts()
                found = [info.id for info in recorded if info.target == target]
        return [id for id in found if not self._known(id)]


def _text(host: HostSettings) -> str:
    try:
        return str(host_target(host))
    except SysmonError:
        return host.target
