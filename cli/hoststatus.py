"""How the configured hosts are: as a running recorder of this machine sees them, else asked directly, all at once."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final

import msgspec

from remote.target import host_target
from sysmon.errors import SysmonError
from sysmon.records import HostInfo, Liveness, Status

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cli.context import Context
    from remote.client.transport import Connections
    from sysmon.config import HostSettings

AT_ONCE: Final = 64
"""Hosts asked at the same time."""
_WORST: Final[Sequence[Liveness]] = ("offline", "stale", "late", "connecting", "paused", "replay", "live")


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """How one configured host is.

    Attributes:
        age: seconds since its last frame, or None. `skew`: its clock minus ours in seconds, or None.
        message: why it is not live.
        hosts: ids of the hosts behind it. `live`: how many of them are live.
        excused: that it is away is nothing wrong.
    """

    name: str
    target: str
    state: Liveness
    age: float | None = None
    skew: float | None = None
    message: str = ""
    hosts: list[str] = []
    live: int = 0
    excused: bool = False

    @property
    def wrong(self) -> bool:
        """Whether it should be live and is not."""
        return self.state != "live" and not self.excused


class _Hosts(msgspec.Struct):
    hosts: list[HostInfo]
    statuses: list[Status]


async def find_statuses(context: Context, hosts: Sequence[HostSettings], deadline: float) -> tuple[str, list[Found]]:
    """Finds out how hosts are.

    Args:
        context: clock, catalogue, places.
        hosts: configured ones.
        deadline: seconds that a host may take which is asked directly.

    Returns:
        Who said so ('recorder (process 1234)', or '' where all were asked directly), and one entry per host, in order.
    """
    who, heard = "", _Hosts([], [])
    wanted = [host for host in hosts if not host.paused]
    if wanted:
        who, heard = await _recorder(context)
    found: dict[str, Found] = {host.name: _paused(host) for host in hosts if host.paused}
    for host in wanted:
        said = _of_recorder(context, host, heard)
        if said is not None:
            found[host.name] = said
    asked = [host for host in wanted if host.name not in found]
    found |= dict(zip([host.name for host in asked], await _ask_all(context, asked, deadline), strict=True))
    return who if len(asked) < len(wanted) else "", [found[host.name] for host in hosts]


async def _recorder(context: Context) -> tuple[str, _Hosts]:
    """Asks a recorder of this machine, if one runs, what it knows of all hosts."""
    from cli.local import own_host
    from cli.neighbours import Neighbours
    from remote import clean
    from remote.client.transport import Connections, Endpoint
    from remote.target import parse_target

    neighbour = await Neighbours(context.places, context.config.agent.port, own_host(context)).find()
    if neighbour is None or not neighbour.recorder.startswith("recorder"):
        # An agent follows nobody.
        return "", _Hosts([], [])
    connections = Connections()
    try:
        body = await Endpoint(parse_target(neighbour.address), connections).get("/v1/hosts", deadline=5.0)
        return neighbour.recorder, clean.value(msgspec.json.decode(body, type=_Hosts))
    except (SysmonError, msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return "", _Hosts([], [])
    finally:
        await connections.close()


def _of_recorder(context: Context, host: HostSettings, heard: _Hosts) -> Found | None:
    """Returns what the recorder says of a host; None where it does not follow it (yet)."""
    target = _text(host)
    statuses = [
        status
        for status in heard.statuses
        # What a hub behind that recorder never reached may have the same name; it has been through two of them.
        if len(status.via) < 2 and (status.target == target or (not status.host and status.name == host.name))
        if status.state != "paused"
    ]
    return _found(context, host, statuses, None) if statuses else None


async def _ask_all(context: Context, hosts: Sequence[HostSettings], deadline: float) -> list[Found]:
    from remote.client.transport import Connections

    if not hosts:
        return []
    connections = Connections()
    places = asyncio.Semaphore(AT_ONCE)

    async def ask(host: HostSettings) -> Found:
        async with places:
            return await _ask(context, host, connections, deadline)

    try:
        return await asyncio.gather(*(ask(host) for host in hosts))
    finally:
        await connections.close()


async def _ask(context: Context, host: HostSettings, connections: Connections, deadline: float) -> Found:
    from cli.probe import glance

    try:
        seen = await glance(context, host, connections, deadline)
    except SysmonError as error:
        return _found(context, host, [Status(host="", state="offline", message=str(error))], None)
    if seen.problem:
        return _found(context, host, [Status(host="", state="offline", message=seen.problem)], seen.skew)
    return _found(context, host, [*seen.statuses.values()], seen.skew)


def _found(context: Context, host: HostSettings, statuses: Sequence[Status], skew: int | None) -> Found:
    worst = min(statuses, key=lambda status: _WORST.index(status.state))
    target = _text(host)
    ages = [status.age for status in statuses if status.age is not None]
    newest = max(status.since for status in statuses)
    if not ages and newest:
        ages = [max(0, context.clock.boottime() - newest) / 1e9]
    skews = [status.skew for status in statuses if status.skew is not None] or ([] if skew is None else [skew])
    live = sum(status.state == "live" for status in statuses)
    message = worst.message
    if len(statuses) > 1 and live < len(statuses):
        message = f"{live} of {len(statuses)} hosts are live" + (f"; {message}" if message else "")
    return Found(
        name=host.name,
        target=target,
        state=worst.state,
        age=min(ages, default=None),
        skew=max(skews, key=abs) / 1000 if skews else None,
        message=message,
        hosts=[status.host for status in statuses if status.host],
        live=live,
        excused=host.expected_off,
    )


def _paused(host: HostSettings) -> Found:
    return Found(name=host.name, target=_text(host), state="paused", excused=True)


def _text(host: HostSettings) -> str:
    try:
        return str(host_target(host))
    except SysmonError:
        return host.target


def as_json(who: str, found: Sequence[Found]) -> dict[str, Any]:
    """Returns what `sysmon hosts status --json` prints."""
    hosts = []
    for each in found:
        plain = msgspec.to_builtins(each)
        plain["expected_off"] = plain.pop("excused") and each.state != "paused"
        hosts.append(plain)
    return {"by": who or "direct", "ok": not any(each.wrong for each in found), "hosts": hosts}
