"""Interfaces and devices with their past from the history's file and their present from who records."""

from __future__ import annotations

import asyncio
import platform
from typing import TYPE_CHECKING, NamedTuple

from cli.context import pick_host
from cli.present import Present, look
from sysmon.devices import KINDS
from sysmon.errors import UsageError
from sysmon.ledger import join, sums
from sysmon.records import HistoryStatus, HostInfo

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cli.context import Context
    from sysmon.bandwidth import Kind
    from sysmon.devices import Device
    from sysmon.ledger import Ask, Sums
    from sysmon.ports import History


class Chosen(NamedTuple):
    """Whose interfaces and devices are wanted: ids of hosts and of routers."""

    hosts: list[str]
    routers: list[str]


class Ledger(NamedTuple):
    """What was gathered.

    Attributes:
        now: Unix milliseconds. `present`: who told what is now.
        infos: id -> host. `chosen`: whose devices these are.
        devices: all of them, in the order of hosts and names. `sums`: (host, kind) -> what the history told.
        status: of the history, None where there is none.
    """

    now: int
    present: Present
    infos: dict[str, HostInfo]
    chosen: Chosen
    devices: list[Device]
    sums: dict[tuple[str, Kind], Sums]
    status: HistoryStatus | None

    @property
    def labels(self) -> dict[str, str]:
        """Host id -> its label."""
        return {id: info.label for id, info in self.infos.items()}


def gather(
    context: Context,
    ask: Ask,
    *,
    host: str | None = None,
    router: str | None = None,
    rates: bool = True,
    kinds: Sequence[Kind] = KINDS,
    everything: bool = False,
) -> Ledger:
    """Gathers the interfaces of a host and the devices behind routers.

    Args:
        context: where history and recorder are.
        ask: the range wanted.
        host: all of this host alone. `router`: the devices of this router alone. Else the interfaces of this machine
            and the devices of all routers.
        rates: whether it is worth a second to look at what is now, where nobody records.
        kinds: those wanted.
        everything: also interfaces that are gone and moved nothing this month.

    Raises:
        UsageError: no such host or router.
    """
    here = asyncio.run(look(context, rates=rates and router is None))
    now = context.clock.now()
    routers = [each.name for each in context.config.hosts.values() if each.router]

    async def read(history: History) -> Ledger:
        infos = {info.id: info for info in await history.hosts()}
        status = await history.status()
        return await _read(history, status, infos, here, ask, now, host, router, kinds, everything, routers)

    if not context.history_path.exists():
        if router is not None:
            _reached(router, routers, here.hosts)
        return asyncio.run(_unrecorded(here, now, host, router))
    return context.read_history(read)


async def _unrecorded(here: Present, now: int, host: str | None, router: str | None) -> Ledger:
    infos = dict(here.hosts) or {here.own: _this(here)}
    chosen = _choose(infos, here, {}, host, router)
    devices = [each for id in chosen.hosts for each in here.of(id, "interface")]
    devices += [each for id in chosen.routers for each in here.of(id, "device")]
    return Ledger(now, here, infos, chosen, devices, {}, None)


async def _read(
    history: History,
    status: HistoryStatus,
    infos: dict[str, HostInfo],
    here: Present,
    ask: Ask,
    now: int,
    host: str | None,
    router: str | None,
    kinds: Sequence[Kind],
    everything: bool,
    routers: Sequence[str],
) -> Ledger:
    for id, info in here.hosts.items():
        infos.setdefault(id, info)
    if router is not None:
        _reached(router, routers, infos)
    if not any(info.target == "local" or info.id == here.own for info in infos.values()):
        # It may be that of routers alone: what this machine does now is told all the same.
        infos[here.own] = _this(here)
    behind = {id: len(await history.devices(id)) for id in infos}
    chosen = _choose(infos, here, behind, host, router)
    found: dict[tuple[str, Kind], Sums] = {}
    devices: list[Device] = []
    wanted: list[tuple[str, Kind]] = [(id, "interface") for id in chosen.hosts]
    wanted += [(id, "device") for id in chosen.routers]
    began = {id: bool(ask.range == "reset" and await history.resets(id)) for id, _ in wanted}
    for id, kind in (each for each in wanted if each[1] in kinds):
        # Where some were begun to be counted anew, the others are told from their beginning.
        own = ask._replace(range="all") if ask.range == "reset" and not began[id] and any(began.values()) else ask
        told = found[id, kind] = await sums(history, infos[id], kind, now, own)
        moved = told.recorded if everything else {name: each for name, each in told.month.items() if each.total}
        devices += join(infos[id], kind, here.of(id, kind), told, moved)
    return Ledger(now, here, infos, chosen, devices, found, status)


def _reached(router: str, routers: Sequence[str], infos: dict[str, HostInfo]) -> None:
    """Says of a configured router that was never there that this is why nothing is known of it.

    Raises:
        UsageError: it was not.
    """
    if router in routers and not any(info.name == router for info in infos.values()):
        raise UsageError(f"router '{router}' was never reached", "`sysmon devices status` says why")


def _this(here: Present) -> HostInfo:
    return HostInfo(id=here.own, hostname=platform.node() or "this machine")


def _choose(
    infos: dict[str, HostInfo], here: Present, behind: dict[str, int], host: str | None, router: str | None
) -> Chosen:
    routers = [id for id in infos if behind.get(id) or here.of(id, "device")]
    if router is not None:
        picked = pick_host(list(infos.values()), router, here.own).id
        if picked not in routers:
            known = ", ".join(infos[id].label for id in routers)
            hint = f"routers are {known}" if known else "`sysmon devices status` says how routers are"
            raise UsageError(f"no devices were ever seen behind '{router}'", hint)
        return Chosen([], [picked])
    if host is not None:
        picked = pick_host(list(infos.values()), host, here.own).id
        return Chosen([picked], [picked] if picked in routers else [])
    own = [here.own] if here.own in infos else [id for id, info in infos.items() if info.target == "local"]
    if not own:
        own = [id for id in infos if id not in routers]
    return Chosen(own[:1] if len(own) > 1 and here.own not in infos else own, routers)
