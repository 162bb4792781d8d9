"""Network interfaces: counters of every interface from /proc/net/dev, and what each interface is.

The kernel keeps an interface's counters from its creation on. One that was deleted and created again under the same
name has a new index; a counter that would seem to go on over that is left out of one read, so that no rate spans it.
"""

from __future__ import annotations

import socket
import time
from typing import TYPE_CHECKING, NamedTuple

from collectors._interfaces import Addresses, Details
from collectors._networkoptions import OPTIONS, included
from collectors._sysfs import number
from collectors.base import Collector, Reading, Roots, malformed, read_text
from sysmon.catalogue import Formula, counter, derived, gauge, rate
from sysmon.frame import InterfaceRow, Number, Tables, clean_instance

if TYPE_CHECKING:
    from collections.abc import Mapping

DETAILS_EVERY = 5.0
"""Seconds between looks at what may change of an interface: state, speed, routes, addresses."""

_LARGEST = 1 << 63

METRICS = (
    "net.receive",
    "net.receive.packets",
    "net.receive.errors",
    "net.receive.drops",
    "net.receive.multicast",
    "net.transmit",
    "net.transmit.packets",
    "net.transmit.errors",
    "net.transmit.drops",
    "net.transmit.collisions",
)
"""The counters of an interface, in the order of `InterfaceCounters`."""


class InterfaceCounters(NamedTuple):
    """One line of /proc/net/dev."""

    receive_bytes: int
    receive_packets: int
    receive_errors: int
    receive_drops: int
    multicast: int
    transmit_bytes: int
    transmit_packets: int
    transmit_errors: int
    transmit_drops: int
    collisions: int


def parse_net_dev(content: str, path: str = "/proc/net/dev") -> dict[str, InterfaceCounters]:
    """Parses /proc/net/dev into counters per interface.

    Errors are the kernel's totals as `ip -s link` shows them: they already hold the single kinds (length, CRC, frame,
    carrier), whose columns are not added again. Drops on receipt include packets missed for want of buffers.

    Args:
        content: the whole file, two heading lines first.
        path: named in errors.

    Returns:
        Interface name -> counters since the interface was created. Bytes are those of layer 2.

    Raises:
        MalformedInput: a line with too few fields or no numbers where some belong.

    Source: dev_seq_printf_stats in the kernel's net/core/net-procfs.c.
    """
    found = {}
    for index, line in enumerate(content.split("\n"), start=1):
        name, colon, rest = line.rpartition(":")
        if not colon:
            if index > 2 and line.strip():
                raise malformed(path, index, line, "an interface with 16 counters")
            continue
        fields = rest.split()
        name = name.strip()
        if len(fields) < 16 or not name:
            raise malformed(path, index, line, "an interface with 16 counters")
        try:
            numbers = [int(field) for field in fields[:16]]
        except ValueError:
            raise malformed(path, index, line, "an interface with whole numbers") from None
        if min(numbers) < 0 or max(numbers) >= _LARGEST:
            raise malformed(path, index, line, "an interface with counters from 0")
        found[name] = InterfaceCounters._make((*numbers[:4], numbers[7], *numbers[8:12], numbers[13]))
    return found


