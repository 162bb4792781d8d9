"""What a TARGET on the command line means, and one state of it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, NamedTuple

from remote.target import parse_target
from sysmon.derive import State
from sysmon.errors import Unreachable, UsageError, nearest
from sysmon.frame import SMALL_TABLES, Frame
from sysmon.records import Hello, HostInfo, Status

if TYPE_CHECKING:
    from cli.context import Context


class Wanted(NamedTuple):
    """A target: its address, and the configured name ('' where it was given as an address)."""

    address: str
    name: str


def resolve(context: Context, targets: list[str]) -> list[Wanted]:
    """Finds the address of each target: a configured name, or an address itself.

    Raises:
        UsageError: neither.
    """
    found = []
    for given in targets:
        configured = context.config.hosts.get(given)
        if configured is not None:
            found.append(Wanted(configured.target, given))
        elif "://" in given:
            parse_target(given)
            found.append(Wanted(given, ""))
        else:
            names = list(context.config.hosts)
            hint = nearest(given, names) or (f"known are {', '.join(names)}" if names else "")
            hint = hint or "write http://HOST:8200, or add [hosts.NAME] to the configuration"
            raise UsageError(f"'{given}' is not a configured host", hint)
    return found


async def first_state(context: Context, targets: list[str], deadline: float = 15.0) -> tuple[HostInfo, State]:
    """Returns a host's state with rates, from the first target.

    Raises:
        Unreachable: no two frames came within `deadline` seconds; says why.
    """
    from remote.client import AgentSource

    wanted = resolve(context, targets)[0]
    source = AgentSource(wanted.address, name=wanted.name, clock=context.clock, tables=SMALL_TABLES | {"processes"})
    state = State(context.catalogue)
    info: HostInfo | None = None
    why = "no answer"
    try:
        async with asyncio.timeout(deadline):
            async for update in source.updates():
                if isinstance(update, Hello):
                    state = State(context.catalogue.merged(update.metrics))
                elif isinstance(update, HostInfo):
                    info = update
                elif isinstance(update, Status):
                    why = update.message or why
                    if update.state == "offline":
                        break
                elif isinstance(update, Frame):
                    state.apply(update)
                    if update.seq and state.derived() and any(row.cpu is not None for row in state.processes):
                        return info or HostInfo(id=update.host, target=wanted.address), state
    except TimeoutError:
        if state.frame is not None:
            return info or HostInfo(id=state.frame.host, target=wanted.address), state
    finally:
        await source.close()
    if wanted.address in why:
        raise Unreachable(why)
    raise Unreachable(f"{wanted.address}: {why}", "is `sysmon --agent` running there?")
