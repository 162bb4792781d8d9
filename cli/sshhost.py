"""A box reached by ssh, read by this program's own collectors: the texts that come are laid out as files for them.

Implements `remote.ssh.source.Box`. Which files are asked for follows from the collectors that are due; time is
the box's own, so that rates are right however slow it is.
"""

from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING

import msgspec

from cli.ownhost import Tables
from cli.sshrouter import RouterTexts
from cli.sshtree import Tree
from collectors._procfs import parse_stat
from collectors.base import Roots
from collectors.capacity import container_kind
from collectors.devices import DevicesCollector
from collectors.filesystems import FilesystemsCollector
from collectors.identity import Identity, boot_id, host_id, host_info
from collectors.registry import build, names
from collectors.runner import Runner
from collectors.sockets import parse_sockstat
from collectors.uptime import parse_uptime
from remote.foreign.polled import target_host
from remote.ssh.script import MOST_PIDS
from remote.ssh.source import HELLO
from sysmon.errors import CollectorError, MalformedInput
from sysmon.frame import clean_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from cli.context import Context
    from collectors.base import Collector
    from remote.ssh.box import Ask
    from remote.ssh.frames import Sample
    from remote.target import Target
    from sysmon.config import HostSettings
    from sysmon.frame import Fault, Frame
    from sysmon.records import HostInfo, Past

NEEDS: dict[str, tuple[str, ...]] = {
    "cpu": ("cpu",),
    "disks": ("disks",),
    "filesystems": ("filesystems", "disks"),
    "frequency": ("frequency",),
    "gpu": ("gpu",),
    "load": ("load", "pids"),
    "memory": ("memory",),
    "network": ("network",),
    "pressure": ("pressure",),
    "processes": ("processes",),
    "protocols": ("protocols",),
    "sensors": ("sensors", "supplies"),
    "sessions": ("sessions", "logins", "pids"),
    "sockets": ("sockets",),
    "swap": ("swap",),
    "uptime": (),
    "vnstat": (),
}
"""Collector -> groups of files that it reads; the others cannot be read by files alone."""

EVERY = {"interfaces": 5, "links": 30, "blocks": 60}
"""Group of what changes seldom -> seconds between two answers."""

FEW_SOCKETS = 500
"""TCP sockets up to which their list is asked for; their sum is known of any number."""

CPUINFO_LIMIT = 64 << 10
"""Bytes of /proc/cpuinfo up to which it is asked for again and again, where nothing else tells frequencies."""

DESCRIPTIONS = 5
"""Answers of `MOST_PIDS` new processes each that a sample waits for at most; the rest is described at the next."""

MAX_POINTS = 200
"""Mount points asked for at most."""


class BoxClock:
    """The clock of a sample: its tick, and the box's own time since boot; implements `sysmon.clock.Clock`."""

    def __init__(self) -> None:
        self.stamp = 0
        self.uptime = 0

    def now(self) -> int:
        """Returns the tick, Unix milliseconds."""
        return self.stamp

    def boottime(self) -> int:
        """Returns nanoseconds since the box's boot, as of the sample."""
        return self.uptime

    async def sleep(self, seconds: float) -> None:
        """Waits `seconds` of real time."""
        await asyncio.sleep(max(0.0, seconds))


