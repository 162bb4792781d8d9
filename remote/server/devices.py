"""`/v1/devices`: bandwidth per interface of hosts and per device behind routers, now and in total."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from remote.server.names import NotThere
from sysmon.devices import HEARD, Device, DeviceAnswer, away, present
from sysmon.errors import SysmonError, UsageError
from sysmon.ledger import Ask, Sums, bounds, join, meant, order, settled, sums
from sysmon.records import HostInfo

if TYPE_CHECKING:
    from collections.abc import Sequence

    from remote.server.backend import Backend
    from sysmon.bandwidth import Kind
    from sysmon.derive import State

FRESH = 5.0
"""Seconds for which totals are remembered."""
MAX_KNOWN = 10_000
"""Sums that are remembered: one per host, kind and range."""
MAX_ROWS = 50_000
"""Devices in the sums that are remembered, at most: thousands of a router take megabytes."""
MANY = 500
"""Devices from which on they are put together in a thread."""
COLLECTOR = "devices"
"""What reads the devices of a router."""
SLOW = "the history did not answer in time"


class Wanted(NamedTuple):
    """What a request wants.

    Attributes:
        host: id, or None for all. `kinds`: of devices.
        ask: the range beside today and month. `totals`: whether the history is asked at all.
        name: of one device alone, as a user calls it, or ''.
        sort: one of `sysmon.ledger.SORTS`, or '' for the order of hosts and names.
        offset, limit: of the page.
    """

    host: str | None
    kinds: Sequence[Kind] = ("interface",)
    ask: Ask = Ask()
    totals: bool = True
    name: str = ""
    sort: str = ""
    offset: int = 0
    limit: int = 10_000


class Totals:
    """What went through, by host, kind and range; remembered for a while, as it takes reading the history."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, str, Ask], tuple[float, Sums]] = {}
        self._looks: dict[str, tuple[tuple[int, bool, int], list[Device]]] = {}
        self._rows = 0
        # Of two hundred hosts it takes seconds: short questions are not to wait behind them.
        self._room = asyncio.Semaphore(1)

    async def present(self, host: str, state: State) -> list[Device]:
        """Returns the devices behind a router as they are now; worked out once for each look at them."""
        look = (state.reads.get(COLLECTOR, 0), state.stale(COLLECTOR), id(state.tables.devices))
        known = self._looks.get(host)
        if known is not None and known[0] == look:
            return known[1]
        if len(state.tables.devices or ()) > MANY:
            made = await asyncio.to_thread(present, host, state.copy(), ("device",))
        else:
            made = present(host, state, ("device",))
        self._looks.pop(host, None)
        if made and COLLECTOR in state.reads:
            self._looks[host] = (look, made)
            while sum(len(each) for _, each in self._looks.values()) > MAX_ROWS and len(self._looks) > 1:
                del self._looks[next(iter(self._looks))]
        return made

    async def get(self, backend: Backend, info: HostInfo, kind: Kind, ask: Ask, names: Sequence[str]) -> Sums | str:
        """Returns what the history tells of a host, or why it tells nothing."""
        key = (info.id, kind, ask)
        known = self._known.get(key)
        if known is not None and time.monotonic() < known[0] + FRESH:
            return known[1]
        async with self._room:
            found = await _sums(backend, info, kind, ask, names)
        if not isinstance(found, str):
            self._keep(key, found)
        return found

    def _keep(self, key: tuple[str, str, Ask], found: Sums) -> None:
        now = time.monotonic()
        self._drop(key)
        self._known[key] = (now, found)
        self._rows += _size(found)
        while len(self._known) > MAX_KNOWN or (self._rows > MAX_ROWS and len(self._known) > 1):
            self._drop(next(iter(self._known)))

    def _drop(self, key: tuple[str, str, Ask]) -> None:
        gone = self._known.pop(key, None)
        if gone is not None:
            self._rows -= _size(gone[1])


def _size(found: Sums) -> int:
    return len(found.known) + len(found.recorded)


