"""A source that is a Netronome agent: its live traffic, and every half minute its hardware.

Their stream has no ids, no heartbeats and no word when its vnstat has ended: then it stays open and says nothing. So
it is held to its own pace here, and a silent one is given up and said to be.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any, Final, TypeVar

from remote import sse, wire
from remote.foreign.netronomejson import (
    CPU,
    Direction,
    Hardware,
    Live,
    System,
    bounded,
    clock_of,
    decode,
    filesystem_rows,
    hardware_readings,
    info_of,
    interface_rows,
    speed_of,
)
from remote.foreign.polled import Look, PolledSource
from sysmon.errors import MalformedInput, ProtocolMismatch, SysmonError, Unauthorized, Unreachable
from sysmon.frame import Fault, Tables, clean_instance
from sysmon.records import Hello

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator

    from sysmon.catalogue import Catalogue
    from sysmon.frame import Number
    from sysmon.records import Update

T = TypeVar("T")

PACE: Final = 2.0
"""Seconds between lines of theirs."""
DETAILS: Final = 30.0
"""Seconds between looks at the hardware; each costs their agent a second."""
MAX_ANSWER: Final = 4 << 20
"""Bytes of an answer at most."""
MAX_LINE: Final = 64 << 10
"""Bytes of a live line at most; theirs have 400."""
MAX_HEADINGS: Final = 100
"""Events in a row that say nothing, after which the stream is held to be none of theirs."""
UNNAMED: Final = "vnstat"
"""Instance of the traffic where the agent does not say whose it is."""


class NetronomeSource(PolledSource):
    """Frames of the host that a Netronome agent runs on; implements `sysmon.ports.Source`."""

    def __init__(self, target: Any, *, catalogue: Catalogue, interval: float = PACE, **more: Any) -> None:
        super().__init__(target, catalogue=catalogue.merged([CPU]), interval=max(PACE, interval), **more)
        self._system: System | None = None
        self._system_at = 0
        self._hardware: Hardware | None = None
        self._hardware_at = 0
        self._fresh = False
        self._problems: dict[str, Fault] = {}
        self._interface = ""
        self._line: Live | None = None
        self._due = 0

    async def updates(self) -> AsyncIterator[Update]:
        """Yields as any polled source does; the metric that is theirs alone is told before the first frame."""
        told = False
        async for update in super().updates():
            yield update
            if not told and self._info is not None:
                told = True
                yield Hello(
                    schema=wire.SCHEMA,
                    version="",
                    server=self.run,
                    time=self.clock.now(),
                    hosts=[self._info],
                    metrics=[CPU],
                )

    async def looks(self) -> AsyncIterator[Look]:
        """Reads who it is, then its stream; yields a look per line, until it ends or falls silent."""
        await self._read_system()
        details = asyncio.get_running_loop().create_task(self._details(), name=f"hardware of {self.target}")
        try:
            async with contextlib.aclosing(self._lines()) as lines:
                async for line in lines:
                    look = self._look(line)
                    if look is not None:
                        yield look
        finally:
            details.cancel()
            await asyncio.gather(details, return_exceptions=True)

    # The stream

    async def _lines(self) -> AsyncGenerator[Live, None]:
        parser = sse.Parser(max_line=MAX_LINE, max_event=MAX_LINE)
        loop = asyncio.get_running_loop()
        empty = 0
        async with self.endpoint().open(
            "/events", [("stream", "live-data")], accept="text/event-stream", head=self.patience.head
        ) as pieces:
            until = loop.time() + self.patience.deadline
            while True:
                try:
                    async with asyncio.timeout_at(until):
                        piece = await anext(pieces, None)
                except TimeoutError:
                    raise Unreachable(
                        f"{self.target} has sent no traffic for {self.patience.deadline:g} s",
                        "its vnstat may have ended: restart the agent there",
                    ) from None
                if piece is None:
                    return
                for event in parser.feed(piece):
                    if isinstance(event, sse.Comment):
                        continue
                    line = decode(event.data, Live, f"{self.target}/events")
                    empty += 1
                    if empty > MAX_HEADINGS:
                        raise ProtocolMismatch(f"{self.target}/events holds no traffic", "is that a Netronome agent?")
                    if line.interface:
                        self._interface = clean_instance(line.interface)
                    if line.index > 0 and line.rx is not None and line.tx is not None and line.rx.totalbytes >= 0:
                        empty = 0
                        until = loop.time() + self.patience.deadline
                        yield line

    def _look(self, line: Live) -> Look | None:
        """Makes a look of a line, with what was learnt since the last; None where it comes before its time."""
        ours = self.clock.boottime()
        if ours < self._due - 500_000_000:
            return None
        self._due = ours + int(self.interval * 1e9)
        system = self._system
        now = self.clock.now()
        uptime: float | None = None
        if system is not None and system.uptime is not None and 0 <= system.uptime < 1 << 40:
            uptime = system.uptime + (ours - self._system_at) / 1e9
        booted = None if uptime is None else now / 1000 - uptime
        boot, monotonic = self.lifetime.at(uptime=uptime, booted=booted, theirs=None, ours=ours, now=now)
        readings = self._traffic(line)
        collectors = {"network"}
        tables = Tables()
        theirs = None
        if self._fresh:
            self._fresh = False
            hardware = self._hardware
            tables = Tables(interfaces=interface_rows(system))
            if hardware is not None:
                readings |= hardware_readings(hardware)
                collectors |= {"memory", "filesystems", "netronome"}
                tables = Tables(interfaces=interface_rows(system), filesystems=filesystem_rows(hardware))
                # It was told some time ago: what counts is how far apart both clocks were then.
                told = clock_of(hardware.updated_at)
                theirs = None if told is None else told + now - self._hardware_at
        if uptime is not None:
            readings["uptime"] = int(uptime)
        return Look(
            boot=boot,
            monotonic=monotonic,
            readings=readings,
            collectors=frozenset(collectors),
            intervals=dict.fromkeys(("memory", "filesystems", "netronome", "cpu", "load", "sensors"), DETAILS),
            tables=tables,
            faults=tuple(self._problems.values()),
            info=info_of(system, self._hardware),
            theirs=theirs,
        )

    def _traffic(self, line: Live) -> dict[str, Number]:
        """Returns the counters of a line.

        vnstat counts from its own start. Where it began anew, a counter that fell shows it; one that would seem to go
        on is left out of this look, so that no rate spans the two.
        """
        before, self._line = self._line, line
        name = self._interface or self._only()
        assert line.rx is not None
        assert line.tx is not None
        found: dict[str, Number | None] = {}
        anew = before is not None and (line.index <= before.index or line.seconds < before.seconds)
        for metric, direction in (("net.receive", "rx"), ("net.transmit", "tx")):
            now: Direction = getattr(line, direction)
            old: Direction | None = getattr(before, direction) if before is not None else None
            for key, count in ((metric, "totalbytes"), (f"{metric}.packets", "totalpackets")):
                value = getattr(now, count)
                if not (anew and old is not None and value >= getattr(old, count)):
                    found[f"{key}:{name}"] = value
        interfaces = (self._system.interfaces if self._system is not None else None) or {}
        if name in interfaces:
            found[f"net.link_speed:{name}"] = speed_of(interfaces[name])
        return bounded(found)

    def _only(self) -> str:
        """The interface that is up, where there is only one that is not virtual."""
        interfaces = (self._system.interfaces if self._system is not None else None) or {}
        up = [name for name, each in interfaces.items() if each.is_up and each.link_speed >= 0]
        return clean_instance(up[0]) if len(up) == 1 else UNNAMED

    # What it tells beside traffic

    async def _details(self) -> None:
        while True:
            try:
                self._hardware = await self._ask("/system/hardware", Hardware)
                self._hardware_at = self.clock.now()
                self._problems.pop("hardware", None)
            except SysmonError as error:
                self._problems["hardware"] = Fault("netronome", "failed", error.message, error.hint)
                self._hardware = None
            self._fresh = True
            await self.clock.sleep(DETAILS)
            try:
                await self._read_system()
            except SysmonError as error:
                self._problems["system"] = Fault("network", "failed", error.message, error.hint)

    async def _read_system(self) -> None:
        """Reads who it is; an agent from before it could tell is read without.

        Raises:
            Unreachable, Unauthorized: it cannot be asked at all.
        """
        asked = self.clock.boottime()
        try:
            self._system = await self._ask("/system/info", System)
            self._system_at = (asked + self.clock.boottime()) // 2
            self._problems.pop("system", None)
        except (Unreachable, Unauthorized):
            raise
        except SysmonError as error:
            self._problems["system"] = Fault("network", "failed", error.message, error.hint)

    async def _ask(self, path: str, kind: type[T]) -> T:
        body = b""
        deadline = self.patience.head
        try:
            async with (
                asyncio.timeout(deadline),
                self.endpoint().open(path, accept="application/json", head=deadline) as pieces,
            ):
                async for piece in pieces:
                    body += piece
                    if len(body) > MAX_ANSWER:
                        raise MalformedInput(f"{self.target}{path}: the answer is longer than {MAX_ANSWER} bytes")
        except TimeoutError:
            raise Unreachable(f"{self.target}{path} did not answer within {deadline:g} s") from None
        return decode(body, kind, f"{self.target}{path}")