class NetworkCollector(Collector):
    """Reads the counters of every interface at each tick, and what the interfaces are every few seconds."""

    name = "network"
    OPTIONS = OPTIONS
    help = "Traffic, errors and state of network interfaces"
    metrics = (
        counter("net.receive", "bytes", "Bytes received", "/proc/net/dev", instance="interface"),
        counter("net.transmit", "bytes", "Bytes sent", "/proc/net/dev", instance="interface"),
        *(
            counter(name, "", text, "/proc/net/dev", instance="interface")
            for name, text in (
                ("net.receive.packets", "Packets received"),
                ("net.receive.errors", "Packets received with errors"),
                ("net.receive.drops", "Packets dropped on receipt, for want of room or of a taker"),
                ("net.receive.multicast", "Multicast packets received"),
                ("net.transmit.packets", "Packets sent"),
                ("net.transmit.errors", "Packets that could not be sent"),
                ("net.transmit.drops", "Packets dropped before sending"),
                ("net.transmit.collisions", "Collisions on a shared medium"),
            )
        ),
        gauge(
            "net.link_speed",
            "bytes/s",
            "Speed of the link each way, where the driver tells a true one",
            "/sys/class/net/*/speed",
            instance="interface",
        ),
        gauge(
            "net.wireless.signal",
            "dbm",
            "Signal of a wireless link at this end",
            "nl80211, or /proc/net/wireless",
            instance="interface",
        ),
        counter(
            "net.carrier_changes",
            "",
            "Times that the link came or went",
            "/sys/class/net/*/carrier_changes",
            instance="interface",
        ),
        rate("net.receive_rate", "net.receive", "bytes/s", "Bytes received per second", instance="interface"),
        rate("net.transmit_rate", "net.transmit", "bytes/s", "Bytes sent per second", instance="interface"),
        derived(
            "net.packets",
            "/s",
            "Packets received and sent per second",
            Formula("rate", ("net.receive.packets", "net.transmit.packets")),
            instance="interface",
        ),
        derived(
            "net.errors",
            "/s",
            "Errors on receipt and sending per second",
            Formula("rate", ("net.receive.errors", "net.transmit.errors")),
            instance="interface",
        ),
        derived(
            "net.drops",
            "/s",
            "Packets dropped on receipt and before sending per second",
            Formula("rate", ("net.receive.drops", "net.transmit.drops")),
            instance="interface",
        ),
    )

    def __init__(self, roots: Roots, options: Mapping[str, object] | None = None) -> None:
        super().__init__(roots, options)
        self._path = roots.proc / "net" / "dev"
        self._class = str(roots.sys / "class" / "net")
        self._included = included(options or {})
        self._details = Details(roots)
        self._addresses = Addresses(roots)
        self._known: dict[str, tuple[int | None, InterfaceCounters]] = {}
        self._keys: dict[str, tuple[str, ...]] = {}
        self._rows: list[InterfaceRow] = []
        self._due = 0.0

    def read(self) -> Reading:
        """Reads every interface's counters, its link speed where true, and the table of interfaces.

        Raises:
            CollectorError, MalformedInput: /proc/net/dev is not there or does not parse.
        """
        every = parse_net_dev(read_text(self._path), str(self._path))
        found = {name: counters for name, counters in every.items() if self._included(name)}
        # The indexes come after the counters: an interface created anew in between is taken for new, never for old.
        indexes = self._indexes(found)
        changed = found.keys() != self._known.keys()
        values: dict[str, Number] = {}
        for name, counters in found.items():
            keys = self._keys.get(name)
            if keys is None:
                instance = clean_instance(name)
                keys = self._keys[name] = tuple(f"{metric}:{instance}" for metric in METRICS)
            before = self._known.get(name)
            if before is not None and before[0] != indexes.get(name):
                changed = True
                # What fell shows the reset by itself; the rest must not seem to go on from the interface that is gone.
                fell = zip(keys, before[1], counters, strict=True)
                values.update({key: new for key, old, new in fell if new < old})
                continue
            values.update(zip(keys, counters, strict=True))
        self._known = {name: (indexes.get(name), counters) for name, counters in found.items()}
        now = time.monotonic()
        if changed or now >= self._due:
            self._due = now + DETAILS_EVERY
            self._keys = {name: self._keys[name] for name in found}
            self._rows = self._details.rows(indexes, self._addresses)
        for row in self._rows:
            if row.speed is not None:
                values[f"net.link_speed:{row.name}"] = row.speed
        for name, signal in self._details.signals.items():
            values[f"net.wireless.signal:{clean_instance(name)}"] = signal
        for name, count in self._details.flaps.items():
            values[f"net.carrier_changes:{clean_instance(name)}"] = count
        return Reading(values, Tables(interfaces=self._rows))

    def _indexes(self, names: Mapping[str, InterfaceCounters]) -> dict[str, int | None]:
        if self.roots.live:
            try:
                indexes = {name: index for index, name in socket.if_nameindex()}
                return {name: indexes.get(name) for name in names}
            except OSError:
                pass
        return {name: number(f"{self._class}/{name}/ifindex") for name in names}


COLLECTOR = NetworkCollector
