"""`/v1/devices`: bandwidth per device, now and in total.

A device is what bytes are counted for. Today these are the interfaces of hosts; others will come with a `kind` of
their own and the same `rates`, `today`, `month` and `total`.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Literal, NamedTuple

import msgspec

from sysmon.errors import SysmonError
from sysmon.frame import split_key

if TYPE_CHECKING:
    from remote.server.backend import Backend
    from sysmon.derive import State
    from sysmon.frame import InterfaceRow
    from sysmon.records import Usage

FRESH = 5.0
"""Seconds for which totals are remembered."""
MAX_KNOWN = 10_000
"""Hosts whose totals are remembered."""
SLOW = "the history did not answer in time"
_WAYS = ("receive", "transmit")


class Rates(msgspec.Struct, frozen=True, omit_defaults=True):
    """Bytes per second now; absent where that is not known."""

    receive: float | None = None
    transmit: float | None = None


class Bytes(msgspec.Struct, frozen=True, omit_defaults=True):
    """Exact bytes. `at_least`: a reset lies in them; `estimated`: part is spread over a gap. `start`: Unix ms."""

    receive: int | None = None
    transmit: int | None = None
    start: int | None = None
    at_least: bool = False
    estimated: bool = False


class Link(msgspec.Struct, frozen=True, omit_defaults=True):
    """The link beneath. `speed`: bytes per second each way, absent where the kernel tells none."""

    kind: str = "other"
    up: bool = False
    speed: int | None = None
    mtu: int = 0
    address: str = ""
    addresses: list[str] = []
    master: str = ""
    default_route: bool = False


class Device(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """One device of one host.

    `today` and `month`: of the host's time zone, absent where no history is kept or it does not know them. `total`:
    since boot, as the kernel counts. `errors`, `drops`: since boot, both ways together.
    """

    kind: Literal["interface"]
    host: str
    name: str
    rates: Rates
    total: Bytes
    today: Bytes | None = None
    month: Bytes | None = None
    errors: int | None = None
    drops: int | None = None
    link: Link | None = None


class DeviceAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """`time`: Unix milliseconds. `problems`: why some totals are absent, one sentence per host."""

    time: int
    devices: list[Device]
    problems: list[str]


class _Used(NamedTuple):
    today: list[Usage]
    month: list[Usage]


class Totals:
    """What went through today and this month, by host; remembered for a while, as it takes reading the history."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[float, _Used]] = {}
        # Of two hundred hosts it takes seconds: short questions are not to wait behind them.
        self._room = asyncio.Semaphore(1)

    async def get(self, backend: Backend, host: str, now: int, keys: list[str]) -> _Used | str:
        """Returns the totals of these counters, or why they are not known."""
        known = self._known.get(host)
        if known is not None and time.monotonic() < known[0] + FRESH:
            return known[1]
        async with self._room:
            found = await _usage(backend, host, now, keys)
        if not isinstance(found, str):
            self._known[host] = (time.monotonic(), found)
            while len(self._known) > MAX_KNOWN:
                del self._known[next(iter(self._known))]
        return found


async def interfaces(backend: Backend, totals: Totals, host: str | None = None) -> DeviceAnswer:
    """Returns the interfaces of a host, or of all, in the order of hosts and names."""
    hosts = [host] if host is not None else list(backend.feed.hosts)
    now = backend.clock.now()
    states = {each: state for each in hosts if (state := backend.feed.state(each)) is not None}
    names = {each: sorted(_names(state)) for each, state in states.items()}
    used = {} if backend.history is None else await _all(backend, totals, names, now)
    devices = []
    problems = []
    for each, state in states.items():
        found = used.get(each, _Used([], []))
        if isinstance(found, str):
            info = backend.feed.hosts.get(each)
            problems.append(f"{info.label if info is not None else each}: {found}")
            found = _Used([], [])
        rows = {row.name: row for row in state.tables.interfaces or ()}
        devices += [_device(each, name, state, rows.get(name), found) for name in names[each]]
    return DeviceAnswer(time=now, devices=devices, problems=problems)


async def _all(backend: Backend, totals: Totals, names: dict[str, list[str]], now: int) -> dict[str, _Used | str]:
    """Returns the totals of all hosts that the history knows within the deadline."""
    tasks = {
        host: asyncio.ensure_future(
            totals.get(backend, host, now, [f"net.{way}:{name}" for name in own for way in _WAYS])
        )
        for host, own in names.items()
    }
    try:
        if tasks:
            await asyncio.wait(tasks.values(), timeout=backend.feed.limits.deadline)
        return {host: task.result() if task.done() else SLOW for host, task in tasks.items()}
    finally:
        for task in tasks.values():
            task.cancel()
        await asyncio.gather(*tasks.values(), return_exceptions=True)


async def _usage(backend: Backend, host: str, now: int, keys: list[str]) -> _Used | str:
    """Returns what went through today and this month, or why that is not known."""
    if not keys:
        return _Used([], [])
    kept = backend.kept()
    try:
        async with asyncio.timeout(backend.feed.limits.deadline):
            today = await kept.usage(host, now - 1, now, "day", keys)
            return _Used(today, await kept.usage(host, now - 1, now, "month", keys))
    except TimeoutError:
        return SLOW
    except SysmonError as error:
        return str(error)


def _names(state: State) -> set[str]:
    found = set()
    for key in state.readings:
        metric, instance = split_key(key)
        if metric in ("net.receive", "net.transmit") and instance:
            found.add(instance)
    return found


def _device(host: str, name: str, state: State, row: InterfaceRow | None, used: _Used) -> Device:
    derived = state.derived()
    receive, transmit = (state.get(f"net.{way}:{name}") for way in _WAYS)
    return Device(
        kind="interface",
        host=host,
        name=name,
        rates=Rates(derived.get(f"net.receive_rate:{name}"), derived.get(f"net.transmit_rate:{name}")),
        total=Bytes(None if receive is None else int(receive), None if transmit is None else int(transmit)),
        today=_bytes(name, used.today),
        month=_bytes(name, used.month),
        errors=_sum(state, name, "errors"),
        drops=_sum(state, name, "drops"),
        link=None
        if row is None
        else Link(
            kind=row.kind,
            up=row.up,
            speed=row.speed,
            mtu=row.mtu,
            address=row.address,
            addresses=row.addresses,
            master=row.master,
            default_route=row.default_route,
        ),
    )


def _bytes(name: str, usage: list[Usage]) -> Bytes | None:
    """Both ways of one interface in one step; None where the history knows neither."""
    ways = {way: each for each in usage for way in _WAYS if each.key == f"net.{way}:{name}"}
    if not ways:
        return None
    return Bytes(
        ways["receive"].bytes if "receive" in ways else None,
        ways["transmit"].bytes if "transmit" in ways else None,
        start=min(each.start for each in ways.values()),
        at_least=any(each.at_least for each in ways.values()),
        estimated=any(each.estimated for each in ways.values()),
    )


def _sum(state: State, name: str, what: str) -> int | None:
    found = [value for way in _WAYS if (value := state.get(f"net.{way}.{what}:{name}")) is not None]
    return int(sum(found)) if found else None