async def devices(backend: Backend, totals: Totals, wanted: Wanted) -> DeviceAnswer:
    """Returns interfaces and devices of a host, or of all.

    Raises:
        NotThere: none is called as wanted. UsageError: the range is none.
    """
    now = backend.clock.now()
    known = {info.id: info for info in await _infos(backend, wanted)}
    here = await _present(backend, totals, wanted, list(known) if wanted.host is None else [wanted.host])
    infos = {host: known.get(host) or HostInfo(id=host) for host in here}
    for info in infos.values():
        if wanted.ask.given and wanted.ask.range != "reset":
            bounds(wanted.ask, now, info)
    found: dict[tuple[str, Kind], Sums | str] = {}
    if backend.history is not None and wanted.totals:
        pairs = [(host, kind) for host in here for kind in wanted.kinds if _asked(kind, wanted, here[host][kind])]
        found = await _all(backend, totals, wanted, pairs, infos, here)
    problems = list(
        dict.fromkeys(f"{infos[host].label}: {why}" for (host, _), why in found.items() if isinstance(why, str))
    )
    size = sum(len(each) + _size(sums_of) for each in found.values() if (sums_of := _told(each)) is not None)
    size += sum(len(listed) for kinds in here.values() for listed in kinds.values())

    def made() -> list[Device]:
        listed = [
            each
            for host, kinds in here.items()
            for kind, held in kinds.items()
            for each in join(infos[host], kind, held, _told(found.get((host, kind))))
        ]
        if wanted.name:
            return meant(listed, wanted.name)
        return order(listed, wanted.sort) if wanted.sort else listed

    listed = await settled(made, size)
    if wanted.name and not listed:
        raise NotThere(f"'{wanted.name[:100]}' is no interface and no device known here", "/v1/devices lists them")
    page = listed[wanted.offset : wanted.offset + wanted.limit]
    if not wanted.name:
        # What each did by port is much, and is asked of one.
        page = [msgspec.structs.replace(each, services=[]) if each.services else each for each in page]
    return DeviceAnswer(time=now, total=len(listed), devices=page, problems=problems)


def _told(found: Sums | str | None) -> Sums | None:
    return found if isinstance(found, Sums) else None


def _asked(kind: Kind, wanted: Wanted, held: Sequence[Device]) -> bool:
    """Whether the history is asked: of the interfaces of a host without any only where its past is wanted."""
    return kind == "device" or bool(held) or wanted.ask.given


async def _infos(backend: Backend, wanted: Wanted) -> list[HostInfo]:
    """Returns the hosts that are told of: those there now, and where the past is wanted those of the history too."""
    feed = backend.feed
    if wanted.host in feed.hosts or (wanted.host is None and "device" not in wanted.kinds):
        return list(feed.hosts.values())
    return await backend.infos()


async def _present(
    backend: Backend, totals: Totals, wanted: Wanted, hosts: Sequence[str]
) -> dict[str, dict[Kind, list[Device]]]:
    found: dict[str, dict[Kind, list[Device]]] = {}
    for host in hosts:
        state, status = backend.feed.state(host), backend.feed.status(host)
        gone = status is not None and status.state not in HEARD
        kinds: dict[Kind, list[Device]] = {}
        for kind in wanted.kinds:
            if state is None:
                kinds[kind] = []
            elif kind == "device":
                kinds[kind] = await totals.present(host, state)
            else:
                kinds[kind] = present(host, state, (kind,))
            if gone:
                kinds[kind] = [away(each) for each in kinds[kind]]
        found[host] = kinds
        await asyncio.sleep(0)  # live readers come first
    return found


async def _all(
    backend: Backend,
    totals: Totals,
    wanted: Wanted,
    pairs: Sequence[tuple[str, Kind]],
    infos: dict[str, HostInfo],
    here: dict[str, dict[Kind, list[Device]]],
) -> dict[tuple[str, Kind], Sums | str]:
    """Returns the totals of all hosts that the history knows within the deadline."""
    tasks = {
        (host, kind): asyncio.ensure_future(
            totals.get(backend, infos[host], kind, wanted.ask, _names(kind, wanted, here[host][kind]))
        )
        for host, kind in pairs
    }
    try:
        if tasks:
            await asyncio.wait(tasks.values(), timeout=backend.feed.limits.deadline)
        return {pair: task.result() if task.done() else SLOW for pair, task in tasks.items()}
    finally:
        for task in tasks.values():
            task.cancel()
        await asyncio.gather(*tasks.values(), return_exceptions=True)


def _names(kind: Kind, wanted: Wanted, held: Sequence[Device]) -> list[str]:
    """Returns the interfaces that there are; all that ever were where the past is wanted."""
    return [each.name for each in held] if kind == "interface" and not wanted.ask.given else []


async def _sums(backend: Backend, info: HostInfo, kind: Kind, ask: Ask, names: Sequence[str]) -> Sums | str:
    kept = backend.kept()
    try:
        async with asyncio.timeout(backend.feed.limits.deadline):
            return await sums(kept, info, kind, backend.clock.now(), ask, names)
    except TimeoutError:
        return SLOW
    except UsageError as error:
        return error.message
    except SysmonError as error:
        return str(error)
