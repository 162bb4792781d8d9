"""What an agent or a hub counted of its hosts before it was followed here: its usage, up to the first frame held here.

Frames from before that are never fetched, and what comes after it is counted from frames, however late they come; so
nothing counts twice. It comes behind live frames and behind the filling of holes, from one host after the other; where
it cannot be had, nothing is said, and it is tried again with the next contact.
"""

from __future__ import annotations

import asyncio
import contextlib
from itertools import pairwise
from typing import TYPE_CHECKING, Final
from weakref import WeakKeyDictionary

from cli.pasts import shifted
from sysmon.errors import SysmonError
from sysmon.frame import split_key
from sysmon.records import ACCOUNTED, Past, UsagePiece
from sysmon.zones import span_of, zone_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from datetime import tzinfo

    from cli.station import Station
    from remote.client.backfill import Backfill
    from sysmon.frame import Frame
    from sysmon.ports import History, Recorder
    from sysmon.records import HostInfo, Usage

SOURCE: Final = "agent"
SETTLE: Final = 5.0
"""Seconds after a greeting: then the first frames are here, and holes are known."""
PATIENCE: Final = 600.0
"""Seconds that the filling of holes is waited for."""
PAUSE: Final = 0.2
"""Seconds between two requests."""
AT_ONCE: Final = 2
"""Servers asked at once by a process."""
LATER: Final = 300.0
"""Seconds until a host is asked for again of which no frame had come."""
AGAIN: Final = 6 * 3600.0
"""Seconds after which a contact is one of its own again, rather than a line that shook."""
RETRY: Final = 900.0
"""Seconds after a question that failed in which no other is asked: each costs both sides."""
MINUTE: Final = 60_000
DAY: Final = 86_400_000
KNOWN: Final = 4 * DAY
"""Milliseconds before the first frame held here in which nothing is known, where nobody counted before."""
RAW: Final = 2 * DAY
"""Milliseconds for which an agent keeps frames: of a longer absence it may have counted what no frame tells."""
MOST_PIECES: Final = 60_000
"""Pieces taken of one host at most; of more keys than that are, it is no past of one host."""

REACHES: Final = (("fiveminute", 2 * DAY, "hour"), ("hour", 4 * DAY, "day"), ("day", 62 * DAY, "month"))
"""Step -> milliseconds for which it is asked for, back to the begin of a step of the coarser one; older is by month."""

_ASKING: WeakKeyDictionary[Station, asyncio.Semaphore] = WeakKeyDictionary()


