"""The devices behind a router: who they are, and what each moved through it.

What is read are texts that commands on the router print (`collectors/_router/commands.py`); ssh lays them out in the
tree, and on a machine that is itself a router with nlbwmon they are run here. Bytes come from nlbwmon; where it does
not run, from the table of connections, else of Wi-Fi clients from hostapd; else devices are listed by name alone and
their numbers are missing. Which it is, each row says; `sysmon.devicesources` says what that source cannot tell.

nlbwmon's numbers move in steps, so they are looked at no more often: a look before the next step, or one at which
nothing has moved though something did at the last, tells nothing, and the rate is that over both.
"""

from __future__ import annotations

import os
import shutil
import time
from typing import TYPE_CHECKING

from collectors._router.commands import COMMANDS, FIRST, FOLDER, SELDOM
from collectors._router.counting import INTERVAL, Counting, Look
from collectors._router.leases import parse_hints, parse_leases, parse_odhcpd
from collectors._router.neighbours import parse_neighbours
from collectors._router.nlbw import MAX_HELD
from collectors._router.probe import Probe, parse_probe
from collectors._router.rows import Known, Texts, bounded
from collectors._router.stations import parse_stations
from collectors._router.texts import PATHS, LiveTexts, Text, TreeTexts
from collectors.base import Collector, Reading, Roots
from sysmon.catalogue import counter, rate
from sysmon.errors import MalformedInput, Unsupported
from sysmon.frame import Fault, Tables

if TYPE_CHECKING:
    from collections.abc import Mapping

    from collectors._router.leases import Lease
    from collectors._router.nlbw import Sums
    from collectors._router.stations import Station

PROBE_AGAIN = 60.0
"""Seconds between two looks at what the router has, while something is wrong with what counts."""

SOURCE = "nlbwmon, else conntrack or hostapd"


