"""Who answers at a target, before it is watched: its key first, with nothing said; then its hosts."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from remote.target import host_target
from sysmon.errors import ProtocolMismatch, RemoteError, StoreError, Unauthorized, Unreachable, Untrusted
from sysmon.frame import clean_text
from sysmon.ports import Peer
from sysmon.records import Hello, HostInfo, Status

if TYPE_CHECKING:
    from cli.context import Context
    from remote.client.look import Seen
    from remote.client.transport import Connections
    from remote.target import Target
    from sysmon.config import HostSettings

DEADLINE = 10.0
"""Seconds in which a peer must have answered."""
FIRST_FRAME = 20.0
"""Seconds in which the first frame must be there of a box that is reached by ssh, or that is read by others' agents."""


async def probe(context: Context, host: HostSettings, *, deadline: float | None = None) -> Peer:
    """Asks who answers at a target; see `sysmon.ports.HostBook.probe`.

    Args:
        context: clock, catalogue.
        host: where it is and how it is met.
        deadline: seconds it may take; by default what its kind may.

    Raises:
        RemoteError: nobody answers, or something else than was to be expected. UsageError: that is no target.
    """
    from remote.client.transport import Connections

    target = host_target(host)
    began = time.monotonic()
    peer = await meet(target)
    if peer.problem:
        return msgspec.structs.replace(peer, seconds=time.monotonic() - began)
    connections = Connections()
    try:
        if target.kind == "sysmon":
            peer = await _sysmon(peer, target, connections, deadline or DEADLINE)
        else:
            peer = await _other(peer, context, host, connections, deadline or FIRST_FRAME)
    except Unauthorized as error:
        peer = msgspec.structs.replace(peer, problem=str(error))
    finally:
        await connections.close()
    return msgspec.structs.replace(peer, seconds=time.monotonic() - began)


async def meet(target: Target) -> Peer:
    """Looks at the key and the certificate of a target, where it is met by TLS; nothing is said to it.

    Raises:
        RemoteError: nobody answers, or not with TLS.
    """
    if not target.secure:
        return Peer(target=str(target))
    from remote.client.look import look

    seen = await look(target)
    return Peer(
        target=str(target),
        fingerprint=seen.fingerprint,
        words=seen.words,
        certificate=seen.certificate,
        verified=seen.problem is None,
        problem="" if seen.problem is None else _unpinned(target, seen),
    )


def _unpinned(target: Target, seen: Seen) -> str:
    if isinstance(seen.problem, Untrusted) and not target.credentials.fingerprint and not target.credentials.ca:
        return "its key is not pinned yet; compare it with what `sysmon --agent` prints there"
    return str(seen.problem)


async def _sysmon(peer: Peer, target: Target, connections: Connections, deadline: float) -> Peer:
    from remote import clean
    from remote.client.transport import Endpoint

    endpoint = Endpoint(target, connections)
    body = await endpoint.get("/v1/hosts", deadline=deadline)
    try:
        answer = msgspec.json.decode(body, type=_Answer)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        raise ProtocolMismatch(f"{target} answers something else than hosts", "is that a sysmon?") from None
    hosts = [clean.record(info) for info in answer.hosts]
    return msgspec.structs.replace(peer, version=f"sysmon {clean_text(answer.version, 40)}", hosts=hosts)


class _Answer(msgspec.Struct):
    version: str
    hosts: list[HostInfo]


async def _other(peer: Peer, context: Context, host: HostSettings, connections: Connections, deadline: float) -> Peer:
    found = await glance(context, host, connections, deadline)
    if found.problem:
        raise Unreachable(found.problem if peer.target in found.problem else f"{peer.target}: {found.problem}")
    versions = sorted({info.version for info in found.hosts.values() if info.version})
    return msgspec.structs.replace(peer, hosts=[*found.hosts.values()], version=", ".join(versions))


class Glance(NamedTuple):
    """What a source said within a short time.

    Attributes:
        hosts: id -> who it is. `statuses`: id -> how fresh it is.
        skew: its clock minus ours in milliseconds, or None.
        problem: why there is nothing to see, or ''.
    """

    hosts: dict[str, HostInfo]
    statuses: dict[str, Status]
    skew: int | None
    problem: str


async def glance(context: Context, host: HostSettings, connections: Connections, deadline: float) -> Glance:
    """Reads a source until it is clear how each of its hosts is, or why none is heard, `deadline` seconds at most.

    Raises:
        UsageError: the target cannot be one.
    """
    from cli.sources import open_source
    from remote.liveness import Patience

    source, _ = open_source(context, host, connections=connections, patience=Patience(), hire=False)
    hosts: dict[str, HostInfo] = {}
    statuses: dict[str, Status] = {}
    problem = ""
    try:
        async with asyncio.timeout(deadline):
            async for update in source.updates():
                match update:
                    case Hello():
                        hosts = {info.id: info for info in update.hosts}
                        if not hosts:
                            problem = "it serves no host"
                    case HostInfo():
                        hosts[update.id] = update
                    case Status() if update.host:
                        statuses[update.host] = update
                    case Status() if update.state == "offline" and not update.via:
                        # Of the server itself; what a hub says of hosts it never reached is no word on the hub.
                        problem = update.message or "offline"
                known = {id for id, status in statuses.items() if status.state != "connecting"}
                if problem or (hosts and hosts.keys() <= known):
                    break
    except TimeoutError:
        if not statuses or all(status.state == "connecting" for status in statuses.values()):
            said = "connected, but no frame has come" if source.connected.is_set() else "no answer"
            problem = f"{said} within {deadline:g} s"
    except (RemoteError, StoreError) as error:
        problem = str(error)
    finally:
        skew = source.skew
        await source.close()
    return Glance(hosts, statuses, skew, problem)
