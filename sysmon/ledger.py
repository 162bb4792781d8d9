"""The ledger: what interfaces and devices used in which time, from a history, put together with what is known now."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec

from sysmon import bandwidth
from sysmon.devices import Device, adding, bytes_of, told
from sysmon.errors import UsageError, nearest
from sysmon.zones import span_of, zone_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from sysmon.bandwidth import Amount, Kind
    from sysmon.devices import Bytes
    from sysmon.ports import History
    from sysmon.records import HostInfo, KnownDevice

Amounts = dict[str, bandwidth.Amount]

NEAR: Final = 12
"""Names that are listed where one fits several."""


class Ask(NamedTuple):
    """The range wanted: by one of the names of `sysmon.bandwidth.RANGES`, or by its bounds (Unix ms), or none."""

    range: str = ""
    start: int | None = None
    end: int | None = None

    @property
    def given(self) -> bool:
        """Whether a range is wanted."""
        return bool(self.range) or self.start is not None


class Sums(NamedTuple):
    """What the history of one host tells: amounts by name, where they begin (Unix ms), and who is known.

    Attributes:
        range: None where none is asked for. `start`, `end`: of it.
        resets: when users began to count anew.
    """

    today: Amounts
    month: Amounts
    recorded: Amounts
    today_start: int
    month_start: int
    range: Amounts | None = None
    start: int = 0
    end: int = 0
    known: Sequence[KnownDevice] = ()
    resets: Sequence[int] = ()


async def sums(
    history: History, info: HostInfo, kind: Kind, now: int, ask: Ask | None = None, names: Iterable[str] = ()
) -> Sums:
    """Asks a history what the interfaces of a host, or the devices behind it, used.

    Args:
        history: where it is recorded.
        info: the host; its time zone says when days begin.
        kind: interface or device.
        now: Unix milliseconds.
        ask: the range wanted beside today, this month and all that is known.
        names: those wanted; all by default.

    Raises:
        UsageError: the range has no such name, or ends before it begins.
    """
    zone = zone_of(info.timezone)
    wanted = list(names)
    known: Sequence[KnownDevice] = await history.devices(info.id) if kind == "device" else ()
    resets: Sequence[int] = ()
    if kind == "device" or (ask is not None and ask.range == "reset"):
        resets = await history.resets(info.id)
    day, month, year = (span_of(now, step, zone) for step in ("day", "month", "year"))
    beginning, _ = bandwidth.range_of("all", now, zone)

    async def used(start: int, end: int) -> Amounts:
        return await bandwidth.amounts(history, info.id, kind, start, end, zone, wanted)

    made = Sums(
        today=await used(*day),
        month=await used(*month),
        recorded=await used(beginning, year[1]),
        today_start=day[0],
        month_start=month[0],
        known=known,
        resets=resets,
    )
    if ask is None or not ask.given:
        return made
    start, end = bounds(ask, now, info, resets)
    until = bandwidth.till(start, end, now, zone)
    if ask.range in ("today", "month", "all"):
        told_of = {"today": made.today, "month": made.month, "all": made.recorded}[ask.range]
    else:
        told_of = await used(start, until)
    return made._replace(range=told_of, start=start, end=end)


def bounds(ask: Ask, now: int, info: HostInfo, resets: Sequence[int] = ()) -> tuple[int, int]:
    """Returns the start and end (Unix ms) of a range that is asked for.

    Raises:
        UsageError: it has no such name, or ends before it begins.
    """
    if ask.range:
        start, end = bandwidth.range_of(ask.range, now, zone_of(info.timezone), resets)
        if ask.range == "reset" and not any(each <= now for each in resets):
            raise UsageError(
                f"no counting period was begun on {info.label}",
                "`sysmon devices reset` begins one, 'all' is everything",
            )
    else:
        start, end = ask.start or 0, now
    end = end if ask.end is None else ask.end
    if start >= end:
        raise UsageError("the range ends before it begins", "swap since and until")
    return start, end


def join(
    info: HostInfo, kind: Kind, now: Sequence[Device], found: Sums | None, gone: Iterable[str] = ()
) -> list[Device]:
    """Puts together what is known now of one host's interfaces or devices and what the history tells, by name.

    It takes a while where there are thousands: beside a loop it belongs into a thread.

    Args:
        info: the host.
        kind: interface or device.
        now: what is known now.
        found: what the history tells, None where there is none.
        gone: interfaces that are wanted though they are not there now; those with traffic in a range that is asked for
            are anyway.
    """
    if found is None:
        return list(now)
    here = {each.name: each for each in now}
    known = {each.key: each for each in found.known}
    names = {*here, *known, *gone}
    if kind == "device" or not here or found.range is not None:
        names |= {*found.recorded} if found.range is None else {*found.range}
    whole = found.month if found.range is None else found.range
    counts = _counts(kind, here, names)
    total = bandwidth.total(whole, counts)
    made = []
    for name in sorted(names):
        base = here.get(name) or Device(kind=kind, host=info.id, name=name, label=name)
        if name in known:
            base = told(known[name], here.get(name))
        part = whole.get(name)
        # Its counters are there; or it was counted once and is known, though its source has let go of it.
        live = base.total.total is not None
        kept = name in known and name in found.recorded
        ranged = live or (kept and known[name].first < found.end)
        use = partial(bandwidth.used, name=name, counted=live or kept)
        made.append(
            msgspec.structs.replace(
                base,
                today=bytes_of(use(found.today), found.today_start),
                month=bytes_of(use(found.month), found.month_start),
                recorded=bytes_of(use(found.recorded)),
                range=bytes_of(bandwidth.used(found.range or {}, name, counted=ranged), found.start),
                counted=name in counts if kind == "interface" else None,
                share=bandwidth.share(part, total) if part is not None and name in counts else None,
            )
        )
    return made


def _counts(kind: Kind, here: Mapping[str, Device], names: Iterable[str]) -> set[str]:
    """Returns the names that add up."""
    if kind == "device":
        return set(names)
    return set(adding((name, here[name].counted if name in here else None) for name in names))


def whole(devices: Iterable[Device], which: Callable[[Device], Bytes | None]) -> Amount | None:
    """Returns the sum over all that count: of interfaces those that lie on no other, of devices all; None where nothing
    is known of any.
    """
    listed = list(devices)
    counted = set(adding((each.name, each.counted) for each in listed if each.kind == "interface"))
    chosen = [each for each in listed if each.kind == "device" or each.name in counted]
    known = [part for each in chosen if (part := which(each)) is not None]
    sum_of = bandwidth.Amount()
    for part in known:
        sum_of = sum_of.plus(bandwidth.Amount(part.receive or 0, part.transmit or 0, part.at_least, part.estimated))
    return sum_of if known else None


def _amount(device: Device) -> Bytes | None:
    return device.range if device.range is not None else device.month


def _rate(device: Device) -> float | None:
    ways = [way for way in (device.rates.receive, device.rates.transmit) if way is not None]
    return sum(ways) if ways else None


def _of(part: Bytes | None, what: str) -> float | None:
    return None if part is None else getattr(part, what)


_NUMBERS: Final[dict[str, Callable[[Device], float | None]]] = {
    "now": _rate,
    "receive": lambda each: _of(_amount(each), "receive"),
    "transmit": lambda each: _of(_amount(each), "transmit"),
    "total": lambda each: _of(_amount(each), "total"),
    "today": lambda each: _of(each.today, "total"),
    "month": lambda each: _of(each.month, "total"),
    "recorded": lambda each: _of(each.recorded, "total"),
    "share": lambda each: each.share,
    "connections": lambda each: each.connections,
    "first": lambda each: each.first,
    "last": lambda each: each.last,
}

SORTS: Final = ("name", *_NUMBERS)
"""What devices may be sorted by: a name ascending, a number descending, those without one last."""


def order(devices: Sequence[Device], by: str) -> list[Device]:
    """Returns devices in order.

    Raises:
        UsageError: it is none of `SORTS`.
    """
    if by == "name":
        return sorted(devices, key=lambda each: (each.label.lower(), each.name))
    if by not in _NUMBERS:
        raise UsageError(f"'{by}' is nothing to sort by", nearest(by, SORTS) or f"allowed are {', '.join(SORTS)}")
    number = _NUMBERS[by]
    keyed = [(number(each), each) for each in devices]
    keyed.sort(key=lambda pair: (pair[0] is None, -(pair[0] or 0), pair[1].label.lower(), pair[1].name))
    return [each for _, each in keyed]


def meant(devices: Sequence[Device], text: str) -> list[Device]:
    """Returns those that a text means: by key, MAC or interface, else by alias, by label, by address; letters of either
    case are the same.
    """
    low = text.strip().lower().replace("-", ":") if text.count("-") == 5 else text.strip().lower()
    for names in (
        lambda each: (each.name, each.mac),
        lambda each: (each.alias,),
        lambda each: (each.label,),
        lambda each: each.addresses,
    ):
        found = [each for each in devices if any(low == name.lower() for name in names(each) if name)]
        if found:
            return found
    return []


def one(devices: Sequence[Device], text: str, hosts: Mapping[str, str]) -> Device:
    """Returns the one that a text means.

    Args:
        devices: among these.
        text: alias, name, address, MAC or interface.
        hosts: id -> label of the hosts they belong to.

    Raises:
        UsageError: none, or several.
    """
    found = meant(devices, text)
    if len(found) == 1:
        return found[0]
    if found:
        listed = ", ".join(f"{each.name} ({hosts.get(each.host, each.host)})" for each in found[:NEAR])
        more = f" and {len(found) - NEAR} more" if len(found) > NEAR else ""
        raise UsageError(f"'{text}' is the name of {len(found)} devices: {listed}{more}", "give one of these instead")
    names = {each.label for each in devices} | {each.name for each in devices}
    hint = nearest(text, names) or "`sysmon devices` lists them"
    raise UsageError(f"'{text}' is no interface and no device known here", hint)


async def settled(work: Callable[[], list[Device]], size: int) -> list[Device]:
    """Does work on devices: in a thread where there are many, so that nobody waits for it."""
    return work() if size < 500 else await asyncio.to_thread(work)
