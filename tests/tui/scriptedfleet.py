"""A fleet made up of arithmetic: hosts in every state, as many as wanted."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import msgspec

from sysmon.errors import SysmonError, UsageError
from sysmon.frame import Frame, Tables
from sysmon.ports import Peer
from sysmon.records import AlertState, HostInfo, Liveness, Status
from tests.tui.scripted import START, Rig, Script, rig

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Mapping, Sequence

    from sysmon.config import HostSettings, ScreenSettings
    from tests.tui.scripted import ScriptedHistory
    from tui.app import SysmonApp

_NAMES = ("web", "db", "cache", "build", "mail", "edge")
_TAGS = (("prod", "web"), ("prod", "db"), ("prod",), ("ci",), ("office",), ("edge", "prod"))


@lru_cache(8)
def _shape(index: int) -> Script:
    return Script(cores=4, load=0.15 + 0.13 * index, gpus=0, processes=0, mounts=1 + index % 2, disks=1, interfaces=2,
                  sensors=index != 2, pressure=False)  # fmt: skip


@dataclass
class Member:
    """One host: what it says, and until when.

    Attributes:
        shift: seconds by which its values run ahead of those of others.
        until: the second of its last frame; None: it is heard for ever.
        silent: seconds without a frame before that.
        state: its last status, where that is not `live`.
    """

    id: str
    name: str
    script: Script
    shift: int = 0
    tags: tuple[str, ...] = ()
    until: int | None = None
    silent: range = range(0)
    state: Liveness = "live"
    message: str = ""
    alerts: tuple[AlertState, ...] = ()
    expected_off: bool = False
    skew: int | None = None

    @property
    def info(self) -> HostInfo:
        """Who it is."""
        return msgspec.structs.replace(
            self.script.info, id=self.id, name=self.name, hostname=f"{self.name}.example.net", tags=list(self.tags),
            expected_off=self.expected_off, target=f"https://{self.name}:8200",
        )  # fmt: skip

    def frame(self, second: int) -> Frame:
        """What it says at a second."""
        base = self.script.frame(second + self.shift, tables=False)
        tables = Tables(interfaces=self.script.interface_rows()) if second % 60 == 0 else Tables()
        return msgspec.structs.replace(base, host=self.id, time=(START + second) * 1000, seq=second + 1, tables=tables)

    def speaks(self, second: int) -> bool:
        """Whether it is heard at a second."""
        return self.script is not _NEVER and (self.until is None or second <= self.until) and second not in self.silent


_NEVER = Script(host="never")


def alert(host: str, severity: str, message: str) -> AlertState:
    """An alert that fires."""
    return AlertState(host=host, rule=message.split()[0], key=f"fs.utilization:{message}", status="firing",
                      severity=severity, message=message, started=(START + 100) * 1000)  # type: ignore[arg-type]  # fmt: skip


def members(count: int, end: int) -> list[Member]:
    """So many hosts in mixed states, as they are at a second."""
    found = []
    for index in range(count):
        kind = index % len(_NAMES)
        host = f"{index:016x}"
        member = Member(host, f"{_NAMES[kind]}-{index // len(_NAMES) + 1}", _shape(kind), 37 * index, _TAGS[kind])
        story = (index + 9) % 12
        if story == 0:
            swap = alert(host, "warning", "swap is 85 % used")
            member.alerts = (alert(host, "critical", "backup.service failed"), swap)
        elif story == 3 and index % 5:
            member.until, member.state = end - 312, "offline"
            member.message = f"{member.name}: connection refused; is `sysmon --agent` running there?"
        elif story == 4 and index > 20:
            member.until, member.state = end - 6, "late"
        elif story == 5 and index > 8:
            member.until, member.state = end - 47, "stale"
        elif story == 6 and index % 2:
            member.alerts = (alert(host, "warning", "load 3.1 times the cores for 10m"),)
        elif story == 8:
            member.silent = range(end - 260, end - 140)
        elif story == 10 and index > 12:
            member.until, member.state, member.expected_off = end - 5000, "offline", True
            member.message = "no route to host"
        elif story == 11 and index > 8:
            member.until, member.state = end - 900, "paused"
        elif story == 7 and index > 12:
            member.skew = 47_000
        if index % 40 == 17:
            member.script, member.state, member.alerts = _NEVER, "offline", ()
            member.message = f"{member.name}: the name does not resolve (Name or service not known)"
        found.append(member)
    return found


@dataclass
class FleetRig:
    """A rig whose source tells of many hosts."""

    rig: Rig
    members: list[Member]
    last: int = -1

    async def push(self, second: int) -> None:
        """Lets every host that is heard speak at a second, at that second."""
        clock = self.rig.clock
        await clock.advance(second - max(self.last, 0))
        clock.step_wall((START + second) * 1000 - clock.now())
        self.last = second
        self.rig.source.push(*(member.frame(second) for member in self.members if member.speaks(second)))

    async def warm(self, app: SysmonApp, end: int, step: int = 25) -> None:
        """Gives the app what the hosts said up to a second, all at once; the last five seconds in full."""
        for second in (*range(0, end - 5, step), *range(end - 5, end + 1)):
            clock = self.rig.clock
            await clock.advance(second - max(self.last, 0))
            clock.step_wall((START + second) * 1000 - clock.now())
            self.last = second
            for member in self.members:
                if member.speaks(second) or (member.until is not None and second - step < member.until <= second):
                    at = second if member.until is None else min(second, member.until)
                    app.model.take(member.frame(at), clock.boottime())

    def tell(self) -> None:
        """Says what is to be said of each beside frames."""
        for member in self.members:
            host = "" if member.script is _NEVER else member.id
            self.rig.source.push(
                Status(host=host, name=member.name, state=member.state, message=member.message, skew=member.skew,
                       target=f"https://{member.name}:8200"),
                *(() if not host else member.alerts),
            )  # fmt: skip


class ScriptedBook:
    """The configured hosts in memory, and who answers at a target.

    Attributes:
        peer: what `probe` returns; an error is raised. `hold`: when set, it waits for it.
        probed: what was probed.
    """

    def __init__(self, *hosts: HostSettings) -> None:
        self.kept = {host.name: host for host in hosts}
        self.peer: Peer | SysmonError = Peer(target="")
        self.hold: asyncio.Event | None = None
        self.probed: list[HostSettings] = []
        self.refuses = ""

    def hosts(self) -> list[HostSettings]:
        """All."""
        return list(self.kept.values())

    def add(self, settings: HostSettings) -> None:
        """Adds one, or refuses."""
        if self.refuses:
            raise UsageError(self.refuses)
        self.kept[settings.name] = settings

    def edit(self, name: str, changes: Mapping[str, object]) -> HostSettings:
        """Changes one."""
        if self.refuses:
            raise UsageError(self.refuses)
        new = msgspec.structs.replace(self.kept.pop(name), **changes)
        self.kept[new.name] = new
        return new

    def remove(self, name: str) -> None:
        """Removes one."""
        if self.refuses:
            raise UsageError(self.refuses)
        del self.kept[name]

    async def probe(self, settings: HostSettings) -> Peer:
        """Tells who answers."""
        self.probed.append(settings)
        if self.hold is not None:
            await self.hold.wait()
        if isinstance(self.peer, SysmonError):
            raise self.peer
        return self.peer


def fleet(
    count: int, *, end: int = 700, screen: ScreenSettings | None = None, history: ScriptedHistory | None = None,
    given: Sequence[Member] | None = None,
) -> FleetRig:  # fmt: skip
    """A rig of so many hosts in mixed states; `given` names others."""
    made = list(given) if given is not None else members(count, end)
    first = next(member for member in made if member.script is not _NEVER)
    base = rig(first.script, screen=screen, history=history)
    base.source._queue.get_nowait()
    base.source.push(*(member.info for member in made if member.script is not _NEVER))
    return FleetRig(base, made)