class DevicesCollector(Collector):
    """Reads the devices of a router.

    Options, for whoever makes it of a router reached by ssh: `router` = true, `interval` seconds between two looks.
    """

    name = "devices"
    help = "Devices of the LAN behind a router, and what each moved through it"
    interval = INTERVAL
    deadline = 45.0
    blocking = True
    heavy = True
    metrics = (
        counter(
            "device.receive",
            "bytes",
            "Bytes that a device of the LAN downloaded",
            SOURCE,
            instance="device",
            lifetime="own",
        ),
        counter(
            "device.transmit", "bytes", "Bytes that a device of the LAN sent", SOURCE, instance="device", lifetime="own"
        ),
        counter(
            "device.connections",
            "",
            "Connections of a device of the LAN",
            "nlbwmon, else conntrack",
            instance="device",
            lifetime="own",
        ),
        rate("device.receive_rate", "device.receive", "bytes/s", "Bytes downloaded per second", instance="device"),
        rate("device.transmit_rate", "device.transmit", "bytes/s", "Bytes sent per second", instance="device"),
    )

    def __init__(self, roots: Roots, options: Mapping[str, object] | None = None) -> None:
        super().__init__(roots, options)
        given = self.options.get("interval")
        self._counting = Counting(float(given) if isinstance(given, int | float) else INTERVAL)
        self._texts = LiveTexts() if roots.live else TreeTexts(roots.base)
        self.clock = time.monotonic
        self._probe = Probe()
        self._probed = 0.0
        self._needed: tuple[str, ...] = FIRST
        self._asked: dict[str, float] = {}
        self._held: dict[str, Text] = {}
        self._leases: dict[str, list[tuple[str, Lease]]] = {}
        self._broken: dict[str, MalformedInput] = {}
        self._known = Known()
        self._told: set[str] = set()
        self._sums: dict[str, Sums] = {}
        self._last: Reading | None = None
        self._last_nlbw = ""
        self._last_at = 0.0
        self._last_moved = False

    @classmethod
    def applies(cls, roots: Roots, options: Mapping[str, object]) -> bool:
        """Whether this is a router: of a tree, as the options say; of this machine, where nlbwmon is installed."""
        if not roots.live:
            return options.get("router") is True
        return shutil.which("nlbw", path=f"{os.environ.get('PATH', '')}:{PATHS}") is not None

    # What is asked for

    def needs(self, *, watched: bool = False) -> tuple[str, ...]:
        """Returns the names of the texts that the next look needs, of `_router.commands.COMMANDS`.

        Args:
            watched: whether somebody looks at the devices now: then their services are wanted each time.
        """
        if not self._asked:
            self._needed = FIRST
            return FIRST
        now = self.clock()
        counting, probe = self._counting, self._probe
        due = {
            name: command.when == "look" or now - self._asked.get(name, now - SELDOM) >= SELDOM - 1
            for name, command in COMMANDS.items()
        }
        due["nlbw"] = probe.nlbw or counting.source == "nlbwmon"
        due["services"] = counting.source == "nlbwmon" and (due["services"] or watched)
        due["probe"] |= bool(counting.problems) and now - self._asked.get("probe", 0.0) >= PROBE_AGAIN - 1
        due["conntrack"] = counting.source == "conntrack"
        due["stations"] = counting.source == "hostapd" or probe.stations
        self._needed = tuple(name for name in COMMANDS if due[name])
        return self._needed

    # A look

    def read(self) -> Reading:
        """Reads the texts; what is missing or makes no sense is a fault, and the rest is told.

        Raises:
            Unsupported: there is none of these texts.
        """
        now = self.clock()
        if self.roots.live:
            self.needs()
        held = self._texts.take(self._needed if self.roots.live else COMMANDS)
        if not held:
            raise Unsupported(f"there is no text of a router in {self.roots.base / FOLDER}")
        for name in self._needed:
            self._asked[name] = now
        nlbw = held.get("nlbw", Text(""))
        if self._last is not None and self._early(nlbw, now):
            return self._last
        self._take_probe(held.get("probe"), now)
        stations = self._take_names(held, now)
        counting = self._counting
        counted = counting.take(Look(held, self._needed, self._probe, self._known, stations, now))
        reading = Reading(interval=counting.interval)
        reading.faults = [self.fault(error) for error in (*counting.problems, *self._broken.values())]
        self._tell(counted, reading)
        self._last, self._last_at, self._last_nlbw = reading, now, nlbw.text
        return reading

    def _early(self, nlbw: Text, now: float) -> bool:
        """Whether nlbwmon has not looked again since the last reading, so that there is nothing to tell yet."""
        counting, since = self._counting, now - self._last_at
        if counting.source != "nlbwmon" or counting.problems or nlbw.status or not nlbw.text:
            return False
        step = counting.step(self._probe)
        return since < 0.75 * step or (nlbw.text == self._last_nlbw and self._last_moved and since < 1.5 * step)

    def _changed(self, name: str, text: Text | None) -> bool:
        """Whether a text is another than before; what is told seldom is not parsed again each time."""
        if text is None or text == self._held.get(name):
            return False
        self._held[name] = text
        return True

    def _take_probe(self, text: Text | None, now: float) -> None:
        if text is not None and self._changed("probe", text):
            self._probe = parse_probe(text.text)
            self._probed = now

    def _take_names(self, held: Mapping[str, Text], now: float) -> list[Station]:
        """Takes who there is and what they are called; returns the Wi-Fi clients."""
        for name, origin, parse in (
            ("leases", "lease", parse_leases),
            ("odhcpd", "lease", parse_odhcpd),
            ("hints", "hint", parse_hints),
        ):
            text = held.get(name)
            if text is None or not self._changed(name, text):
                continue
            self._leases[name] = []
            self._broken.pop(name, None)
            try:
                if not text.status and text.text.strip():
                    self._leases[name] = [(origin, lease) for lease in parse(text.text)]
            except MalformedInput as error:
                self._broken[name] = error
        neighbours = held.get("neighbours", Text("")).text
        stations: list[Station] = []
        if "stations" in self._needed:
            self._broken.pop("stations", None)
            try:
                stations = parse_stations(held.get("stations", Text("")).text)
            except MalformedInput as error:
                self._broken["stations"] = error
        here = self._probe.now + now - self._probed if self._probe.now is not None else None
        leases = [lease for name in ("leases", "odhcpd", "hints") for lease in self._leases.get(name, ())]
        self._known.take(Texts(leases, parse_neighbours(neighbours), stations), self._probe, here)
        return stations

    # What is told

    def _tell(self, counted: dict[str, Sums] | None, reading: Reading) -> None:
        sums = counted or {}
        every = {*sums, *self._known.listed}
        size = {key: each.received + each.sent for key, each in sums.items()}
        keys = bounded(every, self._told, size)
        if len(keys) < len(every):
            count = f"{len(every)}" if len(every) < MAX_HELD else f"at least {MAX_HELD}"
            words = f"the router tells of {count} devices: {len(keys)} of them are shown"
            reading.faults.append(Fault(self.name, "no_data", words))
        before = self._sums
        moved = {key for key in keys if key in sums and key in before and sums[key] != before[key]}
        for key in keys:
            if (told := sums.get(key)) is not None:
                reading.values[f"device.receive:{key}"] = told.received
                reading.values[f"device.transmit:{key}"] = told.sent
                if self._counting.source != "hostapd":
                    reading.values[f"device.connections:{key}"] = told.connections
        rows = self._known.rows(keys, self._counting.source, sums.keys(), moved, self._counting.services)
        reading.tables = Tables(devices=rows)
        self._told, self._sums, self._last_moved = keys, sums, bool(moved)


COLLECTOR = DevicesCollector
