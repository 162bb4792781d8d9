"""Which source reads a target: the one place that knows all kinds of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

from remote.target import host_target
from sysmon.errors import UsageError

if TYPE_CHECKING:
    import asyncio
    from collections.abc import AsyncIterator, Callable, Iterable

    from cli.context import Context
    from remote.client.history import HttpHistory
    from remote.client.transport import Connections
    from remote.foreign.polled import PolledSource
    from remote.liveness import Patience
    from remote.target import Target
    from sysmon.config import HostSettings
    from sysmon.frame import Frame
    from sysmon.records import Past, Update


class RemoteSource(Protocol):
    """A source that is somewhere else; see `remote.client.source.AgentSource`."""

    @property
    def target(self) -> Target:
        """Where it is."""
        ...

    @property
    def connected(self) -> asyncio.Event:
        """Set while it answers."""
        ...

    @property
    def skew(self) -> int | None:
        """Its clock minus ours in milliseconds, or None where that is not known."""
        ...

    def updates(self) -> AsyncIterator[Update]:
        """Yields a `Status` first, then what it says, for ever."""
        ...

    def ask(self, tables: Iterable[str]) -> None:
        """Asks for these tables from now on."""
        ...

    def wake(self) -> None:
        """Tries again now where it waits to reach its target."""
        ...

    def late(self, frame: Frame) -> bool:
        """Whether a frame just yielded fills a hole and says nothing about now."""
        ...

    async def close(self) -> None:
        """Ends `updates`."""
        ...


class Opened(NamedTuple):
    """A source, and what gives its own history: None where it keeps none, or not yet."""

    source: RemoteSource
    past: Callable[[], HttpHistory | None]


def open_source(
    context: Context,
    host: HostSettings,
    *,
    connections: Connections,
    patience: Patience | None = None,
    tables: Iterable[str] = (),
    hire: bool = True,
    counted: Callable[[Past], None] | None = None,
) -> Opened:
    """Makes the source of a configured host; nothing is connected before its `updates` are asked for.

    Args:
        context: clock, catalogue, configuration, places.
        host: where it is and how it is met.
        connections: HTTP connections of this process.
        patience: how long is too long; a recorder's by default.
        tables: to ask for from the first.
        hire: whether an agent may be started on a box reached by ssh, for as long as the source is read.
        counted: is given what others counted of a box reached by ssh, as its collectors find it.

    Raises:
        UsageError: the target cannot be one.
    """
    target = host_target(host)
    if target.kind == "sysmon":
        from remote.client.history import HttpHistory
        from remote.client.source import AgentSource

        source = AgentSource(
            target,
            name=host.name,
            clock=context.clock,
            tables=tables,
            interval=host.interval,
            collectors=host.collectors,
            connections=connections,
            patience=patience,
        )
        past = HttpHistory(target, connections=connections, clock=context.clock)
        return Opened(source, lambda: past)
    if target.kind == "ssh":
        from cli.sshhost import SshHost
        from cli.sshrouter import PLAIN, TEXTS
        from remote.ssh.source import SshSource

        box = SshSource(
            target,
            lambda: SshHost(context, host, target, counted),
            runtime=context.places.runtime,
            name=host.name,
            interval=host.interval,
            collectors=host.collectors,
            clock=context.clock,
            connections=connections,
            patience=patience,
            tables=tables,
            hire=hire,
            commands=TEXTS if host.router else PLAIN,
            router=host.router,
        )
        return Opened(box, box.past)
    polled: type[PolledSource]
    if target.kind == "node":
        from remote.foreign.nodeexporter import NodeExporterSource as polled
    elif target.kind == "netronome":
        from remote.foreign.netronome import NetronomeSource as polled
    else:
        raise UsageError(f"'{target}': {target.kind} is not there yet")
    peer = polled(
        target,
        catalogue=context.catalogue,
        name=host.name,
        interval=host.interval,
        collectors=host.collectors,
        clock=context.clock,
        connections=connections,
        patience=patience,
    )
    return Opened(peer, lambda: None)
