"""Hosts that push to this hub: what their reports say goes the way of any followed host."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import msgspec

from cli.token import store_of
from remote.push.bindings import Bindings
from remote.push.intake import Intake
from remote.push.pushed import TARGET
from sysmon.errors import StoreError, SysmonError
from sysmon.frame import Frame
from sysmon.records import Hello, HostInfo, Status

if TYPE_CHECKING:
    import asyncio

    from cli.context import Context
    from cli.ownhost import Contacts
    from cli.recording import Archive
    from cli.station import Station
    from remote.server.tokens import Token
    from sysmon.ports import History, Recorder
    from sysmon.records import Update

WAY = "@push"
"""The name of the way that reports come, among the ways to a host; no configured host can have it."""
BINDINGS = "reporting.json"
"""Which token belongs to which host, in the state folder."""


class PushedHosts:
    """Implements `remote.push.intake.Sink` on a station.

    Args:
        context: clock, configuration, places.
        station: takes what is reported.
        archive: keeps it.
        contacts: is told where a host that reports is this very machine.
        own: id of this machine. `boot`: the one it is in.
        server: the feed's, drawn at its start.

    Attributes:
        intake: takes reports.

    Raises:
        SysmonError: the list of who reports is open to others, or no such list.
    """

    def __init__(
        self,
        context: Context,
        station: Station,
        archive: Archive,
        contacts: Contacts,
        *,
        own: str,
        boot: str,
        server: str,
    ) -> None:
        from cli.ownhost import say

        self._station = station
        self._archive = archive
        self._contacts = contacts
        self._own = own
        self._boot = boot
        self._server = server
        self._context = context
        self._tokens = store_of(context.places)
        self._stamp: tuple[int, int, int] | None = None
        self._tokens_held: dict[str, Token] = {}
        self.intake = Intake(
            self,
            Bindings(context.places.state / BINDINGS),
            holder=self._holder,
            retention=context.config.history.raw,
            clock=context.clock,
            say=lambda line: say(line),
            server=server,
        )

    async def run(self, recording: asyncio.Event) -> None:
        """Waits for those that reported to an earlier process, and judges how fresh all are; runs until cancelled."""
        await recording.wait()
        if self._archive.history is not None:
            with contextlib.suppress(StoreError):
                # Whether this machine is sampled here is not to wait for an agent that may never come back.
                await self.intake.restore(self._archive.history, without=self._own)
        await self.intake.watch()

    # What the intake asks for

    def kept(self) -> tuple[Recorder, History] | None:
        """Returns what records and what reads it back, or None while nothing is recorded."""
        recorder, history = self._archive.recorder, self._archive.history
        return None if recorder is None or history is None else (recorder, history)

    def conflict(self, host: str, boot: str, *, bound: bool, token: bool) -> str:
        """Says why that id is another machine's: this one's own, or that of a host which is followed.

        A token that was not bound to a host while nobody followed it does not get to speak for it later: its holder
        would write into a past that is fetched from elsewhere.
        """
        if host == self._own:
            if token:
                return f"{host} is the hub's own machine, for which only its own programs speak, over the Unix socket"
            return "" if boot == self._boot else f"{host} is the id of the hub's own machine, and that is another"
        target = self._followed(host)
        if not target:
            return ""
        if token and not bound:
            return (
                f"{host} is followed ({target}), and did not report with this token before it was;"
                " to have it report, take it out of the hub's configuration"
            )
        status, state = self._station.statuses.get(host), self._station.states.get(host)
        if status is None or status.state != "live" or state is None or state.frame is None:
            return ""
        taken = self._station.paths.taken(host) if self._station.paths is not None else None
        if taken in (None, WAY) or state.frame.boot == boot or not (boot or token):
            return ""
        return f"{host} is followed already ({target}), and is another machine"

    def _followed(self, host: str) -> str:
        """Where a host is followed now, live or not, beside its own reports; '' where it is not."""
        station = self._station
        if station.paths is not None and (target := station.paths.target(host, without=WAY)):
            return target
        # One that was recorded, and was not reached since this hub was started.
        info = station.clones.recorded(host)
        if info is None or info.target in ("", TARGET):
            return ""
        followed = any(status.target == info.target for status in station.statuses.values())
        return info.target if followed else ""

    def _holder(self, digest: str) -> str:
        """Returns the name of a token that is in force, '' where it is not."""
        stamp = self._tokens.stamp()
        if stamp != self._stamp:
            try:
                held = {each.digest: each for each in self._tokens.tokens()}
            except SysmonError:
                # It lets nobody in either, until it is mended.
                return "a token"
            self._tokens_held, self._stamp = held, stamp
        found = self._tokens_held.get(digest)
        return found.name if found is not None and found.state(self._context.clock.now()) == "valid" else ""

    async def take(self, update: Update, *, late: bool = False) -> None:
        """Takes what a host reports; where it is followed on another way too, its frames are only kept."""
        station = self._station
        if isinstance(update, HostInfo):
            if update.id == self._own:
                self._contacts.heard(WAY, self._hello(update))
            station.contact.know(update)
        elif isinstance(update, Hello):
            # Its hosts are known already, perhaps by names that another way gave them.
            hosts = [station.infos.get(info.id, info) for info in update.hosts]
            update = msgspec.structs.replace(update, hosts=hosts)
        admitted = self._admit(update)
        if isinstance(update, Frame):
            if not admitted and station.recorder is not None:
                await station.recorder.record(update, received=station.clock.now(), late=True)
            elif not late:
                station.contact.frame(update, station.clock.boottime())
        for each in admitted:
            await station.take(each, late=late)

    async def judged(self, status: Status) -> None:
        """Takes how fresh a host is: shown, and told where contact is lost or found."""
        for each in self._admit(status):
            await self._station.take(each)
            if isinstance(each, Status) and each.target == status.target:
                # Every pushed host is on a line of its own: those that go at once do not hang on one hub.
                await self._station.heed(msgspec.structs.replace(each, target=f"{each.target} {each.host}"))

    def tell(self, update: Update) -> None:
        """Passes on what is not recorded here: a gap."""
        if self._station.feed is not None:
            self._station.feed.publish(update, late=True)

    def _admit(self, update: Update) -> list[Update]:
        paths = self._station.paths
        # A greeting says everything a way has, and a report only speaks of one host.
        return [update] if paths is None or isinstance(update, Hello) else paths.admit(WAY, update)

    def _hello(self, info: HostInfo) -> Hello:
        return Hello(
            schema=1, version="", server=self._server, time=self._context.clock.now(), hosts=[info], metrics=[]
        )
