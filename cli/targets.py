"""What a TARGET on the command line means, and one state of it."""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING

from remote.client.bearer import TOKEN_VARIABLE
from remote.fingerprint import parse_fingerprint
from remote.target import host_target, parse_target
from sysmon.config import HostSettings
from sysmon.derive import State
from sysmon.errors import Unreachable, UsageError, nearest
from sysmon.frame import SMALL_TABLES, Frame
from sysmon.records import Hello, HostInfo, Status

if TYPE_CHECKING:
    from cli.context import Context
    from remote.target import Target


def resolve(context: Context, targets: list[str]) -> list[HostSettings]:
    """Finds the settings of each target: a configured name, or an address itself, whose name is then ''.

    Raises:
        UsageError: neither.
    """
    found = []
    for given in targets:
        configured = context.config.hosts.get(given)
        if configured is not None:
            found.append(configured)
        elif "://" in given:
            known = parse_target(given)
            same = [host for host in context.config.hosts.values() if _same(host, known)]
            # An address that is configured is met as it is configured there: with its token and its pinned key.
            found.append(same[0] if same else _unconfigured(given, known))
        else:
            names = list(context.config.hosts)
            hint = nearest(given, names) or (f"known are {', '.join(names)}" if names else "")
            hint = hint or "write https://HOST:8200 or ssh://HOST, or `sysmon hosts add NAME TARGET`"
            raise UsageError(f"'{given}' is not a configured host", hint)
    return found


def _unconfigured(given: str, target: Target) -> HostSettings:
    """An address of the command line, met as the environment says; secrets never stand on a command line."""
    if target.kind != "sysmon":
        return HostSettings(name="", target=given)
    pinned = os.environ.get("SYSMON_FINGERPRINT", "")
    return HostSettings(
        name="",
        target=given,
        token_file=f"${TOKEN_VARIABLE}" if os.environ.get(TOKEN_VARIABLE) else "",
        fingerprint=parse_fingerprint(pinned) if pinned and target.secure else "",
        ca=os.environ.get("SYSMON_CA", "") if target.secure else "",
    )


def _same(host: HostSettings, target: Target) -> bool:
    if host.target == "local":
        return False
    there = host_target(host)
    return (there.base, there.socket, there.kind, there.port) == (
        target.base,
        target.socket,
        target.kind,
        target.port,
    )


WITHOUT_PROCESSES = frozenset({"node", "netronome"})
"""Kinds of target that tell of no processes, so that none are waited for."""


async def first_state(
    context: Context, targets: list[str], deadline: float = 15.0, *, tables: frozenset[str] = frozenset()
) -> tuple[HostInfo, State]:
    """Returns a host's state with rates, from the first target; `tables`: those asked for beside the usual ones.

    Raises:
        Unreachable: no two frames came within `deadline` seconds; says why.
    """
    from cli.sources import open_source
    from remote.client.transport import Connections

    wanted = resolve(context, targets)[0]
    connections = Connections()
    asked = SMALL_TABLES | {"processes"} | tables
    source, _ = open_source(context, wanted, connections=connections, tables=asked, hire=False)
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
                    rated = any(row.cpu is not None for row in state.processes)
                    rated = rated or (source.target.kind in WITHOUT_PROCESSES and update.seq > 1)
                    rated = rated and (not tables or bool(state.talkers or state.connections))
                    if update.seq and state.derived() and rated:
                        return info or HostInfo(id=update.host, target=wanted.target), state
    except TimeoutError:
        if state.frame is not None:
            return info or HostInfo(id=state.frame.host, target=wanted.target), state
    finally:
        await source.close()
        await connections.close()
    if wanted.target in why:
        raise Unreachable(why)
    raise Unreachable(f"{wanted.target}: {why}", "is `sysmon --agent` running there?")