class SshHost:
    """One box.

    Args:
        context: catalogue, configuration, this side's clock.
        host: the collectors wanted, and its name.
        target: where it is: names a box that has no machine-id.
        counted: is given what others counted there, as collectors find it.
    """

    def __init__(
        self, context: Context, host: HostSettings, target: Target, counted: Callable[[Past], None] | None = None
    ) -> None:
        self._context = context
        self._host = host
        self._target = target
        self._counted = counted
        self._tree = Tree()
        self._clock = BoxClock()
        self._runner: Runner | None = None
        self._collectors: list[Collector] = []
        self._faults: list[Fault] = []
        self._info: HostInfo | None = None
        self._boot = ""
        self._roots = Roots(base=self._tree.base, live=False)
        self._filesystems: FilesystemsCollector | None = None
        self._contained = False
        self._wanted: frozenset[str] = frozenset()
        self._tables: Tables | None = None
        self._asked: dict[str, int] = {}
        self._described: dict[int, tuple[str, int]] = {}
        self._began = 0
        self._number = -1
        self._every = 0
        self._needs = {**NEEDS, "devices": ()} if host.router else NEEDS
        self._devices: DevicesCollector | None = None
        self._router = RouterTexts(self._tree, context.clock)

    # Who it is

    def identity(self, hello: Sample) -> str:
        """Returns the host's id from the box's machine-id, or '' where it has no usable one; of a router by its target.

        Routers of one make may be sold with one machine-id for all of them.
        """
        if self._host.router:
            return ""
        for path in ("/etc/machine-id", "/var/lib/dbus/machine-id"):
            found = host_id(hello.texts.get(path, b"").decode("utf-8", "replace"))
            if found is not None:
                return found
        return ""

    def begin(self, hello: Sample) -> HostInfo:
        """Takes what the box says of itself; another boot, or another box, begins another run."""
        self._tree.take(hello, HELLO)
        self._asked = {}
        self._described = {}
        roots = Roots(base=self._tree.base, live=False, page_size=page_size(hello.facts.get("page", "")))
        info = host_info(roots, self.identity(hello) or target_host(self._target))
        info = msgspec.structs.replace(
            info,
            name=self._host.name,
            target=str(self._target),
            arch=clean_text(hello.facts.get("arch", ""), 40),
            timezone=info.timezone or offset(hello.facts.get("zone", "")),
        )
        boot = boot_id(roots)
        if self._info is not None and (info.id, boot, roots) != (self._info.id, self._boot, self._roots):
            self._drop()
        if self._runner is not None:
            self._runner.full_next()
        self._info, self._boot, self._roots = info, boot, roots
        self._contained = bool(container_kind(roots))
        return info

    def _drop(self) -> None:
        self._runner = self._tables = self._filesystems = self._devices = None
        self._number = -1

    def watch(self, tables: Iterable[str]) -> None:
        """Has these tables collected while they are asked for."""
        self._wanted = frozenset(tables)
        if self._tables is not None:
            self._tables.watch(self._wanted)

    def close(self) -> None:
        """Removes the files."""
        self._tree.close()

    # A sample

    async def frame(self, ask: Ask, stamp: int, every: int) -> Frame | None:
        """Takes one sample; None where the box's clock stands still or nothing was due.

        Raises:
            MalformedInput: the box does not say for how long it has been up, or says too much.
        """
        now = self._context.clock.boottime()
        runner = self._runner
        number = 0
        if runner is not None:
            number = max(self._number + 1, round((now - self._began) / 1e9))
        due = self._due(number)
        groups = self._groups(due, number)
        points = self._points() if runner is not None and "filesystems" in due else []
        sample = await self._ask(ask, groups, points)
        before, self._clock.uptime = self._clock.uptime, self._uptime()
        if runner is not None and self._clock.uptime <= before:
            return None
        self._clock.stamp = stamp
        if runner is None:
            runner = self._make(every)
            self._began = now
        if "filesystems" in due:
            await self._size(ask, sample, points)
        if "processes" in due:
            await self._describe(ask)
        if self._devices is not None and "devices" in due:
            await self._router.take(ask, self._devices.needs(watched="devices" in self._wanted))
        if "vnstat" in due:
            await self._router.take(ask, ["vnstat"])
        self._pace(runner, every)
        self._number = number
        frame = await runner.step(stamp, number, every)
        for past in runner.pasts():
            runner.forget(past.source)
            if self._counted is not None:
                self._counted(past)
        return None if frame is None else self._worded(frame)

    def _due(self, number: int) -> list[str]:
        if self._runner is not None:
            return self._runner.due(number)
        wanted = self._host.collectors
        return [name for name in self._needs if not wanted or name in wanted]

    def _groups(self, due: Iterable[str], number: int) -> list[str]:
        """Returns the groups of files that these collectors read, and what is asked for from time to time."""
        tree = self._tree
        groups = dict.fromkeys(group for name in due for group in self._needs.get(name, ()))
        if "frequency" in groups and self._runner is not None and not tree.count("frequency"):
            text = tree.text("/proc/cpuinfo")
            if "MHz" in text and len(text) <= CPUINFO_LIMIT:
                groups["cpuinfo"] = None
        if "sockets" in groups and self._few_sockets():
            groups["tcp"] = None
        if self._contained:
            groups["cgroup"] = None
        for group, seconds in EVERY.items():
            if group not in self._asked or number - self._asked[group] >= seconds:
                groups[group] = None
                self._asked[group] = number
        return list(groups)

    def _few_sockets(self) -> bool:
        count = 0
        for name in ("sockstat", "sockstat6"):
            try:
                found = parse_sockstat(self._tree.text(f"/proc/net/{name}"))
            except MalformedInput:
                return False
            count += sum(found.get(f"{kind}.{item}", 0) for kind in ("TCP", "TCP6") for item in ("inuse", "tw"))
        return count <= FEW_SOCKETS

    async def _ask(self, ask: Ask, groups: list[str], points: list[str]) -> Sample:
        lines: list[bytes] = []
        if points:
            groups = [*groups, "sizes"]
            lines = [*(point.encode("utf-8", "surrogateescape") for point in points), b""]
        sample = await ask(groups, lines)
        self._tree.take(sample, groups)
        return sample

    def _uptime(self) -> int:
        return round(parse_uptime(self._tree.text("/proc/uptime")) * 1e9)

    # What is asked for in answer to what came

    def _points(self) -> list[str]:
        """Returns the mount points to be asked for: none that could hang, none that a line cannot hold."""
        if self._filesystems is None:
            return []
        try:
            points = self._filesystems.points()
        except CollectorError:
            return []
        return [point for point in points if "\n" not in point][:MAX_POINTS]

    async def _size(self, ask: Ask, sample: Sample, asked: list[str]) -> None:
        """Lays out the sizes of filesystems, asking for those that were not known before."""
        sizes = dict(sample.sizes)
        missing = [point for point in self._points() if point not in asked]
        if missing:
            lines = [*(point.encode("utf-8", "surrogateescape") for point in missing), b""]
            sizes.update((await ask(["sizes"], lines)).sizes)
        rows = (f"{' '.join(map(str, size))} {point}\n" for point, size in sizes.items())
        self._roots.sizes.write_bytes("".join(rows).encode("utf-8", "surrogateescape"))

    async def _describe(self, ask: Ask) -> None:
        """Asks for owner, unit and command line of processes that are new, or were renamed."""
        new: list[int] = []
        known: dict[int, tuple[str, int]] = {}
        for pid in self._tree.pids:
            try:
                stat = parse_stat(self._tree.text(f"/proc/{pid}/stat").encode("utf-8", "surrogateescape"))
            except MalformedInput:
                continue
            mark = (stat.name, stat.start_ticks)
            if self._described.get(pid) == mark:
                known[pid] = mark
            elif len(new) < DESCRIPTIONS * MOST_PIDS:
                new.append(pid)
                known[pid] = mark
        self._described = known
        for at in range(0, len(new), MOST_PIDS):
            some = new[at : at + MOST_PIDS]
            sample = await ask(["describe"], [" ".join(map(str, some)).encode()])
            # The sample's own time stays what it was.
            sample.texts.pop("/proc/uptime", None)
            self._tree.take(sample, ["describe"])

    # The collectors

    def _make(self, every: int) -> Runner:
        assert self._info is not None
        wanted = self._host.collectors or tuple(self._needs)
        settings = self._context.config.collectors.get("processes")
        # What else is configured of collectors is meant for this machine; what may be told of command lines is not.
        options = {"processes": settings.options} if settings is not None else {}
        options["vnstat"] = {"timezone": self._info.timezone}
        options["devices"] = {"router": self._host.router, "interval": self._host.devices}
        disabled = [name for name in names() if name not in self._needs or name not in wanted]
        self._collectors, faults = build(self._roots, options, disabled)
        self._filesystems = next((each for each in self._collectors if isinstance(each, FilesystemsCollector)), None)
        self._devices = next((each for each in self._collectors if isinstance(each, DevicesCollector)), None)
        self._every = every
        runner = self._runner = Runner(
            self._collectors,
            self._context.catalogue,
            Identity(self._info, self._boot),
            self._clock,
            intervals={each.name: self._interval(each, every) for each in self._collectors},
            faults=faults,
            evidence=self._context.config.history.evidence,
            inline=True,
        )
        self._tables = Tables(runner)
        self._tables.watch(self._wanted)
        return runner

    def _pace(self, runner: Runner, every: int) -> None:
        """Tells the collectors how often they are read now."""
        if every != self._every:
            self._every = every
            for each in self._collectors:
                runner.set_interval(each.name, self._interval(each, every))

    def _interval(self, collector: Collector, every: int) -> float:
        own = self._host.devices if collector is self._devices else collector.interval
        return max(own, float(every))

    def _worded(self, frame: Frame) -> Frame:
        """Names files in faults as they are called on the box."""
        base = str(self._tree.base)
        if not any(base in fault.message or base in fault.hint for fault in frame.faults):
            return frame
        faults = [
            msgspec.structs.replace(fault, message=fault.message.replace(base, ""), hint=fault.hint.replace(base, ""))
            for fault in frame.faults
        ]
        return msgspec.structs.replace(frame, faults=faults)


def page_size(text: str) -> int:
    """Reads what getconf or /proc/self/smaps says of the size of a page; 4096 where neither says a possible one."""
    found = re.search(r"([0-9]{1,8})\s*(kB)?$", text)
    size = int(found[1]) * (1024 if found[2] else 1) if found else 0
    return size if size in {1 << bits for bits in range(12, 19)} else 4096


def offset(text: str) -> str:
    """Turns what `date +%z` says into '+02:00', 'UTC', or '' where that is neither."""
    found = re.fullmatch(r"([+-])([01][0-9])([0-5][0-9])", text)
    if found is None:
        return ""
    return "UTC" if text[1:] == "0000" else f"{found[1]}{found[2]}:{found[3]}"
