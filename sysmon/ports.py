"""The small protocols through which the parts meet: sources, sinks, history, actions.

Collectors, store, alerts, remote and the screen know only these; `cli` ties them together.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import msgspec

from sysmon.records import HostInfo

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence

    from sysmon.catalogue import Metric
    from sysmon.config import HostSettings
    from sysmon.frame import DeviceRow, Frame, ProcessRow
    from sysmon.records import (
        AlertState,
        Event,
        Evidence,
        HistoryStatus,
        KnownDevice,
        Moment,
        Past,
        RunSpan,
        SeriesAnswer,
        SeriesQuery,
        Span,
        Update,
        Usage,
    )


class Source(Protocol):
    """Something that yields what hosts say: this host's collectors, an agent, a hub, a recording."""

    def updates(self) -> AsyncIterator[Update]:
        """Yields frames and what goes with them; a new host's `HostInfo` comes before its first frame."""
        ...

    async def close(self) -> None:
        """Ends `updates` and frees what it holds."""
        ...


class History(Protocol):
    """The past, wherever it is kept. Methods raise `StoreError` or `RemoteError`, and answer within a deadline."""

    async def status(self) -> HistoryStatus:
        """Returns how the history is."""
        ...

    async def hosts(self) -> list[HostInfo]:
        """Returns the hosts it knows."""
        ...

    async def keys(self, host: str) -> list[str]:
        """Returns the series keys known of a host, raw and derived, sorted."""
        ...

    async def series(self, query: SeriesQuery) -> SeriesAnswer:
        """Returns series in steps; p95 is honest at every range, gaps are listed, partial steps count as what they
        are.
        """
        ...

    async def moment(self, host: str, time: int, step: int = 0) -> Moment | None:
        """Returns the frame at or last before `time` (step 0), the next after (1) or the previous before (-1) it, or
        None.
        """
        ...

    async def spans(self, host: str | None = None) -> list[RunSpan]:
        """Returns which frames are held, oldest first."""
        ...

    async def frames(self, host: str, run: str, first: int, last: int) -> list[Frame]:
        """Returns the frames of a run with seq from `first` to `last`, as recorded, without tables; at most 600."""
        ...

    async def events(
        self, host: str | None = None, start: int | None = None, end: int | None = None, limit: int = 1000
    ) -> list[Event]:
        """Returns events, newest first."""
        ...

    async def alerts(self, host: str | None = None) -> list[AlertState]:
        """Returns the states of alerts that are not resolved."""
        ...

    async def evidence(self, host: str, time: int) -> Evidence | None:
        """Returns the last evidence at or before `time`, at most 10 minutes older."""
        ...

    async def usage(self, host: str, start: int, end: int, step: str, keys: Sequence[str] = ()) -> list[Usage]:
        """Returns exact byte totals per counter in steps of `sysmon.zones.STEPS` of the host's time zone.

        A bucket that was only known as a longer one says so by its `end`.
        """
        ...

    async def devices(self, host: str) -> list[KnownDevice]:
        """Returns the devices ever seen behind a router, with what users call them."""
        ...

    async def resets(self, host: str) -> list[int]:
        """Returns when users began counting periods of a host's devices anew (Unix ms), ascending."""
        ...

    async def gaps(self, host: str, start: int, end: int) -> list[Span]:
        """Returns the stretches without data."""
        ...

    async def close(self) -> None:
        """Frees what it holds."""
        ...


class Recorder(Protocol):
    """The one writer of a history. Methods return once the work is accepted in order; they slow the caller rather than
    drop.
    """

    async def record(self, frame: Frame, *, received: int, late: bool = False) -> None:
        """Takes one frame; a frame already held (by identity) is ignored."""
        ...

    async def record_host(self, info: HostInfo) -> None:
        """Takes what is known about a host."""
        ...

    async def record_metrics(self, host: str, metrics: Sequence[Metric]) -> None:
        """Takes catalogue entries that a host's frames need and this process may not know."""
        ...

    async def record_event(self, event: Event) -> None:
        """Takes an event; one with a known id is ignored."""
        ...

    async def record_alerts(self, states: Sequence[AlertState]) -> None:
        """Keeps alert states for the next start."""
        ...

    async def record_evidence(self, evidence: Evidence) -> None:
        """Keeps who was busiest."""
        ...

    async def record_past(self, past: Past) -> None:
        """Takes what others counted before, as far as it is not known here: nothing counts twice."""
        ...

    async def record_devices(self, host: str, rows: Sequence[DeviceRow], time: int) -> None:
        """Keeps who was seen behind a router at a moment."""
        ...

    async def flush(self) -> None:
        """Returns when everything taken so far is committed."""
        ...

    async def close(self) -> None:
        """Commits and lets go of the lock."""
        ...


class Notes(Protocol):
    """Small things that users say of what is recorded; any process of this user may write them, and they are kept at
    once. Methods raise `StoreError`.
    """

    async def name_device(self, host: str, key: str, *, alias: str | None = None, category: str | None = None) -> None:
        """Keeps what a user calls a device of a router; '' takes it back, None leaves it as it is."""
        ...

    async def reset_devices(self, host: str, time: int) -> None:
        """Begins a new counting period of a router's devices, here alone: nothing is written to the router."""
        ...


class Peer(msgspec.Struct, frozen=True, kw_only=True):
    """Who answers at a target, as seen before anything secret was sent there.

    Attributes:
        target: as shown.
        fingerprint: `sha256:…` of its public key, or '' where it is not met by TLS. `words`: the same for people.
        verified: whether that is the pinned one, or a certificate authority vouches for it.
        certificate: for people: its name and how long it is valid.
        hosts: who it says it serves; empty where it wants a token first, which `problem` then says.
        version: of the sysmon there, or of what else speaks.
        seconds: that the answer took.
        problem: what stands in the way of watching it, or ''.
    """

    target: str
    fingerprint: str = ""
    words: str = ""
    verified: bool = False
    certificate: str = ""
    hosts: list[HostInfo] = []
    version: str = ""
    seconds: float = 0.0
    problem: str = ""


class HostBook(Protocol):
    """The configured hosts, kept in the configuration file. Methods raise `ConfigError` or `UsageError`."""

    def hosts(self) -> list[HostSettings]:
        """Returns them as the file has them now, in its order."""
        ...

    def add(self, settings: HostSettings) -> None:
        """Adds one; its name must be free."""
        ...

    def edit(self, name: str, changes: Mapping[str, object]) -> HostSettings:
        """Changes fields of one (`{"paused": True}`; `{"name": …}` renames it); returns what it now is."""
        ...

    def remove(self, name: str) -> None:
        """Takes one out of the file; what was recorded of it stays."""
        ...

    async def probe(self, settings: HostSettings) -> Peer:
        """Asks who answers there; nothing secret is sent before the peer is known.

        Raises:
            RemoteError: nobody answers, or not a sysmon; says why.
        """
        ...


class Actions(Protocol):
    """What the screen may do on this host, with the user's own rights. Absent for remote hosts."""

    def signal(self, pid: int, started: float, signum: int) -> None:
        """Signals exactly the process (pid, started).

        Raises:
            SysmonError: it is gone, is another process by now, or rights are missing.
        """
        ...

    def renice(self, pid: int, started: float, nice: int) -> None:
        """Sets the nice value of exactly the process (pid, started)."""
        ...

    def dangerous(self, row: ProcessRow) -> str | None:
        """Returns why ending this process wants a second confirmation (process 1, sysmon's own shell …), or None."""
        ...
