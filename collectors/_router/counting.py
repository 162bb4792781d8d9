"""What counts the bytes of a router's devices: nlbwmon, else what the router has beside it; never two at once."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from collectors._router.commands import GONE, MOST_LINES
from collectors._router.conntrack import Growth, by_device, parse_conntrack
from collectors._router.ledger import Ledger
from collectors._router.nlbw import DOWN, Counters, failure, key_of, parse_nlbw, parse_services, services_of
from collectors._router.texts import Text
from sysmon.errors import CollectorError, Denied, MalformedInput, NoData, SysmonError, Unsupported
from sysmon.frame import clean_text

if TYPE_CHECKING:
    from collections.abc import Mapping

    from collectors._router.nlbw import Sums
    from collectors._router.probe import Probe
    from collectors._router.rows import Known
    from collectors._router.stations import Station
    from sysmon.frame import ServiceRow

INTERVAL = 30.0
"""Seconds between two looks at nlbwmon at least."""

FALLBACK_INTERVAL = 10.0
"""Seconds between two looks at the table of connections: one that was reset is forgotten after that."""

GIVE_UP = 600.0
"""Seconds without an answer after which an nlbwmon that counted before is done without."""

SOON = 5.0
"""Seconds to the next look where another text is needed."""

MANY = 50
"""Connections that cannot all have moved nothing."""

_NO_BYTES = "hardware flow offloading hides them from the kernel: turn it off there, or update nlbwmon"
_ACCOUNTING = (
    "the router does not count: net.netfilter.nf_conntrack_acct = 0",
    "there: sysctl -w net.netfilter.nf_conntrack_acct=1, and the same line in /etc/sysctl.conf",
)


class Look(NamedTuple):
    """What a look has to count from.

    Attributes:
        texts: what the router told, by name; `fresh`: names of those that were asked for now.
        probe, known, stations: what was made of the others.
        at: seconds, of a clock that does not jump.
    """

    texts: Mapping[str, Text]
    fresh: tuple[str, ...]
    probe: Probe
    known: Known
    stations: list[Station]
    at: float

    def asked(self, name: str) -> Text | None:
        """Returns a text that was asked for now."""
        return self.texts.get(name) if name in self.fresh else None


class Counting:
    """Turns looks into counters of devices.

    Args:
        configured: seconds between two looks.

    Attributes:
        source: what counts now: nlbwmon, conntrack, hostapd, or '' for nothing.
        interval: seconds to the next look.
        problems: what was wrong at the last look.
        services: of devices, by MAC.
    """

    def __init__(self, configured: float) -> None:
        self._configured = configured
        self.source = ""
        self.interval = configured
        self.problems: list[SysmonError] = []
        self.services: dict[str, list[ServiceRow]] = {}
        self._services_text: Text | None = None
        self._services_problem: MalformedInput | None = None
        self._counted: float | None = None
        self._counters = Counters()
        self._flows = Growth()
        self._air = Growth()
        self._ledger = Ledger()

    def step(self, probe: Probe) -> float:
        """Returns the seconds in which nlbwmon's numbers move on."""
        return max(INTERVAL, self._configured, probe.refresh)

    def take(self, look: Look) -> dict[str, Sums] | None:
        """Returns what is to be told of each device, None where nothing counts now."""
        self.problems = []
        self.interval = self._configured
        try:
            counted = self._nlbw(look)
        except (CollectorError, MalformedInput) as error:
            if self._counted is not None and look.at - self._counted < GIVE_UP:
                # It is waited for: it will be back, and its numbers with it.
                self.problems.append(error)
                return None
            if not isinstance(error, Unsupported | NoData):
                self.problems.append(error)
                return None
            return self._fall_back(look, error)
        self._counted = look.at
        self.source = "nlbwmon"
        self.interval = self.step(look.probe)
        return counted

    def _nlbw(self, look: Look) -> dict[str, Sums]:
        text = look.asked("nlbw")
        if text is None:
            if look.probe.nlbw:
                raise CollectorError("the router told nothing of nlbw")
            text = Text("", 127)
        if (error := failure(text.status, text.said)) is not None:
            there = look.probe.nlbwmon and GONE not in text.said
            if isinstance(error, NoData) and text.status == DOWN and there:
                raise CollectorError(
                    "nlbwmon does not answer on the router", "it has just ended, or answers root alone"
                )
            raise error
        rows = parse_nlbw(text.text)
        if look.probe.accounting is False:
            raise CollectorError(*_ACCOUNTING)
        if not any(row.sums.received or row.sums.sent for row in rows):
            count = sum(row.sums.connections for row in rows)
            if count >= MANY:
                raise CollectorError(f"nlbwmon counts connections ({count}) but no bytes", _NO_BYTES)
        lan = look.probe.lan
        sums, begun = self._counters.take(rows, lan, look.at)
        for row in rows:
            if row.address and (key := key_of(row, lan)):
                look.known.saw(key, row.address)
        if begun:
            self.services = {}
        self._take_services(look.texts.get("services"))
        return self._ledger.settle("nlbwmon", sums, look.known.listed, begun=begun)

    def _take_services(self, text: Text | None) -> None:
        if text is not None and not text.status and text != self._services_text:
            self._services_text, self._services_problem = text, None
            try:
                self.services = services_of(parse_services(text.text))
            except MalformedInput as error:
                self.services, self._services_problem = {}, error
        if self._services_problem is not None:
            self.problems.append(self._services_problem)

    def _fall_back(self, look: Look, error: CollectorError) -> dict[str, Sums] | None:
        """Counts by what the router has beside nlbwmon."""
        probe, before = look.probe, self.source
        usable = probe.conntrack and not probe.nlbwmon
        if usable and probe.accounting is not False:
            self.source, words = "conntrack", "its connections are counted instead"
        elif probe.stations:
            self.source, words = "hostapd", "its Wi-Fi clients are counted instead, by their access points"
        else:
            self.source, words = "", "its devices are listed without numbers"
        self.problems.append(type(error)(f"{error.message}: {words}", error.hint))
        if usable and probe.accounting is False:
            self.problems.append(NoData(*_ACCOUNTING))
        if self.source != before:
            self.services = {}
        if self.source == "conntrack":
            return self._connections(look)
        if self.source == "hostapd":
            return self._stations(look)
        return None

    def _connections(self, look: Look) -> dict[str, Sums] | None:
        text = look.asked("conntrack")
        if text is None:
            self.interval = SOON
            return None
        if self._configured <= INTERVAL:
            self.interval = FALLBACK_INTERVAL
        if text.status:
            said = clean_text(text.said.partition("\n")[0], 160) or f"status {text.status}"
            self.problems.append(Denied(f"the router's table of connections cannot be read: {said}"))
            return None
        whole = text.text.count("\n") < MOST_LINES
        if not whole:
            words = f"the router has more than {MOST_LINES} connections: what is beyond is counted in part"
            self.problems.append(NoData(words, "install nlbwmon there"))
        flows = parse_conntrack(text.text, look.probe.lan)
        counted, uncounted = by_device(flows, look.known.holders)
        if flows and uncounted == len(flows):
            self.problems.append(NoData(*_ACCOUNTING))
            return None
        sums = self._flows.take(counted, whole=whole)
        return self._ledger.settle("conntrack", sums, look.known.listed, begun=False)

    def _stations(self, look: Look) -> dict[str, Sums] | None:
        if "stations" not in look.fresh:
            self.interval = SOON
            return None
        counters = {
            f"{each.point} {each.mac}": (each.mac, each.received, each.sent)
            for each in look.stations
            if each.received is not None and each.sent is not None
        }
        sums = self._air.take(counters)
        told = self._ledger.settle("hostapd", sums, sums.keys(), begun=False)
        # What is not on the air is not counted by this.
        return {key: value for key, value in told.items() if key in sums}
