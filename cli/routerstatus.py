"""How the routers are, in words: whether they answer, what counts there, since when it is recorded, what is wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from cli.devicetables import LAYERS
from cli.tables import plain
from sysmon.bandwidth import METRICS
from sysmon.devicesources import LIMITS
from sysmon.frame import Fault
from sysmon.units import format_time, plain_duration, rfc3339

if TYPE_CHECKING:
    from cli.context import Context
    from cli.ledgers import Ledger
    from sysmon.config import HostSettings
    from sysmon.records import Status

COLLECTOR = "devices"
"""What reads the devices of a router."""
FINE = ("live", "late", "connecting", "paused", "replay")
"""States of a router that are nothing wrong."""
ANSWERING = ("live", "late")
"""Those in which it tells what it counts."""


class Standing(NamedTuple):
    """How one router is.

    Attributes:
        name: as configured. `host`: id, '' where it was never reached. `target`: '' where it is configured no more.
        state: its liveness, or 'unknown' where nobody follows it now. `message`: why.
        age: seconds since its last frame.
        interval: seconds between looks at its devices.
        source: what counts bytes there. `layer`: what they are.
        devices, online: how many are known, and there now, None where nobody looks.
        since: Unix ms since when devices are recorded. `resets`: when users began to count anew.
        faults: what its collector says is missing.
        expected_off: that it is away is nothing wrong.
        uncounted: whether it answers, and the bytes of its devices cannot be counted.
    """

    name: str
    host: str
    target: str
    state: str
    message: str
    age: float | None
    interval: float | None
    source: str
    layer: str
    devices: int
    online: int | None
    since: int | None
    resets: list[int]
    faults: list[Fault]
    expected_off: bool = False
    uncounted: bool = False

    @property
    def broken(self) -> bool:
        """Whether something should be there and is not: the router, or what counts on it."""
        away = self.state not in (*FINE, "unknown") and not self.expected_off
        return away or (self.uncounted and self.state in ANSWERING)

    def line(self) -> str:
        """Returns its first line."""
        age = "" if self.age is None else f", last frame {plain_duration(self.age)} ago"
        where = f" ({self.target})" if self.target else " (configured no more)"
        why = f": {plain(self.message)}" if self.message else ""
        return f"{plain(self.name)}{where}: {self.state.upper()}{age}{why}"

    def more(self) -> list[str]:
        """Returns what else is to be said."""
        made = []
        if self.source:
            layer = LAYERS.get(self.layer, "")
            every = "" if self.interval is None else f", looked at every {plain_duration(self.interval)}"
            made.append(f"counted by {self.source}{f': {layer}' if layer else ''}{every}")
            made.append(f"its limits: {LIMITS[self.source]}" if self.source in LIMITS else "its limits are not known")
        elif self.devices:
            made.append(LIMITS[""])
        if self.devices:
            there = "" if self.online is None else f", {self.online} there now"
            made.append(f"{self.devices} devices known{there}")
        else:
            made.append("no device was seen yet")
        if self.since is not None:
            made.append(f"recorded since {format_time(self.since)[:16]}")
        if self.resets:
            made.append(f"counted anew since {format_time(self.resets[-1])[:16]}")
        for each in self.faults:
            made.append(f"{each.kind}: {plain(each.message)}")
            if each.hint:
                made.append(f"  → {plain(each.hint)}")
        return made

    def builtins(self) -> dict[str, Any]:
        """Returns it for JSON."""
        told = self._asdict()
        told["since"] = None if self.since is None else rfc3339(self.since)
        told["resets"] = [rfc3339(each) for each in self.resets]
        told["faults"] = msgspec.to_builtins(self.faults)
        return told


class _Frame(msgspec.Struct):
    faults: list[Fault] = []
    readings: dict[str, int | float] = {}


async def standing(context: Context, found: Ledger) -> list[Standing]:
    """Returns how the configured routers are, and those of which devices are known."""
    configured = {each.name: each for each in context.config.hosts.values() if each.router}
    if found.chosen.hosts or len(found.chosen.routers) != 1:
        wanted: set[str] | None = None
    else:
        wanted = {found.infos[found.chosen.routers[0]].name}
    made = []
    told: set[str] = set()
    for name, settings in configured.items():
        host = next((id for id, info in found.infos.items() if info.name == name), "")
        told.add(host)
        if wanted is None or name in wanted:
            made.append(await _one(context, found, name, host, settings))
    others = [host for host in found.chosen.routers if host not in told]
    return made + [await _one(context, found, found.infos[host].label, host, None) for host in others]


async def _one(context: Context, found: Ledger, name: str, host: str, settings: HostSettings | None) -> Standing:
    devices = [each for each in found.devices if each.kind == "device" and each.host == host]
    status: Status | None = next(
        (each for each in found.present.statuses if (host and each.host == host) or (not host and each.name == name)),
        None,
    )
    sums = found.sums.get((host, "device"))
    source = next((each for each in devices if each.source and each.online), None) or next(
        (each for each in devices if each.source), None
    )
    wrong, counts = await faults(context, found, host)
    state, message = ("unknown", _nobody(found)) if status is None else (status.state, status.message)
    if settings is not None and settings.paused:
        state, message = "paused", ""
    return Standing(
        name=name,
        host=host,
        target="" if settings is None else settings.target,
        state=state,
        message=message,
        age=None if status is None else status.age,
        interval=None if settings is None else looks(settings.devices, "" if source is None else source.source),
        source="" if source is None else source.source,
        layer="" if source is None else source.layer,
        devices=len(devices),
        online=sum(map(bool, there))
        if (there := [each.online for each in devices if each.online is not None])
        else None,
        since=min((each.first for each in devices if each.first is not None), default=None),
        resets=[] if sums is None else list(sums.resets),
        faults=wrong,
        expected_off=settings is not None and settings.expected_off,
        uncounted=bool(wrong) and not counts,
    )


def looks(configured: float, source: str) -> float:
    """Returns the seconds between two looks: what forgets soon is looked at sooner than nlbwmon, whose numbers move in
    steps.
    """
    from collectors._router.counting import FALLBACK_INTERVAL, INTERVAL

    return FALLBACK_INTERVAL if source == "conntrack" and configured <= INTERVAL else configured


def _nobody(found: Ledger) -> str:
    if found.present.who:
        return f"the {found.present.who} does not follow it"
    return "nobody records now: `sysmon --record` does"


async def faults(context: Context, found: Ledger, host: str) -> tuple[list[Fault], bool]:
    """Returns what the collector of its devices says is missing now, and whether any of them is counted."""
    if not host or not found.present.who:
        return [], False
    from cli.neighbours import Neighbours

    neighbours = Neighbours(context.places, context.config.agent.port, found.present.own)
    neighbour = await neighbours.find()
    if neighbour is None:
        return [], False
    try:
        frame = msgspec.json.decode(await neighbours.ask(neighbour, f"/v1/frame?host={host}"), type=_Frame)
    except (OSError, TimeoutError, ValueError, EOFError, RecursionError):
        return [], False
    counted = tuple(f"{metric}:" for metric in METRICS["device"])
    return [each for each in frame.faults if each.collector == COLLECTOR], any(
        key.startswith(counted) for key in frame.readings
    )