class AgentPasts:
    """Takes the usage that a server kept of its hosts.

    Args:
        past: asks that server.
        history: ours.
        recorder: takes it.
        station: whose clock and skews hold; its processes ask few servers at once.
        backfill: that server's holes, which go before.
        there: id of a host here -> the one that it has there.
        settle: seconds from a greeting to the first question.
    """

    def __init__(
        self,
        past: History,
        history: History,
        recorder: Recorder,
        station: Station,
        *,
        backfill: Backfill | None = None,
        there: Callable[[str], str] = lambda host: host,
        settle: float = SETTLE,
    ) -> None:
        self._past = past
        self._history = history
        self._recorder = recorder
        self._station = station
        self._backfill = backfill
        self._there = there
        self._settle = settle
        self._asked: dict[str, int] = {}
        self._failed: dict[str, int] = {}
        self._waiting: dict[str, HostInfo] = {}
        self._come = asyncio.Event()
        self.taken: dict[str, int] = {}
        """Host -> pieces taken of it in this contact."""

    def greeted(self, hosts: Iterable[HostInfo]) -> None:
        """Notes that a server told of these hosts, under the ids that they have here."""
        now = self._station.clock.boottime()
        for info in hosts:
            at, failed = self._asked.get(info.id), self._failed.get(info.id)
            if failed is not None and now - failed < RETRY * 1e9:
                continue
            if at is None or now - at >= AGAIN * 1e9:
                self._waiting[info.id] = info
                self._come.set()

    async def run(self) -> None:
        """Asks for ever, of whom was told."""
        clock = self._station.clock
        asking = _ASKING.setdefault(self._station, asyncio.Semaphore(AT_ONCE))
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LATER if self._waiting else None):
                    await self._come.wait()
            self._come.clear()
            await clock.sleep(self._settle)
            patience = clock.boottime() + round(PATIENCE * 1e9)
            while self._backfill is not None and self._backfill.pending and clock.boottime() < patience:
                await clock.sleep(1.0)
            async with asking:
                await self._ask_all()

    async def _ask_all(self) -> None:
        hosts, self._waiting = self._waiting, {}
        for host, info in hosts.items():
            try:
                if not await self.take(info):
                    # No frame of it came yet.
                    self._waiting[host] = info
                    continue
            except (SysmonError, ValueError, OverflowError, OSError):
                # What was before stays unknown: no matter, and tried again with a later greeting. Other errors are
                # those of a clock beyond all dates.
                self._failed[host] = self._station.clock.boottime()
                continue
            self._failed.pop(host, None)
            self._asked[host] = self._station.clock.boottime()

    async def take(self, info: HostInfo) -> bool:
        """Takes what a server counted of one host; returns whether there is nothing more to be asked of it now.

        Raises:
            RemoteError, StoreError: one side could not be asked.
        """
        await self._recorder.flush()
        spans = sorted(await self._history.spans(info.id), key=lambda span: span.start)
        if not spans:
            return False
        contact = spans[0].start
        away = any(later.start - earlier.end > RAW for earlier, later in pairwise(spans))
        zone = zone_of(info.timezone)
        hour, _ = span_of(contact, "hour", zone)
        if not away and await self._history.usage(info.id, hour - KNOWN, hour, "hour"):
            # It was watched here before, or taken already.
            return True
        ahead = self._station.skew(info.id)
        host = self._there(info.id)
        until = spans[-1].start if away else contact
        pieces = await self._pieces(host, until + ahead, zone)
        if not away:
            pieces += await self._begun(info.id, host, contact, ahead)
        if pieces:
            told = Past(host=host, source=SOURCE, time=self._station.clock.now() + ahead, pieces=pieces[:MOST_PIECES])
            await self._recorder.record_past(shifted(told, info.id, ahead))
        self.taken[info.id] = len(pieces)
        return True

    async def _pieces(self, host: str, contact: int, zone: tzinfo) -> list[UsagePiece]:
        """Asks for usage up to the last whole five minutes before the first frame, by the finest steps kept."""
        last, _ = end, _ = span_of(contact, "fiveminute", zone)
        found: list[Usage] = []
        for step, back, coarser in REACHES:
            begin, _ = span_of(contact - back, coarser, zone)
            found += await self._usage(host, begin, end, step, zone)
            end = begin
        begin, _ = span_of(400 * DAY, "year", zone)
        found += await self._usage(host, begin, end, "month", zone)
        return tiled(each for each in found if each.end <= last)

    async def _usage(self, host: str, begin: int, end: int, step: str, zone: tzinfo) -> list[Usage]:
        """Asks for one stretch; of a server that does not know five minutes, or tells too much by them, the hours."""
        await self._station.clock.sleep(PAUSE)
        try:
            told = await self._past.usage(host, begin, end, step)
        except SysmonError:
            if step != "fiveminute":
                raise
            return await self._usage(host, begin, end, "hour", zone)
        # One that begins elsewhere is a step of another zone: a part of it may be told by the finer ones.
        return [
            each
            for each in told
            if begin <= each.start < end
            and span_of(each.start, step, zone)[0] == each.start
            and split_key(each.key)[0] in ACCOUNTED
        ]

    async def _begun(self, here: str, there: str, contact: int, ahead: int) -> list[UsagePiece]:
        """Returns the growth of counters from the begin of five minutes to the first frame held here, within them.

        The server's frame from before these five minutes, or else its first one within, tells what the counters were:
        exactly, where it is of the same boot.
        """
        begin, _ = span_of(contact + ahead, "fiveminute", zone_of(""))
        await self._station.clock.sleep(PAUSE)
        earlier = await self._past.moment(there, begin - 1)
        if earlier is None or begin - earlier.frame.time > MINUTE:
            earlier = await self._past.moment(there, begin - 1, 1)
        first = await self._history.moment(here, contact)
        if earlier is None or first is None:
            return []
        return grown(earlier.frame, first.frame, max(begin, earlier.frame.time), contact + ahead)


def grown(earlier: Frame, later: Frame, start: int, end: int) -> list[UsagePiece]:
    """Returns what counters grew by between two frames of a boot, told of a stretch of time; falls are left out."""
    if earlier.boot != later.boot or start >= end:
        return []
    before: Mapping[str, float] = earlier.readings
    return [
        UsagePiece(key, start, end, int(value - before[key]))
        for key, value in later.readings.items()
        if split_key(key)[0] in ACCOUNTED and key in before and value > before[key]
    ]


def tiled(usages: Iterable[Usage]) -> list[UsagePiece]:
    """Returns pieces of usage of which those of a key never overlap: a longer one ends where the next begins."""
    found: dict[str, list[UsagePiece]] = {}
    for each in sorted(usages, key=lambda usage: (usage.key, usage.start, usage.end)):
        if each.bytes <= 0 or each.start >= each.end:
            continue
        made = found.setdefault(each.key, [])
        size = each.bytes
        if made and made[-1].end > each.start:
            last = made.pop()
            if last.start < each.start:
                made.append(UsagePiece(each.key, last.start, each.start, last.bytes))
            else:
                size += last.bytes
        made.append(UsagePiece(each.key, each.start, each.end, size))
    return [piece for pieces in found.values() for piece in pieces]
